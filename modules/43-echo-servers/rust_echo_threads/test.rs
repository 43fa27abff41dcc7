// SPDX-License-Identifier: GPL-2.0-only

use std::net::TcpStream;

use crate::{prelude::*, slabs::Slabs};

pub const EXAMPLE: Example = Example {
    demo: &[
        "echo hello | nc 127.0.0.1 8080",
        "echo_client connections 1000 count 5",
    ],
    tests: echo_server_tests![
        SERVER:
        unloads_with_a_thousand_clients,
        threads_that_have_ended_are_gone,
    ],
    ..Example::EMPTY
};

const SERVER: EchoServer = EchoServer {
    module: "rust_echo_threads",
};

fn unloads_with_a_thousand_clients(vm: &mut Vm) -> Result {
    // Each thread has to be woken to end: that takes its time.
    SERVER.unloads_with_a_thousand_clients(vm, 5).map(drop)
}

/// Not when the module is unloaded, or when the next client comes, but soon.
fn threads_that_have_ended_are_gone(vm: &mut Vm) -> Result {
    let _module = SERVER.load(vm)?;
    let before = Slabs::count()?;
    let more = || -> Result<bool> {
        let now = Slabs::count()?;
        let grown = now.grown(&before, 80);
        Ok(grown.iter().any(|(cache, _)| *cache == "task_struct"))
    };
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect("127.0.0.1:8080")?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        streams.push(stream);
    }
    assert!(more()?);
    drop(streams);
    eventually("the threads to go", || more().is_ok_and(|more| !more))
}
