// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["dmesg | grep example_bh_work:"],
    tests: tests![runs_once_in_softirq_context, unloading_at_once],
    ..Example::EMPTY
};

fn check(vm: &mut Vm) -> Result {
    let mut said = vm.log().said("example_bh_work")?;
    assert_eq!(said[0], info("BH work example init"));
    assert_eq!(said[said.len() - 1], info("BH work example exit"));
    // It may run before init goes on, or on its way.
    said.sort_by(|a, b| a.text.cmp(&b.text));
    let expected = [
        "BH work example exit",
        "BH work example init",
        "Example BH work init continues...",
        "Example BH work runs in softirq context",
    ];
    assert_eq!(said, expected.map(info));
    Ok(())
}

fn runs_once_in_softirq_context(vm: &mut Vm) -> Result {
    let module = vm.load("example_bh_work")?;
    vm.log().expect("runs in softirq context")?;
    module.unload()?;
    check(vm)
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load("example_bh_work")?.unload()?;
        check(vm)
    })
}
