// SPDX-License-Identifier: GPL-2.0-only

//! A GPIO chip that the kernel simulates, as configfs tells it to:
//! `Documentation/admin-guide/gpio/gpio-sim.rst`.

use std::{
    fs,
    os::fd::{FromRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;

use crate::{
    Vm,
    configfs::configfs,
    eventually::eventually,
    files::read_write,
    syscalls::{Argument, ioctl},
};

/// Simulated chips, in configfs.
const CHIPS: &str = "/sys/kernel/config/gpio-sim";

/// Ours.
const DEVICE: &str = "/sys/kernel/config/gpio-sim/lkmpg";
const BANK: &str = "/sys/kernel/config/gpio-sim/lkmpg/bank";

/// The chip's label, which the examples look for unless they are told another one.
pub const GPIO_CHIP: &str = "lkmpg";

/// How many lines it has.
pub const GPIO_LINES: u32 = 32;

/// The lines that modules have interrupts of. The kernel keeps the number of an interrupt,
/// and its files, until the chip goes.
const INTERRUPTS: [u32; 8] = [16, 17, 18, 19, 20, 21, 22, 23];

/// What the kernel makes chips of.
const NODES: &str = "/sys/kernel/software_nodes";

/// What the kernel called all of that at first.
static NAMES: OnceLock<Vec<String>> = OnceLock::new();

/// A line of the chip, as seen from outside: who turns it on the chip is a module, a process
/// or nobody, and this is what the wire is connected to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GpioLine(pub u32);

impl GpioLine {
    /// Whether the line is high.
    ///
    /// # Errors
    ///
    /// When there is no chip, or no such line.
    pub fn value(self) -> Result<bool> {
        Ok(read(&self.file("value")?)? == "1")
    }

    /// Waits until the line is high, or low.
    ///
    /// # Errors
    ///
    /// When it does not come to be.
    pub fn becomes(self, level: bool) -> Result<()> {
        let state = if level { "high" } else { "low" };
        let what = format!("line {} to be {state}", self.0);
        eventually(&what, || self.value().is_ok_and(|value| value == level))
    }

    /// Pulls the line up, or down: what drives it, if it is an input.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn pull(self, up: bool) -> Result<()> {
        let pull = if up { "pull-up" } else { "pull-down" };
        let file = self.file("pull")?;
        fs::write(&file, pull).with_context(|| file.display().to_string())
    }

    /// Takes the line for this process, until the result is dropped.
    ///
    /// # Errors
    ///
    /// The kernel's error number is at the root: [`Errno::BUSY`] when somebody has the line.
    pub fn take(self) -> Result<OwnedFd> {
        request(&[self.0], INPUT)
    }

    /// Waits until the line can be taken: nobody has it.
    ///
    /// # Errors
    ///
    /// When somebody keeps it.
    pub fn becomes_free(self) -> Result<()> {
        let what = format!("line {} to be given back", self.0);
        eventually(&what, || self.take().is_ok())
    }

    fn file(self, name: &str) -> Result<PathBuf> {
        let device = read(Path::new(&format!("{DEVICE}/dev_name")))?;
        let chip = chip_name()?;
        let path = format!(
            "/sys/devices/platform/{device}/{chip}/sim_gpio{}/{name}",
            self.0
        );
        Ok(path.into())
    }
}

/// For an example's `setup`: there is the chip, with all its lines pulled down.
///
/// # Errors
///
/// When this kernel does not simulate chips.
pub fn gpio_sim(vm: &mut Vm) -> Result<()> {
    configfs(vm)?;
    ensure!(
        Path::new(CHIPS).exists(),
        "this kernel lacks CONFIG_GPIO_SIM"
    );
    if !Path::new(DEVICE).exists() {
        fs::create_dir(DEVICE).context(DEVICE)?;
        fs::create_dir(BANK).context(BANK)?;
        let lines = GPIO_LINES.to_string();
        for (name, value) in [("num_lines", &*lines), ("label", GPIO_CHIP)] {
            fs::write(format!("{BANK}/{name}"), value).context(name)?;
        }
    }
    if !gpio_chip_is_there()? {
        gpio_chip_comes()?;
    }
    NAMES.get_or_init(|| names().unwrap_or_default());
    for line in 0..GPIO_LINES {
        GpioLine(line).pull(false)?;
    }
    Ok(())
}

/// The chip goes, whoever has lines of it.
///
/// # Errors
///
/// When it is not there.
pub fn gpio_chip_goes() -> Result<()> {
    live("0")
}

/// The chip is there again.
///
/// # Errors
///
/// When it is there already.
pub fn gpio_chip_comes() -> Result<()> {
    live("1")?;
    // So that the files of the interrupts are there before a module is.
    drop(request(&INTERRUPTS, INPUT | EDGE_RISING)?);
    Ok(())
}

/// The chip is there again, by the names that it had at first: the kernel gives it others
/// as long as somebody has a line of an older chip, or as it has not freed that.
///
/// # Errors
///
/// When somebody keeps such a line.
pub fn gpio_chip_comes_as_before() -> Result<()> {
    // A debug kernel frees a name some seconds late. A chip that came too early takes another
    // one, and that is free late, too.
    for pause in [0, 1, 5, 10, 30, 60] {
        if gpio_chip_is_there()? {
            gpio_chip_goes()?;
        }
        thread::sleep(Duration::from_secs(pause));
        if gpio_chip_comes().is_ok() && names().ok().as_ref() == NAMES.get() {
            return Ok(());
        }
    }
    bail!("somebody keeps a line of a chip that is gone")
}

fn gpio_chip_is_there() -> Result<bool> {
    Ok(read(Path::new(&format!("{DEVICE}/live")))? == "1")
}

fn live(value: &str) -> Result<()> {
    let path = format!("{DEVICE}/live");
    fs::write(&path, value).context(path)
}

/// What the kernel calls the chip, and what it makes chips of.
fn names() -> Result<Vec<String>> {
    let nodes = fs::read_dir(NODES).context(NODES)?;
    let names = nodes.map(|node| Ok(node?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort_unstable();
    names.push(chip_name()?);
    Ok(names)
}

/// What the kernel calls the chip.
fn chip_name() -> Result<String> {
    read(Path::new(&format!("{BANK}/chip_name")))
}

/// The contents of `file`, without the newline.
fn read(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(text.trim_end().to_owned())
}

/// How often the interrupt that `/proc/interrupts` calls `name` has come since boot, on all
/// CPUs. `None` when there is none.
///
/// # Errors
///
/// When the file cannot be read.
pub fn interrupts(name: &str) -> Result<Option<u64>> {
    let text = fs::read_to_string("/proc/interrupts").context("/proc/interrupts")?;
    Ok(interrupt(&text, name).map(|(_, count)| count))
}

/// The number of the interrupt that `/proc/interrupts` calls `name`.
///
/// # Errors
///
/// When the file cannot be read, or there is no such interrupt.
pub fn interrupt_number(name: &str) -> Result<u32> {
    let text = fs::read_to_string("/proc/interrupts").context("/proc/interrupts")?;
    let found = interrupt(&text, name).with_context(|| format!("no {name} in:\n{text}"))?;
    Ok(found.0)
}

/// The number of an interrupt, and how often it has come: a line has the number, a column
/// for each CPU, the chip, and the name at its end.
fn interrupt(text: &str, name: &str) -> Option<(u32, u64)> {
    let named = |line: &&str| line.split_whitespace().next_back() == Some(name);
    let line = text.lines().find(named)?;
    let (number, rest) = line.split_once(':')?;
    let counts = rest
        .split_whitespace()
        .map_while(|word| word.parse::<u64>().ok());
    Some((number.trim().parse().ok()?, counts.sum::<u64>()))
}

/// `GPIO_V2_LINE_FLAG_INPUT` and `GPIO_V2_LINE_FLAG_EDGE_RISING`.
const INPUT: u64 = 1 << 2;
const EDGE_RISING: u64 = 1 << 4;

/// `GPIO_V2_GET_LINE_IOCTL`.
const GET_LINE: u32 = 0xc250_b407;

/// A `struct gpio_v2_line_request`: its length, and where its members are. The flags are
/// the first of `config`.
const REQUEST: usize = 592;
const CONSUMER: usize = 256;
const FLAGS: usize = 288;
const NUM_LINES: usize = 560;
const FD: usize = 588;

/// Takes these lines of the chip.
fn request(lines: &[u32], flags: u64) -> Result<OwnedFd> {
    let path = format!("/dev/{}", chip_name()?);
    let chip = read_write(&path).with_context(|| path.clone())?;
    let mut request = [0_u8; REQUEST];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    for (n, line) in lines.iter().enumerate() {
        put(4 * n, &line.to_ne_bytes());
    }
    put(CONSUMER, b"test");
    put(FLAGS, &flags.to_ne_bytes());
    put(NUM_LINES, &u32::try_from(lines.len())?.to_ne_bytes());
    let result: Result<usize, Errno> = ioctl(&chip, GET_LINE, Argument::Buffer(&mut request));
    result.with_context(|| format!("{path}: lines {lines:?}"))?;
    let fd = request[FD..].try_into().map(i32::from_ne_bytes)?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_are_read() {
        let text = "            CPU0       CPU1       \n\
                    \x20  4:        103          0  XT-PIC      4  ttyS0\n\
                    \x20 17:          5          2  irq_sim    17  gpiomod#button1\n\
                    \x20 18:          0          0  irq_sim    18  Edge      gpiomod#button2\n\
                    \x20NMI:          1          2   Non-maskable interrupts\n";
        assert_eq!(interrupt(text, "gpiomod#button1"), Some((17, 7)));
        assert_eq!(interrupt(text, "gpiomod#button2"), Some((18, 0)));
        assert_eq!(interrupt(text, "gpiomod#button"), None);
        assert_eq!(interrupt(text, "interrupts"), None);
    }
}
