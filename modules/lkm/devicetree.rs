// SPDX-License-Identifier: GPL-2.0-only

//! The device tree: which devices there are, where nobody can look for them.
//!
//! C header: [`include/linux/of.h`](srctree/include/linux/of.h)
//!
//! Reference: <https://docs.kernel.org/devicetree/usage-model.html>
//!
//! A node of the tree becomes a [platform device](crate::platform), which reads the node's
//! properties. A driver has a table of what its devices are: [`of_table!`](crate::of_table!).
//! The boot loader brings the tree. For tests an [`Overlay`] can add nodes to it, and they can go
//! while a driver still has their device.
//!
//! The `kernel` crate's [`of`](kernel::of) has tables, too: two copies of each, of which
//! `modpost` gets the one that the driver does not use. It has no overlays.

#[cfg(CONFIG_OF_OVERLAY)]
mod overlay;

use crate::bindings;
use core::ffi::CStr;

#[cfg(CONFIG_OF_OVERLAY)]
pub use overlay::{
    Blob,
    Overlay, //
};

#[cfg(CONFIG_OF_OVERLAY)]
pub use crate::of_overlay;
pub use crate::of_table;

/// What the devices of a driver are: made by [`of_table!`](crate::of_table!).
///
/// # Invariants
///
/// The last entry is empty.
#[repr(transparent)]
pub struct Table<const N: usize>([bindings::of_device_id; N]);

// SAFETY: Nobody changes it.
unsafe impl<const N: usize> Sync for Table<N> {}

impl<const N: usize> Table<N> {
    /// For [`of_table!`](crate::of_table!) only.
    #[doc(hidden)]
    pub const fn new(compatible: &[&CStr]) -> Self {
        assert!(compatible.len() + 1 == N);
        // SAFETY: Any bytes will do, and these are empty entries.
        let mut table: [bindings::of_device_id; N] = unsafe { core::mem::zeroed() };
        let mut n = 0;
        while n < compatible.len() {
            let name = compatible[n].to_bytes();
            assert!(!name.is_empty(), "it needs a name");
            assert!(name.len() < 128, "the name is too long");
            let mut at = 0;
            while at < name.len() {
                table[n].compatible[at] = name[at];
                at += 1;
            }
            n += 1;
        }
        // INVARIANT: There is one more than there are names.
        Self(table)
    }

    /// For [`Driver::matches`](crate::platform::Driver::matches).
    pub const fn matches(&'static self) -> Matches {
        // INVARIANT: By the table's. The pointer is one to all of it.
        Matches(self.0.as_ptr())
    }
}

/// A [`Table`] of any length.
///
/// # Invariants
///
/// It leads to entries that stay, and of which the last one is empty.
#[derive(Clone, Copy)]
pub struct Matches(*const bindings::of_device_id);

// SAFETY: Nobody changes the entries.
unsafe impl Send for Matches {}

// SAFETY: As above.
unsafe impl Sync for Matches {}

impl Matches {
    pub(crate) fn first(self) -> *const bindings::of_device_id {
        self.0
    }
}

/// Makes a table of what the devices of a driver are: the values of `compatible` in the device
/// tree. User space sees them in the module's file, too, and loads the module for such a device.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     devicetree::Matches,
///     platform::{Device, Driver},
/// };
///
/// lkm::of_table! {
///     static LAMPS = [c"acme,lamp", c"acme,big-lamp"];
/// }
///
/// struct Lamps;
///
/// #[vtable]
/// impl Driver for Lamps {
///     type Private<'bound> = ();
///
///     fn matches() -> Option<Matches> {
///         Some(LAMPS.matches())
///     }
///
///     fn probe<'bound>(
///         &'bound self,
///         device: &'bound Device,
///     ) -> impl PinInit<(), Error> + 'bound {
///         device.has(c"acme,is-lit").then_some(()).ok_or(ENODEV)
///     }
/// }
/// ```
#[macro_export]
macro_rules! of_table {
    (static $name:ident = [$($compatible:expr),+ $(,)?];) => {
        // modpost knows by the name what this is. It looks for what comes after a module's
        // name, and would find that in a name with "__": so it gets another one. It is the
        // table that C gets, so it is not left out of the module.
        #[export_name = concat!(
            "__mod_device_table__", line!(),
            "_", module_path!(),
            "__kmod_lkm__of__", stringify!($name)
        )]
        static $name: $crate::devicetree::Table<{ [$($compatible),+].len() + 1 }> =
            $crate::devicetree::Table::new(&[$($compatible),+]);
    };
}
