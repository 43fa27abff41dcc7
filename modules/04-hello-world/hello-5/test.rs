// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "head /sys/module/hello_5/parameters/*",
        "echo 7 >/sys/module/hello_5/parameters/myint; cat /sys/module/hello_5/parameters/myint",
        "rmmod hello_5; insmod /lib/modules/hello-5.ko mystring=bebop myintarray=-1",
    ],
    tests: tests![
        says_the_defaults,
        says_what_was_given,
        numbers_can_be_hexadecimal_and_octal,
        the_last_value_counts,
        a_string_can_be_empty_quoted_and_long,
        bad_values_are_refused,
        unknown_parameters_are_ignored,
        leaks_no_string,
        has_files_with_the_right_modes,
        files_can_be_written,
        bad_writes_change_nothing,
        writes_while_readers_run,
        open_file_outlives_the_module,
        modinfo_lists_the_parameters,
    ],
    ..Example::EMPTY
};

const DIRECTORY: &str = "/sys/module/hello_5/parameters";

/// What the module says when it is loaded with `params`.
fn said(vm: &mut Vm, params: &str) -> Result<Vec<String>> {
    vm.log().mark()?;
    vm.load_with("hello-5", params)?.unload()?;
    vm.log().texts("hello-5")
}

fn says_the_defaults(vm: &mut Vm) -> Result {
    let expected = [
        "Hello, world 5",
        "=============",
        "myshort is a short integer: 1",
        "myint is an integer: 420",
        "mylong is a long integer: 9999",
        "mystring is a string: blah",
        "myintarray[0] = 420",
        "myintarray[1] = 420",
        "got 0 arguments for myintarray.",
        "Goodbye, world 5",
    ];
    assert_eq!(said(vm, "")?, expected);
    assert_eq!(vm.log().said("hello-5")?, expected.map(info));
    Ok(())
}

fn says_what_was_given(vm: &mut Vm) -> Result {
    let said_of_some = said(vm, "mystring=bebop myintarray=-1")?;
    assert_eq!(
        said_of_some[5..9],
        [
            "mystring is a string: bebop",
            "myintarray[0] = -1",
            "myintarray[1] = 420",
            "got 1 arguments for myintarray.",
        ]
    );
    let all = "myshort=-32768 myint=-2147483648 mylong=-9223372036854775808 \
               mystring=supercalifragilisticexpialidocious myintarray=-1,-1";
    assert_eq!(
        said(vm, all)?[2..9],
        [
            "myshort is a short integer: -32768",
            "myint is an integer: -2147483648",
            "mylong is a long integer: -9223372036854775808",
            "mystring is a string: supercalifragilisticexpialidocious",
            "myintarray[0] = -1",
            "myintarray[1] = -1",
            "got 2 arguments for myintarray.",
        ]
    );
    Ok(())
}

fn numbers_can_be_hexadecimal_and_octal(vm: &mut Vm) -> Result {
    let said = said(vm, "myshort=0x10 myint=010 mylong=-0x10 myintarray=0x1,01")?;
    assert_eq!(
        said[2..5],
        [
            "myshort is a short integer: 16",
            "myint is an integer: 8",
            "mylong is a long integer: -16",
        ]
    );
    assert_eq!(said[6..8], ["myintarray[0] = 1", "myintarray[1] = 1"]);
    Ok(())
}

fn the_last_value_counts(vm: &mut Vm) -> Result {
    let said = said(
        vm,
        "myint=1 mystring=one myint=2 mystring=two myintarray=1,1 myintarray=2",
    )?;
    assert_eq!(
        said[3..9],
        [
            "myint is an integer: 2",
            "mylong is a long integer: 9999",
            "mystring is a string: two",
            "myintarray[0] = 2",
            "myintarray[1] = 1",
            "got 1 arguments for myintarray.",
        ]
    );
    Ok(())
}

fn a_string_can_be_empty_quoted_and_long(vm: &mut Vm) -> Result {
    let mut string = |given: &str| anyhow::Ok(said(vm, &format!("mystring={given}"))?.remove(5));
    assert_eq!(string("")?, "mystring is a string: ");
    assert_eq!(string("\"two words\"")?, "mystring is a string: two words");

    // 1024 characters are the most; the log cuts a line of that length.
    let long = string(&"x".repeat(1024))?;
    assert!(long.starts_with(&format!("mystring is a string: {}", "x".repeat(500))));
    Ok(())
}

fn bad_values_are_refused(vm: &mut Vm) -> Result {
    let cases = [
        ("myshort=32768", Errno::RANGE),
        ("myshort=-32769", Errno::RANGE),
        ("myint=2147483648", Errno::RANGE),
        ("mylong=9223372036854775808", Errno::RANGE),
        ("mylong=hello", Errno::INVAL),
        ("myint=1.5", Errno::INVAL),
        ("myint=0x", Errno::INVAL),
        ("myint=08", Errno::INVAL),
        ("myint=", Errno::INVAL),
        ("myint", Errno::INVAL),
        ("mystring", Errno::INVAL),
        ("myintarray", Errno::INVAL),
        ("myintarray=", Errno::INVAL),
        ("myintarray=1,", Errno::INVAL),
        ("myintarray=1,x", Errno::INVAL),
        ("myintarray=1,2147483648", Errno::RANGE),
    ];
    for (params, errno) in cases {
        vm.log().mark()?;
        assert_eq!(vm.load_fails("hello-5", params)?, errno, "{params}");
        vm.log().expect("invalid for parameter `my")?;
        assert_eq!(vm.log().count("Hello, world 5")?, 0, "{params}");
    }

    vm.log().mark()?;
    assert_eq!(vm.load_fails("hello-5", "myintarray=1,2,3")?, Errno::INVAL);
    vm.log().expect("myintarray: can only take 2 arguments")?;

    let long = format!("mystring={}", "x".repeat(1025));
    assert_eq!(vm.load_fails("hello-5", &long)?, Errno::NOSPC);
    vm.log().expect("mystring: string parameter too long")?;
    Ok(())
}

fn unknown_parameters_are_ignored(vm: &mut Vm) -> Result {
    let said = said(vm, "myfloat=1.5 myint=3")?;
    vm.log()
        .expect("hello_5: unknown parameter 'myfloat' ignored")?;
    assert_eq!(said[3], "myint is an integer: 3");
    Ok(())
}

/// The kernel allocates what a string parameter is given.
fn leaks_no_string(vm: &mut Vm) -> Result {
    let long = format!("mystring=one mystring={}", "x".repeat(1000));
    vm.rounds(|vm| {
        vm.load_with("hello-5", &long)?.unload()?;
        let refused = vm.load_fails("hello-5", &format!("{long} myint=x"))?;
        assert_eq!(refused, Errno::INVAL);
        Ok(())
    })
}

fn has_files_with_the_right_modes(vm: &mut Vm) -> Result {
    let module = vm.load_with("hello-5", "myshort=-2")?;
    let mut names: Vec<_> = fs::read_dir(DIRECTORY)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort();
    // Mode 0 is no file: neither mystring nor myintarray.
    assert_eq!(names, ["myint", "mylong", "myshort"]);
    for (name, mode, value) in [
        ("myshort", 0o660, "-2\n"),
        ("myint", 0o644, "420\n"),
        ("mylong", 0o400, "9999\n"),
    ] {
        let path = Path::new(DIRECTORY).join(name);
        assert_eq!(fs::metadata(&path)?.mode() & 0o7777, mode, "{name}");
        assert_eq!(fs::read_to_string(&path)?, value, "{name}");
    }
    module.unload()?;
    assert!(!Path::new(DIRECTORY).exists());
    Ok(())
}

fn files_can_be_written(vm: &mut Vm) -> Result {
    let module = vm.load("hello-5")?;
    for (written, value) in [("7", "7"), ("-1\n", "-1"), ("0x10\n", "16"), ("010", "8")] {
        fs::write(format!("{DIRECTORY}/myint"), written)?;
        assert_eq!(module.param("myint")?, value);
    }
    fs::write(format!("{DIRECTORY}/myshort"), "32767")?;
    assert_eq!(module.param("myshort")?, "32767");
    Ok(())
}

fn bad_writes_change_nothing(vm: &mut Vm) -> Result {
    let module = vm.load("hello-5")?;
    let error = |name: &str, value: &str| {
        let path = format!("{DIRECTORY}/{name}");
        error_of(fs::write(path, value))
    };
    assert_eq!(error("myint", "2147483648"), Some(Errno::RANGE));
    assert_eq!(error("myint", "x"), Some(Errno::INVAL));
    assert_eq!(error("myint", "\n"), Some(Errno::INVAL));
    assert_eq!(error("myint", "1 2"), Some(Errno::INVAL));
    assert_eq!(error("myshort", "32768"), Some(Errno::RANGE));
    // Not even root.
    assert_eq!(error("mylong", "1"), Some(Errno::ACCESS));
    assert_eq!(module.param("myint")?, "420");
    assert_eq!(module.param("myshort")?, "1");
    assert_eq!(module.param("mylong")?, "9999");
    Ok(())
}

fn writes_while_readers_run(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-5")?;
    let path = format!("{DIRECTORY}/myint");
    let values = ["420\n", "-2147483648\n", "2147483647\n"];
    thread::scope(|scope| {
        let read = || {
            for _ in 0..200 {
                let value = fs::read_to_string(&path)?;
                ensure!(values.contains(&value.as_str()), "{value:?}");
            }
            Ok(())
        };
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(read)).collect();
        while !readers.iter().all(|it| it.is_finished()) {
            for value in values {
                fs::write(&path, value)?;
            }
            assert!(fs::write(&path, "2147483648").is_err());
            assert!(fs::write(&path, "garbage").is_err());
        }
        readers.into_iter().try_for_each(|it| it.join().unwrap())
    })
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("hello-5")?;
    let path = format!("{DIRECTORY}/myint");
    let mut file = read_write(path)?;
    module.unload()?;
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::NODEV));
    assert_eq!(error_of(file.write(b"1")), Some(Errno::NODEV));
    Ok(())
}

fn modinfo_lists_the_parameters(_: &mut Vm) -> Result {
    let modinfo = modinfo("hello-5")?;
    assert_eq!(
        modinfo.all("parm"),
        [
            "myshort:A short integer",
            "myint:An integer",
            "mylong:A long integer",
            "mystring:A character string",
            "myintarray:An array of integers",
        ]
    );
    assert_eq!(
        modinfo.all("parmtype"),
        [
            "myshort:short",
            "myint:int",
            "mylong:long",
            "mystring:charp",
            "myintarray:array of int",
        ]
    );
    Ok(())
}
