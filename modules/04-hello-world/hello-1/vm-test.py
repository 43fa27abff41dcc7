# SPDX-License-Identifier: GPL-2.0-only
machine.succeed("modprobe hello-1")
machine.succeed("grep '^hello_1 ' /proc/modules")
machine.fail("modprobe hello-0")

machine.succeed("rmmod hello-1")
machine.fail("grep '^hello_1 ' /proc/modules")
log = machine.succeed("dmesg")
assert log.count("Hello world 1.") == 1, log
assert log.count("Goodbye world 1.") == 1, log
