// SPDX-License-Identifier: GPL-2.0-only

//! The cases about where a clone is, how it was made, and whose it is.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use anyhow::Result;
use snapbox::cmd::Command;
use tempfile::TempDir;

use crate::{
    checkout::Checkout,
    outcome::{Outcome, run},
};

/// Makes a command that of a user: nobody.
const AS_NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

/// Runs a command as nobody on a machine with sudo and without a terminal. Only the
/// command sees this sudo, which is unpacked in the folder that comes first. Sudo lets
/// nobody do anything when the second word is `may`.
const WITH_SUDO: &str = r#"
set -eu
folder=$1 may=$2
shift 2
if [ ! -e "$folder/usr" ]; then
  (cd "$folder" && { apt-get download sudo || { apt-get update && apt-get download sudo; }; }) >/dev/null 2>&1
  dpkg-deb -x "$folder"/sudo_*.deb "$folder"
fi
[ "$may" != may ] || echo 'nobody ALL=(ALL) NOPASSWD: ALL' >"$folder/etc/sudoers.d/nobody"
for dir in /usr /etc; do
  mount -t overlay -o "lowerdir=$folder$dir:$dir" none "$dir"
done
exec setsid --wait "$@"
"#;

/// Lists the examples after asking Nix where the program is.
fn list_anew(checkout: &Checkout) -> Result<Outcome> {
    let cache = tempfile::tempdir()?;
    let list = checkout.lkmpg(&["list"]);
    run(list.env("XDG_CACHE_HOME", cache.path()))
}

/// A folder that everybody may look into.
fn open_folder() -> Result<TempDir> {
    let temp = tempfile::tempdir()?;
    fs::set_permissions(temp.path(), Permissions::from_mode(0o755))?;
    Ok(temp)
}

/// What CI systems make.
pub fn shallow_clone(checkout: &Checkout) -> Result<()> {
    let url = format!("file://{}", checkout.root().display());
    let shallow = Checkout::cloned(url, &["--depth=1"], tempfile::tempdir()?, "clone")?;
    list_anew(&shallow)?.ends(0)?;
    Ok(())
}

/// Also, it is the files as they are that Nix reads, and a hint is for who needs it.
pub fn path_with_any_character(checkout: &Checkout) -> Result<()> {
    let temp = tempfile::tempdir()?;
    let odd = Checkout::cloned(checkout.root(), &[], temp, "ü 中 [1]^\\%?#'\"$")?;
    list_anew(&odd)?.ends(0)?;
    run(odd.lkmpg(&["list", "--toolchain", "nixpkgs"]))?
        .ends(3)?
        .says("[..]move it to a path without 'ü[..]")?;
    odd.append("nix/debian/flake.nix", "(\n")?;
    list_anew(&odd)?
        .ends(3)?
        .says("[..]the flake could not be read (see above)")?
        .never_says("--toolchain")?;
    Ok(())
}

pub fn clone_with_windows_line_ends(checkout: &Checkout) -> Result<()> {
    let options = ["-c", "core.autocrlf=true"];
    let clone = Checkout::cloned(checkout.root(), &options, tempfile::tempdir()?, "clone")?;
    run(clone.lkmpg(&["list"]))?.ends(0)?;
    Ok(())
}

pub fn repository_that_nix_cannot_read(checkout: &Checkout) -> Result<()> {
    let clone = Checkout::cloned(checkout.root(), &[], tempfile::tempdir()?, "clone")?;
    fs::remove_dir_all(clone.path(".git"))?;
    clone.git(&["init", "--quiet"])?;
    list_anew(&clone)?
        .ends(3)?
        .says("[..]git does not know the files here[..]run: git -C [..] add -A")?;

    fs::remove_dir_all(clone.path(".git"))?;
    clone.git(&["init", "--quiet", "--object-format=sha256"])?;
    clone.git(&["add", "-A"])?;
    let me = ["-c", "user.name=me", "-c", "user.email=me@localhost"];
    clone.git(&[&me[..], &["commit", "--quiet", "-m", "all"]].concat())?;
    list_anew(&clone)?
        .ends(3)?
        .says("[..]SHA-256[..]git init --object-format=sha1[..]")?;
    Ok(())
}

/// The toolchain has a /usr of its own.
pub fn clone_below_usr_src(checkout: &Checkout) -> Result<()> {
    let temp = tempfile::Builder::new()
        .prefix("lkmpg-")
        .tempdir_in("/usr/src")?;
    let clone = Checkout::cloned(checkout.root(), &[], temp, "clone")?;
    let script = "python3 -c 'open(\"made\", \"w\").write(\"here\")' && cd /usr/share && python3";
    run(clone.lkmpg(&["develop", "--", "sh", "-c", script]))?
        .ends(3)?
        .says("[..]python3 cannot be run in /usr/share[..]/usr/src[..]")?
        .wrote(&clone.path("made"), "here")?
        .wrote(&clone.path("modules/rust-project.json"), "root_module")?;
    Ok(())
}

pub fn develop_leaves_nothing_behind(checkout: &Checkout) -> Result<()> {
    let temp = tempfile::tempdir()?;
    let outcome = run(checkout
        .lkmpg(&["develop", "true"])
        .env("TMPDIR", temp.path()))?;
    outcome.ends(0)?;
    match fs::read_dir(temp.path())?.next() {
        Some(left) => outcome.fails(format!("leaves {}", left?.path().display())),
        None => Ok(()),
    }
}

/// Root builds it, and only when it is not there.
pub fn development_shell_is_the_users(checkout: &Checkout) -> Result<()> {
    let home = open_folder()?;
    let clone = Checkout::cloned(checkout.root(), &[], open_folder()?, "clone")?;
    for folder in [home.path(), clone.root()] {
        let chown = checkout.command("chown").args(["-R", "65534:65534"]);
        run(chown.arg(folder))?.ends(0)?;
    }
    let of_nobody = |command: Command| {
        let command = command.env("HOME", home.path());
        let command = command.env("XDG_CACHE_HOME", home.path().join("cache"));
        command.env("EDITOR", "my-editor")
    };
    let script = "echo \"$(id -u) $HOME $EDITOR\" && touch modules/made && rustc --version";
    let develop = ["develop", "--", "sh", "-c", script];
    let works = |command: Command| {
        run(command)?
            .ends(0)?
            .says(&format!("65534 {} my-editor", home.path().display()))?
            .says("rustc [..]")?;
        run(clone.command("find").args([".", "-user", "root"]))?
            .ends(0)?
            .never_says("./")?;
        Ok::<_, anyhow::Error>(())
    };

    let sudo = tempfile::tempdir()?;
    let with_sudo = |may: &str| {
        let command = clone
            .command("unshare")
            .args(["-m", "sh", "-c", WITH_SUDO, "sh"]);
        let command = command.arg(sudo.path()).arg(may).args(AS_NOBODY);
        of_nobody(command.arg(clone.path("lkmpg")).args(develop))
    };
    run(with_sudo("may not"))?
        .ends(3)?
        .says("[..]sudo has no terminal to ask for the password in;[..]")?;
    works(with_sudo("may"))?;

    // It is all there now: nobody needs root.
    let command = clone.command(AS_NOBODY[0]).args(&AS_NOBODY[1..]);
    works(of_nobody(command.arg(clone.path("lkmpg")).args(develop)))?;

    // One who types sudo in front.
    let script = "echo \"$(id -u) $HOME\"";
    let command = clone.lkmpg(&["develop", "--", "sh", "-c", script]);
    let command = command.env("SUDO_UID", "65534").env("SUDO_GID", "65534");
    run(command.env("SUDO_USER", "nobody"))?
        .ends(0)?
        .says("65534 /nonexistent")?;
    Ok(())
}

/// The line can be typed as it is.
pub fn without_sudo_su_is_quoted(checkout: &Checkout) -> Result<()> {
    let clone = Checkout::cloned(checkout.root(), &[], open_folder()?, "clone")?;
    let bin = open_folder()?;
    for program in ["apt-get", "dirname", "id", "readlink"] {
        symlink(format!("/usr/bin/{program}"), bin.path().join(program))?;
    }
    let command = clone.command(AS_NOBODY[0]).args(&AS_NOBODY[1..]);
    let command = command
        .arg("env")
        .arg(format!("PATH={}", bin.path().display()));
    run(command
        .arg(clone.path("lkmpg"))
        .args(["test", "hello-*", "a b"]))?
    .ends(3)?
    .says("[..]run: su -c \"[..]/lkmpg test 'hello-*' 'a b'\"")?;
    Ok(())
}
