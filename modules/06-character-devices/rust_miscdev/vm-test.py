# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /dev/Misc")
machine.succeed("modprobe rust_miscdev")
machine.wait_until_succeeds("test -c /dev/Misc", timeout=60)
assert machine.succeed("cat /dev/Misc") == ""
machine.succeed("echo hello >/dev/Misc")

# Who has it open keeps the module.
machine.succeed("exec 3</dev/Misc; rmmod rust_miscdev; test -e /sys/module/rust_miscdev")
machine.succeed("rmmod rust_miscdev")
machine.fail("test -e /dev/Misc")
