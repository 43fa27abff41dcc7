// SPDX-License-Identifier: GPL-2.0-only

//! Test only: what C has of the module, `kind`, whose handle is lost in some `way`.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce, //
    },
    time::msecs_to_jiffies, //
};
use lkm::kthread::{
    Group,
    KThread,
    ThisThread, //
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
static KEPT: SetOnce<KBox<dyn Handle>> = SetOnce::new();

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
            if !KEPT.populate(handle) {
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
        this.sleep(msecs_to_jiffies(1));
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

/// A thread that drops its own handle as soon as it has it, and says when it ends.
fn thread_that_drops_itself() -> Result {
    let handle = Arc::pin_init(new_mutex!(None::<KThread>), GFP_KERNEL)?;
    let owned = handle.clone();
    let thread = KThread::spawn(c"lost-handles", move |this| {
        while !this.should_stop() {
            let handle = owned.lock().take();
            if let Some(handle) = &handle {
                say("park", handle.park());
            }
            drop(handle);
            this.sleep(msecs_to_jiffies(1));
        }
        pr_info!("asked to stop\n");
        Ok(())
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
            this.sleep(msecs_to_jiffies(1));
        }
        Ok(())
    })?;
    *handle.lock() = Some(thread);
    Ok(())
}

/// A thread that spawns its successor when it is asked to stop, and again.
fn thread_with_successors() -> Result {
    fn again(this: &ThisThread) -> Result {
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
            this.sleep(msecs_to_jiffies(1));
        }
        pr_info!("asked to stop\n");
        Ok(())
    })?;
    *handle.lock() = Some(group);
    Ok(())
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
            b"group" => lose(group()?),
            b"group drops itself" => group_that_drops_itself(),
            b"itself" => thread_with_itself(),
            b"drops itself" => thread_that_drops_itself(),
            b"stops itself" => thread_that_ends_itself(KThread::stop),
            b"joins itself" => thread_that_ends_itself(KThread::join),
            b"successors" => thread_with_successors(),
            _ => Err(EINVAL),
        }?;
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self)
    }
}
