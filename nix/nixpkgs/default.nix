# SPDX-License-Identifier: GPL-2.0-only
#
# Everything that this repository builds, on nixpkgs. `pkgs` has rust-overlay
# in it.
{ pkgs, crane }:
let
  pinned = pkgs.extend (import ./pinned.nix { inherit crane; });
  project = import ../default.nix {
    pkgs = pinned;
    packages = { inherit (pinned) bindgen; };
  };
  nixFiles = "${../.} ${../../flake.nix} ${../../template} ${../../tests/stand-ins}";
in
project
// {
  # What only nixpkgs has the programs for.
  checks = project.checks // {
    nixfmt = pkgs.runCommand "nixfmt" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
      find ${nixFiles} -name '*.nix' -exec nixfmt --check {} +
      touch $out
    '';
    statix = pkgs.runCommand "statix" { nativeBuildInputs = [ pkgs.statix ]; } ''
      for path in ${nixFiles}; do
        statix check --config ${../../statix.toml} $path
      done
      touch $out
    '';
  };

  formatter = pkgs.nixfmt-tree;
}
