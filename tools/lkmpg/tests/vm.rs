// SPDX-License-Identifier: GPL-2.0-only

//! What the program does with VMs that fail in each of the ways a VM can.
//!
//! `LKMPG_TEST_VM` is a directory with `machine.json`,
//! `LKMPG_TEST_MODULES` a list, with spaces, of directories that hold the
//! modules of `tests/fixtures`. `LKMPG_TEST_DEBUG_VM` and
//! `LKMPG_TEST_DEBUG_MODULES` are the same for the debug kernel.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{
    pipe::pipe,
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

/// How long what should happen at once may take: kernels may be compiled beside
/// these.
const PATIENCE: Duration = Duration::from_secs(600);

fn vm() -> PathBuf {
    let vm = env::var_os("LKMPG_TEST_VM");
    vm.expect("LKMPG_TEST_VM is set").into()
}

/// The program with `arguments`, on the fixtures' VM.
fn lkmpg(arguments: &[&str]) -> Command {
    lkmpg_in(&vm(), arguments)
}

/// The program with `arguments`, on `vm` with the fixtures.
fn lkmpg_in(vm: &Path, arguments: &[&str]) -> Command {
    lkmpg_with(vm, "LKMPG_TEST_MODULES", arguments)
}

/// The program with `arguments`, on `vm` with the modules that the environment
/// variable `modules` lists.
fn lkmpg_with(vm: &Path, modules: &str, arguments: &[&str]) -> Command {
    let modules = env::var(modules).unwrap_or_else(|_| panic!("{modules} is set"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkmpg"));
    command.arg("--vm").arg(vm);
    for module in modules.split_whitespace() {
        command.args(["--modules", module]);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn test(arguments: &[&str]) -> Output {
    let arguments = [&["test", "--accel", "tcg"], arguments].concat();
    lkmpg(&arguments).output().expect("lkmpg starts")
}

/// The tests of `module` on the debug kernel.
fn test_debug(module: &str) -> Output {
    let vm = env::var_os("LKMPG_TEST_DEBUG_VM").expect("LKMPG_TEST_DEBUG_VM is set");
    let arguments = ["test", module, "--kernel", "debug", "--accel", "tcg"];
    lkmpg_with(Path::new(&vm), "LKMPG_TEST_DEBUG_MODULES", &arguments)
        .output()
        .expect("lkmpg starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// That `output` is of a run with failures which says each of `texts`.
#[track_caller]
fn assert_fails(output: &Output, texts: &[&str]) {
    let stdout = stdout(output);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    for text in texts {
        assert!(stdout.contains(text), "no {text:?} in:\n{stdout}");
    }
    let last = stdout.lines().last().unwrap_or_default();
    assert!(last.ends_with(" failed"), "{last:?} is the last line");
}

/// The processes that `pid` started and that still run, by their command
/// lines.
fn descendants(pid: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name, in parentheses, may have spaces; state and parent follow.
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        let parent = rest
            .split(' ')
            .nth(1)
            .and_then(|parent| parent.parse().ok());
        if parent == Some(pid) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((child, String::from_utf8_lossy(&command).into_owned()));
            found.extend(descendants(child));
        }
    }
    found
}

/// What only the command line of a VM has that boots, or is restored.
const BOOTS: &str = "lkmpg.events=";
const RESTORED: &str = "-incoming";

/// A run that does not end by itself, with its temporary files in `temp`. Of two
/// modules the VM of the first is restored.
fn hanging(temp: &Path, kind: &str) -> Child {
    let modules: &[_] = match kind {
        RESTORED => &["hangs", "panics", "--jobs", "1"],
        _ => &["hangs"],
    };
    lkmpg(&[&["test", "--accel", "tcg"], modules].concat())
        .env("TMPDIR", temp)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until `child` runs a VM of that `kind`.
fn wait_for_vm(child: &Child, kind: &str) -> Vec<(u32, String)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = descendants(child.id());
        if found.iter().any(|(_, command)| command.contains(kind)) {
            return found;
        }
        assert!(Instant::now() < deadline, "no VM is started");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs a VM"]
fn a_panic_ends_at_once_with_its_trace() {
    let output = test(&["panics"]);
    assert_fails(
        &output,
        &[
            "test panics::leaves_nothing ... FAILED",
            "panics: as asked",
            "Call Trace:",
            "do_one_initcall",
            "Kernel panic - not syncing",
        ],
    );
    assert!(!stdout(&output).contains("killed after"), "at the timeout");
}

#[test]
#[ignore = "needs a VM"]
fn a_hung_vm_is_killed_at_the_timeout() {
    let begin = Instant::now();
    let output = test(&["hangs", "--timeout", "30"]);
    assert_fails(
        &output,
        &[
            "test hangs::leaves_nothing ... FAILED",
            "killed after 30 s",
            "loading out-of-tree module",
        ],
    );
    let took = begin.elapsed();
    let expected = Duration::from_secs(30)..Duration::from_secs(30) + PATIENCE;
    assert!(expected.contains(&took), "{took:?}");
}

#[test]
#[ignore = "needs a VM"]
fn what_a_module_leaves_behind_is_named() {
    let output = test(&["leaks"]);
    let expected = [
        "test leaks::leaves_nothing ... FAILED",
        "still there after the unload: /sys/kernel/debug/leaked",
    ];
    assert_fails(&output, &expected);
}

#[test]
#[ignore = "needs a VM"]
fn a_warning_in_the_log_is_a_failure() {
    let output = test(&["warns"]);
    let expected = [
        "test warns::leaves_nothing ... FAILED",
        "the kernel complained:",
        "WARNING:",
        "Call Trace:",
    ];
    assert_fails(&output, &expected);
    assert!(stdout(&output).contains("test warns::modinfo ... ok"));
}

#[test]
#[ignore = "needs a VM"]
fn sleeping_where_one_must_not_is_a_failure() {
    let output = test(&["sleeps-in-softirq"]);
    let expected = [
        "test sleeps-in-softirq::leaves_nothing ... FAILED",
        "BUG: sleeping function called from invalid context",
        "tasklet_action",
    ];
    assert_fails(&output, &expected);
    assert!(stdout(&output).contains("test sleeps-in-softirq::modinfo ... ok"));
}

#[test]
#[ignore = "needs a VM"]
fn use_after_free_is_a_failure_on_the_debug_kernel() {
    let output = test_debug("uses-after-free");
    let expected = [
        "test uses-after-free::leaves_nothing ... FAILED",
        "BUG: KASAN: slab-use-after-free",
        "Freed by task",
    ];
    assert_fails(&output, &expected);
    assert!(stdout(&output).contains("test uses-after-free::modinfo ... ok"));
}

#[test]
#[ignore = "needs a VM"]
fn leaked_memory_is_a_failure() {
    let output = test(&["leaks-memory"]);
    let expected = [
        "test leaks-memory::leaks_nothing ... FAILED",
        "objects left by 100 rounds: 100 in kmalloc-1k",
    ];
    assert_fails(&output, &expected);
    assert!(stdout(&output).contains("test leaks-memory::reload ... ok"));
}

#[test]
#[ignore = "needs a VM"]
fn leaked_memory_is_a_failure_on_the_debug_kernel() {
    let output = test_debug("leaks-memory");
    let expected = [
        "test leaks-memory::memory_leaks ... FAILED",
        "unreferenced object",
        "(size 1024)",
        "(during reload)",
    ];
    assert_fails(&output, &expected);
    assert!(stdout(&output).contains("test leaks-memory::reload ... ok"));
}

/// What the kernel says when it follows a pointer to what is not there.
const FAULT: &str = "BUG: unable to handle page fault";
/// The same for a null pointer.
const NULL: &str = "BUG: kernel NULL pointer dereference";

/// What the `kernel` crate does wrong: the fixtures `kernel-crate-NAME`, and two texts of what is
/// seen. Where the crate was mended, this goes, and what `lkm`'s page on its limits says of it.
const HOLES: [(&str, &str, &str); 11] = [
    ("configfs-name", NULL, "configfs_unregister_subsystem"),
    ("configfs-root", "it shows another number", "left: 0"),
    ("debugfs", FAULT, "full_proxy_release"),
    ("disk", FAULT, "bdev_release"),
    ("hrtimer", "Oops:", "last unloaded: kernel_crate_hrtimer"),
    ("miscdevice", FAULT, "sys_close"),
    ("pci", FAULT, "r_show"),
    ("platform", FAULT, "bind_store"),
    ("property", NULL, "read_from_fwnode_property"),
    ("usb", "the data was never dropped", "left: 0"),
    ("workqueue", "Oops:", "Workqueue: events_long"),
];

/// What the run that printed `stdout` says of the failure of `test`.
fn failure<'a>(stdout: &'a str, test: &str) -> &'a str {
    let begin = format!("---- {test} ----\n");
    let Some((_, rest)) = stdout.split_once(&begin) else {
        panic!("{test} did not fail:\n{stdout}");
    };
    rest.split("\n---- ").next().unwrap_or_default()
}

#[test]
#[ignore = "needs a VM"]
fn what_the_kernel_crate_does_wrong_is_seen() {
    let tests = HOLES.map(|(name, ..)| format!("kernel-crate-{name}::is_sound"));
    let output = test(&tests.each_ref().map(String::as_str));
    assert_fails(&output, &[]);
    let stdout = stdout(&output);
    for ((_, first, second), test) in HOLES.iter().zip(&tests) {
        let failure = failure(&stdout, test);
        for text in [first, second] {
            assert!(failure.contains(text), "no {text:?} of {test}:\n{failure}");
        }
    }
}

/// That which only the debug kernel sees.
#[test]
#[ignore = "needs a VM"]
fn what_the_kernel_crate_uses_after_free_is_seen() {
    let output = test_debug("kernel-crate-i2c::is_sound");
    let expected = [
        "test kernel-crate-i2c::is_sound ... FAILED",
        "BUG: KASAN: slab-use-after-free",
        "Freed by task",
    ];
    assert_fails(&output, &expected);
}

#[test]
#[ignore = "needs a VM"]
fn failures_are_in_the_junit_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("junit.xml");
    let output = test(&["warns", "--junit", file.to_str().unwrap()]);
    let failures = stdout(&output).matches(" ... FAILED\n").count();
    let xml = fs::read_to_string(file).unwrap();
    assert!(failures > 0, "{output:?}");
    assert!(xml.contains("<testcase name=\"reload\""), "{xml}");
    assert!(xml.contains(&format!("failures=\"{failures}\"")), "{xml}");
    assert_eq!(xml.matches("<failure ").count(), failures, "{xml}");
}

/// The results are printed all the same.
#[test]
#[ignore = "needs a VM"]
fn a_junit_file_that_gets_no_room_is_told_of_last() {
    let output = test(&["warns::modinfo", "--junit", "/dev/full"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        stdout(&output).ends_with("1 passed, 0 failed\n"),
        "{output:?}"
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--junit /dev/full: No space left"), "{said}");
}

#[test]
#[ignore = "needs a VM"]
fn repeating_runs_the_whole_list_again() {
    let output = test(&["warns", "--repeat", "3"]);
    let stdout = stdout(&output);
    assert_eq!(
        stdout.matches("test warns::modinfo ... ok").count(),
        3,
        "{stdout}"
    );
}

#[test]
#[ignore = "needs a VM"]
fn a_demonstration_shows_loading_and_unloading() {
    let demo = lkmpg(&["demo", "warns", "--accel", "tcg"])
        .output()
        .unwrap();
    let stdout = stdout(&demo);
    assert_eq!(demo.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("# insmod warns.ko"), "{stdout}");
    assert!(stdout.contains("# rmmod warns"), "{stdout}");
    assert!(stdout.ends_with("1 passed, 0 failed\n"), "{stdout}");
}

#[test]
#[ignore = "needs a VM"]
fn a_shell_ends_with_its_input() {
    let mut shell = lkmpg(&["shell", "warns", "--accel", "tcg"]);
    let mut shell = shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"echo $((6 * 7)) modules\n").unwrap();
    drop(stdin);
    let output = shell.wait_with_output().unwrap();
    let stdout = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("Loaded: warns."), "{stdout}");
    assert!(stdout.contains("42 modules"), "{stdout}");
}

#[test]
#[ignore = "needs a VM"]
fn gdb_is_told_how_to_connect() {
    let vm = tempfile::tempdir().unwrap();
    let gdbinit = vm.path().join("gdbinit");
    fs::write(&gdbinit, "").unwrap();
    let machine = fs::read(self::vm().join("machine.json")).unwrap();
    let mut machine: Value = serde_json::from_slice(&machine).unwrap();
    machine["gdbinit"] = gdbinit.to_str().into();
    fs::write(vm.path().join("machine.json"), machine.to_string()).unwrap();

    // Any other process may take a free port before QEMU does.
    let (mut shell, port, told) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let option = format!("--gdb={port}");
        let mut shell = lkmpg_in(vm.path(), &["shell", "warns", "--accel", "tcg", &option])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let told = BufReader::new(shell.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap)
            .inspect(|line| said.push_str(line))
            .find(|line| line.starts_with("gdb: in another terminal"));
        if let Some(told) = told {
            break (shell, port, told);
        }
        assert!(said.contains("Address already in use"), "{said}");
        shell.wait().unwrap();
    };
    assert!(told.contains(gdbinit.to_str().unwrap()), "{told}");
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    shell.kill().unwrap();
    shell.wait().unwrap();
}

#[test]
#[ignore = "needs a VM"]
fn an_unknown_name_is_answered_with_the_nearest() {
    let output = test(&["pannics"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        stderr.trim_end(),
        "lkmpg: no module is called 'pannics'; did you mean 'panics'?"
    );
}

#[test]
#[ignore = "needs a VM"]
fn a_signal_leaves_nothing_behind() {
    for (signal, kind) in [(Signal::INT, BOOTS), (Signal::TERM, RESTORED)] {
        let temp = tempfile::tempdir().unwrap();
        let mut child = hanging(temp.path(), kind);
        let vm = wait_for_vm(&child, kind);
        // Twice, as timeout(1) does.
        for _ in 0..2 {
            kill_process(Pid::from_child(&child), signal).unwrap();
        }
        assert_eq!(child.wait().unwrap().code(), Some(130));
        for (pid, command) in vm {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{command}");
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }
}

/// How `child` ends, after it has run VMs that are all gone then.
fn end_without_vms(mut child: Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    let status = loop {
        seen.extend(descendants(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        thread::sleep(Duration::from_millis(20));
    };
    seen.retain(|(_, command)| command.contains("-name\0lkmpg\0"));
    for (pid, command) in seen {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{command}");
    }
    status
}

/// One module panics, which is printed, while the other one hangs.
#[test]
#[ignore = "needs a VM"]
fn when_it_cannot_print_nothing_is_left_behind() {
    let temp = tempfile::tempdir().unwrap();
    let run = |stdout: Stdio, modules: &[&str]| {
        let arguments = [&["test", "--accel", "tcg", "--timeout", "3600"], modules].concat();
        let mut command = lkmpg(&arguments);
        command.env("TMPDIR", temp.path()).stdout(stdout);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    for modules in [
        &["hangs", "panics", "--jobs", "2"][..],
        &["hangs", "panics", "--jobs", "2", "--fresh"],
    ] {
        let (_, closed) = pipe().unwrap();
        let status = end_without_vms(run(closed.into(), modules));
        assert_eq!(status.signal(), Some(Signal::PIPE.as_raw()), "{status}");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child = run(full.into(), modules);
        let mut stderr = child.stderr.take().unwrap();
        assert_eq!(end_without_vms(child).code(), Some(3));
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        let told = said.matches("No space left on device").count();
        assert_eq!(told, 1, "{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }
}

/// Waits until the processes `vm` have ended.
fn wait_for_the_end(vm: &[(u32, String)]) {
    let deadline = Instant::now() + PATIENCE;
    let runs = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while vm.iter().any(|(pid, _)| runs(*pid)) {
        assert!(Instant::now() < deadline, "the VM still runs");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs a VM"]
fn a_vm_dies_with_the_program() {
    for kind in [BOOTS, RESTORED] {
        let temp = tempfile::tempdir().unwrap();
        let mut child = hanging(temp.path(), kind);
        let vm = wait_for_vm(&child, kind);
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for_the_end(&vm);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }
}

#[test]
#[ignore = "needs a VM"]
fn a_vm_that_is_killed_fails_its_test_only() {
    let temp = tempfile::tempdir().unwrap();
    let mut child = hanging(temp.path(), RESTORED);
    let vm = wait_for_vm(&child, RESTORED);
    // It has begun when the module is being loaded.
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    while !told.contains("modinfo") {
        assert_ne!(stdout.read_line(&mut told).unwrap(), 0, "{told}");
    }
    for (pid, _) in &vm {
        let pid = Pid::from_raw(*pid as i32).unwrap();
        let _ = kill_process(pid, Signal::KILL);
    }
    std::io::Read::read_to_string(&mut stdout, &mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{told}");
    // That of the test which was running, or which would have been next.
    let failed = |line: &str| line.starts_with("test hangs::") && line.ends_with(" FAILED\n");
    assert!(told.split_inclusive('\n').any(failed), "{told}");
    for text in [
        "the VM ended before its tests did",
        "Kernel panic - not syncing",
    ] {
        assert!(told.contains(text), "no {text:?} in:\n{told}");
    }
    wait_for_the_end(&vm);
}

/// What `name` is in the note of a test of `module`: `NAME VALUE`.
fn noted<'a>(stdout: &'a str, module: &str, name: &str) -> &'a str {
    let begin = format!("test {module}::finds_no_trace ... ok (");
    let line = stdout.lines().find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("no {begin:?} in:\n{stdout}"));
    let mut words = line.trim_end_matches(')').split(' ');
    words.find(|word| *word == name).unwrap();
    words.next().unwrap()
}

/// The VMs of a run are restored from one that has booted, and none sees what
/// another one did. A module that needs another machine has it.
#[test]
#[ignore = "needs a VM"]
fn restored_vms_are_each_as_new() {
    const MODULES: [&str; 2] = ["traces-1", "traces-2"];
    let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for fresh in [false, true] {
        let (begin, start) = (since_1970(), Instant::now());
        let option: &[_] = if fresh { &["--fresh"] } else { &[] };
        let output = test(&[&MODULES[..], &["needs", "--jobs", "1"], option].concat());
        let (end, took) = (since_1970(), start.elapsed());
        let stdout = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{stdout}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, "accel: tcg (as asked)\n");
        assert!(stdout.contains("test needs::gets_what_it_needs ... ok"));

        let both = |name| MODULES.map(|module| noted(&stdout, module, name));
        // It is one boot that both come from.
        let [a, b] = both("boot");
        assert_eq!(a == b, !fresh, "{stdout}");
        let [a, b] = both("random");
        assert_ne!(a, b);
        for time in both("time") {
            let time = Duration::from_millis(time.parse().unwrap());
            assert!((begin..end).contains(&time), "{begin:?}, {time:?}, {end:?}");
        }
        // The clock says when it was restored: the second is when the first has
        // ended. One that was not set would say when the saved VM booted.
        let booted = MODULES.map(|module| {
            let number = |name| noted(&stdout, module, name).parse::<f64>().unwrap();
            number("time") / 1000.0 - number("uptime")
        });
        assert!(booted[1] > booted[0] + 0.05, "{booted:?}");
        // It has run since it booted, and no longer.
        for uptime in both("uptime") {
            let uptime: f64 = uptime.parse().unwrap();
            assert!(
                uptime > 0.0 && uptime < took.as_secs_f64(),
                "{uptime}, {took:?}"
            );
        }
    }
}

/// What a run of two modules says on standard error when QEMU is replaced by a
/// script that ends, complaining, where its arguments have `text`.
fn with_qemu_that_refuses(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let machine = fs::read(vm().join("machine.json")).unwrap();
    let mut machine: Value = serde_json::from_slice(&machine).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *{text}*) echo it is broken >&2; exit 1 ;; esac\nexec {} \"$@\"\n",
        machine["qemu"].as_str().unwrap()
    );
    let qemu = dir.path().join("qemu");
    fs::write(&qemu, script).unwrap();
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    machine["qemu"] = qemu.to_str().into();
    fs::write(dir.path().join("machine.json"), machine.to_string()).unwrap();

    let arguments = ["test", "traces-1", "traces-2", "--accel", "tcg"];
    let output = lkmpg_in(dir.path(), &arguments).output().unwrap();
    let stdout = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(
        stdout.contains("test traces-2::finds_no_trace ... ok"),
        "{stdout}"
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "needs a VM"]
fn without_a_template_each_vm_boots() {
    // No VM can be saved, and none can be restored.
    for text in ["chardev=qmp", RESTORED] {
        let said = with_qemu_that_refuses(text);
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some("accel: tcg (as asked)"));
        let line = lines.next().unwrap_or_default();
        let begin = "lkmpg: a VM cannot be restored, so each boots: ";
        assert!(line.starts_with(begin), "{said}");
        assert_eq!(lines.next(), None, "{said}");
        assert!(line.contains("it is broken"), "{said}");
    }
}

#[test]
#[ignore = "needs a VM"]
fn no_disk_is_needed() {
    let arguments = ["test", "traces-1", "traces-2", "--accel", "tcg"];
    let output = lkmpg(&arguments)
        .env("TMPDIR", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
#[ignore = "needs a VM"]
fn one_test_is_run_when_one_is_named() {
    let output = test(&["traces-1::finds_no_trace", "*::modinfo"]);
    let stdout = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    let tests = |text: &str| stdout.matches(text).count();
    assert_eq!(tests("test traces-1::"), 2, "{stdout}");
    let others = 1 + tests("::setup ... ok");
    assert_eq!(
        tests("::modinfo ... ok"),
        tests(" ... ok") - others,
        "{stdout}"
    );
}
