// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["dmesg | grep rust_condvar:"],
    tests: tests![
        all_items_in_order,
        a_full_buffer_is_waited_for,
        an_empty_buffer_is_waited_for,
        unloading_at_once,
        unloading_while_the_producer_waits,
        unloading_while_the_consumer_waits,
    ],
    ..Example::EMPTY
};

const EXIT: &str = "Rust condition variable sample (exit)";

/// How many items fit in the buffer.
const CAPACITY: usize = 2;

/// Follows what the module has said, from an empty buffer on. Returns how many
/// items were put there and how many were taken.
fn follow(vm: &mut Vm) -> Result<(usize, usize)> {
    let (mut put, mut taken) = (0, 0);
    for line in vm.log().said("rust_condvar")? {
        if line == info(EXIT) {
            continue;
        }
        let expected = if line.text.starts_with("put ") {
            put += 1;
            format!("put {}, {} in the buffer", put - 1, put - taken)
        } else {
            taken += 1;
            format!("took {}, {} in the buffer", taken - 1, put - taken)
        };
        assert_eq!(line, info(expected));
        assert!(put - taken <= CAPACITY, "{}", line.text);
    }
    Ok((put, taken))
}

fn load(vm: &mut Vm, produce: u32, consume: u32) -> Result<Module> {
    vm.log().mark()?;
    vm.load_with(
        "rust_condvar",
        &format!("produce={produce} consume={consume}"),
    )
}

fn all_items_in_order(vm: &mut Vm) -> Result {
    for count in [1, 5, 200] {
        let module = load(vm, count, count)?;
        vm.log()
            .expect(&format!("took {}, 0 in the buffer", count - 1))?;
        module.unload()?;
        let all = count as usize;
        assert_eq!(follow(vm)?, (all, all));
    }
    let module = vm.load("rust_condvar")?;
    assert_eq!(module.param("produce")?, "5");
    assert_eq!(module.param("consume")?, "5");
    Ok(())
}

/// Waits until the thread called `name` sleeps.
fn sleeps(name: &str) -> Result {
    let is_asleep = |task: &Task| task.field("State") == "S (sleeping)";
    eventually(name, || live_tasks(|n| n == name).iter().any(is_asleep))
}

fn a_full_buffer_is_waited_for(vm: &mut Vm) -> Result {
    let module = load(vm, 10, 3)?;
    vm.log().expect("put 4, 2 in the buffer")?;
    sleeps("producer")?;
    assert_eq!(follow(vm)?, (5, 3));
    module.unload()?;
    assert_eq!(follow(vm)?, (5, 3));
    Ok(())
}

fn an_empty_buffer_is_waited_for(vm: &mut Vm) -> Result {
    let module = load(vm, 3, 10)?;
    vm.log().expect("took 2, 0 in the buffer")?;
    sleeps("consumer")?;
    assert_eq!(follow(vm)?, (3, 3));
    module.unload()?;
    assert_eq!(follow(vm)?, (3, 3));
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        load(vm, 1000, 1000)?.unload()?;
        follow(vm)?;
        Ok(())
    })
}

fn unloading_while_the_producer_waits(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, 10, 0)?;
        vm.log().expect("put 1, 2 in the buffer")?;
        module.unload()?;
        assert_eq!(follow(vm)?, (2, 0));
        Ok(())
    })
}

fn unloading_while_the_consumer_waits(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, 0, 10)?;
        module.unload()?;
        assert_eq!(follow(vm)?, (0, 0));
        Ok(())
    })
}
