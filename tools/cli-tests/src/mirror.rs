// SPDX-License-Identifier: GPL-2.0-only

//! Servers of a case's own: a Debian mirror, a snapshot archive, a server of tarballs.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{self, Child},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use snapbox::cmd::Command;
use tempfile::TempDir;

use crate::checkout::output;

/// How often to look whether the server answers.
const TICK: Duration = Duration::from_millis(50);

/// The suite's folder on the mirror.
const SUITE: &str = "mirror/dists/trixie";

/// What the mirror says of itself. It is long past its date, as a snapshot is.
const RELEASE: &str = "\
Origin: Debian
Label: Debian
Suite: stable
Codename: trixie
Date: Sat, 09 Aug 2025 09:00:00 UTC
Valid-Until: Sat, 16 Aug 2025 09:00:00 UTC
Architectures: amd64
Components: main
SHA256:
";

/// A file that the newer package has.
pub const MARKER: &str = "usr/bin/newer-package";

/// The servers. They are gone when this is dropped.
pub struct Servers {
    /// One program is all of them, by folder.
    server: Child,
    address: String,
    folders: TempDir,
    passing: Vec<PathBuf>,
}

impl Servers {
    /// Starts them, with nothing to serve.
    pub fn start() -> Result<Self> {
        let folders = tempfile::tempdir()?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let address = free.to_string();
        let mut httpd = process::Command::new("/bin/busybox");
        httpd.args(["httpd", "-f", "-p", &address, "-h"]);
        let server = httpd.arg(folders.path()).spawn().context("busybox")?;
        let mut servers = Self {
            server,
            address,
            folders,
            passing: Vec::new(),
        };
        while TcpStream::connect(&servers.address).is_err() {
            if let Some(status) = servers.server.try_wait()? {
                bail!("busybox httpd ended: {status}");
            }
            thread::sleep(TICK);
        }
        Ok(servers)
    }

    /// `command`, which takes these servers for the real ones, and keeps what it keeps for later
    /// beside them.
    pub fn known_to(&self, command: Command) -> Command {
        command
            .env("LKMPG_DEBIAN_MIRROR", self.url("mirror"))
            .env("LKMPG_DEBIAN_KEYRING", self.path(SUITE).join("keyring.gpg"))
            .env("LKMPG_DEBIAN_SNAPSHOT", self.url("snapshot"))
            .env("LKMPG_TARBALLS", self.url("tarballs"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("no_proxy", "127.0.0.1")
    }

    /// The address of the folder `name`.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// The file or folder `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }

    /// A text that nobody else has.
    pub fn unique(&self) -> String {
        format!("{}\n", self.folders.path().display())
    }

    /// Offers the file `name`, and returns its hash.
    pub fn offer(&self, name: &str, text: &str) -> Result<String> {
        let file = self.path(name);
        fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
        fs::write(&file, text)?;
        sha256(&file)
    }

    /// The lock that `fetch` made because pinned files were gone.
    pub fn own_lock(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.path("cache/lkmpg")).ok()?;
        let mut paths = entries.flatten().map(|entry| entry.path());
        paths.find(|path| path.extension().is_some_and(|it| it == "tsv"))
    }

    /// Deletes `path` of the Nix store in the end.
    pub fn forget(&mut self, path: impl Into<PathBuf>) {
        self.passing.push(path.into());
    }

    /// Makes a mirror of what `lock` names, but with a newer package instead of `name`. Returns
    /// that one's version. It has all sources, but as any mirror, only the last of a name are
    /// in its index.
    pub fn publish(&mut self, lock: &str, name: &str) -> Result<String> {
        let mut newer = None;
        let (mut packages, mut sources) = (String::new(), String::new());
        let mut seen = BTreeSet::new();
        for pin in pins(lock).filter(|pin| seen.insert(pin.path)) {
            if pin.section == "sources" {
                symlink(store_path(pin.path, pin.sha256)?, self.place(pin.path)?)?;
                if pins(lock).all(|other| other.name != pin.name || other.path <= pin.path) {
                    sources += &pin.source()?;
                }
                continue;
            }
            let stored = store_path(&pin.deb(pin.version), pin.sha256)?;
            if pin.name == name {
                let version = format!("{}+lkmpg~1", pin.version);
                let path = pin.path.replace(pin.version, &version);
                let deb = self.place(&path)?;
                self.build_newer(&stored, pin.version, &version, &deb)?;
                self.forget(store_path(&pin.deb(&version), &sha256(&deb)?)?);
                packages += &index(&deb, &path)?;
                newer = Some(version);
            } else {
                symlink(&stored, self.place(pin.path)?)?;
                packages += &index(&stored, pin.path)?;
            }
        }
        let mut release = RELEASE.to_owned();
        for (name, text) in [
            ("main/binary-amd64/Packages", packages),
            ("main/source/Sources", sources),
        ] {
            let hash = self.offer(&format!("{SUITE}/{name}"), &text)?;
            release += &format!(" {hash} {} {name}\n", text.len());
        }
        self.offer(&format!("{SUITE}/Release"), &release)?;
        sign(&self.path(SUITE))?;
        newer.with_context(|| format!("the lock has no {name}"))
    }

    /// Where the mirror is to have the file `path` of the archive.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.path("mirror").join(path);
        fs::create_dir_all(place.parent().context("a file is in a folder")?)?;
        Ok(place)
    }

    /// Makes the package `new` of the package `old`, with another version and [`MARKER`].
    fn build_newer(&self, old: &Path, version: &str, newer: &str, new: &Path) -> Result<()> {
        let tree = self.path("newer");
        let mut unpack = process::Command::new("dpkg-deb");
        output(unpack.arg("-R").arg(old).arg(&tree))?;
        let control = tree.join("DEBIAN/control");
        let text = fs::read_to_string(&control)?;
        let (before, after) = (
            format!("Version: {version}\n"),
            format!("Version: {newer}\n"),
        );
        fs::write(&control, text.replace(&before, &after))?;
        fs::write(tree.join(MARKER), self.unique())?;
        let mut pack = process::Command::new("dpkg-deb");
        output(pack.args(["--root-owner-group", "-b"]).arg(&tree).arg(new))?;
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        for path in self.passing.iter().filter(|path| path.exists()) {
            if let Err(error) = delete(path) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// A package or a source in a lock.
struct Pin<'a> {
    section: &'a str,
    name: &'a str,
    version: &'a str,
    path: &'a str,
    size: &'a str,
    sha256: &'a str,
}

/// All that `lock` has.
fn pins(lock: &str) -> impl Iterator<Item = Pin<'_>> {
    let lines = lock.lines().skip(1);
    lines.filter_map(|line| match columns(line)[..] {
        [section, name, version, path, size, sha256] => Some(Pin {
            section,
            name,
            version,
            path,
            size,
            sha256,
        }),
        _ => None,
    })
}

/// The columns of a line of a lock.
pub fn columns(line: &str) -> Vec<&str> {
    line.split('\t').collect()
}

impl Pin<'_> {
    /// What apt, and then the Nix store, calls the package with `version`. Its file in the archive
    /// lacks the version's epoch.
    fn deb(&self, version: &str) -> String {
        let rest = self.path.rsplit('_').next().unwrap_or(self.path);
        format!("{}_{version}_{rest}", self.name)
    }

    /// What an index of sources says of it.
    fn source(&self) -> Result<String> {
        let (folder, file) = self.path.rsplit_once('/').context("a path")?;
        Ok(format!(
            "Package: {}\nVersion: {}\nDirectory: {folder}\nChecksums-Sha256:\n {} {} {file}\n\n",
            self.name, self.version, self.sha256, self.size
        ))
    }
}

/// What an index of packages says of `deb`, which is at `path` of the archive.
fn index(deb: &Path, path: &str) -> Result<String> {
    let mut fields = process::Command::new("dpkg-deb");
    let fields = output(fields.arg("-f").arg(deb))?;
    let size = fs::metadata(deb)?.len();
    let hash = sha256(deb)?;
    let fields = fields.trim_end();
    Ok(format!(
        "{fields}\nFilename: {path}\nSize: {size}\nSHA256: {hash}\n\n"
    ))
}

/// Signs the Release file in `folder` with a key that is there as keyring.gpg.
fn sign(folder: &Path) -> Result<()> {
    let version = process::Command::new("gpg").arg("--version").output();
    version.context("gpg is missing; run: apt-get install gpg gpg-agent")?;
    let home = tempfile::tempdir()?;
    let gpg = |arguments: &[&str]| {
        let mut gpg = process::Command::new("gpg");
        gpg.current_dir(folder).arg("--homedir").arg(home.path());
        gpg.args(["--batch", "--pinentry-mode", "loopback", "--passphrase", ""]);
        output(gpg.args(arguments))
    };
    gpg(&["--quick-generate-key", "lkmpg", "ed25519", "sign", "never"])?;
    gpg(&["--output", "keyring.gpg", "--export"])?;
    gpg(&["--output", "InRelease", "--clearsign", "Release"])?;
    let mut agent = process::Command::new("gpgconf");
    agent.arg("--homedir").arg(home.path());
    output(agent.args(["--kill", "gpg-agent"]))?;
    Ok(())
}

/// Where the Nix store has, or would have, a file with that hash, whose name is the last part of
/// `path`.
pub fn store_path(path: &str, sha256: &str) -> Result<PathBuf> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.replace([':', '~'], "-");
    let mut nix = process::Command::new("nix-store");
    nix.args(["--print-fixed-path", "sha256", sha256, &name]);
    Ok(output(&mut nix)?.trim_end().into())
}

/// Deletes `path` from the Nix store.
pub fn delete(path: &Path) -> Result<()> {
    let mut nix = process::Command::new("nix-store");
    output(nix.arg("--delete").arg(path)).map(drop)
}

/// The hash of a file.
fn sha256(file: &Path) -> Result<String> {
    let mut program = process::Command::new("sha256sum");
    let sum = output(program.arg(file))?;
    let hash = sum.split_whitespace().next().context("sha256sum")?;
    Ok(hash.to_owned())
}
