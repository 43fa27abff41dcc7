// SPDX-License-Identifier: GPL-2.0-only

//! In which context code runs, and so what it may do.
//!
//! C header: [`include/linux/preempt.h`](srctree/include/linux/preempt.h)
//!
//! Nothing is registered here, and nobody keeps what is returned: it concerns
//! unloading in no way.

use crate::bindings;
use kernel::{
    fmt,
    prelude::*, //
};

/// What the CPU does when it runs some code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A system call, a kernel thread or a worker of a workqueue. It may sleep,
    /// unless it holds a spinlock or has switched off interrupts or preemption.
    Process,
    /// The bottom half of an interrupt: a tasklet, a timer, an item on a BH
    /// workqueue. It must not sleep.
    SoftIrq,
    /// An interrupt handler, or a high resolution timer. It must not sleep, and
    /// is to be short.
    HardIrq,
    /// An interrupt that cannot be masked. It must not even wait for a lock.
    Nmi,
}

impl Context {
    /// The context of the caller. In any of them.
    pub fn current() -> Self {
        // SAFETY: Only reads what belongs to this CPU or to this task.
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

/// The name of the task that runs, as `ps` shows it: in process context that of
/// the program, thread or worker, else of whatever was interrupted.
///
/// # Examples
///
/// ```ignore
/// pr_info!("runs in {}\n", CurrentName);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CurrentName;

impl fmt::Display for CurrentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = [0; bindings::TASK_COMM_LEN as usize];
        // SAFETY: `name` has room for the name of a task and its NUL byte.
        unsafe { bindings::lkm_current_comm(name.as_mut_ptr()) };
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| fmt::Error)?;
        name.fmt(f)
    }
}
