// SPDX-License-Identifier: GPL-2.0-only

//! Test only: what is written to these files goes to the terminal of who writes it.

use kernel::prelude::*;
use lkm::{
    file::{
        mode,
        File,
        Offset,
        Opened,
        Operations,
        Reader, //
    },
    kthread::KThread,
    miscdevice, procfs,
    tty::CurrentTty,
    workqueue::{
        Flags,
        OwnedQueue, //
    },
};

module! {
    type: Ttys,
    name: "ttys",
    authors: ["lkmpg-rs"],
    description: "Test only: lkm::tty",
    license: "GPL",
}

fn say(what: &str, result: Result<usize>) {
    match result {
        Ok(len) => pr_info!("{what} {len}\n"),
        Err(error) => pr_info!("{what} errno {}\n", -error.to_errno()),
    }
}

/// Writes `text` to the terminal of who is running.
fn write(nonblocking: bool, text: &[u8]) -> Result<usize> {
    let tty = match nonblocking {
        true => CurrentTty::get_nonblocking(),
        false => CurrentTty::get(),
    }?;
    tty.write(text)
}

/// A file that passes on what is written.
struct PassesOn {
    nonblocking: bool,
}

#[vtable]
impl Operations for PassesOn {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let text = src.take(1 << 20)?;
        let result = write(self.nonblocking, &text);
        say("took", result);
        result
    }
}

/// A device that says goodbye to the terminal of who closes it. When a process ends, its
/// files are closed after almost all else is gone.
struct Goodbye;

#[vtable]
impl Operations for Goodbye {
    type Private = ();

    fn open(&self, _file: &File) -> impl PinInit<(), Error> {
        Ok(())
    }

    fn release(&self, _file: &Opened<Self>) {
        say("at the end", write(true, b"goodbye\n"));
    }
}

/// A device that does odd things to the terminal of who writes to it.
struct Odd;

#[vtable]
impl Operations for Odd {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        // Several at once, dropped in another order, and nothing.
        let (one, two) = (CurrentTty::get()?, CurrentTty::get_nonblocking()?);
        one.write(b"one\n")?;
        let nothing = two.write(b"")?;
        drop(one);
        two.write(b"two\n")?;
        core::mem::forget(two);
        say("nothing", Ok(nothing));
        Ok(src.len())
    }
}

struct Ttys {
    _waits: procfs::Entry<PassesOn>,
    _at_once: procfs::Entry<PassesOn>,
    _goodbye: miscdevice::Registration<Goodbye>,
    _odd: miscdevice::Registration<Odd>,
}

impl kernel::Module for Ttys {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let passes_on = |nonblocking| PassesOn { nonblocking };
        // Threads and workers have none.
        let thread = KThread::spawn(c"ttys", |_| {
            say("a thread", write(true, b"here\n"));
            Ok(())
        })?;
        thread.join()?;
        let queue = OwnedQueue::new(c"ttys", Flags::UNBOUND, 1)?;
        queue.spawn(GFP_KERNEL, || say("a worker", write(true, b"here\n")))?;
        drop(queue);
        Ok(Self {
            _waits: procfs::Entry::new(c"ttys-waits", mode!(0o222), passes_on(false))?,
            _at_once: procfs::Entry::new(c"ttys-at-once", mode!(0o222), passes_on(true))?,
            _goodbye: miscdevice::Registration::new(c"ttys-goodbye", Goodbye)?,
            _odd: miscdevice::Registration::new(c"ttys-odd", Odd)?,
        })
    }
}
