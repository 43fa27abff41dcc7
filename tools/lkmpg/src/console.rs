// SPDX-License-Identifier: GPL-2.0-only

//! What a VM says on its console.

/// The kernel says one of these when it will not go on.
const FATAL: [&str; 2] = ["Kernel panic - not syncing", "Oops:"];

/// What comes before, and belongs to it.
const PRELUDE: [&str; 3] = ["BUG:", "kernel BUG at", "panicked at"];

/// How far before the fatal line the prelude may be, in lines.
const PRELUDE_DISTANCE: usize = 8;

/// How many lines of a panic are worth showing.
const PANIC_LINES: usize = 80;

/// Where the trace of a panic ends; what the kernel does then follows.
const END_OF_TRACE: &str = "---[ end trace";

/// Lines that tell a person little: registers, machine code, and what is on
/// the stack by chance.
const CLUTTER: [&str; 14] = [
    " ? ", "CR2:", "CS:", "Code:", "DR0:", "DR3:", "FS:", "R10:", "R13:", "RAX:", "RBP:", "RDX:",
    "RSP:", "PKRU:",
];

/// The text of a console, line by line.
#[derive(Default)]
pub struct Console {
    lines: Vec<String>,
    partial: Vec<u8>,
    fatal: Option<usize>,
}

impl Console {
    /// Adds what has been read.
    pub fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.partial);
                let line = line.trim_end_matches(['\r', '\n']).to_owned();
                self.partial.clear();
                if self.fatal.is_none() && is_fatal(&line) {
                    self.fatal = Some(self.lines.len());
                }
                self.lines.push(line);
            }
        }
    }

    /// Whether the kernel has given up.
    pub fn panicked(&self) -> bool {
        self.fatal.is_some()
    }

    /// The panic with its trace, without time stamps.
    pub fn panic(&self) -> Option<String> {
        let fatal = self.fatal?;
        let earliest = fatal.saturating_sub(PRELUDE_DISTANCE);
        let before = self.lines[earliest..fatal]
            .iter()
            .position(|line| PRELUDE.iter().any(|sign| line.contains(sign)));
        let begin = before.map_or(fatal, |distance| earliest + distance);
        let lines: Vec<_> = self.lines[begin..]
            .iter()
            .map(|line| without_time(line))
            .collect();
        let trace = lines
            .iter()
            .position(|line| line.starts_with(END_OF_TRACE))
            .unwrap_or(lines.len());
        let (trace, after) = lines.split_at(trace);
        let verdict = after.iter().filter(|line| is_fatal(line));
        let told = trace.iter().filter(|line| !is_clutter(line)).chain(verdict);
        let told: Vec<_> = told.take(PANIC_LINES).map(|line| demangle(line)).collect();
        Some(told.join("\n"))
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> String {
        let partial = String::from_utf8_lossy(&self.partial);
        let mut lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        if !partial.is_empty() {
            lines.push(&partial);
        }
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

fn is_fatal(line: &str) -> bool {
    FATAL.iter().any(|sign| line.contains(sign))
}

fn is_clutter(line: &str) -> bool {
    CLUTTER.iter().any(|sign| line.starts_with(sign))
}

/// The line with Rust's names as they stand in the source.
fn demangle(line: &str) -> String {
    let word = |word: &str| {
        let end = word.find('+').unwrap_or(word.len());
        let (symbol, offset) = word.split_at(end);
        match rustc_demangle::try_demangle(symbol) {
            Ok(name) => format!("{name:#}{offset}"),
            Err(_) => word.to_owned(),
        }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A log line without its `[    1.234567] `.
fn without_time(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| {
        let (time, text) = rest.split_once("] ")?;
        time.trim().parse::<f64>().ok()?;
        Some(text)
    });
    rest.unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(text: &str) -> Console {
        let mut console = Console::default();
        console.push(text.as_bytes());
        console
    }

    #[test]
    fn a_panic_is_found_with_its_trace() {
        let console = console(
            "[    1.0] fine\r\n\
             [    1.1] BUG: unable to handle page fault for address: 0\r\n\
             [    1.1] #PF: supervisor write access\r\n\
             [    1.1] Oops: Oops: 0002 [#1] SMP\r\n\
             [    1.1] RAX: 0000000000000041 RBX: 0\r\n\
             [    1.1] Call Trace:\r\n\
             [    1.1]  ? by_chance+0x1/0x2\r\n\
             [    1.1]  _RNvNtCs2lKf6AS60Zg_4core9panicking9panic_fmt+0x1f/0x20\r\n\
             [    1.1] ---[ end trace 0000000000000000 ]---\r\n\
             [    1.1] RIP: again\r\n\
             [    1.2] Kernel panic - not syncing: Fatal exception\r\n",
        );
        assert!(console.panicked());
        let panic = console.panic().unwrap();
        assert!(panic.starts_with("BUG: unable"), "{panic}");
        let trace = "\nCall Trace:\n core::panicking::panic_fmt+0x1f/0x20\n";
        assert!(panic.contains(trace), "{panic}");
        assert!(panic.ends_with("exception"), "{panic}");
        assert!(
            !panic.contains("RAX") && !panic.contains("again"),
            "{panic}"
        );
    }

    #[test]
    fn a_complaint_is_not_a_panic() {
        let text = "BUG: sleeping function called from invalid context\nCall Trace:\n";
        assert!(!console(text).panicked());
        assert_eq!(console("Kernel command line: panic=-1\n").panic(), None);
    }

    #[test]
    fn lines_may_come_in_pieces() {
        let mut console = Console::default();
        for piece in ["Kernel pa", "nic - not sync", "ing: x\r", "\nhalf"] {
            console.push(piece.as_bytes());
        }
        assert_eq!(
            console.panic().as_deref(),
            Some("Kernel panic - not syncing: x")
        );
        assert_eq!(console.tail(1), "half");
        assert_eq!(console.tail(9), "Kernel panic - not syncing: x\nhalf");
    }
}
