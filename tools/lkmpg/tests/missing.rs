// SPDX-License-Identifier: GPL-2.0-only

//! What the program says when the machine lacks something. Nothing is run.

use std::{
    fs, iter,
    net::TcpListener,
    process::{Command, Stdio},
};

use serde_json::json;

/// The status and the complaint of the program, called with `arguments` on a
/// machine without any other.
fn lkmpg(arguments: &[&str]) -> (Option<i32>, String) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("modules/lkm")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lkmpg"))
        .args(arguments)
        .current_dir(&root)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn without_nix_there_is_no_development_shell() {
    let (status, said) = lkmpg(&["develop"]);
    assert_eq!(status, Some(3));
    assert_eq!(said, "lkmpg: there is no nix; ./lkmpg installs it\n");
}

#[test]
fn gdb_needs_its_file_and_a_free_port() {
    let vm = tempfile::tempdir().unwrap();
    fs::write(vm.path().join("hello-1.ko"), "").unwrap();
    let describe = |gdbinit: Option<&str>| {
        let port = json!({ "tty": "tty9", "arguments": [] });
        let accelerator = json!({ "cpu": "any", "cmdline": "" });
        let machine = json!({
            "architecture": "any", "machine": "any", "memory": 64, "cpus": 1, "smp": "{cpus}",
            "qemu": "qemu", "kernel": "kernel", "initrd": "initrd", "cmdline": "",
            "console": port, "events": port, "files": [], "tests": "tests", "gdbinit": gdbinit,
            "accelerators": { "kvm": accelerator, "tcg": accelerator },
        });
        fs::write(vm.path().join("machine.json"), machine.to_string()).unwrap();
    };
    let dir = vm.path().to_str().unwrap();
    let shell = |port: u16| {
        let option = format!("--gdb={port}");
        let source = ["--vm", dir, "--modules", dir, "--accel", "tcg"];
        lkmpg(&[&["shell", &option][..], &source].concat())
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();

    describe(Some("gdbinit"));
    let (status, said) = shell(port);
    assert_eq!(status, Some(3));
    assert!(
        said.contains(&format!("port {port} of this machine")),
        "{said}"
    );
    assert!(said.contains("--gdb=PORT"), "{said}");

    // Any other process may take a free port before the program looks at it;
    // a child of another test has this one's until it runs its own program.
    describe(None);
    drop(listener);
    let (status, said) = iter::repeat_with(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        shell(port)
    })
    .find(|(_, said)| !said.contains("of this machine"))
    .unwrap();
    assert_eq!(status, Some(3));
    assert!(said.contains("no gdbinit"), "{said}");
}
