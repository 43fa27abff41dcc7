// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::{
    i2c::{I2cBus, driver_exists},
    prelude::*,
};

pub const EXAMPLE: Example = Example {
    demo: &[
        "grep . /sys/kernel/rust_i2c/*/temp1_input",
        "echo 36600 >/sys/module/i2c_sim/parameters/temperature",
        "grep . /sys/kernel/rust_i2c/*/temp1_input",
        "for max in /sys/kernel/rust_i2c/*/temp1_max; do echo 40000 >$max; cat $max; done",
    ],
    tests: tests![
        each_sensor_has_a_directory,
        shows_what_is_measured,
        keeps_limits,
        refuses_other_texts,
        an_error_of_the_bus_is_one_of_the_file,
        a_sensor_that_does_not_answer_has_no_driver,
        other_names_are_not_its_own,
        the_sensor_is_left_as_it_was,
        can_be_taken_away_and_given_back,
        an_open_file_keeps_nothing,
        the_bus_may_go_first,
        many_read_and_write_at_once,
        unloaded_while_it_is_read,
        unloaded_while_sensors_come_and_go,
        unloading_at_once,
    ],
    setup: Some(connect),
    ..Example::EMPTY
};

const DRIVER: &str = "rust_i2c";
const DIR: &str = "/sys/kernel/rust_i2c";
const SIM: &str = "/sys/module/i2c_sim/parameters";

const TMP105: u16 = 0x48;
const LM75: u16 = 0x49;
/// Where there is nothing.
const NOBODY: u16 = 0x50;

/// There is a bus, and somebody says which sensors are on it.
fn connect(vm: &mut Vm) -> Result {
    vm.load("i2c-sim")?.keep();
    let bus = bus()?;
    bus.add("rust_tmp105", TMP105)?;
    bus.add("rust_lm75", LM75)?;
    Ok(())
}

fn bus() -> Result<I2cBus> {
    I2cBus::find("i2c-sim")
}

/// Makes the sensors what they were, and loads the module.
fn load(vm: &mut Vm) -> Result<(Module, I2cBus)> {
    sim("temperature", 21_500)?;
    sim("silent", 0)?;
    Ok((vm.load("rust_i2c")?, bus()?))
}

/// Tells the sensors something.
fn sim(param: &str, value: i32) -> Result {
    let path = format!("{SIM}/{param}");
    fs::write(&path, value.to_string()).context(path)
}

fn path(bus: I2cBus, address: u16, file: &str) -> String {
    format!("{DIR}/{}/{file}", bus.device(address))
}

/// The number in a file of a sensor.
fn read(bus: I2cBus, address: u16, file: &str) -> Result<i32> {
    let text = fs::read_to_string(path(bus, address, file))?;
    let number = text.strip_suffix('\n').context("a line")?;
    Ok(number.parse()?)
}

fn write(bus: I2cBus, address: u16, file: &str, text: &str) -> io::Result<()> {
    fs::write(path(bus, address, file), text)
}

fn each_sensor_has_a_directory(vm: &mut Vm) -> Result {
    let (module, bus) = load(vm)?;
    let devices = [TMP105, LM75].map(|address| bus.device(address));
    assert_eq!(names(DIR)?, devices);
    for address in [TMP105, LM75] {
        assert_eq!(bus.driver(address).as_deref(), Some(DRIVER));
        let files = [
            ("temp1_input", 0o444),
            ("temp1_max", 0o644),
            ("temp1_max_hyst", 0o644),
        ];
        assert_eq!(names(path(bus, address, ""))?, files.map(|(name, _)| name));
        for (name, mode) in files {
            let file = fs::metadata(path(bus, address, name))?;
            assert_eq!(file.mode() & 0o7777, mode, "{name}");
        }
    }
    // By these the kernel asks for a module when it hears of a device.
    let modinfo = modinfo("rust_i2c")?;
    assert_eq!(modinfo.all("alias"), ["i2c:rust_tmp105", "i2c:rust_lm75"]);
    module.unload()?;
    assert!(!Path::new(DIR).exists());
    assert!(!driver_exists(DRIVER));
    assert_eq!(bus.driver(TMP105), None);
    Ok(())
}

/// In steps of 1/16 degree, and of 1/2.
fn shows_what_is_measured(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    for (millis, tmp105, lm75) in [
        (0, 0, 0),
        (62, 0, 0),
        (63, 62, 0),
        (499, 437, 0),
        (500, 500, 500),
        (21_500, 21_500, 21_500),
        (99_999, 99_937, 99_500),
        (125_000, 125_000, 125_000),
        (-1, -63, -500),
        (-500, -500, -500),
        (-25_100, -25_125, -25_500),
        (-55_000, -55_000, -55_000),
    ] {
        sim("temperature", millis)?;
        assert_eq!(read(bus, TMP105, "temp1_input")?, tmp105, "{millis}");
        assert_eq!(read(bus, LM75, "temp1_input")?, lm75, "{millis}");
    }
    Ok(())
}

/// As near as can be. Each of the four is one of its own.
fn keeps_limits(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    let places = [
        (TMP105, "temp1_max"),
        (TMP105, "temp1_max_hyst"),
        (LM75, "temp1_max"),
        (LM75, "temp1_max_hyst"),
    ];
    for (n, (address, file)) in (0..).zip(places) {
        write(bus, address, file, &format!("{}\n", 30_000 + 500 * n))?;
    }
    for (n, (address, file)) in (0..).zip(places) {
        assert_eq!(read(bus, address, file)?, 30_000 + 500 * n, "{file}");
    }
    for (millis, tmp105, lm75) in [
        (0, 0, 0),
        (31, 0, 0),
        (32, 62, 0),
        (25_040, 25_062, 25_000),
        (25_260, 25_250, 25_500),
        (-31, 0, 0),
        (-32, -63, 0),
        (-260, -250, -500),
        (126_000, 125_000, 125_000),
        (-56_000, -55_000, -55_000),
        (i32::MAX, 125_000, 125_000),
        (i32::MIN, -55_000, -55_000),
    ] {
        for (address, expected) in [(TMP105, tmp105), (LM75, lm75)] {
            write(bus, address, "temp1_max", &millis.to_string())?;
            assert_eq!(read(bus, address, "temp1_max")?, expected, "{millis}");
        }
    }
    // They stay, whoever drives the sensor.
    write(bus, LM75, "temp1_max_hyst", "-10000")?;
    bus.unbind(DRIVER, LM75)?;
    bus.bind(DRIVER, LM75)?;
    assert_eq!(read(bus, LM75, "temp1_max_hyst")?, -10_000);
    Ok(())
}

fn refuses_other_texts(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    write(bus, TMP105, "temp1_max", "50000")?;
    for text in ["\n", "hot", "1.5", "0x10", "1 2", "2147483648", "1\n\n"] {
        let written = write(bus, TMP105, "temp1_max", text);
        assert_eq!(error_of(written), Some(Errno::INVAL), "{text:?}");
    }
    assert_eq!(read(bus, TMP105, "temp1_max")?, 50_000);
    Ok(())
}

fn an_error_of_the_bus_is_one_of_the_file(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    for _ in 0..3 {
        sim("silent", 2)?;
        for file in ["temp1_input", "temp1_max"] {
            let result = fs::read_to_string(path(bus, TMP105, file));
            assert_eq!(error_of(result), Some(Errno::NXIO), "{file}");
        }
        assert_eq!(read(bus, TMP105, "temp1_input")?, 21_500);
        sim("silent", 1)?;
        let written = write(bus, TMP105, "temp1_max", "1000");
        assert_eq!(error_of(written), Some(Errno::NXIO));
        write(bus, TMP105, "temp1_max", "1000")?;
    }
    Ok(())
}

/// That it is there was only said.
fn a_sensor_that_does_not_answer_has_no_driver(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    bus.add("rust_tmp105", NOBODY)?;
    assert_eq!(bus.driver(NOBODY), None);
    assert_eq!(names(DIR)?.len(), 2);
    let bound = bus.bind(DRIVER, NOBODY);
    assert_eq!(bound, Err(Errno::NXIO));
    bus.delete(NOBODY)?;

    // It comes to answer.
    bus.unbind(DRIVER, TMP105)?;
    sim("silent", 1)?;
    assert_eq!(bus.bind(DRIVER, TMP105), Err(Errno::NXIO));
    assert_eq!(names(DIR)?, [bus.device(LM75)]);
    bus.bind(DRIVER, TMP105)?;
    assert_eq!(read(bus, TMP105, "temp1_input")?, 21_500);
    Ok(())
}

fn other_names_are_not_its_own(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    for name in ["rust_tmp10", "rust_tmp1055", "RUST_TMP105", "tmp105"] {
        bus.add(name, NOBODY)?;
        assert_eq!(bus.driver(NOBODY), None, "{name}");
        let bound = bus.bind(DRIVER, NOBODY);
        assert_eq!(bound, Err(Errno::NODEV), "{name}");
        bus.delete(NOBODY)?;
    }
    Ok(())
}

fn the_sensor_is_left_as_it_was(vm: &mut Vm) -> Result {
    let (module, _bus) = load(vm)?;
    assert_eq!(vm.log().texts("i2c-sim")?, ["0x48: configuration 0x60"]);
    vm.log().mark()?;
    module.unload()?;
    let mut said = vm.log().texts("i2c-sim")?;
    said.sort_unstable();
    let expected = ["0x48: configuration 0x00", "0x49: configuration 0x00"];
    assert_eq!(said, expected);
    Ok(())
}

fn can_be_taken_away_and_given_back(vm: &mut Vm) -> Result {
    let (module, bus) = load(vm)?;
    for _ in 0..3 {
        bus.unbind(DRIVER, TMP105)?;
        assert_eq!(bus.driver(TMP105), None);
        assert_eq!(names(DIR)?, [bus.device(LM75)]);
        assert!(bus.unbind(DRIVER, TMP105).is_err());
        bus.bind(DRIVER, TMP105)?;
        assert_eq!(names(DIR)?.len(), 2);
        assert!(bus.bind(DRIVER, TMP105).is_err());
    }
    bus.unbind(DRIVER, LM75)?;
    module.unload()
}

/// Neither the sensor nor the module.
fn an_open_file_keeps_nothing(vm: &mut Vm) -> Result {
    let (module, bus) = load(vm)?;
    let open = |address| File::open(path(bus, address, "temp1_input"));
    let (mut gone, mut kept) = (open(TMP105)?, open(LM75)?);
    bus.delete(TMP105)?;
    assert_eq!(error_of(gone.read(&mut [0; 16])), Some(Errno::NODEV));
    assert_eq!(kept.read(&mut [0; 16])?, 6);
    kept.rewind()?;
    module.unload()?;
    assert_eq!(error_of(kept.read(&mut [0; 16])), Some(Errno::NODEV));
    bus.add("rust_tmp105", TMP105)?;
    Ok(())
}

/// Nobody keeps that either.
fn the_bus_may_go_first(vm: &mut Vm) -> Result {
    let (module, bus) = load(vm)?;
    let mut file = File::open(path(bus, TMP105, "temp1_input"))?;
    Module::of_others("i2c-sim")?.unload()?;
    assert_eq!(names(DIR)?.len(), 0);
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::NODEV));
    connect(vm)?;
    assert_eq!(names(DIR)?.len(), 2);
    Module::of_others("i2c-sim")?.unload()?;
    module.unload()?;
    connect(vm)
}

fn many_read_and_write_at_once(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    let places = [(TMP105, "temp1_max"), (LM75, "temp1_max_hyst")];
    for (address, file) in places {
        write(bus, address, file, "0")?;
    }
    let rounds = vm.fewer(250);
    on_threads(4, |n| {
        for round in 0..rounds {
            let (address, file) = places[n as usize % 2];
            if n < 2 {
                let millis = 1000 * (round % 100) as i32;
                write(bus, address, file, &millis.to_string())?;
                assert_eq!(read(bus, address, file)?, millis);
            } else {
                assert_eq!(read(bus, address, file)? % 1000, 0);
                assert_eq!(read(bus, address, "temp1_input")?, 21_500);
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn unloaded_while_it_is_read(vm: &mut Vm) -> Result {
    let (module, bus) = load(vm)?;
    module.unload()?;
    let reads = AtomicU32::new(0);
    let look = || -> Result {
        for address in [TMP105, LM75] {
            if read(bus, address, "temp1_input").is_ok() {
                reads.fetch_add(1, SeqCst);
            }
            let _ = write(bus, address, "temp1_max", "1000");
        }
        Ok(())
    };
    while_others(3, look, || {
        for _ in 0..vm.fewer(50) {
            let module = vm.load("rust_i2c")?;
            let before = reads.load(SeqCst);
            eventually("a reader", || reads.load(SeqCst) > before)?;
            module.unload()?;
        }
        Ok(())
    })
}

fn unloaded_while_sensors_come_and_go(vm: &mut Vm) -> Result {
    let (module, bus) = load(vm)?;
    module.unload()?;
    let come_and_go = || -> Result {
        bus.delete(TMP105)?;
        bus.add("rust_tmp105", TMP105)?;
        // The driver may be gone, or be busy with it.
        let _ = bus.unbind(DRIVER, LM75);
        let _ = bus.bind(DRIVER, LM75);
        Ok(())
    };
    while_others(1, come_and_go, || {
        for _ in 0..vm.fewer(50) {
            vm.load("rust_i2c")?.unload()?;
        }
        Ok(())
    })
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| load(vm)?.0.unload())
}
