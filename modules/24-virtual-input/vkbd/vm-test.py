# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /sys/class/vinput")
# This loads vinput, too, which then stays as long.
machine.succeed("modprobe vkbd")
# Not every rmmod says by its status that it has failed.
machine.succeed("rmmod vinput || true")
machine.succeed("test -e /sys/class/vinput")

machine.succeed("echo vkbd | tee /sys/class/vinput/export")
machine.wait_until_succeeds("test -c /dev/vinput0", timeout=60)
assert machine.succeed("cat /dev/vinput0") == "+0\n"
machine.succeed("echo +34 | tee /dev/vinput0")
assert machine.succeed("cat /dev/vinput0") == "+34\n"
machine.succeed("echo -34 | tee /dev/vinput0")
assert machine.succeed("cat /dev/vinput0") == "-34\n"
machine.fail("echo nothing >/dev/vinput0")
assert 'Name="vkbd"' in machine.succeed("cat /proc/bus/input/devices")
log = machine.succeed("dmesg")
assert "vkbd: Event VINPUT_PRESS code 34" in log
assert "vkbd: Event VINPUT_RELEASE code 34" in log

# A device goes under who has it open.
machine.fail("exec 3<>/dev/vinput0; echo 0 >/sys/class/vinput/unexport; echo +34 >&3")
machine.fail("test -e /dev/vinput0")
machine.succeed("echo vkbd >/sys/class/vinput/export")
machine.succeed("rmmod vkbd")
machine.fail("test -e /dev/vinput0")
machine.succeed("rmmod vinput")
