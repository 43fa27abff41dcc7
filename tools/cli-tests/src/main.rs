// SPDX-License-Identifier: GPL-2.0-only

//! The command line as a person uses and misuses it.
//!
//! It is a program, not one of `cargo test`: its cases build kernels and boot
//! VMs, and each may change the sources that the next one starts from, so they
//! run one after the other.

mod cases;
mod checkout;
mod mirror;
mod odd_input;
mod odd_places;
mod outcome;
mod shell;
mod tiny_disk;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Parser, builder::PossibleValuesParser};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use crate::{checkout::Checkout, outcome::Failure};

/// How many lines to show of what the command of a failed case printed.
const SHOWN: usize = 60;

/// The exit status when the cases could not be run.
const NOT_RUN: u8 = 3;

/// Uses the command line as a person does and checks what it answers.
#[derive(Debug, Parser)]
#[command(name = "cli-tests")]
struct Cli {
    /// The repository, of which a clone is used
    repository: PathBuf,

    /// Run those cases, too, that take long and rarely fail
    #[arg(long)]
    nightly: bool,

    /// The cases to run, all when none is named
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(cases::ALL.map(|(name, _)| name)))]
    names: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cli-tests: {error:#}");
            ExitCode::from(NOT_RUN)
        }
    }
}

/// Runs the cases that are asked for. Returns whether all passed.
fn run(cli: &Cli) -> Result<bool> {
    // A signal ends the run after the case, so that everything is cleaned up.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&interrupted))?;
    }

    let checkout = Checkout::of(&cli.repository)?;
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases::ALL {
        let wanted = match &cli.names[..] {
            [] => cli.nightly || !cases::NIGHTLY.contains(&name),
            names => names.iter().any(|wanted| wanted == name),
        };
        if !wanted {
            continue;
        }
        let begin = Instant::now();
        let result = case(&checkout);
        let took = begin.elapsed();
        checkout.restore()?;
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        match result {
            Ok(()) => passed += 1,
            Err(_) => failed += 1,
        }
        print!("{}", report(name, &result, took));
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// The line that says how a case went, and how long it took; when it failed, the end of what its
/// command printed as well.
fn report(name: &str, result: &Result<()>, took: Duration) -> String {
    let took = took.as_secs();
    let Err(error) = result else {
        return format!("test cli::{name} ... ok ({took} s)\n");
    };
    let mut text = format!("test cli::{name} ... FAILED ({took} s; {error:#})\n");
    let failure = error.downcast_ref::<Failure>();
    let said: Vec<_> = failure.map_or("", Failure::said).lines().collect();
    for line in &said[said.len().saturating_sub(SHOWN)..] {
        text += &format!("    {line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::outcome::tests::outcome_of;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cases_have_names_of_their_own() {
        let mut names = cases::ALL.map(|(name, _)| name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases::ALL.len());
        assert!(cases::NIGHTLY.iter().all(|name| names.contains(name)));
    }

    #[test]
    fn a_report_says_why_and_shows_the_end_of_the_output() {
        let took = Duration::from_secs(7);
        assert_eq!(report("x", &Ok(()), took), "test cli::x ... ok (7 s)\n");

        let outcome = outcome_of("seq 1 100; exit 3");
        let result = outcome.ends(0).map(drop);
        let text = report("x", &result, took);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "test cli::x ... FAILED (7 s; ended with status 3 instead of 0)"
        );
        assert_eq!(lines[1], "    41");
        assert_eq!(lines.last(), Some(&"    100"));
    }
}
