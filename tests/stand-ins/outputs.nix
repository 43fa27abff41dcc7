# SPDX-License-Identifier: GPL-2.0-only
#
# Every derivation among the outputs of flake.nix, evaluated with the
# stand-ins: name and path.
let
  system = "x86_64-linux";

  standIn = name: (import (./. + "/${name}/flake.nix")).outputs { };
  flake = (import ../../flake.nix).outputs {
    self = flake;
    nixpkgs = standIn "nixpkgs";
    flake-utils = standIn "flake-utils";
    rust-overlay = standIn "rust-overlay";
    crane = standIn "crane";
  };
  isDerivation = value: value.type or "" == "derivation";

  # The derivations in a set and in the sets in it, with dots in their names.
  derivations =
    prefix: set:
    builtins.foldl' (
      found: name:
      let
        value = set.${name};
      in
      found
      // (
        if isDerivation value && builtins.elem "kvm" (value.requiredSystemFeatures or [ ]) then
          throw "${prefix}.${name} needs KVM: where there is none, `nix flake check` would fail"
        else if isDerivation value then
          { "${prefix}.${name}" = value.drvPath; }
        else if builtins.isAttrs value then
          derivations "${prefix}.${name}" value
        else
          throw "${prefix}.${name} is neither a derivation nor a set"
      )
    ) { } (builtins.attrNames set);

  # What README.md promises of the development shell is in its packages.
  shell = flake.devShells.${system}.default;
  promised =
    package:
    if builtins.any (has: builtins.match "${package}.*" has.name != null) shell.packages then
      package
    else
      throw "the development shell has no ${package}";

  module = flake.lib.buildRustModule {
    name = "my-module";
    src = flake.templates.default.path + "/my-module";
  };

  template = (import (flake.templates.default.path + "/flake.nix")).outputs { lkmpg-rs = flake; };
in
derivations "packages" flake.packages.${system}
// derivations "checks" flake.checks.${system}
// derivations "devShells" flake.devShells.${system}
// derivations "legacyPackages" flake.legacyPackages.${system}
// derivations "lib" {
  buildRustModule = module;
  inherit (module) tests;
}
// derivations "template" {
  packages = template.packages.${system};
  checks = template.checks.${system};
  devShells = template.devShells.${system};
}
// {
  formatter = flake.formatter.${system}.drvPath;
  overlay = builtins.isFunction flake.overlays.default;
  shellHas = map promised [
    "bindgen"
    "clang"
    "gdb"
    "gnumake"
    "python3"
    "rust"
  ];
}
