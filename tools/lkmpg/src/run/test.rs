// SPDX-License-Identifier: GPL-2.0-only

use std::{
    fs,
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use lkmpg_proto::{Mode, Request};

use crate::{
    accel::{self, Chosen},
    cli::{Source, TestOptions, VmOptions},
    junit,
    run::session::{self, News},
    source::Workshop,
    tally::{Verdict, all_passed, summary},
};

/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(250);

/// Runs the tests of each example in a VM of its own. Returns whether all
/// passed.
pub fn test(
    source: &Source,
    wanted: &[String],
    vm: &VmOptions,
    options: &TestOptions,
) -> Result<bool> {
    let workshop = Workshop::open(source, wanted, options.kernel)?;
    let accel = accel::choose(vm.accel, &workshop.machine)?;
    let verdicts = run_all(&workshop, accel, vm, options)?;

    report_failures(&verdicts);
    if let Some(path) = &options.junit {
        junit::write(path, &verdicts)?;
    }
    println!("{}", summary(&verdicts));
    Ok(all_passed(&verdicts))
}

/// Starts a VM for each example, some at a time.
fn run_all(
    workshop: &Workshop,
    accel: Chosen,
    vm: &VmOptions,
    options: &TestOptions,
) -> Result<Vec<Verdict>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let timeout = vm.timeout.unwrap_or(options.kernel.timeout());
    let bar = bar(workshop.names.len());
    let work = || {
        while let Some(name) = workshop.names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let request = Request {
                repeat: options.repeat,
                ..Request::new(Mode::Test, vec![name.clone()])
            };
            let result = session::follow(workshop, accel, &request, timeout, &mut |news| {
                if let News::Verdict(verdict) = news {
                    bar.suspend(|| print(verdict));
                }
            });
            bar.inc(1);
            let failed = result.is_err();
            results.lock().unwrap().push(result);
            if failed {
                // Not the module's fault: the other VMs would fare no better.
                next.store(workshop.names.len(), Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs(options).min(workshop.names.len()) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let results: Result<Vec<_>> = results.into_inner().unwrap().into_iter().collect();
    Ok(results?.into_iter().flatten().collect())
}

/// How many modules are done, below the results; nothing without a terminal.
fn bar(modules: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} of {len} modules, {elapsed}");
    let bar = ProgressBar::new(modules as u64).with_style(style.expect("the template is sound"));
    bar.enable_steady_tick(TICK);
    bar
}

fn jobs(options: &TestOptions) -> usize {
    if let Some(jobs) = options.jobs {
        return jobs.get() as usize;
    }
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    options.kernel.jobs(cpus, free_memory().unwrap_or(0))
}

/// How much memory is to be had without swapping, in bytes.
fn free_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let mut lines = meminfo.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
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
