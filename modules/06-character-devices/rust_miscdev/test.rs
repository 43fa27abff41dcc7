// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["ls -l /dev/Misc", "cat /dev/Misc", "echo hello >/dev/Misc"],
    tests: sink_device_tests![DEVICE: makes_its_node],
    ..Example::EMPTY
};

const PATH: &str = "/dev/Misc";

/// With the kernel crate's `MiscDeviceRegistration` it does not keep its module
/// while it is open: closing it after the unload is a jump into memory that was
/// freed.
const DEVICE: SinkDevice = SinkDevice {
    module: "rust_miscdev",
    path: PATH,
    says_at_load: "Hello world!",
    says_at_write: "File written",
    says_at_unload: None,
};

fn makes_its_node(vm: &mut Vm) -> Result {
    let module = vm.load("rust_miscdev")?;
    let node = fs::metadata(PATH)?;
    assert!(node.file_type().is_char_device());
    assert_eq!(node.mode() & 0o7777, 0o600);
    assert_eq!(rustix::fs::major(node.rdev()), 10);
    let minor = rustix::fs::minor(node.rdev());
    let misc = fs::read_to_string("/proc/misc")?;
    let line = misc.lines().find(|line| line.ends_with(" Misc"));
    assert_eq!(line.map(str::trim), Some(&*format!("{minor} Misc")));
    assert!(Path::new("/sys/class/misc/Misc").exists());
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    assert!(!fs::read_to_string("/proc/misc")?.contains("Misc"));
    Ok(())
}
