// SPDX-License-Identifier: GPL-2.0-only

use std::io::{IoSlice, IoSliceMut};

use rustix::event::PollFlags;

use crate::{polling::*, prelude::*};

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_minor_number_has_its_own_data,
        a_major_number_that_is_taken_is_not_taken_twice,
        what_cannot_be_is_refused,
        names_that_are_taken_are_refused,
        a_node_that_is_there_stays,
        nodes_are_where_they_were_put,
        bytes_come_and_go_in_pieces,
        bytes_come_and_go_through_pipes,
        a_lie_is_cut_short,
        a_misc_device_has_private_data,
        a_misc_device_is_waited_for,
        a_misc_device_is_flushed_and_synced,
        a_misc_device_is_sought_in,
        an_open_misc_device_outlives_its_node,
        a_misc_device_keeps_the_module,
    ],
    ..Example::EMPTY
};

const CONTROL: &str = "/proc/devices-control";
const DRUM: &str = "/dev/devices-drum";

fn drum() -> Result<File> {
    Ok(read_write(DRUM)?)
}

fn each_minor_number_has_its_own_data(vm: &mut Vm) -> Result {
    let module = vm.load("devices")?;
    let mut majors = Vec::new();
    for minor in 0..3 {
        let path = format!("/dev/devices-minor{minor}");
        let number = fs::metadata(&path)?.rdev();
        assert_eq!(rustix::fs::minor(number), minor);
        majors.push(rustix::fs::major(number));
        assert_eq!(fs::read_to_string(&path)?, minor.to_string());
        assert!(Path::new(&format!("/sys/class/devices-minor/devices-minor{minor}")).exists());
    }
    assert_eq!(majors, [majors[0]; 3]);
    assert!(!Path::new("/dev/devices-minor3").exists());
    assert!(!Path::new("/dev/devices-minor").exists());

    // A number of the range that has no device, by a node made by hand.
    let file_type = rustix::fs::FileType::CharacterDevice;
    let number = rustix::fs::makedev(majors[0], 3);
    let path = "/tmp/devices-minor3";
    fs::create_dir_all("/tmp")?;
    rustix::fs::mknodat(rustix::fs::CWD, path, file_type, 0o600.into(), number)?;
    let opened = File::open(path);
    fs::remove_file(path)?;
    assert_eq!(error_of(opened), Some(Errno::NXIO));
    module.unload()?;
    assert_eq!(vm.log().count("is gone")?, 8);
    Ok(())
}

fn a_major_number_that_is_taken_is_not_taken_twice(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    let major = |path| anyhow::Ok(rustix::fs::major(fs::metadata(path)?.rdev()));
    assert_eq!(major("/dev/devices-first")?, 100);
    let other = major("/dev/devices-second")?;
    assert!(other != 100 && other != 0, "{other}");
    assert_eq!(fs::read_to_string("/dev/devices-first")?, "7");
    assert_eq!(fs::read_to_string("/dev/devices-second")?, "8");
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    fs::write(CONTROL, "bad")?;
    for n in 0..4 {
        assert!(!Path::new(&format!("/dev/refused{n}")).exists());
    }
    assert!(!Path::new("/sys/class/refused").exists());
    assert!(!fs::read_to_string("/proc/devices")?.contains("refused"));
    Ok(())
}

fn names_that_are_taken_are_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    let devices = fs::read_to_string("/proc/devices")?;
    let misc = fs::read_to_string("/proc/misc")?;
    fs::write(CONTROL, "taken")?;
    for path in ["/class/mem", "/devices/virtual/misc/devices-drum"] {
        let trouble = format!("cannot create duplicate filename '{path}'");
        vm.log().expect_trouble(&trouble)?;
    }
    vm.log().expect_trouble("kobject_add_internal failed for")?;
    // Nothing is left of what was refused, or taken from who has the name.
    assert_eq!(fs::read_to_string("/proc/devices")?, devices);
    assert_eq!(fs::read_to_string("/proc/misc")?, misc);
    assert_eq!(vm.log().count("9 is gone")?, 1);
    assert!(Path::new("/sys/class/mem/null").exists());
    assert_eq!(drum()?.write(b"beat")?, 4);
    Ok(())
}

/// The kernel makes no node where one is, and says nothing.
fn a_node_that_is_there_stays(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    let node = || anyhow::Ok(fs::metadata("/dev/zero")?.rdev());
    let before = node()?;
    fs::write(CONTROL, "zero")?;
    let line = vm.log().expect("another zero: ")?;
    assert!(!line.ends_with(&format!(": {}", rustix::fs::major(before))));
    assert_eq!(node()?, before);
    assert!(!Path::new("/sys/class/zero").exists());
    Ok(())
}

fn nodes_are_where_they_were_put(vm: &mut Vm) -> Result {
    let module = vm.load("devices")?;
    let longest = format!("/dev/{}", "x".repeat(255));
    let nodes = [
        ("/dev/devices-drum", 0o600),
        ("/dev/devices-first", 0o600),
        ("/dev/devices/below/number0", 0o444),
        ("/dev/devices/below/number1", 0o444),
        ("/dev/devices/store", 0o640),
        ("/dev/devices-liar", 0o600),
        (longest.as_str(), 0o600),
    ];
    for (path, mode) in nodes {
        let node = fs::metadata(path).with_context(|| path.to_string())?;
        assert!(node.file_type().is_char_device(), "{path}");
        assert_eq!(node.mode() & 0o7777, mode, "{path}");
    }
    assert_eq!(fs::read_to_string("/dev/devices/below/number1")?, "1");
    assert!(Path::new("/sys/class/devices-below/devices!below!number1").exists());
    assert!(Path::new("/sys/class/misc/devices-store").exists());
    let liar = fs::metadata("/dev/devices-liar")?.rdev();
    let numbers = (rustix::fs::major(liar), rustix::fs::minor(liar));
    assert_eq!(numbers, (10, 123));

    module.unload()?;
    for (path, _) in nodes {
        assert!(!Path::new(path).exists(), "{path}");
    }
    assert!(!Path::new("/dev/devices").exists());
    Ok(())
}

const STORE: &str = "/dev/devices/store";

/// How an address is shown that is none.
const NULL: &str = "at 0000000000000000";

/// One `writev(2)` is one write, and one `readv(2)` one read.
fn bytes_come_and_go_in_pieces(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    let mut store = read_write(STORE)?;
    let pieces = [&[0x34][..], &[], &[0x12], b"-one ", b"two"].map(IoSlice::new);
    assert_eq!(store.write_vectored(&pieces)?, 10);
    let given = vm.log().expect("given 10 at ")?;
    assert!(!given.ends_with(NULL), "{given}");
    vm.log().expect("the number is 4660")?;
    let (mut one, mut two) = ([b'.'; 3], [b'.'; 5]);
    let mut room = [&mut one[..], &mut [], &mut two].map(IoSliceMut::new);
    assert_eq!(store.read_vectored(&mut room)?, 7);
    vm.log().expect("asked for 8")?;
    assert_eq!((&one, &two), (b"one", b" two."));
    assert_eq!(store.read(&mut one)?, 0);

    // There are fewer bytes than the module reads, or not all can be read. None is taken.
    assert_eq!(error_of(store.write(b"a")), Some(Errno::FAULT));
    vm.log().expect("devices: 1 are left")?;
    assert_eq!(error_of(store.write(b"ab")), Some(Errno::FAULT));
    assert_eq!(Edge::of(b"a").write(&store, 5), Err(Errno::FAULT));
    vm.log().expect("devices: 5 are left")?;
    assert_eq!(store.write(b"abc")?, 3);
    store.seek(SeekFrom::Start(0))?;
    assert_eq!(store.read(&mut one)?, 0);
    Ok(())
}

/// With these, the bytes are in the kernel's memory.
fn bytes_come_and_go_through_pipes(vm: &mut Vm) -> Result {
    use rustix::{
        fs::sendfile,
        pipe::{SpliceFlags, pipe, splice},
    };

    let _module = vm.load("devices")?;
    let (outlet, inlet) = pipe()?;
    let (mut outlet, mut inlet) = (File::from(outlet), File::from(inlet));
    let copy = "/tmp/devices-copy";
    fs::create_dir_all("/tmp")?;

    let store = read_write(STORE)?;
    let flags = SpliceFlags::empty();
    inlet.write_all(b"\x01\x00-a pipe")?;
    assert_eq!(splice(&outlet, None, &store, None, 100, flags)?, 9);
    let given = vm.log().expect("given 9 at ")?;
    assert!(given.ends_with(NULL), "{given}");
    assert_eq!(fs::read(STORE)?, b"a pipe");
    assert_eq!(splice(&store, Some(&mut 2), &inlet, None, 100, flags)?, 4);
    let mut bytes = [0; 16];
    assert_eq!(outlet.read(&mut bytes)?, 4);
    assert_eq!(&bytes[..4], b"pipe");

    fs::write(copy, b"\x02\x00-a file")?;
    assert_eq!(sendfile(&store, File::open(copy)?, None, 100)?, 9);
    assert_eq!(fs::read(STORE)?, b"a file");
    for (from, text) in [(STORE, "a file"), (CONTROL, "under control")] {
        let from = File::open(from)?;
        assert_eq!(sendfile(File::create(copy)?, from, None, 100)?, text.len());
        assert_eq!(fs::read_to_string(copy)?, text);
    }
    fs::remove_file(copy)?;
    Ok(())
}

/// Nobody gets bytes that were not written, such as those of a page that nobody cleared.
fn a_lie_is_cut_short(vm: &mut Vm) -> Result {
    use rustix::pipe::{SpliceFlags, pipe, splice};

    let _module = vm.load("devices")?;
    let mut liar = read_write("/dev/devices-liar")?;
    let mut bytes = [b'.'; 8];
    assert_eq!(liar.read(&mut bytes)?, 3);
    assert_eq!(&bytes, b"lie.....");
    assert_eq!(liar.write(b"12345")?, 5);
    let (outlet, inlet) = pipe()?;
    let spliced = splice(&liar, None, &inlet, None, 4096, SpliceFlags::empty())?;
    assert_eq!(spliced, 3);
    let mut outlet = File::from(outlet);
    assert_eq!(outlet.read(&mut bytes)?, 3);
    Ok(())
}

fn a_misc_device_has_private_data(vm: &mut Vm) -> Result {
    let module = vm.load("devices")?;
    let (mut one, mut two) = (drum()?, drum()?);
    one.write_all(b"beat")?;
    two.write_all(b"beat")?;
    assert_eq!(one.read(&mut [0; 8])?, 2);
    one.write_all(b"beat")?;
    assert_eq!(one.read(&mut [0; 8])?, 1);
    assert_eq!(one.read(&mut [0; 8])?, 0);
    assert_eq!(two.read(&mut [0; 8])?, 3);
    two.write_all(b"beat")?;
    assert_eq!(read_to_bad_address(&one, 4), Err(Errno::FAULT));
    drop(two);
    drop(one);

    // Of an opening that is refused nothing is left.
    let mut nonblocking = OpenOptions::new();
    nonblocking.read(true).custom_flags(libc::O_NONBLOCK);
    assert_eq!(error_of(nonblocking.open(DRUM)), Some(Errno::BUSY));
    module.unload()?;
    let mut texts = vm.log().texts("devices")?;
    texts.retain(|text| text != "flushed");
    let expected = [
        "closed after 3",
        "heard 3",
        "closed after 4",
        "heard 4",
        "the drum is gone",
    ];
    assert_eq!(texts[..5], expected);
    Ok(())
}

fn a_misc_device_is_waited_for(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    let (mut listener, mut drummer) = (drum()?, drum()?);
    assert_eq!(polled(&listener)?, PollFlags::empty());
    let same = listener.try_clone()?;
    let waiter = Waiter::begin_in(POLL, move || poll_for(&same, PollFlags::IN))?;
    drummer.write_all(b"beat")?;
    assert_eq!(waiter.end()??, PollFlags::IN);
    assert_eq!(polled(&listener)?, READABLE);
    assert_eq!(listener.read(&mut [0; 8])?, 1);
    assert_eq!(polled(&listener)?, PollFlags::empty());
    let asked = PollFlags::IN | PollFlags::PRI | PollFlags::RDHUP;
    for events in [PollFlags::IN, PollFlags::PRI, PollFlags::RDHUP] {
        drummer.write_all(b"beat")?;
        assert_eq!(poll_for(&listener, asked)?, events);
    }
    Ok(())
}

/// Each descriptor is flushed when it is closed, and the file is released with the last.
fn a_misc_device_is_flushed_and_synced(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    let mut file = drum()?;
    rustix::fs::fsync(&file)?;
    vm.log().expect("synced, data only: false")?;
    rustix::fs::fdatasync(&file)?;
    vm.log().expect("synced, data only: true")?;
    drop(file.try_clone()?);
    vm.log().expect("flushed")?;
    assert_eq!(vm.log().count("closed after")?, 0);

    // One who has not heard all beats. Without a signal nothing begins again.
    file.write_all(b"beat")?;
    assert_eq!(rustix::fs::fsync(&file), Err(Errno::INTR));
    let closing = vm.sh(&format!("dd if=/dev/zero of={DRUM} bs=1 count=1"));
    let error = closing.unwrap_err().to_string();
    assert!(error.contains("out of domain"), "{error}");
    vm.log().expect("closed after 0")?;
    // A shell and `dd` have more than one descriptor of it.
    assert!(vm.log().count("flushed")? > 1);

    let numbered = File::open("/dev/devices-first")?;
    assert_eq!(rustix::fs::fsync(&numbered), Err(Errno::INVAL));
    Ok(())
}

fn a_misc_device_is_sought_in(vm: &mut Vm) -> Result {
    let _module = vm.load("devices")?;
    let mut file = drum()?;
    assert_eq!(file.seek(SeekFrom::End(-1))?, 99);
    assert_eq!(file.seek(SeekFrom::Current(-9))?, 90);
    assert_eq!(file.seek(SeekFrom::Start(7))?, 7);
    for bad in [SeekFrom::End(-101), SeekFrom::Current(-8)] {
        assert_eq!(error_of(file.seek(bad)), Some(Errno::INVAL));
    }
    assert_eq!(file.stream_position()?, 7);
    Ok(())
}

fn an_open_misc_device_outlives_its_node(vm: &mut Vm) -> Result {
    let mut module = vm.load("devices")?;
    let mut file = drum()?;
    fs::write(CONTROL, "drop")?;
    assert!(!Path::new(DRUM).exists());
    assert!(!fs::read_to_string("/proc/misc")?.contains("devices-drum"));
    file.write_all(b"beat")?;
    assert_eq!(file.read(&mut [0; 8])?, 1);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(vm.log().count("the drum is gone")?, 0);
    drop(file);
    assert_eq!(vm.log().count("the drum is gone")?, 1);
    module.unload()
}

fn a_misc_device_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("devices")?;
    let file = drum()?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(file);
    module.unload()
}
