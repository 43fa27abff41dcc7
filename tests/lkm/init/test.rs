// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        runs_in_init,
        runs_for_a_parameter_that_is_given,
        init_ends_when_nobody_is_in_its_functions,
        is_refused_after_init,
    ],
    ..Example::EMPTY
};

const SUM_NOW: &str = "/sys/module/init/parameters/sum_now";

fn runs_in_init(vm: &mut Vm) -> Result {
    let _module = vm.load("init")?;
    vm.log().expect("init: sum: 6")?;
    vm.log().expect("init: sum of both and one: 13")?;
    assert_eq!(vm.log().count("init: numbers")?, 3);
    Ok(())
}

fn runs_for_a_parameter_that_is_given(vm: &mut Vm) -> Result {
    let _module = vm.load_with("init", "sum_now")?;
    vm.log().expect("init: sum for the parameter: 6")?;
    Ok(())
}

/// A function may sleep, in a thread, too.
fn init_ends_when_nobody_is_in_its_functions(vm: &mut Vm) -> Result {
    vm.load_with("init", "late")?.unload()?;
    vm.log().expect("init: late sum: 6")?;
    vm.log().mark()?;
    assert_eq!(vm.load_fails("init", "late fail")?, Errno::NODEV);
    vm.log().expect("init: late sum: 6")?;
    vm.forgive_leaks();
    Ok(())
}

/// What would be called is gone.
fn is_refused_after_init(vm: &mut Vm) -> Result {
    let module = vm.load("init")?;
    vm.log().mark()?;
    assert_eq!(error_of(fs::write(SUM_NOW, "Y")), Some(Errno::PERM));
    assert_eq!(module.param("sum_now")?, "N");
    module.unload()?;
    vm.log().expect("init: refused in exit: true")?;
    assert_eq!(vm.log().count("init: numbers")?, 0);
    Ok(())
}
