// SPDX-License-Identifier: GPL-2.0-only

//! Gets what a command works with: the VM and the modules.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    slice,
    time::Duration,
};

use anyhow::Result;
use clap::ValueEnum;
use lkmpg_proto::{Catalog, twin};

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
    /// Those that can be measured. Their twins in C are wanted, too.
    Measured,
}

/// The folder of the modules in C, in the repository.
const FOLDER: &str = "bench";

/// What the flake's sets call all of them.
const TWINS: &str = "twins";

/// What is known of modules that can be measured.
struct Measurable {
    /// What the guest can do with each.
    catalog: Catalog,
    /// Which have a twin in C.
    twins: BTreeSet<String>,
}

impl Measurable {
    /// Whether the module called `name` can be measured.
    fn has(&self, name: &str) -> bool {
        self.check(name).is_ok()
    }

    /// An error says what the module called `name` lacks.
    fn check(&self, name: &str) -> Result<()> {
        if !self.catalog.measures(name) {
            return Err(Stop::usage(format!(
                "{name} has no operations that can be measured: its test.rs has no `bench`"
            )));
        }
        if !self.twins.contains(name) {
            return Err(Stop::usage(format!(
                "{name} has no twin in C to be measured against: \
                 there is no {FOLDER}/{name}/{name}.c"
            )));
        }
        Ok(())
    }

    /// Makes sure that `names` are modules that can be measured.
    fn check_all(&self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Err(Stop::usage(
                "no module here has both operations that can be measured and a twin in C",
            ));
        }
        names.iter().try_for_each(|name| self.check(name))
    }
}

/// Those of `names` with a twin in C in the repository at `root`.
fn with_twin(root: &Path, names: &[String]) -> BTreeSet<String> {
    let has_one = |name: &&String| {
        let file = format!("{FOLDER}/{name}/{name}.c");
        root.join(file).is_file()
    };
    names.iter().filter(has_one).cloned().collect()
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
        /// The VM, then the modules, then the twins in C if they are wanted.
        planned: Vec<Planned>,
        twins: bool,
        examples: Vec<Example>,
    },
}

impl Plan {
    /// Finds out what the words `wanted` mean; when there is none, the `usual`.
    pub fn new(source: &Source, wanted: &[String], kernel: Kernel, usual: Usual) -> Result<Self> {
        if let Some(vm) = &source.vm {
            return Self::of_given(source, vm, wanted, kernel, usual);
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
        let measurable = match usual {
            Usual::Measured => Some(Measurable {
                catalog: catalog(&flake)?,
                twins: with_twin(&root, &all),
            }),
            Usual::Examples | Usual::AllThatPass => None,
        };
        let (usual, others) = match &measurable {
            Some(measurable) => all.into_iter().partition(|name| measurable.has(name)),
            // A pattern is about all that pass, too.
            None => {
                let only_examples = wanted.is_empty() && usual == Usual::Examples;
                let (usual, others) = all.split_at(if only_examples { count } else { passing });
                (usual.to_vec(), others.to_vec())
            }
        };
        let choice = Choice {
            usual,
            others,
            kernel,
            catalog: &|| catalog(&flake),
        };
        let selection = choice.select(wanted)?;
        if let Some(measurable) = &measurable {
            measurable.check_all(&selection.names)?;
        }
        let mut names = machine::with_needed(&selection.names, |name| {
            let example = examples.iter().find(|it| it.name == name);
            example.map(|example| &example.needs)
        })?;
        examples.retain(|it| names.contains(&it.name));
        let mut folders: Vec<_> = examples.iter().map(|it| it.folder.as_str()).collect();
        let twins = measurable.is_some();
        names.insert(0, "vm".to_owned());
        if twins {
            folders.push(FOLDER);
            names.push(TWINS.to_owned());
        }
        repo::require_tracked(&root, &folders)?;
        let planned = nix::plan(&format!("{flake}#{}", kernel.set()), &names)?;
        let from = From::Flake {
            planned,
            twins,
            examples,
        };
        Ok(Self { selection, from })
    }

    /// The same for what is in `vm` and in other folders that `source` names.
    fn of_given(
        source: &Source,
        vm: &Path,
        wanted: &[String],
        kernel: Kernel,
        usual: Usual,
    ) -> Result<Self> {
        let mut modules = find_modules(&source.modules)?;
        let catalog = || Machine::open(vm)?.catalog();
        let all = modules.keys().cloned();
        let twins = find_modules(source.twins.as_slice())?;
        let measurable = match usual {
            Usual::Measured => Some(Measurable {
                catalog: catalog()?,
                twins: twins.keys().cloned().collect(),
            }),
            Usual::Examples | Usual::AllThatPass => None,
        };
        let is_usual = |name: &String| measurable.as_ref().is_none_or(|it| it.has(name));
        let (usual, others) = all.partition(is_usual);
        let choice = Choice {
            usual,
            others,
            kernel,
            catalog: &catalog,
        };
        let selection = choice.select(wanted)?;
        if let Some(measurable) = &measurable {
            measurable.check_all(&selection.names)?;
            add_twins(&mut modules, &selection.names, &twins)?;
        }
        let vm = vm.to_owned();
        let from = From::Given { vm, modules };
        Ok(Self { selection, from })
    }

    /// Itself, unless only a part of the tests of a module is meant.
    fn of_whole_modules(self) -> Result<Self> {
        match self.selection.only.iter().next() {
            None => Ok(self),
            Some((name, _)) => Err(Stop::usage(format!(
                "a part of the tests of {name} is meant, and only `lkmpg test` runs tests"
            ))),
        }
    }

    /// The machine for all of the modules, when it is built already.
    pub fn machine(&self) -> Result<Option<Machine>> {
        match &self.from {
            From::Given { .. } => Ok(None),
            From::Flake {
                planned, examples, ..
            } => {
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
            From::Flake {
                mut planned,
                twins,
                examples,
            } => {
                nix::realise(&planned)?;
                let twins = if twins { planned.pop() } else { None };
                let outputs = planned.into_iter().map(|it| it.path);
                let (vm, outputs): (Vec<_>, Vec<_>) = outputs.partition(|dir| Machine::is_in(dir));
                let mut modules = find_modules(&outputs)?;
                let mut names = self.selection.names.iter();
                if let Some(name) = names.find(|name| !modules.contains_key(*name)) {
                    return Err(Stop::failed(format!(
                        "{name} builds, but makes no {name}.ko"
                    )));
                }
                let vm = vm.into_iter().next();
                let vm = vm.ok_or_else(|| Stop::failed("the flake's vm has no machine.json"))?;
                if let Some(twins) = twins {
                    let twins = find_modules(slice::from_ref(&twins.path))?;
                    add_twins(&mut modules, &self.selection.names, &twins)?;
                }
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

/// Adds those of the `twins` in C to `modules` that have one of `names`, each to be taken into a
/// VM with the module of its name.
fn add_twins(modules: &mut Modules, names: &[String], twins: &Modules) -> Result<()> {
    for name in names {
        let found = twins.get(name).cloned();
        let found = found.ok_or_else(|| {
            Stop::failed(format!("the twins in C build, but there is no {name}.ko"))
        })?;
        if let Some(module) = modules.get_mut(name) {
            module.needs.beside.push(twin(name));
        }
        modules.insert(twin(name), found);
    }
    Ok(())
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
        plan.of_whole_modules()?.build()
    }

    /// The same with the modules' twins in C, of modules that can be measured; all of those
    /// when there is no word.
    pub fn to_measure(source: &Source, wanted: &[String], kernel: Kernel) -> Result<Self> {
        let plan = Plan::new(source, wanted, kernel, Usual::Measured)?;
        plan.of_whole_modules()?.build()
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
    use std::fs;

    use super::*;
    use crate::{machine::Needs, modules::Module};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_cannot_be_measured_is_told() {
        let measurable = Measurable {
            catalog: Catalog {
                operations: ["a", "b"]
                    .map(|name| (name.to_owned(), names(&["read"])))
                    .into(),
                ..Catalog::default()
            },
            twins: ["a", "c"].map(str::to_owned).into(),
        };
        let told = |words: &[&str]| {
            let result = measurable.check_all(&names(words));
            result.map_err(|error| error.to_string())
        };
        assert_eq!(told(&["a"]), Ok(()));
        assert!(told(&["a", "b"]).unwrap_err().contains("no bench/b/b.c"));
        assert!(told(&["c"]).unwrap_err().contains("no `bench`"));
        assert!(told(&[]).unwrap_err().starts_with("no module here"));
    }

    #[test]
    fn twins_go_with_their_modules() {
        let module = |file: &str| Module {
            file: file.into(),
            needs: Needs::default(),
        };
        let mut modules: Modules = ["a", "b"]
            .map(|name| (name.to_owned(), module(&format!("rust/{name}.ko"))))
            .into();
        let twins: Modules = ["a", "b"]
            .map(|name| (name.to_owned(), module(&format!("c/{name}.ko"))))
            .into();
        add_twins(&mut modules, &names(&["b"]), &twins).unwrap();
        let taken = with_needed(&modules, &names(&["b"])).unwrap();
        let files = taken.iter().map(|name| modules[name].file.clone());
        let files: Vec<_> = files.collect();
        assert_eq!(files, [Path::new("rust/b.ko"), Path::new("c/b.ko")]);
        assert!(add_twins(&mut modules, &names(&["c"]), &twins).is_err());
    }

    #[test]
    fn a_twin_is_a_file_of_c() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["bench/a", "bench/b"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("bench/a/a.c"), "").unwrap();
        let found = with_twin(root.path(), &names(&["a", "b", "c"]));
        let found: Vec<_> = found.into_iter().collect();
        assert_eq!(found, ["a"]);
    }

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
