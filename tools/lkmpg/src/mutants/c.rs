// SPDX-License-Identifier: GPL-2.0-only

//! Changes to C, found by how the kernel's style lays it out: functions begin in the first
//! column, and statements behind tabs.

use crate::mutants::Change;

/// What only looks like the call of a function.
const KEYWORDS: [&str; 9] = [
    "if",
    "while",
    "for",
    "switch",
    "return",
    "sizeof",
    "BUILD_BUG_ON",
    "static_assert",
    "typeof",
];

/// What is to change in `text`: a statement that calls a function is left out, and the condition
/// of an `if` is negated.
pub fn changes(text: &str) -> Vec<Change> {
    let mut found = Vec::new();
    let mut function = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let code = line.trim();
        if !line.starts_with('\t') {
            // Empty lines, labels and lines of the preprocessor are within it.
            if line.starts_with('}') {
                function = None;
            } else if let Some(name) = name_before_bracket(code) {
                function = Some(name);
            }
            continue;
        }
        let Some(function) = &function else {
            continue;
        };
        let begin = begin + line.len() - line.trim_start().len();
        let mut add = |kind: String, range, with: String| {
            found.push(Change {
                function: function.clone(),
                kind,
                range,
                with,
            });
        };
        // A macro's lines end so.
        if code.ends_with('\\') {
            continue;
        }
        if let Some(rest) = code.strip_prefix("if (") {
            let open = begin + code.len() - rest.len() - 1;
            if let Some(close) = closing(text, open) {
                let condition = &text[open..=close];
                let with = format!("(!{condition})");
                add("negate if".to_owned(), open..close + 1, with);
            }
        } else if let Some(name) = called(code) {
            if let Some(end) = end_of_call(text, begin) {
                add(format!("delete {name}()"), begin..end, ";".to_owned());
            }
        }
    }
    found
}

/// The word in front of the first bracket of `code`.
fn name_before_bracket(code: &str) -> Option<String> {
    let (before, _) = code.split_once('(')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = before.rsplit(|c: char| !is_name(c)).next()?;
    let is_function = !name.is_empty() && !before.starts_with(['#', '/', '*']);
    is_function.then(|| name.to_owned())
}

/// The function that a statement calls which begins as `code` does.
fn called(code: &str) -> Option<&str> {
    let (name, _) = code.split_once('(')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_call = !name.is_empty() && name.chars().all(is_name) && !KEYWORDS.contains(&name);
    is_call.then_some(name)
}

/// Where the bracket closes that opens at `open`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the statement ends that begins at `begin`, if it is a call and nothing else.
fn end_of_call(text: &str, begin: usize) -> Option<usize> {
    let open = begin + text[begin..].find('(')?;
    let after = closing(text, open)? + 1;
    text[after..].starts_with(';').then_some(after + 1)
}
