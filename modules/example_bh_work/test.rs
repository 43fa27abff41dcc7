// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const DEMO: &[&str] = &["dmesg | grep example_bh_work:"];

pub const TESTS: &[Test] = tests![runs_once_in_softirq_context, unloading_at_once];

fn check(vm: &mut Vm) -> Result {
    let said = vm.log().said("example_bh_work")?;
    let mut said: Vec<_> = said.into_iter().map(|line| line.text).collect();
    assert_eq!(
        said.first().map(String::as_str),
        Some("BH work example init")
    );
    assert_eq!(
        said.last().map(String::as_str),
        Some("BH work example exit")
    );
    // It may run before init goes on, or on its way.
    said.sort();
    let expected = [
        "BH work example exit",
        "BH work example init",
        "Example BH work init continues...",
        "Example BH work runs in softirq context",
    ];
    assert_eq!(said, expected);
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
