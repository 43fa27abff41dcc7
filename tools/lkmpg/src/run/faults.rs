// SPDX-License-Identifier: GPL-2.0-only

//! What `lkmpg test --faults` prints in the end.

use std::collections::{BTreeMap, BTreeSet};

use lkmpg_proto::Faults;

use crate::tally::Verdict;

/// What is known of a module.
#[derive(Default)]
struct Row<'a> {
    injected: u32,
    points: BTreeSet<&'a str>,
    left_out: u32,
    failed: bool,
}

impl Row<'_> {
    /// What is in its columns.
    fn numbers(&self) -> [u64; 3] {
        let points = self.points.len() as u64;
        [self.injected.into(), points, self.left_out.into()]
    }
}

/// How many `faults` there were in each module, at how many points, for how many there
/// was no share, and whether all is well by the `verdicts`. The last row is their sum; a point
/// that several modules share counts for each.
pub fn table(faults: &[Faults], verdicts: &[Verdict]) -> String {
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    for found in faults {
        let row = rows.entry(&found.module).or_default();
        row.injected += found.injected;
        row.points.extend(found.points.iter().map(String::as_str));
        row.left_out += found.left_out;
    }
    for verdict in verdicts {
        let row = rows.entry(&verdict.subject).or_default();
        row.failed |= !verdict.passed();
    }
    let width = rows.keys().map(|name| name.len()).max();
    let width = width.unwrap_or(0).max("MODULE".len());
    let line = |name: &str, numbers: [u64; 3], result: &str| {
        let [faults, points, left_out] = numbers;
        let line = format!("{name:width$}  {faults:>6}  {points:>6}  {left_out:>8}  {result}");
        line.trim_end().to_owned() + "\n"
    };
    let mut text = format!(
        "{:width$}  {:>6}  {:>6}  {:>8}  RESULT\n",
        "MODULE", "FAULTS", "POINTS", "LEFT OUT"
    );
    let mut all = [0_u64; 3];
    for (name, row) in &rows {
        let result = if row.failed { "FAILED" } else { "ok" };
        let numbers = row.numbers();
        let columns = all.iter_mut().zip(numbers);
        columns.for_each(|(sum, number)| *sum += number);
        text += &line(name, numbers, result);
    }
    text + &line("all", all, "")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lkmpg_proto::Outcome;

    use super::*;

    #[test]
    fn parts_are_added_up() {
        let faults = |module: &str, injected, points: &[&str]| Faults {
            module: module.into(),
            injected,
            points: points.iter().map(|point| (*point).to_owned()).collect(),
            left_out: 1,
        };
        let verdict = |module: &str, outcome| Verdict {
            subject: module.into(),
            test: "load".into(),
            outcome,
            message: String::new(),
            time: Duration::ZERO,
        };
        let faults = [
            faults("hello-1", 10, &["f+0x1", "g+0x2"]),
            faults("hello-1", 2, &["g+0x2", "h+0x3"]),
            faults("b", 1, &["f+0x1"]),
        ];
        let verdicts = [
            verdict("hello-1", Outcome::Passed),
            verdict("b", Outcome::Passed),
            verdict("b", Outcome::Failed),
            verdict("c", Outcome::Passed),
        ];
        let lines = [
            "MODULE   FAULTS  POINTS  LEFT OUT  RESULT",
            "b             1       1         1  FAILED",
            "c             0       0         0  ok",
            "hello-1      12       3         2  ok",
            "all          13       4         3",
            "",
        ];
        assert_eq!(table(&faults, &verdicts), lines.join("\n"));
    }
}
