// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["dmesg | grep example_tasklet:"],
    tests: tests![
        runs_once,
        unloading_at_once,
        unloading_while_it_runs,
        bad_delays,
    ],
    ..Example::EMPTY
};

const INIT: &str = "tasklet example init";
const STARTS: &str = "Example tasklet starts";
const ENDS: &str = "Example tasklet ends";
const CONTINUES: &str = "Example tasklet init continues...";
const EXIT: &str = "tasklet example exit";

/// When the tasklet begins depends on what else the CPUs have to do. The module
/// takes its leave when the tasklet has run, and not before.
fn check(vm: &mut Vm) -> Result {
    let said = vm.log().said("example_tasklet")?;
    assert_eq!(said.len(), 5, "{said:?}");
    for order in [&[INIT, CONTINUES, EXIT][..], &[INIT, STARTS, ENDS, EXIT]] {
        let these = said.iter().map(|line| &*line.text);
        let these: Vec<_> = these.filter(|text| order.contains(text)).collect();
        assert_eq!(these, order);
    }
    assert!(said.iter().all(|line| line.level == 6), "{said:?}");
    Ok(())
}

fn runs_once(vm: &mut Vm) -> Result {
    for delay in [0, 50, 200] {
        vm.log().mark()?;
        let module = vm.load_with("example_tasklet", &format!("delay_ms={delay}"))?;
        vm.log().expect(ENDS)?;
        module.unload()?;
        check(vm)?;
    }
    let module = vm.load("example_tasklet")?;
    assert_eq!(module.param("delay_ms")?, "50");
    Ok(())
}

/// The tasklet has run when the module is gone, whether it began before or after.
fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load_with("example_tasklet", "delay_ms=0")?.unload()?;
        check(vm)
    })
}

fn unloading_while_it_runs(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        let module = vm.load_with("example_tasklet", "delay_ms=4")?;
        vm.log().expect(STARTS)?;
        module.unload()?;
        check(vm)
    })
}

fn bad_delays(vm: &mut Vm) -> Result {
    for delay in ["5001", "65536", "-1", "soon", ""] {
        let error = vm.load_fails("example_tasklet", &format!("delay_ms={delay}"))?;
        let expected = match delay {
            "65536" => Errno::RANGE,
            _ => Errno::INVAL,
        };
        assert_eq!(error, expected, "{delay}");
    }
    Ok(())
}
