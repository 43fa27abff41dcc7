# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /sys/kernel/mymodule")
machine.succeed("modprobe hello-sysfs")
variable = "/sys/kernel/mymodule/myvariable"
assert machine.succeed(f"stat -c %A {variable}") == "-rw-rw----\n"

assert machine.succeed(f"cat {variable}") == "0\n"
machine.succeed(f"echo 32 >{variable}")
machine.fail(f"echo xyz >{variable}")
assert machine.succeed(f"cat {variable}") == "32\n"

# A file that is open when the module goes is an error to read from, no more.
machine.fail(f"exec 3<{variable}; rmmod hello-sysfs; cat <&3")
machine.fail("test -e /sys/kernel/mymodule")
assert "mymodule: Exit success" in machine.succeed("dmesg | tail -n 5")
