# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The generic builder inside the root file system: nixpkgs' phases with the
# hooks and variables that this project's recipes use.
set -eu -o pipefail
cd "$NIX_BUILD_TOP"
[ "$NIX_BUILD_CORES" -gt 0 ] || NIX_BUILD_CORES=$(nproc)
export SOURCE_DATE_EPOCH=1 LC_ALL=C SHELL=/usr/bin/bash

PATH=/usr/bin
for input in ${nativeBuildInputs-}; do
  PATH=$input/bin:$PATH
done
export PATH

runHook() { eval "${!1-}"; }

# A phase is the recipe's text of that name, or else the function below.
runPhase() {
  local text=${!1-} skip=${1%Phase}
  skip=dont${skip^}
  [ -z "${!skip-}" ] || return 0
  [ -n "$text" ] || [ "$(type -t "$1")" = function ] || return 0
  [ "$1" != checkPhase ] || [ -n "${doCheck-}" ] || return 0
  echo "@nix {\"action\":\"setPhase\",\"phase\":\"$1\"}" >&2
  if [ -n "$text" ]; then eval "$text"; else "$1"; fi
}

unpackPhase() {
  if [ -d "$src" ]; then
    local name=${src##*/}
    cp -r --no-preserve=mode,ownership "$src" "${name#*-}"
  else
    tar -xf "$src"
  fi
  cd "${sourceRoot:-$(find . -mindepth 1 -maxdepth 1 -type d)}"
}

buildPhase() {
  runHook preBuild
  # shellcheck disable=SC2086 # lists
  make -j"$NIX_BUILD_CORES" ${makeFlags-} ${buildFlags-}
  runHook postBuild
}

checkPhase() {
  # shellcheck disable=SC2086 # lists
  make ${makeFlags-} check
}

installPhase() {
  runHook preInstall
  # shellcheck disable=SC2086 # lists
  make ${makeFlags-} install
  runHook postInstall
}

for phase in unpackPhase configurePhase buildPhase checkPhase installPhase; do
  runPhase "$phase"
done
