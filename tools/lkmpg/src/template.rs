// SPDX-License-Identifier: GPL-2.0-only

//! A VM that has booted and waits for its orders, saved: what others are restored
//! from, which takes a tenth of a boot's time.
//!
//! QEMU writes the state of the devices to one piece of memory. The VM's own
//! memory is another one, which is not copied: each restored VM has the same
//! pages until it writes to them.

use std::{fs::File, time::Instant};

use anyhow::{Result, bail};
use lkmpg_proto::Event;

use crate::{
    accel::Chosen,
    console::Console,
    machine::Machine,
    memory,
    qemu::{Happening, Vm},
};

/// How much of the console an error quotes, in lines.
const TAIL: usize = 3;

/// A saved VM. It is in memory only, and gone when this is dropped and the VMs
/// that were restored from it have ended.
pub struct Template {
    /// The machine.
    pub machine: Machine,
    /// How its instructions are run.
    pub accel: Chosen,
    /// Its memory.
    pub memory: File,
    /// The state of its devices.
    pub state: File,
}

impl Template {
    /// Boots `machine`, and saves it when it waits for its orders. An error says
    /// why that has not come to pass until `deadline`.
    pub fn make(machine: &Machine, accel: Chosen, deadline: Instant) -> Result<Self> {
        let template = Self {
            machine: machine.clone(),
            accel,
            memory: memory::create("ram", machine.bytes())?,
            state: memory::create("state", 0)?,
        };
        let mut vm = Vm::boot_for(&template)?;
        let mut console = Console::default();
        loop {
            match vm.next(Some(deadline))? {
                Happening::Line(line) => match Event::from_line(&line) {
                    Ok(Event::Waiting) => break,
                    _ => bail!("the guest says {line:?}"),
                },
                Happening::Console(text) => console.push(&text),
                Happening::Ended => bail!("the VM ended: {}", console.tail(TAIL)),
                Happening::Silence => bail!("the VM does not boot: {}", console.tail(TAIL)),
            }
        }
        vm.save()?;
        Ok(template)
    }
}
