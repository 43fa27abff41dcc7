// SPDX-License-Identifier: GPL-2.0-only

//! A device that a driver has, and its interrupt.

use super::{
    Bar,
    Coherent, //
};
use crate::{
    alive::{
        self,
        Alive,
        Stop, //
    },
    bindings,
    callers::{
        Callers,
        Inside, //
    },
    calls::{
        Calls,
        Running, //
    },
    irq::Source, //
};
use core::ffi::CStr;
use kernel::{
    fmt,
    prelude::*,
    sync::Arc, //
};

/// A PCI device that a driver has. Clones are the same device.
///
/// It can be kept, but when [`remove`](super::Driver::remove) has returned, all methods fail with
/// `ENODEV`, also if the same device is there again. It prints as the device's address, such as
/// `0000:00:02.0`.
///
/// # Unloading
///
/// Nothing is registered: it is memory of the module's own, for as long as somebody has it.
#[derive(Clone)]
pub struct Device(Arc<Binding>);

/// # Invariants
///
/// `raw` is the device of a driver that has it as long as calls can begin or one runs, and as
/// long as there is a thing in an `Alive` that goes with this and is not stopped.
struct Binding {
    raw: *mut bindings::lkm_pci_device,
    domain: u32,
    place: u32,
    /// Those who make something of the device.
    calls: Calls,
}

// SAFETY: C has locks for what is done with a device.
unsafe impl Send for Binding {}

// SAFETY: As above.
unsafe impl Sync for Binding {}

/// Something is being made of a device, which has a driver as long as this lives.
#[must_use]
pub(crate) struct Making<'a> {
    _running: Running<'a>,
    // Dropped last.
    _inside: Inside,
}

impl Device {
    /// # Safety
    ///
    /// `raw` is the device of a driver that has it until [`end`](Self::end) has returned.
    pub(super) unsafe fn new(raw: *mut bindings::lkm_pci_device) -> Result<Self> {
        let (mut domain, mut place) = (0, 0);
        // SAFETY: By this function's contract.
        unsafe { bindings::lkm_pci_place(raw, &mut domain, &mut place) };
        // INVARIANT: By this function's contract.
        let binding = Binding {
            raw,
            domain,
            place,
            calls: Calls::opened(),
        };
        Ok(Self(Arc::new(binding, GFP_KERNEL)?))
    }

    /// The driver has the device no more: nothing is made of it any more, and what was made is
    /// taken back. May sleep.
    ///
    /// # Safety
    ///
    /// This is called once.
    pub(super) unsafe fn end(&self) {
        // Unload rule, we wait: whoever makes something has listed it when this returns.
        self.0.calls.close();
        // It accesses no memory any more that is freed now, and does not interrupt those who
        // cannot ask it.
        // SAFETY: By the type invariants: C has the device until this has returned.
        unsafe { bindings::lkm_pci_silence(self.0.raw) };
        alive::stop_all_of(self.owner());
    }

    /// What goes with it has this as its owner in an [`Alive`].
    pub(crate) fn owner(&self) -> *const c_void {
        Arc::as_ptr(&self.0).cast()
    }

    /// For things in an [`Alive`] that go with the device, and for those who make one.
    pub(super) fn raw(&self) -> *mut bindings::lkm_pci_device {
        self.0.raw
    }

    /// Begins to make something in an [`Alive`] that goes with the device.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the driver has the device no more.
    pub(crate) fn making(&self) -> Result<Making<'_>> {
        let inside = Callers::PCI.begin();
        Ok(Making {
            _running: self.0.calls.begin().ok_or(ENODEV)?,
            _inside: inside,
        })
    }

    /// From now on the device can access memory by itself, and send interrupts as messages. May
    /// sleep.
    ///
    /// Call this when the device does nothing that somebody has told it before: a driver that
    /// had it earlier, or the firmware.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the driver has the device no more.
    pub fn set_master(&self) -> Result {
        let _making = self.making()?;
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_pci_set_master(self.raw()) };
        Ok(())
    }

    /// The registers at the base address with the number `index`, from 0 to 5. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is nothing with that number, or ports that are no memory;
    /// - `EBUSY`: somebody has the registers; the kernel also prints a line;
    /// - `ENOMEM`;
    /// - `ENODEV`: the driver has the device no more;
    /// - `ESHUTDOWN`: the module ends.
    pub fn bar(&self, index: u32) -> Result<Bar> {
        Bar::new(self, index)
    }

    /// Memory of `len` bytes that the device and the CPUs can access at the same time. It is
    /// full of zeroes. May sleep.
    ///
    /// It begins at a page, and has an address that the device can use: one of
    /// [`DMA_BITS`](super::Driver::DMA_BITS).
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `len` is 0;
    /// - `ENOMEM`: there is not so much memory in one piece that the device can reach. The most
    ///   that there can be are 4 MiB, as a rule;
    /// - `ENODEV`: the driver has the device no more;
    /// - `ESHUTDOWN`: the module ends.
    pub fn coherent(&self, len: usize) -> Result<Coherent> {
        Coherent::new(self, len)
    }

    /// The device's interrupt, for [`Irq::new`](crate::irq::Irq::new), as a message: MSI or
    /// MSI-X. The device can send it after [`set_master`](Self::set_master) only. Nobody shares
    /// it, and its trigger is [`Unchanged`](crate::irq::Trigger::Unchanged). May sleep.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: somebody has the device's interrupt, of this kind or the other;
    /// - `ENOSPC`, `EINVAL`, `ENOTSUPP`: the device has no such interrupt, or the machine has none
    ///   left, or has none at all;
    /// - `ENOMEM`;
    /// - `ENODEV`: the driver has the device no more;
    /// - `ESHUTDOWN`: the module ends;
    /// - those of the machine's interrupt controller.
    pub fn msi(&self) -> Result<Source> {
        self.interrupt(true)
    }

    /// The device's interrupt as a line that is low until somebody has told the device that he
    /// has heard: INTx. Other devices may have the same line, so a handler has to ask its
    /// device, and its flags have to suit the others: all have a
    /// [thread](crate::irq::Handler::thread), or none has. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`msi`](Self::msi), and:
    ///
    /// - `ENOTCONN`: the line leads nowhere.
    pub fn intx(&self) -> Result<Source> {
        self.interrupt(false)
    }

    fn interrupt(&self, is_msi: bool) -> Result<Source> {
        let _making = self.making()?;
        let interrupt = try_init!(Interrupt {
            device: self.clone(),
            is_msi,
            number: 0,
        }? Error);
        let interrupt = Alive::new_of(interrupt, |interrupt| {
            // SAFETY: By the type invariants, and this may sleep.
            // Unload rule: C gets nothing of the module.
            let number = unsafe { bindings::lkm_pci_irq_get(self.raw(), is_msi) };
            if number <= 0 {
                return Err(Error::from_errno(number));
            }
            // INVARIANT: It was just got.
            interrupt.get_mut().number = number as u32;
            Ok(())
        })?;
        Ok(Source::of_vector(interrupt.number, Vector(interrupt)))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (domain, place) = (self.0.domain, self.0.place);
        let (bus, device, function) = (place >> 8, (place >> 3) & 0x1f, place & 7);
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

/// The interrupt of a device, which is what a [`Source`] owns.
pub(crate) struct Vector(Alive<Interrupt>);

/// # Invariants
///
/// `number` is 0, or `lkm_pci_irq_get` has returned it for the device, and it was not put yet.
struct Interrupt {
    device: Device,
    is_msi: bool,
    number: u32,
}

// SAFETY: C has no pointer to the module for it. Handlers are newer: they are removed before.
unsafe impl Stop for Interrupt {
    const NAME: &'static CStr = c"interrupts of PCI devices";
    const HAS_OWNER: bool = true;

    fn owner(&self) -> *const c_void {
        self.device.owner()
    }

    fn stop(&self) {
        if self.number != 0 {
            // SAFETY: By the type invariants. A handler owns this, and goes with the same
            // device, and so was removed. This is called once.
            unsafe { bindings::lkm_pci_irq_put(self.device.raw()) };
        }
    }
}

impl Vector {
    /// Whether other devices may have it, too.
    pub(crate) fn is_shared(&self) -> bool {
        !self.0.is_msi
    }

    /// The device that it is of.
    pub(crate) fn device(&self) -> &Device {
        &self.0.device
    }
}
