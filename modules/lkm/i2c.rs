// SPDX-License-Identifier: GPL-2.0-only

//! Drivers of the devices on an I2C bus, and buses of one's own.
//!
//! C header: [`include/linux/i2c.h`](srctree/include/linux/i2c.h)
//!
//! Reference: <https://docs.kernel.org/i2c/index.html>
//!
//! The `kernel` crate has drivers in Linux 7.2 only, without any transfers. One whose handle
//! is lost stays registered when its module goes. The data of a device is dropped when what
//! else belongs to the device is gone, which it may still have.
//!
//! # What C calls it
//!
//! A bus is two wires. An [*adapter*](adapter) drives them, and each device on it has an
//! address. To C the device is a *client*, and what uses it is its driver.
//!
//! A device says nothing by itself, and nobody can tell which there are. Firmware can say
//! it, or user space:
//!
//! ```text
//! # cat /sys/bus/i2c/devices/i2c-1/name
//! SMBus I801 adapter at efa0
//! # echo tmp105 0x48 >/sys/bus/i2c/devices/i2c-1/new_device
//! ```
//!
//! The name is what a driver goes by. Nobody has asked the device so far: whether there is
//! one, the driver has to find out.
//!
//! # Transfers
//!
//! Here are those that SMBus has for a register of a byte, or of two. Many a device has
//! more, and so has C.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    callers::Callers,
    calls::Calls,
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
    prelude::*,
    sync::Arc, //
};

pub mod adapter;

/// What is done with devices that have certain names.
pub trait Driver: Send + Sync + 'static {
    /// What the driver knows of devices with a name.
    type Info: Sync + 'static;

    /// What there is of a device as long as the driver has it. To drop it is what C calls
    /// `remove`: it can use the device once more.
    ///
    /// That happens when the device is deleted, when somebody takes it from its driver in
    /// sysfs, when its bus goes, and when the driver does. Process context, may sleep.
    type Device: Send + 'static;

    /// The names, of 1 to 19 bytes, and what they stand for. There is one at least.
    const IDS: &'static [(&'static CStr, Self::Info)];

    /// There is a device with one of the names, and `info` is what it stands for. Called by
    /// [`Registration::new`] for those that are there. It can be called before that has
    /// returned, and at the same time for different devices.
    ///
    /// Process context, may sleep. It must not wait for somebody who makes or drops a
    /// driver or an adapter, nor have another module do so. It cannot do the first itself, and
    /// may do the second.
    ///
    /// # Errors
    ///
    /// The device has no driver then. For `ENODEV` and `ENXIO`, which say that there is no
    /// such device, the kernel does not even say so. A process that writes to the driver's
    /// file `bind` gets the error; one that writes to `new_device` does not. With
    /// `EPROBE_DEFER` the kernel tries again later. For other numbers from 512 on see
    /// [`Operations`](crate::file::Operations).
    fn probe(
        &self,
        client: &Client,
        info: &'static Self::Info,
    ) -> impl PinInit<Self::Device, Error>;
}

/// A driver. It dereferences to what does the work.
///
/// # Unloading
///
/// *Unregister waits*: dropping this takes the driver from its devices, each of which is
/// dropped. It returns when no function of the driver runs, and none can begin. A device
/// does not keep the module. *We wait*, when a device goes, until nobody uses it by way of a
/// [`Client`].
///
/// What the driver does for a device, and dropping that, may drop drivers and adapters, too.
/// They go a little later then. So does one that is dropped when more than 64 tasks are in such
/// functions, and nobody knows who.
///
/// # Examples
///
/// ```
/// # use core::ffi::CStr;
/// # use kernel::prelude::*;
/// use lkm::i2c::{self, Client, Driver};
///
/// /// A chip with eight wires; the number of the register that drives them.
/// struct Expander;
///
/// impl Driver for Expander {
///     type Info = u8;
///     type Device = Wires;
///     const IDS: &'static [(&'static CStr, u8)] = &[(c"expander", 1), (c"expander2", 3)];
///
///     fn probe(&self, client: &Client, register: &'static u8) -> impl PinInit<Wires, Error> {
///         Wires::new(client, *register)
///     }
/// }
///
/// struct Wires {
///     client: Client,
///     register: u8,
/// }
///
/// impl Wires {
///     fn new(client: &Client, register: u8) -> Result<Self> {
///         client.write_byte_data(register, 0xff)?;
///         Ok(Self { client: client.clone(), register })
///     }
/// }
///
/// impl Drop for Wires {
///     fn drop(&mut self) {
///         let _ = self.client.write_byte_data(self.register, 0);
///     }
/// }
///
/// let driver = i2c::Registration::new(c"expander", Expander)?;
/// # drop(driver);
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Driver>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_i2c_driver_add()` has returned it for `Self::OPS` and `driver`.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_i2c_driver,
    #[pin]
    driver: T,
    // C has a pointer to `driver`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread may remove a driver, and `T` is `Send`.
unsafe impl<T: Driver> Send for Inner<T> {}

// SAFETY: A shared reference gives access to `driver` only, and `T` is `Sync`.
unsafe impl<T: Driver> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, no function of `OPS` runs, and none can begin: C has
// waited for those that ran, under the locks of their devices. All devices were given to
// `remove`, so C has nothing of them either.
unsafe impl<T: Driver> Stop for Inner<T> {
    const NAME: &'static CStr = c"I2C drivers";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::lkm_i2c_driver_remove(self.raw) };
        }
    }

    /// C has a lock of the device that is probed or removed, or whose transfer it is.
    fn is_within(&self) -> bool {
        Callers::I2C.may_have_current()
    }
}

/// The longest name of a kind of device, in bytes.
const LONGEST: usize = 19;

/// Whether there can be such names.
const fn are_names<I>(ids: &[(&CStr, I)]) -> bool {
    let mut n = 0;
    while n < ids.len() {
        let len = ids[n].0.to_bytes().len();
        if len == 0 || len > LONGEST {
            return false;
        }
        n += 1;
    }
    n > 0
}

impl<T: Driver> Registration<T> {
    /// Registers a driver, called `name` in `/sys/bus/i2c/drivers`. It gets the devices with
    /// its names that have no driver, now and later. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name;
    /// - `EBUSY`: there is a driver of that name; the kernel says so in the log;
    /// - `EDEADLK`: the caller is a function of a driver or an adapter, or opens or stops a
    ///   [net device](crate::netdev), or more than 64 tasks are in such, and nobody knows who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `driver`.
    pub fn new<E>(name: &CStr, driver: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        const { assert!(are_names(T::IDS), "each name has from 1 to 19 bytes") };
        if !is_name(name) {
            return Err(EINVAL);
        }
        if Callers::I2C.may_have_current() {
            return Err(error(bindings::EDEADLK));
        }
        let mut names = KVec::with_capacity(T::IDS.len(), GFP_KERNEL)?;
        for (id, _) in T::IDS {
            names.push(id.as_char_ptr(), GFP_KERNEL)?;
        }
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            driver <- driver,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            let inner = unsafe { inner.get_unchecked_mut() };
            // SAFETY: There are so many names. They are copied, and so is the driver's. `OPS` is
            // for a pointer to the driver, which stays in place until it is removed. This may
            // sleep.
            // Unload rule, unregister waits: see `stop`.
            let raw = from_err_ptr(unsafe {
                bindings::lkm_i2c_driver_add(
                    name.as_char_ptr(),
                    names.as_ptr(),
                    names.len() as c_uint,
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
    const OPS: &'static bindings::lkm_i2c_driver_ops = &bindings::lkm_i2c_driver_ops {
        probe: Some(Self::probe),
        remove: Some(Self::remove),
    };

    /// # Safety
    ///
    /// Called by C's half only: `data` points to the `T` of a driver that is not removed
    /// during the call, `client` is a device that has `remove` called before it goes, if
    /// this succeeds, and `bound` can be written to.
    unsafe extern "C" fn probe(
        data: *mut c_void,
        client: *mut c_void,
        id: c_uint,
        bound: *mut *mut c_void,
    ) -> c_int {
        let _inside = Callers::I2C.begin();
        // SAFETY: By this function's contract.
        match unsafe { Self::bind(&*data.cast::<T>(), client, id as usize) } {
            Ok(it) => {
                // SAFETY: By this function's contract.
                unsafe { bound.write(it.cast()) };
                0
            }
            Err(error) => errno::to_prober(error),
        }
    }

    /// Makes what there is of a device.
    ///
    /// # Safety
    ///
    /// As for `probe`.
    unsafe fn bind(driver: &T, client: *const c_void, id: usize) -> Result<*mut Bound<T::Device>> {
        let (_, info) = T::IDS.get(id).ok_or(ENODEV)?;
        // What `probe` does must not be in vain for want of memory.
        let place = KBox::<Bound<T::Device>>::new_uninit(GFP_KERNEL)?;
        // SAFETY: By this function's contract, and it is closed here, or by `remove`.
        let client = unsafe { Client::new(client) }?;
        let bound = Bound::<T::Device>::new(client.clone(), driver.probe(&client, info));
        match place.write_pin_init(bound) {
            // SAFETY: Nothing is moved out of the box.
            Ok(bound) => Ok(KBox::into_raw(unsafe { Pin::into_inner_unchecked(bound) })),
            Err(error) => {
                client.0.calls.close();
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// Called by C's half only, once for what `probe` has set.
    unsafe extern "C" fn remove(bound: *mut c_void) {
        let _inside = Callers::I2C.begin();
        // SAFETY: By this function's contract it is from `bind`, and nobody else has it. It
        // is not moved, only dropped.
        let bound = unsafe { KBox::from_raw(bound.cast::<Bound<T::Device>>()) };
        let client = bound.client.clone();
        drop(bound);
        // Unload rule, we wait: others may have the client, too. C's device may go when this
        // has returned.
        client.0.calls.close();
    }
}

/// What there is of a device that has a driver.
#[pin_data]
struct Bound<D> {
    client: Client,
    #[pin]
    device: D,
}

impl<D> Bound<D> {
    fn new(client: Client, device: impl PinInit<D, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            client,
            device <- device,
        })
    }
}

/// A device on an I2C bus, as its driver has it. Clones are the same device.
///
/// It can be kept: when the driver has lost the device, all that is done with it fails with
/// `ENODEV`.
///
/// # Context
///
/// A transfer may sleep: it waits until nobody else uses the bus, and the bus is slow.
///
/// # Unloading
///
/// C has nothing of the module for it. *We wait*, when the device goes, for transfers that
/// run.
///
/// # Errors
///
/// Those of a transfer, whichever it is:
///
/// - `ENODEV`: the driver does not have the device any more;
/// - `EDEADLK`: the caller is a function of the device's adapter, which is of the same
///   module;
/// - `EOPNOTSUPP`: the adapter has no such transfers;
/// - others of the adapter: mostly `ENXIO` when no device answers.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

/// # Invariants
///
/// While calls can begin, and while one runs, `raw` is a device of C's.
struct Shared {
    raw: *const c_void,
    calls: Calls,
    address: u16,
    name: KVec<u8>,
}

// SAFETY: Any thread may use a device. C has locks for its bus.
unsafe impl Send for Shared {}

// SAFETY: As above.
unsafe impl Sync for Shared {}

impl Client {
    /// # Safety
    ///
    /// `raw` is a device of C's, an `i2c_client`. It does not go before `calls` was closed.
    unsafe fn new(raw: *const c_void) -> Result<Self> {
        // SAFETY: By this function's contract. The name does not change.
        let (address, text) = unsafe {
            (
                bindings::lkm_i2c_address(raw),
                CStr::from_char_ptr(bindings::lkm_i2c_name(raw)),
            )
        };
        let mut name = KVec::new();
        name.extend_from_slice(text.to_bytes_with_nul(), GFP_KERNEL)?;
        // INVARIANT: By this function's contract.
        let shared = Shared {
            raw,
            calls: Calls::opened(),
            address,
            name,
        };
        Ok(Self(Arc::new(shared, GFP_KERNEL)?))
    }

    /// What the kernel calls the device, in `/sys/bus/i2c/devices`: the number of its bus,
    /// which can be another one at the next boot, and its address, such as `1-0048`.
    ///
    /// Can be called in any context.
    pub fn name(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0.name).unwrap_or_default()
    }

    /// The device's address, of 7 bits or of 10.
    ///
    /// Can be called in any context.
    pub fn address(&self) -> u16 {
        self.0.address
    }

    /// Reads a register of a byte. C's `i2c_smbus_read_byte_data()`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`Client`].
    pub fn read_byte_data(&self, register: u8) -> Result<u8> {
        // CAST: C has read a byte.
        self.read(register, false).map(|value| value as u8)
    }

    /// Writes a register of a byte. C's `i2c_smbus_write_byte_data()`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`Client`].
    pub fn write_byte_data(&self, register: u8, value: u8) -> Result {
        self.write(register, false, value.into())
    }

    /// Reads a register of two bytes, of which the first is the lower one: so SMBus has it,
    /// and many a device the other way round. C's `i2c_smbus_read_word_data()`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`Client`].
    pub fn read_word_data(&self, register: u8) -> Result<u16> {
        // CAST: C has read two bytes.
        self.read(register, true).map(|value| value as u16)
    }

    /// Writes a register of two bytes, the lower one first. C's
    /// `i2c_smbus_write_word_data()`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`Client`].
    pub fn write_word_data(&self, register: u8, value: u16) -> Result {
        self.write(register, true, value)
    }

    fn read(&self, register: u8, word: bool) -> Result<c_int> {
        let _running = self.0.calls.begin().ok_or(ENODEV)?;
        // SAFETY: By the type invariants of `Shared`.
        returned(unsafe { bindings::lkm_i2c_read(self.0.raw, register, word) })
    }

    fn write(&self, register: u8, word: bool, value: u16) -> Result {
        let _running = self.0.calls.begin().ok_or(ENODEV)?;
        // SAFETY: By the type invariants of `Shared`.
        let result = unsafe { bindings::lkm_i2c_write(self.0.raw, register, word, value) };
        returned(result).map(drop)
    }
}

/// What a function of C has returned: a number, or an error if it is negative.
fn returned(value: c_int) -> Result<c_int> {
    match value < 0 {
        true => Err(Error::from_errno(value)),
        false => Ok(value),
    }
}
