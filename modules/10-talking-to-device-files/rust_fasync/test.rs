// SPDX-License-Identifier: GPL-2.0-only

use std::{
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use rustix::{
    event::{PollFlags, epoll::EventFlags},
    process::{Pid, getpid},
};

use crate::{polling::*, prelude::*, sigio::*};

pub const EXAMPLE: Example = Example {
    demo: &["doorbell & sleep 1; echo >/dev/rust_fasync; wait"],
    tests: tests![
        counts_rings,
        waits_for_rings,
        lost_rings_ring_again,
        tells_who_has_asked,
        tells_nobody_else,
        tells_no_more_when_asked_not_to,
        tells_of_each_ring_and_where,
        tells_both_who_have_it_open,
        tells_a_group_or_another_process,
        a_copy_of_a_descriptor_is_the_same_file,
        a_child_has_the_same_file,
        poll_is_told_too,
        keeps_the_module_while_open,
        the_program_is_told,
        many_come_and_go_while_it_rings,
        nothing_is_left,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/dev/rust_fasync";

fn open() -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    Ok(options.custom_flags(libc::O_NONBLOCK).open(PATH)?)
}

fn ring() -> Result {
    Ok(fs::write(PATH, "x")?)
}

fn id_of(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32).expect("a number")
}

/// Somebody who has `file` as its input, and does nothing. It is in the group with this
/// number; 0 is one of its own.
fn sleeper(file: File, group: i32) -> Result<Child> {
    let mut sleep = Command::new("sleep");
    Ok(sleep.arg("1000").stdin(file).process_group(group).spawn()?)
}

fn counts_rings(vm: &mut Vm) -> Result {
    let module = vm.load("rust_fasync")?;
    let mut bell = open()?;
    let mut text = [0; 11];
    assert_eq!(error_of(bell.read(&mut text)), Some(Errno::AGAIN));
    for count in [1, 2, 12] {
        for _ in 0..count {
            assert_eq!(bell.write(b"ding")?, 4);
        }
        let len = bell.read(&mut text)?;
        assert_eq!(&text[..len], format!("{count}\n").as_bytes());
        assert_eq!(error_of(bell.read(&mut text)), Some(Errno::AGAIN));
    }
    // Whoever comes first takes them.
    ring()?;
    assert_eq!(open()?.read(&mut text)?, 2);
    assert_eq!(error_of(bell.read(&mut text)), Some(Errno::AGAIN));
    assert_eq!(ioctl(&bell, 0, Argument::None), Err(Errno::NOTTY));
    drop(bell);
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    Ok(())
}

fn waits_for_rings(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let waiter = Waiter::begin_in(&[libc::SYS_read], || -> Result<String> {
        let mut text = [0; 11];
        let len = File::open(PATH)?.read(&mut text)?;
        Ok(String::from_utf8_lossy(&text[..len]).into_owned())
    })?;
    waiter.sleeps()?;
    ring()?;
    assert_eq!(waiter.end()??, "1\n");
    Ok(())
}

fn lost_rings_ring_again(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let mut bell = open()?;
    ring()?;
    ring()?;
    let inbox = Inbox::new(&[SIGIO])?;
    ask(&bell, 0)?;
    assert_eq!(error_of(bell.read(&mut [0; 10])), Some(Errno::INVAL));
    assert_eq!(error_of(bell.read(&mut [])), Some(Errno::INVAL));
    assert_eq!(inbox.take()?, None);
    // Others may have looked meanwhile. So they are told.
    assert_eq!(read_to_bad_address(&bell, 11), Err(Errno::FAULT));
    assert_eq!(inbox.take_all()?.len(), 1);
    assert_eq!(Edge::of(b"x").read(&bell, 11), Err(Errno::FAULT));
    assert_eq!(inbox.take_all()?.len(), 1);
    let mut text = [0; 11];
    assert_eq!(bell.read(&mut text)?, 2);
    assert_eq!(&text[..2], b"2\n");
    Ok(())
}

/// `SIGIO` says neither what has happened nor where.
fn tells_who_has_asked(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let bell = open()?;
    ask(&bell, 0)?;
    assert_eq!(inbox.take()?, None);
    ring()?;
    let notice = inbox.take()?.context("a signal")?;
    assert_eq!((notice.signal, notice.code), (SIGIO, SI_KERNEL));
    assert_eq!(inbox.take()?, None);
    // Of several one is kept.
    for _ in 0..3 {
        ring()?;
    }
    assert_eq!(inbox.take_all()?.len(), 1);
    // Whoever rings.
    let mut child = Command::new("sh");
    child.args(["-c", &format!("echo >{PATH}")]).status()?;
    assert_eq!(inbox.take_all()?.len(), 1);
    (&bell).write_all(b"x")?;
    assert_eq!(inbox.take_all()?.len(), 1);
    Ok(())
}

/// One has to say who is told, and that somebody is. A signal would end the child.
fn tells_nobody_else(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let mut child = sleeper(open()?, 0)?;
    let inbox = Inbox::new(&[SIGIO])?;
    let (neither, owned, flagged) = (open()?, open()?, open()?);
    set_owner(&owned, Owner::Process(getpid()))?;
    set_async(&flagged, true)?;
    // As a flag of open(2) it does nothing.
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_ASYNC).open(PATH)?;
    set_owner(&opened, Owner::Process(getpid()))?;
    ring()?;
    assert_eq!(inbox.take()?, None);

    let bell = open()?;
    ask(&bell, 0)?;
    ring()?;
    assert_eq!(inbox.take_all()?.len(), 1);
    child.kill()?;
    // The first signal that ends it is the one that counts.
    assert_eq!(child.wait()?.signal(), Some(libc::SIGKILL));
    drop((neither, owned, flagged, opened));
    Ok(())
}

fn tells_no_more_when_asked_not_to(vm: &mut Vm) -> Result {
    const FIOASYNC: u32 = 0x5452;
    let _module = vm.load("rust_fasync")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let bell = open()?;
    ask(&bell, 0)?;
    for _ in 0..3 {
        ring()?;
        assert_eq!(inbox.take_all()?.len(), 1);
        set_async(&bell, false)?;
        ring()?;
        assert_eq!(inbox.take()?, None);
        set_async(&bell, true)?;
    }
    // The other way to say it; twice is once.
    let say = |on: i32| ioctl(&bell, FIOASYNC, Argument::Buffer(&mut on.to_ne_bytes()));
    for (on, count) in [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)] {
        assert_eq!(say(on), Ok(0));
        ring()?;
        assert_eq!(inbox.take_all()?.len(), count);
    }
    // Nobody is told of a file without an owner.
    set_async(&bell, true)?;
    set_owner(&bell, Owner::Nobody)?;
    ring()?;
    assert_eq!(inbox.take()?, None);

    // Closing it ends it.
    set_owner(&bell, Owner::Process(getpid()))?;
    ring()?;
    assert_eq!(inbox.take_all()?.len(), 1);
    drop(bell);
    ring()?;
    assert_eq!(inbox.take()?, None);
    Ok(())
}

/// A signal that one has chosen says where, and what poll(2) would say.
fn tells_of_each_ring_and_where(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal, libc::SIGUSR2])?;
    let bell = open()?;
    for signal in [signal, libc::SIGUSR2] {
        ask(&bell, signal)?;
        ring()?;
        let expected = Notice {
            signal,
            code: POLL_IN,
            fd: bell.as_raw_fd(),
            band: u32::from(READABLE.bits()),
        };
        assert_eq!(inbox.take_all()?, [expected]);
    }
    ask(&bell, signal)?;
    for _ in 0..10 {
        ring()?;
    }
    assert_eq!(inbox.take_all()?.len(), 10);
    Ok(())
}

fn tells_both_who_have_it_open(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal])?;
    let (one, two) = (open()?, open()?);
    ask(&one, signal)?;
    ask(&two, signal)?;
    let told = || -> Result<Vec<i32>> {
        ring()?;
        let mut fds: Vec<_> = inbox.take_all()?.iter().map(|it| it.fd).collect();
        fds.sort_unstable();
        Ok(fds)
    };
    let mut both = [one.as_raw_fd(), two.as_raw_fd()];
    both.sort_unstable();
    assert_eq!(told()?, both);
    set_async(&one, false)?;
    assert_eq!(told()?, [two.as_raw_fd()]);
    set_async(&one, true)?;
    drop(two);
    assert_eq!(told()?, [one.as_raw_fd()]);
    drop(one);
    assert!(told()?.is_empty());
    Ok(())
}

fn tells_a_group_or_another_process(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let bell = open()?;
    let mut child = sleeper(open()?, 0)?;
    let mut bystander = sleeper(open()?, 0)?;
    set_owner(&bell, Owner::Process(id_of(&child)))?;
    set_async(&bell, true)?;
    ring()?;
    assert_eq!(child.wait()?.signal(), Some(SIGIO));
    // It is gone, and its number is nobody's.
    ring()?;

    let mut one = sleeper(open()?, 0)?;
    let mut two = sleeper(open()?, one.id() as i32)?;
    set_owner(&bell, Owner::Group(id_of(&one)))?;
    ring()?;
    for member in [&mut one, &mut two] {
        assert_eq!(member.wait()?.signal(), Some(SIGIO));
    }
    bystander.kill()?;
    assert_eq!(bystander.wait()?.signal(), Some(libc::SIGKILL));
    Ok(())
}

/// It goes on until the last is closed, and tells of the descriptor that was used to ask.
fn a_copy_of_a_descriptor_is_the_same_file(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal])?;
    let bell = open()?;
    let copy = bell.try_clone()?;
    ask(&bell, signal)?;
    let number = bell.as_raw_fd();
    drop(bell);
    ring()?;
    let notices = inbox.take_all()?;
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].fd, number);
    set_async(&copy, false)?;
    ring()?;
    assert_eq!(inbox.take()?, None);
    set_async(&copy, true)?;
    ring()?;
    assert_eq!(inbox.take_all()?[0].fd, copy.as_raw_fd());
    drop(copy);
    ring()?;
    assert_eq!(inbox.take()?, None);
    Ok(())
}

/// The owner is told as long as anybody has the file, and nobody else is.
fn a_child_has_the_same_file(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_fasync")?;
    let bell = open()?;
    let mut child = sleeper(bell.try_clone()?, 0)?;
    let inbox = Inbox::new(&[SIGIO])?;
    ask(&bell, 0)?;
    drop(bell);
    ring()?;
    assert_eq!(inbox.take_all()?.len(), 1);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    child.kill()?;
    assert_eq!(child.wait()?.signal(), Some(libc::SIGKILL));
    ring()?;
    assert_eq!(inbox.take()?, None);
    module.unload()
}

fn poll_is_told_too(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let bell = open()?;
    ask(&bell, 0)?;
    assert_eq!(polled(&bell)?, WRITABLE);
    let same = bell.try_clone()?;
    let waiter = Waiter::begin_in(POLL, move || poll_for(&same, PollFlags::IN))?;
    let set = epoll_set(&bell)?;
    assert_eq!(epolled(&set)?, None);
    waiter.sleeps()?;
    ring()?;
    assert_eq!(waiter.end()??, PollFlags::IN);
    assert_eq!(epolled(&set)?, Some(EventFlags::IN));
    assert_eq!(polled(&bell)?, WRITABLE | READABLE);
    assert_eq!(inbox.take_all()?.len(), 1);
    assert_eq!((&bell).read(&mut [0; 11])?, 2);
    assert_eq!(polled(&bell)?, WRITABLE);
    Ok(())
}

fn keeps_the_module_while_open(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_fasync")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let bell = open()?;
    ask(&bell, 0)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    ring()?;
    assert_eq!(inbox.take_all()?.len(), 1);
    drop(bell);
    module.unload()
}

fn the_program_is_told(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_fasync")?;
    let mut program = Command::new("doorbell");
    program.arg("3").stdout(Stdio::piped());
    let mut child = program.spawn()?;
    let mut output = child.stdout.take().context("its output")?;
    let mut text = vec![0; "Listening.\n".len()];
    output.read_exact(&mut text)?;
    for _ in 0..3 {
        ring()?;
    }
    assert!(child.wait()?.success());
    let mut text = String::new();
    output.read_to_string(&mut text)?;
    let rings = text.lines().map(|line| -> Result<u32> {
        let count = line.strip_prefix("The bell has rung: ").context("a line")?;
        Ok(count.parse::<u32>()?)
    });
    assert_eq!(rings.sum::<Result<u32>>()?, 3);
    let usage = Command::new("doorbell").arg("often").output()?;
    assert_eq!(usage.stdout, b"Usage: doorbell [number of rings]\n");
    assert!(!usage.status.success());
    Ok(())
}

fn many_come_and_go_while_it_rings(vm: &mut Vm) -> Result {
    let module = vm.load("rust_fasync")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal])?;
    let rounds = vm.fewer(500);
    let done = AtomicBool::new(false);
    thread::scope(|scope| -> Result {
        let ringing = scope.spawn(|| -> Result {
            while !done.load(SeqCst) {
                ring()?;
            }
            Ok(())
        });
        let result = on_threads(4, |number| {
            for round in 0..rounds {
                let bell = open()?;
                ask(&bell, if number % 2 == 0 { signal } else { 0 })?;
                let copy = bell.try_clone()?;
                if round % 3 == 0 {
                    set_async(&copy, false)?;
                    set_async(&bell, true)?;
                }
                drop(bell);
                if round % 2 == 0 {
                    set_owner(&copy, Owner::Nobody)?;
                }
            }
            Ok(())
        });
        done.store(true, SeqCst);
        ringing.join().expect("it does not panic")?;
        result.map(drop)
    })?;
    inbox.take_all()?;
    ring()?;
    assert_eq!(inbox.take()?, None);
    module.unload()
}

fn nothing_is_left(vm: &mut Vm) -> Result {
    let inbox = Inbox::new(&[SIGIO])?;
    vm.rounds(|vm| {
        let module = vm.load("rust_fasync")?;
        let (one, two) = (open()?, open()?);
        ask(&one, 0)?;
        ask(&two, 0)?;
        ring()?;
        assert_eq!(inbox.take_all()?.len(), 1);
        drop((one, two));
        module.unload()
    })
}
