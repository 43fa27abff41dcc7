// SPDX-License-Identifier: GPL-2.0-only

//! Which calls a round has.

use super::{BUFFER, Call, FDS, Flag, MAPS, Part, Place, Round, Step, TEXTS, Targets};

/// Calls of a round.
const STEPS: usize = 64;

/// Threads of a round, at most.
const THREADS: u64 = 4;

/// Lengths at which code changes its mind.
const LENGTHS: [u64; 20] = [
    0,
    1,
    2,
    3,
    4,
    8,
    16,
    64,
    255,
    256,
    4095,
    4096,
    4097,
    BUFFER,
    1 << 20,
    0x7fff_f000,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// The same for positions.
const POSITIONS: [i64; 12] = [
    0,
    1,
    -1,
    512,
    4095,
    4096,
    0x7fff_ffff,
    0x8000_0000,
    0x1_0000_0000,
    i64::MAX - 4096,
    i64::MAX,
    i64::MIN,
];

/// Random numbers: `SplitMix64`.
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One less than `limit`, which is not 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    /// The number of one of so many things.
    fn index(&mut self, count: usize) -> usize {
        let index = self.below(count as u64);
        usize::try_from(index).expect("it is less than a usize")
    }

    /// Something that happens one time in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.index(values.len())]
    }

    /// The number of one of so many places.
    fn place(&mut self, count: u8) -> u8 {
        let number = self.below(count.into());
        u8::try_from(number).expect("it is less than a u8")
    }
}

impl Round {
    /// The calls of the round with that `number`: always the same ones.
    #[must_use]
    pub fn new(seed: u64, number: u64, targets: &Targets) -> Self {
        // What the seeds of rounds have in common is not in what is drawn.
        let mut random = Random(seed);
        let mut random = Random(random.draw() ^ number);
        random.draw();
        let mut maker = Maker {
            favourite: targets.file(&mut random),
            targets,
            random,
        };
        let threads = 1 + maker.random.below(THREADS);
        let thread = |random: &mut Random| {
            let thread = random.below(threads);
            u8::try_from(thread).expect("it is one of few")
        };
        // Without these, most calls would have no file.
        let mut steps: Vec<_> = (0..FDS / 2)
            .map(|fd| Step {
                thread: 0,
                call: maker.open(fd),
            })
            .collect();
        while steps.len() < STEPS {
            steps.push(Step {
                thread: thread(&mut maker.random),
                call: maker.call(),
            });
        }
        Self {
            number,
            reloads: maker.random.once_in(8),
            steps,
        }
    }
}

impl Targets {
    /// The number of a file. Code of the module's own is behind some, and the kernel's behind
    /// others, such as `uevent`.
    fn file(&self, random: &mut Random) -> usize {
        if self.own > 0 && !random.once_in(16) {
            random.index(self.own)
        } else {
            random.index(self.files.len().max(1))
        }
    }
}

/// Makes the calls of a round.
struct Maker<'a> {
    targets: &'a Targets,
    random: Random,
    /// The file that the round is mostly about.
    favourite: usize,
}

impl Maker<'_> {
    fn fd(&mut self) -> u8 {
        // More often one of the first, which several then use.
        match self.random.once_in(2) {
            true => self.random.place(2),
            false => self.random.place(FDS),
        }
    }

    /// A number of the module's own, if it has any, or of the next few.
    fn word(&mut self) -> Option<u32> {
        if self.targets.words.is_empty() {
            return None;
        }
        let word = self.random.of(&self.targets.words);
        // A jump table begins with one, and has those that follow.
        let more = self.random.below(5);
        let more = if self.random.once_in(2) { more } else { 0 };
        Some(word.wrapping_add(u32::try_from(more).unwrap_or(0)))
    }

    fn len(&mut self) -> u64 {
        match self.random.below(16) {
            0..=5 => self.random.of(&LENGTHS),
            6 => self.word().unwrap_or(7).into(),
            7..=8 => self.random.below(2 * BUFFER),
            _ => self.random.below(300),
        }
    }

    fn at(&mut self) -> i64 {
        match self.random.below(8) {
            0..=3 => self.random.of(&POSITIONS),
            4 => self.word().unwrap_or(7).into(),
            _ => i64::try_from(self.random.below(5000)).unwrap_or(0),
        }
    }

    fn memory(&mut self) -> Place {
        match self.random.below(32) {
            0 => Place::Number(0),
            1 => Place::Number(8),
            2 => Place::Number(u64::MAX),
            // No address at all.
            3 => Place::Number(0x8000_0000_0000_0000),
            4 | 5 => Place::Kernel,
            6 => Place::NoAccess,
            7 => Place::Map(self.random.place(MAPS)),
            8..=10 => Place::End(self.random.below(300)),
            11..=13 => Place::Text(self.random.index(TEXTS.len())),
            14 => Place::Buffer(self.random.below(BUFFER)),
            _ => Place::Buffer(8 * self.random.below(64)),
        }
    }

    fn part(&mut self) -> Part {
        Part {
            place: self.memory(),
            len: self.len(),
        }
    }

    /// What is written is a text as often as not.
    fn written(&mut self) -> Part {
        if self.random.once_in(2) {
            return self.part();
        }
        let text = self.random.index(TEXTS.len());
        Part {
            place: Place::Text(text),
            len: TEXTS[text].len() as u64,
        }
    }

    fn parts(&mut self) -> Vec<Part> {
        let count = self.random.below(5);
        (0..count).map(|_| self.part()).collect()
    }

    fn request(&mut self) -> u32 {
        let word = if self.random.once_in(4) { None } else { self.word() };
        if let Some(word) = word {
            return word;
        }
        // Direction, size, type and number, as _IOC() has them.
        let size = self.random.of(&[0_u64, 1, 4, 8, 16, 64, 4095]);
        let (direction, kind) = (self.random.below(4), self.random.below(256));
        let number = self.random.below(16);
        let request = (direction << 30) | (size << 16) | (kind << 8) | number;
        u32::try_from(request).expect("it has 32 bits")
    }

    fn argument(&mut self) -> Place {
        match self.random.below(4) {
            0 => Place::Number(self.len()),
            _ => self.memory(),
        }
    }

    fn flags(&mut self) -> Vec<Flag> {
        let mut flags = Vec::new();
        match self.random.below(8) {
            0 => {}
            1 => flags.push(Flag::WriteOnly),
            _ => flags.push(Flag::ReadWrite),
        }
        if !self.random.once_in(8) {
            flags.push(Flag::Nonblock);
        }
        let others = [
            Flag::Append,
            Flag::Truncate,
            Flag::Direct,
            Flag::Async,
            Flag::Sync,
            Flag::Path,
            Flag::Directory,
            Flag::Nofollow,
            Flag::Excl,
        ];
        for flag in others {
            if self.random.once_in(40) {
                flags.push(flag);
            }
        }
        flags
    }

    fn open(&mut self, fd: u8) -> Call {
        let file = match self.random.once_in(4) {
            true => self.targets.file(&mut self.random),
            false => self.favourite,
        };
        Call::Open {
            file,
            flags: self.flags(),
            fd,
        }
    }

    fn mmap(&mut self, fd: u8) -> Call {
        let pages = self.random.of(&[1_u64, 1, 1, 2, 3, 16, 1 << 20]);
        Call::Mmap {
            fd,
            map: self.random.place(MAPS),
            len: 4096 * pages,
            protection: i32::from(self.random.place(8)),
            shared: !self.random.once_in(4),
            populate: self.random.once_in(4),
            at: self.random.of(&[0, 0, 0, 4096, 8192, 1, -4096, i64::MAX - 4095]),
        }
    }

    fn call(&mut self) -> Call {
        let fd = self.fd();
        match self.random.below(64) {
            0..=5 => self.open(fd),
            6..=13 => Call::Read {
                fd,
                part: self.part(),
            },
            14..=21 => Call::Write {
                fd,
                part: self.written(),
            },
            22..=25 => Call::Pread {
                fd,
                part: self.part(),
                at: self.at(),
            },
            26..=29 => Call::Pwrite {
                fd,
                part: self.written(),
                at: self.at(),
            },
            30..=31 => Call::Readv {
                fd,
                parts: self.parts(),
            },
            32..=33 => Call::Writev {
                fd,
                parts: self.parts(),
            },
            34..=36 => Call::Lseek {
                fd,
                at: self.at(),
                whence: i32::from(self.random.place(6)),
            },
            37..=44 => Call::Ioctl {
                fd,
                request: self.request(),
                argument: self.argument(),
            },
            45 => Call::Poll {
                fd,
                events: self.random.of(&[1, 4, 5, 2, -1]),
            },
            46 => Call::Epoll { fd },
            47..=49 => self.mmap(fd),
            50 => Call::Munmap {
                map: self.random.place(MAPS),
            },
            _ => self.rarer_call(fd),
        }
    }

    fn rarer_call(&mut self, fd: u8) -> Call {
        let to = self.fd();
        match self.random.below(13) {
            0..=2 => Call::Dup { fd, to },
            3 => Call::SetFlags {
                fd,
                flags: self.flags(),
            },
            4 => Call::OwnSignals { fd },
            5 => Call::Fsync { fd },
            6..=7 => Call::Splice {
                from: fd,
                to,
                len: self.random.below(BUFFER),
            },
            // A file may have no end.
            8 => Call::Sendfile {
                from: fd,
                to,
                len: self.random.below(BUFFER),
            },
            9..=11 => Call::Close { fd },
            _ => Call::Fork { fd },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rounds of some seeds.
    fn steps(targets: &Targets) -> Vec<Step> {
        let rounds = (0..300).map(|number| Round::new(number % 3, number, targets));
        rounds.flat_map(|round| round.steps).collect()
    }

    #[test]
    fn places_are_there() {
        let targets = Targets {
            files: vec!["/dev/a".into(), "/proc/a".into()],
            own: 2,
            ..Targets::default()
        };
        for step in steps(&targets) {
            assert!(u64::from(step.thread) < THREADS);
            match step.call {
                Call::Open { file, fd, .. } => assert!(file < 2 && fd < FDS),
                Call::Dup { fd, to } => assert!(fd < FDS && to < FDS),
                Call::Mmap { map, .. } => assert!(map < MAPS),
                Call::Read { part, .. } => match part.place {
                    Place::Text(text) => assert!(text < TEXTS.len()),
                    Place::Buffer(at) | Place::End(at) => assert!(at < BUFFER),
                    _ => {}
                },
                _ => {}
            }
        }
    }

    #[test]
    fn everything_comes_up() {
        let targets = Targets {
            files: vec!["/dev/a".into()],
            own: 1,
            words: vec![77],
            ..Targets::default()
        };
        let steps = steps(&targets);
        let has = |is: &dyn Fn(&Call) -> bool| steps.iter().any(|step| is(&step.call));
        assert!(has(&|call| matches!(call, Call::Fork { .. })));
        assert!(has(&|call| matches!(call, Call::Ioctl { request: 77, .. })));
        assert!(has(&|call| matches!(call, Call::Read { part, .. } if part.len == 77)));
        assert!(has(&|call| matches!(call, Call::Pread { at: -1, .. })));
        assert!((0..99).any(|number| Round::new(0, number, &targets).reloads));
    }
}
