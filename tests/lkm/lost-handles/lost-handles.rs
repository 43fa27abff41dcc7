// SPDX-License-Identifier: GPL-2.0-only

//! Test only: what C has of the module, `kind`, whose handle is lost in some `way`.

use core::{
    ffi::CStr,
    future::Future, //
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
    block::{
        self,
        Disk, //
    },
    chrdev,
    configfs::{
        self,
        Item, //
    },
    debugfs,
    file::{
        mode,
        Band,
        FasyncQueue,
        Mappable,
        Offset,
        Opened,
        Operations,
        SharedPages,
        Writer, //
    },
    genl::{
        self,
        Attribute,
        Command,
        Family, //
    },
    gpio::{
        chip::{
            self,
            Chip, //
        },
        Gpio,
        Output, //
    },
    i2c::{
        self,
        adapter::{
            self,
            Adapter, //
        },
        Client, //
    },
    input::{
        self,
        Capabilities, //
    },
    interface::{
        Exported,
        Object, //
    },
    irq::{
        self,
        Irq,
        Reply,
        Source,
        Trigger, //
    },
    kasync::{
        self,
        Executor, //
    },
    kprobe::{
        self,
        Kprobe,
        Registers, //
    },
    kthread::{
        Group,
        KThread,
        ThisThread, //
    },
    miscdevice,
    netdev::{
        self,
        Frame,
        Netdev,
        Port, //
    },
    pci::{
        self,
        Bar,
        Coherent, //
    },
    platform::{
        self,
        Driver, //
    },
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    sysfs,
    tasklet::{
        self,
        Tasklet, //
    },
    timer::{
        self,
        new_timer,
        Restart,
        Timer, //
    },
    usb::{
        self,
        Id,
        Interface, //
    },
    workqueue::{
        new_work,
        Flags,
        OwnedQueue,
        Queue,
        SystemQueue,
        Work,
        WorkItem, //
    },
};

module! {
    type: LostHandles,
    name: "lost-handles",
    authors: ["lkmpg-rs"],
    description: "Test only: handles that are never dropped",
    license: "GPL",
}

lkm::params! {
    kind: &CStr { default: c"", mode: 0, description: "What C has" },
    way: &CStr { default: c"", mode: 0, description: "How its handle is lost" },
    fail: bool { default: false, mode: 0, description: "Whether init fails in the end" },
}

/// How often something of the module ran. Its text is needed for that.
static RUNS: Atomic<u32> = Atomic::new(0);

fn runs() {
    RUNS.fetch_add(1, Relaxed);
}

fn say(what: &str, result: Result) {
    let errno = result.map_or_else(|error| -error.to_errno(), |()| 0);
    pr_info!("{what}: errno {errno}\n");
}

/// A handle of any type.
trait Handle: Send + Sync {}

impl<T: Send + Sync> Handle for T {}

/// Handles that live as long as the module. Statics are not dropped.
#[cfg(not(linux_6_18))]
static KEPT: kernel::sync::SetOnce<KBox<dyn Handle>> = kernel::sync::SetOnce::new();

#[cfg(not(linux_6_18))]
fn keep(handle: KBox<dyn Handle>) -> bool {
    KEPT.populate(handle)
}

/// Linux 6.18 has no static that becomes the owner of something. Here it has the address.
#[cfg(linux_6_18)]
fn keep(handle: KBox<dyn Handle>) -> bool {
    static KEPT: Atomic<usize> = Atomic::new(0);
    KEPT.xchg(KBox::into_raw(handle).cast::<()>() as usize, Relaxed) == 0
}

/// Something that owns itself.
#[pin_data]
struct Cycle<T> {
    handle: T,
    #[pin]
    itself: Mutex<Option<Arc<Self>>>,
}

/// A copy of a parameter.
fn text(parameter: &lkm::params::Str) -> Result<KVec<u8>> {
    parameter.with(|text| {
        let mut copy = KVec::new();
        copy.extend_from_slice(text.to_bytes(), GFP_KERNEL)?;
        Ok(copy)
    })
}

/// Loses `handle`.
fn lose<T: Send + Sync + 'static>(handle: T) -> Result {
    match &text(&way)?[..] {
        b"dropped" => drop(handle),
        b"forgotten" => core::mem::forget(handle),
        b"static" => {
            let handle: KBox<dyn Handle> = KBox::new(handle, GFP_KERNEL)?;
            if !keep(handle) {
                return Err(EBUSY);
            }
        }
        b"cycle" => {
            let cycle = pin_init!(Cycle {
                handle,
                itself <- new_mutex!(None),
            });
            let cycle = Arc::pin_init(cycle, GFP_KERNEL)?;
            *cycle.itself.lock() = Some(cycle.clone());
        }
        _ => return Err(EINVAL),
    }
    Ok(())
}

/// Runs until it is asked to stop.
fn until_stop(this: &ThisThread) {
    while !this.should_stop() {
        runs();
        this.sleep(Delta::from_millis(1));
    }
}

fn thread() -> Result<KThread> {
    KThread::spawn(c"lost-handles", |this| {
        until_stop(this);
        Ok(())
    })
}

/// A thread that owns its own handle.
fn thread_with_itself() -> Result {
    let handle = Arc::pin_init(new_mutex!(None), GFP_KERNEL)?;
    let owned = handle.clone();
    let thread = KThread::spawn(c"lost-handles", move |this| {
        until_stop(this);
        drop(owned);
        Ok(())
    })?;
    *handle.lock() = Some(thread);
    Ok(())
}

/// A thread that has returned what says when it is dropped.
fn thread_with_a_value() -> Result<KThread<Dropped>> {
    let thread = KThread::spawn(c"lost-handles", |_| Ok(Dropped(VALUE)))?;
    while !thread.is_finished() {
        fsleep(Delta::from_millis(1));
    }
    Ok(thread)
}

const VALUE: &str = "the value is dropped";

/// What owns the handle of a thread that returns one.
struct Owning {
    _handle: Arc<Mutex<Option<KThread<Owning>>>>,
}

/// A thread that returns what owns its own handle.
fn thread_that_returns_itself() -> Result {
    let handle = Arc::pin_init(new_mutex!(None::<KThread<Owning>>), GFP_KERNEL)?;
    let owning = Owning {
        _handle: handle.clone(),
    };
    let thread = KThread::spawn(c"lost-handles", move |_| Ok(owning))?;
    while !thread.is_finished() {
        fsleep(Delta::from_millis(1));
    }
    *handle.lock() = Some(thread);
    Ok(())
}

/// A thread that drops its own handle as soon as it has it, and says when it ends. What it
/// returns says when it is dropped.
fn thread_that_drops_itself() -> Result {
    let handle = Arc::pin_init(new_mutex!(None::<KThread<Dropped>>), GFP_KERNEL)?;
    let owned = handle.clone();
    let thread = KThread::spawn(c"lost-handles", move |this| {
        while !this.should_stop() {
            let handle = owned.lock().take();
            if let Some(handle) = &handle {
                say("park", handle.park());
            }
            drop(handle);
            this.sleep(Delta::from_millis(1));
        }
        pr_info!("asked to stop\n");
        Ok(Dropped(VALUE))
    })?;
    *handle.lock() = Some(thread);
    Ok(())
}

/// A thread that stops itself, or waits for itself.
fn thread_that_ends_itself(end: fn(KThread) -> Result) -> Result {
    let handle = Arc::pin_init(new_mutex!(None::<KThread>), GFP_KERNEL)?;
    let owned = handle.clone();
    let thread = KThread::spawn(c"lost-handles", move |this| {
        while !this.should_stop() {
            let handle = owned.lock().take();
            if let Some(handle) = handle {
                say("end", end(handle));
            }
            this.sleep(Delta::from_millis(1));
        }
        Ok(())
    })?;
    *handle.lock() = Some(thread);
    Ok(())
}

/// A thread that spawns its successor when it is asked to stop, and again.
fn thread_with_successors() -> Result {
    fn again(this: &ThisThread) -> Result {
        pr_info!("runs\n");
        until_stop(this);
        match KThread::spawn(c"lost-handles", again) {
            Ok(next) => core::mem::forget(next),
            Err(error) => say("successor", Err(error)),
        }
        Ok(())
    }
    core::mem::forget(KThread::spawn(c"lost-handles", again)?);
    Ok(())
}

fn group() -> Result<Group> {
    let group = Group::new()?;
    for _ in 0..3 {
        group.spawn(c"lost-handles", |this| {
            until_stop(this);
            Ok(())
        })?;
    }
    // It ends at once.
    group.spawn(c"lost-handles", |_| Ok(()))?;
    Ok(group)
}

/// A group that one of its own threads drops.
fn group_that_drops_itself() -> Result {
    let handle = Arc::pin_init(new_mutex!(None::<Group>), GFP_KERNEL)?;
    let owned = handle.clone();
    let group = group()?;
    group.spawn(c"lost-handles", move |this| {
        while !this.should_stop() {
            let group = owned.lock().take();
            if let Some(group) = group {
                drop(group);
                pr_info!("dropped the group\n");
            }
            this.sleep(Delta::from_millis(1));
        }
        pr_info!("asked to stop\n");
        Ok(())
    })?;
    *handle.lock() = Some(group);
    Ok(())
}

/// An item that enqueues itself again, after a delay in milliseconds.
struct Again(u32);

impl WorkItem for Again {
    fn run(work: &Work<Self>) {
        runs();
        work.enqueue_delayed(Delta::from_millis(work.0.into()));
    }
}

fn work(queue: impl Into<Queue>, delay: u32) -> Result<Work<Again>> {
    let work = new_work!(queue, Again(delay))?;
    work.enqueue();
    Ok(work)
}

/// An item with a queue of its own.
fn owned_work(flags: Flags) -> Result<Work<Again>> {
    work(OwnedQueue::new(c"lost-handles", flags, 0)?, 0)
}

/// An item that owns its own handle, which it drops when it runs.
#[pin_data]
struct Owner {
    #[pin]
    itself: Mutex<Option<Arc<Work<Owner>>>>,
}

impl WorkItem for Owner {
    fn run(work: &Work<Self>) {
        let itself = work.itself.lock().take();
        drop(itself);
        // It is there as long as it runs.
        work.enqueue();
        pr_info!("dropped itself: {}\n", work.itself.lock().is_none());
    }
}

/// An item that drops itself when it runs.
fn work_that_drops_itself(queue: impl Into<Queue>, run: bool) -> Result {
    let owner = pin_init!(Owner { itself <- new_mutex!(None) });
    let work = Arc::new(new_work!(queue, owner)?, GFP_KERNEL)?;
    *work.itself.lock() = Some(work.clone());
    if run {
        work.enqueue();
    }
    Ok(())
}

/// A closure that gives the queue the next one.
fn again(queue: Arc<OwnedQueue>) {
    runs();
    let next = queue.clone();
    if let Err(error) = queue.spawn(GFP_ATOMIC, move || again(next)) {
        say("successor", Err(error));
    }
}

/// A queue that its own closure drops.
fn queue_that_is_dropped_by_its_closure(flags: Flags) -> Result {
    let queue = OwnedQueue::new(c"lost-handles", flags, 0)?;
    let owned = queue.clone();
    queue.spawn(GFP_KERNEL, move || {
        drop(owned);
        pr_info!("ran\n");
    })
}

/// A queue whose closure drops another queue, while that has closures, too.
fn queue_that_drops_another() -> Result<Arc<OwnedQueue>> {
    let other = OwnedQueue::new(c"lost-handles", Flags::UNBOUND, 0)?;
    other.spawn(GFP_KERNEL, runs)?;
    let queue = OwnedQueue::new(c"lost-handles", Flags::UNBOUND, 0)?;
    queue.spawn(GFP_KERNEL, move || {
        drop(other);
        pr_info!("ran\n");
    })?;
    Ok(queue)
}

/// A tasklet that schedules itself.
#[pin_data]
struct Restless {
    #[pin]
    itself: IrqSpinLock<Option<Arc<Tasklet<Restless>>>>,
    drops: bool,
}

impl tasklet::Handler for Restless {
    fn run(&self) {
        runs();
        let itself = match self.drops {
            true => self.itself.lock().take(),
            false => self.itself.lock().clone(),
        };
        let Some(itself) = itself else { return };
        itself.schedule();
        if self.drops {
            drop(itself);
            pr_info!("dropped itself\n");
        }
    }
}

fn tasklet(drops: bool) -> Result<Arc<Tasklet<Restless>>> {
    let restless = pin_init!(Restless {
        itself <- new_irq_spinlock!(None),
        drops,
    });
    let tasklet = Arc::new(Tasklet::new(restless)?, GFP_KERNEL)?;
    *tasklet.itself.lock() = Some(tasklet.clone());
    tasklet.schedule();
    Ok(tasklet)
}

/// A timer that starts itself again, or drops itself.
#[pin_data]
struct Ticking {
    #[pin]
    itself: IrqSpinLock<Option<Arc<Timer<Ticking>>>>,
    drops: bool,
}

impl timer::Handler for Ticking {
    fn run(&self) -> Restart {
        runs();
        let itself = match self.drops {
            true => self.itself.lock().take(),
            false => self.itself.lock().clone(),
        };
        if let Some(itself) = itself {
            itself.start(Delta::ZERO);
            if self.drops {
                drop(itself);
                pr_info!("dropped itself\n");
            }
        }
        Restart::After(Delta::ZERO)
    }
}

fn timer(drops: bool) -> Result<Arc<Timer<Ticking>>> {
    let ticking = pin_init!(Ticking {
        itself <- new_irq_spinlock!(None),
        drops,
    });
    let timer: Arc<Timer<Ticking>> = Arc::new(new_timer!(ticking)?, GFP_KERNEL)?;
    *timer.itself.lock() = Some(timer.clone());
    timer.start(Delta::ZERO);
    Ok(timer)
}

/// A probe on what opens files, among others the test's.
struct Counting;

impl kprobe::Handler for Counting {
    fn hit(&self, _registers: &Registers<'_>) {
        runs();
    }
}

fn probe() -> Result<Kprobe<Counting>> {
    Kprobe::new(c"vfs_open", Counting)
}

/// A probe that owns its own handle, which it drops when it is hit, or does not.
struct Own {
    itself: Arc<IrqSpinLock<Option<Kprobe<Own>>>>,
    drops: bool,
}

impl kprobe::Handler for Own {
    fn hit(&self, _registers: &Registers<'_>) {
        runs();
        if self.drops {
            // It must not wait for the lock.
            let itself = self.itself.try_lock().and_then(|mut it| it.take());
            if itself.is_some() {
                drop(itself);
                pr_info!("dropped itself\n");
            }
        }
    }
}

fn probe_with_itself(drops: bool) -> Result {
    let itself = Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)?;
    let own = Own {
        itself: itself.clone(),
        drops,
    };
    let probe: Kprobe<Own> = Kprobe::new(c"vfs_open", own)?;
    *itself.lock() = Some(probe);
    Ok(())
}

/// Says when it is dropped.
struct Dropped(&'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        pr_info!("{}\n", self.0);
    }
}

/// Runs again and again.
fn restless() -> impl Future<Output = ()> + Send {
    let dropped = Dropped("a task is over");
    async move {
        let _dropped = dropped;
        loop {
            runs();
            kasync::sleep(Delta::from_micros(100)).await;
        }
    }
}

fn executor() -> Result<Executor> {
    Executor::new(OwnedQueue::new(c"lost-handles", Flags::PERCPU, 0)?)
}

/// An executor with a task that runs, and one that waits for ever.
fn tasks() -> Result<Executor> {
    let executor = executor()?;
    executor.spawn(restless())?;
    executor.spawn(core::future::pending::<()>())?;
    Ok(executor)
}

/// A task that has its executor, and drops it or does not.
fn task_with_its_executor(drops: bool) -> Result {
    let executor = Arc::new(executor()?, GFP_KERNEL)?;
    let owned = executor.clone();
    let restless = restless();
    executor.spawn(async move {
        let owned = match drops {
            true => {
                drop(owned);
                None
            }
            false => Some(owned),
        };
        restless.await;
        drop(owned);
    })?;
    Ok(())
}

/// A task that drops the executor of others.
fn task_that_drops_an_executor() -> Result<Executor> {
    let other = tasks()?;
    let executor = executor()?;
    executor.spawn(async move {
        drop(other);
        restless().await
    })?;
    Ok(executor)
}

/// A file with this text.
struct Text(&'static [u8]);

#[vtable]
impl Operations for Text {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        runs();
        dst.write_slice_file(self.0, pos)
    }
}

const TEXT: Text = Text(b"here\n");

fn proc_file() -> Result<procfs::Entry<Text>> {
    procfs::Entry::new(c"lost-handles", mode!(0o444), TEXT)
}

/// A directory with a file and a directory in it, in the order in which they are
/// lost.
fn proc_dir() -> Result<impl Send + Sync> {
    let dir = procfs::Dir::new(c"lost-handles")?;
    let subdir = dir.subdir(c"more")?;
    let file = subdir.file(c"text", mode!(0o444), TEXT)?;
    Ok((dir, subdir, file))
}

static ATTRIBUTES: [sysfs::Attribute<()>; 1] = [sysfs::Attribute::read_only(
    c"text",
    mode!(0o444),
    |(), page| {
        runs();
        writeln!(page, "here")
    },
)];

static BINARY: sysfs::BinAttribute<()> =
    sysfs::BinAttribute::read_only(c"binary", mode!(0o444), 0, |(), _, _| {
        runs();
        Ok(0)
    });

/// A directory, one in it with a binary file, and one of the module, in the order in which
/// they are lost.
fn sysfs_dir() -> Result<impl Send + Sync> {
    let dir = sysfs::Dir::new(c"lost-handles", &ATTRIBUTES, ())?;
    let subdir = dir.subdir(c"more", &ATTRIBUTES, ())?;
    let file = subdir.bin_file(&BINARY)?;
    let own = sysfs::Dir::in_module(c"lost", &ATTRIBUTES, ())?;
    Ok((dir, subdir, file, own))
}

static NUMBER: Atomic<u32> = Atomic::new(0);

/// A directory and one in it, in the order in which they are lost.
fn debugfs_dir() -> Result<impl Send + Sync> {
    let dir = debugfs::Dir::new(c"lost-handles")?;
    dir.value(c"number", mode!(0o444), &NUMBER)?;
    let subdir = dir.subdir(c"more")?;
    subdir.file(c"text", mode!(0o444), TEXT)?;
    Ok((dir, subdir))
}

fn chrdevs() -> Result<chrdev::Registration<Text>> {
    chrdev::Registration::with_minors(2, c"lost-handles", |_| TEXT)
}

fn misc() -> Result<miscdevice::Registration<Text>> {
    miscdevice::Registration::new(c"lost-handles", TEXT)
}

fn line(number: u32) -> Result<Gpio> {
    Gpio::get(c"lkmpg", number, c"lost-handles")
}

/// A line of each type.
fn lines() -> Result<impl Send + Sync> {
    let output = line(2)?.into_output(true)?;
    let input = line(3)?.into_input()?;
    Ok((line(1)?, output, input))
}

/// A line that is newer than the thread that uses it. So it goes first.
fn line_in_use() -> Result {
    let shared = Arc::pin_init(new_mutex!(None::<Arc<Output>>), GFP_KERNEL)?;
    let owned = shared.clone();
    let thread = KThread::spawn(c"lost-handles", move |this| {
        // Whether it is asked to stop or not.
        loop {
            let output = owned.lock().clone();
            if let Some(Err(error)) = output.map(|output| output.set(true)) {
                say("set", Err(error));
                return Ok(());
            }
            this.sleep(Delta::from_millis(1));
        }
    })?;
    core::mem::forget(thread);
    let output = Arc::new(line(2)?.into_output(true)?, GFP_KERNEL)?;
    *shared.lock() = Some(output);
    Ok(())
}

/// The line with interrupts.
fn source() -> Result<Source> {
    line(16)?.into_input()?.irq()
}

struct Pressed;

#[vtable]
impl irq::Handler for Pressed {
    fn hard(&self) -> Reply {
        runs();
        Reply::WakeThread
    }

    fn thread(&self, _source: &Source) {
        runs();
    }
}

fn interrupt() -> Result<Irq<Pressed>> {
    Irq::new(source()?, Trigger::BothEdges, c"lost-handles", Pressed)
}

/// A handler that owns its own handle.
struct WithItself {
    _itself: Arc<Mutex<Option<Irq<WithItself>>>>,
}

#[vtable]
impl irq::Handler for WithItself {
    fn thread(&self, _source: &Source) {
        runs();
    }
}

fn interrupt_with_itself() -> Result {
    let itself = Arc::pin_init(new_mutex!(None::<Irq<WithItself>>), GFP_KERNEL)?;
    let handler = WithItself {
        _itself: itself.clone(),
    };
    let irq = Irq::new(source()?, Trigger::BothEdges, c"lost-handles", handler)?;
    *itself.lock() = Some(irq);
    Ok(())
}

/// A controller of lines that are low.
struct Low;

impl Chip for Low {
    fn direction_input(&self, _line: u32) -> Result {
        runs();
        Ok(())
    }

    fn direction_output(&self, _line: u32, _level: bool) -> Result {
        Err(EPERM)
    }

    fn get(&self, _line: u32) -> Result<bool> {
        runs();
        Ok(false)
    }

    fn set(&self, _line: u32, _level: bool) -> Result {
        Err(EPERM)
    }
}

fn gpio_chip() -> Result<chip::Registration<Low>> {
    chip::Registration::new(c"lost-handles", 1, Low)
}

/// A disk of one block.
struct Block;

#[vtable]
impl Disk for Block {
    fn read(&self, _pos: u64, dst: &mut Writer) -> Result {
        runs();
        dst.write_slice(TEXT.0)
    }
}

fn disk() -> Result<block::Registration<Block>> {
    block::Registration::new(c"lost-handles", 512, Block)
}

/// A directory in configfs with a file.
struct Config;

static CONFIG_ATTRIBUTES: [sysfs::Attribute<Config>; 1] = [sysfs::Attribute::read_only(
    c"text",
    mode!(0o444),
    |_config, page| {
        runs();
        writeln!(page, "here")
    },
)];

#[vtable]
impl Item for Config {
    type Child = ();

    fn attributes() -> &'static [sysfs::Attribute<Self>] {
        &CONFIG_ATTRIBUTES
    }
}

fn config() -> Result<configfs::Subsystem<Config>> {
    configfs::Subsystem::new(c"lost-handles", Config)
}

/// A family that answers with nothing.
struct Silent;

impl genl::Handler for Silent {
    const COMMANDS: &'static [Command] = &[Command::new(1)];
    const ATTRIBUTES: &'static [Attribute] = &[];
    const GROUPS: &'static [&'static core::ffi::CStr] = &[c"news"];

    fn handle(&self, _request: &genl::Request) -> Result {
        runs();
        Ok(())
    }
}

fn family() -> Result<Family<Silent>> {
    Family::register(c"lost-handles", Silent)
}

/// A family that is newer than the thread that uses it. So it goes first.
fn family_in_use() -> Result {
    let shared = Arc::pin_init(new_mutex!(None::<Arc<Family<Silent>>>), GFP_KERNEL)?;
    let owned = shared.clone();
    let thread = KThread::spawn(c"lost-handles", move |this| {
        // Whether it is asked to stop or not.
        loop {
            let family = owned.lock().clone();
            if let Some(Err(error)) = family.map(|family| family.multicast(0, 1, |_| Ok(()))) {
                say("multicast", Err(error));
                return Ok(());
            }
            this.sleep(Delta::from_millis(1));
        }
    })?;
    core::mem::forget(thread);
    let family = Arc::new(family()?, GFP_KERNEL)?;
    *shared.lock() = Some(family);
    Ok(())
}

/// An I2C adapter, and a driver, that only count.
struct Bus;

impl Adapter for Bus {
    fn read_byte_data(&self, _address: u16, _register: u8) -> Result<u8> {
        runs();
        Ok(0)
    }

    fn write_byte_data(&self, _address: u16, _register: u8, _value: u8) -> Result {
        runs();
        Ok(())
    }

    fn read_word_data(&self, _address: u16, _register: u8) -> Result<u16> {
        Err(EIO)
    }

    fn write_word_data(&self, _address: u16, _register: u8, _value: u16) -> Result {
        Err(EIO)
    }
}

/// What there is of a device. It is dropped when that goes, whatever was lost.
struct Counted(Client);

impl Drop for Counted {
    fn drop(&mut self) {
        runs();
        say("the last byte", self.0.write_byte_data(0, 0));
    }
}

impl i2c::Driver for Bus {
    type Info = ();
    type Device = Counted;
    const IDS: &'static [(&'static CStr, ())] = &[(c"lost-handles", ())];

    fn probe(&self, client: &Client, _info: &'static ()) -> impl PinInit<Counted, Error> {
        client.read_byte_data(0).map(|_| Counted(client.clone()))
    }
}

/// An adapter and a driver, in the order in which they are lost.
fn i2c_bus() -> Result<impl Send + Sync> {
    let bus = adapter::Registration::new(c"lost-handles", Bus)?;
    let driver = i2c::Registration::new(c"lost-handles", Bus)?;
    Ok((bus, driver))
}

/// A driver for a device of the module.
struct Platform;

/// What it has for the device, also when the handle is lost.
struct Bound;

impl Drop for Bound {
    fn drop(&mut self) {
        runs();
        pr_info!("a device is given back\n");
    }
}

#[vtable]
impl Driver for Platform {
    type Private<'bound> = Bound;

    fn probe<'bound>(
        &'bound self,
        _device: &'bound platform::Device,
    ) -> impl PinInit<Bound, Error> + 'bound {
        runs();
        Ok::<_, Error>(Bound)
    }

    fn suspend(_bound: Pin<&Bound>) -> Result {
        runs();
        Ok(())
    }
}

fn platform_driver() -> Result<platform::Registration<Platform>> {
    platform::Registration::new(c"lost-handles", Platform)
}

fn platform_device() -> Result<platform::OwnDevice> {
    let properties = [(c"lost", platform::Property::Flag)];
    platform::OwnDevice::new(c"lost-handles", &properties)
}

/// A driver for what is not there.
struct Nobody;

impl usb::Driver for Nobody {
    type Device = ();

    fn probe(&self, _interface: &Arc<Interface>) -> impl PinInit<(), Error> {
        runs();
        Ok::<(), Error>(())
    }
}

fn usb_driver() -> Result<usb::Registration<Nobody>> {
    usb::Registration::new(c"lost-handles", &[Id::device(0xffff, 0xffff)], Nobody)
}

/// A driver of QEMU's `edu`, and what it has of a device.
struct Edu;

struct OfEdu {
    bar: Bar,
    _memory: Coherent,
    _irq: Irq<Pressed>,
}

impl pci::Driver for Edu {
    type Data = OfEdu;

    const IDS: &'static [pci::Id] = &[pci::Id::new(0x1234, 0x11e8)];

    const DMA_BITS: u32 = 28;

    fn probe(&self, device: &pci::Device) -> Result<OfEdu> {
        runs();
        let bar = device.bar(0)?;
        let memory = device.coherent(1)?;
        let irq = Irq::new(device.msi()?, Trigger::Unchanged, c"lost-handles", Pressed)?;
        device.set_master()?;
        // The device interrupts, and is not told that this was heard.
        bar.write32(0x60, 1)?;
        Ok(OfEdu {
            bar,
            _memory: memory,
            _irq: irq,
        })
    }

    fn remove(&self, data: OfEdu) {
        runs();
        say("acknowledge", data.bar.write32(0x64, 1));
    }
}

fn pci_driver() -> Result<pci::Registration<Edu>> {
    pci::Registration::new(c"lost-handles", Edu)
}

/// A device that has pages in common with processes, and sends them signals.
struct Shared {
    pages: SharedPages,
    listeners: FasyncQueue,
}

#[vtable]
impl Operations for Shared {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        runs();
        self.pages.write_slice(0, TEXT.0)?;
        self.listeners.kill_fasync(Band::In);
        dst.write_slice_file(TEXT.0, pos)
    }

    fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
        &self.listeners
    }

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        Ok(self.pages.read_only())
    }
}

fn shared() -> Result<miscdevice::Registration<Shared>> {
    let shared = Shared {
        pages: SharedPages::new(1)?,
        listeners: FasyncQueue::new(),
    };
    miscdevice::Registration::new(c"lost-handles", shared)
}

type Class = chrdev::Class<Text, ()>;

static CLASS_ATTRIBUTES: [sysfs::Attribute<Class>; 1] = [sysfs::Attribute::read_only(
    c"text",
    mode!(0o444),
    |_class, page| {
        runs();
        writeln!(page, "here")
    },
)];

/// A class with a file and a device.
fn class() -> Result<Class> {
    let class = Class::new(4, c"lost-handles", &CLASS_ATTRIBUTES, ())?;
    class.add(|_minor| TEXT)?;
    Ok(class)
}

fn input_device() -> Result<input::Device> {
    let mut can = Capabilities::new();
    can.key(30);
    input::Builder::new("lost-handles", &can).register(())
}

/// What takes all frames.
struct Sink;

impl netdev::Driver for Sink {
    fn transmit(&self, _port: &Port, _frame: Frame) -> Result {
        runs();
        Ok(())
    }
}

fn net_device() -> Result<Netdev<Sink>> {
    Netdev::new(c"lost-handles", Sink)
}

lkm::interface! {
    /// What another module could call.
    trait Callee {
        /// It runs.
        fn call(&self) -> Result<()>;
    }
}

lkm::export! {
    static EXPORT: dyn Callee = lost_handles;
}

impl Callee for Dropped {
    fn call(&self) -> Result<()> {
        runs();
        Ok(())
    }
}

/// Says when it is dropped, which one that is lost is not.
const CALLEE: Dropped = Dropped("a callee is dropped");

fn object() -> Result<Object<dyn Callee, Dropped>> {
    let object = Object::<dyn Callee, _>::new(CALLEE)?;
    object.remote().call()?;
    Ok(object)
}

fn exported() -> Result<Exported<dyn Callee, Dropped>> {
    EXPORT.publish(CALLEE)
}

struct LostHandles;

impl kernel::Module for LostHandles {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        match &text(&kind)?[..] {
            b"" => Ok(()),
            b"thread" => lose(thread()?),
            b"parked" => {
                let thread = KThread::spawn(c"lost-handles", |this| {
                    this.sleep_until_stop();
                    Ok(())
                })?;
                thread.park()?;
                lose(thread)
            }
            b"joins parked" => {
                let parked = KThread::spawn(c"lost-handles", |this| {
                    this.sleep_until_stop();
                    Ok(())
                })?;
                parked.park()?;
                lose(KThread::spawn(c"lost-handles", move |_| parked.join())?)
            }
            b"value" => lose(thread_with_a_value()?),
            b"returns itself" => thread_that_returns_itself(),
            b"group" => lose(group()?),
            b"group drops itself" => group_that_drops_itself(),
            b"itself" => thread_with_itself(),
            b"drops itself" => thread_that_drops_itself(),
            b"stops itself" => thread_that_ends_itself(KThread::stop),
            b"joins itself" => thread_that_ends_itself(KThread::join),
            b"successors" => thread_with_successors(),
            b"work" => lose(work(SystemQueue::Dfl, 0)?),
            b"delayed work" => lose(work(SystemQueue::Percpu, 1)?),
            b"bh work" => lose(work(SystemQueue::Bh, 0)?),
            b"owned work" => lose(owned_work(Flags::UNBOUND)?),
            b"owned bh work" => lose(owned_work(Flags::PERCPU | Flags::BH)?),
            b"work with itself" => work_that_drops_itself(SystemQueue::Dfl, false),
            b"work drops itself" => work_that_drops_itself(SystemQueue::Dfl, true),
            b"queue" => lose(OwnedQueue::new(
                c"lost-handles",
                Flags::UNBOUND | Flags::SYSFS,
                0,
            )?),
            b"closures" => {
                let queue = OwnedQueue::new(c"lost-handles", Flags::UNBOUND, 0)?;
                queue.spawn(GFP_KERNEL, {
                    let queue = queue.clone();
                    move || again(queue)
                })?;
                lose(queue)
            }
            b"bh closures" => {
                let queue = OwnedQueue::new(c"lost-handles", Flags::PERCPU | Flags::BH, 0)?;
                queue.spawn(GFP_KERNEL, {
                    let queue = queue.clone();
                    move || again(queue)
                })?;
                lose(queue)
            }
            b"closure drops queue" => queue_that_is_dropped_by_its_closure(Flags::UNBOUND),
            b"bh closure drops queue" => {
                queue_that_is_dropped_by_its_closure(Flags::PERCPU | Flags::BH)
            }
            b"closure drops another queue" => lose(queue_that_drops_another()?),
            b"tasklet" => lose(tasklet(false)?),
            b"tasklet drops itself" => tasklet(true).map(drop),
            b"timer" => lose(timer(false)?),
            b"timer drops itself" => timer(true).map(drop),
            b"probe" => lose(probe()?),
            b"probe with itself" => probe_with_itself(false),
            b"probe drops itself" => probe_with_itself(true),
            b"proc file" => lose(proc_file()?),
            b"proc dir" => lose(proc_dir()?),
            b"sysfs dir" => lose(sysfs_dir()?),
            b"debugfs dir" => lose(debugfs_dir()?),
            b"chrdev" => lose(chrdevs()?),
            b"misc" => lose(misc()?),
            b"gpio lines" => lose(lines()?),
            b"gpio line in use" => line_in_use(),
            b"interrupt" => lose(interrupt()?),
            b"interrupt with itself" => interrupt_with_itself(),
            b"gpio chip" => lose(gpio_chip()?),
            b"disk" => lose(disk()?),
            b"config" => lose(config()?),
            b"genl family" => lose(family()?),
            b"genl family in use" => family_in_use(),
            b"i2c" => lose(i2c_bus()?),
            b"platform driver" => lose(platform_driver()?),
            b"platform device" => lose(platform_device()?),
            b"both" => lose((platform_driver()?, platform_device()?)),
            b"usb driver" => lose(usb_driver()?),
            b"pci driver" => lose(pci_driver()?),
            b"shared" => lose(shared()?),
            b"class" | b"class device" => lose(class()?),
            b"input" => lose(input_device()?),
            b"net device" => lose(net_device()?),
            b"object" => lose(object()?),
            b"exported" => lose(exported()?),
            b"executor" => lose(tasks()?),
            b"task with executor" => task_with_its_executor(false),
            b"task drops executor" => task_with_its_executor(true),
            b"task drops another executor" => lose(task_that_drops_an_executor()?),
            _ => Err(EINVAL),
        }?;
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self)
    }
}
