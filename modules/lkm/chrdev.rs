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
//! # Why the data has no `struct cdev` in it
//!
//! In C a driver often embeds a `struct cdev` in its data, and `open` finds the
//! data by `container_of(inode->i_cdev, ...)`. That memory must then outlive every
//! open file: `cdev_del()` does not wait for files that are open, and after the
//! `release` of such a file the kernel still puts its reference to the `cdev`. So
//! the registration could not free the data when it is dropped.
//!
//! Here the kernel allocates and frees the `cdev`. There is one for all minor
//! numbers, and it has no pointer for a driver's data. So an xarray in the module
//! maps each device number to the data, and `open` takes a reference to the data
//! under the xarray's lock. The registration removes its entries when it is dropped.
//! A file that is open keeps its own reference, so it does not matter which of the
//! two goes first.
//!
//! # When the `cdev` is freed
//!
//! Until then the inode of a node that somebody has made by `mknod` leads to it, and
//! who opens that node reads a pointer to the module. With
//! `CONFIG_DEBUG_KOBJECT_RELEASE` the kernel frees a `cdev` seconds late. So when its
//! registration ends, a `cdev` gets the module's own kobject as its parent. Before it
//! frees a module, the kernel waits until that kobject has no children any more.
//!
//! A class that is freed late has only a pointer to its name in the module. Debug messages
//! of the driver core print it then, if somebody has turned them on
//! (`CONFIG_DYNAMIC_DEBUG`): such a kernel should not have `DEBUG_KOBJECT_RELEASE`, too.

use crate::{
    alive::{
        self,
        Alive,
        Name,
        Stop, //
    },
    bindings,
    compat::{
        as_kernel_cstr,
        CStrExt, //
    },
    file::{
        Callbacks,
        DeviceNode,
        Operations,
        Referenced,
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

/// One or more character devices with the same major number. There is a class of
/// the given name in `/sys/class`, and a node in `/dev` for each device, for as
/// long as this value lives.
///
/// Opening a node calls the operations of `T` with the device's data.
///
/// # Unloading
///
/// *Owner held*: an open file keeps the module, so `rmmod` is refused with
/// `EWOULDBLOCK`. If the registration is dropped while the module stays, the
/// nodes go away; open files still work, with their own reference to the data.
///
/// The kernel gives out such references while init runs, too, but when init fails
/// it frees the module regardless of them. *We wait* then, until no file of the module
/// is open any more. So create the device last, when nothing else can fail. Otherwise
/// a failing init waits until user space closes its files; for those that wait in an
/// operation there is [`Operations::hang_up`].
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
pub struct Registration<T: Operations>(Alive<Chrdev<T>>);

/// The devices of one major number, with minor numbers that begin at 0.
///
/// # Invariants
///
/// Until `stop`:
///
/// - `major` is 0, or its first minor numbers, one for each device, are registered;
/// - `cdev` is null, or was added for these numbers;
/// - `class_create()` returned `class`, if it is not null;
/// - `lkm_chrdevs` has pointers to the entries of the first `listed` devices;
/// - `class` has a device for the first `nodes` of them.
struct Chrdev<T: Operations> {
    node: DeviceNode,
    devices: KVec<Device<T>>,
    major: u32,
    cdev: *mut bindings::cdev,
    class: *mut bindings::class,
    listed: usize,
    nodes: usize,
}

/// A device: its data, and what leads to it.
struct Device<T> {
    entry: Entry,
    data: Arc<T>,
}

// SAFETY: A class and its devices may be used and destroyed from any thread, and the
// data is `Send` and `Sync`.
unsafe impl<T: Operations> Send for Chrdev<T> {}

// SAFETY: As above.
unsafe impl<T: Operations> Sync for Chrdev<T> {}

// SAFETY: When `stop` has returned, no file can be opened. Files that are open have the
// module, and their own references to the data. The functions that release the `cdev`,
// classes and devices are the kernel's, not the module's.
unsafe impl<T: Operations> Stop for Chrdev<T> {
    const NAME: Name = Name::Chrdevs;

    fn stop(&self) {
        // SAFETY: By the type invariants all of this is there. What leads to the
        // entries goes first, and `find` uses them only under the lock that
        // `xa_erase()` takes.
        unsafe {
            for minor in 0..self.nodes {
                bindings::device_destroy(self.class, self.dev(minor));
            }
            for minor in 0..self.listed {
                bindings::xa_erase(&raw mut bindings::lkm_chrdevs, self.dev(minor) as usize);
            }
            // For null this does nothing.
            bindings::class_destroy(self.class);
            if !self.cdev.is_null() {
                if !alive::is_live() {
                    for device in &self.devices {
                        device.data.hang_up();
                    }
                }
                // The reference to the parent is the cdev's: its release puts it.
                let kobject = &raw mut bindings::__this_module.mkobj.kobj;
                bindings::cdev_set_parent(self.cdev, bindings::kobject_get(kobject));
                bindings::cdev_del(self.cdev);
            }
            if self.major != 0 {
                bindings::unregister_chrdev_region(self.dev(0), self.count());
            }
        }
    }
}

impl<T: Operations> Registration<T> {
    /// Creates the device of `node`, which can be a name alone, with a major number that
    /// the kernel chooses and minor number 0.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name, or has more than 63 bytes;
    /// - `EINVAL`: the path does not lie below `/dev`, or has more than 255 bytes;
    /// - `EINVAL`: there is a `!` in the name or the path;
    /// - `EEXIST`: a class of that name exists; the kernel also prints a warning;
    /// - `EBUSY`: there is no major number left;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `data`.
    pub fn new<E>(node: impl Into<DeviceNode>, data: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::with_major(0, node, data)
    }

    /// As [`new`](Self::new), with the major number `major` if that is free. If
    /// it is in use or 0, the kernel chooses one.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), and:
    ///
    /// - `EINVAL`: `major` is above 511.
    pub fn with_major<E>(
        major: u32,
        node: impl Into<DeviceNode>,
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        let node = node.into();
        check(node, 1, 0)?;
        // C takes only 12 bits of it.
        if major >= bindings::CHRDEV_MAJOR_MAX {
            return Err(EINVAL);
        }
        let mut devices = KVec::with_capacity(1, GFP_KERNEL)?;
        devices.push(Device::new(data)?, GFP_KERNEL)?;
        Self::create(major, node, devices, |_| {
            Ok(CString::try_from(as_kernel_cstr(node.path))?)
        })
    }

    /// Creates `count` devices, with the minor numbers 0, 1 and so on. The path of each is
    /// that of `node`, with the number at its end. `data` is called with the number, and
    /// returns the data of that device.
    ///
    /// Either all devices are created or none. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), and:
    ///
    /// - `EINVAL`: `count` is 0 or above 256;
    /// - `EINVAL`: the path has more than 252 bytes: three are for the number.
    pub fn with_minors<E, D>(
        count: u32,
        node: impl Into<DeviceNode>,
        mut data: impl FnMut(u32) -> D,
    ) -> Result<Self>
    where
        D: PinInit<T, E>,
        Error: From<E>,
    {
        let node = node.into();
        check(node, count, 3)?;
        let mut devices = KVec::with_capacity(count as usize, GFP_KERNEL)?;
        for minor in 0..count {
            devices.push(Device::new(data(minor))?, GFP_KERNEL)?;
        }
        Self::create(0, node, devices, |minor| {
            CString::try_from_fmt(fmt!("{}{minor}", as_kernel_cstr(node.path)))
        })
    }

    fn create(
        major: u32,
        node: DeviceNode,
        devices: KVec<Device<T>>,
        path: impl Fn(usize) -> Result<CString>,
    ) -> Result<Self> {
        let chrdev = try_init!(Chrdev {
            node,
            devices,
            major: 0,
            cdev: ptr::null_mut(),
            class: ptr::null_mut(),
            listed: 0,
            nodes: 0,
        }? Error);
        let chrdev = Alive::new(chrdev, |chrdev| chrdev.get_mut().register(major, path))?;
        Ok(Self(chrdev))
    }

    /// The major number of the devices.
    ///
    /// Can be called in any context.
    pub fn major(&self) -> u32 {
        self.0.major
    }
}

/// Fails with `EINVAL` if there cannot be so many devices, with so many digits after the
/// path of each.
fn check(node: DeviceNode, count: u32, digits: usize) -> Result {
    // The kernel silently cuts off a longer one.
    const LONGEST: usize = 63;
    // The minor numbers of one major, as `register_chrdev()` takes them.
    const MOST: u32 = 256;
    node.check(digits)?;
    match node.name.count_bytes() <= LONGEST && (1..=MOST).contains(&count) {
        true => Ok(()),
        false => Err(EINVAL),
    }
}

impl<T: Operations> Device<T> {
    fn new<E>(data: impl PinInit<T, E>) -> Result<Self>
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
}

impl<T: Operations> Chrdev<T> {
    fn dev(&self, minor: usize) -> bindings::dev_t {
        self.major << bindings::MINORBITS | minor as u32
    }

    fn count(&self) -> c_uint {
        self.devices.len() as c_uint
    }

    /// Creates all of it. After an error `stop` takes back what there is.
    fn register(&mut self, major: u32, path: impl Fn(usize) -> Result<CString>) -> Result {
        self.register_major(major)?;
        self.add_cdev()?;
        // SAFETY: The name is a string that lives as long as the module.
        let class = from_err_ptr(unsafe { bindings::class_create(self.node.name.as_char_ptr()) })?;
        // INVARIANT: It was just created.
        self.class = class;
        // SAFETY: Nobody else uses a class that has no devices.
        // Unload rule, unregister waits: `device_destroy()` returns when C no longer calls
        // it for that device.
        unsafe { (*class).devnode = Some(devnode) };
        for minor in 0..self.devices.len() {
            self.list(minor)?;
            self.make_node(minor, &path(minor)?)?;
        }
        Ok(())
    }

    /// Registers `major` if it is neither 0 nor in use. Otherwise the kernel
    /// chooses a number.
    fn register_major(&mut self, major: u32) -> Result {
        let name = self.node.name.as_char_ptr();
        if major != 0 {
            // SAFETY: The name is a string, and is copied.
            let registered = unsafe {
                bindings::register_chrdev_region(major << bindings::MINORBITS, self.count(), name)
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
        to_result(unsafe { bindings::alloc_chrdev_region(&mut dev, 0, self.count(), name) })?;
        // INVARIANT: It was registered.
        self.major = dev >> bindings::MINORBITS;
        Ok(())
    }

    /// From now on the devices can be opened.
    fn add_cdev(&mut self) -> Result {
        // SAFETY: Until it is added, nobody else has the `cdev`. The operations are
        // `'static`; they are those for `T` and `Devices`.
        // Unload rule, owner held: the kernel takes a reference to the owner of the
        // `cdev` before it calls any operation.
        unsafe {
            let cdev = bindings::cdev_alloc();
            if cdev.is_null() {
                return Err(ENOMEM);
            }
            (*cdev).owner = &raw mut bindings::__this_module;
            (*cdev).ops = Callbacks::<T, Referenced<Devices>>::OPS;
            to_result(bindings::cdev_add(cdev, self.dev(0), self.count()))
                .inspect_err(|_| bindings::kobject_put(&raw mut (*cdev).kobj))?;
            // INVARIANT: It was added.
            self.cdev = cdev;
        }
        Ok(())
    }

    /// Has `find` find the data of the next device.
    fn list(&mut self, minor: usize) -> Result {
        // SAFETY: The xarray is initialised statically. The entry does not move: nothing
        // is added to the devices any more. `stop` removes it before it is freed.
        let old = unsafe {
            bindings::xa_store(
                &raw mut bindings::lkm_chrdevs,
                self.dev(minor) as usize,
                (&raw const self.devices[minor].entry).cast_mut().cast(),
                bindings::GFP_KERNEL,
            )
        };
        // SAFETY: `xa_store()` returns the old entry, and there was none, or an
        // error.
        to_result(unsafe { bindings::xa_err(old) })?;
        // INVARIANT: It was stored.
        self.listed = minor + 1;
        Ok(())
    }

    /// Adds the next device to the class. For it the kernel creates the node in `/dev`.
    fn make_node(&mut self, minor: usize, path: &kernel::str::CStr) -> Result {
        // `devnode` makes a mode of it again.
        let mode = ptr::without_provenance_mut(self.node.mode.bits().into());
        // SAFETY: The class exists. Format and argument are strings, and are copied. C puts
        // a `!` for each `/` into the name, and `/` again into the node's path.
        let device = unsafe {
            bindings::device_create(
                self.class,
                ptr::null_mut(),
                self.dev(minor),
                mode,
                c"%s".as_char_ptr(),
                path.as_char_ptr(),
            )
        };
        from_err_ptr(device)?;
        // INVARIANT: It was created.
        self.nodes = minor + 1;
        Ok(())
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
        // SAFETY: By the invariants of `Chrdev` this points to an entry, or is
        // null. The entry stays for as long as the lock is held.
        let data = unsafe { entry.as_ref() }
            .filter(|entry| entry.type_id == TypeId::of::<T>())
            .map(|entry| {
                // SAFETY: By the invariants of `Chrdev` this is the pointer of
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
