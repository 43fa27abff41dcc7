// SPDX-License-Identifier: GPL-2.0-only

//! Gets what a command works with: the VM and the modules.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::ValueEnum;
use lkmpg_proto::Catalog;

use crate::{
    cli::Source,
    examples::{self, Example},
    machine::{self, Machine},
    modules::{Modules, find_modules, with_needed},
    nix::{self, Planned},
    repo,
    select::{Choice, Selection},
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
    /// As base, of Linux 6.18, which has long-term support
    #[value(name = "6.18")]
    Lts,
    /// One with debug information.
    #[value(skip)]
    Gdb,
}

impl Kernel {
    /// The flake's set with its VM and modules.
    fn set(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Debug => "debug",
            Self::Lts => "linux_6_18",
            Self::Gdb => "gdb",
        }
    }

    /// Whether it runs a check that is for the kernel `wanted` only.
    pub fn runs(self, wanted: &str) -> bool {
        match self {
            Self::Debug => wanted == "debug",
            Self::Base | Self::Lts | Self::Gdb => wanted == "base",
        }
    }

    /// How long a test may run when nothing is said: many times what it needs, as
    /// its VM may have to share its CPU with many.
    pub fn timeout(self) -> Duration {
        match self {
            Self::Base | Self::Lts | Self::Gdb => Duration::from_secs(600),
            Self::Debug => Duration::from_secs(1800),
        }
    }

    /// How many VMs to run at a time on a machine with `cpus` CPUs and `memory`
    /// bytes to spare.
    pub fn jobs(self, cpus: usize, memory: u64) -> usize {
        match self {
            // About half of their time is waiting.
            Self::Base | Self::Lts | Self::Gdb => (2 * cpus).min(8),
            // With DEBUG_KOBJECT_RELEASE each unload waits for a second or two. With
            // KASAN they fill their memory.
            Self::Debug => {
                let fit = usize::try_from(memory / DEBUG_VM).unwrap_or(usize::MAX);
                (4 * cpus).min(16).min(fit).max(1)
            }
        }
    }
}

/// What a VM with the debug kernel takes, in bytes.
const DEBUG_VM: u64 = 400 << 20;

/// Which modules are meant when none is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Usual {
    /// The examples.
    Examples,
    /// Those that test `lkm` as well.
    AllThatPass,
}

/// What is to be built, or is there already.
pub struct Plan {
    /// Which modules to use, and which of their tests.
    pub selection: Selection,
    from: From,
}

/// Where a VM and modules come from.
enum From {
    /// They are here.
    Given { vm: PathBuf, modules: Modules },
    /// A flake builds them.
    Flake {
        /// The VM, then the modules.
        planned: Vec<Planned>,
        examples: Vec<Example>,
    },
}

impl Plan {
    /// Finds out what the words `wanted` mean; when there is none, the `usual`.
    pub fn new(source: &Source, wanted: &[String], kernel: Kernel, usual: Usual) -> Result<Self> {
        if let Some(vm) = &source.vm {
            let modules = find_modules(&source.modules)?;
            let choice = Choice {
                usual: modules.keys().cloned().collect(),
                others: Vec::new(),
                kernel,
                catalog: &|| Machine::open(vm)?.catalog(),
            };
            let selection = choice.select(wanted)?;
            let vm = vm.clone();
            let from = From::Given { vm, modules };
            return Ok(Self { selection, from });
        }
        let root = repo::root(source)?;
        let flake = repo::flake(source, &root);
        let here = |examples| examples::for_this_machine(examples, wanted);
        let mut examples = here(examples::discover(&root)?)?;
        let count = examples.len();
        examples.extend(here(examples::in_chapter(&root, examples::TESTS_OF_LKM)?)?);
        let passing = examples.len();
        examples.extend(here(examples::in_chapter(&root, examples::FIXTURES)?)?);
        let all: Vec<_> = examples.iter().map(|it| it.name.clone()).collect();
        let usual = match usual {
            Usual::Examples => count,
            Usual::AllThatPass => passing,
        };
        // A pattern is about all that pass, too.
        let usual = if wanted.is_empty() { usual } else { passing };
        let (usual, others) = all.split_at(usual);
        let choice = Choice {
            usual: usual.to_vec(),
            others: others.to_vec(),
            kernel,
            catalog: &|| catalog(&flake),
        };
        let selection = choice.select(wanted)?;
        let mut names = machine::with_needed(&selection.names, |name| {
            let example = examples.iter().find(|it| it.name == name);
            example.map(|example| &example.needs)
        })?;
        examples.retain(|it| names.contains(&it.name));
        let folders: Vec<_> = examples.iter().map(|it| it.folder.as_str()).collect();
        repo::require_tracked(&root, &folders)?;
        names.insert(0, "vm".to_owned());
        let planned = nix::plan(&format!("{flake}#{}", kernel.set()), &names)?;
        let from = From::Flake { planned, examples };
        Ok(Self { selection, from })
    }

    /// The machine for all of the modules, when it is built already.
    pub fn machine(&self) -> Result<Option<Machine>> {
        match &self.from {
            From::Given { .. } => Ok(None),
            From::Flake { planned, examples } => {
                let mut outputs = planned.iter().map(|it| &it.path);
                let built = outputs.find(|dir| Machine::is_in(dir));
                let machine = built.map(|dir| Machine::open(dir)).transpose()?;
                Ok(machine.map(|machine| machine.with(examples.iter().map(|it| &it.needs))))
            }
        }
    }

    /// Builds what is to be built.
    pub fn build(self) -> Result<Workshop> {
        let (vm, modules, examples) = match self.from {
            From::Given { vm, modules } => (vm, modules, Vec::new()),
            From::Flake { planned, examples } => {
                nix::realise(&planned)?;
                let outputs = planned.into_iter().map(|it| it.path);
                let (vm, outputs): (Vec<_>, Vec<_>) = outputs.partition(|dir| Machine::is_in(dir));
                let modules = find_modules(&outputs)?;
                let mut names = self.selection.names.iter();
                if let Some(name) = names.find(|name| !modules.contains_key(*name)) {
                    return Err(Stop::failed(format!(
                        "{name} builds, but makes no {name}.ko"
                    )));
                }
                let vm = vm.into_iter().next();
                let vm = vm.ok_or_else(|| Stop::failed("the flake's vm has no machine.json"))?;
                (vm, modules, examples)
            }
        };
        Ok(Workshop {
            machine: Machine::open(&vm)?,
            modules,
            selection: self.selection,
            examples,
        })
    }
}

/// The tests that `flake` has.
pub fn catalog(flake: &str) -> Result<Catalog> {
    let guest = nix::build(&format!("{flake}#lkmpg-guest"))?;
    machine::read_catalog(&guest.join("share/lkmpg/tests.json"))
}

/// A VM and the modules to use in it.
pub struct Workshop {
    /// The VM.
    pub machine: Machine,
    /// The modules' files.
    pub modules: Modules,
    /// Which modules to use, and which of their tests.
    pub selection: Selection,
    /// What is known of the examples; empty without a repository.
    examples: Vec<Example>,
}

impl Workshop {
    /// Takes what is given, or builds it for `kernel`. The words `wanted` are the
    /// names of modules; all examples when there is none.
    pub fn open(source: &Source, wanted: &[String], kernel: Kernel) -> Result<Self> {
        let plan = Plan::new(source, wanted, kernel, Usual::Examples)?;
        if let Some((name, _)) = plan.selection.only.iter().next() {
            return Err(Stop::usage(format!(
                "a part of the tests of {name} is meant, and only `lkmpg test` runs tests"
            )));
        }
        plan.build()
    }

    /// The names of the modules to use, in order.
    pub fn names(&self) -> &[String] {
        &self.selection.names
    }

    /// The names of the modules to use, and of those that they need.
    pub fn names_with_needed(&self) -> Result<Vec<String>> {
        with_needed(&self.modules, self.names())
    }

    /// The machine with what the modules called `names` need, and those that they need.
    pub fn machine_for(&self, names: &[String]) -> Result<Machine> {
        let names = with_needed(&self.modules, names)?;
        let needs = names.iter().map(|name| &self.modules[name].needs);
        Ok(self.machine.with(needs))
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
        assert_eq!(Kernel::Base.jobs(2, GIB), 4);
        assert_eq!(Kernel::Base.jobs(64, GIB), 8);
        assert_eq!(Kernel::Debug.jobs(1, 64 * GIB), 4);
        assert_eq!(Kernel::Debug.jobs(64, 64 * GIB), 16);
        assert_eq!(Kernel::Debug.jobs(2, 2 * GIB), 5);
        assert_eq!(Kernel::Debug.jobs(2, 0), 1);
    }
}
