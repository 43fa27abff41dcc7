// SPDX-License-Identifier: GPL-2.0-only

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
        unloading_while_it_is_asked_for,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

/// The device and its driver have this name.
const NAME: &str = "lkmpg_dma_demo";
const MIB: u64 = 1 << 20;

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

fn unloading_while_it_is_asked_for(vm: &mut Vm) -> Result {
    let ask = || {
        let _ = platform::unbind(NAME, NAME);
        let _ = platform::bind(NAME, NAME);
        Ok(())
    };
    while_others(3, ask, || {
        for _ in 0..vm.fewer(50) {
            vm.load("dma")?.unload()?;
        }
        Ok(())
    })
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("dma")?.unload())
}
