// SPDX-License-Identifier: GPL-2.0-only

//! Directories and attributes in `/sys`.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)
//!
//! The `kernel` crate has no kobjects and no attributes.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::{
        new_static_lock_class,
        CStrExt, //
    },
    errno,
    file::{
        is_name,
        Mode, //
    },
};
use core::{
    ffi::CStr,
    fmt,
    marker::PhantomPinned,
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        LockClassKey, //
    },
};

type Show<T> = fn(&T, &mut Page<'_>) -> Result;
type Store<T> = fn(&T, &[u8]) -> Result;
type Read<T> = fn(&T, &mut [u8], u64) -> Result<usize>;
type Write<T> = fn(&T, &[u8], u64) -> Result<usize>;

/// What every attribute has.
struct Common {
    name: &'static CStr,
    mode: Mode,
    // Only used in static memory and never dropped.
    #[cfg_attr(not(CONFIG_DEBUG_LOCK_ALLOC), expect(dead_code))]
    key: ManuallyDrop<LockClassKey>,
}

impl Common {
    #[inline(always)]
    const fn new(name: &'static CStr, mode: Mode, reads: bool, writes: bool) -> Self {
        build_assert!(is_name(name), "not the name of a file");
        build_assert!(
            mode.is_orderly() && !mode.allows(1),
            "not a mode of an attribute"
        );
        build_assert!(
            reads || !mode.allows(4),
            "can be read, but has no function for it"
        );
        build_assert!(
            writes || !mode.allows(2),
            "can be written, but has no function for it"
        );
        Self {
            name,
            mode,
            // SAFETY: The key is only used through a `'static` reference to
            // the attribute, and is not dropped.
            key: ManuallyDrop::new(unsafe { new_static_lock_class() }),
        }
    }

    /// C's view of it.
    fn raw(&'static self) -> bindings::attribute {
        let mut raw: bindings::attribute = pin_init::zeroed();
        raw.name = self.name.as_char_ptr();
        raw.mode = self.mode.bits();
        #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
        {
            raw.key = crate::compat::lock_class(Pin::static_ref(&self.key));
        }
        raw
    }
}

/// A file in a [`Dir`]: its name, its mode, and the functions that show and store
/// the directory's data. Or one of a device class: then its functions get the
/// [`chrdev::Class`](crate::chrdev::Class) itself. Or one of an item in configfs:
/// [`Item`](crate::configfs::Item) says what is different there.
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
/// module wants to leave. It must not drop its own directory, or the last thing that
/// keeps it, and must not wait for another thread that does: both would wait forever.
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
    common: Common,
    show: Option<Show<T>>,
    store: Option<Store<T>>,
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
        Self {
            common: Common::new(name, mode, show.is_some(), store.is_some()),
            show,
            store,
        }
    }

    /// Shows the attribute in `page`. Returns the C function's return value.
    pub(crate) fn show(&self, data: &T, page: &mut Page<'_>) -> isize {
        let result = self.show.map_or(Err(EIO), |show| show(data, page));
        // Text that does not fit is an error even if `show` returns none.
        match page.len().and_then(|len| result.map(|()| len)) {
            Ok(len) => len as isize,
            Err(error) => errno::to_seq_reader(error) as isize,
        }
    }

    /// Stores `text` in the attribute. Returns the C function's return value.
    pub(crate) fn store(&self, data: &T, text: &[u8]) -> isize {
        let result = self.store.map_or(Err(EIO), |store| store(data, text));
        result.map_or_else(
            |error| errno::to_user(error) as isize,
            |()| text.len() as isize,
        )
    }
}

#[cfg(CONFIG_CONFIGFS_FS)]
impl<T> Attribute<T> {
    /// Its name.
    pub(crate) fn name(&self) -> &'static CStr {
        self.common.name
    }

    /// Its mode.
    pub(crate) fn mode(&self) -> Mode {
        self.common.mode
    }

    /// Whether it can be read.
    pub(crate) fn is_shown(&self) -> bool {
        self.show.is_some()
    }

    /// Whether it can be written.
    pub(crate) fn is_stored(&self) -> bool {
        self.store.is_some()
    }
}

/// A binary file in a [`Dir`]: its name, its mode, its size in bytes, and the functions
/// that read and write the directory's data. [`Dir::bin_file`] creates it.
///
/// It is a constant in a `static`. Its name and its mode must be as those of an
/// [`Attribute`].
///
/// - *read* gets a buffer of one byte to a page, full of zeroes, and an offset. It writes
///   what is there to the buffer, and returns the number of bytes; 0 is the end of the file.
/// - *write* gets the bytes of a `write(2)`, from one to a page, and an offset. Of more than
///   a page it gets the first page. It returns the number of bytes that it has taken.
///
/// If a function returns more than it was given, the call fails with `EIO`.
///
/// Offsets are in bytes. The kernel calls neither for what is beyond the size: there a read
/// finds the end of the file, and a write fails with `EFBIG`. A size of 0 is no limit.
///
/// Both run in process context and may sleep, and several calls can run at the same time
/// for different open files. An error that they return is the error of `read(2)` or
/// `write(2)`, also `EAGAIN`. For numbers from 512 on see
/// [`Operations`](crate::file::Operations).
///
/// Dropping the [`BinFile`] waits for calls that run. So a call must not drop the `BinFile`
/// of its own file.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{file::mode, sysfs};
///
/// static ROM: sysfs::BinAttribute<[u8; 4]> =
///     sysfs::BinAttribute::read_only(c"rom", mode!(0o400), 4, |rom, buffer, offset| {
///         let rest = rom.get(offset as usize..).unwrap_or_default();
///         let len = rest.len().min(buffer.len());
///         buffer[..len].copy_from_slice(&rest[..len]);
///         Ok(len)
///     });
///
/// let dir = sysfs::Dir::new(c"chip", &[], *b"\x7fROM")?;
/// // `/sys/kernel/chip/rom`
/// let rom = dir.bin_file(&ROM)?;
/// # Ok::<(), Error>(())
/// ```
///
/// One that is only read cannot have a mode that allows writing:
///
/// ```compile_fail,E0080
/// # use kernel::prelude::*;
/// # use lkm::{file::mode, sysfs};
/// static ROM: sysfs::BinAttribute<()> =
///     sysfs::BinAttribute::read_only(c"rom", mode!(0o644), 4, |(), _buffer, _offset| Ok(0));
/// ```
pub struct BinAttribute<T> {
    common: Common,
    size: usize,
    read: Option<Read<T>>,
    write: Option<Write<T>>,
}

impl<T> BinAttribute<T> {
    /// Creates an attribute that can be read. Can be called in any context.
    #[inline(always)]
    pub const fn read_only(name: &'static CStr, mode: Mode, size: usize, read: Read<T>) -> Self {
        Self::new(name, mode, size, Some(read), None)
    }

    /// Creates an attribute that can be written. Can be called in any context.
    #[inline(always)]
    pub const fn write_only(name: &'static CStr, mode: Mode, size: usize, write: Write<T>) -> Self {
        Self::new(name, mode, size, None, Some(write))
    }

    /// Creates an attribute that can be read and written. Can be called in any
    /// context.
    #[inline(always)]
    pub const fn read_write(
        name: &'static CStr,
        mode: Mode,
        size: usize,
        read: Read<T>,
        write: Write<T>,
    ) -> Self {
        Self::new(name, mode, size, Some(read), Some(write))
    }

    #[inline(always)]
    const fn new(
        name: &'static CStr,
        mode: Mode,
        size: usize,
        read: Option<Read<T>>,
        write: Option<Write<T>>,
    ) -> Self {
        // C compares it with the end of a call, which must not overflow.
        build_assert!(size <= i64::MAX as usize - PAGE_SIZE, "too big for a file");
        Self {
            common: Common::new(name, mode, read.is_some(), write.is_some()),
            size,
            read,
            write,
        }
    }

    /// Reads into `buffer`. Returns the C function's return value.
    fn read(&self, data: &T, buffer: &mut [u8], offset: u64) -> isize {
        let most = buffer.len();
        let result = self
            .read
            .map_or(Err(EIO), |read| read(data, buffer, offset));
        at_most(most, result)
    }

    /// Writes `bytes`. Returns the C function's return value.
    fn write(&self, data: &T, bytes: &[u8], offset: u64) -> isize {
        let result = self
            .write
            .map_or(Err(EIO), |write| write(data, bytes, offset));
        at_most(bytes.len(), result)
    }
}

/// The C function's return value for `result`. C copies as many bytes as that says: more
/// than `most` would be those of somebody else.
fn at_most(most: usize, result: Result<usize>) -> isize {
    match result {
        Ok(len) if len <= most => len as isize,
        Ok(_) => EIO.to_errno() as isize,
        Err(error) => errno::to_user(error) as isize,
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

impl<'a> Page<'a> {
    pub(crate) fn new(page: &'a mut [u8; PAGE_SIZE]) -> Self {
        // INVARIANT: There is no text yet.
        Self { page, end: 0 }
    }

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

/// A directory in sysfs with attributes. It exists for as long as this value, or
/// anything that was created in it, lives.
///
/// So it does not matter which is dropped first, a directory or what is in it. But the
/// data of a directory must not own what is in it: then they keep each other, and both are
/// lost.
///
/// The directory is created first; its files follow, one after the other. A process that
/// looks in between sees only some of them. No uevent is sent.
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
/// let dir = sysfs::Dir::new(c"deep-thought", &ATTRIBUTES, Atomic::new(42))?;
/// // Now `/sys/kernel/deep-thought/answer` shows 0.
/// dir.data().store(0, Relaxed);
///
/// // `/sys/kernel/deep-thought/question/answer`
/// let question = dir.subdir(c"question", &ATTRIBUTES, Atomic::new(6))?;
///
/// // `answers/answer` in the directory of the module
/// let answers = sysfs::Dir::in_module(c"answers", &ATTRIBUTES, Atomic::new(9))?;
/// # Ok::<(), Error>(())
/// ```
pub struct Dir<T: Send + Sync + 'static>(Arc<Alive<Directory<T>>>);

/// # Invariants
///
/// - `kobject` is null or was returned by `kobject_create_and_add()`, in `parent`. It is
///   neither deleted nor put before `stop`;
/// - `files` has not changed since the files of `kobject` were created from it, and
///   its data pointers point to `data`.
#[pin_data]
struct Directory<T: 'static> {
    parent: Parent,
    kobject: *mut bindings::kobject,
    files: KVec<File<T>>,
    #[pin]
    data: T,
    // The kernel has pointers to `data`, so no directory may move, whatever `T` is.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Directory<T> where T: 'static);

// SAFETY: Kobjects may be used from any thread, and the rest is `Send`.
unsafe impl<T: Send + Sync> Send for Directory<T> {}

// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Directory<T> {}

// SAFETY: `kobject_del()` returns when no function of a file runs, and none can begin
// after that. The put alone is not enough: with `CONFIG_DEBUG_KOBJECT_RELEASE` it acts
// later.
unsafe impl<T: Send + Sync + 'static> Stop for Directory<T> {
    const NAME: &'static CStr = c"directories in sysfs";

    fn stop(&self) {
        if !self.kobject.is_null() {
            // SAFETY: By the type invariants, and the reference is ours. Nothing of ours
            // is in it any more, as that is newer and has a reference. Its own directory
            // still exists.
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
    ///   somebody else takes the name at the same moment, the kernel also prints
    ///   a warning;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `data`.
    pub fn new<E>(
        name: &'static CStr,
        attributes: &'static [Attribute<T>],
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::create(Parent::kernel(), name, attributes, data)
    }

    /// Creates `/sys/module/<module>/<name>` with `attributes`, which must be a `static`.
    /// The kernel has names of its own there, such as `parameters` and `holders`.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn in_module<E>(
        name: &'static CStr,
        attributes: &'static [Attribute<T>],
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::create(Parent::module(), name, attributes, data)
    }

    /// Creates a directory in this one, with `attributes`, which must be a `static`, and
    /// data of its own. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new). The name is also taken when a file of this directory
    /// has it.
    pub fn subdir<U, E>(
        &self,
        name: &CStr,
        attributes: &'static [Attribute<U>],
        data: impl PinInit<U, E>,
    ) -> Result<Dir<U>>
    where
        U: Send + Sync + 'static,
        Error: From<E>,
    {
        Dir::create(Parent::of(self), name, attributes, data)
    }

    /// Creates a binary file in this directory, which reads and writes the directory's
    /// data. May sleep.
    ///
    /// # Errors
    ///
    /// - `EEXIST`: the name is taken. If somebody else takes the name at the same moment,
    ///   the kernel also prints a warning;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn bin_file(&self, attribute: &'static BinAttribute<T>) -> Result<BinFile<T>> {
        let raw = bindings::bin_attribute {
            attr: attribute.common.raw(),
            size: attribute.size,
            read: Some(Binary::<T>::read),
            write: Some(Binary::<T>::write),
            ..pin_init::zeroed()
        };
        let dir = self.0.clone();
        let binary = try_pin_init!(Binary {
            raw,
            attribute,
            created: false,
            dir,
            _pin: PhantomPinned,
        }? Error);
        let binary = Alive::new(binary, |binary| {
            // SAFETY: Nothing is moved.
            let binary = unsafe { binary.get_unchecked_mut() };
            let kobject = binary.dir.kobject;
            // SAFETY: The file has a reference to the directory, which is not stopped as
            // long as something is made.
            if unsafe { exists_in(kobject, &[attribute.common.name]) } {
                return Err(EEXIST);
            }
            // SAFETY: As above. The value does not move until it is dropped.
            // Unload rule, unregister waits: `stop`, which is before that, removes the
            // file and waits for its functions.
            to_result(unsafe {
                bindings::sysfs_create_bin_file(kobject, (&raw const *binary).cast())
            })?;
            // INVARIANT: It was just created.
            binary.created = true;
            Ok(())
        })?;
        Ok(BinFile(binary))
    }

    fn create<E>(
        parent: Parent,
        name: &CStr,
        attributes: &'static [Attribute<T>],
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        let directory = try_pin_init!(&this in Directory {
            parent,
            kobject: ptr::null_mut(),
            data <- data,
            files: {
                // SAFETY: `this` is valid, and the field is initialised.
                let data = unsafe { &raw const (*this.as_ptr()).data };
                File::list(attributes, data)?
            },
            _pin: PhantomPinned,
        }? Error);
        let directory = Alive::new(directory, |directory| {
            // SAFETY: Nothing is moved.
            let directory = unsafe { directory.get_unchecked_mut() };
            // SAFETY: By the invariants of `Parent`: something is being made.
            // INVARIANT: It was just created.
            directory.kobject = unsafe { create(directory.parent.kobject, name) }?;
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
        Ok(Self(Arc::new(directory, GFP_KERNEL)?))
    }

    /// The data that the attributes show and store.
    ///
    /// Can be called in any context.
    pub fn data(&self) -> &T {
        &self.0.data
    }
}

/// What a directory is in.
///
/// # Invariants
///
/// `kobject` is in sysfs while something is made in it, and, until the module ends, as long
/// as this value exists.
struct Parent {
    kobject: *mut bindings::kobject,
    _owner: Option<Arc<dyn Send + Sync>>,
}

impl Parent {
    /// `/sys/kernel`.
    fn kernel() -> Self {
        // INVARIANT: It is in sysfs from boot on.
        Self {
            // SAFETY: It does not change after boot.
            kobject: unsafe { bindings::kernel_kobj },
            _owner: None,
        }
    }

    /// `/sys/module/<module>`.
    fn module() -> Self {
        let module = &raw mut bindings::__this_module;
        // INVARIANT: The module core adds it before init, and removes it after the end of
        // the module, when nothing of the module is left.
        Self {
            // SAFETY: The module exists as long as this code.
            kobject: unsafe { &raw mut (*module).mkobj.kobj },
            _owner: None,
        }
    }

    fn of<T: Send + Sync + 'static>(dir: &Dir<T>) -> Self {
        // INVARIANT: It is there until the last reference is dropped.
        Self {
            kobject: dir.0.kobject,
            _owner: Some(dir.0.clone()),
        }
    }
}

/// A binary file in a [`Dir`], for as long as this value lives. [`Dir::bin_file`] creates
/// it.
///
/// The directory and its data stay at least as long.
///
/// # Unloading
///
/// *Unregister waits*: `sysfs_remove_bin_file()` removes the file and returns when it is
/// not being read or written. A file that user space still holds open then answers
/// `ENODEV`; it no longer reaches the module.
pub struct BinFile<T: Send + Sync + 'static>(Alive<Binary<T>>);

impl<T: Send + Sync + 'static> BinFile<T> {
    /// The data that the file reads and writes: the directory's.
    ///
    /// Can be called in any context.
    pub fn data(&self) -> &T {
        &self.0.dir.data
    }
}

/// # Invariants
///
/// If `created`, the file was created from `raw` in `dir`, and is not removed before
/// `stop`.
#[pin_data]
#[repr(C)]
struct Binary<T: Send + Sync + 'static> {
    // This comes first, so a pointer to it is a pointer to the `Binary`.
    raw: bindings::bin_attribute,
    attribute: &'static BinAttribute<T>,
    created: bool,
    // It must not be removed before this file.
    dir: Arc<Alive<Directory<T>>>,
    // The kernel has a pointer to `raw`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Binary<T> where T: Send + Sync + 'static);

// SAFETY: Nothing in `raw` changes, and the rest is `Send`.
unsafe impl<T: Send + Sync + 'static> Send for Binary<T> {}

// SAFETY: As above.
unsafe impl<T: Send + Sync + 'static> Sync for Binary<T> {}

// SAFETY: `sysfs_remove_bin_file()` returns when no function of the file runs, and none
// can begin after that. The directory is not removed before, as there is a reference to
// it, and the file is newer.
unsafe impl<T: Send + Sync + 'static> Stop for Binary<T> {
    const NAME: &'static CStr = c"binary files in sysfs";

    fn stop(&self) {
        if self.created {
            // SAFETY: By the type invariants.
            unsafe { bindings::sysfs_remove_bin_file(self.dir.kobject, &raw const self.raw) };
        }
    }
}

impl<T: Send + Sync + 'static> Binary<T> {
    /// # Safety
    ///
    /// Called by sysfs only: `raw` is that of a `Binary<T>` whose file exists, and
    /// `buffer` has `len` bytes that nothing else uses.
    unsafe extern "C" fn read(
        _file: *mut bindings::file,
        _kobject: *mut bindings::kobject,
        raw: *const bindings::bin_attribute,
        buffer: *mut kernel::ffi::c_char,
        offset: bindings::loff_t,
        len: usize,
    ) -> isize {
        // SAFETY: By this function's contract; removing the file, which is before the
        // value goes, waits for it.
        let (attribute, dir) = unsafe {
            let this = raw.cast::<Self>();
            ((*this).attribute, &(*this).dir)
        };
        // SAFETY: By this function's contract. The bytes are from `kmalloc()`, and become
        // valid here.
        let buffer = unsafe {
            buffer.write_bytes(0, len);
            core::slice::from_raw_parts_mut(buffer.cast::<u8>(), len)
        };
        attribute.read(&dir.data, buffer, offset as u64)
    }

    /// # Safety
    ///
    /// Called by sysfs only: `raw` is that of a `Binary<T>` whose file exists, and
    /// `bytes` has `len` bytes that do not change.
    unsafe extern "C" fn write(
        _file: *mut bindings::file,
        _kobject: *mut bindings::kobject,
        raw: *const bindings::bin_attribute,
        bytes: *mut kernel::ffi::c_char,
        offset: bindings::loff_t,
        len: usize,
    ) -> isize {
        // SAFETY: By this function's contract; removing the file, which is before the
        // value goes, waits for it.
        let (attribute, dir) = unsafe {
            let this = raw.cast::<Self>();
            ((*this).attribute, &(*this).dir)
        };
        // SAFETY: By this function's contract.
        let bytes = unsafe { core::slice::from_raw_parts(bytes.cast::<u8>(), len) };
        attribute.write(&dir.data, bytes, offset as u64)
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
        check_names(attributes)?;
        let mut files = KVec::with_capacity(attributes.len(), GFP_KERNEL)?;
        for attribute in attributes {
            files.push(Self::new(attribute, data), GFP_KERNEL)?;
        }
        Ok(files)
    }

    fn new(attribute: &'static Attribute<T>, data: *const T) -> Self {
        Self {
            raw: bindings::kobj_attribute {
                attr: attribute.common.raw(),
                show: Some(Self::show),
                store: Some(Self::store),
            },
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
        attribute.show(data, &mut Page::new(page))
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

/// Fails with `EEXIST` when two of `attributes` have the same name.
pub(crate) fn check_names<T>(attributes: &[Attribute<T>]) -> Result {
    for (n, attribute) in attributes.iter().enumerate() {
        let name = attribute.common.name;
        if attributes[..n].iter().any(|a| a.common.name == name) {
            return Err(EEXIST);
        }
    }
    Ok(())
}

/// C's view of an attribute of a device class.
#[repr(C)]
pub(crate) struct ClassFile<T: 'static> {
    // This comes first, so a pointer to it is a pointer to the `ClassFile`.
    raw: bindings::class_attribute,
    attribute: &'static Attribute<T>,
    /// Lent, so it is not dropped.
    data: ManuallyDrop<T>,
}

// SAFETY: Nothing in `raw` changes, and `data` is only used as a `&T`.
unsafe impl<T: Sync> Send for ClassFile<T> {}

// SAFETY: As above.
unsafe impl<T: Sync> Sync for ClassFile<T> {}

impl<T: Send + Sync + 'static> ClassFile<T> {
    /// Creates one for each attribute, with what `lend` returns. Fails with `EEXIST` when two
    /// have the same name.
    pub(crate) fn list(
        attributes: &'static [Attribute<T>],
        lend: impl Fn() -> ManuallyDrop<T>,
    ) -> Result<KVec<Self>> {
        check_names(attributes)?;
        let mut files = KVec::with_capacity(attributes.len(), GFP_KERNEL)?;
        for attribute in attributes {
            let file = Self {
                raw: bindings::class_attribute {
                    attr: attribute.common.raw(),
                    show: Some(Self::show),
                    store: Some(Self::store),
                },
                attribute,
                data: lend(),
            };
            files.push(file, GFP_KERNEL)?;
        }
        Ok(files)
    }

    /// Creates the file. It goes with the class: `class_destroy()` waits until it is neither
    /// shown nor stored. May sleep.
    ///
    /// # Safety
    ///
    /// `class` is registered. This value does not move, and what it was lent stays, until the
    /// class is destroyed.
    pub(crate) unsafe fn create(&self, class: *const bindings::class) -> Result {
        // SAFETY: By this function's contract.
        to_result(unsafe {
            bindings::class_create_file_ns(class, &raw const self.raw, ptr::null())
        })
    }

    /// # Safety
    ///
    /// Called by sysfs only: `attr` is the `raw` of a `ClassFile<T>` whose file exists, and
    /// `page` is a zeroed page that nothing else uses.
    unsafe extern "C" fn show(
        _class: *const bindings::class,
        attr: *const bindings::class_attribute,
        page: *mut kernel::ffi::c_char,
    ) -> isize {
        // SAFETY: By this function's contract; destroying the class, which is before the
        // value goes, waits for it.
        let file = unsafe { &*attr.cast::<Self>() };
        // SAFETY: By this function's contract.
        let page = unsafe { &mut *page.cast() };
        file.attribute.show(&file.data, &mut Page::new(page))
    }

    /// # Safety
    ///
    /// Called by sysfs only: `attr` is the `raw` of a `ClassFile<T>` whose file exists, and
    /// `text` has `len` bytes that do not change.
    unsafe extern "C" fn store(
        _class: *const bindings::class,
        attr: *const bindings::class_attribute,
        text: *const kernel::ffi::c_char,
        len: usize,
    ) -> isize {
        // SAFETY: By this function's contract; destroying the class, which is before the
        // value goes, waits for it.
        let file = unsafe { &*attr.cast::<Self>() };
        // SAFETY: By this function's contract.
        let text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), len) };
        file.attribute.store(&file.data, text)
    }
}

/// Creates the directory `name` in that of `parent`.
///
/// # Safety
///
/// `parent` is in sysfs until this returns.
unsafe fn create(parent: *mut bindings::kobject, name: &CStr) -> Result<*mut bindings::kobject> {
    if !is_name(name) {
        return Err(EINVAL);
    }
    // SAFETY: By this function's contract.
    let is_taken = || unsafe { exists_in(parent, &[name]) };
    if is_taken() {
        return Err(EEXIST);
    }
    // SAFETY: The name is valid, and is copied. By this function's contract the parent is
    // there.
    let kobject = unsafe { bindings::kobject_create_and_add(name.as_char_ptr(), parent) };
    match kobject.is_null() {
        false => Ok(kobject),
        true if is_taken() => Err(EEXIST),
        true => Err(ENOMEM),
    }
}

/// Whether `path` exists below `/sys/kernel`. May sleep.
pub(crate) fn exists(path: &[&CStr]) -> bool {
    // SAFETY: `kernel_kobj` is valid and in sysfs from boot on.
    unsafe { exists_in(bindings::kernel_kobj, path) }
}

/// Whether `path` exists below the directory of `kobject`. May sleep.
///
/// # Safety
///
/// `kobject` is in sysfs until this returns.
unsafe fn exists_in(kobject: *mut bindings::kobject, path: &[&CStr]) -> bool {
    // SAFETY: By this function's contract.
    let mut node = unsafe { (*kobject).sd };
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
