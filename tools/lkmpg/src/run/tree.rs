// SPDX-License-Identifier: GPL-2.0-only

//! A copy of the modules that is built by make again and again: that compiles only what
//! changes, and asks Nix for nothing.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    children::{Group, interrupted},
    examples,
    mutants::LKM,
    run::jobs,
    stop::Stop,
};

/// How long make may take, which is many times what it needs.
const LIMIT: Duration = Duration::from_secs(3600);

/// How much of what make says tells why it failed, in lines.
const REASON: usize = 30;

/// For make, besides what the kernel asks for: a mutant makes things unused, and that is no
/// reason not to compile it.
const NO_WARNINGS: &str = "KCFLAGS=-w KRUSTFLAGS=--cap-lints=allow";

/// The copy.
pub struct Tree {
    dir: TempDir,
    /// That of the development shell.
    environment: Vec<(OsString, OsString)>,
}

impl Tree {
    /// Copies what is in the repository at `root`.
    pub fn of(root: &Path) -> Result<Self> {
        let tree = Self {
            dir: tempfile::tempdir().context("a folder to build in")?,
            environment: environment(root)?,
        };
        copy(&root.join("modules"), &tree.path())?;
        let tests = root.join(examples::TESTS_OF_LKM);
        copy(&tests, &tree.path().join("tests-of-lkm"))?;
        Ok(tree)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    /// The module called `name`, once it is built.
    pub fn module(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.ko"))
    }

    /// Gives a file of `lkm` another text.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let lkm = Path::new(LKM).file_name().unwrap_or_default();
        let file = self.path().join(lkm).join(file);
        fs::write(&file, text).with_context(|| file.display().to_string())
    }

    /// Builds the modules called `names`. Returns why that fails, if it does.
    pub fn build(&self, names: &[String]) -> Result<Option<String>> {
        let mut make = Command::new("make");
        make.env_clear();
        make.envs(self.environment.iter().map(|(name, value)| (name, value)));
        make.arg("-C").arg(self.path());
        make.arg(format!("-j{}", jobs::cpus()));
        let mut flags = OsString::from("KMAKEFLAGS=");
        let given = self.environment.iter().find(|(it, _)| it == "KMAKEFLAGS");
        if let Some((_, given)) = given {
            flags.push(given);
        }
        // What comes last counts.
        flags.push(" ");
        flags.push(NO_WARNINGS);
        make.arg(flags);
        make.args(names.iter().map(|name| format!("{name}.ko")));
        let mut log = tempfile::tempfile().context("a file for what make says")?;
        let (out, err) = (log.try_clone()?, log.try_clone()?);
        make.stdin(Stdio::null()).stdout(out).stderr(err);
        let mut make = Group::spawn(&mut make, Signal::TERM).context("make")?;
        let status = make.wait(LIMIT).context("make")?;
        if interrupted() {
            return Err(Stop::failed("interrupted"));
        }
        match status {
            Some(status) if status.success() => Ok(None),
            Some(_) => Ok(Some(last_lines(&mut log)?)),
            None => Ok(Some("make does not end".to_owned())),
        }
    }
}

/// The last lines of `log`.
fn last_lines(log: &mut File) -> Result<String> {
    log.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(REASON)..].join("\n"))
}

/// What the development shell of the repository at `root` sets.
fn environment(root: &Path) -> Result<Vec<(OsString, OsString)>> {
    let mut launcher = Command::new(root.join("lkmpg"));
    launcher.args(["develop", "env", "-0"]);
    // Else the shell looks at the sources here, and root gives way to the user that called
    // sudo: the folder to build in is this user's.
    launcher.current_dir(env::temp_dir()).env_remove("SUDO_UID");
    launcher.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = launcher.output().context("lkmpg develop")?;
    if !output.status.success() {
        return Err(Stop::missing("there is no development shell (see above)"));
    }
    let variables = output.stdout.split(|byte| *byte == 0);
    let pairs = variables.filter_map(|variable| {
        let equals = variable.iter().position(|byte| *byte == b'=')?;
        let (name, value) = variable.split_at(equals);
        let value = value[1..].to_vec();
        Some((
            OsString::from_vec(name.to_vec()),
            OsString::from_vec(value),
        ))
    });
    Ok(pairs.collect())
}

/// Copies the folder `from` to `to`: what modules are made from, and not what is made.
fn copy(from: &Path, to: &Path) -> Result<()> {
    copy_all(from, to).with_context(|| from.display().to_string())
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            copy_all(&path, &to.join(name))?;
        } else if is_source(&name.to_string_lossy()) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Whether a file with this name is no object and the like.
fn is_source(name: &str) -> bool {
    const ENDS: [&str; 9] = [
        ".rs", ".h", ".c", ".dtso", ".awk", ".mk", ".sh", ".toml", ".py",
    ];
    let made = name.starts_with('.') || name.ends_with(".mod.c") || name.contains("_generated.");
    let source = ["Kbuild", "Makefile"].contains(&name) || ENDS.iter().any(|it| name.ends_with(it));
    source && !made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_are_copied() {
        for name in ["lib.rs", "Kbuild", "helpers.c", "needs.toml", "dt.dtso"] {
            assert!(is_source(name), "{name}");
        }
        for name in ["lkm.o", ".lkm.o.cmd", "a.mod.c", "bindings_generated.rs"] {
            assert!(!is_source(name), "{name}");
        }
    }
}
