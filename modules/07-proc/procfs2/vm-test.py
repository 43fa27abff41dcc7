# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /proc/buffer1k")
machine.succeed("modprobe procfs2")
assert machine.succeed("cat /proc/buffer1k") == ""
machine.succeed("echo Hello >/proc/buffer1k")
assert machine.succeed("cat /proc/buffer1k") == "Hello\n"
assert machine.succeed("stat -c '%a %s %U' /proc/buffer1k") == "644 0 root\n"

# Who has it open does not keep the module, and finds nothing afterwards.
machine.fail("exec 3</proc/buffer1k; rmmod procfs2; cat <&3")
machine.fail("test -e /proc/buffer1k")
