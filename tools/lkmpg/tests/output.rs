// SPDX-License-Identifier: GPL-2.0-only

//! What the program does when it cannot print. No VM is run.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use rustix::{pipe::pipe, process::Signal};

/// Commands that print and need nothing but the repository.
const COMMANDS: [&[&str]; 6] = [
    &["list"],
    &["list", "--json"],
    &["completions", "bash"],
    &["--help"],
    &["--version"],
    &["test", "--help"],
];

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (_, writer) = pipe().unwrap();
    writer.into()
}

/// A device on which there is no room.
fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// The program with `arguments` in a repository with one example, which is called `name`.
fn lkmpg(root: &Path, name: &str, arguments: &[&str]) -> Command {
    fs::create_dir_all(root.join("modules/lkm")).unwrap();
    fs::write(root.join("modules/lkm/lib.rs"), "").unwrap();
    let folder = root.join("modules/04-hello").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.rs")), "//! Says hello.\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkmpg"));
    command.args(arguments).current_dir(root).env_clear();
    command.stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let root = tempfile::tempdir().unwrap();
    let mut command = lkmpg(root.path(), "hello-1", arguments);
    command.stdout(stdout).stderr(stderr).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_closed_pipe_ends_it_without_a_word() {
    for arguments in COMMANDS {
        let output = run(arguments, closed(), Stdio::piped());
        assert_eq!(
            output.status.signal(),
            Some(Signal::PIPE.as_raw()),
            "{arguments:?}"
        );
        assert_eq!(said(&output), "");
        // What nobody reads does not matter when it is printed.
        let output = run(arguments, Stdio::piped(), closed());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
    for arguments in [&["list", "--nonsense"][..], &["fetch"]] {
        let output = run(arguments, Stdio::piped(), closed());
        assert_eq!(
            output.status.signal(),
            Some(Signal::PIPE.as_raw()),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_full_disk_is_one_sentence() {
    for arguments in COMMANDS {
        let output = run(arguments, full(), Stdio::piped());
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert_eq!(
            said(&output),
            "lkmpg: standard output cannot be written: No space left on device (os error 28); \
             the command was ended\n"
        );
    }
    // The status still tells what went wrong.
    let output = run(&["list", "--nonsense"], Stdio::piped(), full());
    assert_eq!(output.status.code(), Some(2));
    let output = run(&["fetch"], Stdio::piped(), full());
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_folder_with_another_name_is_told_of() {
    let list = |name: &str| {
        let root = tempfile::tempdir().unwrap();
        lkmpg(root.path(), name, &["list"]).output().unwrap()
    };
    let output = list("hello-1");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Says hello."));
    for name in ["a b", "my.mod", "\u{fc}n\u{ef}"] {
        let output = list(name);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let begin = format!("lkmpg: '{name}' cannot be an example's name: it may have ASCII ");
        assert!(said(&output).starts_with(&begin), "{output:?}");
    }
}

#[test]
fn a_junit_file_that_cannot_be_is_told_of_first() {
    for (path, why) in [
        ("nowhere/junit.xml", "its folder is not there"),
        ("modules", "this is a folder"),
    ] {
        let test = [
            "test",
            "--vm",
            "/nowhere",
            "--modules",
            "/nowhere",
            "--junit",
            path,
        ];
        let output = run(&test, Stdio::piped(), Stdio::piped());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let begin = format!("lkmpg: --junit {path}: {why}");
        assert!(said(&output).starts_with(&begin), "{output:?}");
    }
}
