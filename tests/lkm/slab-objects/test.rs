// SPDX-License-Identifier: GPL-2.0-only

use crate::{prelude::*, slabs::Slabs};

pub const EXAMPLE: Example = Example {
    tests: tests![
        objects_are_as_they_should,
        cache_outlives_its_handle,
        free_objects_are_not_counted
    ],
    ..Example::EMPTY
};

const CACHE: &str = "/sys/kernel/slab/slab-objects";

fn objects_are_as_they_should(vm: &mut Vm) -> Result {
    let _module = vm.load("slab-objects")?;
    // The module complains of what is not as it should be.
    let complaints = vm.log().complaints("slab-objects")?;
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

/// The module keeps one object; 303 others it dropped before.
fn cache_outlives_its_handle(vm: &mut Vm) -> Result {
    let module = vm.load("slab-objects")?;
    assert_eq!(fs::read_to_string(format!("{CACHE}/object_size"))?, "64\n");
    assert!(!Path::new("/sys/kernel/slab/slab-aligned").exists());
    assert!(!Path::new("/sys/kernel/slab/slab-name").exists());

    module.unload()?;
    vm.log().expect("dropped: 304")?;
    assert!(!Path::new(CACHE).exists());
    Ok(())
}

/// Whoever shrinks a cache last sees what is in use of it, and nothing else. To have
/// counted all caches must come to the same.
fn free_objects_are_not_counted(_vm: &mut Vm) -> Result {
    let counted_free = || -> Result<bool> {
        let counted = Slabs::count()?;
        fs::write("/sys/kernel/slab/kmalloc-8/shrink", "1")?;
        let exact = Slabs::parse(&fs::read_to_string("/proc/slabinfo")?).expect("counters");
        let grown = counted.grown(&exact, 1);
        Ok(grown.iter().any(|(cache, _)| *cache == "kmalloc-8"))
    };
    eventually("kmalloc-8 to be counted", || {
        matches!(counted_free(), Ok(false))
    })
}
