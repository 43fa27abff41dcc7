// SPDX-License-Identifier: GPL-2.0-only

//! The operations that files in `/proc`, files in debugfs and character devices
//! have in common.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! The `kernel` crate has open files ([`File`](kernel::fs::File),
//! [`LocalFile`](kernel::fs::LocalFile)), but operations only for miscellaneous
//! devices. These have no `poll`, `llseek` and `fasync`, and get a counted file while it is
//! being opened. Their `mmap` can give out pages that nobody has cleared.

mod callbacks;
mod fasync;
mod llseek;
mod mmap;
mod mode;
mod node;
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
pub use fasync::{
    Band,
    FasyncQueue, //
};
pub use mmap::{
    Mappable,
    MappedPage,
    SharedPages, //
};
pub use mode::Mode;
pub(crate) use node::is_name;
pub use node::DeviceNode;
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
    Argument,
    Reader,
    Writer, //
};
pub use view::File;

pub use crate::compat::Offset;
