# SPDX-License-Identifier: GPL-2.0-only
#
# crane's functions as far as nix/tools.nix uses them, over Debian's cargo: their
# arguments, what these are when they are left out, and their phases.
{
  fetched,
  mkDerivation,
  pkgs,
}:
let
  inherit (builtins)
    concatMap
    elem
    filter
    fromTOML
    readFile
    ;

  cargo = "cargo --offline --color never";

  # Crates are named and hashed by Cargo.lock alone; `fetch` brings them.
  vendorMultipleCargoDeps =
    { cargoLockList }:
    let
      packages = concatMap (lock: (fromTOML (readFile lock)).package) cargoLockList;
      crates = filter (p: p ? checksum) packages;
    in
    pkgs.runCommand "vendored-crates"
      {
        crates = map (p: fetched "${p.name}-${p.version}.crate" p.checksum) crates;
        checksums = map (p: p.checksum) crates;
      }
      ''
        mkdir $out && cd $out
        set -- $checksums
        for crate in $crates; do
          name=''${crate#*-}
          tar -xzf $crate --no-same-owner
          echo "{\"files\":{},\"package\":\"$1\"}" >''${name%.crate}/.cargo-checksum.json
          shift
        done
      '';

  # Common to all: sources whose times do not deceive cargo, its vendored crates, the
  # target directory of `cargoArtifacts`, and what is run in which phase. The tests
  # are in the check phase, which is only run with `doCheck`.
  cargoDerivation =
    {
      cargoArtifacts,
      cargoVendorDir,
      pname,
      pnameSuffix ? "",
      buildCommand ? "",
      checkCommand ? "",
      installCommand ? "mkdir -p $out",
      doInstallCargoArtifacts ? true,
      ...
    }@args:
    mkDerivation (
      removeAttrs args [
        "buildCommand"
        "cargoBuildExtraArgs"
        "cargoClippyExtraArgs"
        "cargoExtraArgs"
        "cargoTestExtraArgs"
        "checkCommand"
        "installCommand"
        "pnameSuffix"
        "rustFmtExtraArgs"
      ]
      // {
        inherit cargoArtifacts cargoVendorDir doInstallCargoArtifacts;
        pname = pname + pnameSuffix;
        configurePhase = ''
          runHook preConfigure
          export CARGO_HOME=$NIX_BUILD_TOP/.cargo CARGO_TARGET_DIR=$NIX_BUILD_TOP/target
          mkdir -p $CARGO_HOME
          if [ -n "$cargoVendorDir" ]; then
            printf '%s\n' '[source.crates-io]' 'replace-with = "vendored"' \
              '[source.vendored]' "directory = \"$cargoVendorDir\"" >$CARGO_HOME/config.toml
          fi
          if [ -n "$cargoArtifacts" ]; then
            cp -r --preserve=timestamps --no-preserve=mode $cargoArtifacts/target $CARGO_TARGET_DIR
            find $CARGO_TARGET_DIR -type f -path '*/build/*' -name 'build-script-*' -exec chmod +x {} +
          fi
          find . -exec touch {} +
          runHook postConfigure
        '';
        buildPhase = ''
          runHook preBuild
          ${buildCommand}
          runHook postBuild
        '';
        checkPhase = ''
          runHook preCheck
          ${checkCommand}
          runHook postCheck
        '';
        installPhase = ''
          runHook preInstall
          ${installCommand}
          if [ -n "$doInstallCargoArtifacts" ]; then
            mkdir -p $out $CARGO_TARGET_DIR
            find $CARGO_TARGET_DIR -type d -name incremental -prune -exec rm -rf {} +
            cp -r --preserve=timestamps $CARGO_TARGET_DIR $out/target
          fi
          runHook postInstall
        '';
      }
    );

  # The dependencies alone, built once for all that share them.
  buildDepsOnly =
    {
      cargoExtraArgs ? "--locked",
      cargoBuildExtraArgs ? "",
      ...
    }@args:
    cargoDerivation (
      args
      // {
        cargoArtifacts = null;
        pnameSuffix = "-deps";
        src = mkDummySrc args.src;
        buildCommand = "${cargo} build --release ${cargoExtraArgs} ${cargoBuildExtraArgs}";
        doInstallCargoArtifacts = true;
      }
    );

  # The manifests with empty programs: what dependencies depend on, whatever
  # else changes in `src`.
  mkDummySrc =
    src:
    let
      manifests = builtins.path {
        # Not that of `src`, which has the hash of everything in it.
        name = "manifests";
        path = src;
        filter =
          path: type:
          type == "directory"
          || elem (baseNameOf path) [
            "Cargo.toml"
            "Cargo.lock"
          ];
      };
    in
    pkgs.runCommand "dummy-source" { inherit manifests; } ''
      cp -r --no-preserve=mode $manifests $out
      cd $out
      grep -l '^\[package\]' $(find . -name Cargo.toml) | while read -r manifest; do
        dir=$(dirname $manifest)/src
        mkdir -p $dir
        echo 'fn main() {}' >$dir/main.rs
        : >$dir/lib.rs
      done
    '';
in
{
  inherit vendorMultipleCargoDeps buildDepsOnly;

  vendorCargoDeps = { cargoLock }: vendorMultipleCargoDeps { cargoLockList = [ cargoLock ]; };

  buildPackage =
    {
      cargoExtraArgs ? "--locked",
      cargoBuildExtraArgs ? "",
      cargoTestExtraArgs ? "",
      ...
    }@args:
    cargoDerivation (
      {
        cargoArtifacts = buildDepsOnly args;
        doCheck = true;
        doInstallCargoArtifacts = false;
      }
      // args
      // {
        buildCommand = "${cargo} build --release ${cargoExtraArgs} ${cargoBuildExtraArgs}";
        checkCommand = "${cargo} test --release ${cargoExtraArgs} ${cargoTestExtraArgs}";
        installCommand = ''
          mkdir -p $out/bin
          find $CARGO_TARGET_DIR/''${CARGO_BUILD_TARGET-}/release -maxdepth 1 -type f -executable \
            -exec install -t $out/bin {} +
        '';
      }
    );

  cargoClippy =
    {
      cargoArtifacts,
      cargoExtraArgs ? "--locked",
      cargoClippyExtraArgs ? "--all-targets",
      ...
    }@args:
    cargoDerivation (
      args
      // {
        inherit cargoArtifacts;
        pnameSuffix = "-clippy";
        buildCommand = "${cargo} clippy --release ${cargoExtraArgs} ${cargoClippyExtraArgs}";
      }
    );

  # crane's runs nothing, and succeeds, when it may not check.
  cargoTest =
    {
      cargoArtifacts,
      cargoExtraArgs ? "--locked",
      cargoTestExtraArgs ? "",
      doCheck ? true,
      ...
    }@args:
    if !doCheck then
      throw "${args.pname}: cargoTest with `doCheck = false` tests nothing"
    else
      cargoDerivation (
        args
        // {
          inherit cargoArtifacts doCheck;
          pnameSuffix = "-test";
          checkCommand = "${cargo} test --release ${cargoExtraArgs} ${cargoTestExtraArgs}";
        }
      );

  cargoFmt =
    {
      cargoExtraArgs ? "",
      rustFmtExtraArgs ? "",
      ...
    }@args:
    cargoDerivation (
      args
      // {
        cargoArtifacts = null;
        cargoVendorDir = null;
        pnameSuffix = "-fmt";
        buildCommand = "${cargo} fmt ${cargoExtraArgs} -- --check ${rustFmtExtraArgs}";
      }
    );
}
