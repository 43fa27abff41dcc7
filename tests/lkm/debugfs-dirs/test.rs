// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        directories_come_and_go_with_the_module,
        values_are_those_that_the_module_has,
        numbers_take_their_limits,
        numbers_are_also_hexadecimal_and_octal,
        what_is_no_number_is_refused,
        what_does_not_fit_is_refused,
        bad_addresses_change_nothing,
        a_parameter_is_a_value,
        modes_are_for_root_too,
        directories_outlive_their_first_handle,
        a_directory_goes_before_its_own,
        a_name_that_is_taken_changes_nothing,
        names_that_no_file_has_are_refused,
        many_add_files_at_once,
        lost_directories_are_removed,
        an_open_unsigned_value_does_not_keep_the_module,
        an_open_signed_value_keeps_the_module,
        an_open_signed_value_outlives_its_directory,
    ],
    ..Example::EMPTY
};

const CONTROL: &str = "/proc/debugfs-dirs";
const TOP: &str = "/sys/kernel/debug/debugfs-dirs";
const SUB: &str = "/sys/kernel/debug/debugfs-dirs/sub";
const DEEP: &str = "/sys/kernel/debug/debugfs-dirs/sub/deep";
const TEXT: &str = "/sys/kernel/debug/debugfs-dirs/sub/text";

const UNSIGNED: [&str; 3] = ["u32", "u64", "usize"];
const SIGNED: [&str; 5] = ["i8", "i16", "i32", "i64", "isize"];

/// The numbers, in the order in which the module shows them, and their limits.
const NUMBERS: [(&str, &str, &str); 8] = [
    ("u32", "0", "4294967295"),
    ("u64", "0", "18446744073709551615"),
    ("usize", "0", "18446744073709551615"),
    ("i8", "-128", "127"),
    ("i16", "-32768", "32767"),
    ("i32", "-2147483648", "2147483647"),
    ("i64", "-9223372036854775808", "9223372036854775807"),
    ("isize", "-9223372036854775808", "9223372036854775807"),
];

const NAMES: [&str; 11] = [
    "bool", "i16", "i32", "i64", "i8", "isize", "param", "sub", "u32", "u64", "usize",
];

/// The file of a value.
fn path(name: &str) -> String {
    format!("{TOP}/{name}")
}

/// What the file of a value shows, without the newline.
fn shown(name: &str) -> Result<String> {
    let text = fs::read_to_string(path(name))?;
    let value = text.strip_suffix('\n').context("no newline")?;
    Ok(value.to_owned())
}

/// The values that the module has: the numbers, then the `bool`.
fn values() -> Result<Vec<String>> {
    let values = fs::read_to_string(CONTROL)?;
    Ok(values.split_whitespace().map(str::to_owned).collect())
}

/// The error number of writing `text` to the file of a value.
fn refused(name: &str, text: &str) -> Option<Errno> {
    error_of(fs::write(path(name), text))
}

fn directories_come_and_go_with_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("debugfs-dirs")?;
    assert_eq!(names(TOP)?, NAMES);
    assert_eq!(names(SUB)?, ["deep", "text"]);
    assert_eq!(
        names(DEEP)?,
        ["read-i32", "read-u32", "write-i32", "write-u32"]
    );
    assert_eq!(fs::read_to_string(TEXT)?, "text\n");
    module.unload()?;
    assert!(!Path::new(TOP).exists());
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

fn values_are_those_that_the_module_has(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    let has = values()?;
    for (n, (name, min, max)) in NUMBERS.into_iter().enumerate() {
        let expected = if UNSIGNED.contains(&name) { max } else { min };
        assert_eq!(has[n], expected, "{name}");
        assert_eq!(shown(name)?, expected, "{name}");
        assert_eq!(fs::metadata(path(name))?.mode() & 0o7777, 0o600, "{name}");
    }
    assert_eq!(has[NUMBERS.len()], "true");
    assert_eq!(shown("bool")?, "Y");
    fs::write(path("bool"), "n")?;
    assert_eq!(values()?[NUMBERS.len()], "false");
    assert_eq!(shown("bool")?, "N");
    Ok(())
}

fn numbers_take_their_limits(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    for (n, (name, min, max)) in NUMBERS.into_iter().enumerate() {
        for limit in [min, max, min] {
            fs::write(path(name), format!("{limit}\n"))?;
            assert_eq!(shown(name)?, limit, "{name}");
            assert_eq!(values()?[n], limit, "{name}");
        }
    }
    Ok(())
}

fn numbers_are_also_hexadecimal_and_octal(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    for (name, ..) in NUMBERS {
        for (written, expected) in [("0x7f", "127"), ("010", "8"), ("+1\n", "1"), ("0", "0")] {
            fs::write(path(name), written)?;
            assert_eq!(shown(name)?, expected, "{name}");
        }
    }
    for name in SIGNED {
        // As long as a text may be.
        let longest = format!("-{}1", "0".repeat(30));
        for (written, expected) in [("-0x10", "-16"), ("-010\n", "-8"), (&*longest, "-1")] {
            fs::write(path(name), written)?;
            assert_eq!(shown(name)?, expected, "{name}");
        }
    }
    Ok(())
}

fn what_is_no_number_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    let before = values()?;
    for (name, ..) in NUMBERS {
        for text in [
            "x", "\n", "-", "+", "--1", "+-1", " 1", "1 ", "1 1", "1\n\n", "1.5", "0x", "08",
        ] {
            assert_eq!(refused(name, text), Some(Errno::INVAL), "{name}: {text:?}");
        }
    }
    for name in UNSIGNED {
        assert_eq!(refused(name, "-1"), Some(Errno::INVAL), "{name}");
    }
    for name in SIGNED {
        for text in ["0".repeat(33), "1".repeat(1 << 20), "1\0".to_owned()] {
            assert_eq!(refused(name, &text), Some(Errno::INVAL), "{name}");
        }
    }
    assert_eq!(values()?, before);
    Ok(())
}

/// C keeps the lower bits of an unsigned number that does not fit, if it has 64.
fn what_does_not_fit_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    let before = values()?;
    for name in UNSIGNED {
        let result = refused(name, "18446744073709551616");
        assert_eq!(result, Some(Errno::RANGE), "{name}");
    }
    for (name, min, max) in NUMBERS {
        if UNSIGNED.contains(&name) {
            continue;
        }
        for number in [min.parse::<i128>()? - 1, max.parse::<i128>()? + 1] {
            let result = refused(name, &number.to_string());
            assert_eq!(result, Some(Errno::RANGE), "{name}: {number}");
        }
    }
    assert_eq!(values()?, before);
    Ok(())
}

fn bad_addresses_change_nothing(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    let before = values()?;
    for (name, ..) in NUMBERS {
        let file = read_write(path(name))?;
        assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT), "{name}");
        assert_eq!(
            write_from_bad_address(&file, 4),
            Err(Errno::FAULT),
            "{name}"
        );
    }
    assert_eq!(values()?, before);
    Ok(())
}

fn a_parameter_is_a_value(vm: &mut Vm) -> Result {
    let module = vm.load_with("debugfs-dirs", "number=7")?;
    assert_eq!(shown("param")?, "7");
    fs::write(path("param"), "-32768")?;
    assert_eq!(module.param("number")?, "-32768");
    fs::write("/sys/module/debugfs_dirs/parameters/number", "32767")?;
    assert_eq!(shown("param")?, "32767");
    assert_eq!(refused("param", "32768"), Some(Errno::RANGE));
    Ok(())
}

fn modes_are_for_root_too(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    for name in ["sub/deep/read-u32", "sub/deep/read-i32"] {
        let before = shown(name)?;
        assert_eq!(refused(name, "1"), Some(Errno::ACCESS), "{name}");
        assert_eq!(shown(name)?, before, "{name}");
    }
    for name in ["u32", "i32"] {
        let path = format!("{DEEP}/write-{name}");
        let read = fs::read(&path);
        assert_eq!(error_of(read), Some(Errno::ACCESS), "{path}");
        fs::write(&path, "1")?;
        assert_eq!(shown(name)?, "1", "{path}");
    }
    Ok(())
}

fn directories_outlive_their_first_handle(vm: &mut Vm) -> Result {
    let module = vm.load("debugfs-dirs")?;
    for handle in ["top", "sub"] {
        fs::write(CONTROL, format!("drop {handle}"))?;
        assert_eq!(names(TOP)?, NAMES, "{handle}");
        assert_eq!(names(SUB)?, ["deep", "text"], "{handle}");
        assert_eq!(fs::read_to_string(TEXT)?, "text\n", "{handle}");
        assert_eq!(shown("i8")?, "-128", "{handle}");
        assert_eq!(shown("u32")?, "4294967295", "{handle}");
    }
    fs::write(CONTROL, "drop deep")?;
    assert!(!Path::new(TOP).exists());
    module.unload()
}

fn a_directory_goes_before_its_own(vm: &mut Vm) -> Result {
    let module = vm.load("debugfs-dirs")?;
    fs::write(CONTROL, "drop deep")?;
    assert_eq!(names(SUB)?, ["text"]);
    fs::write(CONTROL, "drop sub")?;
    let rest: Vec<_> = NAMES.into_iter().filter(|name| *name != "sub").collect();
    assert_eq!(names(TOP)?, rest);
    assert_eq!(shown("i8")?, "-128");
    fs::write(CONTROL, "drop top")?;
    assert!(!Path::new(TOP).exists());
    module.unload()
}

fn a_name_that_is_taken_changes_nothing(vm: &mut Vm) -> Result {
    let module = vm.load("debugfs-dirs")?;
    fs::write(CONTROL, "again")?;
    vm.log().expect("already exists")?;
    assert_eq!(names(TOP)?, NAMES);
    assert_eq!(names(SUB)?, ["deep", "text"]);
    assert_eq!(names(DEEP)?.len(), 4);
    assert_eq!(shown("i8")?, "-128");
    assert_eq!(shown("u64")?, "18446744073709551615");
    module.unload()?;
    assert!(!Path::new(TOP).exists());
    Ok(())
}

fn names_that_no_file_has_are_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("debugfs-dirs")?;
    fs::write(CONTROL, "bad")?;
    assert_eq!(names(TOP)?, NAMES);
    Ok(())
}

fn many_add_files_at_once(vm: &mut Vm) -> Result {
    let module = vm.load("debugfs-dirs")?;
    let added = on_threads(4, |n| {
        let added: Vec<_> = (0..50).map(|m| format!("{n}-{m}")).collect();
        for name in &added {
            fs::write(CONTROL, format!("add {name}"))?;
        }
        Ok(added)
    })?;
    for name in added.concat() {
        assert_eq!(shown(&name)?, "added", "{name}");
    }
    module.unload()?;
    assert!(!Path::new(TOP).exists());
    Ok(())
}

fn lost_directories_are_removed(vm: &mut Vm) -> Result {
    let module = vm.load_with("debugfs-dirs", "lose")?;
    assert_eq!(names(TOP)?, NAMES);
    assert_eq!(names(DEEP)?.len(), 4);
    module.unload()?;
    assert!(!Path::new(TOP).exists());
    vm.log()
        .expect("debugfs_dirs: not dropped: 3 directories in debugfs; ")?;
    vm.forgive_leaks();
    Ok(())
}

fn an_open_unsigned_value_does_not_keep_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("debugfs-dirs")?;
    let mut files = Vec::new();
    for name in UNSIGNED.into_iter().chain(["bool", "sub/deep/read-u32"]) {
        files.push((name, read_write(path(name))?));
    }
    module.unload()?;
    for (name, file) in &mut files {
        let read = file.read(&mut [0; 8]);
        assert_eq!(error_of(read), Some(Errno::IO), "{name}");
        let write = file.write(b"1");
        assert_eq!(error_of(write), Some(Errno::IO), "{name}");
    }
    Ok(())
}

fn an_open_signed_value_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("debugfs-dirs")?;
    for name in SIGNED.into_iter().chain(["param", "sub/deep/read-i32"]) {
        let mut file = File::open(path(name))?;
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{name}");
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        assert_eq!(text, format!("{}\n", shown(name)?), "{name}");
    }
    module.unload()
}

fn an_open_signed_value_outlives_its_directory(vm: &mut Vm) -> Result {
    let mut module = vm.load("debugfs-dirs")?;
    let mut file = read_write(path("i32"))?;
    for handle in ["top", "sub", "deep"] {
        fs::write(CONTROL, format!("drop {handle}"))?;
    }
    assert!(!Path::new(TOP).exists());
    let before = values()?;
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::IO));
    assert_eq!(error_of(file.write(b"1")), Some(Errno::IO));
    assert_eq!(values()?, before);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(file);
    module.unload()
}
