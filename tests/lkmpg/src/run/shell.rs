// SPDX-License-Identifier: GPL-2.0-only

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lkmpg_proto::{Event, Mode, Request};

use crate::{
    accel,
    children::interrupted,
    cli::{Source, VmOptions},
    console::Console,
    image::Initrd,
    qemu::{Happening, Machine},
    source::Workshop,
    stop::Stop,
    terminal::Raw,
};

/// How much of the console an error quotes, in lines.
const TAIL: usize = 30;

/// How long the console must be quiet before the end of standard input is
/// taken to the guest.
const QUIET: Duration = Duration::from_millis(300);

/// Gives a shell in a VM with the examples' modules loaded.
pub fn shell(source: &Source, wanted: &[String], options: &VmOptions) -> Result<()> {
    let workshop = Workshop::open(source, wanted)?;
    let accel = accel::choose(options.accel, &workshop.vm)?;
    let request = Request::new(Mode::Shell, workshop.names.clone());
    let initrd = Initrd::compose(&workshop.vm.initrd, &workshop.modules, &request.modules)?;
    let mut machine = Machine::start(&workshop.vm, &initrd.path(), accel, &request)?;

    // Until the shell is there the console shows the boot, which is of
    // interest only when something goes wrong.
    let mut console = Console::default();
    let deadline = Instant::now() + options.timeout;
    loop {
        match machine.next(Some(deadline))? {
            Happening::Console(text) => console.push(&text),
            Happening::Line(line) if matches!(Event::from_line(&line), Ok(Event::Ready)) => break,
            Happening::Line(_) => {}
            Happening::Ended | Happening::Silence => {
                drop(machine);
                let tail = console.tail(TAIL);
                return Err(Stop::failed(match interrupted() {
                    true => "interrupted".to_owned(),
                    false => format!("the VM gives no shell; its last lines:\n{tail}"),
                }));
            }
        }
    }
    machine.drain_console()?;

    let _raw = Raw::enter().context("the terminal")?;
    machine.connect_keyboard();
    machine.answer()?;
    converse(&mut machine)
}

/// Shows the console until the VM ends.
fn converse(machine: &mut Machine) -> Result<()> {
    let mut console = Console::default();
    let mut over = false;
    loop {
        match machine.next(Some(Instant::now() + QUIET))? {
            // What the kernel says of powering off is of no interest.
            Happening::Console(_) if over => {}
            Happening::Console(text) => {
                console.push(&text);
                show(&text)?;
            }
            Happening::Line(line) => {
                if matches!(Event::from_line(&line), Ok(Event::End)) {
                    show(&machine.drain_console()?)?;
                    over = true;
                }
            }
            Happening::Silence => machine.type_end(),
            Happening::Ended if interrupted() => return Err(Stop::failed("interrupted")),
            Happening::Ended if console.panicked() => {
                return Err(Stop::failed("the kernel gave up; see above"));
            }
            Happening::Ended => return Ok(()),
        }
    }
}

fn show(text: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).context("standard output")?;
    stdout.flush().context("standard output")
}
