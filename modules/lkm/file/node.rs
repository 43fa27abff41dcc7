// SPDX-License-Identifier: GPL-2.0-only

//! Names of files, and nodes in `/dev`.

use super::{
    mode,
    Mode, //
};
use core::ffi::CStr;
use kernel::prelude::*;

/// Whether `name` can be the name of a file: not empty, not a path, not `.` or
/// `..`, and not longer than 255 bytes.
pub(crate) const fn is_name(name: &CStr) -> bool {
    is_part(name.to_bytes())
}

const NAME_MAX: usize = 255;

/// Whether `part` can be a part of a path.
const fn is_part(part: &[u8]) -> bool {
    let mut n = 0;
    while n < part.len() {
        if part[n] == b'/' {
            return false;
        }
        n += 1;
    }
    !matches!(part, b"" | b"." | b"..") && part.len() <= NAME_MAX
}

/// What a device is called, and its node in `/dev`.
///
/// The name is in `/proc/devices` or `/proc/misc`, and in `/sys/class`. The path is that of
/// the node. A name alone will do: then that is the path, and the mode is `0600`.
///
/// If another device already has a node of that path, the kernel creates none, and does not
/// report it.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     file::{mode, DeviceNode},
///     miscdevice,
/// };
/// # use lkm::file::{Offset, Opened, Operations, Writer};
/// # struct Answer;
/// # #[vtable]
/// # impl Operations for Answer {
/// #     type Private = ();
/// #     fn read(&self, _: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
/// #         dst.write_slice_file(b"42\n", pos)
/// #     }
/// # }
///
/// // All users may read `/dev/questions/answer`.
/// let node = DeviceNode::new(c"answer")
///     .path(c"questions/answer")
///     .mode(mode!(0o444));
/// let device = miscdevice::Registration::new(node, Answer)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct DeviceNode {
    pub(crate) name: &'static CStr,
    pub(crate) path: &'static CStr,
    pub(crate) mode: Mode,
}

impl DeviceNode {
    /// The node of a device with this name. Can be called in any context.
    pub const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            path: name,
            mode: mode!(0o600),
        }
    }

    /// Puts the node at `path` below `/dev`, such as `input/mice`. The kernel makes the
    /// directories, and removes them when they are empty. Can be called in any context.
    pub const fn path(self, path: &'static CStr) -> Self {
        Self { path, ..self }
    }

    /// Sets the permission bits of the node. The mode 0 becomes `0600`. Can be called in
    /// any context.
    pub const fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Fails with `EINVAL` if no node can have this name and path, with `digits` digits at
    /// the end. The device in `/sys` is called as the path, with `!` for `/`.
    pub(crate) fn check(&self, digits: usize) -> Result {
        let (name, path) = (self.name.to_bytes(), self.path.to_bytes());
        let is_valid = is_part(name)
            && path.split(|byte| *byte == b'/').all(is_part)
            && path.len() + digits <= NAME_MAX
            && !name.contains(&b'!')
            && !path.contains(&b'!');
        match is_valid {
            true => Ok(()),
            false => Err(EINVAL),
        }
    }
}

impl From<&'static CStr> for DeviceNode {
    fn from(name: &'static CStr) -> Self {
        Self::new(name)
    }
}
