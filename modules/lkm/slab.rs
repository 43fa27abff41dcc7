// SPDX-License-Identifier: GPL-2.0-only

//! Caches for objects of one type.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)
//!
//! The `kernel` crate allocates with `kmalloc()`, `vmalloc()` and `kvmalloc()`.
//! It has no slab caches.

use crate::{
    bindings,
    compat::CStrExt,
    file::is_name,
    print::Hashed,
    sysfs, //
};
use core::{
    ffi::CStr,
    marker::PhantomData,
    mem::transmute,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use kernel::{
    alloc,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
    task::might_sleep, //
};
use pin_init::Init;

/// The flags of a [`KmemCache`]: how it lays out its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(bindings::slab_flags_t);

impl Flags {
    /// No flag: objects are as close together as their alignment allows.
    pub const NONE: Self = Self(0);
    /// `SLAB_HWCACHE_ALIGN`: objects are aligned to the CPU's cache lines. If
    /// several objects fit in one line, they are aligned to a half, a quarter
    /// and so on of a line.
    pub const HWCACHE_ALIGN: Self = Self(1 << bindings::_slab_flag_bits__SLAB_HWCACHE_ALIGN);
}

impl_flag_set!(Flags);

/// The cache is not merged with another cache of like objects, so that it is
/// visible.
const NO_MERGE: bindings::slab_flags_t = 1 << bindings::_slab_flag_bits__SLAB_NO_MERGE;

/// A cache for objects of the type `T`: a directory `/sys/kernel/slab/<name>`,
/// and a line in `/proc/slabinfo` if the kernel was built with
/// `CONFIG_SLUB_DEBUG`.
///
/// The cache exists until this value and all of its objects were dropped.
/// Dropping the last of them may sleep.
///
/// # Unloading
///
/// Nothing of the module is registered: there is no constructor, and the kernel
/// copies the cache's name. If objects were leaked, the cache is never destroyed,
/// which does no harm.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::slab::{Flags, KmemCache};
///
/// struct Point {
///     x: i32,
///     y: i32,
/// }
///
/// let points = KmemCache::new(c"points", Flags::NONE)?;
/// let mut point = points.alloc(Point { x: 1, y: 2 }, GFP_KERNEL)?;
/// point.x += point.y;
/// # Ok::<(), Error>(())
/// ```
///
/// `T` must have a size, of at most `KMALLOC_MAX_SIZE`, and an alignment of at
/// most a page. This does not compile:
///
/// ```compile_fail,E0080
/// # use kernel::prelude::*;
/// use lkm::slab::{Flags, KmemCache};
///
/// let nothings = KmemCache::<()>::new(c"nothings", Flags::NONE)?;
/// # Ok::<(), Error>(())
/// ```
pub struct KmemCache<T> {
    cache: Arc<Cache>,
    // The cache holds no object, it only creates some.
    _type: PhantomData<fn() -> T>,
}

impl<T> KmemCache<T> {
    /// Creates a cache called `name`. May sleep.
    ///
    /// If another module takes the name at the same moment, the kernel only
    /// logs a warning.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `name` is no file name, or contains a space;
    /// - `EEXIST`: there is a cache with that name;
    /// - `ENOMEM`: no memory.
    pub fn new(name: &CStr, flags: Flags) -> Result<Self> {
        const {
            assert!(size_of::<T>() > 0, "an object must have a size");
            assert!(size_of::<T>() <= bindings::KMALLOC_MAX_SIZE as usize);
            assert!(align_of::<T>() <= PAGE_SIZE);
        }

        if !is_name(name) || name.to_bytes().contains(&b' ') {
            return Err(EINVAL);
        }
        if sysfs::exists(&[c"slab", name]) {
            return Err(EEXIST);
        }
        let size = size_of::<T>() as u32;
        let mut args = bindings::kmem_cache_args {
            align: align_of::<T>() as u32,
            // As with `kmalloc()`, all of an object may be copied to and from
            // user space.
            usersize: size,
            ..Default::default()
        };
        // SAFETY: `name` is a valid string and is copied. There is no
        // constructor.
        let cache = unsafe {
            bindings::__kmem_cache_create_args(
                name.as_char_ptr(),
                size,
                &mut args,
                flags.0 | NO_MERGE,
            )
        };
        // INVARIANT: The cache was just created, with `NO_MERGE`.
        let cache = Cache(NonNull::new(cache).ok_or(ENOMEM)?);
        Ok(Self {
            cache: Arc::new(cache, GFP_KERNEL)?,
            _type: PhantomData,
        })
    }

    /// Allocates an object and initialises it with `init`. May sleep if `flags`
    /// allow it, as `GFP_KERNEL` does.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory;
    /// - the error of `init`.
    pub fn alloc<E>(&self, init: impl Init<T, E>, flags: alloc::Flags) -> Result<SlabBox<T>>
    where
        Error: From<E>,
    {
        // SAFETY: By the type invariants of `Cache` the cache exists.
        let object = unsafe { bindings::kmem_cache_alloc_noprof(self.cache.as_ptr(), raw(flags)) };
        let object = NonNull::new(object.cast::<T>()).ok_or(ENOMEM)?;
        // SAFETY: The memory has the size and the alignment of a `T`, and only
        // this function uses it.
        if let Err(error) = unsafe { init.__init(object.as_ptr()) } {
            // SAFETY: The object is from this cache and holds no `T`.
            unsafe { bindings::kmem_cache_free(self.cache.as_ptr(), object.as_ptr().cast()) };
            return Err(error.into());
        }
        // INVARIANT: The object was just allocated and initialised.
        Ok(SlabBox {
            object,
            cache: self.cache.clone(),
            _owned: PhantomData,
        })
    }
}

/// An object of a [`KmemCache`]. Dropping this value drops and frees the object.
///
/// # Invariants
///
/// `object` is a valid `T` from `cache`, which only this value owns.
pub struct SlabBox<T> {
    object: NonNull<T>,
    cache: Arc<Cache>,
    _owned: PhantomData<T>,
}

// SAFETY: The box owns its object, and the cache may be used from any thread.
unsafe impl<T: Send> Send for SlabBox<T> {}

// SAFETY: A shared reference to the box only gives one to the object.
unsafe impl<T: Sync> Sync for SlabBox<T> {}

impl<T> SlabBox<T> {
    /// The address of the object. Can be called in any context.
    pub fn address(&self) -> Hashed<T> {
        Hashed(self.object.as_ptr())
    }
}

impl<T> Deref for SlabBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariants.
        unsafe { self.object.as_ref() }
    }
}

impl<T> DerefMut for SlabBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariants.
        unsafe { self.object.as_mut() }
    }
}

impl<T> Drop for SlabBox<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants there is a `T`, from this cache.
        // Nothing uses it after this.
        unsafe {
            self.object.drop_in_place();
            bindings::kmem_cache_free(self.cache.as_ptr(), self.object.as_ptr().cast());
        }
    }
}

/// The C cache.
///
/// # Invariants
///
/// The pointer was returned by `__kmem_cache_create_args()`. The cache is not
/// merged with another one, and is not destroyed before this value is dropped.
struct Cache(NonNull<bindings::kmem_cache>);

// SAFETY: A cache may be used from any thread.
unsafe impl Send for Cache {}

// SAFETY: As above.
unsafe impl Sync for Cache {}

impl Cache {
    fn as_ptr(&self) -> *mut bindings::kmem_cache {
        self.0.as_ptr()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        might_sleep();
        // SAFETY: By the type invariants the cache exists. All objects have been
        // freed, as each has a reference to this value.
        unsafe { bindings::kmem_cache_destroy(self.as_ptr()) };
    }
}

/// The C value of `flags`.
const fn raw(flags: alloc::Flags) -> bindings::gfp_t {
    // SAFETY: The type is a number of this size, and every number is valid.
    unsafe { transmute::<alloc::Flags, bindings::gfp_t>(flags) }
}

static_assert!(raw(GFP_KERNEL) == bindings::GFP_KERNEL);
static_assert!(raw(__GFP_ZERO) == bindings::__GFP_ZERO);
