// SPDX-License-Identifier: GPL-2.0-only

use std::{cmp::Reverse, num::NonZeroU32, sync::Mutex, time::Duration};

use anyhow::Result;
use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use lkmpg_proto::{Faults, Mode, Request};

use crate::{
    accel,
    cli::{RunOptions, Source, TestOptions, VmOptions},
    junit::{Junit, Times},
    run::{
        faults, jobs,
        pool::{Early, Pool},
        session::News,
    },
    source::{Plan, Usual, Workshop},
    tally::{Verdict, all_passed, summary},
};

/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(250);

/// How many loads of a module, with as many VMs as there are at a time, surely take less than a
/// test may.
const LOADS: u32 = 100;

/// Runs the tests of each module in a VM of its own. Returns whether all passed.
pub fn test(
    source: &Source,
    wanted: &[String],
    vm: &VmOptions,
    run: &RunOptions,
    options: &TestOptions,
) -> Result<bool> {
    let kernel = options.kernel()?;
    let junit = options.junit.as_deref().map(Junit::at).transpose()?;
    let plan = Plan::new(source, wanted, kernel, Usual::AllThatPass)?;
    let early = Early::begin(&plan, vm.accel)?;
    let workshop = plan.build()?;
    let accel = match &early {
        Some(early) => early.accel,
        None => accel::choose(vm.accel, &workshop.machine)?,
    };

    let groups = groups(&workshop)?;
    // The loads of a storm are one test.
    let times = 1 + options.loads() / LOADS;
    let timeout = vm.timeout.unwrap_or(kernel.timeout() * times);
    let pool = Pool::new(&workshop, accel, timeout, &groups, run.fresh, early)?;
    let jobs = jobs::count(run, kernel);
    let Outcomes {
        verdicts,
        times,
        faults,
    } = run_all(&pool, &groups, jobs, &workshop, options)?;

    report_failures(&verdicts);
    if options.faults.is_some() {
        println!("{}", faults::table(&faults, &verdicts));
    }
    println!("{}", summary(&verdicts));
    if let Some(junit) = junit {
        junit.write(&verdicts, &times)?;
    }
    Ok(all_passed(&verdicts))
}

/// The modules for each VM: one. Those with most tests come first, so that no VM
/// runs alone for long in the end.
fn groups(workshop: &Workshop) -> Result<Vec<Vec<String>>> {
    let mut names = workshop.names().to_vec();
    if names.len() > 1 {
        let catalog = workshop.machine.catalog()?;
        names.sort_by_key(|name| Reverse(catalog.count(name)));
    }
    Ok(names.into_iter().map(|name| vec![name]).collect())
}

/// What all VMs have told.
#[derive(Default)]
struct Outcomes {
    /// How each test ended.
    verdicts: Vec<Verdict>,
    /// How long each VM took, by the names of its modules.
    times: Times,
    /// What faults there were in each test.
    faults: Vec<Faults>,
}

/// Has a VM test each of `groups`, so many at a time.
fn run_all(
    pool: &Pool<'_>,
    groups: &[Vec<String>],
    jobs: usize,
    workshop: &Workshop,
    options: &TestOptions,
) -> Result<Outcomes> {
    let bar = bar(groups.len());
    let all = Mutex::new(Outcomes::default());
    let mode = match options.faults {
        Some(_) => Mode::Faults,
        None => Mode::Test,
    };
    jobs::run(groups.len(), jobs, |index| {
        let request = Request {
            only: workshop.selection.only.clone(),
            repeat: options.repeat,
            faults: options.faults.map_or(0, NonZeroU32::get),
            storm: options.loads(),
            ..Request::new(mode, groups[index].clone())
        };
        let mut faults = Vec::new();
        let (verdicts, took) = pool.run(&request, &mut |news| match news {
            News::Verdict(verdict) => bar.suspend(|| print(verdict)),
            News::Faults(some) => faults.push(some),
            News::Begin(_) | News::Step(_) => {}
        })?;
        let mut all = all.lock().unwrap();
        all.verdicts.extend(verdicts);
        all.times.insert(groups[index].join(", "), took);
        all.faults.extend(faults);
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(all.into_inner().unwrap())
}

/// How many modules are done, below the results; nothing without a terminal.
pub(super) fn bar(modules: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} of {len} modules, {elapsed}");
    let bar = ProgressBar::new(modules as u64).with_style(style.expect("the template is sound"));
    bar.enable_steady_tick(TICK);
    bar
}

fn print(verdict: &Verdict) {
    let name = verdict.name();
    let millis = verdict.time.as_millis();
    if !verdict.passed() {
        println!("test {name} ... {}", style("FAILED").red());
    } else if verdict.message.is_empty() {
        println!("test {name} ... {} ({millis} ms)", style("ok").green());
    } else {
        let note = &verdict.message;
        println!(
            "test {name} ... {} ({millis} ms; {note})",
            style("ok").green()
        );
    }
}

fn report_failures(verdicts: &[Verdict]) {
    println!();
    for verdict in verdicts.iter().filter(|verdict| !verdict.passed()) {
        println!(
            "---- {} ----\n{}\n",
            verdict.name(),
            verdict.message.trim_end()
        );
    }
}
