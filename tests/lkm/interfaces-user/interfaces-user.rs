// SPDX-License-Identifier: GPL-2.0-only

//! Test only: calls the module `interfaces`, and is called by it.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
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
        Opened,
        Operations, //
    },
    interface::Object,
    procfs,
};

#[path = "../interfaces/api.rs"]
mod api;
#[path = "../interfaces/commands.rs"]
#[allow(dead_code)]
mod commands;
mod outdated;

use api::{
    Guest,
    Hall, //
};
use commands::*;

module! {
    type: User,
    name: "interfaces-user",
    authors: ["lkmpg-rs"],
    description: "Test only: calls another module, and is called by it",
    license: "GPL",
}

lkm::params! {
    form: u32 {
        default: 0,
        mode: 0,
        description: "Calls the other module by another form of its interface",
    },
    lose: bool { default: false, mode: 0, description: "Whether the guest is lost" },
    fail: bool { default: false, mode: 0, description: "Whether init fails in the end" },
}

lkm::import! {
    static HALL: dyn Hall = interfaces_hall;
}

/// Who is held, and whether they may go on.
struct Held {
    held: Atomic<u32>,
    goes_on: Atomic<u32>,
}

struct Polite(Arc<Held>);

impl Guest for Polite {
    fn greet(&self, name: &str, text: &mut [u8]) -> Result<usize> {
        const HELLO: &[u8] = b"hello, ";
        let len = HELLO.len() + name.len();
        let place = text.get_mut(..len).ok_or(EOVERFLOW)?;
        place[..HELLO.len()].copy_from_slice(HELLO);
        place[HELLO.len()..].copy_from_slice(name.as_bytes());
        Ok(len)
    }

    fn hold(&self) -> Result<()> {
        self.0.held.fetch_add(1, Relaxed);
        while self.0.goes_on.load(Relaxed) == 0 {
            fsleep(Delta::from_millis(1));
        }
        self.0.held.fetch_add(u32::MAX, Relaxed);
        Ok(())
    }
}

/// A guest of which there is nothing.
struct Nobody;

impl Guest for Nobody {
    fn greet(&self, _name: &str, _text: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn hold(&self) -> Result<()> {
        Err(EPERM)
    }
}

fn expect(what: &str, is_so: bool) -> Result {
    match is_so {
        true => Ok(()),
        false => {
            pr_err!("{what} is wrong\n");
            Err(EIO)
        }
    }
}

/// Calls all methods of the other module.
fn call() -> Result {
    HALL.check()?;
    HALL.nothing()?;
    expect("small", HALL.small(-128, 255, -32768, 65535) == Ok(32894))?;
    let big = HALL.big(i32::MIN, u32::MAX, -5, 7, isize::MIN / 2, usize::MAX / 4);
    expect("big", big == Ok(i64::from(i32::MAX) - 5 + 7 - 1))?;
    expect(
        "not",
        HALL.not(true) == Ok(false) && HALL.not(false) == Ok(true),
    )?;
    expect(
        "len",
        HALL.len(b"") == Ok(0) && HALL.len(&[0; 100]) == Ok(100),
    )?;
    let mut bytes = *b"abcde";
    HALL.reverse(&mut bytes[1..])?;
    expect("reverse", &bytes == b"aedcb")?;
    expect("fail", HALL.fail(34) == Err(ERANGE))?;

    // An object that goes when the last call is over, and none sooner.
    let nobody = Object::<dyn Guest, _>::new(Nobody)?;
    let before = HALL.guest().ok();
    HALL.enter(nobody.remote())?;
    let remote = HALL.guest()?;
    expect("nobody", remote.hold() == Err(EPERM) && !remote.is_gone())?;
    drop(nobody);
    expect("gone", remote.hold() == Err(ENODEV) && remote.is_gone())?;
    if let Some(before) = before {
        HALL.enter(before)?;
    }
    Ok(())
}

struct Control(Arc<Held>);

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, _arg: Argument) -> Result<u32> {
        match cmd {
            GO_ON => self.0.goes_on.store(1, Relaxed),
            HELD => return Ok(self.0.held.load(Relaxed)),
            CALL => call()?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct User {
    // Dropped first: this waits until nobody is held.
    _guest: Option<Object<dyn Guest, Polite>>,
    _control: procfs::Entry<Control>,
}

impl kernel::Module for User {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        if form.get() != 0 {
            if form.get() > outdated::FORMS {
                return Err(ERANGE);
            }
            // Nothing is called, or this is not the error.
            outdated::call(form.get())?;
            return Err(EDOM);
        }
        call()?;
        let held = Held {
            held: Atomic::new(0),
            goes_on: Atomic::new(0),
        };
        let held = Arc::new(held, GFP_KERNEL)?;
        let guest = Object::<dyn Guest, _>::new(Polite(held.clone()))?;
        HALL.enter(guest.remote())?;
        let mut guest = Some(guest);
        if lose.get() {
            core::mem::forget(guest.take());
        }
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self {
            _guest: guest,
            _control: procfs::Entry::new(c"interfaces-user", mode!(0o600), Control(held))?,
        })
    }
}
