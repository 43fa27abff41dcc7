# SPDX-License-Identifier: GPL-2.0-only
{
  outputs = _: {
    mkLib = pkgs: {
      overrideToolchain =
        toolchainOf:
        let
          lib = pkgs.standIns.craneLib;
          # In the derivation, so that it is evaluated with it.
          withToolchain =
            name: args:
            lib.${name} (
              args // { nativeBuildInputs = args.nativeBuildInputs or [ ] ++ [ (toolchainOf pkgs) ]; }
            );
        in
        {
          inherit (lib) vendorCargoDeps;
        }
        // pkgs.lib.genAttrs [
          "buildDepsOnly"
          "buildPackage"
          "cargoClippy"
          "cargoFmt"
          "cargoTest"
        ] withToolchain;
    };
  };
}
