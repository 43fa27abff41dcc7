// SPDX-License-Identifier: GPL-2.0-only

//! What all devices with one major number have in common, and how their files find the
//! data.

use crate::{
    alive::is_live,
    bindings,
    compat::CStrExt,
    file::{
        DeviceNode,
        Operations,
        Source, //
    },
};
use core::{
    any::TypeId,
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// A major number with `count` minor numbers that begin at 0, and a device class.
///
/// # Invariants
///
/// Until `end`:
///
/// - `major` is 0, or its first `count` minor numbers are registered;
/// - `cdev` is null, or was added for these numbers;
/// - `class_create()` returned `class`, if it is not null.
pub(super) struct Region {
    node: DeviceNode,
    count: u32,
    major: u32,
    cdev: *mut bindings::cdev,
    class: *mut bindings::class,
}

// SAFETY: A class and its devices may be used and destroyed from any thread.
unsafe impl Send for Region {}

// SAFETY: As above. What a shared reference gives access to does not change.
unsafe impl Sync for Region {}

impl Region {
    /// A region that is not registered.
    pub(super) fn new(node: DeviceNode, count: u32) -> Self {
        // INVARIANT: There is nothing yet.
        Self {
            node,
            count,
            major: 0,
            cdev: ptr::null_mut(),
            class: ptr::null_mut(),
        }
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }

    /// Null if the region is not registered.
    pub(super) fn class(&self) -> *const bindings::class {
        self.class
    }

    fn dev(&self, minor: u32) -> bindings::dev_t {
        self.major << bindings::MINORBITS | minor
    }

    /// Creates all of it. After an error `end` takes back what there is.
    ///
    /// # Safety
    ///
    /// `ops` are those of [`Devices`] for some `T`, and so is every device that is listed.
    pub(super) unsafe fn register(
        &mut self,
        major: u32,
        ops: &'static bindings::file_operations,
    ) -> Result {
        self.register_major(major)?;
        // SAFETY: By this function's contract.
        unsafe { self.add_cdev(ops) }?;
        // SAFETY: The name is a string that lives as long as the module.
        let class = from_err_ptr(unsafe { bindings::class_create(self.node.name.as_char_ptr()) })?;
        // INVARIANT: It was just created.
        self.class = class;
        // SAFETY: Nobody else uses a class that has no devices.
        // Unload rule, unregister waits: `device_destroy()` returns when C no longer calls
        // it for that device.
        unsafe { (*class).devnode = Some(devnode) };
        Ok(())
    }

    /// Registers `major` if it is neither 0 nor in use. Otherwise the kernel
    /// chooses a number.
    fn register_major(&mut self, major: u32) -> Result {
        let name = self.node.name.as_char_ptr();
        if major != 0 {
            // SAFETY: The name is a string, and is copied.
            let registered = unsafe {
                bindings::register_chrdev_region(major << bindings::MINORBITS, self.count, name)
            };
            if registered != EBUSY.to_errno() {
                to_result(registered)?;
                // INVARIANT: It was registered.
                self.major = major;
                return Ok(());
            }
        }
        let mut dev = 0;
        // SAFETY: As above.
        to_result(unsafe { bindings::alloc_chrdev_region(&mut dev, 0, self.count, name) })?;
        // INVARIANT: It was registered.
        self.major = dev >> bindings::MINORBITS;
        Ok(())
    }

    /// From now on the devices can be opened.
    ///
    /// # Safety
    ///
    /// As for `register`.
    unsafe fn add_cdev(&mut self, ops: &'static bindings::file_operations) -> Result {
        // SAFETY: Until it is added, nobody else has the `cdev`. The operations are
        // `'static`; by this function's contract they are those for the devices.
        // Unload rule, owner held: the kernel takes a reference to the owner of the
        // `cdev` before it calls any operation.
        unsafe {
            let cdev = bindings::cdev_alloc();
            if cdev.is_null() {
                return Err(ENOMEM);
            }
            (*cdev).owner = &raw mut bindings::__this_module;
            (*cdev).ops = ops;
            to_result(bindings::cdev_add(cdev, self.dev(0), self.count))
                .inspect_err(|_| bindings::kobject_put(&raw mut (*cdev).kobj))?;
            // INVARIANT: It was added.
            self.cdev = cdev;
        }
        Ok(())
    }

    /// Has `find` find the data of the device `minor`.
    ///
    /// # Safety
    ///
    /// The device does not move, and is not freed before `unlist`. It has data of the type
    /// that the region was registered for.
    pub(super) unsafe fn list<T>(&self, minor: u32, device: &Device<T>) -> Result {
        // SAFETY: The xarray is initialised statically. By this function's contract the
        // entry is there until it is removed.
        let old = unsafe {
            bindings::xa_store(
                &raw mut bindings::lkm_chrdevs,
                self.dev(minor) as usize,
                (&raw const device.entry).cast_mut().cast(),
                bindings::GFP_KERNEL,
            )
        };
        // SAFETY: `xa_store()` returns the old entry, and there was none, or an
        // error.
        to_result(unsafe { bindings::xa_err(old) })
    }

    /// Nobody finds the data of the device `minor` any more.
    pub(super) fn unlist(&self, minor: u32) {
        // SAFETY: The xarray is initialised statically. `find` uses the entry only under
        // the lock that this takes.
        unsafe { bindings::xa_erase(&raw mut bindings::lkm_chrdevs, self.dev(minor) as usize) };
    }

    /// Adds the device `minor` to the class. For it the kernel creates the node in `/dev`, with
    /// the number at its end if it is `numbered`.
    pub(super) fn make_node(&self, minor: u32, numbered: bool) -> Result {
        let number = match numbered {
            true => CString::try_from_fmt(fmt!("{minor}"))?,
            false => CString::try_from_fmt(fmt!(""))?,
        };
        // `devnode` makes a mode of it again.
        let mode = ptr::without_provenance_mut(self.node.mode.bits().into());
        // SAFETY: The class exists. Format and arguments are strings, and are copied. C puts
        // a `!` for each `/` into the name, and `/` again into the node's path.
        let device = unsafe {
            bindings::device_create(
                self.class,
                ptr::null_mut(),
                self.dev(minor),
                mode,
                c"%s%s".as_char_ptr(),
                self.node.path.as_char_ptr(),
                number.as_char_ptr(),
            )
        };
        from_err_ptr(device).map(|_| ())
    }

    /// Removes the device `minor` from the class, with its node. May sleep.
    ///
    /// # Safety
    ///
    /// It has a node.
    pub(super) unsafe fn remove_node(&self, minor: u32) {
        // SAFETY: By this function's contract the class exists.
        unsafe { bindings::device_destroy(self.class, self.dev(minor)) };
    }

    /// Takes back all of it. `hang_up` is called when no file can be opened by a new node, if
    /// there was a `cdev`. May sleep.
    ///
    /// # Safety
    ///
    /// There are no devices in the class, and none is listed. This is called once.
    pub(super) unsafe fn end(&self, hang_up: impl FnOnce()) {
        // SAFETY: By the type invariants all of this is there.
        unsafe {
            // For null this does nothing.
            bindings::class_destroy(self.class);
            if !self.cdev.is_null() {
                hang_up();
                // The reference to the parent is the cdev's: its release puts it.
                let kobject = &raw mut bindings::__this_module.mkobj.kobj;
                bindings::cdev_set_parent(self.cdev, bindings::kobject_get(kobject));
                bindings::cdev_del(self.cdev);
            }
            if self.major != 0 {
                bindings::unregister_chrdev_region(self.dev(0), self.count);
            }
        }
    }
}

/// Tells the kernel the mode of a device's node.
///
/// # Safety
///
/// Called by the driver core only, for a device that `make_node` creates or has created.
/// `mode` is null or can be written to.
unsafe extern "C" fn devnode(
    device: *const bindings::device,
    mode: *mut bindings::umode_t,
) -> *mut c_char {
    // SAFETY: By this function's contract.
    if let Some(mode) = unsafe { mode.as_mut() } {
        // SAFETY: As above. `make_node` has stored a mode there.
        *mode = unsafe { (*device).driver_data }.addr() as bindings::umode_t;
    }
    // The path follows from the device's name.
    ptr::null_mut()
}

/// A device: its data, and what leads to it.
pub(super) struct Device<T> {
    entry: Entry,
    pub(super) data: Arc<T>,
}

impl<T: Operations> Device<T> {
    pub(super) fn new<E>(data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        let data = Arc::pin_init(data, GFP_KERNEL)?;
        let entry = Entry {
            type_id: TypeId::of::<T>(),
            data: Arc::as_ptr(&data).cast(),
        };
        Ok(Self { entry, data })
    }

    /// The device goes. If init runs, and then fails, the kernel frees the module while files
    /// are open: so waits in operations have to end.
    pub(super) fn hang_up(&self) {
        if !is_live() {
            self.data.hang_up();
        }
    }
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

/// How the files of devices find their data.
pub(super) struct Devices;

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
        // SAFETY: By the contract of `list` this points to an entry, or is
        // null. The entry stays for as long as the lock is held.
        let data = unsafe { entry.as_ref() }
            .filter(|entry| entry.type_id == TypeId::of::<T>())
            .map(|entry| {
                // SAFETY: By the contract of `list` this is the pointer of
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
