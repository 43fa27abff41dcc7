// SPDX-License-Identifier: GPL-2.0-only

use serde::{Deserialize, Serialize};

/// Something that happened in the guest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The guest waits for its [`Orders`](crate::Orders).
    Waiting,
    /// The guest has them, and everything that they need.
    Begun,
    /// A test begins.
    Start {
        /// The module under test.
        module: String,
        /// The name of the test.
        test: String,
    },
    /// The test that began last has ended.
    Result {
        /// The module under test.
        module: String,
        /// The name of the test.
        test: String,
        /// How it ended.
        outcome: Outcome,
        /// Why it failed, or a note on what a passed test found; may be empty.
        message: String,
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// A piece of a demonstration's transcript.
    Demo {
        /// The module being shown.
        module: String,
        /// The piece.
        step: Step,
    },
    /// The shell is about to start. The guest waits until the host answers
    /// with a line of its own.
    Ready,
    /// The guest has done what it was asked and is about to power off.
    End,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
}

/// A piece of a demonstration's transcript.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// What was typed.
    Command(String),
    /// What the command printed, both streams, without the last newline.
    Output(String),
    /// A line that the kernel logged meanwhile.
    Log(String),
}

impl Event {
    /// The event as one line of JSON, newline included.
    #[must_use]
    pub fn to_line(&self) -> String {
        super::to_line(self)
    }

    /// Reads what [`Event::to_line`] wrote.
    ///
    /// # Errors
    ///
    /// When `line` is not an event.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = Event::Result {
            module: "hello-1".into(),
            test: "greets".into(),
            outcome: Outcome::Failed,
            message: "two\nlines".into(),
            millis: 12,
        };
        let line = event.to_line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(Event::from_line(&line).unwrap(), event);
    }

    #[test]
    fn steps_survive_the_wire() {
        let event = Event::Demo {
            module: "procfs1".into(),
            step: Step::Command("cat /proc/helloworld".into()),
        };
        assert_eq!(Event::from_line(&event.to_line()).unwrap(), event);
    }
}
