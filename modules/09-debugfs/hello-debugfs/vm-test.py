# SPDX-License-Identifier: GPL-2.0-only
directory = "/sys/kernel/debug/lkmpg_debugfs"
parameters = "/sys/module/hello_debugfs/parameters"
machine.fail(f"test -e {directory}")
machine.succeed("modprobe hello-debugfs debug_value=7")
assert machine.succeed(f"stat -c %a {directory}/debug_value") == "600\n"
assert machine.succeed(f"cat {directory}/debug_value") == "7\n"
assert machine.succeed(f"cat {directory}/debug_enabled") == "Y\n"

machine.succeed(f"echo 8 >{directory}/debug_value")
assert machine.succeed(f"cat {parameters}/debug_value") == "8\n"
machine.succeed(f"echo N >{parameters}/debug_enabled")
assert machine.succeed(f"cat {directory}/debug_enabled") == "N\n"
machine.fail(f"echo x >{directory}/debug_value")

machine.fail(f"exec 3<{directory}/debug_value; rmmod hello-debugfs; cat <&3")
machine.fail(f"test -e {directory}")
