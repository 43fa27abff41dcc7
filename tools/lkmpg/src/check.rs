// SPDX-License-Identifier: GPL-2.0-only

use std::{cmp::Reverse, collections::BTreeMap, env, time::Duration};

use anyhow::Result;
use console::style;
use lkmpg_proto::Outcome;
use serde::Deserialize;

use crate::{
    cli::Source,
    nix, repo,
    stop::Stop,
    tally::{Verdict, all_passed, summary},
};

/// What takes less is not in the table of what took long.
const LONG: Duration = Duration::from_secs(10);

/// Where a flake keeps its checks for this machine, and those that are run at
/// night.
const CHECKS: [&str; 2] = ["checks.SYSTEM", "legacyPackages.SYSTEM.nightly"];

/// The installables of `flake` in the set `set`, one for each check, by name.
fn checks(flake: &str, set: &str) -> Result<BTreeMap<String, Check>> {
    let set = set.replace("SYSTEM", &format!("{}-linux", env::consts::ARCH));
    let set = format!("{flake}#{set}");
    let apply = "builtins.mapAttrs (name: check: { out = check.outPath; })";
    let mut checks: BTreeMap<String, Check> = nix::eval(&set, apply)?;
    for (name, check) in &mut checks {
        check.installable = format!("{set}.{name}");
    }
    Ok(checks)
}

/// One check, as the flake defines it.
#[derive(Deserialize)]
struct Check {
    out: String,
    #[serde(skip)]
    installable: String,
}

/// Runs every check of the flake, and with `nightly` those that are run at night.
/// Returns whether all passed.
pub fn check(source: &Source, nightly: bool) -> Result<bool> {
    let root = repo::root(source)?;
    let flake = repo::flake(source, &root);
    let mut verdicts = vec![evaluation(&flake)?];
    if verdicts[0].passed() {
        let sets = if nightly { &CHECKS[..] } else { &CHECKS[..1] };
        verdicts.extend(builds(&flake, sets)?);
    }
    for verdict in &verdicts {
        let result = match verdict.passed() {
            true => style("ok").green(),
            false => style("FAILED").red(),
        };
        println!("check {} ... {result}", verdict.subject);
    }
    println!("\n{}", summary(&verdicts));
    Ok(all_passed(&verdicts))
}

/// The check that everything the flake offers evaluates.
fn evaluation(flake: &str) -> Result<Verdict> {
    match nix::flake_check(flake) {
        Ok(()) => Ok(verdict("flake", true)),
        Err(error) => match error.downcast_ref::<Stop>() {
            Some(stop) if stop.status == 1 => {
                eprintln!("{error}");
                Ok(verdict("flake", false))
            }
            _ => Err(error),
        },
    }
}

/// Builds the checks in `sets`, all that can be built.
fn builds(flake: &str, sets: &[&str]) -> Result<Vec<Verdict>> {
    let mut all = BTreeMap::new();
    for set in sets {
        all.extend(checks(flake, set)?);
    }
    let installables: Vec<_> = all
        .values()
        .map(|check| check.installable.clone())
        .collect();
    if installables.is_empty() {
        return Ok(Vec::new());
    }
    let results = nix::build_all(&installables)?;
    print!("{}", table(results.times));
    let judge = |(name, check): (&String, &Check)| {
        let good = results.all_good || nix::is_valid(&check.out)?;
        Ok(verdict(name, good))
    };
    all.iter().map(judge).collect()
}

/// What took long, the longest first; nothing when nothing did.
fn table(mut times: Vec<(String, Duration)>) -> String {
    times.retain(|(_, took)| *took >= LONG);
    times.sort_by_key(|(_, took)| Reverse(*took));
    let mut text = String::new();
    for (name, took) in times {
        text += &format!("{:>7} s  {name}\n", took.as_secs());
    }
    match text.is_empty() {
        true => text,
        false => format!("  BUILT IN  WHAT\n{text}\n"),
    }
}

fn verdict(name: &str, passed: bool) -> Verdict {
    Verdict {
        subject: name.to_owned(),
        test: "check".to_owned(),
        outcome: match passed {
            true => Outcome::Passed,
            false => Outcome::Failed,
        },
        message: String::new(),
        time: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first() {
        let took = |name: &str, seconds| (name.to_owned(), Duration::from_secs(seconds));
        let text = table(vec![
            took("short", 9),
            took("long", 10),
            took("longest", 1200),
        ]);
        assert_eq!(
            text,
            "  BUILT IN  WHAT\n   1200 s  longest\n     10 s  long\n\n"
        );
        assert_eq!(table(vec![took("short", 9)]), "");
    }
}
