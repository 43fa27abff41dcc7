// SPDX-License-Identifier: GPL-2.0-only

use std::{
    net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpStream},
    process::Command,
    sync::Arc,
};

use libc::SYS_ioctl;
use rustix::process::{Signal, getpid, kill_process};

use crate::prelude::*;
use signals::{Reaction, react};

pub const TESTS: &[Test] = tests![
    both_sides_know_who_they_are,
    bytes_go_both_ways,
    ports_are_taken_and_free_again,
    addresses_that_cannot_be,
    what_is_shut_down,
    the_other_side_disappears,
    what_is_lost_is_sent_again,
    options,
    nothing_takes_no_time,
    signals_end_waits,
    threads_that_are_stopped_end_their_waits,
    only_so_many_wait_to_be_accepted,
    a_listener_that_goes_ends_what_nobody_accepted,
    nothing_is_left,
];

const PATH: &str = "/proc/sockets";

const fn command(number: u32) -> u32 {
    ((b's' as u32) << 8) | number
}

const LISTEN: u32 = command(0);
const LISTEN_V6: u32 = command(1);
const LISTEN_ALL: u32 = command(2);
const LISTEN_ELSEWHERE: u32 = command(3);
const CLOSE_LISTENER: u32 = command(4);
const ACCEPT: u32 = command(5);
const CLOSE: u32 = command(6);
const SHUTDOWN: u32 = command(7);
const LOCAL_PORT: u32 = command(8);
const PEER_PORT: u32 = command(9);
const LISTENER_PORT: u32 = command(10);
const SET_NODELAY: u32 = command(11);
const NODELAY: u32 = command(12);
const SET_KEEPALIVE: u32 = command(13);
const KEEPALIVE: u32 = command(14);
const READ_NOTHING: u32 = command(15);
const WRITE_NOTHING: u32 = command(16);
const STOP_ACCEPT: u32 = command(17);
const STOP_READ: u32 = command(18);
const STOP_WRITE: u32 = command(19);

const ERESTARTSYS: usize = 512;

/// Waits end with these calls, in one of which a thread is meanwhile.
const CALLS: &[libc::c_long] = &[SYS_ioctl, libc::SYS_read, libc::SYS_write];

/// The module's end of a connection.
struct End(File);

impl End {
    fn open() -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(PATH)?;
        Ok(Self(file))
    }

    fn call(&self, command: u32, argument: usize) -> Result<usize, Errno> {
        ioctl(&self.0, command, Argument::Number(argument))
    }

    /// Listens at any port of 127.0.0.1.
    fn listening() -> Result<(Self, u16)> {
        let end = Self::open()?;
        let port = end.call(LISTEN, 0)? as u16;
        Ok((end, port))
    }

    /// One end of a connection, and the other.
    fn connected() -> Result<(Self, TcpStream)> {
        let (end, port) = Self::listening()?;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        end.call(ACCEPT, 0)?;
        Ok((end, stream))
    }

    fn read(&self, len: usize) -> io::Result<Vec<u8>> {
        let mut text = vec![0; len];
        let n = (&self.0).read(&mut text)?;
        text.truncate(n);
        Ok(text)
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        (&self.0).write_all(text)
    }
}

fn raw<T>(result: io::Result<T>) -> Option<Errno> {
    result.err().and_then(|error| Errno::from_io_error(&error))
}

fn both_sides_know_who_they_are(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let v4 = Ipv4Addr::LOCALHOST.into();
    let v6 = Ipv6Addr::LOCALHOST.into();
    for (listen, addrs) in [
        (LISTEN, vec![v4]),
        (LISTEN_V6, vec![v6]),
        (LISTEN_ALL, vec![v6, v4]),
    ] {
        let end = End::open()?;
        let port = end.call(listen, 0)?;
        assert_ne!(port, 0);
        let expected = if listen == LISTEN_ALL { 0 } else { port };
        assert_eq!(end.call(LISTENER_PORT, 0)?, expected);
        for addr in addrs {
            let addr: std::net::IpAddr = addr;
            let stream = TcpStream::connect((addr, port as u16))?;
            end.call(ACCEPT, 0)?;
            assert_eq!(end.call(LOCAL_PORT, 0)?, port);
            let peer = usize::from(stream.local_addr()?.port());
            assert_eq!(end.call(PEER_PORT, 0)?, peer);
        }
    }
    Ok(())
}

fn bytes_go_both_ways(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, mut stream) = End::connected()?;
    stream.write_all(b"one\0two")?;
    assert_eq!(end.read(5)?, b"one\0t");
    assert_eq!(end.read(100)?, b"wo");
    end.write(b"\0three")?;
    let mut text = [0; 6];
    stream.read_exact(&mut text)?;
    assert_eq!(&text, b"\0three");

    // More than there is room for on the way: the module waits.
    let long: Vec<u8> = (0..20_000_000).map(|i| (i % 251) as u8).collect();
    let end = Arc::new(end);
    let (writer, text) = (end.clone(), long.clone());
    let waiter = Waiter::begin_in(CALLS, move || writer.write(&text))?;
    waiter.sleeps()?;
    let mut back = vec![0; long.len()];
    stream.read_exact(&mut back)?;
    waiter.end()??;
    assert!(back == long);

    // And it waits for what comes.
    let reader = end.clone();
    let waiter = Waiter::begin_in(CALLS, move || reader.read(10))?;
    waiter.sleeps()?;
    stream.write_all(b"!")?;
    assert_eq!(waiter.end()??, b"!");
    Ok(())
}

fn ports_are_taken_and_free_again(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, port) = End::listening()?;
    let number = usize::from(port);
    let other = End::open()?;
    for listen in [LISTEN, LISTEN_ALL] {
        let again = other.call(listen, number);
        assert_eq!(again, Err(Errno::ADDRINUSE));
    }
    // The same number is another port for IPv6.
    assert_eq!(other.call(LISTEN_V6, number)?, number);

    // A connection that is still there does not keep the port.
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    end.call(ACCEPT, 0)?;
    end.call(CLOSE_LISTENER, 0)?;
    assert_eq!(end.call(LISTEN, number)?, number);
    end.call(CLOSE, 0)?;
    end.call(CLOSE_LISTENER, 0)?;
    assert_eq!(end.call(LISTEN, number)?, number);
    drop(stream);
    Ok(())
}

fn addresses_that_cannot_be(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let end = End::open()?;
    let elsewhere = end.call(LISTEN_ELSEWHERE, 0);
    assert_eq!(elsewhere, Err(Errno::ADDRNOTAVAIL));
    assert_eq!(end.call(ACCEPT, 0), Err(Errno::NODEV));
    Ok(())
}

fn what_is_shut_down(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    // Writing: the other side comes to the end, and can go on.
    let (end, mut stream) = End::connected()?;
    end.write(b"last words")?;
    end.call(SHUTDOWN, 1)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    assert_eq!(text, "last words");
    assert_eq!(raw(end.write(b"more")), Some(Errno::PIPE));
    stream.write_all(b"answer")?;
    assert_eq!(end.read(10)?, b"answer");
    stream.shutdown(Shutdown::Write)?;
    assert_eq!(end.read(10)?, b"");

    // Reading: who waits for something comes to the end.
    let (end, _stream) = End::connected()?;
    let end = Arc::new(end);
    let reader = end.clone();
    let waiter = Waiter::begin_in(CALLS, move || reader.read(10))?;
    waiter.sleeps()?;
    end.call(SHUTDOWN, 0)?;
    assert_eq!(waiter.end()??, b"");

    // Both, and once more.
    let (end, mut stream) = End::connected()?;
    end.call(SHUTDOWN, 2)?;
    assert_eq!(stream.read(&mut [0])?, 0);
    drop(stream);
    vm.wait_for("the end", || end.call(SHUTDOWN, 2) == Err(Errno::NOTCONN))?;
    assert_eq!(end.call(PEER_PORT, 0), Err(Errno::NOTCONN));
    Ok(())
}

fn the_other_side_disappears(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, stream) = End::connected()?;
    // Closed with something that was not read.
    end.write(b"nobody reads this")?;
    stream.peek(&mut [0])?;
    drop(stream);
    assert_eq!(raw(end.read(10)), Some(Errno::CONNRESET));
    // It is said once; then it is over.
    assert_eq!(raw(end.write(b"x")), Some(Errno::PIPE));
    assert_eq!(end.read(10)?, b"");
    Ok(())
}

/// Even when the module is gone: what it wrote, and the end.
fn what_is_lost_is_sent_again(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = vm.load("sockets")?;
        let (end, mut stream) = End::connected()?;
        loopback("down")?;
        let written = end.write(b"last words");
        let unloaded = module.unload();
        loopback("up")?;
        written?;
        unloaded?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        assert_eq!(text, "last words");
    }
    Ok(())
}

/// Takes away the device through which all that is sent here comes back, or
/// brings it back.
fn loopback(state: &str) -> Result {
    let status = Command::new("ip")
        .args(["link", "set", "lo", state])
        .status()?;
    ensure!(status.success(), "lo {state}: {status}");
    Ok(())
}

fn options(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, _stream) = End::connected()?;
    for (set, get) in [(SET_NODELAY, NODELAY), (SET_KEEPALIVE, KEEPALIVE)] {
        assert_eq!(end.call(get, 0)?, 0);
        end.call(set, 1)?;
        assert_eq!(end.call(get, 0)?, 1);
        end.call(set, 0)?;
        assert_eq!(end.call(get, 0)?, 0);
    }
    end.call(SET_NODELAY, 1)?;
    assert_eq!(end.call(KEEPALIVE, 0)?, 0);
    Ok(())
}

fn nothing_takes_no_time(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, mut stream) = End::connected()?;
    assert_eq!(end.call(READ_NOTHING, 0)?, 0);
    end.call(WRITE_NOTHING, 0)?;
    stream.write_all(b"x")?;
    assert_eq!(end.call(READ_NOTHING, 0)?, 0);
    assert_eq!(end.read(1)?, b"x");
    Ok(())
}

fn signals_end_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let (end, _stream) = End::connected()?;
    let end = Arc::new(end);
    let interrupted = |name: &str, wait: fn(&End) -> Option<Errno>| -> Result {
        let waiting = end.clone();
        let waiter = Waiter::begin_in(CALLS, move || {
            let _mask = signals::unblock(Signal::USR1);
            wait(&waiting)
        })?;
        waiter.sleeps()?;
        // A write that comes to its end at that moment is not interrupted.
        for _ in 0..100 {
            kill_process(getpid(), Signal::USR1)?;
            thread::sleep(Duration::from_millis(20));
            if waiter.has_ended() {
                break;
            }
        }
        let error = waiter.end().with_context(|| name.to_owned())?;
        assert_eq!(error, Some(Errno::INTR), "{name}");
        Ok(())
    };
    interrupted("accept", |end| end.call(ACCEPT, 0).err())?;
    interrupted("read", |end| raw(end.read(10)))?;
    // More than there is room for; what was written before nobody knows.
    interrupted("write", |end| {
        loop {
            if let Err(error) = (&end.0).write(&[0; 100_000]) {
                return Errno::from_io_error(&error);
            }
        }
    })
}

fn threads_that_are_stopped_end_their_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    vm.rounds(|_| {
        let (end, _stream) = End::connected()?;
        assert_eq!(end.call(STOP_ACCEPT, 0)?, ERESTARTSYS);
        assert_eq!(end.call(STOP_READ, 0)?, ERESTARTSYS);
        assert_eq!(end.call(STOP_WRITE, 0)?, ERESTARTSYS);
        Ok(())
    })
}

/// The backlog of the module's listeners is 16.
fn only_so_many_wait_to_be_accepted(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, port) = End::listening()?;
    let addr = (Ipv4Addr::LOCALHOST, port).into();
    let mut streams = Vec::new();
    for _ in 0..=16 {
        streams.push(TcpStream::connect_timeout(&addr, Duration::from_secs(60))?);
    }
    let more = || TcpStream::connect_timeout(&addr, Duration::from_millis(500));
    assert_eq!(more().unwrap_err().kind(), io::ErrorKind::TimedOut);
    end.call(ACCEPT, 0)?;
    TcpStream::connect_timeout(&addr, Duration::from_secs(60))?;
    Ok(())
}

fn a_listener_that_goes_ends_what_nobody_accepted(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, port) = End::listening()?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    end.call(CLOSE_LISTENER, 0)?;
    assert_eq!(raw(stream.read(&mut [0])), Some(Errno::CONNRESET));
    Ok(())
}

fn nothing_is_left(vm: &mut Vm) -> Result {
    fs::write("/proc/sys/net/ipv4/tcp_max_tw_buckets", "0")?;
    vm.rounds(|vm| {
        let module = vm.load("sockets")?;
        let (end, mut stream) = End::connected()?;
        stream.write_all(b"never read")?;
        // The file is open: it goes with the module.
        module.unload()?;
        drop((end, stream));
        Ok(())
    })
}
