// SPDX-License-Identifier: GPL-2.0-only

use rustix::mm::{MapFlags, ProtFlags};

use crate::{
    mapping::{Mapping, in_child},
    prelude::*,
};

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /dev/rust_mmap",
        "map_page 7",
        "map_page 7 hello",
        "map_page 7",
        "cat /dev/rust_mmap",
        "map_page 64 || true",
    ],
    tests: tests![
        pages_are_made_when_they_are_touched,
        processes_share_pages,
        a_page_that_was_thrown_away_comes_again,
        a_mapping_moves,
        what_there_is_not_cannot_be_mapped,
        a_mapping_outlives_the_descriptor,
        reads_into_its_own_pages,
        a_page_is_made_once,
        the_program_shows_a_page,
        pages_are_new_each_time,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/dev/rust_mmap";
const PAGE: usize = 4096;
const PAGES: usize = 64;

fn says(pages: usize, faults: usize) -> Result {
    let text = fs::read_to_string(PATH)?;
    let expected = format!("{pages} of {PAGES} pages, {faults} faults\n");
    assert_eq!(text, expected);
    Ok(())
}

/// All pages.
fn map() -> Result<Mapping> {
    Ok(Mapping::of(read_write(PATH)?, 0, PAGES * PAGE)?)
}

/// The text at the beginning of a page.
fn text_of(mapping: &Mapping, page: usize) -> String {
    let bytes = (page * PAGE..).map(|at| mapping.read(at));
    let line: Vec<_> = bytes.take_while(|byte| *byte != b'\n').collect();
    String::from_utf8_lossy(&line).into_owned()
}

fn pages_are_made_when_they_are_touched(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_mmap")?;
    assert_eq!(fs::metadata(PATH)?.permissions().mode() & 0o777, 0o600);
    let mapping = map()?;
    says(0, 0)?;
    for page in [0, 7, PAGES - 1] {
        assert_eq!(text_of(&mapping, page), format!("page {page}"));
        assert_eq!(mapping.read(page * PAGE + PAGE - 1), 0);
    }
    says(3, 3)?;
    // It is there now.
    assert_eq!(text_of(&mapping, 7), "page 7");
    says(3, 3)?;
    // Any part can be mapped.
    let part = Mapping::of(read_write(PATH)?, 7 * PAGE as u64, 2 * PAGE)?;
    assert_eq!(text_of(&part, 1), "page 8");
    assert_eq!(text_of(&part, 0), "page 7");
    says(4, 5)
}

/// Also with a child, which asks for its own.
fn processes_share_pages(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_mmap")?;
    let (mapping, other) = (map()?, map()?);
    mapping.write(3 * PAGE, b'P');
    assert_eq!(text_of(&other, 3), "Page 3");
    says(1, 2)?;
    let status = in_child(|| {
        assert_eq!(mapping.read(3 * PAGE), b'P');
        mapping.write(3 * PAGE + 1, b'A');
        mapping.write(4 * PAGE, b'P');
    })?;
    assert_eq!(status.exit_status(), Some(0));
    assert_eq!(text_of(&mapping, 3), "PAge 3");
    assert_eq!(text_of(&other, 4), "Page 4");
    says(2, 5)
}

fn a_page_that_was_thrown_away_comes_again(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_mmap")?;
    let mapping = map()?;
    mapping.write(0, b'P');
    mapping.forget()?;
    assert_eq!(text_of(&mapping, 0), "Page 0");
    says(1, 2)
}

fn a_mapping_moves(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_mmap")?;
    let mut mapping = map()?;
    assert_eq!(text_of(&mapping, 5), "page 5");
    mapping.relocate(Mapping::reserve(PAGES * PAGE)?)?;
    assert_eq!(text_of(&mapping, 5), "page 5");
    assert_eq!(text_of(&mapping, 6), "page 6");
    says(2, 2)?;
    // It could be asked for pages that there are not.
    assert_eq!(mapping.resize((PAGES + 1) * PAGE), Err(Errno::FAULT));
    mapping.resize(PAGE)?;
    assert_eq!(mapping.resize(2 * PAGE), Err(Errno::FAULT));
    assert_eq!(text_of(&mapping, 0), "page 0");
    Ok(())
}

fn what_there_is_not_cannot_be_mapped(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_mmap")?;
    let file = read_write(PATH)?;
    for (offset, len) in [
        (0, PAGES * PAGE + 1),
        (PAGE as u64, PAGES * PAGE),
        ((PAGES * PAGE) as u64, 1),
        (1 << 40, PAGE),
    ] {
        let error = Mapping::of(&file, offset, len).err();
        assert_eq!(error, Some(Errno::INVAL), "{offset:x} {len:x}");
    }
    // The kernel would join the second of these to the first, and not ask about it.
    let place = Mapping::reserve(3 * PAGE)?;
    let last = (PAGES * PAGE - PAGE) as u64;
    place.cover(0, &file, last, PAGE)?;
    let beyond = place.cover(PAGE, &file, last + PAGE as u64, PAGE);
    assert_eq!(beyond, Err(Errno::INVAL));
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let private = Mapping::with(&file, 0, PAGE, access, MapFlags::PRIVATE);
    assert_eq!(private.err(), Some(Errno::INVAL));
    says(0, 0)
}

fn a_mapping_outlives_the_descriptor(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_mmap")?;
    let file = read_write(PATH)?;
    let mapping = Mapping::of(&file, 0, PAGES * PAGE)?;
    drop(file);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(text_of(&mapping, 9), "page 9");
    // What is left of it will do.
    mapping.cut(PAGE, (PAGES - 1) * PAGE)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(text_of(&mapping, 0), "page 0");
    drop(mapping);
    module.unload()
}

/// With its lock held it would wait for itself.
fn reads_into_its_own_pages(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_mmap")?;
    let file = read_write(PATH)?;
    let mapping = Mapping::of(&file, 0, PAGES * PAGE)?;
    let expected = "0 of 64 pages, 0 faults";
    let read = mapping.read_from(2 * PAGE, &file, 0, 100);
    assert_eq!(read, Ok(expected.len() + 1));
    assert_eq!(text_of(&mapping, 2), expected);
    says(1, 1)
}

fn a_page_is_made_once(vm: &mut Vm) -> Result {
    const THREADS: u32 = 4;
    let module = vm.load("rust_mmap")?;
    for _ in 0..vm.fewer(50) {
        on_threads(THREADS, |number| {
            let mapping = map()?;
            for page in 0..PAGES {
                let at = page * PAGE + 100 + number as usize;
                mapping.write(at, mapping.read(at).wrapping_add(1));
            }
            Ok(())
        })?;
    }
    let mapping = map()?;
    for page in 0..PAGES {
        assert_eq!(text_of(&mapping, page), format!("page {page}"));
        for number in 0..THREADS as usize {
            let count = mapping.read(page * PAGE + 100 + number);
            assert_eq!(u32::from(count), vm.fewer(50), "{page} {number}");
        }
    }
    drop(mapping);
    module.unload()
}

fn the_program_shows_a_page(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_mmap")?;
    assert_eq!(vm.sh("map_page 7")?, "page 7\n");
    assert_eq!(vm.sh("map_page 7 hello")?, "hello\n");
    assert_eq!(vm.sh("map_page 7")?, "hello\n");
    assert_eq!(vm.sh("map_page 63")?, "page 63\n");
    says(2, 4)?;
    for bad in ["", "64", "99999999999999", "x", "1 2 3"] {
        assert!(vm.sh(&format!("map_page {bad}")).is_err(), "{bad}");
    }
    says(2, 4)
}

fn pages_are_new_each_time(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = vm.load("rust_mmap")?;
        let mapping = map()?;
        assert_eq!(text_of(&mapping, 1), "page 1");
        mapping.write(PAGE, b'P');
        drop(mapping);
        module.unload()?;
    }
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("rust_mmap")?;
        let mapping = map()?;
        mapping.write(PAGE, 1);
        drop(mapping);
        module.unload()
    })
}
