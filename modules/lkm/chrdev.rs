// SPDX-License-Identifier: GPL-2.0-only

//! Character devices: `/dev/NAME`.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/cdev.h`](srctree/include/linux/cdev.h),
//! [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
//!
//! The `kernel` crate has no character devices except miscellaneous ones, and no
//! device classes.
//!
//! # Why there is no `struct cdev` here
//!
//! In C a driver often embeds a `struct cdev` in its data, and `open` finds the
//! data by `container_of(inode->i_cdev, ...)`. That memory must then outlive every
//! open file: `cdev_del()` does not wait for files that are open, and after the
//! `release` of such a file the kernel still puts its reference to the `cdev`. So
//! the registration could not free the data when it is dropped. The `cdev` would
//! need a parent kobject whose release function frees the data. That function is
//! the module's, and the kernel may call it when the module is gone: with
//! `CONFIG_DEBUG_KOBJECT_RELEASE` it does so seconds late.
//!
//! Here the kernel allocates and frees the `cdev` itself, in
//! `__register_chrdev()`. There is one for all minor numbers, and it has no
//! pointer for a driver's data. So an xarray in the module maps each device number
//! to the data, and `open` takes a reference to the data under the xarray's lock.
//! The registration removes its entries when it is dropped. A file that is open
//! keeps its own reference, so it does not matter which of the two goes first.

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
    str::{
        CStr,
        CString, //
    },
    sync::Arc, //
};

/// One or more character devices with the same major number. There is a class of
/// the given name in `/sys/class`, and a node in `/dev` for each device, for as
/// long as this value lives.
///
/// A node has mode `0600`. Opening it calls the operations of `T` with the
/// device's data. If another device already has a node of that name, the kernel
/// creates none, and does not report it.
///
/// # Unloading
///
/// *Owner held*: an open file keeps the module, so `rmmod` is refused with
/// `EWOULDBLOCK`. If the registration is dropped while the module stays, the
/// nodes go away; open files still work, with their own reference to the data.
///
/// The kernel gives out such references while init runs, too, but when init fails
/// it frees the module regardless of them. *We wait* then: dropping the
/// registration while init runs returns when no file of the module is open any
/// more. So create the device last, when nothing else can fail. Otherwise a
/// failing init waits until user space closes its files.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     chrdev,
///     file::{Offset, Opened, Operations, Writer},
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
/// let device = chrdev::Registration::new(c"answer", Answer)?;
/// pr_info!("major {}\n", device.major());
/// # Ok::<(), Error>(())
/// ```
///
/// Several devices, each with data of its own:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     chrdev,
///     file::{Offset, Opened, Operations, Writer},
/// };
///
/// struct Letter(u8);
///
/// #[vtable]
/// impl Operations for Letter {
///     type Private = ();
///
///     fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
///         dst.write_slice_file(&[self.0, b'\n'], pos)
///     }
/// }
///
/// // `/dev/letter0` contains `a`, `/dev/letter1` contains `b`, and so on.
/// let letters = chrdev::Registration::with_minors(3, c"letter", |minor| {
///     Letter(b'a' + minor as u8)
/// })?;
/// # Ok::<(), Error>(())
/// ```
// The fields are dropped in this order: first the nodes and the entries that
// `open` finds the data by, then the class, then the device numbers. Last, when
// init fails, we wait for the files that are open.
pub struct Registration<T: Operations> {
    devices: KVec<Device<T>>,
    class: Class,
    region: Region,
    _openers: Openers,
}

impl<T: Operations> Registration<T> {
    /// Creates the device `/dev/<name>`, with a major number that the kernel
    /// chooses and minor number 0.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `name` is no file name, or has more than 63 bytes;
    /// - `EEXIST`: a class of that name exists; the kernel also prints a warning;
    /// - `EBUSY`: there is no major number left;
    /// - `ENOMEM`;
    /// - the error of `data`.
    pub fn new<E>(name: &'static CStr, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::with_major(0, name, data)
    }

    /// As [`new`](Self::new), with the major number `major` if that is free. If
    /// it is in use or 0, the kernel chooses one.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), and:
    ///
    /// - `EINVAL`: `major` is above 511.
    pub fn with_major<E>(major: u32, name: &'static CStr, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        let mut this = Self::empty(major, name, 1)?;
        this.add(0, name, data)?;
        Ok(this)
    }

    /// Creates `count` devices, `/dev/<name>0`, `/dev/<name>1` and so on. `data`
    /// is called with the minor number of each, and returns its data.
    ///
    /// Either all devices are created or none. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), and:
    ///
    /// - `EINVAL`: `count` is 0 or above 256.
    pub fn with_minors<E, D>(
        count: u32,
        name: &'static CStr,
        mut data: impl FnMut(u32) -> D,
    ) -> Result<Self>
    where
        D: PinInit<T, E>,
        Error: From<E>,
    {
        let mut this = Self::empty(0, name, count)?;
        for minor in 0..count {
            let node = CString::try_from_fmt(fmt!("{name}{minor}"))?;
            this.add(minor, &node, data(minor))?;
        }
        Ok(this)
    }

    fn empty(major: u32, name: &'static CStr, count: u32) -> Result<Self> {
        let ops = Callbacks::<T, Referenced<Devices>>::OPS;
        // Before the region, so that it is dropped after it when the rest fails.
        let openers = Openers;
        // SAFETY: These are the functions for `T` and `Devices`, and name the
        // module as their owner. Their data is what `Listing` holds.
        let region = unsafe { Region::new(major, count, name, ops) }?;
        Ok(Self {
            devices: KVec::with_capacity(count as usize, GFP_KERNEL)?,
            class: Class::new(name)?,
            region,
            _openers: openers,
        })
    }

    fn add<E>(&mut self, minor: u32, node: &CStr, data: impl PinInit<T, E>) -> Result
    where
        Error: From<E>,
    {
        let data = Arc::pin_init(data, GFP_KERNEL)?;
        let dev = self.region.major << bindings::MINORBITS | minor;
        let listing = Listing::new(dev, data)?;
        let device = Device {
            _node: Node::new(&self.class, dev, node)?,
            _listing: listing,
        };
        Ok(self.devices.push(device, GFP_KERNEL)?)
    }

    /// The major number of the devices.
    ///
    /// Can be called in any context.
    pub fn major(&self) -> u32 {
        self.region.major
    }
}

/// A device: its node, and the data that `open` finds.
struct Device<T: Operations> {
    _node: Node,
    _listing: Listing<T>,
}

/// A major number, with minor numbers that begin at 0.
///
/// # Invariants
///
/// `__register_chrdev()` returned `major` for `count` and `name`.
struct Region {
    major: u32,
    count: u32,
    name: &'static CStr,
}

impl Region {
    /// Registers `major` if it is neither 0 nor in use. Otherwise the kernel
    /// chooses a number.
    ///
    /// # Safety
    ///
    /// `ops` are functions for the files of the devices, with the module as
    /// their owner.
    unsafe fn new(
        major: u32,
        count: u32,
        name: &'static CStr,
        ops: &'static bindings::file_operations,
    ) -> Result<Self> {
        // The kernel silently cuts off a longer one.
        const LONGEST: usize = 63;
        // The minor numbers of one major, as `register_chrdev()` takes them.
        const MOST: u32 = 256;
        if !file::is_name(name) || name.count_bytes() > LONGEST || !(1..=MOST).contains(&count) {
            return Err(EINVAL);
        }
        let register = |major| {
            // SAFETY: The name is a string, the table is `'static`, and its
            // functions are the right ones by this function's contract.
            // Unload rule, owner held: the kernel takes a reference to the
            // owner of the table before it calls any of its functions.
            unsafe { bindings::__register_chrdev(major, 0, count, name.as_char_ptr(), ops) }
        };
        // The number that the kernel chose, or 0 if it is `major`.
        let mut chosen = register(major);
        if major != 0 && chosen == EBUSY.to_errno() {
            chosen = register(0);
        }
        to_result(chosen)?;
        // INVARIANT: It was registered.
        Ok(Self {
            major: if chosen == 0 { major } else { chosen as u32 },
            count,
            name,
        })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the numbers are ours.
        unsafe {
            bindings::__unregister_chrdev(self.major, 0, self.count, self.name.as_char_ptr())
        };
    }
}

/// The entry that leads from a device number to the device's data.
///
/// # Invariants
///
/// `lkm_chrdevs` has a pointer to `entry` at the index `dev`, and `entry`
/// describes `_data`.
struct Listing<T: Operations> {
    dev: bindings::dev_t,
    entry: KBox<Entry>,
    _data: Arc<T>,
}

/// What `open` finds by the device number.
struct Entry {
    /// The type of the data. It is checked because a file can belong to an older
    /// device that had the same number.
    type_id: TypeId,
    /// From `Arc::as_ptr`.
    data: *const c_void,
}

// SAFETY: Only `find` uses the pointer, after it has checked the type, and
// `Operations` requires the data to be `Send` and `Sync`.
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
        // SAFETY: The xarray is initialised statically. The entry does not move,
        // and is removed before it is freed.
        let old = unsafe {
            bindings::xa_store(
                &raw mut bindings::lkm_chrdevs,
                dev as usize,
                (&raw const *entry).cast_mut().cast(),
                bindings::GFP_KERNEL,
            )
        };
        // SAFETY: `xa_store()` returns the old entry, and there was none, or an
        // error.
        to_result(unsafe { bindings::xa_err(old) })?;
        // INVARIANT: It was stored.
        Ok(Self {
            dev,
            entry,
            _data: data,
        })
    }
}

impl<T: Operations> Drop for Listing<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the entry is in the xarray. `find` uses
        // it only under the lock that this takes.
        let entry =
            unsafe { bindings::xa_erase(&raw mut bindings::lkm_chrdevs, self.dev as usize) };
        debug_assert!(core::ptr::eq(entry.cast(), &raw const *self.entry));
    }
}

/// How the files of devices find their data.
struct Devices;

// SAFETY: `find` returns the data that the device was created with, of the same
// type.
unsafe impl<T: Operations> Source<T> for Devices {
    unsafe fn find(inode: *mut bindings::inode, _file: *mut bindings::file) -> Result<Arc<T>> {
        let devices = &raw mut bindings::lkm_chrdevs;
        // SAFETY: The inode is valid by this function's contract. The xarray is
        // initialised statically, and unlocked again below.
        let entry = unsafe {
            bindings::xa_lock(devices);
            bindings::xa_load(devices, (*inode).i_rdev as usize).cast::<Entry>()
        };
        // SAFETY: By the invariants of `Listing` this points to an entry, or is
        // null. The entry stays for as long as the lock is held.
        let data = unsafe { entry.as_ref() }
            .filter(|entry| entry.type_id == TypeId::of::<T>())
            .map(|entry| {
                // SAFETY: By the invariants of `Listing` this is the pointer of
                // an `Arc<T>` that exists while the entry does.
                let data = unsafe { Arc::from_raw(entry.data.cast::<T>()) };
                // The reference that `data` stands for is not ours to drop.
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
        // functions that release the class are the kernel's, not the module's.
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

/// A device of a class. For it the kernel creates the node in `/dev`.
///
/// # Invariants
///
/// `class` has a device with the number `dev`. The class outlives this value.
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
        // SAFETY: The class exists. Format and argument are strings, and are
        // copied. The function that releases the device is the kernel's, not the
        // module's.
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
        // INVARIANT: The device was created. The class outlives it: the fields
        // of `Registration` are dropped in this order.
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
