// SPDX-License-Identifier: GPL-2.0-only

use std::{error, fmt, num::NonZeroU32, str::FromStr};

/// What the guest is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Run the tests of each module.
    Test,
    /// Show each module at work.
    Demo,
    /// Load the modules and give a shell.
    Shell,
    /// Power off at once: only the boot was of interest.
    Probe,
}

impl Mode {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Test, "test"),
        (Self::Demo, "demo"),
        (Self::Shell, "shell"),
        (Self::Probe, "probe"),
    ];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = Self::NAMES.iter().find(|(mode, _)| mode == self).unwrap();
        f.write_str(name)
    }
}

impl FromStr for Mode {
    type Err = BadRequest;

    fn from_str(text: &str) -> Result<Self, BadRequest> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found
            .map(|(mode, _)| *mode)
            .ok_or_else(|| BadRequest(format!("lkmpg.mode={text}")))
    }
}

/// The host's wish, as it stands on the kernel command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What to do.
    pub mode: Mode,
    /// With which modules, in this order, by file name without `.ko`.
    pub modules: Vec<String>,
    /// How many times to run the whole list of tests.
    pub repeat: NonZeroU32,
}

/// The terminal for events, as the words of the kernel command line name it.
const EVENTS: &str = "lkmpg.events";

/// The word of the kernel command line for a guest that is to write its events
/// to the terminal `tty`.
#[must_use]
pub fn events_to(tty: &str) -> String {
    format!("{EVENTS}={tty}")
}

/// The terminal that the text of `/proc/cmdline` names for events.
#[must_use]
pub fn events_tty(cmdline: &str) -> Option<&str> {
    let mut words = cmdline.split_ascii_whitespace();
    words.find_map(|word| word.strip_prefix(EVENTS)?.strip_prefix('='))
}

/// A word of the command line that is not understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadRequest(pub String);

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel command line says {}", self.0)
    }
}

impl error::Error for BadRequest {}

impl Request {
    /// A request to do `mode` once with `modules`.
    #[must_use]
    pub fn new(mode: Mode, modules: Vec<String>) -> Self {
        Self {
            mode,
            modules,
            repeat: NonZeroU32::MIN,
        }
    }

    /// Finds the request in the text of `/proc/cmdline`; `None` when there is
    /// none, which is to say that this is not a VM of ours.
    ///
    /// # Errors
    ///
    /// When a word begins with `lkmpg.` and makes no sense.
    pub fn parse(cmdline: &str) -> Result<Option<Self>, BadRequest> {
        let mut mode = None;
        let mut modules = Vec::new();
        let mut repeat = NonZeroU32::MIN;
        for word in cmdline.split_ascii_whitespace() {
            let Some((key, value)) = word.split_once('=') else {
                continue;
            };
            match key {
                "lkmpg.mode" => mode = Some(value.parse()?),
                "lkmpg.modules" => {
                    let names = value.split(',').filter(|name| !name.is_empty());
                    modules = names.map(str::to_owned).collect();
                }
                "lkmpg.repeat" => {
                    repeat = value.parse().map_err(|_| BadRequest(word.to_owned()))?;
                }
                _ => {}
            }
        }
        Ok(mode.map(|mode| Self {
            mode,
            modules,
            repeat,
        }))
    }
}

impl fmt::Display for Request {
    /// The words for the kernel command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mode, modules) = (self.mode, self.modules.join(","));
        write!(f, "lkmpg.mode={mode} lkmpg.modules={modules}")?;
        write!(f, " lkmpg.repeat={}", self.repeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (mode, _) in Mode::NAMES {
            let request = Request {
                mode,
                modules: vec!["hello-1".into(), "procfs1".into()],
                repeat: NonZeroU32::new(3).unwrap(),
            };
            let cmdline = format!("panic=-1 {} {request} quiet\n", events_to("tty9"));
            assert_eq!(events_tty(&cmdline), Some("tty9"));
            assert_eq!(Request::parse(&cmdline), Ok(Some(request)));
        }
    }

    #[test]
    fn no_modules_is_a_list_of_none() {
        let request = Request::new(Mode::Shell, Vec::new());
        let read = Request::parse(&request.to_string()).unwrap().unwrap();
        assert!(read.modules.is_empty());
    }

    #[test]
    fn another_machine_is_left_alone() {
        assert_eq!(Request::parse("root=/dev/sda1 quiet\n"), Ok(None));
        assert_eq!(events_tty("root=/dev/sda1 quiet\n"), None);
        assert_eq!(Request::parse("lkmpg.modules=hello-1"), Ok(None));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Request::parse("lkmpg.mode=dance").is_err());
        assert!(Request::parse("lkmpg.mode=test lkmpg.repeat=0").is_err());
    }
}
