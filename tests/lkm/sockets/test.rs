// SPDX-License-Identifier: GPL-2.0-only

use std::{
    net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream, UdpSocket},
    process::Command,
};

use libc::SYS_ioctl;
use rustix::{
    net::sockopt,
    process::{Signal, getpid, kill_process},
};

use crate::prelude::*;
use commands::*;
use signals::{Reaction, react};

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
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
        who_was_accepted_is_known,
        a_listener_that_is_shut_down_ends_waits,
        connects_with_others,
        does_not_wait_for_ever_to_connect,
        waits_end_after_the_time_that_was_set,
        what_is_peeked_at_stays,
        messages_come_back,
        nothing_is_left,
    ],
    ..Example::EMPTY
};

const ERESTARTSYS: usize = 512;
const EINTR: usize = 4;

/// Waits end with these calls, in one of which a thread is meanwhile.
const CALLS: &[libc::c_long] = &[SYS_ioctl, libc::SYS_read, libc::SYS_write];

/// Each file that is opened is an end of a connection.
fn open() -> Result<Control> {
    Control::open("/proc/sockets")
}

/// Listens at any port of 127.0.0.1.
fn listening() -> Result<(Control, u16)> {
    let end = open()?;
    let port = end.get(LISTEN) as u16;
    Ok((end, port))
}

/// One end of a connection, and the other.
fn connected() -> Result<(Control, TcpStream)> {
    let (end, port) = listening()?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    end.call(ACCEPT, 0)?;
    Ok((end, stream))
}

fn read(mut end: &File, len: usize) -> io::Result<Vec<u8>> {
    let mut text = vec![0; len];
    let n = end.read(&mut text)?;
    text.truncate(n);
    Ok(text)
}

fn write(mut end: &File, text: &[u8]) -> io::Result<()> {
    end.write_all(text)
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
        let end = open()?;
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
    let (end, mut stream) = connected()?;
    stream.write_all(b"one\0two")?;
    assert_eq!(read(&end, 5)?, b"one\0t");
    assert_eq!(read(&end, 100)?, b"wo");
    write(&end, b"\0three")?;
    let mut text = [0; 6];
    stream.read_exact(&mut text)?;
    assert_eq!(&text, b"\0three");

    // More than fits on the way: the module waits.
    let long: Vec<u8> = (0..20_000_000).map(|i| (i % 251) as u8).collect();
    let (writer, text) = (end.clone(), long.clone());
    let waiter = Waiter::begin_in(CALLS, move || write(&writer, &text))?;
    waiter.sleeps()?;
    let mut back = vec![0; long.len()];
    stream.read_exact(&mut back)?;
    waiter.end()??;
    assert!(back == long);

    // And it waits for what comes.
    let reader = end.clone();
    let waiter = Waiter::begin_in(CALLS, move || read(&reader, 10))?;
    waiter.sleeps()?;
    stream.write_all(b"!")?;
    assert_eq!(waiter.end()??, b"!");
    Ok(())
}

fn ports_are_taken_and_free_again(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, port) = listening()?;
    let number = usize::from(port);
    let other = open()?;
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
    let end = open()?;
    let elsewhere = end.call(LISTEN_ELSEWHERE, 0);
    assert_eq!(elsewhere, Err(Errno::ADDRNOTAVAIL));
    assert_eq!(end.call(ACCEPT, 0), Err(Errno::NODEV));
    Ok(())
}

fn what_is_shut_down(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    // Writing: the other side comes to the end, and can go on.
    let (end, mut stream) = connected()?;
    write(&end, b"last words")?;
    end.call(SHUTDOWN, 1)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    assert_eq!(text, "last words");
    assert_eq!(error_of(write(&end, b"more")), Some(Errno::PIPE));
    stream.write_all(b"answer")?;
    assert_eq!(read(&end, 10)?, b"answer");
    stream.shutdown(Shutdown::Write)?;
    assert_eq!(read(&end, 10)?, b"");

    // Reading: who waits for something comes to the end.
    let (end, _stream) = connected()?;
    let reader = end.clone();
    let waiter = Waiter::begin_in(CALLS, move || read(&reader, 10))?;
    waiter.sleeps()?;
    end.call(SHUTDOWN, 0)?;
    assert_eq!(waiter.end()??, b"");

    // Both, and once more.
    let (end, mut stream) = connected()?;
    end.call(SHUTDOWN, 2)?;
    assert_eq!(stream.read(&mut [0])?, 0);
    drop(stream);
    eventually("the end", || end.call(SHUTDOWN, 2) == Err(Errno::NOTCONN))?;
    assert_eq!(end.call(PEER_PORT, 0), Err(Errno::NOTCONN));
    Ok(())
}

fn the_other_side_disappears(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, stream) = connected()?;
    // Closed with something that was not read.
    write(&end, b"nobody reads this")?;
    stream.peek(&mut [0])?;
    drop(stream);
    assert_eq!(error_of(read(&end, 10)), Some(Errno::CONNRESET));
    // It is said once; then it is over.
    assert_eq!(error_of(write(&end, b"x")), Some(Errno::PIPE));
    assert_eq!(read(&end, 10)?, b"");
    Ok(())
}

/// Even when the module is gone: what it wrote, and the end.
fn what_is_lost_is_sent_again(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = vm.load("sockets")?;
        let (end, mut stream) = connected()?;
        loopback("down")?;
        let written = write(&end, b"last words");
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
    let (end, _stream) = connected()?;
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
    let (end, mut stream) = connected()?;
    assert_eq!(end.call(READ_NOTHING, 0)?, 0);
    end.call(WRITE_NOTHING, 0)?;
    stream.write_all(b"x")?;
    assert_eq!(end.call(READ_NOTHING, 0)?, 0);
    assert_eq!(read(&end, 1)?, b"x");
    Ok(())
}

fn signals_end_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let (end, _stream) = connected()?;
    let interrupted = |name: &str, wait: fn(&Control) -> Option<Errno>| -> Result {
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
    interrupted("read", |end| error_of(read(end, 10)))?;
    // More than fits; what was written before nobody knows.
    interrupted("write", |end| {
        let mut file: &File = end;
        loop {
            let written = file.write(&[0; 100_000]);
            if written.is_err() {
                return error_of(written);
            }
        }
    })
}

fn threads_that_are_stopped_end_their_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    vm.rounds(|_| {
        let (end, _stream) = connected()?;
        assert_eq!(end.call(STOP_ACCEPT, 0)?, ERESTARTSYS);
        assert_eq!(end.call(STOP_READ, 0)?, ERESTARTSYS);
        assert_eq!(end.call(STOP_WRITE, 0)?, ERESTARTSYS);
        Ok(())
    })
}

/// The backlog of the module's listeners is 16.
fn only_so_many_wait_to_be_accepted(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, port) = listening()?;
    let addr = (Ipv4Addr::LOCALHOST, port).into();
    let mut streams = Vec::new();
    for _ in 0..=16 {
        streams.push(TcpStream::connect_timeout(&addr, TIMEOUT)?);
    }
    // One of them may not be counted yet.
    let error = (0..5).find_map(|_| {
        let more = TcpStream::connect_timeout(&addr, Duration::from_millis(500));
        more.map(|stream| streams.push(stream)).err()
    });
    assert_eq!(
        error.map(|error| error.kind()),
        Some(io::ErrorKind::TimedOut)
    );
    for _ in 16..streams.len() {
        end.call(ACCEPT, 0)?;
    }
    TcpStream::connect_timeout(&addr, TIMEOUT)?;
    Ok(())
}

fn a_listener_that_goes_ends_what_nobody_accepted(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, port) = listening()?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    end.call(CLOSE_LISTENER, 0)?;
    assert_eq!(error_of(stream.read(&mut [0])), Some(Errno::CONNRESET));
    Ok(())
}

/// Also when nobody is there any more.
fn who_was_accepted_is_known(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, port) = listening()?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let from = usize::from(stream.local_addr()?.port());
    end.call(ACCEPT, 0)?;
    assert_eq!(end.get(FROM), from);

    // It resets the connection.
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let from = usize::from(stream.local_addr()?.port());
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    drop(stream);
    end.call(ACCEPT, 0)?;
    assert_eq!(end.get(FROM), from);
    Ok(())
}

fn a_listener_that_is_shut_down_ends_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    vm.rounds(|_| {
        let (end, port) = listening()?;
        let waiting = end.clone();
        let waiter = Waiter::begin_in(CALLS, move || waiting.call(ACCEPT, 0))?;
        end.call(SHUTDOWN_LISTENER, 0)?;
        assert_eq!(waiter.end()?, Err(Errno::INVAL));
        assert_eq!(end.call(ACCEPT, 0), Err(Errno::INVAL));
        assert_eq!(end.call(SHUTDOWN_LISTENER, 0), Err(Errno::NOTCONN));
        let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        assert_eq!(error_of(refused), Some(Errno::CONNREFUSED));
        Ok(())
    })
}

fn connects_with_others(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = usize::from(listener.local_addr()?.port());
    for connect in [CONNECT, CONNECT_SOON] {
        let end = open()?;
        // A machine that is busy may need longer.
        while let Err(error) = end.call(connect, port) {
            assert_eq!((connect, error), (CONNECT_SOON, Errno::TIMEDOUT));
        }
        let local = end.get(LOCAL_PORT);
        let mut stream = loop {
            let (stream, from) = listener.accept()?;
            if usize::from(from.port()) == local {
                break stream;
            }
        };
        assert_eq!(end.get(PEER_PORT), port);
        // It waits as long as it takes then.
        let reader = end.clone();
        let waiter = Waiter::begin_in(CALLS, move || read(&reader, 10))?;
        waiter.sleeps()?;
        stream.write_all(b"hello")?;
        assert_eq!(waiter.end()??, b"hello");
        write(&end, b"answer")?;
        let mut text = [0; 6];
        stream.read_exact(&mut text)?;
        assert_eq!(&text, b"answer");
    }
    drop(listener);
    let end = open()?;
    assert_eq!(end.call(CONNECT, port), Err(Errno::CONNREFUSED));
    Ok(())
}

/// Where as many wait to be accepted as may.
fn does_not_wait_for_ever_to_connect(vm: &mut Vm) -> Result {
    const RETRIES: &str = "/proc/sys/net/ipv4/tcp_syn_retries";
    let _module = vm.load("sockets")?;
    let (_end, port) = listening()?;
    // Without a time of its own it would wait for hours.
    let before = fs::read_to_string(RETRIES)?;
    fs::write(RETRIES, "127")?;
    let mut ends = Vec::new();
    let error = loop {
        let end = open()?;
        let waiting = end.clone();
        let waiter = Waiter::begin(move || waiting.call(CONNECT_SOON, port.into()));
        match waiter.end()? {
            Ok(_) => ends.push(end),
            Err(error) => break error,
        }
        assert!(ends.len() < 100);
    };
    fs::write(RETRIES, before.trim())?;
    assert_eq!(error, Errno::TIMEDOUT);
    Ok(())
}

fn waits_end_after_the_time_that_was_set(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, mut stream) = connected()?;
    for none in [0, (-1isize) as usize, isize::MIN as usize] {
        assert_eq!(end.call(SET_TIMEOUTS, none), Err(Errno::INVAL));
    }
    for milliseconds in [1, 30] {
        end.call(SET_TIMEOUTS, milliseconds)?;
        assert_eq!(error_of(read(&end, 1)), Some(Errno::AGAIN));
        assert_eq!(end.call(PEEK, 0), Err(Errno::AGAIN));
    }
    // More than fits on the way.
    assert_eq!(error_of(write(&end, &[1; 20_000_000])), Some(Errno::AGAIN));
    // The most that there can be: it does not begin anew at 0.
    end.call(SET_TIMEOUTS, isize::MAX as usize)?;
    assert_eq!(end.call(STOP_READ, 0)?, EINTR);
    assert_eq!(end.call(STOP_WRITE, 0)?, EINTR);
    let reader = end.clone();
    let waiter = Waiter::begin_in(CALLS, move || read(&reader, 1))?;
    waiter.sleeps()?;
    stream.write_all(b"x")?;
    assert_eq!(waiter.end()??, b"x");
    Ok(())
}

fn what_is_peeked_at_stays(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let (end, mut stream) = connected()?;
    let peeking = end.clone();
    let waiter = Waiter::begin_in(CALLS, move || peeking.call(PEEK, 0))?;
    waiter.sleeps()?;
    stream.write_all(b"xyz")?;
    assert_eq!(waiter.end()?, Ok(usize::from(b'x')));
    assert_eq!(end.get(PEEK), usize::from(b'x'));
    assert_eq!(read(&end, 1)?, b"x");
    assert_eq!(end.get(PEEK), usize::from(b'y'));
    assert_eq!(read(&end, 10)?, b"yz");
    Ok(())
}

fn messages_come_back(vm: &mut Vm) -> Result {
    let _module = vm.load("sockets")?;
    let end = open()?;
    let port = end.get(UDP_BIND);
    let taken = open()?.call(UDP_BIND, port);
    assert_eq!(taken, Err(Errno::ADDRINUSE));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port as u16))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let long = [7; 100];
    for (sent, back) in [(&b"hello"[..], 5), (b"", 0), (&long, 64)] {
        let waiting = end.clone();
        let waiter = Waiter::begin_in(CALLS, move || waiting.call(UDP_ECHO, 0))?;
        waiter.sleeps()?;
        socket.send(sent)?;
        assert_eq!(waiter.end()?, Ok(back));
        let mut text = [0; 200];
        let n = socket.recv(&mut text)?;
        assert_eq!(&text[..n], &sent[..back]);
    }
    end.call(UDP_SET_TIMEOUT, 1)?;
    assert_eq!(end.call(UDP_ECHO, 0), Err(Errno::AGAIN));
    // The most that fits into a packet, and one byte more.
    end.call(UDP_SEND, 65_507)?;
    assert_eq!(end.call(UDP_SEND, 65_508), Err(Errno::MSGSIZE));
    Ok(())
}

fn nothing_is_left(vm: &mut Vm) -> Result {
    forget_connections_at_once()?;
    vm.rounds(|vm| {
        let module = vm.load("sockets")?;
        let (end, mut stream) = connected()?;
        stream.write_all(b"never read")?;
        // The file is open: it goes with the module.
        module.unload()?;
        drop((end, stream));
        Ok(())
    })
}
