// SPDX-License-Identifier: GPL-2.0-only

//! Caches for objects of one type.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use crate::{
    bindings,
    sysfs, //
};
use core::{
    fmt,
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
    str::CStr,
    sync::Arc, //
};
use pin_init::Init;

/// How a [`KmemCache`] lays out its objects.
#[derive(Clone, Copy)]
pub struct Flags(bindings::slab_flags_t);

impl Flags {
    /// As closely as their alignment allows.
    pub const NONE: Self = Self(0);

    /// No object shares a line of the CPU's cache with another for no need.
    pub const HWCACHE_ALIGN: Self = Self(1 << bindings::_slab_flag_bits__SLAB_HWCACHE_ALIGN);
}

/// Never merged with another cache of like objects, so that it can be seen.
const NO_MERGE: bindings::slab_flags_t = 1 << bindings::_slab_flag_bits__SLAB_NO_MERGE;

/// A cache for objects of the type `T`: `/sys/kernel/slab/<name>`, and a line in
/// `/proc/slabinfo` where the kernel was built with `CONFIG_SLUB_DEBUG`.
///
/// It is there until both this value and the last of its objects were dropped.
/// Which of them is last must be dropped where it may sleep.
///
/// `T` must have a size, and an alignment of a page at most.
///
/// # Unloading
///
/// The kernel calls nothing of the module: there is no constructor, and the
/// cache's name is a copy. A cache that still has objects, as they were leaked,
/// is never destroyed, which does no harm.
///
/// # Examples
///
/// ```ignore
/// struct Point {
///     x: i32,
///     y: i32,
/// }
///
/// let points = KmemCache::<Point>::new(c"points", slab::Flags::NONE)?;
/// let mut point = points.alloc(Point { x: 1, y: 2 }, GFP_KERNEL)?;
/// point.x += 1;
/// ```
pub struct KmemCache<T> {
    cache: Arc<Cache>,
    // No object is here, it only makes some.
    _type: PhantomData<fn() -> T>,
}

impl<T> KmemCache<T> {
    /// Creates a cache called `name`.
    ///
    /// Fails with `EINVAL` for a `name` that is empty or has a blank, with
    /// `EEXIST` when a cache has that name, and with `ENOMEM` when memory is
    /// short. May sleep.
    ///
    /// Should another module take the name at the same moment, then the kernel
    /// only prints a warning.
    pub fn new(name: &CStr, flags: Flags) -> Result<Self> {
        const_assert!(size_of::<T>() > 0, "an object must have a size");
        const_assert!(size_of::<T>() <= bindings::KMALLOC_MAX_SIZE as usize);
        const_assert!(align_of::<T>() <= PAGE_SIZE);

        if name.is_empty() || name.to_bytes().contains(&b' ') {
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
        // SAFETY: `name` is valid, and copied; there is no constructor.
        let cache = unsafe {
            bindings::__kmem_cache_create_args(
                name.as_char_ptr(),
                size,
                &mut args,
                flags.0 | NO_MERGE,
            )
        };
        // INVARIANT: It was just created.
        let cache = Cache(NonNull::new(cache).ok_or(ENOMEM)?);
        Ok(Self {
            cache: Arc::new(cache, GFP_KERNEL)?,
            _type: PhantomData,
        })
    }

    /// Allocates an object and initialises it with `init`.
    ///
    /// Fails with `ENOMEM` when memory is short, or with the error of `init`.
    /// May sleep when `flags` say so, as `GFP_KERNEL` does.
    pub fn alloc<E>(&self, init: impl Init<T, E>, flags: alloc::Flags) -> Result<SlabBox<T>>
    where
        Error: From<E>,
    {
        // SAFETY: The cache is there.
        let object = unsafe { bindings::kmem_cache_alloc_noprof(self.cache.as_ptr(), raw(flags)) };
        let object = NonNull::new(object.cast::<T>()).ok_or(ENOMEM)?;
        // SAFETY: The memory has the size and the alignment of a `T`, and is
        // ours alone.
        if let Err(error) = unsafe { init.__init(object.as_ptr()) } {
            // SAFETY: The object is from this cache, and holds no `T`.
            unsafe { bindings::kmem_cache_free(self.cache.as_ptr(), object.as_ptr().cast()) };
            return Err(error.into());
        }
        // INVARIANT: It was just allocated and initialised.
        Ok(SlabBox {
            object,
            cache: self.cache.clone(),
            _owned: PhantomData,
        })
    }
}

/// An object of a [`KmemCache`], dropped and freed when this is.
///
/// `{:p}` prints its address as the kernel prints addresses: hashed.
///
/// # Invariants
///
/// `object` is ours alone, from `cache`, and a valid `T`.
pub struct SlabBox<T> {
    object: NonNull<T>,
    cache: Arc<Cache>,
    _owned: PhantomData<T>,
}

// SAFETY: The box owns its object, and the cache may be used from any thread.
unsafe impl<T: Send> Send for SlabBox<T> {}

// SAFETY: A shared reference to the box only gives one to the object.
unsafe impl<T: Sync> Sync for SlabBox<T> {}

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

impl<T> fmt::Pointer for SlabBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        // SAFETY: The buffer is as long as said, and the format takes one
        // pointer, which is only looked at.
        unsafe {
            bindings::snprintf(
                text.as_mut_ptr(),
                text.len(),
                c"%p".as_char_ptr(),
                self.object.as_ptr(),
            )
        };
        let text = CStr::from_bytes_until_nul(&text).map_err(|_| fmt::Error)?;
        f.write_str(text.to_str().map_err(|_| fmt::Error)?)
    }
}

impl<T> Drop for SlabBox<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants there is a `T`, from this cache, which
        // nobody uses after this.
        unsafe {
            self.object.drop_in_place();
            bindings::kmem_cache_free(self.cache.as_ptr(), self.object.as_ptr().cast());
        }
    }
}

/// The C side's cache.
///
/// # Invariants
///
/// The pointer was returned by `__kmem_cache_create_args()`, and the cache is
/// not destroyed before this value is dropped. It is our own, not merged.
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
        // SAFETY: By the type invariants the cache is there. All objects have
        // been freed, as each has a reference to it.
        unsafe { bindings::kmem_cache_destroy(self.as_ptr()) };
    }
}

/// The C side's `gfp_t`.
const fn raw(flags: alloc::Flags) -> bindings::gfp_t {
    // SAFETY: The type is a number of this size, and every number is valid.
    unsafe { transmute::<alloc::Flags, bindings::gfp_t>(flags) }
}

static_assert!(raw(GFP_KERNEL) == bindings::GFP_KERNEL);
static_assert!(raw(__GFP_ZERO) == bindings::__GFP_ZERO);
