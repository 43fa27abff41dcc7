// SPDX-License-Identifier: GPL-2.0-only

//! Nodes that are added to the device tree while the machine runs.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    errno::error,
    platform::is_within,
};
use core::ffi::CStr;
use kernel::prelude::*;

/// An overlay as `dtc` has compiled it: declared by [`of_overlay!`](crate::of_overlay!).
///
/// # Invariants
///
/// The pointers are the beginning and the end of what `dtc` has made, in a static.
pub struct Blob {
    begin: *const u8,
    end: *const u8,
}

// SAFETY: Nobody changes it.
unsafe impl Sync for Blob {}

impl Blob {
    /// For [`of_overlay!`](crate::of_overlay!) only.
    ///
    /// # Safety
    ///
    /// The invariants hold.
    #[doc(hidden)]
    pub const unsafe fn new(begin: *const u8, end: *const u8) -> Self {
        // INVARIANT: By this function's contract.
        Self { begin, end }
    }
}

/// Declares an overlay that `dtc` compiles: `NAME.dtso` in the module's folder, whose `Kbuild`
/// says:
///
/// ```text
/// MODULE-y += $(here)/NAME.dtbo.o
/// ```
///
/// In the name of the static a `-` of the file's name is a `_`:
///
/// ```text
/// lkm::of_overlay! {
///     static LAMP = two_lamps;
/// }
/// ```
// Each module that uses it has a file of its own, so there is no example to compile here.
#[macro_export]
macro_rules! of_overlay {
    (static $name:ident = $file:ident;) => {
        static $name: $crate::devicetree::Blob = {
            extern "C" {
                #[link_name = concat!("__dtbo_", stringify!($file), "_begin")]
                static BEGIN: u8;
                #[link_name = concat!("__dtbo_", stringify!($file), "_end")]
                static END: u8;
            }
            // SAFETY: The build system puts what `dtc` has made between these two.
            unsafe { $crate::devicetree::Blob::new(&raw const BEGIN, &raw const END) }
        };
    };
}

/// Nodes that were added to the device tree, and the devices that they have become, as long
/// as this lives. It is for tests: boot loaders and firmware have trees that nobody changes.
///
/// # Unloading
///
/// C has a copy of it all, and nothing of the module. *Unregister waits*: dropping this takes
/// the devices from their drivers, and waits for that. In a method of a
/// [`Driver`](crate::platform::Driver) of this module it does not: that is done a little later.
///
/// # Which goes first
///
/// An overlay can change nodes of an earlier one. Then the later one must be dropped first.
/// Fields of a struct are dropped in the order in which they are declared, so the later one is
/// declared first. Variables are dropped the other way round, and so is what the module has
/// not dropped.
///
/// An earlier one that is dropped first stays: the log says so. It is removed with the next
/// overlay that this module removes and that lets it go; of more than 16 that wait for that the
/// others stay for good. So does one that is under an overlay of another module when this one
/// ends: nobody can remove it then, nor its devices.
///
/// # What drivers see
///
/// The kernel takes back the nodes' properties first, and only then the devices from their
/// drivers. So a driver can have a device whose properties are gone. Its methods then say that
/// there are none. A number or a text that was read before is a copy, and the
/// [node's name](crate::platform::Device::node_name) stays as long as the device is the driver's.
///
/// Somebody may still hold a device when the nodes are freed: user space that just gives it to a
/// driver by sysfs, say. Then the kernel says so in the log, and keeps the node for ever.
///
/// # Examples
///
/// ```text
/// let lamp = Overlay::apply(&LAMP)?;
/// ```
pub struct Overlay {
    _applied: Alive<Applied>,
}

/// # Invariants
///
/// `id` is 0, or from `lkm_overlay_apply()`.
struct Applied {
    id: c_int,
}

// SAFETY: C has nothing of the value.
unsafe impl Stop for Applied {
    const NAME: &'static CStr = c"overlays";

    fn stop(&self) {
        if self.id != 0 {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::lkm_overlay_remove(self.id) };
        }
    }

    fn is_within(&self) -> bool {
        is_within()
    }
}

impl Overlay {
    /// Adds the nodes to the device tree. The drivers that are there have got their devices, or
    /// refused them, when this returns. May sleep.
    ///
    /// The kernel adds one overlay at a time, and waits for the drivers meanwhile. A driver that
    /// gets a device from an overlay must not apply another one. Only for methods of this
    /// module's drivers this is an error. A method of another module's lkm driver that has *this*
    /// module apply one waits for ever, and so does a driver without lkm.
    ///
    /// # Errors
    ///
    /// After an error nothing is added. But if the overlay's parts do not fit, the kernel keeps
    /// what it has read of it for good, and the log says so. An earlier overlay of the same
    /// nodes can then no longer be removed.
    ///
    /// - `EINVAL`: the tree has no node for one of the parts, a node there has another idea of
    ///   what an address is, or two parts add the same;
    /// - `EBUSY`: an overlay could not be removed;
    /// - `EDEADLK`: the caller is a method of a [`Driver`](crate::platform::Driver), or opens or
    ///   stops a [net device](crate::netdev), or more than 64 tasks are in such methods, and
    ///   nobody knows who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn apply(blob: &'static Blob) -> Result<Self> {
        if is_within() {
            return Err(error(bindings::EDEADLK));
        }
        let applied = Applied { id: 0 };
        let applied = Alive::<Applied>::new(Ok::<_, Error>(applied), |applied| {
            // SAFETY: By the blob's invariants. C copies it. This may sleep.
            // Unload rule: C calls a function meanwhile. Unregister waits.
            let id = unsafe { bindings::lkm_overlay_apply(blob.begin.cast(), blob.end.cast()) };
            if id < 0 {
                return Err(Error::from_errno(id));
            }
            // INVARIANT: It was just applied.
            applied.get_mut().id = id;
            Ok(())
        })?;
        Ok(Self { _applied: applied })
    }
}
