# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /dev/char_dev")
machine.succeed("modprobe chardev2")
machine.wait_until_succeeds("test -c /dev/char_dev", timeout=60)
machine.succeed("echo Hello >/dev/char_dev")
assert machine.succeed("cat /dev/char_dev") == "Hello\n"
message = "Message passed by ioctl\n"
said = machine.succeed("userspace_ioctl")
assert said == f"get_nth_byte message:{message}get_msg message:{message}"
assert machine.succeed("cat /dev/char_dev") == message

# Who has it open keeps the module.
machine.succeed("exec 3</dev/char_dev; rmmod chardev2; test -e /sys/module/chardev2")
machine.succeed("rmmod chardev2")
machine.fail("test -e /dev/char_dev")
