// SPDX-License-Identifier: GPL-2.0-only

//! What the program has Nix and QEMU do, told by stand-ins for the two.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A repository with the example hello-1, and `bin` for stand-ins.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.file("modules/lkm/lkm.rs", "");
        place.file("modules/hello-1/hello-1.rs", "");
        fs::create_dir(place.path("bin")).unwrap();
        place
    }

    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program that writes its arguments to `PROGRAM.args`, then runs
    /// `script`.
    fn program(&self, path: &str, script: &str) {
        let args = self.path(path).with_extension("args");
        let record = format!("printf '%s\\n' \"$@\" >{}", args.display());
        self.file(path, &format!("#!/bin/sh\n{record}\n{script}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(path), mode).unwrap();
    }

    fn args(&self, program: &str) -> Vec<String> {
        let args = fs::read_to_string(self.path(program).with_extension("args"));
        args.unwrap().lines().map(str::to_owned).collect()
    }

    fn flake(&self) -> String {
        format!("git+file://{}?dir=nix/debian", self.root().display())
    }

    fn lkmpg(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lkmpg"))
            .args(arguments)
            .current_dir(self.root())
            .env_clear()
            .env("PATH", self.path("bin"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_command_runs_in_the_development_shell() {
    let place = Place::new();
    place.program("bin/nix", "exit 7");
    let output = place.lkmpg(&["develop", "make", "-C", "modules"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let flake = place.flake();
    let expected = ["develop", &flake, "--override-flake", "nixpkgs", &flake];
    let expected = [&expected[..], &["--command", "make", "-C", "modules"]].concat();
    assert_eq!(place.args("bin/nix")[2..], expected);

    place.lkmpg(&["develop", "--toolchain", "nixpkgs"]);
    let flake = flake.replace("?dir=nix/debian", "");
    assert_eq!(place.args("bin/nix")[2..], ["develop", &flake]);
}

#[test]
fn without_nix_there_is_no_development_shell() {
    let output = Place::new().lkmpg(&["develop"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        stderr(&output),
        "lkmpg: there is no nix; ./lkmpg installs it\n"
    );
}

/// A place whose Nix builds hello-1 and a VM that ends at once.
fn place_with_vm() -> Place {
    let place = Place::new();
    for file in ["vm/kernel", "vm/initrd", "out/hello-1.ko"] {
        place.file(file, "");
    }
    place.program("vm/qemu", "exit 0");
    let built = |dir: &str| format!(r#"{{"outputs":{{"out":"{}"}}}}"#, place.path(dir).display());
    let json = format!("[{},{}]", built("vm"), built("out"));
    place.program("bin/nix", &format!("echo '{json}'"));
    place
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn gdb_has_a_kernel_of_its_own_and_a_port() {
    let place = place_with_vm();
    place.file("vm/gdbinit", "");
    let option = format!("--gdb={}", free_port());
    let output = place.lkmpg(&["shell", &option, "--accel", "tcg"]);
    let said = stderr(&output);
    assert!(said.contains("the VM gives no shell"), "{said}");

    let installables = ["gdb.vm", "gdb.hello-1"].map(|name| format!("{}#{name}", place.flake()));
    let nix = place.args("bin/nix");
    assert!(nix.windows(2).any(|args| args == installables), "{nix:?}");
    let port = option.replace("--gdb=", "tcp:127.0.0.1:");
    let qemu = place.args("vm/qemu");
    assert!(
        qemu.windows(2).any(|args| args == ["-gdb", &port]),
        "{qemu:?}"
    );
}

#[test]
fn without_gdb_there_is_no_port() {
    let place = place_with_vm();
    place.lkmpg(&["shell", "--accel", "tcg"]);
    let installables = ["vm", "hello-1"].map(|name| format!("{}#{name}", place.flake()));
    let nix = place.args("bin/nix");
    assert!(nix.windows(2).any(|args| args == installables), "{nix:?}");
    assert!(!place.args("vm/qemu").contains(&"-gdb".to_owned()));
}

#[test]
fn gdb_needs_its_file_and_a_free_port() {
    let place = place_with_vm();
    let run = |port: u16| {
        let output = place.lkmpg(&["shell", &format!("--gdb={port}"), "--accel", "tcg"]);
        assert_eq!(output.status.code(), Some(3));
        assert!(!place.path("vm/qemu.args").exists());
        stderr(&output)
    };
    let said = run(free_port());
    assert!(said.contains("no gdbinit"), "{said}");

    place.file("vm/gdbinit", "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = run(port);
    assert!(
        said.contains(&format!("port {port} of this machine")),
        "{said}"
    );
    assert!(said.contains("--gdb=PORT"), "{said}");
}
