// SPDX-License-Identifier: GPL-2.0-only

//! Module parameters.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)
//!
//! The parameters of the `kernel` crate, in `module!` (Linux 6.18 has none), are integers
//! that are set when the module is loaded, each at most once: a second value is `EEXIST`.
//! They have no file in `/sys/module`. [`params!`](crate::params!) adds the rest of what
//! C has: `bool`, strings, arrays, files in `/sys/module/NAME/parameters`, and
//! callbacks.
//!
//! # Unloading
//!
//! *Unregister waits*, but it is the module core that unregisters, not the
//! module: after the exit function, and before it frees the module. It returns
//! when no file of a parameter is in use and none can be used any more. A file
//! that is still open then answers `ENODEV`.
//!
//! So user space can read and write a parameter, and its callbacks can run, from
//! before the module's init function until after its exit function. That is why
//! parameters are statics, which live longer than both, and why callbacks are
//! functions, which can only reach statics. What a callback registers is unregistered
//! with the rest of what nobody drops. Before init, a callback can register nothing, and
//! gets `EPERM`; when the module's end has begun, it gets `ESHUTDOWN`. When all has been
//! unregistered, callbacks are not called any more, and user space gets `ESHUTDOWN`. In a
//! module that has registered nothing, they are called until the files are gone.

use crate::{
    bindings,
    compat::{
        as_kernel_cstr,
        atomic_load,
        atomic_store,
        AtomicFlag,
        CStrExt, //
    },
    errno,
    file::Mode, //
};
use core::{
    cell::UnsafeCell,
    ffi::CStr,
    marker::PhantomData, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{
        Atomic,
        AtomicType,
        Relaxed, //
    },
};

/// A type that a parameter, or an element of an array, can have: numbers and
/// `bool`.
///
/// # Safety
///
/// - `set` and `get` are C functions that take a `kernel_param` whose `arg`
///   points to a `Self`. They write to it, if at all, a valid `Self` with one
///   store, and use it only while they run.
/// - `OPS` consists of `set` and `get`, with the flags `FLAGS`.
pub unsafe trait Value: Copy + 'static {
    /// The name of the type in C's `module_param()` and in modinfo, or that of Rust.
    const TYPE: &'static str;

    /// C's table of the functions `set` and `get`.
    #[doc(hidden)]
    const OPS: *const bindings::kernel_param_ops;

    /// The flags in that table.
    #[doc(hidden)]
    const FLAGS: c_uint = 0;

    /// # Safety
    ///
    /// `text` is a string, or null if `FLAGS` allow that there is no argument.
    /// `param.arg` points to a `Self`.
    #[doc(hidden)]
    unsafe fn set(text: *const c_char, param: &bindings::kernel_param) -> c_int;

    /// # Safety
    ///
    /// `buffer` holds `PAGE_SIZE` bytes, and `param.arg` points to a `Self`.
    #[doc(hidden)]
    unsafe fn get(buffer: *mut c_char, param: &bindings::kernel_param) -> c_int;

    /// # Safety
    ///
    /// `this` is valid for reads, and all other accesses are reads and writes with
    /// one load or store.
    #[doc(hidden)]
    unsafe fn load(this: *mut Self) -> Self;

    /// # Safety
    ///
    /// `this` is valid for writes, and all other accesses are reads and writes with
    /// one load or store.
    #[doc(hidden)]
    unsafe fn store(this: *mut Self, value: Self);
}

/// `load` and `store` of [`Value`], by an atomic type of the same size. The `kernel` crate
/// has no atomic `u8` and `u16`, so the signed types hold their bits.
macro_rules! impl_accesses {
    ($atomic:ident) => {
        #[inline]
        unsafe fn load(this: *mut Self) -> Self {
            const {
                assert!(
                    size_of::<Self>() == size_of::<$atomic>()
                        && align_of::<Self>() == align_of::<$atomic>()
                )
            };
            // CAST: Both have the same size, alignment and values.
            // SAFETY: By this function's contract. C's plain stores are single stores: the
            // kernel relies on that everywhere, and assumes it of the compiler.
            unsafe { atomic_load(this.cast::<$atomic>(), Relaxed) as Self }
        }

        #[inline]
        unsafe fn store(this: *mut Self, value: Self) {
            // CAST: As in `load`.
            // SAFETY: As in `load`.
            unsafe { atomic_store(this.cast::<$atomic>(), value as $atomic, Relaxed) }
        }
    };
}

/// Implements [`Value`]: `type: C's name, atomic type of the same size`.
macro_rules! impl_value {
    ($($type:ident: $c_name:ident, $atomic:ident $(, flags: $flags:expr)?;)*) => {
        kernel::macros::paste! {$(
            // SAFETY: These are the functions and the table for C's name of the
            // same type. `param_set_*` stores the value if it was parsed without
            // an error, and `param_get_*` loads and prints it.
            unsafe impl Value for $type {
                const TYPE: &'static str = stringify!($c_name);
                const OPS: *const bindings::kernel_param_ops =
                    &raw const bindings::[<param_ops_ $c_name>];
                $(const FLAGS: c_uint = $flags;)?

                #[inline]
                unsafe fn set(text: *const c_char, param: &bindings::kernel_param) -> c_int {
                    // SAFETY: By this function's contract.
                    unsafe { bindings::[<param_set_ $c_name>](text, param) }
                }

                #[inline]
                unsafe fn get(buffer: *mut c_char, param: &bindings::kernel_param) -> c_int {
                    // SAFETY: By this function's contract. C writes no more
                    // than `PAGE_SIZE` bytes.
                    unsafe { bindings::[<param_get_ $c_name>](buffer, param) }
                }

                impl_accesses!($atomic);
            }
        )*}
    };
}

impl_value! {
    bool: bool, bool, flags: bindings::KERNEL_PARAM_OPS_FL_NOARG;
    u8: byte, i8;
    i16: short, i16;
    u16: ushort, i16;
    i32: int, i32;
    u32: uint, u32;
    isize: long, isize;
    usize: ulong, usize;
    u64: ullong, u64;
}

/// Implements [`Value`] for a type that C has no table for: `type: C's function that parses
/// it, format and type that C prints it with`.
macro_rules! impl_parsed_value {
    ($($type:ident: $parse:ident, $format:literal, $printed:ident;)*) => {$(
        // SAFETY: `set` stores what was parsed without an error, with one store, and `get`
        // loads and prints it. The table has them, and no flags.
        unsafe impl Value for $type {
            const TYPE: &'static str = stringify!($type);
            const OPS: *const bindings::kernel_param_ops = {
                /// # Safety
                ///
                /// As `Value::set`, with a pointer.
                unsafe extern "C" fn set(
                    text: *const c_char,
                    param: *const bindings::kernel_param,
                ) -> c_int {
                    // SAFETY: By this function's contract.
                    unsafe { $type::set(text, &*param) }
                }

                /// # Safety
                ///
                /// As `Value::get`, with a pointer.
                unsafe extern "C" fn get(
                    buffer: *mut c_char,
                    param: *const bindings::kernel_param,
                ) -> c_int {
                    // SAFETY: By this function's contract.
                    unsafe { $type::get(buffer, &*param) }
                }

                // Unload rule, unregister waits: as for the functions of a `Table`.
                &bindings::kernel_param_ops {
                    flags: 0,
                    set: Some(set),
                    get: Some(get),
                    free: None,
                }
            };

            unsafe fn set(text: *const c_char, param: &bindings::kernel_param) -> c_int {
                let mut value = 0;
                // SAFETY: By this function's contract `text` is a string, as there are no
                // flags.
                let result = unsafe { bindings::$parse(text, 0, &mut value) };
                if result == 0 {
                    // SAFETY: By this function's contract.
                    unsafe { Self::store(param.__bindgen_anon_1.arg.cast(), value) };
                }
                result
            }

            unsafe fn get(buffer: *mut c_char, param: &bindings::kernel_param) -> c_int {
                // SAFETY: By this function's contract. The argument matches the format.
                unsafe {
                    let value = Self::load(param.__bindgen_anon_1.arg.cast());
                    bindings::scnprintf(
                        buffer,
                        PAGE_SIZE,
                        $format.as_char_ptr(),
                        $printed::from(value),
                    )
                }
            }

            impl_accesses!($type);
        }
    )*};
}

impl_parsed_value! {
    i8: kstrtos8, c"%d\n", c_int;
    i64: kstrtoll, c"%lld\n", c_longlong;
}

/// A parameter that is a number or a `bool`, declared by
/// [`params!`](crate::params!).
///
/// If user space may write to its file, it can change at any time.
///
/// # Invariants
///
/// The value is a valid `T`, and is only read and written with one load or
/// store.
#[repr(transparent)]
pub struct Param<T: Value>(UnsafeCell<T>);

// SAFETY: By the type invariants all accesses are atomic.
unsafe impl<T: Value> Sync for Param<T> {}

impl<T: Value> Param<T> {
    /// For [`params!`](crate::params!) only.
    #[doc(hidden)]
    pub const fn new(default: T) -> Self {
        // INVARIANT: `default` is a valid `T`.
        Self(UnsafeCell::new(default))
    }

    /// The value.
    ///
    /// Can be called in any context.
    pub fn get(&self) -> T {
        // SAFETY: By the type invariants.
        unsafe { T::load(self.0.get()) }
    }

    /// Changes the value as a write to the file does, but without calling the
    /// callback.
    ///
    /// Can be called in any context.
    pub fn set(&self, value: T) {
        // INVARIANT: `value` is a valid `T`, and is stored with one store.
        // SAFETY: By the type invariants.
        unsafe { T::store(self.0.get(), value) }
    }

    /// What C reads and writes.
    pub(crate) const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }

    /// The parameter as an atomic variable, for code that needs one.
    ///
    /// Can be called in any context.
    pub fn as_atomic(&self) -> &Atomic<T>
    where
        T: AtomicType + Sync,
    {
        // SAFETY: The cell is aligned, and valid for as long as `self` is. By the
        // type invariants all other accesses are atomic.
        unsafe { Atomic::from_ptr(self.0.get()) }
    }
}

/// A parameter that is a string, declared by [`params!`](crate::params!).
///
/// # Invariants
///
/// The pointer points to a string, or is null. Once the module is loaded, string and
/// pointer only change under the module's parameter lock.
#[repr(transparent)]
pub struct Str(UnsafeCell<*const c_char>);

// SAFETY: By the type invariants the string is only used under a lock.
unsafe impl Sync for Str {}

impl Str {
    /// For [`params!`](crate::params!) only.
    #[doc(hidden)]
    pub const fn new(default: &'static CStr) -> Self {
        // INVARIANT: `default` lives as long as the module, and C only frees
        // strings that it has allocated itself.
        Self(UnsafeCell::new(default.as_ptr().cast()))
    }

    /// Calls `f` with the string, which does not change meanwhile.
    ///
    /// A string that `echo` wrote to the file ends with a newline.
    ///
    /// May sleep: it takes the module's parameter lock. It waits forever if the
    /// caller holds that lock already, which is so in `f` and in the callbacks of
    /// this module's parameters.
    pub fn with<R>(&self, f: impl FnOnce(&kernel::str::CStr) -> R) -> R {
        self.with_core(|string| f(as_kernel_cstr(string)))
    }

    /// As [`with`](Self::with), with the string as core's `CStr`, which functions of this
    /// crate take: in Linux 6.18 the `kernel` crate's is another type. Core's cannot be
    /// printed there.
    ///
    /// May sleep, and waits forever, as [`with`](Self::with).
    pub fn with_core<R>(&self, f: impl FnOnce(&CStr) -> R) -> R {
        locked(|| {
            // SAFETY: By the type invariants it does not change until the lock is
            // released.
            let string = unsafe { *self.0.get() };
            let string = match string.is_null() {
                true => c"",
                // SAFETY: As above, and it points to a string.
                false => unsafe { CStr::from_char_ptr(string) },
            };
            f(string)
        })
    }
}

/// Calls `f` with the module's parameter lock held. May sleep.
fn locked<R>(f: impl FnOnce() -> R) -> R {
    let this_module = &raw mut bindings::__this_module;
    // SAFETY: This is the module that this code is part of.
    unsafe { bindings::kernel_param_lock(this_module) };
    let result = f();
    // SAFETY: The lock was taken above.
    unsafe { bindings::kernel_param_unlock(this_module) };
    result
}

/// A parameter that is an array, declared by [`params!`](crate::params!). User
/// space gives its first elements, or all, separated by commas.
///
/// Its file shows the elements that were [`given`](Self::given). It is empty for
/// the default.
///
/// # Invariants
///
/// The values are valid `T`s, and each is only read and written with one load
/// or store.
pub struct Array<T: Value, const N: usize> {
    values: UnsafeCell<[T; N]>,
    given: Param<u32>,
}

// SAFETY: By the type invariants all accesses are atomic.
unsafe impl<T: Value, const N: usize> Sync for Array<T, N> {}

impl<T: Value, const N: usize> Array<T, N> {
    /// For [`params!`](crate::params!) only.
    #[doc(hidden)]
    pub const fn new(default: [T; N]) -> Self {
        // 21 bytes hold the longest number, `-9223372036854775808`, and a comma.
        // C prints all elements into one page without checking where it ends.
        assert!(N * 21 < PAGE_SIZE, "too many elements to show");
        // INVARIANT: `default` are valid `T`s.
        Self {
            values: UnsafeCell::new(default),
            given: Param::new(0),
        }
    }

    /// The number of elements that user space gave last, or 0 if it gave none.
    ///
    /// Can be called in any context.
    pub fn given(&self) -> usize {
        self.given.get() as usize
    }

    /// The element at `index`, given or not. [`None`] if the array has no such
    /// element.
    ///
    /// Can be called in any context.
    pub fn get(&self, index: usize) -> Option<T> {
        if index >= N {
            return None;
        }
        // SAFETY: The array has more than `index` elements, and the element is
        // valid for reads by the type invariants.
        Some(unsafe { T::load(self.values.get().cast::<T>().add(index)) })
    }

    /// All elements, given or not. If user space writes to the file at the same
    /// time, some may be new and others old.
    ///
    /// Can be called in any context.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        (0..N).map_while(|index| self.get(index))
    }
}

/// A parameter that is an array of strings, declared by [`params!`](crate::params!).
/// User space gives its first strings, or all, separated by commas.
///
/// Its file shows the strings that user space gave last, and is empty if it gave none.
///
/// # Invariants
///
/// Once the module is loaded, the strings are only used under the module's parameter
/// lock.
pub struct StrArray<const N: usize>(UnsafeCell<Strings<N>>);

// SAFETY: By the type invariants the strings are only used under a lock.
unsafe impl<const N: usize> Sync for StrArray<N> {}

impl<const N: usize> StrArray<N> {
    /// For [`params!`](crate::params!) only.
    #[doc(hidden)]
    pub const fn new(default: [&'static CStr; N]) -> Self {
        // INVARIANT: The module is not loaded yet.
        Self(UnsafeCell::new(Strings {
            default,
            given: KVec::new(),
        }))
    }

    /// Calls `f` with the strings, which do not change meanwhile.
    ///
    /// May sleep: it takes the module's parameter lock, as [`Str::with`] does. It waits
    /// forever in `f`, and in the callbacks of this module's parameters.
    pub fn with<R>(&self, f: impl FnOnce(&Strings<N>) -> R) -> R {
        // SAFETY: By the type invariants, and the lock is held.
        locked(|| f(unsafe { &*self.0.get() }))
    }

    const OPS: &'static bindings::kernel_param_ops = &bindings::kernel_param_ops {
        flags: 0,
        set: Some(Self::set),
        get: Some(Self::get),
        free: Some(Self::free),
    };

    /// # Safety
    ///
    /// Called by the module core only, with the lock: `text` is a string, and `param` is
    /// that of a `Self`.
    unsafe extern "C" fn set(text: *const c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: By this function's contract, and the type invariants.
        // Unload rule, unregister waits: as for the functions of a `Table`.
        let (text, name, strings) = unsafe {
            (
                CStr::from_char_ptr(text),
                (*param).name,
                &mut *(*param).__bindgen_anon_1.arg.cast::<Strings<N>>(),
            )
        };
        match strings.set(name, text) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Called by the module core only, with the lock: `buffer` holds `PAGE_SIZE` bytes,
    /// and `param` is that of a `Self`.
    unsafe extern "C" fn get(buffer: *mut c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: By this function's contract, and the type invariants.
        // Unload rule, unregister waits: as for the functions of a `Table`.
        let strings = unsafe { &*(*param).__bindgen_anon_1.arg.cast::<Strings<N>>() };
        let Some((_, shown)) = strings.given.split_last() else {
            return 0;
        };
        let shown = shown.iter().map(|byte| match byte {
            0 => b',',
            byte => *byte,
        });
        for (place, byte) in Iterator::chain(shown, [b'\n']).enumerate() {
            // SAFETY: By this function's contract. The strings do not fill the page.
            unsafe { buffer.cast::<u8>().add(place).write(byte) };
        }
        strings.given.len() as c_int
    }

    /// # Safety
    ///
    /// Called by the module core only, when nobody uses the module any more: `strings` is
    /// what a `Self` has.
    unsafe extern "C" fn free(strings: *mut c_void) {
        // SAFETY: By this function's contract.
        // Unload rule, unregister waits: the module core calls this before it frees the
        // module. But on x86 it may have freed the thunks of the module's indirect calls:
        // there must be none here.
        let strings = unsafe { &mut *strings.cast::<Strings<N>>() };
        strings.given = KVec::new();
    }
}

/// The strings of a [`StrArray`]. A string that was not given last time has its default.
///
/// # Invariants
///
/// `given` has fewer bytes than a page.
pub struct Strings<const N: usize> {
    default: [&'static CStr; N],
    /// The strings that were given last, each with its NUL.
    given: KVec<u8>,
}

impl<const N: usize> Strings<N> {
    /// The number of strings that user space gave last, or 0 if it gave none. Can be called
    /// in any context.
    pub fn given(&self) -> usize {
        self.iter_given().count()
    }

    /// The string at `index`, given or not. [`None`] if the array has no such string. Can
    /// be called in any context.
    pub fn get(&self, index: usize) -> Option<&kernel::str::CStr> {
        self.iter().nth(index)
    }

    /// All strings, given or not. Can be called in any context.
    pub fn iter(&self) -> impl Iterator<Item = &kernel::str::CStr> {
        let others = self.default.iter().copied().skip(self.given());
        Iterator::chain(self.iter_given(), others).map(as_kernel_cstr)
    }

    fn iter_given(&self) -> impl Iterator<Item = &CStr> {
        let strings = self.given.split_inclusive(|byte| *byte == 0);
        strings.filter_map(|string| CStr::from_bytes_with_nul(string).ok())
    }

    /// Takes the strings in `text`, all or none, for the parameter called `name`.
    fn set(&mut self, name: *const c_char, text: &CStr) -> Result {
        let text = text.to_bytes();
        // `echo` wrote it.
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let strings = || text.split(|byte| *byte == b',');
        if strings().count() > N {
            // SAFETY: The arguments match the format.
            unsafe {
                bindings::_printk(
                    c"\x013%s: can only take %zu arguments\n".as_char_ptr(),
                    name,
                    N,
                )
            };
            return Err(EINVAL);
        }
        // Each byte is shown, and a newline.
        if text.len() >= PAGE_SIZE - 1 {
            return Err(ENOSPC);
        }
        let mut given = KVec::with_capacity(text.len() + 1, GFP_KERNEL)?;
        for string in strings() {
            given.extend_from_slice(string, GFP_KERNEL)?;
            given.push(0, GFP_KERNEL)?;
        }
        // INVARIANT: This has one byte more than `text`.
        self.given = given;
        Ok(())
    }
}

/// The functions that are called when a parameter is set and read.
#[doc(hidden)]
pub trait Callbacks: 'static {
    /// The parameter's type.
    type Value: Value;
    /// Called with a value before it is stored. An error prevents that.
    const SET: fn(Self::Value) -> Result = |_| Ok(());
    /// Called with a value that user space reads.
    const GET: fn(Self::Value) = |_| ();
}

/// Whether the module is at its end, and callbacks are not called any more.
static ENDED: AtomicFlag = AtomicFlag::new(false);

/// When this has returned, no callback runs and none will be called. May sleep.
pub(crate) fn end() {
    ENDED.store(true, Relaxed);
    // Unload rule, we wait: callbacks run with this lock.
    locked(|| ());
}

/// Fails with `ESHUTDOWN` when the module is at its end.
fn check_end() -> Result {
    match ENDED.load(Relaxed) {
        true => Err(errno::error(bindings::ESHUTDOWN)),
        false => Ok(()),
    }
}

/// C's table of the functions for `C`.
struct Table<C>(PhantomData<C>);

impl<C: Callbacks> Table<C> {
    const OPS: &'static bindings::kernel_param_ops = &bindings::kernel_param_ops {
        flags: C::Value::FLAGS,
        set: Some(Self::set),
        get: Some(Self::get),
        free: None,
    };

    /// # Safety
    ///
    /// `param` is that of a [`Param<C::Value>`].
    unsafe fn param<'a>(param: *const bindings::kernel_param) -> &'a Param<C::Value> {
        // SAFETY: By this function's contract. `Entry` only takes a `'static`
        // parameter.
        unsafe { &*(*param).__bindgen_anon_1.arg.cast() }
    }

    /// A `kernel_param` with the name of `param`, for the variable `value`.
    ///
    /// # Safety
    ///
    /// `param` is valid.
    unsafe fn redirect(
        param: *const bindings::kernel_param,
        value: &mut C::Value,
    ) -> bindings::kernel_param {
        bindings::kernel_param {
            __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
                arg: core::ptr::from_mut(value).cast(),
            },
            // SAFETY: By this function's contract.
            ..unsafe { *param }
        }
    }

    /// # Safety
    ///
    /// Called by the module core only: `text` is a string, or null if the flags
    /// allow that, and `param` is that of a [`Param<C::Value>`].
    unsafe extern "C" fn set(text: *const c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: By this function's contract.
        // Unload rule, unregister waits: the module core calls this while it
        // loads the module, or for a file that it removes before it frees the
        // module.
        let this = unsafe { Self::param(param) };
        let mut value = this.get();
        // SAFETY: By this function's contract.
        let param = unsafe { Self::redirect(param, &mut value) };
        // SAFETY: By this function's contract. `param` points to `value`.
        let result = to_result(unsafe { C::Value::set(text, &param) });
        match result
            .and_then(|()| check_end())
            .and_then(|()| C::SET(value))
        {
            Ok(()) => {
                this.set(value);
                0
            }
            Err(error) => errno::to_user(error),
        }
    }

    /// # Safety
    ///
    /// Called by the module core only: `buffer` holds `PAGE_SIZE` bytes, and
    /// `param` is that of a [`Param<C::Value>`].
    unsafe extern "C" fn get(buffer: *mut c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: By this function's contract.
        // Unload rule, unregister waits: the module core calls this for a file
        // that it removes before it frees the module.
        let mut value = unsafe { Self::param(param) }.get();
        // SAFETY: By this function's contract.
        let param = unsafe { Self::redirect(param, &mut value) };
        // SAFETY: By this function's contract. `param` points to `value`.
        let len = unsafe { C::Value::get(buffer, &param) };
        if len >= 0 {
            if let Err(error) = check_end() {
                return error.to_errno();
            }
            C::GET(value);
        }
        len
    }
}

/// An entry in the section `__param`, where the module core finds the module's
/// parameters.
#[doc(hidden)]
#[repr(transparent)]
pub struct Entry(bindings::kernel_param);

// SAFETY: The entry itself is only read.
unsafe impl Sync for Entry {}

impl Entry {
    #[inline]
    pub const fn value<T: Value>(name: &'static str, mode: Mode, param: &'static Param<T>) -> Self {
        // By the contract of `Value` these functions keep the invariants.
        Self::new(name, mode, T::OPS, param.0.get().cast())
    }

    #[inline]
    pub const fn watched<C: Callbacks>(
        name: &'static str,
        mode: Mode,
        param: &'static Param<C::Value>,
    ) -> Self {
        Self::new(name, mode, Table::<C>::OPS, param.0.get().cast())
    }

    #[inline]
    pub const fn string(name: &'static str, mode: Mode, param: &'static Str) -> Self {
        let ops = &raw const bindings::param_ops_charp;
        Self::new(name, mode, ops, param.0.get().cast())
    }

    #[inline]
    pub const fn strings<const N: usize>(
        name: &'static str,
        mode: Mode,
        array: &'static StrArray<N>,
    ) -> Self {
        Self::new(name, mode, StrArray::<N>::OPS, array.0.get().cast())
    }

    #[inline]
    pub const fn array(name: &'static str, mode: Mode, array: &'static ArrayInfo) -> Self {
        let ops = &raw const bindings::param_array_ops;
        let info = core::ptr::from_ref(array).cast_mut();
        Self::new(name, mode, ops, info.cast())
    }

    /// `name` ends with a NUL. `arg` is what the functions in `ops` expect.
    #[inline]
    const fn new(
        name: &'static str,
        mode: Mode,
        ops: *const bindings::kernel_param_ops,
        arg: *mut c_void,
    ) -> Self {
        assert!(mode.is_orderly(), "no mode for a parameter");
        let Ok(name) = CStr::from_bytes_with_nul(name.as_bytes()) else {
            panic!("no name for a parameter");
        };
        Self(bindings::kernel_param {
            name: name.as_ptr().cast(),
            mod_: &raw mut bindings::__this_module,
            ops,
            perm: mode.bits(),
            level: -1,
            flags: 0,
            __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 { arg },
        })
    }
}

/// The description of an [`Array`] for the module core.
#[doc(hidden)]
#[repr(transparent)]
pub struct ArrayInfo(bindings::kparam_array);

// SAFETY: The table itself is only read.
unsafe impl Sync for ArrayInfo {}

impl ArrayInfo {
    pub const fn new<T: Value, const N: usize>(array: &'static Array<T, N>) -> Self {
        Self(bindings::kparam_array {
            max: N as c_uint,
            elemsize: size_of::<T>() as c_uint,
            num: array.given.0.get(),
            ops: T::OPS,
            elem: array.values.get().cast(),
        })
    }
}

/// The length of the result of [`modinfo`].
#[doc(hidden)]
#[inline]
pub const fn modinfo_len(lines: &[&[&str]]) -> usize {
    let (mut line, mut len) = (0, 0);
    while line < lines.len() {
        let mut part = 0;
        while part < lines[line].len() {
            len += lines[line][part].len();
            part += 1;
        }
        len += 1;
        line += 1;
    }
    len
}

/// The `lines`, one after the other. Each consists of its parts and a NUL.
#[doc(hidden)]
pub const fn modinfo<const N: usize>(lines: &[&[&str]]) -> [u8; N] {
    let mut text = [0; N];
    let (mut line, mut len) = (0, 0);
    while line < lines.len() {
        let mut part = 0;
        while part < lines[line].len() {
            let bytes = lines[line][part].as_bytes();
            let mut byte = 0;
            while byte < bytes.len() {
                assert!(bytes[byte] != 0, "modinfo with a zero in it");
                text[len] = bytes[byte];
                byte += 1;
                len += 1;
            }
            part += 1;
        }
        len += 1;
        line += 1;
    }
    text
}

/// Declares the module's parameters. Each becomes a static with its name, so no
/// local variable can have that name.
///
/// | declared as | C's type | the static |
/// | --- | --- | --- |
/// | `bool` | `bool` | [`Param<bool>`](crate::params::Param) |
/// | `u8` | `byte` | [`Param<u8>`](crate::params::Param) |
/// | `i8`, `i64` | none | [`Param<i8>`](crate::params::Param), ... |
/// | `i16`, `u16` | `short`, `ushort` | [`Param<i16>`](crate::params::Param), ... |
/// | `i32`, `u32` | `int`, `uint` | [`Param<i32>`](crate::params::Param), ... |
/// | `isize`, `usize` | `long`, `ulong` | [`Param<isize>`](crate::params::Param), ... |
/// | `u64` | `ullong` | [`Param<u64>`](crate::params::Param) |
/// | `&CStr` | `charp` | [`Str`](crate::params::Str) |
/// | `[&CStr; N]` | array of `charp` | [`StrArray<N>`](crate::params::StrArray) |
/// | `[T; N]` | array of a number or `bool` | [`Array<T, N>`](crate::params::Array) |
///
/// C itself parses and shows the numbers, so hexadecimal and octal ones work.
/// If a parameter is given twice, the last value counts.
///
/// Arrays of strings are not C's. If one string is refused, the array stays as it was; any
/// other array takes the elements before a bad one. A newline at the end, which `echo`
/// writes, is cut off.
///
/// `mode` is the [mode](macro@crate::mode) of the file in `/sys/module`. With the
/// mode 0 there is no file. Modes that C refuses do not compile.
///
/// `set`, `get` or both can follow `description`, except for strings and arrays.
/// They are functions, or closures that capture nothing:
///
/// - `set: fn(T) -> Result` is called with a value before it is stored. An
///   error refuses the value.
/// - `get: fn(T)` is called with a value that is being read from the file.
///
/// They run in process context and may sleep. The module's parameter lock is held
/// meanwhile, so they must not call [`Str::with`](crate::params::Str::with) or
/// [`StrArray::with`](crate::params::StrArray::with). They may run before init and after
/// exit, see [`params`](mod@crate::params) on unloading.
///
/// # Errors
///
/// Loading the module, or `write(2)` to the file, fails with:
///
/// - `EINVAL`: a text that is no value of the type, or more elements than the array
///   has;
/// - `ERANGE`: a number that is too large for its type;
/// - `ENOSPC`: a string of more than 1024 bytes, or an array of strings whose file would
///   have a page or more;
/// - `ENOMEM`: no memory for a string. On Linux 6.18 the parameter has lost its old one
///   then, and is empty;
/// - the error of `set`.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// lkm::params! {
///     interval: u32 {
///         default: 100,
///         mode: 0o644,
///         description: "Milliseconds between two blinks",
///         set: |ms| if ms == 0 { Err(EINVAL) } else { Ok(()) },
///     },
///     greeting: &CStr { default: c"hello", mode: 0o444, description: "What to say" },
///     names: [&CStr; 2] { default: [c"world"; 2], mode: 0o444, description: "Whom to greet" },
///     pins: [u8; 4] { default: [0; 4], mode: 0, description: "Pins to use" },
/// }
///
/// pr_info!("every {} ms\n", interval.get());
/// greeting.with(|text| pr_info!("{text}\n"));
/// names.with(|strings| {
///     for name in strings.iter().take(strings.given()) {
///         pr_info!("{name}\n");
///     }
/// });
/// for pin in pins.iter().take(pins.given()) {
///     pr_info!("pin {pin}\n");
/// }
/// ```
///
/// A mode that lets others write does not compile:
///
/// ```compile_fail,E0080
/// # use kernel::prelude::*;
/// lkm::params! {
///     interval: u32 { default: 100, mode: 0o666, description: "Milliseconds" },
/// }
/// ```
///
/// Neither does one that lets the group read what the owner may not:
///
/// ```compile_fail,E0080
/// # use kernel::prelude::*;
/// lkm::params! {
///     interval: u32 { default: 100, mode: 0o044, description: "Milliseconds" },
/// }
/// ```
#[macro_export]
macro_rules! params {
    ($($params:tt)*) => {
        $crate::__params! { [] $($params)* }
    };
}

/// [`params!`], one parameter after the other. Each step declares a static, and
/// appends the parameter to the list of all.
#[doc(hidden)]
#[macro_export]
macro_rules! __params {
    // A string.
    (
        [$($done:tt)*]
        $(#[$attr:meta])*
        $name:ident: &CStr {
            default: $default:expr,
            mode: $mode:expr,
            description: $description:expr $(,)?
        }
        $(, $($rest:tt)*)?
    ) => {
        $(#[$attr])*
        #[allow(non_upper_case_globals)]
        static $name: $crate::params::Str = $crate::params::Str::new($default);
        $crate::__params! {
            [$($done)* {
                $name ["charp"] $description;
                $crate::params::Entry::string(concat!(stringify!($name), "\0"), $crate::mode!($mode), &$name)
            }]
            $($($rest)*)?
        }
    };

    // An array of strings.
    (
        [$($done:tt)*]
        $(#[$attr:meta])*
        $name:ident: [&CStr; $n:expr] {
            default: $default:expr,
            mode: $mode:expr,
            description: $description:expr $(,)?
        }
        $(, $($rest:tt)*)?
    ) => {
        $(#[$attr])*
        #[allow(non_upper_case_globals)]
        static $name: $crate::params::StrArray<{ $n }> = $crate::params::StrArray::new($default);
        $crate::__params! {
            [$($done)* {
                $name ["array of charp"] $description;
                $crate::params::Entry::strings(concat!(stringify!($name), "\0"), $crate::mode!($mode), &$name)
            }]
            $($($rest)*)?
        }
    };

    // An array.
    (
        [$($done:tt)*]
        $(#[$attr:meta])*
        $name:ident: [$type:ty; $n:expr] {
            default: $default:expr,
            mode: $mode:expr,
            description: $description:expr $(,)?
        }
        $(, $($rest:tt)*)?
    ) => {
        $(#[$attr])*
        #[allow(non_upper_case_globals)]
        static $name: $crate::params::Array<$type, { $n }> =
            $crate::params::Array::new($default);
        $crate::__params! {
            [$($done)* {
                $name ["array of ", <$type as $crate::params::Value>::TYPE] $description;
                $crate::params::Entry::array(
                    concat!(stringify!($name), "\0"),
                    $crate::mode!($mode),
                    const { &$crate::params::ArrayInfo::new(&$name) },
                )
            }]
            $($($rest)*)?
        }
    };

    // A number.
    (
        [$($done:tt)*]
        $(#[$attr:meta])*
        $name:ident: $type:ty {
            default: $default:expr,
            mode: $mode:expr,
            description: $description:expr $(,)?
        }
        $(, $($rest:tt)*)?
    ) => {
        $(#[$attr])*
        #[allow(non_upper_case_globals)]
        static $name: $crate::params::Param<$type> = $crate::params::Param::new($default);
        $crate::__params! {
            [$($done)* {
                $name [<$type as $crate::params::Value>::TYPE] $description;
                $crate::params::Entry::value(concat!(stringify!($name), "\0"), $crate::mode!($mode), &$name)
            }]
            $($($rest)*)?
        }
    };

    // A number with callbacks.
    (
        [$($done:tt)*]
        $(#[$attr:meta])*
        $name:ident: $type:ty {
            default: $default:expr,
            mode: $mode:expr,
            description: $description:expr
            $(, set: $set:expr)?
            $(, get: $get:expr)?
            $(,)?
        }
        $(, $($rest:tt)*)?
    ) => {
        $(#[$attr])*
        #[allow(non_upper_case_globals)]
        static $name: $crate::params::Param<$type> = $crate::params::Param::new($default);
        $crate::__params! {
            [$($done)* {
                $name [<$type as $crate::params::Value>::TYPE] $description;
                {
                    struct __Callbacks;
                    impl $crate::params::Callbacks for __Callbacks {
                        type Value = $type;
                        $(const SET: fn($type) -> ::kernel::error::Result = $set;)?
                        $(const GET: fn($type) = $get;)?
                    }
                    $crate::params::Entry::watched::<__Callbacks>(
                        concat!(stringify!($name), "\0"),
                        $crate::mode!($mode),
                        &$name,
                    )
                }
            }]
            $($($rest)*)?
        }
    };

    // The list: each parameter has two lines in `.modinfo` and an entry in
    // `__param`.
    ([$({ $name:ident [$($type:expr),*] $description:expr; $entry:expr })*]) => {
        const _: () = {
            const __INFO: &[&[&str]] = &[$(
                &["parmtype=", stringify!($name), ":", $($type),*],
                &["parm=", stringify!($name), ":", $description],
            )*];
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static __MODINFO: [u8; $crate::params::modinfo_len(__INFO)] =
                $crate::params::modinfo(__INFO);

            #[link_section = "__param"]
            #[used(compiler)]
            static __ENTRIES: [$crate::params::Entry; __INFO.len() / 2] = [$($entry),*];
        };
    };
}
