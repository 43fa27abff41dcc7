// SPDX-License-Identifier: GPL-2.0-only

//! Makes random system calls on the files that a module makes.
//!
//! # What is called
//!
//! [`lkmpg_proto::fuzz`] makes the calls: rounds of a few dozen, by up to four threads, with
//! addresses, lengths and positions that are wrong in each way there is. They are a pure
//! function of the seed, the round's number and what the module has: its files, and the
//! numbers that its code compares with something, among which are those of its ioctls. The
//! host is told the number before a round begins, so it knows the calls of a VM that is gone.
//!
//! The files are those that come with the module ([`targets`]). In most rounds one of them
//! has most of the calls. Nothing else is opened, no file is created, and what the kernel
//! adds to a device on its own is used rarely, or never.
//!
//! # How
//!
//! Each round is a [process] of its own, which has nothing to lose: the [calls](raw) may write
//! to wherever they can. One that makes no call for a while is killed, as reads may wait for
//! ever. In some rounds the module is unloaded whenever that can be, and loaded again.
//!
//! The module is loaded anew from time to time, and a failure is known by all rounds since.
//!
//! # What must hold
//!
//! A call may return what it likes. But the kernel has no [complaint](crate::trouble), what is
//! killed ends, the module can be unloaded, and in the end nothing is left: no file and, where
//! there is kmemleak, no memory.

mod process;
mod raw;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use lkmpg_proto::{
    Event,
    fuzz::{CASE, Case, Fuzz, Progress, ROUNDS_OF_A_LOAD, Round, Targets},
};

use crate::{
    Example, Module, Vm, arch, checks,
    fuzz::process::Counts,
    kmemleak::{self, Begun},
    modinfo, module,
    report::Report,
    snapshot::Snapshot,
    trouble::{self, Trouble},
};

/// What is not a module's, or not only, though it comes with one: to write there is to tell
/// the kernel what to do.
const OF_THE_KERNEL: [&str; 9] = [
    "/proc/irq/",
    "/sys/devices/virtual/bdi/",
    "/sys/firmware/",
    "/sys/kernel/debug/bdi/",
    "/sys/kernel/debug/tracing/",
    "/sys/kernel/irq/",
    "/sys/kernel/slab/",
    "/sys/kernel/tracing/",
    "/sys/power/",
];

/// Files with these names are the kernel's own code, not the module's.
const COMMON: [&str; 4] = ["dev", "modalias", "uevent", "waiting_for_supplier"];

/// How many numbers of a module's code are taken at most.
const WORDS: usize = 512;

/// A module, and what is done with it.
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its example says.
    pub example: Example,
    /// What was asked for.
    pub plan: &'a Fuzz,
    /// The calls, if they are not random.
    pub case: Option<&'a Case>,
    /// What its `setup` said of leaks.
    pub may_leak: bool,
}

impl Subject<'_> {
    /// All rounds. Returns a note.
    pub fn run(&self, vm: &mut Vm, report: &mut dyn Report) -> Result<String> {
        let before = Snapshot::settled();
        let mut begun = Begun::now("fuzz")?;
        begun.may_leak = self.may_leak;
        let targets = match self.case {
            Some(case) => of_case(case),
            None => targets(self.name, self.example.params, &before)?,
        };
        report.send(&Event::Targets(targets.clone()))?;
        if targets.files.is_empty() {
            return Ok("no files".to_owned());
        }
        let rounds = Rounds {
            subject: self,
            targets,
            counts: Counts::map()?,
            begin: Instant::now(),
        };
        let mut progress = Progress {
            module: self.name.to_owned(),
            first: 0,
            round: 0,
            calls: 0,
            errors: 0,
        };
        let result = rounds.all(&mut progress, vm, report);
        rounds.count(&mut progress);
        report.send(&Event::Progress(progress))?;
        result?;
        checks::nothing_left(&before)?;
        if kmemleak::available() {
            kmemleak::check(&[begun], &[])?;
        }
        Ok(String::new())
    }
}

/// The case that `plan` is about, if it is about one.
pub fn case(plan: &Fuzz) -> Result<Option<Case>> {
    if !plan.replays {
        return Ok(None);
    }
    let text = fs::read_to_string(module::file(CASE)).context("the case")?;
    let case = Case::from_text(&text);
    case.map(Some).map_err(|error| anyhow!("the case: {error}"))
}

/// Rounds of calls.
struct Rounds<'a> {
    subject: &'a Subject<'a>,
    targets: Targets,
    counts: &'static Counts,
    begin: Instant,
}

impl Rounds<'_> {
    /// Until there were enough. Notes how far it has come in `progress`.
    fn all(&self, progress: &mut Progress, vm: &mut Vm, report: &mut dyn Report) -> Result<()> {
        let mut first = 0;
        while !self.are_enough() {
            progress.first = first;
            let rounds = match self.subject.case {
                Some(case) => case.rounds.clone(),
                None => self.of_a_load(first),
            };
            let before = self.counts.so_far();
            self.load(&rounds, progress, vm, report)?;
            // It would not come to an end.
            ensure!(self.counts.so_far() != before, "no call was made");
            first += ROUNDS_OF_A_LOAD;
        }
        Ok(())
    }

    /// Those from `first` on for which the module is loaded once.
    fn of_a_load(&self, first: u64) -> Vec<Round> {
        let seed = self.subject.plan.seed;
        let numbers = first..first + ROUNDS_OF_A_LOAD;
        numbers
            .map(|number| Round::new(seed, number, &self.targets))
            .collect()
    }

    /// Loads the module, does `rounds`, and unloads it.
    fn load(
        &self,
        rounds: &[Round],
        progress: &mut Progress,
        vm: &mut Vm,
        report: &mut dyn Report,
    ) -> Result<()> {
        let params = self.targets.params.as_str();
        let mut module = Module::load(self.subject.name, params)?;
        for round in rounds {
            if self.are_enough() {
                break;
            }
            progress.round = round.number;
            self.count(progress);
            report.send(&Event::Progress(progress.clone()))?;
            let done = process::run(&self.targets.files, round, self.counts, || {
                if round.reloads && module.try_unload_alone().is_ok() {
                    let again = module.insert(self.subject.name, params);
                    return again.context("it was unloaded, and cannot be loaded again");
                }
                Ok(())
            });
            quiet(vm, done).with_context(|| format!("round {}", round.number))?;
        }
        quiet(vm, module.unload_soon()).context("the unload after the last round")
    }

    /// How many calls there were so far.
    fn count(&self, progress: &mut Progress) {
        (progress.calls, progress.errors) = self.counts.so_far();
    }

    fn are_enough(&self) -> bool {
        let plan = self.subject.plan;
        let (calls, _) = self.counts.so_far();
        let in_time = plan.time.is_none_or(|time| self.begin.elapsed() < time);
        let in_number = plan.calls.is_none_or(|most| calls < most);
        !(in_time && in_number)
    }
}

/// `result`, unless the kernel complains.
fn quiet(vm: &mut Vm, result: Result<()>) -> Result<()> {
    match (result, trouble::find(&vm.log().drain()?)) {
        (result, None) => result,
        (Ok(()), Some(Trouble::Slowness(_))) => Ok(()),
        (Ok(()), Some(Trouble::Fault(text))) => bail!("the kernel complained:\n{text}"),
        (Err(error), Some(Trouble::Fault(text) | Trouble::Slowness(text))) => {
            bail!("{error:#}\nand the kernel complained:\n{text}")
        }
    }
}

/// What a case is about.
fn of_case(case: &Case) -> Targets {
    Targets {
        module: case.about.module.clone(),
        params: case.about.params.clone(),
        files: case.about.files.clone(),
        own: case.about.files.len(),
        words: Vec::new(),
    }
}

/// What calls on the module called `name` can be about. It is loaded, and unloaded.
fn targets(name: &str, params: &str, before: &Snapshot) -> Result<Targets> {
    let module = Module::load(name, params)?;
    let added = Snapshot::settled().since(before).into_iter();
    let nodes = added.filter(|entry| entry.node).map(|entry| entry.path);
    let mut files: BTreeSet<PathBuf> = nodes.collect();
    // Snapshots do not look into this one.
    let dir = Path::new("/sys/module").join(module.name());
    files.extend(files_in(&dir.join("parameters")));
    files.insert(dir.join("uevent"));
    module.unload_soon()?;
    let files = files.into_iter().filter(|path| !is_of_the_kernel(path));
    let (own, common): (Vec<_>, Vec<_>) = files.partition(|path| !is_common(path));
    let file = module::file(name);
    let code = modinfo::code(&file)?;
    Ok(Targets {
        module: name.to_owned(),
        params: params.to_owned(),
        own: own.len(),
        files: own
            .iter()
            .chain(&common)
            .map(|path| path.display().to_string())
            .collect(),
        words: arch::compared(&code).into_iter().take(WORDS).collect(),
    })
}

fn files_in(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.map(|file| file.path())
}

fn is_of_the_kernel(path: &Path) -> bool {
    let path = path.to_string_lossy();
    OF_THE_KERNEL.iter().any(|dir| path.starts_with(dir))
}

/// Whether it is the kernel's code that is behind the file at `path`.
fn is_common(path: &Path) -> bool {
    let in_sysfs = path.starts_with("/sys/devices")
        || path.starts_with("/sys/module")
        || path.starts_with("/sys/bus");
    let name = path.file_name().unwrap_or_default();
    let in_power = path.parent().is_some_and(|dir| dir.ends_with("power"));
    in_sysfs && (in_power || COMMON.iter().any(|common| name == *common))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        let is = |path: &str| (is_of_the_kernel(path.as_ref()), is_common(path.as_ref()));
        assert_eq!(is("/dev/chardev"), (false, false));
        assert_eq!(is("/sys/module/a/parameters/dev"), (false, true));
        assert_eq!(is("/sys/module/a/parameters/x"), (false, false));
        assert_eq!(is("/sys/module/a/uevent"), (false, true));
        let power = "/sys/devices/virtual/misc/a/power/control";
        assert_eq!(is(power), (false, true));
        assert_eq!(is("/proc/irq/7/smp_affinity"), (true, false));
    }
}
