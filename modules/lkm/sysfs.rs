// SPDX-License-Identifier: GPL-2.0-only

//! Directories and attributes in `/sys`.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use crate::{
    bindings,
    file::is_name, //
};
use core::{
    fmt,
    marker::PhantomPinned,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    str::CStr,
    sync::LockClassKey, //
};

/// The permissions that sysfs knows: neither may others write nor anybody
/// execute.
const MODES: u16 = 0o664;

type Show<T> = fn(&T, &mut Page<'_>) -> Result;
type Store<T> = fn(&T, &[u8]) -> Result;

/// A file of a [`Directory`]: what reading and writing it does with the
/// directory's data.
///
/// Attributes are constants, collected in a `static`. A name that is not one,
/// and a mode that sysfs does not know or that allows what the attribute cannot
/// do, do not compile: the owner may do at least what the group may, and the
/// group read when others may; others may not write.
///
/// The functions run in process context and may sleep, several at a time for
/// different open files. While one of them runs, dropping the directory waits
/// for it: it must end when the module wants to leave, and must not itself drop
/// its directory, nor wait for who does, or both wait forever.
///
/// - *show* writes what there is to see to a [`Page`]. It is called once for
///   all that is read from one open file up to the end, and again when reading
///   starts over.
/// - *store* is given what one `write(2)` wrote, at least one byte and at most a
///   page, with the newline that `echo` adds. [`parse`] reads a number.
///
/// The error that they return is what user space gets.
pub struct Attribute<T> {
    name: &'static CStr,
    mode: u16,
    show: Option<Show<T>>,
    store: Option<Store<T>>,
    // Only used in static memory, and never dropped.
    #[cfg_attr(not(CONFIG_DEBUG_LOCK_ALLOC), expect(dead_code))]
    key: ManuallyDrop<LockClassKey>,
}

impl<T> Attribute<T> {
    /// A file that can be read.
    #[inline(always)]
    pub const fn read_only(name: &'static CStr, mode: u16, show: Show<T>) -> Self {
        Self::new(name, mode, Some(show), None)
    }

    /// A file that can be written.
    #[inline(always)]
    pub const fn write_only(name: &'static CStr, mode: u16, store: Store<T>) -> Self {
        Self::new(name, mode, None, Some(store))
    }

    /// A file that can be read and written.
    #[inline(always)]
    pub const fn read_write(
        name: &'static CStr,
        mode: u16,
        show: Show<T>,
        store: Store<T>,
    ) -> Self {
        Self::new(name, mode, Some(show), Some(store))
    }

    #[inline(always)]
    const fn new(
        name: &'static CStr,
        mode: u16,
        show: Option<Show<T>>,
        store: Option<Store<T>>,
    ) -> Self {
        build_assert!(is_name(name), "not the name of a file");
        build_assert!(valid_mode(mode), "not a mode of an attribute");
        build_assert!(
            show.is_some() || mode & 0o444 == 0,
            "can be read, but shows nothing"
        );
        build_assert!(
            store.is_some() || mode & 0o222 == 0,
            "can be written, but stores nothing"
        );
        Self {
            name,
            mode,
            show,
            store,
            // SAFETY: The key is only used through a `'static` reference to
            // the attribute, and not dropped.
            key: ManuallyDrop::new(unsafe { LockClassKey::new_static() }),
        }
    }

    /// Shows the attribute in `page`. Returns what the C function would.
    fn show(&self, data: &T, page: &mut Page<'_>) -> isize {
        let result = self.show.map_or(Err(EIO), |show| show(data, page));
        // What does not fit is an error whatever `show` says.
        match page.len().and_then(|len| result.map(|()| len)) {
            Ok(len) => len as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// Stores `text` in the attribute. Returns what the C function would.
    fn store(&self, data: &T, text: &[u8]) -> isize {
        let result = self.store.map_or(Err(EIO), |store| store(data, text));
        result.map_or_else(|error| error.to_errno() as isize, |()| text.len() as isize)
    }
}

/// What an attribute shows, to be written with `write!` and `writeln!`.
///
/// There is room for a page but for one byte. Where that is exceeded writing
/// fails with `EOVERFLOW`, and so does reading the file, whatever *show* makes of
/// the error.
///
/// # Invariants
///
/// `end` bytes were to be written, if as many fit.
pub struct Page<'a> {
    page: &'a mut [u8; PAGE_SIZE],
    end: usize,
}

impl Page<'_> {
    /// Writes `text` behind what was written before: what `write!` calls.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result {
        let rest = self.page.get_mut(self.end..).unwrap_or_default();
        // SAFETY: `rest` can be written to, and as much as there is. The format
        // takes a pointer to such arguments.
        let len = unsafe {
            bindings::snprintf(
                rest.as_mut_ptr().cast(),
                rest.len(),
                c"%pA".as_char_ptr(),
                (&raw const text).cast::<kernel::ffi::c_void>(),
            )
        };
        // What there is no room for is counted, too.
        self.end = self.end.saturating_add(len as usize);
        self.len().map(drop)
    }

    /// How many bytes were written. The NUL behind them has to fit, too.
    fn len(&self) -> Result<usize> {
        match self.end < PAGE_SIZE {
            true => Ok(self.end),
            false => Err(EOVERFLOW),
        }
    }
}

/// The decimal number that `text`, as a store function is given it, is; one
/// newline at its end is ignored.
///
/// Everything else is `EINVAL`: nothing at all, blanks, more text after it, a
/// number that `N` has no room for.
///
/// # Examples
///
/// ```ignore
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

/// A directory in `/sys/kernel` with attributes, there for as long as this
/// value lives.
///
/// It can be nowhere else in `/sys`. The kernel is asked for the directory, and
/// then for one file after the other: who looks in between sees a part of them.
/// Nobody is told of them by an event, either.
///
/// # Unloading
///
/// *Unregister waits*: `kobject_del()` removes the directory and returns when
/// no attribute is being shown or stored. A file that user space still holds
/// open then answers `ENODEV`; it no longer reaches the module. What is left is
/// the C side's kobject. It has nothing of the module, so it does no harm when
/// it is freed later.
///
/// # Invariants
///
/// `files` has not been touched since the files of `kobject` were created from
/// it, and its data pointers point to `data`.
///
/// # Examples
///
/// ```ignore
/// static ATTRIBUTES: [sysfs::Attribute<Atomic<u32>>; 1] = [sysfs::Attribute::read_only(
///     c"answer",
///     0o444,
///     |answer, page| writeln!(page, "{}", answer.load(Relaxed)),
/// )];
///
/// let directory = KBox::pin_init(
///     sysfs::Directory::new(c"deep-thought", &ATTRIBUTES, Atomic::new(42)),
///     GFP_KERNEL,
/// )?;
/// ```
#[pin_data]
pub struct Directory<T: Send + Sync + 'static> {
    // The fields are dropped in this order: first of all the directory goes.
    kobject: Kobject,
    files: KVec<File<T>>,
    #[pin]
    data: T,
    // The kernel has pointers to `data`: no directory may move, whatever `T` is.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Directory<T> where T: Send + Sync + 'static);

impl<T: Send + Sync + 'static> Directory<T> {
    /// Creates `/sys/kernel/<name>` with `attributes`, which must be a
    /// `static`.
    ///
    /// Fails with `EINVAL` for a `name` that no file can have, with `EEXIST`
    /// when there is something with that name or two attributes have the same,
    /// and with `ENOMEM` when memory is short. May sleep.
    ///
    /// Should another module take the name at the same moment, then the kernel
    /// also prints a warning.
    pub fn new<E>(
        name: &'static CStr,
        attributes: &'static [Attribute<T>],
        data: impl PinInit<T, E>,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(&this in Self {
            data <- data,
            files: {
                // SAFETY: `this` is valid, and the field is initialised.
                let data = unsafe { &raw const (*this.as_ptr()).data };
                File::list(attributes, data)?
            },
            kobject: {
                let kobject = Kobject::new(name)?;
                for file in files.iter() {
                    // SAFETY: `data` and `files` are initialised and stay
                    // where they are until they are dropped.
                    // Unload rule, unregister waits: dropping `kobject`, which
                    // is before that, removes the file and waits for its
                    // functions.
                    unsafe { kobject.create_file(&raw const file.raw.attr)? };
                }
                kobject
            },
            _pin: PhantomPinned,
        })
    }

    /// The data that the attributes show and store.
    pub fn data(&self) -> &T {
        &self.data
    }
}

/// The C side's view of an attribute.
#[repr(C)]
struct File<T: 'static> {
    // First, so that a pointer to it is one to the whole.
    raw: bindings::kobj_attribute,
    attribute: &'static Attribute<T>,
    data: *const T,
}

// SAFETY: Of `raw` nothing changes, and `data` is only used as a `&T`.
unsafe impl<T: Sync> Send for File<T> {}

// SAFETY: As above.
unsafe impl<T: Sync> Sync for File<T> {}

impl<T: Send + Sync + 'static> File<T> {
    /// One for each attribute; `EEXIST` when two have the same name.
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
        raw.attr.mode = attribute.mode;
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
    /// that is there, and `page` is a page of its own, zeroed.
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
    /// that is there, and `text` has `len` bytes that nobody changes.
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

/// A directory in `/sys/kernel`.
///
/// # Invariants
///
/// The pointer was returned by `kobject_create_and_add()`, and the kobject is
/// neither deleted nor put before this value is dropped.
struct Kobject(NonNull<bindings::kobject>);

// SAFETY: A kobject may be used from any thread.
unsafe impl Send for Kobject {}

// SAFETY: As above.
unsafe impl Sync for Kobject {}

impl Kobject {
    fn new(name: &CStr) -> Result<Self> {
        if !is_name(name) {
            return Err(EINVAL);
        }
        if exists(&[name]) {
            return Err(EEXIST);
        }
        // SAFETY: The name is valid, and copied. `kernel_kobj` is valid from
        // boot on.
        let kobject =
            unsafe { bindings::kobject_create_and_add(name.as_char_ptr(), bindings::kernel_kobj) };
        // INVARIANT: It was just created.
        NonNull::new(kobject)
            .map(Self)
            .ok_or_else(|| if exists(&[name]) { EEXIST } else { ENOMEM })
    }

    /// Adds a file, which is removed with the directory.
    ///
    /// # Safety
    ///
    /// `attribute` must be part of a `struct kobj_attribute` that stays valid
    /// and in place until this value is dropped.
    unsafe fn create_file(&self, attribute: *const bindings::attribute) -> Result {
        // SAFETY: By the type invariants the directory is there; the attribute
        // is valid by the caller's promise.
        to_result(unsafe {
            bindings::sysfs_create_file_ns(self.0.as_ptr(), attribute, core::ptr::null())
        })
    }
}

impl Drop for Kobject {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the kobject was added, not deleted,
        // and has our reference.
        // Unload rule, unregister waits: `kobject_del()` returns when no
        // function of a file runs, and none can begin after that. The put alone
        // would not do: with `CONFIG_DEBUG_KOBJECT_RELEASE` it acts later.
        unsafe {
            bindings::kobject_del(self.0.as_ptr());
            bindings::kobject_put(self.0.as_ptr());
        }
    }
}

/// Whether there is something at `path` below `/sys/kernel`. May sleep.
pub(crate) fn exists(path: &[&CStr]) -> bool {
    // SAFETY: `kernel_kobj` is valid and in sysfs from boot on.
    let mut node = unsafe { (*bindings::kernel_kobj).sd };
    // SAFETY: As above.
    unsafe { bindings::kernfs_get(node) };
    for name in path {
        let parent = node;
        // SAFETY: We have a reference to `parent`, which we give back; what is
        // found comes with one.
        unsafe {
            node = bindings::kernfs_find_and_get_ns(parent, name.as_char_ptr(), core::ptr::null());
            bindings::kernfs_put(parent);
        }
        if node.is_null() {
            return false;
        }
    }
    // SAFETY: We have a reference to `node`.
    unsafe { bindings::kernfs_put(node) };
    true
}

/// What `VERIFY_OCTAL_PERMISSIONS()` and `sysfs_create_group()` take for a mode.
const fn valid_mode(mode: u16) -> bool {
    let (owner, group, others) = (mode >> 6, mode >> 3, mode);
    mode & !MODES == 0
        && owner & 4 >= group & 4
        && group & 4 >= others & 4
        && owner & 2 >= group & 2
}
