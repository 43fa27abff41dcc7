// SPDX-License-Identifier: GPL-2.0-only

use std::{cmp::Reverse, sync::Mutex, time::Duration};

use anyhow::Result;
use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use lkmpg_proto::{Mode, Request};

use crate::{
    accel,
    cli::{RunOptions, Source, TestOptions, VmOptions},
    junit::{Junit, Times},
    run::{
        jobs,
        pool::{Early, Pool},
        session::News,
    },
    source::{Plan, Usual, Workshop},
    tally::{Verdict, all_passed, summary},
};

/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(250);

/// Runs the tests of each module in a VM of its own. Returns whether all passed.
pub fn test(
    source: &Source,
    wanted: &[String],
    vm: &VmOptions,
    run: &RunOptions,
    options: &TestOptions,
) -> Result<bool> {
    let junit = options.junit.as_deref().map(Junit::at).transpose()?;
    let plan = Plan::new(source, wanted, options.kernel, Usual::AllThatPass)?;
    let early = Early::begin(&plan, vm.accel)?;
    let workshop = plan.build()?;
    let accel = match &early {
        Some(early) => early.accel,
        None => accel::choose(vm.accel, &workshop.machine)?,
    };

    let groups = groups(&workshop)?;
    let timeout = vm.timeout.unwrap_or(options.kernel.timeout());
    let pool = Pool::new(&workshop, accel, timeout, &groups, run.fresh, early)?;
    let jobs = jobs::count(run, options.kernel);
    let (verdicts, times) = run_all(&pool, &groups, jobs, &workshop, options)?;

    report_failures(&verdicts);
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

/// Has a VM test each of `groups`, so many at a time. Returns how each test ended,
/// and how long that took each VM, by the names of its modules.
fn run_all(
    pool: &Pool<'_>,
    groups: &[Vec<String>],
    jobs: usize,
    workshop: &Workshop,
    options: &TestOptions,
) -> Result<(Vec<Verdict>, Times)> {
    let bar = bar(groups.len());
    let all = Mutex::new((Vec::new(), Times::new()));
    jobs::run(groups.len(), jobs, |index| {
        let request = Request {
            only: workshop.selection.only.clone(),
            repeat: options.repeat,
            ..Request::new(Mode::Test, groups[index].clone())
        };
        let (verdicts, took) = pool.run(&request, &mut |news| {
            if let News::Verdict(verdict) = news {
                bar.suspend(|| print(verdict));
            }
        })?;
        let (all, times) = &mut *all.lock().unwrap();
        all.extend(verdicts);
        times.insert(groups[index].join(", "), took);
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(all.into_inner().unwrap())
}

/// How many modules are done, below the results; nothing without a terminal.
fn bar(modules: usize) -> ProgressBar {
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
