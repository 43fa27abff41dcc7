# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /proc/helloworld")
machine.succeed("modprobe procfs1")
machine.wait_until_succeeds("test -e /proc/helloworld", timeout=60)
assert machine.succeed("stat -c %A /proc/helloworld") == "-rw-r--r--\n"

assert machine.succeed("cat /proc/helloworld") == "HelloWorld!\n"
assert machine.succeed("head -c 4 /proc/helloworld") == "Hell"
status, output = machine.execute("echo Hello? >/proc/helloworld")
assert status != 0, output

# A file that is open when the module goes is an error to read from, no more.
machine.fail("exec 3</proc/helloworld; rmmod procfs1; cat <&3")
machine.fail("test -e /proc/helloworld")
assert "/proc/helloworld removed" in machine.succeed("dmesg | tail -n 5")
