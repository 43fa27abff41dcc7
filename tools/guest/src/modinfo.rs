// SPDX-License-Identifier: GPL-2.0-only

use std::fs;

use anyhow::{Context, Result, anyhow, ensure};
use object::{Object, ObjectSection, read::elf::ElfFile64};

use crate::module;

/// The licences that `license_is_gpl_compatible()` in `include/linux/license.h`
/// accepts.
const GPL_COMPATIBLE: [&str; 6] = [
    "GPL",
    "GPL v2",
    "GPL and additional rights",
    "Dual BSD/GPL",
    "Dual MIT/GPL",
    "Dual MPL/GPL",
];

/// What a module says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Modinfo(Vec<(String, String)>);

impl Modinfo {
    /// The values of `key`, such as `parm`, in the order of the file.
    #[must_use]
    pub fn all(&self, key: &str) -> Vec<&str> {
        let entries = self.0.iter().filter(|entry| entry.0 == key);
        entries.map(|entry| entry.1.as_str()).collect()
    }

    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).first().copied()
    }

    /// Reads `key=value` strings, each ended by a zero.
    fn parse(section: &[u8]) -> Self {
        let entries = section.split(|byte| *byte == 0).filter_map(|entry| {
            let (key, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        });
        Self(entries.collect())
    }
}

/// What `modinfo` prints for the module called `name`.
///
/// # Errors
///
/// When there is no such module, or it has no section `.modinfo`.
pub fn modinfo(name: &str) -> Result<Modinfo> {
    let path = module::file(name);
    let read = || {
        let elf = fs::read(&path)?;
        let file = ElfFile64::<object::LittleEndian>::parse(&*elf)?;
        let section = file.section_by_name(".modinfo");
        let section = section.ok_or_else(|| anyhow!("no section .modinfo"))?;
        anyhow::Ok(Modinfo::parse(section.data()?))
    };
    read().with_context(|| path.display().to_string())
}

/// What `modinfo` must be able to say of any module.
pub fn check(name: &str) -> Result<()> {
    judge(&modinfo(name)?)
}

fn judge(modinfo: &Modinfo) -> Result<()> {
    for key in ["license", "author", "description"] {
        let value = modinfo.get(key);
        let value = value.ok_or_else(|| anyhow!("modinfo has no {key}"))?;
        ensure!(!value.trim().is_empty(), "modinfo has an empty {key}");
        ensure!(
            key != "license" || GPL_COMPATIBLE.contains(&value),
            "the license {value:?} is not compatible with the GPL"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(section: &[u8]) -> Result<()> {
        super::judge(&Modinfo::parse(section))
    }

    #[test]
    fn values_are_found() {
        let modinfo = Modinfo::parse(b"parm=a:A = 1\0license=GPL\0parm=b:B\0\0");
        assert_eq!(modinfo.all("parm"), ["a:A = 1", "b:B"]);
        assert_eq!(modinfo.get("license"), Some("GPL"));
        assert_eq!(modinfo.get("author"), None);
    }

    #[test]
    fn all_three_are_needed() {
        assert!(judge(b"license=GPL\0author=a\0description=d\0name=hello_1\0").is_ok());
        let error = judge(b"license=GPL\0author=a\0").unwrap_err();
        assert_eq!(error.to_string(), "modinfo has no description");
        let error = judge(b"license=GPL\0author= \0description=d\0").unwrap_err();
        assert_eq!(error.to_string(), "modinfo has an empty author");
    }

    #[test]
    fn the_license_counts() {
        assert!(judge(b"license=Proprietary\0author=a\0description=d\0").is_err());
        assert!(judge(b"license=Dual MIT/GPL\0author=a\0description=d\0").is_ok());
    }
}
