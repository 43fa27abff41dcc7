// SPDX-License-Identifier: GPL-2.0-only

use std::{collections::BTreeMap, env, time::Duration};

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

/// Where a flake keeps its checks for this machine.
fn checks() -> String {
    format!("checks.{}-linux", env::consts::ARCH)
}

/// One check, as the flake defines it.
#[derive(Deserialize)]
struct Check {
    out: String,
}

/// Runs every check of the flake. Returns whether all passed.
pub fn check(source: &Source) -> Result<bool> {
    let root = repo::root(source)?;
    let flake = repo::flake(source, &root);
    let mut verdicts = vec![evaluation(&flake)?];
    if verdicts[0].passed() {
        verdicts.extend(builds(&flake)?);
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

/// Builds the checks, all that can be built.
fn builds(flake: &str) -> Result<Vec<Verdict>> {
    let apply = "builtins.mapAttrs (name: check: { out = check.outPath; })";
    let set = format!("{flake}#{}", checks());
    let checks: BTreeMap<String, Check> = nix::eval(&set, apply)?;
    let names = checks.keys();
    let installables: Vec<_> = names.map(|name| format!("{set}.{name}")).collect();
    if installables.is_empty() {
        return Ok(Vec::new());
    }
    let all_good = nix::build_all(&installables)?;
    let judge = |(name, check): (&String, &Check)| {
        let good = all_good || nix::is_valid(&check.out)?;
        Ok(verdict(name, good))
    };
    checks.iter().map(judge).collect()
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
