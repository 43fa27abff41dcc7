// SPDX-License-Identifier: GPL-2.0-only

//! What `nix --log-format internal-json` says on its standard error.

use console::strip_ansi_codes;
use serde::Deserialize;
use serde_json::Value;

/// The numbers of `ActivityType` and `ResultType` in Nix's `logging.hh`.
const ACTIVITY_BUILD: u64 = 105;
const RESULT_LOG_LINE: u64 = 101;
const RESULT_PHASE: u64 = 104;

/// The gravest of the levels: an error.
const LEVEL_ERROR: u64 = 0;

/// A line of the log that says something of interest.
#[derive(Debug, Eq, PartialEq)]
pub enum Event {
    /// The build of a derivation begins as activity `id`.
    Build { id: u64, derivation: String },
    /// An activity ends.
    Stop { id: u64 },
    /// A build enters a phase.
    Phase { id: u64, phase: String },
    /// A builder has printed a line.
    Line { id: u64, line: String },
    /// Nix reports an error, without colours.
    Error(String),
}

#[derive(Deserialize)]
struct Raw {
    action: String,
    #[serde(default)]
    id: u64,
    #[serde(default, rename = "type")]
    kind: u64,
    #[serde(default)]
    level: u64,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    fields: Vec<Value>,
}

impl Event {
    /// Reads one line; `None` when it is of no interest.
    pub fn parse(line: &str) -> Option<Self> {
        let Some(json) = line.strip_prefix("@nix ") else {
            // Before it knows its log format, Nix complains in plain text.
            let text = strip_ansi_codes(line);
            let error = text.contains("error:") && !is_noise(&text);
            return error.then(|| Self::Error(text.into()));
        };
        let raw: Raw = serde_json::from_str(json).ok()?;
        let id = raw.id;
        let text = |index: usize| raw.fields.get(index)?.as_str();
        match (raw.action.as_str(), raw.kind) {
            ("start", ACTIVITY_BUILD) => {
                let derivation = text(0)?.to_owned();
                Some(Self::Build { id, derivation })
            }
            ("stop", _) => Some(Self::Stop { id }),
            ("result", RESULT_PHASE) => {
                let phase = text(0)?.to_owned();
                Some(Self::Phase { id, phase })
            }
            ("result", RESULT_LOG_LINE) => {
                let line = strip_ansi_codes(text(0)?).trim_end().to_owned();
                Some(Self::Line { id, line })
            }
            ("msg", _) if raw.level == LEVEL_ERROR => {
                let text = strip_ansi_codes(&raw.msg);
                (!is_noise(&text)).then(|| Self::Error(text.into()))
            }
            _ => None,
        }
    }
}

/// Another run of Nix uses the cache of evaluations: Nix says so and goes on without it.
fn is_noise(text: &str) -> bool {
    text.starts_with("error (ignored):")
        && text.contains("SQLite database '")
        && text.contains("' is busy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_followed() {
        let lines = [
            r#"@nix {"action":"start","fields":["/nix/store/x-dep-1.0.drv","",1,1],"id":7,"level":3,"text":"building","type":105}"#,
            r#"@nix {"action":"result","fields":["buildPhase"],"id":7,"type":104}"#,
            r#"@nix {"action":"result","fields":["\u001b[31m  CC  a.o\u001b[0m"],"id":7,"type":101}"#,
            r#"@nix {"action":"result","fields":[1,2,0,0],"id":2,"type":105}"#,
            r#"@nix {"action":"stop","id":7}"#,
        ];
        let events: Vec<_> = lines.into_iter().filter_map(Event::parse).collect();
        let expected = [
            Event::Build {
                id: 7,
                derivation: "/nix/store/x-dep-1.0.drv".into(),
            },
            Event::Phase {
                id: 7,
                phase: "buildPhase".into(),
            },
            Event::Line {
                id: 7,
                line: "  CC  a.o".into(),
            },
            Event::Stop { id: 7 },
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn errors_lose_their_colours() {
        let line = r#"@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m no","raw_msg":""}"#;
        assert_eq!(Event::parse(line), Some(Event::Error("error: no".into())));
        let plain = "error: experimental feature";
        assert_eq!(Event::parse(plain), Some(Event::Error(plain.into())));
    }

    #[test]
    fn a_cache_that_is_busy_is_no_error() {
        let busy = "SQLite database '/root/.cache/nix/eval-cache-v2/x.sqlite' is busy";
        let message = |text: &str| {
            let message = serde_json::json!({ "action": "msg", "level": 0, "msg": text });
            [format!("@nix {message}"), text.to_owned()]
        };
        for line in message(&format!(
            "error (ignored): \u{1b}[31;1merror:\u{1b}[0m {busy}"
        )) {
            assert_eq!(Event::parse(&line), None);
        }
        // What Nix gives up for, or is about something else.
        for text in [
            format!("error: {busy}"),
            "error (ignored): error: cannot unlink 'x'".to_owned(),
        ] {
            for line in message(&text) {
                assert_eq!(Event::parse(&line), Some(Event::Error(text.clone())));
            }
        }
    }

    #[test]
    fn the_rest_is_skipped() {
        assert_eq!(Event::parse("warning: something"), None);
        assert_eq!(Event::parse("@nix not json"), None);
        let talk = r#"@nix {"action":"msg","level":4,"msg":"evaluating"}"#;
        assert_eq!(Event::parse(talk), None);
    }
}
