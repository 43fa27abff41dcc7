// SPDX-License-Identifier: GPL-2.0-only

//! Random system calls on what modules make. `tools/guest/src/fuzz.rs` says how they are made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use lkmpg_proto::{
    Mode, Request,
    fuzz::{Case, Fuzz, Progress, Targets},
};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::{
    accel,
    cli::{FuzzOptions, RunOptions, Source, VmOptions},
    run::{
        jobs,
        pool::Pool,
        session::News,
        test::{bar, report_failures},
    },
    source::{Kernel, Plan, Usual},
    stop::Stop,
    tally::{Verdict, all_passed, summary},
};

/// What is known of a module in the end.
struct Row {
    module: String,
    calls: u64,
    errors: u64,
    verdicts: Vec<Verdict>,
}

/// What a VM has told of the module that it has now.
#[derive(Default)]
struct Told {
    targets: Option<Targets>,
    progress: Option<Progress>,
}

/// Makes calls on each module, in a VM of its own, and writes a file for each that fails.
/// Returns whether none has.
pub fn fuzz(
    source: &Source,
    wanted: &[String],
    vm: &VmOptions,
    run: &RunOptions,
    options: &FuzzOptions,
) -> Result<bool> {
    let case = options.replay.as_deref().map(read).transpose()?;
    let kernel = kernel(options, case.as_ref())?;
    let mut wanted = wanted.to_vec();
    wanted.extend(case.iter().map(|case| case.about.module.clone()));
    let fuzz = Fuzz {
        seed: match (options.seed, &case) {
            (Some(seed), _) => seed,
            (None, Some(case)) => case.about.seed,
            (None, None) => random()?,
        },
        time: options.time(),
        calls: options.calls,
        replays: case.is_some(),
        case: case.as_ref().map(Case::to_text),
    };
    let plan = Plan::new(source, &wanted, kernel, Usual::AllThatPass)?;
    let workshop = plan.of_whole_modules()?.build()?;
    let accel = accel::choose(vm.accel, &workshop.machine)?;
    let timeout = vm.timeout.unwrap_or(kernel.timeout());
    let names = workshop.names();
    let groups: Vec<_> = names.iter().map(|name| vec![name.clone()]).collect();
    let pool = Pool::new(&workshop, accel, timeout, &groups, run.fresh, None)?;

    println!("seed: {}", fuzz.seed);
    let bar = bar(names.len());
    let rows = Mutex::new(BTreeMap::new());
    jobs::run(groups.len(), jobs::count(run, kernel), |index| {
        let request = Request {
            fuzz: Some(fuzz.clone()),
            ..Request::new(Mode::Fuzz, groups[index].clone())
        };
        let mut told = Told::default();
        let (verdicts, _) = pool.run(&request, &mut |news| match news {
            News::Targets(targets) => told.targets = Some(targets),
            News::Progress(progress) => told.progress = Some(progress),
            News::Begin(_)
            | News::Verdict(_)
            | News::Step(_)
            | News::Faults(_)
            | News::Measured(_) => {}
        })?;
        let failed = verdicts.iter().any(|verdict| !verdict.passed());
        if failed && !fuzz.replays {
            let place = told.write(&fuzz, kernel)?;
            bar.suspend(|| say(&names[index], place.as_deref()));
        }
        let progress = told.progress.as_ref();
        let row = Row {
            module: names[index].clone(),
            calls: progress.map_or(0, |progress| progress.calls),
            errors: progress.map_or(0, |progress| progress.errors),
            verdicts,
        };
        rows.lock().unwrap().insert(index, row);
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();

    let rows: Vec<_> = rows.into_inner().unwrap().into_values().collect();
    let verdicts: Vec<_> = rows.iter().flat_map(|row| row.verdicts.clone()).collect();
    report_failures(&verdicts);
    println!("{}", table(&rows));
    println!("{}", summary(&verdicts));
    Ok(all_passed(&verdicts))
}

/// The kernel that is meant.
fn kernel(options: &FuzzOptions, case: Option<&Case>) -> Result<Kernel> {
    match (options.kernel, case) {
        (Some(kernel), _) => Ok(kernel),
        (None, None) => Ok(Kernel::default()),
        (None, Some(case)) => {
            let name = &case.about.kernel;
            let kernel = Kernel::from_str(name, false);
            kernel.map_err(|_| Stop::usage(format!("there is no kernel called '{name}'")))
        }
    }
}

/// As `--kernel` has it.
fn name_of(kernel: Kernel) -> String {
    let value = kernel.to_possible_value();
    value.map_or(String::new(), |value| value.get_name().to_owned())
}

/// The case in `file`.
fn read(file: &Path) -> Result<Case> {
    let place = || file.display().to_string();
    let text = fs::read_to_string(file).with_context(place)?;
    let case = Case::from_text(&text);
    case.map_err(|error| Stop::usage(format!("{}: {error}", place())))
}

/// A seed.
fn random() -> Result<u64> {
    let mut bytes = [0u8; 4];
    getrandom(&mut bytes, GetRandomFlags::empty()).context("random numbers")?;
    // A short one can be typed.
    Ok(u32::from_ne_bytes(bytes).into())
}

impl Told {
    /// Writes all that was called since the module was loaded to a file in the current folder,
    /// if that is known.
    fn write(&self, fuzz: &Fuzz, kernel: Kernel) -> Result<Option<PathBuf>> {
        let (Some(targets), Some(progress)) = (&self.targets, &self.progress) else {
            return Ok(None);
        };
        let case = Case::of(targets, &name_of(kernel), fuzz.seed, progress);
        let name = format!(
            "fuzz-{}-{}-{}.jsonl",
            targets.module, fuzz.seed, progress.round
        );
        let file = PathBuf::from(name);
        fs::write(&file, case.to_text()).with_context(|| file.display().to_string())?;
        Ok(Some(file))
    }
}

/// Says how to make a module fail again.
fn say(module: &str, file: Option<&Path>) {
    match file {
        Some(file) => {
            let file = file.display();
            println!("{module} has failed. To replay: ./lkmpg fuzz --replay {file}");
        }
        None => println!("{module} has failed before the first call"),
    }
}

/// How many calls there were on each module, how many had an error, and whether all is well.
fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.module.len()).max();
    let width = width.unwrap_or(0).max("MODULE".len());
    let mut text = format!(
        "{:width$}  {:>9}  {:>9}  RESULT\n",
        "MODULE", "CALLS", "ERRORS"
    );
    for row in rows {
        let (calls, errors) = (row.calls, row.errors);
        let result = match all_passed(&row.verdicts) {
            true => "ok",
            false => "FAILED",
        };
        text += &format!("{:width$}  {calls:>9}  {errors:>9}  {result}\n", row.module);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lkmpg_proto::Outcome;

    use super::*;

    #[test]
    fn each_module_has_a_row() {
        let row = |module: &str, outcome| Row {
            module: module.to_owned(),
            calls: 4096,
            errors: 17,
            verdicts: vec![Verdict {
                subject: module.to_owned(),
                test: "fuzz".into(),
                outcome,
                message: String::new(),
                time: Duration::ZERO,
            }],
        };
        let rows = [row("hello-1", Outcome::Passed), row("b", Outcome::Failed)];
        let lines = [
            "MODULE       CALLS     ERRORS  RESULT",
            "hello-1       4096         17  ok",
            "b             4096         17  FAILED",
            "",
        ];
        assert_eq!(table(&rows), lines.join("\n"));
    }

    #[test]
    fn a_kernel_has_the_name_that_is_typed() {
        for kernel in [Kernel::Base, Kernel::Debug, Kernel::Lts] {
            let name = name_of(kernel);
            assert_eq!(Kernel::from_str(&name, false), Ok(kernel));
        }
        assert_eq!(name_of(Kernel::Lts), "6.18");
    }

    #[test]
    fn a_case_is_written_where_its_calls_are_known() {
        let fuzz = Fuzz {
            seed: 7,
            time: None,
            calls: None,
            replays: false,
            case: None,
        };
        let nothing = Told::default().write(&fuzz, Kernel::Base);
        assert_eq!(nothing.unwrap(), None);
    }
}
