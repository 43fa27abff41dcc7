// SPDX-License-Identifier: GPL-2.0-only

//! The context in which code runs. It decides what the code may do.
//!
//! C headers: [`include/linux/preempt.h`](srctree/include/linux/preempt.h),
//! [`include/linux/sched.h`](srctree/include/linux/sched.h)
//!
//! The `kernel` crate has no function that tells the context, and none that
//! gives the name of a task. It gives the user of a task as a `Kuid`, of which safe code
//! can only get a number as the task's own user namespace has it.
//!
//! Nothing is registered here, so unloading needs no care.

use crate::{
    bindings,
    compat::as_kernel_cstr, //
};
use core::ffi::CStr;
use kernel::{
    fmt,
    task::Task, //
};

/// The context in which a CPU runs code.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::context::Context;
///
/// let context = Context::current();
/// pr_info!("runs in {context} context\n");
/// if context != Context::Process {
///     pr_info!("must not sleep\n");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A system call, a kernel thread or a worker of a workqueue. The code may
    /// sleep, unless it holds a spinlock, or somebody has turned off interrupts,
    /// softirqs or preemption. `send(2)` does so before a
    /// [net device](crate::netdev) sends.
    Process,
    /// The bottom half of an interrupt: a tasklet, a timer, an item on a BH
    /// workqueue. The code must not sleep.
    SoftIrq,
    /// An interrupt handler or a high resolution timer. The code must not
    /// sleep, and should be short.
    HardIrq,
    /// A non-maskable interrupt. The code must not even wait for a lock.
    Nmi,
}

impl Context {
    /// The context of the caller. Can be called in any context.
    pub fn current() -> Self {
        // SAFETY: This only reads data of this CPU or of this task.
        match unsafe { bindings::lkm_interrupt_context_level() } {
            0 => Self::Process,
            1 => Self::SoftIrq,
            2 => Self::HardIrq,
            _ => Self::Nmi,
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::SoftIrq => "softirq",
            Self::HardIrq => "hardirq",
            Self::Nmi => "NMI",
        })
    }
}

/// The name of the running task, at most 15 bytes. In process context it is
/// that of the program, thread or worker; in other contexts it is that of the
/// task that was interrupted, or of `ksoftirqd/N`. Can be printed in any context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::context::CurrentName;
///
/// pr_info!("runs in {CurrentName}\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CurrentName;

impl fmt::Display for CurrentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = [0; bindings::TASK_COMM_LEN as usize];
        // SAFETY: `name` holds the name of a task and its NUL byte.
        unsafe { bindings::lkm_current_comm(name.as_mut_ptr()) };
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| fmt::Error)?;
        as_kernel_cstr(name).fmt(f)
    }
}

/// The user that the running task belongs to: its real user ID, as a number of the initial
/// user namespace. In process context that is who makes the system call; in other contexts
/// it is who was interrupted. Can be called in any context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::context::current_uid;
///
/// if current_uid() == 0 {
///     pr_info!("called by root\n");
/// }
/// ```
pub fn current_uid() -> u32 {
    // SAFETY: The running task exists. In the initial namespace a number stands for itself.
    unsafe { bindings::task_uid(Task::current_raw()) }.val
}
