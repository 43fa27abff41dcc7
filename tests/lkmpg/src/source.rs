// SPDX-License-Identifier: GPL-2.0-only

//! Gets what a command works with: the VM and the modules.

use std::iter;

use anyhow::Result;

use crate::{
    cli::Source,
    image::{Modules, VmDir, find_modules},
    nix, repo,
    rooms::{self, Room},
    stop::Stop,
};

/// Which of the flake's kernels to use, and the modules built for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kernel {
    /// The one that every module is tested on.
    Base,
    /// One with debug information.
    Gdb,
}

impl Kernel {
    /// What the attributes of its VM and modules begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Base => "",
            Self::Gdb => "gdb.",
        }
    }
}

/// A VM and the modules to use in it.
pub struct Workshop {
    /// The VM.
    pub vm: VmDir,
    /// The modules' files.
    pub modules: Modules,
    /// The modules to use, in order.
    pub names: Vec<String>,
    /// What is known of the examples; empty without a repository.
    rooms: Vec<Room>,
}

impl Workshop {
    /// Takes what is given, or builds it for `kernel`.
    pub fn open(source: &Source, wanted: &[String], kernel: Kernel) -> Result<Self> {
        let Some(dir) = &source.vm else {
            return Self::build(source, wanted, kernel);
        };
        let modules = find_modules(&source.modules)?;
        let all: Vec<_> = modules.keys().cloned().collect();
        Ok(Self {
            vm: VmDir::open(dir)?,
            names: rooms::choose(wanted, &all)?,
            modules,
            rooms: Vec::new(),
        })
    }

    fn build(source: &Source, wanted: &[String], kernel: Kernel) -> Result<Self> {
        let root = repo::root(source)?;
        let rooms = rooms::discover(&root)?;
        let all: Vec<_> = rooms.iter().map(|room| room.name.clone()).collect();
        let names = rooms::choose(wanted, &all)?;
        repo::require_tracked(&root, &names)?;

        let attributes = iter::once("vm").chain(names.iter().map(String::as_str));
        let attributes: Vec<_> = attributes
            .map(|name| format!("{}{name}", kernel.prefix()))
            .collect();
        let outputs = nix::build(&repo::flake(source, &root), &attributes)?;

        let is_vm = |dir: &std::path::PathBuf| dir.join("kernel").exists();
        let (vm, outputs): (Vec<_>, Vec<_>) = outputs.into_iter().partition(is_vm);
        let modules = find_modules(&outputs)?;
        if let Some(name) = names.iter().find(|name| !modules.contains_key(*name)) {
            return Err(Stop::failed(format!(
                "{name} builds, but makes no {name}.ko"
            )));
        }
        let vm = vm
            .first()
            .ok_or_else(|| Stop::failed("the flake's vm has no kernel"))?;
        Ok(Self {
            vm: VmDir::open(vm)?,
            modules,
            names,
            rooms,
        })
    }

    /// What the example called `name` shows; empty when that is not known.
    pub fn shows(&self, name: &str) -> &str {
        let room = self.rooms.iter().find(|room| room.name == name);
        room.map_or("", |room| &room.shows)
    }
}
