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
pub(crate) use bindings::{
    lkm_phase_LKM_END as END,
    lkm_phase_LKM_LOADING as LOADING, //
};

/// Where the module is in its life: one of the [`lkm_phase`](bindings::lkm_phase)s. Can be
/// called in any context.
pub(crate) fn phase() -> bindings::lkm_phase {
    // SAFETY: This reads a number.
    unsafe { bindings::lkm_phase() }
}

/// Has `f` called at the module's end.
///
/// Returns the phase: if it is not the end yet, `f` will be called. Can be called in any
/// context.
pub(crate) fn call_at_end(f: unsafe extern "C" fn()) -> bindings::lkm_phase {
    // SAFETY: The function stays as long as the module.
    unsafe { bindings::lkm_call_at_end(Some(f)) }
}
