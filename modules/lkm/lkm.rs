// SPDX-License-Identifier: GPL-2.0-only

//! Safe abstractions for out-of-tree modules, where the `kernel` crate has
//! none yet or has one that a module cannot be unloaded with.
//!
//! # The unload rule
//!
//! `rmmod` frees a module's text and data. So no callback of the module may
//! run, or start to run, after its exit function has returned. Every
//! registration in this crate says which of the three ways it keeps that rule:
//!
//! - *owner held*: the C core holds a reference to the module for as long as
//!   it may call it, so `rmmod` is refused;
//! - *unregister waits*: unregistering, which [`Drop`] does, returns only when
//!   no call is in flight and none can begin;
//! - *we wait*: the C core does neither, and [`Drop`] waits by itself.
//!
//! All of them unregister in [`Drop`]. The `module!` macro drops the module's
//! value in the exit function, so a registration must be part of that value;
//! one that is leaked (`core::mem::forget`, a `static`) is never unregistered.
//!
//! Only [parameters](mod@params) are different: they belong to the module core,
//! which unregisters them itself, and waits, between the exit function and the
//! freeing of text and data. Their callbacks can run that long.

#[allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
mod bindings {
    include!("bindings_generated.rs");
}

/// Does not compile when a type is `Unpin`. For those that C keeps pointers
/// into: no safe code must be able to move one. Parameters of the type come last:
/// `assert_pinned!(Entry<T> where T: Contents)`.
macro_rules! assert_pinned {
    ($type:ty $(where $($parameters:tt)*)?) => {
        const _: () = {
            trait Pinned<Marker> {
                fn ambiguous_if_unpin() {}
            }
            impl<T> Pinned<()> for T {}
            struct Unpinned;
            impl<T: Unpin> Pinned<Unpinned> for T {}
            #[allow(dead_code)]
            fn assert$(<$($parameters)*>)?() {
                <$type as Pinned<_>>::ambiguous_if_unpin();
            }
        };
    };
}

pub mod chrdev;
pub mod context;
#[cfg(CONFIG_DEBUG_FS)]
pub mod debugfs;
pub mod file;
pub mod init;
pub mod interop;
pub mod kasync;
pub mod kthread;
pub mod message;
pub mod miscdevice;
#[cfg(CONFIG_INET)]
pub mod net;
pub mod params;
pub mod print;
pub mod procfs;
pub mod seq_file;
pub mod slab;
pub mod static_key;
pub mod sync;
pub mod sysfs;
pub mod tasklet;
pub mod workqueue;
