// SPDX-License-Identifier: GPL-2.0-only

//! Finds the examples that have a `test.rs`, or programs for user space in
//! `user/`, and compiles them in.
//!
//! `LKMPG_EXAMPLES` names the folders that hold examples, or chapters of them,
//! separated by colons; without it that is the repository's `modules`.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result {
    println!("cargo::rerun-if-env-changed=LKMPG_EXAMPLES");
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-env=LKMPG_ARCH={}",
        env::var("CARGO_CFG_TARGET_ARCH")?
    );
    let default = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../modules");
    let dirs = env::var_os("LKMPG_EXAMPLES").unwrap_or_else(|| default.into());

    let mut found = Found::default();
    for dir in env::split_paths(&dirs).filter(|dir| !dir.as_os_str().is_empty()) {
        let looked = dir.canonicalize().map_err(Box::from);
        looked
            .and_then(|dir| found.look_into(&dir, true))
            .map_err(|error| format!("{}: {error}", dir.display()))?;
    }

    let mut source = String::new();
    let mut list = String::new();
    for (name, test) in &found.tests {
        let module = format!("example_{}", identifier(name));
        writeln!(source, "#[path = {test:?}]\nmod {module};")?;
        writeln!(list, "    ({name:?}, {module}::EXAMPLE),")?;
    }
    writeln!(
        source,
        "pub static EXAMPLES: &[(&str, crate::Example)] = &[\n{list}];"
    )?;

    let mut list = String::new();
    for (name, path) in &found.programs {
        let module = format!("program_{}", identifier(name));
        writeln!(source, "#[path = {path:?}]\nmod {module};")?;
        // It may return whatever a `main` may.
        writeln!(
            list,
            "    ({name:?}, || std::process::Termination::report({module}::main())),"
        )?;
    }
    writeln!(
        source,
        "pub static PROGRAMS: &[(&str, crate::example::Main)] = &[\n{list}];"
    )?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("examples.rs"), source)?;
    Ok(())
}

/// `name` as a part of a name in Rust.
fn identifier(name: &str) -> String {
    name.replace(|c: char| !c.is_alphanumeric(), "_")
}

/// The files of tests and of programs, by name.
#[derive(Default)]
struct Found {
    tests: BTreeMap<String, PathBuf>,
    programs: BTreeMap<String, PathBuf>,
}

impl Found {
    /// Looks for examples in `dir`, and in the `chapters` in it.
    fn look_into(&mut self, dir: &Path, chapters: bool) -> Result {
        println!("cargo::rerun-if-changed={}", dir.display());
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            let (test, user) = (entry.path().join("test.rs"), entry.path().join("user"));
            if test.is_file() {
                println!("cargo::rerun-if-changed={}", test.display());
                let name = entry.file_name().into_string();
                let name = name.map_err(|_| "an example's name is not UTF-8")?;
                add(&mut self.tests, name, test.clone())?;
            }
            if user.is_dir() {
                self.add_programs(&user)?;
            } else if !test.is_file() && chapters {
                self.look_into(&entry.path(), false)?;
            }
        }
        Ok(())
    }

    /// Adds the programs in `user`, the folder of an example.
    fn add_programs(&mut self, user: &Path) -> Result {
        println!("cargo::rerun-if-changed={}", user.display());
        for entry in fs::read_dir(user)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let name = path.file_stem().and_then(|name| name.to_str());
            let name = name.ok_or("a program's name is not UTF-8")?.to_owned();
            add(&mut self.programs, name, path)?;
        }
        Ok(())
    }
}

fn add(files: &mut BTreeMap<String, PathBuf>, name: String, path: PathBuf) -> Result {
    if let Some(other) = files.insert(name.clone(), path.clone()) {
        let (path, other) = (path.display(), other.display());
        return Err(format!("{name} is there twice: {other} and {path}").into());
    }
    Ok(())
}
