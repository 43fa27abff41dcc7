// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["cd /sys/kernel/slab/my_custom_cache && grep . object_size slab_size"],
    tests: tests![
        makes_a_cache_and_two_objects,
        hides_where_its_objects_are,
        is_in_slabinfo,
    ],
    ..Example::EMPTY
};

const CACHE: &str = "/sys/kernel/slab/my_custom_cache";

fn makes_a_cache_and_two_objects(vm: &mut Vm) -> Result {
    let module = vm.load("kmem_cache")?;
    let said = vm.log().said("kmem_cache")?;
    assert_eq!(said[0], info("kmem_cache_example: Initializing module"));
    for (n, line) in [(1, &said[1]), (2, &said[2])] {
        let begin = format!("kmem_cache_example: Allocated obj{n} at ");
        let end = format!(" (id: {n})");
        let fits = line.text.starts_with(&begin) && line.text.ends_with(&end);
        assert!(fits && line.level == 6, "{line:?}");
    }

    // An i32 and 32 bytes, with SLAB_HWCACHE_ALIGN; merged with no other cache.
    let is = |name: &str| fs::read_to_string(format!("{CACHE}/{name}"));
    assert_eq!(is("object_size")?, "36\n");
    assert_eq!(is("align")?, "64\n");
    assert_eq!(is("hwcache_align")?, "1\n");
    assert!(fs::symlink_metadata(CACHE)?.is_dir());

    module.unload()?;
    let exited = info("kmem_cache_example: Cleaned up and exited");
    assert_eq!(vm.log().said("kmem_cache")?[3..], [exited]);
    assert!(!Path::new(CACHE).exists());
    Ok(())
}

/// A kernel address starts with `ffff`; `%p` of C prints 32 bits of a hash, or
/// says that it has none yet. A kernel that debugs its slabs says at boot that
/// it hides nothing.
fn hides_where_its_objects_are(vm: &mut Vm) -> Result {
    let hides = !vm.shows_pointers()?;
    let _module = vm.load("kmem_cache")?;
    let line = vm.log().expect("Allocated obj1 at ")?;
    let address = line.split(' ').nth(5).context("no address")?;
    let hash = address.strip_prefix("00000000");
    let hidden = address == "(____ptrval____)" || hash.is_some_and(|hash| hash.len() == 8);
    assert_eq!(hidden, hides, "{line}");
    Ok(())
}

/// Where the kernel has such a file.
fn is_in_slabinfo(vm: &mut Vm) -> Result {
    const SLABINFO: &str = "/proc/slabinfo";
    if !Path::new(SLABINFO).exists() {
        vm.note("this kernel has no /proc/slabinfo");
        return Ok(());
    }
    let listed = || Ok::<_, io::Error>(fs::read_to_string(SLABINFO)?.contains("my_custom_cache "));
    let module = vm.load("kmem_cache")?;
    assert!(listed()?);
    module.unload()?;
    assert!(!listed()?);
    Ok(())
}
