// SPDX-License-Identifier: GPL-2.0-only

//! The cases. Each finds the clone as it was at first.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

use crate::{
    checkout::Checkout,
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
    package_that_left_the_mirror,
    mirror_that_does_not_answer,
    full_disk_for_downloads,
    full_disk_for_builds,
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

/// An address where nothing listens.
const NOBODY: &str = "http://127.0.0.1:9";

fn lists_every_example(checkout: &Checkout) -> Result<()> {
    let outcome = run(checkout.lkmpg(&["list"]))?;
    outcome.ends(0)?;
    for example in checkout.examples()? {
        outcome.says(&format!("{example} [..]"))?;
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

/// Pins a file that is nowhere: not in the store, not on the mirror.
fn pin_what_nobody_has(checkout: &Checkout) -> Result<()> {
    let hash = "0".repeat(64);
    let pin = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
        [section, "bc", _, file, size, _] => {
            [section, "bc", "0.0-1", file, size, &hash].join("\t") + "\n"
        }
        _ => format!("{line}\n"),
    };
    checkout.edit(LOCK, |lock| lock.lines().map(pin).collect())
}

fn package_that_left_the_mirror(checkout: &Checkout) -> Result<()> {
    pin_what_nobody_has(checkout)?;
    run(checkout.lkmpg(&["fetch"]))?
        .ends(3)?
        .says("[..]bc 0.0-1[..]no longer on the Debian mirror[..]nix/debian/update-lock[..]")?;
    Ok(())
}

fn mirror_that_does_not_answer(checkout: &Checkout) -> Result<()> {
    pin_what_nobody_has(checkout)?;
    let mirror = format!("{NOBODY}/debian");
    let fetch = checkout.lkmpg(&["fetch"]);
    run(fetch.env("LKMPG_DEBIAN_MIRROR", mirror))?
        .ends(3)?
        .says("[..]mirror could not be read[..]./lkmpg fetch[..]")?;
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
        .says("[..]is full; free some [..]then run again: ./lkmpg build hello-1[..]")?;
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
