// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "echo hello | nc 127.0.0.1 8080",
        "echo_client connections 1000 count 5",
    ],
    tests: echo_server_tests![
        SERVER:
        unloads_with_a_thousand_clients,
    ],
    ..Example::EMPTY
};

const SERVER: EchoServer = EchoServer {
    module: "rust_echo_server",
};

fn unloads_with_a_thousand_clients(vm: &mut Vm) -> Result {
    let time = SERVER.unloads_with_a_thousand_clients(vm, 10)?;
    vm.note(&format!("{} ms each", time.as_millis()));
    Ok(())
}
