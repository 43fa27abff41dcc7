// SPDX-License-Identifier: GPL-2.0-only

//! Random system calls on the files that a module makes.
//!
//! What is called is a pure function of a seed, the number of a round, and the [`Targets`].
//! The guest tells the host the number before it begins a round, and no more: if the VM does
//! not survive that, the host still knows each call, and can write them down ([`Case`]).

mod rounds;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many files the calls of a round have open at most, each in a place with a number.
pub const FDS: u8 = 6;

/// How many mappings they have.
pub const MAPS: u8 = 3;

/// How many bytes there are at [`Place::Buffer`], after which nothing is mapped.
pub const BUFFER: u64 = 1 << 16;

/// Rounds from one load of the module to the next.
pub const ROUNDS_OF_A_LOAD: u64 = 64;

/// What a case is called among the files of modules. It is in a folder of its own.
pub const CASE: &str = "fuzz/case";

/// What is written to files besides noise: each of these is at [`Place::Text`].
pub const TEXTS: [&str; 16] = [
    "0\n",
    "1\n",
    "-1\n",
    "Y",
    "on\n",
    "2147483648",
    "18446744073709551616\n",
    "0x7fffffff\n",
    "1,2,3\n",
    "a b c d e f g h\n",
    "%s%n%p\n",
    "\n",
    "../../etc/passwd\n",
    "\u{fffd}\u{4f60}\n",
    "hello",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// What is to be done with a module.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fuzz {
    /// What the calls are made from.
    pub seed: u64,
    /// For how long, by the guest's clock.
    pub time: Option<Duration>,
    /// How many calls, or a few more.
    pub calls: Option<u64>,
    /// Whether it is the calls of a case, again and again, and no others. They are in the file
    /// [`CASE`].
    pub replays: bool,
    /// That file. It is too long for the way by which orders go, and takes that of modules.
    #[serde(skip)]
    pub case: Option<String>,
}

/// What calls can be about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Targets {
    /// The module.
    pub module: String,
    /// What it is loaded with.
    pub params: String,
    /// The files that it makes, those of its own code first.
    pub files: Vec<String>,
    /// How many of them are.
    pub own: usize,
    /// Numbers in its code.
    pub words: Vec<u32>,
}

/// How far it has come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    /// The module.
    pub module: String,
    /// The first round since the module was loaded.
    pub first: u64,
    /// The round that begins now, or was the last.
    pub round: u64,
    /// How many calls there were before.
    pub calls: u64,
    /// How many of them had an error.
    pub errors: u64,
}

/// Calls that can be made again, without anything that is random but the order in which the
/// threads come to theirs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Case {
    /// What they are made on.
    pub about: About,
    /// All of them since the module was loaded.
    pub rounds: Vec<Round>,
}

/// What a [`Case`] begins with.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct About {
    /// The module.
    pub module: String,
    /// What it is loaded with.
    pub params: String,
    /// The kernel, as `--kernel` has it.
    pub kernel: String,
    /// What the calls were made from.
    pub seed: u64,
    /// The files that calls name by their numbers, from 0 on.
    pub files: Vec<String>,
}

/// Calls in one process, which then ends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Round {
    /// Its number.
    pub number: u64,
    /// Whether the module is to be unloaded, and loaded again, whenever it can be meanwhile.
    pub reloads: bool,
    /// The calls, in the order in which each thread makes its own.
    pub steps: Vec<Step>,
}

/// A call of a thread.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Step {
    /// The thread, from 0 on.
    pub thread: u8,
    /// What it does.
    pub call: Call,
}

/// A system call, or a few. An `fd` is the number of a place for an open file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is what the call's manual page says")]
pub enum Call {
    Open {
        file: usize,
        flags: Vec<Flag>,
        fd: u8,
    },
    Read {
        fd: u8,
        part: Part,
    },
    Write {
        fd: u8,
        part: Part,
    },
    Pread {
        fd: u8,
        part: Part,
        at: i64,
    },
    Pwrite {
        fd: u8,
        part: Part,
        at: i64,
    },
    Readv {
        fd: u8,
        parts: Vec<Part>,
    },
    Writev {
        fd: u8,
        parts: Vec<Part>,
    },
    Lseek {
        fd: u8,
        at: i64,
        whence: i32,
    },
    Ioctl {
        fd: u8,
        request: u32,
        argument: Place,
    },
    Poll {
        fd: u8,
        events: i16,
    },
    Epoll {
        fd: u8,
    },
    Mmap {
        fd: u8,
        map: u8,
        len: u64,
        protection: i32,
        shared: bool,
        populate: bool,
        at: i64,
    },
    Munmap {
        map: u8,
    },
    Dup {
        fd: u8,
        to: u8,
    },
    SetFlags {
        fd: u8,
        flags: Vec<Flag>,
    },
    OwnSignals {
        fd: u8,
    },
    Fsync {
        fd: u8,
    },
    /// Through a pipe.
    Splice {
        from: u8,
        to: u8,
        len: u64,
    },
    Sendfile {
        from: u8,
        to: u8,
        len: u64,
    },
    Close {
        fd: u8,
    },
    /// A process that has all files, closes one and ends.
    Fork {
        fd: u8,
    },
}

/// A flag of open(2). The file can be read only unless one of the first two is there.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is what open(2) says")]
pub enum Flag {
    WriteOnly,
    ReadWrite,
    Nonblock,
    Append,
    Truncate,
    Direct,
    Async,
    Sync,
    Path,
    Directory,
    Nofollow,
    Excl,
}

/// Memory for a call.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Part {
    /// Where it begins.
    pub place: Place,
    /// How many bytes.
    pub len: u64,
}

/// An address, or a number.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// That number.
    Number(u64),
    /// An address of the kernel's.
    Kernel,
    /// So far into memory that can be read and written, and that all threads share.
    Buffer(u64),
    /// So far before the end of that, after which nothing is mapped.
    End(u64),
    /// One of the [`TEXTS`], which cannot be written.
    Text(usize),
    /// What cannot be read either.
    NoAccess,
    /// A mapping of a file, if it is there.
    Map(u8),
}

/// A line of a file with a [`Case`].
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Case(About),
    Round { number: u64, reloads: bool },
    Step(Step),
}

impl Case {
    /// What was called until the VM got as far as `progress` says.
    #[must_use]
    pub fn of(targets: &Targets, kernel: &str, seed: u64, progress: &Progress) -> Self {
        let rounds = progress.first..=progress.round;
        Self {
            about: About {
                module: targets.module.clone(),
                params: targets.params.clone(),
                kernel: kernel.to_owned(),
                seed,
                files: targets.files.clone(),
            },
            rounds: rounds
                .map(|number| Round::new(seed, number, targets))
                .collect(),
        }
    }

    /// It as text: a line of JSON for what it is about, for each round and for each call.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = super::to_line(&Line::Case(self.about.clone()));
        for round in &self.rounds {
            text += &super::to_line(&Line::Round {
                number: round.number,
                reloads: round.reloads,
            });
            let steps = round.steps.iter();
            text.extend(steps.map(|step| super::to_line(&Line::Step(step.clone()))));
        }
        text
    }

    /// Reads what [`to_text`](Self::to_text) wrote. Lines, and rounds, may have been taken out.
    ///
    /// # Errors
    ///
    /// When it is something else; with the number of the line.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().zip(1..).map(|(line, number)| {
            let line: Result<Line, _> = serde_json::from_str(line);
            line.map_err(|error| format!("line {number}: {error}"))
        });
        let Some(Line::Case(about)) = lines.next().transpose()? else {
            return Err("line 1: no case".to_owned());
        };
        let mut rounds: Vec<Round> = Vec::new();
        for line in lines {
            match line? {
                Line::Case(_) => return Err("there are two cases".to_owned()),
                Line::Round { number, reloads } => rounds.push(Round {
                    number,
                    reloads,
                    steps: Vec::new(),
                }),
                Line::Step(step) => match rounds.last_mut() {
                    Some(round) => round.steps.push(step),
                    None => return Err("there is a step before the first round".to_owned()),
                },
            }
        }
        Ok(Self { about, rounds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        Targets {
            module: "a".into(),
            params: "x=1".into(),
            files: vec!["/dev/a".into(), "/sys/module/a/uevent".into()],
            own: 1,
            words: vec![0x8004_6600],
        }
    }

    fn progress(first: u64, round: u64) -> Progress {
        Progress {
            module: "a".into(),
            first,
            round,
            calls: 0,
            errors: 0,
        }
    }

    #[test]
    fn a_case_is_its_seed() {
        let case = Case::of(&targets(), "base", 7, &progress(3, 5));
        assert_eq!(case, Case::of(&targets(), "base", 7, &progress(3, 5)));
        let other = Case::of(&targets(), "base", 8, &progress(3, 5));
        assert_ne!(case.rounds, other.rounds);
        let numbers: Vec<_> = case.rounds.iter().map(|round| round.number).collect();
        assert_eq!(numbers, [3, 4, 5]);
        assert_ne!(case.rounds[0].steps, case.rounds[1].steps);
    }

    #[test]
    fn a_case_survives_its_file() {
        let case = Case::of(&targets(), "debug", u64::MAX, &progress(0, 63));
        assert_eq!(Case::from_text(&case.to_text()), Ok(case));
    }

    #[test]
    fn a_case_goes_another_way() {
        let mut fuzz = Fuzz {
            seed: 1,
            time: None,
            calls: Some(2),
            replays: true,
            case: Some("a long text".to_owned()),
        };
        let line = crate::to_line(&fuzz);
        fuzz.case = None;
        assert_eq!(serde_json::from_str::<Fuzz>(&line).unwrap(), fuzz);
    }

    #[test]
    fn what_is_no_case_is_told() {
        for (text, error) in [
            ("", "line 1: no case"),
            ("{}", "line 1: "),
            (
                "{\"round\":{\"number\":1,\"reloads\":false}}",
                "line 1: no case",
            ),
        ] {
            let told = Case::from_text(text).unwrap_err();
            assert!(told.starts_with(error), "{told}");
        }
    }
}
