// SPDX-License-Identifier: GPL-2.0-only

//! What is in use of the kernel's slab caches, by name.
//!
//! Reference: slabinfo(5)

use std::{
    collections::BTreeMap,
    fs::{self, DirEntry, File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};

use crate::{eventually::within, kmemleak, snapshot};

/// How many [`rounds`] there are to be. What is not freed each time is told from
/// what other programs do meanwhile by its number.
pub const ROUNDS: u32 = 100;

/// How many where kmemleak tells of each object, and an unload takes a while.
const FEW_ROUNDS: u32 = 3;

/// The counters.
const SLABINFO: &str = "/proc/slabinfo";

/// A directory for each cache; what is written to its file `shrink` gives back
/// what CPUs keep for their own use, which is counted as in use.
const CACHES: &str = "/sys/kernel/slab";

/// What is written there: `1`, in as many bytes as the kernel takes. It copies them to
/// memory of its own first. To allocate that, a CPU takes a slab for its own use, and
/// all free objects of that slab are counted as in use: few if the objects are large,
/// but up to 511 of 8 bytes.
const SHRINK: [u8; 4096] = {
    let mut page = [0; 4096];
    page[0] = b'1';
    page
};

/// Frees directory entries and inodes that nobody uses.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// What the kernel keeps for itself when it is free, and what goes with each is counted, too.
/// Heads of packets: up to 128 for each CPU. A packet has data. Addresses for mappings of
/// memory, such as a thread's stack: many are given back at a time. A mapping has a `vm_struct`.
const LATE: [&str; 2] = ["skbuff_head_cache", "vmap_area"];

/// How often to count. Who allocates an object on a CPU that has none for its own use
/// gets it with some fifty others, which are counted as in use, too.
const LOOKS: u32 = 3;

/// How many objects each cache has in use.
pub struct Slabs(BTreeMap<String, u64>);

/// Whether this kernel counts.
pub fn available() -> bool {
    Path::new(SLABINFO).exists() && Path::new(CACHES).exists()
}

/// Does `round` so many times: then no cache has an object more for each time.
///
/// On a kernel that finds leaks by itself it is done three times.
///
/// # Errors
///
/// That of `round`, or what was left.
pub fn rounds(rounds: u32, mut round: impl FnMut() -> Result<()>) -> Result<()> {
    let rounds = match kmemleak::available() {
        true => FEW_ROUNDS,
        false => rounds,
    };
    let mut all = |rounds| {
        (1..=rounds).try_for_each(|n| round().with_context(|| format!("round {n} of {rounds}")))
    };
    if rounds == FEW_ROUNDS || !available() {
        return all(rounds);
    }
    // What is only allocated once is after the first.
    all(1)?;
    let counter = Counter::open()?;
    let before = Slabs::count_with(&counter)?;
    all(rounds)?;
    let mut left = Vec::new();
    let mut after = Slabs::count_with(&counter)?;
    let nothing = within(snapshot::PATIENCE, || {
        after.look(&counter)?;
        let grown = after.grown(&before, u64::from(rounds / 2)).into_iter();
        left = grown
            .map(|(name, more)| format!("{more} in {name}"))
            .collect();
        anyhow::Ok(left.is_empty())
    })?;
    let left = left.join(", ");
    ensure!(nothing, "objects left by {rounds} rounds: {left}");
    Ok(())
}

/// The files that are used to count. They stay open: to open or to close one, the
/// kernel allocates, and what it frees then it frees a little later.
struct Counter {
    shrink: Vec<File>,
    slabinfo: File,
}

impl Counter {
    /// For the caches that there are now.
    fn open() -> Result<Self> {
        let caches = fs::read_dir(CACHES).context(CACHES)?.flatten();
        let open = |cache: DirEntry| {
            let mut options = OpenOptions::new();
            options.write(true).open(cache.path().join("shrink")).ok()
        };
        Ok(Self {
            shrink: caches.filter_map(open).collect(),
            slabinfo: File::open(SLABINFO).context(SLABINFO)?,
        })
    }

    /// Has the kernel free what it can, and reads the counters. What the first round
    /// frees, the second gives back.
    fn read(&self) -> Result<String> {
        fs::write(DROP_CACHES, "2").context(DROP_CACHES)?;
        for mut shrink in self.shrink.iter().chain(&self.shrink) {
            // A cache may be gone by now.
            let _ = shrink.write_all(&SHRINK);
        }
        let mut text = Vec::new();
        loop {
            let mut part = [0; 4096];
            match self
                .slabinfo
                .read_at(&mut part, text.len() as u64)
                .context(SLABINFO)?
            {
                0 => break,
                len => text.extend_from_slice(&part[..len]),
            }
        }
        Ok(String::from_utf8(text)?)
    }
}

impl Slabs {
    /// Counts some times, and takes the least.
    pub fn count() -> Result<Self> {
        Self::count_with(&Counter::open()?)
    }

    fn count_with(counter: &Counter) -> Result<Self> {
        let mut slabs = Self::count_once(counter)?;
        for _ in 1..LOOKS {
            slabs.look(counter)?;
        }
        Ok(slabs)
    }

    /// Counts once more, and keeps what is less.
    fn look(&mut self, counter: &Counter) -> Result<()> {
        self.least(&Self::count_once(counter)?);
        Ok(())
    }

    fn least(&mut self, other: &Self) {
        for (name, count) in &mut self.0 {
            *count = (*count).min(other.0.get(name).copied().unwrap_or(0));
        }
    }

    fn count_once(counter: &Counter) -> Result<Self> {
        let text = counter.read()?;
        Self::parse(&text).with_context(|| format!("{SLABINFO}: {text}"))
    }

    /// Reads what `/proc/slabinfo` says.
    pub fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().skip(1).filter(|line| !line.starts_with('#'));
        let is_late = |name| LATE.contains(&name);
        let lines = lines.filter(|line| !line.split_whitespace().next().is_some_and(is_late));
        let counts = lines.map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
        });
        counts.collect::<Option<_>>().map(Self)
    }

    /// The caches that have at least `least` objects more than before, and how
    /// many more.
    pub fn grown(&self, before: &Self, least: u64) -> Vec<(&str, u64)> {
        let grown = self.0.iter().filter_map(|(name, count)| {
            let more = count.saturating_sub(before.0.get(name).copied().unwrap_or(0));
            (more >= least).then_some((name.as_str(), more))
        });
        grown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables
kmalloc-1k           130    140   1024   16    4 : tunables    0    0    0 : slabdata      9
kmalloc-8            512    512      8  512    1 : tunables    0    0    0 : slabdata      1
skbuff_head_cache    192    192    256   16    1 : tunables    0    0    0 : slabdata     12
vmap_area             96    168     72   56    1 : tunables    0    0    0 : slabdata      3
";

    #[test]
    fn tells_what_has_grown() {
        let before = Slabs::parse(TEXT).unwrap();
        let after = Slabs::parse(&TEXT.replace(" 512    512", " 712    712")).unwrap();
        assert_eq!(after.grown(&before, 200), [("kmalloc-8", 200)]);
        assert_eq!(after.grown(&before, 201), []);
        assert_eq!(before.grown(&after, 1), []);
        let none = Slabs(BTreeMap::new());
        assert_eq!(before.grown(&none, 131), [("kmalloc-8", 512)]);
        assert_eq!(before.grown(&none, 96).len(), 2);
        assert!(Slabs::parse("version\nkmalloc-8\n").is_none());
    }

    #[test]
    fn what_is_there_for_a_moment_is_not_in_use() {
        let before = Slabs::parse(TEXT).unwrap();
        let mut after = Slabs::parse(&TEXT.replace(" 130 ", " 182 ")).unwrap();
        after.least(&Slabs::parse(&TEXT.replace(" 512    512", " 564    564")).unwrap());
        assert_eq!(after.grown(&before, 1), []);
    }
}
