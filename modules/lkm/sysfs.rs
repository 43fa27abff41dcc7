// SPDX-License-Identifier: GPL-2.0-only

//! Directories and attributes in `/sys`.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)
//!
//! The `kernel` crate has no kobjects and no attributes.

use crate::{
    alive::{
        self,
        Alive,
        Name,
        Stop, //
    },
    bindings, errno,
    file::{
        is_name,
        Mode, //
    },
};
use core::{
    fmt,
    marker::PhantomPinned,
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    str::CStr,
    sync::LockClassKey, //
};

type Show<T> = fn(&T, &mut Page<'_>) -> Result;
type Store<T> = fn(&T, &[u8]) -> Result;

/// A file in a [`Dir`]: its name, its mode, and the functions that show and store
/// the directory's data.
///
/// Attributes are constants, and a `static` array holds those of a directory. The
/// name must be a file name. The mode must be one that C's
/// `VERIFY_OCTAL_PERMISSIONS()` takes: the owner may read and write if the group
/// may, the group may read if others may, and others may not write. It must not
/// let anybody execute the file, or do what the attribute cannot. Anything else
/// does not compile.
///
/// - *show* writes the contents to a [`Page`]. It is called once for everything
///   that is read from one open file up to its end, and again when reading starts
///   over.
/// - *store* gets the bytes of one `write(2)`, at least one and at most a page,
///   with the newline that `echo` adds. [`parse`] reads a number.
///
/// Both run in process context and may sleep, and several calls can run at the
/// same time for different open files. An error that they return is the error of
/// `read(2)` or `write(2)`; `EAGAIN` of *show* becomes `EBUSY`, as the kernel would call it
/// for ever. For numbers from 512 on see [`Operations`](crate::file::Operations).
///
/// Dropping the directory waits for calls that run. So a call must end when the
/// module wants to leave. It must not drop its own directory, and must not wait
/// for another thread that does: both would wait forever.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::atomic::{Atomic, Relaxed}};
/// use lkm::{file::mode, sysfs};
///
/// static ATTRIBUTES: [sysfs::Attribute<Atomic<u32>>; 1] = [sysfs::Attribute::read_write(
///     c"level",
///     mode!(0o644),
///     |level, page| writeln!(page, "{}", level.load(Relaxed)),
///     |level, text| {
///         level.store(sysfs::parse(text)?, Relaxed);
///         Ok(())
///     },
/// )];
/// ```
///
/// An attribute that only shows cannot have a mode that allows writing:
///
/// ```compile_fail,E0080
/// # use kernel::prelude::*;
/// # use lkm::{file::mode, sysfs};
/// static ATTRIBUTE: sysfs::Attribute<u32> =
///     sysfs::Attribute::read_only(c"level", mode!(0o644), |level, page| writeln!(page, "{level}"));
/// ```
///
/// An attribute cannot be executed:
///
/// ```compile_fail,E0080
/// # use kernel::prelude::*;
/// # use lkm::{file::mode, sysfs};
/// static ATTRIBUTE: sysfs::Attribute<u32> =
///     sysfs::Attribute::read_write(
///         c"level",
///         mode!(0o755),
///         |level, page| writeln!(page, "{level}"),
///         |_level, _text| Err(EBUSY),
///     );
/// ```
pub struct Attribute<T> {
    name: &'static CStr,
    mode: Mode,
    show: Option<Show<T>>,
    store: Option<Store<T>>,
    // Only used in static memory and never dropped.
    #[cfg_attr(not(CONFIG_DEBUG_LOCK_ALLOC), expect(dead_code))]
    key: ManuallyDrop<LockClassKey>,
}

impl<T> Attribute<T> {
    /// Creates an attribute that can be read. Can be called in any context.
    #[inline(always)]
    pub const fn read_only(name: &'static CStr, mode: Mode, show: Show<T>) -> Self {
        Self::new(name, mode, Some(show), None)
    }

    /// Creates an attribute that can be written. Can be called in any context.
    #[inline(always)]
    pub const fn write_only(name: &'static CStr, mode: Mode, store: Store<T>) -> Self {
        Self::new(name, mode, None, Some(store))
    }

    /// Creates an attribute that can be read and written. Can be called in any
    /// context.
    #[inline(always)]
    pub const fn read_write(
        name: &'static CStr,
        mode: Mode,
        show: Show<T>,
        store: Store<T>,
    ) -> Self {
        Self::new(name, mode, Some(show), Some(store))
    }

    #[inline(always)]
    const fn new(
        name: &'static CStr,
        mode: Mode,
        show: Option<Show<T>>,
        store: Option<Store<T>>,
    ) -> Self {
        build_assert!(is_name(name), "not the name of a file");
        build_assert!(
            mode.is_orderly() && !mode.allows(1),
            "not a mode of an attribute"
        );
        build_assert!(
            show.is_some() || !mode.allows(4),
            "can be read, but shows nothing"
        );
        build_assert!(
            store.is_some() || !mode.allows(2),
            "can be written, but stores nothing"
        );
        Self {
            name,
            mode,
            show,
            store,
            // SAFETY: The key is only used through a `'static` reference to
            // the attribute, and is not dropped.
            key: ManuallyDrop::new(unsafe { LockClassKey::new_static() }),
        }
    }

    /// Shows the attribute in `page`. Returns the C function's return value.
    fn show(&self, data: &T, page: &mut Page<'_>) -> isize {
        let result = self.show.map_or(Err(EIO), |show| show(data, page));
        // Text that does not fit is an error even if `show` returns none.
        match page.len().and_then(|len| result.map(|()| len)) {
            Ok(len) => len as isize,
            Err(error) => errno::to_seq_reader(error) as isize,
        }
    }

    /// Stores `text` in the attribute. Returns the C function's return value.
    fn store(&self, data: &T, text: &[u8]) -> isize {
        let result = self.store.map_or(Err(EIO), |store| store(data, text));
        result.map_or_else(
            |error| errno::to_user(error) as isize,
            |()| text.len() as isize,
        )
    }
}

/// The contents that an attribute shows, for `write!` and `writeln!`.
///
/// It holds one byte less than a page. Writing more fails with `EOVERFLOW`. Then
/// reading the file fails with that error as well, whatever *show* returns.
///
/// # Invariants
///
/// `end` is the length of all text so far, whether it fits or not.
pub struct Page<'a> {
    page: &'a mut [u8; PAGE_SIZE],
    end: usize,
}

impl Page<'_> {
    /// Appends `text`. `write!` calls this.
    ///
    /// Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EOVERFLOW`: the text does not fit.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result {
        let rest = self.page.get_mut(self.end..).unwrap_or_default();
        // SAFETY: `rest` can be written to, for its whole length. The format
        // takes a pointer to such arguments.
        let len = unsafe {
            bindings::snprintf(
                rest.as_mut_ptr().cast(),
                rest.len(),
                c"%pA".as_char_ptr(),
                (&raw const text).cast::<kernel::ffi::c_void>(),
            )
        };
        // Bytes that do not fit are counted, too.
        self.end = self.end.saturating_add(len as usize);
        self.len().map(drop)
    }

    /// The number of bytes written. The NUL after them has to fit, too.
    fn len(&self) -> Result<usize> {
        match self.end < PAGE_SIZE {
            true => Ok(self.end),
            false => Err(EOVERFLOW),
        }
    }
}

/// Parses a decimal number, with an optional sign, as a *store* function gets it.
/// One newline at its end is ignored.
///
/// Can be called in any context.
///
/// # Errors
///
/// - `EINVAL`: anything else, such as no text, blanks, more text after the number,
///   or a number that does not fit into `N`.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::sysfs;
///
/// assert_eq!(sysfs::parse(b"-7\n"), Ok(-7));
/// assert_eq!(sysfs::parse::<u8>(b"256"), Err(EINVAL));
/// ```
pub fn parse<N: TryFrom<i128>>(text: &[u8]) -> Result<N> {
    decimal(text)
        .and_then(|number| number.try_into().ok())
        .ok_or(EINVAL)
}

fn decimal(text: &[u8]) -> Option<i128> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let (first, rest) = digits.split_first()?;
    let digit = |byte: u8| char::from(byte).to_digit(10).map(u64::from);
    let number = rest.iter().try_fold(digit(*first)?, |number, byte| {
        number.checked_mul(10)?.checked_add(digit(*byte)?)
    })?;
    let number = i128::from(number);
    Some(if negative { -number } else { number })
}

/// A directory in `/sys/kernel` with attributes, for as long as this value lives.
///
/// It cannot be elsewhere in `/sys`. The directory is created first; its files
/// follow, one after the other. A process that looks in between sees only some of
/// them. No uevent is sent.
///
/// # Unloading
///
/// *Unregister waits*: `kobject_del()` removes the directory and returns when
/// no attribute is being shown or stored. A file that user space still holds
/// open then answers `ENODEV`; it no longer reaches the module. C's kobject may
/// be freed later. That does no harm, because nothing in it is the module's.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::atomic::{Atomic, Relaxed}};
/// use lkm::{file::mode, sysfs};
///
/// static ATTRIBUTES: [sysfs::Attribute<Atomic<u32>>; 1] = [sysfs::Attribute::read_only(
///     c"answer",
///     mode!(0o444),
///     |answer, page| writeln!(page, "{}", answer.load(Relaxed)),
/// )];
///
/// let dir = KBox::pin_init(
///     sysfs::Dir::new(c"deep-thought", &ATTRIBUTES, Atomic::new(42)),
///     GFP_KERNEL,
/// )?;
/// // Now `/sys/kernel/deep-thought/answer` shows 0.
/// dir.data().store(0, Relaxed);
/// # Ok::<(), Error>(())
/// ```
pub struct Dir<T: Send + Sync + 'static>(Alive<Directory<T>>);

/// # Invariants
///
/// - `kobject` is null or was returned by `kobject_create_and_add()`. It is neither
///   deleted nor put before `stop`;
/// - `files` has not changed since the files of `kobject` were created from it, and
///   its data pointers point to `data`.
#[pin_data]
struct Directory<T: 'static> {
    kobject: *mut bindings::kobject,
    files: KVec<File<T>>,
    #[pin]
    data: T,
    // The kernel has pointers to `data`, so no directory may move, whatever `T` is.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Directory<T> where T: 'static);

// SAFETY: A kobject may be used from any thread, and the rest is `Send`.
unsafe impl<T: Send + Sync> Send for Directory<T> {}

// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Directory<T> {}

// SAFETY: `kobject_del()` returns when no function of a file runs, and none can begin
// after that. The put alone is not enough: with `CONFIG_DEBUG_KOBJECT_RELEASE` it acts
// later.
unsafe impl<T: Send + Sync + 'static> Stop for Directory<T> {
    const NAME: Name = Name::SysfsDirs;

    fn stop(&self) {
        if !self.kobject.is_null() {
            // SAFETY: By the type invariants, and the reference is ours.
            unsafe {
                bindings::kobject_del(self.kobject);
                bindings::kobject_put(self.kobject);
            }
        }
    }
}

impl<T: Send + Sync + 'static> Dir<T> {
    /// Creates `/sys/kernel/<name>` with `attributes`, which must be a
    /// `static`.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file can have that name;
    /// - `EEXIST`: the name is taken, or two attributes have the same name. If
    ///   another module takes the name at the same moment, the kernel also prints
    ///   a warning;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `data`.
    pub fn new<E>(
        name: &'static CStr,
        attributes: &'static [Attribute<T>],
        data: impl PinInit<T, E>,
    ) -> impl Init<Self, Error>
    where
        Error: From<E>,
    {
        let directory = try_pin_init!(&this in Directory {
            kobject: ptr::null_mut(),
            data <- data,
            files: {
                // SAFETY: `this` is valid, and the field is initialised.
                let data = unsafe { &raw const (*this.as_ptr()).data };
                File::list(attributes, data)?
            },
            _pin: PhantomPinned,
        }? Error);
        alive::init_with(move || {
            let directory = Alive::new(directory, |directory| {
                // SAFETY: Nothing is moved.
                let directory = unsafe { directory.get_unchecked_mut() };
                // INVARIANT: It was just created.
                directory.kobject = create(name)?;
                for file in directory.files.iter() {
                    // SAFETY: The kobject exists. `data` and `files` do not move until
                    // they are dropped.
                    // Unload rule, unregister waits: `stop`, which is before that,
                    // removes the file and waits for its functions.
                    to_result(unsafe {
                        bindings::sysfs_create_file_ns(
                            directory.kobject,
                            &raw const file.raw.attr,
                            ptr::null(),
                        )
                    })?;
                }
                Ok(())
            })?;
            Ok(Self(directory))
        })
    }

    /// The data that the attributes show and store.
    ///
    /// Can be called in any context.
    pub fn data(&self) -> &T {
        &self.0.data
    }
}

/// C's view of an attribute.
#[repr(C)]
struct File<T: 'static> {
    // This comes first, so a pointer to it is a pointer to the `File`.
    raw: bindings::kobj_attribute,
    attribute: &'static Attribute<T>,
    data: *const T,
}

// SAFETY: Nothing in `raw` changes, and `data` is only used as a `&T`.
unsafe impl<T: Sync> Send for File<T> {}

// SAFETY: As above.
unsafe impl<T: Sync> Sync for File<T> {}

impl<T: Send + Sync + 'static> File<T> {
    /// Creates one for each attribute. Fails with `EEXIST` when two have the same
    /// name.
    fn list(attributes: &'static [Attribute<T>], data: *const T) -> Result<KVec<Self>> {
        let mut files = KVec::with_capacity(attributes.len(), GFP_KERNEL)?;
        for (n, attribute) in attributes.iter().enumerate() {
            if attributes[..n].iter().any(|a| a.name == attribute.name) {
                return Err(EEXIST);
            }
            files.push(Self::new(attribute, data), GFP_KERNEL)?;
        }
        Ok(files)
    }

    fn new(attribute: &'static Attribute<T>, data: *const T) -> Self {
        let mut raw = bindings::kobj_attribute {
            show: Some(Self::show),
            store: Some(Self::store),
            ..pin_init::zeroed()
        };
        raw.attr.name = attribute.name.as_char_ptr();
        raw.attr.mode = attribute.mode.bits();
        #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
        {
            raw.attr.key = attribute.key.as_ptr();
        }
        Self {
            raw,
            attribute,
            data,
        }
    }

    /// # Safety
    ///
    /// Called by sysfs only: `attr` is the `raw` of a `File<T>` of a directory
    /// that exists, and `page` is a zeroed page that nothing else uses.
    unsafe extern "C" fn show(
        _kobject: *mut bindings::kobject,
        attr: *mut bindings::kobj_attribute,
        page: *mut kernel::ffi::c_char,
    ) -> isize {
        // SAFETY: By this function's contract; removing the directory, which
        // is before `files` and `data` go, waits for it.
        let (attribute, data) = unsafe {
            let file = attr.cast::<Self>();
            ((*file).attribute, &*(*file).data)
        };
        // SAFETY: By this function's contract.
        let page = unsafe { &mut *page.cast() };
        attribute.show(data, &mut Page { page, end: 0 })
    }

    /// # Safety
    ///
    /// Called by sysfs only: `attr` is the `raw` of a `File<T>` of a directory
    /// that exists, and `text` has `len` bytes that do not change.
    unsafe extern "C" fn store(
        _kobject: *mut bindings::kobject,
        attr: *mut bindings::kobj_attribute,
        text: *const kernel::ffi::c_char,
        len: usize,
    ) -> isize {
        // SAFETY: By this function's contract; removing the directory, which
        // is before `files` and `data` go, waits for it.
        let (attribute, data) = unsafe {
            let file = attr.cast::<Self>();
            ((*file).attribute, &*(*file).data)
        };
        // SAFETY: By this function's contract.
        let text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), len) };
        attribute.store(data, text)
    }
}

/// Creates the directory `name` in `/sys/kernel`.
fn create(name: &CStr) -> Result<*mut bindings::kobject> {
    if !is_name(name) {
        return Err(EINVAL);
    }
    if exists(&[name]) {
        return Err(EEXIST);
    }
    // SAFETY: The name is valid, and is copied. `kernel_kobj` is valid from boot on.
    let kobject =
        unsafe { bindings::kobject_create_and_add(name.as_char_ptr(), bindings::kernel_kobj) };
    match kobject.is_null() {
        false => Ok(kobject),
        true if exists(&[name]) => Err(EEXIST),
        true => Err(ENOMEM),
    }
}

/// Whether `path` exists below `/sys/kernel`. May sleep.
pub(crate) fn exists(path: &[&CStr]) -> bool {
    // SAFETY: `kernel_kobj` is valid and in sysfs from boot on.
    let mut node = unsafe { (*bindings::kernel_kobj).sd };
    // SAFETY: As above.
    unsafe { bindings::kernfs_get(node) };
    for name in path {
        let parent = node;
        // SAFETY: We hold a reference to `parent`, and give it back. The node
        // that is found comes with a reference.
        unsafe {
            node = bindings::kernfs_find_and_get_ns(parent, name.as_char_ptr(), core::ptr::null());
            bindings::kernfs_put(parent);
        }
        if node.is_null() {
            return false;
        }
    }
    // SAFETY: We hold a reference to `node`.
    unsafe { bindings::kernfs_put(node) };
    true
}
