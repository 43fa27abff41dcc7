# SPDX-License-Identifier: GPL-2.0-only
#
# nixpkgs with the versions of pins.nix where the recipes ask for them: an
# overlay that goes after rust-overlay's.
{ crane }:
final: prev:
let
  pins = import ../pins.nix;
  llvm = final."llvmPackages_${pins.llvm.version}";

  rust = final.rust-bin.stable.${pins.rustc.version}.default.override {
    extensions = [
      "rust-src"
      "rust-analyzer"
    ];
    targets = [ final.pkgsStatic.stdenv.hostPlatform.rust.rustcTarget ];
  };
in
{
  fetchSource = pin: final.fetchurl { inherit (pin.upstream) url hash; };

  craneLib = (crane.mkLib final).overrideToolchain (_: rust);

  # As nixpkgs builds its own: libclang is linked.
  bindgen = final.craneLib.buildPackage {
    pname = "bindgen-cli";
    inherit (pins.bindgen) version;
    src = final.fetchCrate {
      pname = "bindgen-cli";
      inherit (pins.bindgen) version hash;
    };
    cargoVendorDir = final.craneLib.vendorCargoDeps { cargoLock = ./bindgen/Cargo.lock; };
    # To build the dependencies apart, crane would have to read the fetched
    # sources while it evaluates.
    cargoArtifacts = null;
    cargoExtraArgs = "--locked --no-default-features --features logging";
    strictDeps = true;
    doCheck = false;
    LIBCLANG_PATH = "${final.lib.getLib llvm.clang.cc}/lib";
    meta.mainProgram = "bindgen";
  };

  # The kernel by clang and lld, as make LLVM=1 has it.
  linuxManualConfig = prev.linuxManualConfig.override {
    stdenv = final.overrideCC llvm.stdenv (llvm.stdenv.cc.override { inherit (llvm) bintools; });
    rustc-unwrapped = rust;
    rust-bindgen-unwrapped = final.bindgen;
    rustPlatform.rustLibSrc = "${rust}/lib/rustlib/src/rust/library";
  };

  # Where there is no KVM, QEMU emulates. With this feature required, Nix would not
  # even try, and `nix flake check` would fail.
  testers = prev.testers // {
    runNixOSTest =
      test:
      (prev.testers.runNixOSTest test).overrideTestDerivation (old: {
        requiredSystemFeatures = final.lib.remove "kvm" old.requiredSystemFeatures;
      });
  };
}
