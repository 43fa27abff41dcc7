// SPDX-License-Identifier: GPL-2.0-only

//! GPIO lines as user space has them: `/dev/gpiochipN`.
//!
//! Reference: `include/uapi/linux/gpio.h`, version 2 of that interface.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, FromRawFd},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;

use crate::syscalls::{Argument, ioctl};

/// What a request says of its lines; put together with `|`.
pub mod line {
    /// A level that is low counts as 1.
    pub const ACTIVE_LOW: u64 = 1 << 1;
    /// They become inputs.
    pub const INPUT: u64 = 1 << 2;
    /// They become outputs, at first low.
    pub const OUTPUT: u64 = 1 << 3;
    /// An input's rising edges are events.
    pub const RISING: u64 = 1 << 4;
    /// An input's falling edges are events.
    pub const FALLING: u64 = 1 << 5;
}

/// `struct gpiochip_info`: name, label and number of lines.
const CHIPINFO: u32 = 0x8044_b401;
const CHIPINFO_SIZE: usize = 68;
const LABEL: std::ops::Range<usize> = 32..64;
const LINES: usize = 64;

/// `struct gpio_v2_line_request`.
const GET_LINE: u32 = 0xc250_b407;
const REQUEST_SIZE: usize = 592;
const FLAGS: usize = 288;
const NUM_LINES: usize = 560;
const FD: usize = 588;

/// `struct gpio_v2_line_config`, the middle of the former.
const SET_CONFIG: u32 = 0xc110_b40d;
const CONFIG_SIZE: usize = 272;

/// `struct gpio_v2_line_values`: bits and mask.
const GET_VALUES: u32 = 0xc010_b40e;
const SET_VALUES: u32 = 0xc010_b40f;

/// The size of a `struct gpio_v2_line_event`.
const EVENT_SIZE: usize = 48;

/// A file of a GPIO controller.
#[derive(Debug)]
pub struct GpioChip {
    file: File,
    /// Its number of lines.
    pub lines: u32,
}

impl GpioChip {
    /// Opens the controller that is called `label`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(label: &str) -> Result<Self> {
        for entry in fs::read_dir("/dev")?.flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if !name.starts_with("gpiochip") {
                continue;
            }
            // It may be gone by now.
            let Ok(file) = File::open(entry.path()) else {
                continue;
            };
            let Ok(info) = info(&file) else { continue };
            let bytes = &info[LABEL];
            let end = bytes.iter().position(|byte| *byte == 0);
            if &bytes[..end.unwrap_or(bytes.len())] == label.as_bytes() {
                let lines = u32_at(&info, LINES);
                return Ok(Self { file, lines });
            }
        }
        bail!("there is no GPIO controller called {label}")
    }

    /// Whether there is a controller called `label`.
    #[must_use]
    pub fn exists(label: &str) -> bool {
        Self::open(label).is_ok()
    }

    /// Asks the controller again who it is.
    ///
    /// # Errors
    ///
    /// The kernel's error number: [`Errno::NODEV`] when it is gone.
    pub fn ask(&self) -> Result<(), Errno> {
        info(&self.file).map(|_| ())
    }

    /// Waits for a change of a line that is watched. None is, so only a signal ends this, or
    /// the end of the controller.
    ///
    /// # Errors
    ///
    /// As for `File::read`.
    pub fn wait(&self) -> io::Result<usize> {
        // As much as a change takes, and more.
        (&self.file).read(&mut [0; 512])
    }

    /// Requests lines, as `flags` of [`line`] say.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn request(&self, lines: &[u32], flags: u64) -> Result<LineRequest, Errno> {
        let mut request = [0_u8; REQUEST_SIZE];
        for (offset, place) in lines.iter().zip(request.chunks_exact_mut(4)) {
            place.copy_from_slice(&offset.to_ne_bytes());
        }
        request[FLAGS..][..8].copy_from_slice(&flags.to_ne_bytes());
        request[NUM_LINES..][..4].copy_from_slice(&(lines.len() as u32).to_ne_bytes());
        ioctl(&self.file, GET_LINE, Argument::Buffer(&mut request))?;
        let fd = u32_at(&request, FD) as i32;
        // SAFETY: the kernel has just opened it for us.
        let file = unsafe { File::from_raw_fd(fd) };
        Ok(LineRequest { file })
    }
}

impl AsFd for GpioChip {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Lines that were requested, until this is dropped. What `read(2)` reads are edges.
#[derive(Debug)]
pub struct LineRequest {
    file: File,
}

/// An edge that somebody has waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineEvent {
    /// The line's number.
    pub line: u32,
    /// Whether it is a rising edge.
    pub rising: bool,
    /// The event's number, from 1 on.
    pub number: u32,
}

impl LineRequest {
    /// The values: the first line's is bit 0.
    ///
    /// # Errors
    ///
    /// The kernel's error number, or the chip's.
    pub fn get(&self, count: u32) -> Result<u64, Errno> {
        let mut values = [0_u8; 16];
        values[8..].copy_from_slice(&mask(count).to_ne_bytes());
        ioctl(&self.file, GET_VALUES, Argument::Buffer(&mut values))?;
        Ok(u64_at(&values, 0))
    }

    /// Whether the only line, or the first, is 1.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn is_high(&self) -> Result<bool, Errno> {
        Ok(self.get(1)? == 1)
    }

    /// Sets the values of outputs.
    ///
    /// # Errors
    ///
    /// The kernel's error number, or the chip's.
    pub fn set(&self, count: u32, bits: u64) -> Result<(), Errno> {
        let mut values = [0_u8; 16];
        values[..8].copy_from_slice(&bits.to_ne_bytes());
        values[8..].copy_from_slice(&mask(count).to_ne_bytes());
        ioctl(&self.file, SET_VALUES, Argument::Buffer(&mut values)).map(|_| ())
    }

    /// Makes all lines what `flags` of [`line`] say.
    ///
    /// # Errors
    ///
    /// The kernel's error number, or the chip's.
    pub fn configure(&self, flags: u64) -> Result<(), Errno> {
        let mut config = [0_u8; CONFIG_SIZE];
        config[..8].copy_from_slice(&flags.to_ne_bytes());
        ioctl(&self.file, SET_CONFIG, Argument::Buffer(&mut config)).map(|_| ())
    }

    /// The next edge. Waits as long as there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn event(&self) -> Result<LineEvent> {
        let mut event = [0_u8; EVENT_SIZE];
        let read = (&self.file).read(&mut event).context("an edge")?;
        ensure!(read == EVENT_SIZE, "{read} bytes are no edge");
        Ok(LineEvent {
            rising: u32_at(&event, 8) == 1,
            line: u32_at(&event, 12),
            number: u32_at(&event, 16),
        })
    }
}

impl AsFd for LineRequest {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn info(file: &File) -> Result<[u8; CHIPINFO_SIZE], Errno> {
    let mut info = [0_u8; CHIPINFO_SIZE];
    ioctl(file, CHIPINFO, Argument::Buffer(&mut info))?;
    Ok(info)
}

/// The lowest `count` bits.
fn mask(count: u32) -> u64 {
    u64::MAX >> (64 - count)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Direction, size, kind and number, as `_IOC()` puts them together.
    fn number(direction: u32, number: u32, size: usize) -> u32 {
        (direction << 30) | ((size as u32) << 16) | (0xb4 << 8) | number
    }

    #[test]
    fn commands_have_the_sizes_of_their_arguments() {
        assert_eq!(CHIPINFO, number(2, 1, CHIPINFO_SIZE));
        assert_eq!(GET_LINE, number(3, 7, REQUEST_SIZE));
        assert_eq!(SET_CONFIG, number(3, 13, CONFIG_SIZE));
        assert_eq!(GET_VALUES, number(3, 14, 16));
        assert_eq!(SET_VALUES, number(3, 15, 16));
        // Offsets, the consumer's name; the configuration; then numbers.
        assert_eq!(FLAGS, 64 * 4 + 32);
        assert_eq!(CONFIG_SIZE, 8 + 4 + 5 * 4 + 10 * 24);
        assert_eq!(NUM_LINES, FLAGS + CONFIG_SIZE);
        assert_eq!(FD, NUM_LINES + 4 + 4 + 5 * 4);
        assert_eq!(REQUEST_SIZE, FD + 4);
    }

    #[test]
    fn masks_have_as_many_bits() {
        assert_eq!(mask(1), 1);
        assert_eq!(mask(8), 0xff);
        assert_eq!(mask(64), u64::MAX);
    }
}
