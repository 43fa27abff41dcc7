// SPDX-License-Identifier: GPL-2.0-only

use rustix::{
    mm::{MapFlags, MprotectFlags, ProtFlags},
    pipe::pipe,
};

use crate::{
    mapping::{Mapping, in_child},
    prelude::*,
};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        both_sides_see_what_is_written,
        numbers_are_atomic,
        a_part_can_be_mapped,
        more_than_there_is_cannot_be_mapped,
        private_mappings_are_refused,
        read_only_is_read_only,
        a_descriptor_that_may_not_write_maps_none_to_write,
        mappings_do_not_grow,
        a_child_shares_the_pages,
        pages_that_were_thrown_away_are_gone,
        a_mapping_keeps_the_module,
        an_opening_can_have_pages_of_its_own,
        what_cannot_be_mapped_is_refused,
        what_cannot_be_is_refused,
        many_bytes_are_copied_at_a_time,
        many_map_at_once,
        pages_are_freed,
        pages_come_when_they_are_touched,
        a_page_on_demand_is_the_right_one,
        pages_on_demand_that_there_are_not,
        the_kernel_touches_pages,
        a_page_that_was_thrown_away_comes_again,
        a_child_asks_for_its_pages,
        a_mapping_on_demand_moves_and_does_not_grow,
        parts_of_a_mapping_on_demand,
        neighbours_are_looked_at_one_by_one,
        a_page_outlives_the_module,
        who_is_asked_for_a_page_keeps_the_module,
        who_is_asked_for_a_page_waits_for_nobody,
        many_ask_at_once,
        pages_on_demand_are_freed,
        a_failing_init_waits_for_mappings,
        nothing_is_left,
    ],
    ..Example::EMPTY
};

const MEMORY: &str = "/dev/mmaps";
const READ_ONLY: &str = "/dev/mmaps-read-only";
const ON_DEMAND: &str = "/dev/mmaps-demand";
const ON_DEMAND_READ_ONLY: &str = "/dev/mmaps-demand-read-only";
const FRESH: &str = "/dev/mmaps-fresh";
const OWN: &str = "/dev/mmaps-own";

const PAGE: usize = 4096;

/// How many bytes each device has.
const SIZE_OF_ALL: usize = 3 * PAGE;

/// The error of something that is to fail.
fn refused<T>(result: Result<T, Errno>) -> Option<Errno> {
    result.err()
}

fn both_sides_see_what_is_written(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    assert_eq!(memory.get(SIZE), SIZE_OF_ALL);
    let mapping = Mapping::of(&*memory, 0, SIZE_OF_ALL)?;
    for offset in 0..SIZE_OF_ALL {
        assert_eq!(mapping.read(offset), 0, "{offset}");
    }
    // Also where one page ends and the next begins.
    for offset in [0, 1, PAGE - 2, 2 * PAGE - 1, SIZE_OF_ALL - 4] {
        memory.write_all_at(b"here", offset as u64)?;
        let seen: Vec<_> = (0..4).map(|n| mapping.read(offset + n)).collect();
        assert_eq!(seen, b"here", "{offset}");
        for (n, byte) in (0..).zip(b"user") {
            mapping.write(offset + n, *byte);
        }
        let mut bytes = [0; 4];
        memory.read_exact_at(&mut bytes, offset as u64)?;
        assert_eq!(&bytes, b"user", "{offset}");
    }
    // Two mappings are of the same pages, wherever they are.
    let other = Mapping::of(read_write(MEMORY)?, 0, PAGE)?;
    assert_ne!(other.address(), mapping.address());
    other.write(100, 7);
    assert_eq!(mapping.read(100), 7);
    Ok(())
}

fn numbers_are_atomic(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    let rounds = vm.fewer(5000);
    on_threads(4, |_| {
        for _ in 0..rounds {
            memory.call(ADD, PAGE)?;
        }
        Ok(())
    })?;
    let mapping = Mapping::of(&*memory, PAGE as u64, PAGE)?;
    let bytes = [0, 1, 2, 3].map(|n| mapping.read(n));
    assert_eq!(u32::from_ne_bytes(bytes), 4 * rounds);
    assert_eq!(memory.call(ADD, SIZE_OF_ALL - 4), Ok(0));
    for bad in [1, 2, PAGE + 3, SIZE_OF_ALL - 2, SIZE_OF_ALL, usize::MAX - 3] {
        assert_eq!(memory.call(ADD, bad), Err(Errno::INVAL), "{bad}");
    }
    Ok(())
}

fn a_part_can_be_mapped(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    for page in 0..3 {
        memory.write_all_at(&[b'a' + page], u64::from(page) * PAGE as u64)?;
    }
    for (first, count) in [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)] {
        let mapping = Mapping::of(&*memory, (first * PAGE) as u64, count * PAGE)?;
        for page in 0..count {
            let expected = b'a' + (first + page) as u8;
            assert_eq!(mapping.read(page * PAGE), expected, "{first} {count}");
        }
    }
    // The kernel maps whole pages, also when one asks for less.
    let mapping = Mapping::of(&*memory, 2 * PAGE as u64, 1)?;
    assert_eq!(mapping.read(0), b'c');
    Ok(())
}

fn more_than_there_is_cannot_be_mapped(vm: &mut Vm) -> Result {
    let mut module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    let beyond = [
        (0, SIZE_OF_ALL + 1),
        (0, 4 * PAGE),
        (0, 1 << 40),
        (PAGE as u64, 3 * PAGE),
        (SIZE_OF_ALL as u64, 1),
        (1 << 40, PAGE),
        // The number of the page does not fit, or the end is before the beginning.
        (1 << 62, PAGE),
        (u64::MAX - PAGE as u64 + 1, PAGE),
        (u64::MAX - PAGE as u64 + 1, 2 * PAGE),
    ];
    for (offset, len) in beyond {
        let error = refused(Mapping::of(&*memory, offset, len));
        let expected = [Some(Errno::INVAL), Some(Errno::OVERFLOW)];
        assert!(expected.contains(&error), "{offset:x} {len:x}: {error:?}");
    }
    // What was refused keeps nothing.
    drop(memory);
    module.try_unload()?;
    Ok(())
}

fn private_mappings_are_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    for path in [MEMORY, READ_ONLY, ON_DEMAND, ON_DEMAND_READ_ONLY] {
        let file = read_write(path)?;
        for access in [ProtFlags::READ, ProtFlags::READ | ProtFlags::WRITE] {
            let private = Mapping::with(&file, 0, PAGE, access, MapFlags::PRIVATE);
            assert_eq!(refused(private), Some(Errno::INVAL), "{path}");
        }
    }
    Ok(())
}

/// Also by mprotect(2), by the memory file of the process, and after fork(2).
fn read_only_is_read_only(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    for path in [READ_ONLY, ON_DEMAND_READ_ONLY] {
        is_read_only(path)?;
    }
    for path in [MEMORY, ON_DEMAND] {
        is_writable(path)?;
    }
    Ok(())
}

fn is_read_only(path: &str) -> Result {
    let file = read_write(path)?;
    assert_eq!(refused(Mapping::of(&file, 0, PAGE)), Some(Errno::ACCESS));
    let mapping = Mapping::with(&file, 0, PAGE, ProtFlags::READ, MapFlags::SHARED)?;
    file.write_all_at(b"x", 5)?;
    assert_eq!(mapping.read(5), b'x');
    let both = MprotectFlags::READ | MprotectFlags::WRITE;
    for access in [both, MprotectFlags::WRITE] {
        assert_eq!(mapping.protect(access), Err(Errno::ACCESS));
    }
    let own_memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    assert!(
        own_memory
            .write_at(b"y", mapping.address() as u64 + 5)
            .is_err()
    );
    assert_eq!(mapping.read(5), b'x');
    let status = in_child(|| mapping.write(5, b'z'))?;
    assert_eq!(status.terminating_signal(), Some(libc::SIGSEGV));
    let status = in_child(|| assert!(mapping.protect(both).is_err()))?;
    assert_eq!(status.exit_status(), Some(0));
    assert_eq!(mapping.read(5), b'x');
    Ok(())
}

/// Where one may write, one may also give that up, and take it back.
fn is_writable(path: &str) -> Result {
    let file = read_write(path)?;
    let mapping = Mapping::with(&file, 0, PAGE, ProtFlags::READ, MapFlags::SHARED)?;
    mapping.protect(MprotectFlags::READ | MprotectFlags::WRITE)?;
    mapping.write(0, 1);
    mapping.protect(MprotectFlags::READ)?;
    let status = in_child(|| mapping.write(0, 2))?;
    assert_eq!(status.terminating_signal(), Some(libc::SIGSEGV));
    assert_eq!(mapping.read(0), 1);
    Ok(())
}

/// That is the kernel's to say. It must not be undone.
fn a_descriptor_that_may_not_write_maps_none_to_write(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    for path in [MEMORY, ON_DEMAND] {
        let file = File::open(path)?;
        assert_eq!(refused(Mapping::of(&file, 0, PAGE)), Some(Errno::ACCESS));
        let mapping = Mapping::with(&file, 0, PAGE, ProtFlags::READ, MapFlags::SHARED)?;
        assert_eq!(mapping.read(0), 0);
        let both = MprotectFlags::READ | MprotectFlags::WRITE;
        assert_eq!(mapping.protect(both), Err(Errno::ACCESS));
        let file = OpenOptions::new().write(true).open(path)?;
        assert_eq!(refused(Mapping::of(&file, 0, PAGE)), Some(Errno::ACCESS));
    }
    Ok(())
}

fn mappings_do_not_grow(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    let mut mapping = Mapping::of(&*memory, 0, 2 * PAGE)?;
    mapping.write(PAGE, 9);
    for len in [3 * PAGE, 4 * PAGE, 1 << 40] {
        assert_eq!(mapping.resize(len), Err(Errno::FAULT), "{len}");
        assert_eq!(refused(mapping.duplicate(len)), Some(Errno::FAULT), "{len}");
    }
    assert_eq!(mapping.read(PAGE), 9);
    mapping.resize(PAGE)?;
    mapping.write(0, 8);
    assert_eq!(mapping.resize(2 * PAGE), Err(Errno::FAULT));
    let mut bytes = [0; 1];
    memory.read_exact_at(&mut bytes, 0)?;
    assert_eq!(bytes, [8]);
    Ok(())
}

fn a_child_shares_the_pages(vm: &mut Vm) -> Result {
    let mut module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    let mapping = Mapping::of(&*memory, 0, SIZE_OF_ALL)?;
    mapping.write(1, 3);
    let status = in_child(|| {
        assert_eq!(mapping.read(1), 3);
        mapping.write(PAGE + 1, 4);
    })?;
    assert_eq!(status.exit_status(), Some(0));
    assert_eq!(mapping.read(PAGE + 1), 4);
    let mut bytes = [0; 1];
    memory.read_exact_at(&mut bytes, PAGE as u64 + 1)?;
    assert_eq!(bytes, [4]);
    drop((mapping, memory));
    module.try_unload()?;
    Ok(())
}

/// Nobody fills them again. It is the process's own fault.
fn pages_that_were_thrown_away_are_gone(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    let mapping = Mapping::of(&*memory, 0, PAGE)?;
    memory.write_all_at(b"x", 0)?;
    mapping.forget()?;
    let status = in_child(|| {
        let _ = mapping.read(0);
    })?;
    assert_eq!(status.terminating_signal(), Some(libc::SIGBUS));
    // Others have theirs.
    assert_eq!(Mapping::of(&*memory, 0, PAGE)?.read(0), b'x');
    Ok(())
}

/// It has the file, which has the module.
fn a_mapping_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    memory.write_all_at(b"kept", 0)?;
    let mut mapping = Mapping::of(&*memory, 0, 2 * PAGE)?;
    drop(memory);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    mapping.resize(PAGE)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(mapping.read(3), b't');
    assert_eq!(vm.log().count("the pages are gone")?, 0);
    drop(mapping);
    module.unload()?;
    // Those of all devices.
    assert_eq!(vm.log().count("the pages are gone")?, 4);
    Ok(())
}

fn an_opening_can_have_pages_of_its_own(vm: &mut Vm) -> Result {
    let module = vm.load("mmaps")?;
    let (one, two) = (read_write(OWN)?, read_write(OWN)?);
    let first = Mapping::of(&one, 0, PAGE)?;
    let second = Mapping::of(&two, 0, PAGE)?;
    first.write(0, 1);
    assert_eq!(second.read(0), 0);
    // The private data of a file stays as long as its mappings.
    drop((one, two));
    assert_eq!(first.read(0), 1);
    second.write(0, 2);
    drop((first, second));
    module.unload()
}

fn what_cannot_be_mapped_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    for (path, errno) in [
        ("/dev/mmaps-busy", Errno::BUSY),
        ("/dev/mmaps-without", Errno::NODEV),
        // Nobody can be asked for its pages.
        ("/dev/mmaps-careless", Errno::NODEV),
    ] {
        let file = read_write(path)?;
        assert_eq!(refused(Mapping::of(&file, 0, PAGE)), Some(errno), "{path}");
    }
    Ok(())
}

/// No pages, too many, and bytes that are not there.
fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    assert_eq!(memory.call(MAKE, 0), Err(Errno::INVAL));
    for many in [
        1 << 40,
        usize::MAX / PAGE,
        usize::MAX / PAGE + 1,
        usize::MAX,
    ] {
        assert_eq!(memory.call(MAKE, many), Err(Errno::NOMEM), "{many:x}");
    }
    assert_eq!(memory.call(MAKE, 5), Ok(5 * PAGE));
    for (offset, len) in [(SIZE_OF_ALL, 1), (SIZE_OF_ALL - 3, 4), (1 << 62, 1)] {
        let mut bytes = vec![0; len];
        let read = memory.read_at(&mut bytes, offset as u64);
        assert_eq!(error_of(read), Some(Errno::INVAL), "{offset:x}");
        let written = memory.write_at(&bytes, offset as u64);
        assert_eq!(error_of(written), Some(Errno::INVAL), "{offset:x}");
    }
    drop(memory);
    module.unload()?;
    assert_eq!(vm.load_fails("mmaps", "pages=0")?, Errno::INVAL);
    Ok(())
}

/// What a command for many bytes takes: an offset, a length, and the bytes.
fn many(offset: usize, len: usize, bytes: &[u8]) -> Vec<u8> {
    let header = [offset, len].map(usize::to_ne_bytes);
    [header.as_flattened(), bytes].concat()
}

fn many_bytes_are_copied_at_a_time(vm: &mut Vm) -> Result {
    const HEADER: usize = 16;
    let _module = vm.load("mmaps")?;
    let memory = Control::open(MEMORY)?;
    let copy = |command, argument: &mut Vec<u8>| {
        ioctl(&*memory, command, Argument::Buffer(argument)).map(drop)
    };
    let mapping = Mapping::of(&*memory, 0, SIZE_OF_ALL)?;
    for (offset, len) in [
        (0, 1),
        (PAGE - 1, 2),
        (5, 2 * PAGE),
        (0, SIZE_OF_ALL),
        (SIZE_OF_ALL, 0),
    ] {
        let bytes: Vec<_> = (0..len).map(|n| (n % 251 + 1) as u8).collect();
        copy(COPY_IN, &mut many(offset, len, &bytes))?;
        assert!((0..len).all(|n| mapping.read(offset + n) == bytes[n]));
        let mut seen = many(offset, len, &vec![0; len]);
        copy(COPY_OUT, &mut seen)?;
        assert!(seen[HEADER..] == bytes, "{offset} {len}");
        copy(CLEAR, &mut many(offset, len, &[]))?;
        assert!((0..len).all(|n| mapping.read(offset + n) == 0));
    }
    for (offset, len) in [
        (SIZE_OF_ALL, 1),
        (SIZE_OF_ALL - 3, 4),
        (SIZE_OF_ALL + 1, 0),
        (0, SIZE_OF_ALL + 1),
        (usize::MAX, 1),
        (1, usize::MAX),
    ] {
        for command in [COPY_IN, COPY_OUT, CLEAR] {
            let room = len.min(2 * SIZE_OF_ALL);
            let result = copy(command, &mut many(offset, len, &vec![0; room]));
            assert_eq!(result, Err(Errno::INVAL), "{command:#x} {offset:x} {len:x}");
        }
    }
    // Not all of it is the process's memory.
    let edge = Edge::of(&many(0, 100, &[7; 50]));
    for command in [COPY_IN, COPY_OUT] {
        let result = ioctl(&*memory, command, edge.argument());
        assert_eq!(result, Err(Errno::FAULT), "{command:#x}");
    }
    Ok(())
}

fn many_map_at_once(vm: &mut Vm) -> Result {
    let module = vm.load("mmaps")?;
    let rounds = vm.fewer(500);
    let memory = Control::open(MEMORY)?;
    on_threads(8, |number| {
        for round in 0..rounds {
            let file = read_write(MEMORY)?;
            let mapping = Mapping::of(&file, 0, SIZE_OF_ALL)?;
            drop(file);
            let offset = (number * 100 + round % 100) as usize;
            mapping.write(offset, number as u8);
            memory.write_all_at(b"all", 2 * PAGE as u64)?;
            memory.call(ADD, PAGE)?;
            ensure!(mapping.read(offset) == number as u8, "another byte");
        }
        Ok(())
    })?;
    assert_eq!(memory.call(ADD, PAGE), Ok(8 * rounds as usize));
    drop(memory);
    module.unload()
}

/// In the end there were more of them than the machine has.
fn pages_are_freed(vm: &mut Vm) -> Result {
    const PAGES: usize = 1536;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let total = memory.split_ascii_whitespace().nth(1).context("MemTotal")?;
    let rounds = total.parse::<usize>()? * 1024 / (PAGES * PAGE) + 1;
    for round in (0..=u8::MAX).cycle().take(rounds) {
        let module = vm.load_with("mmaps", &format!("pages={PAGES}"))?;
        let memory = read_write(MEMORY)?;
        let mapping = Mapping::of(&memory, 0, PAGES * PAGE)?;
        mapping.write(PAGES * PAGE - 1, round);
        let status = in_child(|| mapping.write(0, round))?;
        assert_eq!(status.exit_status(), Some(0));
        assert_eq!(mapping.read(0), round);
        drop((mapping, memory));
        module.unload()?;
    }
    Ok(())
}

/// How a child ends that touches the byte at `offset`: 0, or the signal that it gets.
fn end_of_who_touches(mapping: &Mapping, offset: usize) -> Result<i32> {
    let status = in_child(|| {
        let _ = mapping.read(offset);
    })?;
    let end = status.terminating_signal().or(status.exit_status());
    end.context("no end")
}

fn pages_come_when_they_are_touched(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(ON_DEMAND)?;
    let mapping = Mapping::of(&*memory, 0, SIZE_OF_ALL)?;
    assert_eq!(memory.get(FAULTS), 0);
    memory.write_all_at(b"here", PAGE as u64)?;
    assert_eq!(mapping.read(PAGE), b'h');
    mapping.write(PAGE + 1, b'a');
    let mut bytes = [0; 4];
    memory.read_exact_at(&mut bytes, PAGE as u64)?;
    assert_eq!(&bytes, b"hare");
    assert_eq!(memory.get(FAULTS), 1);
    mapping.write(0, 1);
    assert_eq!(memory.get(FAULTS), 2);
    // Another mapping is of the same pages, and asks for them again.
    let other = Mapping::of(&*memory, PAGE as u64, PAGE)?;
    assert_eq!(other.read(1), b'a');
    assert_eq!(memory.get(FAULTS), 3);
    // A device that has all pages mapped at once is never asked.
    let at_once = Control::open(MEMORY)?;
    Mapping::of(&*at_once, 0, PAGE)?.write(0, 1);
    assert_eq!(at_once.get(FAULTS), 0);
    Ok(())
}

fn a_page_on_demand_is_the_right_one(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(ON_DEMAND)?;
    for page in 0..3 {
        memory.write_all_at(&[b'a' + page], u64::from(page) * PAGE as u64)?;
    }
    for (first, count) in [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)] {
        let mapping = Mapping::of(&*memory, (first * PAGE) as u64, count * PAGE)?;
        for page in (0..count).rev() {
            let expected = b'a' + (first + page) as u8;
            assert_eq!(mapping.read(page * PAGE), expected, "{first} {count}");
        }
    }
    // Numbers that need more than 32 bits.
    let fresh = read_write(FRESH)?;
    for first in [0, 1, (1 << 32) - 1, 1 << 32, 1 << 50] {
        let mapping = Mapping::of(&fresh, first * PAGE as u64, 2 * PAGE)?;
        for page in [1, 0] {
            let at = page * PAGE;
            let number: Vec<_> = (at..at + 8).map(|at| mapping.read(at)).collect();
            assert_eq!(number, (first + page as u64).to_ne_bytes(), "{first}");
        }
    }
    Ok(())
}

fn pages_on_demand_that_there_are_not(vm: &mut Vm) -> Result {
    const MOST: usize = SIZE_OF_ALL + TOO_MANY * PAGE;
    let mut module = vm.load("mmaps")?;
    let memory = Control::open(ON_DEMAND)?;
    let beyond = [
        (0, MOST + 1),
        (0, 1 << 40),
        (PAGE as u64, MOST),
        (MOST as u64, 1),
        (1 << 40, PAGE),
        (1 << 62, PAGE),
        (u64::MAX - PAGE as u64 + 1, PAGE),
        (u64::MAX - PAGE as u64 + 1, 2 * PAGE),
    ];
    for (offset, len) in beyond {
        let error = refused(Mapping::of(&*memory, offset, len));
        let expected = [Some(Errno::INVAL), Some(Errno::OVERFLOW)];
        assert!(expected.contains(&error), "{offset:x} {len:x}: {error:?}");
    }
    assert_eq!(memory.get(FAULTS), 0);
    // These are asked for, in vain.
    let mapping = Mapping::of(&*memory, 0, MOST)?;
    for page in [3, 4] {
        assert_eq!(end_of_who_touches(&mapping, page * PAGE)?, libc::SIGBUS);
    }
    assert_eq!(memory.get(FAULTS), 2);
    // Nobody has touched these when they come.
    let flags = MapFlags::SHARED | MapFlags::POPULATE;
    let all = Mapping::with(&*memory, 0, SIZE_OF_ALL, ProtFlags::READ, flags)?;
    assert_eq!(memory.get(FAULTS), 5);
    assert_eq!(all.read(2 * PAGE), 0);
    assert_eq!(memory.get(FAULTS), 5);
    drop(all);
    assert_eq!(end_of_who_touches(&mapping, SIZE_OF_ALL - 1)?, 0);
    drop((mapping, memory));
    module.try_unload()?;
    Ok(())
}

/// For who has asked it to. Nobody may hold a lock then that the device wants.
fn the_kernel_touches_pages(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(ON_DEMAND)?;
    let mapping = Mapping::of(&*memory, 0, SIZE_OF_ALL + TOO_MANY * PAGE)?;
    memory.write_all_at(b"here", 0)?;
    // Out of the device, into a page of its own, which nobody has touched.
    assert_eq!(mapping.read_from(PAGE, &*memory, 0, 4), Ok(4));
    assert_eq!(memory.get(FAULTS), 1);
    let mut bytes = [0; 4];
    memory.read_exact_at(&mut bytes, PAGE as u64)?;
    assert_eq!(&bytes, b"here");
    let in_vain = mapping.read_from(SIZE_OF_ALL, &*memory, 0, 4);
    assert_eq!(in_vain, Err(Errno::FAULT));
    let faults = memory.get(FAULTS);
    assert!(faults > 1);
    // Whoever may look into the process touches them, too.
    let own_memory = read_write("/proc/self/mem")?;
    let mut bytes = [0; 4];
    own_memory.read_exact_at(&mut bytes, mapping.address() as u64)?;
    assert_eq!(&bytes, b"here");
    own_memory.write_all_at(b"there", (mapping.address() + 2 * PAGE) as u64)?;
    assert_eq!(mapping.read(2 * PAGE), b't');
    assert_eq!(memory.get(FAULTS), faults + 2);
    let nowhere = (mapping.address() + SIZE_OF_ALL) as u64;
    assert!(own_memory.read_at(&mut bytes, nowhere).is_err());
    Ok(())
}

/// With what was written to it. Where all pages are mapped at once it does not.
fn a_page_that_was_thrown_away_comes_again(vm: &mut Vm) -> Result {
    let _module = vm.load("mmaps")?;
    let memory = Control::open(ON_DEMAND)?;
    let mapping = Mapping::of(&*memory, 0, SIZE_OF_ALL)?;
    for round in 1..=3 {
        assert_eq!(mapping.read(5), round - 1);
        mapping.write(5, round);
        assert_eq!(memory.get(FAULTS), usize::from(round));
        mapping.forget()?;
    }
    // One that nobody keeps is a new one.
    let mapping = Mapping::of(read_write(FRESH)?, 0, PAGE)?;
    mapping.write(100, 1);
    assert_eq!(mapping.read(100), 1);
    mapping.forget()?;
    assert_eq!(mapping.read(100), 0);
    Ok(())
}

fn a_child_asks_for_its_pages(vm: &mut Vm) -> Result {
    let mut module = vm.load("mmaps")?;
    let memory = Control::open(ON_DEMAND)?;
    let mapping = Mapping::of(&*memory, 0, SIZE_OF_ALL)?;
    mapping.write(1, 3);
    assert_eq!(memory.get(FAULTS), 1);
    let status = in_child(|| {
        assert_eq!(mapping.read(1), 3);
        mapping.write(2, 4);
        mapping.write(PAGE + 1, 5);
    })?;
    assert_eq!(status.exit_status(), Some(0));
    assert_eq!(memory.get(FAULTS), 3);
    assert_eq!((mapping.read(2), mapping.read(PAGE + 1)), (4, 5));
    assert_eq!(memory.get(FAULTS), 4);
    drop((mapping, memory));
    module.try_unload()?;
    Ok(())
}

fn a_mapping_on_demand_moves_and_does_not_grow(vm: &mut Vm) -> Result {
    let mut module = vm.load("mmaps")?;
    let memory = Control::open(ON_DEMAND)?;
    memory.write_all_at(b"b", PAGE as u64)?;
    memory.write_all_at(b"c", 2 * PAGE as u64)?;
    let mut mapping = Mapping::of(&*memory, PAGE as u64, 2 * PAGE)?;
    assert_eq!(mapping.read(0), b'b');
    let before = mapping.address();
    mapping.relocate(Mapping::reserve(2 * PAGE)?)?;
    assert_ne!(mapping.address(), before);
    drop(memory);
    // One page went with it, and the other is asked for where it is now.
    assert_eq!((mapping.read(0), mapping.read(PAGE)), (b'b', b'c'));
    for len in [3 * PAGE, 1 << 40] {
        assert_eq!(mapping.resize(len), Err(Errno::FAULT), "{len}");
        assert_eq!(refused(mapping.duplicate(len)), Some(Errno::FAULT), "{len}");
    }
    mapping.resize(PAGE)?;
    assert_eq!(mapping.resize(2 * PAGE), Err(Errno::FAULT));
    assert_eq!(mapping.read(0), b'b');
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(mapping);
    module.unload()
}

/// Each keeps the file.
fn parts_of_a_mapping_on_demand(vm: &mut Vm) -> Result {
    let mut module = vm.load("mmaps")?;
    let file = read_write(ON_DEMAND)?;
    file.write_all_at(b"a", 0)?;
    file.write_all_at(b"c", 2 * PAGE as u64)?;
    let mapping = Mapping::of(&file, 0, SIZE_OF_ALL)?;
    drop(file);
    mapping.cut(PAGE, PAGE)?;
    assert_eq!(end_of_who_touches(&mapping, PAGE)?, libc::SIGSEGV);
    assert_eq!((mapping.read(0), mapping.read(2 * PAGE)), (b'a', b'c'));
    for page in [0, 2] {
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        mapping.cut(page * PAGE, PAGE)?;
    }
    module.unload()
}

/// The kernel makes one mapping of two, if it may, and does not ask about the second.
fn neighbours_are_looked_at_one_by_one(vm: &mut Vm) -> Result {
    const MOST: usize = SIZE_OF_ALL + TOO_MANY * PAGE;
    let _module = vm.load("mmaps")?;
    let file = read_write(ON_DEMAND)?;
    let place = Mapping::reserve(MOST + PAGE)?;
    for page in 0..MOST / PAGE {
        place.cover(page * PAGE, &file, (page * PAGE) as u64, PAGE)?;
    }
    let beyond = place.cover(MOST, &file, MOST as u64, PAGE);
    assert_eq!(beyond, Err(Errno::INVAL));
    for page in 0..3 {
        file.write_all_at(&[page as u8 + 1], (page * PAGE) as u64)?;
        assert_eq!(place.read(page * PAGE), page as u8 + 1);
    }
    Ok(())
}

/// Nobody but C knows then who has it.
fn a_page_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("mmaps")?;
    let (reader, writer) = pipe()?;
    let file = read_write(ON_DEMAND)?;
    file.write_all_at(b"kept", 0)?;
    let mapping = Mapping::of(&file, 0, PAGE)?;
    let fresh = Mapping::of(read_write(FRESH)?, 7 * PAGE as u64, PAGE)?;
    assert_eq!(mapping.give(0, &writer, 4), Ok(4));
    assert_eq!(fresh.give(0, &writer, 8), Ok(8));
    drop((file, mapping, fresh));
    module.unload()?;
    let mut bytes = [0; 12];
    File::from(reader).read_exact(&mut bytes)?;
    assert_eq!(&bytes[..4], b"kept");
    assert_eq!(bytes[4..], 7_u64.to_ne_bytes());
    Ok(())
}

/// It is the mapping alone that does. In a process of its own: of one that waits the map of the
/// memory is locked.
fn who_is_asked_for_a_page_keeps_the_module(vm: &mut Vm) -> Result {
    const HOLD: &str = "/sys/module/mmaps/parameters/hold";
    let mut module = vm.load("mmaps")?;
    let mapping = Mapping::of(read_write(ON_DEMAND)?, 0, PAGE)?;
    fs::write(HOLD, "1")?;
    let child = Waiter::begin(move || in_child(|| assert_eq!(mapping.read(0), 0)));
    let begun = eventually("the fault", || {
        vm.log()
            .count("somebody waits")
            .is_ok_and(|count| count == 1)
    });
    let refused = module.try_unload();
    // Nobody else would end it.
    fs::write(HOLD, "0")?;
    begun?;
    assert_eq!(refused, Err(Errno::WOULDBLOCK));
    assert_eq!(child.end()??.exit_status(), Some(0));
    module.unload()
}

/// The page is touched by the read of a file that is dropped then.
fn who_is_asked_for_a_page_waits_for_nobody(vm: &mut Vm) -> Result {
    const FILE: &str = "/proc/mmaps";
    let module = vm.load("mmaps")?;
    let odd = Control::open("/dev/mmaps-odd")?;
    let mapping = Mapping::of(&*odd, 0, PAGE)?;
    assert_eq!(odd.get(MADE), 35); // EDEADLK
    let file = File::open(FILE)?;
    assert_eq!(mapping.read_from(0, &file, 0, 4), Ok(4));
    assert_eq!(odd.get(MADE), 35);
    assert_eq!((mapping.read(0), mapping.read(3)), (b't', b't'));
    eventually("the file's end", || !Path::new(FILE).exists())?;
    drop((odd, mapping, file));
    module.unload()
}

fn many_ask_at_once(vm: &mut Vm) -> Result {
    const THREADS: u32 = 8;
    let module = vm.load("mmaps")?;
    let rounds = vm.fewer(500);
    let memory = Control::open(ON_DEMAND)?;
    let shared = Mapping::of(&*memory, 0, SIZE_OF_ALL)?;
    on_threads(THREADS, |number| {
        let at = number as usize;
        for round in 0..rounds {
            let own = Mapping::of(read_write(ON_DEMAND)?, 0, SIZE_OF_ALL)?;
            for page in 0..3 {
                let (at, byte) = (page * PAGE + at, round as u8);
                own.write(at, byte);
                ensure!(shared.read(at) == byte, "another page");
            }
            shared.forget()?;
        }
        Ok(())
    })?;
    assert!(memory.get(FAULTS) >= (THREADS * rounds * 3) as usize);
    drop((shared, memory));
    module.unload()
}

/// In the end there were more of them than the machine has.
fn pages_on_demand_are_freed(vm: &mut Vm) -> Result {
    const PAGES: usize = 512;
    if vm.fewer(5) < 5 {
        vm.note("not looked at: this kernel takes long for each page");
        return Ok(());
    }
    let module = vm.load("mmaps")?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let total = memory.split_ascii_whitespace().nth(1).context("MemTotal")?;
    let rounds = total.parse::<usize>()? * 1024 / (PAGES * PAGE) + 1;
    let mapping = Mapping::of(read_write(FRESH)?, 0, PAGES * PAGE)?;
    for _ in 0..rounds {
        for page in 0..PAGES {
            assert_eq!(mapping.read(page * PAGE), page as u8);
        }
        mapping.forget()?;
    }
    drop(mapping);
    module.unload()
}

/// The kernel would free the module all the same.
fn a_failing_init_waits_for_mappings(_vm: &mut Vm) -> Result {
    let load = Waiter::begin(|| Module::load("mmaps", "wait fail").map(drop));
    eventually("the device", || Path::new(ON_DEMAND).exists())?;
    let file = read_write(ON_DEMAND)?;
    file.write_all_at(b"here", 0)?;
    let mapping = Mapping::of(&file, 0, SIZE_OF_ALL)?;
    drop(file);
    fs::write("/sys/module/mmaps/parameters/wait", "0")?;
    eventually("its end", || !Path::new(ON_DEMAND).exists())?;
    thread::sleep(Duration::from_millis(100));
    assert!(!load.has_ended());
    assert_eq!(mapping.read(3), b'e');
    drop(mapping);
    let error = load.end()?.unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NODEV));
    Ok(())
}

fn nothing_is_left(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("mmaps")?;
        for path in [MEMORY, ON_DEMAND, FRESH] {
            let file = read_write(path)?;
            let mapping = Mapping::of(&file, 0, SIZE_OF_ALL)?;
            mapping.write(PAGE, 1);
            let _ = refused(Mapping::of(&file, 0, 1 << 60));
            drop(file);
            drop(mapping);
        }
        module.unload()
    })
}
