// SPDX-License-Identifier: GPL-2.0-only

//! How late a function is called, and what /proc/rust_timer shows of that.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};
use lkm::{
    context::Context,
    file::Offset,
    seq_file::{
        seq_print,
        SeqFile,
        Sequence, //
    },
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    time::{
        ticks,
        ticks_per_second, //
    },
};

use crate::interval;

/// When a function was to be called, and when it was.
struct Times {
    due: Instant<Monotonic>,
    count: u64,
    last: Delta,
    most: Delta,
    context: Context,
}

#[pin_data]
pub(crate) struct Watch {
    // A hardirq takes it, too.
    #[pin]
    times: IrqSpinLock<Times>,
}

impl Watch {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let never = Times {
            due: Instant::now(),
            count: 0,
            last: Delta::ZERO,
            most: Delta::ZERO,
            context: Context::Process,
        };
        Arc::pin_init(
            pin_init!(Self { times <- new_irq_spinlock!(never) }),
            GFP_KERNEL,
        )
    }

    /// The function was called.
    pub(crate) fn came(&self) {
        let mut times = self.times.lock();
        let late = times.due.elapsed();
        times.count += 1;
        times.last = late;
        if late > times.most {
            times.most = late;
        }
        times.context = Context::current();
    }

    /// It is to be called an interval from now. Returns when that is.
    pub(crate) fn expect(&self) -> Instant<Monotonic> {
        let due = Instant::now() + interval();
        self.times.lock().due = due;
        due
    }

    /// It is to be called so much later than the last time that it was to be.
    pub(crate) fn postpone(&self, by: Delta) {
        let mut times = self.times.lock();
        times.due = times.due + by;
    }
}

/// What /proc/rust_timer shows: a line about ticks, and one for each way.
pub(crate) struct Lines(pub(crate) [(&'static str, Arc<Watch>); 3]);

impl Sequence for Lines {
    type Cursor<'a> = &'a Lines;

    fn start(&self, pos: Offset) -> Result<Option<&Lines>> {
        // All is one text.
        Ok((pos == 0).then_some(self))
    }

    fn next(_lines: &mut &Lines) -> bool {
        false
    }

    fn show(lines: &&Lines, text: &mut SeqFile) -> Result {
        seq_print!(text, "{} ticks, {} a second\n", ticks(), ticks_per_second());
        for (name, watch) in &lines.0 {
            let times = watch.times.lock();
            let (count, context) = (times.count, times.context);
            let (last, most) = (times.last.as_micros_ceil(), times.most.as_micros_ceil());
            // Text is not written while a lock is held: it may take long.
            drop(times);
            seq_print!(
                text,
                "{name}: {count} times, {last} us late, at most {most} us, in {context} context\n"
            );
        }
        Ok(())
    }
}
