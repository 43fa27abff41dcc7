// SPDX-License-Identifier: GPL-2.0-only

use anyhow::Result;
use console::style;
use lkmpg_proto::{Mode, Request, Step};

use crate::{
    accel,
    cli::{Source, VmOptions},
    run::session::{self, News},
    source::{Kernel, Workshop},
    tally::{Verdict, all_passed, summary},
};

/// Shows the examples one after the other in one VM. Returns whether all
/// behaved.
pub fn demo(source: &Source, wanted: &[String], options: &VmOptions) -> Result<bool> {
    let kernel = Kernel::Base;
    let workshop = Workshop::open(source, wanted, kernel)?;
    let accel = accel::choose(options.accel, &workshop.machine)?;
    let request = Request::new(Mode::Demo, workshop.names.clone());
    let mut tell = |news: News<'_>| match news {
        News::Begin(module) => heading(module, workshop.shows(module)),
        News::Step(step) => transcript(&step),
        News::Verdict(verdict) => complain(verdict),
    };
    let timeout = options.timeout.unwrap_or(kernel.timeout());
    let verdicts = session::follow(&workshop, accel, &request, timeout, &mut tell)?;

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
