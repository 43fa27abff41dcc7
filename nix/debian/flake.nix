# SPDX-License-Identifier: GPL-2.0-only
{
  description = "LKMPG in Rust, on a toolchain from Debian's archive";

  outputs =
    _:
    let
      system = "x86_64-linux";
      pkgs = import ./pkgs.nix { inherit system; };
      project = import ../default.nix {
        inherit pkgs;
        packages = { inherit (pkgs) toolchain qemu deadnix; };
      };
    in
    {
      packages.${system} = project.packages;
      checks.${system} = project.checks // {
        clippy-musl = pkgs.newScope { } ./musl.nix { };
        testers = pkgs.testers.runNixOSTest {
          name = "testers";
          nodes.machine = _: {
            boot.kernelPackages.kernel = project.legacyPackages.kernel-nixos;
            boot.extraModulePackages = [ ];
            environment.systemPackages = [ ];
          };
          testScript = builtins.readFile ./testers/test.py;
        };
      };
      devShells.${system} = project.devShells;
      legacyPackages.${system} = project.legacyPackages // {
        # `nix develop` takes its shell from the flake nixpkgs: let it be this.
        bashInteractive = pkgs.bash;
      };
      templates.default = import ../template.nix;
      lib = { inherit (project) buildRustModule; };
    };
}
