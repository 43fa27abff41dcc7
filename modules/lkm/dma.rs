// SPDX-License-Identifier: GPL-2.0-only

//! Memory that devices read and write by themselves.
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)
//!
//! Reference: <https://docs.kernel.org/core-api/dma-api.html>
//!
//! A device has its own address for such memory, which need not be that of the memory itself.
//! First its driver says how long an address may be: [`Device::set_dma_bits`].
//!
//! - [`Coherent`]: what one side writes, the other one sees at once. It is for what both often
//!   look at, such as a ring of commands.
//! - [`Streaming`]: only one side has the bytes at a time. That may be much faster, where caches
//!   do not see what a device does. It is for data.
//!
//! That is for platform devices. A PCI device has [memory](crate::pci::Coherent) of its own type.
//!
//! The `kernel` crate's [`dma`](kernel::dma) has coherent memory only. It can be kept when the
//! driver no longer has the device, and its type is not the same in all kernels.
//!
//! # Unloading
//!
//! C gets nothing of the module. Both types are for as long as the driver has the device, and
//! no longer: so they go with what the driver has for the device. If one is lost, its memory
//! stays, and the device has it still.

use crate::{
    bindings,
    memory,
    platform::Device, //
};
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::Atomic, //
};

impl Device {
    /// Says that the device can use addresses of so many bits: 32 without this call. It comes
    /// before there is memory for the device.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: that is none, or more than 64;
    /// - `EIO`: the machine's memory has longer ones, or the device has no such memory.
    pub fn set_dma_bits(&self, bits: u32) -> Result {
        if !(1..=64).contains(&bits) {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants. The number is good.
        to_result(unsafe { bindings::lkm_dma_set_mask(self.as_raw(), bits) })
    }

    /// The longest address that the device can use.
    pub fn dma_mask(&self) -> u64 {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_dma_mask(self.as_raw()) }
    }
}

/// Who writes to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The CPU. The device reads.
    ToDevice,
    /// The device. The CPU reads.
    FromDevice,
    /// One or the other.
    Both,
}

impl Direction {
    fn raw(self) -> c_int {
        match self {
            Self::ToDevice => bindings::dma_data_direction_DMA_TO_DEVICE as c_int,
            Self::FromDevice => bindings::dma_data_direction_DMA_FROM_DEVICE as c_int,
            Self::Both => bindings::dma_data_direction_DMA_BIDIRECTIONAL as c_int,
        }
    }
}

/// Fills `bytes` with those at `from`, which a device can change meanwhile.
///
/// # Safety
///
/// There are so many bytes.
pub(crate) unsafe fn copy_from_device(from: *const u8, bytes: &mut [u8]) {
    for (n, byte) in bytes.iter_mut().enumerate() {
        // SAFETY: By this function's contract, and any byte will do.
        *byte = unsafe { from.add(n).read_volatile() };
    }
}

/// Writes `bytes` to where a device can read them meanwhile.
///
/// # Safety
///
/// There is so much room, and nobody has a reference to what is there.
pub(crate) unsafe fn copy_to_device(bytes: &[u8], to: *mut u8) {
    for (n, byte) in bytes.iter().enumerate() {
        // SAFETY: By this function's contract.
        unsafe { to.add(n).write_volatile(*byte) };
    }
}

/// # Invariants
///
/// `lkm_dma_alloc()` has returned `at` and `address` for the other values, and only this frees
/// it.
struct Memory<'bound> {
    device: &'bound Device,
    at: NonNull<u8>,
    len: usize,
    direction: c_int,
    address: u64,
}

// SAFETY: The memory belongs to no thread, and can be freed in any.
unsafe impl Send for Memory<'_> {}

// SAFETY: Bytes are only copied one by one, or accessed atomically.
unsafe impl Sync for Memory<'_> {}

impl<'bound> Memory<'bound> {
    fn new(device: &'bound Device, len: usize, direction: c_int) -> Result<Self> {
        if len == 0 {
            return Err(EINVAL);
        }
        // C rounds it up.
        if len as u64 > memory::total() {
            return Err(ENOMEM);
        }
        let mut address = 0_u64;
        // SAFETY: The driver has the device, the length is good, and this may sleep.
        // Unload rule: C gets nothing of the module.
        let at = unsafe { bindings::lkm_dma_alloc(device.as_raw(), len, direction, &mut address) };
        let at = NonNull::new(at.cast::<u8>()).ok_or(ENOMEM)?;
        // INVARIANT: It was just allocated.
        Ok(Self {
            device,
            at,
            len,
            direction,
            address,
        })
    }

    /// The place of `len` bytes from `offset` on.
    fn find(&self, offset: usize, len: usize) -> Result<*mut u8> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.at.as_ptr().wrapping_add(offset)),
            _ => Err(EINVAL),
        }
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result {
        let from = self.find(offset, bytes.len())?;
        // SAFETY: There are so many bytes.
        unsafe { copy_from_device(from, bytes) };
        Ok(())
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result {
        let to = self.find(offset, bytes.len())?;
        // SAFETY: There is so much room. Nobody has a reference to what is there.
        unsafe { copy_to_device(bytes, to) };
        Ok(())
    }

    /// Does `what` with `len` bytes from `offset` on while the CPU has them.
    fn with(&self, offset: usize, len: usize, what: impl FnOnce() -> Result) -> Result {
        self.find(offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let (device, address) = (self.device.as_raw(), self.address + offset as u64);
        // SAFETY: The device has these bytes at that address.
        unsafe { bindings::lkm_dma_for_cpu(device, address, len, self.direction) };
        let result = what();
        // SAFETY: As above.
        unsafe { bindings::lkm_dma_for_device(device, address, len, self.direction) };
        result
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. The driver still has the device.
        unsafe {
            bindings::lkm_dma_free(
                self.device.as_raw(),
                self.len,
                self.direction,
                self.at.as_ptr().cast(),
                self.address,
            )
        };
    }
}

/// Memory that a device and the CPU use at the same time. It is full of zeroes at first.
///
/// The device can write at any time, so nobody has a reference to the bytes. They are copied
/// to and fro, or used as atomic numbers.
///
/// # Context
///
/// The drop may sleep: it must not be done with interrupts off or a spinlock held, nor in an
/// interrupt. The kernel complains of interrupts that are off, and of all of it if it was built
/// with `CONFIG_DEBUG_ATOMIC_SLEEP`.
///
/// # Examples
///
/// A driver that has a ring for each of its devices:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     dma::Coherent,
///     platform::{Device, Driver},
/// };
///
/// struct Rings;
///
/// struct Ring<'bound> {
///     commands: Coherent<'bound>,
/// }
///
/// impl<'bound> Ring<'bound> {
///     fn new(device: &'bound Device) -> Result<Self> {
///         device.set_dma_bits(32)?;
///         let commands = Coherent::new(device, 4096)?;
///         commands.write_slice(0, b"begin")?;
///         pr_info!("the device has it at {:#x}\n", commands.address());
///         Ok(Self { commands })
///     }
/// }
///
/// #[vtable]
/// impl Driver for Rings {
///     type Private<'bound> = Ring<'bound>;
///
///     fn probe<'bound>(
///         &'bound self,
///         device: &'bound Device,
///     ) -> impl PinInit<Ring<'bound>, Error> + 'bound {
///         Ring::new(device)
///     }
/// }
/// ```
pub struct Coherent<'bound>(Memory<'bound>);

impl<'bound> Coherent<'bound> {
    /// Allocates so many bytes, all in one piece: at the beginning of a page. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `len` is 0;
    /// - `ENOMEM`: no memory that the device can have, or none in one piece. The most that there
    ///   can be are 4 MiB, as a rule.
    pub fn new(device: &'bound Device, len: usize) -> Result<Self> {
        Memory::new(device, len, bindings::dma_data_direction_DMA_NONE as c_int).map(Self)
    }

    /// How many bytes there are. Can be called in any context, as the other methods.
    pub fn size(&self) -> usize {
        self.0.len
    }

    /// The address that the device has for the first byte.
    pub fn address(&self) -> u64 {
        self.0.address
    }

    /// Fills `bytes` with those from `offset` on. The device can write meanwhile.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes.
    pub fn read_slice(&self, offset: usize, bytes: &mut [u8]) -> Result {
        self.0.read(offset, bytes)
    }

    /// Writes all of `bytes`, from `offset` on. The device can read meanwhile.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is not so much room. Nothing was written.
    pub fn write_slice(&self, offset: usize, bytes: &[u8]) -> Result {
        self.0.write(offset, bytes)
    }

    /// The four bytes at `offset` as a number that changes as a whole, in the order of bytes that
    /// the CPU has.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes, or `offset` is no multiple of 4.
    pub fn atomic_u32(&self, offset: usize) -> Result<&Atomic<u32>> {
        if offset % align_of::<Atomic<u32>>() != 0 {
            return Err(EINVAL);
        }
        let at = self.0.find(offset, size_of::<u32>())?;
        // SAFETY: The memory is that of whole pages, and the offset is aligned. The bytes are
        // there as long as the result, and any bytes will do. What others do to them is volatile
        // or atomic, or done by the device.
        Ok(unsafe { Atomic::from_ptr(at.cast()) })
    }
}

/// Memory that a device and the CPU use in turn. It is full of zeroes at first.
///
/// The device has it. The methods take the bytes that they are for from the device, copy them,
/// and give them back. The driver sees to it that the device does not use them meanwhile:
/// otherwise some are what the one side has written, and some what the other has.
///
/// # Context
///
/// The drop may sleep: it must not be done with interrupts off or a spinlock held, nor in an
/// interrupt. The kernel complains of that if it was built with `CONFIG_DEBUG_ATOMIC_SLEEP`.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     dma::{Direction, Streaming},
///     platform::Device,
/// };
///
/// /// Sends `bytes`.
/// fn send(device: &Device, bytes: &[u8]) -> Result {
///     let mut buffer = Streaming::new(device, bytes.len(), Direction::ToDevice)?;
///     buffer.write(0, bytes)?;
///     // Here the device would be told the address, and this would wait for it.
///     pr_info!("to be read from {:#x}\n", buffer.address());
///     Ok(())
/// }
/// ```
pub struct Streaming<'bound> {
    memory: Memory<'bound>,
    direction: Direction,
}

impl<'bound> Streaming<'bound> {
    /// Allocates so many bytes, all in one piece: at the beginning of a page. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Coherent::new`].
    pub fn new(device: &'bound Device, len: usize, direction: Direction) -> Result<Self> {
        Ok(Self {
            memory: Memory::new(device, len, direction.raw())?,
            direction,
        })
    }

    /// How many bytes there are. Can be called in any context, as the other methods.
    pub fn size(&self) -> usize {
        self.memory.len
    }

    /// The address that the device has for the first byte.
    pub fn address(&self) -> u64 {
        self.memory.address
    }

    /// Fills `bytes` with those from `offset` on.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes.
    pub fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result {
        let memory = &self.memory;
        memory.with(offset, bytes.len(), || memory.read(offset, bytes))
    }

    /// Writes all of `bytes`, from `offset` on.
    ///
    /// # Errors
    ///
    /// - `EPERM`: the memory is [`FromDevice`](Direction::FromDevice);
    /// - `EINVAL`: there is not so much room. Nothing was written.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result {
        if self.direction == Direction::FromDevice {
            return Err(EPERM);
        }
        let memory = &self.memory;
        memory.with(offset, bytes.len(), || memory.write(offset, bytes))
    }
}
