// SPDX-License-Identifier: GPL-2.0-only

//! Objects that user space makes: directories in configfs.
//!
//! C header: [`include/linux/configfs.h`](srctree/include/linux/configfs.h)
//!
//! Reference: <https://docs.kernel.org/filesystems/configfs.html>
//!
//! In sysfs the kernel shows what it has. In configfs a process says what there is to be: it
//! makes a directory, by `mkdir(2)`, and the module makes an object for it. The files in the
//! directory are those of the object. `rmdir(2)` drops it.
//!
//! The `kernel` crate's [`configfs`](kernel::configfs) leaves its subsystem behind when the handle
//! is lost. It crashes when the name is taken. And what data a file of the subsystem itself gets
//! depends on how the compiler lays out two types.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::CStrExt,
    errno::{
        self,
        error, //
    },
    file::is_name,
    sysfs::{
        check_names,
        Attribute,
        Page, //
    },
};
use core::{
    ffi::CStr,
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    ops::Deref,
    ptr,
    slice, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    page::PAGE_SIZE,
    prelude::*,
};

/// A directory: its files, and what is made in it. `()` has nothing.
///
/// A value is dropped when a process removes its directory, or when `mkdir(2)` fails after
/// [`make`](Self::make). No function of it runs then. A directory with others in it cannot be
/// removed.
///
/// The files are [attributes](Attribute), at most 16. Those of several items, and of one, can be
/// shown and stored at the same time.
///
/// - *show* is called once for each open file, and again after a `write(2)` to that. Who only goes
///   back, by `lseek(2)`, reads the old text again.
/// - *store* gets no more than 4095 bytes: of a longer `write(2)` the first. One of 0 bytes fails
///   with `EFAULT`, and *store* is not called.
///
/// A file that is open when its directory is removed answers `ENOENT`. But what was shown before
/// can still be read.
///
/// # Context
///
/// All functions run in the task that makes the system call, and may sleep, also those that
/// drop a value. Of those that make or drop one, one runs at a time in each [`Subsystem`].
///
/// The kernel has locks then that [`Subsystem::new`] takes, which therefore fails with
/// `EDEADLK`. Dropping a [`Subsystem`] takes them, too. So one that is dropped in such a function
/// goes a little later, and so it is while more than 64 tasks are in functions. `mmap` and `fault`
/// of a file count as such functions: somebody may be reading the names in a directory here into
/// that memory. That holds within one module. A function must not have another module make or
/// drop one, nor wait for a thread that does. Nor may it wait for who makes or removes a
/// directory here.
///
/// The value of the subsystem itself is dropped without these locks: by who drops the handle, by
/// a worker of the kernel a little later, or at the end of the module or of an init that fails.
#[vtable]
pub trait Item: Send + Sync + Sized + 'static {
    /// What a directory in this one is. It can be the same type.
    type Child: Item;

    /// The files.
    fn attributes() -> &'static [Attribute<Self>] {
        &[]
    }

    /// Called when a process makes a directory here, which can have any name that a file can
    /// have. Without this method `mkdir(2)` fails with `EPERM`.
    ///
    /// # Errors
    ///
    /// `mkdir(2)` fails with the error returned. It also fails with
    ///
    /// - `EINVAL`: the child has more than 16 files;
    /// - `EEXIST`: two of its files have the same name;
    /// - `ENOMEM`;
    /// - `EINVAL`, `ESHUTDOWN`: the module, or the subsystem, is about to go.
    fn make(&self, _name: &CStr) -> impl PinInit<Self::Child, Error> {
        if true {
            build_error!(VTABLE_DEFAULT_ERROR)
        }
        Err::<Self::Child, Error>(EINVAL)
    }
}

#[vtable]
impl Item for () {
    type Child = ();
}

/// The directory `NAME` where configfs is mounted, which is usually `/sys/kernel/config`, and what
/// processes make in it. It dereferences to the value of the directory itself.
///
/// # Unloading
///
/// *Owner held*: a directory that a process has made keeps the module, so `rmmod` is refused with
/// `EWOULDBLOCK`. *Unregister waits*: dropping this waits until no function runs. A file that is
/// open does not keep the module.
///
/// If this is dropped while there are such directories, or init fails, *we wait* until processes
/// have removed them, which the kernel log asks for. They can make none meanwhile. What else
/// was dropped in functions of items, and the like, waits behind it then.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use core::ffi::CStr;
/// use kernel::sync::atomic::{Atomic, Relaxed};
/// use lkm::{
///     configfs::{self, Item},
///     file::mode,
///     sysfs::{self, Attribute},
/// };
///
/// struct Lamp(Atomic<u32>);
///
/// static LAMP: [Attribute<Lamp>; 1] = [Attribute::read_write(
///     c"level",
///     mode!(0o644),
///     |lamp, page| writeln!(page, "{}", lamp.0.load(Relaxed)),
///     |lamp, text| {
///         lamp.0.store(sysfs::parse(text)?, Relaxed);
///         Ok(())
///     },
/// )];
///
/// #[vtable]
/// impl Item for Lamp {
///     type Child = ();
///
///     fn attributes() -> &'static [Attribute<Self>] {
///         &LAMP
///     }
/// }
///
/// struct Lamps;
///
/// #[vtable]
/// impl Item for Lamps {
///     type Child = Lamp;
///
///     fn make(&self, _name: &CStr) -> impl PinInit<Lamp, Error> {
///         Ok(Lamp(Atomic::new(0)))
///     }
/// }
///
/// // `mkdir /sys/kernel/config/lamps/desk` makes a lamp.
/// let lamps = configfs::Subsystem::new(c"lamps", Lamps)?;
/// # drop(lamps);
/// # Ok::<(), Error>(())
/// ```
pub struct Subsystem<T: Item>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or C's half of this value.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_config_item,
    #[pin]
    item: T,
    // C has a pointer to the value.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread that may sleep may remove a subsystem, and `T` is `Send`.
unsafe impl<T: Item> Send for Inner<T> {}

// SAFETY: A shared reference gives access to `item` only, and `T` is `Sync`.
unsafe impl<T: Item> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, there are no directories any more, no function runs and none
// can begin. C has no reference to what it was given: only files that are open are left, which
// do nothing.
unsafe impl<T: Item> Stop for Inner<T> {
    const NAME: &'static CStr = c"subsystems in configfs";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants, and this may sleep.
            unsafe { bindings::lkm_config_remove(self.raw) };
        }
    }

    /// The locks that the function has are those that this takes, or two functions would wait
    /// for each other.
    fn is_within(&self) -> bool {
        is_within()
    }

    fn give_back(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. It was removed, if it was ever added.
            unsafe { bindings::lkm_config_free(self.raw) };
        }
    }
}

/// Whether the caller is a function of an item, or is dropping one.
fn is_within() -> bool {
    // SAFETY: The callers are in process context.
    unsafe { bindings::lkm_config_within() }
}

impl<T: Item> Subsystem<T> {
    /// Makes the directory. Processes can use it before this returns. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name, or there are more than 16 files;
    /// - `EEXIST`: there is a subsystem of that name, or two files have the same name;
    /// - `EDEADLK`: the caller is a function of an [`Item`], or `mmap` or `fault` of a file, or
    ///   opens or stops a [net device](crate::netdev), or more than 64 tasks are in functions,
    ///   and nobody knows who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `item`.
    pub fn new<E>(name: &CStr, item: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        if !is_name(name) {
            return Err(EINVAL);
        }
        if is_within() {
            return Err(error(bindings::EDEADLK));
        }
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            item <- item,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            let inner = unsafe { inner.get_unchecked_mut() };
            // SAFETY: The item stays in place until it was removed, and given back.
            // INVARIANT: It was just made.
            inner.raw = unsafe { Functions::<T>::describe(name, &raw mut inner.item) }?;
            // SAFETY: It is new. This may sleep.
            // Unload rule, owner held, and unregister waits: see `stop`.
            to_result(unsafe { bindings::lkm_config_add(inner.raw) })
        })?;
        Ok(Self(inner))
    }
}

impl<T: Item> Deref for Subsystem<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.item
    }
}

/// What C calls for a `T`.
struct Functions<T>(PhantomData<T>);

/// How much C takes of what is shown, on all machines.
const MOST_SHOWN: isize = 4096;

impl<T: Item> Functions<T> {
    const OPS: &'static bindings::lkm_config_ops = &bindings::lkm_config_ops {
        make: if T::HAS_MAKE { Some(Self::make) } else { None },
        drop: Some(Self::drop),
        show: Some(Self::show),
        store: Some(Self::store),
    };

    /// Makes C's half of the item at `data`.
    ///
    /// # Safety
    ///
    /// The item stays where it is until C's half is dropped, or freed.
    unsafe fn describe(name: &CStr, data: *mut T) -> Result<*mut bindings::lkm_config_item> {
        let attributes = T::attributes();
        check_names(attributes)?;
        // SAFETY: The functions are for a pointer to a `T`. The name is copied. This may sleep.
        let raw = from_err_ptr(unsafe {
            bindings::lkm_config_new(name.as_char_ptr(), attributes.len(), Self::OPS, data.cast())
        })?;
        for attribute in attributes {
            // SAFETY: It was made with room for so many. The name stays as long as the module.
            unsafe {
                bindings::lkm_config_file(
                    raw,
                    attribute.name().as_char_ptr(),
                    attribute.mode().bits(),
                    attribute.is_shown(),
                    attribute.is_stored(),
                )
            };
        }
        Ok(raw)
    }

    /// # Safety
    ///
    /// `data` points to the `T` of an item that is not dropped or removed meanwhile, and `name`
    /// is a string.
    unsafe extern "C" fn make(
        data: *mut c_void,
        name: *const c_char,
    ) -> *mut bindings::lkm_config_item {
        // SAFETY: By this function's contract.
        let (item, name) = unsafe { (&*data.cast::<T>(), CStr::from_char_ptr(name)) };
        match Self::make_child(item, name) {
            Ok(child) => child,
            Err(error) => Error::from_errno(errno::to_user(error)).to_ptr(),
        }
    }

    fn make_child(item: &T, name: &CStr) -> Result<*mut bindings::lkm_config_item> {
        let child = KBox::<T::Child>::pin_init::<Error>(item.make(name), GFP_KERNEL)?;
        // SAFETY: It stays in the memory where it is pinned, until `drop`.
        let data = KBox::into_raw(unsafe { Pin::into_inner_unchecked(child) });
        // SAFETY: As above.
        let result = unsafe { Functions::<T::Child>::describe(name, data) };
        if result.is_err() {
            // SAFETY: C does not have it. It comes from a box, and is dropped in its place.
            drop(unsafe { KBox::from_raw(data) });
        }
        result
    }

    /// # Safety
    ///
    /// `data` is what [`make_child`](Self::make_child) has leaked. Nobody uses it any more.
    unsafe extern "C" fn drop(data: *mut c_void) {
        // SAFETY: By this function's contract. It is dropped in its place.
        drop(unsafe { KBox::from_raw(data.cast::<T>()) });
    }

    /// # Safety
    ///
    /// `data` points to the `T` of an item that is not dropped or removed meanwhile, and `page`
    /// to a page that nobody else uses.
    unsafe extern "C" fn show(data: *mut c_void, file: c_uint, page: *mut c_char) -> isize {
        // SAFETY: By this function's contract.
        let (item, page) = unsafe { (&*data.cast::<T>(), &mut *page.cast::<[u8; PAGE_SIZE]>()) };
        let Some(attribute) = T::attributes().get(file as usize) else {
            return EIO.to_errno() as isize;
        };
        match attribute.show(item, &mut Page::new(page)) {
            len if len > MOST_SHOWN => EOVERFLOW.to_errno() as isize,
            result => result,
        }
    }

    /// # Safety
    ///
    /// `data` points to the `T` of an item that is not dropped or removed meanwhile, and `text`
    /// to `len` bytes that do not change.
    unsafe extern "C" fn store(
        data: *mut c_void,
        file: c_uint,
        text: *const c_char,
        len: usize,
    ) -> isize {
        // SAFETY: By this function's contract.
        let (item, text) = unsafe {
            let text = slice::from_raw_parts(text.cast::<u8>(), len);
            (&*data.cast::<T>(), text)
        };
        match T::attributes().get(file as usize) {
            Some(attribute) => attribute.store(item, text),
            None => EIO.to_errno() as isize,
        }
    }
}
