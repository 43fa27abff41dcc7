// SPDX-License-Identifier: GPL-2.0-only

//! A GPIO controller whose lines are in memory, for modules that drive LEDs and wait for
//! buttons: what is connected to a line is a directory in /sys/kernel/rust_gpio_chip.

use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use lkm::{
    file::mode,
    gpio::chip::{
        self,
        Chip, //
    },
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    sysfs::{
        self,
        Page, //
    },
};

module! {
    type: RustGpioChip,
    name: "rust_gpio_chip",
    authors: ["lkmpg-rs"],
    description: "Rust GPIO controller sample: /sys/kernel/rust_gpio_chip",
    license: "GPL",
}

/// The directories of the lines.
const NAMES: [&CStr; 8] = [
    c"line0", c"line1", c"line2", c"line3", c"line4", c"line5", c"line6", c"line7",
];

#[derive(Clone, Copy)]
struct Line {
    output: bool,
    high: bool,
}

/// The inside: what the kernel wants of the lines.
#[pin_data]
struct Lines {
    // This chip does not sleep, so its lines can be used in the handlers of interrupts.
    // Only a lock that turns interrupts off is for those, too.
    #[pin]
    lines: IrqSpinLock<[Line; NAMES.len()]>,
}

impl Chip for Lines {
    fn direction_input(&self, line: u32) -> Result {
        self.lines.lock()[line as usize].output = false;
        Ok(())
    }

    fn direction_output(&self, line: u32, level: bool) -> Result {
        self.lines.lock()[line as usize] = Line {
            output: true,
            high: level,
        };
        Ok(())
    }

    fn get(&self, line: u32) -> Result<bool> {
        Ok(self.lines.lock()[line as usize].high)
    }

    fn set(&self, line: u32, level: bool) -> Result {
        self.lines.lock()[line as usize].high = level;
        Ok(())
    }
}

impl Lines {
    fn is_output(&self, line: u32) -> bool {
        self.lines.lock()[line as usize].output
    }

    /// Has something outside change the level of an input. Returns whether that is an edge.
    fn drive(&self, line: u32, level: bool) -> Result<bool> {
        let mut lines = self.lines.lock();
        let line = &mut lines[line as usize];
        if line.output {
            return Err(EBUSY);
        }
        let before = line.high;
        line.high = level;
        Ok(level != before)
    }
}

/// The outside of a line: an LED that one can look at, or a button that one can press.
struct Pin {
    chip: Arc<chip::Registration<Lines>>,
    line: u32,
}

static ATTRIBUTES: [sysfs::Attribute<Pin>; 2] = [
    sysfs::Attribute::read_write(c"level", mode!(0o644), Pin::show_level, Pin::store_level),
    sysfs::Attribute::read_only(c"direction", mode!(0o444), Pin::show_direction),
];

impl Pin {
    fn show_level(&self, page: &mut Page<'_>) -> Result {
        writeln!(page, "{}", u8::from(self.chip.get(self.line)?))
    }

    fn store_level(&self, text: &[u8]) -> Result {
        let level = match sysfs::parse::<u8>(text)? {
            0 => false,
            1 => true,
            _ => return Err(EINVAL),
        };
        if self.chip.drive(self.line, level)? {
            // Whoever has asked for such an edge gets an interrupt.
            self.chip.edge(self.line, level)?;
        }
        Ok(())
    }

    fn show_direction(&self, page: &mut Page<'_>) -> Result {
        let direction = match self.chip.is_output(self.line) {
            true => "out",
            false => "in",
        };
        writeln!(page, "{direction}")
    }
}

struct RustGpioChip {
    // Each has a reference to the chip, which goes with the last of them.
    _pins: KVec<sysfs::Dir<Pin>>,
}

impl kernel::Module for RustGpioChip {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let low = Line {
            output: false,
            high: false,
        };
        let lines = pin_init!(Lines {
            lines <- new_irq_spinlock!([low; NAMES.len()]),
        });
        let count = NAMES.len() as u32;
        let chip = chip::Registration::new(c"rust_gpio_chip", count, lines)?;
        let chip = Arc::new(chip, GFP_KERNEL)?;

        let dir = sysfs::Dir::new(c"rust_gpio_chip", &[], ())?;
        let mut pins = KVec::with_capacity(NAMES.len(), GFP_KERNEL)?;
        for (name, line) in NAMES.into_iter().zip(0..) {
            let chip = chip.clone();
            pins.push(
                dir.subdir(name, &ATTRIBUTES, Pin { chip, line })?,
                GFP_KERNEL,
            )?;
        }
        pr_info!("{count} lines\n");
        Ok(Self { _pins: pins })
    }
}
