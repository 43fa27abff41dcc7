// SPDX-License-Identifier: GPL-2.0-only

//! A TCP server that sends back what it receives, with a kernel thread for each
//! connection: what rust_echo_server does without.
//!
//! Write-up: rust_echo server

use core::net::Ipv4Addr;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc, Mutex,
    },
    time::msecs_to_jiffies,
};
use lkm::{
    kthread::{KThread, ThisThread},
    net::{TcpListener, TcpStream},
    sync::Completion,
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

struct Connection {
    is_over: Arc<Atomic<bool>>,
    _thread: KThread,
}

#[pin_data]
struct Connections {
    #[pin]
    all: Mutex<KVec<Connection>>,
    /// For each that is over, once.
    one_is_over: Arc<Completion>,
}

impl Connections {
    fn add(&self, stream: TcpStream) -> Result {
        // Who reaps is to find it, however soon it ends.
        let mut all = self.all.lock();
        let is_over = Arc::new(Atomic::new(false), GFP_KERNEL)?;
        let (is_over_too, one_is_over) = (is_over.clone(), self.one_is_over.clone());
        let _thread = KThread::spawn(c"rust_echo_threads", move |_| {
            let result = echo_server(stream);
            is_over_too.store(true, Release);
            one_is_over.complete();
            result
        })?;
        all.push(Connection { is_over, _thread }, GFP_KERNEL)?;
        Ok(())
    }

    /// Accepts connections. One that there is no memory for is closed, or waits.
    fn accept_loop(&self, this: &ThisThread, listener: TcpListener) -> Result {
        while !this.should_stop() {
            if listener.accept().and_then(|new| self.add(new)).is_err() {
                this.sleep(msecs_to_jiffies(100));
            }
        }
        Ok(())
    }

    /// Lets the threads go that have ended: none can do so by itself.
    fn reap(&self, this: &ThisThread) -> Result {
        while !this.should_stop() {
            self.one_is_over.wait_interruptible()?;
            let is_on = |connection: &mut Connection| !connection.is_over.load(Acquire);
            self.all.lock().retain(is_on);
        }
        Ok(())
    }
}

/// In the order in which they are to end.
struct RustEchoThreads {
    _acceptor: KThread,
    _reaper: KThread,
    _connections: Arc<Connections>,
}

impl kernel::Module for RustEchoThreads {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let addr = (Ipv4Addr::UNSPECIFIED, port.get()).into();
        let listener = TcpListener::bind(addr, backlog.get())?;
        let one_is_over = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let connections = pin_init!(Connections {
            all <- new_mutex!(KVec::new()),
            one_is_over,
        });
        let connections: Arc<Connections> = Arc::pin_init(connections, GFP_KERNEL)?;

        let reaped = connections.clone();
        let reaper = KThread::spawn(c"rust_echo_reaper", move |this| reaped.reap(this))?;
        let accepted = connections.clone();
        let acceptor = KThread::spawn(c"rust_echo_accept", move |this| {
            accepted.accept_loop(this, listener)
        })?;
        pr_info!("Listening at port {}\n", port.get());
        Ok(Self {
            _acceptor: acceptor,
            _reaper: reaper,
            _connections: connections,
        })
    }
}
