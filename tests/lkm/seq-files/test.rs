// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        many_items_need_many_passes,
        pieces_of_any_size_make_the_same_text,
        every_position_can_be_read_from,
        items_larger_than_a_page_are_whole,
        items_without_text_are_passed_over,
        nothing_is_the_text_of_no_items,
        an_error_comes_after_what_could_be_shown,
        a_pass_that_is_refused_is_an_error,
        bad_addresses_are_errors,
        every_cursor_is_dropped,
        many_read_at_once,
        unloading_ends_reading,
    ],
    ..Example::EMPTY
};

const DIR: &str = "/proc/seq-files";
const LINES: &str = "/proc/seq-files/lines";

fn open(name: &str) -> Result<File> {
    Ok(File::open(Path::new(DIR).join(name))?)
}

fn read(name: &str) -> Result<String> {
    Ok(fs::read_to_string(Path::new(DIR).join(name))?)
}

fn lines() -> String {
    let lines: Vec<_> = (0..5000).map(|n| format!("line {n}\n")).collect();
    lines.concat()
}

fn many_items_need_many_passes(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    assert!(read("lines")? == lines());
    assert!(read("lines")? == lines());
    Ok(())
}

fn pieces_of_any_size_make_the_same_text(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    for size in [1, 7, 4095, 4096, 4097, 100_000] {
        let mut file = open("lines")?;
        let mut text = Vec::new();
        let mut piece = vec![0; size];
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            text.extend_from_slice(&piece[..read]);
            // A byte at a time is slow.
            if size == 1 && text.len() > 9000 {
                break;
            }
        }
        let expected = &lines().into_bytes()[..text.len()];
        assert!(
            text == expected && (size == 1 || text.len() == lines().len()),
            "{size}"
        );
        assert_eq!(file.stream_position()?, text.len() as u64);
    }
    Ok(())
}

fn every_position_can_be_read_from(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    let expected = lines().into_bytes();
    let mut file = open("lines")?;
    let mut buffer = [0; 20];
    for at in [0, 1, 6, 7, 4095, 4096, 20_000, 5, expected.len() - 3] {
        let read = file.read_at(&mut buffer, at as u64)?;
        assert!(
            read > 0 && buffer[..read] == expected[at..at + read],
            "{at}"
        );
    }
    for beyond in [expected.len() as u64, 1 << 40] {
        assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{beyond}");
    }
    file.seek(SeekFrom::Start(10_000))?;
    file.seek(SeekFrom::Current(-5_000))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    assert!(rest == expected[5_000..]);
    assert_eq!(error_of(file.seek(SeekFrom::End(0))), Some(Errno::INVAL));
    Ok(())
}

fn items_larger_than_a_page_are_whole(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    let expected: String = ["0", "1", "2"]
        .map(|n| format!("{n}23456789\n").repeat(1000))
        .concat();
    assert!(read("long")? == expected);
    let mut buffer = [0; 9];
    assert_eq!(open("long")?.read_at(&mut buffer, 20_000)?, 9);
    assert_eq!(&buffer, b"223456789");
    Ok(())
}

fn items_without_text_are_passed_over(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    assert_eq!(read("gaps")?, "1\n3\n5\n7\n9\n");
    Ok(())
}

fn nothing_is_the_text_of_no_items(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    assert_eq!(read("empty")?, "");
    assert_eq!(open("empty")?.read_at(&mut [0; 8], 100)?, 0);
    Ok(())
}

fn an_error_comes_after_what_could_be_shown(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    let mut file = open("fails")?;
    let mut buffer = [0; 16];
    assert_eq!(file.read(&mut buffer)?, 4);
    assert_eq!(&buffer[..4], b"0\n1\n");
    for _ in 0..2 {
        assert_eq!(error_of(file.read(&mut buffer)), Some(Errno::DOM));
    }
    assert_eq!(error_of(file.seek(SeekFrom::Start(5))), Some(Errno::DOM));
    file.seek(SeekFrom::Start(2))?;
    assert_eq!(file.read(&mut buffer)?, 2);
    Ok(())
}

fn a_pass_that_is_refused_is_an_error(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    let result = open("refuses")?.read(&mut [0; 8]);
    assert_eq!(error_of(result), Some(Errno::BUSY));
    Ok(())
}

fn bad_addresses_are_errors(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    let mut file = open("lines")?;
    assert_eq!(read_to_bad_address(&file, 100), Err(Errno::FAULT));
    let mut buffer = [0; 7];
    assert_eq!(file.read(&mut buffer)?, 7);
    assert_eq!(&buffer, b"line 0\n");
    let written = OpenOptions::new().write(true).open(LINES)?.write(b"x");
    assert_eq!(error_of(written), Some(Errno::IO));
    Ok(())
}

fn every_cursor_is_dropped(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    for name in ["lines", "long", "gaps", "empty", "fails", "refuses"] {
        let mut file = open(name)?;
        let _ = file.read(&mut [0; 3]);
        assert_eq!(read("live")?, "0", "{name}");
        let _ = file.read_at(&mut [0; 3], 10_000);
        let _ = read_to_bad_address(&file, 3);
        assert_eq!(read("live")?, "0", "{name}");
        let _ = file.read_to_end(&mut Vec::new());
        assert_eq!(read("live")?, "0", "{name}");
    }
    Ok(())
}

fn many_read_at_once(vm: &mut Vm) -> Result {
    let _module = vm.load("seq-files")?;
    let expected = lines();
    on_threads(100, |_| {
        assert!(read("lines")? == expected);
        Ok(())
    })?;
    assert_eq!(read("live")?, "0");
    Ok(())
}

fn unloading_ends_reading(vm: &mut Vm) -> Result {
    let module = vm.load("seq-files")?;
    let mut file = open("lines")?;
    file.read_exact(&mut [0; 100])?;
    let reader = thread::spawn(|| {
        loop {
            if read("lines").is_err() {
                break;
            }
        }
    });
    module.unload()?;
    reader.join().unwrap();
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::IO));
    assert!(!Path::new(DIR).exists());
    Ok(())
}
