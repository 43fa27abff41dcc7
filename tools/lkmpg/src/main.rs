// SPDX-License-Identifier: GPL-2.0-only

//! `lkmpg`: builds the examples, runs them in a VM and reports what happened.

mod accel;
mod check;
mod children;
mod cli;
mod clock;
mod console;
mod examples;
mod image;
mod junit;
mod machine;
mod nix;
mod qemu;
mod repo;
mod run;
mod source;
mod stop;
mod tally;
mod terminal;

use std::{
    convert::Infallible,
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{self, ExitCode},
};

use anyhow::{Context, Result};
use clap::Parser;

use crate::{
    cli::{Cli, Command, Source, Toolchain},
    source::{Kernel, Workshop},
    stop::Stop,
};

/// The exit status when something is amiss that no test is to blame for.
const ENVIRONMENT: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = children::watch_signals()
        .context("signals")
        .and_then(|()| run(&cli));
    if children::interrupted() {
        return ExitCode::from(children::INTERRUPTED_STATUS);
    }
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lkmpg: {error:#}");
            let stop = error.downcast_ref::<Stop>();
            ExitCode::from(stop.map_or(ENVIRONMENT, |stop| stop.status))
        }
    }
}

/// Does what is asked. Returns whether every result is good.
fn run(cli: &Cli) -> Result<bool> {
    let source = &cli.source;
    match &cli.command {
        Command::Demo { names, vm } => run::demo(source, &names.names, vm),
        Command::Test { names, vm, test } => run::test(source, &names.names, vm, test),
        Command::Shell { names, vm, gdb } => {
            run::shell(source, &names.names, vm, *gdb).map(|()| true)
        }
        Command::Build { names } => build(source, &names.names).map(|()| true),
        Command::List { json } => list(source, *json).map(|()| true),
        Command::Check => check::check(source),
        Command::Develop { command } => develop(source, command).map(|never| match never {}),
        Command::Fetch => fetch(source).map(|never| match never {}),
    }
}

/// Builds the modules and prints where they are.
fn build(source: &Source, wanted: &[String]) -> Result<()> {
    let workshop = Workshop::open(source, wanted, Kernel::Base)?;
    for name in &workshop.names {
        println!("{}", workshop.modules[name].file.display());
    }
    Ok(())
}

/// Gives way to the launcher, which does all downloading.
fn fetch(source: &Source) -> Result<Infallible> {
    let launcher = repo::root(source)?.join("lkmpg");
    let error = process::Command::new(&launcher).arg("fetch").exec();
    Err(error).with_context(|| launcher.display().to_string())
}

/// Gives way to the development shell, or to `command` in it.
fn develop(source: &Source, command: &[OsString]) -> Result<Infallible> {
    let flake = repo::flake(source, &repo::root(source)?);
    // Nix takes the shell itself from the flake called nixpkgs. Debian's
    // offers one.
    let nixpkgs = match source.toolchain {
        Toolchain::Auto | Toolchain::Nixpkgs => None,
        Toolchain::Debian => Some(flake.as_str()),
    };
    nix::develop(&flake, nixpkgs, command)
}

/// Prints the examples.
fn list(source: &Source, json: bool) -> Result<()> {
    let examples = examples::discover(&repo::root(source)?)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&examples)?);
    } else {
        print!("{}", examples::table(&examples));
    }
    Ok(())
}
