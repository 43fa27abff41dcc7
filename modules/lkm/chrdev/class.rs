// SPDX-License-Identifier: GPL-2.0-only

//! A device class whose devices come and go.

use super::{
    check,
    region::{
        Device,
        Devices,
        Region, //
    },
};
use crate::{
    alive::{
        Alive,
        Call,
        Stop, //
    },
    bindings,
    errno::error,
    file::{
        Callbacks,
        DeviceNode,
        Operations,
        Referenced, //
    },
    sysfs::{
        Attribute,
        ClassFile, //
    },
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    mem::{
        self,
        ManuallyDrop, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// A device class in `/sys/class` with attributes, and character devices in it that come and
/// go. All have the same major number.
///
/// Opening a device's node calls the operations of `T` with the data of that device. The
/// attributes show and store the class itself: so a *store* can [`add`](Self::add) and
/// [`remove`](Self::remove) devices. The class has data `D` of its own, too.
///
/// A device's data must not own the class: then they keep each other, and both are lost.
///
/// # Unloading
///
/// For the devices *owner held*, and *we wait* when init fails, exactly as for a
/// [`chrdev::Registration`](crate::chrdev::Registration#unloading). For the attributes
/// *unregister waits*: `class_destroy()` returns when no attribute is being shown or stored,
/// and none can be any more. So a call must end when the module wants to leave. It must not drop the class, or
/// wait for another thread that does: both would wait for ever.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     chrdev,
///     file::{mode, Offset, Opened, Operations, Writer},
///     sysfs,
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
/// type Letters = chrdev::Class<Letter, ()>;
///
/// // What is written to `/sys/class/letters/new` makes a device of its first byte.
/// static ATTRIBUTES: [sysfs::Attribute<Letters>; 1] = [sysfs::Attribute::write_only(
///     c"new",
///     mode!(0o200),
///     |class, text| {
///         let letter = *text.first().ok_or(EINVAL)?;
///         class.add(|_minor| Letter(letter)).map(drop)
///     },
/// )];
///
/// let letters = Letters::new(8, c"letters", &ATTRIBUTES, ())?;
/// // `/dev/letters0` contains `a`.
/// let minor = letters.add(|_minor| Letter(b'a'))?;
/// letters.remove(minor)?;
/// # Ok::<(), Error>(())
/// ```
pub struct Class<T: Operations, D: Send + Sync + 'static>(Alive<Family<T, D>>);

/// # Invariants
///
/// Until `stop`:
///
/// - those of `files` that exist in the class have not changed since. Their handles of this
///   class are only lent;
/// - each device in `members` is listed and has a node.
#[pin_data]
struct Family<T: Operations, D: Send + Sync + 'static> {
    region: Region,
    files: KVec<ClassFile<Class<T, D>>>,
    #[pin]
    members: Mutex<Members<T>>,
    #[pin]
    data: D,
    // The kernel has pointers to `files`, and these to this value.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Family<T, D> where T: Operations, D: Send + Sync + 'static);

/// The devices of a class.
struct Members<T> {
    /// By minor number. There are none when the class was stopped.
    slots: KVec<Slot<T>>,
    /// What there was then.
    stopped: KVec<Slot<T>>,
}

/// What there is of a minor number.
enum Slot<T> {
    /// Nothing.
    Free,
    /// A device is being made.
    Taken,
    /// A device.
    Device(KBox<Device<T>>),
}

// SAFETY: When `stop` has returned, no attribute is shown or stored, and no file can be
// opened. Files that are open have the module, and their own references to the data. Who
// makes a device then finds the module closed, or has no handle any more.
unsafe impl<T: Operations, D: Send + Sync + 'static> Stop for Family<T, D> {
    const NAME: &'static CStr = c"device classes";

    fn stop(&self) {
        // The lock is not held while functions of the module are called. An attribute that is
        // being stored finds no room for a device any more.
        let slots = mem::take(&mut self.members.lock().slots);
        for (minor, slot) in (0..).zip(&slots) {
            if let Slot::Device(_) = slot {
                // SAFETY: By the type invariants.
                unsafe { self.region.remove_node(minor) };
                self.region.unlist(minor);
            }
        }
        // The attributes go with the class, which waits for those that are shown or stored.
        // SAFETY: All devices were just removed.
        unsafe {
            self.region.end(|| {
                for slot in &slots {
                    if let Slot::Device(device) = slot {
                        device.hang_up();
                    }
                }
            });
        }
        // What a lost handle owns is not dropped.
        self.members.lock().stopped = slots;
    }
}

impl<T: Operations, D: Send + Sync + 'static> Class<T, D> {
    /// Creates the class with `attributes`, which must be a `static`, and room for `count`
    /// devices with the minor numbers 0, 1 and so on. The path of each node will be that of
    /// `node`, with the number at its end.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Registration::with_minors`](super::Registration::with_minors), and:
    ///
    /// - `EEXIST`: two attributes have the same name.
    pub fn new<E>(
        count: u32,
        node: impl Into<DeviceNode>,
        attributes: &'static [Attribute<Self>],
        data: impl PinInit<D, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        let node = node.into();
        check(node, count, 3)?;
        let mut slots = KVec::with_capacity(count as usize, GFP_KERNEL)?;
        for _ in 0..count {
            slots.push(Slot::Free, GFP_KERNEL)?;
        }
        let members = Members {
            slots,
            stopped: KVec::new(),
        };
        let family = try_pin_init!(&this in Family {
            region: Region::new(node, count),
            files: ClassFile::list(attributes, || {
                // SAFETY: This is the value of the `Alive` that is being made. The files are
                // part of it, and removed before it is freed.
                ManuallyDrop::new(Self(unsafe { Alive::lend(this.as_ptr()) }))
            })?,
            members <- new_mutex!(members, "Class::members"),
            data <- data,
            _pin: PhantomPinned,
        }? Error);
        let family = Alive::new(family, |family| {
            // SAFETY: Nothing is moved.
            unsafe { family.get_unchecked_mut() }.register()
        })?;
        Ok(Self(family))
    }

    /// Adds a device with the lowest minor number that is free, and returns that. `data` is
    /// called with the number, and returns the data of the device.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOBUFS`: no minor number is free;
    /// - `EEXIST`: an attribute of the class has the name of the device; the kernel also
    ///   prints a warning;
    /// - `ENOMEM`;
    /// - `ESHUTDOWN`: the module ends;
    /// - the error of `data`.
    pub fn add<P, E>(&self, data: impl FnOnce(u32) -> P) -> Result<u32>
    where
        P: PinInit<T, E>,
        Error: From<E>,
    {
        let minor = self.0.reserve()?;
        match self.0.fill(minor, data(minor)) {
            Ok(()) => Ok(minor),
            Err(error) => {
                self.0.put_back(minor);
                Err(error)
            }
        }
    }

    /// The data of the device with the number `minor`, if there is one. May sleep.
    pub fn get(&self, minor: u32) -> Option<Arc<T>> {
        match self.0.members.lock().slots.get(minor as usize) {
            Some(Slot::Device(device)) => Some(device.data.clone()),
            _ => None,
        }
    }

    /// Removes the device with the number `minor`, and returns its data. The node goes away.
    /// Files that are open still work: whether their operations do is for the data to say.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: there is no such device.
    pub fn remove(&self, minor: u32) -> Result<Arc<T>> {
        let device = self.0.take(minor).ok_or(ENODEV)?;
        device.hang_up();
        Ok(device.data.clone())
    }

    /// The data of the class. Can be called in any context.
    pub fn data(&self) -> &D {
        &self.0.data
    }

    /// The major number of the devices. Can be called in any context.
    pub fn major(&self) -> u32 {
        self.0.region.major()
    }
}

impl<T: Operations, D: Send + Sync + 'static> Family<T, D> {
    /// Creates all of it. After an error `stop` takes back what there is.
    fn register(&mut self) -> Result {
        // SAFETY: These are the operations for `T` and `Devices`. Every entry is that of a
        // device with a `T`.
        unsafe {
            self.region
                .register(0, Callbacks::<T, Referenced<Devices>>::OPS)?;
        }
        for file in self.files.iter() {
            // SAFETY: The class exists. The file does not move until it is dropped, after
            // `stop`.
            // Unload rule, unregister waits: `stop` destroys the class, and waits for the
            // file's functions.
            unsafe { file.create(self.region.class()) }?;
        }
        Ok(())
    }

    /// Takes the lowest number that is free.
    fn reserve(&self) -> Result<u32> {
        let mut members = self.members.lock();
        if members.slots.is_empty() {
            return Err(error(bindings::ESHUTDOWN));
        }
        for (minor, slot) in (0..).zip(members.slots.iter_mut()) {
            if let Slot::Free = slot {
                *slot = Slot::Taken;
                return Ok(minor);
            }
        }
        Err(error(bindings::ENOBUFS))
    }

    /// The number, which was taken, is free again.
    fn put_back(&self, minor: u32) {
        if let Some(slot) = self.members.lock().slots.get_mut(minor as usize) {
            *slot = Slot::Free;
        }
    }

    /// Makes the device with a number that was taken.
    fn fill<E>(&self, minor: u32, data: impl PinInit<T, E>) -> Result
    where
        Error: From<E>,
    {
        // What users have written does not run with the lock: this is dropped after that.
        let device = KBox::new(Device::new(data)?, GFP_KERNEL)?;
        let _call = Call::begin()?;
        let mut members = self.members.lock();
        let slot = members.slots.get_mut(minor as usize);
        let slot = slot.ok_or_else(|| error(bindings::ESHUTDOWN))?;
        // SAFETY: The device is in memory of its own. It is freed after it was unlisted, here,
        // in `take` or in `stop`.
        unsafe { self.region.list(minor, &device) }?;
        if let Err(error) = self.region.make_node(minor, true) {
            self.region.unlist(minor);
            drop(members);
            device.hang_up();
            return Err(error);
        }
        // INVARIANT: It is listed, and has a node.
        *slot = Slot::Device(device);
        Ok(())
    }

    /// Takes the device with this number out of the class.
    fn take(&self, minor: u32) -> Option<KBox<Device<T>>> {
        let mut members = self.members.lock();
        let slot = members.slots.get_mut(minor as usize)?;
        match mem::replace(slot, Slot::Free) {
            Slot::Device(device) => {
                // SAFETY: By the type invariants. Nobody else can have the number before the
                // lock is released.
                unsafe { self.region.remove_node(minor) };
                self.region.unlist(minor);
                Some(device)
            }
            other => {
                *slot = other;
                None
            }
        }
    }
}
