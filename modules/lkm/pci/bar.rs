// SPDX-License-Identifier: GPL-2.0-only

//! Registers of a device.

use super::Device;
use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    calls::Calls, //
};
use core::{
    ffi::CStr,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Registers of a device, at one of its base addresses: [`Device::bar`] makes it.
///
/// Reading or writing one is a message to the device, which can do anything. A device that was
/// pulled out reads as ones. Nobody else can have the registers meanwhile: `/proc/iomem` shows
/// the driver's name. Dropping this may sleep.
///
/// # Unloading
///
/// C has the driver's name only. *We wait* for those who read or write when the driver has the
/// device no more. From then on all of it fails with `ENODEV`.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::pci::Bar;
///
/// /// Sets bit 0 of the register at 0x20.
/// fn enable(bar: &Bar) -> Result {
///     bar.write32(0x20, bar.read32(0x20)? | 1)
/// }
/// ```
pub struct Bar(Alive<Mapping>);

/// # Invariants
///
/// `at` is null, or `lkm_pci_map` has mapped `len` bytes there, and as long as calls can begin or
/// one runs they are.
struct Mapping {
    device: Device,
    index: u32,
    at: *mut c_void,
    len: usize,
    calls: Calls,
}

// SAFETY: Any CPU may use registers.
unsafe impl Send for Mapping {}

// SAFETY: As above. What happens then is up to the device.
unsafe impl Sync for Mapping {}

// SAFETY: C has the name of the driver, which lives longer, until `stop` has returned.
unsafe impl Stop for Mapping {
    const NAME: &'static CStr = c"registers of PCI devices";
    const HAS_OWNER: bool = true;

    fn owner(&self) -> *const c_void {
        self.device.owner()
    }

    fn stop(&self) {
        if !self.at.is_null() {
            self.calls.close();
            // SAFETY: By the type invariants. Nobody uses them any more, and this is called once.
            unsafe { bindings::lkm_pci_unmap(self.device.raw(), self.index, self.at) };
        }
    }
}

impl Bar {
    pub(super) fn new(device: &Device, index: u32) -> Result<Self> {
        let _making = device.making()?;
        let mapping = try_init!(Mapping {
            device: device.clone(),
            index,
            at: ptr::null_mut(),
            len: 0,
            calls: Calls::opened(),
        }? Error);
        let mapping = Alive::new_of(mapping, |mapping| {
            let mapping = mapping.get_mut();
            // SAFETY: There is the device, as something is being made of it. This may sleep.
            // INVARIANT: Both are as C says.
            to_result(unsafe {
                bindings::lkm_pci_map(
                    mapping.device.raw(),
                    index,
                    &mut mapping.at,
                    &mut mapping.len,
                )
            })
        })?;
        Ok(Self(mapping))
    }

    /// How many bytes of registers there are. Can be called in any context.
    pub fn size(&self) -> usize {
        self.0.len
    }

    /// The address of the 32 bits at `offset`.
    fn find(&self, offset: usize) -> Result<*mut c_void> {
        match offset.checked_add(4) {
            Some(end) if end <= self.0.len && offset % 4 == 0 => {
                Ok(self.0.at.wrapping_byte_add(offset))
            }
            _ => Err(EINVAL),
        }
    }

    /// Reads the 32 bits at `offset`. What the device wrote to memory before is seen by who reads
    /// that after this. Can be called in any context except NMI.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is no such register, or `offset` is no multiple of 4;
    /// - `ENODEV`: the driver has the device no more.
    pub fn read32(&self, offset: usize) -> Result<u32> {
        let at = self.find(offset)?;
        let _running = self.0.calls.begin().ok_or(ENODEV)?;
        // SAFETY: By the type invariants, and it is one of these.
        Ok(unsafe { bindings::readl(at) })
    }

    /// Writes the 32 bits at `offset`. What was written to memory before is seen by the device.
    /// This can return before the value has reached it. Can be called in any context except
    /// NMI.
    ///
    /// # Errors
    ///
    /// Those of [`read32`](Self::read32).
    pub fn write32(&self, offset: usize, value: u32) -> Result {
        let at = self.find(offset)?;
        let _running = self.0.calls.begin().ok_or(ENODEV)?;
        // SAFETY: By the type invariants, and it is one of these.
        unsafe { bindings::writel(value, at) };
        Ok(())
    }
}
