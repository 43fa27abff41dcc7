// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["dmesg | grep Called"],
    tests: tests![counts_to_ten, unloading_at_any_count],
    ..Example::EMPTY
};

const EXIT: &str = "Rust work queue sample (exit)";

/// The lines of the module, when it was unloaded after `count`.
fn lines(count: usize) -> Vec<(u8, String)> {
    let lines = (0..=count).map(|n| format!("Called with count={n}"));
    lines.chain([EXIT.to_owned()]).map(info).collect()
}

fn counts_to_ten(vm: &mut Vm) -> Result {
    for _ in 0..5 {
        vm.log().mark()?;
        let module = vm.load("rust_workq_requeue")?;
        vm.log().expect("Called with count=10")?;
        module.unload()?;
        assert_eq!(vm.log().said("rust_workq_requeue")?, lines(10));
    }
    Ok(())
}

fn unloading_at_any_count(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load("rust_workq_requeue")?.unload()?;
        let said = vm.log().said("rust_workq_requeue")?;
        match said.len() {
            1 => assert_eq!(said, [info(EXIT)]),
            n => assert_eq!(said, lines(n - 2)),
        }
        Ok(())
    })
}
