# SPDX-License-Identifier: GPL-2.0-only
{
  description = "The Linux Kernel Module Programming Guide in Rust";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    flake-utils.url = "github:numtide/flake-utils";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    crane.url = "github:ipetkov/crane";
  };

  outputs =
    {
      self,
      nixpkgs,
      flake-utils,
      rust-overlay,
      crane,
    }:
    let
      # Those that have a machine to boot.
      systems = map (nixpkgs.lib.removeSuffix ".nix") (
        builtins.attrNames (builtins.readDir ./nix/machines)
      );
      projectFor = system: (nixpkgs.legacyPackages.${system}.extend self.overlays.default).lkmpg-rs;
    in
    flake-utils.lib.eachSystem systems (system: {
      inherit (projectFor system)
        packages
        checks
        devShells
        legacyPackages
        formatter
        ;
    })
    // {
      # Adds `lkmpg-rs`, and what rust-overlay adds.
      overlays.default = nixpkgs.lib.composeExtensions rust-overlay.overlays.default (
        final: _: {
          lkmpg-rs = import ./nix/nixpkgs {
            pkgs = final;
            inherit crane;
          };
        }
      );

      # A module of anybody's: `src` is a folder with `name`.rs in it. Its
      # tests are in `passthru.tests`.
      lib.buildRustModule =
        {
          name,
          src,
          system ? "x86_64-linux",
        }:
        (projectFor system).buildRustModule { inherit name src; };

      templates.default = import ./nix/template.nix;
    };
}
