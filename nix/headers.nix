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
  kernel,
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

  # A kernel that exports the same is there: modules may refer to no other symbols.
  buildPhase = ''
    cp ${of.configfile} .config
    make -j$NIX_BUILD_CORES $makeFlags modules_prepare
    cp ${kernel.dev}/lib/modules/${kernel.modDirVersion}/build/Module.symvers .
  '';
  installPhase = ''
    make $makeFlags run-command KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build '$out
    install -D -m 644 -t $out/rust rust/*.rmeta
    install -D -t $out/rust rust/*.so
  '';
  passthru = { inherit (of) commonMakeFlags modDirVersion moduleBuildDependencies; };
}
