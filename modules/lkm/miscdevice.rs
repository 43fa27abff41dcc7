// SPDX-License-Identifier: GPL-2.0-only

//! Miscellaneous devices: character devices that share the major number 10.
//!
//! C header: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h)
//!
//! The `kernel` crate has `MiscDeviceRegistration`, but it names no owner. So a
//! module can be unloaded while a file of it is open, and closing the file is
//! then a jump to code that is gone. It also has no data that the files of one
//! device could share, and no `poll` or `llseek`.

use crate::{
    alive::{
        self,
        Alive,
        Stop, //
    },
    bindings,
    callers::{
        current_task,
        is_in_netdev, //
    },
    compat::CStrExt,
    errno::error,
    file::{
        Callbacks,
        DeviceNode,
        Operations,
        Referenced,
        Source, //
    },
};
use core::{
    ffi::CStr,
    marker::PhantomPinned, //
};
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    types::Opaque, //
};

/// A miscellaneous device with its node in `/dev`, for as long as this value
/// lives. Its major number is 10.
///
/// Opening the node calls the operations of `T`. All files share the same data.
///
/// # Unloading
///
/// *Owner held*, and *we wait* when init fails, exactly as for a
/// [`chrdev::Registration`](crate::chrdev::Registration#unloading). So create
/// the device last here, too.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     file::{Offset, Opened, Operations, Writer},
///     miscdevice,
/// };
///
/// struct Answer;
///
/// #[vtable]
/// impl Operations for Answer {
///     type Private = ();
///
///     fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
///         dst.write_slice_file(b"42\n", pos)
///     }
/// }
///
/// let device = miscdevice::Registration::new(c"answer", Answer)?;
/// pr_info!("minor {}\n", device.minor());
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Operations>(Alive<Device<T>>);

/// # Invariants
///
/// `device` is registered from when there is a `minor` number until `stop`.
#[pin_data]
struct Device<T> {
    #[pin]
    device: Opaque<bindings::miscdevice>,
    minor: Option<u32>,
    data: Arc<T>,
    // The kernel has a pointer to `device`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Device<T> where T);

// SAFETY: The device may be unregistered on any thread, and `T` is `Send` and
// `Sync`.
unsafe impl<T: Operations> Send for Device<T> {}

// SAFETY: A shared reference only gives access to `data` and to numbers that do
// not change.
unsafe impl<T: Operations> Sync for Device<T> {}

// SAFETY: When `stop` has returned, no `open` of the device is running and none can
// begin. Files that are open have the module, and their own reference to the data.
unsafe impl<T: Operations> Stop for Device<T> {
    const NAME: &'static CStr = c"miscellaneous devices";

    fn stop(&self) {
        if self.minor.is_some() {
            // This comes first: what runs an `open` has the lock.
            if !alive::is_live() {
                self.data.hang_up();
            }
            // SAFETY: By the type invariants.
            unsafe { bindings::misc_deregister(self.device.get()) };
        }
    }

    /// The lock that an `open` has is the one that this takes.
    fn is_within(&self) -> bool {
        is_within()
    }
}

/// The task that runs an `open` of a miscellaneous device of this module. There is at
/// most one: the kernel has one lock for all of them.
static OPENER: Atomic<usize> = Atomic::new(0);

/// Whether the caller runs in the `open` of a miscellaneous device. Or it opens or stops a net
/// device: such an `open` of the kernel's waits for a lock, where others wait with it for that of
/// the network.
fn is_within() -> bool {
    OPENER.load(Relaxed) == current_task() || is_in_netdev()
}

impl<T: Operations> Device<T> {
    const OPS: &'static bindings::file_operations = &bindings::file_operations {
        open: Some(Self::open),
        ..*Callbacks::<T, Referenced<Devices>>::OPS
    };

    /// # Safety
    ///
    /// As for all [`Callbacks`].
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        OPENER.store(current_task(), Relaxed);
        // SAFETY: By this function's contract.
        let result = unsafe { Callbacks::<T, Referenced<Devices>>::open(inode, file) };
        OPENER.store(0, Relaxed);
        result
    }
}

impl<T: Operations> Registration<T> {
    /// Creates the device of `node`, which can be a name alone.
    ///
    /// One lock covers the opening of all miscellaneous devices, so
    /// [`Operations::open`] must not take long. It cannot create such a device; one that
    /// it drops goes a little later. The same holds where a [net device](crate::netdev) is
    /// opened or stopped. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name;
    /// - `EINVAL`: the path does not lie below `/dev`, or has more than 255 bytes;
    /// - `EINVAL`: there is a `!` in the name or the path;
    /// - `EEXIST`: there is a miscellaneous device of that name; the kernel also
    ///   prints a warning;
    /// - `EBUSY`: there is no minor number left;
    /// - `EDEADLK`: the caller is the `open` of such a device, or opens or stops a
    ///   [net device](crate::netdev);
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `data`.
    pub fn new<E>(node: impl Into<DeviceNode>, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::create(bindings::MISC_DYNAMIC_MINOR, node.into(), data)
    }

    /// As [`new`](Self::new), with the minor number `minor`.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), and:
    ///
    /// - `EINVAL`: `minor` is above 254;
    /// - `EBUSY`: here, another device has that number.
    pub fn with_minor<E>(
        minor: u32,
        node: impl Into<DeviceNode>,
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        // C takes this for "any", and none above it.
        if minor >= bindings::MISC_DYNAMIC_MINOR {
            return Err(EINVAL);
        }
        Self::create(minor, node.into(), data)
    }

    fn create<E>(minor: u32, node: DeviceNode, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        node.check(0)?;
        if is_within() {
            return Err(error(bindings::EDEADLK));
        }
        let device = try_pin_init!(Device {
            device <- Opaque::ffi_init(|slot: *mut bindings::miscdevice| {
                // SAFETY: All-zero is a valid `miscdevice`, and `slot` can be
                // written to.
                let it = unsafe {
                    slot.write(core::mem::zeroed());
                    &mut *slot
                };
                it.minor = minor as c_int;
                it.name = node.name.as_char_ptr();
                it.nodename = node.path.as_char_ptr();
                it.mode = node.mode.bits();
                it.fops = Device::<T>::OPS;
            }),
            minor: None,
            data: Arc::pin_init(data, GFP_KERNEL)?,
            _pin: PhantomPinned,
        }? Error);
        let device = Alive::new(device, |device| {
            // SAFETY: Nothing is moved.
            let it = unsafe { device.get_unchecked_mut() };
            // SAFETY: The device is initialised and does not move. Its functions are
            // those for `T` and `Devices`.
            // Unload rule, owner held: the kernel takes a reference to the owner of
            // the table before it calls any of its functions.
            to_result(unsafe { bindings::misc_register(it.device.get()) })?;
            // INVARIANT: It was registered.
            // SAFETY: C changes it here and in `stop` only.
            it.minor = Some(unsafe { (*it.device.get()).minor } as u32);
            Ok(())
        })?;
        Ok(Self(device))
    }

    /// The device's minor number. Its major number is 10.
    ///
    /// Can be called in any context.
    pub fn minor(&self) -> u32 {
        self.0.minor.unwrap_or_default()
    }
}

/// How the files of devices find their data.
struct Devices;

// SAFETY: The kernel finds a device together with its functions, and these are
// for the type of its data.
unsafe impl<T: Operations> Source<T> for Devices {
    unsafe fn find(_inode: *mut bindings::inode, file: *mut bindings::file) -> Result<Arc<T>> {
        // SAFETY: By this function's contract the file is being opened. The
        // kernel has stored a pointer to the device in it. The device is part of
        // a `Device<T>`, and stays registered during this call.
        let data = unsafe {
            let device = Opaque::cast_from((*file).private_data.cast::<bindings::miscdevice>());
            &(*container_of!(device, Device<T>, device)).data
        };
        Ok(Arc::clone(data))
    }
}
