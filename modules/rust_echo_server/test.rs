// SPDX-License-Identifier: GPL-2.0-only

use crate::{kmemleak, prelude::*};

pub const DEMO: &[&str] = &[
    "echo hello | nc 127.0.0.1 8080",
    "echo_client connections 1000 count 5",
];

pub const TESTS: &[Test] = tests![
    sends_back_every_byte,
    goes_on_after_half_a_close,
    a_client_that_never_reads_is_waited_for,
    clients_disappear,
    serves_a_thousand_at_once,
    a_port_that_is_taken,
    parameters,
    connections_leave_nothing,
    does_nothing_while_nothing_happens,
    unloads_with_a_thousand_clients,
];

const SERVER: EchoServer = EchoServer {
    module: "rust_echo_server",
};

fn sends_back_every_byte(vm: &mut Vm) -> Result {
    SERVER.sends_back_every_byte(vm)
}

fn goes_on_after_half_a_close(vm: &mut Vm) -> Result {
    SERVER.goes_on_after_half_a_close(vm)
}

fn a_client_that_never_reads_is_waited_for(vm: &mut Vm) -> Result {
    SERVER.a_client_that_never_reads_is_waited_for(vm)
}

fn clients_disappear(vm: &mut Vm) -> Result {
    SERVER.clients_disappear(vm)
}

fn serves_a_thousand_at_once(vm: &mut Vm) -> Result {
    SERVER.serves_a_thousand_at_once(vm)
}

fn a_port_that_is_taken(vm: &mut Vm) -> Result {
    SERVER.a_port_that_is_taken(vm)
}

fn parameters(vm: &mut Vm) -> Result {
    SERVER.parameters(vm)
}

fn connections_leave_nothing(vm: &mut Vm) -> Result {
    SERVER.connections_leave_nothing(vm)
}

fn does_nothing_while_nothing_happens(vm: &mut Vm) -> Result {
    SERVER.does_nothing_while_nothing_happens(vm)
}

fn unloads_with_a_thousand_clients(vm: &mut Vm) -> Result {
    let longest = SERVER.unloads_with_a_thousand_clients(vm, 50)?;
    // Where each access to memory is checked it takes what it takes.
    assert!(kmemleak::available() || longest < 2.0, "{longest} s");
    Ok(())
}
