// SPDX-License-Identifier: GPL-2.0-only

//! The cases of odd names and files, and of output that nobody takes.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{self, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::{pipe::pipe, process::Signal};

use crate::{
    checkout::Checkout,
    outcome::{Failure, Outcome, run},
};

/// Commands that print, one of them while VMs run.
const COMMANDS: [&[&str]; 5] = [
    &["list"],
    &["list", "--tests"],
    &["build", "hello-1"],
    &["test", "hello-1", "hello-2"],
    &["demo", "hello-1", "hello-2"],
];

/// What `./lkmpg` with `arguments` does when its standard output is `stdout`.
fn run_into(checkout: &Checkout, stdout: impl Into<Stdio>, arguments: &[&str]) -> Result<Output> {
    let mut command = process::Command::new(checkout.path("lkmpg"));
    command.current_dir(checkout.root()).args(arguments);
    command.stdin(Stdio::null()).stdout(stdout);
    command.output().context("lkmpg did not start")
}

pub fn closed_pipe_ends_it(checkout: &Checkout) -> Result<()> {
    for arguments in COMMANDS {
        let (_, writer) = pipe().context("a pipe")?;
        let output = run_into(checkout, writer, arguments)?;
        if output.status.signal() != Some(Signal::PIPE.as_raw()) {
            let why = format!("{arguments:?}: {} instead of SIGPIPE", output.status);
            return Err(Failure::error(why, String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(())
}

pub fn full_disk_for_output(checkout: &Checkout) -> Result<()> {
    for arguments in COMMANDS {
        let full = File::options().write(true).open("/dev/full");
        let output = run_into(checkout, full.context("/dev/full")?, arguments)?;
        Outcome::new(output.status, &output.stderr)
            .ends(3)?
            .says("lkmpg: standard output cannot be written: No space left on device[..]")?
            .never_says("panicked")?;
    }
    Ok(())
}

pub fn junit_that_cannot_be_written(checkout: &Checkout) -> Result<()> {
    let test = |junit: &str| run(checkout.lkmpg(&["test", "hello-1", "--junit", junit]));
    for (junit, why) in [
        ("nowhere/junit.xml", "its folder is not there[..]"),
        ("modules", "this is a folder[..]"),
    ] {
        test(junit)?
            .ends(2)?
            .says(&format!("lkmpg: --junit {junit}: {why}"))?
            .never_says("test hello-1::")?;
    }
    test("/dev/full")?
        .ends(3)?
        .says("[COUNT] passed, 0 failed")?
        .says("lkmpg: --junit /dev/full: No space left on device[..]")?;
    // An older file stays when there are no results.
    let old = checkout.path("old.xml");
    fs::write(&old, "old")?;
    run(checkout.lkmpg(&["test", "hello-1::zzz", "--junit", "old.xml"]))?.ends(2)?;
    ensure!(fs::read_to_string(&old)? == "old", "old.xml is lost");
    Ok(())
}

/// Adds a copy of hello-1 called `name`, which git knows. Returns its folder.
fn add_example(checkout: &Checkout, name: &str) -> Result<PathBuf> {
    let from = checkout.path("modules/04-hello-world/hello-1/hello-1.rs");
    let folder = checkout.path("modules/04-hello-world").join(name);
    fs::create_dir(&folder)?;
    fs::copy(from, folder.join(format!("{name}.rs")))?;
    checkout.git(&["add", "modules"])?;
    Ok(folder)
}

const CANNOT_BE: &str = "cannot be an example's name: it may have ASCII letters, digits, \
    '-' and '_', begins with a letter, and has at most 55 characters";

pub fn name_that_cannot_be(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["list"]))?.ends(0)?;
    for name in ["a b", "my.mod", "\u{fc}n\u{ef}", "1st"] {
        run(checkout.lkmpg(&["test", &format!("{name}::reload")]))?
            .ends(2)?
            .says(&format!("lkmpg: '{name}' {CANNOT_BE}"))?;
        let folder = add_example(checkout, name)?;
        for command in [&["list"][..], &["test", "hello-1"]] {
            run(checkout.lkmpg(command))?
                .ends(2)?
                .says(&format!("lkmpg: '{name}' {CANNOT_BE}"))?;
        }
        fs::remove_dir_all(folder)?;
        checkout.git(&["add", "modules"])?;
    }
    Ok(())
}

pub fn name_that_is_taken(checkout: &Checkout) -> Result<()> {
    // The program is there already when the recipes cannot be read.
    run(checkout.lkmpg(&["list"]))?.ends(0)?;
    for (name, why) in [
        (
            "vm",
            "'vm' cannot be an example's name: the flake has an output of that name",
        ),
        (
            "sizes",
            "'sizes' cannot be an example's name: the flake has an output of that name",
        ),
        ("hello_1", "two examples are the module hello_1: [..]"),
    ] {
        let folder = add_example(checkout, name)?;
        run(checkout.lkmpg(&["test", name]))?
            .ends(1)?
            .says(&format!("[..]{why}"))?;
        fs::remove_dir_all(folder)?;
        checkout.git(&["add", "modules"])?;
    }
    Ok(())
}
