// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /sys/kernel/rust_kthread/counts",
        "ps | grep [r]ust_kthread",
        "echo 1 > /sys/kernel/rust_kthread/parked",
        "cat /sys/kernel/rust_kthread/counts",
        "sleep 1; cat /sys/kernel/rust_kthread/counts",
        "echo 0 > /sys/kernel/rust_kthread/parked",
    ],
    tests: tests![
        one_on_each_cpu,
        each_counts,
        parked_threads_do_not_count,
        bad_values,
        many_park_and_unpark,
        unloading_at_once,
        unloading_while_parked,
    ],
    ..Example::EMPTY
};

const COUNTS: &str = "/sys/kernel/rust_kthread/counts";
const PARKED: &str = "/sys/kernel/rust_kthread/parked";

fn cpus() -> Result<usize> {
    let list = fs::read_to_string("/proc/cpuinfo")?;
    Ok(list.lines().filter(|l| l.starts_with("processor")).count())
}

fn counts() -> Result<Vec<u64>> {
    let text = fs::read_to_string(COUNTS)?;
    text.lines().map(|line| Ok(line.parse()?)).collect()
}

/// Waits until each thread has counted on from `before`.
fn all_go_on(before: &[u64]) -> Result {
    let more = |now: Vec<u64>| now.iter().zip(before).all(|(now, before)| now > before);
    eventually("each thread", || counts().is_ok_and(more))
}

fn threads() -> Vec<Task> {
    live_tasks(|name| name.starts_with("rust_kthread/"))
}

fn one_on_each_cpu(vm: &mut Vm) -> Result {
    let cpus = cpus()?;
    let module = vm.load("rust_kthread")?;
    let mut expected = Vec::new();
    for cpu in 0..cpus {
        let line = format!("rust_kthread/{cpu} begins on CPU {cpu}");
        vm.log().expect(&line)?;
        expected.push(line);
    }
    let threads_on = threads();
    let mut allowed: Vec<_> = threads_on
        .iter()
        .map(|t| t.field("Cpus_allowed_list"))
        .collect();
    allowed.sort_unstable();
    let numbers: Vec<_> = (0..cpus).map(|cpu| cpu.to_string()).collect();
    assert_eq!(allowed, numbers);
    assert_eq!(fs::metadata(COUNTS)?.mode() & 0o7777, 0o444);
    assert_eq!(fs::metadata(PARKED)?.mode() & 0o7777, 0o644);

    module.unload()?;
    assert!(threads().is_empty());
    expected.extend((0..cpus).map(|cpu| format!("rust_kthread/{cpu} stops")));
    let mut said = vm.log().said("rust_kthread")?;
    // Each in its own time.
    said.sort_by(|a, b| a.text.cmp(&b.text));
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(info).collect();
    assert_eq!(said, expected);
    Ok(())
}

fn each_counts(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_kthread")?;
    let before = counts()?;
    assert_eq!(before.len(), cpus()?);
    all_go_on(&before)
}

fn parked_threads_do_not_count(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_kthread")?;
    assert_eq!(fs::read_to_string(PARKED)?, "0\n");
    for _ in 0..3 {
        fs::write(PARKED, "1\n")?;
        assert_eq!(fs::read_to_string(PARKED)?, "1\n");
        let before = counts()?;
        assert!(threads().iter().all(|t| t.field("State") == "P (parked)"));
        thread::sleep(Duration::from_millis(100));
        assert_eq!(counts()?, before);
        // They are already.
        fs::write(PARKED, "1")?;

        fs::write(PARKED, "0\n")?;
        assert_eq!(fs::read_to_string(PARKED)?, "0\n");
        all_go_on(&before)?;
        fs::write(PARKED, "0")?;
    }
    Ok(())
}

fn bad_values(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_kthread")?;
    for text in ["2", "-1", "park", "\n", "1 "] {
        let result = fs::write(PARKED, text);
        assert_eq!(error_of(result), Some(Errno::INVAL), "{text:?}");
    }
    assert_eq!(fs::read_to_string(PARKED)?, "0\n");
    Ok(())
}

fn many_park_and_unpark(vm: &mut Vm) -> Result {
    let module = vm.load("rust_kthread")?;
    on_threads(8, |n| {
        for _ in 0..50 {
            fs::write(PARKED, (n % 2).to_string())?;
        }
        Ok(())
    })?;
    fs::write(PARKED, "0")?;
    all_go_on(&counts()?)?;
    module.unload()
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("rust_kthread")?.unload())
}

fn unloading_while_parked(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("rust_kthread")?;
        fs::write(PARKED, "1")?;
        module.unload()
    })
}
