// SPDX-License-Identifier: GPL-2.0-only

//! A tracepoint of the module: an event that is seen in /sys/kernel/tracing when it is
//! switched on there, and that costs next to nothing otherwise.
//!
//! Its branch is one on a static key. Reading /proc/rust_tracepoint makes events happen, and
//! says how long that took.
//!
//! Book: 31.2 Static keys

use core::hint::black_box;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        Instant,
        Monotonic, //
    },
};
use lkm::{
    file::{
        mode,
        Offset, //
    },
    procfs,
    seq_file::{
        seq_print,
        Seq,
        SeqFile,
        Sequence, //
    },
    static_branch_unlikely,
    static_key::StaticKey, //
};

module! {
    type: RustTracepoint,
    name: "rust_tracepoint",
    authors: ["lkmpg-rs"],
    description: "A tracepoint, and what it costs",
    license: "GPL",
}

lkm::params! {
    rounds: u32 { default: 1000, mode: 0o644, description: "How many events a read makes happen" },
}

/// No read takes longer than that.
const LIMIT: u32 = 1_000_000;

lkm::tracepoints! {
    /// The events in `rust_tracepoint_events.h`.
    mod events {
        /// A round is over: its number, and the sum of all numbers so far.
        pub(crate) fn rust_tracepoint_round(number: u32, sum: u64);
    }
}

/// A key of the module's own, which is never on.
static KEY: StaticKey = StaticKey::new();

/// The same as a variable.
static FLAG: Atomic<u32> = Atomic::new(0);

/// How many nanoseconds it took to add up the numbers below `count`, doing something after
/// each.
fn time(count: u32, mut each: impl FnMut(u32, u64)) -> i64 {
    let begin = Instant::<Monotonic>::now();
    let mut sum = 0u64;
    for number in 0..count {
        // The compiler is not to know the sum without adding.
        sum = black_box(sum + u64::from(number));
        each(number, sum);
    }
    begin.elapsed().as_nanos()
}

/// What a read shows: one text, for which all is done when the read begins.
struct Costs;

/// How long `count` rounds took.
struct Cost {
    count: u32,
    nothing: i64,
    flag: i64,
    key: i64,
    tracepoint: i64,
}

impl Sequence for Costs {
    type Cursor<'a> = Cost;

    fn start(&self, pos: Offset) -> Result<Option<Cost>> {
        if pos != 0 {
            return Ok(None);
        }
        let count = rounds.get().min(LIMIT);
        Ok(Some(Cost {
            count,
            nothing: time(count, |_, _| ()),
            flag: time(count, |number, _| {
                if FLAG.load(Relaxed) != 0 {
                    pr_info!("{number}\n");
                }
            }),
            key: time(count, |number, _| {
                if static_branch_unlikely!(KEY) {
                    pr_info!("{number}\n");
                }
            }),
            tracepoint: time(count, events::rust_tracepoint_round),
        }))
    }

    fn next(_cost: &mut Cost) -> bool {
        false
    }

    fn show(cost: &Cost, text: &mut SeqFile) -> Result {
        seq_print!(text, "{} rounds\n", cost.count);
        seq_print!(text, "nothing: {} ns\n", cost.nothing);
        seq_print!(text, "a flag: {} ns\n", cost.flag);
        seq_print!(text, "a static key: {} ns\n", cost.key);
        seq_print!(text, "a tracepoint: {} ns\n", cost.tracepoint);
        Ok(())
    }
}

struct RustTracepoint {
    _entry: procfs::Entry<Seq<Costs>>,
}

impl kernel::Module for RustTracepoint {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _entry: procfs::Entry::new(c"rust_tracepoint", mode!(0o444), Seq::new(Costs))?,
        })
    }
}
