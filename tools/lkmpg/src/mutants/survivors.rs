// SPDX-License-Identifier: GPL-2.0-only

//! The mutants that no test need catch, each with the reason.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};

use crate::stop::Stop;

/// Where they are listed, in the repository: the name of a mutant, a tab, and why it is all right.
pub const FILE: &str = "tests/survivors.tsv";

/// Why each is all right, by name.
pub type Survivors = BTreeMap<String, String>;

/// Reads the list of the repository at `root`.
pub fn read(root: &Path) -> Result<Survivors> {
    match fs::read_to_string(root.join(FILE)) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Survivors::new()),
        Err(error) => Err(error).context(FILE),
    }
}

fn parse(text: &str) -> Result<Survivors> {
    let mut survivors = Survivors::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| Stop::failed(format!("{FILE}: {what}: {line}"));
        let (name, why) = line.split_once('\t').unwrap_or((line, ""));
        if why.trim().is_empty() {
            return Err(wrong("no tab with a reason behind it"));
        }
        if survivors.insert(name.to_owned(), why.to_owned()).is_some() {
            return Err(wrong("that is there twice"));
        }
    }
    Ok(survivors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_has_a_reason() {
        let good = "# name, reason\n\na.rs f: delete !\tIt only prints.\n";
        let survivors = parse(good).unwrap();
        assert_eq!(survivors["a.rs f: delete !"], "It only prints.");
        for bad in ["a.rs f: delete !", "a\t \n", "a\tb\na\tc\n"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
