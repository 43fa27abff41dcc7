# SPDX-License-Identifier: GPL-2.0-only
# Lines for the NixOS test driver.
machine.succeed("modprobe my-module")
assert "Hello from my module" in machine.succeed("dmesg")
machine.succeed("rmmod my-module")
