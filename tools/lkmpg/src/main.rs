// SPDX-License-Identifier: GPL-2.0-only

//! `lkmpg`: builds the examples, runs them in a VM and reports what happened.

// First, for its macros.
#[macro_use]
mod output;

mod accel;
mod chapters;
mod check;
mod children;
mod cli;
mod clock;
mod console;
mod delivery;
mod examples;
mod junit;
mod machine;
mod memory;
mod modules;
mod nix;
mod qemu;
mod qmp;
mod repo;
mod run;
mod select;
mod source;
mod stop;
mod tally;
mod template;
mod terminal;

use std::{
    convert::Infallible,
    ffi::OsString,
    os::unix::process::CommandExt,
    path::Path,
    process::{self, ExitCode},
};

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};

use crate::{
    cli::{Cli, Command, Source, Toolchain},
    source::{Kernel, Workshop},
    stop::Stop,
};

/// The exit status when something is amiss that no test is to blame for.
const ENVIRONMENT: u8 = 3;

fn main() -> ExitCode {
    output::end(match Cli::try_parse() {
        Ok(cli) => status(&cli),
        Err(said) => output::clap(&said),
    })
}

/// Does what is asked. Returns the exit status.
fn status(cli: &Cli) -> u8 {
    let result = children::watch_signals()
        .context("signals")
        .and_then(|()| run(cli));
    if children::interrupted() {
        return children::INTERRUPTED_STATUS;
    }
    match result {
        Ok(good) => u8::from(!good),
        Err(error) => {
            eprintln!("lkmpg: {error:#}");
            let stop = error.downcast_ref::<Stop>();
            stop.map_or(ENVIRONMENT, |stop| stop.status)
        }
    }
}

/// Does what is asked. Returns whether every result is good.
fn run(cli: &Cli) -> Result<bool> {
    let source = &cli.source;
    match &cli.command {
        Command::Demo { names, vm, run } => run::demo(source, &names.names, vm, run),
        Command::Test {
            names,
            vm,
            run,
            test,
        } => run::test(source, names, vm, run, test),
        Command::Shell { names, vm, gdb } => {
            run::shell(source, &names.names, vm, *gdb).map(|()| true)
        }
        Command::Build { names } => build(source, &names.names).map(|()| true),
        Command::List {
            tests: true, json, ..
        } => list_tests(source, *json).map(|()| true),
        Command::List {
            by_chapter, json, ..
        } => list(source, *by_chapter, *json).map(|()| true),
        Command::Check { nightly } => check::check(source, *nightly),
        Command::Develop { command } => develop(source, command).map(|never| match never {}),
        Command::Fetch => fetch(source).map(|never| match never {}),
        Command::Completions { shell } => {
            let mut script: Vec<u8> = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "lkmpg", &mut script);
            output::bytes(&script);
            Ok(true)
        }
    }
}

/// Builds the modules and prints where they are.
fn build(source: &Source, wanted: &[String]) -> Result<()> {
    let workshop = Workshop::open(source, wanted, Kernel::Base)?;
    for name in workshop.names() {
        println!("{}", workshop.modules[name].file.display());
    }
    Ok(())
}

/// Gives way to the launcher, which does all downloading.
fn fetch(source: &Source) -> Result<Infallible> {
    let launcher = repo::root(source)?.join("lkmpg");
    let mut fetch = process::Command::new(&launcher);
    fetch.arg("fetch");
    if source.locked {
        fetch.arg("--locked");
    }
    Err(fetch.exec()).with_context(|| launcher.display().to_string())
}

/// Gives way to the development shell, or to `command` in it.
fn develop(source: &Source, command: &[OsString]) -> Result<Infallible> {
    if let Some(file) = &source.development_shell {
        return enter(file, command);
    }
    let flake = repo::flake(source, &repo::root(source)?);
    // Nix takes the shell itself from the flake called nixpkgs. Debian's
    // offers one.
    let nixpkgs = match source.toolchain {
        Toolchain::Auto | Toolchain::Nixpkgs => None,
        Toolchain::Debian => Some(flake.as_str()),
    };
    nix::develop(&flake, nixpkgs, command)
}

/// Gives way to a bash that has read `file`, or to `command` after that.
fn enter(file: &Path, command: &[OsString]) -> Result<Infallible> {
    let mut bash = process::Command::new("bash");
    if command.is_empty() {
        bash.arg("--rcfile").arg(file);
    } else {
        bash.args(["-c", r#". "$0"; exec "$@""#]);
        bash.arg(file).args(command);
    }
    // A launcher that is run in it finds its own.
    Err(bash.env_remove("LKMPG_SHELL").exec()).context("bash")
}

/// Prints the examples.
fn list(source: &Source, by_chapter: bool, json: bool) -> Result<()> {
    let root = repo::root(source)?;
    let examples = examples::discover(&root)?;
    let chapters = by_chapter.then(|| chapters::of(&root, &examples));
    match (chapters, json) {
        (Some(chapters), true) => println!("{}", serde_json::to_string_pretty(&chapters)?),
        (Some(chapters), false) => print!("{}", chapters::table(&chapters)),
        (None, true) => println!("{}", serde_json::to_string_pretty(&examples)?),
        (None, false) => print!("{}", examples::table(&examples)),
    }
    Ok(())
}

/// Prints the tests of all modules that are to pass.
fn list_tests(source: &Source, json: bool) -> Result<()> {
    let root = repo::root(source)?;
    let catalog = source::catalog(&repo::flake(source, &root))?;
    let mut modules = examples::discover(&root)?;
    modules.extend(examples::in_chapter(&root, examples::TESTS_OF_LKM)?);
    let names = modules.iter().flat_map(|module| {
        let tests = catalog.tests(&module.name);
        tests.map(|(test, _)| format!("{}::{test}", module.name))
    });
    let names: Vec<_> = names.collect();
    match json {
        true => println!("{}", serde_json::to_string_pretty(&names)?),
        false => names.iter().for_each(|name| println!("{name}")),
    }
    Ok(())
}
