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
    bindings,
    file::{
        self,
        Callbacks,
        Openers,
        Operations,
        Referenced,
        Source, //
    },
};
use core::marker::PhantomPinned;
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    str::CStr,
    sync::Arc,
    types::Opaque, //
};

/// A miscellaneous device with its node in `/dev`, for as long as this value
/// lives. Its major number is 10, and the kernel chooses the minor number.
///
/// The node has mode `0600`. Opening it calls the operations of `T`. All files
/// share the same data.
///
/// # Unloading
///
/// *Owner held*, and *we wait* when init fails, exactly as for a
/// [`chrdev::Registration`](crate::chrdev::Registration#unloading). So create
/// the device last here, too.
///
/// # Invariants
///
/// `device` is registered until this value is dropped.
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
/// let device = KBox::pin_init(
///     miscdevice::Registration::new(c"answer", Answer),
///     GFP_KERNEL,
/// )?;
/// pr_info!("minor {}\n", device.minor());
/// # Ok::<(), Error>(())
/// ```
#[pin_data(PinnedDrop)]
pub struct Registration<T: Operations> {
    #[pin]
    device: Opaque<bindings::miscdevice>,
    data: Arc<T>,
    _openers: Openers,
    // The kernel has a pointer to `device`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Registration<T> where T: Operations);

// SAFETY: The device may be unregistered on any thread, and `T` is `Send` and
// `Sync`.
unsafe impl<T: Operations> Send for Registration<T> {}

// SAFETY: A shared reference only gives access to `data` and to numbers that do
// not change.
unsafe impl<T: Operations> Sync for Registration<T> {}

impl<T: Operations> Registration<T> {
    /// Creates the device and its node `/dev/<name>`.
    ///
    /// One lock covers the opening of all miscellaneous devices, so
    /// [`Operations::open`] must not take long. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `name` is no file name;
    /// - `EEXIST`: there is a miscellaneous device of that name; the kernel also
    ///   prints a warning;
    /// - `EBUSY`: there is no minor number left;
    /// - `ENOMEM`;
    /// - the error of `data`.
    pub fn new<E>(name: &'static CStr, data: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            data: Arc::pin_init(data, GFP_KERNEL)?,
            _openers: Openers,
            // This comes last: from here on the device can be opened.
            device <- Opaque::try_ffi_init(move |device: *mut bindings::miscdevice| {
                if !file::is_name(name) {
                    return Err(EINVAL);
                }
                // SAFETY: All-zero is a valid `miscdevice`, and `device` can be
                // written to.
                let it = unsafe {
                    device.write(core::mem::zeroed());
                    &mut *device
                };
                it.minor = bindings::MISC_DYNAMIC_MINOR as c_int;
                it.name = name.as_char_ptr();
                it.fops = Callbacks::<T, Referenced<Devices>>::OPS;
                // SAFETY: The device is initialised and does not move. Its
                // functions are those for `T` and `Devices`.
                // Unload rule, owner held: the kernel takes a reference to the
                // owner of the table before it calls any of its functions.
                // INVARIANT: It is registered when this succeeds.
                to_result(unsafe { bindings::misc_register(device) })
            }),
            _pin: PhantomPinned,
        })
    }

    /// The device's minor number. Its major number is 10.
    ///
    /// Can be called in any context.
    pub fn minor(&self) -> u32 {
        // SAFETY: By the type invariants the device is registered, so the kernel
        // does not change the number.
        unsafe { (*self.device.get()).minor as u32 }
    }
}

#[pinned_drop]
impl<T: Operations> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants the device is registered. When this
        // returns, no `open` of it is running and none can begin.
        unsafe { bindings::misc_deregister(self.device.get()) };
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
        // a `Registration`, and stays registered during this call.
        let data = unsafe {
            let device = Opaque::cast_from((*file).private_data.cast::<bindings::miscdevice>());
            &(*container_of!(device, Registration<T>, device)).data
        };
        Ok(Arc::clone(data))
    }
}
