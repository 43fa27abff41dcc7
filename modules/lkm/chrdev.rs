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

/// Character devices of one major number, mostly one of them: a class in
/// `/sys/class` of the name given, and for each device a node in `/dev`, all
/// there for as long as this value lives.
///
/// A node has mode `0600`. Opening it calls the operations of `T` with the
/// device's data. Where another device has a node of that name the kernel makes
/// none, and does not say so.
///
/// # Unloading
///
/// *Owner held*: a file that is open keeps the module, so `rmmod` is refused
/// with `EWOULDBLOCK`. Dropping the registration while the module stays takes
/// the nodes away; files that are open still work, with their own reference to
/// the data.
///
/// While init runs the kernel gives such references, too, but when init fails
/// it frees the module regardless of them. *We wait* then: dropping the
/// registration while init runs returns when nobody has a file of the module
/// open. So make the device last, when nothing can fail any more, or the failure
/// comes when user space allows it.
///
/// # Examples
///
/// ```ignore
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
/// ```
// Dropped in this order: no nodes, no data to be found, no class, no numbers,
// nobody who opened one when init fails.
pub struct Registration<T: Operations> {
    devices: KVec<Device<T>>,
    class: Class,
    region: Region,
    _openers: Openers,
}

impl<T: Operations> Registration<T> {
    /// Makes the device `/dev/<name>`, with a major number that the kernel
    /// chooses and minor number 0.
    ///
    /// Fails with `EINVAL` for a name that is no file name or has more than 63
    /// bytes, with `EEXIST` when a class of that name exists (the kernel then
    /// also prints a warning), with `EBUSY` when there is no major number left,
    /// and with `ENOMEM` and the error of `data`. May sleep.
    pub fn new<E>(name: &'static CStr, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::with_major(0, name, data)
    }

    /// As [`new`](Self::new), with the major number `major` if that is free. If
    /// it is not, or is 0, the kernel chooses one.
    pub fn with_major<E>(major: u32, name: &'static CStr, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        let mut this = Self::empty(major, name, 1)?;
        this.add(0, name, data)?;
        Ok(this)
    }

    /// Makes the devices `/dev/<name>0`, `/dev/<name>1` and so on, `count` of
    /// them, with what `data` returns for their minor numbers.
    ///
    /// Fails as [`new`](Self::new), and with `EINVAL` for more than 256. Either
    /// all are made or none.
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
        // SAFETY: These are the functions for `T` and `Devices`, whose data is
        // what `Listing` holds.
        let region = unsafe { Region::new(major, count, name, ops) }?;
        Ok(Self {
            devices: KVec::with_capacity(count as usize, GFP_KERNEL)?,
            class: Class::new(name)?,
            region,
            _openers: Openers,
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
    pub fn major(&self) -> u32 {
        self.region.major
    }
}

/// A device: its node, and what those who open it find.
struct Device<T: Operations> {
    _node: Node,
    _listing: Listing<T>,
}

/// A major number with minor numbers from 0 on.
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
    /// Takes `major` if it is neither 0 nor in use.
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
        // The kernel cuts a longer one off without a word.
        const LONGEST: usize = 63;
        // More minors could reach into the range of another driver.
        const MOST: u32 = 256;
        if !file::is_name(name) || name.count_bytes() > LONGEST || !(1..=MOST).contains(&count) {
            return Err(EINVAL);
        }
        let register = |major| {
            // SAFETY: The name is a string, the table is `'static`, and its
            // functions are right by this function's contract.
            // Unload rule, owner held: the kernel takes a reference to the
            // owner of the table before it calls any of its functions.
            unsafe { bindings::__register_chrdev(major, 0, count, name.as_char_ptr(), ops) }
        };
        // The number that the kernel chose, or 0 for the one asked for.
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

/// The data of a device, in a place where a file of the device finds it.
///
/// # Invariants
///
/// `lkm_chrdevs` has a pointer to `entry` for `dev`, and `entry` is about
/// `_data`.
struct Listing<T: Operations> {
    dev: bindings::dev_t,
    entry: KBox<Entry>,
    _data: Arc<T>,
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
        Ok(Self {
            dev,
            entry,
            _data: data,
        })
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
