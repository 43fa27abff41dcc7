// SPDX-License-Identifier: GPL-2.0-only

//! Which tasks are in functions that C calls with locks held: locks that this crate takes,
//! too, to register something or to take it back.

use crate::bindings;
use core::mem::transmute;
use kernel::{
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    task::Task, //
};

/// What the current task is known by.
pub(crate) fn current_task() -> usize {
    Task::current_raw().addr()
}

/// A kind of function. Some are only known to C's half.
#[derive(Clone, Copy)]
pub(crate) struct Callers(bindings::lkm_callers);

impl Callers {
    /// Handlers of generic netlink families.
    #[cfg(CONFIG_NET)]
    pub(crate) const GENL: Self = Self(bindings::lkm_callers_LKM_IN_GENL);
    /// Functions of I2C drivers and adapters.
    #[cfg(CONFIG_I2C)]
    pub(crate) const I2C: Self = Self(bindings::lkm_callers_LKM_IN_I2C);
    /// Handlers of input devices.
    #[cfg(CONFIG_INPUT)]
    pub(crate) const INPUT: Self = Self(bindings::lkm_callers_LKM_IN_INPUT);
    /// `mmap` and `fault` of files. Others use [`in_mmap`].
    const MMAP: Self = Self(bindings::lkm_callers_LKM_IN_MMAP);
    /// `open` and `stop` of net devices. Others use [`in_netdev`].
    #[cfg(CONFIG_NET)]
    const NETDEV: Self = Self(bindings::lkm_callers_LKM_IN_NETDEV);
    /// Functions of PCI drivers, and who makes something of a device.
    #[cfg(CONFIG_PCI)]
    pub(crate) const PCI: Self = Self(bindings::lkm_callers_LKM_IN_PCI);
    /// Methods of USB drivers.
    #[cfg(CONFIG_USB)]
    pub(crate) const USB: Self = Self(bindings::lkm_callers_LKM_IN_USB);

    /// The current task is in such a function, as long as the result lives.
    pub(crate) fn begin(self) -> Inside {
        // SAFETY: This can be called in any context in which those functions are.
        Inside(unsafe { bindings::lkm_callers_begin(self.0) })
    }

    /// Whether the current task may be in one. What opens and stops a net device counts, too,
    /// as `helpers/callers.c` says. When more than 64 tasks are in functions of any kind, nobody
    /// knows who.
    pub(crate) fn may_have_current(self) -> bool {
        // SAFETY: This can be called in any context but NMI.
        unsafe { bindings::lkm_callers_may_have_current(self.0) }
    }
}

/// The address of what says whether the current task may be in `mmap` or `fault`, or 0 when it
/// cannot. So a module that has neither does not have this code either.
static MMAP: Atomic<usize> = Atomic::new(0);

/// The same for `open` and `stop` of net devices.
static NETDEV: Atomic<usize> = Atomic::new(0);

/// The current task is in `mmap` or `fault` of a file, as long as the result lives: the map of a
/// process's memory is locked.
pub(crate) fn in_mmap() -> Inside {
    let may_be: fn() -> bool = || Callers::MMAP.may_have_current();
    MMAP.store(may_be as usize, Relaxed);
    Callers::MMAP.begin()
}

/// Whether the current task may be there.
pub(crate) fn is_in_mmap() -> bool {
    // SAFETY: `in_mmap` has stored that.
    unsafe { may_be_in(&MMAP) }
}

/// The current task is in `open` or `stop` of a net device, as long as the result lives: the
/// configuration of the network is locked.
#[cfg(CONFIG_NET)]
pub(crate) fn in_netdev() -> Inside {
    let may_be: fn() -> bool = || Callers::NETDEV.may_have_current();
    NETDEV.store(may_be as usize, Relaxed);
    Callers::NETDEV.begin()
}

/// Whether the current task may be there.
pub(crate) fn is_in_netdev() -> bool {
    // SAFETY: `in_netdev` has stored that.
    unsafe { may_be_in(&NETDEV) }
}

/// What the function says whose address this is; false for 0.
///
/// # Safety
///
/// It is that of such a function.
unsafe fn may_be_in(address: &Atomic<usize>) -> bool {
    match address.load(Relaxed) {
        0 => false,
        // SAFETY: By this function's contract.
        address => (unsafe { transmute::<usize, fn() -> bool>(address) })(),
    }
}

/// The current task is in a function, as long as this lives.
#[must_use]
pub(crate) struct Inside(u32);

impl Drop for Inside {
    fn drop(&mut self) {
        // SAFETY: The place is the one that `begin` has got.
        unsafe { bindings::lkm_callers_end(self.0) };
    }
}
