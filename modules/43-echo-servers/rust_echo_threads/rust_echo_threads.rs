// SPDX-License-Identifier: GPL-2.0-only

//! A TCP server that sends back what it receives, with a kernel thread for each
//! connection: what rust_echo_server does without.
//!
//! Write-up: rust_echo server

use core::net::IpAddr;
use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc,
    time::Delta, //
};
use lkm::{
    kthread::{
        Group,
        KThread,
        ThisThread, //
    },
    memory,
    net::{
        TcpListener,
        TcpStream, //
    },
    sync::Semaphore, //
};

module! {
    type: RustEchoThreads,
    name: "rust_echo_threads",
    authors: ["lkmpg-rs"],
    description: "Rust tcp echo sample with a thread for each connection",
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

fn most_connections() -> u32 {
    match max_connections.get() {
        0 => (memory::total() / (128 << 10)) as u32,
        most => most,
    }
}

fn patience() -> Option<Delta> {
    match idle_timeout.get() {
        0 => None,
        seconds => Some(Delta::from_secs(seconds.into())),
    }
}

/// A client that says nothing has no buffer.
fn echo_server(stream: TcpStream) -> Result {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(patience())?;
    stream.set_write_timeout(patience())?;
    while stream.peek(&mut [0])? > 0 {
        let mut buf = KVec::from_elem(0, 16384, GFP_KERNEL)?;
        let n = stream.read(&mut buf)?;
        stream.write_all(&buf[..n])?;
    }
    Ok(())
}

struct Server {
    // When the server ends nobody listens any more, and then the connections end, too.
    listener: TcpListener,
    connections: Group,
    clients: Arc<Semaphore>,
}

impl Server {
    fn serve_next(&self) -> Result {
        // Those that are too many wait to be accepted.
        let permit = self.clients.clone().down_interruptible_owned()?;
        let (stream, _) = self.listener.accept()?;
        self.connections.spawn(c"rust_echo_threads", move |_| {
            let result = echo_server(stream);
            drop(permit);
            result
        })
    }

    fn run(&self, this: &ThisThread) -> Result {
        while !this.should_stop() {
            // A connection that there is no memory for is closed, or waits.
            if self.serve_next().is_err() {
                this.sleep(Delta::from_millis(100));
            }
        }
        Ok(())
    }
}

struct RustEchoThreads {
    _acceptor: KThread,
}

impl kernel::Module for RustEchoThreads {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let addr = (bind.with(ip)?, port.get()).into();
        let listener = TcpListener::bind(addr, backlog.get())?;
        pr_info!("Listening at {:?}\n", listener.local_addr()?);
        let server = Server {
            listener,
            connections: Group::new()?,
            clients: Arc::pin_init(Semaphore::new(most_connections()), GFP_KERNEL)?,
        };
        let acceptor = KThread::spawn(c"rust_echo_accept", move |this| server.run(this))?;
        Ok(Self {
            _acceptor: acceptor,
        })
    }
}
