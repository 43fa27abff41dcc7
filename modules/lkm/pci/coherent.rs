// SPDX-License-Identifier: GPL-2.0-only

//! Memory that a device accesses by itself.

use super::Device;
use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    calls::{
        Calls,
        Running, //
    },
    dma,
    memory, //
};
use core::{
    ffi::CStr,
    ptr, //
};
use kernel::prelude::*;

/// Memory that a device and the CPUs can access at the same time: [`Device::coherent`] makes it.
///
/// The device can write at any time. So nobody has a reference to the bytes, and they are copied
/// to and fro. Dropping this may sleep. The device must not use it any more then.
///
/// # Unloading
///
/// C has nothing of the module. *We wait* for those who copy when the driver has the device no
/// more. From then on all of it fails with `ENODEV`, and the device cannot access memory.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::pci::{Bar, Coherent};
///
/// /// Tells the device at which address there are 4 bytes for it.
/// fn give(bar: &Bar, memory: &Coherent) -> Result {
///     memory.write_slice(0, &[1, 2, 3, 4])?;
///     bar.write32(0x80, memory.address() as u32)
/// }
/// ```
pub struct Coherent(Alive<Memory>);

/// # Invariants
///
/// `at` is null, or the first of `len` bytes that `lkm_pci_dma_alloc` has returned with `address`,
/// and as long as calls can begin or one runs they are there.
struct Memory {
    device: Device,
    at: *mut u8,
    address: u64,
    len: usize,
    calls: Calls,
}

// SAFETY: The memory belongs to no thread.
unsafe impl Send for Memory {}

// SAFETY: Bytes are only copied one by one.
unsafe impl Sync for Memory {}

// SAFETY: C has no pointer to the module for it.
unsafe impl Stop for Memory {
    const NAME: &'static CStr = c"pieces of memory for PCI devices";
    const HAS_OWNER: bool = true;

    fn owner(&self) -> *const c_void {
        self.device.owner()
    }

    fn stop(&self) {
        if !self.at.is_null() {
            self.calls.close();
            // SAFETY: By the type invariants. Nobody uses it any more, and this is called once.
            unsafe {
                bindings::lkm_pci_dma_free(
                    self.device.raw(),
                    self.len,
                    self.at.cast(),
                    self.address,
                )
            };
        }
    }
}

impl Coherent {
    pub(super) fn new(device: &Device, len: usize) -> Result<Self> {
        if len == 0 {
            return Err(EINVAL);
        }
        // C reckons with what it rounds up.
        if len as u64 > memory::total() {
            return Err(ENOMEM);
        }
        let _making = device.making()?;
        let memory = try_init!(Memory {
            device: device.clone(),
            at: ptr::null_mut(),
            address: 0,
            len,
            calls: Calls::opened(),
        }? Error);
        let memory = Alive::new_of(memory, |memory| {
            let memory = memory.get_mut();
            // SAFETY: There is the device, as something is being made of it. This may sleep.
            let at = unsafe {
                bindings::lkm_pci_dma_alloc(memory.device.raw(), len, &mut memory.address)
            };
            // INVARIANT: It was just allocated, if it is not null.
            memory.at = at.cast();
            match at.is_null() {
                true => Err(ENOMEM),
                false => Ok(()),
            }
        })?;
        Ok(Self(memory))
    }

    /// How many bytes there are. Can be called in any context.
    pub fn size(&self) -> usize {
        self.0.len
    }

    /// What the device knows the first byte by. Can be called in any context.
    pub fn address(&self) -> u64 {
        self.0.address
    }

    /// The address of `len` bytes from `offset` on, which are there as long as the call.
    fn find(&self, offset: usize, len: usize) -> Result<(*mut u8, Running<'_>)> {
        match offset.checked_add(len) {
            Some(end) if end <= self.0.len => {
                let running = self.0.calls.begin().ok_or(ENODEV)?;
                Ok((self.0.at.wrapping_add(offset), running))
            }
            _ => Err(EINVAL),
        }
    }

    /// Fills `bytes` with those from `offset` on. The device can write meanwhile: then some are
    /// what was there before. Can be called in any context except NMI.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes;
    /// - `ENODEV`: the driver has the device no more.
    pub fn read_slice(&self, offset: usize, bytes: &mut [u8]) -> Result {
        let (from, _running) = self.find(offset, bytes.len())?;
        // SAFETY: By the type invariants there are so many bytes.
        unsafe { dma::copy_from_device(from, bytes) };
        Ok(())
    }

    /// Writes all of `bytes`, from `offset` on. A device that reads meanwhile can get some of
    /// them and not the others. Can be called in any context except NMI.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is not so much room. Nothing was written;
    /// - `ENODEV`: the driver has the device no more.
    pub fn write_slice(&self, offset: usize, bytes: &[u8]) -> Result {
        let (to, _running) = self.find(offset, bytes.len())?;
        // SAFETY: By the type invariants there is so much room. Nobody has a reference to what
        // is there.
        unsafe { dma::copy_to_device(bytes, to) };
        Ok(())
    }
}
