// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the lines of `lkm::gpio`.

use core::{
    ffi::CStr,
    mem, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};
use lkm::{
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    gpio::{
        Gpio,
        Input,
        Output, //
    },
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    tasklet::{
        Handler,
        Tasklet, //
    },
};

mod commands;

use commands::*;

module! {
    type: GpioLines,
    name: "gpio-lines",
    authors: ["lkmpg-rs"],
    description: "Test only: the lines of lkm::gpio",
    license: "GPL",
}

const CHIP: &CStr = c"lkmpg";
const CONSUMER: &CStr = c"gpio-lines";

#[derive(Default)]
enum Line {
    #[default]
    Nothing,
    Gpio(Gpio),
    Output(Output),
    Input(Input),
}

/// Drops a line where it must not sleep.
#[pin_data]
struct Dropper {
    #[pin]
    line: IrqSpinLock<Line>,
}

impl Handler for Dropper {
    fn run(&self) {
        let line = mem::take(&mut *self.line.lock());
        drop(line);
    }
}

#[pin_data]
struct Control {
    #[pin]
    lines: Mutex<[Line; PLACES]>,
    #[pin]
    shared: Mutex<Option<Arc<Output>>>,
    dropper: Tasklet<Dropper>,
}

impl Control {
    fn new() -> Result<impl PinInit<Self>> {
        let dropper = Tasklet::new(pin_init!(Dropper {
            line <- new_irq_spinlock!(Line::Nothing),
        }))?;
        Ok(pin_init!(Self {
            lines <- new_mutex!([const { Line::Nothing }; PLACES]),
            shared <- new_mutex!(None),
            dropper,
        }))
    }

    fn take(&self, place: usize) -> Result<Line> {
        let mut lines = self.lines.lock();
        let line = lines.get_mut(place).ok_or(EINVAL)?;
        Ok(mem::take(line))
    }

    /// What was in that place is dropped when nothing is locked.
    fn put(&self, place: usize, new: Line) -> Result {
        let mut lines = self.lines.lock();
        let line = lines.get_mut(place).ok_or(EINVAL)?;
        let before = mem::replace(line, new);
        drop(lines);
        drop(before);
        Ok(())
    }

    fn set(&self, place: usize, level: bool) -> Result {
        match self.lines.lock().get(place) {
            Some(Line::Output(line)) => line.set(level),
            _ => Err(EBADF),
        }
    }

    fn read(&self, place: usize) -> Result<bool> {
        match self.lines.lock().get(place) {
            Some(Line::Output(line)) => line.get(),
            Some(Line::Input(line)) => line.get(),
            _ => Err(EBADF),
        }
    }

    fn shared(&self) -> Result<Arc<Output>> {
        let shared = self.shared.lock();
        shared.clone().ok_or(EBADF)
    }

    /// Drops the line in that place in a tasklet. One that waits there is dropped here.
    fn drop_in_softirq(&self, place: usize) -> Result {
        let line = self.take(place)?;
        let before = mem::replace(&mut *self.dropper.line.lock(), line);
        self.dropper.schedule();
        drop(before);
        Ok(())
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let (place, value) = (arg.number() & 0xff, (arg.number() >> 8) as u32);
        let level = value != 0;
        match cmd {
            GET => {
                let line = Gpio::get(CHIP, value, CONSUMER)?;
                self.put(place, Line::Gpio(line))?;
            }
            GET_ELSEWHERE => {
                let line = Gpio::get(c"nowhere", value, CONSUMER)?;
                self.put(place, Line::Gpio(line))?;
            }
            OUTPUT => {
                let line = match self.take(place)? {
                    Line::Gpio(line) => line.into_output(level)?,
                    Line::Input(line) => line.into_output(level)?,
                    _ => return Err(EBADF),
                };
                self.put(place, Line::Output(line))?;
            }
            INPUT => {
                let line = match self.take(place)? {
                    Line::Gpio(line) => line.into_input()?,
                    Line::Output(line) => line.into_input()?,
                    _ => return Err(EBADF),
                };
                self.put(place, Line::Input(line))?;
            }
            SET => self.set(place, level)?,
            READ => return Ok(self.read(place)?.into()),
            DROP => drop(self.take(place)?),
            DROP_IN_SOFTIRQ => self.drop_in_softirq(place)?,
            NUMBER => match self.take(place)? {
                Line::Input(line) => return Ok(line.irq()?.number()),
                _ => return Err(EBADF),
            },
            SHARE => match self.take(place)? {
                Line::Output(line) => {
                    let line = Arc::new(line, GFP_KERNEL)?;
                    let before = self.shared.lock().replace(line);
                    drop(before);
                }
                _ => return Err(EBADF),
            },
            USE_SHARED => {
                let line = self.shared()?;
                line.set(arg.number() != 0)?;
                return Ok(line.get()?.into());
            }
            DROP_SHARED => {
                let line = self.shared.lock().take();
                drop(line);
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct GpioLines {
    _entry: procfs::Entry<Control>,
}

impl kernel::Module for GpioLines {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _entry: procfs::Entry::new(c"gpio-lines", mode!(0o600), Control::new()?)?,
        })
    }
}
