# SPDX-License-Identifier: GPL-2.0-only
{
  description = "LKMPG in Rust, on a toolchain from Debian's archive";

  outputs =
    _:
    let
      system = "x86_64-linux";
      pkgs = import ./pkgs.nix { inherit system; };
      project = import ../default.nix { inherit pkgs; };
    in
    {
      packages.${system} = project.packages // {
        inherit (pkgs) toolchain qemu deadnix;
      };
      checks.${system} = project.checks;
    };
}
