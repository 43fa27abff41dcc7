// SPDX-License-Identifier: GPL-2.0-only

use std::{
    net::{TcpListener, UdpSocket},
    sync::Arc,
};

use libc::SYS_recvfrom;

use crate::{disk::fill, netdev::*, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &[
        "ip link set vnetloop0 up",
        "ip address add 10.0.0.1/24 dev vnetloop0",
        "ping -c 1 -W 1 10.0.0.2 | head -2",
        "ifconfig vnetloop0",
    ],
    tests: tests![
        says_what_it_has_registered,
        frames_come_back,
        others_see_them_twice,
        counts_each_frame_once,
        its_mtu_and_address_change,
        nothing_comes_back_when_it_is_down,
        up_and_down_while_it_is_used,
        checksums_are_right,
        unloads_while_it_is_used,
        unloads_while_many_send,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const DEVICE: &str = "vnetloop0";

/// The module, and its device, which is up and sends nothing of its own.
fn load(vm: &mut Vm) -> Result<(Module, NetDevice)> {
    let module = vm.load("vnetloop")?;
    let device = NetDevice::open(DEVICE)?;
    device.keep_quiet()?;
    device.set_up(true)?;
    Ok((module, device))
}

/// A frame for `to`, of that length, with content that depends on `seed`.
fn frame_for(to: Mac, len: usize, seed: u64) -> Vec<u8> {
    let mut content = vec![0; len - HEADER];
    fill(&mut content, seed);
    frame(to, [2, 0, 0, 0, 0, 1], OF_A_TEST, &content)
}

/// Sends a frame, and waits for it: the kernel may send others.
fn comes_back(socket: &PacketSocket, kind: u8, frame: &[u8]) -> Result {
    socket.send(frame)?;
    loop {
        let (for_whom, received) = socket.receive()?;
        if received == frame {
            assert_eq!(for_whom, kind);
            return Ok(());
        }
    }
}

fn says_what_it_has_registered(vm: &mut Vm) -> Result {
    const NOARP: u32 = 0x80;
    let module = vm.load("vnetloop")?;
    let expected = info("registered vnetloop0");
    assert_eq!(vm.log().said("vnetloop")?, [expected]);
    let device = NetDevice::open(DEVICE)?;
    assert_eq!(device.driver()?, "vnetloop");
    assert_eq!(device.attribute("mtu")?, "1500");
    assert_eq!(device.attribute("operstate")?, "down");
    let flags = device.attribute("flags")?;
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16)?;
    assert_eq!(flags & NOARP, NOARP);
    // By chance, by nobody but this machine, and for one.
    assert_eq!(device.attribute("addr_assign_type")?, "1");
    assert_eq!(device.mac()?[0] & 3, 2);
    device.set_up(true)?;
    let is_up = || {
        device
            .attribute("operstate")
            .is_ok_and(|state| state == "up")
    };
    eventually("that it is up", is_up)?;
    module.unload()?;
    assert!(!NetDevice::exists(DEVICE));
    Ok(())
}

fn frames_come_back(vm: &mut Vm) -> Result {
    let (_module, device) = load(vm)?;
    let socket = PacketSocket::of(device.index()?)?;
    let receivers = [
        (device.mac()?, HOST),
        (EVERYBODY, BROADCAST),
        ([0x33, 0x33, 0, 0, 0, 7], MULTICAST),
        ([2, 0, 0, 0, 0, 2], OTHER_HOST),
    ];
    for len in [14, 15, 60, 61, 1000, 1514] {
        for (seed, (to, kind)) in (0..).zip(receivers) {
            let frame = frame_for(to, len, seed);
            assert_eq!(socket.send(&frame)?, len);
            let (for_whom, received) = socket.receive()?;
            assert_eq!(for_whom, kind, "{len}");
            ensure!(received == frame, "{len} {kind}");
        }
    }
    assert_eq!(socket.try_receive(), Err(Errno::AGAIN));
    Ok(())
}

fn others_see_them_twice(vm: &mut Vm) -> Result {
    let (_module, device) = load(vm)?;
    let index = device.index()?;
    let (sender, other) = (PacketSocket::of(index)?, PacketSocket::of(index)?);
    let frame = frame_for(device.mac()?, 100, 1);
    sender.send(&frame)?;
    assert_eq!(other.receive()?, (OUTGOING, frame.clone()));
    assert_eq!(other.receive()?, (HOST, frame));
    Ok(())
}

/// What `/proc/net/dev` has of the device: bytes and frames that were received, and sent.
fn in_proc() -> Result<[u64; 4]> {
    let text = fs::read_to_string("/proc/net/dev")?;
    let line = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("vnetloop0:"));
    let numbers: Result<Vec<u64>, _> = line
        .context("a line of the device")?
        .split_whitespace()
        .map(str::parse)
        .collect();
    let numbers = numbers?;
    Ok([0, 1, 8, 9].map(|n| numbers[n]))
}

/// With their headers, and none is lost. The book's module does not count the headers of what
/// comes back.
fn counts_each_frame_once(vm: &mut Vm) -> Result {
    const THREADS: u32 = 2;
    let (_module, device) = load(vm)?;
    assert_eq!(device.counts()?, Counts::default());
    let index = device.index()?;
    // The kernel counts what nobody wants as dropped.
    let _wants_all = PacketSocket::of(index)?;
    let frames = vm.fewer(100_000) / THREADS;
    let bytes = on_threads(THREADS, |thread| {
        let socket = PacketSocket::new()?;
        let frame = frame_for(EVERYBODY, 1514, thread.into());
        let mut bytes = 0;
        for n in 0..frames {
            let len = 60 + (n as usize * 7) % 1000;
            // The queue of the device can be full.
            while let Err(error) = socket.send_by(index, &frame[..len]) {
                ensure!(error == Errno::NOBUFS, "{error}");
                thread::sleep(Duration::from_millis(1));
            }
            bytes += len as u64;
        }
        Ok(bytes)
    })?;
    let (packets, bytes) = (u64::from(frames * THREADS), bytes.iter().sum::<u64>());
    let expected = Counts {
        rx_packets: packets,
        rx_bytes: bytes,
        tx_packets: packets,
        tx_bytes: bytes,
        ..Counts::default()
    };
    let all_are_back = || {
        device
            .counts()
            .is_ok_and(|counts| counts.rx_packets == packets)
    };
    eventually("the last frame", all_are_back)?;
    assert_eq!(device.counts()?, expected);
    assert_eq!(in_proc()?, [bytes, packets, bytes, packets]);
    Ok(())
}

/// In the book, the address does not.
fn its_mtu_and_address_change(vm: &mut Vm) -> Result {
    let (_module, device) = load(vm)?;
    let socket = PacketSocket::of(device.index()?)?;
    for (mtu, expected) in [
        (0, Err(Errno::INVAL)),
        (67, Err(Errno::INVAL)),
        (1501, Err(Errno::INVAL)),
        (68, Ok(())),
    ] {
        assert_eq!(device.set_mtu(mtu), expected, "{mtu}");
    }
    comes_back(&socket, BROADCAST, &frame_for(EVERYBODY, HEADER + 68, 1))?;
    let longer = frame_for(EVERYBODY, HEADER + 69, 1);
    assert_eq!(socket.send(&longer), Err(Errno::MSGSIZE));
    device.set_mtu(1500)?;
    comes_back(&socket, BROADCAST, &longer)?;

    for bad in [[0; 6], EVERYBODY, [1, 0, 0, 0, 0, 1]] {
        assert_eq!(device.set_mac(bad), Err(Errno::ADDRNOTAVAIL), "{bad:?}");
    }
    let (old, new) = (device.mac()?, [2, 0, 0, 0, 0, 9]);
    device.set_mac(new)?;
    assert_eq!(device.mac()?, new);
    for (to, kind) in [(new, HOST), (old, OTHER_HOST)] {
        comes_back(&socket, kind, &frame_for(to, 60, 2))?;
    }
    Ok(())
}

fn nothing_comes_back_when_it_is_down(vm: &mut Vm) -> Result {
    let (_module, device) = load(vm)?;
    let socket = PacketSocket::of(device.index()?)?;
    let frame = frame_for(EVERYBODY, 60, 1);
    for _ in 0..3 {
        device.set_up(false)?;
        assert_eq!(device.attribute("operstate")?, "down");
        // A socket is told once.
        assert_eq!(socket.try_receive(), Err(Errno::NETDOWN));
        assert_eq!(socket.send(&frame), Err(Errno::NETDOWN));
        assert_eq!(socket.try_receive(), Err(Errno::AGAIN));
        device.set_up(true)?;
        socket.send(&frame)?;
        assert_eq!(socket.receive()?, (BROADCAST, frame.clone()));
    }
    let counts = device.counts()?;
    assert_eq!([counts.tx_packets, counts.rx_packets], [3, 3]);
    Ok(())
}

/// Sends frames, whether that is possible or not.
fn try_to_send(index: u32) -> Result {
    let socket = PacketSocket::new()?;
    let frame = frame_for(EVERYBODY, 1000, 1);
    for _ in 0..100 {
        match socket.send_by(index, &frame) {
            Ok(_) | Err(Errno::NETDOWN | Errno::NXIO | Errno::NOBUFS) => {}
            Err(error) => bail!("{error}"),
        }
    }
    Ok(())
}

fn up_and_down_while_it_is_used(vm: &mut Vm) -> Result {
    let (_module, device) = load(vm)?;
    let index = device.index()?;
    let rounds = vm.fewer(100);
    while_others(
        2,
        || try_to_send(index),
        || {
            for _ in 0..rounds {
                device.set_up(false)?;
                device.set_up(true)?;
            }
            Ok(())
        },
    )?;
    let counts = device.counts()?;
    assert!(counts.rx_packets <= counts.tx_packets);
    let socket = PacketSocket::of(index)?;
    comes_back(&socket, BROADCAST, &frame_for(EVERYBODY, 60, 2))
}

/// The book's module says that the device computes them, and it does not.
fn checksums_are_right(vm: &mut Vm) -> Result {
    const IP: std::ops::Range<usize> = HEADER..HEADER + 20;
    let (_module, device) = load(vm)?;
    vm.sh("ip address add 10.77.0.1/24 dev vnetloop0")?;
    let socket = PacketSocket::of(device.index()?)?;
    let text = b"an odd number of bytes.";
    UdpSocket::bind("10.77.0.1:0")?.send_to(text, "10.77.0.2:9")?;
    let (kind, sent) = socket.receive()?;
    assert_eq!(kind, OUTGOING);
    assert_eq!(sent[12..HEADER], OF_IPV4.to_be_bytes());
    assert!(sent.ends_with(text));
    assert_eq!(checksum(&sent[IP]), 0);
    let udp = &sent[IP.end..];
    // 17 is UDP.
    let len = (udp.len() as u16).to_be_bytes();
    let sum = [&sent[IP.end - 8..IP.end], &[0, 17], &len, udp].concat();
    assert_ne!(udp[6..8], [0_u8, 0]);
    assert_eq!(checksum(&sum), 0);
    assert_eq!(socket.receive()?, (HOST, sent));
    Ok(())
}

/// Nothing of that keeps the module.
fn unloads_while_it_is_used(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        let (module, device) = load(vm)?;
        vm.sh("ip address add 10.77.0.1/24 dev vnetloop0
            ip route add 10.78.0.0/16 via 10.77.0.9")?;
        let listener = TcpListener::bind("10.77.0.1:0")?;
        let socket = Arc::new(PacketSocket::of(device.index()?)?);
        let reader = socket.clone();
        let reader = Waiter::begin_in(&[SYS_recvfrom], move || reader.receive().map(drop))?;
        let attribute = File::open(format!("/sys/class/net/{DEVICE}/mtu"))?;
        module.unload()?;
        assert!(!NetDevice::exists(DEVICE));
        assert_eq!(reader.end()?, Err(Errno::NETDOWN));
        assert_eq!(socket.send(&[0; 60]), Err(Errno::NXIO));
        let read = error_of(attribute.read_at(&mut [0; 8], 0));
        assert_eq!(read, Some(Errno::NODEV));
        drop(listener);
        Ok(())
    })
}

fn unloads_while_many_send(vm: &mut Vm) -> Result {
    let send = || {
        // It may go at any time.
        if let Ok(device) = NetDevice::open(DEVICE) {
            let _ = device.counts();
            if let Ok(index) = device.index() {
                try_to_send(index)?;
            }
        }
        Ok(())
    };
    while_others(3, send, || {
        for _ in 0..vm.fewer(20) {
            let (module, device) = load(vm)?;
            let is_used = || device.counts().is_ok_and(|counts| counts.tx_packets > 100);
            eventually("the others", is_used)?;
            module.unload()?;
        }
        Ok(())
    })
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| vm.load("vnetloop")?.unload())
}
