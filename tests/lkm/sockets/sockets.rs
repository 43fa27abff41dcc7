// SPDX-License-Identifier: GPL-2.0-only

//! Test only: `lkm::net`. A file in /proc is a connection: what is written to it
//! is sent, what is received is read from it.

use core::net::{
    IpAddr,
    Ipv4Addr,
    Ipv6Addr,
    SocketAddr, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    file::{
        mode,
        Argument,
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    kthread::KThread,
    net::{
        Shutdown,
        TcpListener,
        TcpStream,
        UdpSocket, //
    },
    procfs,
    sync::Completion, //
};

mod commands;

use commands::*;

module! {
    type: Sockets,
    name: "sockets",
    authors: ["lkmpg-rs"],
    description: "Test only: lkm::net",
    license: "GPL",
}

struct Machine;

/// What an open file has.
#[pin_data]
struct Ends {
    #[pin]
    listener: Mutex<Option<Arc<TcpListener>>>,
    #[pin]
    stream: Mutex<Option<Arc<TcpStream>>>,
    /// The port of who was accepted last.
    from: Atomic<u32>,
    #[pin]
    udp: Mutex<Option<Arc<UdpSocket>>>,
}

impl Ends {
    fn listen(&self, addr: SocketAddr) -> Result<u32> {
        let listener = TcpListener::bind(addr, 16)?;
        let port = listener.local_addr()?.port();
        *self.listener.lock() = Some(Arc::new(listener, GFP_KERNEL)?);
        Ok(port.into())
    }

    fn listener(&self) -> Result<Arc<TcpListener>> {
        self.listener.lock().clone().ok_or(ENODEV)
    }

    fn connect(&self, stream: Result<TcpStream>) -> Result {
        *self.stream.lock() = Some(Arc::new(stream?, GFP_KERNEL)?);
        Ok(())
    }

    fn udp(&self) -> Result<Arc<UdpSocket>> {
        self.udp.lock().clone().ok_or(ENODEV)
    }

    fn stream(&self) -> Result<Arc<TcpStream>> {
        self.stream.lock().clone().ok_or(ENODEV)
    }
}

fn local_port(addr: SocketAddr) -> u32 {
    let ip = addr.ip().to_canonical();
    u32::from(addr.port()) * u32::from(ip.is_loopback())
}

/// The error of a thread that does `what` again and again until it is stopped.
fn stopped(what: impl Fn() -> Result + Send + 'static) -> Result<u32> {
    let began = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
    let tell = began.clone();
    let thread = KThread::spawn(c"sockets", move |this| {
        tell.complete();
        loop {
            match what() {
                Err(error) if this.should_stop() => return Err(error),
                // What fails before has no chance to be interrupted.
                result => result.map_err(|_| EINVAL)?,
            }
        }
    })?;
    began.wait();
    fsleep(Delta::from_millis(20));
    match thread.stop() {
        Ok(()) => Ok(0),
        Err(error) => Ok(error.to_errno().unsigned_abs()),
    }
}

#[vtable]
impl Operations for Machine {
    type Private = Ends;

    fn open(&self, _file: &File) -> impl PinInit<Ends, Error> {
        try_pin_init!(Ends {
            listener <- new_mutex!(None),
            stream <- new_mutex!(None),
            from: Atomic::new(0),
            udp <- new_mutex!(None),
        })
    }

    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let mut buffer = KVVec::from_elem(0, dst.len().min(1 << 20), GFP_KERNEL)?;
        let n = file.private().stream()?.read(&mut buffer)?;
        dst.write_slice(&buffer[..n])?;
        Ok(n)
    }

    fn write(&self, file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let data = src.take(1 << 17)?;
        file.private().stream()?.write_all(&data)?;
        Ok(data.len())
    }

    fn ioctl(&self, file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let ends = file.private();
        let number = arg.number();
        let at = |ip: IpAddr| ends.listen((ip, number as u16).into());
        let to = (Ipv4Addr::LOCALHOST, number as u16).into();
        let milliseconds = Delta::from_millis(number as i64);
        match cmd {
            LISTEN => return at(Ipv4Addr::LOCALHOST.into()),
            LISTEN_V6 => return at(Ipv6Addr::LOCALHOST.into()),
            LISTEN_ALL => return at(Ipv6Addr::UNSPECIFIED.into()),
            LISTEN_ELSEWHERE => return at(Ipv4Addr::new(192, 0, 2, 1).into()),
            CLOSE_LISTENER => *ends.listener.lock() = None,
            ACCEPT => {
                let (stream, from) = ends.listener()?.accept()?;
                ends.from.store(local_port(from), Relaxed);
                ends.connect(Ok(stream))?;
            }
            CLOSE => *ends.stream.lock() = None,
            SHUTDOWN => {
                let how = match number {
                    0 => Shutdown::Read,
                    1 => Shutdown::Write,
                    _ => Shutdown::Both,
                };
                ends.stream()?.shutdown(how)?;
            }
            LOCAL_PORT => return Ok(local_port(ends.stream()?.local_addr()?)),
            PEER_PORT => return Ok(local_port(ends.stream()?.peer_addr()?)),
            LISTENER_PORT => return Ok(local_port(ends.listener()?.local_addr()?)),
            SET_NODELAY => ends.stream()?.set_nodelay(number != 0)?,
            NODELAY => return Ok(ends.stream()?.nodelay().into()),
            SET_KEEPALIVE => ends.stream()?.set_keepalive(number != 0)?,
            KEEPALIVE => return Ok(ends.stream()?.keepalive().into()),
            READ_NOTHING => return Ok(ends.stream()?.read(&mut [])? as u32),
            WRITE_NOTHING => ends.stream()?.write_all(&[])?,
            STOP_ACCEPT => {
                let listener = ends.listener()?;
                return stopped(move || listener.accept().map(drop));
            }
            STOP_READ => {
                let stream = ends.stream()?;
                return stopped(move || stream.read(&mut [0; 16]).map(drop));
            }
            STOP_WRITE => {
                let stream = ends.stream()?;
                // More than is ever under way: it cannot succeed.
                let data = KVVec::from_elem(0, 16 << 20, GFP_KERNEL)?;
                return stopped(move || stream.write_all(&data).and(Err(EFBIG)));
            }
            FROM => return Ok(ends.from.load(Relaxed)),
            SHUTDOWN_LISTENER => ends.listener()?.shutdown()?,
            CONNECT => ends.connect(TcpStream::connect(to))?,
            CONNECT_SOON => {
                let soon = Delta::from_millis(50);
                ends.connect(TcpStream::connect_timeout(to, soon))?;
            }
            SET_TIMEOUTS => {
                ends.stream()?.set_read_timeout(Some(milliseconds))?;
                ends.stream()?.set_write_timeout(Some(milliseconds))?;
            }
            PEEK => {
                let mut byte = [0];
                ends.stream()?.peek(&mut byte)?;
                return Ok(byte[0].into());
            }
            UDP_BIND => {
                let socket = UdpSocket::bind(to)?;
                let port = local_port(socket.local_addr()?);
                *ends.udp.lock() = Some(Arc::new(socket, GFP_KERNEL)?);
                return Ok(port);
            }
            UDP_ECHO => {
                let mut text = [0; 64];
                let (n, from) = ends.udp()?.recv_from(&mut text)?;
                ends.udp()?.send_to(&text[..n], from)?;
                return Ok(n as u32);
            }
            UDP_SET_TIMEOUT => ends.udp()?.set_read_timeout(Some(milliseconds))?,
            UDP_SEND => {
                let text = KVec::from_elem(0, number, GFP_KERNEL)?;
                ends.udp()?.send_to(&text, ends.udp()?.local_addr()?)?;
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[pin_data]
struct Sockets {
    #[pin]
    machine: procfs::Entry<Machine>,
}

impl kernel::InPlaceModule for Sockets {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            machine <- procfs::Entry::new(c"sockets", mode!(0o600), Machine),
        })
    }
}
