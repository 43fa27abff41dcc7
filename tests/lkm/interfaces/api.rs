// SPDX-License-Identifier: GPL-2.0-only

//! What `interfaces` and `interfaces-user` ask of each other.

use kernel::prelude::*;
use lkm::interface::Remote;

lkm::interface! {
    /// An object of the one who comes. All methods may sleep.
    pub(crate) trait Guest {
        /// Writes a greeting of `name` to `text`, and returns its length.
        fn greet(&self, name: &str, text: &mut [u8]) -> Result<usize>;

        /// Returns when the guest's module is told so.
        fn hold(&self) -> Result<()>;
    }
}

lkm::interface! {
    /// An object of the one who is there. All methods may sleep.
    pub(crate) trait Hall {
        /// Nothing is passed, and nothing comes back.
        fn nothing(&self) -> Result<()>;

        /// The sum of all.
        fn small(&self, a: i8, b: u8, c: i16, d: u16) -> Result<i32>;

        /// The sum of all.
        fn big(&self, a: i32, b: u32, c: i64, d: u64, e: isize, f: usize) -> Result<i64>;

        /// The opposite.
        fn not(&self, value: bool) -> Result<bool>;

        /// The number of bytes.
        fn len(&self, bytes: &[u8]) -> Result<usize>;

        /// Puts the last byte first, and so on.
        fn reverse(&self, bytes: &mut [u8]) -> Result<()>;

        /// Fails with that error.
        fn fail(&self, errno: i32) -> Result<u8>;

        /// The guest comes in, in place of the one who is there.
        fn enter(&self, guest: Remote<dyn Guest>) -> Result<()>;

        /// The guest.
        fn guest(&self) -> Result<Remote<dyn Guest>>;
    }
}
