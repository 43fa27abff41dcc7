// SPDX-License-Identifier: GPL-2.0-only

//! What is no fault of a module's when an allocation has failed.

/// Functions of Linux, as its leak detector names them, that keep memory when an allocation
/// fails in them or in what they call; and why that is the fault of Linux.
pub const LEAKS: &[(&str, &str)] = &[];

/// Tests that have no faults, as `MODULE::TEST`, and why: what they leave when they end early
/// nobody else can take back.
const LEFT_OUT: &[(&str, &str)] = &[];

/// Words of lines with which Linux says no more than that something has failed for want of
/// memory. All of them are in the line.
const SAYINGS: &[&[&str]] = &[
    // It says so of each error, and returns it.
    &["kobject_add_internal failed for ", "(error: -12 "],
];

/// Whether the line `text` of the log is no complaint: it is one of those above, or has one
/// of the texts that the test has `expected`.
pub fn is_no_trouble(text: &str, expected: &[String]) -> bool {
    let said = |words: &&[&str]| words.iter().all(|word| text.contains(word));
    SAYINGS.iter().any(said) || expected.iter().any(|it| text.contains(it.as_str()))
}

/// Why the test called `test` of `module` has no faults; nothing when it has.
pub fn why_left_out(module: &str, test: &str) -> Option<&'static str> {
    let name = format!("{module}::{test}");
    let found = LEFT_OUT.iter().find(|(left_out, _)| *left_out == name);
    found.map(|(_, why)| *why)
}

/// The functions that [leak](LEAKS).
pub fn leaks() -> Vec<&'static str> {
    LEAKS.iter().map(|(function, _)| *function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_memory_is_no_trouble() {
        let said = |error: i32| {
            format!("kobject: kobject_add_internal failed for x (error: {error} parent: y)")
        };
        assert!(is_no_trouble(&said(-12), &[]));
        assert!(!is_no_trouble(&said(-2), &[]));
        assert!(is_no_trouble(&said(-2), &["failed for x".to_owned()]));
    }
}
