// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![keeps_its_numbers_until_it_goes],
    ..Example::EMPTY
};

fn keeps_its_numbers_until_it_goes(vm: &mut Vm) -> Result {
    let module = vm.load("rust_minimal")?;
    vm.log().expect("Am I built-in? false")?;
    assert_eq!(vm.log().count("My numbers")?, 0);
    module.unload()?;

    let expected = [
        "Rust minimal sample (init)",
        "Am I built-in? false",
        "My numbers are [72, 108, 200]",
        "Rust minimal sample (exit)",
    ];
    assert_eq!(vm.log().said("rust_minimal")?, expected.map(info));
    Ok(())
}
