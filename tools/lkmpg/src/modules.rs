// SPDX-License-Identifier: GPL-2.0-only

//! The modules that are built.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::machine::{self, Needs};

/// How deep below a module's output its `.ko` may be:
/// `lib/modules/VERSION/extra/NAME.ko`.
const DEPTH: usize = 5;

/// A module that is built.
#[derive(Clone, Debug)]
pub struct Module {
    /// The module's file.
    pub file: PathBuf,
    /// What its example needs of the machine.
    pub needs: Needs,
}

/// Modules by name.
pub type Modules = BTreeMap<String, Module>;

/// The names of those of `modules` that are called `names`, and of those that they need.
pub fn with_needed(modules: &Modules, names: &[String]) -> Result<Vec<String>> {
    machine::with_needed(names, |name| modules.get(name).map(|module| &module.needs))
}

/// Finds the modules in the outputs `dirs`.
pub fn find_modules(dirs: &[PathBuf]) -> Result<Modules> {
    let mut modules = Modules::new();
    for dir in dirs {
        let mut files = Vec::new();
        find(dir, DEPTH, &mut files).with_context(|| dir.display().to_string())?;
        for file in files {
            if let Some(name) = file.file_stem().and_then(|name| name.to_str()) {
                let needs = dir.join("share/lkmpg").join(format!("{name}.toml"));
                let needs = Needs::read(&needs)?;
                modules.insert(name.to_owned(), Module { file, needs });
            }
        }
    }
    Ok(modules)
}

/// Adds the modules' files in `dir`, and `depth - 1` levels below, to `files`.
fn find(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && depth > 1 {
            find(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_with_their_needs() {
        let dir = tempfile::tempdir().unwrap();
        let extra = dir.path().join("lib/modules/7.2.6/extra");
        fs::create_dir_all(&extra).unwrap();
        fs::write(extra.join("hello-1.ko"), "odd").unwrap();
        let share = dir.path().join("share/lkmpg");
        fs::create_dir_all(&share).unwrap();
        fs::write(share.join("hello-1.toml"), "memory = 512").unwrap();
        let modules = find_modules(&[dir.path().to_owned()]).unwrap();
        assert_eq!(modules["hello-1"].needs.memory, 512);
        assert_eq!(modules["hello-1"].file, extra.join("hello-1.ko"));
        assert_eq!(modules.len(), 1);
    }
}
