# SPDX-License-Identifier: GPL-2.0-only
{
  outputs = _: {
    overlays.default = final: _: {
      rust-bin.stable."1.85.1".default = {
        override =
          { extensions, targets }:
          final.runCommand "rust-1.85.1" { inherit extensions targets; } "exit 1";
      };
    };
  };
}
