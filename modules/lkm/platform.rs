// SPDX-License-Identifier: GPL-2.0-only

//! Platform devices, which are not on a bus where one could look for them, and their drivers.
//!
//! C headers: [`include/linux/platform_device.h`](srctree/include/linux/platform_device.h),
//! [`include/linux/pm.h`](srctree/include/linux/pm.h),
//! [`include/linux/property.h`](srctree/include/linux/property.h)
//!
//! Reference: <https://docs.kernel.org/driver-api/driver-model/platform.html>
//!
//! The `kernel` crate's [`platform`](kernel::platform) has drivers, too. But C has a pointer
//! to one that lies in the module's value: if that is lost, C goes on using it when the module
//! is gone. Such drivers are not told when the machine goes to sleep, nor can they make
//! devices. What they read of a property, they take for what they ask for: a number for the
//! address of a text, if a module has made it so.
//!
//! # Who finds whom
//!
//! A driver is for devices of its own name. Those that a [device tree](crate::devicetree)
//! describes it finds by another one: see [`Driver::matches`]. User space can take a device
//! from its driver, and give it to another one that has never heard of it:
//!
//! ```text
//! # cd /sys/bus/platform
//! # echo DEVICE >devices/DEVICE/driver/unbind
//! # echo DRIVER >devices/DEVICE/driver_override
//! # echo DEVICE >drivers/DRIVER/bind
//! ```
//!
//! So a driver looks at a device's properties, and returns `ENODEV` if they are not what it
//! is for.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::{
        as_kernel_cstr,
        CStrExt, //
    },
    devicetree::Matches,
    errno::{
        self,
        error, //
    },
    file::is_name,
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::{
        Deref,
        Range, //
    },
    ptr, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    prelude::*,
    str::CString,
    types::Opaque,
};

/// What a driver does with its devices.
///
/// Calls for different devices can run at the same time. Of the calls for one device only one
/// runs: [`probe`](Self::probe) first, then perhaps [`suspend`](Self::suspend) and
/// [`resume`](Self::resume). At last the device's [`Private`](Self::Private) is dropped.
///
/// # Context
///
/// All run in process context and may sleep. So does the drop. The kernel has the device's lock
/// meanwhile, which also who drops a [`Registration`] or an [`OwnDevice`] wants. So a method
/// may drop one, which then goes a little later. But it must not wait for a thread that does
/// so, and it cannot make one.
///
/// # Examples
///
/// See [`Registration`].
#[vtable]
pub trait Driver: Send + Sync + Sized + 'static {
    /// What the driver has for a device, until it gives the device back: then this is dropped,
    /// while the device is still there. It can have references to the driver and to the device,
    /// and [memory](crate::dma) that the device uses.
    type Private<'bound>: Send + 'bound;

    /// Which devices of a device tree the driver is for, by a [table](crate::of_table!): by
    /// default none.
    fn matches() -> Option<Matches> {
        None
    }

    /// The driver is to have `device`. This runs before [`Registration::new`] returns if the
    /// device is there, and otherwise when the device comes, or when user space says so. While
    /// the machine goes to sleep it only runs later, and after `echo 0` to the bus's
    /// `drivers_autoprobe` only when user space says so.
    ///
    /// # Errors
    ///
    /// Any: then the driver does not have the device. User space sees it if that has asked for
    /// it; otherwise only the log tells. `ENODEV` and `ENXIO` say that the device is not for this
    /// driver: the log does not. `EPROBE_DEFER` says that something else must come first: this
    /// is called again later.
    fn probe<'bound>(
        &'bound self,
        device: &'bound Device,
    ) -> impl PinInit<Self::Private<'bound>, Error> + 'bound;

    /// The machine goes to sleep, or hibernates. Processes are stopped by then: this must not
    /// wait for one. A driver without this method does nothing.
    ///
    /// # Errors
    ///
    /// Any: then the machine does not go to sleep, and who wanted it to gets this. The device
    /// is not [resumed](Self::resume).
    fn suspend(_private: Pin<&Self::Private<'_>>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The machine was woken. A driver without this method does nothing.
    ///
    /// # Errors
    ///
    /// Any. Only the log tells of it.
    fn resume(_private: Pin<&Self::Private<'_>>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A device, as its driver sees it. All methods may be called in process context.
///
/// An overlay of the device tree that goes takes the properties first, and only then the device
/// from its driver: so one that was there may be missing later.
///
/// # Invariants
///
/// It is a platform device, and references to it end before its driver no longer has it.
#[repr(transparent)]
pub struct Device(Opaque<bindings::platform_device>);

// SAFETY: The methods only read what does not change while there is a reference, or what C has
// a lock for.
unsafe impl Sync for Device {}

impl Device {
    pub(crate) fn as_raw(&self) -> *mut bindings::platform_device {
        self.0.get()
    }

    /// The device's name: that of its directory in `/sys/bus/platform/devices`.
    pub fn name(&self) -> &kernel::str::CStr {
        // SAFETY: By the type invariants.
        let name = unsafe { bindings::lkm_platform_device_name(self.as_raw()) };
        // SAFETY: It is a string, which a device keeps.
        as_kernel_cstr(unsafe { CStr::from_char_ptr(name) })
    }

    /// The name of the device's node in the device tree, if it is from there.
    pub fn node_name(&self) -> Option<&kernel::str::CStr> {
        // SAFETY: By the type invariants.
        let name = unsafe { bindings::lkm_platform_device_node(self.as_raw()) };
        if name.is_null() {
            return None;
        }
        // SAFETY: The device keeps its node, and that its name, also when an overlay has taken the
        // properties.
        Some(as_kernel_cstr(unsafe { CStr::from_char_ptr(name) }))
    }

    /// Whether there is a property of that name, of whatever type.
    pub fn has(&self, property: &CStr) -> bool {
        // SAFETY: By the type invariants. The name is a string.
        unsafe { bindings::lkm_property_is_there(self.as_raw(), property.as_char_ptr()) }
    }

    /// The number in a property.
    ///
    /// A device tree has only bytes: four of a text are a number, too.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: there is no such property;
    /// - `EINVAL`: it is not one number of 32 bits.
    pub fn u32(&self, property: &CStr) -> Result<u32> {
        let mut number = 0_u32;
        // SAFETY: By the type invariants. The name is a string.
        to_result(unsafe {
            bindings::lkm_property_u32(self.as_raw(), property.as_char_ptr(), &mut number)
        })?;
        Ok(number)
    }

    /// A copy of the text in a property, or of the first one of several. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: there is no such property;
    /// - `EINVAL`: it is no text;
    /// - `ENOMEM`.
    pub fn text(&self, property: &CStr) -> Result<CString> {
        let mut text = ptr::null::<c_char>();
        // SAFETY: By the type invariants. The name is a string.
        to_result(unsafe {
            bindings::lkm_property_text(self.as_raw(), property.as_char_ptr(), &mut text)
        })?;
        // SAFETY: It is a string, and C keeps it as long as the device has the property.
        let text = unsafe { CStr::from_char_ptr(text) };
        Ok(CString::try_from(as_kernel_cstr(text))?)
    }

    /// The addresses of the device's registers, as the CPU has them: the first such range has the
    /// number 0.
    pub fn memory(&self, number: u32) -> Option<Range<u64>> {
        let (mut begin, mut size) = (0_u64, 0_u64);
        // SAFETY: By the type invariants.
        let is_there = unsafe {
            bindings::lkm_platform_device_memory(self.as_raw(), number, &mut begin, &mut size)
        };
        is_there.then(|| begin..begin.saturating_add(size))
    }
}

/// A driver, as long as this lives. It dereferences to its [`Driver`].
///
/// # Unloading
///
/// *Unregister waits*: dropping this takes the driver from all of its devices, drops what it
/// had for them, and waits until no method runs. A device that a driver has does not keep the
/// module.
///
/// Without a lock, C looks at some drivers for longer. So the drop also waits until each task
/// that runs in the kernel has slept, or has been in user space, which takes some tenths of a
/// second. A thread that never sleeps until something was dropped would have it wait for ever.
///
/// A method, or the drop of a [`Private`](Driver::Private), may drop its own driver or another
/// one of the module. It does not wait then: that is done a little later. So it is while more
/// than 64 tasks are in methods.
///
/// # Examples
///
/// A driver, and a device for it:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::platform::{Device, Driver, OwnDevice, Property, Registration};
///
/// struct Lamps;
///
/// struct Lamp {
///     watts: u32,
/// }
///
/// #[vtable]
/// impl Driver for Lamps {
///     type Private<'bound> = Lamp;
///
///     fn probe<'bound>(
///         &'bound self,
///         device: &'bound Device,
///     ) -> impl PinInit<Lamp, Error> + 'bound {
///         device.u32(c"watts").map(|watts| Lamp { watts })
///     }
///
///     fn suspend(lamp: Pin<&Lamp>) -> Result {
///         pr_info!("saves {} W\n", lamp.watts);
///         Ok(())
///     }
/// }
///
/// let lamps = Registration::new(c"lamp", Lamps)?;
/// let lamp = OwnDevice::new(c"lamp", &[(c"watts", Property::U32(5))])?;
/// # drop((lamp, lamps));
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Driver>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_platform_driver_add()` has returned it for `driver`, with the
/// functions for `T`.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_platform_driver,
    #[pin]
    driver: T,
    // C has a pointer to `driver`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread that may sleep may remove a driver, and `T` is `Send`.
unsafe impl<T: Driver> Send for Inner<T> {}

// SAFETY: A shared reference gives access to `driver` only, and `T` is `Sync`.
unsafe impl<T: Driver> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, no device has the driver, no method runs or will, and C has
// no pointer to the driver, its name or its table of functions.
unsafe impl<T: Driver> Stop for Inner<T> {
    const NAME: &'static CStr = c"platform drivers";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::lkm_platform_driver_remove(self.raw) };
        }
    }

    fn is_within(&self) -> bool {
        is_within()
    }
}

/// Whether the caller is a method of a driver of this module. Two that drop each other's would
/// wait for each other.
pub(crate) fn is_within() -> bool {
    // SAFETY: This only reads.
    unsafe { bindings::lkm_platform_within() }
}

/// The longest name, in bytes, of a driver or a device.
const LONGEST: usize = bindings::lkm_platform_LKM_PLATFORM_NAME_LEN as usize - 1;

/// What is wrong with making one of that name here and now.
fn check(name: &CStr) -> Result {
    if !is_name(name) || name.to_bytes().len() > LONGEST {
        return Err(EINVAL);
    }
    match is_within() {
        true => Err(error(bindings::EDEADLK)),
        false => Ok(()),
    }
}

impl<T: Driver> Registration<T> {
    /// Registers a driver of that name. It gets the devices that are there and have no driver.
    /// An error of [`Driver::probe`] is none of this. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name, or has more than 127 bytes;
    /// - `EBUSY`: there is a driver of that name; the log says so, too;
    /// - `EEXIST`: so it is, but that one just comes or goes;
    /// - `EDEADLK`: the caller is a method of a driver, or opens or stops a
    ///   [net device](crate::netdev), or more than 64 tasks are in such methods, and nobody knows
    ///   who;
    /// - `ENOMEM`, or `EINVAL` where C does not say that: there is no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `driver`.
    pub fn new<E>(name: &CStr, driver: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        check(name)?;
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            driver <- driver,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            let inner = unsafe { inner.get_unchecked_mut() };
            let matches = T::matches().map_or(ptr::null(), Matches::first);
            // SAFETY: The functions are for a pointer to the driver, which stays in place until
            // it is removed. So do the functions, and the list, which is a static. The name is
            // short enough, and copied. This may sleep.
            // Unload rule, unregister waits: see `stop`.
            let raw = from_err_ptr(unsafe {
                bindings::lkm_platform_driver_add(
                    name.as_char_ptr(),
                    matches,
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
    const OPS: &'static bindings::lkm_platform_ops = &bindings::lkm_platform_ops {
        probe: Some(Self::probe),
        remove: Some(Self::remove),
        suspend: if T::HAS_SUSPEND {
            Some(Self::suspend)
        } else {
            None
        },
        resume: if T::HAS_RESUME {
            Some(Self::resume)
        } else {
            None
        },
    };

    /// # Safety
    ///
    /// `data` is the `T` of a driver that was not removed, which does not have `device` yet. If
    /// this returns 0, it has the device until `remove` gets what was written to `private`.
    unsafe extern "C" fn probe(
        data: *mut c_void,
        device: *mut bindings::platform_device,
        private: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract both are there until `remove` returns, which
        // drops all that has these references, or until this fails, which does so, too.
        // INVARIANT: As above.
        let (driver, device) = unsafe { (&*data.cast::<T>(), &*device.cast::<Device>()) };
        // What `probe` does must not be in vain for want of memory.
        let place = KBox::<T::Private<'_>>::new_uninit(GFP_KERNEL).map_err(Error::from);
        let made = place.and_then(|place| place.write_pin_init::<Error>(driver.probe(device)));
        match made {
            Ok(made) => {
                // SAFETY: Nothing is moved out of the box.
                let made = KBox::into_raw(unsafe { Pin::into_inner_unchecked(made) });
                // SAFETY: C has a place for it.
                unsafe { private.write(made.cast()) };
                0
            }
            Err(error) => errno::to_prober(error),
        }
    }

    /// # Safety
    ///
    /// `private` is from `probe`, and nobody uses it any more.
    unsafe extern "C" fn remove(private: *mut c_void) {
        // SAFETY: By this function's contract. What it has references to is still there.
        drop(unsafe { KBox::from_raw(private.cast::<T::Private<'_>>()) });
    }

    /// # Safety
    ///
    /// `private` is from `probe`, and was not removed. No other function runs for it.
    unsafe extern "C" fn suspend(private: *mut c_void) -> c_int {
        // SAFETY: By this function's contract. It was pinned by `probe`.
        let private = unsafe { Pin::new_unchecked(&*private.cast::<T::Private<'_>>()) };
        T::suspend(private).map_or_else(errno::to_user, |()| 0)
    }

    /// # Safety
    ///
    /// As that of [`suspend`](Self::suspend).
    unsafe extern "C" fn resume(private: *mut c_void) -> c_int {
        // SAFETY: As in `suspend`.
        let private = unsafe { Pin::new_unchecked(&*private.cast::<T::Private<'_>>()) };
        T::resume(private).map_or_else(errno::to_user, |()| 0)
    }
}

/// What is known of a device that a module makes.
#[derive(Clone, Copy, Debug)]
pub enum Property<'a> {
    /// It is so.
    Flag,
    /// A number.
    U32(u32),
    /// A text, which is copied.
    Text(&'a CStr),
}

impl Property<'_> {
    /// As C wants it. It has pointers to both texts.
    fn raw(&self, name: &CStr) -> bindings::lkm_property {
        let mut raw = bindings::lkm_property {
            name: name.as_char_ptr(),
            text: ptr::null(),
            number: 0,
            kind: bindings::lkm_property_kind_LKM_PROPERTY_FLAG,
        };
        match *self {
            Self::Flag => {}
            Self::U32(number) => {
                raw.kind = bindings::lkm_property_kind_LKM_PROPERTY_U32;
                raw.number = number;
            }
            Self::Text(text) => {
                raw.kind = bindings::lkm_property_kind_LKM_PROPERTY_TEXT;
                raw.text = text.as_char_ptr();
            }
        }
        raw
    }
}

/// A device that the module makes, as long as this lives. Its driver, of this module or of
/// another one, gets it when both are there.
///
/// The name is what the kernel's own drivers go by, too. A C driver of that name gets the
/// device. It may take for granted what this one has not got, as data that a board's code gives
/// to its devices, and take the bytes of a property for what they are not. So begin the name
/// with the module's.
///
/// # Unloading
///
/// C has no code or data of the module for it. *Unregister waits*: dropping this takes the device
/// from its driver, and waits for that. In a method of a [`Driver`] it does not: that is done a
/// little later.
///
/// # Examples
///
/// See [`Registration`].
pub struct OwnDevice {
    _device: Alive<Made>,
}

/// # Invariants
///
/// `raw` is null, or a device from `lkm_platform_device_add()`.
struct Made {
    raw: *mut bindings::platform_device,
}

// SAFETY: Any thread that may sleep may unregister a device.
unsafe impl Send for Made {}

// SAFETY: A shared reference gives access to nothing.
unsafe impl Sync for Made {}

// SAFETY: C has nothing of the value.
unsafe impl Stop for Made {
    const NAME: &'static CStr = c"platform devices";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::platform_device_unregister(self.raw) };
        }
    }

    fn is_within(&self) -> bool {
        is_within()
    }
}

impl OwnDevice {
    /// Makes a device of that name, with these properties: its directory is
    /// `/sys/devices/platform/NAME`. If there is a driver for it, that has got it when this
    /// returns, or refused it. While the machine goes to sleep, or when user space has turned
    /// off the bus's `drivers_autoprobe`, it gets it later, or not at all. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name, or has more than 127 bytes;
    /// - `EEXIST`: there is a device of that name;
    /// - `EDEADLK`: the caller is a method of a [`Driver`], or opens or stops a
    ///   [net device](crate::netdev), or more than 64 tasks are in such methods, and nobody knows
    ///   who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn new(name: &CStr, properties: &[(&CStr, Property<'_>)]) -> Result<Self> {
        check(name)?;
        let mut list = KVec::with_capacity(properties.len(), GFP_KERNEL)?;
        for (name, property) in properties {
            list.push(property.raw(name), GFP_KERNEL)?;
        }
        let made = Made {
            raw: ptr::null_mut(),
        };
        let device = Alive::<Made>::new(Ok::<_, Error>(made), |device| {
            // SAFETY: All texts in the list are strings. C copies them. This may sleep.
            // Unload rule: C gets nothing of the module.
            let raw = from_err_ptr(unsafe {
                bindings::lkm_platform_device_add(name.as_char_ptr(), list.as_ptr(), list.len())
            })?;
            // INVARIANT: It was just added.
            device.get_mut().raw = raw;
            Ok(())
        })?;
        Ok(Self { _device: device })
    }
}
