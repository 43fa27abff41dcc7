// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![objects_are_as_they_should, cache_outlives_its_handle],
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
