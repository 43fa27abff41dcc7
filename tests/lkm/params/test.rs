// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        shows_the_defaults,
        takes_each_type_at_load,
        refuses_what_each_type_cannot_hold,
        a_bool_needs_no_value,
        the_module_can_set_what_user_space_sees,
        arrays_count_what_is_given,
        strings_of_an_array_are_replaced_together,
        strings_of_an_array_are_taken_at_load,
        strings_of_an_array_stay_while_they_are_used,
        strings_of_an_array_are_freed,
        the_longest_array_fits_its_file,
        a_string_stays_while_it_is_used,
        a_callback_refuses,
        callbacks_see_each_value,
        callbacks_run_before_init_has_finished,
        unloading_waits_for_a_callback,
        modinfo_is_that_of_c,
    ],
    ..Example::EMPTY
};

const VALUES: &str = "/proc/params-values";
const ARRAYS: &str = "/proc/params-arrays";
const TEXT: &str = "/proc/params-text";
const NAMES: &str = "/proc/params-names";

/// The numbers: their defaults as the file shows them, values that they can
/// have and what is shown for it, and values that they cannot have.
type Number = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, Errno)],
);

const NUMBERS: [Number; 11] = [
    (
        "flag",
        "Y",
        &[("n", "N"), ("1", "Y"), ("off", "N"), ("on", "Y")],
        &[("2", Errno::INVAL), ("", Errno::INVAL)],
    ),
    (
        "byte",
        "255",
        &[("0", "0"), ("0xfe", "254"), ("010", "8")],
        &[("256", Errno::RANGE), ("-1", Errno::INVAL)],
    ),
    (
        "short",
        "-32768",
        &[("32767", "32767"), ("-0x10", "-16")],
        &[("32768", Errno::RANGE), ("-32769", Errno::RANGE)],
    ),
    (
        "ushort",
        "65535",
        &[("0", "0"), ("0xffff", "65535")],
        &[("65536", Errno::RANGE), ("-1", Errno::INVAL)],
    ),
    (
        "int",
        "-2147483648",
        &[("2147483647", "2147483647"), ("+1", "1")],
        &[("2147483648", Errno::RANGE), ("", Errno::INVAL)],
    ),
    (
        "uint",
        "4294967295",
        &[("0", "0"), ("4294967294", "4294967294")],
        &[("4294967296", Errno::RANGE), ("-1", Errno::INVAL)],
    ),
    (
        "long",
        "-9223372036854775808",
        &[("9223372036854775807", "9223372036854775807")],
        &[("9223372036854775808", Errno::RANGE), ("one", Errno::INVAL)],
    ),
    (
        "ulong",
        "18446744073709551615",
        &[("0", "0"), ("0xfffffffffffffffe", "18446744073709551614")],
        &[("18446744073709551616", Errno::RANGE), ("-1", Errno::INVAL)],
    ),
    (
        "ullong",
        "18446744073709551615",
        &[("0", "0"), ("010", "8")],
        &[
            ("18446744073709551616", Errno::RANGE),
            ("1 1", Errno::INVAL),
        ],
    ),
    (
        "tiny",
        "-128",
        &[("127", "127"), ("-0x7f", "-127"), ("010", "8")],
        &[
            ("128", Errno::RANGE),
            ("-129", Errno::RANGE),
            ("", Errno::INVAL),
        ],
    ),
    (
        "huge",
        "-9223372036854775808",
        &[("9223372036854775807", "9223372036854775807"), ("-1", "-1")],
        &[("9223372036854775808", Errno::RANGE), ("0x", Errno::INVAL)],
    ),
];

fn path(name: &str) -> String {
    format!("/sys/module/params/parameters/{name}")
}

/// The error number of writing `value` to the file of a parameter.
fn refused(name: &str, value: &str) -> Option<Errno> {
    error_of(fs::write(path(name), value))
}

fn shows_the_defaults(vm: &mut Vm) -> Result {
    let module = vm.load("params")?;
    for (name, default, ..) in NUMBERS {
        assert_eq!(module.param(name)?, default, "{name}");
        assert_eq!(fs::metadata(path(name))?.mode() & 0o7777, 0o600);
    }
    assert_eq!(module.param("text")?, "default");
    assert!(!Path::new(&path("init_until")).exists());

    // As Rust sees them: the same bits.
    let expected = format!(
        "true 255 {} 65535 {} {} {} {} {} -128 {}\n",
        i16::MIN,
        i32::MIN,
        u32::MAX,
        i64::MIN,
        u64::MAX,
        u64::MAX,
        i64::MIN
    );
    assert_eq!(fs::read_to_string(VALUES)?, expected);
    Ok(())
}

fn takes_each_type_at_load(vm: &mut Vm) -> Result {
    let given: Vec<_> = NUMBERS
        .iter()
        .map(|(name, _, good, _)| format!("{name}={}", good[0].0))
        .collect();
    let module = vm.load_with("params", &given.join(" "))?;
    for (name, _, good, _) in NUMBERS {
        assert_eq!(module.param(name)?, good[0].1, "{name}");
        for (value, shown) in good {
            fs::write(path(name), value)?;
            assert_eq!(&module.param(name)?, shown, "{name}={value}");
        }
    }
    assert_eq!(
        fs::read_to_string(VALUES)?,
        "true 8 -16 65535 1 4294967294 9223372036854775807 18446744073709551614 8 8 -1\n"
    );
    Ok(())
}

fn refuses_what_each_type_cannot_hold(vm: &mut Vm) -> Result {
    for (name, _, _, bad) in NUMBERS {
        for (value, errno) in bad {
            let params = format!("{name}=\"{value}\"");
            assert_eq!(&vm.load_fails("params", &params)?, errno, "{params}");
        }
    }
    assert_eq!(vm.log().count("init begins")?, 0);

    let module = vm.load("params")?;
    for (name, default, _, bad) in NUMBERS {
        for (value, errno) in bad {
            let value = format!("{value}\n");
            assert_eq!(refused(name, &value).as_ref(), Some(errno), "{name}");
        }
        assert_eq!(module.param(name)?, default, "{name}");
    }
    Ok(())
}

fn a_bool_needs_no_value(vm: &mut Vm) -> Result {
    let module = vm.load_with("params", "flag=n noted flag")?;
    assert_eq!(module.param("flag")?, "Y");
    vm.log().expect("noted is set to true")?;
    module.unload()?;
    for params in ["int", "text", "bytes", "flags", "even"] {
        assert_eq!(vm.load_fails("params", params)?, Errno::INVAL, "{params}");
    }
    Ok(())
}

fn the_module_can_set_what_user_space_sees(vm: &mut Vm) -> Result {
    let module = vm.load("params")?;
    fs::write(VALUES, "x")?;
    for (name, value) in [
        ("flag", "N"),
        ("byte", "0"),
        ("short", "32767"),
        ("ushort", "0"),
        ("int", "2147483647"),
        ("uint", "1"),
        ("long", "9223372036854775807"),
        ("ulong", "0"),
        ("ullong", "0"),
        ("tiny", "127"),
        ("huge", "9223372036854775807"),
    ] {
        assert_eq!(module.param(name)?, value, "{name}");
    }
    Ok(())
}

fn arrays_count_what_is_given(vm: &mut Vm) -> Result {
    let module = vm.load("params")?;
    // The default is not shown: nobody gave it.
    assert_eq!(fs::read(path("bytes"))?, b"");
    let expected = "0 Some(7) Some(7) Some(7)\n0 Some(true) Some(false)\n0 195\n";
    assert_eq!(fs::read_to_string(ARRAYS)?, expected);

    fs::write(path("bytes"), "0x10,010\n")?;
    fs::write(path("flags"), "n,y")?;
    assert_eq!(module.param("bytes")?, "16,8");
    assert_eq!(module.param("flags")?, "N,Y");
    let expected = "2 Some(16) Some(8) Some(7)\n2 Some(false) Some(true)\n0 195\n";
    assert_eq!(fs::read_to_string(ARRAYS)?, expected);

    fs::write(path("tinies"), "-128,0x7f,-1")?;
    assert_eq!(module.param("tinies")?, "-128,127,-1");
    assert_eq!(refused("tinies", "128"), Some(Errno::RANGE));

    // The elements before a bad one are taken.
    assert_eq!(refused("bytes", "1,2,256"), Some(Errno::RANGE));
    assert_eq!(module.param("bytes")?, "1,2");
    assert_eq!(refused("bytes", "1,2,3,4"), Some(Errno::INVAL));
    assert_eq!(module.param("bytes")?, "1,2,3");
    assert_eq!(refused("flags", "x"), Some(Errno::INVAL));
    assert_eq!(fs::read(path("flags"))?, b"");
    vm.log().expect("bytes: can only take 3 arguments")?;
    Ok(())
}

/// Or not at all.
fn strings_of_an_array_are_replaced_together(vm: &mut Vm) -> Result {
    let module = vm.load("params")?;
    // The default is not shown: nobody gave it.
    assert_eq!(fs::read(path("names"))?, b"");
    assert_eq!(fs::read_to_string(NAMES)?, "0 one two three");

    for (written, shown, names) in [
        ("a,b,c\n", "a,b,c\n", "3 a b c"),
        ("d", "d\n", "1 d two three"),
        ("e,,f\n", "e,,f\n", "3 e  f"),
        ("g,\n", "g,\n", "2 g  three"),
        // Only the newline at the end is that of `echo`.
        ("h\n,i\n\n", "h\n,i\n\n", "2 h\n i\n three"),
        ("\n", "\n", "1  two three"),
    ] {
        fs::write(path("names"), written)?;
        assert_eq!(fs::read_to_string(path("names"))?, shown);
        assert_eq!(fs::read_to_string(NAMES)?, names);
    }

    fs::write(path("names"), "j,k")?;
    for (written, errno) in [
        ("l,m,n,o\n", Errno::INVAL),
        (",,,", Errno::INVAL),
        ("x".repeat(4095).as_str(), Errno::NOSPC),
    ] {
        assert_eq!(refused("names", written), Some(errno));
        assert_eq!(module.param("names")?, "j,k");
        assert_eq!(fs::read_to_string(NAMES)?, "2 j k three");
    }
    vm.log().expect("names: can only take 3 arguments")?;
    // As much as the file can show: with a newline, one byte less than a page.
    let longest = format!("{},{}", "y".repeat(2000), "z".repeat(2093));
    fs::write(path("names"), &longest)?;
    assert_eq!(module.param("names")?, longest);
    Ok(())
}

fn strings_of_an_array_are_taken_at_load(vm: &mut Vm) -> Result {
    for (given, shown, names) in [
        ("names=a", "a\n", "1 a two three"),
        ("names=a,b,c", "a,b,c\n", "3 a b c"),
        ("names=a,,c", "a,,c\n", "3 a  c"),
        ("names=", "\n", "1  two three"),
        ("names=\"a b,c\"", "a b,c\n", "2 a b c three"),
        ("names=a,b,c names=d", "d\n", "1 d two three"),
    ] {
        let module = vm.load_with("params", given)?;
        assert_eq!(fs::read_to_string(path("names"))?, shown, "{given}");
        assert_eq!(fs::read_to_string(NAMES)?, names, "{given}");
        module.unload()?;
    }
    assert_eq!(vm.load_fails("params", "names=a,b,c,d")?, Errno::INVAL);
    vm.log().expect("names: can only take 3 arguments")?;
    let long = format!("names={}", "x".repeat(4095));
    assert_eq!(vm.load_fails("params", &long)?, Errno::NOSPC);
    assert_eq!(vm.load_fails("params", "names")?, Errno::INVAL);
    Ok(())
}

fn strings_of_an_array_stay_while_they_are_used(vm: &mut Vm) -> Result {
    let _module = vm.load("params")?;
    let strings = ["a", "b", "c"].map(|letter| [letter.repeat(500), letter.repeat(500)].join(","));
    fs::write(path("names"), &strings[0])?;
    let reading = || -> Result {
        for _ in 0..20 {
            // All at once: the next call would ask the module again.
            let mut names = vec![0; 4096];
            let len = File::open(NAMES)?.read(&mut names)?;
            let names = String::from_utf8(names[..len].to_vec())?;
            let shown = fs::read_to_string(path("names"))?;
            let is_one = |it: &String| names == format!("2 {} three", it.replace(',', " "));
            ensure!(strings.iter().any(is_one), "{names}");
            ensure!(
                strings.iter().any(|it| shown == format!("{it}\n")),
                "{shown}"
            );
        }
        Ok(())
    };
    thread::scope(|scope| -> Result {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(reading)).collect();
        while !readers.iter().all(|it| it.is_finished()) {
            for string in &strings {
                fs::write(path("names"), string).unwrap();
            }
        }
        readers.into_iter().try_for_each(|it| it.join().unwrap())
    })
}

/// By the next ones, when the module is unloaded, and when it is not loaded after all.
fn strings_of_an_array_are_freed(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load_with("params", "names=a,b,c")?;
        fs::write(path("names"), "d,e,f")?;
        fs::write(path("names"), "g")?;
        assert_eq!(refused("names", ",,,"), Some(Errno::INVAL));
        module.unload()?;
        let errno = vm.load_fails("params", "names=a,b,c int=x")?;
        assert_eq!(errno, Errno::INVAL);
        Ok(())
    })
}

/// C looks for the end of the page that it prints to for each element only.
fn the_longest_array_fits_its_file(vm: &mut Vm) -> Result {
    let all = vec!["-9223372036854775808"; 195].join(",");
    let module = vm.load_with("params", &format!("longs={all}"))?;
    assert_eq!(module.param("longs")?, all);
    Ok(())
}

fn a_string_stays_while_it_is_used(vm: &mut Vm) -> Result {
    let module = vm.load("params")?;
    assert_eq!(fs::read_to_string(TEXT)?, "defaultdefault");
    let strings = [b'a', b'b', b'c'].map(|letter| vec![letter; 1000]);
    fs::write(path("text"), &strings[0])?;
    thread::scope(|scope| -> Result {
        let read = || -> Result {
            for _ in 0..20 {
                // All at once: the next call would ask the module again.
                let mut text = vec![0; 4096];
                let len = File::open(TEXT)?.read(&mut text)?;
                text.truncate(len);
                ensure!(text.iter().all(|it| *it == text[0]), "changed under us");
                ensure!(text.len() == 2000, "{} bytes", text.len());
                let text = fs::read(path("text"))?;
                ensure!(text.len() == 1001, "{} bytes", text.len());
            }
            Ok(())
        };
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(read)).collect();
        while !readers.iter().all(|it| it.is_finished()) {
            for string in &strings {
                fs::write(path("text"), string).unwrap();
            }
        }
        readers.into_iter().try_for_each(|it| it.join().unwrap())
    })?;

    assert_eq!(refused("text", &"x".repeat(1025)), Some(Errno::NOSPC));
    assert_eq!(module.param("text")?.as_bytes(), strings[2]);
    // A newline that is written is part of the string.
    fs::write(path("text"), "line\n")?;
    assert_eq!(fs::read_to_string(TEXT)?, "line\nline\n");
    Ok(())
}

fn a_callback_refuses(vm: &mut Vm) -> Result {
    assert_eq!(vm.load_fails("params", "even=3")?, Errno::DOM);
    // What C refuses does not get as far.
    assert_eq!(vm.load_fails("params", "even=65537")?, Errno::RANGE);
    assert_eq!(vm.log().count("even is set")?, 0);

    let module = vm.load_with("params", "even=4")?;
    vm.log().expect("even is set to 4, was 2")?;
    assert_eq!(refused("even", "5"), Some(Errno::DOM));
    assert_eq!(refused("even", "x"), Some(Errno::INVAL));
    assert_eq!(module.param("even")?, "4");
    fs::write(path("even"), "6")?;
    vm.log().expect("even is set to 6, was 4")?;
    assert_eq!(module.param("even")?, "6");
    module.unload()?;
    vm.log().expect("exit, even is 6")?;
    Ok(())
}

fn callbacks_see_each_value(vm: &mut Vm) -> Result {
    let module = vm.load("params")?;
    assert_eq!(module.param("noted")?, "N");
    vm.log().expect("noted is read: false")?;
    fs::write(path("noted"), "y")?;
    vm.log().expect("noted is set to true")?;
    assert_eq!(module.param("noted")?, "Y");
    vm.log().expect("noted is read: true")?;
    assert_eq!(vm.log().count("noted is")?, 3);
    Ok(())
}

fn callbacks_run_before_init_has_finished(vm: &mut Vm) -> Result {
    let load = || Module::load("params", "even=8 init_until=10");
    let loading = thread::spawn(load);
    vm.log().expect("init begins")?;
    fs::write(path("even"), "10")?;
    let module = loading.join().unwrap()?;

    let lines = vm.log().lines()?;
    let at = |text: &str| lines.iter().position(|line| line.text.contains(text));
    let order = [
        at("even is set to 8, was 2"),
        at("init begins"),
        at("even is set to 10, was 8"),
        at("init ends"),
    ];
    assert!(order[0].is_some() && order.is_sorted(), "{lines:?}");
    module.unload()
}

fn unloading_waits_for_a_callback(vm: &mut Vm) -> Result {
    let module = vm.load("params")?;
    let mut file = File::open(path("slow"))?;
    let reader = thread::spawn(|| fs::read_to_string(path("slow")));
    vm.log().expect("slow read of 5 begins")?;
    module.unload()?;

    // It has run on after the exit function, but not after the unload.
    vm.log().expect_after("exit", "slow read ends")?;
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::NODEV));

    // The reader has its value, and no module to look for more in.
    let read = reader.join().unwrap();
    let errno = read.as_ref().err().map(Errno::from_io_error);
    assert!(
        read.as_ref().is_ok_and(|it| it == "5\n") || errno == Some(Some(Errno::NODEV)),
        "{read:?}"
    );
    Ok(())
}

fn modinfo_is_that_of_c(_: &mut Vm) -> Result {
    let modinfo = modinfo("params")?;
    let (types, descriptions) = (modinfo.all("parmtype"), modinfo.all("parm"));
    for name in [
        "bool",
        "byte",
        "short",
        "ushort",
        "int",
        "uint",
        "long",
        "ulong",
        "ullong",
        "charp",
        "array of byte",
        "array of bool",
        "array of long",
        "array of charp",
        "i8",
        "i64",
        "array of i8",
    ] {
        // What the module says of these is the name of the type.
        let described = descriptions.iter().find_map(|it| it.strip_suffix(name));
        let described = described.with_context(|| name.to_owned())?;
        let parmtype = format!("{described}{name}");
        assert!(types.contains(&parmtype.as_str()), "{parmtype}: {types:?}");
    }
    assert!(types.contains(&"even:ushort"));
    assert_eq!(types.len(), descriptions.len());
    Ok(())
}
