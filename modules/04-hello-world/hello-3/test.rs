// SPDX-License-Identifier: GPL-2.0-only

use object::{Object, ObjectSection, ObjectSymbol, read::elf::ElfFile64};

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        says_hello_and_goodbye,
        is_in_the_sections_for_init,
        is_gone_after_init,
    ],
    ..Example::EMPTY
};

/// The names, as parts of Rust's symbols.
const FUNCTION: &str = "say_hello";
const DATA: &str = "HELLO3_DATA";

fn says_hello_and_goodbye(vm: &mut Vm) -> Result {
    let module = vm.load("hello-3")?;
    assert_eq!(vm.log().said("hello-3")?, [info("Hello, world 3")]);
    module.unload()?;
    let both = ["Hello, world 3", "Goodbye, world 3"].map(info);
    assert_eq!(vm.log().said("hello-3")?, both);
    Ok(())
}

fn is_in_the_sections_for_init(_: &mut Vm) -> Result {
    let bytes = fs::read(module_file("hello-3"))?;
    let file = ElfFile64::<object::LittleEndian>::parse(&*bytes)?;
    // A name that ends so, not that of a function it is an argument of.
    let symbol = |name: &str| file.symbols().find(|it| it.name().unwrap().ends_with(name));
    let section = |name: &str| {
        let index = symbol(name)?.section_index()?;
        file.section_by_index(index).ok()?.name().ok()
    };
    assert_eq!(section(FUNCTION), Some(".init.text"));
    assert_eq!(section(DATA), Some(".init.data"));

    // The variable is what the message is made of.
    let data = file.section_by_name(".init.data").unwrap();
    let offset = symbol(DATA).unwrap().address();
    let value = data.data_range(offset, 4)?.unwrap();
    assert_eq!(value, 3_i32.to_ne_bytes());
    Ok(())
}

fn is_gone_after_init(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-3")?;
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let ours: Vec<_> = symbols
        .lines()
        .filter_map(|line| line.strip_suffix("\t[hello_3]")?.split(' ').next_back())
        .collect();
    assert!(ours.iter().any(|name| name.ends_with("cleanup_module")));
    assert!(!ours.iter().any(|name| name.ends_with(FUNCTION)));
    assert!(!ours.iter().any(|name| name.ends_with(DATA)));
    Ok(())
}
