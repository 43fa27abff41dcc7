// SPDX-License-Identifier: GPL-2.0-only

use std::{io, process::Command};

use anyhow::{Context, Result};
use lkmpg_proto::Event;
use rustix::process::{ioctl_tiocsctty, setsid};

use crate::{
    Example, Module, Vm, module,
    report::{Port, Report},
};

/// Loads the modules and gives a shell on the console until it is left.
pub fn run(mut vm: Vm, report: &mut Port, modules: &[String]) -> Result<()> {
    let mut loaded = Vec::new();
    let mut complaints = Vec::new();
    for name in modules {
        let example = Example::find(name);
        let result = example.setup.map_or(Ok(()), |setup| setup(&mut vm));
        match result.and_then(|()| load(name, example.params, &mut loaded)) {
            Ok(()) => {}
            Err(error) => complaints.push(format!("{name} is not loaded: {error:#}")),
        }
    }

    report.send(&Event::Ready)?;
    report.wait_for_host()?;
    for complaint in complaints {
        println!("{complaint}");
    }
    let names: Vec<_> = loaded.iter().map(Module::name).collect();
    println!("Loaded: {}.", or_none(&names.join(", ")));
    println!("The files are in /lib/modules. Leave with exit.");

    // The shell shares our session, which gets the console as its terminal.
    // init has already made us the leader of one; it is fine if so.
    let _ = setsid();
    ioctl_tiocsctty(io::stdin()).context("the console")?;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-l").env("HOME", "/").current_dir("/");
    shell.status().context("/bin/sh")?;
    // Those that use others come after them.
    while loaded.pop().is_some() {}
    Ok(())
}

/// Loads the module called `name`, after those that it uses, unless it is there already: it
/// may have been needed before.
fn load(name: &str, params: &str, loaded: &mut Vec<Module>) -> Result<()> {
    if module::loaded()?.contains(&module::kernel_name(name)) {
        return Ok(());
    }
    for needed in module::needed(name)? {
        loaded.push(Module::load_alone(&needed, "")?);
    }
    loaded.push(Module::load_alone(name, params)?);
    Ok(())
}

fn or_none(list: &str) -> &str {
    if list.is_empty() { "nothing" } else { list }
}
