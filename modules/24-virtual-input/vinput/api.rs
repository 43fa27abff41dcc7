// SPDX-License-Identifier: GPL-2.0-only

//! What `vinput` and the drivers of its devices ask of each other. Both modules compile this
//! file, as both would include a header in C.

use kernel::prelude::*;
use lkm::{
    input::{
        Capabilities,
        Reporter, //
    },
    interface::Remote, //
};

lkm::interface! {
    /// A driver, which says what a device is. All methods may sleep. None must call [`Vinput`],
    /// which waits for it.
    pub(crate) trait Driver {
        /// Says what a new device `can` do.
        fn init(&self, can: &mut Capabilities) -> Result<()>;

        /// Makes reports of `device` of a `text` that was written. Returns the number that the
        /// text stands for.
        fn send(&self, device: &Reporter, text: &[u8]) -> Result<i64>;

        /// Puts `last`, the number that was sent last, into `text`, as one would have written
        /// it. Returns the length.
        fn read(&self, last: i64, text: &mut [u8]) -> Result<usize>;
    }
}

lkm::interface! {
    /// The module `vinput`. All methods may sleep.
    pub(crate) trait Vinput {
        /// Registers a type of devices with its `driver`. Returns a number for
        /// [`unregister`](Self::unregister).
        ///
        /// - `EINVAL`: the name has no bytes, or more than 15;
        /// - `EEXIST`: there is a type of that name.
        fn register(&self, name: &str, driver: Remote<dyn Driver>) -> Result<u64>;

        /// Forgets the type. Its devices are gone when this returns, and none of them is in a
        /// call to the driver.
        ///
        /// - `ENOENT`: there is no such type.
        fn unregister(&self, number: u64) -> Result<()>;
    }
}
