# SPDX-License-Identifier: GPL-2.0-only
machine.succeed("modprobe rust_semaphore")
machine.wait_until_succeeds("test -c /dev/rust_semaphore", timeout=60)

# Two permits, and none is left.
machine.succeed("printf xx >/dev/rust_semaphore")
machine.succeed("cat /dev/rust_semaphore; cat /dev/rust_semaphore")
machine.fail("timeout 2 cat /dev/rust_semaphore")

machine.succeed("rmmod rust_semaphore")
machine.fail("test -e /dev/rust_semaphore")
