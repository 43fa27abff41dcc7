// SPDX-License-Identifier: GPL-2.0-only

//! A file as its operations see it.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::{
    bindings,
    print::Hashed, //
};
use kernel::{
    cred::Credential,
    prelude::*,
    types::Opaque, //
};

/// A file as its operations see it: how it was opened, and by whom.
///
/// It is not a reference that can be kept. Nobody may use a file yet while it is being
/// opened, nor any more while it is being released. So this is not the `kernel` crate's
/// [`File`](kernel::fs::File), which is counted, and can be given a descriptor. This
/// does not compile:
///
/// ```compile_fail,E0277
/// use kernel::sync::aref::ARef;
/// use lkm::file::File;
///
/// fn keep(file: &File) -> ARef<File> {
///     file.into()
/// }
/// ```
///
/// # Invariants
///
/// `open` of the file's operations has begun, and `release` has not returned.
#[repr(transparent)]
pub struct File(Opaque<bindings::file>);

impl File {
    /// # Safety
    ///
    /// During `'a` the file is being opened, is open or is being released.
    pub(super) unsafe fn from_raw<'a>(file: *const bindings::file) -> &'a Self {
        // SAFETY: By this function's contract. The types have the same layout.
        // INVARIANT: As above.
        unsafe { &*file.cast() }
    }

    /// The flags of `open(2)` and `fcntl(2)`; the constants are in
    /// [`kernel::fs::file::flags`].
    ///
    /// Can be called in any context.
    pub fn flags(&self) -> u32 {
        // SAFETY: By the type invariants the file is there. `fcntl(2)` can change the
        // flags at any time.
        unsafe { (&raw const (*self.0.get()).f_flags).read_volatile() }
    }

    /// The credentials of the process that opened the file.
    ///
    /// Can be called in any context.
    pub fn cred(&self) -> &Credential {
        // SAFETY: By the type invariants. A file has the same credentials from the
        // beginning until it is freed.
        unsafe { Credential::from_ptr((*self.0.get()).f_cred) }
    }

    /// The address of the file's inode, which is the first argument of C's `open`
    /// and `release`.
    ///
    /// Can be called in any context.
    pub fn inode(&self) -> Hashed<c_void> {
        // SAFETY: By the type invariants the file is there. Its inode does not change.
        Hashed(unsafe { (*self.0.get()).f_inode.cast_const().cast() })
    }

    /// The address of the file.
    ///
    /// Can be called in any context.
    pub fn address(&self) -> Hashed<c_void> {
        Hashed(self.0.get().cast_const().cast())
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::file {
        self.0.get()
    }
}
