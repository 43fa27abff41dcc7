// SPDX-License-Identifier: GPL-2.0-only

//! The device: what its registers are, and how it is used.
//!
//! Reference: <https://www.qemu.org/docs/master/specs/edu.html>

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    file::File,
    irq::Reply,
    new_wait_queue,
    pci::{
        Bar,
        Coherent, //
    },
    sync::WaitQueue, //
};

/// Registers, by their offset in BAR 0. Those for DMA have 64 bits; the upper ones are 0 when
/// 32 are written.
const ID: usize = 0x00;
const LIVENESS: usize = 0x04;
const FACTORIAL: usize = 0x08;
const STATUS: usize = 0x20;
const IRQ_STATUS: usize = 0x24;
const IRQ_RAISE: usize = 0x60;
const IRQ_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

/// In the lower byte of [`ID`].
const EDU: u32 = 0xed;

/// In [`STATUS`]: it computes, and it is to interrupt when it has done that.
const COMPUTING: u32 = 0x01;
const INTERRUPT_AFTER: u32 = 0x80;

/// In [`IRQ_STATUS`]: why it interrupts. The last one is only ours.
const COMPUTED: u32 = 0x001;
const TRANSFERRED: u32 = 0x100;
const RAISED: u32 = 0x200;

/// In [`DMA_COMMAND`]: begin, to the memory of the machine and not from there, and interrupt
/// afterwards.
const RUN: u32 = 1;
const TO_MEMORY: u32 = 2;
const INTERRUPT: u32 = 4;

/// What a register of a device reads as that is not there any more.
const GONE: u32 = u32::MAX;

/// Where the device's own memory is to it. Only DMA gets there.
const BUFFER: u32 = 0x4_0000;
/// How many bytes that has.
pub(crate) const SIZE: usize = 4096;

/// What there is of a device. A file that is open can have it for longer than the driver has the
/// device. Then all of it fails with `ENODEV`.
#[pin_data]
pub(crate) struct Edu {
    bar: Bar,
    /// What the device copies from and to.
    memory: Coherent,
    /// Who copies. One signal can end the wait, and the device goes on: so this says whether it
    /// does.
    #[pin]
    copying: Mutex<()>,
    transfers: Atomic<u32>,
    /// Whether a factorial was asked for and not fetched, and whether it is there.
    #[pin]
    asked: Mutex<bool>,
    computed: Atomic<u32>,
    interrupts: Atomic<u32>,
    #[pin]
    events: WaitQueue,
}

impl Edu {
    pub(crate) fn new(bar: Bar, memory: Coherent) -> impl PinInit<Self> {
        pin_init!(Self {
            bar,
            memory,
            copying <- new_mutex!(()),
            transfers: Atomic::new(0),
            asked <- new_mutex!(false),
            computed: Atomic::new(0),
            interrupts: Atomic::new(0),
            events <- new_wait_queue!(),
        })
    }

    /// The version, if this is such a device. Somebody can have given the driver another one.
    pub(crate) fn version(bar: &Bar) -> Result<(u8, u8)> {
        let id = bar.read32(ID)?;
        match id & 0xff == EDU {
            true => Ok(((id >> 24) as u8, (id >> 16) as u8)),
            false => Err(ENODEV),
        }
    }

    /// Waits until the device does nothing any more. It goes on with what it was told, whoever
    /// has told it: nothing can stop it. It must not be allowed to access memory before that is
    /// over, nor may memory that it accesses be freed.
    pub(crate) fn quiet(bar: &Bar) -> Result {
        bar.write32(STATUS, 0)?;
        loop {
            let (status, command) = (bar.read32(STATUS)?, bar.read32(DMA_COMMAND)?);
            if status == GONE || command == GONE {
                return Err(ENODEV);
            }
            if status & COMPUTING == 0 && command & RUN == 0 {
                break;
            }
            fsleep(Delta::from_millis(1));
        }
        bar.write32(IRQ_ACKNOWLEDGE, u32::MAX)
    }

    /// From now on the device interrupts when it has computed something.
    pub(crate) fn start(&self) -> Result {
        self.bar.write32(STATUS, INTERRUPT_AFTER)
    }

    /// Ends all waits, and all that the device does. No other begins.
    pub(crate) fn stop(&self) {
        self.events.close();
        // Whoever has begun to copy has told the device when this is locked.
        let _copying = self.copying.lock();
        if Self::quiet(&self.bar).is_err() {
            pr_info!("the device is not there any more\n");
        }
    }

    /// The handler of the interrupt.
    pub(crate) fn interrupted(&self) -> Reply {
        // Where interrupts are lines, it may be another device's.
        let causes = match self.bar.read32(IRQ_STATUS) {
            Ok(causes) if causes != 0 && causes != GONE => causes,
            _ => return Reply::NotMine,
        };
        let _ = self.bar.write32(IRQ_ACKNOWLEDGE, causes);
        self.interrupts.fetch_add(1, Relaxed);
        if causes & TRANSFERRED != 0 {
            self.transfers.store(0, Release);
        }
        if causes & COMPUTED != 0 {
            self.computed.store(1, Release);
        }
        self.events.wake_up_all();
        Reply::Done
    }

    pub(crate) fn id(&self) -> Result<u32> {
        self.bar.read32(ID)
    }

    /// Whether it inverts what it is sent.
    pub(crate) fn is_alive(&self, number: u32) -> Result<bool> {
        // The register is one for all.
        let _asked = self.asked.lock();
        self.bar.write32(LIVENESS, number)?;
        Ok(self.bar.read32(LIVENESS)? == !number)
    }

    pub(crate) fn raise(&self) -> Result {
        self.bar.write32(IRQ_RAISE, RAISED)
    }

    pub(crate) fn interrupts(&self) -> u32 {
        self.interrupts.load(Relaxed)
    }

    pub(crate) fn events(&self) -> &WaitQueue {
        &self.events
    }

    /// Whether there is a result to be fetched.
    pub(crate) fn has_result(&self) -> bool {
        *self.asked.lock() && self.is_computed().unwrap_or(false)
    }

    /// An interrupt alone does not say it: it can be for what an earlier driver has asked.
    fn is_computed(&self) -> Result<bool> {
        let is_computing = self.bar.read32(STATUS)? & COMPUTING != 0;
        Ok(!is_computing && self.computed.load(Acquire) != 0)
    }

    pub(crate) fn start_factorial(&self, number: u32) -> Result {
        // That of 13 has more than 32 bits.
        if number > 12 {
            return Err(ERANGE);
        }
        let mut asked = self.asked.lock();
        // First of all: is there a device?
        self.bar.read32(STATUS)?;
        if *asked {
            return Err(EBUSY);
        }
        self.computed.store(0, Relaxed);
        self.bar.write32(FACTORIAL, number)?;
        *asked = true;
        Ok(())
    }

    pub(crate) fn factorial(&self, file: &File) -> Result<u32> {
        self.events
            .wait_unless_nonblocking(file, || self.try_factorial())?
    }

    fn try_factorial(&self) -> Option<Result<u32>> {
        let mut asked = self.asked.lock();
        match self.is_computed() {
            Err(error) => Some(Err(error)),
            Ok(_) if !*asked => Some(Err(EINVAL)),
            Ok(false) => None,
            Ok(true) => {
                *asked = false;
                Some(self.bar.read32(FACTORIAL))
            }
        }
    }

    /// Reads the device's memory from `at` on: it copies that to ours.
    pub(crate) fn read(&self, at: usize, bytes: &mut [u8]) -> Result {
        let _copying = self.copying.lock();
        self.wait_for_copy()?;
        let (from, to) = (BUFFER + at as u32, self.memory.address() as u32);
        self.copy(from, to, bytes.len(), TO_MEMORY)?;
        self.memory.read_slice(0, bytes)
    }

    /// Writes to the device's memory.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) -> Result {
        let _copying = self.copying.lock();
        self.wait_for_copy()?;
        self.memory.write_slice(0, bytes)?;
        let (from, to) = (self.memory.address() as u32, BUFFER + at as u32);
        self.copy(from, to, bytes.len(), 0)
    }

    /// Has the device copy `len` bytes, and waits for that.
    fn copy(&self, from: u32, to: u32, len: usize, direction: u32) -> Result {
        self.bar.write32(DMA_SOURCE, from)?;
        self.bar.write32(DMA_DESTINATION, to)?;
        self.bar.write32(DMA_COUNT, len as u32)?;
        self.transfers.store(1, Relaxed);
        self.bar.write32(DMA_COMMAND, RUN | direction | INTERRUPT)?;
        self.wait_for_copy()
    }

    fn wait_for_copy(&self) -> Result {
        let is_over = || (self.transfers.load(Acquire) == 0).then_some(());
        self.events.wait_interruptible(is_over)
    }
}
