// SPDX-License-Identifier: GPL-2.0-only

//! A TCP server that sends back what it receives: a task for each connection, and
//! no thread that waits.
//!
//! Write-up: rust_echo server

use core::{
    net::Ipv4Addr,
    time::Duration, //
};
use kernel::prelude::*;
use lkm::{
    kasync::{
        net::{
            TcpListener,
            TcpStream, //
        },
        sleep,
        Executor,
        Spawner, //
    },
    workqueue::{
        Flags,
        OwnedQueue, //
    },
};

module! {
    type: RustEchoServer,
    name: "rust_echo_server",
    authors: ["lkmpg-rs"],
    description: "Rust tcp echo sample",
    license: "GPL",
}

lkm::params! {
    port: u16 { default: 8080, mode: 0o444, description: "Port to listen at" },
    backlog: u32 {
        default: 1024, mode: 0o444,
        description: "How many connections may wait to be accepted, less one"
    },
}

async fn echo_server(stream: TcpStream) -> Result {
    stream.set_nodelay(true)?;
    let mut buf = KVec::from_elem(0, 16384, GFP_KERNEL)?;
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n]).await?;
    }
}

async fn accept_loop(listener: TcpListener, executor: Spawner) {
    loop {
        // A connection that there is no memory for is closed, or waits.
        let result = match listener.accept().await {
            Ok(stream) => executor.spawn(echo_server(stream)).map(drop),
            Err(error) => Err(error),
        };
        if result.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

struct RustEchoServer {
    _executor: Executor,
}

impl kernel::Module for RustEchoServer {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let addr = (Ipv4Addr::UNSPECIFIED, port.get()).into();
        let listener = TcpListener::bind(addr, backlog.get())?;
        let executor = Executor::new(OwnedQueue::new(c"rust_echo_server", Flags::PERCPU, 0)?)?;
        executor.spawn(accept_loop(listener, executor.spawner()))?;
        pr_info!("Listening at port {}\n", port.get());
        Ok(Self {
            _executor: executor,
        })
    }
}
