// SPDX-License-Identifier: GPL-2.0-only

//! Finds the rooms that bring a `test.rs`, or programs for user space in
//! `user/`, and compiles them in.
//!
//! `LKMPG_ROOMS` names the directories that hold rooms, separated by colons;
//! without it that is the repository's `modules`.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=LKMPG_ROOMS");
    println!("cargo::rerun-if-changed=build.rs");
    let default = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../modules");
    let dirs = env::var_os("LKMPG_ROOMS").unwrap_or_else(|| default.into());

    let (mut rooms, mut programs) = (BTreeMap::new(), BTreeMap::new());
    for dir in env::split_paths(&dirs).filter(|dir| !dir.as_os_str().is_empty()) {
        find(&dir, &mut rooms, &mut programs)
            .map_err(|error| format!("{}: {error}", dir.display()))?;
    }

    let mut source = String::new();
    let mut list = String::new();
    for (name, test) in &rooms {
        let module = format!("room_{}", identifier(name));
        writeln!(source, "#[path = {test:?}]\nmod {module};")?;
        list += &entry(name, &module, &fs::read_to_string(test)?)?;
    }
    writeln!(
        source,
        "pub static ROOMS: &[crate::Room<'static>] = &[\n{list}];"
    )?;

    let mut list = String::new();
    for (name, path) in &programs {
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
        "pub static PROGRAMS: &[(&str, crate::room::Main)] = &[\n{list}];"
    )?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("rooms.rs"), source)?;
    Ok(())
}

/// `name` as a part of a name in Rust.
fn identifier(name: &str) -> String {
    name.replace(|c: char| !c.is_alphanumeric(), "_")
}

/// Adds what there is in the rooms in `dir`: to `rooms` name and path of each
/// test, to `programs` those of each program.
fn find(
    dir: &Path,
    rooms: &mut BTreeMap<String, PathBuf>,
    programs: &mut BTreeMap<String, PathBuf>,
) -> Result<(), Box<dyn Error>> {
    let dir = dir.canonicalize()?;
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(&dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let test = entry.path().join("test.rs");
        if test.is_file() {
            println!("cargo::rerun-if-changed={}", test.display());
            let name = entry.file_name();
            let name = name.to_str().ok_or("a room's name is not UTF-8")?;
            if let Some(other) = rooms.insert(name.to_owned(), test) {
                return Err(format!("another {name} is at {}", other.display()).into());
            }
        }
        let user = entry.path().join("user");
        if user.is_dir() {
            println!("cargo::rerun-if-changed={}", user.display());
            find_programs(&user, programs)?;
        }
    }
    Ok(())
}

/// Adds the programs in `user`, the folder of a room.
fn find_programs(
    user: &Path,
    programs: &mut BTreeMap<String, PathBuf>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(user)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.ok_or("a program's name is not UTF-8")?.to_owned();
        if let Some(other) = programs.insert(name.clone(), path.clone()) {
            let (path, other) = (path.display(), other.display());
            return Err(format!("two programs are called {name}: {other} and {path}").into());
        }
    }
    Ok(())
}

/// The `Room` of one `test.rs`. What the file does not define is left empty.
fn entry(name: &str, module: &str, source: &str) -> Result<String, Box<dyn Error>> {
    let defines = |item: &str| source.lines().any(|line| line.starts_with(item));
    let value = |item: &str, name: &str, empty: &str| {
        if defines(item) {
            format!("{module}::{name}")
        } else {
            empty.to_owned()
        }
    };
    let demo = value("pub const DEMO:", "DEMO", "&[]");
    let tests = value("pub const TESTS:", "TESTS", "&[]");
    let params = value("pub const PARAMS:", "PARAMS", "\"\"");
    let setup = if defines("pub fn setup(") {
        format!("Some({module}::setup)")
    } else {
        "None".to_owned()
    };
    Ok(format!(
        "    crate::Room {{ name: {name:?}, demo: {demo}, tests: {tests}, \
         params: {params}, setup: {setup} }},\n"
    ))
}
