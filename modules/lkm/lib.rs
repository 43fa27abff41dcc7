// SPDX-License-Identifier: GPL-2.0-only

//! Safe abstractions for kernel modules that are built outside the kernel tree.
//!
//! The crate adds to the `kernel` crate, in the same style. It has what that
//! crate lacks, such as files in `/proc`, kernel threads and sockets. It also
//! replaces what is there but not safe when the module is unloaded, such as
//! miscellaneous devices and debugfs. A module that uses it needs no `unsafe` of
//! its own. The crate is compiled once and linked into each module.
//!
//! # The unload rule
//!
//! `rmmod` frees a module's text and data. So no callback of the module may
//! run, or start to run, after its exit function has returned. Every
//! registration in this crate says which of three ways it uses to keep that
//! rule:
//!
//! - *owner held*: the C core holds a reference to the module for as long as
//!   it may call the module, so `rmmod` is refused;
//! - *unregister waits*: unregistering, which [`Drop`] does, returns only when
//!   no call is in flight and none can begin;
//! - *we wait*: the C core does neither, and [`Drop`] waits by itself.
//!
//! All of them unregister in [`Drop`]. The `module!` macro drops the module's
//! value in the exit function, so a registration must be part of that value.
//!
//! Safe code can lose one without dropping it: by `core::mem::forget`, by a cycle of
//! `Arc`s, in a static, in memory that is freed without [`Drop`]. What C has of a
//! registration is therefore in memory of this crate's own, and on a list. What is
//! still on it at the module's end is unregistered then, the newest first, and the
//! kernel log says what there was and how many. From the exit function's end on
//! nothing can be registered any more.
//!
//! When the init function fails, what it has registered so far is dropped, and
//! the module is freed even if somebody holds a reference to it. So *owner held*
//! is not enough at that time, and such a registration waits instead. If init returns
//! `EEXIST`, `insmod` sees `EBUSY`: the module core keeps `EEXIST` for a module that is
//! loaded already. (On Linux 6.18 it sees `EEXIST` for either.)
//!
//! [`limits`] says what the rule promises, and what safe code can still do.
//!
//! [Parameters](mod@params) are the exception. They belong to the module core,
//! which unregisters them itself, and waits, between the exit function and the
//! freeing of text and data. Their callbacks can run until then. The tracing core
//! does the same with [trace events](tracepoint).
//!
//! # Modules
//!
//! - Devices and files for user space: [`chrdev`], [`miscdevice`], [`procfs`],
//!   [`debugfs`] and [`sysfs`]. All but the last take their operations from
//!   [`file`](mod@file). [`seq_file`] writes a file in `/proc` item by item, and
//!   [`message`] passes messages from writers to readers.
//! - Objects that user space makes: [`configfs`].
//! - Code that runs later, or in a thread of its own: [`workqueue`],
//!   [`tasklet`], [`timer`], [`kthread`], and [`kasync`] for `async` functions.
//! - Watching: [`kprobe`] the functions of the kernel, [`tracepoint`] the module itself.
//! - Locks and waits: [`sync`].
//! - Memory and network: [`memory`], [`slab`], [`net`] for sockets, and [`genl`] for commands
//!   that come over one.
//! - Disks: [`block`]. Net devices: [`netdev`].
//! - Hardware: [`gpio`] for lines, [`irq`] for interrupts, [`i2c`] for devices on such a bus,
//!   [`pci`] and [`usb`] for what is plugged in, and [`input`] for input devices.
//! - Devices that are just there, and their drivers: [`platform`]. [`devicetree`] says what
//!   there is, and [`dma`] has memory that devices use by themselves.
//! - Terminals: [`tty`] writes to that of who loads the module, and [`vt`] has the consoles
//!   and the keyboard's LEDs.
//! - The module itself: [`params`](mod@params), [`init`](mod@init) for what only
//!   the init function needs, [`interop`] for the module's own C code,
//!   [`interface`](mod@interface) for modules that call each other, and [`OnDrop`].
//! - Small things: [`context`], [`print`](mod@print), [`static_key`], [`time`].
//!
//! Times are [`Delta`](kernel::time::Delta)s, and a negative one counts as zero. A wait is
//! never too short, unless it is longer than the kernel's timers hold, 12 days or more, or
//! than [`udelay`](time::udelay) spins. It can be too long: by a jiffy, or by an eighth of
//! the time. [`kasync`] is more exact.
//!
//! [`kasync`], [`message`], [`sync::Gate`] and [`OnDrop`] are not kernel API but
//! this crate's own.

// Kbuild passes this to rustc. rustdoc, when it looks for examples, only finds it here.
#![cfg_attr(
    doctest,
    no_std,
    feature(arbitrary_self_types, asm_goto, generic_arg_infer, used_with_arg)
)]

#[allow(
    clippy::all,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
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
    include!(env!("BINDINGS"));
}

/// Does not compile when the type is `Unpin`. It is for types that C keeps
/// pointers into: safe code must not be able to move one. The type's parameters
/// come last: `assert_pinned!(File<T> where T)`.
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

/// Does not compile when the type has more than 1 KiB. It is for types whose values
/// the compiler may copy to and fro on a kernel stack, of 16 KiB, before they are in
/// memory of their own: as an [`Option`], which an alignment makes big.
macro_rules! assert_small {
    ($type:ty) => {
        const {
            assert!(
                size_of::<Option<$type>>() <= 1024,
                "more than 1 KiB is too big to pass on a kernel stack: put it into a KBox or a KVec"
            )
        }
    };
}

/// What a set of flags can do: `|`, and telling whether others are in it.
macro_rules! impl_flag_set {
    ($flags:ident) => {
        impl $flags {
            /// Whether all flags in `other` are set. Can be called in any context.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl core::ops::BitOr for $flags {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}

mod alive;
#[cfg(CONFIG_BLOCK)]
pub mod block;
mod callers;
mod calls;
pub mod chrdev;
mod compat;
#[cfg(CONFIG_CONFIGFS_FS)]
pub mod configfs;
pub mod context;
#[cfg(CONFIG_DEBUG_FS)]
pub mod debugfs;
pub mod devicetree;
pub mod dma;
mod entry;
mod errno;
pub mod file;
#[cfg(CONFIG_NET)]
pub mod genl;
#[cfg(CONFIG_GPIOLIB)]
pub mod gpio;
#[cfg(CONFIG_I2C)]
pub mod i2c;
pub mod init;
#[cfg(CONFIG_INPUT)]
pub mod input;
pub mod interface;
pub mod interop;
pub mod irq;
pub mod kasync;
#[cfg(CONFIG_KPROBES)]
pub mod kprobe;
pub mod kthread;
pub mod limits;
pub mod memory;
pub mod message;
pub mod miscdevice;
#[cfg(CONFIG_INET)]
pub mod net;
#[cfg(CONFIG_NET)]
pub mod netdev;
mod on_drop;
pub mod params;
#[cfg(CONFIG_PCI)]
pub mod pci;
pub mod platform;
pub mod print;
pub mod procfs;
pub mod seq_file;
pub mod slab;
pub mod static_key;
pub mod sync;
pub mod sysfs;
pub mod tasklet;
pub mod time;
pub mod timer;
#[cfg(CONFIG_TRACEPOINTS)]
pub mod tracepoint;
#[cfg(CONFIG_TTY)]
pub mod tty;
#[cfg(CONFIG_USB)]
pub mod usb;
#[cfg(CONFIG_VT)]
pub mod vt;
pub mod workqueue;

pub use on_drop::OnDrop;
