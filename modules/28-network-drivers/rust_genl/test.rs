// SPDX-License-Identifier: GPL-2.0-only

use std::collections::BTreeSet;

use crate::{
    netlink::{DUMP, Family, Message, Netlink, Refusal, Request},
    prelude::*,
};

pub const EXAMPLE: Example = Example {
    demo: &[
        "genl_client listen 2 >/tmp/said & \
         until grep -qs Listening /tmp/said; do sleep 1; done; \
         genl_client say hello; genl_client say again; wait; cat /tmp/said; rm /tmp/said",
        "genl_client say 'what has more than the sixty-three bytes that there are for text' || :",
    ],
    tests: tests![
        sends_back_what_it_is_told,
        tells_all_who_listen,
        who_does_not_read_is_no_trouble,
        a_text_is_needed,
        what_it_does_not_know_is_refused,
        many_ask_at_once,
        the_client_talks,
        sockets_do_not_keep_it,
        unloading_while_it_is_asked,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const NAME: &str = "rust_genl";
const ECHO: u8 = 1;
const TEXT: u16 = 1;
const COUNT: u16 = 2;
const LONGEST: usize = 63;

fn open() -> Result<(Netlink, Family)> {
    let socket = Netlink::open()?;
    let family = socket.family(NAME)?;
    Ok((socket, family))
}

/// A socket that has joined the group.
fn listener() -> Result<(Netlink, u32)> {
    let (socket, family) = open()?;
    let [(name, group)] = family.groups.as_slice() else {
        bail!("{:?}", family.groups);
    };
    assert_eq!(name, "events");
    socket.join(*group)?;
    Ok((socket, *group))
}

/// What the module is to say of a text: as an answer, or to all.
fn is_said(message: &Message, family: &Family, text: &str, count: u32) {
    assert_eq!((message.family, message.command), (family.id, ECHO));
    assert_eq!(message.attributes.len(), 2);
    assert_eq!(message.text(TEXT), Some(text));
    assert_eq!(message.u32(COUNT), Some(count));
}

fn say(socket: &Netlink, family: &Family, text: &str) -> Result<Vec<Message>, Refusal> {
    socket.call(&Request::new(family.id, ECHO).string(TEXT, text))
}

fn sends_back_what_it_is_told(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let (socket, family) = open()?;
    let longest = "x".repeat(LONGEST);
    for (count, text) in (1..).zip(["hello", "", "grüße", &longest]) {
        let said = say(&socket, &family, text)?;
        assert_eq!(said.len(), 1);
        is_said(&said[0], &family, text, count);
    }
    // Who does not ask for it gets no answer besides the message.
    let mut request = Request::new(family.id, ECHO).string(TEXT, "quietly");
    request.flags = 0;
    socket.send(&request)?;
    is_said(&socket.next()?, &family, "quietly", 5);
    assert_eq!(socket.try_receive(), Err(Errno::AGAIN));
    module.unload()
}

fn tells_all_who_listen(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let (socket, family) = open()?;
    let (one, _) = listener()?;
    let (two, group) = listener()?;
    let (left, _) = listener()?;
    left.leave(group)?;
    for (count, text) in (1..).zip(["one", "two"]) {
        say(&socket, &family, text)?;
        for listener in [&one, &two] {
            let message = listener.next()?;
            assert_eq!(message.sequence, 0);
            is_said(&message, &family, text, count);
        }
    }
    // Who asks is not told twice, but as an answer.
    for socket in [&left, &socket] {
        assert_eq!(socket.try_receive(), Err(Errno::AGAIN));
    }
    module.unload()
}

/// Not even one who wants others to know that he has no room.
fn who_does_not_read_is_no_trouble(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let (socket, family) = open()?;
    let (full, _) = listener()?;
    full.have_little_room()?;
    full.have_senders_know()?;
    let text = "x".repeat(LONGEST);
    for count in 1..=100 {
        let said = say(&socket, &family, &text)?;
        is_said(&said[0], &family, &text, count);
    }
    // There was no room for all of it, and some was lost.
    let error = loop {
        if let Err(error) = full.try_receive() {
            break error;
        }
    };
    assert_eq!(error, Errno::NOBUFS);
    module.unload()
}

fn a_text_is_needed(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let (socket, family) = open()?;
    let (listener, _) = listener()?;
    let request = Request::new(family.id, ECHO);
    let refusal = socket.call(&request).unwrap_err();
    assert_eq!(refusal.errno, Errno::INVAL);
    let text = refusal.text.context("no reason")?;
    assert_eq!(text, "there is no text (attribute 1)");
    // Without a NUL, and with one that comes too late.
    let long = "x".repeat(LONGEST + 1);
    for request in [
        request.clone().bytes(TEXT, b"text"),
        request.clone().bytes(TEXT, b""),
        request.clone().string(TEXT, &long),
        request.clone().string(TEXT, &long.repeat(30)),
    ] {
        let refusal = socket.call(&request).unwrap_err();
        assert_eq!(refusal.errno, Errno::INVAL, "{request:?}");
        // The first attribute.
        assert_eq!(refusal.at, Some(20), "{request:?}");
    }
    assert_eq!(listener.try_receive(), Err(Errno::AGAIN));
    is_said(&say(&socket, &family, "a")?[0], &family, "a", 1);
    module.unload()
}

fn what_it_does_not_know_is_refused(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let (socket, family) = open()?;
    let good = Request::new(family.id, ECHO).string(TEXT, "a");
    let mut dump = good.clone();
    dump.flags |= DUMP;
    for (request, errno) in [
        (good.clone().u32(COUNT, 1), Errno::INVAL),
        (
            Request::new(family.id, 0).string(TEXT, "a"),
            Errno::OPNOTSUPP,
        ),
        (
            Request::new(family.id, 2).string(TEXT, "a"),
            Errno::OPNOTSUPP,
        ),
        (dump, Errno::OPNOTSUPP),
    ] {
        let refusal = socket.call(&request).unwrap_err();
        assert_eq!(refusal.errno, errno, "{request:?}");
    }
    is_said(&socket.call(&good)?[0], &family, "a", 1);
    module.unload()
}

/// Each text has a number of its own, and each listener hears of it once.
fn many_ask_at_once(vm: &mut Vm) -> Result {
    const THREADS: u32 = 4;
    let module = vm.load(NAME)?;
    let (listener, _) = listener()?;
    let each = vm.fewer(25);
    let counts = on_threads(THREADS, |thread| {
        let (socket, family) = open()?;
        let mut counts = Vec::new();
        for n in 0..each {
            let text = format!("{thread} {n}");
            let said = say(&socket, &family, &text)?;
            let count = said[0].u32(COUNT).context("no number")?;
            is_said(&said[0], &family, &text, count);
            counts.push((count, text));
        }
        Ok(counts)
    })?;
    let counts: BTreeSet<_> = counts.into_iter().flatten().collect();
    let numbers = counts.iter().map(|(count, _)| *count);
    assert!(numbers.eq(1..=THREADS * each));
    let mut heard = BTreeSet::new();
    for _ in 0..THREADS * each {
        let message = listener.next()?;
        let text = message.text(TEXT).context("no text")?.to_owned();
        heard.insert((message.u32(COUNT).context("no number")?, text));
    }
    assert_eq!(heard, counts);
    module.unload()
}

fn the_client_talks(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    assert_eq!(vm.sh("genl_client say hello")?, "1: hello\n");
    assert_eq!(vm.sh("genl_client say 'hello again'")?, "2: hello again\n");
    let said = vm.sh("genl_client listen 2 >/tmp/said & \
         until grep -q Listening /tmp/said; do sleep 1; done; \
         genl_client say one; genl_client say two; wait; cat /tmp/said; rm /tmp/said")?;
    assert_eq!(said, "3: one\n4: two\nListening.\n3: one\n4: two\n");
    let long = "x".repeat(LONGEST + 1);
    assert!(vm.sh(&format!("genl_client say {long}")).is_err());
    module.unload()?;
    assert!(vm.sh("genl_client say hello").is_err());
    Ok(())
}

/// Neither those that listen nor those with unread answers. Afterwards they are as any other.
fn sockets_do_not_keep_it(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let (socket, family) = open()?;
    let (listener, group) = listener()?;
    let request = Request::new(family.id, ECHO).string(TEXT, "unread");
    socket.send(&request)?;
    module.unload()?;
    assert_eq!(socket.family(NAME).unwrap_err().errno, Errno::NOENT);
    assert_eq!(socket.call(&request).unwrap_err().errno, Errno::NOENT);
    is_said(&listener.next()?, &family, "unread", 1);

    // The new group has the old one's number. Who was in that is not in this.
    let module = vm.load(NAME)?;
    let (other, family) = open()?;
    assert_eq!(family.groups[0].1, group);
    say(&other, &family, "new")?;
    assert_eq!(listener.try_receive(), Err(Errno::AGAIN));
    module.unload()
}

fn unloading_while_it_is_asked(vm: &mut Vm) -> Result {
    let ask = || -> Result {
        let socket = Netlink::open()?;
        // There is one, or there is none.
        let Ok(family) = socket.family(NAME) else {
            return Ok(());
        };
        for _ in 0..10 {
            if let Err(refusal) = say(&socket, &family, "again") {
                ensure!(refusal.errno == Errno::NOENT, "{refusal}");
            }
        }
        Ok(())
    };
    while_others(3, ask, || {
        for _ in 0..vm.fewer(50) {
            let module = vm.load(NAME)?;
            let (socket, family) = open()?;
            say(&socket, &family, "here")?;
            module.unload()?;
        }
        Ok(())
    })
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load(NAME)?;
        let (socket, family) = open()?;
        let (listener, _) = listener()?;
        say(&socket, &family, "a")?;
        module.unload()?;
        drop(listener);
        Ok(())
    })
}
