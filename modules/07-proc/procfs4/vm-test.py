# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /proc/iter")
machine.succeed("modprobe procfs4")
for count in range(3):
    assert machine.succeed("cat /proc/iter") == f"{count}\n"
machine.fail("echo 7 >/proc/iter")
machine.succeed("rmmod procfs4")
machine.fail("test -e /proc/iter")
