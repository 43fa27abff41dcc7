// SPDX-License-Identifier: GPL-2.0-only

//! Gets what a command works with: the VM and the modules.

use std::{iter, path::Path, time::Duration};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    cli::Source,
    examples::{self, Example},
    image::{Modules, find_modules},
    machine::Machine,
    nix, repo,
    stop::Stop,
};

/// Which of the flake's kernels to use, and the modules built for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Kernel {
    /// What the examples need, quick to boot
    #[default]
    Base,
    /// KASAN, lockdep, kmemleak and more: slow, and finds more
    Debug,
    /// One with debug information.
    #[value(skip)]
    Gdb,
}

impl Kernel {
    /// What the attributes of its VM and modules begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Base => "",
            Self::Debug => "debug.",
            Self::Gdb => "gdb.",
        }
    }

    /// How long a VM may run when nothing is said: many times what it needs, as
    /// it may have to share its CPU with many.
    pub fn timeout(self) -> Duration {
        match self {
            Self::Base | Self::Gdb => Duration::from_secs(600),
            Self::Debug => Duration::from_secs(1800),
        }
    }

    /// How many VMs to run at a time on a machine with `cpus` CPUs and `memory`
    /// bytes to spare.
    pub fn jobs(self, cpus: usize, memory: u64) -> usize {
        match self {
            Self::Base | Self::Gdb => cpus.min(4),
            // Three quarters of their time are waiting: with DEBUG_KOBJECT_RELEASE
            // each unload takes seconds. With KASAN they fill their memory.
            Self::Debug => {
                let fit = usize::try_from(memory / DEBUG_VM).unwrap_or(usize::MAX);
                (4 * cpus).min(16).min(fit).max(1)
            }
        }
    }
}

/// What a VM with the debug kernel takes, in bytes.
const DEBUG_VM: u64 = 400 << 20;

/// A VM and the modules to use in it.
pub struct Workshop {
    /// The VM.
    pub machine: Machine,
    /// The modules' files.
    pub modules: Modules,
    /// The modules to use, in order.
    pub names: Vec<String>,
    /// What is known of the examples; empty without a repository.
    examples: Vec<Example>,
}

impl Workshop {
    /// Takes what is given, or builds it for `kernel`.
    pub fn open(source: &Source, wanted: &[String], kernel: Kernel) -> Result<Self> {
        let Some(dir) = &source.vm else {
            return Self::build(source, wanted, kernel);
        };
        let modules = find_modules(&source.modules)?;
        let all: Vec<_> = modules.keys().cloned().collect();
        let names = examples::choose(wanted, &all)?;
        Self::furnish(dir, modules, names, Vec::new())
    }

    fn build(source: &Source, wanted: &[String], kernel: Kernel) -> Result<Self> {
        let root = repo::root(source)?;
        let examples = examples::for_this_machine(examples::discover(&root)?, wanted)?;
        let all: Vec<_> = examples.iter().map(|it| it.name.clone()).collect();
        let names = examples::choose(wanted, &all)?;
        let chosen = examples.iter().filter(|it| names.contains(&it.name));
        let folders: Vec<_> = chosen.map(|it| it.folder.as_str()).collect();
        repo::require_tracked(&root, &folders)?;

        let attributes = iter::once("vm").chain(names.iter().map(String::as_str));
        let attributes: Vec<_> = attributes
            .map(|name| format!("{}{name}", kernel.prefix()))
            .collect();
        let outputs = nix::build(&repo::flake(source, &root), &attributes)?;

        let (vm, outputs): (Vec<_>, Vec<_>) =
            outputs.into_iter().partition(|dir| Machine::is_in(dir));
        let modules = find_modules(&outputs)?;
        if let Some(name) = names.iter().find(|name| !modules.contains_key(*name)) {
            return Err(Stop::failed(format!(
                "{name} builds, but makes no {name}.ko"
            )));
        }
        let vm = vm
            .first()
            .ok_or_else(|| Stop::failed("the flake's vm has no machine.json"))?;
        Self::furnish(vm, modules, names, examples)
    }

    fn furnish(
        vm: &Path,
        modules: Modules,
        names: Vec<String>,
        examples: Vec<Example>,
    ) -> Result<Self> {
        Ok(Self {
            machine: Machine::open(vm)?,
            modules,
            names,
            examples,
        })
    }

    /// The machine with what the modules called `names` need.
    pub fn machine_for(&self, names: &[String]) -> Machine {
        self.machine
            .with(names.iter().map(|name| &self.modules[name].needs))
    }

    /// What the example called `name` shows; empty when that is not known.
    pub fn shows(&self, name: &str) -> &str {
        let example = self.examples.iter().find(|it| it.name == name);
        example.map_or("", |example| &example.shows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_fit_the_machine() {
        const GIB: u64 = 1 << 30;
        assert_eq!(Kernel::Base.jobs(2, GIB), 2);
        assert_eq!(Kernel::Base.jobs(64, GIB), 4);
        assert_eq!(Kernel::Debug.jobs(1, 64 * GIB), 4);
        assert_eq!(Kernel::Debug.jobs(64, 64 * GIB), 16);
        assert_eq!(Kernel::Debug.jobs(2, 2 * GIB), 5);
        assert_eq!(Kernel::Debug.jobs(2, 0), 1);
    }
}
