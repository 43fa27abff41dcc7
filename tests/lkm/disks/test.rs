// SPDX-License-Identifier: GPL-2.0-only

use rustix::mm::{MapFlags, ProtFlags};

use crate::{
    disk::{Buffer, Disk, fill, partition_table},
    mapping::Mapping,
    prelude::*,
};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        disks_of_all_kinds,
        positions_and_lengths_are_right,
        what_is_left_out_is_zero,
        a_huge_disk_has_the_right_positions,
        errors_are_those_of_the_method,
        an_error_in_one_part_is_one_of_all,
        without_a_method_the_kernel_makes_do,
        a_read_only_disk_is_not_written,
        what_cannot_be_is_refused,
        a_name_is_had_by_one,
        makes_no_disk_in_a_method,
        a_method_may_allocate_memory,
        counts_what_it_does,
        bytes_that_change_meanwhile,
        dropping_it_writes_back,
        dropping_it_waits,
        dropped_while_it_is_open,
        dropped_while_it_is_mounted,
        dropped_while_it_is_used_on_all_cpus,
        a_method_may_drop_its_disk,
        a_method_may_drop_another_disk,
        two_disks_may_drop_each_other,
        handles_are_dropped_in_softirqs,
        uses_keep_the_module,
        opened_while_it_comes_and_goes,
        a_failing_init_ends,
        a_failing_init_waits_for_files,
        partitions_are_found_later,
        unloading_at_once,
        needs_nothing_of_the_module_later,
    ],
    ..Example::EMPTY
};

/// How often a disk comes and goes. The kernel waits several times for all CPUs then.
const ROUNDS: u32 = 30;

/// The node of a disk of that kind.
fn node(kind: usize) -> String {
    format!("/dev/disks-{kind}")
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("disks")?;
    Ok((module, Control::open("/proc/disks")?))
}

fn load_with(vm: &mut Vm, kind: usize) -> Result<(Module, Control)> {
    let (module, control) = load(vm)?;
    control.call(MAKE, kind)?;
    Ok((module, control))
}

/// Nothing was as it must not be, and the methods have ended.
fn all_is_well(control: &Control) {
    assert_eq!(control.get(WRONG), 0);
    assert_eq!(control.get(RUNNING), 0);
}

/// What the disks store at these positions.
fn stored(control: &Control, at: usize, len: usize) -> Result<Vec<u8>> {
    let byte = |at| Ok(control.call(STORED, at)? as u8);
    (at..at + len).map(byte).collect()
}

/// Waits until the disk has no node. It can still be open.
fn is_gone(kind: usize) -> Result {
    eventually("the disk to be gone", || !Path::new(&node(kind)).exists())
}

fn disks_of_all_kinds(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for (kind, size, block, read_only) in [
        (ALL, SIZE as u64, 512, false),
        (BLOCKS_1024, SIZE as u64, 1024, false),
        (BLOCKS_4096, SIZE as u64, 4096, false),
        (PLAIN, SIZE as u64, 512, false),
        (EMPTY, SIZE as u64, 512, true),
        (HALF, SIZE as u64, 512, true),
        (SPARSE, SPARSE_SIZE, 512, false),
        (WIDE, SIZE as u64, 512, false),
        (GREEDY, SIZE as u64, 512, false),
    ] {
        control.call(MAKE, kind)?;
        let disk = Disk::open_to_read(node(kind))?;
        assert_eq!(disk.size()?, size, "{kind}");
        assert_eq!(disk.block_size()?, block, "{kind}");
        let read_only_says = fs::read_to_string(format!("/sys/block/disks-{kind}/ro"))?;
        assert_eq!(read_only_says.trim() == "1", read_only, "{kind}");
        disk.read_exact_at(&mut [0; 8192], 4096)?;
        if !read_only && kind != SPARSE {
            let disk = Disk::open(node(kind))?;
            let mut bytes = [0; 8192];
            fill(&mut bytes, kind as u64);
            disk.write_all_at(&bytes, 4096)?;
            disk.sync_all()?;
            let stored = stored(&control, 4096, 8192)?;
            assert!(stored == bytes, "{kind}");
        }
        drop(disk);
        control.call(DROP, kind)?;
        assert!(!Path::new(&node(kind)).exists());
    }
    all_is_well(&control);
    assert_eq!(control.get(LIVING), 1);
    drop(control);
    module.unload()
}

/// Has the kernel cut what is read and written into parts of so many KiB, or as it likes.
fn cut(kind: usize, kib: Option<usize>) -> Result {
    let path = format!("/sys/block/disks-{kind}/queue/max_sectors_kb");
    Ok(fs::write(path, kib.unwrap_or_default().to_string())?)
}

/// However a read or write is cut into pieces, and wherever the pieces are.
fn positions_and_lengths_are_right(vm: &mut Vm) -> Result {
    for (kind, block) in [(ALL, 512), (BLOCKS_1024, 1024), (BLOCKS_4096, 4096)] {
        let (module, control) = load_with(vm, kind)?;
        let disk = Disk::open_direct(node(kind))?;
        let mut model = Buffer::new(SIZE);
        fill(&mut model, 1);
        // Whole blocks, with room between them.
        for count in [1, 2, 7, 8, 9, 100] {
            let len = count * block;
            for at in [0, block, 3 * block, SIZE - len] {
                fill(&mut model[at..at + len], at as u64 + 1);
                let mut bytes = Buffer::new(len + 2 * block);
                bytes[block..block + len].copy_from_slice(&model[at..at + len]);
                disk.write_all_at(&bytes[block..block + len], at as u64)?;
                bytes.fill(0);
                disk.read_exact_at(&mut bytes[block..block + len], at as u64)?;
                assert!(bytes[block..block + len] == model[at..at + len]);
                let around = [&bytes[..block], &bytes[block + len..]].concat();
                assert!(around.iter().all(|byte| *byte == 0));
            }
        }
        // Several pieces, for one call. If it is cut, then within a piece.
        let mut seen = Buffer::new(14 * block);
        for (round, kib) in (0..).zip([None, Some(4)]) {
            cut(kind, kib)?;
            let mut parts: Vec<_> = [3, 1, 8, 2].map(|n| Buffer::new(n * block)).into();
            for (part, seed) in parts.iter_mut().zip(10 * (round + 1)..) {
                fill(part, seed);
            }
            let slices: Vec<_> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
            let written = rustix::io::pwritev(&disk, &slices, block as u64)?;
            assert_eq!(written, 14 * block);
            let expected = parts.iter().flat_map(|part| part.iter().copied());
            let expected: Vec<_> = expected.collect();
            disk.read_exact_at(&mut seen, block as u64)?;
            assert!(*seen == *expected);
            assert!(stored(&control, block, 14 * block)? == expected);
            for part in &mut parts {
                part.fill(0);
            }
            let mut slices: Vec<_> = parts
                .iter_mut()
                .map(|part| io::IoSliceMut::new(part))
                .collect();
            rustix::io::preadv(&disk, &mut slices, block as u64)?;
            let again: Vec<_> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            assert!(again == expected);
        }
        // What is no block is refused, or rightly done: by versions of Linux.
        if block > 512 {
            let result = disk.read_at(&mut seen[..512], 0);
            assert_eq!(error_of(result), Some(Errno::INVAL));
        }
        for shift in [4, 100, 256] {
            let mut bytes = Buffer::new(block + 512);
            match disk.read_at(&mut bytes[shift..shift + block], block as u64) {
                Ok(len) => assert!(len == block && bytes[shift..shift + block] == seen[..block]),
                Err(error) => assert_eq!(Errno::from_io_error(&error), Some(Errno::INVAL)),
            }
        }
        drop(disk);
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// And not what somebody else has left in the memory that was to be filled.
fn what_is_left_out_is_zero(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for (kind, half) in [(EMPTY, 0), (HALF, HALF_BYTE)] {
        control.call(MAKE, kind)?;
        // Into bytes that are not zero yet.
        let disk = Disk::open_direct(node(kind))?;
        let mut bytes = Buffer::new(SIZE);
        bytes.fill(1);
        disk.read_exact_at(&mut bytes, 0)?;
        assert!(bytes.iter().all(|byte| *byte == 0 || *byte == half));
        let filled = bytes.iter().filter(|byte| **byte == HALF_BYTE).count();
        assert_eq!(filled, if half == 0 { 0 } else { SIZE / 2 });
        let mut same = vec![1; SIZE];
        Disk::open_to_read(node(kind))?.read_exact_at(&mut same, 0)?;
        assert!(same.iter().all(|byte| *byte == 0 || *byte == half));
    }
    all_is_well(&control);
    Ok(())
}

fn a_huge_disk_has_the_right_positions(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, SPARSE)?;
    let disk = Disk::open_direct(node(SPARSE))?;
    let mut bytes = Buffer::new(8192);
    // At what 32 bits hold: bytes, and blocks.
    for at in [0, 1 << 32, 1 << 41, SPARSE_SIZE - 8192].map(|at: u64| at.saturating_sub(4096)) {
        disk.read_exact_at(&mut bytes, at)?;
        for (n, number) in (0..).zip(bytes.chunks_exact(8)) {
            assert_eq!(number, (at + 8 * n).to_ne_bytes(), "{at} {n}");
        }
        disk.write_all_at(&bytes, at)?;
    }
    // The kernel does no more at a time than 32 bits hold bytes.
    for (first, count) in [(3, 1), (1000, 1 << 22), ((1 << 34) + 5, 7)] {
        disk.discard(first * 512..(first + count) * 512)?;
        let last = |command| -> Result<u64> {
            Ok(control.call(command, 0)? as u64 | ((control.call(command, 31)? as u64) << 31))
        };
        assert_eq!([last(LAST_BLOCK)?, last(LAST_BLOCKS)?], [first, count]);
    }
    all_is_well(&control);
    Ok(())
}

fn errors_are_those_of_the_method(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let disk = Disk::open_direct(node(ALL))?;
    let mut bytes = Buffer::new(512);
    // Those that the block layer has, those that would be orders to it, and others.
    let kept = [
        Errno::OPNOTSUPP,
        Errno::TIMEDOUT,
        Errno::NOSPC,
        Errno::NODATA,
        Errno::NOMEM,
        Errno::INVAL,
    ];
    let others = [
        Errno::AGAIN,
        Errno::from_raw_os_error(libc::EREMCHG),
        Errno::TOOMANYREFS,
        Errno::OVERFLOW,
        Errno::PERM,
        Errno::FAULT,
        Errno::INTR,
        Errno::IO,
    ];
    let cases = kept.map(|errno| (errno, errno)).into_iter();
    for (errno, expected) in cases.chain(others.map(|errno| (errno, Errno::IO))) {
        control.call(FAIL, errno.raw_os_error() as usize)?;
        assert_eq!(error_of(disk.read_at(&mut bytes, 0)), Some(expected));
        assert_eq!(error_of(disk.write_at(&bytes, 0)), Some(expected));
        // The kernel takes this one for an answer: what is discarded need not go.
        let discarded = match errno {
            Errno::OPNOTSUPP => Ok(()),
            _ => Err(expected),
        };
        assert_eq!(disk.discard(0..512), discarded);
    }
    // All numbers that an error can have, also those of the kernel's own.
    for errno in 1..4096 {
        control.call(FAIL, errno)?;
        assert!(disk.read_at(&mut bytes, 0).is_err(), "{errno}");
    }
    let other = Disk::open(node(ALL))?;
    control.call(FAIL, Errno::NOSPC.raw_os_error() as usize)?;
    assert_eq!(error_of(other.read_at(&mut bytes, 8192)), Some(Errno::IO));
    // The kernel has the bytes until then.
    control.call(FAIL, 0)?;
    other.write_all_at(&bytes, 0)?;
    control.call(FAIL, Errno::NOSPC.raw_os_error() as usize)?;
    assert_eq!(error_of(other.sync_all()), Some(Errno::IO));
    control.call(FAIL, 0)?;
    other.write_all_at(&bytes, 0)?;
    other.sync_all()?;
    all_is_well(&control);
    Ok(())
}

/// A long write is cut into parts. It does not matter which one fails.
fn an_error_in_one_part_is_one_of_all(vm: &mut Vm) -> Result {
    const PART: usize = 4096;
    const PARTS: usize = 16;
    let (_module, control) = load_with(vm, PLAIN)?;
    cut(PLAIN, Some(PART / 1024))?;
    let disk = Disk::open_direct(node(PLAIN))?;
    let mut bytes = Buffer::new(PARTS * PART);
    let before = control.get(WRITES);
    disk.write_all_at(&bytes, 0)?;
    assert_eq!(control.get(WRITES), before + PARTS);
    control.call(FAIL, Errno::NOSPC.raw_os_error() as usize)?;
    for part in 0..PARTS {
        control.call(FAIL_FROM, part * PART)?;
        control.call(FAIL_TO, (part + 1) * PART)?;
        let written = disk.write_at(&bytes, 0);
        assert_eq!(error_of(written), Some(Errno::NOSPC), "{part}");
        let read = disk.read_at(&mut bytes, 0);
        assert_eq!(error_of(read), Some(Errno::NOSPC), "{part}");
    }
    control.call(FAIL, 0)?;
    disk.write_all_at(&bytes, 0)?;
    all_is_well(&control);
    Ok(())
}

fn without_a_method_the_kernel_makes_do(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, PLAIN)?;
    let disk = Disk::open(node(PLAIN))?;
    disk.write_all_at(&[7; 4096], 0)?;
    disk.sync_all()?;
    assert_eq!(disk.discard(0..4096), Err(Errno::OPNOTSUPP));
    let before = control.get(WRITES);
    disk.zero_out(512..1536)?;
    assert!(control.get(WRITES) > before);
    assert_eq!(control.get(DISCARDS) + control.get(ZEROES), 0);
    let seen = stored(&control, 0, 2048)?;
    assert!(seen == [[7; 512], [0; 512], [0; 512], [7; 512]].concat());
    // With the methods it is they that are called.
    control.call(MAKE, ALL)?;
    let disk = Disk::open(node(ALL))?;
    disk.zero_out(0..512)?;
    disk.discard(512..1024)?;
    assert_eq!([control.get(ZEROES), control.get(DISCARDS)], [1, 1]);
    all_is_well(&control);
    Ok(())
}

fn a_read_only_disk_is_not_written(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, EMPTY)?;
    let disk = Disk::open(node(EMPTY))?;
    assert_eq!(error_of(disk.write_at(&[1; 512], 0)), Some(Errno::PERM));
    // Even if somebody says that it can be.
    disk.set_read_only(false)?;
    let direct = Disk::open_direct(node(EMPTY))?;
    let result = direct.write_at(&Buffer::new(512), 0);
    assert!(matches!(error_of(result), Some(Errno::PERM | Errno::IO)));
    assert_eq!(control.get(WRITES), 0);
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for (command, count) in [(TRY_NAME, NAMES.len()), (TRY_SIZE, SIZES.len())] {
        for index in 0..count {
            let result = control.call(command, index);
            let expected = if index + 1 < count {
                Err(Errno::INVAL)
            } else {
                Ok(0)
            };
            assert_eq!(result, expected, "{command:#x} {index}");
        }
    }
    assert_eq!(
        names("/sys/block")?
            .iter()
            .filter(|it| it.contains("disks"))
            .count(),
        0
    );
    Ok(())
}

fn a_name_is_had_by_one(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    assert_eq!(control.call(MAKE, ALL), Err(Errno::EXIST));
    let log = vm.log();
    log.expect_trouble("cannot create duplicate filename")?;
    log.expect_trouble("kobject_add_internal failed")?;
    Disk::open(node(ALL))?.write_all_at(&[1; 512], 0)?;
    control.call(DROP, ALL)?;
    control.call(MAKE, ALL)?;
    Ok(())
}

fn makes_no_disk_in_a_method(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, MAKER)?;
    Disk::open_to_read(node(MAKER))?.read_exact_at(&mut [0; 512], 0)?;
    assert_eq!(
        control.get(MADE_IN_METHOD),
        Errno::DEADLK.raw_os_error() as usize
    );
    assert!(!Path::new("/dev/disks-made").exists());
    Ok(())
}

fn a_method_may_allocate_memory(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, GREEDY)?;
    while_others(
        1,
        || {
            // It forgets what it need not have.
            fs::write("/proc/sys/vm/drop_caches", "3")?;
            Ok(())
        },
        || -> Result {
            let disk = Disk::open(node(GREEDY))?;
            let mut bytes = vec![0; SIZE];
            for seed in 0..vm.fewer(20) {
                fill(&mut bytes, seed.into());
                disk.write_all_at(&bytes, 0)?;
                let mut seen = vec![0; SIZE];
                disk.forget_pages()?;
                disk.read_exact_at(&mut seen, 0)?;
                ensure!(seen == bytes, "{seed}");
            }
            Ok(())
        },
    )?;
    all_is_well(&control);
    Ok(())
}

/// Of `/sys/block/NAME/stat`: reads, sectors read, writes, sectors written, under way,
/// discards, and sectors discarded.
fn statistics(kind: usize) -> Result<[u64; 7]> {
    let text = fs::read_to_string(format!("/sys/block/disks-{kind}/stat"))?;
    let numbers: Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
    let numbers = numbers?;
    Ok([0, 2, 4, 6, 8, 11, 13].map(|n| numbers[n]))
}

fn counts_what_it_does(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let disk = Disk::open_direct(node(ALL))?;
    let mut bytes = Buffer::new(4096);
    // Who has opened it has looked for partitions.
    let before = statistics(ALL)?;
    for n in 0..10 {
        disk.read_exact_at(&mut bytes, n * 4096)?;
        disk.write_all_at(&bytes[..1024], n * 4096)?;
    }
    disk.discard(0..8192)?;
    let after = statistics(ALL)?;
    let more: Vec<_> = after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect();
    assert_eq!(more, [10, 80, 10, 20, 0, 1, 16]);
    fs::write("/sys/block/disks-0/queue/iostats", "0")?;
    disk.read_exact_at(&mut bytes, 0)?;
    assert_eq!(statistics(ALL)?, after);
    all_is_well(&control);
    Ok(())
}

/// Each byte is one of those that were there at some time. Also where a process reads the disk
/// into the memory that is a part of the disk.
fn bytes_that_change_meanwhile(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let disk = Disk::open_direct(node(ALL))?;
    let other = Disk::open(node(ALL))?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let mapping = Mapping::with(&other, 0, 64 << 10, access, MapFlags::SHARED)?;
    let letters = [b'a', b'b'];
    let rounds = vm.fewer(100);
    let bytes = letters.map(|letter| {
        let mut bytes = Buffer::new(64 << 10);
        bytes.fill(letter);
        bytes
    });
    disk.write_all_at(&bytes[0], 0)?;
    on_threads(4, |n| {
        for round in 0..rounds {
            let letter = (n as usize + round as usize) % 2;
            match n {
                0 => disk.write_all_at(&bytes[letter], 0)?,
                1 => (0..64 << 10).for_each(|at| mapping.write(at, letters[letter])),
                2 => {
                    other.forget_pages()?;
                    mapping.read_from(0, &disk, 0, 64 << 10)?;
                }
                _ => {
                    let mut seen = Buffer::new(64 << 10);
                    disk.read_exact_at(&mut seen, 0)?;
                    let odd = seen.iter().find(|byte| !letters.contains(byte));
                    ensure!(odd.is_none(), "{odd:?}");
                }
            }
        }
        Ok(())
    })?;
    all_is_well(&control);
    Ok(())
}

/// It writes what only the kernel's memory has.
fn dropping_it_writes_back(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let disk = Disk::open(node(ALL))?;
    let mut bytes = [0; 65536];
    fill(&mut bytes, 1);
    disk.write_all_at(&bytes, 4096)?;
    control.call(DROP, ALL)?;
    assert!(stored(&control, 4096, bytes.len())? == bytes);
    all_is_well(&control);
    Ok(())
}

fn dropping_it_waits(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let disk = Disk::open_direct(node(ALL))?;
    control.call(HOLD, 1)?;
    let reader = Waiter::begin(move || error_of(disk.read_at(&mut Buffer::new(512), 0)));
    eventually("the method", || control.get(RUNNING) == 1)?;
    let dropper = control.caller(DROP, ALL)?;
    is_gone(ALL)?;
    dropper.sleeps()?;
    // The bytes, and the disk.
    assert_eq!(control.get(LIVING), 2);
    control.call(HOLD, 0)?;
    assert_eq!(reader.end()?, None);
    assert_eq!(dropper.end()?, Ok(0));
    assert_eq!(control.get(LIVING), 1);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// Files that are open have a disk without blocks then.
fn dropped_while_it_is_open(vm: &mut Vm) -> Result {
    let (mut module, control) = load_with(vm, ALL)?;
    let (disk, direct) = (Disk::open(node(ALL))?, Disk::open_direct(node(ALL))?);
    let mapping = Mapping::with(&disk, 0, 8192, ProtFlags::READ, MapFlags::SHARED)?;
    assert_eq!(mapping.read(0), 0);
    control.call(DROP, ALL)?;
    assert_eq!(disk.size()?, 0);
    let mut bytes = Buffer::new(512);
    let calls = || control.get(READS) + control.get(WRITES);
    let before = calls();
    for file in [&disk, &direct] {
        assert_eq!(file.read_at(&mut bytes, 0)?, 0);
        assert_eq!(error_of(file.write_at(&bytes, 0)), Some(Errno::NOSPC));
    }
    assert_eq!(calls(), before);
    // Another one can have the name.
    control.call(MAKE, ALL)?;
    let new = Disk::open(node(ALL))?;
    new.write_all_at(b"new", 0)?;
    assert_eq!(disk.size()?, 0);
    assert!(calls() > before);
    drop((new, control));
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(mapping);
    drop(disk);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(direct);
    module.unload()
}

const MNT: &str = "/tmp/disks-mnt";

fn mount(vm: &mut Vm, kind: usize) -> Result {
    let node = node(kind);
    vm.sh(&format!(
        "mke2fs {node}; mkdir -p {MNT}; mount -t ext2 {node} {MNT}"
    ))?;
    Ok(())
}

fn umount(vm: &mut Vm) -> Result {
    vm.sh(&format!("umount {MNT}; rmdir {MNT}"))?;
    Ok(())
}

/// The file system is written back, and gets errors from then on.
fn dropped_while_it_is_mounted(vm: &mut Vm) -> Result {
    let (mut module, control) = load_with(vm, ALL)?;
    mount(vm, ALL)?;
    let file = format!("{MNT}/file");
    let mut bytes = [0; 20_000];
    fill(&mut bytes, 1);
    fs::write(&file, bytes)?;
    control.call(DROP, ALL)?;
    let written = File::create(format!("{MNT}/other")).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    assert!(written.is_err());
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    umount(vm)?;
    // All disks of the module store the same bytes: the file is there.
    control.call(MAKE, PLAIN)?;
    vm.sh(&format!(
        "mkdir -p {MNT}; mount -t ext2 {} {MNT}",
        node(PLAIN)
    ))?;
    ensure!(fs::read(&file)? == bytes, "the file");
    umount(vm)?;
    drop(control);
    module.unload()
}

fn dropped_while_it_is_used_on_all_cpus(vm: &mut Vm) -> Result {
    for round in 0..vm.fewer(30) {
        let (module, control) = load_with(vm, ALL)?;
        let running = std::sync::atomic::AtomicU32::new(0);
        on_threads(5, |n| {
            use std::sync::atomic::Ordering::SeqCst;
            if n == 4 {
                eventually("the others", || running.load(SeqCst) > 8 + round)?;
                control.call(DROP, ALL)?;
                return Ok(());
            }
            let open = if n % 2 == 0 {
                Disk::open
            } else {
                Disk::open_direct
            };
            // The others may have been fast.
            let Ok(disk) = open(node(ALL)) else {
                return Ok(());
            };
            let mut bytes = Buffer::new(16384);
            loop {
                let result = match n {
                    0 | 1 => disk.write_at(&bytes, 0),
                    _ => disk.read_at(&mut bytes, 8192),
                };
                match result {
                    // Its end.
                    Ok(0) => return Ok(()),
                    Ok(_) => running.fetch_add(1, SeqCst),
                    Err(error) => match Errno::from_io_error(&error) {
                        Some(Errno::IO | Errno::NOSPC) => return Ok(()),
                        _ => return Err(error.into()),
                    },
                };
            }
        })?;
        all_is_well(&control);
        assert_eq!(control.get(LIVING), 1);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// What the methods do, one after the other.
fn each_method() -> [fn(&Disk) -> Result; 3] {
    [
        |disk| Ok(disk.read_exact_at(&mut Buffer::new(512), 0)?),
        |disk| Ok(disk.write_all_at(&Buffer::new(512), 0)?),
        |disk| Ok(disk.discard(0..512)?),
    ]
}

/// Which goes on, and is waited for by somebody else.
fn a_method_may_drop_its_disk(vm: &mut Vm) -> Result {
    let mut methods = each_method().into_iter().cycle();
    vm.many_rounds(ROUNDS, |vm| {
        let (module, control) = load_with(vm, SELFISH)?;
        let disk = Disk::open_direct(node(SELFISH))?;
        control.call(ARM, 0)?;
        methods.next().context("a method")?(&disk)?;
        is_gone(SELFISH)?;
        eventually("the drop", || disk.size() == Ok(0))?;
        drop(disk);
        all_is_well(&control);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("disks")?, [""; 0]);
        Ok(())
    })
}

fn a_method_may_drop_another_disk(vm: &mut Vm) -> Result {
    vm.many_rounds(ROUNDS, |vm| {
        let (module, control) = load_with(vm, ALL)?;
        let other = Disk::open(node(ALL))?;
        other.write_all_at(&[1; 4096], 0)?;
        control.call(MAKE, UNKIND)?;
        let disk = Disk::open_direct(node(UNKIND))?;
        control.call(ARM, 0)?;
        disk.write_all_at(&Buffer::new(512), 0)?;
        is_gone(ALL)?;
        eventually("its end", || other.size() == Ok(0))?;
        assert_eq!(disk.size()?, SIZE as u64);
        drop((other, disk));
        all_is_well(&control);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("disks")?, [""; 0]);
        Ok(())
    })
}

fn two_disks_may_drop_each_other(vm: &mut Vm) -> Result {
    vm.many_rounds(ROUNDS, |vm| {
        let (module, control) = load(vm)?;
        control.call(MAKE, RIVAL)?;
        control.call(MAKE, OTHER_RIVAL)?;
        let disks = [RIVAL, OTHER_RIVAL].map(|kind| Disk::open_direct(node(kind)));
        let [one, other] = disks;
        let disks = [one?, other?];
        control.call(ARM, 0)?;
        on_threads(2, |n| {
            // The other one may be faster.
            let _ = disks[n as usize].write_at(&Buffer::new(512), 0);
            Ok(())
        })?;
        drop(disks);
        // The bytes, and one disk at most.
        eventually("the end of one", || control.get(LIVING) <= 2)?;
        all_is_well(&control);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("disks")?, [""; 0]);
        Ok(())
    })
}

fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    vm.many_rounds(ROUNDS, |vm| {
        let (module, control) = load_with(vm, ALL)?;
        let disk = Disk::open(node(ALL))?;
        disk.write_all_at(&[1; 4096], 0)?;
        control.call(DROP_IN_SOFTIRQ, ALL)?;
        is_gone(ALL)?;
        eventually("its end", || disk.size() == Ok(0))?;
        drop((disk, control));
        module.unload()
    })
}

fn uses_keep_the_module(vm: &mut Vm) -> Result {
    let bdis = names("/sys/class/bdi")?.len();
    let (mut module, control) = load_with(vm, ALL)?;
    drop(control);
    let mut is_kept = || assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    let disk = Disk::open_to_read(node(ALL))?;
    is_kept();
    let mapping = Mapping::with(&disk, 0, 4096, ProtFlags::READ, MapFlags::SHARED)?;
    drop(disk);
    is_kept();
    drop(mapping);
    mount(vm, ALL)?;
    is_kept();
    umount(vm)?;
    module.unload()?;
    for place in ["/sys/block", "/dev"] {
        let is_left = |name: &String| name.contains("disks");
        assert_eq!(names(place)?.into_iter().find(is_left), None, "{place}");
    }
    eventually("the end of its bdi", || {
        names("/sys/class/bdi").is_ok_and(|names| names.len() <= bdis)
    })
}

/// Also by those who only look at what disks there are.
fn opened_while_it_comes_and_goes(vm: &mut Vm) -> Result {
    let look = || {
        if let Ok(disk) = Disk::open_to_read(node(ALL)) {
            let _ = disk.read_at(&mut [0; 4096], 0);
        }
        let _ = fs::read("/proc/partitions");
        let _ = fs::read("/proc/diskstats");
        let _ = fs::read("/sys/block/disks-0/stat");
        // Somebody is to find it unused, too.
        thread::sleep(Duration::from_millis(5));
        Ok(())
    };
    while_others(3, look, || {
        for _ in 0..vm.fewer(50) {
            let (mut module, control) = load_with(vm, ALL)?;
            control.call(DROP, ALL)?;
            control.call(MAKE, ALL)?;
            drop(control);
            eventually("that nobody has it open", || module.try_unload().is_ok())?;
            module.was_unloaded()?;
        }
        Ok(())
    })
}

/// Nobody has the disk open: not the kernel either, which looks for partitions.
fn a_failing_init_ends(vm: &mut Vm) -> Result {
    vm.many_rounds(ROUNDS, |vm| {
        assert_eq!(vm.load_fails("disks", "early fail")?, Errno::NODEV);
        Ok(())
    })?;
    vm.forgive_leaks();
    assert_eq!(vm.load_fails("disks", "early forget fail")?, Errno::NODEV);
    vm.log().expect("disks: not dropped: 1 disks")?;
    Ok(())
}

/// The kernel would free the module all the same.
fn a_failing_init_waits_for_files(_vm: &mut Vm) -> Result {
    let load = Waiter::begin(|| Module::load("disks", "early wait fail").map(drop));
    // The node is there before the disk can be opened.
    eventually("the disk", || Disk::open_to_read(node(ALL)).is_ok())?;
    let disk = Disk::open_to_read(node(ALL))?;
    disk.read_exact_at(&mut [0; 4096], 0)?;
    fs::write("/sys/module/disks/parameters/wait", "0")?;
    eventually("its end", || disk.size() == Ok(0))?;
    thread::sleep(Duration::from_millis(100));
    assert!(!load.has_ended());
    drop(disk);
    let error = load.end()?.unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NODEV));
    Ok(())
}

/// When somebody opens the disk.
fn partitions_are_found_later(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    let disk = Disk::open(node(ALL))?;
    disk.write_all_at(&partition_table(8, 16), 0)?;
    drop(disk);
    // The bytes stay, the disk is another one.
    control.call(DROP, ALL)?;
    control.call(MAKE, ALL)?;
    let partition = format!("{}p1", node(ALL));
    assert!(!Path::new(&partition).exists());
    let disk = Disk::open_to_read(node(ALL))?;
    eventually("the partition", || Path::new(&partition).exists())?;
    drop(disk);
    assert_eq!(Disk::open_to_read(&partition)?.size()?, 16 * 512);
    control.call(DROP, ALL)?;
    assert!(!Path::new(&partition).exists());
    drop(control);
    module.unload()
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        drop(control);
        module.unload()
    })
}

/// A debug kernel frees a disk a second late, and all kernels when the last who looks at it has
/// gone. No other module is where this one was meanwhile.
fn needs_nothing_of_the_module_later(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    drop(control);
    module.unload()?;
    if vm.log().count("kobject_release")? > 0 {
        thread::sleep(Duration::from_secs(3));
    }
    Ok(())
}
