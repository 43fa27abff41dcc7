// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the net devices of `lkm::netdev`, and what safe code can do with them.

use core::ffi::CStr;
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
    genl::{
        self,
        Attribute,
        Command,
        Family,
        Request, //
    },
    kthread::KThread,
    miscdevice::Registration,
    netdev::{
        Driver,
        Frame,
        Netdev,
        Port,
        Receiver, //
    },
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    tasklet::{
        self,
        Tasklet, //
    },
};

mod commands;

use commands::*;

module! {
    type: NetDevices,
    name: "netdevs",
    authors: ["lkmpg-rs"],
    description: "Test only: the net devices of lkm::netdev",
    license: "GPL",
}

lkm::params! {
    early: bool { default: false, mode: 0, description: "Whether init makes a device" },
    wait: bool { default: false, mode: 0o644, description: "Whether init waits after that" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
    lose: bool {
        default: false,
        mode: 0,
        description: "Whether a device is lost that an older thread uses",
    },
}

// A device of size 0 has nowhere else to count.
static OPENED: Atomic<u32> = Atomic::new(0);
static STOPPED: Atomic<u32> = Atomic::new(0);
static SENT: Atomic<u32> = Atomic::new(0);
static POLLED: Atomic<u32> = Atomic::new(0);
static ALIVE: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);
static ROOM: Atomic<u32> = Atomic::new(0);
static FITTING: Atomic<u32> = Atomic::new(Ring::SIZE as u32);
static HOLDING: Atomic<u32> = Atomic::new(0);
static TO_DO: Atomic<usize> = Atomic::new(NOTHING);
static ANSWERED: Atomic<u32> = Atomic::new(0);
static BYTES: Atomic<u32> = Atomic::new(0);
static LATE: Atomic<u32> = Atomic::new(0);
static OPENER: Atomic<i32> = Atomic::new(0);

fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

fn is_to(what: usize) -> bool {
    TO_DO.load(Relaxed) == what
}

fn number(error: Error) -> u32 {
    error.to_errno().unsigned_abs()
}

/// Something that there is as long as its device.
struct Living;

impl Living {
    fn new() -> Self {
        ALIVE.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        ALIVE.fetch_add(u32::MAX, Relaxed);
    }
}

/// Something that is not dropped by who opens or stops a device.
struct Late;

impl Late {
    fn new() -> Self {
        LATE.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        must(current!().pid() != OPENER.load(Relaxed));
        LATE.fetch_add(u32::MAX, Relaxed);
    }
}

/// A family that answers with nothing.
struct Silent {
    _late: Late,
}

impl genl::Handler for Silent {
    const COMMANDS: &'static [Command] = &[Command::new(1)];
    const ATTRIBUTES: &'static [Attribute] = &[];

    fn handle(&self, _request: &Request) -> Result {
        Ok(())
    }
}

fn family(name: &CStr) -> Result<Family<Silent>> {
    Family::register(name, Silent { _late: Late::new() })
}

/// A file of which nothing can be read.
struct Idle {
    _late: Late,
}

#[vtable]
impl Operations for Idle {
    type Private = ();
}

fn misc(name: &'static CStr) -> Result<Registration<Idle>> {
    Registration::new(name, Idle { _late: Late::new() })
}

/// What can be done with a device of any kind.
trait Handle: Send + Sync {
    fn port(&self) -> &Port;

    /// The device receives a frame.
    fn give(&self, frame: Frame) -> Result;
}

impl<T: Gives> Handle for Netdev<T> {
    fn port(&self) -> &Port {
        self
    }

    fn give(&self, frame: Frame) -> Result {
        self.driver().give(self, frame)
    }
}

/// A driver that can be given a frame to receive.
trait Gives: Driver {
    fn give(&self, _port: &Port, _frame: Frame) -> Result {
        Err(EINVAL)
    }
}

fn handle<T: Gives>(device: Netdev<T>) -> Result<Arc<dyn Handle>> {
    let handle: Arc<dyn Handle> = Arc::new(device, GFP_KERNEL)?;
    Ok(handle)
}

type Place<T> = Arc<IrqSpinLock<Option<T>>>;
type Slot = Place<Arc<dyn Handle>>;

fn place<T>() -> Result<Place<T>> {
    Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)
}

/// Drops what is in a place.
fn empty<T: Unpin>(place: &Place<T>) {
    let value = place.lock().take();
    drop(value);
}

/// What the devices and the test share.
struct Shared {
    devices: KVec<Slot>,
    thread: Place<KThread>,
    others: Place<(Family<Silent>, Registration<Idle>)>,
    kept: Place<KVec<Frame>>,
}

/// How many frames can be kept.
const MOST_KEPT: usize = 64;

impl Shared {
    fn new() -> Result<Self> {
        let mut devices = KVec::new();
        for _ in 0..DEVICES.len() {
            devices.push(place()?, GFP_KERNEL)?;
        }
        let kept: Place<KVec<Frame>> = place()?;
        let frames = KVec::with_capacity(MOST_KEPT, GFP_KERNEL)?;
        let before = kept.lock().replace(frames);
        drop(before);
        Ok(Self {
            devices,
            thread: place()?,
            others: place()?,
            kept,
        })
    }

    fn slot(&self, kind: usize) -> Result<&Slot> {
        self.devices.get(kind).ok_or(EDOM)
    }

    fn device(&self, kind: usize) -> Result<Arc<dyn Handle>> {
        let device = self.slot(kind)?.lock().clone();
        device.ok_or(ENOENT)
    }

    fn drop_device(&self, kind: usize) {
        if let Some(slot) = self.devices.get(kind) {
            empty(slot);
        }
    }

    fn make(self: &Arc<Self>, kind: usize) -> Result {
        let slot = self.slot(kind)?;
        let name = DEVICES[kind];
        let device = match kind {
            MAIN | OTHER => handle(Netdev::<Loop>::new(name, Loop::new(self, kind)?)?)?,
            EMPTY => handle(Netdev::<Empty>::new(name, Empty)?)?,
            WIDE => {
                let wide = try_init!(Wide { zeroes: [0; 4096] });
                handle(Netdev::<Wide>::new(name, wide)?)?
            }
            _ => return Err(EDOM),
        };
        let before = slot.lock().replace(device);
        drop(before);
        Ok(())
    }

    fn make_thread(&self) -> Result {
        let thread = KThread::spawn(c"netdevs", |this| {
            this.sleep_until_stop();
            Ok(())
        })?;
        let before = self.thread.lock().replace(thread);
        drop(before);
        Ok(())
    }

    fn make_others(&self) -> Result {
        let others = (family(c"netdevs-other")?, misc(c"netdevs-other")?);
        let before = self.others.lock().replace(others);
        drop(before);
        Ok(())
    }

    fn keep(&self, frame: Frame) -> Result {
        let mut kept = self.kept.lock();
        let Some(frames) = &mut *kept else {
            return Err(ENOENT);
        };
        frames.push_within_capacity(frame).map_err(|_| ENOSPC)
    }

    fn kept(&self) -> usize {
        self.kept.lock().as_ref().map_or(0, |frames| frames.len())
    }

    fn give_kept(&self, kind: usize) -> Result {
        let device = self.device(kind)?;
        loop {
            let frame = match &mut *self.kept.lock() {
                Some(frames) => frames.pop(),
                None => return Err(ENOENT),
            };
            match frame {
                Some(frame) => device.give(frame)?,
                None => return Ok(()),
            }
        }
    }

    fn free_kept(&self) {
        // Interrupts are off as long as it is locked.
        if let Some(frames) = &mut *self.kept.lock() {
            frames.clear();
        }
    }

    fn receive(&self, len: usize) -> Result {
        let mut bytes = KVVec::from_elem(0_u8, len, GFP_KERNEL)?;
        // To everybody.
        for byte in bytes.iter_mut().take(6) {
            *byte = 0xff;
        }
        self.device(MAIN)?.give(Frame::new(&bytes)?)
    }

    fn count(&self, index: usize) -> Result<u32> {
        let stats = self.device(MAIN)?.port().stats()?;
        let counts = [
            stats.rx_packets,
            stats.rx_bytes,
            stats.rx_dropped,
            stats.tx_packets,
            stats.tx_bytes,
            stats.tx_dropped,
        ];
        Ok(*counts.get(index).ok_or(EDOM)? as u32)
    }
}

/// Frames that come back.
struct Ring {
    frames: KVec<Option<Frame>>,
    first: usize,
    count: usize,
}

impl Ring {
    const SIZE: usize = 256;

    fn new() -> Result<Self> {
        let mut frames = KVec::with_capacity(Self::SIZE, GFP_KERNEL)?;
        for _ in 0..Self::SIZE {
            frames.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            frames,
            first: 0,
            count: 0,
        })
    }

    fn is_full(&self) -> bool {
        self.count >= Self::SIZE.min(FITTING.load(Relaxed) as usize)
    }

    fn push(&mut self, frame: Frame) -> Result {
        if self.is_full() {
            return Err(ENOSPC);
        }
        self.frames[(self.first + self.count) % Self::SIZE] = Some(frame);
        self.count += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames[self.first].take()?;
        self.first = (self.first + 1) % Self::SIZE;
        self.count -= 1;
        Some(frame)
    }

    /// What was just popped.
    fn push_back(&mut self, frame: Frame) {
        self.first = (self.first + Self::SIZE - 1) % Self::SIZE;
        self.frames[self.first] = Some(frame);
        self.count += 1;
    }
}

/// A method that must not run twice at the same time runs, as long as this lives.
struct Alone<'a>(&'a Atomic<u32>);

impl<'a> Alone<'a> {
    fn begin(count: &'a Atomic<u32>) -> Self {
        must(count.fetch_add(1, Relaxed) == 0);
        Self(count)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(u32::MAX, Relaxed);
    }
}

#[pin_data]
struct Loop {
    shared: Arc<Shared>,
    kind: usize,
    open: Atomic<u32>,
    transmits: Atomic<u32>,
    polls: Atomic<u32>,
    #[pin]
    ring: IrqSpinLock<Ring>,
    _living: Living,
}

impl Loop {
    fn new(shared: &Arc<Shared>, kind: usize) -> Result<impl PinInit<Self>> {
        let (shared, empty) = (shared.clone(), Ring::new()?);
        Ok(pin_init!(Self {
            shared,
            kind,
            open: Atomic::new(0),
            transmits: Atomic::new(0),
            polls: Atomic::new(0),
            ring <- new_irq_spinlock!(empty),
            _living: Living::new(),
        }))
    }

    /// Does what this method is to do.
    fn act(&self, method: usize) {
        if self.kind != MAIN {
            return;
        }
        if is_to(DROP_IN + method) {
            self.shared.drop_device(self.kind);
        }
        if is_to(DROP_OTHER_IN + method) {
            self.shared.drop_device(OTHER);
        }
        if is_to(DROP_THREAD_IN + method) {
            empty(&self.shared.thread);
        }
        if is_to(DROP_OTHERS_IN + method) {
            if [OPEN, STOP].contains(&method) {
                OPENER.store(current!().pid(), Relaxed);
            }
            empty(&self.shared.others);
        }
        let made = match TO_DO.load(Relaxed).wrapping_sub(method) {
            MAKE_IN => Netdev::<Empty>::new(c"netdevs-never", Empty).map(drop),
            MAKE_FAMILY_IN => family(c"netdevs-never").map(drop),
            MAKE_MISC_IN => misc(c"netdevs-never").map(drop),
            _ => return,
        };
        ANSWERED.store(made.map_or_else(number, |()| 0), Relaxed);
    }

    /// Neither of the two methods runs that are for frames.
    fn is_idle(&self) -> bool {
        self.transmits.load(Relaxed) == 0 && self.polls.load(Relaxed) == 0
    }

    fn pop(&self) -> Option<Frame> {
        self.ring.lock().pop()
    }

    fn push(&self, port: &Port, frame: Frame) -> Result {
        let mut ring = self.ring.lock();
        ring.push(frame)?;
        if ring.is_full() && HOLDING.load(Relaxed) == 0 {
            port.stop_queue();
        }
        drop(ring);
        port.schedule();
        Ok(())
    }
}

/// Reads all bytes of a frame, and tries to read more.
fn look(frame: &Frame) {
    let mut bytes = [0; 16];
    let mut at = 0;
    while at < frame.size() {
        let len = bytes.len().min(frame.size() - at);
        must(frame.copy(at, &mut bytes[..len]).is_ok());
        let sum = bytes[..len]
            .iter()
            .map(|byte| u32::from(*byte))
            .sum::<u32>();
        BYTES.fetch_add(sum, Relaxed);
        at += len;
    }
    must(at == frame.size());
    must(frame.copy(at, &mut []).is_ok());
    for at in [at, at + 1, usize::MAX] {
        must(frame.copy(at, &mut bytes[..1]).is_err());
    }
    must(frame.copy(frame.size() - 14, &mut bytes).is_err());
}

impl Driver for Loop {
    const ARP: bool = false;

    fn open(&self, _port: &Port) -> Result {
        OPENED.fetch_add(1, Relaxed);
        must(self.open.load(Relaxed) == 0 && self.is_idle());
        self.act(OPEN);
        match TO_DO.load(Relaxed).checked_sub(REFUSE) {
            Some(errno) => Err(Error::from_errno(-(errno as i32))),
            None => {
                self.open.store(1, Relaxed);
                Ok(())
            }
        }
    }

    fn stop(&self, _port: &Port) {
        STOPPED.fetch_add(1, Relaxed);
        must(self.open.xchg(0, Relaxed) == 1 && self.is_idle());
        while let Some(frame) = self.pop() {
            drop(frame);
        }
        self.act(STOP);
    }

    fn transmit(&self, port: &Port, frame: Frame) -> Result {
        let _alone = Alone::begin(&self.transmits);
        must(self.open.load(Relaxed) == 1);
        must(frame.size() >= 14);
        SENT.fetch_add(1, Relaxed);
        self.act(TRANSMIT);
        if is_to(REFUSE_FRAMES) {
            return Err(EIO);
        }
        if is_to(KEEP) {
            return self.shared.keep(frame);
        }
        if is_to(LOOK) {
            look(&frame);
        }
        self.push(port, frame)
    }

    fn poll(&self, port: &Port, receiver: &mut Receiver<'_>) {
        let _alone = Alone::begin(&self.polls);
        must(self.open.load(Relaxed) == 1);
        POLLED.fetch_add(1, Relaxed);
        self.act(POLL);
        let room = receiver.room() as u32;
        must(room > 0);
        ROOM.store(ROOM.load(Relaxed).max(room), Relaxed);
        if HOLDING.load(Relaxed) != 0 {
            return;
        }
        // It is locked all the time: what the kernel makes of the frames it does later, which
        // can be to send one.
        let mut ring = self.ring.lock();
        while receiver.room() > 0 {
            let Some(frame) = ring.pop() else { break };
            must(receiver.receive(frame).is_ok());
        }
        if receiver.room() == 0 {
            if let Some(frame) = ring.pop() {
                match receiver.receive(frame) {
                    Ok(()) => must(false),
                    Err(frame) => ring.push_back(frame),
                }
            }
        }
        if !ring.is_full() {
            port.wake_queue();
        }
    }
}

impl Gives for Loop {
    fn give(&self, port: &Port, frame: Frame) -> Result {
        self.push(port, frame)
    }
}

struct Empty;

impl Driver for Empty {
    fn transmit(&self, _port: &Port, _frame: Frame) -> Result {
        SENT.fetch_add(1, Relaxed);
        Ok(())
    }
}

impl Gives for Empty {}

#[repr(align(64))]
struct Wide {
    zeroes: [u8; 4096],
}

impl Driver for Wide {
    const MAX_MTU: u32 = 68;

    fn transmit(&self, _port: &Port, _frame: Frame) -> Result {
        must((&raw const *self).addr() % 64 == 0);
        must(self.zeroes.iter().all(|byte| *byte == 0));
        SENT.fetch_add(1, Relaxed);
        Ok(())
    }
}

impl Gives for Wide {}

/// Drops a handle where it must not sleep.
struct Dropper {
    slot: Slot,
}

impl tasklet::Handler for Dropper {
    fn run(&self) {
        empty(&self.slot);
    }
}

struct Control {
    shared: Arc<Shared>,
    doomed: Slot,
    dropper: Tasklet<Dropper>,
}

impl Control {
    fn new(shared: Arc<Shared>) -> Result<Self> {
        let doomed: Slot = place()?;
        let dropper = Tasklet::new(Dropper {
            slot: doomed.clone(),
        })?;
        Ok(Self {
            shared,
            doomed,
            dropper,
        })
    }

    fn drop_in_softirq(&self, kind: usize) -> Result {
        let device = self.shared.slot(kind)?.lock().take();
        let before = core::mem::replace(&mut *self.doomed.lock(), device);
        drop(before);
        self.dropper.schedule();
        Ok(())
    }

    fn drop_without_irqs(&self, kind: usize) -> Result {
        let device = self.shared.slot(kind)?.lock().take();
        let kept = self.shared.kept.lock();
        drop(device);
        drop(kept);
        Ok(())
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let number = arg.number();
        let shared = &self.shared;
        match cmd {
            MAKE => shared.make(number)?,
            DROP => shared.drop_device(number),
            DROP_IN_SOFTIRQ => self.drop_in_softirq(number)?,
            DROP_WITHOUT_IRQS => self.drop_without_irqs(number)?,
            LIMIT => FITTING.store(number as u32, Relaxed),
            HOLD => HOLDING.store(number as u32, Relaxed),
            SCHEDULE => shared.device(number)?.port().schedule(),
            DO => {
                ANSWERED.store(0, Relaxed);
                TO_DO.store(number, Relaxed);
            }
            MAKE_THREAD => shared.make_thread()?,
            MAKE_OTHERS => shared.make_others()?,
            TRY_NAME => {
                let name = NAMES.get(number).ok_or(EDOM)?;
                Netdev::<Empty>::new(name, Empty).map(drop)?;
            }
            COUNT => return shared.count(number),
            RECEIVE => shared.receive(number)?,
            KEPT => return Ok(shared.kept() as u32),
            GIVE_KEPT => shared.give_kept(number)?,
            FREE_KEPT => shared.free_kept(),
            _ => {
                let count = match cmd {
                    OPENS => &OPENED,
                    STOPS => &STOPPED,
                    FRAMES => &SENT,
                    POLLS => &POLLED,
                    LIVING => &ALIVE,
                    WRONG => &ERRORS,
                    MOST_ROOM => &ROOM,
                    ANSWER => &ANSWERED,
                    SUM => &BYTES,
                    OTHERS => &LATE,
                    _ => return Err(ENOTTY),
                };
                return Ok(count.load(Relaxed));
            }
        }
        Ok(0)
    }
}

/// A device that is lost, and a thread that uses it until it has gone. The thread is older, so
/// it is stopped after the device.
fn lose_device(shared: &Arc<Shared>) -> Result {
    let owned = shared.clone();
    let thread = KThread::spawn(c"netdevs", move |_| {
        let error = loop {
            let result = owned.device(MAIN).and_then(|device| {
                device.port().schedule();
                device.port().stop_queue();
                device.port().wake_queue();
                device.port().stats()
            });
            match result {
                Err(error) if error != ENOENT => break error,
                _ => fsleep(Delta::from_micros(100)),
            }
        };
        pr_info!("uses end: errno {}\n", number(error));
        Ok(())
    })?;
    core::mem::forget(thread);
    shared.make(MAIN)
}

struct NetDevices {
    _control: procfs::Entry<Control>,
    shared: Arc<Shared>,
}

/// The devices have what owns them.
fn drop_all(shared: &Shared) {
    for kind in 0..DEVICES.len() {
        shared.drop_device(kind);
    }
}

impl kernel::Module for NetDevices {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let shared = Arc::new(Shared::new()?, GFP_KERNEL)?;
        if lose.get() {
            lose_device(&shared)?;
        }
        if early.get() {
            shared.make(MAIN)?;
            while wait.get() {
                fsleep(Delta::from_millis(1));
            }
            if fail.get() {
                drop_all(&shared);
                return Err(ENODEV);
            }
        }
        let control = Control::new(shared.clone())?;
        Ok(Self {
            _control: procfs::Entry::new(c"netdevs", mode!(0o600), control)?,
            shared,
        })
    }
}

impl Drop for NetDevices {
    fn drop(&mut self) {
        if !lose.get() {
            drop_all(&self.shared);
        }
    }
}
