// SPDX-License-Identifier: GPL-2.0-only

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use rustix::{
    event::{
        PollFlags,
        epoll::{self, EventFlags},
    },
    fs::{Mode, OFlags},
    process::{Signal, getpid, kill_process},
};

use crate::{arch::OPEN, polling::*, prelude::*};
use signals::{Reaction, handled, react};

pub const EXAMPLE: Example = Example {
    demo: &[
        "echo hello >/proc/sleep",
        "cat /proc/sleep",
        "exec 3</proc/sleep; cat_nonblock /proc/sleep; test $? = 1",
        "(exec 3</proc/sleep; sleep 2; echo I am done) & sleep 1; cat /proc/sleep",
    ],
    tests: tests![
        tells_its_last_input,
        takes_as_much_as_it_keeps,
        short_reads_lose_nothing,
        a_reader_that_stops_early_disturbs_nobody,
        bad_addresses_are_errors,
        empty_reads_and_writes,
        who_does_not_want_to_wait_is_told,
        cat_nonblock_does_not_wait,
        one_at_a_time_gets_in,
        many_open_and_close_at_once,
        is_open_until_the_last_close,
        a_handled_signal_ends_the_wait,
        a_restarted_wait_uses_no_cpu,
        other_signals_do_not_wake,
        a_waiter_can_be_killed,
        poll_says_when_there_is_input,
        each_input_is_read_from_its_beginning,
        select_says_when_there_is_input,
        epoll_says_when_there_is_input,
        unloading_ends_waits_for_a_turn,
        unloading_ends_poll,
        unloading_ends_select,
        unloading_ends_epoll,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/proc/sleep";

/// One that is quick enough not to be in anybody's way.
fn contents() -> Result<String> {
    Ok(fs::read_to_string(PATH)?)
}

type Opened = std::result::Result<File, Errno>;

/// Opens the file for reading and writing. Not as the standard library does,
/// which tries again after a signal.
fn open(flags: OFlags) -> Opened {
    rustix::fs::open(PATH, OFlags::RDWR | OFlags::CLOEXEC | flags, Mode::empty()).map(File::from)
}

/// Begins a thread that opens the file, and waits until it waits for its turn. It
/// alone takes `USR1`, when the test has blocked that.
fn opener() -> Result<Waiter<Opened>> {
    Waiter::begin_in(OPEN, || {
        let _mask = signals::unblock(Signal::USR1);
        open(OFlags::empty())
    })
}

fn tells_its_last_input(vm: &mut Vm) -> Result {
    let module = vm.load("sleep")?;
    let created = (6, "/proc/sleep created");
    assert_eq!(vm.log().said("sleep")?, [created]);
    let metadata = fs::metadata(PATH)?;
    assert_eq!(metadata.mode() & 0o7777, 0o644);
    assert_eq!((metadata.uid(), metadata.gid()), (0, 0));
    // Said, not true: as in the book.
    assert_eq!(metadata.size(), 80);

    assert_eq!(contents()?, "Last input:\n");
    fs::write(PATH, "one")?;
    assert_eq!(contents()?, "Last input:one\n");
    fs::write(PATH, "two\n")?;
    assert_eq!(contents()?, "Last input:two\n\n");

    // Input does not move the position of who reads, too.
    let mut file = open(OFlags::empty())?;
    file.write_all(b"three")?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    assert_eq!(text, "Last input:three\n");
    drop(file);

    module.unload()?;
    assert!(!Path::new(PATH).exists());
    let removed = (7, "/proc/sleep removed");
    let rest = if vm.prints_debug()? {
        &[removed][..]
    } else {
        &[]
    };
    assert_eq!(vm.log().said("sleep")?[1..], *rest);
    Ok(())
}

fn takes_as_much_as_it_keeps(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let long = [b'x'; 200];
    assert_eq!(open(OFlags::empty())?.write(&long)?, 79);
    assert_eq!(contents()?, format!("Last input:{}\n", "x".repeat(79)));
    assert_eq!(open(OFlags::empty())?.write(&long[..79])?, 79);
    assert_eq!(contents()?.len(), 91);
    Ok(())
}

/// The book's read says "end of file" after its first answer, however short
/// that was.
fn short_reads_lose_nothing(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    fs::write(PATH, "hello")?;
    let mut file = File::open(PATH)?;
    let mut text = Vec::new();
    let mut byte = [0];
    while file.read(&mut byte)? == 1 {
        text.push(byte[0]);
    }
    assert_eq!(text, b"Last input:hello\n");
    assert_eq!(file.read(&mut byte)?, 0);

    let mut part = [0; 5];
    assert_eq!(file.read_at(&mut part, 11)?, 5);
    assert_eq!(&part, b"hello");
    assert_eq!(file.read_at(&mut part, 16)?, 1);
    assert_eq!(file.read_at(&mut part, 17)?, 0);
    assert_eq!(file.read_at(&mut part, i64::MAX as u64 - 5)?, 0);
    file.seek(SeekFrom::Start(0))?;
    assert_eq!(file.read(&mut part)?, 5);
    Ok(())
}

/// The book's "I have answered" is a static variable: the next one to open the
/// file is told that there is nothing.
fn a_reader_that_stops_early_disturbs_nobody(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    assert_eq!(File::open(PATH)?.read(&mut [0; 4])?, 4);
    assert_eq!(contents()?, "Last input:\n");
    assert_eq!(File::open(PATH)?.read(&mut [0; 64])?, 12);
    assert_eq!(contents()?, "Last input:\n");
    Ok(())
}

/// The book's functions ignore what `put_user` and `get_user` return.
fn bad_addresses_are_errors(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    fs::write(PATH, "kept")?;
    let file = open(OFlags::empty())?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(Edge::of(b"only this").write(&file, 10), Err(Errno::FAULT));
    drop(file);
    assert_eq!(contents()?, "Last input:kept\n");
    Ok(())
}

fn empty_reads_and_writes(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let mut file = open(OFlags::empty())?;
    file.write_all(b"something")?;
    assert_eq!(file.read(&mut [])?, 0);
    assert_eq!(file.write(&[])?, 0);
    assert_eq!(ioctl(&file, 0, Argument::None), Err(Errno::NOTTY));
    drop(file);
    assert_eq!(contents()?, "Last input:something\n");
    Ok(())
}

fn who_does_not_want_to_wait_is_told(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let file = open(OFlags::NONBLOCK)?;
    for _ in 0..3 {
        assert_eq!(open(OFlags::NONBLOCK).err(), Some(Errno::AGAIN));
    }
    drop(file);
    open(OFlags::NONBLOCK)?;
    Ok(())
}

fn cat_nonblock_does_not_wait(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let run = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let output = Command::new("cat_nonblock").args(arguments).output()?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    fs::write(PATH, "hello")?;
    assert_eq!(run(&[PATH])?, (Some(0), "Last input:hello\n".to_owned()));

    let says = |text: &str| (Some(1), format!("{text}\n"));
    let file = File::open(PATH)?;
    assert_eq!(run(&[PATH])?, says("Open would block"));
    drop(file);
    assert_eq!(run(&["/nowhere"])?, says("Open failed"));
    assert_eq!(run(&["/proc"])?, says("Another read error"));
    let usage = "Usage: cat_nonblock <filename>\n\
                 Reads the content of a file, but doesn't wait for input";
    assert_eq!(run(&[])?, says(usage));
    assert_eq!(run(&["a", "b"])?, says(usage));

    // A pipe with a writer who has not written anything.
    let pipe = "/tmp/sleep-pipe";
    vm.sh(&format!("mkfifo {pipe}"))?;
    let writer = read_write(pipe);
    fs::remove_file(pipe)?;
    let writer = writer?;
    let path = format!("/proc/{}/fd/{}", getpid(), writer.as_raw_fd());
    let text = "Normally I'd block, but you told me not to";
    assert_eq!(run(&[&path])?, says(text));
    Ok(())
}

/// How many have the file open that came by `take_turn`.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

fn take_turn(stay: Duration) -> Result {
    let file = open(OFlags::empty())?;
    let others = INSIDE.fetch_add(1, SeqCst);
    thread::sleep(stay);
    INSIDE.fetch_sub(1, SeqCst);
    drop(file);
    ensure!(others == 0, "{others} others are inside");
    Ok(())
}

fn one_at_a_time_gets_in(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let file = open(OFlags::empty())?;
    let mut waiters = Vec::new();
    for _ in 0..5 {
        let stay = Duration::from_millis(20);
        waiters.push(Waiter::begin_in(OPEN, move || take_turn(stay))?);
    }
    drop(file);
    for waiter in waiters {
        waiter.end()??;
    }
    open(OFlags::NONBLOCK)?;
    Ok(())
}

fn many_open_and_close_at_once(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    // Each close wakes all who wait.
    let turns = vm.fewer(20);
    let rounds = move || -> Result {
        for _ in 0..turns {
            take_turn(Duration::ZERO)?;
            let mut file = open(OFlags::empty())?;
            file.write_all(b"mine")?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            ensure!(text == "Last input:mine\n", "{text}");
            if let Err(error) = open(OFlags::NONBLOCK) {
                ensure!(error == Errno::AGAIN, "{error}");
            }
        }
        Ok(())
    };
    let threads: Vec<_> = (0..100).map(|_| Waiter::begin(rounds)).collect();
    for thread in threads {
        thread.end()??;
    }
    open(OFlags::NONBLOCK)?;
    Ok(())
}

fn is_open_until_the_last_close(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let is_taken = || open(OFlags::NONBLOCK).err() == Some(Errno::AGAIN);
    let file = open(OFlags::empty())?;
    let same = file.try_clone()?;
    // A process that has inherited it.
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(file.try_clone()?)
        .spawn()?;
    drop(file);
    assert!(is_taken());
    drop(same);
    assert!(is_taken());
    drop(child.stdin.take());
    child.wait()?;
    assert!(!is_taken());
    Ok(())
}

/// The book's open sees only the signals of a thread, not those of a process,
/// which `kill(2)` sends: it spins until the file is closed.
fn a_handled_signal_ends_the_wait(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let _file = open(OFlags::empty())?;
    let before = handled();
    let waiter = opener()?;
    waiter.sleeps()?;
    kill_process(getpid(), Signal::USR1)?;
    assert_eq!(waiter.end()?.err(), Some(Errno::INTR));
    assert_eq!(handled(), before + 1);
    Ok(())
}

fn a_restarted_wait_uses_no_cpu(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let _reacting = react(Signal::USR1, Reaction::CountAndRestart)?;
    let _mask = signals::block(Signal::USR1)?;
    let file = open(OFlags::empty())?;
    let before = handled();
    let waiter = opener()?;
    for count in 1..=3 {
        kill_process(getpid(), Signal::USR1)?;
        eventually("the handler", || handled() == before + count)?;
        waiter.is_in(OPEN)?;
        waiter.sleeps()?;
    }
    drop(file);
    waiter.end()??;
    Ok(())
}

fn other_signals_do_not_wake(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let _reacting = react(Signal::USR1, Reaction::Ignore)?;
    let _reacting_too = react(Signal::USR2, Reaction::Count)?;
    let mask = signals::block(Signal::USR2)?;
    let file = open(OFlags::empty())?;
    let waiter = opener()?;
    kill_process(getpid(), Signal::USR1)?;
    kill_process(getpid(), Signal::USR2)?;
    waiter.sleeps()?;
    drop(file);
    waiter.end()??;
    // What was sent comes now, and not when it kills.
    drop(mask);
    Ok(())
}

fn a_waiter_can_be_killed(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let file = open(OFlags::empty())?;
    let mut child = Command::new("cat")
        .arg(PATH)
        .stdout(Stdio::null())
        .spawn()?;
    process_is_in(child.id(), OPEN)?;
    child.kill()?;
    assert_eq!(child.wait()?.to_string(), "signal: 9 (SIGKILL)");

    // It has not taken anybody's turn with it.
    let waiter = opener()?;
    drop(file);
    waiter.end()??;
    open(OFlags::NONBLOCK)?;
    Ok(())
}

fn poll_says_when_there_is_input(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let file = Arc::new(open(OFlags::empty())?);
    assert_eq!(polled(&file)?, WRITABLE);

    let poller = |file: &Arc<File>| {
        let file = file.clone();
        Waiter::begin_in(POLL, move || poll_for(&file, PollFlags::IN))
    };
    let waiter = poller(&file)?;
    waiter.sleeps()?;
    (&*file).write_all(b"new")?;
    assert_eq!(waiter.end()??, PollFlags::IN);

    // Until it was read to its end.
    assert_eq!(polled(&file)?, WRITABLE | READABLE);
    file.read_at(&mut [0; 4], 0)?;
    assert_eq!(polled(&file)?, WRITABLE | READABLE);
    file.read_at(&mut [0; 64], 4)?;
    assert_eq!(polled(&file)?, WRITABLE);

    // From whomever it comes, and for all who wait.
    let waiters = [poller(&file)?, poller(&file)?, poller(&file)?];
    let mut child = Command::new("echo")
        .arg("news")
        .stdout(file.try_clone()?)
        .spawn()?;
    for waiter in waiters {
        assert_eq!(waiter.end()??, PollFlags::IN);
    }
    child.wait()?;
    let mut text = [0; 17];
    file.read_exact_at(&mut text, 0)?;
    assert_eq!(&text, b"Last input:news\n\n");

    // Who opens it anew has read nothing yet.
    drop(file);
    let file = open(OFlags::empty())?;
    assert_eq!(polled(&file)?, WRITABLE | READABLE);
    Ok(())
}

fn each_input_is_read_from_its_beginning(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let mut file = open(OFlags::empty())?;
    let mut buffer = [0; 100];
    for text in ["first", "second", "3rd", "a longer one"] {
        file.write_all(text.as_bytes())?;
        assert_eq!(polled(&file)?, WRITABLE | READABLE);
        let len = file.read(&mut buffer)?;
        assert_eq!(&buffer[..len], format!("Last input:{text}\n").as_bytes());
        assert_eq!(polled(&file)?, WRITABLE, "{text}");
        assert_eq!(file.read(&mut buffer)?, 0);
    }
    Ok(())
}

fn select_says_when_there_is_input(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let file = Arc::new(open(OFlags::empty())?);
    select(&file, Select::Write)?;
    let same = file.clone();
    let waiter = Waiter::begin_in(SELECT, move || select(&same, Select::Read))?;
    waiter.sleeps()?;
    (&*file).write_all(b"new")?;
    waiter.end()??;
    Ok(())
}

fn epoll_says_when_there_is_input(vm: &mut Vm) -> Result {
    let _module = vm.load("sleep")?;
    let file = open(OFlags::empty())?;
    let set = epoll_set(&file)?;
    assert_eq!(epolled(&set)?, None);
    let same = set.clone();
    let waiter = Waiter::begin_in(EPOLL, move || epoll_for(&same))?;
    waiter.sleeps()?;
    (&file).write_all(b"new")?;
    assert_eq!(waiter.end()??, EventFlags::IN);

    file.read_at(&mut [0; 64], 0)?;
    assert_eq!(epolled(&set)?, None);
    (&file).write_all(b"news")?;
    assert_eq!(epolled(&set)?, Some(EventFlags::IN));
    Ok(())
}

/// The book's module can be unloaded only when nobody waits any more: rmmod
/// hangs until then.
fn unloading_ends_waits_for_a_turn(vm: &mut Vm) -> Result {
    let module = vm.load("sleep")?;
    let mut file = open(OFlags::empty())?;
    let waiters = [opener()?, opener()?, opener()?];
    module.unload()?;
    for waiter in waiters {
        assert_eq!(waiter.end()?.err(), Some(Errno::NODEV));
    }
    assert_eq!(error_of(file.read(&mut [0; 4])), Some(Errno::IO));
    assert!(!Path::new(PATH).exists());
    Ok(())
}

fn unloading_ends_poll(vm: &mut Vm) -> Result {
    let module = vm.load("sleep")?;
    let file = Arc::new(open(OFlags::empty())?);
    // Who waits for input, for nothing, and for what never comes.
    let mut waiters = Vec::new();
    for events in [PollFlags::IN, PollFlags::empty(), PollFlags::PRI] {
        let file = file.clone();
        let wait = move || poll_for(&file, events);
        waiters.push(Waiter::begin_in(POLL, wait)?);
    }
    module.unload()?;
    for waiter in waiters {
        let events = waiter.end()??;
        assert!(
            events.contains(PollFlags::ERR | PollFlags::HUP),
            "{events:?}"
        );
    }
    assert_eq!(polled(&file)?, READABLE | WRITABLE);
    Ok(())
}

fn unloading_ends_select(vm: &mut Vm) -> Result {
    let module = vm.load("sleep")?;
    let file = Arc::new(open(OFlags::empty())?);
    let mut waiters = Vec::new();
    for what in [Select::Read, Select::Except] {
        let file = file.clone();
        waiters.push(Waiter::begin_in(SELECT, move || select(&file, what))?);
    }
    module.unload()?;
    for waiter in waiters {
        waiter.end()??;
    }
    Ok(())
}

fn unloading_ends_epoll(vm: &mut Vm) -> Result {
    let module = vm.load("sleep")?;
    let file = open(OFlags::empty())?;
    let sets = [epoll_set(&file)?, epoll_set(&file)?];
    // A set in a set.
    let outer = epoll_set(&sets[0])?;
    let done = Arc::new(AtomicBool::new(false));
    let waiter = {
        let (outer, done) = (outer.clone(), done.clone());
        Waiter::begin_in(EPOLL, move || {
            let event = epoll_for(&outer);
            done.store(true, SeqCst);
            event
        })?
    };
    assert!(!done.load(SeqCst));
    module.unload()?;
    assert_eq!(waiter.end()??, EventFlags::IN);

    // What is gone counts as ready. The sets can be used and closed still.
    let event = epolled(&sets[1])?.context("an event")?;
    assert!(event.contains(EventFlags::IN), "{event:?}");
    epoll::delete(&*sets[1], &file)?;
    epoll::add(
        &*sets[1],
        &file,
        epoll::EventData::new_u64(2),
        EventFlags::IN,
    )?;
    drop(file);
    assert_eq!(epolled(&sets[0])?, None);
    drop((outer, sets));

    vm.load("sleep")?.unload()
}
