# SPDX-License-Identifier: GPL-2.0-only
#
# For `nix flake new --template`: a module outside this repository.
{
  path = ../template;
  description = "A Linux kernel module in Rust, with its tests";
}
