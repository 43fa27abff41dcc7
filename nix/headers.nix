# SPDX-License-Identifier: GPL-2.0-only
#
# The headers of the kernel `of`, which itself is not built: what the kernel's own script
# puts into packages, and the crates' metadata, as Arch adds it. There is neither
# rust/Makefile nor any other source of Rust's.
{
  stdenv,
  bison,
  flex,
  perl,
  bc,
  symbols,
  of,
}:
stdenv.mkDerivation {
  pname = "${of.pname}-headers";
  inherit (of)
    version
    src
    patches
    postPatch
    ;
  makeFlags = of.commonMakeFlags;
  nativeBuildInputs = [
    bison
    flex
    perl
    bc
  ]
  ++ of.moduleBuildDependencies;

  # Where a kernel is there that exports the same, modules may refer to no other symbols.
  buildPhase = ''
    cp ${of.configfile} .config
    make -j$NIX_BUILD_CORES $makeFlags modules_prepare
    cp ${
      if symbols == null then
        "/dev/null"
      else
        "${symbols.dev}/lib/modules/${symbols.modDirVersion}/build/Module.symvers"
    } Module.symvers
  '';
  installPhase = ''
    make $makeFlags run-command KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build '$out
    install -D -m 644 -t $out/rust rust/*.rmeta
    install -D -t $out/rust rust/*.so
  '';
  passthru = {
    inherit (of) modDirVersion moduleBuildDependencies;
    commonMakeFlags = of.commonMakeFlags ++ (if symbols == null then [ "KBUILD_MODPOST_WARN=1" ] else [ ]);
  };
}
