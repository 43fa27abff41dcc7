// SPDX-License-Identifier: GPL-2.0-only

//! The cases. Each finds the clone as it was at first.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use snapbox::cmd::Command;

use crate::{
    checkout::Checkout,
    mirror::{MARKER, Servers, columns, delete, store_path},
    odd_input::{
        closed_pipe_ends_it, full_disk_for_output, junit_that_cannot_be_written,
        name_that_cannot_be, name_that_is_taken,
    },
    odd_places::{
        clone_below_usr_src, clone_with_windows_line_ends, develop_leaves_nothing_behind,
        development_shell_is_the_users, path_with_any_character, repository_that_nix_cannot_read,
        shallow_clone, without_sudo_su_is_quoted,
    },
    outcome::{Failure, Outcome, run},
    shell::Shell,
    tiny_disk::TinyDisk,
};

/// Something that a person does. An error says what is wrong with the answer.
type Case = fn(&Checkout) -> Result<()>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// Every case with its name, in the order in which they run.
        pub const ALL: [(&str, Case); [$(stringify!($name)),*].len()] =
            [$((stringify!($name), $name as Case)),*];
    };
}

cases![
    lists_every_example,
    remembers_where_the_program_is,
    every_demo_works,
    demo_shows_the_module,
    test_writes_junit,
    one_test_by_name,
    tests_of_lkm_and_fixtures_by_name,
    lists_every_test,
    completes_in_shells,
    debug_kernel_looks_for_more,
    kernel_with_long_term_support,
    shell_runs_commands,
    unknown_example_names_the_nearest,
    unknown_toolchain,
    develop_builds_an_example,
    develop_needs_no_module_to_build,
    doc_examples_are_no_example,
    shell_lets_gdb_in,
    nixpkgs_out_of_reach,
    shell_ends_with_its_input,
    broken_module_shows_what_rustc_says,
    untracked_example_says_what_to_do,
    check_shows_every_failure,
    package_that_only_the_snapshot_has,
    package_that_left_the_mirror,
    source_that_left_the_mirror,
    mirror_that_does_not_answer,
    full_disk_for_downloads,
    full_disk_for_builds,
    closed_pipe_ends_it,
    full_disk_for_output,
    junit_that_cannot_be_written,
    name_that_cannot_be,
    name_that_is_taken,
    shallow_clone,
    path_with_any_character,
    clone_with_windows_line_ends,
    repository_that_nix_cannot_read,
    clone_below_usr_src,
    develop_leaves_nothing_behind,
    development_shell_is_the_users,
    without_sudo_su_is_quoted,
    leaves_no_virtual_machine,
];

/// Those that are run at night only: a kernel is built for them alone.
pub const NIGHTLY: [&str; 1] = ["shell_lets_gdb_in"];

const HELLO: &str = "modules/04-hello-world/hello-1/hello-1.rs";
const LOCK: &str = "nix/debian/lock.tsv";

/// How the line begins that the lock has for Linux with long-term support.
const LTS: &str = "sources\tlinux\t6.18.";

/// An address where nothing listens.
const NOBODY: &str = "http://127.0.0.1:9";

fn lists_every_example(checkout: &Checkout) -> Result<()> {
    let outcome = run(checkout.lkmpg(&["list"]))?;
    outcome.ends(0)?;
    for example in checkout.examples()? {
        outcome.says(&format!("{example} [..]"))?;
    }
    // The guide's, from the first with an example to the last.
    let chapters = run(checkout.lkmpg(&["list", "--by-chapter"]))?;
    chapters.ends(0)?;
    for number in 4..=31 {
        chapters.says(&format!("{number:2} [..]  [..]"))?;
    }
    Ok(())
}

/// Nix is only asked when the program, or the recipes, have changed.
fn remembers_where_the_program_is(checkout: &Checkout) -> Result<()> {
    let cache = tempfile::tempdir()?;
    let list = || {
        let list = checkout.lkmpg(&["list"]);
        list.env("XDG_CACHE_HOME", cache.path())
    };
    let list_without_nix = || list().env("NIX_CONFIG", "this is no setting");
    run(list_without_nix())?.ends(3)?;
    run(list())?.ends(0)?;
    run(list_without_nix())?.ends(0)?;
    checkout.append(HELLO, "// another\n")?;
    run(list_without_nix())?.ends(0)?;
    checkout.append("tools/lkmpg/src/main.rs", "// another\n")?;
    run(list_without_nix())?
        .ends(3)?
        .says("[..]the flake could not be read[..]")?;
    Ok(())
}

fn every_demo_works(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["demo"]))?
        .ends(0)?
        .says("[COUNT] passed, 0 failed")?;
    Ok(())
}

fn demo_shows_the_module(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["demo", "procfs1"]))?
        .ends(0)?
        .says("  HelloWorld!")?
        .says("[..]/proc/helloworld removed[..]")?
        .says("1 passed, 0 failed")?;
    Ok(())
}

fn test_writes_junit(checkout: &Checkout) -> Result<()> {
    let temp = tempfile::tempdir()?;
    let junit = temp.path().join("junit.xml");
    run(checkout.lkmpg(&["test", "hello-1", "--junit"]).arg(&junit))?
        .ends(0)?
        .says("test hello-1::says_hello_and_goodbye ... ok[..]")?
        .says("accel: [..]")?
        .says("[COUNT] passed, 0 failed")?
        // Colours are for terminals.
        .never_says("\u{1b}")?
        .wrote(&junit, "<testcase name=\"says_hello_and_goodbye\"")?;
    Ok(())
}

fn one_test_by_name(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["test", "hello-1::reload", "*::zzz*"]))?
        .ends(2)?
        .says("[..]nothing fits '*::zzz*'[..]")?;
    run(checkout.lkmpg(&["test", "hello-1::reload", "hello-2::mod*"]))?
        .ends(0)?
        .says("test hello-1::reload ... ok[..]")?
        .says("test hello-2::modinfo ... ok[..]")?
        .says("2 passed, 0 failed")?;
    run(checkout.lkmpg(&["test", "hello-1::relaod"]))?
        .ends(2)?
        .says("[..]no test of hello-1 is called 'relaod'; did you mean 'reload'?")?;
    Ok(())
}

fn tests_of_lkm_and_fixtures_by_name(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["test", "needs"]))?
        .ends(0)?
        .says("test needs::gets_what_it_needs ... ok[..]")?;
    run(checkout.lkmpg(&["test", "warns"]))?
        .ends(1)?
        .says("test warns::leaves_nothing ... FAILED")?;
    Ok(())
}

fn lists_every_test(checkout: &Checkout) -> Result<()> {
    let outcome = run(checkout.lkmpg(&["list", "--tests"]))?;
    outcome.ends(0)?;
    for example in checkout.examples()? {
        outcome.says(&format!("{example}::leaves_nothing"))?;
    }
    outcome
        .says("hello-1::says_hello_and_goodbye")?
        .says("needs::gets_what_it_needs")?
        .never_says("warns::")?;
    Ok(())
}

fn completes_in_shells(checkout: &Checkout) -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        run(checkout.lkmpg(&["completions", shell]))?
            .ends(0)?
            .says("[..]fresh[..]")?;
    }
    // What bash makes of `./lkmpg de`.
    let script = "source <(./lkmpg completions bash) && \
        COMP_WORDS=(./lkmpg de) COMP_CWORD=1 && \
        _lkmpg ./lkmpg de ./lkmpg && echo \"is ${COMPREPLY[*]}\"";
    run(checkout.command("bash").args(["-c", script]))?
        .ends(0)?
        .says("is demo develop")?;
    Ok(())
}

fn debug_kernel_looks_for_more(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["test", "hello-1", "--kernel", "debug"]))?
        .ends(0)?
        .says("test hello-1::memory_leaks ... ok[..]")?
        .says("6 passed, 0 failed")?;
    Ok(())
}

fn kernel_with_long_term_support(checkout: &Checkout) -> Result<()> {
    let test = ["test", "--kernel", "6.18", "hello-sysfs"];
    run(checkout.lkmpg(&test))?
        .ends(0)?
        .says("test hello-sysfs::a_name_that_is_taken_is_an_error ... ok[..]")?
        .says("[..] passed, 0 failed")?;
    Ok(())
}

fn shell_runs_commands(checkout: &Checkout) -> Result<()> {
    let typed = "cat /proc/helloworld\nexit\n";
    run(checkout.lkmpg(&["shell", "procfs1"]).stdin(typed))?
        .ends(0)?
        .says("HelloWorld![..]")?;
    Ok(())
}

fn unknown_example_names_the_nearest(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["test", "hello1"]))?
        .ends(2)?
        .says("[..]hello-1[..]")?;
    Ok(())
}

fn unknown_toolchain(checkout: &Checkout) -> Result<()> {
    run(checkout.lkmpg(&["list", "--toolchain", "gcc"]))?
        .ends(2)?
        .says("[..]auto, nixpkgs or debian[..]")?;
    Ok(())
}

/// Expects that git ignores what was built.
fn git_sees_nothing(checkout: &Checkout, outcome: &Outcome) -> Result<()> {
    let seen = checkout.git(&["status", "--porcelain"])?;
    if !seen.is_empty() {
        return outcome.fails(format!("git sees what was built: {}", seen.trim_end()));
    }
    Ok(())
}

fn develop_builds_an_example(checkout: &Checkout) -> Result<()> {
    let make = ["develop", "make", "-C", "modules", "hello-1.ko"];
    let outcome = run(checkout.lkmpg(&make))?;
    outcome.ends(0)?.says("  LD [M]  hello-1.ko[..]")?;
    outcome.wrote(&checkout.path("modules/hello-1.ko"), "license=")?;
    let hello = checkout.path(HELLO);
    outcome.wrote(
        &checkout.path("modules/rust-project.json"),
        &format!("\"root_module\": \"{}\"", hello.display()),
    )?;
    git_sees_nothing(checkout, &outcome)
}

fn develop_needs_no_module_to_build(checkout: &Checkout) -> Result<()> {
    fs::write(checkout.path(HELLO), "no Rust\n")?;
    checkout.append("modules/lkm/lib.rs", "no Rust\n")?;
    let script = "gdb --version && rust-analyzer --version && exit 7";
    run(checkout.lkmpg(&["develop", "--", "sh", "-c", script]))?
        .ends(7)?
        .says("GNU gdb[..]")?
        .says("rust-analyzer 1.85[..]")?;
    Ok(())
}

/// What `make doctest` makes is not taken for an example afterwards.
fn doc_examples_are_no_example(checkout: &Checkout) -> Result<()> {
    let make = ["develop", "make", "-C", "modules", "doctest"];
    let outcome = run(checkout.lkmpg(&make))?;
    outcome.ends(0)?.says("  LD [M]  lkm-doctests.ko[..]")?;
    git_sees_nothing(checkout, &outcome)?;
    run(checkout.lkmpg(&["list"]))?
        .ends(0)?
        .never_says("doctest")?;
    Ok(())
}

/// A debugger on a VM that waits for the end of its standard input.
fn shell_lets_gdb_in(checkout: &Checkout) -> Result<()> {
    let mut shell = Shell::start(checkout, &["--gdb=12340", "hello-1"])?;
    let said = shell.wait_for("Loaded: hello_1")?;
    let command = said
        .lines()
        .find_map(|line| line.strip_prefix("gdb: ")?.split_once("type: "))
        .map(|(_, command)| command.replacen(" gdb ", " gdb -batch ", 1));
    let command = command.ok_or_else(|| Failure::error("says no command for gdb", &*said))?;
    let script = format!("{command} -ex lx-version -ex lx-lsmod -ex 'info symbol init_module'");
    let gdb = run(checkout.command("sh").args(["-c", &script]))?;
    shell.end()?.ends(0)?;
    gdb.says("Linux version 7.2.6[..]")?
        .says("[..]hello_1 [..][SIZE][..]")?
        .says("init_module in section .init.text of [..]/hello-1.ko[..]")?;
    Ok(())
}

fn nixpkgs_out_of_reach(checkout: &Checkout) -> Result<()> {
    let cache = tempfile::tempdir()?;
    let list = checkout.lkmpg(&["list", "--toolchain", "nixpkgs"]);
    let list = list.env("XDG_CACHE_HOME", cache.path());
    run(list.env("https_proxy", NOBODY))?
        .ends(3)?
        .says("[..]could not be read [..]--toolchain debian[..]")?;
    Ok(())
}

fn shell_ends_with_its_input(checkout: &Checkout) -> Result<()> {
    let typed = "sleep 1\nhead -n 1 /proc/helloworld\n";
    let shell = checkout.lkmpg(&["shell", "procfs1"]).stdin(typed);
    // One that does not end is ended, however slow the machine is.
    run(shell.timeout(Duration::from_secs(900)))?
        .ends(0)?
        .says("HelloWorld![..]")?;
    Ok(())
}

fn broken_module_shows_what_rustc_says(checkout: &Checkout) -> Result<()> {
    checkout.edit(HELLO, |text| text.replace("Ok(Hello)", "Ok(Helo)"))?;
    run(checkout.lkmpg(&["test", "hello-1"]))?
        .ends(1)?
        .says("error[E0425]: cannot find value `Helo` in this scope[..]")?
        .says("[..]hello-1/hello-1.rs:[LINE][..]")?
        .never_says("builder for")?
        .never_says("/nix/store")?;
    Ok(())
}

fn untracked_example_says_what_to_do(checkout: &Checkout) -> Result<()> {
    let folder = "modules/04-hello-world/hello-9";
    let path = checkout.path(folder);
    fs::create_dir(&path)?;
    fs::copy(checkout.path(HELLO), path.join("hello-9.rs"))?;
    run(checkout.lkmpg(&["test", "hello-9"]))?
        .ends(2)?
        .says(&format!("[..]git add {folder}[..]"))?;
    Ok(())
}

/// One check fails before it makes its output, the other one after that.
fn check_shows_every_failure(checkout: &Checkout) -> Result<()> {
    fs::write(checkout.path("nix/unused.nix"), "let unused = 1; in 2\n")?;
    checkout.git(&["add", "nix/unused.nix"])?;
    checkout.append(".ci/flake", "echo $unquoted\n")?;
    checkout.edit("nix/lint.nix", |text| {
        text.replace("shellcheck --", "touch $out; shellcheck --")
    })?;
    run(checkout.lkmpg(&["check"]))?
        .ends(1)?
        .says("[..]Unused let binding[..]")?
        .says("[..]SC2086[..]")?
        .says("check deadnix ... FAILED[..]")?
        .says("check shellcheck ... FAILED[..]")?;
    Ok(())
}

/// Where a Debian mirror would have the bc that [`pin_bc`] pins.
const BC: &str = "pool/main/b/bc/bc_0.0-1_amd64.deb";

/// A hash that no file has.
fn no_hash() -> String {
    "0".repeat(64)
}

/// Pins a version of bc that there is not.
fn pin_bc(checkout: &Checkout, sha256: &str) -> Result<()> {
    let pin = |line: &str| match columns(line)[..] {
        [section, "bc", _, _, size, _] => {
            [section, "bc", "0.0-1", BC, size, sha256].join("\t") + "\n"
        }
        _ => format!("{line}\n"),
    };
    checkout.edit(LOCK, |lock| lock.lines().map(pin).collect())
}

/// Pins a file that is nowhere: not in the store, not on a mirror.
fn pin_what_nobody_has(checkout: &Checkout) -> Result<()> {
    pin_bc(checkout, &no_hash())
}

/// `./lkmpg fetch` with `arguments`, which knows `servers` only.
fn fetch(checkout: &Checkout, servers: &Servers, arguments: &[&str]) -> Command {
    let fetch = checkout.lkmpg(&[&["fetch"][..], arguments].concat());
    servers.known_to(fetch)
}

fn package_that_only_the_snapshot_has(checkout: &Checkout) -> Result<()> {
    let lock = fs::read_to_string(checkout.path(LOCK))?;
    let mut lines = lock.lines();
    let time = lines.find_map(|line| line.strip_prefix("archive\ttrixie\t"));
    let time = time.context("the lock has no time")?;

    let mut servers = Servers::start()?;
    let hash = servers.offer(&format!("snapshot/{time}/{BC}"), &servers.unique())?;
    let stored = store_path(BC, &hash)?;
    servers.forget(&stored);
    pin_bc(checkout, &hash)?;
    // The mirror itself can say where its snapshots are.
    let snapshots = servers.url("snapshot/@SNAPSHOTID@/");
    let release = format!("Suite: stable\nSnapshots: {snapshots}\n");
    servers.offer("mirror/dists/trixie/Release", &release)?;
    for told in [true, false] {
        let mut fetch = fetch(checkout, &servers, &["--locked"]);
        if !told {
            fetch = fetch.env_remove("LKMPG_DEBIAN_SNAPSHOT");
        }
        let outcome = run(fetch)?;
        outcome.ends(0)?;
        if !stored.exists() {
            return outcome.fails("the package is not in the store");
        }
        delete(&stored)?;
    }
    Ok(())
}

/// Neither the mirror nor the snapshot archive has what is pinned, and the mirror has a newer one.
fn package_that_left_the_mirror(checkout: &Checkout) -> Result<()> {
    let lock = fs::read_to_string(checkout.path(LOCK))?;
    let mut servers = Servers::start()?;
    let newer = servers.publish(&lock, "bc")?;
    pin_what_nobody_has(checkout)?;
    let before = checkout.git(&["diff"])?;

    let outcome = run(fetch(checkout, &servers, &["--locked"]))?;
    outcome.ends(3)?.says(
        "[..]no longer on the Debian mirror[..]bc 0.0-1;[..]run: nix/debian/update-lock[..]",
    )?;
    if servers.own_lock().is_some() {
        return outcome.fails("another lock was made");
    }

    let outcome = run(fetch(checkout, &servers, &[]))?;
    outcome
        .ends(0)?
        .says("lkmpg: no longer on the Debian mirror: bc 0.0-1;[..]not bit for bit the pinned one")?
        .says("lkmpg: to pin what is used now, run: nix/debian/update-lock[..]")?;
    if checkout.git(&["diff"])? != before {
        return outcome.fails("the repository has changed");
    }
    let Some(own_lock) = servers.own_lock() else {
        return outcome.fails("no lock was made");
    };
    // Half a day after the mirror's date.
    outcome.wrote(&own_lock, "archive\ttrixie\t20250809T210000Z\n")?;
    let eval = ["eval", "--raw"];
    let toolchain = checkout.nix(&eval, "toolchain.outPath", Some(&own_lock))?;
    servers.forget(&toolchain);
    let build = ["build", "--no-link"];
    checkout.nix(&build, "toolchain", Some(&own_lock))?;
    outcome.wrote(&Path::new(&toolchain).join(MARKER), &servers.unique())?;
    // All is there by now.
    run(fetch(checkout, &servers, &[]))?
        .ends(0)?
        .says("lkmpg: the lock in use is not the pinned one, but [..]")?
        .never_says("downloading")?;

    let update = servers.known_to(Command::new(checkout.path("nix/debian/update-lock")));
    let outcome = run(update)?;
    outcome.ends(0)?;
    outcome.wrote(&checkout.path(LOCK), &format!("bc\t{newer}\t"))?;
    outcome.wrote(&checkout.path(LOCK), "sources\tbusybox\t")?;
    outcome.wrote(&checkout.path(LOCK), "sources\tlinux\t7.")?;
    outcome.wrote(&checkout.path(LOCK), LTS)?;
    if checkout.nix(&eval, "toolchain.outPath", None)? != toolchain {
        return outcome.fails("the lock makes another toolchain");
    }
    run(fetch(checkout, &servers, &["--locked"]))?
        .ends(0)?
        .never_says("downloading")?;

    // This one is in no index. When the mirror has lost the file, too, the lock does not name it.
    let lock = fs::read_to_string(checkout.path(LOCK))?;
    let lts = lock.lines().find(|line| line.starts_with(LTS));
    let lts = columns(lts.context(LTS)?)[3];
    fs::remove_file(servers.path("mirror").join(lts))?;
    let update = servers.known_to(Command::new(checkout.path("nix/debian/update-lock")));
    let outcome = run(update)?;
    outcome.ends(0)?.says(
        "lkmpg: the mirror no longer has linux_6.18.[..].tar.xz, [..]builds will take upstream's",
    )?;
    if fs::read_to_string(checkout.path(LOCK))?.contains(LTS) {
        return outcome.fails("the lock names a tarball that nobody has");
    }
    Ok(())
}

/// Upstream still has it.
fn source_that_left_the_mirror(checkout: &Checkout) -> Result<()> {
    const TARBALL: &str = "tarballs/busybox-1.37.0.tar.bz2";
    let mut servers = Servers::start()?;
    let hash = servers.offer(TARBALL, &servers.unique())?;
    let stored = store_path(TARBALL, &hash)?;
    servers.forget(&stored);
    // Debian's hash, then upstream's.
    let mut hashes = [no_hash(), hash].into_iter().peekable();
    checkout.edit("nix/pins.nix", |pins| {
        let mut is_busybox = false;
        let pin = |line: &str| {
            is_busybox |= line.contains("busybox = {");
            let is_hash = is_busybox && line.contains(" hash = ");
            match hashes.next_if(|_| is_hash) {
                Some(hash) => format!("      hash = \"sha256:{hash}\";\n"),
                None => format!("{line}\n"),
            }
        };
        pins.lines().map(pin).collect()
    })?;
    checkout.edit(LOCK, |lock| {
        let source = |line: &str| match columns(line)[..] {
            ["sources", "busybox", version, path, size, _] => {
                ["sources", "busybox", version, path, size, &no_hash()].join("\t") + "\n"
            }
            _ => format!("{line}\n"),
        };
        lock.lines().map(source).collect()
    })?;

    run(fetch(checkout, &servers, &["--locked"]))?
        .ends(3)?
        .says("[..]no longer on the Debian mirror[..]busybox 1:1.37.0[..]update-lock[..]")?;
    // One byte is another.
    servers.offer(TARBALL, &format!(" {}", servers.unique()))?;
    run(fetch(checkout, &servers, &[]))?
        .ends(3)?
        .says("[..]Hash Sum mismatch[..]")?
        .says("[..]upstream's server failed[..]./lkmpg fetch[..]")?;
    servers.offer(TARBALL, &servers.unique())?;
    let outcome = run(fetch(checkout, &servers, &[]))?;
    outcome.ends(0)?;
    if !stored.exists() {
        return outcome.fails("the tarball is not in the store");
    }
    Ok(())
}

/// That is no reason to take other packages.
fn mirror_that_does_not_answer(checkout: &Checkout) -> Result<()> {
    pin_what_nobody_has(checkout)?;
    let servers = Servers::start()?;
    let mirror = format!("{NOBODY}/debian");
    let fetch = fetch(checkout, &servers, &[]);
    let outcome = run(fetch.env("LKMPG_DEBIAN_MIRROR", mirror))?;
    outcome
        .ends(3)?
        .says("[..]from the Debian mirror failed[..]./lkmpg fetch[..]")?;
    if servers.own_lock().is_some() {
        return outcome.fails("another lock was made");
    }
    Ok(())
}

fn full_disk_for_downloads(checkout: &Checkout) -> Result<()> {
    pin_what_nobody_has(checkout)?;
    let disk = TinyDisk::new()?;
    run(checkout.lkmpg(&["fetch"]).env("TMPDIR", disk.path()))?
        .ends(3)?
        .says("[..]MB free and needs [MB] MB; free some, then run: ./lkmpg fetch[..]")?;
    Ok(())
}

fn full_disk_for_builds(checkout: &Checkout) -> Result<()> {
    checkout.append(HELLO, "// another\n")?;
    let disk = TinyDisk::new()?;
    let build = checkout.lkmpg(&["build", "hello-1"]);
    run(build.env("TMPDIR", disk.path()))?
        .ends(3)?
        .says("[..]is full; free some [..]then run this again[..]")?;
    Ok(())
}

/// Whatever the cases before it did.
fn leaves_no_virtual_machine(_: &Checkout) -> Result<()> {
    let mut found = String::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        // What has ended in the meantime is no longer there.
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains("-name lkmpg ") {
            found += &format!("{command}\n");
        }
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Failure::error("virtual machines still run", found)),
    }
}
