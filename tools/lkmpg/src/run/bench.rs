// SPDX-License-Identifier: GPL-2.0-only

//! Modules against their twins in C. `tools/guest/src/bench.rs` says how they are measured.

use std::{sync::Mutex, time::Duration};

use anyhow::{Result, bail};
use lkmpg_proto::{Mode, Request};
use serde::Serialize;

use crate::{
    accel::{self, Chosen},
    cli::{BenchOptions, Source},
    qemu::Vm,
    run::{
        jobs,
        session::{self, End, Measured, News},
        test::bar,
    },
    source::{Kernel, Workshop},
    tally::{Verdict, all_passed},
};

/// Measures each module and its twin, in a VM of their own, and prints what is faster. Returns
/// whether all could be measured.
pub fn bench(source: &Source, wanted: &[String], options: &BenchOptions) -> Result<bool> {
    let kernel = Kernel::Base;
    let workshop = Workshop::to_measure(source, wanted, kernel)?;
    let accel = match options.wall {
        true => accel::choose(options.accel.unwrap_or_default(), &workshop.machine)?,
        false => accel::count(),
    };
    let timeout = options.timeout.unwrap_or(kernel.timeout());
    // By the clock, one would slow the other down.
    let jobs = if options.wall { 1 } else { jobs::cpus() };

    let names = workshop.names();
    let bar = bar(names.len());
    let all = Mutex::new(Vec::new());
    jobs::run(names.len(), jobs, |index| {
        let name = &names[index];
        let (verdicts, rows) = measure(&workshop, name, accel, options, timeout)?;
        all.lock().unwrap().push((index, verdicts, rows));
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();

    let mut all = all.into_inner().unwrap();
    all.sort_by_key(|(index, ..)| *index);
    let (mut verdicts, mut rows) = (Vec::new(), Vec::new());
    for (_, some, others) in all {
        verdicts.extend(some);
        rows.extend(others);
    }
    let results = Results {
        clock: match options.wall {
            true => Clock::Wall,
            false => Clock::Instructions,
        },
        rounds: options.rounds.get(),
        geometric_mean: geometric_mean(&rows),
        operations: rows,
    };
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&results)?),
        false => print!("{}", table(&results)),
    }
    for verdict in verdicts.iter().filter(|verdict| !verdict.passed()) {
        let message = verdict.message.trim_end();
        eprintln!("\n---- {} ----\n{message}", verdict.name());
    }
    Ok(all_passed(&verdicts))
}

/// Has a VM measure the module called `name`. Returns how that ended, and what was measured.
fn measure(
    workshop: &Workshop,
    name: &str,
    accel: Chosen,
    options: &BenchOptions,
    timeout: Duration,
) -> Result<(Vec<Verdict>, Vec<Row>)> {
    let modules = vec![name.to_owned()];
    let mut machine = workshop.machine_for(&modules)?;
    // Nothing runs beside what is measured.
    machine.cpus = 1;
    let request = Request {
        repeat: options.rounds,
        ..Request::new(Mode::Bench, modules)
    };
    let vm = Vm::boot(&machine, accel, None)?;
    let mut samples = Vec::new();
    let mut hear = |news: News<'_>| {
        if let News::Measured(measured) = news {
            add(&mut samples, measured);
        }
    };
    let end = session::follow(vm, &request, &workshop.modules, timeout, &mut hear)?;
    match end {
        End::Verdicts(verdicts, _) => {
            let rows = samples.iter().map(|samples| samples.row(name));
            Ok((verdicts, rows.collect()))
        }
        End::NotRestored(why) => bail!("{why}"),
    }
}

/// What was measured of an operation: picoseconds, for each round.
struct Samples {
    operation: String,
    own: bool,
    c: Vec<u64>,
    rust: Vec<u64>,
}

/// Adds what a round has measured to that of the rounds before.
fn add(samples: &mut Vec<Samples>, measured: Measured) {
    let known = samples.iter_mut();
    let mut known = known.filter(|it| it.own == measured.own);
    if let Some(it) = known.find(|it| it.operation == measured.operation) {
        it.c.push(measured.c);
        it.rust.push(measured.rust);
    } else {
        samples.push(Samples {
            operation: measured.operation,
            own: measured.own,
            c: vec![measured.c],
            rust: vec![measured.rust],
        });
    }
}

impl Samples {
    /// What is shown of them.
    fn row(&self, module: &str) -> Row {
        let ratios = self.c.iter().zip(&self.rust);
        let ratios = ratios.map(|(c, rust)| *rust as f64 / *c as f64);
        let (least, most) = ratios.fold((f64::INFINITY, 0.0_f64), |(least, most), ratio| {
            (least.min(ratio), most.max(ratio))
        });
        let (c, rust) = (median(&self.c), median(&self.rust));
        Row {
            module: module.to_owned(),
            operation: self.operation.clone(),
            own: self.own,
            c: c / PICOSECONDS,
            rust: rust / PICOSECONDS,
            ratio: rust / c,
            spread: most - least,
        }
    }
}

/// In a nanosecond.
const PICOSECONDS: f64 = 1000.0;

/// The value in the middle; the mean of both if there are two.
fn median(values: &[u64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle] as f64,
        _ => (values[middle - 1] as f64 + values[middle] as f64) / 2.0,
    }
}

/// By which clock was measured.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Clock {
    /// The guest's instructions, each of which takes it a nanosecond.
    Instructions,
    /// The host's.
    Wall,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Results {
    clock: Clock,
    rounds: u32,
    /// That of the examples' own operations.
    geometric_mean: Option<f64>,
    operations: Vec<Row>,
}

/// What is shown of an operation.
#[derive(Serialize)]
struct Row {
    module: String,
    operation: String,
    /// Whether it is the example's own. Else it is loading or unloading.
    own: bool,
    /// How long it takes the twin in C, in nanoseconds: the median of all rounds.
    c: f64,
    /// How long it takes the module.
    rust: f64,
    /// How many times as long that is.
    ratio: f64,
    /// Between the least and the greatest ratio of a round.
    spread: f64,
}

/// The geometric mean of the ratios of the examples' own operations.
fn geometric_mean(rows: &[Row]) -> Option<f64> {
    let own = rows.iter().filter(|row| row.own);
    let logarithms: Vec<_> = own.map(|row| row.ratio.ln()).collect();
    let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
    (!logarithms.is_empty()).then(|| mean.exp())
}

/// The results as a table; nothing when there are none.
fn table(results: &Results) -> String {
    let rows = &results.operations;
    if rows.is_empty() {
        return String::new();
    }
    let titles = ["OPERATION", "C", "RUST", "RUST/C", "SPREAD"];
    let mut lines = vec![titles.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            format!("{}: {}", row.module, row.operation),
            format!("{:.0} ns", row.c),
            format!("{:.0} ns", row.rust),
            format!("{:.3}", row.ratio),
            format!("{:.3}", row.spread),
        ]
    }));
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for [operation, in_c, in_rust, ratio, spread] in &lines {
        text += &format!("{operation:a$}  {in_c:>b$}  {in_rust:>c$}  {ratio:>d$}  {spread:>e$}\n");
    }
    if let Some(mean) = results.geometric_mean {
        let count = rows.iter().filter(|row| row.own).count();
        text += &format!("geometric mean of {count}, without load and unload: {mean:.3}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two rounds.
    fn results() -> Results {
        const NANOSECOND: u64 = 1000;
        let mut samples = Vec::new();
        let mut hear = |operation: &str, own: bool, c: u64, rust: u64| {
            let measured = Measured {
                operation: operation.to_owned(),
                own,
                c: c * NANOSECOND,
                rust: rust * NANOSECOND,
            };
            add(&mut samples, measured);
        };
        for n in [1, 2] {
            hear("load", false, 7000 * n, 30 * n);
            hear("read", true, 1000, 1000 * n);
            // An operation may be called as it likes.
            hear("load", true, 3000 * n, 2000 * n);
        }
        let rows: Vec<_> = samples.iter().map(|samples| samples.row("a")).collect();
        Results {
            clock: Clock::Instructions,
            rounds: 2,
            geometric_mean: geometric_mean(&rows),
            operations: rows,
        }
    }

    #[test]
    fn the_middle_counts() {
        assert_eq!(median(&[7, 1, 2]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(&[4, 1, 2, 7]).to_bits(), 3.0_f64.to_bits());
    }

    #[test]
    fn the_table_is_aligned() {
        let text = table(&results());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "OPERATION         C     RUST  RUST/C  SPREAD",
                "a: load    10500 ns    45 ns   0.004   0.000",
                "a: read     1000 ns  1500 ns   1.500   1.000",
                "a: load     4500 ns  3000 ns   0.667   0.000",
            ]
        );
        // The square root of 1.5 times 2/3.
        assert_eq!(
            lines[4..],
            ["geometric mean of 2, without load and unload: 1.000"]
        );
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(geometric_mean(&[]), None);
        let loaded = results().operations.into_iter().filter(|row| !row.own);
        assert_eq!(geometric_mean(&loaded.collect::<Vec<_>>()), None);
    }

    #[test]
    fn programs_are_told_all() {
        let json = serde_json::to_value(results()).unwrap();
        assert_eq!(json["clock"], "instructions");
        assert_eq!(json["rounds"], 2);
        assert_eq!(json["operations"][1]["operation"], "read");
        assert_eq!(json["operations"][1]["c"], 1000.0);
        assert_eq!(json["operations"][1]["ratio"], 1.5);
    }
}
