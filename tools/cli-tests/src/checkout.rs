// SPDX-License-Identifier: GPL-2.0-only

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result, bail, ensure};
use snapbox::cmd::Command;
use tempfile::TempDir;

/// How Nix builds by itself, without what `./lkmpg` sets.
const NIX_CONFIG: &str = "\
experimental-features = nix-command flakes
sandbox = true
sandbox-paths = /bin/sh=/bin/busybox
build-users-group =
substituters =
";

/// A clone of the repository, so that its sources may be broken on purpose.
pub struct Checkout {
    root: PathBuf,
    _temp: TempDir,
}

impl Checkout {
    /// Clones `repository`.
    pub fn of(repository: &Path) -> Result<Self> {
        Self::cloned(repository, &[], tempfile::tempdir()?, "clone")
    }

    /// Clones `repository`, with `options` for git, into the folder `name` of `temp`.
    pub fn cloned(
        repository: impl AsRef<OsStr>,
        options: &[&str],
        temp: TempDir,
        name: &str,
    ) -> Result<Self> {
        let checkout = Self {
            root: temp.path().canonicalize()?.join(name),
            _temp: temp,
        };
        let mut git = process::Command::new("git");
        git.args(["clone", "--quiet"]).args(options).arg(repository);
        output(git.arg(&checkout.root))?;
        Ok(checkout)
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file `name` of the clone.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// `program`, to be run in the clone.
    pub fn command(&self, program: &str) -> Command {
        Command::new(program).current_dir(&self.root)
    }

    /// The clone's own `./lkmpg` with `arguments`.
    pub fn lkmpg(&self, arguments: &[&str]) -> Command {
        Command::new(self.path("lkmpg"))
            .current_dir(&self.root)
            .args(arguments)
    }

    /// What git prints when it does what `arguments` say.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut git = process::Command::new("git");
        output(git.arg("-C").arg(&self.root).args(arguments))
    }

    /// What Nix prints when it does what `arguments` say to `attribute` of the Debian toolchain's
    /// flake, with the packages of `lock`; those that are pinned when there is none.
    pub fn nix(&self, arguments: &[&str], attribute: &str, lock: Option<&Path>) -> Result<String> {
        let root = self.root.display();
        let mut nix = process::Command::new("nix");
        nix.args(arguments).env("NIX_CONFIG", NIX_CONFIG);
        nix.arg(format!("git+file://{root}?dir=nix/debian#{attribute}"));
        if let Some(lock) = lock {
            nix.arg("--impure").env("LKMPG_DEBIAN_LOCK", lock);
        }
        output(&mut nix)
    }

    /// The names of the examples.
    pub fn examples(&self) -> Result<Vec<String>> {
        let files = self.git(&["ls-files", "modules"])?;
        let example = |file: &str| match file.split('/').collect::<Vec<_>>()[..] {
            ["modules", chapter, name, source]
                if chapter != "lkm" && source.strip_suffix(".rs") == Some(name) =>
            {
                Some(name.to_owned())
            }
            _ => None,
        };
        let examples: Vec<_> = files.lines().filter_map(example).collect();
        ensure!(!examples.is_empty(), "modules/ has no examples");
        Ok(examples)
    }

    /// Adds `text` to the end of the file `name`.
    pub fn append(&self, name: &str, text: &str) -> Result<()> {
        self.edit(name, |old| format!("{old}{text}"))
    }

    /// Changes what the file `name` holds.
    pub fn edit(&self, name: &str, change: impl FnOnce(&str) -> String) -> Result<()> {
        let path = self.path(name);
        let old = fs::read_to_string(&path).context(name.to_owned())?;
        let new = change(&old);
        ensure!(new != old, "there is nothing to change in {name}");
        fs::write(&path, new).context(name.to_owned())
    }

    /// Makes the clone what it was at first.
    pub fn restore(&self) -> Result<()> {
        self.git(&["reset", "--quiet", "--hard"])?;
        self.git(&["clean", "--quiet", "-ffdx"])?;
        Ok(())
    }
}

/// What `command` prints, if all goes well.
pub fn output(command: &mut process::Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}", said.trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}
