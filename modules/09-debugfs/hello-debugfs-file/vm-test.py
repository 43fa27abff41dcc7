# SPDX-License-Identifier: GPL-2.0-only
directory = "/sys/kernel/debug/lkmpg_debugfs_file"
machine.fail(f"test -e {directory}")
machine.succeed("modprobe hello-debugfs-file")
assert machine.succeed(f"cat {directory}/message") == "debugfs says hello\n"
assert machine.succeed(f"head -c 9 {directory}/blob") == "This blob"

machine.succeed(f"echo hello >{directory}/message")
assert machine.succeed(f"cat {directory}/message") == "hello\n"
machine.fail(f"head -c 128 /dev/zero >{directory}/message")
assert machine.succeed(f"cat {directory}/message") == "hello\n"

# Who has the message open keeps the module.
machine.succeed(
    f"exec 3<{directory}/message; rmmod hello-debugfs-file; test -e /sys/module/hello_debugfs_file"
)
machine.succeed("rmmod hello-debugfs-file")
machine.fail(f"test -e {directory}")
