// SPDX-License-Identifier: GPL-2.0-only

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpStream};

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        tasks_are_over_and_freed,
        an_output_is_there_until_its_handle_is_not,
        handles_do_not_keep_tasks,
        cancelling_drops_the_future,
        joining_a_cancelled_task,
        tasks_are_woken_in_any_context,
        wakers_outlive_their_tasks,
        outputs_do_not_wait_for_wakers,
        handles_are_dropped_in_softirqs,
        tasks_spawn_and_join_tasks,
        an_executor_that_is_gone_takes_no_task,
        an_executor_cannot_be_in_softirqs,
        sleeps_are_never_too_short,
        select_takes_what_is_first,
        many_tasks_read_the_same_connection,
        a_read_with_a_time_limit,
        options_and_half_a_connection,
        a_cancelled_read_takes_nothing,
        futures_go_on_in_other_tasks,
        who_never_waits_lets_others_run,
        unloading_while_tasks_wait,
        unloading_while_tasks_sleep,
        unloading_while_tasks_talk,
        unloading_while_a_task_is_restless,
    ],
    ..Example::EMPTY
};

/// The kinds of queue that an executor can have.
const KINDS: [usize; 2] = [0, 1];

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("tasks")?;
    Ok((module, Control::open("/proc/tasks")?))
}

/// Waits until nothing of any future is left, and nothing was where it must not
/// be.
fn all_is_freed(tasks: &Control) -> Result {
    eventually("all to be freed", || tasks.get(OWNED) == 0)?;
    assert_eq!(tasks.get(MISPLACED), 0);
    Ok(())
}

fn serve(tasks: &Control, kind: usize) -> Result<TcpStream> {
    let port = tasks.call(SERVE, kind)? as u16;
    connect(Ipv4Addr::LOCALHOST, port)
}

fn connect(addr: impl Into<IpAddr>, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((addr.into(), port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tasks_are_over_and_freed(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        let before = tasks.get(ENDED);
        vm.rounds(|_| {
            tasks.call(SPAWN_SHORT, 100)?;
            eventually("the tasks", || tasks.get(FINISHED) == 100)?;
            tasks.call(DROP_HANDLES, 0)?;
            assert_eq!(tasks.get(OWNED), 0);
            Ok(())
        })?;
        assert!(tasks.get(ENDED) >= before + 300);
    }
    assert_eq!(tasks.get(MISPLACED), 0);
    Ok(())
}

fn an_output_is_there_until_its_handle_is_not(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    tasks.call(SPAWN_SHORT, 10)?;
    eventually("the tasks", || tasks.get(FINISHED) == 10)?;
    assert_eq!(tasks.get(OWNED), 10);
    // Not even the executor's end changes that.
    tasks.call(DROP, 0)?;
    assert_eq!(tasks.get(OWNED), 10);
    tasks.call(DROP_HANDLES, 0)?;
    assert_eq!(tasks.get(OWNED), 0);
    assert_eq!(tasks.get(MISPLACED), 0);
    Ok(())
}

fn handles_do_not_keep_tasks(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    tasks.call(SPAWN_WAITING, 20)?;
    tasks.call(DROP_HANDLES, 0)?;
    thread::sleep(Duration::from_millis(50));
    assert_eq!(tasks.get(OWNED), 20);
    tasks.call(SIGNAL, 0)?;
    all_is_freed(&tasks)?;
    assert_eq!(tasks.get(ENDED), 20);
    Ok(())
}

fn cancelling_drops_the_future(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        for spawn in [SPAWN_ENDLESS, SPAWN_WAITING] {
            for pause in [0, 20] {
                tasks.call(spawn, 30)?;
                assert_eq!(tasks.get(OWNED), 30);
                thread::sleep(Duration::from_millis(pause));
                tasks.call(CANCEL, 0)?;
                all_is_freed(&tasks)?;
                // A future is dropped before its task is over.
                eventually("the tasks", || tasks.get(FINISHED) == 30)?;
                assert_eq!(tasks.get(ENDED), 0);
                // Once more is no matter.
                tasks.call(CANCEL, 0)?;
                tasks.call(DROP_HANDLES, 0)?;
            }
        }
    }
    Ok(())
}

fn joining_a_cancelled_task(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    const ECANCELED: usize = 125;
    assert_eq!(tasks.get(JOIN_CANCELLED), ECANCELED);
    all_is_freed(&tasks)
}

fn tasks_are_woken_in_any_context(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        for signal in [SIGNAL, SIGNAL_IRQS_OFF, SIGNAL_SOFTIRQ] {
            let before = tasks.get(ENDED);
            tasks.call(SPAWN_WAITING, 50)?;
            thread::sleep(Duration::from_millis(50));
            assert_eq!(tasks.get(ENDED), before);
            // In the middle of it: those that are polled later are over at once.
            tasks.call(SPAWN_WAITING, 50)?;
            tasks.call(signal, 0)?;
            eventually("the tasks", || tasks.get(FINISHED) == 100)?;
            assert_eq!(tasks.get(ENDED), before + 100);
            tasks.call(DROP_HANDLES, 0)?;
            all_is_freed(&tasks)?;
        }
    }
    Ok(())
}

fn wakers_outlive_their_tasks(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    let mut signals = [SIGNAL, SIGNAL_IRQS_OFF, SIGNAL_SOFTIRQ]
        .into_iter()
        .cycle();
    vm.rounds(|_| {
        // Tasks that are cancelled, and tasks whose executor goes.
        tasks.call(SPAWN_WAITING, 10)?;
        thread::sleep(Duration::from_millis(5));
        tasks.call(CANCEL, 0)?;
        tasks.call(DROP_HANDLES, 0)?;
        all_is_freed(&tasks)?;
        tasks.call(SPAWN_WAITING, 10)?;
        thread::sleep(Duration::from_millis(5));
        tasks.call(DROP, 0)?;
        assert_eq!(tasks.get(OWNED), 0);
        tasks.call(DROP_HANDLES, 0)?;
        // Each waker is the last that there is of its task.
        tasks.call(signals.next().context("there is always one")?, 0)?;
        tasks.call(NEW, 0)?;
        Ok(())
    })?;
    assert_eq!(tasks.get(ENDED), 0);
    assert_eq!(tasks.get(MISPLACED), 0);
    Ok(())
}

/// Who drops the last waker of a task is in a context that an output minds.
fn outputs_do_not_wait_for_wakers(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        tasks.call(SPAWN_WAITING, 10)?;
        thread::sleep(Duration::from_millis(50));
        tasks.call(SIGNAL_AND_KEEP, 0)?;
        eventually("the tasks", || tasks.get(FINISHED) == 10)?;
        assert_eq!(tasks.get(OWNED), 10);
        tasks.call(DROP_HANDLES, 0)?;
        assert_eq!(tasks.get(OWNED), 0);
        tasks.call(SIGNAL_IRQS_OFF, 0)?;
        assert_eq!(tasks.get(MISPLACED), 0);
    }
    Ok(())
}

/// What has no output to drop can go there, also when its task ends on the same CPU.
fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        tasks.call(DROP_IN_SOFTIRQ, vm.fewer(1000) as usize)?;
    }
    Ok(())
}

fn tasks_spawn_and_join_tasks(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        for depth in [0, 1, 2, 50] {
            assert_eq!(tasks.call(SUM, depth)?, depth * (depth + 1) / 2);
        }
    }
    Ok(())
}

fn an_executor_that_is_gone_takes_no_task(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    const ESHUTDOWN: usize = 108;
    assert_eq!(tasks.get(SPAWN_LATE), 0);
    tasks.call(SPAWN_ENDLESS, 30)?;
    tasks.call(DROP, 0)?;
    assert_eq!(tasks.get(OWNED), 0, "futures go with the executor");
    assert_eq!(tasks.get(FINISHED), 30);
    assert_eq!(tasks.get(SPAWN_LATE), ESHUTDOWN);
    assert_eq!(tasks.call(SPAWN_SHORT, 1), Err(Errno::SHUTDOWN));
    all_is_freed(&tasks)
}

fn an_executor_cannot_be_in_softirqs(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    assert_eq!(tasks.call(NEW, 2), Err(Errno::INVAL));
    Ok(())
}

fn sleeps_are_never_too_short(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for millis in [0, 1, 9, 10, 11, 99, 250] {
        for _ in 0..3 {
            let passed = tasks.call(SLEEP, millis)?;
            assert!(passed >= millis, "{passed} ms, not {millis}");
        }
    }
    tasks.call(SPAWN_SLEEPING, 100)?;
    eventually("the tasks", || tasks.get(FINISHED) == 100)
}

fn select_takes_what_is_first(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    let select = |a: usize, b: usize| tasks.call(SELECT, a | (b << 16));
    let never = 0xffff;
    assert_eq!(select(10, never)?, 1);
    assert_eq!(select(never, 10)?, 2);
    assert_eq!(select(0, 0)?, 1);
    assert_eq!(select(60_000, 0)?, 2);
    assert_eq!(select(10, 60_000)?, 1);
    assert_eq!(select(60_000, 10)?, 2);
    Ok(())
}

fn many_tasks_read_the_same_connection(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        let v6 = tasks.call(SERVE_V6, 0)? as u16;
        for mut stream in [serve(&tasks, 0)?, connect(Ipv6Addr::LOCALHOST, v6)?] {
            // One at a time goes to one of them, and comes back.
            for i in 0..500_u32 {
                stream.write_all(&i.to_le_bytes())?;
                let mut back = [0; 4];
                stream.read_exact(&mut back)?;
                assert_eq!(back, i.to_le_bytes());
            }
            // Many at a time come back in any order, but all.
            let text: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
            let mut writer = stream.try_clone()?;
            let sent = text.clone();
            let writing = thread::spawn(move || {
                writer.write_all(&sent)?;
                writer.shutdown(Shutdown::Write)
            });
            let mut back = Vec::new();
            stream.read_to_end(&mut back)?;
            writing.join().map_err(|_| anyhow!("a thread panicked"))??;
            let mut counts = [0; 256];
            text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
            back.iter().for_each(|byte| counts[usize::from(*byte)] -= 1);
            assert_eq!(counts, [0; 256]);
        }
    }
    Ok(())
}

fn a_read_with_a_time_limit(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    let mut stream = serve(&tasks, 1)?;
    let mut text = [0; 4];
    for _ in 0..3 {
        stream.read_exact(&mut text)?;
        assert_eq!(&text, b"late");
    }
    stream.write_all(b"soon")?;
    for _ in 0..10_000 {
        stream.read_exact(&mut text)?;
        if &text == b"soon" {
            return Ok(());
        }
        assert_eq!(&text, b"late");
    }
    bail!("it only says \"late\"")
}

fn options_and_half_a_connection(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    let mut stream = serve(&tasks, 2)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    assert_eq!(text, "known");
    // It still listens.
    stream.write_all(&[0; 100_000])?;
    Ok(())
}

fn a_cancelled_read_takes_nothing(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    let mut stream = serve(&tasks, 5)?;
    let mut text = [0; 4];
    stream.read_exact(&mut text)?;
    assert_eq!(&text, b"gone");
    stream.write_all(b"ping")?;
    stream.read_exact(&mut text)?;
    assert_eq!(&text, b"ping");
    Ok(())
}

/// With the wakers of these.
fn futures_go_on_in_other_tasks(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    for kind in KINDS {
        tasks.call(NEW, kind)?;
        assert_eq!(tasks.get(SLEEP_MOVED), 1);
        let mut stream = serve(&tasks, 3)?;
        let mut text = [0; 5];
        stream.read_exact(&mut text)?;
        assert_eq!(&text, b"moved");
        // By then the other task waits.
        thread::sleep(Duration::from_millis(50));
        stream.write_all(b"hello")?;
        stream.read_exact(&mut text)?;
        assert_eq!(&text, b"hello");
    }
    Ok(())
}

/// A task whose bytes are all there, where one task runs at a time.
fn who_never_waits_lets_others_run(vm: &mut Vm) -> Result {
    let (_module, tasks) = load(vm)?;
    tasks.call(NEW, 3)?;
    let mut stream = serve(&tasks, 4)?;
    stream.write_all(&[0; MANY as usize])?;
    let mut seen = [0; 4];
    stream.read_exact(&mut seen)?;
    let seen = u32::from_le_bytes(seen);
    assert!(
        (1..MANY).contains(&seen),
        "another ran after {seen} of {MANY}"
    );
    Ok(())
}

fn unloading_while_tasks_wait(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, tasks) = load(vm)?;
        tasks.call(SPAWN_WAITING, 20)?;
        tasks.call(SPAWN_ENDLESS, 20)?;
        tasks.call(SPAWN_SHORT, 20)?;
        module.unload()
    })
}

fn unloading_while_tasks_sleep(vm: &mut Vm) -> Result {
    let mut pause = 0;
    vm.rounds(|vm| {
        pause = (pause + 7) % 20;
        let (module, tasks) = load(vm)?;
        tasks.call(NEW, pause as usize % 2)?;
        // Some are over before, some while it unloads, some never.
        tasks.call(SPAWN_SLEEPING, 40)?;
        thread::sleep(Duration::from_millis(pause));
        module.unload()
    })
}

fn unloading_while_tasks_talk(vm: &mut Vm) -> Result {
    forget_connections_at_once()?;
    let mut kind = 0;
    vm.rounds(|vm| {
        let (module, tasks) = load(vm)?;
        tasks.call(NEW, kind % 2)?;
        kind += 1;
        // Nobody reads what comes back: it waits to write, and to read.
        let mut full = serve(&tasks, 0)?;
        full.set_nonblocking(true)?;
        while full.write(&[0; 65536]).is_ok() {}
        let mut busy = serve(&tasks, 0)?;
        busy.write_all(b"x")?;
        let idle = serve(&tasks, 1)?;
        module.unload()?;
        busy.set_nonblocking(false)?;
        let _ = busy.read_to_end(&mut Vec::new());
        drop((full, busy, idle));
        Ok(())
    })
}

fn unloading_while_a_task_is_restless(vm: &mut Vm) -> Result {
    let mut kind = 0;
    vm.rounds(|vm| {
        let (module, tasks) = load(vm)?;
        tasks.call(NEW, kind % 2)?;
        kind += 1;
        for _ in 0..3 {
            tasks.call(SPAWN_RESTLESS, 0)?;
        }
        module.unload()
    })
}
