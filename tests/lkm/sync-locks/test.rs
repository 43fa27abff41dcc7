// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![locks_lock, nothing_is_lost_between_threads_and_interrupts],
    ..Example::EMPTY
};

const PATH: &str = "/proc/sync-locks";
const THREADS: u32 = 8;
const INTERRUPTS: u64 = 200;

fn locks_lock(vm: &mut Vm) -> Result {
    let _module = vm.load("sync-locks")?;
    assert_eq!(vm.log().count("a spinlock is")?, 0);
    Ok(())
}

fn nothing_is_lost_between_threads_and_interrupts(vm: &mut Vm) -> Result {
    let module = vm.load("sync-locks")?;
    let reads: u64 = on_threads(THREADS, |_| hammer())?.iter().sum();

    let [process, _, writes, torn] = read()?;
    assert_eq!(process, (reads + 1) * 20);
    assert!(writes > process / 4, "{writes} of {process}");
    assert_eq!(torn, 0);

    // The data under the locks agrees with counters that need no lock.
    module.unload()?;
    let counts = vm.log().expect(": counts ")?;
    let (_, counts) = counts.split_once(": counts ").context("counts")?;
    let (one, other) = counts.split_once(" of ").context("counts")?;
    assert_eq!(one, other);
    let writes = vm.log().expect(": writes ")?;
    let (_, writes) = writes.split_once(": writes ").context("writes")?;
    let (count, pair) = writes.split_once(" of ").context("writes")?;
    assert_eq!(pair, format!("{count} and -{count}, torn 0"));
    Ok(())
}

/// Reads the file until the timer has interrupted often. Returns how often it
/// was read.
fn hammer() -> Result<u64> {
    let (mut reads, mut interrupts) = (0, 0);
    let enough = eventually("the timer", || {
        // Many times without a pause: the locks are to be taken all the time.
        (0..100).any(|_| {
            reads += 1;
            [_, interrupts, ..] = read().unwrap();
            interrupts >= INTERRUPTS
        })
    });
    enough.with_context(|| format!("only {interrupts} interrupts"))?;
    Ok(reads)
}

/// The numbers in the file. Reading it is what takes the locks.
fn read() -> Result<[u64; 4]> {
    let mut text = [0; 128];
    let len = File::open(PATH)?.read(&mut text)?;
    let text = std::str::from_utf8(&text[..len])?;
    let words = text.split_ascii_whitespace();
    let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
    numbers
        .try_into()
        .map_err(|_| anyhow!("not four numbers: {text:?}"))
}
