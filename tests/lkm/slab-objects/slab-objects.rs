// SPDX-License-Identifier: GPL-2.0-only

//! Test only: caches of `lkm::slab`, and their objects.

use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::slab::{
    Flags,
    KmemCache,
    SlabBox, //
};
use pin_init::init_zeroed;

module! {
    type: SlabObjects,
    name: "slab-objects",
    authors: ["lkmpg-rs"],
    description: "Test only: caches of lkm::slab, and their objects",
    license: "GPL",
}

static DROPPED: Atomic<u32> = Atomic::new(0);

/// Counts how many of it are dropped.
struct Counted {
    id: u32,
    rest: [u8; 60],
}

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.add(1, Relaxed);
    }
}

#[repr(align(1024))]
struct Aligned(u8);

/// Holds an object, and no handle of its cache.
struct SlabObjects {
    _object: SlabBox<Counted>,
    _last: Last,
}

impl kernel::Module for SlabObjects {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        DROPPED.store(0, Relaxed);
        let object = {
            let cache = KmemCache::new(c"slab-objects", Flags::NONE)?;
            refuses_what_cannot_be();
            counts(&cache)?;
            cache.alloc(Counted::new(1), GFP_KERNEL)?
        };
        aligns()?;
        name_is_free_after_the_last_object()?;
        Ok(Self {
            _object: object,
            _last: Last,
        })
    }
}

impl Counted {
    fn new(id: u32) -> Self {
        Self { id, rest: [0; 60] }
    }
}

fn refuses_what_cannot_be() {
    let expect = |name: &CStr, error| {
        let cache = KmemCache::<Counted>::new(name, Flags::NONE);
        if cache.map(drop) != Err(error) {
            pr_err!("{name:?} is taken for a name\n");
        }
    };
    expect(c"", EINVAL);
    expect(c"slab objects", EINVAL);
    expect(c"slab-objects", EEXIST);
    // The kernel's own.
    expect(c"dentry", EEXIST);
}

/// Objects are initialised and dropped once, whatever happens.
fn counts(cache: &KmemCache<Counted>) -> Result {
    let dropped = || DROPPED.load(Relaxed);

    // Memory that was used before comes back.
    for round in 0..3 {
        let mut objects = KVec::new();
        for id in 0..100 {
            let zeroed = try_init!(Counted { id, rest <- init_zeroed() });
            let mut object = cache.alloc(zeroed, GFP_KERNEL)?;
            if object.id != id || object.rest != [0; 60] {
                pr_err!("object {id} is not initialised\n");
            }
            object.rest = [0xaa; 60];
            objects.push(object, GFP_KERNEL)?;
        }
        // Each has a memory of its own.
        if !objects.iter().map(|object| object.id).eq(0..100) {
            pr_err!("objects overlap\n");
        }
        if dropped() != round * 100 {
            pr_err!("objects are dropped early\n");
        }
        drop(objects);
        if dropped() != (round + 1) * 100 {
            pr_err!("objects are not dropped once\n");
        }
    }

    // What is not initialised is not dropped, but freed: else the cache could
    // not be destroyed.
    for _ in 0..100 {
        let fails = try_init!(Counted {
            id: 0,
            rest: Err(EDOM)?
        });
        if cache.alloc(fails, GFP_KERNEL).map(drop) != Err(EDOM) {
            pr_err!("the initialiser's error is lost\n");
        }
    }
    if dropped() != 300 {
        pr_err!("what was not initialised is dropped\n");
    }

    // In an atomic context, too.
    cache.alloc(Counted::new(0), GFP_ATOMIC | __GFP_ZERO)?;
    Ok(())
}

fn aligns() -> Result {
    let cache = KmemCache::new(c"slab-aligned", Flags::HWCACHE_ALIGN)?;
    let mut objects = KVec::new();
    for n in 0..20 {
        let object = cache.alloc(Aligned(n), GFP_KERNEL)?;
        if (&raw const *object).addr() % align_of::<Aligned>() != 0 || object.0 != n {
            pr_err!("object {n} is not aligned\n");
        }
        objects.push(object, GFP_KERNEL)?;
    }
    Ok(())
}

fn name_is_free_after_the_last_object() -> Result {
    let new = || KmemCache::<Counted>::new(c"slab-name", Flags::NONE);
    let handle = new()?;
    let (first, last) = (
        handle.alloc(Counted::new(1), GFP_KERNEL)?,
        handle.alloc(Counted::new(2), GFP_KERNEL)?,
    );
    drop(first);
    drop(handle);
    if new().map(drop) != Err(EEXIST) {
        pr_err!("a cache is gone before its last object\n");
    }
    if last.id != 2 {
        pr_err!("an object is lost\n");
    }
    drop(last);
    // A new one with the same name is another.
    new()?;
    Ok(())
}

/// Dropped last of all.
struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        pr_info!("dropped: {}\n", DROPPED.load(Relaxed));
    }
}
