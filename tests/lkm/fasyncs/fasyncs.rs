// SPDX-License-Identifier: GPL-2.0-only

//! Test only: queues of files that want signals, in odd places, and told of in odd ones.

use kernel::{
    impl_has_hr_timer, new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        Mutex, //
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeMode, //
        },
        Delta,
        Monotonic, //
    },
};
use lkm::{
    context::Context,
    file::{
        mode,
        Argument,
        Band,
        FasyncQueue,
        File,
        Offset,
        Opened,
        Operations,
        Reader, //
    },
    miscdevice, procfs,
    tasklet::{
        self,
        Tasklet, //
    },
};

mod commands;

use commands::*;

module! {
    type: Fasyncs,
    name: "fasyncs",
    authors: ["lkmpg-rs"],
    description: "Test only: lkm::file::FasyncQueue",
    license: "GPL",
}

fn band(argument: Argument) -> Result<Band> {
    Ok(match argument.number() {
        1 => Band::In,
        2 => Band::Out,
        3 => Band::Msg,
        4 => Band::Err,
        5 => Band::Pri,
        6 => Band::Hup,
        _ => return Err(EINVAL),
    })
}

/// A device whose openings have a queue each.
struct Own;

#[vtable]
impl Operations for Own {
    type Private = FasyncQueue;

    fn open(&self, _file: &File) -> impl PinInit<FasyncQueue, Error> {
        Ok(FasyncQueue::new())
    }

    fn ioctl(&self, file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        match cmd {
            TELL => file.private().kill_fasync(band(arg)?),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn fasync<'a>(&'a self, file: &'a Opened<Self>) -> &'a FasyncQueue {
        file.private()
    }
}

/// A device that answers with another queue each time.
struct Fickle {
    queues: [FasyncQueue; 2],
    asked: Atomic<u32>,
}

#[vtable]
impl Operations for Fickle {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        match cmd {
            TELL => self.queues[0].kill_fasync(band(arg)?),
            TELL_SECOND => self.queues[1].kill_fasync(band(arg)?),
            ASKED => return Ok(self.asked.load(Relaxed)),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
        let asked = self.asked.fetch_add(1, Relaxed);
        &self.queues[asked as usize % 2]
    }
}

impl Drop for Fickle {
    fn drop(&mut self) {
        pr_info!("its queues are gone\n");
    }
}

/// The files that interrupts tell.
static OF_INTERRUPTS: FasyncQueue = FasyncQueue::new();

static ELSEWHERES: Atomic<u32> = Atomic::new(0);

fn tell_in(context: Context) {
    if Context::current() != context {
        ELSEWHERES.fetch_add(1, Relaxed);
    }
    OF_INTERRUPTS.kill_fasync(Band::Pri);
}

struct Soft;

impl tasklet::Handler for Soft {
    fn run(&self) {
        tell_in(Context::SoftIrq);
    }
}

#[pin_data]
struct Hard {
    #[pin]
    timer: HrTimer<Self>,
    left: Atomic<u32>,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Hard {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

const INTERVAL: Delta = Delta::from_micros(100);

impl HrTimerCallback for Hard {
    type Pointer<'a> = Arc<Self>;

    fn run(
        hard: ArcBorrow<'_, Self>,
        mut timer: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        tell_in(Context::HardIrq);
        if hard.left.fetch_add(u32::MAX, Relaxed) <= 1 {
            return HrTimerRestart::NoRestart;
        }
        timer.forward_now(INTERVAL);
        HrTimerRestart::Restart
    }
}

fn start(count: u32) -> Result<ArcHrTimerHandle<Hard>> {
    let hard = Arc::pin_init(
        pin_init!(Hard {
            timer <- HrTimer::new(),
            left: Atomic::new(count),
        }),
        GFP_KERNEL,
    )?;
    Ok(hard.start(INTERVAL))
}

/// A device whose files interrupts tell.
#[pin_data]
struct Interrupts {
    soft: Tasklet<Soft>,
    #[pin]
    hard: Mutex<Option<ArcHrTimerHandle<Hard>>>,
}

#[vtable]
impl Operations for Interrupts {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        match cmd {
            FROM_SOFTIRQ => self.soft.schedule(),
            FROM_HARDIRQ => {
                let before = self.hard.lock().replace(start(arg.number() as u32)?);
                drop(before);
            }
            ELSEWHERE => return Ok(ELSEWHERES.load(Relaxed)),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
        &OF_INTERRUPTS
    }
}

/// Drops the fickle device when anything is written to it.
#[pin_data]
struct Control {
    #[pin]
    fickle: Mutex<Option<miscdevice::Registration<Fickle>>>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let device = self.fickle.lock().take();
        drop(device);
        Ok(src.len())
    }
}

struct Fasyncs {
    _own: miscdevice::Registration<Own>,
    _interrupts: miscdevice::Registration<Interrupts>,
    _control: procfs::Entry<Control>,
}

impl kernel::Module for Fasyncs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let fickle = Fickle {
            queues: [FasyncQueue::new(), FasyncQueue::new()],
            asked: Atomic::new(0),
        };
        let fickle = miscdevice::Registration::new(c"fasyncs-fickle", fickle)?;
        let soft = Tasklet::new(Soft)?;
        let interrupts = pin_init!(Interrupts {
            soft,
            hard <- new_mutex!(None),
        });
        let control = pin_init!(Control {
            fickle <- new_mutex!(Some(fickle)),
        });
        Ok(Self {
            _own: miscdevice::Registration::new(c"fasyncs-own", Own)?,
            _interrupts: miscdevice::Registration::new(c"fasyncs-interrupts", interrupts)?,
            _control: procfs::Entry::new(c"fasyncs-control", mode!(0o200), control)?,
        })
    }
}
