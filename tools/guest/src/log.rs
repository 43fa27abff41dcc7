// SPDX-License-Identifier: GPL-2.0-only

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{fs::OFlags, io::Errno};

use crate::eventually::within;

/// How long [`Log::expect`] waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the kernel says of the first of our modules that it loads.
const TAINTS: &str = "loading out-of-tree module taints kernel.";

/// The facility of what the kernel itself logs. User space cannot choose it.
const KERNEL: u32 = 0;

/// The level of `pr_err!`.
const ERR: u8 = 3;

/// One line of the kernel log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Its number since boot.
    pub sequence: u64,
    /// When it was logged, in microseconds since boot.
    pub micros: u64,
    /// How grave it is: 0 (emergency) to 7 (debug).
    pub level: u8,
    /// The text, without time and level.
    pub text: String,
}

/// A line is compared with its level and text, as a test expects them:
/// `assert_eq!(vm.log().said("hello-1")?, [(6, "Hello world 1.")])`.
impl<T: AsRef<str>> PartialEq<(u8, T)> for Line {
    fn eq(&self, (level, text): &(u8, T)) -> bool {
        self.level == *level && self.text == text.as_ref()
    }
}

/// What `pr_info!` makes of `text`, to be compared with a [`Line`].
#[must_use]
pub fn info<T: AsRef<str>>(text: T) -> (u8, T) {
    (6, text)
}

/// The kernel log, read from `/dev/kmsg`. What user space has written there is
/// left out.
///
/// It remembers every line since boot, or since it was told to
/// [begin](Log::begin). Questions are about the lines since the last
/// [mark](Log::mark); each test begins with a new one.
pub struct Log {
    kmsg: File,
    lines: Vec<Line>,
    mark: usize,
    taken: usize,
    expected: Vec<u64>,
}

impl Log {
    /// Opens the log; the mark is at the first line since boot.
    pub(crate) fn open() -> Result<Self> {
        let kmsg = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open("/dev/kmsg")
            .context("/dev/kmsg")?;
        Ok(Self {
            kmsg,
            lines: Vec::new(),
            mark: 0,
            taken: 0,
            expected: Vec::new(),
        })
    }

    /// Begins anew: what has been logged so far is no business of ours.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.fetch()?;
        self.lines.clear();
        self.mark = 0;
        self.taken = 0;
        Ok(())
    }

    /// Forgets, for the questions below, what has been logged so far.
    ///
    /// # Errors
    ///
    /// When `/dev/kmsg` cannot be read.
    pub fn mark(&mut self) -> Result<()> {
        self.fetch()?;
        self.mark = self.lines.len();
        Ok(())
    }

    /// The lines since the mark.
    ///
    /// # Errors
    ///
    /// When `/dev/kmsg` cannot be read.
    pub fn lines(&mut self) -> Result<&[Line]> {
        self.fetch()?;
        Ok(&self.lines[self.mark..])
    }

    /// The lines since the last call of this function, marks or not, but for
    /// those that a test [expected](Log::expect_trouble) as trouble.
    pub(crate) fn take(&mut self) -> Result<Vec<Line>> {
        self.fetch()?;
        let taken = std::mem::replace(&mut self.taken, self.lines.len());
        let expected = std::mem::take(&mut self.expected);
        let lines = self.lines[taken..].iter();
        let lines = lines.filter(|line| !expected.contains(&line.sequence));
        Ok(lines.cloned().collect())
    }

    /// Waits up to a minute for a line since the mark that contains `text`, and
    /// returns that line.
    ///
    /// # Errors
    ///
    /// When no such line came; the error quotes the lines that did.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        let mut found = None;
        within(PATIENCE, || {
            let mut lines = self.lines()?.iter();
            found = lines.find(|line| line.text.contains(text)).cloned();
            anyhow::Ok(found.is_some())
        })?;
        match found {
            Some(line) => Ok(line.text),
            None => bail!(
                "the kernel did not log {text:?}, but:\n{}",
                quote(self.lines()?)
            ),
        }
    }

    /// As [`expect`](Log::expect), for a line with which the kernel complains of
    /// what the test does on purpose: all such lines since the mark are no
    /// trouble.
    ///
    /// # Errors
    ///
    /// When no such line came; the error quotes the lines that did.
    pub fn expect_trouble(&mut self, text: &str) -> Result<()> {
        self.expect(text)?;
        let lines = self.lines[self.mark..].iter();
        let lines = lines.filter(|line| line.text.contains(text));
        self.expected.extend(lines.map(|line| line.sequence));
        Ok(())
    }

    /// What the module called `name` has said since the mark: its lines without
    /// its name at the beginning.
    ///
    /// # Errors
    ///
    /// When `/dev/kmsg` cannot be read.
    pub fn said(&mut self, name: &str) -> Result<Vec<Line>> {
        let begin = format!("{name}: ");
        let lines = self.lines()?.iter().filter_map(|line| {
            let text = line.text.strip_prefix(&begin)?.to_owned();
            Some(Line {
                text,
                ..line.clone()
            })
        });
        // The kernel speaks of modules in the same way.
        Ok(lines.filter(|line| line.text != TAINTS).collect())
    }

    /// The texts of what the module called `name` has [said](Log::said).
    ///
    /// # Errors
    ///
    /// When `/dev/kmsg` cannot be read.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        let said = self.said(name)?.into_iter();
        Ok(said.map(|line| line.text).collect())
    }

    /// What the module called `name` has [said](Log::said) with `pr_err!`, or what
    /// is graver.
    ///
    /// # Errors
    ///
    /// When `/dev/kmsg` cannot be read.
    pub fn complaints(&mut self, name: &str) -> Result<Vec<Line>> {
        let mut said = self.said(name)?;
        said.retain(|line| line.level <= ERR);
        Ok(said)
    }

    /// Fails unless a line with `later` comes after the first one with `earlier`.
    ///
    /// # Errors
    ///
    /// When it does not, or `/dev/kmsg` cannot be read.
    pub fn expect_after(&mut self, earlier: &str, later: &str) -> Result<()> {
        let lines = self.lines()?;
        let at = |text: &str| lines.iter().position(|line| line.text.contains(text));
        ensure!(at(earlier).is_some(), "no {earlier:?} in {lines:?}");
        ensure!(
            at(later) > at(earlier),
            "no {later:?} after that in {lines:?}"
        );
        Ok(())
    }

    /// How many lines since the mark contain `text`.
    ///
    /// # Errors
    ///
    /// When `/dev/kmsg` cannot be read.
    pub fn count(&mut self, text: &str) -> Result<usize> {
        let lines = self.lines()?.iter();
        Ok(lines.filter(|line| line.text.contains(text)).count())
    }

    /// Reads what the kernel has logged since the last time.
    fn fetch(&mut self) -> Result<()> {
        let mut record = [0; 8192];
        loop {
            match self.kmsg.read(&mut record) {
                Ok(0) => return Ok(()),
                Ok(len) => self.lines.extend(parse(&record[..len])),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => return Ok(()),
                    // Lines were overwritten before we read them.
                    Some(Errno::PIPE | Errno::INTR) => {}
                    _ => return Err(error).context("/dev/kmsg"),
                },
            }
        }
    }
}

fn quote(lines: &[Line]) -> String {
    match lines {
        [] => "  (nothing)".to_owned(),
        lines => {
            let lines = lines.iter().map(|line| format!("  {}", line.text));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

/// Reads one record: `level,sequence,micros,flags;text`, then a newline and
/// perhaps properties in lines that begin with a space. `None` when it is not
/// the kernel's.
fn parse(record: &[u8]) -> Option<Line> {
    let record = String::from_utf8_lossy(record);
    let (head, rest) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let (facility, level) = (priority >> 3, priority & 7);
    if facility != KERNEL {
        return None;
    }
    Some(Line {
        sequence: fields.next()?.parse().ok()?,
        micros: fields.next()?.parse().ok()?,
        level: level as u8,
        text: unescape(rest.lines().next()?),
    })
}

/// Undoes the kernel's `\x1b` for bytes that are not printable.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(..2).map(|code| u8::from_str_radix(code, 16));
        if let Some(Ok(byte)) = code {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.extend_from_slice(b"\\x");
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read() {
        let record = b"6,339,5140900,-;hello_1: Hello world 1.\n SUBSYSTEM=acpi\n";
        let line = parse(record).unwrap();
        assert_eq!(line.sequence, 339);
        assert_eq!(line.micros, 5_140_900);
        assert_eq!(line.level, 6);
        assert_eq!(line.text, "hello_1: Hello world 1.");
    }

    #[test]
    fn only_the_kernel_is_heard() {
        // As a service manager and a shell write it: daemon, user.
        let lines = ["30,340,1,-;systemd[1]: WARNING: x", "12,341,1,-;BUG: x"];
        for line in lines {
            assert_eq!(parse(line.as_bytes()), None);
        }
        assert!(parse(b"4,342,1,-;WARNING: x").is_some());
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"a\x09b\x5cn"), "a\tb\\n");
        assert_eq!(unescape(r"\xe4\xbd\xa0"), "\u{4f60}");
        assert_eq!(unescape(r"\xzz \x"), r"\xzz \x");
    }

    #[test]
    fn half_a_record_is_skipped() {
        assert_eq!(parse(b"garbage"), None);
    }
}
