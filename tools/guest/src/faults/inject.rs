// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's fault injection: `Documentation/fault-injection/fault-injection.rst`.

use std::{fmt::Display, fs, path::Path};

use anyhow::{Context, Result};

use crate::{Line, arch::MODULES};

/// What can be made to fail: directories in debugfs, with the settings by which nothing
/// is spared that may fail at all. As they are at boot, only allocations that must not
/// sleep fail, and of pages only several at a time.
const CAPABILITIES: [(&str, &[(&str, &str)]); 3] = [
    (
        "failslab",
        &[("ignore-gfp-wait", "N"), ("cache-filter", "Y")],
    ),
    (
        "fail_page_alloc",
        &[
            ("ignore-gfp-wait", "N"),
            ("ignore-gfp-highmem", "N"),
            ("min-order", "0"),
        ],
    ),
    ("fail_usercopy", &[]),
];

/// How many of the innermost callers the kernel looks at, at most.
const DEPTH: &str = "32";

/// A directory for each slab cache. In its file `failslab`, `1` marks a cache whose objects
/// fail; the debug kernel's command line has all marked.
const CACHES: &str = "/sys/kernel/slab";

/// Caches of the detectors. They make do without an object, so a fault there is none, and
/// there is one for almost every allocation.
const OF_DETECTORS: [&str; 3] = [
    "debug_objects_cache",
    "kmemleak_object",
    "kmemleak_scan_area",
];

/// What a task is armed with that only counts: no test allocates so often.
pub const COUNT: u32 = 1 << 30;

/// Has this kernel fail only what code of a module asks for, itself or through functions of
/// the kernel's. Nothing fails before a task is [armed](arm).
pub fn prepare() -> Result<()> {
    let set = |path: String, value: &str| fs::write(&path, value).context(path);
    let (begin, end) = MODULES;
    for (capability, settings) in CAPABILITIES {
        let dir = format!("/sys/kernel/debug/{capability}");
        for (file, value) in settings {
            set(format!("{dir}/{file}"), value)?;
        }
        set(format!("{dir}/stacktrace-depth"), DEPTH)?;
        set(format!("{dir}/require-start"), &format!("{begin:#x}"))?;
        set(format!("{dir}/require-end"), &format!("{end:#x}"))?;
    }
    for cache in OF_DETECTORS {
        let dir = format!("{CACHES}/{cache}");
        if Path::new(&dir).exists() {
            set(format!("{dir}/failslab"), "0")?;
        }
    }
    Ok(())
}

/// Has the `number`-th allocation from now on fail for `task`, which is the number of a
/// thread, or `thread-self`; none any more when it is 0.
pub fn arm(task: impl Display, number: u32) -> Result<()> {
    let path = format!("/proc/{task}/fail-nth");
    fs::write(&path, number.to_string()).context(path)
}

/// How many allocations of `task` are left until one fails; 0 when one has failed, or none
/// was to.
pub fn rest(task: impl Display) -> Result<u32> {
    let path = format!("/proc/{task}/fail-nth");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    text.trim_end().parse::<u32>().context(path)
}

/// Does `what`, of which the `number`-th allocation by this thread fails. Returns the
/// [`rest`] as well.
pub fn during<T>(number: u32, what: impl FnOnce() -> T) -> Result<(T, u32)> {
    const SELF: &str = "thread-self";
    arm(SELF, number)?;
    let value = what();
    let rest = rest(SELF)?;
    arm(SELF, 0)?;
    Ok((value, rest))
}

/// How the kernel's dump of a fault begins; the next lines are the trace.
const DUMP: &str = "FAULT_INJECTION: forcing a failure.";

/// Where the trace ends.
const END: &str = "</TASK>";

/// How functions begin that inject faults, or allocate or copy for somebody: who called
/// them is of interest.
const ALLOCATORS: [&str; 26] = [
    "___slab_alloc",
    "__alloc_frozen_pages",
    "__alloc_pages",
    "__kmalloc",
    "__kmem_cache",
    "__kvmalloc",
    "__slab_alloc",
    "__vmalloc",
    "_copy_",
    "alloc_frozen_pages",
    "alloc_pages",
    "dump_stack",
    "fail_dump",
    "get_free_pages",
    "kasprintf",
    "kmalloc",
    "kmem_cache_alloc",
    "kmemdup",
    "krealloc",
    "kstrdup",
    "kvasprintf",
    "kvmalloc",
    "kvrealloc",
    "rust_helper_",
    "should_fail",
    "vmalloc",
];

/// What the names of the kernel crate's allocating functions have in them.
const RUST_ALLOCATORS: &str = "_6kernel5alloc";

/// Where each fault happened that `lines` tell of: `FUNCTION+0x12 for FUNCTION+0x34
/// [MODULE]`, by the innermost functions of all and of a module. The kernel does not tell of
/// those that were not to be warned of.
pub fn points(lines: &[Line]) -> Vec<String> {
    let begins = |line: &Line| line.text.starts_with(DUMP);
    let mut points = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if begins(line) {
            let after = &lines[index + 1..];
            let ends = |line: &Line| begins(line) || line.text.trim() == END;
            let end = after.iter().position(ends).unwrap_or(after.len());
            points.push(point(&line.text, &after[..end]));
        }
    }
    points
}

fn point(dump: &str, trace: &[Line]) -> String {
    let mut functions: Vec<_> = trace.iter().filter_map(|it| function(&it.text)).collect();
    functions.retain(|name| {
        let allocates = ALLOCATORS.iter().any(|begin| name.starts_with(begin));
        !allocates && !name.contains(RUST_ALLOCATORS)
    });
    let of_module = functions.iter().find(|name| name.ends_with(']'));
    match (functions.first(), of_module) {
        (Some(first), Some(of_module)) if first != of_module => format!("{first} for {of_module}"),
        (Some(first), _) => first.clone(),
        // The second line: `name failslab, interval 1, ...`
        (None, _) => dump.lines().nth(1).unwrap_or("an unknown place").to_owned(),
    }
}

/// The function in a line of a trace, ` name+0x12/0x34 [module]`, without its length. Those
/// with a `?` were on the stack by chance.
fn function(line: &str) -> Option<String> {
    let mut words = line.strip_prefix(' ')?.split_whitespace();
    let (name, _) = words.next()?.split_once('/')?;
    if !name.contains("+0x") {
        return None;
    }
    Some(match words.next() {
        Some(module) => format!("{name} {module}"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let line = |text: &str| Line {
            sequence: 0,
            micros: 0,
            level: 4,
            text: text.replace('|', "\n"),
        };
        text.lines().map(line).collect()
    }

    const LOG: &str = "\
traces_1: was here
FAULT_INJECTION: forcing a failure.|name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 UID: 0 PID: 52 Comm: lkmpg-guest Tainted: G           O        7.2.6 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x5d/0x80
 should_fail_ex+0x1c1/0x2c0
 should_failslab+0x9f/0xd0
 __kmalloc_noprof+0xa0/0x3d0
 ? by_chance+0x1/0x2
 kvasprintf+0x8c/0x100
other_module: said something meanwhile
 kobject_set_name_vargs+0x33/0x110
 _RNvNtCs1_3lkm4misc3new+0x47/0x90 [hello]
 do_one_initcall+0x9d/0x2d0
 </TASK>
hello: init failed
FAULT_INJECTION: forcing a failure.|name fail_usercopy, interval 1, probability 0, space 0, times 0
Call Trace:
 <TASK>
 should_fail_usercopy+0x16/0x20
 _copy_to_user+0x1f/0x90
 _RNvXCs2_5hello4read+0x47/0x90 [hello]
 </TASK>
";

    #[test]
    fn points_are_read() {
        assert_eq!(
            points(&lines(LOG)),
            [
                "kobject_set_name_vargs+0x33 for _RNvNtCs1_3lkm4misc3new+0x47 [hello]",
                "_RNvXCs2_5hello4read+0x47 [hello]",
            ]
        );
        // The log may end in the middle.
        let half = LOG.split_once("Call Trace:").unwrap().0;
        let name = "name failslab, interval 1, probability 0, space 0, times 0";
        assert_eq!(points(&lines(half)), [name]);
        assert!(points(&lines("no dump\n")).is_empty());
    }

    #[test]
    fn the_kernel_crate_allocates_for_others() {
        let trace = "\
FAULT_INJECTION: forcing a failure.|name failslab, interval 1
 krealloc_node_align_noprof+0x63/0x2a0
 _RNvXs0_NtNtCs3_6kernel5alloc9allocatorNtB5_7Kmalloc+0x5/0x10
 _RNvMs_NtNtCs3_6kernel5alloc4kboxINtB4_3BoxtE3new+0x3a/0x60 [hello]
 _RNvCs2_5hello4init+0x47/0x90 [hello]
";
        assert_eq!(points(&lines(trace)), ["_RNvCs2_5hello4init+0x47 [hello]"]);
    }
}
