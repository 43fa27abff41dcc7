// SPDX-License-Identifier: GPL-2.0-only

//! A TCP server that sends back what it receives: a task for each connection, and
//! no thread that waits.
//!
//! Write-up: rust_echo server

use core::net::IpAddr;
use kernel::{
    prelude::*,
    str::CStr,
    time::Delta, //
};
use lkm::{
    kasync::{
        net::{
            TcpListener,
            TcpStream, //
        },
        sleep, timeout, Executor, Permit, Semaphore, Spawner,
    },
    memory,
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
    bind: &CStr {
        default: c"127.0.0.1", mode: 0o444,
        description: "IP address to listen at: this machine's own programs only, 0.0.0.0: all"
    },
    port: u16 { default: 8080, mode: 0o444, description: "Port to listen at" },
    backlog: u32 {
        default: 1024, mode: 0o444,
        description: "How many connections may wait to be accepted, less one"
    },
    max_connections: u32 {
        default: 0, mode: 0o444,
        description: "How many clients at a time, 0: one for each 128 KiB of memory"
    },
    idle_timeout: u32 {
        default: 60, mode: 0o444,
        description: "Seconds to wait for a client that sends or reads nothing, 0: for ever"
    },
}

/// An address as a parameter gives it.
fn ip(text: &CStr) -> Result<IpAddr> {
    let text = text.to_str().map_err(|_| EINVAL)?;
    text.parse().map_err(|_| EINVAL)
}

fn most_connections() -> usize {
    match max_connections.get() {
        0 => (memory::total() / (128 << 10)) as usize,
        most => most as usize,
    }
}

fn patience() -> Delta {
    match idle_timeout.get() {
        // The longest time never ends.
        0 => Delta::from_secs(i64::MAX),
        seconds => Delta::from_secs(seconds.into()),
    }
}

/// A client that says nothing has no buffer.
async fn echo_server(stream: TcpStream, _permit: Permit) -> Result {
    stream.set_nodelay(true)?;
    loop {
        timeout(patience(), stream.readable()).await??;
        let mut buf = KVec::from_elem(0, 16384, GFP_KERNEL)?;
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        timeout(patience(), stream.write_all(&buf[..n])).await??;
    }
}

async fn serve_next(listener: &TcpListener, clients: &Semaphore, executor: &Spawner) -> Result {
    // Those that are too many wait to be accepted.
    let permit = clients.acquire().await?;
    let (stream, _) = listener.accept().await?;
    executor.spawn(echo_server(stream, permit)).map(drop)
}

async fn accept_loop(listener: TcpListener, clients: Semaphore, executor: Spawner) {
    loop {
        // A connection that there is no memory for is closed, or waits.
        if serve_next(&listener, &clients, &executor).await.is_err() {
            sleep(Delta::from_millis(100)).await;
        }
    }
}

struct RustEchoServer {
    _executor: Executor,
}

impl kernel::Module for RustEchoServer {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let addr = (bind.with(ip)?, port.get()).into();
        let listener = TcpListener::bind(addr, backlog.get())?;
        pr_info!("Listening at {:?}\n", listener.local_addr()?);
        let clients = Semaphore::new(most_connections())?;
        let executor = Executor::new(OwnedQueue::new(c"rust_echo_server", Flags::PERCPU, 0)?)?;
        executor.spawn(accept_loop(listener, clients, executor.spawner()))?;
        Ok(Self {
            _executor: executor,
        })
    }
}
