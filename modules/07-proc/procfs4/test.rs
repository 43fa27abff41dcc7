// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use std::process::Command;

pub const EXAMPLE: Example = Example {
    demo: &["cat /proc/iter", "cat /proc/iter", "cat /proc/iter"],
    tests: tests![
        makes_its_file,
        counts_its_passes,
        reads_in_pieces,
        begins_again_at_the_beginning,
        says_when_the_buffer_is_bad,
        cannot_be_written,
        belongs_to_the_children_too,
        open_file_outlives_the_module,
        a_hundred_threads_see_each_number_once,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/proc/iter";

fn makes_its_file(vm: &mut Vm) -> Result {
    let module = vm.load("procfs4")?;
    let file = fs::metadata(PATH)?;
    assert!(file.is_file());
    assert_eq!(file.mode() & 0o7777, 0o444);
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    // The kernel's `pr_debug!` says nothing unless it was built to.
    let removed = (7, "/proc/iter removed");
    let expected = if vm.prints_debug()? {
        &[removed][..]
    } else {
        &[]
    };
    assert_eq!(vm.log().said("procfs4")?, expected);
    Ok(())
}

fn counts_its_passes(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs4")?;
    for count in 0..12 {
        assert_eq!(vm.sh("cat /proc/iter")?, format!("{count}\n"));
    }
    Ok(())
}

fn reads_in_pieces(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs4")?;
    for _ in 0..10 {
        fs::read(PATH)?;
    }
    let mut file = File::open(PATH)?;
    let mut byte = [0];
    assert_eq!(file.read(&mut [])?, 0);
    let mut text = Vec::new();
    while file.read(&mut byte)? > 0 {
        text.push(byte[0]);
    }
    assert_eq!(text, b"10\n");
    assert_eq!(file.read(&mut byte)?, 0);
    assert_eq!(file.read_at(&mut byte, 3)?, 0);
    assert_eq!(file.read_at(&mut byte, 1 << 40)?, 0);
    Ok(())
}

fn begins_again_at_the_beginning(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs4")?;
    let mut file = File::open(PATH)?;
    let mut buffer = [0; 16];
    for count in [b'0', b'1', b'2'] {
        file.seek(SeekFrom::Start(0))?;
        assert_eq!(file.read(&mut buffer)?, 2);
        assert_eq!(buffer[..2], [count, b'\n']);
    }
    // A pass that begins in the middle is one, too.
    assert_eq!(file.read_at(&mut buffer, 1)?, 1);
    assert_eq!(fs::read(PATH)?, b"4\n");
    Ok(())
}

fn says_when_the_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs4")?;
    let file = File::open(PATH)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(fs::read(PATH)?.last(), Some(&b'\n'));
    Ok(())
}

fn cannot_be_written(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs4")?;
    assert_eq!(error_of(fs::write(PATH, "7")), Some(Errno::IO));
    let error = ioctl(File::open(PATH)?, 0, Argument::None);
    assert_eq!(error, Err(Errno::NOTTY));
    Ok(())
}

fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs4")?;
    let mut file = File::open(PATH)?;
    let mut cat = Command::new("cat");
    cat.stdin(file.try_clone()?);
    assert_eq!(cat.output()?.stdout, b"0\n");
    // It is at the end now, for both.
    assert_eq!(file.read(&mut [0; 8])?, 0);
    Ok(())
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("procfs4")?;
    let mut file = File::open(PATH)?;
    file.read_exact(&mut [0])?;
    module.unload()?;
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::IO));
    Ok(())
}

/// The book's counter is nobody's, and counts two at once as one.
fn a_hundred_threads_see_each_number_once(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs4")?;
    let (threads, times) = (vm.fewer(100), 20);
    let read = |_| -> Result<Vec<u32>> {
        (0..times)
            .map(|_| Ok(fs::read_to_string(PATH)?.trim_end().parse()?))
            .collect()
    };
    let mut seen = on_threads(threads, read)?.concat();
    seen.sort_unstable();
    assert_eq!(seen, (0..threads * times).collect::<Vec<_>>());
    Ok(())
}
