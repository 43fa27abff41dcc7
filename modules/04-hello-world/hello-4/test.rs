// SPDX-License-Identifier: GPL-2.0-only

use rustix::system::init_module;

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        says_hello_and_goodbye,
        modinfo_says_what_was_given,
        needs_its_licence,
    ],
    ..Example::EMPTY
};

fn says_hello_and_goodbye(vm: &mut Vm) -> Result {
    let module = vm.load("hello-4")?;
    assert_eq!(vm.log().said("hello-4")?, [info("Hello, world 4")]);
    module.unload()?;
    let both = ["Hello, world 4", "Goodbye, world 4"].map(info);
    assert_eq!(vm.log().said("hello-4")?, both);
    Ok(())
}

fn modinfo_says_what_was_given(_: &mut Vm) -> Result {
    let modinfo = modinfo("hello-4")?;
    assert_eq!(modinfo.all("license"), ["GPL"]);
    assert_eq!(modinfo.all("author"), ["LKMPG"]);
    assert_eq!(modinfo.all("description"), ["A sample driver"]);
    Ok(())
}

/// All that the kernel has for Rust is for modules under the GPL only.
fn needs_its_licence(vm: &mut Vm) -> Result {
    // Such a module makes the kernel switch its lock debugging off, for good.
    if Path::new("/proc/lockdep").exists() {
        vm.note("not with lock debugging, which that would switch off");
        return Ok(());
    }
    let mut module = fs::read(module_file("hello-4"))?;
    let license = b"license=GPL\0";
    let at = module.windows(license.len()).position(|it| it == license);
    let at = at.context("no licence")?;
    module[at..at + license.len()].copy_from_slice(b"license=BSD\0");

    assert_eq!(init_module(&module, c""), Err(Errno::NOENT));
    let line = vm.log().expect("hello_4: Unknown symbol ")?;
    // The first that it uses: a function of the crate `kernel`, or of C for that crate.
    let of_rust = ["6kernel", "rust_helper_"].map(|part| line.contains(part));
    assert!(of_rust.contains(&true), "{line}");
    assert_eq!(vm.log().count("Hello, world 4")?, 0);
    assert!(!Path::new("/sys/module/hello_4").exists());
    Ok(())
}
