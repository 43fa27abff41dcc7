// SPDX-License-Identifier: GPL-2.0-only

use std::sync::{
    atomic::{AtomicBool, Ordering::SeqCst},
    mpsc,
};

use rustix::thread::gettid;

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /dev/dht11",
        "echo 99 > /sys/module/dht11_sim/parameters/humidity",
        "cat /dev/dht11",
    ],
    tests: tests![
        says_what_the_sensor_measures,
        all_values,
        at_any_speed,
        tries_five_times,
        no_wrong_bit_goes_unnoticed,
        says_when_there_is_no_sensor,
        the_line_is_high_when_nobody_asks,
        a_reading_belongs_to_who_opened,
        many_ask_at_once,
        it_sleeps_while_it_asks,
        reads_in_pieces,
        says_when_a_buffer_is_bad,
        cannot_be_written,
        lines_that_cannot_be,
        the_line_is_held,
        makes_its_node_last,
        unloading_at_once,
    ],
    setup: Some(connect_the_sensor),
    ..Example::EMPTY
};

const PATH: &str = "/dev/dht11";
const SENSOR: &str = "/sys/module/dht11_sim/parameters";

fn connect_the_sensor(vm: &mut Vm) -> Result {
    vm.load("dht11-sim")?.keep();
    Ok(())
}

/// Makes the sensor what it was, and loads the module.
fn load(vm: &mut Vm) -> Result<Module> {
    for (param, value) in [
        ("humidity", 61),
        ("temperature", 30),
        ("rising", 0),
        ("silent", 0),
        ("wrong", 0),
        ("bit", 0),
        ("jitter", 0),
        ("step", 2000),
    ] {
        sensor(param, value)?;
    }
    vm.load("dht11")
}

/// Tells the sensor something.
fn sensor(param: &str, value: u32) -> Result {
    Ok(fs::write(format!("{SENSOR}/{param}"), value.to_string())?)
}

/// How many are left of a number that the sensor counts down.
fn left(param: &str) -> Result<u32> {
    let text = fs::read_to_string(format!("{SENSOR}/{param}"))?;
    Ok(text.trim().parse()?)
}

fn text(humidity: u32, temperature: u32) -> String {
    format!("Humidity: {humidity}%\nTemperature: {temperature} deg C\n")
}

fn says_what_the_sensor_measures(vm: &mut Vm) -> Result {
    let module = load(vm)?;
    let said = vm.log().said("dht11")?;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].text.starts_with("Major = "), "{said:?}");
    assert!(said[0].text.ends_with(", Minor = 0"), "{said:?}");
    assert_eq!(said[1], info("Device created on /dev/dht11"));
    assert_eq!(fs::read_to_string(PATH)?, text(61, 30));
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    Ok(())
}

/// All that a sensor measures, and what none does.
fn all_values(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let part = (100 / vm.fewer(100)) as usize;
    let all = (0..100).map(|humidity| (humidity, humidity / 2 + 1));
    let odd = [(0, 0), (255, 255), (1, 254), (128, 127), (170, 85)];
    for (humidity, temperature) in all.step_by(part).chain(odd) {
        sensor("humidity", humidity)?;
        sensor("temperature", temperature)?;
        assert_eq!(fs::read_to_string(PATH)?, text(humidity, temperature));
    }
    Ok(())
}

/// However often one can look, and when the sensor is not exact.
fn at_any_speed(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    for step in [500, 1000, 2000, 3000] {
        sensor("step", step)?;
        for jitter in [0, 1, 5] {
            sensor("jitter", jitter)?;
            for (humidity, temperature) in [(61, 30), (0, 255), (170, 85)] {
                sensor("humidity", humidity)?;
                sensor("temperature", temperature)?;
                let expected = text(humidity, temperature);
                let read = fs::read_to_string(PATH)?;
                assert_eq!(read, expected, "{step} ns, {jitter} us");
            }
        }
    }
    Ok(())
}

/// An answer with a wrong sum is none. The fifth counts, too. The book's line stays an input
/// after a failed try, so the others ask nothing.
fn tries_five_times(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    for count in 0..5 {
        sensor("wrong", count)?;
        assert_eq!(fs::read_to_string(PATH)?, text(61, 30));
        assert_eq!(left("wrong")?, 0);
        sensor("silent", count)?;
        assert_eq!(fs::read_to_string(PATH)?, text(61, 30));
        assert_eq!(left("silent")?, 0);
    }
    sensor("wrong", 7)?;
    assert_eq!(error_of(File::open(PATH)), Some(Errno::IO));
    assert_eq!(left("wrong")?, 2);
    assert_eq!(fs::read_to_string(PATH)?, text(61, 30));
    // What the last try says is what counts.
    sensor("silent", 4)?;
    sensor("wrong", 1)?;
    assert_eq!(error_of(File::open(PATH)), Some(Errno::IO));
    assert_eq!((left("silent")?, left("wrong")?), (0, 0));
    Ok(())
}

fn no_wrong_bit_goes_unnoticed(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let part = (40 / vm.fewer(40)) as usize;
    for bit in (0..40).step_by(part) {
        sensor("bit", bit)?;
        sensor("wrong", 5)?;
        assert_eq!(error_of(File::open(PATH)), Some(Errno::IO), "{bit}");
    }
    assert_eq!(fs::read_to_string(PATH)?, text(61, 30));
    Ok(())
}

fn says_when_there_is_no_sensor(vm: &mut Vm) -> Result {
    let module = load(vm)?;
    sensor("silent", 1000)?;
    for count in 1..=3 {
        assert_eq!(error_of(File::open(PATH)), Some(Errno::TIMEDOUT));
        assert_eq!(left("silent")?, 1000 - 5 * count);
    }
    // One comes.
    sensor("silent", 0)?;
    assert_eq!(fs::read_to_string(PATH)?, text(61, 30));
    module.unload()
}

/// What debugfs says of the line.
fn line_is(vm: &mut Vm, expected: &str) -> Result {
    let lines = vm.sh("grep '|Signal ' /sys/kernel/debug/gpio || true")?;
    match lines.trim_end().rsplit_once(") ") {
        Some((_, is)) => assert_eq!(is.trim_end(), expected, "{lines}"),
        None => assert_eq!("free", expected, "{lines}"),
    }
    Ok(())
}

/// At the end the book pulls it low, as if it asked.
fn the_line_is_high_when_nobody_asks(vm: &mut Vm) -> Result {
    let module = load(vm)?;
    line_is(vm, "out hi")?;
    let file = File::open(PATH)?;
    line_is(vm, "out hi")?;
    for param in ["wrong", "silent"] {
        sensor(param, 5)?;
        assert!(File::open(PATH).is_err());
        line_is(vm, "out hi")?;
    }
    drop(file);
    module.unload()?;
    line_is(vm, "free")
}

/// The book has one text for all: who opens the device last changes what the others read.
fn a_reading_belongs_to_who_opened(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let first = File::open(PATH)?;
    let same = first.try_clone()?;
    sensor("humidity", 20)?;
    sensor("temperature", 40)?;
    let second = File::open(PATH)?;
    sensor("silent", 5)?;
    assert!(File::open(PATH).is_err());
    let read = |mut file: &File| -> Result<String> {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        Ok(text)
    };
    for _ in 0..2 {
        assert_eq!(read(&first)?, text(61, 30));
        assert_eq!(read(&second)?, text(20, 40));
        assert_eq!(read(&same)?, text(61, 30));
    }
    Ok(())
}

/// Each answer of the sensor is another one. Nobody gets that of somebody else.
fn many_ask_at_once(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    sensor("humidity", 0)?;
    sensor("rising", 1)?;
    let read = on_threads(8, |_| {
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(fs::read_to_string(PATH)?);
        }
        Ok(all)
    })?;
    let mut read = read.concat();
    let mut expected: Vec<_> = (0..40).map(|humidity| text(humidity, 30)).collect();
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
    Ok(())
}

fn reads_in_pieces(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let text = text(61, 30);
    let mut file = File::open(PATH)?;
    let mut buffer = [0xaa; 64];
    assert_eq!(file.read(&mut buffer[..4])?, 4);
    assert_eq!(&buffer[..6], b"Humi\xaa\xaa");
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, text[4..]);
    assert_eq!(file.read(&mut buffer)?, 0);
    for beyond in [text.len() as u64, 1000, i64::MAX as u64 - 64] {
        assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{beyond}");
    }
    Ok(())
}

/// The book's spins for 20 ms, and nobody else gets the CPU.
fn it_sleeps_while_it_asks(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        let over = &over;
        let asker = scope.spawn(move || -> Result {
            send.send(gettid().as_raw_pid())?;
            while !over.load(SeqCst) {
                File::open(PATH)?;
            }
            Ok(())
        });
        let status = format!("/proc/self/task/{}/status", receive.recv()?);
        let asleep = eventually("it to sleep", || {
            let status = fs::read_to_string(&status);
            status.is_ok_and(|status| status.contains("\nState:\tD (disk sleep)\n"))
        });
        over.store(true, SeqCst);
        asker.join().map_err(|_| anyhow!("the thread panicked"))??;
        asleep
    })
}

fn says_when_a_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let file = File::open(PATH)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    Ok(())
}

fn cannot_be_written(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    assert_eq!(error_of(read_write(PATH)?.write(b"1")), Some(Errno::INVAL));
    Ok(())
}

/// A simulated chip of the kernel's, whose lines can make one wait.
struct SlowChip;

const SLOW: &str = "/sys/kernel/config/gpio-sim/dht11";

impl SlowChip {
    fn make() -> Result<Self> {
        fs::create_dir(SLOW)?;
        let this = Self;
        fs::create_dir(format!("{SLOW}/bank"))?;
        fs::write(format!("{SLOW}/bank/label"), "dht11-slow")?;
        fs::write(format!("{SLOW}/live"), "1")?;
        Ok(this)
    }
}

impl Drop for SlowChip {
    fn drop(&mut self) {
        let _ = fs::write(format!("{SLOW}/live"), "0");
        let _ = fs::remove_dir(format!("{SLOW}/bank"));
        let _ = fs::remove_dir(SLOW);
    }
}

/// The book makes the node first, and removes it again. Here there never is one.
fn lines_that_cannot_be(vm: &mut Vm) -> Result {
    let fails = |vm: &mut Vm, params: &str, error: Errno| -> Result {
        vm.log().mark()?;
        assert_eq!(vm.load_fails("dht11", params)?, error, "{params}");
        let number = -error.raw_os_error();
        let line = format!("Unable to request GPIOs for dht11: {number}");
        assert_eq!(vm.log().said("dht11")?, [(3, line)], "{params}");
        assert!(!Path::new(PATH).exists());
        Ok(())
    };
    fails(vm, "chip=nowhere", Errno::NODEV)?;
    fails(vm, "dht11_gpio=1", Errno::INVAL)?;
    fails(vm, "chip=", Errno::NODEV)?;
    if Path::new("/sys/kernel/config/gpio-sim").exists() {
        let _slow = SlowChip::make()?;
        fails(vm, "chip=dht11-slow", Errno::OPNOTSUPP)?;
    } else {
        vm.note("no gpio-sim");
    }
    load(vm)?.unload()
}

/// How many hold the sensor's module.
fn holders() -> Result<u32> {
    let modules = fs::read_to_string("/proc/modules")?;
    let mut lines = modules.lines().map(|line| line.split(' '));
    let line = lines.find(|line| line.clone().next() == Some("dht11_sim"));
    let count = line.context("dht11_sim")?.nth(2).context("a count")?;
    Ok(count.parse()?)
}

/// Nobody else can use it, or unload what it belongs to.
fn the_line_is_held(vm: &mut Vm) -> Result {
    assert_eq!(holders()?, 0);
    let module = load(vm)?;
    assert_eq!(holders()?, 1);
    let chip = GpioChip::open("dht11-sim")?;
    let refused = || chip.request(&[0], line::INPUT).map(drop);
    assert_eq!(refused(), Err(Errno::BUSY));
    assert_eq!(fs::read_to_string(PATH)?, text(61, 30));
    module.unload()?;
    assert_eq!(holders()?, 0);
    assert_eq!(refused(), Ok(()));
    Ok(())
}

/// The book's node is there before the line is requested, and after it is given back. Who
/// opens it then uses a line that is not the driver's.
fn makes_its_node_last(vm: &mut Vm) -> Result {
    load(vm)?.unload()?;
    let done = AtomicBool::new(false);
    let times = vm.fewer(50);
    thread::scope(|scope| -> Result {
        let opener = scope.spawn(|| {
            let mut errors = Vec::new();
            while !done.load(SeqCst) {
                match fs::read_to_string(PATH) {
                    // It cannot be unloaded during a reading, which takes 25 ms or so.
                    Ok(_) => thread::sleep(Duration::from_millis(50)),
                    Err(error) => errors.push(error),
                }
            }
            errors
        });
        let result = (0..times).try_for_each(|_| -> Result {
            let mut module = vm.load("dht11")?;
            eventually("the unload", || module.try_unload().is_ok())
        });
        done.store(true, SeqCst);
        let errors = opener.join().map_err(|_| anyhow!("the thread panicked"))?;
        result?;
        for error in errors {
            // There is no node, or no device behind it.
            let gone = [Some(Errno::NOENT), Some(Errno::NXIO)];
            let error = error_of::<()>(Err(error));
            assert!(gone.contains(&error), "{error:?}");
        }
        Ok(())
    })
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("dht11")?.unload())
}
