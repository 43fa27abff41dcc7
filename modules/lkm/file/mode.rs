// SPDX-License-Identifier: GPL-2.0-only

//! Permission bits.
//!
//! C headers: [`include/linux/stat.h`](srctree/include/linux/stat.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

/// The permission bits of a file, created by [`mode!`](macro@crate::mode).
///
/// `/proc`, debugfs and [nodes](super::DeviceNode) in `/dev` take any bits. The mode 0
/// becomes `0o444` in `/proc`, and `0o600` in `/dev`. [Attributes](crate::sysfs::Attribute),
/// [binary ones](crate::sysfs::BinAttribute) and [parameters](crate::params!) only take
/// modes that C's
/// `VERIFY_OCTAL_PERMISSIONS()` takes: the owner may read and write if the group
/// may, the group may read if others may, and others may not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u16);

impl Mode {
    /// For [`mode!`](macro@crate::mode).
    #[doc(hidden)]
    #[inline]
    pub const fn new<const BITS: u16>() -> Self {
        const { assert!(BITS <= 0o777, "there are other bits than 0o777") };
        Self(BITS)
    }

    /// The bits as C has them.
    #[inline]
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// Whether `VERIFY_OCTAL_PERMISSIONS()` takes the mode.
    #[inline]
    pub(crate) const fn is_orderly(self) -> bool {
        let (owner, group, others) = (self.0 >> 6, self.0 >> 3, self.0);
        owner & 4 >= group & 4
            && group & 4 >= others & 4
            && owner & 2 >= group & 2
            && others & 2 == 0
    }

    /// Whether the owner, the group or others have one of `bits`: 4 is reading, 2
    /// writing and 1 executing.
    #[inline]
    pub(crate) const fn allows(self, bits: u16) -> bool {
        self.0 & (bits | bits << 3 | bits << 6) != 0
    }
}

/// Creates the [`Mode`](crate::file::Mode) with the given bits: `mode!(0o644)`.
///
/// Can be used in any context, also in constants.
///
/// # Examples
///
/// ```
/// use lkm::file::mode;
///
/// let mine = mode!(0o600);
/// assert_ne!(mine, mode!(0o644));
/// ```
///
/// Other bits, such as file types and set-user-ID, do not compile:
///
/// ```compile_fail,E0080
/// let set_user_id = lkm::file::mode!(0o4755);
/// ```
#[macro_export]
macro_rules! mode {
    ($bits:expr) => {{
        const MODE: $crate::file::Mode = $crate::file::Mode::new::<{ $bits }>();
        MODE
    }};
}

// Modes that `VERIFY_OCTAL_PERMISSIONS()` takes, and modes that it refuses.
const _: () = {
    assert!(mode!(0).is_orderly() && mode!(0o444).is_orderly() && mode!(0o664).is_orderly());
    assert!(mode!(0o220).is_orderly() && mode!(0o711).is_orderly());
    assert!(!mode!(0o666).is_orderly() && !mode!(0o602).is_orderly());
    assert!(!mode!(0o044).is_orderly() && !mode!(0o604).is_orderly());
    assert!(!mode!(0o020).is_orderly());
};
