// SPDX-License-Identifier: GPL-2.0-only

//! An I2C adapter: what drives a bus, or plays one.
//!
//! C header: [`include/linux/i2c.h`](srctree/include/linux/i2c.h)
//!
//! The `kernel` crate has none of one's own.

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

/// What an adapter does: the transfers that SMBus has for registers of a byte, and of two.
/// Whoever asks for others gets `EOPNOTSUPP`.
///
/// The device that is meant has an address, of 7 bits, and registers. Any address can come,
/// also before [`Registration::new`] has returned.
///
/// # Context
///
/// Process context, may sleep. C calls one method of an adapter at a time. Others who use
/// the bus wait for it, and so does who takes a device from its driver.
///
/// A transfer to a device of the adapter itself fails with `EDEADLK` here. One to a device of
/// another adapter is a mistake to a debug kernel, and can be one: two that use each other's
/// wait for ever.
///
/// A method must not wait for somebody who makes or drops a driver or an adapter, nor have
/// another module do so. It cannot do the first itself, and may do the second.
///
/// # Errors
///
/// Who has called gets them; numbers from 512 on as described for
/// [`Operations`](crate::file::Operations). `ENXIO` says that no device answers. `EAGAIN` becomes
/// `EBUSY`, as C would call again by itself. Other transfers than these four, and those to
/// addresses of ten bits, are `EOPNOTSUPP`.
pub trait Adapter: Send + Sync + 'static {
    /// Reads a register of a byte.
    ///
    /// # Errors
    ///
    /// Any.
    fn read_byte_data(&self, address: u16, register: u8) -> Result<u8>;

    /// Writes a register of a byte.
    ///
    /// # Errors
    ///
    /// Any.
    fn write_byte_data(&self, address: u16, register: u8, value: u8) -> Result;

    /// Reads a register of two bytes, of which the device sends the lower one first.
    ///
    /// # Errors
    ///
    /// Any.
    fn read_word_data(&self, address: u16, register: u8) -> Result<u16>;

    /// Writes a register of two bytes, the lower one first.
    ///
    /// # Errors
    ///
    /// Any.
    fn write_word_data(&self, address: u16, register: u8, value: u16) -> Result;
}

/// An adapter, for as long as this value lives. It dereferences to what does the work.
///
/// Its bus is `/sys/bus/i2c/devices/i2c-N`, where the kernel chooses N. There is a file
/// `name`, by which one can find it, and a file `new_device`.
///
/// # Unloading
///
/// *Unregister waits*: dropping this takes the devices of the bus from their drivers, removes
/// them, and waits until no method runs and none can begin. The drivers can be those of other
/// modules. The devices do not keep this one.
///
/// *Owner held*: whoever has an adapter by its number, as an open `/dev/i2c-N`, keeps the
/// module, so `rmmod` is refused with `EWOULDBLOCK`. If the adapter is dropped while the module
/// stays, or since init fails, this waits until nobody has it.
///
/// A method may drop its own adapter, and so may a driver's functions. It goes a little later
/// then. So does one that is dropped when more than 64 tasks are in such, and nobody knows who.
///
/// # Examples
///
/// One register, of a device at 0x50:
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::sync::atomic::{Atomic, Relaxed};
/// use lkm::i2c::adapter::{self, Adapter};
///
/// struct Wires(Atomic<u32>);
///
/// fn check(address: u16, register: u8) -> Result {
///     match (address, register) {
///         (0x50, 0) => Ok(()),
///         (0x50, _) => Err(EIO),
///         _ => Err(ENXIO),
///     }
/// }
///
/// impl Adapter for Wires {
///     fn read_byte_data(&self, address: u16, register: u8) -> Result<u8> {
///         check(address, register)?;
///         Ok(self.0.load(Relaxed) as u8)
///     }
///
///     fn write_byte_data(&self, address: u16, register: u8, value: u8) -> Result {
///         check(address, register)?;
///         self.0.store(value.into(), Relaxed);
///         Ok(())
///     }
///
///     fn read_word_data(&self, _address: u16, _register: u8) -> Result<u16> {
///         Err(EIO)
///     }
///
///     fn write_word_data(&self, _address: u16, _register: u8, _value: u16) -> Result {
///         Err(EIO)
///     }
/// }
///
/// let wires = adapter::Registration::new(c"wires", Wires(Atomic::new(0)))?;
/// # drop(wires);
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Adapter>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_i2c_adapter_add()` has returned it for `Self::OPS` and `adapter`.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_i2c_adapter,
    #[pin]
    adapter: T,
    // C has a pointer to `adapter`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread may remove an adapter, and `T` is `Send`.
unsafe impl<T: Adapter> Send for Inner<T> {}

// SAFETY: A shared reference gives access to `adapter` only, and `T` is `Sync`.
unsafe impl<T: Adapter> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, no function of `OPS` runs, and none can begin: there is no
// device on the bus, and nobody has a reference to the adapter.
unsafe impl<T: Adapter> Stop for Inner<T> {
    const NAME: &'static CStr = c"I2C adapters";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::lkm_i2c_adapter_remove(self.raw) };
        }
    }

    /// C has locked the bus, or a device on it.
    fn is_within(&self) -> bool {
        Callers::I2C.may_have_current()
    }
}

/// The longest name of an adapter, in bytes.
const LONGEST: usize = 47;

impl<T: Adapter> Registration<T> {
    /// Adds an adapter of that name. Another one may have the same. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is no name, or it has more than 47 bytes;
    /// - `EDEADLK`: the caller is a function of a driver or an adapter, or opens or stops a
    ///   [net device](crate::netdev), or more than 64 tasks are in such, and nobody knows who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `adapter`.
    pub fn new<E>(name: &CStr, adapter: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        if name.is_empty() || name.count_bytes() > LONGEST {
            return Err(EINVAL);
        }
        if Callers::I2C.may_have_current() {
            return Err(error(bindings::EDEADLK));
        }
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            adapter <- adapter,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            let inner = unsafe { inner.get_unchecked_mut() };
            // SAFETY: The name is short enough, and copied. `OPS` is for a pointer to the
            // adapter, which stays in place until it is removed. This may sleep.
            // Unload rule, unregister waits, and owner held: see `stop`.
            let raw = from_err_ptr(unsafe {
                bindings::lkm_i2c_adapter_add(
                    name.as_char_ptr(),
                    Inner::<T>::OPS,
                    (&raw mut inner.adapter).cast(),
                )
            })?;
            // INVARIANT: It was just added.
            inner.raw = raw;
            Ok(())
        })?;
        Ok(Self(inner))
    }
}

impl<T: Adapter> Deref for Registration<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.adapter
    }
}

impl<T: Adapter> Inner<T> {
    const OPS: &'static bindings::lkm_i2c_adapter_ops = &bindings::lkm_i2c_adapter_ops {
        read: Some(Self::read),
        write: Some(Self::write),
    };

    /// # Safety
    ///
    /// Called by C's half only: `data` points to the `T` of an adapter that is not removed
    /// during the call.
    unsafe extern "C" fn read(data: *mut c_void, address: u16, register: u8, word: bool) -> c_int {
        let _inside = Callers::I2C.begin();
        // SAFETY: By this function's contract.
        let adapter = unsafe { &*data.cast::<T>() };
        let value = match word {
            true => adapter.read_word_data(address, register).map(c_int::from),
            false => adapter.read_byte_data(address, register).map(c_int::from),
        };
        value.unwrap_or_else(errno::to_user)
    }

    /// # Safety
    ///
    /// As for `read`.
    unsafe extern "C" fn write(
        data: *mut c_void,
        address: u16,
        register: u8,
        word: bool,
        value: u16,
    ) -> c_int {
        let _inside = Callers::I2C.begin();
        // SAFETY: By this function's contract.
        let adapter = unsafe { &*data.cast::<T>() };
        let result = match word {
            true => adapter.write_word_data(address, register, value),
            // CAST: C has a byte.
            false => adapter.write_byte_data(address, register, value as u8),
        };
        result.map_or_else(errno::to_user, |()| 0)
    }
}
