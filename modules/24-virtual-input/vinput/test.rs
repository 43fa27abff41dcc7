// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /sys/class/vinput",
        "grep vinput /proc/devices",
        "(echo vkbd >/sys/class/vinput/export) 2>&1 || true",
    ],
    tests: tests![makes_its_class, makes_nothing_by_itself, exports_a_symbol,],
    ..Example::EMPTY
};

const CLASS: &str = "/sys/class/vinput";

/// Writes `text` to a file of the class.
fn write(file: &str, text: &str) -> std::result::Result<(), Errno> {
    let written = fs::write(Path::new(CLASS).join(file), text);
    written.map_err(|error| Errno::from_io_error(&error).unwrap())
}

fn makes_its_class(vm: &mut Vm) -> Result {
    let module = vm.load("vinput")?;
    let loading = info("Loading virtual input driver");
    assert_eq!(vm.log().said("vinput")?, [loading]);
    for file in ["export", "unexport"] {
        let metadata = fs::metadata(Path::new(CLASS).join(file))?;
        assert_eq!(metadata.mode() & 0o7777, 0o200, "{file}");
    }
    assert_eq!(names(CLASS)?, ["export", "unexport"]);
    assert!(fs::read_to_string("/proc/devices")?.contains(" vinput\n"));
    module.unload()?;
    let unloading = info("Unloading virtual input driver");
    assert_eq!(vm.log().said("vinput")?, [loading, unloading]);
    assert!(!Path::new(CLASS).exists());
    assert!(!fs::read_to_string("/proc/devices")?.contains("vinput"));
    Ok(())
}

/// There are no types of devices without a driver.
fn makes_nothing_by_itself(vm: &mut Vm) -> Result {
    let _module = vm.load("vinput")?;
    for text in ["vkbd\n", "vkbd", "\n", "v"] {
        assert_eq!(write("export", text), Err(Errno::NODEV), "{text:?}");
    }
    let refused = vm.log().count("This virtual device isn't registered")?;
    assert_eq!(refused, 4);
    assert_eq!(write("unexport", "0\n"), Err(Errno::NODEV));
    vm.log().expect("vinput: No such vinput device 0")?;
    assert!(!Path::new("/dev/vinput0").exists());
    Ok(())
}

fn exports_a_symbol(vm: &mut Vm) -> Result {
    assert_eq!(modinfo("vinput")?.get("depends"), Some(""));
    let module = vm.load("vinput")?;
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let exported = |line: &str| line.contains(" lkm_export_vinput\t[vinput]");
    assert!(symbols.lines().any(exported));
    module.unload()
}
