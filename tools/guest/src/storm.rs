// SPDX-License-Identifier: GPL-2.0-only

//! Storms: modules are loaded and unloaded many times, and what tests do in rounds they do
//! as often on the debug kernel as on the others.
//!
//! A whole storm is 1,000 loads. With fewer the rounds are fewer in the same proportion.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many loads there are in a whole storm.
const WHOLE: u32 = 1000;

/// How many there are in this one; 0 when there is none.
static LOADS: AtomicU32 = AtomicU32::new(0);

/// From now on there is a storm of so many loads, or none.
pub fn begin(loads: u32) {
    LOADS.store(loads, Relaxed);
}

/// How often to load a module that is otherwise loaded `usual` times.
pub fn loads(usual: u32) -> u32 {
    LOADS.load(Relaxed).max(usual)
}

/// How many to take on the debug kernel of what others take `many`, and it `usual`.
pub fn part(many: u32, usual: u32) -> u32 {
    part_of(LOADS.load(Relaxed), many, usual)
}

fn part_of(loads: u32, many: u32, usual: u32) -> u32 {
    let part = u64::from(many) * u64::from(loads.min(WHOLE)) / u64::from(WHOLE);
    u32::try_from(part).unwrap_or(many).max(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_grow_with_the_storm() {
        assert_eq!(part_of(0, 100, 3), 3);
        assert_eq!(part_of(10, 100, 3), 3);
        assert_eq!(part_of(100, 100, 3), 10);
        assert_eq!(part_of(1000, 100, 3), 100);
        assert_eq!(part_of(5000, 100, 3), 100);
        assert_eq!(part_of(1000, u32::MAX, 3), u32::MAX);
    }
}
