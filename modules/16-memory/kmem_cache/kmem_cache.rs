// SPDX-License-Identifier: GPL-2.0-only

//! A slab cache: memory for objects of one type.
//!
//! Book: 16 Memory Allocation and Ownership

use kernel::prelude::*;
use lkm::{
    slab::{
        Flags,
        KmemCache,
        SlabBox, //
    },
    OnDrop, //
};

module! {
    type: KmemCacheExample,
    name: "kmem_cache",
    authors: ["lkmpg-rs"],
    description: "A simple example of a slab cache",
    license: "GPL",
}

/// What the cache is for.
struct MyCustomStruct {
    id: i32,
    _name: [u8; 32],
}

impl MyCustomStruct {
    fn new(id: i32) -> Self {
        Self { id, _name: [0; 32] }
    }
}

/// Holds the objects. They hold the cache, which goes with the last of them.
struct KmemCacheExample {
    _obj1: SlabBox<MyCustomStruct>,
    _obj2: SlabBox<MyCustomStruct>,
    // Dropped last, when both are freed.
    _exit: OnDrop,
}

impl kernel::Module for KmemCacheExample {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("kmem_cache_example: Initializing module\n");

        let my_cache = KmemCache::new(c"my_custom_cache", Flags::HWCACHE_ALIGN)
            .inspect_err(|_| pr_err!("kmem_cache_example: Failed to create cache\n"))?;
        let alloc = |id| {
            my_cache
                .alloc(MyCustomStruct::new(id), GFP_KERNEL)
                .inspect_err(|_| pr_err!("kmem_cache_example: Failed to allocate objects\n"))
        };
        let obj1 = alloc(1)?;
        let obj2 = alloc(2)?;

        pr_info!(
            "kmem_cache_example: Allocated obj1 at {} (id: {})\n",
            obj1.address(),
            obj1.id
        );
        pr_info!(
            "kmem_cache_example: Allocated obj2 at {} (id: {})\n",
            obj2.address(),
            obj2.id
        );
        Ok(Self {
            _obj1: obj1,
            _obj2: obj2,
            _exit: OnDrop(|| pr_info!("kmem_cache_example: Cleaned up and exited\n")),
        })
    }
}
