// SPDX-License-Identifier: GPL-2.0-only

//! The module's entry points.
//!
//! The module core calls two functions of a module: `init_module()` and
//! `cleanup_module()`, which `module!` makes. The linker's `--wrap` has it call those
//! in `helpers/entry.c` in their place, and they call these two. So this crate learns when
//! init begins, and can do what is to be done after init and after exit, while the module
//! is whole. Nothing else gets to know in time that init has failed: the module core
//! begins to take the module apart first.

use crate::bindings;
use kernel::sync::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    barrier::smp_mb, //
};

/// Where a module is in its life.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Phase {
    /// Its init function has not begun. Its parameters are being set.
    Loading,
    /// Its init function runs.
    Init,
    /// Its init function has returned.
    Live,
    /// Its exit function has returned, or its init function with an error.
    End,
}

impl Phase {
    /// That of this module. Can be called in any context.
    pub(crate) fn current() -> Self {
        // SAFETY: It is only changed atomically.
        let phase = unsafe { Atomic::from_ptr(&raw mut bindings::lkm_phase) };
        match phase.load(Relaxed) {
            bindings::lkm_phase_LKM_LOADING => Self::Loading,
            bindings::lkm_phase_LKM_INIT => Self::Init,
            bindings::lkm_phase_LKM_LIVE => Self::Live,
            _ => Self::End,
        }
    }
}

// A module has of this crate only what it uses. So the entry points call these functions
// only where they were set.

/// Has `f` called when the init function has returned.
///
/// Returns the phase: if init still runs, `f` will be called. Can be called in any context.
pub(crate) fn call_after_init(f: unsafe extern "C" fn()) -> Phase {
    // SAFETY: The entry point reads it with one load.
    unsafe { (&raw mut bindings::lkm_after_init).write_volatile(Some(f)) };
    smp_mb();
    Phase::current()
}

/// Has `f` called at the module's end.
///
/// Returns the phase: if it is not the end yet, `f` will be called. Can be called in any
/// context.
pub(crate) fn call_at_end(f: unsafe extern "C" fn()) -> Phase {
    // SAFETY: As above.
    unsafe { (&raw mut bindings::lkm_at_end).write_volatile(Some(f)) };
    smp_mb();
    Phase::current()
}
