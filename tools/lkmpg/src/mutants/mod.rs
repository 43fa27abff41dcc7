// SPDX-License-Identifier: GPL-2.0-only

//! Small changes to `lkm`, one at a time: each makes it wrong, so a test is to fail.
//!
//! The kinds are those of cargo-mutants, and one of our own: a call of C is left out, which
//! is how an unload stops waiting. What macros are called with is not looked at.

mod c;
mod rust;
pub mod survivors;
pub mod users;

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The folder of `lkm`, in the repository.
pub const LKM: &str = "modules/lkm";

/// A change to a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mutant {
    /// The file, as a path from [`LKM`].
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What it is called. No other one is, and it stays so while the function changes little:
    /// file, function, kind, and a number where the function has several of that kind.
    pub name: String,
    /// Where the file changes, in bytes.
    range: Range<usize>,
    /// What is there then.
    with: String,
}

impl Mutant {
    /// The file's `text` with the change.
    pub fn apply(&self, text: &str) -> String {
        [&text[..self.range.start], &self.with, &text[self.range.end..]].concat()
    }
}

/// A change that has no name yet.
pub struct Change {
    /// In which function.
    function: String,
    /// What changes, in words.
    kind: String,
    range: Range<usize>,
    with: String,
}

/// Names the `changes` to `file`, whose text is `text`.
fn name(file: &str, text: &str, mut changes: Vec<Change>) -> Vec<Mutant> {
    changes.sort_by_key(|change| change.range.start);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let named = changes.into_iter().map(|change| {
        let mut name = format!("{file} {}: {}", change.function, change.kind);
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            name += &format!(" ({count})");
        }
        Mutant {
            file: file.to_owned(),
            line: text[..change.range.start].matches('\n').count() + 1,
            name,
            range: change.range,
            with: change.with,
        }
    });
    named.collect()
}

/// Every mutant of the repository at `root`, file by file.
pub fn all(root: &Path) -> Result<Vec<Mutant>> {
    let lkm = root.join(LKM);
    let mut found = Vec::new();
    for path in sources(&lkm)? {
        let text = read(&path)?;
        let file = path.strip_prefix(&lkm).unwrap_or(&path);
        let file = file.display().to_string();
        let changes = match path.extension().is_some_and(|it| it == "c") {
            true => c::changes(&text),
            false => rust::changes(&text).with_context(|| file.clone())?,
        };
        found.extend(name(&file, &text, changes));
    }
    Ok(found)
}

/// The text of the file `path`.
fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// The files in Rust and C in `dir` and below, sorted; not those that are made.
fn sources(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        // The last two are what `make doc` and `make doctest` make.
        let skipped = ["test.rs", "user", "doc", "doctests"].contains(&name.as_str());
        let made = name.ends_with("_generated.rs") || name.ends_with(".mod.c");
        if skipped || made {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|it| it == "rs" || it == "c") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the mutants of `text`, which is in Rust, and each line that changes as it is
    /// then.
    fn mutants(text: &str) -> Vec<(String, String)> {
        let mutants = name("a.rs", text, rust::changes(text).unwrap());
        let shown = mutants.into_iter().map(|mutant| {
            let changed = mutant.apply(text);
            let line = changed.lines().nth(mutant.line - 1).unwrap_or_default();
            (mutant.name, line.trim().to_owned())
        });
        shown.collect()
    }

    #[test]
    fn changes_of_a_kind_are_numbered() {
        let text = "fn f(a: u8) {\n    g(a == 1);\n    h(a == 2);\n}\n";
        let found = mutants(text);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "a.rs f: return ()",
                "a.rs f: == to !=",
                "a.rs f: == to != (2)"
            ]
        );
        assert_eq!(found[2].1, "h(a != 2);");
    }

    #[test]
    fn a_body_becomes_a_value() {
        let line = |text: &str| -> Vec<_> {
            mutants(text).into_iter().map(|(_, line)| line).collect()
        };
        assert_eq!(
            line("fn f() -> Result<bool> { g() }"),
            [
                "fn f() -> Result<bool> { Ok(true) }",
                "fn f() -> Result<bool> { Ok(false) }"
            ]
        );
        assert_eq!(
            line("fn f() -> Result { g() }"),
            ["fn f() -> Result { Ok(()) }"]
        );
        assert_eq!(
            line("fn f() -> Option<Page> { g() }"),
            [
                "fn f() -> Option<Page> { None }",
                "fn f() -> Option<Page> { Some(Default::default()) }"
            ]
        );
        // It is that already, or there is nothing to take.
        assert!(line("fn f() {}").is_empty());
        assert!(line("fn f() -> bool { true }").len() == 1);
        assert!(line("fn f() -> &Page { g() }").is_empty());
        assert!(line("fn f() -> Self { g() }").is_empty());
    }

    #[test]
    fn an_unload_forgets_to_wait() {
        let text = "impl Stop for Inner<T> {
    fn stop(&self) {
        // SAFETY: It is alive.
        unsafe { bindings::lkm_tasklet_close(self.0.get()) };
        self.0.done();
    }
}
";
        let found = mutants(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(
            found[1],
            (
                "a.rs Inner::stop: delete lkm_tasklet_close()".to_owned(),
                String::new()
            )
        );
    }

    #[test]
    fn arms_and_not_go() {
        let text = "fn f(a: u8) {
    match a {
        1 => g(),
        2 if !h() => g(),
        _ => {}
    }
}
";
        let found = mutants(text);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "a.rs f: return ()",
                "a.rs f: delete arm 1",
                "a.rs f: delete arm 2 if !h()",
                "a.rs f: delete !",
            ]
        );
        assert_eq!(found[3].1, "2 if h() => g(),");
    }

    #[test]
    fn what_is_not_compiled_stays() {
        let text = "#[cfg(linux_6_18)]
fn f() -> bool { !a }
#[cfg(test)]
mod tests { fn g() -> bool { !a } }
";
        assert!(mutants(text).is_empty());
        let text = "#[cfg(not(linux_6_18))]\nfn f() -> bool { a() }\n";
        assert_eq!(mutants(text).len(), 2);
    }

    #[test]
    fn c_is_changed_too() {
        let text = "/* g(); */
void lkm_close(struct tasklet_struct *it)
{
\t/* Waits (if it runs). */
\twait_on_bit_lock(&it->state, SCHED,
\t\t\t TASK_UNINTERRUPTIBLE);

\tif (it->count && get(it))
\t\treturn;
}
";
        let mutants = name("helpers/a.c", text, c::changes(text));
        let shown: Vec<_> = mutants.iter().map(|it| (it.name.as_str(), it.line)).collect();
        assert_eq!(
            shown,
            [
                ("helpers/a.c lkm_close: delete wait_on_bit_lock()", 5),
                ("helpers/a.c lkm_close: negate if", 8)
            ]
        );
        assert!(mutants[0].apply(text).contains("\n\t;\n\n\tif (it"));
        assert!(
            mutants[1]
                .apply(text)
                .contains("if (!(it->count && get(it)))\n")
        );
    }
}
