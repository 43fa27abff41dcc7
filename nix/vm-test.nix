# SPDX-License-Identifier: GPL-2.0-only
#
# VM tests: one per module, booted on the initramfs. A test's output has the
# log that one sees on a terminal, and the results as JUnit. Emulated, so that
# the result does not depend on what the machine's KVM can do.
{
  lib,
  runCommand,
  lkmpg,
  vm,
  modules,
}:
lib.mapAttrs' (
  name: module:
  lib.nameValuePair "vm-test-${name}" (
    runCommand "vm-test-${name}" { nativeBuildInputs = [ lkmpg ]; } ''
      mkdir $out
      lkmpg test ${name} --vm ${vm} --modules ${module} --accel tcg \
        --junit $out/junit.xml 2>&1 | tee $out/log
    ''
  )
) modules
