// SPDX-License-Identifier: GPL-2.0-only

//! What a command did, and what is expected of that.

use std::{error, fmt, fs, path::Path, process::ExitStatus};

use anyhow::{Context, Result};
use regex::Regex;
use snapbox::{
    Assert, IntoData, Redactions,
    cmd::{Command, display_exit_status},
};

/// What stands for a number in a pattern, with a number's surroundings there.
const NUMBERS: [(&str, &str); 4] = [
    ("[COUNT]", "(?<redacted>[0-9]+) passed"),
    ("[LINE]", r"\.rs:(?<redacted>[0-9]+)"),
    ("[MB]", "(?<redacted>[0-9]+) MB"),
    ("[SIZE]", "hello_1 +(?<redacted>[0-9]+)"),
];

/// Why a case failed.
#[derive(Debug)]
pub struct Failure {
    why: String,
    said: String,
}

impl Failure {
    /// A failure because of `why`, after a command that printed `said`.
    pub fn error(why: impl Into<String>, said: impl Into<String>) -> anyhow::Error {
        let (why, said) = (why.into(), said.into());
        Self { why, said }.into()
    }

    /// What the case's command printed.
    pub fn said(&self) -> &str {
        &self.said
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl error::Error for Failure {}

/// How a command ended, and all that it printed.
#[derive(Debug)]
pub struct Outcome {
    status: ExitStatus,
    said: String,
}

/// Runs `command` to its end.
pub fn run(command: Command) -> Result<Outcome> {
    let output = command.stderr_to_stdout().output();
    let output = output.context("the command did not start")?;
    Ok(Outcome::new(output.status, &output.stdout))
}

impl Outcome {
    /// A command that ended with `status` and printed `said`.
    pub fn new(status: ExitStatus, said: &[u8]) -> Self {
        let said = String::from_utf8_lossy(said).into_owned();
        Self { status, said }
    }

    /// Fails because of `why`.
    pub fn fails<T>(&self, why: impl Into<String>) -> Result<T> {
        Err(Failure::error(why, &self.said))
    }

    /// Expects the exit status `wanted`.
    pub fn ends(&self, wanted: i32) -> Result<&Self> {
        if self.status.code() == Some(wanted) {
            return Ok(self);
        }
        let got = display_exit_status(self.status);
        self.fails(format!("ended with status {got} instead of {wanted}"))
    }

    /// Expects a line that is `pattern`, in which `[..]` stands for anything and
    /// the placeholders of [`NUMBERS`] for numbers.
    pub fn says(&self, pattern: &str) -> Result<&Self> {
        let mut numbers = Redactions::new();
        // Only those that the pattern has: it may have numbers, too.
        for (placeholder, number) in NUMBERS {
            if pattern.contains(placeholder) {
                numbers.insert(placeholder, Regex::new(number)?)?;
            }
        }
        let assert = Assert::new().redact_with(numbers).normalize_paths(false);
        // The last line need not be whole.
        let said = format!("{}\n", self.said.trim_end());
        let expected = format!("...\n{pattern}\n...\n");
        match assert.try_eq(None, said.into_data(), expected.into_data()) {
            Ok(()) => Ok(self),
            Err(_) => self.fails(format!("does not say: {pattern}")),
        }
    }

    /// Expects that `text` is in no line.
    pub fn never_says(&self, text: &str) -> Result<&Self> {
        if self.said.contains(text) {
            return self.fails(format!("says: {}", text.escape_debug()));
        }
        Ok(self)
    }

    /// Expects `text` in the file `path`.
    pub fn wrote(&self, path: &Path, text: &str) -> Result<&Self> {
        let path_name = path.display();
        match fs::read(path) {
            Ok(content) if String::from_utf8_lossy(&content).contains(text) => Ok(self),
            Ok(_) => self.fails(format!("{path_name} does not say: {text}")),
            Err(error) => self.fails(format!("{path_name}: {error}")),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// What the shell does with `script`.
    pub fn outcome_of(script: &str) -> Outcome {
        run(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[track_caller]
    fn assert_fails(result: Result<&Outcome>, why: &str) {
        let error = result.expect_err("it fails");
        assert_eq!(error.to_string(), why);
        assert!(error.is::<Failure>());
    }

    #[test]
    fn a_status_is_compared() {
        let outcome = outcome_of("exit 2");
        outcome.ends(2).unwrap();
        assert_fails(outcome.ends(0), "ended with status 2 instead of 0");
        assert_fails(
            outcome_of("kill $$").ends(0),
            "ended with status interrupted (signal: 15, SIGTERM: termination signal) instead of 0",
        );
    }

    #[test]
    fn lines_are_found() {
        let outcome = outcome_of("echo one; echo two >&2; printf 'three\\r\\n4 passed, 0 failed'");
        for pattern in [
            "one",
            "two",
            "three",
            "[..]w[..]",
            "[COUNT] passed, 0 failed",
        ] {
            outcome.says(pattern).unwrap();
        }
        outcome.says("4 passed, 0 failed").unwrap();
        for pattern in [
            "on",
            "ne",
            "three 4",
            "5 passed, 0 failed",
            "[MB] passed, 0 failed",
        ] {
            assert_fails(outcome.says(pattern), &format!("does not say: {pattern}"));
        }
        assert_fails(outcome_of("true").says("one"), "does not say: one");
        assert_fails(
            outcome_of("echo some passed, 0 failed").says("[COUNT] passed, 0 failed"),
            "does not say: [COUNT] passed, 0 failed",
        );
    }

    #[test]
    fn numbers_are_found_in_their_places() {
        let outcome = outcome_of("echo 'a.rs:12:3'; echo '0xf hello_1    16384  0'; echo '7 MB'");
        for pattern in ["a.rs:[LINE]:3", "[..] hello_1 [..][SIZE]  0", "[MB] MB"] {
            outcome.says(pattern).unwrap();
        }
        let outcome = outcome_of("echo 'a.rs:x:3'; echo '0xf hello_1  x  0'; echo ' MB'");
        for pattern in [
            "a.rs:[LINE]:[..]",
            "[..]hello_1 [..][SIZE][..]",
            "[..][MB] MB",
        ] {
            assert_fails(outcome.says(pattern), &format!("does not say: {pattern}"));
        }
    }

    #[test]
    fn what_must_not_be_said_is_found() {
        let outcome = outcome_of("printf 'a \\033[1mbold\\033[m word\\n'");
        outcome.never_says("italic").unwrap();
        assert_fails(outcome.never_says("\u{1b}"), "says: \\u{1b}");
    }

    #[test]
    fn files_are_looked_into() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        let outcome = outcome_of("true");
        assert!(outcome.wrote(&file, "one").is_err());
        fs::write(&file, "one\n").unwrap();
        outcome.wrote(&file, "one").unwrap();
        let why = format!("{} does not say: two", file.display());
        assert_fails(outcome.wrote(&file, "two"), &why);
    }
}
