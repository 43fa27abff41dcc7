// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const DEMO: &[&str] = &["dmesg | grep Called"];

pub const TESTS: &[Test] = tests![counts_to_ten, unloading_at_any_count];

const EXIT: &str = "Rust work queue sample (exit)";

/// The lines of the module, when it was unloaded after `count`.
fn lines(count: usize) -> Vec<String> {
    let mut lines: Vec<_> = (0..=count)
        .map(|n| format!("Called with count={n}"))
        .collect();
    lines.push(EXIT.to_owned());
    lines
}

fn said(vm: &mut Vm) -> Result<Vec<String>> {
    let said = vm.log().said("rust_workq_requeue")?;
    Ok(said.into_iter().map(|line| line.text).collect())
}

fn counts_to_ten(vm: &mut Vm) -> Result {
    for _ in 0..5 {
        vm.log().mark()?;
        let module = vm.load("rust_workq_requeue")?;
        vm.log().expect("Called with count=10")?;
        module.unload()?;
        assert_eq!(said(vm)?, lines(10));
    }
    Ok(())
}

fn unloading_at_any_count(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load("rust_workq_requeue")?.unload()?;
        let said = said(vm)?;
        match said.len() {
            1 => assert_eq!(said, [EXIT]),
            n => assert_eq!(said, lines(n - 2)),
        }
        Ok(())
    })
}
