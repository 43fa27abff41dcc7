// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["dmesg | grep rust_workq:"],
    tests: tests![the_closure_runs_before_the_module_goes],
    ..Example::EMPTY
};

fn the_closure_runs_before_the_module_goes(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load("rust_workq")?.unload()?;
        let expected = ["Hello from a work item", "Rust work queue sample (exit)"];
        assert_eq!(vm.log().said("rust_workq")?, expected.map(info));
        Ok(())
    })
}
