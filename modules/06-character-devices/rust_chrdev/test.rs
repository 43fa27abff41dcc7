// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /dev/rust_chrdev",
        "cat /dev/rust_chrdev",
        "echo hello >/dev/rust_chrdev",
    ],
    tests: sink_device_tests![DEVICE: makes_its_node],
    ..Example::EMPTY
};

const PATH: &str = "/dev/rust_chrdev";

const DEVICE: SinkDevice = SinkDevice {
    module: "rust_chrdev",
    path: PATH,
    says_at_load: "Rust character device sample (init) rust_chrdev",
    says_at_write: "File write",
    says_at_unload: Some("Rust character device sample (exit)"),
};

/// The write-up's node did not appear, as nothing made one.
fn makes_its_node(vm: &mut Vm) -> Result {
    let module = vm.load("rust_chrdev")?;
    let node = fs::metadata(PATH)?;
    assert!(node.file_type().is_char_device());
    assert_eq!(node.mode() & 0o7777, 0o600);
    let line = format!("{} rust_chrdev\n", rustix::fs::major(node.rdev()));
    assert!(fs::read_to_string("/proc/devices")?.contains(&line));
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    Ok(())
}
