// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::{platform, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &[
        "dmesg | grep coherent",
        "ls -l /sys/bus/platform/drivers/lkmpg_dma_demo",
    ],
    tests: tests![
        says_where_its_memory_is,
        sizes_that_can_be,
        sizes_that_cannot_be,
        what_there_is_not_in_one_piece,
        they_part_and_find_each_other,
        the_device_has_it_until_they_part,
        unloading_while_it_is_asked_for,
        unloading_at_once,
    ],
    setup: Some(prepare),
    ..Example::EMPTY
};

/// The device and its driver have this name.
const NAME: &str = "lkmpg_dma_demo";
const MIB: u64 = 1 << 20;

const TRACING: &str = "/sys/kernel/tracing";

/// Who wants to trace mounts that himself, unless systemd has. Not each kernel can.
fn prepare(vm: &mut Vm) -> Result {
    if !Path::new(TRACING).join("events").exists() {
        let _ = vm.sh("mount -t tracefs tracefs /sys/kernel/tracing");
    }
    Ok(())
}

fn driver() -> Option<String> {
    platform::driver_of(NAME)
}

/// What the module has said of its memory: the address, two sizes, and the mask.
fn said(vm: &mut Vm) -> Result<[u64; 4]> {
    let line = vm.log().expect("dma: coherent=")?;
    let numbers = line
        .split(['=', '/', ' '])
        .filter_map(|word| match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        });
    let numbers: Vec<_> = numbers.collect();
    numbers.try_into().map_err(|_| anyhow!("not so: {line}"))
}

fn says_where_its_memory_is(vm: &mut Vm) -> Result {
    let module = vm.load("dma")?;
    let [address, coherent, streaming, mask] = said(vm)?;
    assert_eq!((coherent, streaming, mask), (4096, 4096, 0xffff_ffff));
    assert_eq!(address % 4096, 0);
    assert!((1..1 << 32).contains(&address), "{address:#x}");
    let expected = format!("coherent={address:#018x}/4096 streaming=4096 DMA mask=0xffffffff");
    assert_eq!(vm.log().said("dma")?, [info(expected)]);
    assert_eq!(driver().as_deref(), Some(NAME));
    vm.log().mark()?;
    module.unload()?;
    assert_eq!(vm.log().said("dma")?, [info("DMA demo removed")]);
    assert!(!platform::exists(NAME));
    assert!(!platform::has_driver(NAME));
    Ok(())
}

fn sizes_that_can_be(vm: &mut Vm) -> Result {
    for size in [1, 63, 64, 4095, 4097, 65_536, 300_000] {
        for (coherent, streaming) in [(size, 4096), (4096, size)] {
            vm.log().mark()?;
            let params = format!("coherent_size={coherent} streaming_size={streaming}");
            let module = vm.load_with("dma", &params)?;
            let said = said(vm)?;
            assert_eq!(said[1..], [coherent, streaming, 0xffff_ffff]);
            assert_eq!(module.param("coherent_size")?, coherent.to_string());
            assert_eq!(module.param("streaming_size")?, streaming.to_string());
            module.unload()?;
        }
    }
    Ok(())
}

/// The guide's module takes them all. For 0 the kernel looks for as much as there can be, and
/// complains.
fn sizes_that_cannot_be(vm: &mut Vm) -> Result {
    for (size, expected) in [
        ("0", Errno::INVAL),
        ("4194305", Errno::INVAL),
        ("2147483648", Errno::INVAL),
        ("4294967295", Errno::INVAL),
        ("4294967296", Errno::RANGE),
        ("-1", Errno::INVAL),
        ("many", Errno::INVAL),
    ] {
        for name in ["coherent_size", "streaming_size"] {
            let failed = vm.load_fails("dma", &format!("{name}={size}"))?;
            assert_eq!(failed, expected, "{name} {size}");
            assert!(!platform::exists(NAME) && !platform::has_driver(NAME));
        }
    }
    Ok(())
}

/// The module has it or says that it has not, and the kernel does not complain.
fn what_there_is_not_in_one_piece(vm: &mut Vm) -> Result {
    for name in ["coherent", "streaming"] {
        vm.log().mark()?;
        let module = vm.load_with("dma", &format!("{name}_size={}", 4 * MIB))?;
        match driver() {
            Some(_) => assert!(said(vm)?[1..3].contains(&(4 * MIB))),
            None => {
                let failed = format!("dma: failed to allocate {name} buffer");
                vm.log().expect(&failed)?;
                vm.log().expect("failed with error -12")?; // ENOMEM
            }
        }
        module.unload()?;
    }
    Ok(())
}

fn they_part_and_find_each_other(vm: &mut Vm) -> Result {
    let module = vm.load("dma")?;
    for _ in 0..3 {
        vm.log().mark()?;
        platform::unbind(NAME, NAME)?;
        assert_eq!(vm.log().texts("dma")?, ["DMA demo removed"]);
        assert_eq!(driver(), None);
        platform::bind(NAME, NAME)?;
        said(vm)?;
        assert_eq!(driver().as_deref(), Some(NAME));
    }
    module.unload()
}

/// What the kernel calls an allocation of each kind of memory, and its end.
const TAKEN: [&str; 2] = ["dma_alloc", "dma_alloc_pages"];
const GIVEN_BACK: [&str; 2] = ["dma_free", "dma_free_pages"];

/// Has the kernel trace these, or no longer.
fn trace(on: bool) -> Result {
    for event in TAKEN.into_iter().chain(GIVEN_BACK) {
        let path = format!("{TRACING}/events/dma/{event}/enable");
        fs::write(&path, if on { "1" } else { "0" }).context(path)?;
    }
    Ok(())
}

/// What was traced of the device since the last call of this: events, with the addresses of
/// memory.
fn traced() -> Result<Vec<(String, u64)>> {
    let path = format!("{TRACING}/trace");
    let text = fs::read_to_string(&path)?;
    File::create(&path)?;
    let of_device = format!(": {NAME} dir=");
    let mut events = Vec::new();
    for line in text.lines() {
        let Some((begin, rest)) = line.split_once(&of_device) else {
            continue;
        };
        let event = begin.split(' ').next_back().unwrap_or_default();
        let mut words = rest.split(' ');
        let address = words.find_map(|word| word.strip_prefix("dma_addr="));
        let address = address.with_context(|| line.to_owned())?;
        events.push((event.to_owned(), u64::from_str_radix(address, 16)?));
    }
    // On another CPU time may be another.
    events.sort();
    Ok(events)
}

/// In the guide's module the device has the second one but for a moment, in which nobody could
/// tell it so.
fn the_device_has_it_until_they_part(vm: &mut Vm) -> Result {
    if !Path::new(TRACING).join("events/dma").exists() {
        vm.note("this kernel does not trace memory of devices");
        return Ok(());
    }
    trace(true)?;
    let result = has_it_until_they_part(vm);
    trace(false)?;
    result
}

fn has_it_until_they_part(vm: &mut Vm) -> Result {
    traced()?;
    let module = vm.load("dma")?;
    let taken = traced()?;
    let addresses: Vec<u64> = taken.iter().map(|(_, address)| *address).collect();
    let events = |names: [&str; 2]| -> Vec<(String, u64)> {
        let names = names.into_iter().map(str::to_owned);
        names.zip(addresses.iter().copied()).collect()
    };
    assert_eq!(taken, events(TAKEN));
    assert_eq!(addresses[0], said(vm)?[0]);
    platform::unbind(NAME, NAME)?;
    assert_eq!(traced()?, events(GIVEN_BACK));
    module.unload()
}

fn unloading_while_it_is_asked_for(vm: &mut Vm) -> Result {
    let parted = AtomicU32::new(0);
    let ask = || {
        if platform::unbind(NAME, NAME).is_ok() {
            parted.fetch_add(1, SeqCst);
        }
        let _ = platform::bind(NAME, NAME);
        Ok(())
    };
    while_others(3, ask, || {
        for _ in 0..vm.fewer(50) {
            let module = vm.load("dma")?;
            let before = parted.load(SeqCst);
            eventually("somebody who asks", || parted.load(SeqCst) > before)?;
            module.unload()?;
        }
        Ok(())
    })
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("dma")?.unload())
}
