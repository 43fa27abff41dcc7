// SPDX-License-Identifier: GPL-2.0-only

//! Drivers of PCI devices: registers, interrupts, and memory that the device accesses itself.
//!
//! C headers: [`include/linux/pci.h`](srctree/include/linux/pci.h),
//! [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)
//!
//! Reference: <https://docs.kernel.org/PCI/pci.html>
//!
//! The `kernel` crate's [`pci`](kernel::pci) and its `dma` are not the same on the kernels that
//! this crate is for. They rely on their values being dropped: the name of registers that were
//! lost stays in `/proc/iomem` when the module has gone. What they make belongs to a time, that
//! in which the driver has the device. So a file that is open cannot have it, nor can the handler
//! of an [interrupt](crate::irq).
//!
//! # Devices that go
//!
//! A driver has a device from [`probe`](Driver::probe) until [`remove`](Driver::remove). The
//! device can go at any time: somebody pulls it out, or takes it from its driver. Files that are
//! open then stay, and so do threads. Here a [`Device`], and what was made of it, can be
//! wherever it is wanted, for as long as one likes. When `remove` has returned it is empty: the
//! interrupt comes no more, and all else fails with `ENODEV`.
//!
//! # Who may do what
//!
//! A device can access memory by itself, all of it: that is DMA. It can do so only when its
//! driver has allowed it, by [`Device::set_master`], and not any more when `remove` has
//! returned. In between it is for the driver to tell the device of [`Coherent`] memory only. See
//! [`limits`](crate::limits).

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    callers::Callers,
    compat::CStrExt,
    errno::{
        self,
        error, //
    },
    file::is_name,
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::Deref,
    ptr, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

mod bar;
mod coherent;
mod device;

pub use bar::Bar;
pub use coherent::Coherent;
pub use device::Device;
pub(crate) use device::Vector;

/// A kind of devices: the numbers of its vendor, and of the vendor's product.
#[repr(transparent)]
pub struct Id(bindings::lkm_pci_id);

impl Id {
    /// The devices with these two numbers. Can be called in any context.
    pub const fn new(vendor: u16, device: u16) -> Self {
        Self(bindings::lkm_pci_id {
            vendor: vendor as u32,
            device: device as u32,
        })
    }
}

/// What is done with devices that are there, or come, and with those that go.
///
/// Nobody is told when the machine goes to sleep. A device is without power then, and can have
/// forgotten what its registers were.
///
/// # Context
///
/// The methods run in process context and may sleep. For different devices they can run at the
/// same time. The kernel has the device's lock meanwhile, which also who drops a [`Registration`]
/// wants. So a method may drop one, which then goes a little later. But it must not wait for a
/// thread that does so, and it cannot make one.
pub trait Driver: Send + Sync + 'static {
    /// What there is of a device for as long as the driver has it.
    type Data: Send + 'static;

    /// The devices that it is for. User space can give it others, too, by `driver_override` or
    /// `new_id` in sysfs.
    const IDS: &'static [Id];

    /// How many bits the addresses have that the device can access memory by. If the machine has
    /// no memory at such addresses, the driver gets no device: `EIO`.
    const DMA_BITS: u32 = 32;

    /// The driver gets a device. That answers, but neither interrupts nor accesses memory by
    /// itself yet.
    ///
    /// This can run before [`Registration::new`] has returned.
    ///
    /// # Errors
    ///
    /// The driver does not get the device. What was made of it is taken back, wherever it is.
    /// With `ENODEV` and `ENXIO` the kernel says nothing, with `EPROBE_DEFER` it tries again
    /// later. A process that writes to the driver's file `bind` gets the error. For other numbers
    /// from 512 on see [`Operations`](crate::file::Operations).
    fn probe(&self, device: &Device) -> Result<Self::Data>;

    /// The device goes. It can still be used, if it is still there: one that was pulled out
    /// reads as ones. The handler of its interrupt still runs. Whatever the device does by
    /// itself has to end here.
    ///
    /// What was made of the device, and is not dropped by then, is taken back afterwards.
    fn remove(&self, _data: Self::Data) {}
}

/// A PCI driver, for as long as this value lives. It dereferences to its [`Driver`].
///
/// It is in `/sys/bus/pci/drivers`, where `bind` and `unbind` give it a device, and take it away.
/// If udev is to load the module when there is such a device, it needs an alias in `module!`:
/// `pci:v00001234d000011E8sv*sd*bc*sc*i*` stands for `Id::new(0x1234, 0x11e8)`.
///
/// # Unloading
///
/// A driver that has a device does not keep the module. *Unregister waits*: dropping this takes
/// each device from the driver, waits for methods that run, and returns when none can begin. The
/// handlers of a device's interrupt are removed after [`remove`](Driver::remove), and waited
/// for. *We wait* for those who use registers or memory of a device. A driver whose handle is
/// lost ends in the same way, with the module.
///
/// Without a lock, C looks at some drivers for longer, such as who reads `/proc/bus/pci/devices`.
/// So the drop also waits until each task that runs in the kernel has slept, or has been in user
/// space, which takes some tenths of a second. A thread that never sleeps until something was
/// dropped would have it wait for ever.
///
/// A method may drop its own driver, or another one of the module. So may the thread of an
/// interrupt's handler. It does not wait then: that is done a little later. So it is while more
/// than 64 tasks are in methods.
///
/// # Examples
///
/// QEMU's device for teaching, which tells its version:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::pci::{self, Bar, Device, Driver, Id};
///
/// struct Edu;
///
/// impl Driver for Edu {
///     type Data = Bar;
///
///     const IDS: &'static [Id] = &[Id::new(0x1234, 0x11e8)];
///
///     fn probe(&self, device: &Device) -> Result<Bar> {
///         let bar = device.bar(0)?;
///         let version = bar.read32(0)?;
///         pr_info!("{device}: {version:#x}\n");
///         Ok(bar)
///     }
/// }
///
/// let driver = pci::Registration::new(c"edu", Edu)?;
/// # drop(driver);
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Driver>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_pci_driver_add` has returned it for this value, with the functions for
/// `T`, and it was not removed.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_pci_driver,
    #[pin]
    driver: T,
    // C has a pointer to the value.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread may remove a driver, and `T` is `Send`.
unsafe impl<T: Driver> Send for Inner<T> {}

// SAFETY: A shared reference gives access to `driver` only, and `T` is `Sync`.
unsafe impl<T: Driver> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, no device has the driver or gets it: C waits for `probe` and
// `remove`, which calls `end` for each device, and for those who look at the driver.
unsafe impl<T: Driver> Stop for Inner<T> {
    const NAME: &'static CStr = c"PCI drivers";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. This is called once, and may sleep.
            unsafe { bindings::lkm_pci_driver_remove(self.raw) };
        }
    }

    fn is_within(&self) -> bool {
        is_within()
    }
}

/// Whether the caller is a method of a driver of this module, makes something of a device, or is
/// the thread of an interrupt: whoever takes a device from its driver waits for those. Two that
/// drop each other's would wait for each other.
fn is_within() -> bool {
    // SAFETY: This only reads what belongs to the current task.
    Callers::PCI.may_have_current() || unsafe { bindings::lkm_irq_is_thread() }
}

/// What a driver has of a device.
struct Bound<T: Driver> {
    device: Device,
    data: T::Data,
}

impl<T: Driver> Registration<T> {
    /// Adds a driver, which gets the devices that are there before this returns. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name;
    /// - `EBUSY`: there is a PCI driver of that name; the kernel also prints a line;
    /// - `EEXIST`: so it is, but that one just comes or goes;
    /// - `EDEADLK`: the caller is a method of a driver, or the thread of an interrupt's handler, or
    ///   more than 64 tasks are in such methods, and nobody knows who;
    /// - `ENOMEM`, or `EINVAL` where C does not say that: there is no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `driver`.
    ///
    /// It is no error if there is no such device, or [`Driver::probe`] fails.
    pub fn new<E>(name: &CStr, driver: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        const {
            assert!(
                matches!(T::DMA_BITS, 1..=64),
                "an address has from 1 to 64 bits"
            )
        };
        if !is_name(name) {
            return Err(EINVAL);
        }
        // C takes the lock of each device that the driver is for, also of those that have one.
        if is_within() {
            return Err(error(bindings::EDEADLK));
        }
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            driver <- driver,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            let inner = unsafe { inner.get_unchecked_mut() };
            // SAFETY: The name is a string. It and the numbers are copied. The functions are for
            // a pointer to the driver, which stays in place until it is removed. So do they. This
            // may sleep.
            // Unload rule, unregister waits: see `stop`.
            let raw = from_err_ptr(unsafe {
                bindings::lkm_pci_driver_add(
                    name.as_char_ptr(),
                    T::IDS.as_ptr().cast(),
                    T::IDS.len(),
                    u64::MAX >> (64 - T::DMA_BITS),
                    Inner::<T>::OPS,
                    (&raw mut inner.driver).cast(),
                )
            })?;
            // INVARIANT: It was just added.
            inner.raw = raw;
            Ok(())
        })?;
        Ok(Self(inner))
    }
}

impl<T: Driver> Deref for Registration<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.driver
    }
}

impl<T: Driver> Inner<T> {
    const OPS: &'static bindings::lkm_pci_ops = &bindings::lkm_pci_ops {
        probe: Some(Self::probe),
        remove: Some(Self::remove),
    };

    /// # Safety
    ///
    /// Called by C's half only, to bind a device: `data` is the `T` of a driver that is not
    /// removed. If this returns 0, [`remove`](Self::remove) follows, else the device goes.
    unsafe extern "C" fn probe(
        data: *mut c_void,
        raw: *mut bindings::lkm_pci_device,
        bound: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract.
        let driver = unsafe { &*data.cast::<T>() };
        let _inside = Callers::PCI.begin();
        // SAFETY: By this function's contract `end` is called before the device goes.
        match unsafe { Self::bind(driver, raw) } {
            Ok(new) => {
                // SAFETY: C has room for it there.
                unsafe { bound.write(KBox::into_raw(new).cast()) };
                0
            }
            Err(error) => errno::to_prober(error),
        }
    }

    /// # Safety
    ///
    /// `raw` is the device that is being bound. If this succeeds, [`Device::end`] is called
    /// before that goes.
    unsafe fn bind(driver: &T, raw: *mut bindings::lkm_pci_device) -> Result<KBox<Bound<T>>> {
        assert_small!(T::Data);
        let bound = KBox::<Bound<T>>::new_uninit(GFP_KERNEL)?;
        // SAFETY: By this function's contract, and below.
        let device = unsafe { Device::new(raw) }?;
        match driver.probe(&device) {
            Ok(data) => Ok(bound.write(Bound { device, data })),
            Err(error) => {
                // SAFETY: It was not called yet.
                unsafe { device.end() };
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// Called by C's half only, once for each device that was bound: `data` is as for
    /// [`probe`](Self::probe), which has returned `bound`.
    unsafe extern "C" fn remove(data: *mut c_void, bound: *mut c_void) {
        // SAFETY: By this function's contract.
        let driver = unsafe { &*data.cast::<T>() };
        // SAFETY: As above: `probe` has made a pointer of the box.
        let bound = unsafe { KBox::from_raw(bound.cast::<Bound<T>>()) };
        let _inside = Callers::PCI.begin();
        let Bound { device, data } = KBox::into_inner(bound);
        driver.remove(data);
        // SAFETY: This is called once for each device.
        unsafe { device.end() };
    }
}
