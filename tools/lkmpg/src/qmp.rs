// SPDX-License-Identifier: GPL-2.0-only

//! The QEMU Machine Protocol: how a VM is saved, and restored.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// How long QEMU may take to answer: much longer than it needs, as it may have to
/// share its CPU with many.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often to look whether a VM is saved, or restored.
const TICK: Duration = Duration::from_millis(5);

/// A connection to QEMU.
pub struct Qmp(BufReader<UnixStream>);

impl Qmp {
    /// Greets QEMU at the other end of `socket`.
    pub fn connect(socket: UnixStream) -> Result<Self> {
        socket.set_read_timeout(Some(PATIENCE)).context("QMP")?;
        let mut qmp = Self(BufReader::new(socket));
        qmp.receive()?;
        qmp.execute("qmp_capabilities", json!({}))?;
        // Memory that several QEMUs share is not copied.
        let ignore_shared = json!({ "capability": "x-ignore-shared", "state": true });
        let capabilities = json!({ "capabilities": [ignore_shared] });
        qmp.execute("migrate-set-capabilities", capabilities)?;
        Ok(qmp)
    }

    /// Writes the state of the VM, but for its memory, to the file at `path` and
    /// stops the VM.
    pub fn save(&mut self, path: &str) -> Result<()> {
        self.execute("migrate", json!({ "uri": format!("file:{path}") }))?;
        loop {
            let answer = self.execute("query-migrate", json!({}))?;
            match answer["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => bail!("QEMU cannot save the VM: {answer}"),
                _ => thread::sleep(TICK),
            }
        }
    }

    /// Lets a VM that was started for this go on from the state in the file at
    /// `path`. When this returns it has it, and loses nothing that it is sent.
    pub fn restore(&mut self, path: &str) -> Result<()> {
        let uri = json!({ "uri": format!("file:{path}") });
        self.execute("migrate-incoming", uri)?;
        loop {
            let answer = self.execute("query-status", json!({}))?;
            match answer["status"].as_str() {
                Some("running") => return Ok(()),
                Some("inmigrate") => thread::sleep(TICK),
                _ => bail!("QEMU cannot restore the VM: {answer}"),
            }
        }
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let command = json!({ "execute": command, "arguments": arguments });
        let line = format!("{command}\n");
        self.0.get_mut().write_all(line.as_bytes()).context("QMP")?;
        loop {
            let mut answer = self.receive()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
            // An event.
        }
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.0.read_line(&mut line).context("QMP")?;
        ensure!(!line.is_empty(), "QEMU has ended");
        serde_json::from_str(&line).with_context(|| format!("QMP: {line:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `with` returns when QEMU gives these `answers`, and what it is asked.
    fn talk<T>(answers: &'static [&str], with: impl FnOnce(Qmp) -> T) -> (T, Vec<Value>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let qemu = thread::spawn(move || {
            let mut asked = Vec::new();
            let mut lines = BufReader::new(theirs.try_clone().unwrap()).lines();
            (&theirs).write_all(b"{\"QMP\": {}}\n").unwrap();
            for answer in [r#"{"return": {}}"#; 2].iter().chain(answers) {
                let Some(Ok(line)) = lines.next() else { break };
                asked.push(serde_json::from_str(&line).unwrap());
                writeln!(&theirs, "{answer}").unwrap();
            }
            asked
        });
        let result = with(Qmp::connect(ours).unwrap());
        (result, qemu.join().unwrap())
    }

    #[test]
    fn saving_is_waited_for() {
        let answers = &[
            r#"{"return": {}}"#,
            "{\"event\": \"STOP\"}\n{\"return\": {\"status\": \"active\"}}",
            r#"{"return": {"status": "completed"}}"#,
        ];
        let (saved, asked) = talk(answers, |mut qmp| qmp.save("/x"));
        saved.unwrap();
        assert_eq!(asked[2]["arguments"]["uri"], "file:/x");
        assert_eq!(asked[4]["execute"], "query-migrate");
    }

    #[test]
    fn restoring_is_waited_for_and_a_refusal_told() {
        let answers = &[
            r#"{"return": {}}"#,
            r#"{"return": {"status": "inmigrate"}}"#,
            r#"{"return": {"status": "running"}}"#,
        ];
        let (restored, asked) = talk(answers, |mut qmp| qmp.restore("/x"));
        restored.unwrap();
        assert_eq!(asked[2]["execute"], "migrate-incoming");
        let answers = &[r#"{"error": {"desc": "no such file"}}"#];
        let (restored, _) = talk(answers, |mut qmp| qmp.restore("/x"));
        let error = restored.unwrap_err().to_string();
        assert!(error.contains("no such file"), "{error}");
        let (saved, _) = talk(&[], |mut qmp| qmp.save("/x"));
        assert!(saved.is_err());
    }
}
