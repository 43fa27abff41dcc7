// SPDX-License-Identifier: GPL-2.0-only

//! Tracepoints of the module: events that user space switches on and reads in tracefs.
//!
//! C headers: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h),
//! [`include/trace/define_trace.h`](srctree/include/trace/define_trace.h)
//!
//! Reference: <https://docs.kernel.org/trace/events.html>
//!
//! A trace event consists of a dozen C structures and functions, which C's macro
//! `TRACE_EVENT()` makes. So it is declared in a header of the module, and made in a file of
//! C that has three lines. [`tracepoints!`](crate::tracepoints!) makes functions that are
//! safe to call of what bindgen finds in the header.
//!
//! The `kernel` crate's `declare_trace!` takes the bindings of the kernel itself, which have
//! no event of a module, and makes functions that are unsafe to call.
//!
//! # Unloading
//!
//! As for [parameters](mod@crate::params), *unregister waits*, but it is the tracing core that
//! unregisters: after the exit function, and before the module core frees the module. It
//! switches the events off and removes their files. If one of them was ever on, it throws
//! away what was traced, of all modules and the kernel. Until then C prints an event with
//! code of the module. Only the module's own code makes events happen, so none does any
//! more. A file of an event that is still open then answers `ENODEV`, but for `id`, which says
//! what it was. Who traces with perf keeps the module.

/// A type that an event can be given: numbers and `bool`. A pointer need not be valid.
#[doc(hidden)]
pub trait Value {}

macro_rules! impl_values {
    ($($type:ty),*) => {$(impl Value for $type {})*};
}

impl_values!(bool, i8, u8, i16, u16, i32, u32, i64, u64, isize, usize);

#[doc(hidden)]
#[inline(always)]
pub const fn is_value<T: Value>() {}

/// Creates functions that are safe to call, for the trace events in a header of the module's
/// own C code. A function makes its event happen. It can be called in any context.
///
/// While the event is off, a call is an instruction that does nothing, as with a
/// [static key](crate::static_key). It is switched on in the file `enable` in
/// `/sys/kernel/tracing/events/SYSTEM/EVENT`, which needs `CONFIG_EVENT_TRACING`. The
/// kernel must have the file `rust/kernel/generated_arch_static_branch_asm.rs`.
///
/// The types must be numbers or `bool`, and those of the event's `TP_PROTO`: the compiler
/// compares them. The functions are in a module of their own, with the bindings.
///
/// # The C side
///
/// The header `NAME_events.h` has the events:
///
/// ```text
/// #undef TRACE_SYSTEM
/// #define TRACE_SYSTEM NAME
///
/// #if !defined(NAME_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
/// #define NAME_EVENTS_H
/// #include <linux/tracepoint.h>
///
/// TRACE_EVENT(NAME_answer,
///     TP_PROTO(u32 answer),
///     TP_ARGS(answer),
///     TP_STRUCT__entry(__field(u32, answer)),
///     TP_fast_assign(__entry->answer = answer;),
///     TP_printk("answer=%u", __entry->answer)
/// );
///
/// #endif
/// #undef TRACE_INCLUDE_PATH
/// #undef TRACE_INCLUDE_FILE
/// #define TRACE_INCLUDE_PATH .
/// #define TRACE_INCLUDE_FILE NAME_events
/// #include <trace/define_trace.h>
/// ```
///
/// `events.c` makes them:
///
/// ```text
/// #define CREATE_TRACE_POINTS
/// #define CREATE_RUST_TRACE_POINTS
/// #include "NAME_events.h"
/// ```
///
/// The folder's `Kbuild` adds this object, has C find the header when it reads it again, and
/// makes the bindings:
///
/// ```text
/// NAME-y += $(here)/events.o
/// CFLAGS_$(here)/events.o := -I$(src)/$(here)
/// $(eval $(call bindings,$(here),NAME,NAME_events.h))
/// ```
///
/// # The Rust side
///
/// ```text
/// lkm::tracepoints! {
///     /// The events of this module.
///     mod events {
///         /// Somebody got an answer.
///         pub(crate) fn NAME_answer(answer: u32);
///     }
/// }
///
/// events::NAME_answer(42);
/// ```
#[macro_export]
macro_rules! tracepoints {
    (
        $(#[$module_attr:meta])*
        $module_vis:vis mod $module:ident {$(
            $(#[$attr:meta])*
            $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?);
        )*}
    ) => {
        $(#[$module_attr])*
        $module_vis mod $module {
            // The bindings are included here and not taken from outside: others could say
            // of anything that it is a tracepoint.
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
                ::core::include!(::core::env!("BINDINGS"));
            }

            $(
                $(#[$attr])*
                #[inline(always)]
                $vis fn $name($($arg: $type),*) {
                    $($crate::tracepoint::is_value::<$type>();)*
                    // SAFETY: C's macro has made the tracepoint, with its key, which is a
                    // static of the module.
                    let is_on = unsafe {
                        ::kernel::macros::paste! {
                            ::kernel::jump_label::static_branch_unlikely!(
                                bindings::[< __tracepoint_ $name >],
                                bindings::tracepoint,
                                key
                            )
                        }
                    };
                    if is_on {
                        ::kernel::macros::paste! {
                            // SAFETY: C's macro has made the function, which can be called
                            // in any context. It has no pointers.
                            unsafe { bindings::[< rust_do_trace_ $name >]($($arg),*) };
                        }
                    }
                }
            )*
        }
    };
}
pub use crate::tracepoints;
