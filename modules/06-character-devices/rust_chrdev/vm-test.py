# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /dev/rust_chrdev")
machine.succeed("modprobe rust_chrdev")
machine.wait_until_succeeds("test -c /dev/rust_chrdev", timeout=60)
assert machine.succeed("cat /dev/rust_chrdev") == ""
machine.succeed("echo hello >/dev/rust_chrdev")

# Who has it open keeps the module.
machine.succeed("exec 3</dev/rust_chrdev; rmmod rust_chrdev; test -e /sys/module/rust_chrdev")
machine.succeed("rmmod rust_chrdev")
machine.fail("test -e /dev/rust_chrdev")
