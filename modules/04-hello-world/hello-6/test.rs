// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /sys/module/hello_6/parameters/watched",
        "echo 21 >/sys/module/hello_6/parameters/watched",
        "rmmod hello_6; insmod /lib/modules/hello-6.ko watched=7",
    ],
    tests: tests![
        says_the_default,
        is_told_before_init,
        is_told_of_reads_and_writes,
        is_not_told_of_bad_values,
        is_told_of_each_of_many,
        leaks_nothing_however_often_it_is_set,
        open_file_outlives_the_module,
        modinfo_lists_the_parameter,
    ],
    ..Example::EMPTY
};

const WATCHED: &str = "/sys/module/hello_6/parameters/watched";

fn says_the_default(vm: &mut Vm) -> Result {
    let module = vm.load("hello-6")?;
    assert_eq!(fs::metadata(WATCHED)?.mode() & 0o7777, 0o644);
    module.unload()?;
    assert_eq!(
        vm.log().said("hello-6")?,
        ["Hello, world 6", "watched starts at 42", "Goodbye, world 6"].map(info)
    );
    Ok(())
}

fn is_told_before_init(vm: &mut Vm) -> Result {
    let module = vm.load_with("hello-6", "watched=6 watched=7")?;
    assert_eq!(
        vm.log().said("hello-6")?,
        [
            "watched updated to 6",
            "watched updated to 7",
            "Hello, world 6",
            "watched starts at 7"
        ]
        .map(info)
    );
    module.unload()
}

fn is_told_of_reads_and_writes(vm: &mut Vm) -> Result {
    let module = vm.load_with("hello-6", "watched=7")?;
    vm.log().mark()?;
    assert_eq!(fs::read_to_string(WATCHED)?, "7\n");
    assert_eq!(vm.log().said("hello-6")?, ["watched was read"].map(info));
    fs::write(WATCHED, "21\n")?;
    assert_eq!(
        vm.log().said("hello-6")?,
        ["watched was read", "watched updated to 21"].map(info)
    );
    assert_eq!(module.param("watched")?, "21");
    module.unload()
}

fn is_not_told_of_bad_values(vm: &mut Vm) -> Result {
    for (params, errno) in [
        ("watched=hello", Errno::INVAL),
        ("watched=2147483648", Errno::RANGE),
        ("watched=", Errno::INVAL),
        ("watched", Errno::INVAL),
    ] {
        assert_eq!(vm.load_fails("hello-6", params)?, errno, "{params}");
    }
    let module = vm.load("hello-6")?;
    for (value, errno) in [("x", Errno::INVAL), ("2147483648", Errno::RANGE)] {
        assert_eq!(error_of(fs::write(WATCHED, value)), Some(errno), "{value}");
    }
    assert_eq!(vm.log().count("watched updated")?, 0);
    assert_eq!(module.param("watched")?, "42");
    module.unload()
}

fn is_told_of_each_of_many(vm: &mut Vm) -> Result {
    const TIMES: usize = 20;
    let _module = vm.load("hello-6")?;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..TIMES).for_each(|_| drop(fs::read(WATCHED).unwrap())));
            scope.spawn(|| (0..TIMES).for_each(|_| fs::write(WATCHED, "5").unwrap()));
        }
    });
    assert_eq!(vm.log().count("watched was read")?, 2 * TIMES);
    assert_eq!(vm.log().count("watched updated to 5")?, 2 * TIMES);
    Ok(())
}

fn leaks_nothing_however_often_it_is_set(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load_with("hello-6", "watched=1 watched=2")?;
        fs::write(WATCHED, "3")?;
        fs::read(WATCHED)?;
        module.unload()?;
        assert_eq!(
            vm.load_fails("hello-6", "watched=1 watched=x")?,
            Errno::INVAL
        );
        Ok(())
    })
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("hello-6")?;
    let mut file = File::open(WATCHED)?;
    module.unload()?;
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::NODEV));
    assert_eq!(vm.log().count("watched was read")?, 0);
    Ok(())
}

fn modinfo_lists_the_parameter(_: &mut Vm) -> Result {
    let modinfo = modinfo("hello-6")?;
    let parm = ["watched:An integer that logs every update"];
    assert_eq!(modinfo.all("parm"), parm);
    assert_eq!(modinfo.all("parmtype"), ["watched:int"]);
    Ok(())
}
