// SPDX-License-Identifier: GPL-2.0-only

//! What the program does with VMs that fail in each of the ways a VM can.
//!
//! `LKMPG_TEST_VM` is a directory with `machine.json`,
//! `LKMPG_TEST_MODULES` a list, with spaces, of directories that hold the
//! modules of `tests/fixtures`. `LKMPG_TEST_DEBUG_VM` and
//! `LKMPG_TEST_DEBUG_MODULES` are the same for the debug kernel.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long what should happen at once may take: other VMs may run beside these.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// A run that does not end by itself, with its temporary files in `temp`.
fn hanging(temp: &Path) -> Child {
    lkmpg(&["test", "hangs", "--accel", "tcg"])
        .env("TMPDIR", temp)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until `child` runs a VM.
fn wait_for_vm(child: &Child) -> Vec<(u32, String)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = descendants(child.id());
        if found
            .iter()
            .any(|(_, command)| command.contains("lkmpg.mode="))
        {
            return found;
        }
        assert!(Instant::now() < deadline, "no VM is started");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs a VM"]
fn a_panic_ends_at_once_with_its_trace() {
    let begin = Instant::now();
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
    // Not only at the timeout.
    assert!(begin.elapsed() < Duration::from_secs(120));
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
        "still there after the unload: /proc/leaked",
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
        "objects left by 200 rounds: 200 in kmalloc-1k",
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
    let lines = BufReader::new(shell.stderr.take().unwrap()).lines();
    let told = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("gdb: in another terminal"));
    let told = told.expect("the command is told");
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
        "lkmpg: no example is called 'pannics'; did you mean 'panics'?"
    );
}

#[test]
#[ignore = "needs a VM"]
fn a_signal_leaves_nothing_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let temp = tempfile::tempdir().unwrap();
        let mut child = hanging(temp.path());
        let vm = wait_for_vm(&child);
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

#[test]
#[ignore = "needs a VM"]
fn a_vm_dies_with_the_program() {
    let temp = tempfile::tempdir().unwrap();
    let mut child = hanging(temp.path());
    let vm = wait_for_vm(&child);
    child.kill().unwrap();
    child.wait().unwrap();
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
