# SPDX-License-Identifier: GPL-2.0-only
machine.succeed("modprobe sleep")
machine.wait_until_succeeds("test -e /proc/sleep", timeout=60)
machine.succeed("echo hello >/proc/sleep")
assert machine.succeed("cat_nonblock /proc/sleep") == "Last input:hello\n\n"

# One has it open: another waits, or goes away when it does not want to.
status, output = machine.execute("exec 3</proc/sleep; cat_nonblock /proc/sleep")
assert (status, output) == (1, "Open would block\n")
output = machine.succeed("(exec 3</proc/sleep; sleep 2; echo done) & sleep 1; cat /proc/sleep; wait")
assert output == "done\nLast input:hello\n\n", output

# rmmod does not wait for who waits.
machine.succeed("exec 3</proc/sleep; { cat /proc/sleep || echo left >/tmp/waited; } & sleep 1; rmmod sleep; wait")
assert machine.succeed("cat /tmp/waited") == "left\n"
machine.fail("test -e /proc/sleep")
