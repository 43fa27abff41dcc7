# SPDX-License-Identifier: GPL-2.0-only
machine.fail("test -e /dev/key_state")
machine.succeed("modprobe static_key")
machine.wait_until_succeeds("test -c /dev/key_state", timeout=60)
assert machine.succeed("cat /dev/key_state") == "disabled\n"
assert "do unlikely thing" not in machine.succeed("dmesg")

machine.succeed("echo enable >/dev/key_state")
assert machine.succeed("cat /dev/key_state") == "enabled\n"
assert "do unlikely thing" in machine.succeed("dmesg")
machine.fail("echo engage >/dev/key_state")

# Who has it open keeps the module.
machine.succeed("exec 3</dev/key_state; rmmod static_key; test -e /sys/module/static_key")
machine.succeed("rmmod static_key")
machine.fail("test -e /dev/key_state")
