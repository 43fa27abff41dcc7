// SPDX-License-Identifier: GPL-2.0-only

//! Atomic numbers, and atomic operations on the bits of one.
//!
//! Book: 13.4 Atomic operations

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
};

module! {
    type: ExampleAtomic,
    name: "example_atomic",
    authors: ["lkmpg-rs"],
    description: "Atomic operations example",
    license: "GPL",
}

struct ExampleAtomic;

impl kernel::Module for ExampleAtomic {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("example_atomic started\n");
        atomic_add_subtract();
        atomic_bitwise();
        Ok(ExampleAtomic)
    }
}

fn atomic_add_subtract() {
    let chris = Atomic::new(50);
    let debbie = Atomic::new(0);
    debbie.store(45, Relaxed);

    // Subtract one.
    debbie.fetch_add(-1, Relaxed);

    debbie.add(7, Relaxed);

    // Add one.
    debbie.add(1, Relaxed);

    pr_info!(
        "chris: {}, debbie: {}\n",
        chris.load(Relaxed),
        debbie.load(Relaxed)
    );
}

fn atomic_bitwise() {
    let word = Atomic::new(0usize);

    pr_info!("Bits 0: {:08b}\n", word.load(Relaxed));
    set_bit(3, &word);
    set_bit(5, &word);
    pr_info!("Bits 1: {:08b}\n", word.load(Relaxed));
    clear_bit(5, &word);
    pr_info!("Bits 2: {:08b}\n", word.load(Relaxed));
    change_bit(3, &word);
    pr_info!("Bits 3: {:08b}\n", word.load(Relaxed));
    if set_bit(3, &word) {
        pr_info!("wrong\n");
    }
    pr_info!("Bits 4: {:08b}\n", word.load(Relaxed));

    word.store(255, Relaxed);
    pr_info!("Bits 5: {:08b}\n", word.load(Relaxed));
}

/// Sets bit `n`. Returns whether it was set before.
fn set_bit(n: u32, word: &Atomic<usize>) -> bool {
    update(word, |bits| bits | 1 << n) & 1 << n != 0
}

/// Clears bit `n`.
fn clear_bit(n: u32, word: &Atomic<usize>) {
    update(word, |bits| bits & !(1 << n));
}

/// Clears bit `n` when it is set, and sets it when it is clear.
fn change_bit(n: u32, word: &Atomic<usize>) {
    update(word, |bits| bits ^ 1 << n);
}

/// Replaces the bits of `word` by what `change` makes of them; tries again when
/// somebody else has changed them meanwhile. Returns what they were.
fn update(word: &Atomic<usize>, change: impl Fn(usize) -> usize) -> usize {
    let mut old = word.load(Relaxed);
    while let Err(now) = word.cmpxchg(old, change(old), Full) {
        old = now;
    }
    old
}

impl Drop for ExampleAtomic {
    fn drop(&mut self) {
        pr_info!("example_atomic exit\n");
    }
}
