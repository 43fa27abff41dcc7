// SPDX-License-Identifier: GPL-2.0-only

//! The examples that the repository holds.

use std::{env::consts::ARCH, fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{machine::Needs, stop::Stop};

/// How alike a name must be to be worth suggesting, from 0 to 1.
const ALIKE: f64 = 0.7;

/// How many names to suggest.
const SUGGESTIONS: usize = 3;

/// One example.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Example {
    /// Its name and that of its module.
    pub name: String,
    /// Its folder in the repository: `modules/04-hello-world/hello-1`.
    pub folder: String,
    /// Where the book has it: `4.1 The Simplest Module`; for an example of the
    /// write-up, `Write-up: Printing`; may be empty.
    pub chapter: String,
    /// What it shows, in a sentence; may be empty.
    pub shows: String,
    /// The architectures that can have it; all when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
}

/// Every example below `root`, in the order of the chapters.
pub fn discover(root: &Path) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for chapter in folders(root, "modules")? {
        // A folder with lib.rs is a crate.
        if root.join(&chapter).join("lib.rs").exists() {
            continue;
        }
        for folder in folders(root, &chapter)? {
            let name = folder.rsplit('/').next().unwrap_or_default().to_owned();
            let source = root.join(&folder).join(format!("{name}.rs"));
            if source.is_file() {
                let text = fs::read_to_string(&source);
                let text = text.with_context(|| source.display().to_string())?;
                let needs = Needs::read(&root.join(&folder).join("needs.toml"))?;
                examples.push(Example {
                    architectures: needs.architectures,
                    ..describe(name, folder, &text)
                });
            }
        }
    }
    examples.sort_by_cached_key(|example| {
        let chapter = example.folder.rsplit_once('/').map(|(chapter, _)| chapter);
        let chapter = chapter.unwrap_or_default().to_owned();
        (chapter, number(&example.chapter), example.name.clone())
    });
    Ok(examples)
}

/// Those of `examples` that this machine's architecture can have. An error names
/// one that is `wanted` and that it cannot have.
pub fn for_this_machine(examples: Vec<Example>, wanted: &[String]) -> Result<Vec<Example>> {
    let (here, elsewhere): (Vec<_>, Vec<_>) = examples.into_iter().partition(|it| {
        let mut architectures = it.architectures.iter();
        it.architectures.is_empty() || architectures.any(|name| name == ARCH)
    });
    match elsewhere.iter().find(|it| wanted.contains(&it.name)) {
        Some(it) => Err(Stop::usage(format!(
            "'{}' is an example for {}, and this machine is {ARCH}",
            it.name,
            it.architectures.join(" or ")
        ))),
        None => Ok(here),
    }
}

/// The folders in the folder `dir` of `root`, as paths from there.
fn folders(root: &Path, dir: &str) -> Result<Vec<String>> {
    let path = root.join(dir);
    let mut found = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
            found.push(format!("{dir}/{name}"));
        }
    }
    Ok(found)
}

/// Reads the `//!` lines at the head of a module's source.
fn describe(name: String, folder: String, source: &str) -> Example {
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
    Example {
        name,
        folder,
        chapter: chapter.trim_start_matches("Book:").trim().to_owned(),
        shows,
        architectures: Vec::new(),
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
pub fn table(examples: &[Example]) -> String {
    let width = |of: fn(&Example) -> &str, title: &str| {
        let widths = examples.iter().map(|example| of(example).chars().count());
        widths.max().unwrap_or(0).max(title.len())
    };
    let name = width(|example| &example.name, "NAME");
    let chapter = width(|example| &example.chapter, "CHAPTER");
    let mut text = format!("{:name$}  {:chapter$}  WHAT IT SHOWS\n", "NAME", "CHAPTER");
    for example in examples {
        let line = format!(
            "{:name$}  {:chapter$}  {}",
            example.name, example.chapter, example.shows
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
        let example = describe("hello-1".into(), "c/hello-1".into(), source);
        assert_eq!(example.chapter, "4.1 The Simplest Module");
        assert_eq!(example.shows, "Says hello, and goodbye.");
        let other = describe(
            "x".into(),
            "c/x".into(),
            "//! Prints.\n//!\n//! Write-up: Printing\n",
        );
        assert_eq!(other.chapter, "Write-up: Printing");
        let bare = describe("x".into(), "c/x".into(), "use x;\n");
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
    fn what_this_machine_cannot_have_is_left_out() {
        let example = |name: &str, architectures: &[&str]| Example {
            architectures: names(architectures),
            ..describe(name.into(), format!("c/{name}"), "")
        };
        let all = || {
            vec![
                example("a", &[]),
                example("b", &["pdp11"]),
                example("c", &["pdp11", ARCH]),
            ]
        };
        let here = for_this_machine(all(), &[]).unwrap();
        let here: Vec<_> = here.iter().map(|it| &*it.name).collect();
        assert_eq!(here, ["a", "c"]);
        assert!(for_this_machine(all(), &names(&["c"])).is_ok());
        let error = for_this_machine(all(), &names(&["b"])).unwrap_err();
        assert!(error.to_string().contains("for pdp11"), "{error}");
    }

    #[test]
    fn the_table_is_aligned() {
        let example = |name: &str| Example {
            name: name.into(),
            folder: String::new(),
            chapter: "4.1 X".into(),
            shows: "y".into(),
            architectures: Vec::new(),
        };
        let text = table(&[example("hello-1"), example("a")]);
        let columns: Vec<_> = text.lines().skip(1).map(|line| line.find("4.1")).collect();
        assert_eq!(columns, [Some(9), Some(9)]);
    }
}
