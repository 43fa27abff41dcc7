// SPDX-License-Identifier: GPL-2.0-only

//! Test only: things that would wait for each other, as `kind` says.

use kernel::{
    fs::file::flags,
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
    chrdev, debugfs,
    file::{
        mode,
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    kthread::{
        Group,
        KThread, //
    },
    miscdevice, procfs,
    sync::{
        new_wait_queue,
        WaitQueue, //
    },
    workqueue::{
        new_work,
        SystemQueue,
        Work,
        WorkItem, //
    },
};

module! {
    type: Deadlocks,
    name: "deadlocks",
    authors: ["lkmpg-rs"],
    description: "Test only: things that would wait for each other",
    license: "GPL",
}

lkm::params! {
    kind: &CStr { default: c"", mode: 0, description: "What waits" },
    fail: bool { default: false, mode: 0, description: "Whether init fails when it may" },
}

/// How many of those that are to meet have come.
static HERE: Atomic<u32> = Atomic::new(0);

fn pause() {
    fsleep(Delta::from_millis(1));
}

/// Waits until `number` have come. Not for ever.
fn meet(number: u32) {
    HERE.fetch_add(1, Relaxed);
    for _ in 0..60_000 {
        if HERE.load(Relaxed) >= number {
            return;
        }
        pause();
    }
    pr_err!("nobody came\n");
}

fn say(what: &str, result: Result) {
    let errno = result.map_or_else(|error| -error.to_errno(), |()| 0);
    pr_info!("{what}: errno {errno}\n");
}

/// `number` threads in a circle. At the same time each ends the next.
fn threads(number: u32, end: fn(KThread) -> Result) -> Result<Option<KThread>> {
    let handles = Arc::pin_init(new_mutex!(KVec::new()), GFP_KERNEL)?;
    for place in 0..number {
        let handles_of_all = handles.clone();
        let thread = KThread::spawn(c"deadlocks", move |_| {
            // The last to come is who has made them all.
            meet(number + 1);
            let next = {
                let mut handles = handles_of_all.lock();
                let handle: &mut Option<KThread> = &mut handles[((place + 1) % number) as usize];
                handle.take()
            };
            meet(2 * number + 1);
            if let Some(next) = next {
                say("end", end(next));
            }
            Ok(())
        })?;
        handles.lock().push(Some(thread), GFP_KERNEL)?;
    }
    meet(number + 1);
    Ok(None)
}

fn dropped(thread: KThread) -> Result {
    drop(thread);
    Ok(())
}

/// An item that drops another one when it runs.
#[pin_data]
struct Item {
    #[pin]
    other: Mutex<Option<Arc<Work<Item>>>>,
}

impl WorkItem for Item {
    fn run(work: &Work<Self>) {
        meet(2);
        drop(work.other.lock().take());
        pr_info!("dropped the other\n");
    }
}

fn item() -> Result<Arc<Work<Item>>> {
    let item = pin_init!(Item { other <- new_mutex!(None) });
    Arc::init(new_work!(SystemQueue::Dfl, item), GFP_KERNEL)
}

fn items() -> Result<Option<KThread>> {
    let (one, two) = (item()?, item()?);
    *one.other.lock() = Some(two.clone());
    *two.other.lock() = Some(one.clone());
    one.enqueue();
    two.enqueue();
    Ok(None)
}

/// An item that drops the thread that drops it.
#[pin_data]
struct Mixed {
    #[pin]
    thread: Mutex<Option<KThread>>,
}

impl WorkItem for Mixed {
    fn run(work: &Work<Self>) {
        let thread = work.thread.lock().take();
        meet(2);
        drop(thread);
        pr_info!("dropped the other\n");
    }
}

fn mixed() -> Result<Option<KThread>> {
    let item = pin_init!(Mixed { thread <- new_mutex!(None) });
    let work = Arc::new(new_work!(SystemQueue::Dfl, item)?, GFP_KERNEL)?;
    let slot: Slot<Arc<Work<Mixed>>> = slot()?;
    let owned = slot.clone();
    let thread = KThread::spawn(c"deadlocks", move |_| {
        let work = loop {
            if let Some(work) = owned.lock().take() {
                break work;
            }
            pause();
        };
        work.enqueue();
        meet(2);
        // This is the last reference.
        drop(work);
        pr_info!("dropped the other\n");
        Ok(())
    })?;
    *work.thread.lock() = Some(thread);
    *slot.lock() = Some(work);
    Ok(None)
}

/// Threads that are lost, each of which waits until all are asked to stop.
fn together() -> Result<Option<KThread>> {
    const THREADS: u32 = 20;
    for _ in 0..THREADS {
        core::mem::forget(KThread::spawn(c"deadlocks", |this| {
            meet(THREADS + 1);
            this.sleep_until_stop();
            meet(2 * THREADS + 1);
            Ok(())
        })?);
    }
    meet(THREADS + 1);
    Ok(None)
}

/// A thread that waits until another one parks, which never does.
fn parking_in_vain() -> Result<Option<KThread>> {
    let restless = KThread::spawn(c"deadlocks", |this| {
        while !this.should_stop() {
            pause();
        }
        Ok(())
    })?;
    let parking = KThread::spawn(c"deadlocks", move |this| {
        while !this.should_stop() {
            say("park", restless.park());
        }
        Ok(())
    })?;
    Ok(Some(parking))
}

/// Joins another closure to the group when it is dropped.
struct Again(Arc<Group>);

impl Drop for Again {
    fn drop(&mut self) {
        say("again", self.0.spawn(c"deadlocks", |_| Ok(())));
    }
}

/// A group that refuses a closure, as the module is being unloaded then.
fn refused_by_its_group() -> Result<Option<KThread>> {
    let group = Arc::new(Group::new()?, GFP_KERNEL)?;
    let thread = KThread::spawn(c"deadlocks", move |this| {
        meet(2);
        this.sleep_until_stop();
        let again = Again(group.clone());
        let joined = group.spawn(c"deadlocks", move |_| {
            drop(again);
            Ok(())
        });
        say("join", joined);
        Ok(())
    })?;
    meet(2);
    // What is lost is stopped when nothing can be made any more.
    core::mem::forget(thread);
    Ok(None)
}

type Slot<T> = Arc<Mutex<Option<T>>>;

fn slot<T>() -> Result<Slot<T>> {
    Arc::pin_init(new_mutex!(None), GFP_KERNEL)
}

/// A device that who opens it drops, and that cannot be opened for writing: for that it
/// would make another one.
struct Once(Slot<miscdevice::Registration<Once>>);

#[vtable]
impl Operations for Once {
    type Private = ();

    fn open(&self, file: &File) -> impl PinInit<(), Error> {
        if file.flags() & flags::O_WRONLY != 0 {
            let other = miscdevice::Registration::new(c"deadlocks-2", Self(self.0.clone()));
            return other.map(drop);
        }
        drop(self.0.lock().take());
        Ok(())
    }
}

fn once() -> Result<Option<KThread>> {
    let slot = slot()?;
    let device = miscdevice::Registration::new(c"deadlocks", Once(slot.clone()))?;
    *slot.lock() = Some(device);
    Ok(None)
}

/// A device that who writes to it drops.
struct Written(Slot<chrdev::Registration<Written>>);

#[vtable]
impl Operations for Written {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        meet(2);
        drop(self.0.lock().take());
        Ok(src.len())
    }
}

fn written() -> Result<Option<KThread>> {
    let slot = slot()?;
    let device = chrdev::Registration::new(c"deadlocks", Written(slot.clone()))?;
    *slot.lock() = Some(device);
    meet(2);
    Ok(None)
}

/// A file with a read, or an open, that never ends.
#[pin_data]
struct Endless {
    at_open: bool,
    #[pin]
    queue: WaitQueue,
}

impl Endless {
    fn read() -> impl PinInit<Self> {
        pin_init!(Self { at_open: false, queue <- new_wait_queue!() })
    }

    fn open() -> impl PinInit<Self> {
        pin_init!(Self { at_open: true, queue <- new_wait_queue!() })
    }
}

#[vtable]
impl Operations for Endless {
    type Private = ();

    fn open(&self, _file: &File) -> impl PinInit<(), Error> {
        if !self.at_open {
            return Ok(());
        }
        meet(2);
        self.queue.wait_interruptible(|| None)
    }

    fn read(&self, _file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        meet(2);
        self.queue.wait_interruptible(|| None)
    }

    fn hang_up(&self) {
        self.queue.close();
    }
}

/// A lost device that who writes to it drops, when init has failed.
#[pin_data]
struct Late {
    device: Slot<chrdev::Registration<Late>>,
    #[pin]
    queue: WaitQueue,
}

#[vtable]
impl Operations for Late {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        meet(2);
        say("hung up", self.queue.wait_interruptible(|| None));
        drop(self.device.lock().take());
        Ok(src.len())
    }

    fn hang_up(&self) {
        self.queue.close();
    }
}

fn late() -> Result<Option<KThread>> {
    let slot_of_device = slot()?;
    let device = slot_of_device.clone();
    let data = pin_init!(Late {
        device,
        queue <- new_wait_queue!(),
    });
    *slot_of_device.lock() = Some(chrdev::Registration::new(c"deadlocks", data)?);
    meet(2);
    Ok(None)
}

/// Makes an endless file, and drops it when somebody reads or opens it.
fn read<T>(file: Result<T>) -> Result<Option<KThread>> {
    let file = file?;
    meet(2);
    drop(file);
    Ok(None)
}

fn debugfs_dir(file: impl PinInit<Endless>) -> Result<debugfs::Dir> {
    let dir = debugfs::Dir::new(c"deadlocks")?;
    dir.file(c"endless", mode!(0o400), file)?;
    Ok(dir)
}

struct Deadlocks {
    _thread: Option<KThread>,
}

impl kernel::Module for Deadlocks {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let make: fn() -> Result<Option<KThread>> = kind.with(|name| match name.to_bytes() {
            b"" => || Ok(None),
            b"drop" => || threads(2, dropped),
            b"stop" => || threads(2, KThread::stop),
            b"join" => || threads(2, KThread::join),
            b"circle" => || threads(5, dropped),
            b"items" => items,
            b"mixed" => mixed,
            b"together" => together,
            b"park" => parking_in_vain,
            b"group" => refused_by_its_group,
            b"misc" => once,
            b"chrdev" => written,
            b"late" => late,
            b"read-proc" => || {
                let file = procfs::Entry::new(c"deadlocks", mode!(0o400), Endless::read());
                read(file)
            },
            b"read-debugfs" => || read(debugfs_dir(Endless::read())),
            b"read-chrdev" => || read(chrdev::Registration::new(c"deadlocks", Endless::read())),
            b"read-second" => || {
                let first = chrdev::Registration::new(c"deadlocks-2", Endless::read())?;
                let second = chrdev::Registration::new(c"deadlocks", Endless::read())?;
                read(Ok((first, second)))
            },
            b"read-misc" => || {
                let device = miscdevice::Registration::new(c"deadlocks", Endless::read());
                read(device)
            },
            b"open-proc" => || {
                let file = procfs::Entry::new(c"deadlocks", mode!(0o400), Endless::open());
                read(file)
            },
            b"open-debugfs" => || read(debugfs_dir(Endless::open())),
            b"open-chrdev" => || read(chrdev::Registration::new(c"deadlocks", Endless::open())),
            b"open-misc" => || {
                let device = miscdevice::Registration::new(c"deadlocks", Endless::open());
                read(device)
            },
            _ => || Err(EINVAL),
        });
        let thread = make()?;
        if fail.get() {
            return Err(ENOSPC);
        }
        Ok(Self { _thread: thread })
    }
}
