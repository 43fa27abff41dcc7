// SPDX-License-Identifier: GPL-2.0-only

use rustix::{
    process::{Pid, getsid},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_call_is_a_hit,
        runs_in_the_context_of_an_nmi,
        arguments_are_those_of_the_call,
        other_functions_have_arguments_too,
        some_functions_cannot_have_a_probe,
        two_probes_on_one_function,
        hits_on_all_cpus,
        types_of_odd_sizes,
        a_handler_may_drop_its_probe,
        a_handler_may_drop_another_probe,
        added_and_dropped_while_it_is_hit,
        a_module_may_go_with_its_function,
        a_probe_on_its_own_module,
        dropping_it_waits,
        unloading_while_it_is_hit,
    ],
    ..Example::EMPTY
};

/// What C's `in_nmi()` and the like make of a context.
const PROCESS: usize = 0;
const NMI: usize = 3;

/// The probes that there are.
const LIST: &str = "/sys/kernel/debug/kprobes/list";

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("kprobes")?;
    Ok((module, Control::open("/proc/kprobes")?))
}

/// Calls the function.
fn call(times: u32) {
    for _ in 0..times {
        getsid(None).unwrap();
    }
}

/// For a thread that calls it so often at a time.
fn calls(times: u32) -> impl Fn() -> Result + Sync {
    move || {
        call(times);
        Ok(())
    }
}

/// Lines of the list of probes, of the function that most are on.
fn probes() -> Result<Vec<String>> {
    probes_on("sys_getsid")
}

/// Lines of the list of probes, of functions that are called something like that.
fn probes_on(function: &str) -> Result<Vec<String>> {
    let list = fs::read_to_string(LIST)?;
    let lines = list.lines().filter(|line| line.contains(function));
    Ok(lines.map(str::to_owned).collect())
}

/// There is one probe on a function of a module, and it is no jump: see `Kprobe::new`.
fn is_on_a_module() -> Result {
    let probes = probes_on("cleanup_module")?;
    assert_eq!(probes.len(), 1, "{probes:?}");
    assert!(!probes[0].contains("[OPTIMIZED]"), "{probes:?}");
    Ok(())
}

/// Whether the list of probes says this of one.
fn are_marked(mark: &str) -> Result<bool> {
    Ok(probes()?.iter().any(|line| line.contains(mark)))
}

/// Does `what` with a breakpoint, and with the jump that the kernel makes of it after a
/// while, if it does. The argument says whether to wait for that.
///
/// On a slow machine the first one may be a jump, too. To forbid jumps is no way out: Linux
/// 7.2 waits for ever when it is to make breakpoints of them again.
fn in_each_form(vm: &mut Vm, what: fn(&mut Vm, bool) -> Result) -> Result {
    what(vm, false)?;
    what(vm, true)
}

/// Waits until the kernel has made a jump of the breakpoint, of which there must be an
/// ordinary probe: then its handler runs in the context of the caller. But not for ever, as
/// it need not. Returns whether it has.
fn becomes_a_jump(control: &Control) -> Result<bool> {
    // It says so as soon as it means to make one.
    if !are_marked("[OPTIMIZED]")? {
        return Ok(false);
    }
    let before = control.call(IN_CONTEXT, PROCESS)?;
    for _ in 0..500 {
        call(1);
        if control.call(IN_CONTEXT, PROCESS)? > before {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
}

/// How often a probe comes and goes. Each time the kernel looks whether to make a jump of it:
/// for some tenths of a second no other one can come or go.
const ROUNDS: u32 = 30;

/// Does `round` many times, and looks for what is left. Not where each of them takes long.
fn rounds(vm: &mut Vm, jumps: bool, mut round: impl FnMut(&mut Vm) -> Result) -> Result {
    match jumps {
        true => (0..3).try_for_each(|_| round(vm)),
        false => vm.many_rounds(ROUNDS, round),
    }
}

fn each_call_is_a_hit(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    call(10);
    assert_eq!(control.get(HITS), 0);
    control.call(ADD, 0)?;
    for times in [1, 10, 100] {
        let before = control.get(HITS);
        call(times);
        assert_eq!(control.get(HITS), before + times as usize);
    }
    control.call(DROP, 0)?;
    assert_eq!(control.get(DROPPED), 1);
    call(10);
    assert_eq!(control.get(HITS), 111);
    Ok(())
}

/// But for those that were made a jump.
fn runs_in_the_context_of_an_nmi(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    // One that is new is a breakpoint. It may be a jump before it is hit for the first time.
    for _ in 0..20 {
        control.call(ADD, 0)?;
        if are_marked("[FTRACE]")? {
            vm.note("the probe is not a breakpoint");
            return Ok(());
        }
        call(10);
        control.call(DROP, 0)?;
        if control.call(IN_CONTEXT, NMI)? > 0 {
            break;
        }
        // Until the jump is gone, the next one would be it.
        thread::sleep(Duration::from_millis(500));
    }
    assert!(control.call(IN_CONTEXT, NMI)? > 0);
    control.call(ADD, 0)?;
    if !becomes_a_jump(&control)? {
        vm.note("the breakpoint has not become a jump");
    }
    call(10);
    let contexts = control.call(IN_CONTEXT, NMI)? + control.call(IN_CONTEXT, PROCESS)?;
    assert_eq!(control.get(HITS), contexts);
    Ok(())
}

fn arguments_are_those_of_the_call(vm: &mut Vm) -> Result {
    in_each_form(vm, |vm, jumps| {
        let (_module, control) = load(vm)?;
        control.call(ADD, 0)?;
        if jumps {
            becomes_a_jump(&control)?;
        }
        for id in [1, 2, 0x7fff_fff0] {
            // There need not be such a process.
            let _ = getsid(Pid::from_raw(id));
            assert_eq!(control.get(LAST), id as usize);
        }
        call(1);
        assert_eq!(control.get(LAST), 0);
        assert_eq!(control.get(ARGUMENTS), 6);
        Ok(())
    })
}

/// What they point to is not taken for the registers of user space.
fn other_functions_have_arguments_too(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    control.call(ADD_PLAIN, 0)?;
    for number in [7, 0, 0x7fff_ffff] {
        assert_eq!(control.call(PLAIN, number)?, number);
    }
    assert_eq!(control.get(SYSCALLS), 0);
    control.call(DROP_PLAIN, 9)?;
    assert_eq!(control.call(PLAIN, 7)?, 9);
    Ok(())
}

fn some_functions_cannot_have_a_probe(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for (number, symbol) in SYMBOLS.iter().enumerate() {
        let expected = match number {
            0..4 => Errno::NOENT,
            _ => Errno::INVAL,
        };
        assert_eq!(control.call(TRY, number), Err(expected), "{symbol:?}");
    }
    // Each time there was a handler.
    assert_eq!(control.get(DROPPED), SYMBOLS.len());
    Ok(())
}

fn two_probes_on_one_function(vm: &mut Vm) -> Result {
    in_each_form(vm, |vm, jumps| {
        let (_module, control) = load(vm)?;
        for first in [0, 1] {
            control.call(ADD, 0)?;
            control.call(ADD, 0)?;
            if jumps {
                becomes_a_jump(&control)?;
            }
            assert_eq!(probes()?.len(), 2);
            for (left, number) in [(2, first), (1, 0)] {
                let before = control.get(HITS);
                call(10);
                assert_eq!(control.get(HITS), before + 10 * left);
                control.call(DROP, number)?;
                assert_eq!(probes()?.len(), left - 1);
            }
        }
        Ok(())
    })
}

/// No hit is lost: a handler only misses what its own CPU does meanwhile.
fn hits_on_all_cpus(vm: &mut Vm) -> Result {
    let all = sched_getaffinity(None)?;
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| all.is_set(*cpu))
        .collect();
    let (_module, control) = load(vm)?;
    control.call(ADD, 0)?;
    let times = vm.fewer(5000);
    thread::scope(|scope| {
        for &cpu in &cpus {
            scope.spawn(move || {
                let mut set = CpuSet::new();
                set.set(cpu);
                sched_setaffinity(None, &set).unwrap();
                call(times);
            });
        }
    });
    assert_eq!(control.get(HITS), times as usize * cpus.len());
    assert_eq!(control.get(MISSED), 0);
    Ok(())
}

fn types_of_odd_sizes(vm: &mut Vm) -> Result {
    vm.many_rounds(ROUNDS, |vm| {
        let (module, control) = load(vm)?;
        control.call(ADD_ODD, 0)?;
        call(10);
        assert_eq!(control.get(EMPTY_HITS), 10);
        assert_eq!(control.get(HITS), 10);
        control.call(DROP_ODD, 0)?;
        assert_eq!(control.get(DROPPED), 1);
        call(10);
        assert_eq!(control.get(EMPTY_HITS), 10);
        // Those that are there at the end.
        control.call(ADD_ODD, 0)?;
        drop(control);
        module.unload()
    })
}

/// Where it is to be a jump, one that stays is on the same function: it shows when it is.
fn a_handler_may_drop_its_probe(vm: &mut Vm) -> Result {
    in_each_form(vm, |vm, jumps| {
        let others = usize::from(jumps);
        let add_others = move |control: &Control| -> Result {
            if jumps {
                control.call(ADD, 0)?;
                becomes_a_jump(control)?;
            }
            Ok(())
        };
        rounds(vm, jumps, |vm| {
            let (module, control) = load(vm)?;
            add_others(&control)?;
            control.call(ADD_SELFISH, 0)?;
            let before = control.get(HITS);
            call(1);
            eventually("the handler's drop", || control.get(DROPPED) == 1)?;
            assert_eq!(control.get(HITS), before + 1 + others);
            call(10);
            assert_eq!(control.get(HITS), before + 1 + 11 * others);
            drop(control);
            module.unload()
        })?;
        // Unloading does not have to wait for that.
        rounds(vm, jumps, |vm| {
            let (module, control) = load(vm)?;
            add_others(&control)?;
            control.call(ADD_SELFISH, 0)?;
            control.call(ADD_SELFISH, 0)?;
            call(1);
            drop(control);
            module.unload()?;
            assert_eq!(vm.log().count("not dropped")?, 0);
            assert_eq!(probes()?.len(), 0);
            Ok(())
        })
    })
}

fn a_handler_may_drop_another_probe(vm: &mut Vm) -> Result {
    in_each_form(vm, |vm, jumps| {
        let (_module, control) = load(vm)?;
        control.call(ADD, 0)?;
        if jumps {
            becomes_a_jump(&control)?;
        }
        control.call(ADD_UNKIND, 0)?;
        call(1);
        eventually("the other one's drop", || control.get(DROPPED) == 1)?;
        let before = control.get(HITS);
        call(10);
        assert_eq!(control.get(HITS), before + 20);
        assert_eq!(probes()?.len(), 2);
        Ok(())
    })
}

fn added_and_dropped_while_it_is_hit(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    let times = vm.fewer(50) as usize;
    while_others(2, calls(10), || Ok(control.call(CHURN, times)?))?;
    assert_eq!(control.get(DROPPED), times);
    assert_eq!(probes()?.len(), 0);
    Ok(())
}

/// The function is there as long as its module. The probe may outlive it, and does nothing then.
fn a_module_may_go_with_its_function(vm: &mut Vm) -> Result {
    vm.many_rounds(ROUNDS, |vm| {
        let (module, control) = load(vm)?;
        assert_eq!(control.call(ADD_OF_MODULE, 0), Err(Errno::NOENT));
        let other = vm.load("hello-1")?;
        control.call(ADD_OF_MODULE, 0)?;
        is_on_a_module()?;
        assert_eq!(control.get(HITS), 0);
        // Nor does the probe keep it.
        other.unload()?;
        assert_eq!(control.get(HITS), 1);

        // The next one can have the same address.
        let other = vm.load("hello-1")?;
        control.call(DROP_OF_MODULE, 0)?;
        other.unload()?;
        assert_eq!(control.get(HITS), 1);

        let other = vm.load("hello-1")?;
        control.call(ADD_OF_MODULE, 0)?;
        control.call(DROP_OF_MODULE, 0)?;
        control.call(ADD_OF_MODULE, 0)?;
        other.unload()?;
        assert_eq!(control.get(HITS), 2);
        drop(control);
        module.unload()
    })
}

/// The handler runs when the module ends, and is dropped then.
fn a_probe_on_its_own_module(vm: &mut Vm) -> Result {
    vm.many_rounds(ROUNDS, |vm| {
        let (module, control) = load(vm)?;
        control.call(ADD_OF_MODULE, 1)?;
        is_on_a_module()?;
        drop(control);
        vm.log().mark()?;
        module.unload()?;
        assert_eq!(vm.log().texts("kprobes")?, ["hit"]);
        Ok(())
    })
}

/// When a handler is dropped it does not run: none comes after that.
fn dropping_it_waits(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    control.call(DELAY, 200)?;
    while_others(2, calls(1), || {
        (0..vm.fewer(20)).try_for_each(|_| -> Result {
            let before = control.get(HITS);
            control.call(ADD, 0)?;
            eventually("a hit", || control.get(HITS) > before)?;
            control.call(DROP, 0)?;
            let hits = control.get(HITS);
            thread::sleep(Duration::from_millis(5));
            ensure!(control.get(HITS) == hits, "a handler ran later");
            Ok(())
        })
    })
}

fn unloading_while_it_is_hit(vm: &mut Vm) -> Result {
    let mut delay = 0;
    while_others(2, calls(10), || {
        vm.many_rounds(ROUNDS, |vm| {
            delay = (delay + 50) % 300;
            let (module, control) = load(vm)?;
            control.call(DELAY, delay)?;
            for command in [ADD, ADD, ADD_ODD] {
                control.call(command, 0)?;
            }
            eventually("a hit", || control.get(HITS) > 0)?;
            drop(control);
            module.unload()?;
            ensure!(probes()?.is_empty(), "a probe is left");
            Ok(())
        })
    })
}
