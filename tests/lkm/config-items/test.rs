// SPDX-License-Identifier: GPL-2.0-only

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        subsystems_of_all_kinds,
        each_item_has_its_own_value,
        names_are_those_that_were_given,
        what_cannot_be_is_refused,
        children_that_cannot_be,
        errors_are_those_of_the_function,
        texts_of_all_lengths,
        each_file_is_the_right_one,
        directories_in_directories,
        a_directory_keeps_the_module,
        a_file_outlives_its_directory,
        removing_waits_for_functions,
        dropping_waits_for_functions,
        dropping_waits_for_directories,
        dropping_waits_for_drops_of_items,
        files_are_used_at_the_same_time,
        directories_are_made_one_at_a_time,
        too_many_callers_are_not_known,
        a_function_may_drop_its_subsystem,
        a_function_may_drop_another_subsystem,
        two_subsystems_may_drop_each_other,
        makes_no_subsystem_in_a_function,
        handles_are_dropped_in_softirqs,
        many_use_it_while_it_comes_and_goes,
        many_use_it_while_the_module_goes,
        a_failing_init_ends,
        a_failing_init_waits_for_directories,
        unloading_at_once,
    ],
    setup: Some(configfs),
    ..Example::EMPTY
};

/// The directory of a subsystem of that kind.
fn top(kind: usize) -> String {
    format!("{CONFIGFS}/config-items-{kind}")
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("config-items")?;
    Ok((module, Control::open("/proc/config-items")?))
}

fn load_with(vm: &mut Vm, kind: usize) -> Result<(Module, Control)> {
    let (module, control) = load(vm)?;
    control.call(MAKE, kind)?;
    Ok((module, control))
}

/// Nothing was as it must not be, and the functions have ended.
fn all_is_well(control: &Control) {
    assert_eq!(control.get(WRONG), 0);
    assert_eq!(control.get(RUNNING), 0);
}

/// The number in a directory.
fn number(directory: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("{directory}/number"))?;
    Ok(text.trim_end().parse()?)
}

fn set_number(directory: &str, number: u64) -> io::Result<()> {
    fs::write(format!("{directory}/number"), number.to_string())
}

/// Waits until the subsystem is not there.
fn is_gone(kind: usize) -> Result {
    let path = top(kind);
    eventually("the subsystem to be gone", || !Path::new(&path).exists())
}

fn subsystems_of_all_kinds(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for (kind, files, has_children) in [
        (
            ALL,
            vec!["length", "long", "name", "number", "too-long"],
            true,
        ),
        (NUMBER, vec!["number"], true),
        (NOTHING, vec![], false),
        (WIDE, vec!["number"], true),
        (SELFISH, vec!["number"], true),
        (UNKIND, vec!["number"], true),
        (MAKER, vec!["number"], true),
    ] {
        control.call(MAKE, kind)?;
        let top = top(kind);
        assert_eq!(names(&top)?, files, "{kind}");
        let child = format!("{top}/x");
        let made = fs::create_dir(&child);
        match has_children {
            true => {
                made?;
                if [ALL, NUMBER, WIDE].contains(&kind) {
                    // They are of the same type.
                    assert_eq!(names(&child)?, files, "{kind}");
                    assert_eq!((number(&top)?, number(&child)?), (0, 0));
                }
                fs::remove_dir(&child)?;
            }
            false => assert_eq!(error_of(made), Some(Errno::PERM), "{kind}"),
        }
        control.call(DROP, kind)?;
        assert!(!Path::new(&top).exists());
        assert_eq!(control.get(LIVING), 0, "{kind}");
    }
    for kind in 0..KINDS {
        control.call(DROP, kind)?;
    }
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// Also that of the subsystem itself. Those of the kernel crate get theirs from the wrong place.
fn each_item_has_its_own_value(vm: &mut Vm) -> Result {
    for kind in [NUMBER, ALL] {
        let (module, control) = load_with(vm, kind)?;
        let mut directory = top(kind);
        let mut directories = vec![directory.clone()];
        for _ in 0..4 {
            directory.push_str("/x");
            fs::create_dir(&directory)?;
            directories.push(directory.clone());
        }
        for (value, directory) in (u64::MAX - 10..).zip(&directories) {
            set_number(directory, value)?;
        }
        for (value, directory) in (u64::MAX - 10..).zip(&directories) {
            assert_eq!(number(directory)?, value, "{directory}");
        }
        for directory in directories[1..].iter().rev() {
            fs::remove_dir(directory)?;
        }
        assert_eq!(number(&top(kind))?, u64::MAX - 10);
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

fn names_are_those_that_were_given(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let long = [b'l'; 255];
    let texts: [&[u8]; 8] = [
        b"x",
        b"nineteen-letters-ab",
        b"twenty-letters-a-bcd",
        b"\xff\xfe",
        b" %s%n\n",
        b"...",
        &long[..200],
        &long,
    ];
    for name in texts {
        let path = PathBuf::from(top(ALL)).join(OsStr::from_bytes(name));
        fs::create_dir(&path)?;
        let sum: u32 = name.iter().map(|byte| u32::from(*byte)).sum();
        let said = fs::read_to_string(path.join("name"))?;
        assert_eq!(said, format!("{} {sum}\n", name.len()), "{name:?}");
        let again = error_of(fs::create_dir(&path));
        assert_eq!(again, Some(Errno::EXIST), "{name:?}");
        fs::remove_dir(&path)?;
        assert!(!path.exists());
    }
    let too_long = format!("{}/{}", top(ALL), "l".repeat(256));
    let error = error_of(fs::create_dir(too_long));
    assert_eq!(error, Some(Errno::NAMETOOLONG));
    let file = error_of(fs::create_dir(format!("{}/number", top(ALL))));
    assert_eq!(file, Some(Errno::EXIST));
    assert_eq!(control.get(MAKES), texts.len());
    assert_eq!(control.get(LIVING), 1);
    all_is_well(&control);
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let good = NAMES.len() - 1;
    for index in 0..NAMES.len() {
        let expected = match index {
            4 => Err(Errno::EXIST),
            index if index == good => Ok(0),
            _ => Err(Errno::INVAL),
        };
        assert_eq!(control.call(TRY_NAME, index), expected, "{index}");
        assert_eq!(control.get(LIVING), 1, "{index}");
    }
    for _ in 0..3 {
        assert_eq!(control.call(TRY_MANY, 0), Err(Errno::INVAL));
        assert_eq!(control.get(LIVING), 1);
        assert_eq!(control.call(TRY_TWICE, 0), Err(Errno::EXIST));
        assert_eq!(control.get(LIVING), 1);
    }
    // Who has the name is not disturbed, and when it is gone another one can have it.
    assert_eq!(number(&top(ALL))?, 0);
    assert_eq!(control.call(MAKE, ALL), Err(Errno::EXIST));
    control.call(DROP, ALL)?;
    control.call(MAKE, ALL)?;
    drop(control);
    module.unload()
}

fn children_that_cannot_be(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for (kind, expected) in [(BAD_TWICE, Errno::EXIST), (BAD_MANY, Errno::INVAL)] {
        control.call(MAKE, kind)?;
        for _ in 0..3 {
            let error = error_of(fs::create_dir(format!("{}/x", top(kind))));
            assert_eq!(error, Some(expected));
            assert_eq!(control.get(LIVING), 0, "{kind}");
        }
        assert_eq!(names(top(kind))?, [""; 0]);
    }
    Ok(())
}

fn errors_are_those_of_the_function(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let top = top(ALL);
    let child = format!("{top}/x");
    for errno in [Errno::PERM, Errno::NOENT, Errno::INVAL, Errno::NOSPC] {
        control.call(FAIL, errno.raw_os_error() as usize)?;
        let show = fs::read(format!("{top}/number"));
        for error in [
            error_of(show.map(drop)),
            error_of(set_number(&top, 1)),
            error_of(fs::create_dir(&child)),
        ] {
            assert_eq!(error, Some(errno));
        }
    }
    // All numbers that an error can have, also those of the kernel's own.
    let file = read_write(format!("{top}/number"))?;
    for errno in 1..4096 {
        control.call(FAIL, errno)?;
        assert!(fs::create_dir(&child).is_err(), "{errno}");
        assert!(file.write_at(b"1", 0).is_err(), "{errno}");
        assert!(file.read_at(&mut [0; 8], 0).is_err(), "{errno}");
    }
    control.call(FAIL, 0)?;
    assert_eq!(control.get(LIVING), 1);
    fs::create_dir(&child)?;
    fs::remove_dir(&child)?;
    assert_eq!(number(&top)?, 0);
    all_is_well(&control);
    Ok(())
}

fn texts_of_all_lengths(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let top = top(ALL);
    assert_eq!(fs::read(format!("{top}/long"))?, [b'x'; 4095]);
    let too_long = fs::read(format!("{top}/too-long"));
    assert_eq!(error_of(too_long), Some(Errno::OVERFLOW));
    let mut file = OpenOptions::new()
        .write(true)
        .open(format!("{top}/length"))?;
    for (len, taken) in [
        (1, 1),
        (4094, 4094),
        (4095, 4095),
        (4096, 4095),
        (9999, 4095),
    ] {
        assert_eq!(file.write(&vec![b'x'; len])?, taken);
        assert_eq!(number(&top)?, taken as u64);
    }
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(error_of(file.write(b"")), Some(Errno::FAULT));
    assert_eq!(number(&top)?, 4095);
    // Not even root can do what a file has no function for.
    let error = error_of(File::open(format!("{top}/length")));
    assert_eq!(error, Some(Errno::ACCESS));
    let error = error_of(OpenOptions::new().write(true).open(format!("{top}/name")));
    assert_eq!(error, Some(Errno::ACCESS));
    fs::set_permissions(format!("{top}/length"), fs::Permissions::from_mode(0o600))?;
    let error = error_of(File::open(format!("{top}/length")));
    assert_eq!(error, Some(Errno::ACCESS));
    // What was shown is shown again after something was written.
    let mut file = read_write(format!("{top}/number"))?;
    let mut text = String::new();
    for value in ["5\n", "123456\n", "7\n"] {
        assert_eq!(file.write(value.as_bytes())?, value.len());
        file.rewind()?;
        text.clear();
        file.read_to_string(&mut text)?;
        assert_eq!(text, value);
    }
    assert_eq!([control.get(SHOWS), control.get(STORES)], [9, 3]);
    // But not after somebody else has written.
    set_number(&top, 9)?;
    file.rewind()?;
    text.clear();
    file.read_to_string(&mut text)?;
    assert_eq!(text, "7\n");
    assert_eq!([control.get(SHOWS), control.get(STORES)], [9, 4]);
    assert_eq!(number(&top)?, 9);
    all_is_well(&control);
    Ok(())
}

fn each_file_is_the_right_one(vm: &mut Vm) -> Result {
    let (_module, _control) = load_with(vm, MANY)?;
    let top = top(MANY);
    assert_eq!(names(&top)?.len(), MOST_FILES);
    for n in 0..MOST_FILES {
        let path = format!("{top}/{n}");
        assert_eq!(fs::read_to_string(&path)?, format!("{n}\n"));
        fs::write(&path, n.to_string())?;
        let error = error_of(fs::write(&path, (n + 1).to_string()));
        assert_eq!(error, Some(Errno::DOM), "{n}");
    }
    Ok(())
}

fn directories_in_directories(vm: &mut Vm) -> Result {
    const DEPTH: usize = 100;
    let (module, control) = load_with(vm, NUMBER)?;
    let mut directories = vec![top(NUMBER)];
    for n in 0..DEPTH {
        let directory = format!("{}/{n}", directories[n]);
        fs::create_dir(&directory)?;
        directories.push(directory);
    }
    assert_eq!(control.get(LIVING), DEPTH + 1);
    for (n, directory) in directories.iter().enumerate() {
        set_number(directory, n as u64)?;
        if n < DEPTH && n > 0 {
            let error = error_of(fs::remove_dir(directory));
            assert_eq!(error, Some(Errno::NOTEMPTY));
        }
    }
    for (n, directory) in directories.iter().enumerate().skip(1).rev() {
        assert_eq!(number(directory)?, n as u64);
        fs::remove_dir(directory)?;
    }
    assert_eq!(control.get(LIVING), 1);
    drop(control);
    module.unload()
}

fn a_directory_keeps_the_module(vm: &mut Vm) -> Result {
    let (mut module, control) = load_with(vm, ALL)?;
    drop(control);
    let child = format!("{}/x", top(ALL));
    let grandchild = format!("{child}/y");
    fs::create_dir(&child)?;
    fs::create_dir(&grandchild)?;
    for directory in [grandchild, child] {
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        fs::remove_dir(directory)?;
    }
    module.unload()?;
    assert!(!Path::new(&top(ALL)).exists());
    Ok(())
}

/// It has nothing of the item, or of the module.
fn a_file_outlives_its_directory(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let child = format!("{}/x", top(ALL));
    fs::create_dir(&child)?;
    let open = |directory: &str| -> Result<_> {
        let shown = File::open(format!("{directory}/long"))?;
        shown.read_exact_at(&mut [0; 8], 0)?;
        let files = [
            File::open(format!("{directory}/number"))?,
            read_write(format!("{directory}/number"))?,
            File::open(directory)?,
        ];
        Ok((files, shown))
    };
    let check = |files: &[File; 3], shown: &File| {
        for file in &files[..2] {
            assert_eq!(error_of(file.read_at(&mut [0; 8], 0)), Some(Errno::NOENT));
        }
        assert_eq!(error_of(files[1].write_at(b"1", 0)), Some(Errno::NOENT));
        // What was shown already is there.
        assert_eq!(shown.read_at(&mut [0; 8], 8).ok(), Some(8));
    };
    let (files, shown) = open(&child)?;
    let others = open(&top(ALL))?;
    fs::remove_dir(&child)?;
    assert_eq!(control.get(LIVING), 1);
    check(&files, &shown);
    drop(control);
    // The subsystem's own do not keep the module.
    module.unload()?;
    check(&files, &shown);
    check(&others.0, &others.1);
    Ok(())
}

fn removing_waits_for_functions(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let child = format!("{}/x", top(ALL));
    fs::create_dir(&child)?;
    control.call(HOLD, 1)?;
    let path = child.clone();
    let reader = Waiter::begin(move || number(&path));
    eventually("the function", || control.get(RUNNING) == 1)?;
    let path = child.clone();
    let remover = Waiter::begin(move || error_of(fs::remove_dir(path)));
    remover.sleeps()?;
    assert_eq!(control.get(LIVING), 2);
    control.call(HOLD, 0)?;
    assert_eq!(reader.end()??, 0);
    assert_eq!(remover.end()?, None);
    assert_eq!(control.get(LIVING), 1);
    all_is_well(&control);
    drop(control);
    module.unload()
}

fn dropping_waits_for_functions(vm: &mut Vm) -> Result {
    let functions: [fn(&str) -> bool; 3] = [
        |top| number(top).is_ok(),
        |top| set_number(top, 1).is_ok(),
        // There is a directory then, which is removed at once.
        |top| {
            let child = format!("{top}/x");
            fs::create_dir(&child).is_ok() && fs::remove_dir(&child).is_ok()
        },
    ];
    for function in functions {
        let (module, control) = load_with(vm, ALL)?;
        control.call(HOLD, 1)?;
        let caller = Waiter::begin(move || function(&top(ALL)));
        eventually("the function", || control.get(RUNNING) == 1)?;
        let dropper = control.caller(DROP, ALL)?;
        dropper.sleeps()?;
        assert_eq!(control.get(LIVING), 1);
        control.call(HOLD, 0)?;
        assert!(caller.end()?);
        assert_eq!(dropper.end()?, Ok(0));
        assert_eq!(control.get(LIVING), 0);
        assert!(!Path::new(&top(ALL)).exists());
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// C would leave them behind, without the one above them.
fn dropping_waits_for_directories(vm: &mut Vm) -> Result {
    let (mut module, control) = load_with(vm, ALL)?;
    let child = format!("{}/x", top(ALL));
    let grandchild = format!("{child}/y");
    fs::create_dir(&child)?;
    fs::create_dir(&grandchild)?;
    let dropper = control.caller(DROP, ALL)?;
    let asks = "config_items: configfs: somebody has to remove the directories in config-items-0";
    vm.log().expect(asks)?;
    // They still work, but there are no new ones.
    for path in [format!("{}/z", top(ALL)), format!("{grandchild}/z")] {
        let error = error_of(fs::create_dir(path));
        assert_eq!(error, Some(Errno::SHUTDOWN));
    }
    set_number(&grandchild, 5)?;
    assert_eq!(number(&grandchild)?, 5);
    fs::remove_dir(&grandchild)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert!(!dropper.has_ended());
    fs::remove_dir(&child)?;
    assert_eq!(dropper.end()?, Ok(0));
    assert_eq!(control.get(LIVING), 0);
    assert!(!Path::new(&top(ALL)).exists());
    assert_eq!(vm.log().count(asks)?, 1);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// They run with locks held that the drop of the subsystem takes.
fn dropping_waits_for_drops_of_items(vm: &mut Vm) -> Result {
    for depth in [1, 2] {
        let (module, control) = load_with(vm, ALL)?;
        let mut directories = vec![format!("{}/x", top(ALL))];
        if depth == 2 {
            directories.push(format!("{}/x/y", top(ALL)));
        }
        for directory in &directories {
            fs::create_dir(directory)?;
        }
        control.call(HOLD, 1)?;
        let last = directories.pop().context("a directory")?;
        let remover = Waiter::begin(move || error_of(fs::remove_dir(last)));
        eventually("the drop of the item", || control.get(RUNNING) == 1)?;
        let dropper = control.caller(DROP, ALL)?;
        dropper.sleeps()?;
        assert!(!dropper.has_ended());
        // Also the topmost, and that which is being dropped.
        assert_eq!(control.get(LIVING), depth + 1);
        control.call(HOLD, 0)?;
        assert_eq!(remover.end()?, None);
        for directory in &directories {
            assert!(!dropper.has_ended());
            fs::remove_dir(directory)?;
        }
        assert_eq!(dropper.end()?, Ok(0));
        assert_eq!(control.get(LIVING), 0);
        assert_eq!(control.get(DROPS), depth);
        assert!(!Path::new(&top(ALL)).exists());
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// Those of several items, and of one.
fn files_are_used_at_the_same_time(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let child = format!("{}/x", top(ALL));
    fs::create_dir(&child)?;
    control.call(HOLD, 1)?;
    let mut readers = Vec::new();
    let mut writers = Vec::new();
    for directory in [top(ALL), child.clone()] {
        let path = directory.clone();
        readers.push(Waiter::begin(move || number(&path)));
        writers.push(Waiter::begin(move || set_number(&directory, 5)));
    }
    eventually("all of them", || control.get(RUNNING) == 4)?;
    control.call(HOLD, 0)?;
    for reader in readers {
        assert!([0, 5].contains(&reader.end()??));
    }
    for writer in writers {
        writer.end()??;
    }
    assert_eq!((number(&top(ALL))?, number(&child)?), (5, 5));
    fs::remove_dir(&child)?;
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// Also in different directories of the subsystem.
fn directories_are_made_one_at_a_time(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let child = format!("{}/x", top(ALL));
    fs::create_dir(&child)?;
    let before = control.get(MAKES);
    control.call(HOLD, 1)?;
    let paths = [format!("{}/y", top(ALL)), format!("{child}/y")];
    let [path, other_path] = paths.clone();
    let first = Waiter::begin(move || error_of(fs::create_dir(path)));
    eventually("the first", || control.get(RUNNING) == 1)?;
    let second = Waiter::begin(move || error_of(fs::create_dir(other_path)));
    second.sleeps()?;
    assert!(!second.has_ended());
    assert_eq!(control.get(MAKES), before + 1);
    control.call(HOLD, 0)?;
    assert_eq!((first.end()?, second.end()?), (None, None));
    assert_eq!(control.get(MAKES), before + 2);
    for path in paths {
        fs::remove_dir(path)?;
    }
    fs::remove_dir(&child)?;
    assert_eq!(control.get(LIVING), 1);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// There are places for 64. Whoever makes or drops something then may be one more.
fn too_many_callers_are_not_known(vm: &mut Vm) -> Result {
    const READERS: usize = 65;
    let (module, control) = load_with(vm, ALL)?;
    control.call(HOLD, 1)?;
    let readers: Vec<_> = (0..READERS)
        .map(|_| Waiter::begin(|| number(&top(ALL))))
        .collect();
    eventually("all of them", || control.get(RUNNING) == READERS)?;
    assert_eq!(control.call(MAKE, NOTHING), Err(Errno::DEADLK));
    // It does not wait for them. Somebody else does.
    let other = control.clone();
    let dropper = Waiter::begin(move || other.call(DROP, ALL));
    assert_eq!(dropper.end()?, Ok(0));
    assert_eq!(control.get(RUNNING), READERS);
    assert_eq!(control.get(LIVING), 1);
    control.call(HOLD, 0)?;
    for reader in readers {
        assert_eq!(reader.end()??, 0);
    }
    is_gone(ALL)?;
    eventually("the drop", || control.get(LIVING) == 0)?;
    // All is as before: who drops one waits.
    for kind in [NOTHING, ALL] {
        control.call(MAKE, kind)?;
        control.call(DROP, kind)?;
        assert!(!Path::new(&top(kind)).exists());
        assert_eq!(control.get(LIVING), 0);
    }
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// What the functions do, one after the other. Each leaves no directory.
fn each_function() -> [fn(&str) -> Result; 4] {
    [
        |top| number(top).map(drop),
        |top| Ok(set_number(top, 1)?),
        |top| {
            let child = format!("{top}/x");
            fs::create_dir(&child)?;
            Ok(fs::remove_dir(&child)?)
        },
        // There is one already, which is dropped.
        |top| Ok(fs::remove_dir(format!("{top}/before"))?),
    ]
}

/// Which goes on, and is waited for by somebody else.
fn a_function_may_drop_its_subsystem(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load(vm)?;
        for (n, function) in each_function().into_iter().enumerate() {
            control.call(ARM, 0)?;
            control.call(MAKE, SELFISH)?;
            if n == 3 {
                fs::create_dir(format!("{}/before", top(SELFISH)))?;
            }
            control.call(ARM, 1)?;
            function(&top(SELFISH))?;
            is_gone(SELFISH)?;
            eventually("the drop", || control.get(LIVING) == 0)?;
            all_is_well(&control);
        }
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

fn a_function_may_drop_another_subsystem(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load(vm)?;
        for (n, function) in each_function().into_iter().enumerate() {
            control.call(ARM, 0)?;
            // That of the function before.
            control.call(DROP, UNKIND)?;
            control.call(MAKE, ALL)?;
            control.call(MAKE, UNKIND)?;
            if n == 3 {
                fs::create_dir(format!("{}/before", top(UNKIND)))?;
            }
            control.call(ARM, 1)?;
            function(&top(UNKIND))?;
            is_gone(ALL)?;
            eventually("the drop", || control.get(LIVING) == 1)?;
            assert_eq!(number(&top(UNKIND))?, 0);
            all_is_well(&control);
        }
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

fn two_subsystems_may_drop_each_other(vm: &mut Vm) -> Result {
    let functions = each_function();
    let kinds = [RIVAL, OTHER_RIVAL];
    vm.rounds(|vm| {
        let (module, control) = load(vm)?;
        for first in 0..functions.len() {
            control.call(ARM, 0)?;
            // What the functions before have left.
            for kind in kinds {
                control.call(DROP, kind)?;
            }
            eventually("the end of both", || control.get(LIVING) == 0)?;
            let chosen = [first, (first + 1) % functions.len()];
            for (kind, n) in kinds.into_iter().zip(chosen) {
                control.call(MAKE, kind)?;
                if n == 3 {
                    fs::create_dir(format!("{}/before", top(kind)))?;
                }
            }
            control.call(ARM, 1)?;
            on_threads(2, |n| {
                let n = n as usize;
                // The other one may be faster.
                let _ = functions[chosen[n]](&top(kinds[n]));
                Ok(())
            })?;
            // One of them at least.
            eventually("the end of one", || control.get(LIVING) <= 1)?;
            all_is_well(&control);
        }
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

fn makes_no_subsystem_in_a_function(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, MAKER)?;
    let functions: [fn(&str) -> Result; 4] = [
        |top| number(top).map(drop),
        |top| Ok(set_number(top, 1)?),
        |top| Ok(fs::create_dir(format!("{top}/x"))?),
        |top| Ok(fs::remove_dir(format!("{top}/x"))?),
    ];
    for (n, function) in functions.into_iter().enumerate() {
        function(&top(MAKER))?;
        let errno = control.get(MADE_WITHIN);
        assert_eq!(errno, Errno::DEADLK.raw_os_error() as usize, "{n}");
        // Elsewhere it is made.
        control.call(MAKE, NOTHING)?;
        control.call(DROP, NOTHING)?;
    }
    assert!(!Path::new(&format!("{CONFIGFS}/config-items-made")).exists());
    Ok(())
}

fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        control.call(DROP_IN_SOFTIRQ, ALL)?;
        is_gone(ALL)?;
        eventually("the drop", || control.get(LIVING) == 0)?;
        drop(control);
        module.unload()
    })
}

/// Makes and removes directories in that, and uses their files, whether it is there or not.
fn use_it(kind: usize, name: &str) {
    let top = top(kind);
    let child = format!("{top}/{name}");
    let _ = names(&top);
    let _ = number(&top);
    if fs::create_dir(&child).is_ok() {
        let _ = set_number(&child, 1);
        let grandchild = format!("{child}/x");
        if fs::create_dir(&grandchild).is_ok() {
            let _ = names(&grandchild);
            let _ = number(&grandchild);
            fs::remove_dir(&grandchild).expect("nobody else has it");
        }
        fs::remove_dir(&child).expect("nobody else has it");
    }
}

fn many_use_it_while_it_comes_and_goes(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let next = std::sync::atomic::AtomicU32::new(0);
    let others = || {
        let name = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        use_it(ALL, &name.to_string());
        Ok(())
    };
    while_others(3, others, || {
        for _ in 0..vm.fewer(100) {
            control.call(DROP, ALL)?;
            assert_eq!(control.get(LIVING), 0);
            control.call(MAKE, ALL)?;
        }
        Ok(())
    })?;
    assert_eq!(control.get(LIVING), 1);
    all_is_well(&control);
    drop(control);
    module.unload()
}

fn many_use_it_while_the_module_goes(vm: &mut Vm) -> Result {
    const LONGEST_PAUSE: Duration = Duration::from_millis(100);
    let next = std::sync::atomic::AtomicU32::new(0);
    let others = || {
        let name = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let begin = Instant::now();
        use_it(ALL, &name.to_string());
        // It is not used most of the time, so that the module finds a moment to go.
        thread::sleep(LONGEST_PAUSE.min(3 * begin.elapsed()));
        Ok(())
    };
    while_others(3, others, || {
        for _ in 0..vm.fewer(50) {
            let (mut module, control) = load_with(vm, ALL)?;
            drop(control);
            eventually("that nobody uses it", || module.try_unload().is_ok())?;
            module.was_unloaded()?;
        }
        Ok(())
    })
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let errno = vm.load_fails("config-items", "early fail")?;
        assert_eq!(errno, Errno::NODEV);
        assert!(!Path::new(&top(ALL)).exists());
        Ok(())
    })?;
    vm.forgive_leaks();
    let errno = vm.load_fails("config-items", "early forget fail")?;
    assert_eq!(errno, Errno::NODEV);
    assert!(!Path::new(&top(ALL)).exists());
    vm.log()
        .expect("config_items: not dropped: 1 subsystems in configfs")?;
    Ok(())
}

/// The kernel would free the module all the same.
fn a_failing_init_waits_for_directories(vm: &mut Vm) -> Result {
    for params in ["early wait fail", "early wait forget fail"] {
        vm.log().mark()?;
        let load = Waiter::begin(move || Module::load("config-items", params).map(drop));
        let child = format!("{}/x", top(ALL));
        eventually("the subsystem", || Path::new(&top(ALL)).exists())?;
        fs::create_dir(&child)?;
        fs::write("/sys/module/config_items/parameters/wait", "0")?;
        vm.log().expect("config_items: configfs: somebody has to")?;
        let error = error_of(fs::create_dir(format!("{child}/y")));
        assert_eq!(error, Some(Errno::SHUTDOWN));
        assert!(!load.has_ended());
        assert_eq!(number(&child)?, 0);
        fs::remove_dir(&child)?;
        let error = load.end()?.unwrap_err();
        assert_eq!(errno(&error), Some(Errno::NODEV));
        assert!(!Path::new(&top(ALL)).exists());
    }
    vm.forgive_leaks();
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        drop(control);
        let child = format!("{}/x", top(ALL));
        fs::create_dir(&child)?;
        set_number(&child, 1)?;
        fs::remove_dir(&child)?;
        module.unload()
    })
}
