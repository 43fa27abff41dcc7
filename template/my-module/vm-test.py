# SPDX-License-Identifier: GPL-2.0-only
# Lines for the NixOS test driver.
machine.succeed("modprobe my-module")
machine.wait_for_console_text("Hello from my module", timeout=60)
machine.succeed("rmmod my-module")
