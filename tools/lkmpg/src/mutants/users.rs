// SPDX-License-Identifier: GPL-2.0-only

//! Which modules use a file of `lkm`.
//!
//! A part of `lkm` is a file or a folder beside `lib.rs`, by its name: `procfs`, `file`. Modules
//! say which they use, by `use lkm::{...}` and in paths.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use syn::{
    ItemUse, UseTree,
    visit::{self, Visit},
};

use crate::{
    examples::{self, Example},
    mutants::{LKM, read, sources},
};

/// It has a handle of each kind, which it loses: it uses all of `lkm`.
const LOST_HANDLES: &str = "lost-handles";

/// Who uses what.
#[derive(Default)]
pub struct Users {
    /// The text of each part of `lkm`.
    parts: BTreeMap<String, String>,
    /// The names that each part has of the others.
    inside: BTreeMap<String, BTreeSet<String>>,
    /// The names that each module has of `lkm`.
    modules: BTreeMap<String, BTreeSet<String>>,
    /// The text of each file in C.
    helpers: BTreeMap<String, String>,
    /// Those modules that are there to test `lkm`.
    tests: BTreeSet<String>,
}

impl Users {
    /// Looks at the repository at `root`, where the `modules` are.
    pub fn find(root: &Path, modules: &[Example]) -> Result<Self> {
        let mut users = Self::default();
        let lkm = root.join(LKM);
        for path in sources(&lkm)? {
            let text = read(&path)?;
            let file = path.strip_prefix(&lkm).unwrap_or(&path);
            let file = file.display().to_string();
            if file.ends_with(".c") {
                users.helpers.insert(file, text);
            } else {
                users.add_part(&part(&file), &text).context(file)?;
            }
        }
        for module in modules {
            let names = users.modules.entry(module.name.clone()).or_default();
            for path in sources(&root.join(&module.folder))? {
                if path.extension().is_some_and(|it| it == "rs") {
                    let used = used(&read(&path)?, "lkm");
                    names.extend(used.with_context(|| path.display().to_string())?);
                }
            }
            if module.folder.starts_with(examples::TESTS_OF_LKM) {
                users.tests.insert(module.name.clone());
            }
        }
        Ok(users)
    }

    fn add_part(&mut self, part: &str, text: &str) -> Result<()> {
        let inside = self.inside.entry(part.to_owned()).or_default();
        inside.extend(used(text, "crate")?);
        *self.parts.entry(part.to_owned()).or_default() += text;
        Ok(())
    }

    /// The modules whose tests may catch a mutant of `file`, those first that are there for
    /// it, and the one that has everything last.
    pub fn of(&self, file: &str) -> Vec<String> {
        let mut parts = match self.helpers.get(file) {
            Some(text) => self.callers(text),
            None => BTreeSet::from([part(file)]),
        };
        // A part that no module names is used by other parts, and what nobody names, all have.
        let found = loop {
            let found = self.users(&self.modules, &parts);
            if !found.is_empty() {
                break found;
            }
            let before = parts.len();
            parts.extend(self.users(&self.inside, &parts));
            if parts.len() == before {
                break self.modules.keys().cloned().collect();
            }
        };
        let mut names: Vec<_> = found.into_iter().filter(|it| it != LOST_HANDLES).collect();
        names.sort_by_key(|name| !self.tests.contains(name));
        if self.modules.contains_key(LOST_HANDLES) {
            names.push(LOST_HANDLES.to_owned());
        }
        names
    }

    /// The parts that call the functions in `text`, which is in C.
    fn callers(&self, text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let functions: BTreeSet<_> = words.filter(|word| word.starts_with("lkm_")).collect();
        let calls = |code: &str| {
            let mut words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| functions.contains(word))
        };
        let callers = self.parts.iter().filter(|(_, code)| calls(code));
        callers.map(|(part, _)| part.clone()).collect()
    }

    /// Those of `all` that have a name of one of `parts`.
    fn users(
        &self,
        all: &BTreeMap<String, BTreeSet<String>>,
        parts: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let is_of_them = |name: &String| {
            let has = |part: &String| {
                part == name || self.parts.get(part).is_some_and(|text| defines(text, name))
            };
            parts.iter().any(has)
        };
        let users = all.iter().filter(|(_, names)| names.iter().any(is_of_them));
        users.map(|(user, _)| user.clone()).collect()
    }
}

/// Whether `text` has a macro called `name`, or something that the crate has by that name.
fn defines(text: &str, name: &str) -> bool {
    ["macro_rules! ", "pub struct ", "pub trait ", "pub fn "]
        .iter()
        .any(|what| {
            text.match_indices(&format!("{what}{name}")).any(|(at, found)| {
                let next = text[at + found.len()..].chars().next();
                next.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
            })
        })
}

/// The part of `lkm` that `file` belongs to.
fn part(file: &str) -> String {
    let first = file.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first).to_owned()
}

/// The names in `text` that come straight after `root` and `::`.
fn used(text: &str, root: &str) -> Result<BTreeSet<String>> {
    let mut imports = Imports {
        root,
        names: BTreeSet::new(),
    };
    imports.visit_file(&syn::parse_file(text)?);
    // What macros are called with is no syntax tree.
    let begin = format!("{root}::");
    for (at, _) in text.match_indices(&begin) {
        let name: String = text[at + begin.len()..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if !name.is_empty() {
            imports.names.insert(name);
        }
    }
    Ok(imports.names)
}

struct Imports<'a> {
    root: &'a str,
    names: BTreeSet<String>,
}

impl Imports<'_> {
    /// Takes the first names of `tree`.
    fn first(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                self.names.insert(path.ident.to_string());
            }
            UseTree::Name(name) => {
                self.names.insert(name.ident.to_string());
            }
            UseTree::Rename(rename) => {
                self.names.insert(rename.ident.to_string());
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.first(tree)),
            UseTree::Glob(_) => {}
        }
    }
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, node: &'ast ItemUse) {
        if let UseTree::Path(path) = &node.tree {
            if path.ident == self.root {
                self.first(&path.tree);
            }
        }
        visit::visit_item_use(self, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn imports_are_found() {
        let text = "use lkm::{file::{mode, Offset}, procfs, OnDrop as Late};
fn f() { g!(lkm::time::udelay(1)); lkm::new_work!(a); }
";
        let expected = names(&["OnDrop", "file", "new_work", "procfs", "time"]);
        assert_eq!(used(text, "lkm").unwrap(), expected);
    }

    #[test]
    fn the_users_of_a_file_are_found() {
        let mut users = Users::default();
        let parts = [
            ("alive", "pub struct Alive;"),
            (
                "tasklet",
                "use crate::alive::Alive; fn f() { bindings::lkm_close() }",
            ),
            ("timer", "macro_rules! new_timer { () => {} }"),
        ];
        for (part, text) in parts {
            users.add_part(part, text).unwrap();
        }
        let c = "void lkm_close(void)\n{\n}\n".to_owned();
        users.helpers.insert("helpers/x.c".to_owned(), c);
        users.tests = names(&["tasklets", "lost-handles"]);
        users.modules = [
            ("an_example", names(&["tasklet"])),
            ("lost-handles", names(&["tasklet", "timer"])),
            ("tasklets", names(&["tasklet"])),
            ("timers", names(&["new_timer"])),
        ]
        .map(|(name, used)| (name.to_owned(), used))
        .into();
        let of_tasklets = ["tasklets", "an_example", "lost-handles"];
        assert_eq!(users.of("tasklet.rs"), of_tasklets);
        assert_eq!(users.of("helpers/x.c"), of_tasklets);
        assert_eq!(users.of("alive.rs"), of_tasklets);
        assert_eq!(users.of("timer/more.rs"), ["timers", "lost-handles"]);
        assert_eq!(users.of("lib.rs").len(), users.modules.len());
    }
}
