// SPDX-License-Identifier: GPL-2.0-only

use std::{
    panic::resume_unwind,
    sync::{Mutex, mpsc},
    thread,
};

use anyhow::Result;
use console::style;
use lkmpg_proto::{Mode, Request, Step};

use crate::{
    accel,
    cli::{RunOptions, Source, VmOptions},
    run::{jobs, pool::Pool, session::News},
    source::{Kernel, Workshop},
    tally::{Verdict, all_passed, summary},
};

/// What a VM tells of its example.
enum Told {
    Begin(String),
    Step(Step),
    Verdict(Verdict),
}

/// Shows the examples one after the other, each in a VM of its own. Returns
/// whether all behaved.
pub fn demo(
    source: &Source,
    wanted: &[String],
    options: &VmOptions,
    run: &RunOptions,
) -> Result<bool> {
    let kernel = Kernel::Base;
    let workshop = Workshop::open(source, wanted, kernel)?;
    let accel = accel::choose(options.accel, &workshop.machine)?;
    let timeout = options.timeout.unwrap_or(kernel.timeout());
    let groups: Vec<_> = workshop
        .names()
        .iter()
        .map(|name| vec![name.clone()])
        .collect();
    let pool = Pool::new(&workshop, accel, timeout, &groups, run.fresh, None)?;

    // Some run at a time, and what they tell is shown in order.
    let (senders, receivers): (Vec<_>, Vec<_>) = groups.iter().map(|_| mpsc::channel()).unzip();
    let senders: Vec<_> = senders
        .into_iter()
        .map(|sender| Mutex::new(Some(sender)))
        .collect();
    let show = |index: usize| -> Result<()> {
        // Nobody waits for more when this is dropped.
        let Some(sender) = senders[index].lock().unwrap().take() else {
            return Ok(());
        };
        let request = Request::new(Mode::Demo, groups[index].clone());
        pool.run(&request, &mut |news| {
            let _ = sender.send(match news {
                News::Begin(module) => Told::Begin(module.to_owned()),
                News::Step(step) => Told::Step(step),
                News::Verdict(verdict) => Told::Verdict(verdict.clone()),
            });
        })?;
        Ok(())
    };
    let mut verdicts = Vec::new();
    let jobs = jobs::count(run, kernel);
    let result = thread::scope(|scope| {
        let shown = scope.spawn(|| {
            let result = jobs::run(groups.len(), jobs, show);
            // What was not begun will not be.
            senders
                .iter()
                .for_each(|sender| drop(sender.lock().unwrap().take()));
            result
        });
        for told in receivers.into_iter().flatten() {
            match told {
                Told::Begin(module) => heading(&module, workshop.shows(&module)),
                Told::Step(step) => transcript(&step),
                Told::Verdict(verdict) => {
                    complain(&verdict);
                    verdicts.push(verdict);
                }
            }
        }
        shown.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    result?;

    print!("\n{}", table(&verdicts));
    println!("{}", summary(&verdicts));
    Ok(all_passed(&verdicts))
}

fn heading(module: &str, shows: &str) {
    let colon = if shows.is_empty() { "" } else { ": " };
    println!("\n{}{colon}{shows}", style(module).bold());
}

fn transcript(step: &Step) {
    match step {
        Step::Command(command) => println!("  # {command}"),
        Step::Output(text) => text.lines().for_each(|line| println!("  {line}")),
        Step::Log(line) => println!("  {}", style(format!("[log] {line}")).dim()),
    }
}

fn complain(verdict: &Verdict) {
    if !verdict.passed() {
        println!("  {}", style("FAILED").red());
        for line in verdict.message.lines() {
            println!("  {line}");
        }
    }
}

fn table(verdicts: &[Verdict]) -> String {
    let width = verdicts.iter().map(|verdict| verdict.subject.len()).max();
    let width = width.unwrap_or(0).max("MODULE".len());
    let mut text = format!("{:width$}  RESULT\n", "MODULE");
    for verdict in verdicts {
        let result = if verdict.passed() { "ok" } else { "FAILED" };
        text += &format!("{:width$}  {result}\n", verdict.subject);
    }
    text
}
