# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /dev/ioctltest")
machine.succeed("modprobe ioctl")
machine.wait_until_succeeds("test -c /dev/ioctltest", timeout=60)
bytes = machine.succeed("dd if=/dev/ioctltest bs=4 count=1 | od -A n -t x1")
assert bytes.split() == ["ff"] * 4

# Who has it open keeps the module.
machine.succeed("exec 3</dev/ioctltest; rmmod ioctl; test -e /sys/module/ioctl")
machine.succeed("rmmod ioctl")
machine.fail("test -e /dev/ioctltest")
