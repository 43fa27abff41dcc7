// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        what_cannot_be_is_refused,
        modes_are_as_said,
        directories_have_data_of_their_own,
        store_is_given_a_page_at_most,
        a_page_is_not_overrun,
        errors_reach_user_space,
        what_is_not_there_is_an_error,
        unloading_waits_for_a_show,
        unloading_waits_for_a_store,
    ],
    ..Example::EMPTY
};

const DIR: &str = "/sys/kernel/sysfs-attributes";
const PAGE: usize = 4096;

fn path(name: &str) -> String {
    format!("{DIR}/{name}")
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-attributes")?;
    // The module complains of what is not refused as it should be.
    let complaints = vm.log().complaints("sysfs-attributes")?;
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

fn modes_are_as_said(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-attributes")?;
    let modes = [
        ("length", 0o444),
        ("text", 0o200),
        ("full", 0o400),
        ("too-much", 0o440),
        ("far-too-much", 0o444),
        ("error", 0o664),
        ("slow", 0o644),
    ];
    for (name, mode) in modes {
        assert_eq!(fs::metadata(path(name))?.mode() & 0o7777, mode, "{name}");
    }
    assert_eq!(fs::read_dir(DIR)?.count(), modes.len());
    Ok(())
}

fn directories_have_data_of_their_own(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-attributes")?;
    fs::write(path("text"), "four")?;
    fs::write(format!("{DIR}-2/text"), "seven\n")?;
    assert_eq!(fs::read_to_string(path("length"))?, "4\n");
    assert_eq!(fs::read_to_string(format!("{DIR}-2/length"))?, "6\n");
    module.unload()?;
    vm.log().expect("exit begins: 4 6")?;
    Ok(())
}

fn store_is_given_a_page_at_most(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-attributes")?;
    let mut file = OpenOptions::new().write(true).open(path("text"))?;
    assert_eq!(file.write(&[b'x'; PAGE])?, PAGE);
    assert_eq!(fs::read_to_string(path("length"))?, "4096\n");
    assert_eq!(file.write(&[b'x'; PAGE + 5])?, PAGE);
    assert_eq!(fs::read_to_string(path("length"))?, "4096\n");
    assert_eq!(file.write(b"a\0b")?, 3);
    assert_eq!(fs::read_to_string(path("length"))?, "3\n");
    Ok(())
}

fn a_page_is_not_overrun(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-attributes")?;
    assert_eq!(fs::read(path("full"))?, [b'x'; PAGE - 1]);
    let overflow = Some(Errno::OVERFLOW);
    assert_eq!(error_of(fs::read(path("too-much"))), overflow);
    assert_eq!(error_of(fs::read(path("far-too-much"))), overflow);
    Ok(())
}

fn errors_reach_user_space(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-attributes")?;
    let path = path("error");
    assert_eq!(error_of(fs::read(&path)), Some(Errno::BUSY));
    assert_eq!(error_of(fs::write(&path, "x")), Some(Errno::NOSPC));
    Ok(())
}

/// What an attribute cannot do, root cannot open it for; with a mode that
/// allows it, which root may change, it is EIO as for every attribute.
fn what_is_not_there_is_an_error(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-attributes")?;
    let (length, text) = (path("length"), path("text"));
    assert_eq!(error_of(fs::write(&length, "1")), Some(Errno::ACCESS));
    assert_eq!(error_of(fs::read(&text)), Some(Errno::ACCESS));

    for path in [&length, &text] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    }
    assert_eq!(error_of(fs::write(&length, "1")), Some(Errno::IO));
    assert_eq!(error_of(fs::read(&text)), Some(Errno::IO));
    assert_eq!(fs::read_to_string(&length)?, "0\n");
    Ok(())
}

fn unloading_waits_for_a_show(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-attributes")?;
    let reader = Waiter::begin(|| {
        let mut text = [0; 8];
        let mut file = File::open(path("slow"))?;
        let read = file.read(&mut text)?;
        Ok::<_, io::Error>((file, text[..read].to_vec()))
    });
    vm.log().expect("slow show begins")?;
    module.unload()?;
    vm.log().expect_after("exit begins", "slow show ends")?;

    // The read that was under way is answered, the next finds no module.
    let (mut file, text) = reader.end()??;
    assert_eq!(text, b"slow");
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::NODEV));
    Ok(())
}

fn unloading_waits_for_a_store(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-attributes")?;
    let writer = Waiter::begin(|| {
        let mut file = OpenOptions::new().write(true).open(path("slow"))?;
        let written = file.write(b"slow")?;
        Ok::<_, io::Error>((file, written))
    });
    vm.log().expect("slow store begins")?;
    module.unload()?;
    vm.log().expect_after("exit begins", "slow store ends")?;
    let (mut file, written) = writer.end()??;
    assert_eq!(written, 4);
    assert_eq!(error_of(file.write(b"slow")), Some(Errno::NODEV));
    Ok(())
}
