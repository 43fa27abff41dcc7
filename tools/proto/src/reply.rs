// SPDX-License-Identifier: GPL-2.0-only

use serde::{Deserialize, Serialize};

/// How the host answers [`Event::Unplug`](crate::Event::Unplug) and
/// [`Event::Plug`](crate::Event::Plug).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// It is not, and that is why.
    Refused(String),
}

impl Reply {
    /// The answer as one line of JSON, newline included.
    #[must_use]
    pub fn to_line(&self) -> String {
        super::to_line(self)
    }

    /// Reads what [`Reply::to_line`] wrote.
    ///
    /// # Errors
    ///
    /// When `line` is something else.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_line() {
        for reply in [Reply::Done, Reply::Refused("two\nlines".into())] {
            let line = reply.to_line();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Reply::from_line(&line).unwrap(), reply);
        }
        // That is how the host answers who begins a shell.
        assert!(Reply::from_line("\n").is_err());
    }
}
