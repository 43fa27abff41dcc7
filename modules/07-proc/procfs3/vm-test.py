# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /proc/buffer2k")
machine.succeed("modprobe procfs3")
assert machine.succeed("cat /proc/buffer2k") == ""
machine.succeed("echo Hello >/proc/buffer2k")
assert machine.succeed("cat /proc/buffer2k") == "Hello\n"
assert machine.succeed("stat -c '%a %s %U' /proc/buffer2k") == "644 80 root\n"

# Who has it open does not keep the module, and finds nothing afterwards.
machine.fail("exec 3</proc/buffer2k; rmmod procfs3; cat <&3")
machine.fail("test -e /proc/buffer2k")
