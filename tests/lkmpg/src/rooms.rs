// SPDX-License-Identifier: GPL-2.0-only

//! The examples that the repository holds.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::stop::Stop;

/// How alike a name must be to be worth suggesting, from 0 to 1.
const ALIKE: f64 = 0.7;

/// How many names to suggest.
const SUGGESTIONS: usize = 3;

/// One example.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Room {
    /// Its directory below `modules/`, and its module.
    pub name: String,
    /// Where the book has it: `4.1 The Simplest Module`; for an example of the
    /// write-up, `Write-up: Printing`; may be empty.
    pub chapter: String,
    /// What it shows, in a sentence; may be empty.
    pub shows: String,
}

/// Every example below `root`, in the order of the book.
pub fn discover(root: &Path) -> Result<Vec<Room>> {
    let dir = root.join("modules");
    let mut rooms = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let source = dir.join(&name).join(format!("{name}.rs"));
        if name != "lkm" && source.is_file() {
            let text = fs::read_to_string(&source);
            let text = text.with_context(|| source.display().to_string())?;
            rooms.push(describe(name, &text));
        }
    }
    rooms.sort_by_cached_key(|room| (number(&room.chapter), room.name.clone()));
    Ok(rooms)
}

/// Reads the `//!` lines at the head of a module's source.
fn describe(name: String, source: &str) -> Room {
    let docs = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("//!"))
        .map(str::trim);
    let is_chapter = |line: &&str| line.starts_with("Book:") || line.starts_with("Write-up:");
    let chapter = docs.clone().find(is_chapter).unwrap_or_default();
    let shows = docs
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty() && !is_chapter(line))
        .collect::<Vec<_>>()
        .join(" ");
    Room {
        name,
        chapter: chapter.trim_start_matches("Book:").trim().to_owned(),
        shows,
    }
}

/// The number of a chapter, for sorting; what has none comes last.
fn number(chapter: &str) -> Vec<u32> {
    let number = chapter.split_whitespace().next().unwrap_or_default();
    let parts: Result<Vec<_>, _> = number.split('.').map(str::parse).collect();
    parts.unwrap_or_else(|_| vec![u32::MAX])
}

/// The names to work with: those `wanted`, or all when none is.
///
/// The error for an unknown name suggests the nearest.
pub fn choose(wanted: &[String], all: &[String]) -> Result<Vec<String>> {
    let mut chosen = Vec::new();
    for name in wanted {
        if !all.contains(name) {
            return Err(Stop::usage(unknown(name, all)));
        }
        if !chosen.contains(name) {
            chosen.push(name.clone());
        }
    }
    Ok(if wanted.is_empty() {
        all.to_vec()
    } else {
        chosen
    })
}

fn unknown(name: &str, all: &[String]) -> String {
    let mut near: Vec<_> = all
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let near: Vec<_> = near.iter().map(|(_, name)| format!("'{name}'")).collect();
    let near = &near[..near.len().min(SUGGESTIONS)];
    if near.is_empty() {
        format!("no example is called '{name}'; `lkmpg list` shows them all")
    } else {
        let near = near.join(" or ");
        format!("no example is called '{name}'; did you mean {near}?")
    }
}

/// The examples as a table.
pub fn table(rooms: &[Room]) -> String {
    let width = |of: fn(&Room) -> &str, title: &str| {
        let widths = rooms.iter().map(|room| of(room).chars().count());
        widths.max().unwrap_or(0).max(title.len())
    };
    let name = width(|room| &room.name, "NAME");
    let chapter = width(|room| &room.chapter, "CHAPTER");
    let mut text = format!("{:name$}  {:chapter$}  WHAT IT SHOWS\n", "NAME", "CHAPTER");
    for room in rooms {
        let line = format!(
            "{:name$}  {:chapter$}  {}",
            room.name, room.chapter, room.shows
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn docs_are_read() {
        let source = "// SPDX\n\n//! Says hello, and\n//! goodbye.\n//!\n//! Book: 4.1 The Simplest Module\n//!\n//! More.\n\nuse x;\n";
        let room = describe("hello-1".into(), source);
        assert_eq!(room.chapter, "4.1 The Simplest Module");
        assert_eq!(room.shows, "Says hello, and goodbye.");
        let other = describe("x".into(), "//! Prints.\n//!\n//! Write-up: Printing\n");
        assert_eq!(other.chapter, "Write-up: Printing");
        let bare = describe("x".into(), "use x;\n");
        assert_eq!((&*bare.chapter, &*bare.shows), ("", ""));
    }

    #[test]
    fn chapters_sort_by_number() {
        assert!(number("4.10 A") > number("4.9 B"));
        assert!(number("") > number("18 Z"));
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let all = names(&["hello-1", "hello-2", "procfs1"]);
        let text = unknown("helo-1", &all);
        let expected = "no example is called 'helo-1'; did you mean 'hello-1'";
        assert!(text.starts_with(expected), "{text}");
        let text = unknown("zzz", &all);
        assert_eq!(
            text,
            "no example is called 'zzz'; `lkmpg list` shows them all"
        );
    }

    #[test]
    fn names_are_chosen_once_and_in_order() {
        let all = names(&["a", "b", "c"]);
        assert_eq!(choose(&[], &all).unwrap(), all);
        let wanted = names(&["c", "a", "c"]);
        assert_eq!(choose(&wanted, &all).unwrap(), names(&["c", "a"]));
        assert!(choose(&names(&["d"]), &all).is_err());
    }

    #[test]
    fn the_table_is_aligned() {
        let room = |name: &str| Room {
            name: name.into(),
            chapter: "4.1 X".into(),
            shows: "y".into(),
        };
        let text = table(&[room("hello-1"), room("a")]);
        let columns: Vec<_> = text.lines().skip(1).map(|line| line.find("4.1")).collect();
        assert_eq!(columns, [Some(9), Some(9)]);
    }
}
