// SPDX-License-Identifier: GPL-2.0-only

use crate::{polling::*, prelude::*};
use rustix::{
    buffer::spare_capacity,
    event::{PollFlags, Timespec, epoll},
    ioctl::opcode,
};
use std::{process::Command, sync::Arc};

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /dev/char_dev",
        "echo Hello from a shell >/dev/char_dev",
        "cat /dev/char_dev",
        "userspace_ioctl",
        "cat /dev/char_dev",
    ],
    tests: tests![
        makes_its_node,
        says_what_is_done_to_it,
        makes_its_node_when_its_number_is_taken,
        keeps_a_message,
        reads_in_pieces_and_from_anywhere,
        takes_eighty_bytes,
        a_nul_ends_a_string,
        forgets_the_longer_message,
        says_when_the_buffer_is_bad,
        looks_no_further_than_a_string_goes,
        sets_and_gets_by_ioctl,
        refuses_bytes_that_are_not_there,
        refuses_what_it_does_not_know,
        polls,
        polls_with_epoll,
        each_message_is_read_from_its_beginning,
        polls_with_select,
        wakes_every_poller,
        is_open_to_all,
        belongs_to_the_children_too,
        keeps_the_module_while_open,
        a_hundred_threads_see_whole_messages,
        serves_the_user_program,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/dev/char_dev";

const SET_MSG: u32 = opcode::write::<*const u8>(100, 0);
const GET_MSG: u32 = opcode::read::<*const u8>(100, 1);
const GET_NTH_BYTE: u32 = opcode::read_write::<i32>(100, 2);

fn open() -> Result<File> {
    Ok(read_write(PATH)?)
}

/// The whole message, wherever the file is.
fn message(file: &File) -> Result<Vec<u8>> {
    let mut buffer = [0; 100];
    let read = file.read_at(&mut buffer, 0)?;
    Ok(buffer[..read].to_vec())
}

fn set(file: &File, text: &[u8]) -> Result<usize, Errno> {
    let mut buffer = [text, b"\0"].concat();
    ioctl(file, SET_MSG, Argument::Buffer(&mut buffer))
}

fn makes_its_node(vm: &mut Vm) -> Result {
    let module = vm.load("chardev2")?;
    let created = (6, "Device created on /dev/char_dev");
    assert_eq!(vm.log().said("chardev2")?, [created]);
    let node = fs::metadata(PATH)?;
    assert!(node.file_type().is_char_device());
    assert_eq!(node.mode() & 0o7777, 0o600);
    assert_eq!(rustix::fs::major(node.rdev()), 100);
    assert!(fs::read_to_string("/proc/devices")?.contains("100 char_dev\n"));
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    assert!(!fs::read_to_string("/proc/devices")?.contains("char_dev"));
    Ok(())
}

/// The book's module fails.
fn makes_its_node_when_its_number_is_taken(vm: &mut Vm) -> Result {
    let first = Module::load_renamed("chardev2", "chardev3", &[("char_dev", "char_dex")])?;
    let major = |path| anyhow::Ok(rustix::fs::major(fs::metadata(path)?.rdev()));
    assert_eq!(major("/dev/char_dex")?, 100);
    let second = vm.load("chardev2")?;
    let other = major(PATH)?;
    assert!(other != 100 && other != 0, "{other}");
    // Each has its message; the numbers of the ioctls stay as they are.
    set(&open()?, b"second")?;
    assert_eq!(fs::read("/dev/char_dex")?, b"");
    assert_eq!(fs::read(PATH)?, b"second");
    second.unload()?;
    first.unload()
}

/// Reads `name(a,b)` with as many arguments as there are in it, of which the
/// first `pointers` are such as C prints them.
fn arguments(line: &Line, name: &str, pointers: usize) -> Result<Vec<String>> {
    let inner = line.text.strip_prefix(name).context(line.text.clone())?;
    let inner = inner.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    let arguments = inner.context(line.text.clone())?.split(',');
    let arguments: Vec<_> = arguments.map(str::to_owned).collect();
    for pointer in &arguments[..pointers] {
        let digits = pointer.len() == 16 && pointer.bytes().all(|it| it.is_ascii_hexdigit());
        // What there is to say until the kernel has random numbers for a hash.
        assert!(digits || pointer == "(____ptrval____)", "{line:?}");
    }
    assert_eq!(line.level, 6);
    Ok(arguments)
}

fn says_what_is_done_to_it(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    (&file).write_all(b"Hello")?;
    set(&file, b"Hello")?;
    // The book's module offers 99 bytes to itself, whatever there is.
    let mut buffer = [0; 100];
    ioctl(&file, GET_MSG, Argument::Buffer(&mut buffer))?;
    message(&file)?;
    message(&file)?;
    assert_eq!(file.read_at(&mut buffer, 5)?, 0);
    drop(file);
    drop(open()?);

    let said = vm.log().said("chardev2")?;
    let opened = arguments(&said[1], "device_open", 1)?;
    let wrote = arguments(&said[2], "device_write", 2)?;
    let set = arguments(&said[3], "device_write", 2)?;
    let released = arguments(&said[7], "device_release", 2)?;
    assert_eq!((opened.len(), released.len()), (1, 2));
    assert_eq!(wrote[2..], ["5"]);
    // The string's NUL counts.
    assert_eq!(set[2..], ["6"]);
    let read = [
        (6, "Read 5 bytes, 94 left"),
        (6, "Read 5 bytes, 95 left"),
        (6, "Read 5 bytes, 95 left"),
    ];
    assert_eq!(said[4..7], read);

    // One file, always the same node, two buffers.
    for file in [&wrote[0], &set[0], &released[1]] {
        assert_eq!(*file, opened[0]);
    }
    assert_eq!(arguments(&said[9], "device_release", 2)?[0], released[0]);
    assert_eq!(said.len(), 10);
    let hides = !vm.shows_pointers()?;
    for pointer in opened
        .iter()
        .chain(&wrote[..2])
        .chain(&set[..2])
        .chain(&released)
    {
        // Hashed: it does not tell where in memory the kernel is, but on a
        // kernel that says of itself that it does.
        let hidden = pointer.starts_with("00000000") || pointer == "(____ptrval____)";
        assert!(hidden || !hides, "{pointer}");
    }
    if !hides {
        assert!(opened[0].starts_with("ffff"), "{opened:?}");
        assert!(!wrote[1].starts_with("ffff"), "{wrote:?}");
    }
    Ok(())
}

fn keeps_a_message(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    assert_eq!(fs::read(PATH)?, b"");
    fs::write(PATH, "Hello\n")?;
    assert_eq!(fs::read(PATH)?, b"Hello\n");
    assert_eq!(fs::read(PATH)?, b"Hello\n");
    vm.log().expect("Read 6 bytes, ")?;
    assert_eq!(vm.log().count("Read ")?, 2);

    let file = open()?;
    assert_eq!((&file).write(b"")?, 0);
    assert_eq!(message(&file)?, b"Hello\n");
    // A message may contain any byte.
    assert_eq!((&file).write(b"a\0b")?, 3);
    assert_eq!(message(&file)?, b"a\0b");
    Ok(())
}

fn reads_in_pieces_and_from_anywhere(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    fs::write(PATH, "0123456789")?;
    let mut file = open()?;
    let mut buffer = [0xaa; 16];
    assert_eq!(file.read(&mut buffer[..0])?, 0);
    assert_eq!(file.read(&mut buffer[..4])?, 4);
    assert_eq!(&buffer[..6], b"0123\xaa\xaa");
    assert_eq!(file.read(&mut buffer)?, 6);
    assert_eq!(file.read(&mut buffer)?, 0);
    assert_eq!(file.read_at(&mut buffer, 7)?, 3);
    for beyond in [10, 80, 5000, i64::MAX as u64 - 16] {
        assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{beyond}");
    }
    assert_eq!(file.seek(SeekFrom::End(-2))?, 8);
    assert_eq!(file.read(&mut buffer)?, 2);
    assert_eq!(&buffer[..2], b"89");
    assert!(file.seek(SeekFrom::End(-11)).is_err());
    Ok(())
}

fn takes_eighty_bytes(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    assert_eq!((&file).write(&[b'x'; 100])?, 80);
    assert_eq!(message(&file)?, [b'x'; 80]);
    set(&file, &[b'y'; 100])?;
    assert_eq!(message(&file)?, [b'y'; 80]);
    // The book's module hands out what lies behind its buffer, too.
    let mut buffer = [0xaa; 100];
    ioctl(&file, GET_MSG, Argument::Buffer(&mut buffer))?;
    assert_eq!(buffer[..80], [b'y'; 80]);
    assert_eq!(buffer[80..], [[0].as_slice(), &[0xaa; 19]].concat());
    assert_eq!(
        ioctl(&file, GET_NTH_BYTE, Argument::Number(79))?,
        usize::from(b'y')
    );
    assert_eq!(ioctl(&file, GET_NTH_BYTE, Argument::Number(80))?, 0);
    Ok(())
}

/// As in the book: by write(2), too.
fn a_nul_ends_a_string(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    assert_eq!((&file).write(b"abc\0")?, 4);
    assert_eq!(message(&file)?, b"abc");
    assert_eq!((&file).write(b"a\0\0")?, 3);
    assert_eq!(message(&file)?, b"a\0");
    assert_eq!((&file).write(b"\0")?, 1);
    assert_eq!(message(&file)?, b"");
    Ok(())
}

/// The book's module keeps the end of a longer message.
fn forgets_the_longer_message(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    fs::write(PATH, "a long message")?;
    fs::write(PATH, "short")?;
    assert_eq!(fs::read(PATH)?, b"short");
    let file = open()?;
    set(&file, b"tiny")?;
    assert_eq!(fs::read(PATH)?, b"tiny");
    set(&file, b"")?;
    assert_eq!(fs::read(PATH)?, b"");
    Ok(())
}

/// The book's module takes no notice, and keeps what was not there.
fn says_when_the_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    set(&file, b"kept")?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    for request in [SET_MSG, GET_MSG] {
        for bad in [
            Argument::BadAddress,
            Argument::KernelAddress,
            Argument::None,
        ] {
            assert_eq!(ioctl(&file, request, bad), Err(Errno::FAULT), "{request:x}");
        }
    }
    assert_eq!(message(&file)?, b"kept");
    Ok(())
}

fn looks_no_further_than_a_string_goes(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    let set = |edge: &Edge| ioctl(&file, SET_MSG, edge.argument());
    // The last byte of memory is the string's NUL, or of a longer one the last
    // that is taken.
    assert_eq!(set(&Edge::of(b"string\0"))?, 0);
    assert_eq!(message(&file)?, b"string");
    assert_eq!(set(&Edge::of(&[b'x'; 80]))?, 0);
    assert_eq!(message(&file)?, [b'x'; 80]);

    for runs_on in [b"".as_slice(), b"string", &[b'y'; 79]] {
        assert_eq!(set(&Edge::of(runs_on)), Err(Errno::FAULT));
    }
    assert_eq!(Edge::of(b"string").write(&file, 7), Err(Errno::FAULT));
    assert_eq!(message(&file)?, [b'x'; 80]);

    // What is got needs no more memory than it fills.
    (&file).write_all(b"string")?;
    let edge = Edge::of(&[0xaa; 7]);
    assert_eq!(ioctl(&file, GET_MSG, edge.argument())?, 0);
    assert_eq!(edge.bytes(), b"string\0");
    for short in [0, 3, 6] {
        let edge = Edge::of(&vec![0xaa; short]);
        assert_eq!(ioctl(&file, GET_MSG, edge.argument()), Err(Errno::FAULT));
    }
    assert_eq!(Edge::of(&[0xaa; 6]).read(&file, 7)?, 6);
    Ok(())
}

fn sets_and_gets_by_ioctl(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    assert_eq!(set(&file, b"by ioctl")?, 0);
    assert_eq!(fs::read(PATH)?, b"by ioctl");
    let mut buffer = [0xaa; 12];
    assert_eq!(ioctl(&file, GET_MSG, Argument::Buffer(&mut buffer))?, 0);
    assert_eq!(&buffer, b"by ioctl\0\xaa\xaa\xaa");
    for (n, byte) in b"by ioctl\0".iter().enumerate() {
        let nth = ioctl(&file, GET_NTH_BYTE, Argument::Number(n))?;
        assert_eq!(nth, usize::from(*byte), "{n}");
    }
    // The book's returns bytes above 127 as error numbers.
    set(&file, b"\xf0")?;
    assert_eq!(ioctl(&file, GET_NTH_BYTE, Argument::Number(0))?, 0xf0);
    Ok(())
}

/// The book's module reads any kernel memory, and oopses where there is none.
fn refuses_bytes_that_are_not_there(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    for n in [81, 5000, 1 << 31, usize::MAX, usize::MAX / 2] {
        let nth = ioctl(&file, GET_NTH_BYTE, Argument::Number(n));
        assert_eq!(nth, Err(Errno::INVAL), "{n}");
    }
    Ok(())
}

/// The book's module says that it did what it does not know.
fn refuses_what_it_does_not_know(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    let others = [
        opcode::none(100, 3),
        opcode::write::<i32>(100, 0),
        opcode::read::<*const u8>(101, 1),
        0,
        u32::MAX,
    ];
    for request in others {
        let answer = ioctl(&file, request, Argument::None);
        assert_eq!(answer, Err(Errno::NOTTY), "{request:x}");
    }
    Ok(())
}

fn polls(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let (one, two) = (open()?, open()?);
    // No message yet.
    assert_eq!(polled(&one)?, WRITABLE);
    // A new message is news to each, until it has read all of it.
    set(&one, b"news")?;
    for file in [&one, &two] {
        assert_eq!(polled(file)?, READABLE | WRITABLE);
    }
    assert_eq!(one.read_at(&mut [0; 3], 0)?, 3);
    assert_eq!(polled(&one)?, READABLE | WRITABLE);
    assert_eq!(message(&one)?, b"news");
    assert_eq!(polled(&one)?, WRITABLE);
    assert_eq!(polled(&two)?, READABLE | WRITABLE);
    (&two).write_all(b"more")?;
    assert_eq!(polled(&one)?, READABLE | WRITABLE);
    // Who has got it by ioctl has read it.
    ioctl(&one, GET_MSG, Argument::Buffer(&mut [0; 100]))?;
    assert_eq!(polled(&one)?, WRITABLE);
    // Who opens it later has not.
    assert_eq!(polled(open()?)?, READABLE | WRITABLE);
    Ok(())
}

/// Who polls and reads in turn gets each message as it was written.
fn each_message_is_read_from_its_beginning(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let (writer, mut reader) = (open()?, open()?);
    let mut buffer = [0; 100];
    for text in ["first", "second", "3rd", "a longer one", "", "b"] {
        set(&writer, text.as_bytes())?;
        assert_eq!(polled(&reader)?, READABLE | WRITABLE);
        let len = reader.read(&mut buffer)?;
        assert_eq!(&buffer[..len], text.as_bytes());
        assert_eq!(polled(&reader)?, WRITABLE, "{text}");
        assert_eq!(reader.read(&mut buffer)?, 0);
    }
    // What is left of a message that was replaced is lost.
    set(&writer, b"half of it")?;
    assert_eq!(reader.read(&mut buffer[..4])?, 4);
    set(&writer, b"another")?;
    let len = reader.read(&mut buffer)?;
    assert_eq!(&buffer[..len], b"another");
    // Other positions count in the latest one.
    reader.seek(SeekFrom::Start(2))?;
    set(&writer, b"0123")?;
    let len = reader.read(&mut buffer)?;
    assert_eq!(&buffer[..len], b"23");
    // A write of nothing is no message.
    assert_eq!((&writer).write(b"")?, 0);
    assert_eq!(polled(&reader)?, WRITABLE);
    Ok(())
}

fn polls_with_select(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = Arc::new(open()?);
    select(&*file, Select::Write)?;
    let same = file.clone();
    let wait = move || select(&*same, Select::Read);
    let waiter = Waiter::begin_in(SELECT, wait)?;
    waiter.sleeps()?;
    set(&file, b"news")?;
    waiter.end()??;
    Ok(())
}

const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// What is ready in `set`, at once or when there is something.
fn ready_in(set: impl AsFd, patience: Option<&Timespec>) -> Result<Vec<u64>> {
    let mut events = Vec::with_capacity(4);
    epoll::wait(&set, spare_capacity(&mut events), patience)?;
    let mut ready: Vec<_> = events.iter().map(|event| event.data.u64()).collect();
    ready.sort_unstable();
    Ok(ready)
}

fn polls_with_epoll(vm: &mut Vm) -> Result {
    let mut module = vm.load("chardev2")?;
    let (one, two) = (open()?, open()?);
    let set_of = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
    for (n, file) in [(1, &one), (2, &two)] {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&*set_of, file, epoll::EventData::new_u64(n), flags)?;
    }
    assert!(ready_in(&*set_of, Some(&AT_ONCE))?.is_empty());
    set(&one, b"news")?;
    assert_eq!(ready_in(&*set_of, None)?, [1, 2]);
    // Edge-triggered: once for each message.
    assert!(ready_in(&*set_of, Some(&AT_ONCE))?.is_empty());
    message(&one)?;
    message(&two)?;
    let same = set_of.clone();
    let waiter = Waiter::begin_in(EPOLL, move || ready_in(&*same, None))?;
    set(&two, b"more")?;
    assert!(!waiter.end()??.is_empty());
    // What is in the set is open all the same; closing it takes it out.
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop((one, two));
    module.unload()?;
    assert!(ready_in(&*set_of, Some(&AT_ONCE))?.is_empty());
    Ok(())
}

fn wakes_every_poller(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let mut pollers = Vec::new();
    for _ in 0..20 {
        let file = open()?;
        let wait = move || poll_for(&file, PollFlags::IN);
        pollers.push(Waiter::begin_in(POLL, wait)?);
    }
    fs::write(PATH, "now")?;
    for poller in pollers {
        assert_eq!(poller.end()??, PollFlags::IN);
    }
    Ok(())
}

/// The book's module lets one ioctl in at a time, and refuses the others.
fn is_open_to_all(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let (one, two) = (open()?, open()?);
    set(&one, b"from one")?;
    assert_eq!(message(&two)?, b"from one");
    let files = [one, two];
    let hammer = |n| -> Result {
        for _ in 0..500 {
            set(&files[n as usize], b"x")?;
        }
        Ok(())
    };
    on_threads(2, hammer).map(drop)
}

fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    vm.log().mark()?;
    let status = Command::new("sh")
        .args(["-c", "echo from a child"])
        .stdout(file.try_clone()?)
        .status()?;
    assert!(status.success());
    assert_eq!(message(&file)?, b"from a child\n");
    assert_eq!(vm.log().count("device_release")?, 0);
    drop(file);
    assert_eq!(vm.log().count("device_release")?, 1);
    Ok(())
}

/// The book's module has no owner: see chardev.
fn keeps_the_module_while_open(vm: &mut Vm) -> Result {
    let mut module = vm.load("chardev2")?;
    let file = open()?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(file);
    module.unload()
}

fn a_hundred_threads_see_whole_messages(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let file = open()?;
    set(&file, &[b'a'; 80])?;
    let hammer = |n| -> Result {
        let text = [b'a' + (n % 26) as u8; 80];
        for round in 0..20 {
            match round % 3 {
                0 => set(&file, &text).map(drop)?,
                1 => (&file).write_all(&text)?,
                _ => drop(open()?),
            }
            let seen = message(&file)?;
            assert_eq!(seen, [seen[0]; 80]);
            let mut buffer = [0; 81];
            ioctl(&file, GET_MSG, Argument::Buffer(&mut buffer))?;
            assert_eq!(buffer[..80], [buffer[0]; 80]);
        }
        Ok(())
    };
    on_threads(100, hammer).map(drop)
}

fn serves_the_user_program(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev2")?;
    let said = vm.sh("userspace_ioctl")?;
    let message = "Message passed by ioctl\n";
    let expected = format!("get_nth_byte message:{message}get_msg message:{message}");
    assert_eq!(said, expected);
    assert_eq!(fs::read_to_string(PATH)?, message);
    Ok(())
}
