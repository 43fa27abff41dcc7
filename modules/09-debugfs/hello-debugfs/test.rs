// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "head /sys/kernel/debug/lkmpg_debugfs/*",
        "echo 7 >/sys/kernel/debug/lkmpg_debugfs/debug_value",
        "cat /sys/module/hello_debugfs/parameters/debug_value",
        "echo N >/sys/module/hello_debugfs/parameters/debug_enabled",
        "cat /sys/kernel/debug/lkmpg_debugfs/debug_enabled",
    ],
    tests: tests![
        has_two_files,
        both_ways_lead_to_the_same_variable,
        what_is_no_value_is_refused,
        parameters_are_checked,
        can_be_read_from_any_position,
        bad_addresses_are_said_so,
        many_write_and_read,
        open_files_outlive_the_module,
        modinfo_lists_the_parameters,
    ],
    ..Example::EMPTY
};

const DIR: &str = "/sys/kernel/debug/lkmpg_debugfs";
const VALUE: &str = "/sys/kernel/debug/lkmpg_debugfs/debug_value";
const ENABLED: &str = "/sys/kernel/debug/lkmpg_debugfs/debug_enabled";
const VALUE_PARAM: &str = "/sys/module/hello_debugfs/parameters/debug_value";
const ENABLED_PARAM: &str = "/sys/module/hello_debugfs/parameters/debug_enabled";

fn has_two_files(vm: &mut Vm) -> Result {
    let module = vm.load("hello-debugfs")?;
    let registered = info("debugfs interface registered under /sys/kernel/debug/lkmpg_debugfs");
    assert_eq!(vm.log().said("hello-debugfs")?, [registered]);
    assert_eq!(fs::read_dir(DIR)?.count(), 2);
    for (path, text) in [
        (VALUE, "42\n"),
        (ENABLED, "Y\n"),
        (VALUE_PARAM, "42\n"),
        (ENABLED_PARAM, "Y\n"),
    ] {
        assert_eq!(fs::metadata(path)?.mode() & 0o7777, 0o600, "{path}");
        assert_eq!(fs::read_to_string(path)?, text, "{path}");
    }
    module.unload()?;
    let removed = info("debugfs example removed");
    assert_eq!(vm.log().said("hello-debugfs")?, [registered, removed]);
    assert!(!Path::new(DIR).exists());
    Ok(())
}

fn both_ways_lead_to_the_same_variable(vm: &mut Vm) -> Result {
    let module = vm.load_with("hello-debugfs", "debug_value=7 debug_enabled=n")?;
    assert_eq!(fs::read_to_string(VALUE)?, "7\n");
    assert_eq!(fs::read_to_string(ENABLED)?, "N\n");

    for (written, shown) in [
        ("8", "8"),
        ("4294967295\n", "4294967295"),
        ("0x10", "16"),
        ("010", "8"),
    ] {
        fs::write(VALUE, written)?;
        assert_eq!(module.param("debug_value")?, shown);
        fs::write(VALUE_PARAM, "0")?;
        assert_eq!(fs::read_to_string(VALUE)?, "0\n");
    }
    for (written, shown) in [("1", "Y"), ("0", "N"), ("y\n", "Y"), ("off", "N")] {
        fs::write(ENABLED, written)?;
        assert_eq!(module.param("debug_enabled")?, shown);
    }
    fs::write(ENABLED_PARAM, "Y")?;
    assert_eq!(fs::read_to_string(ENABLED)?, "Y\n");
    Ok(())
}

fn what_is_no_value_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs")?;
    let refused = |path, text: &str| error_of(fs::write(path, text));
    for text in ["x", "\n", "1.5", "0x"] {
        assert_eq!(refused(VALUE, text), Some(Errno::INVAL), "{text:?}");
        assert_eq!(refused(VALUE_PARAM, text), Some(Errno::INVAL), "{text:?}");
    }
    // A file of debugfs takes 64 bits and keeps 32 of them. That is C's.
    assert_eq!(refused(VALUE_PARAM, "4294967296"), Some(Errno::RANGE));
    // So is that it ignores what is no bool.
    fs::write(ENABLED, "maybe")?;
    assert_eq!(refused(ENABLED_PARAM, "maybe"), Some(Errno::INVAL));
    assert_eq!(fs::read_to_string(VALUE)?, "42\n");
    assert_eq!(fs::read_to_string(ENABLED)?, "Y\n");
    Ok(())
}

fn parameters_are_checked(vm: &mut Vm) -> Result {
    for (params, errno) in [
        ("debug_value=-1", Errno::INVAL),
        ("debug_value=4294967296", Errno::RANGE),
        ("debug_value=x", Errno::INVAL),
        ("debug_value=", Errno::INVAL),
        ("debug_value", Errno::INVAL),
        ("debug_enabled=maybe", Errno::INVAL),
    ] {
        assert_eq!(vm.load_fails("hello-debugfs", params)?, errno, "{params}");
        assert!(!Path::new(DIR).exists());
    }
    // A bool alone is true; what is given twice has the last value.
    let params = "debug_enabled=0 debug_enabled debug_value=1 debug_value=2";
    let module = vm.load_with("hello-debugfs", params)?;
    assert_eq!(module.param("debug_enabled")?, "Y");
    assert_eq!(module.param("debug_value")?, "2");
    Ok(())
}

fn can_be_read_from_any_position(vm: &mut Vm) -> Result {
    let _module = vm.load_with("hello-debugfs", "debug_value=123456")?;
    let file = File::open(ENABLED)?;
    let mut buffer = [0; 8];
    assert_eq!(file.read_at(&mut buffer, 1)?, 1);
    assert_eq!(buffer[0], b'\n');
    assert_eq!(file.read_at(&mut buffer, 2)?, 0);

    let mut file = File::open(VALUE)?;
    assert_eq!(file.read(&mut buffer[..3])?, 3);
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, "456\n");
    Ok(())
}

fn bad_addresses_are_said_so(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs")?;
    let file = read_write(VALUE)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(
        read_to_bad_address(&File::open(ENABLED)?, 4),
        Err(Errno::FAULT)
    );
    assert_eq!(fs::read_to_string(VALUE)?, "42\n");
    Ok(())
}

fn many_write_and_read(vm: &mut Vm) -> Result {
    let _module = vm.load_with("hello-debugfs", "debug_value=0")?;
    let numbers = ["0\n", "4294967295\n", "65536\n"];
    let write = |path| -> Result {
        for round in 0..200 {
            fs::write(path, numbers[round % numbers.len()])?;
        }
        Ok(())
    };
    let read = |path| -> Result {
        for _ in 0..200 {
            let value = fs::read_to_string(path)?;
            ensure!(numbers.contains(&value.as_str()), "read {value:?}");
        }
        Ok(())
    };
    on_threads(4, |n| match n {
        0 => write(VALUE),
        1 => write(VALUE_PARAM),
        2 => read(VALUE),
        _ => read(VALUE_PARAM),
    })
    .map(drop)
}

fn open_files_outlive_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("hello-debugfs")?;
    let files = [read_write(VALUE)?, read_write(ENABLED)?];
    module.unload()?;
    for mut file in files {
        assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::IO));
        assert_eq!(error_of(file.write(b"1")), Some(Errno::IO));
    }
    Ok(())
}

fn modinfo_lists_the_parameters(_: &mut Vm) -> Result {
    let modinfo = modinfo("hello-debugfs")?;
    let types = ["debug_value:uint", "debug_enabled:bool"];
    assert_eq!(modinfo.all("parmtype"), types);
    let parms = [
        "debug_value:Value exported through both sysfs and debugfs",
        "debug_enabled:Enable or disable the example flag",
    ];
    assert_eq!(modinfo.all("parm"), parms);
    Ok(())
}
