# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /dev/chardev")
machine.succeed("modprobe chardev")
machine.wait_until_succeeds("test -c /dev/chardev", timeout=60)
told = "I already told you {} times Hello world!\n"
for times in range(3):
    assert machine.succeed("cat /dev/chardev") == told.format(times)
machine.fail("echo hi >/dev/chardev")

# One at a time.
machine.fail("exec 3</dev/chardev; cat /dev/chardev")

# Who has it open keeps the module.
machine.succeed("exec 3</dev/chardev; rmmod chardev; test -e /sys/module/chardev")
machine.succeed("rmmod chardev")
machine.fail("test -e /dev/chardev")
