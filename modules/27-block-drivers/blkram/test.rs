// SPDX-License-Identifier: GPL-2.0-only

use rustix::mm::{MapFlags, ProtFlags};

use crate::{
    disk::{Buffer, Disk, fill, partition_table},
    mapping::Mapping,
    prelude::*,
};

pub const EXAMPLE: Example = Example {
    demo: &[
        "mke2fs /dev/blkram0",
        "mkdir -p /mnt && mount /dev/blkram0 /mnt",
        "echo 'in memory' >/mnt/where && cat /mnt/where",
        "df /mnt",
        "umount /mnt",
    ],
    tests: tests![
        says_what_it_has_made,
        has_the_size_that_it_is_told,
        sizes_that_cannot_be,
        keeps_what_is_written,
        parts_of_blocks,
        many_read_and_write_at_once,
        what_is_not_needed_is_zero,
        can_be_made_read_only,
        has_a_file_system,
        has_partitions,
        stays_while_it_is_used,
        unloading_at_once,
        is_empty_each_time,
    ],
    ..Example::EMPTY
};

const DISK: &str = "/dev/blkram0";
const MNT: &str = "/tmp/blkram-mnt";
const MIB: usize = 1 << 20;

fn attribute(name: &str) -> Result<String> {
    let path = format!("/sys/block/blkram0/{name}");
    let text = fs::read_to_string(&path).with_context(|| path)?;
    Ok(text.trim_end().to_owned())
}

fn says_what_it_has_made(vm: &mut Vm) -> Result {
    let module = vm.load("blkram")?;
    let expected = info("registered /dev/blkram0 (8 MiB)");
    assert_eq!(vm.log().said("blkram")?, [expected]);
    let node = fs::metadata(DISK)?;
    assert!(node.file_type().is_block_device());
    assert_eq!(node.permissions().mode() & 0o777, 0o600);
    module.unload()?;
    assert!(!Path::new(DISK).exists());
    Ok(())
}

fn has_the_size_that_it_is_told(vm: &mut Vm) -> Result {
    for (params, mib) in [("", 8), ("blkram_mb=1", 1), ("blkram_mb=20", 20)] {
        let module = vm.load_with("blkram", params)?;
        let disk = Disk::open(DISK)?;
        assert_eq!(disk.size()?, (mib * MIB) as u64);
        assert_eq!(disk.block_size()?, 512);
        assert_eq!(attribute("size")?, (mib * MIB / 512).to_string());
        assert_eq!(attribute("ro")?, "0");
        assert_eq!(module.param("blkram_mb")?, mib.to_string());
        // The last block, and what would be the next.
        let end = (mib * MIB) as u64;
        disk.write_all_at(b"x", end - 1)?;
        assert_eq!(error_of(disk.write_at(b"y", end)), Some(Errno::NOSPC));
        assert_eq!(disk.read_at(&mut [0; 1], end)?, 0);
        let mut bytes = [0; 4];
        assert_eq!(disk.read_at(&mut bytes, end - 2)?, 2);
        assert_eq!(&bytes, b"\0x\0\0");
        drop(disk);
        module.unload()?;
    }
    Ok(())
}

/// The book's module multiplies without a look: of 17592186044424 MiB it makes a disk of 8.
fn sizes_that_cannot_be(vm: &mut Vm) -> Result {
    for (mib, expected) in [
        ("0", Errno::INVAL),
        ("1000000", Errno::NOMEM),
        ("17592186044416", Errno::NOMEM),
        ("17592186044424", Errno::NOMEM),
        ("18446744073709551615", Errno::NOMEM),
        ("18446744073709551616", Errno::RANGE),
        ("-1", Errno::INVAL),
        ("many", Errno::INVAL),
    ] {
        let failed = vm.load_fails("blkram", &format!("blkram_mb={mib}"))?;
        assert_eq!(failed, expected, "{mib}");
    }
    Ok(())
}

/// By the kernel's memory, past it, and mapped.
fn keeps_what_is_written(vm: &mut Vm) -> Result {
    let _module = vm.load("blkram")?;
    let size = 8 * MIB;
    let mut model = Buffer::new(size);
    let mut seen = Buffer::new(size);
    let (disk, direct) = (Disk::open(DISK)?, Disk::open_direct(DISK)?);
    disk.read_exact_at(&mut seen, 0)?;
    assert!(*seen == *model);

    fill(&mut model, 1);
    disk.write_all_at(&model, 0)?;
    disk.forget_pages()?;
    direct.read_exact_at(&mut seen, 0)?;
    assert!(*seen == *model);

    fill(&mut model, 2);
    // All at once, which is more than goes into a bio.
    assert_eq!(direct.write_at(&model, 0)?, size);
    disk.read_exact_at(&mut seen, 0)?;
    assert!(*seen == *model);

    let mapping = Mapping::with(
        &disk,
        0,
        size,
        ProtFlags::READ | ProtFlags::WRITE,
        MapFlags::SHARED,
    )?;
    for at in [0, 511, 512, 4095, 4096, size - 1] {
        assert_eq!(mapping.read(at), model[at]);
        model[at] = !model[at];
        mapping.write(at, model[at]);
    }
    drop(mapping);
    disk.forget_pages()?;
    direct.read_exact_at(&mut seen, 0)?;
    assert!(*seen == *model);
    Ok(())
}

/// Any bytes can be read and written: the kernel makes blocks of them. Past its memory only
/// whole blocks can.
fn parts_of_blocks(vm: &mut Vm) -> Result {
    let _module = vm.load("blkram")?;
    let (disk, direct) = (Disk::open(DISK)?, Disk::open_direct(DISK)?);
    let mut model = vec![0; 64 << 10];
    for (seed, (at, len)) in (1..).zip([
        (0, 1),
        (511, 2),
        (1000, 24),
        (4095, 4098),
        (10_001, 30_000),
        (65_535, 1),
    ]) {
        fill(&mut model[at..at + len], seed);
        disk.write_all_at(&model[at..at + len], at as u64)?;
        disk.forget_pages()?;
        let mut seen = vec![0; model.len()];
        disk.read_exact_at(&mut seen, 0)?;
        assert!(seen == model, "{at} {len}");
    }
    // In blocks, which need not be pages.
    for (at, len) in [(512, 512), (3584, 1024), (512, 4096), (7680, 6656)] {
        let mut bytes = Buffer::new(len);
        direct.read_exact_at(&mut bytes, at as u64)?;
        assert!(*bytes == model[at..at + len], "{at} {len}");
        fill(&mut bytes, at as u64);
        direct.write_all_at(&bytes, at as u64)?;
        model[at..at + len].copy_from_slice(&bytes);
    }
    disk.forget_pages()?;
    let mut seen = vec![0; model.len()];
    disk.read_exact_at(&mut seen, 0)?;
    assert!(seen == model);
    let mut bytes = Buffer::new(1024);
    for (at, len) in [(1, 512), (0, 511), (256, 512)] {
        let result = direct.read_at(&mut bytes[..len], at);
        assert_eq!(error_of(result), Some(Errno::INVAL), "{at} {len}");
    }
    Ok(())
}

/// Four threads have a quarter each, and do to it what comes. Each byte is compared.
fn many_read_and_write_at_once(vm: &mut Vm) -> Result {
    const THREADS: u32 = 4;
    // The debug kernel has less memory left for that.
    let size = vm.fewer(40) as usize / 4 * 4 * MIB;
    let steps = vm.fewer(1000);
    let _module = vm.load_with("blkram", &format!("blkram_mb={}", size / MIB))?;
    let quarter = size / THREADS as usize;
    on_threads(THREADS, |thread| {
        let begin = thread as usize * quarter;
        let (disk, direct) = (Disk::open(DISK)?, Disk::open_direct(DISK)?);
        let mut model = vec![0; quarter];
        let mut bytes = Buffer::new(256 << 10);
        for step in 0..steps {
            let mut random = [0; 16];
            fill(&mut random, (u64::from(thread) << 32) | u64::from(step));
            let number = |at: usize| u32::from_ne_bytes(random[at..at + 4].try_into().unwrap());
            // Mostly few blocks, sometimes many.
            let blocks = match number(0) % 8 {
                0 => number(4) as usize % 512,
                _ => number(4) as usize % 16,
            };
            let len = (blocks + 1) * 512;
            let at = number(8) as usize % ((quarter - len) / 512) * 512;
            let file = if number(12) & 1 == 0 { &disk } else { &direct };
            let here = &mut model[at..at + len];
            let there = &mut bytes[..len];
            if number(12) & 2 == 0 {
                fill(there, u64::from(step));
                here.copy_from_slice(there);
                file.write_all_at(there, (begin + at) as u64)?;
            } else {
                file.read_exact_at(there, (begin + at) as u64)?;
                ensure!(there == here, "thread {thread}, step {step}: {at} {len}");
            }
        }
        direct.sync_all()?;
        let mut seen = Buffer::new(quarter);
        direct.read_exact_at(&mut seen, begin as u64)?;
        ensure!(*seen == *model, "thread {thread}, at the end");
        Ok(())
    })?;
    Ok(())
}

/// It could be anything then. Here it is not what somebody else has left there.
fn what_is_not_needed_is_zero(vm: &mut Vm) -> Result {
    let _module = vm.load("blkram")?;
    let disk = Disk::open(DISK)?;
    let mut model = vec![0; MIB];
    fill(&mut model, 3);
    disk.write_all_at(&model, 0)?;
    disk.forget_pages()?;
    for (n, clear) in [Disk::discard, Disk::zero_out].into_iter().enumerate() {
        for range in [0..512, 4096..8192, 10_240..99_840] {
            let range = range.start + n as u64 * 512..range.end + n as u64 * 512;
            clear(&disk, range.clone())?;
            model[range.start as usize..range.end as usize].fill(0);
        }
        for bad in [0..511, 1..513, 8 * MIB as u64..8 * MIB as u64 + 512] {
            assert_eq!(clear(&disk, bad.clone()), Err(Errno::INVAL), "{bad:?}");
        }
    }
    disk.forget_pages()?;
    let mut seen = vec![0; model.len()];
    disk.read_exact_at(&mut seen, 0)?;
    assert!(seen == model);
    Ok(())
}

fn can_be_made_read_only(vm: &mut Vm) -> Result {
    let _module = vm.load("blkram")?;
    let disk = Disk::open(DISK)?;
    disk.write_all_at(b"before", 0)?;
    disk.set_read_only(true)?;
    assert_eq!(attribute("ro")?, "1");
    let other = Disk::open(DISK)?;
    assert_eq!(error_of(other.write_at(b"after", 0)), Some(Errno::PERM));
    assert_eq!(other.discard(0..512), Err(Errno::PERM));
    let mut bytes = [0; 6];
    other.read_exact_at(&mut bytes, 0)?;
    assert_eq!(&bytes, b"before");
    disk.set_read_only(false)?;
    other.write_all_at(b"after!", 0)?;
    Ok(())
}

fn mount(vm: &mut Vm, options: &str) -> Result {
    vm.sh(&format!("mkdir -p {MNT}; mount {options} {DISK} {MNT}"))?;
    Ok(())
}

fn umount(vm: &mut Vm) -> Result {
    vm.sh(&format!("umount {MNT}; rmdir {MNT}"))?;
    Ok(())
}

fn has_a_file_system(vm: &mut Vm) -> Result {
    let mut module = vm.load("blkram")?;
    vm.sh(&format!("mke2fs {DISK}"))?;
    mount(vm, "-t ext2")?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    let mut files = Vec::new();
    for n in 0..20 {
        let mut bytes = vec![0; 1 + n * 10_000];
        fill(&mut bytes, n as u64);
        let name = format!("{MNT}/file-{n}");
        fs::write(&name, &bytes)?;
        files.push((name, bytes));
    }
    fs::create_dir(format!("{MNT}/folder"))?;
    umount(vm)?;

    mount(vm, "-t ext2 -o ro")?;
    for (name, bytes) in &files {
        ensure!(&fs::read(name)? == bytes, "{name}");
    }
    assert!(Path::new(MNT).join("folder").is_dir());
    let error = error_of(fs::write(format!("{MNT}/new"), ""));
    assert_eq!(error, Some(Errno::ROFS));
    umount(vm)?;
    module.unload()
}

fn has_partitions(vm: &mut Vm) -> Result {
    let mut module = vm.load("blkram")?;
    let last = (8 * MIB / 512) as u32 - 1;
    for (first, blocks) in [(1, last), (2048, 100), (last, 1)] {
        Disk::open(DISK)?.write_all_at(&partition_table(first, blocks), 0)?;
        vm.sh(&format!("blockdev --rereadpt {DISK}"))?;
        let partition = "/dev/blkram0p1";
        eventually("the partition", || Path::new(partition).exists())?;
        let disk = Disk::open_direct(partition)?;
        assert_eq!(disk.size()?, u64::from(blocks) * 512);
        let mut bytes = Buffer::new(512);
        fill(&mut bytes, first.into());
        let place = u64::from(blocks - 1) * 512;
        disk.write_all_at(&bytes, place)?;
        assert_eq!(disk.read_at(&mut Buffer::new(512), place + 512)?, 0);
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        drop(disk);
        let mut seen = Buffer::new(512);
        let place = u64::from(first) * 512 + place;
        Disk::open_direct(DISK)?.read_exact_at(&mut seen, place)?;
        assert!(*seen == *bytes);
    }
    module.unload()?;
    assert!(!Path::new("/dev/blkram0p1").exists());
    Ok(())
}

fn stays_while_it_is_used(vm: &mut Vm) -> Result {
    let mut module = vm.load("blkram")?;
    let disk = Disk::open_to_read(DISK)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    let other = disk.try_clone()?;
    drop(disk);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    let mapping = Mapping::with(&other, 0, 4096, ProtFlags::READ, MapFlags::SHARED)?;
    drop(other);
    assert_eq!(mapping.read(0), 0);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(mapping);
    module.unload()
}

/// What was written to the kernel's memory only is not in anybody's way.
fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load_with("blkram", "blkram_mb=1")?;
        let disk = Disk::open(DISK)?;
        disk.write_all_at(&vec![1; MIB], 0)?;
        drop(disk);
        module.unload()
    })
}

fn is_empty_each_time(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = vm.load("blkram")?;
        let disk = Disk::open_direct(DISK)?;
        let mut seen = Buffer::new(MIB);
        disk.read_exact_at(&mut seen, 0)?;
        assert!(seen.iter().all(|byte| *byte == 0));
        fill(&mut seen, 4);
        disk.write_all_at(&seen, 0)?;
        drop(disk);
        module.unload()?;
    }
    Ok(())
}
