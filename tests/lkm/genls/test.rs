// SPDX-License-Identifier: GPL-2.0-only

use rustix::{
    process::{Signal, getpid, kill_process},
    thread::{CapabilitySet, capabilities, set_capabilities},
};

use crate::{
    netlink::{
        self, CONTROLLER, DUMP, FAMILY_ID, FAMILY_NAME, Family, GETPOLICY, Message, NEWFAMILY,
        Netlink, Received, Refusal, Request,
    },
    prelude::*,
    signals::{Reaction, react},
};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        // Its sockets are to be there before there are so many groups.
        families_with_many_groups,
        families_of_all_kinds,
        attributes_get_there_and_back,
        bad_attributes_are_refused,
        bad_headers_are_refused,
        errors_are_those_of_the_handler,
        a_refusal_has_a_text,
        answers_of_all_sorts,
        some_commands_are_not_for_all,
        groups_are_told,
        who_has_no_room_misses_it,
        senders_may_get_to_know_that,
        names_that_cannot_be,
        handlers_run_at_the_same_time,
        a_signal_ends_a_wait,
        dropping_it_waits,
        unloading_it_waits,
        a_handler_may_drop_its_family,
        a_handler_may_drop_another,
        two_may_drop_each_other,
        makes_no_family_in_a_handler,
        handles_are_dropped_in_softirqs,
        all_send_while_it_comes_and_goes,
        shows_no_policy,
        nobody_has_it_after_its_end,
        a_failing_init_ends,
        a_failing_init_waits_for_handlers,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

/// Where the first attribute of a request begins.
const FIRST: u32 = 20;

fn name(kind: usize) -> String {
    format!("genls-{kind}")
}

/// Who talks to a family.
struct Client {
    socket: Netlink,
    family: Family,
}

impl Client {
    fn open(kind: usize) -> Result<Self> {
        let socket = Netlink::open()?;
        let family = socket.family(&name(kind))?;
        Ok(Self { socket, family })
    }

    /// A request without attributes.
    fn ask(&self, command: u8) -> Request {
        Request::new(self.family.id, command)
    }

    fn call(&self, request: &Request) -> Result<Vec<Message>, Refusal> {
        self.socket.call(request)
    }

    /// Why a request is refused, as it must be.
    fn refused(&self, request: &Request) -> Refusal {
        match self.call(request) {
            Ok(messages) => panic!("{request:?}: {messages:?}"),
            Err(refusal) => refusal,
        }
    }

    /// Gives a command a number, and returns the number in the answer.
    fn number(&self, command: u8, number: usize) -> Result<usize, Refusal> {
        let messages = self.call(&self.ask(command).u32(NUMBER, number as u32))?;
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].command, command);
        Ok(messages[0].u32(NUMBER).unwrap() as usize)
    }

    /// Begins a thread that waits in a command.
    fn wait(self, command: u8) -> Result<Waiter<Result<Vec<Message>, Refusal>>> {
        Waiter::begin_in(netlink::SEND, move || {
            let _mask = signals::unblock(Signal::USR1);
            self.call(&self.ask(command))
        })
    }
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("genls")?;
    Ok((module, Control::open("/proc/genls")?))
}

fn load_with(vm: &mut Vm, kind: usize) -> Result<(Module, Control)> {
    let (module, control) = load(vm)?;
    control.call(MAKE, kind)?;
    Ok((module, control))
}

fn set(parameter: &str, value: u8) -> Result {
    let path = format!("/sys/module/genls/parameters/{parameter}");
    Ok(fs::write(path, value.to_string())?)
}

fn is_there(kind: usize) -> Result<bool> {
    match Netlink::open()?.family(&name(kind)) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == Errno::NOENT => Ok(false),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Waits until there is no such family.
fn goes(kind: usize) -> Result {
    eventually("its end", || is_there(kind).is_ok_and(|is| !is))
}

/// Nothing was as it must not be, the commands have ended, and there are so many families.
fn all_is_well(control: &Control, living: usize) {
    assert_eq!(control.get(WRONG), 0);
    assert_eq!(control.get(RUNNING), 0);
    assert_eq!(control.get(LIVING), living);
}

/// What has come to a socket, without waiting. Some may be lost.
fn come(socket: &Netlink) -> Result<Vec<Received>> {
    let mut all = Vec::new();
    loop {
        match socket.try_receive() {
            Ok(some) => all.extend(some),
            Err(Errno::NOBUFS) => {}
            Err(Errno::AGAIN) => return Ok(all),
            Err(error) => bail!("{error}"),
        }
    }
}

/// The kernel tells of them, and who has joined another group, when there were less, stays
/// in that when they go.
fn families_with_many_groups(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let controller = Netlink::open()?.family("nlctrl")?;
    let [(group, notify)] = controller.groups.as_slice() else {
        bail!("{:?}", controller.groups);
    };
    assert_eq!(group, "notify");
    let open = |_| Netlink::open();
    let sockets: Vec<_> = (0..16).map(open).collect::<Result<_, _>>()?;
    // One after the other, so that what the kernel has for them is in one place.
    for socket in &sockets {
        socket.join(*notify)?;
    }
    for _ in 0..3 {
        for kind in [MANY, MORE] {
            control.call(MAKE, kind)?;
        }
        let listeners = [MANY, MORE].map(|kind| -> Result<_> {
            let client = Client::open(kind)?;
            let groups = &client.family.groups;
            let names = groups.iter().map(|(name, _)| name.as_str());
            assert!(names.eq(MANY_GROUPS.iter().map(|name| name.to_str().unwrap())));
            let (_, last) = groups[MANY_GROUPS.len() - 1];
            assert!(last > 64);
            client.socket.join(last)?;
            Ok((kind, client))
        });
        for listener in listeners {
            let (kind, listener) = listener?;
            // It can send to them as long as it is there.
            set("hold", 1)?;
            let waiter = Client::open(kind)?.wait(DO_LAST)?;
            eventually("the command", || control.get(RUNNING) == 1)?;
            let dropper = control.caller(DROP, kind)?;
            dropper.sleeps()?;
            set("hold", 0)?;
            assert_eq!(waiter.end()??.len(), 1);
            assert_eq!(dropper.end()?, Ok(0));
            assert!(!is_there(kind)?);
            let message = listener.socket.next()?;
            assert_eq!(message.family, listener.family.id);
            assert_eq!(message.command, DO_SEND);
            assert_eq!(message.u32(NUMBER), Some(MANY_GROUPS.len() as u32 - 1));
        }
        for socket in &sockets {
            come(socket)?;
        }
    }
    control.call(MAKE, ALL)?;
    for (n, socket) in sockets.iter().enumerate() {
        let is_new = |received: &Received| match received {
            Received::Message(message) => {
                message.family == CONTROLLER
                    && message.command == NEWFAMILY
                    && message.text(FAMILY_NAME) == Some(name(ALL).as_str())
            }
            Received::Answer(..) => false,
        };
        assert!(come(socket)?.iter().any(is_new), "{n}");
    }
    all_is_well(&control, 1);
    drop((sockets, control));
    module.unload()
}

fn families_of_all_kinds(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let kinds = [
        (ALL, VERSION, GROUPS.len()),
        (OTHER, VERSION, GROUPS.len()),
        (BARE, 1, 0),
        (WIDE, 1, 0),
    ];
    for (kind, version, groups) in kinds {
        assert!(!is_there(kind)?);
        control.call(MAKE, kind)?;
        let client = Client::open(kind)?;
        assert_eq!(client.family.version, u32::from(version));
        let names = client.family.groups.iter().map(|(name, _)| name.as_str());
        assert!(names.eq(GROUPS[..groups].iter().map(|name| name.to_str().unwrap())));
        let messages = client.call(&client.ask(DO_LAST))?;
        let [message] = messages.as_slice() else {
            bail!("{messages:?}");
        };
        assert_eq!(message.family, client.family.id);
        assert_eq!(message.command, DO_LAST);
        assert_eq!(message.attributes, []);
        for command in [0, DO_LAST - 1, u8::MAX] {
            let refusal = client.refused(&client.ask(command));
            assert_eq!(refusal.errno, Errno::OPNOTSUPP, "{command}");
        }
    }
    all_is_well(&control, 3);
    for (kind, ..) in kinds {
        control.call(DROP, kind)?;
        assert!(!is_there(kind)?);
    }
    all_is_well(&control, 0);
    drop(control);
    module.unload()
}

fn attributes_get_there_and_back(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    let text = [vec![b'x'; MOST_TEXT.into()], vec![0]].concat();
    let bytes = vec![0xa5; MOST_BYTES.into()];
    let (zero, most) = (
        0_u32.to_ne_bytes().to_vec(),
        u32::MAX.to_ne_bytes().to_vec(),
    );
    for attributes in [
        vec![(TEXT, vec![0])],
        vec![(TEXT, text.clone())],
        vec![(NUMBER, zero.clone())],
        vec![(NUMBER, most.clone())],
        vec![(BYTES, vec![])],
        vec![(BYTES, vec![0])],
        vec![(BYTES, bytes.clone())],
        vec![(LAST, most.clone())],
        vec![(TEXT, text), (NUMBER, zero), (BYTES, bytes), (LAST, most)],
    ] {
        // In whatever order.
        let all = attributes.iter().rev();
        let request = all.fold(client.ask(DO_ECHO), |request, (number, bytes)| {
            request.bytes(*number, bytes)
        });
        let mut messages = client.call(&request)?;
        assert_eq!(messages.len(), 1);
        messages[0].attributes.sort();
        let expected: Vec<_> = attributes
            .into_iter()
            .map(|(number, bytes)| (u16::from(number), bytes))
            .collect();
        assert_eq!(messages[0].attributes, expected);
    }
    // The last of several is taken, and of a text what is before the first NUL.
    let request = client.ask(DO_ECHO).u32(NUMBER, 1).u32(NUMBER, 2);
    let messages = client.call(&request.bytes(TEXT, b"ab\0cd\0"))?;
    assert_eq!(messages[0].u32(NUMBER), Some(2));
    assert_eq!(messages[0].text(TEXT), Some("ab"));
    all_is_well(&control, 1);
    Ok(())
}

/// Before they get to the handler. The answer says which it is.
fn bad_attributes_are_refused(vm: &mut Vm) -> Result {
    const NESTED: u16 = 0x8000;
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    let ask = || client.ask(DO_ECHO);
    let too_long = "x".repeat(usize::from(MOST_TEXT) + 1);
    // A NUL that comes in time, and bytes after that.
    let ended = [b"a\0".as_slice(), too_long.as_bytes()].concat();
    let too_many = vec![0; usize::from(MOST_BYTES) + 1];
    for (request, errno) in [
        (ask().bytes(NUMBER, &[]), Errno::INVAL),
        (ask().bytes(NUMBER, &[0; 3]), Errno::INVAL),
        (ask().bytes(NUMBER, &[0; 5]), Errno::INVAL),
        (ask().bytes(TEXT, &[]), Errno::INVAL),
        (ask().bytes(TEXT, b"text"), Errno::INVAL),
        (ask().string(TEXT, &too_long), Errno::INVAL),
        (ask().bytes(TEXT, &ended), Errno::RANGE),
        (ask().bytes(BYTES, &too_many), Errno::RANGE),
        (ask().u32(0_u8, 1), Errno::INVAL),
        (ask().u32(BYTES + 1, 1), Errno::INVAL),
        (ask().u32(LAST - 1, 1), Errno::INVAL),
        (ask().u32(LAST + 1, 1), Errno::INVAL),
        (ask().u32(0x3fff_u16, 1), Errno::INVAL),
        (ask().u32(NESTED | u16::from(NUMBER), 1), Errno::INVAL),
    ] {
        let refusal = client.refused(&request);
        assert_eq!(refusal.errno, errno, "{request:?}");
        assert_eq!(refusal.at, Some(FIRST), "{request:?}");
        assert!(refusal.text.is_some(), "{request:?}");
    }
    let second = ask().string(TEXT, "abc").bytes(NUMBER, &[1]);
    assert_eq!(client.refused(&second).at, Some(FIRST + 8));
    // Bytes that are no attribute: too few, and one that says it has more than there are.
    for garbage in [&[1, 2, 3][..], &[100, 0, 1, 0, 0, 0, 0, 0]] {
        let refusal = client.refused(&ask().garbage(garbage));
        assert_eq!((refusal.errno, refusal.at), (Errno::INVAL, None));
    }
    all_is_well(&control, 1);
    Ok(())
}

fn bad_headers_are_refused(vm: &mut Vm) -> Result {
    const ECHO: u16 = 8;
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    let mut request = client.ask(DO_ECHO);
    let good = request.flags;
    for flag in [2, 0x10, 0x20, 0x100, 0x200, 0x400, 0x800, 0x8000] {
        request.flags = good | flag;
        assert_eq!(client.refused(&request).errno, Errno::INVAL, "{flag:#x}");
    }
    request.flags = good | DUMP;
    assert_eq!(client.refused(&request).errno, Errno::OPNOTSUPP);
    request.flags = good | ECHO;
    client.call(&request)?;
    request.reserved = 1;
    let refusal = client.refused(&request);
    assert_eq!(refusal.errno, Errno::INVAL);
    assert!(refusal.text.is_some_and(|text| text.contains("reserved")));
    all_is_well(&control, 1);
    Ok(())
}

/// Each is answered. Of an `EINTR` netlink would tell nobody.
fn errors_are_those_of_the_handler(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    for errno in 1..4096 {
        let expected = match errno {
            // EINTR, ERESTARTSYS and its like: EAGAIN.
            4 | 512..=514 | 516 => 11,
            // ENOIOCTLCMD: ENOTTY.
            515 => 25,
            // ENOTSUPP: EOPNOTSUPP.
            524 => 95,
            512.. => 5,
            _ => errno,
        };
        let refusal = client.refused(&client.ask(DO_FAIL).u32(NUMBER, errno as u32));
        assert_eq!(refusal.errno.raw_os_error(), expected, "{errno}");
        assert_eq!(refusal.text, None);
    }
    all_is_well(&control, 1);
    Ok(())
}

fn a_refusal_has_a_text(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    let text = "x".repeat(300);
    // Of two bytes each.
    let letters = "ü".repeat(100);
    for (text, expected) in [
        ("no", "no"),
        ("", ""),
        ("100 %s %n %d", "100 %s %n %d"),
        ("a\0b", "a"),
        (&text[..79], &text[..79]),
        (&text[..80], &text[..79]),
        (&text[..], &text[..79]),
        (&letters[..], &letters[..78]),
    ] {
        let refusal = client.refused(&client.ask(DO_REFUSE).bytes(BYTES, text.as_bytes()));
        assert_eq!(refusal.errno, Errno::PERM);
        assert_eq!(refusal.text.as_deref(), Some(expected));
    }
    all_is_well(&control, 1);
    Ok(())
}

fn answers_of_all_sorts(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    let numbers = |command| -> Result<Vec<_>> {
        let messages = client.call(&client.ask(command))?;
        let number = |message: &Message| (message.command, message.u32(NUMBER));
        Ok(messages.iter().map(number).collect())
    };
    assert_eq!(numbers(DO_TWO)?, [(DO_TWO, Some(1)), (DO_TWO, Some(2))]);
    assert_eq!(numbers(DO_SWAP)?, [(DO_SWAP, Some(1)), (DO_ECHO, Some(2))]);
    assert_eq!(numbers(DO_WAIT)?, []);
    let refusal = client.refused(&client.ask(DO_BIG));
    assert_eq!(refusal.errno, Errno::MSGSIZE);
    all_is_well(&control, 1);
    Ok(())
}

fn some_commands_are_not_for_all(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    client.call(&client.ask(DO_ADMIN))?;
    // Of a thread each has its own.
    let user = Waiter::begin(move || -> Result {
        let mut sets = capabilities(None)?;
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets)?;
        // One that was opened before is of no use to it.
        for client in [client, Client::open(ALL)?] {
            let refusal = client.refused(&client.ask(DO_ADMIN));
            ensure!(refusal.errno == Errno::PERM, "{refusal}");
            client.call(&client.ask(DO_ECHO))?;
        }
        Ok(())
    });
    user.end()??;
    all_is_well(&control, 1);
    Ok(())
}

/// A client that has joined the group with that place.
fn listener(group: usize) -> Result<Client> {
    let client = Client::open(ALL)?;
    client.socket.join(client.family.groups[group].1)?;
    Ok(client)
}

fn groups_are_told(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    let send = |group| -> Result<[usize; 2]> {
        Ok([control.call(SEND, group)?, client.number(DO_SEND, group)?])
    };
    for group in [0, 1] {
        assert_eq!(send(group)?, [0, 0]);
    }
    for group in [2, 3, 255] {
        assert_eq!(control.call(SEND, group), Err(Errno::INVAL));
        let request = client.ask(DO_SEND).u32(NUMBER, group as u32);
        assert_eq!(client.refused(&request).errno, Errno::INVAL);
    }
    let listeners = [listener(0)?, listener(1)?, listener(1)?];
    for group in [0, 1, 0] {
        assert_eq!(send(group)?, [1, 1]);
        for (n, listener) in listeners.iter().enumerate() {
            if n.min(1) == group {
                for _ in 0..2 {
                    let message = listener.socket.next()?;
                    assert_eq!((message.command, message.sequence), (DO_SEND, 0));
                    assert_eq!(message.u32(NUMBER), Some(group as u32));
                }
            }
            assert_eq!(listener.socket.try_receive(), Err(Errno::AGAIN));
        }
    }
    drop(listeners);
    assert_eq!(send(1)?, [0, 0]);
    all_is_well(&control, 1);
    Ok(())
}

/// And gets to know that. Others do not suffer.
fn who_has_no_room_misses_it(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let full = listener(0)?;
    full.socket.have_little_room()?;
    eventually("that there is no room", || control.call(SEND, 0) == Ok(0))?;
    let listener = listener(0)?;
    for _ in 0..10 {
        assert_eq!(control.call(SEND, 0), Ok(1));
        listener.socket.next()?;
    }
    let error = loop {
        if let Err(error) = full.socket.try_receive() {
            break error;
        }
    };
    assert_eq!(error, Errno::NOBUFS);
    all_is_well(&control, 1);
    Ok(())
}

/// If somebody wants that. Others get it all the same.
fn senders_may_get_to_know_that(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let full = listener(0)?;
    full.socket.have_little_room()?;
    full.socket.have_senders_know()?;
    let send = || control.call(SEND, 0);
    eventually("that there is no room", || send() == Err(Errno::NOBUFS))?;
    let listener = listener(0)?;
    let client = Client::open(ALL)?;
    let request = client.ask(DO_SEND).u32(NUMBER, 0);
    for _ in 0..10 {
        assert_eq!(send(), Err(Errno::NOBUFS));
        listener.socket.next()?;
        assert_eq!(client.refused(&request).errno, Errno::NOBUFS);
        listener.socket.next()?;
    }
    drop(full);
    assert_eq!(send(), Ok(1));
    all_is_well(&control, 1);
    Ok(())
}

/// Some of them would stop the kernel.
fn names_that_cannot_be(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    vm.rounds(|_| {
        for (n, name) in NAMES.iter().enumerate() {
            let expected = match n {
                0..6 => Err(Errno::INVAL),
                6 | 7 => Err(Errno::EXIST),
                _ => Ok(0),
            };
            assert_eq!(control.call(TRY_NAME, n), expected, "{name:?}");
        }
        Ok(())
    })?;
    all_is_well(&control, 1);
    Ok(())
}

fn handlers_run_at_the_same_time(vm: &mut Vm) -> Result {
    /// More than there are places for in a table.
    const TASKS: usize = 66;
    let (_module, control) = load_with(vm, ALL)?;
    control.call(MAKE, OTHER)?;
    set("hold", 1)?;
    let mut waiters = Vec::new();
    for n in 0..TASKS {
        waiters.push(Client::open([ALL, OTHER][n % 2])?.wait(DO_WAIT)?);
    }
    eventually("all of them", || control.get(RUNNING) == TASKS)?;
    // Others are not held up.
    let client = Client::open(ALL)?;
    client.call(&client.ask(DO_ECHO))?;
    // Nobody knows whether this is in one of them.
    let index = NAMES.len() - 1;
    assert_eq!(control.call(TRY_NAME, index), Err(Errno::DEADLK));
    set("hold", 0)?;
    for waiter in waiters {
        assert_eq!(waiter.end()??, []);
    }
    assert_eq!(control.call(TRY_NAME, index), Ok(0));
    all_is_well(&control, 2);
    Ok(())
}

fn a_signal_ends_a_wait(vm: &mut Vm) -> Result {
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let (module, control) = load_with(vm, ALL)?;
    let waiter = Client::open(ALL)?.wait(DO_SLEEP)?;
    waiter.sleeps()?;
    kill_process(getpid(), Signal::USR1)?;
    let refusal = waiter.end()?.unwrap_err();
    assert_eq!(refusal.errno, Errno::AGAIN);
    all_is_well(&control, 1);
    drop(control);
    module.unload()
}

fn dropping_it_waits(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    control.call(MAKE, OTHER)?;
    // For a command of another family, too.
    for kind in [ALL, OTHER] {
        set("hold", 1)?;
        let waiter = Client::open(OTHER)?.wait(DO_WAIT)?;
        eventually("the command", || control.get(RUNNING) == 1)?;
        let living = control.get(LIVING);
        let dropper = control.caller(DROP, kind)?;
        dropper.sleeps()?;
        assert_eq!(control.get(LIVING), living);
        set("hold", 0)?;
        assert_eq!(waiter.end()??, []);
        assert_eq!(dropper.end()?, Ok(0));
        assert!(!is_there(kind)?);
    }
    all_is_well(&control, 0);
    drop(control);
    module.unload()
}

fn unloading_it_waits(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, ALL)?;
    set("hold", 1)?;
    let waiter = Client::open(ALL)?.wait(DO_WAIT)?;
    eventually("the command", || control.get(RUNNING) == 1)?;
    drop(control);
    let unload = Waiter::begin(move || module.unload());
    unload.sleeps()?;
    assert!(!unload.has_ended() && !waiter.has_ended());
    set("hold", 0)?;
    assert_eq!(waiter.end()??, []);
    unload.end()??;
    assert!(!is_there(ALL)?);
    Ok(())
}

/// Which goes on, and is waited for by somebody else.
fn a_handler_may_drop_its_family(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        let client = Client::open(ALL)?;
        assert_eq!(client.number(DO_DROP, ALL)?, ALL);
        goes(ALL)?;
        eventually("its end", || control.get(LIVING) == 0)?;
        all_is_well(&control, 0);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("genls")?, [""; 0]);
        Ok(())
    })
}

fn a_handler_may_drop_another(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        control.call(MAKE, OTHER)?;
        let client = Client::open(ALL)?;
        assert_eq!(client.number(DO_DROP, OTHER)?, OTHER);
        goes(OTHER)?;
        client.call(&client.ask(DO_ECHO))?;
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("genls")?, [""; 0]);
        Ok(())
    })
}

fn two_may_drop_each_other(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        control.call(MAKE, OTHER)?;
        on_threads(2, |n| {
            let kind = n as usize;
            // The other one may be faster.
            if let Ok(client) = Client::open(kind) {
                let _ = client.number(DO_DROP, 1 - kind);
            }
            Ok(())
        })?;
        eventually("the end of one", || control.get(LIVING) <= 1)?;
        assert_eq!(control.get(WRONG), 0);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("genls")?, [""; 0]);
        Ok(())
    })
}

/// It would wait for a lock that its own task has.
fn makes_no_family_in_a_handler(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    let deadlock = Errno::DEADLK.raw_os_error() as usize;
    for _ in 0..3 {
        assert_eq!(client.number(DO_MAKE, 0)?, deadlock);
    }
    // Elsewhere it can be made.
    assert_eq!(control.call(TRY_NAME, NAMES.len() - 1), Ok(0));
    all_is_well(&control, 1);
    Ok(())
}

fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        let listener = listener(0)?;
        control.call(DROP_IN_SOFTIRQ, ALL)?;
        goes(ALL)?;
        eventually("its end", || control.get(LIVING) == 0)?;
        drop((listener, control));
        module.unload()
    })
}

fn all_send_while_it_comes_and_goes(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let same = control.clone();
    let send = move || -> Result {
        for group in [0, 1] {
            match same.call(SEND, group) {
                // Between two families there is none.
                Ok(_) | Err(Errno::NOENT) => {}
                Err(error) => bail!("{error}"),
            }
        }
        Ok(())
    };
    while_others(3, send, || {
        for _ in 0..vm.fewer(100) {
            control.call(MAKE, ALL)?;
            let listener = listener(0)?;
            match listener.socket.next() {
                // Who is slow misses some.
                Ok(_) | Err(Errno::NOBUFS) => {}
                Err(error) => bail!("{error}"),
            }
            let client = Client::open(ALL)?;
            client.call(&client.ask(DO_ECHO))?;
            control.call(DROP, ALL)?;
            // Who was sending may have had it a little longer.
            goes(ALL)?;
        }
        Ok(())
    })?;
    all_is_well(&control, 0);
    drop(control);
    module.unload()
}

/// A request for the policies of a family.
fn policies() -> Request {
    let mut request = Request::new(CONTROLLER, GETPOLICY);
    request.flags |= DUMP;
    request
}

/// The kernel would have pointers to it as long as a process likes.
fn shows_no_policy(vm: &mut Vm) -> Result {
    /// Which command it is about.
    const OP: u16 = 10;
    let (_module, control) = load_with(vm, ALL)?;
    let client = Client::open(ALL)?;
    // Of others it does.
    let messages = client.call(&policies().string(FAMILY_NAME, "nlctrl"))?;
    assert!(!messages.is_empty());
    let id = client.family.id.to_ne_bytes();
    for request in [
        policies().bytes(FAMILY_ID, &id),
        policies().string(FAMILY_NAME, &name(ALL)),
        policies().bytes(FAMILY_ID, &id).u32(OP, DO_ECHO.into()),
        policies().bytes(FAMILY_ID, &id).u32(OP, DO_LAST.into()),
    ] {
        let refusal = client.refused(&request);
        assert_eq!(refusal.errno, Errno::NODATA, "{request:?}");
    }
    all_is_well(&control, 1);
    Ok(())
}

/// Not for a process that has asked for its policies, and has no room for the answer yet.
fn nobody_has_it_after_its_end(vm: &mut Vm) -> Result {
    vm.many_rounds(10, |vm| {
        let (module, control) = load_with(vm, ALL)?;
        let client = Client::open(ALL)?;
        client.socket.have_little_room()?;
        let id = client.family.id.to_ne_bytes();
        for _ in 0..50 {
            client
                .socket
                .send(&client.ask(DO_ECHO).bytes(BYTES, &[0; 300]))?;
        }
        client.socket.send(&policies().bytes(FAMILY_ID, &id))?;
        drop(control);
        module.unload()?;
        loop {
            match client.socket.try_receive() {
                Ok(_) | Err(Errno::NOBUFS) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => bail!("{error}"),
            }
        }
    })
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        assert_eq!(vm.load_fails("genls", "early fail")?, Errno::NODEV);
        assert!(!is_there(ALL)?);
        Ok(())
    })?;
    vm.forgive_leaks();
    assert_eq!(vm.load_fails("genls", "early forget fail")?, Errno::NODEV);
    assert!(!is_there(ALL)?);
    vm.log()
        .expect("genls: not dropped: 1 generic netlink families")?;
    Ok(())
}

/// The kernel would free the module all the same.
fn a_failing_init_waits_for_handlers(vm: &mut Vm) -> Result {
    let load = Waiter::begin(|| Module::load("genls", "early wait hold fail").map(drop));
    eventually("the family", || is_there(ALL).is_ok_and(|is| is))?;
    let waiter = Client::open(ALL)?.wait(DO_WAIT)?;
    vm.log().expect("genls: waits")?;
    set("wait", 0)?;
    thread::sleep(Duration::from_millis(300));
    assert!(!load.has_ended() && !waiter.has_ended());
    set("hold", 0)?;
    assert_eq!(waiter.end()??, []);
    let error = load.end()?.unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NODEV));
    assert!(!is_there(ALL)?);
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, ALL)?;
        control.call(MAKE, OTHER)?;
        drop(control);
        module.unload()
    })
}
