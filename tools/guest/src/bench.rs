// SPDX-License-Identifier: GPL-2.0-only

//! What `./lkmpg bench` measures: operations of a module, against those of its twin in C.
//!
//! # Time
//!
//! The host starts the VM with one CPU and has QEMU count instructions: each takes a nanosecond
//! of the VM's own time, and nothing else takes any. The time stamp counter and all timers go by
//! that time, and so does the clock that is read here. When the CPU waits, the time jumps to the
//! next timer. So an operation takes as long on one host as on another, and as long when the host
//! is busy. There are no caches in this, no branches that are guessed wrong, and an instruction
//! that copies many bytes counts once for each piece. With `./lkmpg bench --wall` the same is
//! measured by the clock of the host.
//!
//! # Rounds
//!
//! The module and its twin make the same files and devices, so only one of them is loaded at a
//! time: in each round first the twin, then the module. Both do each operation again and again,
//! equally often, and what is reported is how long one took. The first round is for warming up:
//! it is not reported, and finds out how often an operation is to be done.
//!
//! A timer interrupts the CPU 250 times a second, which is every four million instructions. An
//! operation is done for five of these, at least. So the interrupts are in what is measured, some
//! thousandths of it, and the same ones for both.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lkmpg_proto::{Event, twin};

use crate::{Example, Module, files::read_write, report::Report};

/// For how long an operation is done again and again, by the VM's clock, or a bit longer.
const SPAN: Duration = Duration::from_millis(20);

/// How often an operation is done before the time counts.
const WARM_UP: u32 = 10;

/// Which messages of the kernel the console prints: those that are graver than the first number.
const CONSOLE: &str = "/proc/sys/kernel/printk";

/// The names of what is measured of each module besides the example's operations.
const LOAD: &str = "load";
const UNLOAD: &str = "unload";

/// Something that an example's module does, and is to be measured doing.
#[derive(Clone, Copy)]
pub struct Operation {
    /// What is done: a few words.
    pub name: &'static str,
    /// Makes ready for it when the module is loaded, and returns what does it.
    pub prepare: fn() -> Result<Work>,
}

/// Does an operation once. What it has is dropped before the module is unloaded.
pub type Work = Box<dyn FnMut() -> Result<()>>;

impl Operation {
    /// The operation of that name, which is done by what `prepare` returns. That is called with
    /// the module loaded, and again with its twin: a file that both have is opened there.
    #[must_use]
    pub const fn new(name: &'static str, prepare: fn() -> Result<Work>) -> Self {
        Self { name, prepare }
    }
}

/// What [`Operation::new`] wants: `work` does the operation once.
///
/// # Errors
///
/// Never: so it can be the last line of a function that fails when it cannot make ready.
pub fn each_time(work: impl FnMut() -> Result<()> + 'static) -> Result<Work> {
    Ok(Box::new(work))
}

/// Opens the file at `path` to read it, and closes it.
///
/// # Errors
///
/// Never.
pub fn open_and_close(path: &'static str) -> Result<Work> {
    each_time(move || {
        File::open(path)?;
        Ok(())
    })
}

/// Writes `text` to the file at `path`, which takes it all, at its beginning.
///
/// # Errors
///
/// When the file cannot be opened.
pub fn write(path: &'static str, text: &'static [u8]) -> Result<Work> {
    let file = read_write(path)?;
    each_time(move || {
        assert_eq!(file.write_at(text, 0)?, text.len());
        Ok(())
    })
}

/// Reads `text` from the beginning of the file at `path`, which has nothing else.
///
/// # Errors
///
/// When the file cannot be opened, or has another text.
pub fn read(path: &'static str, text: &'static [u8]) -> Result<Work> {
    let file = File::open(path)?;
    let mut buffer = vec![0; text.len() + 1];
    let length = file.read_at(&mut buffer, 0)?;
    ensure!(
        buffer[..length] == *text,
        "{path} has {:?}",
        String::from_utf8_lossy(&buffer[..length])
    );
    each_time(move || {
        assert_eq!(file.read_at(&mut buffer, 0)?, length);
        Ok(())
    })
}

/// As [`read`], after the text was written.
///
/// # Errors
///
/// As for `read`.
pub fn read_back(path: &'static str, text: &'static [u8]) -> Result<Work> {
    read_write(path)?.write_all_at(text, 0)?;
    read(path, text)
}

/// Numbers that look like random ones, and are the same each time.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// They depend on `seed`, which is not 0.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one, which is less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // Marsaglia: xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Has the console print nothing but emergencies: modules that say something at each operation
/// would be measured waiting for the serial port.
pub(crate) fn keep_console_quiet() -> Result<()> {
    fs::write(CONSOLE, "1").context(CONSOLE)
}

/// Measures the module called `name` and its twin in `rounds` rounds, and reports each of them.
pub(crate) fn measure(
    name: &str,
    example: Example,
    rounds: u32,
    report: &mut dyn Report,
) -> Result<()> {
    ensure!(
        !example.bench.is_empty(),
        "{name} has no operations to measure"
    );
    let twin = twin(name);
    let mut counts: Vec<Option<u32>> = vec![None; example.bench.len()];
    for round in 0..=rounds {
        let c = one_round(&twin, example, &mut counts).context("the twin in C")?;
        let rust = one_round(name, example, &mut counts)?;
        if round == 0 {
            continue;
        }
        for (c, rust) in c.into_iter().zip(rust) {
            report.send(&Event::Measured {
                module: name.to_owned(),
                operation: c.operation.to_owned(),
                own: c.own,
                c: c.picoseconds,
                rust: rust.picoseconds,
            })?;
        }
    }
    Ok(())
}

/// How long something took.
struct Figure {
    operation: &'static str,
    own: bool,
    picoseconds: u64,
}

impl Figure {
    /// That of what was done `count` times in the time `took`.
    fn new(operation: &'static str, own: bool, took: Duration, count: u32) -> Self {
        let picoseconds = took.as_nanos() * 1000 / u128::from(count);
        Self {
            operation,
            own,
            picoseconds: u64::try_from(picoseconds).unwrap_or(u64::MAX),
        }
    }
}

/// Loads the file `file`.ko, does each operation of `example`, and unloads the module. `counts`
/// has how often it does each; where that is not known yet, it finds out.
fn one_round(file: &str, example: Example, counts: &mut [Option<u32>]) -> Result<Vec<Figure>> {
    let begin = Instant::now();
    let module = Module::load_alone(file, example.params)?;
    let mut figures = vec![Figure::new(LOAD, false, begin.elapsed(), 1)];
    for (operation, count) in example.bench.iter().zip(counts) {
        figures.push(again_and_again(operation, count).context(operation.name)?);
    }
    let begin = Instant::now();
    module.unload_soon()?;
    figures.push(Figure::new(UNLOAD, false, begin.elapsed(), 1));
    Ok(figures)
}

/// Does `operation` as often as `count` says.
fn again_and_again(operation: &Operation, count: &mut Option<u32>) -> Result<Figure> {
    let mut work = (operation.prepare)()?;
    time(&mut work, WARM_UP)?;
    let count = match *count {
        Some(known) => known,
        None => *count.insert(find_count(&mut work)?),
    };
    let took = time(&mut work, count)?;
    Ok(Figure::new(operation.name, true, took, count))
}

/// How often `work` can be done in [`SPAN`], or up to twice as often.
fn find_count(work: &mut Work) -> Result<u32> {
    let mut count = 1;
    while time(work, count)? < SPAN {
        count *= 2;
    }
    Ok(count)
}

/// How long it takes to do `work` so often.
fn time(work: &mut Work, count: u32) -> Result<Duration> {
    let begin = Instant::now();
    for _ in 0..count {
        work()?;
    }
    Ok(begin.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_is_prepared_is_done() {
        let mut done = 0;
        let mut work = each_time(move || {
            done += 1;
            ensure!(done <= 7, "{done}");
            Ok(())
        })
        .unwrap();
        time(&mut work, 7).unwrap();
        assert_eq!(time(&mut work, 1).unwrap_err().to_string(), "8");
    }

    #[test]
    fn it_is_done_for_long_enough() {
        let mut work = each_time(|| {
            thread::sleep(Duration::from_millis(3));
            Ok(())
        })
        .unwrap();
        // A sleep can be longer, never shorter.
        let count = find_count(&mut work).unwrap();
        assert!([1, 2, 4, 8].contains(&count), "{count}");
        assert!(time(&mut work, 8).unwrap() >= SPAN);
    }

    #[test]
    fn files_are_opened_written_and_read() {
        let mut nothing = open_and_close("/dev/null").unwrap();
        nothing().unwrap();
        let mut written = write("/dev/null", b"text").unwrap();
        written().unwrap();
        let mut empty = read_back("/dev/null", b"").unwrap();
        empty().unwrap();
        let error = read("/dev/zero", b"text").err().unwrap();
        assert!(error.to_string().starts_with("/dev/zero has "), "{error}");
    }

    #[test]
    fn a_figure_is_of_one() {
        let figure = Figure::new("read", true, Duration::from_micros(3), 2);
        assert_eq!(figure.picoseconds, 1_500_000);
        let least = Figure::new("read", true, Duration::from_nanos(1), 1000);
        assert_eq!(least.picoseconds, 1);
    }

    #[test]
    fn numbers_are_the_same_each_time() {
        let few = || {
            let mut random = Random::new(1);
            [(); 4].map(|()| random.below(1000))
        };
        let numbers = few();
        assert_eq!(numbers, few());
        assert!(numbers.iter().any(|number| *number != numbers[0]));
        assert!(numbers.iter().all(|number| *number < 1000));
    }
}
