// SPDX-License-Identifier: GPL-2.0-only

use std::fs;

use anyhow::{Context, Result, anyhow, bail, ensure};
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

/// What `modinfo` must be able to say of any module.
pub fn check(name: &str) -> Result<()> {
    let path = module::file(name);
    let elf = fs::read(&path).with_context(|| path.display().to_string())?;
    judge(&section(&elf).with_context(|| path.display().to_string())?)
}

/// The bytes of `.modinfo`: `key=value` strings, each ended by a zero.
fn section(elf: &[u8]) -> Result<Vec<u8>> {
    let file = ElfFile64::<object::LittleEndian>::parse(elf)?;
    let section = file.section_by_name(".modinfo");
    let section = section.ok_or_else(|| anyhow!("no section .modinfo"))?;
    Ok(section.data()?.to_vec())
}

fn judge(modinfo: &[u8]) -> Result<()> {
    let entries: Vec<_> = modinfo.split(|byte| *byte == 0).collect();
    for key in ["license", "author", "description"] {
        let value = entries.iter().find_map(|entry| {
            let rest = entry.strip_prefix(key.as_bytes())?;
            Some(String::from_utf8_lossy(rest.strip_prefix(b"=")?))
        });
        let Some(value) = value else {
            bail!("modinfo has no {key}");
        };
        ensure!(!value.trim().is_empty(), "modinfo has an empty {key}");
        ensure!(
            key != "license" || GPL_COMPATIBLE.contains(&&*value),
            "the license {value:?} is not compatible with the GPL"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
