// SPDX-License-Identifier: GPL-2.0-only

//! Probes on functions of the kernel: code that runs each time that one is called.
//!
//! C headers: [`include/linux/kprobes.h`](srctree/include/linux/kprobes.h),
//! [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)
//!
//! Reference: <https://docs.kernel.org/trace/kprobes.html>
//!
//! The kernel puts a breakpoint where the function begins, and perhaps replaces it by a jump
//! later. The function itself does not change. A probe only looks: it cannot change the
//! registers or have the function left out, as C can.
//!
//! The `kernel` crate has no probes. Its `uaccess` copies memory of user space where the
//! caller may sleep, and a probe must not. [`UserMemory`] copies what is there at once, and
//! fails when that is not all.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::CStrExt,
    context::Context,
    print::Hashed, //
};
use core::{
    ffi::CStr,
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    mem::ManuallyDrop,
    ops::Deref,
    ptr, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    types::NotThreadSafe, //
};

/// What a probe does.
pub trait Handler: Send + Sync + 'static {
    /// Runs before each call of the function, on all CPUs at the same time. `registers` are
    /// those of the caller.
    ///
    /// # Context
    ///
    /// That of the caller, with preemption off, and most often as in an NMI: on x86 a
    /// breakpoint is one, and [`Context`] says so. Even if the caller may sleep, this must
    /// not. It must not wait for a lock, and not allocate or free memory: whoever holds the
    /// lock may be who called the function. Atomic variables, `try_lock` of a spinlock and
    /// the log can be used.
    ///
    /// A probe on a function that this calls itself does not run then, but counts as
    /// [missed](Kprobe::missed). A handler that logs must not be on a function by which the
    /// log is written: each line would be the cause of the next. None must be on a function
    /// that the kernel needs to get to a handler. It refuses those that it knows of, but not
    /// those that compilers add, such as KASAN's.
    fn hit(&self, registers: &Registers<'_>);
}

/// A probe on a function of the kernel. It dereferences to its handler.
///
/// # Unloading
///
/// *Unregister waits*: dropping the probe takes it away, and waits until no handler of it
/// runs. That may sleep. A handler, of this or another probe of the module, may drop it, too.
/// It does not wait then: the probe is taken away a little later.
///
/// Where ftrace changes functions (`CONFIG_FUNCTION_TRACER`), that can fail for lack of
/// memory. Then the log says so. The probe stays, without a handler, in memory that is not
/// the module's.
///
/// # Examples
///
/// ```
/// use kernel::{
///     prelude::*,
///     sync::atomic::{Atomic, Relaxed},
/// };
/// use lkm::kprobe::{Handler, Kprobe, Registers};
///
/// struct Counter(Atomic<u32>);
///
/// impl Handler for Counter {
///     fn hit(&self, _registers: &Registers<'_>) {
///         self.0.fetch_add(1, Relaxed);
///     }
/// }
///
/// let forks = Kprobe::new(c"kernel_clone", Counter(Atomic::new(0)))?;
/// pr_info!("{} forks, {} missed\n", forks.0.load(Relaxed), forks.missed());
/// # Ok::<(), Error>(())
/// ```
pub struct Kprobe<T: Handler>(ManuallyDrop<Alive<Probe<T>>>);

/// # Invariants
///
/// `probe` is null or what `lkm_kprobe_new` has returned, for this value.
#[pin_data]
struct Probe<T> {
    probe: *mut bindings::lkm_kprobe,
    #[pin]
    handler: T,
    // C has a pointer to the value, so it may not move, whatever `T` is.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Probe<T> where T);

// SAFETY: Any thread may take a probe away, and `T` is `Send`.
unsafe impl<T: Handler> Send for Probe<T> {}

// SAFETY: A shared reference only gives access to `handler`, and `T` is `Sync`. C changes
// what `probe` points to atomically, or under its own locks.
unsafe impl<T: Handler> Sync for Probe<T> {}

// SAFETY: When `stop` has returned, the handler does not run, and is not called any more. A
// handler of another probe may drop the handle even then. What C calls for that has
// returned when `give_back` has, and no handler runs at that time.
unsafe impl<T: Handler> Stop for Probe<T> {
    const NAME: &'static CStr = c"probes";

    fn stop(&self) {
        if !self.probe.is_null() {
            // SAFETY: By the type invariants, and this may sleep.
            unsafe { bindings::lkm_kprobe_stop(self.probe) };
        }
    }

    fn give_back(&self) {
        if !self.probe.is_null() {
            // SAFETY: By the type invariants. It was stopped, and this is called once, where
            // it may sleep.
            unsafe { bindings::lkm_kprobe_free(self.probe) };
        }
    }
}

impl<T: Handler> Kprobe<T> {
    /// Puts a probe on the function called `symbol`, where it begins. From now on the
    /// handler runs when the function is called. May sleep.
    ///
    /// The functions are those in `/proc/kallsyms`; one of a module can be named
    /// `module:function`. If several have the same name, it is one of them. What the
    /// compiler has made a part of its callers cannot be seen. Any number of probes can be
    /// on one function.
    ///
    /// A module may go while a probe is on its function. The probe does nothing any more then.
    /// A probe on a module's function is always a breakpoint, and never becomes a jump: the
    /// kernel forgets to remove a jump whose module goes, and refuses other probes there.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: there is no such symbol, or its module is being unloaded;
    /// - `EINVAL`: it is no function, or one that cannot have a probe: the code that
    ///   handles probes, exceptions and the like, listed in
    ///   `/sys/kernel/debug/kprobes/blacklist`; or it could not be changed;
    /// - `EILSEQ`, `EOPNOTSUPP`: the kernel does not understand the function's first
    ///   instruction, or cannot run it elsewhere;
    /// - `ENOMEM`: no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `handler`.
    pub fn new<E>(symbol: &CStr, handler: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        let probe = try_pin_init!(Probe {
            probe: ptr::null_mut(),
            handler <- handler,
            _pin: PhantomPinned,
        }? Error);
        let probe = Alive::new(probe, |it| {
            // SAFETY: Nothing is moved.
            let it = unsafe { it.get_unchecked_mut() };
            // SAFETY: The symbol is a string, which is copied. The value stays in place
            // until `give_back` has been called.
            // Unload rule, unregister waits: `stop` returns when the first function does
            // not run, and `give_back` when the second does not.
            let probe = unsafe {
                bindings::lkm_kprobe_new(
                    symbol.as_char_ptr(),
                    ptr::from_mut(it).cast_const().cast(),
                    Some(Probe::<T>::hit),
                    Some(Probe::<T>::left),
                )
            };
            if probe.is_null() {
                return Err(ENOMEM);
            }
            // INVARIANT: It was just made.
            it.probe = probe;
            // SAFETY: It is registered once. From here on the value is only read.
            to_result(unsafe { bindings::lkm_kprobe_register(probe) })
        })?;
        Ok(Self(ManuallyDrop::new(probe)))
    }

    /// How often the function was called without the handler: in a handler on the same CPU.
    ///
    /// Can be called in any context.
    pub fn missed(&self) -> usize {
        // SAFETY: By the type invariants. It is not null, as there is a handle.
        unsafe { bindings::lkm_kprobe_missed(self.0.probe) }
    }
}

impl<T: Handler> Deref for Kprobe<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.handler
    }
}

impl<T: Handler> Drop for Kprobe<T> {
    fn drop(&mut self) {
        // SAFETY: This can be called in any context.
        let in_handler = unsafe { bindings::lkm_kprobe_is_here() };
        if in_handler || Context::current() == Context::Nmi {
            // There is not even a lock to be taken here.
            // SAFETY: By the type invariants it is a probe. The handle is not used any more,
            // so this is called once. What it leads to is `left`.
            unsafe { bindings::lkm_kprobe_leave(self.0.probe) };
            return;
        }
        // SAFETY: The handle is not used any more.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

impl<T: Handler> Probe<T> {
    /// # Safety
    ///
    /// `data` is a `Self` in an `Alive`, which is not freed during the call. `registers` are
    /// the `pt_regs` of a function that is being called, and valid that long.
    unsafe extern "C" fn hit(data: *const c_void, registers: *const c_void) {
        // SAFETY: By this function's contract.
        let this = unsafe { &*data.cast::<Self>() };
        // INVARIANT: By this function's contract.
        let registers = Registers {
            registers,
            _call: PhantomData,
            _thread: NotThreadSafe,
        };
        this.handler.hit(&registers);
    }

    /// # Safety
    ///
    /// `data` is a `Self` in an `Alive`, whose handle was left by [`Kprobe`]'s drop.
    unsafe extern "C" fn left(data: *const c_void) {
        // SAFETY: By this function's contract the handle is there, and nobody else uses it.
        // It is dropped here in place of the one that was left.
        unsafe { Alive::lend(data.cast::<Self>()) }.leave();
    }
}

/// The registers of a CPU when a function is called. They can only be read.
///
/// They stay in the handler. This does not compile:
///
/// ```compile_fail,E0277
/// use kernel::prelude::*;
/// use lkm::{kprobe::Registers, kthread::KThread};
///
/// fn give_away(registers: Registers<'static>) -> Result<KThread> {
///     KThread::spawn(c"example", move |_| {
///         pr_info!("{:?}\n", registers.argument(0));
///         Ok(())
///     })
/// }
/// ```
///
/// # Invariants
///
/// The pointer is that of a `pt_regs` of the current call of a function, which is valid for
/// `'a`.
pub struct Registers<'a> {
    registers: *const c_void,
    _call: PhantomData<&'a ()>,
    _thread: NotThreadSafe,
}

/// How many arguments a system call has.
const ARGUMENTS: usize = 6;

impl<'a> Registers<'a> {
    /// The function's argument with that number, counted from 0, as far as it is passed in
    /// a register: it may be narrower than this, and what is above it is anything. [`None`]
    /// for numbers above 5, and where the kernel cannot tell.
    ///
    /// A pointer is only a number here. For a function of a system call see
    /// [`syscall_arguments`](Self::syscall_arguments).
    ///
    /// Can be called in any context.
    pub fn argument(&self, number: usize) -> Option<usize> {
        let number = c_uint::try_from(number).ok()?;
        let mut value = 0;
        // SAFETY: By the type invariants, and `value` can be written to.
        unsafe { bindings::lkm_regs_argument(self.registers, number, &mut value) }.then_some(value)
    }

    /// The arguments of the system call, if the function is that of one, such as
    /// `__x64_sys_openat`: such a function gets a pointer to the registers of user space.
    /// [`None`] if it gets something else, or on an architecture that has no such
    /// functions.
    ///
    /// Can be called in any context.
    pub fn syscall_arguments(&self) -> Option<SyscallArguments<'a>> {
        let mut arguments = [0; ARGUMENTS];
        // SAFETY: By the type invariants, and so many numbers can be written.
        if !unsafe { bindings::lkm_regs_syscall(self.registers, arguments.as_mut_ptr()) } {
            return None;
        }
        Some(SyscallArguments {
            arguments,
            _call: PhantomData,
            _thread: NotThreadSafe,
        })
    }
}

/// The arguments of a system call, as user space has passed them. They stay in the handler.
pub struct SyscallArguments<'a> {
    arguments: [usize; ARGUMENTS],
    _call: PhantomData<&'a ()>,
    _thread: NotThreadSafe,
}

impl<'a> SyscallArguments<'a> {
    /// The argument with that number, counted from 0, as a number; 0 for numbers above 5.
    ///
    /// Can be called in any context.
    pub fn number(&self, number: usize) -> usize {
        self.arguments.get(number).copied().unwrap_or_default()
    }

    /// The memory that the argument with that number points to. The address need not be
    /// valid.
    ///
    /// Can be called in any context.
    pub fn memory(&self, number: usize) -> UserMemory<'a> {
        UserMemory {
            address: self.number(number),
            _call: PhantomData,
            _thread: NotThreadSafe,
        }
    }
}

/// Memory of the process that makes the system call. It stays in the handler: to other
/// threads the address means nothing.
///
/// Copies are made of what is in memory at once. So they can fail for a good address, too:
/// of a page that was not used yet, or that was swapped out.
pub struct UserMemory<'a> {
    address: usize,
    _call: PhantomData<&'a ()>,
    _thread: NotThreadSafe,
}

impl UserMemory<'_> {
    /// The address, which need not be valid.
    ///
    /// Can be called in any context.
    pub fn address(&self) -> Hashed<c_void> {
        Hashed(self.address as *const c_void)
    }

    /// Fills `bytes` with those at the address.
    ///
    /// Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not all of them are in memory, or the process's. Some of `bytes` may have
    ///   changed.
    pub fn read_slice(&self, bytes: &mut [u8]) -> Result {
        copy(self.address, bytes)
    }

    /// The string at the address, without the NUL that ends it, in `buffer`. If that is
    /// full, there was no NUL so far: the string goes on, or ends there.
    ///
    /// Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: a byte before the NUL, and that fits into `buffer`, is not in memory, or
    ///   not the process's.
    pub fn read_string<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
        let mut len = 0;
        while len < buffer.len() {
            let address = self.address.wrapping_add(len);
            // The next page may not be there, and the string may end before it.
            let page = PAGE_SIZE - address % PAGE_SIZE;
            let end = buffer.len().min(len + page);
            copy(address, &mut buffer[len..end])?;
            if let Some(nul) = buffer[len..end].iter().position(|byte| *byte == 0) {
                return Ok(&buffer[..len + nul]);
            }
            len = end;
        }
        Ok(buffer)
    }
}

/// Copies from user space what is in memory.
fn copy(from: usize, into: &mut [u8]) -> Result {
    // SAFETY: The bytes can be written to. C checks the address, and takes no page fault.
    let result = unsafe {
        bindings::copy_from_user_nofault(
            into.as_mut_ptr().cast(),
            from as *const c_void,
            into.len(),
        )
    };
    // CAST: It is 0 or `-EFAULT`.
    to_result(result as c_int)
}
