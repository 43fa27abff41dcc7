// SPDX-License-Identifier: GPL-2.0-only

//! A TCP server that sends back what it receives, with a kernel thread for each
//! connection: what rust_echo_server does without.
//!
//! Write-up: rust_echo server

use core::net::Ipv4Addr;
use kernel::{
    prelude::*,
    time::msecs_to_jiffies, //
};
use lkm::{
    kthread::{
        Group,
        KThread,
        ThisThread, //
    },
    net::{
        TcpListener,
        TcpStream, //
    },
};

module! {
    type: RustEchoThreads,
    name: "rust_echo_threads",
    authors: ["lkmpg-rs"],
    description: "Rust tcp echo sample with a thread for each connection",
    license: "GPL",
}

lkm::params! {
    port: u16 { default: 8080, mode: 0o444, description: "Port to listen at" },
    backlog: u32 {
        default: 1024, mode: 0o444,
        description: "How many connections may wait to be accepted"
    },
}

fn echo_server(stream: TcpStream) -> Result {
    stream.set_nodelay(true)?;
    let mut buf = KVec::from_elem(0, 16384, GFP_KERNEL)?;
    loop {
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n])?;
    }
}

/// When it ends nobody listens any more, and then the connections end, too.
fn accept_loop(this: &ThisThread, connections: Group, listener: TcpListener) -> Result {
    while !this.should_stop() {
        // A connection that there is no memory for is closed, or waits.
        let spawn = |stream| connections.spawn(c"rust_echo_threads", move |_| echo_server(stream));
        if listener.accept().and_then(spawn).is_err() {
            this.sleep(msecs_to_jiffies(100));
        }
    }
    Ok(())
}

struct RustEchoThreads {
    _acceptor: KThread,
}

impl kernel::Module for RustEchoThreads {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let addr = (Ipv4Addr::UNSPECIFIED, port.get()).into();
        let listener = TcpListener::bind(addr, backlog.get())?;
        let connections = Group::new()?;
        let acceptor = KThread::spawn(c"rust_echo_accept", move |this| {
            accept_loop(this, connections, listener)
        })?;
        pr_info!("Listening at port {}\n", port.get());
        Ok(Self {
            _acceptor: acceptor,
        })
    }
}
