#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Turns the kernel's rust-project.json into one for lkm and the examples.

usage: rust-project.py FILE LKM EXAMPLES [KERNEL_SOURCE]

FILE is what the kernel's own `make rust-analyzer` wrote, and is changed in
place. LKM is the folder of the crate lkm, EXAMPLES that of the chapters.
KERNEL_SOURCE, when given, is a whole source tree in place of one whose Rust
files were removed.
"""

import json
import pathlib
import sys


def main(file, lkm, examples, kernel_source=None):
    file = pathlib.Path(file)
    project = json.loads(file.read_text())
    lkm = pathlib.Path(lkm).resolve()
    examples = pathlib.Path(examples).resolve()

    # The kernel's generator looks for crates in a module's folder too, by
    # rules that are not ours; those of the kernel have absolute paths.
    crates = [c for c in project["crates"] if c["root_module"].startswith("/")]
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
        index[name] = len(crates)
        crates.append(
            {
                "display_name": name,
                "root_module": str(root_module),
                "is_workspace_member": to_be_checked,
                "deps": [{"crate": index[d], "name": d} for d in dependencies],
                "cfg": [*kernel["cfg"], "MODULE"],
                "edition": "2021",
                "env": {"RUST_MODFILE": name},
            }
        )

    # What scripts/Makefile.build gives a module.
    dependencies = ["core", "kernel", "pin_init", "zerocopy", "zerocopy_derive"]
    this = pathlib.Path(__file__).with_suffix(".rs").resolve()
    add(this, ["core", "kernel"], to_be_checked=False)
    dependencies.append("rust_project")
    add(lkm / "lib.rs", dependencies, name="lkm")
    # An editor knows a file by its own name, not by a link to it.
    for source in sorted(source.resolve() for source in examples.glob("*/*/*.rs")):
        if source.stem == source.parent.name and lkm not in source.parents:
            add(source, [*dependencies, "lkm"])

    project["crates"] = crates
    file.write_text(json.dumps(project, indent=1))


main(*sys.argv[1:])
