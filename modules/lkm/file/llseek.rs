// SPDX-License-Identifier: GPL-2.0-only

//! `lseek(2)`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    callbacks::Callbacks,
    Operations,
    Place, //
};
use crate::{
    bindings,
    compat::Offset, //
};
use kernel::prelude::*;

type LlseekFn =
    unsafe extern "C" fn(*mut bindings::file, bindings::loff_t, c_int) -> bindings::loff_t;

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(crate) const LLSEEK: Option<LlseekFn> = if T::HAS_SIZE {
        Some(Self::llseek)
    } else {
        Some(bindings::default_llseek)
    };

    unsafe extern "C" fn llseek(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        // SAFETY: By this function's contract the file is open.
        let (data, it) = unsafe { Self::opened(file) };
        let size = data.size(it).max(0);
        // SAFETY: The file is open. C checks the other arguments.
        unsafe { bindings::generic_file_llseek_size(file, offset, whence, Offset::MAX, size) }
    }
}
