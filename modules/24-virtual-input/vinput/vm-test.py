# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /sys/class/vinput")
machine.succeed("modprobe vinput")
machine.succeed("test -e /sys/class/vinput/export")

# Without a driver there is nothing to export.
machine.fail("echo vkbd >/sys/class/vinput/export")
assert "This virtual device isn't registered" in machine.succeed("dmesg")
machine.succeed("rmmod vinput")
machine.fail("test -e /sys/class/vinput")
