// SPDX-License-Identifier: GPL-2.0-only

//! The examples that the repository holds.

use std::{env::consts::ARCH, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};

use crate::{machine::Needs, stop::Stop};

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
    /// Other chapters that it shows something of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// What it shows, in a sentence; may be empty.
    pub shows: String,
    /// What it needs of the machine; in JSON only the architectures that can have
    /// it, when not all can.
    #[serde(
        rename = "architectures",
        serialize_with = "architectures",
        skip_serializing_if = "Needs::fits_all"
    )]
    pub needs: Needs,
}

fn architectures<S: Serializer>(needs: &Needs, to: S) -> Result<S::Ok, S::Error> {
    needs.architectures.serialize(to)
}

/// Where the modules are that test `lkm`, and those that fail.
pub const TESTS_OF_LKM: &str = "tests/lkm";
pub const FIXTURES: &str = "tests/fixtures";

/// Every example below `root`, in the order of the chapters.
pub fn discover(root: &Path) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for chapter in folders(root, "modules")? {
        // A folder with lib.rs is a crate.
        if !root.join(&chapter).join("lib.rs").exists() {
            examples.extend(in_chapter(root, &chapter)?);
        }
    }
    examples.sort_by_cached_key(|example| {
        let chapter = example.folder.rsplit_once('/').map(|(chapter, _)| chapter);
        let chapter = chapter.unwrap_or_default().to_owned();
        (chapter, number(&example.chapter), example.name.clone())
    });
    Ok(examples)
}

/// The modules in the folder `chapter` of `root`, sorted by name.
pub fn in_chapter(root: &Path, chapter: &str) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for folder in folders(root, chapter)? {
        let name = folder.rsplit('/').next().unwrap_or_default().to_owned();
        let source = root.join(&folder).join(format!("{name}.rs"));
        if source.is_file() {
            check_name(&name)?;
            let text = fs::read_to_string(&source);
            let text = text.with_context(|| source.display().to_string())?;
            let needs = Needs::read(&root.join(&folder).join("needs.toml"))?;
            examples.push(Example {
                needs,
                ..describe(name, folder, &text)
            });
        }
    }
    examples.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(examples)
}

/// The longest name of a module: the kernel's MODULE_NAME_LEN, without the byte that
/// ends it.
const LONGEST_NAME: usize = 55;

/// Makes sure that an example can be called `name`.
pub fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    match begins && name.chars().all(fits) && name.len() <= LONGEST_NAME {
        true => Ok(()),
        false => Err(Stop::usage(format!(
            "'{name}' cannot be an example's name: it may have ASCII letters, digits, '-' and '_', \
             begins with a letter, and has at most {LONGEST_NAME} characters"
        ))),
    }
}

/// Those of `examples` that this machine's architecture can have. An error names
/// one that is `wanted` and that it cannot have.
pub fn for_this_machine(examples: Vec<Example>, wanted: &[String]) -> Result<Vec<Example>> {
    let (here, elsewhere): (Vec<_>, Vec<_>) = examples.into_iter().partition(|it| {
        let mut architectures = it.needs.architectures.iter();
        it.needs.fits_all() || architectures.any(|name| name == ARCH)
    });
    match elsewhere.iter().find(|it| wanted.contains(&it.name)) {
        Some(it) => Err(Stop::usage(format!(
            "'{}' is an example for {}, and this machine is {ARCH}",
            it.name,
            it.needs.architectures.join(" or ")
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
    let mut chapters = docs
        .clone()
        .filter(is_chapter)
        .map(|line| line.trim_start_matches("Book:").trim().to_owned());
    let shows = docs
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty() && !is_chapter(line))
        .collect::<Vec<_>>()
        .join(" ");
    Example {
        name,
        folder,
        chapter: chapters.next().unwrap_or_default(),
        also: chapters.collect(),
        shows,
        needs: Needs::default(),
    }
}

/// The number of a chapter, for sorting; what has none comes last.
fn number(chapter: &str) -> Vec<u32> {
    let number = chapter.split_whitespace().next().unwrap_or_default();
    let parts: Result<Vec<_>, _> = number.split('.').map(str::parse).collect();
    parts.unwrap_or_else(|_| vec![u32::MAX])
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
    fn a_name_fits_everywhere() {
        for name in ["a", "hello-1", "rust_echo_server", "A1", &*"x".repeat(55)] {
            check_name(name).unwrap();
        }
        for name in [
            "",
            "a b",
            "my.mod",
            "\u{fc}n\u{ef}",
            "1st",
            "-a",
            "a/b",
            &*"x".repeat(56),
        ] {
            let error = check_name(name).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "'{name}' cannot be an example's name: it may have ASCII letters, digits, \
                     '-' and '_', begins with a letter, and has at most 55 characters"
                )
            );
        }
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
        let two = "//! Does.\n//!\n//! Book: 6 Devices\n//! Book: 17 Copying\n";
        let two = describe("x".into(), "c/x".into(), two);
        assert_eq!(
            (&*two.chapter, &*two.also),
            ("6 Devices", &["17 Copying".to_owned()][..])
        );
        let bare = describe("x".into(), "c/x".into(), "use x;\n");
        assert_eq!((&*bare.chapter, &*bare.shows), ("", ""));
    }

    #[test]
    fn chapters_sort_by_number() {
        assert!(number("4.10 A") > number("4.9 B"));
        assert!(number("") > number("18 Z"));
    }

    #[test]
    fn what_this_machine_cannot_have_is_left_out() {
        let example = |name: &str, architectures: &[&str]| Example {
            needs: Needs {
                architectures: names(architectures),
                ..Needs::default()
            },
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
            also: Vec::new(),
            shows: "y".into(),
            needs: Needs::default(),
        };
        let text = table(&[example("hello-1"), example("a")]);
        let columns: Vec<_> = text.lines().skip(1).map(|line| line.find("4.1")).collect();
        assert_eq!(columns, [Some(9), Some(9)]);
    }
}
