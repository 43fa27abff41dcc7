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
        Alive,
        Stop, //
    },
    bindings,
    file::{
        Callbacks,
        DeviceNode,
        Operations,
        Referenced, //
    },
};
use core::ffi::CStr;
use kernel::prelude::*;

mod class;
mod region;

pub use class::Class;
use region::{
    Device,
    Devices,
    Region, //
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
/// - the first `listed` of `devices` are found by their number;
/// - the first `nodes` of them have a node.
struct Chrdev<T: Operations> {
    region: Region,
    devices: KVec<Device<T>>,
    listed: u32,
    nodes: u32,
}

// SAFETY: When `stop` has returned, no file can be opened. Files that are open have the
// module, and their own references to the data. The functions that release the `cdev`,
// classes and devices are the kernel's, not the module's.
unsafe impl<T: Operations> Stop for Chrdev<T> {
    const NAME: &'static CStr = c"character devices";

    fn stop(&self) {
        // SAFETY: By the type invariants all of this is there. What leads to the
        // entries goes first.
        unsafe {
            for minor in 0..self.nodes {
                self.region.remove_node(minor);
            }
            for minor in 0..self.listed {
                self.region.unlist(minor);
            }
            self.region.end(|| {
                for device in &self.devices {
                    device.hang_up();
                }
            });
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
        Self::create(major, node, devices, false)
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
        Self::create(0, node, devices, true)
    }

    fn create(
        major: u32,
        node: DeviceNode,
        devices: KVec<Device<T>>,
        numbered: bool,
    ) -> Result<Self> {
        let chrdev = try_init!(Chrdev {
            region: Region::new(node, devices.len() as u32),
            devices,
            listed: 0,
            nodes: 0,
        }? Error);
        let chrdev = Alive::new(chrdev, |chrdev| chrdev.get_mut().register(major, numbered))?;
        Ok(Self(chrdev))
    }

    /// The major number of the devices.
    ///
    /// Can be called in any context.
    pub fn major(&self) -> u32 {
        self.0.region.major()
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

impl<T: Operations> Chrdev<T> {
    /// Creates all of it. After an error `stop` takes back what there is.
    fn register(&mut self, major: u32, numbered: bool) -> Result {
        // SAFETY: These are the operations for `T` and `Devices`. Every entry is that of a
        // device with a `T`.
        unsafe {
            self.region
                .register(major, Callbacks::<T, Referenced<Devices>>::OPS)?;
        }
        for (minor, device) in (0..).zip(&self.devices) {
            // SAFETY: The device does not move: nothing is added to the devices any more.
            // `stop` removes the entry before it is freed.
            unsafe { self.region.list(minor, device) }?;
            // INVARIANT: It was listed.
            self.listed = minor + 1;
            self.region.make_node(minor, numbered)?;
            // INVARIANT: It has a node.
            self.nodes = minor + 1;
        }
        Ok(())
    }
}
