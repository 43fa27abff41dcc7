// SPDX-License-Identifier: GPL-2.0-only

//! Character devices: `/dev/NAME`.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/cdev.h`](srctree/include/linux/cdev.h),
//! [`include/linux/device/class.h`](srctree/include/linux/device/class.h)

use crate::{
    bindings,
    file::{
        self,
        Callbacks,
        Operations,
        Referenced,
        Source, //
    },
};
use core::{
    any::TypeId,
    mem::ManuallyDrop, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    str::CStr,
    sync::Arc, //
};

/// A character device: a major number, which the kernel chooses, a class in
/// `/sys/class` and the node in `/dev`, all of the same name and there for as
/// long as this value lives.
///
/// The node has mode `0600`. Opening it calls the operations of `T`, all of
/// which get the same data.
///
/// # Unloading
///
/// *Owner held*: a file that is open keeps the module, so `rmmod` is refused
/// with `EWOULDBLOCK`. Dropping the registration while the module stays takes
/// the node away; files that are open still work, with their own reference to
/// the data.
///
/// While init runs the kernel gives such references, too, but when init fails
/// it frees the module regardless of them. So make the device last, when
/// nothing can fail any more.
///
/// # Examples
///
/// ```ignore
/// struct Answer;
///
/// #[vtable]
/// impl file::Operations for Answer {
///     type Private = ();
///
///     fn read(
///         &self,
///         _file: file::Opened<'_, Self>,
///         pos: &mut Offset,
///         dst: &mut UserSliceWriter,
///     ) -> Result<usize> {
///         dst.write_slice_file(b"42\n", pos)
///     }
/// }
///
/// let device = chrdev::Registration::new(c"answer", Answer)?;
/// pr_info!("major {}\n", device.major());
/// ```
// Dropped in this order: no node, no class, no data to be found, no device.
pub struct Registration<T: Operations> {
    _node: Node,
    _class: Class,
    listing: Listing<T>,
    region: Region,
}

impl<T: Operations> Registration<T> {
    /// Makes the device and then its node.
    ///
    /// Fails with `EINVAL` for a name that is no file name or has more than 63
    /// bytes, with `EEXIST` when a class of that name exists (the kernel then
    /// also prints a warning), with `EBUSY` when there is no major number left,
    /// and with `ENOMEM`. May sleep.
    pub fn new<E>(name: &'static CStr, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        let data = Arc::pin_init(data, GFP_KERNEL)?;
        // SAFETY: These are the functions for `T` and `Devices`, whose data is
        // what `Listing` holds.
        let region = unsafe { Region::new(name, Callbacks::<T, Referenced<Devices>>::OPS) }?;
        let dev = region.major << bindings::MINORBITS;
        let listing = Listing::new(dev, data)?;
        let class = Class::new(name)?;
        Ok(Self {
            _node: Node::new(&class, dev, name)?,
            _class: class,
            listing,
            region,
        })
    }

    /// The device's major number. Its minor number is 0.
    pub fn major(&self) -> u32 {
        self.region.major
    }

    /// The data that the operations are given.
    pub fn data(&self) -> &T {
        &self.listing.data
    }
}

/// A major number with one device.
///
/// # Invariants
///
/// `__register_chrdev()` returned `major` for `name`.
struct Region {
    major: u32,
    name: &'static CStr,
}

impl Region {
    /// # Safety
    ///
    /// `ops` are functions for the files of the device, with the module as
    /// their owner.
    unsafe fn new(name: &'static CStr, ops: &'static bindings::file_operations) -> Result<Self> {
        // The kernel cuts a longer one off without a word.
        const LONGEST: usize = 63;
        if !file::is_name(name) || name.count_bytes() > LONGEST {
            return Err(EINVAL);
        }
        // SAFETY: The name is a string, the table is `'static`, and its
        // functions are right by this function's contract.
        // Unload rule, owner held: the kernel takes a reference to the owner
        // of the table before it calls any of its functions.
        let major = unsafe { bindings::__register_chrdev(0, 0, 1, name.as_char_ptr(), ops) };
        to_result(major)?;
        // INVARIANT: It returned the number.
        Ok(Self {
            major: major as u32,
            name,
        })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the number is ours.
        unsafe { bindings::__unregister_chrdev(self.major, 0, 1, self.name.as_char_ptr()) };
    }
}

/// The data of a device, in a place where a file of the device finds it.
///
/// # Invariants
///
/// `lkm_chrdevs` has a pointer to `entry` for `dev`, and `entry` is about
/// `data`.
struct Listing<T: Operations> {
    dev: bindings::dev_t,
    entry: KBox<Entry>,
    data: Arc<T>,
}

/// What a file finds.
struct Entry {
    /// The type of the data. A file that was found by its number can be that
    /// of a device which had the number before.
    type_id: TypeId,
    /// From `Arc::as_ptr`.
    data: *const c_void,
}

// SAFETY: The pointer is not used but by `find`, which knows its type.
unsafe impl Send for Entry {}

// SAFETY: As above.
unsafe impl Sync for Entry {}

impl<T: Operations> Listing<T> {
    fn new(dev: bindings::dev_t, data: Arc<T>) -> Result<Self> {
        let entry = Entry {
            type_id: TypeId::of::<T>(),
            data: Arc::as_ptr(&data).cast(),
        };
        let entry = KBox::new(entry, GFP_KERNEL)?;
        // SAFETY: The array is initialised statically. The entry stays where
        // it is, and is removed before it is freed.
        let old = unsafe {
            bindings::xa_store(
                &raw mut bindings::lkm_chrdevs,
                dev as usize,
                (&raw const *entry).cast_mut().cast(),
                bindings::GFP_KERNEL,
            )
        };
        // SAFETY: `xa_store()` returns what was there, which is nothing, or an
        // error.
        to_result(unsafe { bindings::xa_err(old) })?;
        // INVARIANT: It was stored.
        Ok(Self { dev, entry, data })
    }
}

impl<T: Operations> Drop for Listing<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the entry is there. `find` uses it
        // only under the lock that this takes.
        let entry =
            unsafe { bindings::xa_erase(&raw mut bindings::lkm_chrdevs, self.dev as usize) };
        debug_assert!(core::ptr::eq(entry.cast(), &raw const *self.entry));
    }
}

/// Where the files of devices find their data.
struct Devices;

// SAFETY: `find` returns what the device was made with, of the same type.
unsafe impl<T: Operations> Source<T> for Devices {
    unsafe fn find(inode: *mut bindings::inode, _file: *mut bindings::file) -> Result<Arc<T>> {
        let devices = &raw mut bindings::lkm_chrdevs;
        // SAFETY: The inode is valid by this function's contract. The array is
        // initialised statically, and unlocked again below.
        let entry = unsafe {
            bindings::xa_lock(devices);
            bindings::xa_load(devices, (*inode).i_rdev as usize).cast::<Entry>()
        };
        // SAFETY: By the invariants of `Listing` this points to an entry, which
        // stays for as long as the lock is held.
        let data = unsafe { entry.as_ref() }
            .filter(|entry| entry.type_id == TypeId::of::<T>())
            .map(|entry| {
                // SAFETY: By the invariants of `Listing` this is the pointer of
                // an `Arc<T>` that exists while the entry does.
                let data = unsafe { Arc::from_raw(entry.data.cast::<T>()) };
                // That one is not ours.
                Arc::clone(&ManuallyDrop::new(data))
            });
        // SAFETY: The lock was taken above.
        unsafe { bindings::xa_unlock(devices) };
        data.ok_or(ENXIO)
    }
}

/// A class of devices.
///
/// # Invariants
///
/// `class_create()` returned the pointer.
struct Class(*mut bindings::class);

// SAFETY: The class may be used and destroyed from any thread.
unsafe impl Send for Class {}

// SAFETY: As above.
unsafe impl Sync for Class {}

impl Class {
    fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: The name is a string that lives as long as the module. The
        // functions that release the class are not the module's.
        // INVARIANT: The pointer is what was returned.
        let class = unsafe { bindings::class_create(name.as_char_ptr()) };
        Ok(Self(from_err_ptr(class)?))
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the class exists.
        unsafe { bindings::class_destroy(self.0) };
    }
}

/// A device of a class, which makes the node in `/dev`.
///
/// # Invariants
///
/// There is a device `dev` of `class`, which outlives this.
struct Node {
    class: *const bindings::class,
    dev: bindings::dev_t,
}

// SAFETY: The device may be destroyed from any thread.
unsafe impl Send for Node {}

// SAFETY: As above.
unsafe impl Sync for Node {}

impl Node {
    fn new(class: &Class, dev: bindings::dev_t, name: &CStr) -> Result<Self> {
        // SAFETY: The class exists; format and argument are strings, which are
        // copied. The function that releases the device is not the module's.
        let device = unsafe {
            bindings::device_create(
                class.0,
                core::ptr::null_mut(),
                dev,
                core::ptr::null_mut(),
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        };
        from_err_ptr(device)?;
        // INVARIANT: The device was made.
        Ok(Self {
            class: class.0,
            dev,
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the device exists.
        unsafe { bindings::device_destroy(self.class, self.dev) };
    }
}
