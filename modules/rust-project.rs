// SPDX-License-Identifier: GPL-2.0-only

//! For rust-analyzer only, which does not know what `derive(CoercePointee)` is:
//! that the kernel's pointers to a type become pointers to a trait.

use core::{
    marker::Unsize,
    ops::CoerceUnsized, //
};
use kernel::{
    alloc::{
        Allocator,
        Box, //
    },
    sync::{
        Arc,
        ArcBorrow, //
    },
};

impl<T: ?Sized + Unsize<U>, U: ?Sized, A: Allocator> CoerceUnsized<Box<U, A>> for Box<T, A> {}
impl<T: ?Sized + Unsize<U>, U: ?Sized> CoerceUnsized<Arc<U>> for Arc<T> {}
impl<'a, T: ?Sized + Unsize<U>, U: ?Sized> CoerceUnsized<ArcBorrow<'a, U>> for ArcBorrow<'a, T> {}
