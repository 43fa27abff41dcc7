#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Turns the kernel's rust-project.json into one for lkm and the examples.

usage: rust-project.py FILE LKM EXAMPLES [KERNEL_SOURCE]

FILE is what the kernel's own `make rust-analyzer` wrote, and is changed in place. What
`make lkm/bindings/` wrote is below its folder. EXAMPLES is the folder of the chapters,
LKM that of the crate lkm, as it is called there. KERNEL_SOURCE, when given, is a whole
source tree in place of one whose Rust files were removed.
"""

import json
import pathlib
import re
import sys


def main(file, lkm, examples, kernel_source=None):
    file = pathlib.Path(file)
    project = json.loads(file.read_text())
    examples = pathlib.Path(examples).resolve()
    flags = (file.resolve().parent / lkm / ".rustflags").read_text().split()

    # The kernel's generator looks for crates in a module's folder too, by
    # rules that are not ours; those of the kernel have absolute paths.
    def is_kernels(crate):
        root = pathlib.Path(crate["root_module"])
        return root.is_absolute() and examples not in root.resolve().parents

    crates = [crate for crate in project["crates"] if is_kernels(crate)]
    index = {crate["display_name"]: i for i, crate in enumerate(crates)}
    kernel = crates[index["kernel"]]
    for crate in crates:
        # To be read, not to be checked.
        crate["is_workspace_member"] = False
    if kernel_source:
        pruned = str(pathlib.Path(kernel["root_module"]).parents[2])
        for crate in crates:
            crate["root_module"] = crate["root_module"].replace(pruned, kernel_source)
            if "source" in crate:
                # What is generated stays where it is.
                folder = str(pathlib.Path(crate["root_module"]).parent)
                crate["source"]["include_dirs"].append(folder)

    def add(root_module, dependencies, name=None, to_be_checked=True):
        name = name or root_module.stem.replace("-", "_")
        # An editor knows a file by its own name, not by a link to it.
        path = (examples / root_module).resolve()
        crate = {
            "display_name": name,
            "root_module": str(path),
            "is_workspace_member": to_be_checked,
            "deps": [{"crate": index[d], "name": d} for d in dependencies],
            "cfg": [*kernel["cfg"], "MODULE", *flags[1::2]],
            "edition": "2021",
            "env": {"RUST_MODFILE": name},
        }
        # A module may have a file of another one, such as the API of both.
        folders = {str(path.parent)}
        for other in re.findall(r'^#\[path = "(.*)"\]$', path.read_text(), re.MULTILINE):
            folders.add(str((path.parent / other).resolve().parent))
        bindings = file.resolve().parent / root_module.parent / "bindings_generated.rs"
        if bindings.exists():
            crate["env"]["BINDINGS"] = str(bindings)
            folders.add(str(bindings.parent))
        if len(folders) > 1:
            crate["source"] = {"include_dirs": sorted(folders), "exclude_dirs": []}
        index[name] = len(crates)
        crates.append(crate)

    # What scripts/Makefile.build gives a module.
    given = ["core", "kernel", "pin_init", "zerocopy", "zerocopy_derive"]
    dependencies = [name for name in given if name in index]
    this = pathlib.Path(__file__).with_suffix(".rs").resolve()
    add(this, ["core", "kernel"], to_be_checked=False)
    dependencies.append("rust_project")
    lkm = pathlib.Path(lkm)
    add(lkm / "lib.rs", dependencies, name="lkm")
    for source in sorted(path.relative_to(examples) for path in examples.glob("*/*/*.rs")):
        if source.stem == source.parent.name and lkm not in source.parents:
            add(source, [*dependencies, "lkm"])

    project["crates"] = crates
    file.write_text(json.dumps(project, indent=1))


main(*sys.argv[1:])
