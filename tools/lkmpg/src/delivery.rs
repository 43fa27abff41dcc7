// SPDX-License-Identifier: GPL-2.0-only

//! Modules on their way into a VM.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use anyhow::{Context, Result};
use lkmpg_proto::Module;

use crate::{
    memory,
    modules::{Modules, with_needed},
    stop::Stop,
};

/// How much memory a VM has for them, in bytes. What is not used takes nothing.
pub const SIZE: u64 = 64 << 20;

/// Memory that a VM has as a device, with the files of modules in it.
#[derive(Debug)]
pub struct Delivery {
    /// The memory.
    pub file: File,
    /// Whose files are in it, one after the other.
    pub modules: Vec<Module>,
}

impl Delivery {
    /// Memory without anything in it.
    pub fn empty() -> Result<Self> {
        Ok(Self {
            file: memory::create("modules", SIZE)?,
            modules: Vec::new(),
        })
    }

    /// Memory with the files of those of `modules` that are called `names`, and of those
    /// that they need.
    pub fn of(modules: &Modules, names: &[String]) -> Result<Self> {
        let mut delivery = Self::empty()?;
        delivery.add(modules, names)?;
        Ok(delivery)
    }

    /// Adds the files of those of `modules` that are called `names`, and of those that they
    /// need.
    pub fn add(&mut self, modules: &Modules, names: &[String]) -> Result<()> {
        let mut end: usize = self.modules.iter().map(|module| module.length).sum();
        for name in &with_needed(modules, names)? {
            let path = &modules[name].file;
            let bytes = fs::read(path).with_context(|| path.display().to_string())?;
            if (end + bytes.len()) as u64 > SIZE {
                return Err(Stop::usage(format!(
                    "a VM takes {} MiB of modules at most; name fewer",
                    SIZE >> 20
                )));
            }
            let written = self.file.write_all_at(&bytes, end as u64);
            written.context("memory for the modules' files")?;
            end += bytes.len();
            self.modules.push(Module {
                name: name.clone(),
                length: bytes.len(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{machine::Needs, modules};

    #[test]
    fn files_follow_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let module = |name: &str, content: &str, needed: &[&str]| {
            let file = dir.path().join(name);
            fs::write(&file, content).unwrap();
            let needs = Needs {
                modules: needed.iter().map(|name| (*name).to_owned()).collect(),
                ..Needs::default()
            };
            (name.to_owned(), modules::Module { file, needs })
        };
        let modules = [
            module("a", "odd", &[]),
            module("b", "even", &["c"]),
            module("c", "more", &[]),
        ]
        .into();
        let names = ["b", "a"].map(str::to_owned);
        let delivery = Delivery::of(&modules, &names).unwrap();
        let lengths: Vec<_> = delivery.modules.iter().map(|it| it.length).collect();
        assert_eq!(lengths, [4, 3, 4]);
        let mut bytes = [0; 12];
        delivery.file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"evenoddmore\0");
    }
}
