# SPDX-License-Identifier: GPL-2.0-only
#
# crane's functions as far as nix/tools.nix uses them, over Debian's cargo.
{
  fetched,
  mkDerivation,
  pkgs,
}:
let
  inherit (builtins)
    elem
    filter
    fromTOML
    readFile
    ;

  cargo = "cargo --offline --color never";

  # Crates are named and hashed by Cargo.lock alone; `fetch` brings them.
  vendorCargoDeps =
    { cargoLock }:
    let
      crates = filter (p: p ? checksum) (fromTOML (readFile cargoLock)).package;
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

  # Common to all: sources whose times do not deceive cargo, its vendored
  # crates, and the target directory of `cargoArtifacts`.
  cargoDerivation =
    args:
    mkDerivation (
      removeAttrs args [ "cargoLock" ]
      // {
        configurePhase = ''
          runHook preConfigure
          export CARGO_HOME=$NIX_BUILD_TOP/.cargo CARGO_TARGET_DIR=$NIX_BUILD_TOP/target
          mkdir -p $CARGO_HOME
          cat >$CARGO_HOME/config.toml <<EOF
          [source.crates-io]
          replace-with = "vendored"
          [source.vendored]
          directory = "$cargoVendorDir"
          EOF
          if [ -n "''${cargoArtifacts-}" ]; then
            cp -r --preserve=timestamps --no-preserve=mode $cargoArtifacts/target $CARGO_TARGET_DIR
            find $CARGO_TARGET_DIR -type f -path '*/build/*' -name 'build-script-*' -exec chmod +x {} +
          fi
          find . -exec touch {} +
          runHook postConfigure
        '';
      }
    );

  # A run of `cargo SUBCOMMAND` that has no product.
  checkWith =
    subcommand: extraArgs: args:
    cargoDerivation (
      args
      // {
        pname = "${args.pname}-${subcommand}";
        buildPhase = "${cargo} ${subcommand} --release \${cargoExtraArgs---locked} ${extraArgs}";
        installPhase = "touch $out";
      }
    );

  # The dependencies alone, built once for all that share them.
  buildDepsOnly =
    args:
    cargoDerivation (
      args
      // {
        pname = "${args.pname}-deps";
        src = mkDummySrc args.src;
        buildPhase = ''
          ${cargo} build --release --locked --workspace
        '';
        installPhase = ''
          find $CARGO_TARGET_DIR -type d -name incremental -prune -exec rm -rf {} +
          mkdir $out && cp -r --preserve=timestamps $CARGO_TARGET_DIR $out/target
        '';
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
  inherit vendorCargoDeps buildDepsOnly;

  buildPackage =
    args:
    cargoDerivation (
      args
      // {
        buildPhase = ''
          ${cargo} build --release ''${cargoExtraArgs---locked}
        '';
        checkPhase = ''
          ${cargo} test --release ''${cargoExtraArgs---locked}
        '';
        installPhase = ''
          mkdir -p $out/bin
          find $CARGO_TARGET_DIR/''${CARGO_BUILD_TARGET-}/release -maxdepth 1 -type f -executable \
            -exec install -t $out/bin {} +
          runHook postInstall
        '';
      }
    );

  cargoClippy = checkWith "clippy" "\${cargoClippyExtraArgs-}";
  cargoTest = checkWith "test" "\${cargoTestExtraArgs-}";

  cargoFmt =
    args:
    cargoDerivation (
      removeAttrs args [ "cargoArtifacts" ]
      // {
        pname = "${args.pname}-fmt";
        buildPhase = "${cargo} fmt --all --check";
        installPhase = "touch $out";
      }
    );
}
