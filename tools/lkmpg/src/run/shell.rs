// SPDX-License-Identifier: GPL-2.0-only

use std::{
    net::{Ipv4Addr, TcpListener},
    path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lkmpg_proto::{Event, Mode, Request};

use crate::{
    accel,
    children::interrupted,
    cli::{Source, VmOptions},
    console::Console,
    output,
    qemu::{Happening, Vm},
    source::{Kernel, Workshop},
    stop::Stop,
    terminal::Raw,
};

/// How much of the console an error quotes, in lines.
const TAIL: usize = 30;

/// How long the console must be quiet before the end of standard input is
/// taken to the guest.
const QUIET: Duration = Duration::from_millis(300);

/// Gives a shell in a VM with the examples' modules loaded, and a way in for
/// gdb when `gdb` is a port.
pub fn shell(
    source: &Source,
    wanted: &[String],
    options: &VmOptions,
    gdb: Option<u16>,
) -> Result<()> {
    let kernel = match gdb {
        Some(port) => {
            require_free(port)?;
            Kernel::Gdb
        }
        None => Kernel::Base,
    };
    let workshop = Workshop::open(source, wanted, kernel)?;
    let hint = gdb.map(|port| gdb_command(&workshop, port)).transpose()?;
    let accel = accel::choose(options.accel, &workshop.machine)?;
    let request = Request::new(Mode::Shell, workshop.names().to_vec());
    let machine = workshop.machine_for(&request.modules)?;
    let mut vm = Vm::boot(&machine, accel, gdb)?;

    // Until the shell is there the console shows the boot, which is of
    // interest only when something goes wrong.
    let mut console = Console::default();
    let deadline = Instant::now() + options.timeout.unwrap_or(kernel.timeout());
    loop {
        match vm.next(Some(deadline))? {
            Happening::Console(text) => console.push(&text),
            Happening::Line(line) => match Event::from_line(&line) {
                Ok(Event::Waiting) => vm.order(&request, &workshop.modules)?,
                Ok(Event::Ready) => break,
                _ => {}
            },
            Happening::Ended | Happening::Silence => {
                drop(vm);
                let tail = console.tail(TAIL);
                return Err(Stop::failed(match interrupted() {
                    true => "interrupted".to_owned(),
                    false => format!("the VM gives no shell; its last lines:\n{tail}"),
                }));
            }
        }
    }
    vm.drain_console()?;
    if let Some(command) = hint {
        eprintln!("gdb: in another terminal, type: {command}");
    }

    let _raw = Raw::enter().context("the terminal")?;
    vm.connect_keyboard();
    vm.answer()?;
    converse(&mut vm)
}

/// Makes sure that QEMU can listen on `port`.
fn require_free(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Stop::missing(format!(
            "port {port} of this machine: {error}; choose another with --gdb=PORT"
        ))),
    }
}

/// The command that connects gdb and tells it of the loaded modules.
fn gdb_command(workshop: &Workshop, port: u16) -> Result<String> {
    let gdbinit = workshop.machine.gdbinit.as_ref().ok_or_else(|| {
        let kernel = workshop.machine.kernel.display();
        Stop::missing(format!(
            "{kernel} is not for gdb: its machine.json names no gdbinit"
        ))
    })?;
    let gdbinit = path::absolute(gdbinit).context("gdbinit")?;
    let mut dirs = Vec::new();
    for name in &workshop.names_with_needed()? {
        let file = &workshop.modules[name].file;
        let file = file
            .canonicalize()
            .with_context(|| file.display().to_string())?;
        let dir = file.parent().unwrap_or(&file).display().to_string();
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    Ok(format!(
        "./lkmpg develop -- gdb -x {} -ex 'target remote 127.0.0.1:{port}' -ex 'lx-symbols {}'",
        gdbinit.display(),
        dirs.join(" ")
    ))
}

/// Shows the console until the VM ends.
fn converse(vm: &mut Vm) -> Result<()> {
    let mut console = Console::default();
    let mut over = false;
    loop {
        match vm.next(Some(Instant::now() + QUIET))? {
            // What the kernel says of powering off is of no interest.
            Happening::Console(_) if over => {}
            Happening::Console(text) => {
                console.push(&text);
                output::bytes(&text);
            }
            Happening::Line(line) => {
                if matches!(Event::from_line(&line), Ok(Event::End)) {
                    output::bytes(&vm.drain_console()?);
                    over = true;
                }
            }
            Happening::Silence => vm.type_end(),
            Happening::Ended if interrupted() => return Err(Stop::failed("interrupted")),
            Happening::Ended if console.panicked() => {
                return Err(Stop::failed("the kernel gave up; see above"));
            }
            Happening::Ended => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::{cli::Toolchain, machine};

    #[test]
    fn gdb_looks_where_the_modules_really_are() {
        let temp = tempfile::tempdir().unwrap();
        let temp = temp.path().canonicalize().unwrap();
        for dir in ["vm", "built", "links"] {
            fs::create_dir(temp.join(dir)).unwrap();
        }
        let vm = temp.join("vm");
        machine::tests::write(&vm, Some(&vm.join("gdbinit")));
        for name in ["a.ko", "b.ko"] {
            let file = temp.join("built").join(name);
            fs::write(&file, "").unwrap();
            symlink(file, temp.join("links").join(name)).unwrap();
        }
        let source = Source {
            toolchain: Toolchain::Auto,
            root: None,
            flake: None,
            vm: Some(temp.join("vm")),
            modules: vec![temp.join("links")],
            locked: false,
            development_shell: None,
        };
        let workshop = Workshop::open(&source, &[], Kernel::Gdb).unwrap();
        let temp = temp.display();
        assert_eq!(
            gdb_command(&workshop, 4321).unwrap(),
            format!(
                "./lkmpg develop -- gdb -x {temp}/vm/gdbinit -ex 'target remote 127.0.0.1:4321' \
                 -ex 'lx-symbols {temp}/built'"
            )
        );
    }
}
