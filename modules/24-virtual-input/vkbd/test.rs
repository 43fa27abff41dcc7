// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use rustix::event::PollFlags;

use crate::{polling::*, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &[
        "echo vkbd >/sys/class/vinput/export",
        "ls -l /dev/vinput0",
        "tail -n 12 /proc/bus/input/devices",
        "echo +34 >/dev/vinput0",
        "cat /dev/vinput0",
        "echo -34 >/dev/vinput0",
        "cat /dev/vinput0",
        "rmmod vinput || true",
        "echo 0 >/sys/class/vinput/unexport",
    ],
    tests: tests![
        the_guides_commands_work,
        a_key_is_pressed_and_released,
        keys_are_those_of_the_guide,
        a_held_key_repeats,
        a_key_goes_down_once,
        the_last_key_is_read_back,
        what_is_no_key_is_refused,
        a_long_text_is_refused,
        bad_addresses_are_errors,
        a_type_has_just_its_name,
        numbers_are_those_of_devices,
        each_device_has_its_own_map,
        there_are_32_devices,
        who_has_it_open_finds_it_gone,
        a_reader_is_woken_when_it_goes,
        unloading_takes_the_devices_away,
        modules_go_in_their_order,
        vkbd_needs_vinput,
        unloading_while_many_write,
        devices_come_and_go,
    ],
    ..Example::EMPTY
};

const EXPORT: &str = "/sys/class/vinput/export";
const UNEXPORT: &str = "/sys/class/vinput/unexport";
const DEVICE: &str = "/dev/vinput0";

/// Codes of `linux/input-event-codes.h`.
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const EV_REP: u16 = 20;
const KEY_G: u16 = 34;
const KEY_MAX: u16 = 0x2ff;

/// Commands of `linux/input.h`, for `unsigned int[2]`, and for 96 bytes.
const EVIOCSREP: u32 = 0x4008_4503;
const EVIOCGKEYCODE: u32 = 0x8008_4504;
const EVIOCSKEYCODE: u32 = 0x4008_4504;
const EVIOCGBIT_KEY: u32 = 0x8060_4521;

/// A `struct input_event` without its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Event {
    kind: u16,
    code: u16,
    value: i32,
}

/// The size of one.
const SIZE: usize = 24;

/// The events of pressing or releasing a key.
fn report(code: u16, value: i32) -> [Event; 2] {
    let kind = EV_KEY;
    let key = Event { kind, code, value };
    let sync = Event {
        kind: EV_SYN,
        code: 0,
        value: 0,
    };
    [key, sync]
}

/// What there is to read of a file that does not wait, but for how keys repeat.
fn events(mut file: &File) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut buffer = [0; 16 * SIZE];
    loop {
        let len = match file.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        assert_eq!(len % SIZE, 0);
        events.extend(buffer[..len].chunks(SIZE).map(event));
    }
    events.retain(|event| event.kind != EV_REP);
    Ok(events)
}

/// The event that these bytes are.
fn event(bytes: &[u8]) -> Event {
    let number = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    Event {
        kind: number(16),
        code: number(18),
        value: i32::from_ne_bytes(bytes[20..24].try_into().unwrap()),
    }
}

/// The number and the path of the event device that `vinputN` has.
fn event_device(device: &str) -> Result<String> {
    for name in names("/sys/class/input")? {
        let uniq = format!("/sys/class/input/{name}/device/uniq");
        let is_it = |text: String| text.trim_end() == device;
        if name.starts_with("event") && fs::read_to_string(uniq).is_ok_and(is_it) {
            return Ok(format!("/dev/input/{name}"));
        }
    }
    bail!("no event device belongs to {device}")
}

/// Opens the event device of `vinputN`. It does not wait, and keys do not repeat.
fn open_events(device: &str) -> Result<File> {
    let path = event_device(device)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut never = [i32::MAX, i32::MAX].map(i32::to_ne_bytes).concat();
    ioctl(&file, EVIOCSREP, Argument::Buffer(&mut never))?;
    Ok(file)
}

/// Loads both modules and exports a keyboard.
fn load(vm: &mut Vm) -> Result<Module> {
    let module = vm.load("vkbd")?;
    fs::write(EXPORT, "vkbd\n")?;
    Ok(module)
}

/// What `write(2)` says to `text`.
fn write(mut file: &File, text: &str) -> std::result::Result<usize, Errno> {
    let written = file.write(text.as_bytes());
    written.map_err(|error| Errno::from_io_error(&error).unwrap())
}

fn the_guides_commands_work(vm: &mut Vm) -> Result {
    let module = vm.load("vkbd")?;
    vm.log()
        .expect("vinput: registered new virtual input device 'vkbd'")?;
    assert_eq!(
        vm.sh("echo \"vkbd\" | tee /sys/class/vinput/export")?,
        "vkbd\n"
    );
    vm.log()
        .expect("vinput: vinput0: Registered virtual input vkbd 0")?;
    assert!(fs::metadata(DEVICE)?.file_type().is_char_device());
    assert!(Path::new("/sys/class/vinput/vinput0").exists());
    assert_eq!(vm.sh("echo \"+34\" | tee /dev/vinput0")?, "+34\n");
    assert_eq!(vm.sh("echo \"-34\" | tee /dev/vinput0")?, "-34\n");
    let said = vm.log().said("vkbd")?;
    let expected = [
        info("Event VINPUT_PRESS code 34"),
        info("Event VINPUT_RELEASE code 34"),
    ];
    assert_eq!(said, expected);

    let devices = fs::read_to_string("/proc/bus/input/devices")?;
    let blocks = devices.split("\n\n");
    let block = blocks.clone().find(|it| it.contains("Name=\"vkbd\""));
    let block = block.context(devices.clone())?;
    for line in [
        "I: Bus=0006 Vendor=0000 Product=0000 Version=0000",
        "P: Phys=vinput",
        "U: Uniq=vinput0",
    ] {
        assert!(block.lines().any(|it| it == line), "no {line} in {block}");
    }

    vm.sh("echo \"0\" | tee /sys/class/vinput/unexport")?;
    assert!(!Path::new(DEVICE).exists());
    let devices = fs::read_to_string("/proc/bus/input/devices")?;
    assert!(!devices.contains("vkbd"), "{devices}");
    module.unload()?;
    vm.log()
        .expect("vinput: unregistered virtual input device 'vkbd'")?;
    vm.log().expect("vinput: Unloading virtual input driver")?;
    Ok(())
}

/// Whoever reads the event device sees each key, and the end of each report.
fn a_key_is_pressed_and_released(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let (one, two) = (open_events("vinput0")?, open_events("vinput0")?);
    let device = read_write(DEVICE)?;
    for code in [KEY_G, 1, 255, 256, KEY_MAX - 1] {
        assert_eq!(write(&device, &format!("+{code}\n")), Ok(code_len(code)));
        assert_eq!(write(&device, &format!("-{code}")), Ok(code_len(code) - 1));
        // A number without a sign is positive.
        write(&device, &format!("{code}"))?;
        write(&device, &format!("-{code}"))?;
        let once = [report(code, 1), report(code, 0)].concat();
        for file in [&one, &two] {
            assert_eq!(events(file)?, [&once[..], &once[..]].concat(), "{code}");
        }
    }
    Ok(())
}

/// How many bytes a code has, with a sign and a newline.
fn code_len(code: u16) -> usize {
    format!("+{code}\n").len()
}

/// All from 1 to 766.
fn keys_are_those_of_the_guide(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let file = open_events("vinput0")?;
    let mut bits = [0; 96];
    let len = ioctl(&file, EVIOCGBIT_KEY, Argument::Buffer(&mut bits))?;
    assert_eq!(len, bits.len());
    for code in 0..=KEY_MAX {
        let bit = (bits[usize::from(code / 8)] >> (code % 8)) & 1;
        assert_eq!(bit == 1, (1..KEY_MAX).contains(&code), "{code}");
    }
    Ok(())
}

/// As fast as the device does it that nobody has changed.
fn a_held_key_repeats(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(event_device("vinput0")?)?;
    fs::write(DEVICE, "+34")?;
    let repeated = Event {
        kind: EV_KEY,
        code: KEY_G,
        value: 2,
    };
    eventually("the key to repeat", || {
        events(&file).unwrap().contains(&repeated)
    })?;
    // Not after its release.
    fs::write(DEVICE, "-34")?;
    events(&file)?;
    thread::sleep(Duration::from_secs(1));
    assert_eq!(events(&file)?, []);
    Ok(())
}

/// The second time it is down already, or up.
fn a_key_goes_down_once(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let file = open_events("vinput0")?;
    for text in ["+34", "+34", "-34", "-34"] {
        fs::write(DEVICE, text)?;
    }
    let once = [report(KEY_G, 1), report(KEY_G, 0)].concat();
    assert_eq!(events(&file)?, once);
    Ok(())
}

/// The book's read says that it has read as much as it was asked for: what is beyond the
/// text comes from its stack.
fn the_last_key_is_read_back(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    assert_eq!(fs::read_to_string(DEVICE)?, "+0\n");
    let mut file = read_write(DEVICE)?;
    for (text, expected) in [("+34\n", "+34\n"), ("-34", "-34\n"), ("7", "+7\n")] {
        file.write_all(text.as_bytes())?;
        for size in [4, 100, 127, 128, 129, 4096] {
            let mut buffer = [0xaa; 4096];
            let len = file.read_at(&mut buffer[..size], 0)?;
            assert_eq!(&buffer[..len], expected.as_bytes(), "{size}");
            assert!(buffer[len..].iter().all(|byte| *byte == 0xaa), "{size}");
        }
        // In pieces, and from beyond the end.
        let mut two = [0; 2];
        assert_eq!(file.read_at(&mut two, 1)?, 2.min(expected.len() - 1));
        for at in [expected.len() as u64, 100, 128, i64::MAX as u64 - 10] {
            assert_eq!(file.read_at(&mut two, at)?, 0, "{at}");
        }
    }
    Ok(())
}

/// The book's reports key 0 for what is no number, and says that all is well. Of the lowest
/// number it computes the opposite, which there is not.
fn what_is_no_key_is_refused(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let file = open_events("vinput0")?;
    let device = read_write(DEVICE)?;
    write(&device, "+34")?;
    write(&device, "-34")?;
    events(&file)?;
    for text in [
        "",
        "\n",
        "+",
        "-",
        "x",
        "34x",
        "34 35",
        "+ 34",
        "+-34",
        "0x22",
        "0",
        "+0",
        "-0",
        "767",
        "768",
        "65570",
        "-65570",
        "4294967330",
        "9223372036854775807",
        "-9223372036854775807",
        "-9223372036854775808",
        "99999999999999999999",
    ] {
        assert_eq!(write(&device, text), Err(Errno::INVAL), "{text:?}");
    }
    assert_eq!(events(&file)?, []);
    assert_eq!(fs::read_to_string(DEVICE)?, "-34\n");
    assert_eq!(vm.log().count("vkbd: Event")?, 2);
    Ok(())
}

fn a_long_text_is_refused(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let device = read_write(DEVICE)?;
    let zeroes = |len: usize| format!("{}34", "0".repeat(len - 2));
    assert_eq!(write(&device, &zeroes(128)), Ok(128));
    assert_eq!(vm.log().count("Too long.")?, 0);
    for len in [129, 4096, 100_000] {
        assert_eq!(write(&device, &zeroes(len)), Err(Errno::INVAL), "{len}");
    }
    assert_eq!(vm.log().count("vinput: Too long. 128 bytes allowed")?, 3);
    Ok(())
}

fn bad_addresses_are_errors(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    fs::write(DEVICE, "+34")?;
    let file = read_write(DEVICE)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(Edge::of(b"-3").write(&file, 3), Err(Errno::FAULT));
    assert_eq!(fs::read_to_string(DEVICE)?, "+34\n");
    Ok(())
}

/// The book's takes whatever begins with the name.
fn a_type_has_just_its_name(vm: &mut Vm) -> Result {
    let _module = vm.load("vkbd")?;
    for text in [
        "vkb", "vkbd2", "vkbd 0", " vkbd", "vkbd\n\n", "VKBD", "vkbd\0",
    ] {
        let refused = fs::write(EXPORT, text);
        assert_eq!(error_of(refused), Some(Errno::NODEV), "{text:?}");
    }
    assert!(!Path::new(DEVICE).exists());
    fs::write(EXPORT, "vkbd")?;
    assert!(Path::new(DEVICE).exists());
    Ok(())
}

fn numbers_are_those_of_devices(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    for text in ["-1", "1", "32", "256", "4294967296", "9223372036854775807"] {
        let refused = fs::write(UNEXPORT, text);
        assert_eq!(error_of(refused), Some(Errno::NODEV), "{text:?}");
        vm.log()
            .expect(&format!("vinput: No such vinput device {text}"))?;
    }
    for text in ["x", "\n", "0 ", "0x0", "9223372036854775808"] {
        let refused = fs::write(UNEXPORT, text);
        assert_eq!(error_of(refused), Some(Errno::INVAL), "{text:?}");
    }
    assert!(Path::new(DEVICE).exists());
    fs::write(UNEXPORT, "0")?;
    assert!(!Path::new(DEVICE).exists());
    Ok(())
}

/// In the book's all devices have the same.
fn each_device_has_its_own_map(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    fs::write(EXPORT, "vkbd")?;
    let (one, two) = (open_events("vinput0")?, open_events("vinput1")?);
    let meaning = |file: &File, scan_code: u32| -> Result<u32> {
        let mut pair = [scan_code, 0].map(u32::to_ne_bytes).concat();
        ioctl(file, EVIOCGKEYCODE, Argument::Buffer(&mut pair))?;
        Ok(u32::from_ne_bytes(pair[4..].try_into()?))
    };
    for scan_code in [0, 34, u32::from(KEY_MAX) - 1] {
        assert_eq!(meaning(&one, scan_code)?, scan_code);
        assert_eq!(meaning(&two, scan_code)?, scan_code);
    }
    assert!(meaning(&one, KEY_MAX.into()).is_err());

    // Key 34 becomes another 35.
    let mut pair = [34, 35].map(u32::to_ne_bytes).concat();
    ioctl(&one, EVIOCSKEYCODE, Argument::Buffer(&mut pair))?;
    assert_eq!(meaning(&one, 34)?, 35);
    assert_eq!(meaning(&two, 34)?, 34);
    // The one device no longer has that key.
    assert_eq!(error_of(fs::write(DEVICE, "+34")), Some(Errno::INVAL));
    fs::write("/dev/vinput1", "+34")?;
    assert_eq!(events(&one)?, []);
    assert_eq!(events(&two)?, report(KEY_G, 1));
    // And one that is made later has it.
    fs::write(UNEXPORT, "0")?;
    fs::write(EXPORT, "vkbd")?;
    assert_eq!(meaning(&open_events("vinput0")?, 34)?, 34);
    Ok(())
}

/// When there are no more, none is lost.
fn there_are_32_devices(vm: &mut Vm) -> Result {
    let _module = vm.load("vkbd")?;
    for round in 0..3 {
        for number in 0..32 {
            fs::write(EXPORT, "vkbd")?;
            let path = format!("/dev/vinput{number}");
            assert_eq!(fs::read_to_string(path)?, "+0\n", "{round}");
        }
        for _ in 0..40 {
            let refused = fs::write(EXPORT, "vkbd");
            assert_eq!(error_of(refused), Some(Errno::NOBUFS), "{round}");
        }
        assert!(!Path::new("/dev/vinput32").exists());
        // The lowest number that is free is the next.
        for number in ["17", "5"] {
            fs::write(UNEXPORT, number)?;
        }
        for number in ["5", "17"] {
            let path = format!("/dev/vinput{number}");
            assert!(!Path::new(&path).exists());
            fs::write(EXPORT, "vkbd")?;
            assert!(Path::new(&path).exists());
        }
        for number in 0..32 {
            fs::write(UNEXPORT, number.to_string())?;
        }
    }
    Ok(())
}

/// The book's goes on with memory that was freed.
fn who_has_it_open_finds_it_gone(vm: &mut Vm) -> Result {
    let module = load(vm)?;
    let device = read_write(DEVICE)?;
    let keys = open_events("vinput0")?;
    write(&device, "+34")?;
    events(&keys)?;
    fs::write(UNEXPORT, "0")?;
    let gone = |device: &File| {
        let mut buffer = [0; 8];
        assert_eq!(error_of(device.read_at(&mut buffer, 0)), Some(Errno::NODEV));
        assert_eq!(write(device, "+35"), Err(Errno::NODEV));
        assert_eq!(error_of(events(&keys)), Some(Errno::NODEV));
    };
    gone(&device);
    // Another one of the same number is another one.
    fs::write(EXPORT, "vkbd")?;
    gone(&device);
    assert_eq!(fs::read_to_string(DEVICE)?, "+0\n");
    assert_eq!(vm.log().count("vkbd: Event")?, 1);
    drop((device, keys));
    module.unload()
}

fn a_reader_is_woken_when_it_goes(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let path = event_device("vinput0")?;
    let mut keys = File::open(&path)?;
    let reader = Waiter::begin(move || error_of(keys.read(&mut [0; SIZE])));
    reader.sleeps()?;
    let keys = File::open(&path)?;
    let poller = Waiter::begin_in(POLL, move || poll_for(&keys, PollFlags::IN))?;
    fs::write(UNEXPORT, "0")?;
    assert_eq!(reader.end()?, Some(Errno::NODEV));
    let said = poller.end()??;
    assert!(said.contains(PollFlags::HUP | PollFlags::ERR), "{said:?}");
    Ok(())
}

/// Also under who has them open. Then vinput itself stays.
fn unloading_takes_the_devices_away(vm: &mut Vm) -> Result {
    let mut vinput = vm.load("vinput")?;
    let vkbd = load(vm)?;
    fs::write(EXPORT, "vkbd")?;
    let device = read_write("/dev/vinput1")?;
    let keys = open_events("vinput1")?;
    write(&device, "+34")?;
    vkbd.unload()?;
    for path in [DEVICE, "/dev/vinput1", "/sys/class/vinput/vinput1"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
    assert_eq!(write(&device, "+35"), Err(Errno::NODEV));
    assert_eq!(error_of(events(&keys)), Some(Errno::NODEV));
    let refused = fs::write(EXPORT, "vkbd");
    assert_eq!(error_of(refused), Some(Errno::NODEV));

    assert_eq!(vinput.try_unload(), Err(Errno::WOULDBLOCK));
    // It can come again meanwhile.
    let vkbd = load(vm)?;
    assert_eq!(fs::read_to_string(DEVICE)?, "+0\n");
    assert_eq!(write(&device, "+35"), Err(Errno::NODEV));
    vkbd.unload()?;
    drop(device);
    vinput.unload()
}

fn modules_go_in_their_order(vm: &mut Vm) -> Result {
    assert_eq!(modinfo("vkbd")?.get("depends"), Some("vinput"));
    let mut vinput = vm.load("vinput")?;
    assert!(!Path::new("/sys/module/vinput/holders/vkbd").exists());
    let vkbd = vm.load("vkbd")?;
    assert!(Path::new("/sys/module/vinput/holders/vkbd").exists());
    assert_eq!(vinput.try_unload(), Err(Errno::WOULDBLOCK));
    fs::write(EXPORT, "vkbd")?;
    fs::write(DEVICE, "+34")?;
    vkbd.unload()?;
    vinput.unload()
}

fn vkbd_needs_vinput(vm: &mut Vm) -> Result {
    let error = Module::load_alone("vkbd", "").unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NOENT));
    vm.log()
        .expect("vkbd: Unknown symbol lkm_export_vinput (err -2)")?;
    Ok(())
}

/// No call comes to a module that is gone. What they write is no key, or the log would be
/// full of it.
fn unloading_while_many_write(vm: &mut Vm) -> Result {
    let vinput = vm.load("vinput")?;
    vm.many_rounds(10, |vm| {
        let vkbd = load(vm)?;
        let (writing, over) = (AtomicU32::new(0), AtomicBool::new(false));
        thread::scope(|scope| -> Result {
            let write = || write_until_it_is_gone(&writing, &over);
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
            let all_write = eventually("all to write", || writing.load(SeqCst) == 4);
            let unloaded = vkbd.unload();
            over.store(true, SeqCst);
            for thread in threads {
                let gone = thread.join().unwrap()?;
                assert!(gone || unloaded.is_err());
            }
            all_write.and(unloaded)
        })
    })?;
    vinput.unload()
}

/// Writes and reads until the device is gone, or it is over. Returns whether it is gone.
fn write_until_it_is_gone(writing: &AtomicU32, over: &AtomicBool) -> Result<bool> {
    let device = read_write(DEVICE)?;
    writing.fetch_add(1, SeqCst);
    loop {
        let last = over.load(SeqCst);
        match write(&device, "0") {
            Err(Errno::INVAL) => {}
            Err(Errno::NODEV) => return Ok(true),
            other => bail!("write: {other:?}"),
        }
        match device.read_at(&mut [0; 8], 0) {
            Ok(len) => ensure!(len == 3, "read {len}"),
            Err(error) => {
                let errno = Errno::from_io_error(&error);
                ensure!(errno == Some(Errno::NODEV), "read: {error}");
            }
        }
        if last {
            return Ok(false);
        }
    }
}

/// The kernel waits for all CPUs to have passed on, a few times for each device that goes. As
/// long as this exists it has them do that at once.
struct Expedited;

impl Expedited {
    const PATH: &str = "/sys/kernel/rcu_expedited";

    fn begin() -> Self {
        let _ = fs::write(Self::PATH, "1");
        Self
    }
}

impl Drop for Expedited {
    fn drop(&mut self) {
        let _ = fs::write(Self::PATH, "0");
    }
}

/// A thousand times, while others open, read and write what there is. In the book's a device
/// can be used before it is whole, and after it is gone.
fn devices_come_and_go(vm: &mut Vm) -> Result {
    // Where there is udev, it answers each device with work of its own.
    let rounds = match Path::new("/run/udev").exists() {
        true => 50,
        false => vm.fewer(1000),
    };
    let _expedited = Expedited::begin();
    let module = vm.load("vkbd")?;
    let (over, seen) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| -> Result {
        for n in 0..3 {
            let (over, seen) = (&over, &seen);
            scope.spawn(move || {
                while !over.load(SeqCst) {
                    if use_what_there_is(n) {
                        seen.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        let result = come_and_go(rounds, &seen);
        over.store(true, SeqCst);
        result
    })?;
    assert!(seen.into_inner() > 0, "nobody has used a device");
    assert!(!Path::new(DEVICE).exists());
    module.unload()
}

/// Exports and unexports so often. Now and then waits until somebody has used a device.
fn come_and_go(rounds: u32, seen: &AtomicU32) -> Result {
    for round in 0..rounds {
        fs::write(EXPORT, "vkbd").with_context(|| round.to_string())?;
        if round % 50 == 0 {
            let before = seen.load(SeqCst);
            eventually("somebody to use it", || seen.load(SeqCst) > before)?;
        }
        fs::write(UNEXPORT, "0").with_context(|| round.to_string())?;
    }
    Ok(())
}

/// Uses the device, if there is one, in one of three ways. Returns whether it did. The kernel
/// may answer what it likes, but it has to answer.
fn use_what_there_is(way: u32) -> bool {
    let Ok(mut device) = read_write(DEVICE) else {
        return false;
    };
    match way {
        // No key: a line in the log for each would be too much.
        0 => write(&device, "0") == Err(Errno::INVAL),
        1 => device.read(&mut [0; 100]).is_ok(),
        _ => {
            let keys = event_device("vinput0").and_then(|path| Ok(read_write(path)?));
            keys.is_ok_and(|mut keys| {
                // As if the keyboard had been pressed: user space can do that, too.
                let press = [&[0; 16][..], b"\x01\0\x22\0\x01\0\0\0"].concat();
                keys.write_all(&press).is_ok() && polled(&keys).is_ok()
            })
        }
    }
}
