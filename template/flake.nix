# SPDX-License-Identifier: GPL-2.0-only
{
  description = "A Linux kernel module in Rust";

  inputs.lkmpg-rs.url = "github:lkmpg-rs/lkmpg-rs";

  outputs =
    { lkmpg-rs, ... }:
    let
      system = "x86_64-linux";
      module = lkmpg-rs.lib.buildRustModule {
        name = "my-module";
        src = ./my-module;
      };
    in
    {
      packages.${system}.default = module;
      checks.${system} = module.tests;
      devShells.${system} = { inherit (lkmpg-rs.devShells.${system}) default; };
    };
}
