// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /sys/kernel/mymodule",
        "cat /sys/kernel/mymodule/myvariable",
        "echo 32 > /sys/kernel/mymodule/myvariable",
        "cat /sys/kernel/mymodule/myvariable",
        "(echo xyz > /sys/kernel/mymodule/myvariable) 2>&1 || true",
        "cat /sys/kernel/mymodule/myvariable",
    ],
    tests: tests![
        keeps_a_number,
        refuses_what_is_no_number,
        refuses_numbers_that_do_not_fit,
        numbers_are_decimal,
        can_be_read_in_pieces,
        says_when_a_buffer_is_bad,
        many_write_and_read,
        cannot_be_loaded_twice,
        a_name_that_is_taken_is_an_error,
        open_file_outlives_the_module,
    ],
    ..Example::EMPTY
};

const DIR: &str = "/sys/kernel/mymodule";
const PATH: &str = "/sys/kernel/mymodule/myvariable";

fn value() -> Result<String> {
    Ok(fs::read_to_string(PATH)?)
}

/// Writes `text` in one go. Returns how much of it was taken.
fn store(text: &[u8]) -> std::result::Result<usize, Errno> {
    let mut file = OpenOptions::new().write(true).open(PATH).unwrap();
    let result = file.write(text);
    result.map_err(|error| Errno::from_io_error(&error).unwrap())
}

fn keeps_a_number(vm: &mut Vm) -> Result {
    let module = vm.load("hello-sysfs")?;
    assert_eq!(module.name(), "hello_sysfs");
    let initialized = info("mymodule: initialized");
    assert_eq!(vm.log().said("hello-sysfs")?, [initialized]);
    assert_eq!(fs::metadata(DIR)?.mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(PATH)?.mode() & 0o7777, 0o660);
    assert_eq!(fs::read_dir(DIR)?.count(), 1);

    assert_eq!(value()?, "0\n");
    fs::write(PATH, "32\n")?;
    assert_eq!(value()?, "32\n");
    fs::write(PATH, "-5")?;
    assert_eq!(value()?, "-5\n");

    module.unload()?;
    let exit = info("mymodule: Exit success");
    assert_eq!(vm.log().said("hello-sysfs")?, [initialized, exit]);
    assert!(!Path::new(DIR).exists());
    Ok(())
}

/// The book's store takes everything: it keeps the number at the beginning, or
/// the old one, and says that all is well.
fn refuses_what_is_no_number(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-sysfs")?;
    fs::write(PATH, "7")?;
    let texts = [
        "xyz\n", "\n", " ", "-", "12abc", "12 13", " 12", "12 ", "1.5", "12\n\n", "12\0", "\u{661}",
    ];
    for text in texts {
        assert_eq!(store(text.as_bytes()), Err(Errno::INVAL), "{text:?}");
    }
    assert_eq!(store(b"1\xff"), Err(Errno::INVAL));
    assert_eq!(store(&[b'1'; 8192]), Err(Errno::INVAL));
    // The kernel asks no module to store nothing.
    assert_eq!(store(b""), Ok(0));
    assert_eq!(value()?, "7\n");
    Ok(())
}

/// The book's store keeps the lower 32 bits.
fn refuses_numbers_that_do_not_fit(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-sysfs")?;
    for text in ["2147483647", "-2147483648"] {
        assert_eq!(store(text.as_bytes()), Ok(text.len()));
        assert_eq!(value()?, format!("{text}\n"));
    }
    for text in ["2147483648", "-2147483649", "99999999999999999999"] {
        assert_eq!(store(text.as_bytes()), Err(Errno::INVAL), "{text}");
    }
    assert_eq!(value()?, "-2147483648\n");
    Ok(())
}

fn numbers_are_decimal(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-sysfs")?;
    assert_eq!(store(b"010\n"), Ok(4));
    assert_eq!(value()?, "10\n");
    assert_eq!(store(b"+11\n"), Ok(4));
    assert_eq!(value()?, "11\n");
    assert_eq!(store(b"0x10\n"), Err(Errno::INVAL));
    assert_eq!(value()?, "11\n");
    Ok(())
}

fn can_be_read_in_pieces(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-sysfs")?;
    fs::write(PATH, "123456")?;
    let mut file = File::open(PATH)?;
    let mut two = [0xaa; 4];
    assert_eq!(file.read(&mut two[..2])?, 2);
    assert_eq!(&two, b"12\xaa\xaa");

    // What is shown was made when reading began.
    fs::write(PATH, "9")?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, "3456\n");

    file.seek(SeekFrom::Start(0))?;
    rest.clear();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, "9\n");
    Ok(())
}

fn says_when_a_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-sysfs")?;
    fs::write(PATH, "7")?;
    let file = read_write(PATH)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(value()?, "7\n");
    Ok(())
}

fn many_write_and_read(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-sysfs")?;
    let numbers = ["0", "1", "-2147483648", "2147483647", "123456789"];
    // Five write, each its number; five read.
    let times = vm.fewer(500);
    on_threads(10, |n| {
        for _ in 0..times {
            if let Some(number) = numbers.get(n as usize) {
                fs::write(PATH, number)?;
                continue;
            }
            let value = value()?;
            ensure!(numbers.contains(&value.trim_end()), "read {value:?}");
        }
        Ok(())
    })
    .map(drop)
}

fn cannot_be_loaded_twice(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-sysfs")?;
    fs::write(PATH, "7")?;
    let error = vm.load("hello-sysfs").unwrap_err();
    assert_eq!(errno(&error), Some(Errno::EXIST));
    assert_eq!(vm.log().count("mymodule: initialized")?, 1);
    assert_eq!(value()?, "7\n");
    Ok(())
}

/// The book's says that it is initialized before it is.
fn a_name_that_is_taken_is_an_error(vm: &mut Vm) -> Result {
    let module = vm.load("hello-sysfs")?;
    fs::write(PATH, "7")?;
    // To the kernel another module, which wants the same directory.
    let error = Module::load_renamed("hello-sysfs", "hello_twins", &[]).unwrap_err();
    assert_eq!(errno(&error), Some(Module::init_exists()));
    assert!(!Path::new("/sys/module/hello_twins").exists());
    let initialized = info("mymodule: initialized");
    assert_eq!(vm.log().said("hello-sysfs")?, [initialized]);
    assert_eq!(value()?, "7\n");
    // It is the name that was in the way.
    module.unload()?;
    Module::load_renamed("hello-sysfs", "hello_twins", &[])?.unload()
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("hello-sysfs")?;
    let mut file = read_write(PATH)?;
    module.unload()?;
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::NODEV));
    assert_eq!(error_of(file.write(b"5")), Some(Errno::NODEV));
    Ok(())
}
