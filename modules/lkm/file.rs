// SPDX-License-Identifier: GPL-2.0-only

//! The operations that files in `/proc`, files in debugfs and character devices
//! have in common.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! The `kernel` crate has open files ([`File`](kernel::fs::File),
//! [`LocalFile`](kernel::fs::LocalFile)), but operations only for miscellaneous
//! devices. These have no `poll` and no `llseek`, and get a counted file while it is
//! being opened.

mod callbacks;
mod llseek;
mod mode;
mod operations;
mod poll;
mod user;
mod view;

pub use crate::mode;
pub(crate) use callbacks::{
    Callbacks,
    Place,
    Referenced,
    Source, //
};
pub use mode::Mode;
pub use operations::{
    infallible,
    nonblocking,
    Opened,
    Operations, //
};
pub use poll::{
    events,
    PollTable, //
};
pub use user::{
    fill,
    take,
    Argument,
    Reader, //
};
pub use view::File;

pub use kernel::{
    fs::file::Offset,
    uaccess::UserSliceWriter as Writer, //
};

use kernel::str::CStr;

/// Whether `name` can be the name of a file: not empty, not a path, not `.` or
/// `..`, and not longer than 255 bytes.
pub(crate) const fn is_name(name: &CStr) -> bool {
    const NAME_MAX: usize = 255;

    let name = name.to_bytes();
    let mut n = 0;
    while n < name.len() {
        if name[n] == b'/' {
            return false;
        }
        n += 1;
    }
    !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX
}
