// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        bad_names_are_refused,
        reads_back_what_was_written,
        errors_reach_user_space,
        releases_at_the_last_close,
        releases_once_when_unloaded_while_open,
        unloading_waits_for_a_read,
        too_much_at_once_is_an_error,
    ],
    ..Example::EMPTY
};

const NOTE: &str = "/proc/procfs-ops";
const SLOW: &str = "/proc/procfs-ops-slow";
const ALL: &str = "/proc/procfs-ops-all";

fn bad_names_are_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs-ops")?;
    assert_eq!(vm.log().count("is taken for")?, 0);
    Ok(())
}

fn reads_back_what_was_written(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs-ops")?;
    let mut file = read_write(NOTE)?;
    file.write_all(b"one")?;
    assert_eq!(file.stream_position()?, 3);
    file.write_all(b"seven")?;
    assert_eq!(fs::read(NOTE)?, b"seven");

    file.seek(SeekFrom::Start(2))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, "ven");
    Ok(())
}

fn errors_reach_user_space(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs-ops")?;
    fs::write(NOTE, "kept")?;

    assert_eq!(error_of(fs::write(NOTE, [b'x'; 65])), Some(Errno::NOSPC));
    let file = read_write(NOTE)?;
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(fs::read(NOTE)?, b"kept");

    // What a file has no operation for is EIO.
    assert_eq!(error_of(fs::write(SLOW, "x")), Some(Errno::IO));

    let mut nonblocking = OpenOptions::new();
    nonblocking.read(true).custom_flags(libc::O_NONBLOCK);
    assert_eq!(error_of(nonblocking.open(NOTE)), Some(Errno::BUSY));
    Ok(())
}

fn releases_at_the_last_close(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs-ops")?;
    let file = File::open(NOTE)?;
    let same = file.try_clone()?;
    drop(file);
    assert_eq!(vm.log().count("released")?, 0);
    drop(same);
    vm.log().expect("released")?;
    assert_eq!(vm.log().count("opened")?, 1);
    Ok(())
}

fn releases_once_when_unloaded_while_open(vm: &mut Vm) -> Result {
    let module = vm.load("procfs-ops")?;
    let mut file = File::open(NOTE)?;
    module.unload()?;
    assert_eq!(vm.log().count("released")?, 1);

    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::IO));
    drop(file);
    assert_eq!(vm.log().count("released")?, 1);
    Ok(())
}

fn unloading_waits_for_a_read(vm: &mut Vm) -> Result {
    let module = vm.load("procfs-ops")?;
    let reader = Waiter::begin(|| {
        let mut file = File::open(SLOW)?;
        let read = file.read(&mut [0; 8])?;
        Ok::<_, io::Error>((file, read))
    });
    vm.log().expect("slow read begins")?;
    module.unload()?;

    // The read that was under way has ended before the module was gone. The next finds
    // no module any more.
    vm.log().expect_after("exit begins", "slow read ends")?;
    let (mut file, read) = reader.end()??;
    assert_eq!(read, 5);
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::IO));
    Ok(())
}

/// And nothing for the log.
fn too_much_at_once_is_an_error(vm: &mut Vm) -> Result {
    const MIB: usize = 1 << 20;
    let _module = vm.load("procfs-ops")?;
    let mut file = OpenOptions::new().write(true).open(ALL)?;
    assert_eq!(file.write(&[b'x'; 100])?, 100);
    assert_eq!(
        error_of(file.write(&vec![b'x'; 8 * MIB])),
        Some(Errno::NOMEM)
    );
    let text = *b"a string\0";
    let string = |limit| ioctl(&file, limit, Argument::Buffer(&mut text.clone()));
    assert_eq!(string(100), Ok(8));
    for limit in [8 * MIB as u32, u32::MAX] {
        assert_eq!(string(limit), Err(Errno::NOMEM));
    }
    Ok(())
}
