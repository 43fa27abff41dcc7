// SPDX-License-Identifier: GPL-2.0-only

//! The repository that the examples are built from.

use std::{
    env,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cli::{Source, Toolchain},
    stop::Stop,
};

/// The repository: what was given, else the nearest one above the current
/// directory.
pub fn root(source: &Source) -> Result<PathBuf> {
    if let Some(root) = &source.root {
        return root
            .canonicalize()
            .map_err(|error| Stop::missing(format!("LKMPG_ROOT {}: {error}", root.display())));
    }
    let here = env::current_dir().context("the current directory")?;
    here.ancestors()
        .find(|dir| dir.join("modules/lkm").is_dir())
        .map(Path::to_owned)
        .ok_or_else(|| {
            Stop::missing(
                "this is not a copy of the repository (no modules/lkm here or above); \
                 cd into one or set LKMPG_ROOT",
            )
        })
}

/// The flake that builds the examples at `root`.
pub fn flake(source: &Source, root: &Path) -> String {
    if let Some(flake) = &source.flake {
        return flake.clone();
    }
    let dir = match source.toolchain {
        Toolchain::Auto | Toolchain::Nixpkgs => "",
        Toolchain::Debian => "&dir=nix/debian",
    };
    // A clone without its history will do.
    format!("git+file://{}?shallow=1{dir}", in_url(root))
}

/// `path` as a part of a URL.
fn in_url(path: &Path) -> String {
    let mut url = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url += &format!("%{byte:02X}");
        }
    }
    url
}

fn is_git(root: &Path) -> bool {
    root.join(".git").exists()
}

/// Makes sure that git knows the files in `folders` of `root`: a flake does not
/// see the others.
pub fn require_tracked(root: &Path, folders: &[&str]) -> Result<()> {
    if !is_git(root) {
        return Ok(());
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(root);
    git.args(["ls-files", "--others", "--exclude-standard", "--"]);
    git.args(folders);
    // Without git, it is Nix that says so.
    let Ok(output) = git.output() else {
        return Ok(());
    };
    let untracked = untracked(folders, &String::from_utf8_lossy(&output.stdout));
    if untracked.is_empty() {
        return Ok(());
    }
    let dirs = untracked.join(" ");
    Err(Stop::usage(format!(
        "git does not know all files of {dirs}, so Nix cannot see them; run: git add {dirs}"
    )))
}

/// Those of `folders` whose files are in `list`, from `git ls-files --others`.
fn untracked<'a>(folders: &[&'a str], list: &str) -> Vec<&'a str> {
    let has_some = |folder: &&&str| {
        let mut files = list.lines().map(Path::new);
        files.any(|file| file.starts_with(folder))
    };
    folders.iter().filter(has_some).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_url_is_ascii() {
        assert_eq!(in_url(Path::new("/a-b/c_1.rs~")), "/a-b/c_1.rs~");
        assert_eq!(in_url(Path::new("/ü [1]?")), "/%C3%BC%20%5B1%5D%3F");
    }

    #[test]
    fn untracked_files_name_their_folder_once() {
        let folders = ["modules/1/a", "modules/1/b", "modules/2/c"];
        let list = "modules/1/a/a.rs\nmodules/1/a/test.rs\nmodules/2/c/c.rs\nmodules/1/b1\n";
        assert_eq!(untracked(&folders, list), ["modules/1/a", "modules/2/c"]);
        assert!(untracked(&folders, "").is_empty());
    }
}
