// SPDX-License-Identifier: GPL-2.0-only

//! Takes the host's orders, and makes the VM its own: one that was restored has
//! the clock and the random numbers of all that were restored from the same
//! state.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    ptr, slice,
};

use anyhow::{Context, Result, ensure};
use lkmpg_proto::{FILES_DEVICE, FILES_VENDOR, Module, Orders};
use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    time::{ClockId, Timespec, clock_settime},
};

use crate::{
    module,
    syscalls::{Argument, ioctl},
};

/// The kernel's random numbers, random(4), and its ioctls: to add to what they
/// are made from, and to make them from that at once.
const RANDOM: &str = "/dev/random";
const RNDADDENTROPY: u32 = 0x4008_5203;
const RNDRESEEDCRNG: u32 = 0x5207;

/// Where the kernel lists PCI devices.
const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// Does what comes before the request itself.
pub fn prepare(orders: &Orders) -> Result<()> {
    reseed(&orders.seed).context(RANDOM)?;
    let now = Timespec::try_from(orders.time).context("the time")?;
    clock_settime(ClockId::Realtime, now).context("the clock")?;
    unpack(&orders.files).context("the modules' files")
}

/// Makes the kernel's random numbers new ones.
fn reseed(seed: &[u8]) -> Result<()> {
    let random = OpenOptions::new().write(true).open(RANDOM)?;
    // A struct rand_pool_info: how many bits are random, how many bytes follow.
    let bytes = u32::try_from(seed.len())?;
    let mut info = [8 * bytes, bytes].map(u32::to_ne_bytes).concat();
    info.extend_from_slice(seed);
    ioctl(&random, RNDADDENTROPY, Argument::Buffer(&mut info))?;
    ioctl(&random, RNDRESEEDCRNG, Argument::None)?;
    Ok(())
}

/// Writes the modules' files to where they are looked for.
fn unpack(files: &[Module]) -> Result<()> {
    let length = files.iter().map(|file| file.length).sum();
    if length == 0 {
        return Ok(());
    }
    let memory = Memory::map(&memory()?, length)?;
    let mut rest = memory.bytes();
    for file in files {
        let (bytes, others) = rest.split_at(file.length);
        let path = module::file(&file.name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        rest = others;
    }
    Ok(())
}

/// The folder of the device that is the memory with the files.
fn memory() -> Result<PathBuf> {
    let is = |device: &Path, file: &str, wanted: &str| {
        fs::read_to_string(device.join(file)).is_ok_and(|text| text.trim_end() == wanted)
    };
    let mut devices = fs::read_dir(PCI_DEVICES).context(PCI_DEVICES)?.flatten();
    let found = devices.find(|device| {
        let device = device.path();
        is(&device, "vendor", FILES_VENDOR) && is(&device, "device", FILES_DEVICE)
    });
    let found = found.context("there is no PCI device that has them")?;
    Ok(found.path())
}

/// The memory of a PCI device, to be read.
struct Memory {
    begin: *const u8,
    length: usize,
}

impl Memory {
    /// The first `length` bytes of that of `device`.
    fn map(device: &Path, length: usize) -> Result<Self> {
        let enable = device.join("enable");
        fs::write(&enable, "1").with_context(|| enable.display().to_string())?;
        let path = device.join("resource2");
        let place = || path.display().to_string();
        let file = File::open(&path).with_context(place)?;
        let size = file.metadata().with_context(place)?.len();
        ensure!(size >= length as u64, "{} has {size} bytes", place());
        let (read, shared) = (ProtFlags::READ, MapFlags::SHARED);
        // SAFETY: new memory, where the kernel likes.
        let begin = unsafe { mmap(ptr::null_mut(), length, read, shared, &file, 0) };
        Ok(Self {
            begin: begin.with_context(place)?.cast(),
            length,
        })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is there until `drop`, and the host writes no more
        // to it.
        unsafe { slice::from_raw_parts(self.begin, self.length) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody has a reference to it.
        let _ = unsafe { munmap(self.begin.cast_mut().cast(), self.length) };
    }
}
