// SPDX-License-Identifier: GPL-2.0-only

//! The chapters of the book, with the examples that show what they are about.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;

use crate::examples::Example;

/// A chapter.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub struct Chapter {
    pub number: u32,
    pub title: String,
    /// The names of its examples: its own first, then those of other chapters.
    pub examples: Vec<String>,
}

/// Every chapter that one of `examples` is about, in order. The title is that of the chapter's
/// page below `root`, or else what the example says.
pub fn of(root: &Path, examples: &[Example]) -> Vec<Chapter> {
    let mut chapters = BTreeMap::new();
    for example in examples {
        let Some((folder, _)) = example.folder.rsplit_once('/') else {
            continue;
        };
        let number = folder.rsplit('/').next().and_then(number);
        if let Some(number) = number {
            let title = || title(&root.join(folder).join("README.md")).unwrap_or_default();
            add(&mut chapters, number, title, example);
        }
    }
    for example in examples {
        for other in &example.also {
            if let (Some(number), Some((_, title))) = (number(other), other.split_once(' ')) {
                add(&mut chapters, number, || title.to_owned(), example);
            }
        }
    }
    chapters.into_values().collect()
}

fn add(
    chapters: &mut BTreeMap<u32, Chapter>,
    number: u32,
    title: impl FnOnce() -> String,
    example: &Example,
) {
    let chapter = chapters.entry(number).or_insert_with(|| Chapter {
        number,
        title: title(),
        examples: Vec::new(),
    });
    if !chapter.examples.contains(&example.name) {
        chapter.examples.push(example.name.clone());
    }
}

/// The number that `text` begins with: that of a chapter, or of a part of one.
fn number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// `# 4. Hello world` is the heading of a chapter's page.
fn title(page: &Path) -> Option<String> {
    let text = fs::read_to_string(page).ok()?;
    let heading = text.lines().find_map(|line| line.strip_prefix("# "))?;
    let (_, title) = heading.split_once(". ")?;
    Some(title.trim().to_owned())
}

/// The chapters as a table.
pub fn table(chapters: &[Chapter]) -> String {
    let head = |it: &Chapter| format!("{:2} {}", it.number, it.title);
    let widths = chapters.iter().map(|it| head(it).chars().count());
    let width = widths.max().unwrap_or(0).max("CHAPTER".len());
    let mut text = format!("{:width$}  EXAMPLES\n", "CHAPTER");
    for chapter in chapters {
        let names = chapter.examples.join(" ");
        text += &format!("{:width$}  {names}\n", head(chapter));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Needs;

    fn example(name: &str, folder: &str, also: &[&str]) -> Example {
        Example {
            name: name.into(),
            folder: format!("{folder}/{name}"),
            chapter: String::new(),
            also: also.iter().map(|it| (*it).to_owned()).collect(),
            shows: String::new(),
            needs: Needs::default(),
        }
    }

    #[test]
    fn examples_are_in_each_of_their_chapters() {
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join("modules");
        fs::create_dir_all(modules.join("06-devices")).unwrap();
        fs::write(
            modules.join("06-devices/README.md"),
            "# 6. Devices\n\n# 7. No\n",
        )
        .unwrap();
        let examples = [
            example("b", "modules/06-devices", &["5 Before them", "6.1 Here"]),
            example("a", "modules/06-devices", &[]),
            example("c", "modules/41-others", &["5 Called otherwise", "nowhere"]),
        ];
        let chapters = of(root.path(), &examples);
        let lines: Vec<_> = chapters
            .iter()
            .map(|it| (it.number, &*it.title, it.examples.join(" ")))
            .collect();
        assert_eq!(
            lines,
            [
                (5, "Before them", "b c".to_owned()),
                (6, "Devices", "b a".to_owned()),
                (41, "", "c".to_owned()),
            ]
        );
        assert_eq!(
            table(&chapters),
            "CHAPTER         EXAMPLES\n 5 Before them  b c\n 6 Devices      b a\n41              c\n"
        );
    }
}
