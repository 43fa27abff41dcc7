// SPDX-License-Identifier: GPL-2.0-only

use std::sync::mpsc;

use rustix::{event::PollFlags, thread::gettid};

use crate::{disk::fill, netdev::*, prelude::*};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        devices_of_all_kinds,
        frames_are_counted_once,
        polls_have_a_limit,
        frames_have_their_bytes,
        frames_can_be_made,
        the_kernel_answers_after_a_poll,
        a_full_queue_waits,
        threads_may_poll,
        nothing_is_sent_when_it_is_down,
        it_can_refuse_to_be_opened,
        names_that_cannot_be,
        a_name_is_had_by_one,
        senders_do_not_wait_for_frames,
        times_are_told_when_it_sends,
        frames_that_others_have_too,
        frames_outlive_their_device,
        user_space_cannot_delete_it,
        methods_may_drop_their_device,
        methods_may_drop_another_device,
        polls_in_a_thread_or_not,
        methods_may_drop_a_thread,
        methods_may_drop_other_things,
        nothing_is_made_where_a_device_is_opened,
        handles_are_dropped_where_one_must_not_sleep,
        dropped_while_it_is_used_on_all_cpus,
        moves_between_networks,
        goes_while_it_is_elsewhere,
        a_failing_init_ends,
        a_failing_init_while_it_is_used,
        a_lost_device_goes,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

fn name(kind: usize) -> &'static str {
    DEVICES[kind].to_str().expect("ASCII")
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("netdevs")?;
    Ok((module, Control::open("/proc/netdevs")?))
}

/// Makes a device, and brings it up.
fn make(control: &Control, kind: usize) -> Result<NetDevice> {
    control.call(MAKE, kind)?;
    let device = NetDevice::open(name(kind))?;
    device.keep_quiet()?;
    device.set_up(true)?;
    Ok(device)
}

fn load_with_device(vm: &mut Vm) -> Result<(Module, Control, NetDevice)> {
    let (module, control) = load(vm)?;
    let device = make(&control, MAIN)?;
    Ok((module, control, device))
}

/// Nothing was as it must not be, and nothing was lost.
fn end(vm: &mut Vm, module: Module, control: Control) -> Result {
    assert_eq!(control.get(WRONG), 0);
    drop(control);
    module.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    for kind in 0..DEVICES.len() {
        assert!(!NetDevice::exists(name(kind)));
    }
    Ok(())
}

/// A frame for everybody, of that length.
fn frame_of(len: usize, seed: u64) -> Vec<u8> {
    let mut content = vec![0; len - HEADER];
    fill(&mut content, seed);
    frame(EVERYBODY, [2, 0, 0, 0, 0, 1], OF_A_TEST, &content)
}

/// What the device itself says that it has counted.
fn own_counts(control: &Control) -> Result<Counts, Errno> {
    let count = |field| control.call(COUNT, field).map(|count| count as u64);
    Ok(Counts {
        rx_packets: count(0)?,
        rx_bytes: count(1)?,
        rx_dropped: count(2)?,
        tx_packets: count(3)?,
        tx_bytes: count(4)?,
        tx_dropped: count(5)?,
    })
}

/// Waits until so many frames were received.
fn are_received(device: &NetDevice, frames: u64) -> Result {
    let are_here = || {
        device
            .counts()
            .is_ok_and(|counts| counts.rx_packets == frames)
    };
    eventually("the frames", are_here)
}

/// Sends frames, whether that is possible or not. Past the queue, nothing waits for who sends.
fn try_to_send(index: u32, past_the_queue: bool) -> Result {
    const PACKET_QDISC_BYPASS: i32 = 20;
    let socket = PacketSocket::new()?;
    let bypass = i32::from(past_the_queue);
    socket.set_option(libc::SOL_PACKET, PACKET_QDISC_BYPASS, bypass)?;
    let frame = frame_of(100, 1);
    for _ in 0..100 {
        match socket.send_by(index, &frame) {
            Ok(_) | Err(Errno::NETDOWN | Errno::NXIO | Errno::NOBUFS) => {}
            Err(error) => bail!("{error}"),
        }
    }
    Ok(())
}

fn devices_of_all_kinds(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for (kind, mtu, receives) in [
        (MAIN, 1500, 3),
        (OTHER, 1500, 3),
        (EMPTY, 1500, 0),
        (WIDE, 68, 0),
    ] {
        let device = make(&control, kind)?;
        let text = device.attribute("mtu")?;
        assert_eq!(text, mtu.to_string());
        assert_eq!(device.set_mtu(mtu + 1), Err(Errno::INVAL));
        assert_eq!(device.driver()?, "netdevs");
        let before = control.get(FRAMES);
        let socket = PacketSocket::new()?;
        for seed in 0..3 {
            socket.send_by(device.index()?, &frame_of(80, seed))?;
        }
        are_received(&device, receives)?;
        assert_eq!(control.get(FRAMES), before + 3);
        let counts = device.counts()?;
        assert_eq!([counts.tx_packets, counts.tx_bytes], [3, 240]);
        control.call(DROP, kind)?;
        assert!(!NetDevice::exists(name(kind)));
        assert_eq!(control.get(LIVING), 0);
    }
    assert_eq!([control.get(OPENS), control.get(STOPS)], [2, 2]);
    end(vm, module, control)
}

/// As sent or as dropped, where the file says it and where the module does.
fn frames_are_counted_once(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let index = device.index()?;
    // What nobody wants counts as dropped.
    let _wants_all = PacketSocket::of(index)?;
    let socket = PacketSocket::new()?;
    control.call(LIMIT, 4)?;
    control.call(HOLD, 1)?;
    for _ in 0..10 {
        socket.send_by(index, &frame_of(100, 1))?;
    }
    let mut expected = Counts {
        tx_packets: 4,
        tx_bytes: 400,
        tx_dropped: 6,
        ..Counts::default()
    };
    assert_eq!(device.counts()?, expected);
    control.call(HOLD, 0)?;
    control.call(SCHEDULE, MAIN)?;
    are_received(&device, 4)?;
    expected.rx_packets = 4;
    expected.rx_bytes = 400;
    assert_eq!(device.counts()?, expected);
    control.call(DO, REFUSE_FRAMES)?;
    for _ in 0..5 {
        socket.send_by(index, &frame_of(100, 1))?;
    }
    expected.tx_dropped += 5;
    assert_eq!(device.counts()?, expected);
    assert_eq!(own_counts(&control)?, expected);
    end(vm, module, control)
}

/// What does not fit comes with the next one.
fn polls_have_a_limit(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let index = device.index()?;
    let socket = PacketSocket::of(index)?;
    let sender = PacketSocket::new()?;
    control.call(HOLD, 1)?;
    for seed in 0..150 {
        sender.send_by(index, &frame_of(60, seed))?;
        assert_eq!(socket.receive()?.0, OUTGOING);
    }
    let before = control.get(POLLS);
    control.call(HOLD, 0)?;
    control.call(SCHEDULE, MAIN)?;
    for seed in 0..150 {
        let received = socket.receive()?;
        assert_eq!(received, (BROADCAST, frame_of(60, seed)));
    }
    are_received(&device, 150)?;
    // C's limit is 64.
    assert_eq!(control.get(MOST_ROOM), 64);
    assert!(control.get(POLLS) - before >= 3);
    end(vm, module, control)
}

fn frames_have_their_bytes(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let socket = PacketSocket::of(device.index()?)?;
    control.call(DO, LOOK)?;
    let mut sum = 0;
    for len in [14, 15, 16, 17, 100, 1514] {
        let frame = frame_of(len, 1);
        sum += frame.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        socket.send(&frame)?;
        assert_eq!(socket.receive()?, (BROADCAST, frame));
        assert_eq!(control.get(SUM), sum, "{len}");
    }
    end(vm, module, control)
}

fn frames_can_be_made(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let socket = PacketSocket::of(device.index()?)?;
    for len in [14, 60, 1514, 9000] {
        control.call(RECEIVE, len)?;
        let (kind, frame) = socket.receive()?;
        assert_eq!((kind, frame.len()), (BROADCAST, len));
        assert_eq!(frame[..6], EVERYBODY);
        assert!(frame[6..].iter().all(|byte| *byte == 0));
    }
    for len in [0, 13, 65_550, 131_072] {
        assert_eq!(control.call(RECEIVE, len), Err(Errno::INVAL), "{len}");
    }
    end(vm, module, control)
}

/// It answers a ping by the same device, on the same stack. The driver sends with the lock that
/// it has while it polls.
fn the_kernel_answers_after_a_poll(vm: &mut Vm) -> Result {
    const REQUEST: u8 = 8;
    const REPLY: u8 = 0;
    let (module, control, device) = load_with_device(vm)?;
    let ip = format!("ip address add 10.79.0.1/24 dev {}", device.name());
    vm.sh(&ip)?;
    let mut icmp = [REQUEST, 0, 0, 0, 0, 1, 0, 1, b'p', b'i', b'n', b'g'];
    let sum = checksum(&icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    let mut packet = *b"\x45\0\0\x20\0\0\0\0\x40\x01\0\0\x0a\x4f\0\x02\x0a\x4f\0\x01";
    let sum = checksum(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    let content = [&packet[..], &icmp].concat();
    let request = frame(device.mac()?, [2, 0, 0, 0, 0, 1], OF_IPV4, &content);
    let socket = PacketSocket::of(device.index()?)?;
    for _ in 0..vm.fewer(100) {
        socket.send(&request)?;
        loop {
            let (kind, frame) = socket.receive()?;
            if kind == OUTGOING && frame[HEADER + packet.len()] == REPLY {
                break;
            }
        }
    }
    end(vm, module, control)
}

/// There is room for one. The kernel keeps the others, and none is lost or forgotten.
fn a_full_queue_waits(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let index = device.index()?;
    control.call(LIMIT, 1)?;
    let frames = vm.fewer(20_000);
    on_threads(2, |_| {
        let socket = PacketSocket::new()?;
        let frame = frame_of(60, 1);
        for _ in 0..frames {
            while let Err(error) = socket.send_by(index, &frame) {
                ensure!(error == Errno::NOBUFS, "{error}");
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    })?;
    are_received(&device, u64::from(2 * frames))?;
    let counts = device.counts()?;
    assert_eq!(counts.tx_packets, u64::from(2 * frames));
    assert_eq!(counts.tx_dropped, 0);
    end(vm, module, control)
}

/// As user space likes, also late: by a timer, which must not be there when the device is gone.
fn threads_may_poll(vm: &mut Vm) -> Result {
    for _ in 0..vm.fewer(15) {
        let (module, control, device) = load_with_device(vm)?;
        device.set_attribute("threaded", "1")?;
        device.set_attribute("napi_defer_hard_irqs", "10")?;
        // Ten seconds.
        device.set_attribute("gro_flush_timeout", "10000000000")?;
        let index = device.index()?;
        let socket = PacketSocket::of(index)?;
        for seed in 0..20 {
            let frame = frame_of(100, seed);
            socket.send(&frame)?;
            assert_eq!(socket.receive()?, (BROADCAST, frame));
        }
        while_others(
            1,
            || try_to_send(index, false),
            || {
                device.set_up(false)?;
                device.set_up(true)?;
                control.call(DROP, MAIN)?;
                Ok(())
            },
        )?;
        end(vm, module, control)?;
    }
    Ok(())
}

/// Nor while it is being opened or stopped. The module looks at that.
fn nothing_is_sent_when_it_is_down(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let index = device.index()?;
    let rounds = vm.fewer(500);
    let opened = control.get(OPENS);
    while_others(
        3,
        || try_to_send(index, true),
        || {
            for _ in 0..rounds {
                device.set_up(false)?;
                control.call(SCHEDULE, MAIN)?;
                device.set_up(true)?;
            }
            Ok(())
        },
    )?;
    assert_eq!(control.get(OPENS), opened + rounds as usize);
    assert_eq!(control.get(STOPS), rounds as usize);
    end(vm, module, control)
}

fn it_can_refuse_to_be_opened(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    device.set_up(false)?;
    let same = [Errno::NODEV, Errno::NOMEM, Errno::BUSY, Errno::AGAIN];
    let same = same.map(|errno| (errno.raw_os_error(), errno));
    // Who asks by netlink gets no answer for the first. The others are the kernel's own.
    let others = [
        (Errno::INTR.raw_os_error(), Errno::AGAIN),
        (512, Errno::AGAIN),
        (513, Errno::AGAIN),
        (524, Errno::OPNOTSUPP),
        (530, Errno::IO),
    ];
    for (errno, expected) in same.into_iter().chain(others) {
        control.call(DO, REFUSE + errno as usize)?;
        assert_eq!(device.set_up(true), Err(expected), "{errno}");
        assert_eq!(device.attribute("operstate")?, "down");
    }
    control.call(DO, NOTHING)?;
    device.set_up(true)?;
    assert_eq!(control.get(STOPS), 1);
    end(vm, module, control)
}

/// Of some, the kernel says so only when half the work is done.
fn names_that_cannot_be(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let before = names("/sys/class/net")?;
    for (index, name) in NAMES.iter().enumerate() {
        let is_good = index + 1 == NAMES.len();
        let expected = if is_good { Ok(0) } else { Err(Errno::INVAL) };
        assert_eq!(control.call(TRY_NAME, index), expected, "{name:?}");
    }
    assert_eq!(names("/sys/class/net")?, before);
    end(vm, module, control)
}

fn a_name_is_had_by_one(vm: &mut Vm) -> Result {
    let (module, control, mut device) = load_with_device(vm)?;
    assert_eq!(control.call(MAKE, MAIN), Err(Errno::EXIST));
    // User space may give it another one.
    device.rename("netdevs-else")?;
    control.call(MAKE, OTHER)?;
    assert!(NetDevice::exists("netdevs-else"));
    // It goes when the next one takes its place.
    control.call(MAKE, MAIN)?;
    assert!(!NetDevice::exists("netdevs-else"));
    end(vm, module, control)
}

/// Who has sent much waits until some of it is gone, with a reference to the device. Here the
/// device keeps all, and waits for those who have one.
fn senders_do_not_wait_for_frames(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let index = device.index()?;
    control.call(DO, KEEP)?;
    let sender = Waiter::begin(move || -> Result<(), Errno> {
        let socket = PacketSocket::new()?;
        // The least that there is.
        socket.set_option(libc::SOL_SOCKET, libc::SO_SNDBUF, 1)?;
        for seed in 0..100 {
            socket.send_by(index, &frame_of(1000, seed))?;
        }
        Ok(())
    });
    let sent = sender.end();
    let kept = control.get(KEPT);
    let counts = device.counts();
    // One who does wait holds the device, and with it all that follows.
    control.call(DO, NOTHING)?;
    control.call(FREE_KEPT, 0)?;
    assert_eq!(sent?, Ok(()));
    let counts = counts?;
    assert_eq!(counts.tx_packets, kept as u64);
    assert_eq!(counts.tx_packets + counts.tx_dropped, 100);
    end(vm, module, control)
}

/// The sender is known then, and no longer when the driver has the frame.
fn times_are_told_when_it_sends(vm: &mut Vm) -> Result {
    const SO_TIMESTAMPING: i32 = 37;
    const TX_SOFTWARE: i32 = 1 << 1;
    const SOFTWARE: i32 = 1 << 4;
    let (module, control, device) = load_with_device(vm)?;
    let socket = PacketSocket::of(device.index()?)?;
    let times = TX_SOFTWARE | SOFTWARE;
    let is_told = || polled(&socket).map(|events| events.contains(PollFlags::ERR));
    socket.send(&frame_of(60, 1))?;
    assert!(!is_told()?);
    socket.set_option(libc::SOL_SOCKET, SO_TIMESTAMPING, times)?;
    socket.send(&frame_of(60, 2))?;
    eventually("the time", || is_told().unwrap_or_default())?;
    end(vm, module, control)
}

/// The kernel's packet generator keeps what it sends, to send it again. It must not.
fn frames_that_others_have_too(vm: &mut Vm) -> Result {
    const THREAD: &str = "/proc/net/pktgen/kpktgend_0";
    let (module, control, device) = load_with_device(vm)?;
    let generator = format!("/proc/net/pktgen/{}", device.name());
    let frames = vm.fewer(1000);
    fs::write(THREAD, "rem_device_all\n")?;
    fs::write(THREAD, format!("add_device {}\n", device.name()))?;
    for line in [
        format!("count {frames}\n"),
        "delay 0\n".to_owned(),
        "pkt_size 100\n".to_owned(),
        "dst 10.79.0.2\n".to_owned(),
        "dst_mac ff:ff:ff:ff:ff:ff\n".to_owned(),
    ] {
        fs::write(&generator, &line).context(line)?;
    }
    for line in ["clone_skb 1\n", "burst 2\n"] {
        let failed = error_of(fs::write(&generator, line));
        assert_eq!(failed, Some(Errno::OPNOTSUPP), "{line}");
    }
    // It waits until all are sent, but not for a thread that does not begin at once.
    fs::write("/proc/net/pktgen/pgctrl", "start\n")?;
    eventually("all to be sent", || control.get(FRAMES) >= frames as usize)?;
    are_received(&device, frames.into())?;
    assert_eq!(control.get(FRAMES), frames as usize);
    fs::write(THREAD, "rem_device_all\n")?;
    end(vm, module, control)
}

/// And can be received by another one.
fn frames_outlive_their_device(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let (module, control, device) = load_with_device(vm)?;
        control.call(DO, KEEP)?;
        let index = device.index()?;
        for seed in 0..5 {
            PacketSocket::new()?.send_by(index, &frame_of(100, seed))?;
        }
        assert_eq!(control.get(KEPT), 5);
        control.call(DROP, MAIN)?;
        let other = make(&control, OTHER)?;
        let socket = PacketSocket::of(other.index()?)?;
        control.call(GIVE_KEPT, OTHER)?;
        let mut seen = Vec::new();
        for _ in 0..5 {
            let (kind, frame) = socket.receive()?;
            assert_eq!(kind, BROADCAST);
            seen.push(frame);
        }
        // The last one that was kept comes first.
        seen.reverse();
        let sent: Vec<_> = (0..5).map(|seed| frame_of(100, seed)).collect();
        assert!(seen == sent);
        // These are freed, or are still there when the module goes.
        for free in [true, false] {
            let device = make(&control, MAIN)?;
            PacketSocket::new()?.send_by(device.index()?, &frame_of(100, 1))?;
            control.call(DROP, MAIN)?;
            assert_eq!(control.get(KEPT), 1);
            if free {
                control.call(FREE_KEPT, 0)?;
            }
        }
        end(vm, module, control)?;
    }
    Ok(())
}

fn user_space_cannot_delete_it(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    let refused = vm.sh(&format!("ip link delete {}", device.name()));
    let error = format!("{:#}", refused.unwrap_err());
    assert!(error.contains("upported"), "{error}");
    let socket = PacketSocket::of(device.index()?)?;
    socket.send(&frame_of(60, 1))?;
    assert_eq!(socket.receive()?.0, BROADCAST);
    end(vm, module, control)
}

/// Has each method called, and also a poll in a thread of the kernel's.
fn call(device: &NetDevice, method: usize, in_thread: bool) -> Result {
    // There is no poll while it is down.
    if method != OPEN {
        device.set_attribute("threaded", if in_thread { "1" } else { "0" })?;
    }
    match method {
        OPEN => device.set_up(true)?,
        STOP => device.set_up(false)?,
        // This is a system call. The poll comes at its end, or in a softirq a little later.
        _ => {
            PacketSocket::new()?.send_by(device.index()?, &frame_of(60, 1))?;
        }
    }
    Ok(())
}

/// Methods, and where a poll is.
const METHODS: [(usize, bool); 5] = [
    (OPEN, false),
    (STOP, false),
    (TRANSMIT, false),
    (POLL, false),
    (POLL, true),
];

/// It goes when the method has returned.
fn methods_may_drop_their_device(vm: &mut Vm) -> Result {
    vm.many_rounds(10, |vm| {
        for (method, in_thread) in METHODS {
            let (module, control, device) = load_with_device(vm)?;
            device.set_up(method != OPEN)?;
            control.call(DO, DROP_IN + method)?;
            call(&device, method, in_thread)?;
            eventually("its end", || control.get(LIVING) == 0)?;
            assert!(!NetDevice::exists(name(MAIN)));
            end(vm, module, control)?;
        }
        Ok(())
    })
}

fn methods_may_drop_another_device(vm: &mut Vm) -> Result {
    vm.many_rounds(10, |vm| {
        for (method, in_thread) in METHODS {
            let (module, control, device) = load_with_device(vm)?;
            let other = make(&control, OTHER)?;
            device.set_up(method != OPEN)?;
            try_to_send(other.index()?, false)?;
            control.call(DO, DROP_OTHER_IN + method)?;
            call(&device, method, in_thread)?;
            eventually("its end", || control.get(LIVING) == 1)?;
            assert!(NetDevice::exists(name(MAIN)));
            assert!(!NetDevice::exists(name(OTHER)));
            end(vm, module, control)?;
        }
        Ok(())
    })
}

/// Linux would wait for ever if the poll of a device that is down were there.
fn polls_in_a_thread_or_not(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    for round in 0..4 {
        let socket = PacketSocket::of(device.index()?)?;
        for in_thread in ["1", "0", "1"] {
            device.set_attribute("threaded", in_thread)?;
            assert_eq!(device.attribute("threaded")?, in_thread);
            socket.send(&frame_of(60, round))?;
            assert_eq!(socket.receive()?.0, BROADCAST);
        }
        device.set_up(false)?;
        for in_thread in ["0", "1"] {
            let refused = device.set_attribute("threaded", in_thread).unwrap_err();
            let refused = refused.root_cause().downcast_ref();
            let refused = refused.and_then(Errno::from_io_error);
            assert_eq!(refused, Some(Errno::OPNOTSUPP));
        }
        device.set_up(true)?;
    }
    end(vm, module, control)
}

/// Where a lock of the kernel's is held, and softirqs are off, it is somebody else who waits for
/// the thread's end.
fn methods_may_drop_a_thread(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    for _ in 0..vm.fewer(20) {
        for (method, in_thread) in METHODS {
            device.set_up(method != OPEN)?;
            control.call(MAKE_THREAD, 0)?;
            let threads = || live_tasks(|name| name == "netdevs").len();
            assert_eq!(threads(), 1);
            control.call(DO, DROP_THREAD_IN + method)?;
            call(&device, method, in_thread)?;
            eventually("the thread's end", || threads() == 0)?;
            control.call(DO, NOTHING)?;
        }
    }
    end(vm, module, control)
}

/// The kernel has locks of these where it takes that of the network, so neither waits for the
/// other.
fn methods_may_drop_other_things(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    for _ in 0..vm.fewer(20) {
        for (method, in_thread) in METHODS {
            device.set_up(method != OPEN)?;
            control.call(MAKE_OTHERS, 0)?;
            assert_eq!(control.get(OTHERS), 2);
            assert!(Path::new("/dev/netdevs-other").exists());
            control.call(DO, DROP_OTHERS_IN + method)?;
            call(&device, method, in_thread)?;
            eventually("their end", || control.get(OTHERS) == 0)?;
            assert!(!Path::new("/dev/netdevs-other").exists());
            control.call(DO, NOTHING)?;
        }
    }
    end(vm, module, control)
}

fn nothing_is_made_where_a_device_is_opened(vm: &mut Vm) -> Result {
    let (module, control, device) = load_with_device(vm)?;
    for what in [MAKE_IN, MAKE_FAMILY_IN, MAKE_MISC_IN] {
        for (method, up) in [(STOP, false), (OPEN, true)] {
            control.call(DO, what + method)?;
            device.set_up(up)?;
            let answer = control.get(ANSWER);
            assert_eq!(answer, Errno::DEADLK.raw_os_error() as usize, "{what:#x}");
        }
    }
    end(vm, module, control)
}

fn handles_are_dropped_where_one_must_not_sleep(vm: &mut Vm) -> Result {
    vm.many_rounds(15, |vm| {
        for command in [DROP_IN_SOFTIRQ, DROP_WITHOUT_IRQS] {
            let (module, control, device) = load_with_device(vm)?;
            try_to_send(device.index()?, false)?;
            control.call(command, MAIN)?;
            eventually("its end", || control.get(LIVING) == 0)?;
            assert!(!NetDevice::exists(name(MAIN)));
            end(vm, module, control)?;
        }
        Ok(())
    })
}

fn dropped_while_it_is_used_on_all_cpus(vm: &mut Vm) -> Result {
    const ELSE: &str = "netdevs-else";
    let use_it = || -> Result {
        let main = NetDevice::open(name(MAIN));
        let (device, other_name) = match main {
            Ok(device) => (Ok(device), ELSE),
            Err(_) => (NetDevice::open(ELSE), name(MAIN)),
        };
        // All of that can fail at any time.
        let Ok(mut device) = device else {
            return Ok(());
        };
        let _ = device.set_up(true);
        let _ = device.counts();
        let _ = device.set_mtu(1000);
        let _ = device.set_mac([2, 0, 0, 0, 0, 7]);
        let _ = device.driver();
        let _ = fs::read("/proc/net/dev");
        if let Ok(index) = device.index() {
            try_to_send(index, false)?;
            try_to_send(index, true)?;
        }
        let _ = device.rename(other_name);
        Ok(())
    };
    let (module, control) = load(vm)?;
    while_others(3, use_it, || {
        for _ in 0..vm.fewer(40) {
            let before = control.get(FRAMES);
            control.call(MAKE, MAIN)?;
            eventually("frames", || control.get(FRAMES) > before + 100)?;
            control.call(DROP, MAIN)?;
            assert_eq!(control.get(LIVING), 0);
            assert_eq!(control.call(COUNT, 0), Err(Errno::NOENT));
        }
        Ok(())
    })?;
    end(vm, module, control)
}

/// Has the device go to a network of its own, where `there` uses it. Then that thread waits
/// until the result is dropped, and the network goes.
fn to_another_network(
    vm: &mut Vm,
    device: &NetDevice,
    there: impl FnOnce(&NetDevice) -> Result + Send + 'static,
) -> Result<(mpsc::Sender<()>, Waiter<Result>)> {
    let (tell, told) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let name = device.name().to_owned();
    let waiter = Waiter::begin(move || -> Result {
        leave_network()?;
        tell.send(gettid())?;
        eventually("the device", || NetDevice::open(&name).is_ok())?;
        let device = NetDevice::open(&name)?;
        there(&device)?;
        tell.send(gettid())?;
        // It ends with an error, when nobody can send any more.
        let _ = may_go.recv();
        Ok(())
    });
    let failed = "the thread in another network";
    let id = told.recv().context(failed)?;
    vm.sh(&format!("ip link set {} netns {id}", device.name()))?;
    told.recv().context(failed)?;
    Ok((go, waiter))
}

/// Brings a device up that was moved, and sends by it.
fn use_it_there(device: &NetDevice) -> Result {
    device.set_up(true)?;
    let socket = PacketSocket::of(device.index()?)?;
    let frame = frame_of(100, 1);
    socket.send(&frame)?;
    // The kernel sends, too.
    while socket.receive()? != (BROADCAST, frame.clone()) {}
    Ok(())
}

/// It goes down for that. When its network ends, it comes back.
fn moves_between_networks(vm: &mut Vm) -> Result {
    for _ in 0..vm.fewer(15) {
        let (module, control, device) = load_with_device(vm)?;
        let (go, waiter) = to_another_network(vm, &device, use_it_there)?;
        assert!(!NetDevice::exists(device.name()));
        assert_eq!([control.get(OPENS), control.get(STOPS)], [2, 1]);
        assert!(own_counts(&control)?.tx_packets > 0);
        drop(go);
        waiter.end()??;
        eventually("its return", || device.index().is_ok())?;
        assert_eq!(control.get(STOPS), 2);
        use_it_there(&device)?;
        end(vm, module, control)?;
    }
    Ok(())
}

fn goes_while_it_is_elsewhere(vm: &mut Vm) -> Result {
    for round in 0..vm.fewer(15) {
        let (module, control, device) = load_with_device(vm)?;
        let (go, waiter) = to_another_network(vm, &device, use_it_there)?;
        // The network may be going just now.
        match round % 3 {
            0 => end(vm, module, control)?,
            1 => {
                control.call(DROP, MAIN)?;
                end(vm, module, control)?;
            }
            _ => {
                drop(go);
                end(vm, module, control)?;
                waiter.end()??;
                continue;
            }
        }
        drop(go);
        waiter.end()??;
    }
    Ok(())
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        assert_eq!(vm.load_fails("netdevs", "early fail")?, Errno::NODEV);
        Ok(())
    })?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

/// Nothing of what user space does with it keeps the module.
fn a_failing_init_while_it_is_used(vm: &mut Vm) -> Result {
    for _ in 0..vm.fewer(15) {
        let load = Waiter::begin(|| Module::load("netdevs", "early wait fail").map(drop));
        eventually("the device", || NetDevice::open(name(MAIN)).is_ok())?;
        let device = NetDevice::open(name(MAIN))?;
        device.set_up(true)?;
        vm.sh(&format!("ip address add 10.79.0.1/24 dev {}", name(MAIN)))?;
        let index = device.index()?;
        let socket = PacketSocket::of(index)?;
        while_others(
            2,
            || try_to_send(index, false),
            || {
                let wait = "/sys/module/netdevs/parameters/wait";
                // The file comes a little before init runs.
                eventually("the parameter", || fs::write(wait, "0").is_ok())?;
                eventually("its end", || !NetDevice::exists(name(MAIN)))
            },
        )?;
        let error = load.end()?.unwrap_err();
        assert_eq!(errno(&error), Some(Errno::NODEV));
        assert_eq!(socket.send(&frame_of(60, 1)), Err(Errno::NXIO));
    }
    Ok(())
}

/// Nothing is done for it then, by a thread that still can.
fn a_lost_device_goes(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        vm.log().mark()?;
        let module = vm.load_with("netdevs", "lose")?;
        let device = NetDevice::open(name(MAIN))?;
        device.set_up(true)?;
        try_to_send(device.index()?, false)?;
        module.unload()?;
        assert!(!NetDevice::exists(name(MAIN)));
        vm.log().expect("netdevs: not dropped: 1 threads; ")?;
        vm.log().expect("netdevs: not dropped: 1 net devices; ")?;
        vm.log().expect("netdevs: uses end: errno 19")?; // ENODEV
    }
    vm.forgive_leaks();
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        let (module, control, _device) = load_with_device(vm)?;
        end(vm, module, control)
    })
}
