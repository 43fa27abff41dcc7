// SPDX-License-Identifier: GPL-2.0-only

use libc::SYS_write;
use rustix::termios::{Action, LocalModes, OptionalActions, tcflow, tcgetattr, tcsetattr};

use crate::{
    prelude::*,
    terminal::{Terminal, without_terminal},
};

pub const EXAMPLE: Example = Example {
    tests: tests![
        a_terminal_shows_what_is_written,
        who_has_no_terminal_is_told,
        something_else_is_no_terminal,
        a_stopped_terminal_is_waited_for_or_not,
        a_full_terminal_is_waited_for_or_not,
        who_waits_can_be_killed,
        who_waits_is_told_that_the_terminal_is_gone,
        the_background_may_have_to_be_silent,
        a_process_that_ends_has_none,
        odd_uses_are_safe,
        nothing_is_left,
    ],
    ..Example::EMPTY
};

const WAITS: &str = "/proc/ttys-waits";
const AT_ONCE: &str = "/proc/ttys-at-once";

fn a_terminal_shows_what_is_written(vm: &mut Vm) -> Result {
    let module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut other = Terminal::new()?;
    let mut session = terminal.session()?;
    let _other = other.session()?;
    for path in [WAITS, AT_ONCE] {
        assert_eq!(session.run(&format!("printf hello >{path}"))?, 0);
        assert_eq!(terminal.shown()?, "hello");
        // The line discipline does its part.
        assert_eq!(session.run(&format!("printf 'a\\nb\\n' >{path}"))?, 0);
        assert_eq!(terminal.shown()?, "a\r\nb\r\n");
    }
    assert_eq!(other.shown()?, "");
    assert_eq!(vm.log().count("ttys: took 5")?, 2);
    module.unload()
}

fn who_has_no_terminal_is_told(vm: &mut Vm) -> Result {
    let _module = vm.load("ttys")?;
    for who in ["a thread", "a worker"] {
        vm.log().expect(&format!("ttys: {who} errno 6"))?; // ENXIO
    }
    for path in [WAITS, AT_ONCE] {
        vm.log().mark()?;
        assert_ne!(without_terminal(&format!("echo hello >{path}"))?, Some(0));
        vm.log().expect("ttys: took errno 6")?;
    }
    Ok(())
}

/// Root can put anything at `/dev/tty`. It is not written to.
fn something_else_is_no_terminal(vm: &mut Vm) -> Result {
    const FILE: &str = "/tmp/ttys-file";
    let _module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    fs::create_dir_all("/tmp")?;
    fs::write(FILE, "")?;
    let commands = format!("mount --bind {FILE} /dev/tty && echo hello >{AT_ONCE}");
    assert_ne!(session.run(&format!("unshare -m sh -c '{commands}'"))?, 0);
    vm.log().expect("ttys: took errno 6")?;
    let written = fs::read(FILE)?;
    fs::remove_file(FILE)?;
    assert_eq!(written, b"");
    assert_eq!(terminal.shown()?, "");
    Ok(())
}

/// As Ctrl-S stops it, and Ctrl-Q has it go on.
fn a_stopped_terminal_is_waited_for_or_not(vm: &mut Vm) -> Result {
    let _module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    tcflow(session.terminal(), Action::OOff)?;
    assert_ne!(session.run(&format!("printf now >{AT_ONCE}"))?, 0);
    vm.log().expect("ttys: took errno 11")?; // EAGAIN
    session.begin(&format!("printf later >{WAITS}"))?;
    process_is_in(session.id(), &[SYS_write])?;
    assert_eq!(terminal.shown()?, "");
    tcflow(session.terminal(), Action::OOn)?;
    assert_eq!(session.end()?, 0);
    assert_eq!(terminal.shown()?, "later");
    Ok(())
}

fn a_full_terminal_is_waited_for_or_not(vm: &mut Vm) -> Result {
    const MANY: usize = 300_000;
    let _module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    let many = |path| format!("head -c {MANY} /dev/zero >{path}");
    assert_ne!(session.run(&many(AT_ONCE))?, 0);
    vm.log().expect("ttys: took errno 11")?;
    let shown = terminal.shown()?.len();
    assert!(shown > 0 && shown < MANY, "{shown}");

    session.begin(&many(WAITS))?;
    let mut shown = 0;
    eventually("all to be shown", || {
        shown += terminal.shown().unwrap().len();
        shown >= MANY
    })?;
    assert_eq!(session.end()?, 0);
    assert_eq!(shown + terminal.shown()?.len(), MANY);
    Ok(())
}

fn who_waits_can_be_killed(vm: &mut Vm) -> Result {
    let module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    tcflow(session.terminal(), Action::OOff)?;
    session.begin(&format!("printf never >{WAITS}"))?;
    process_is_in(session.id(), &[SYS_write])?;
    drop(session);
    vm.log().expect("ttys: took errno 512")?; // ERESTARTSYS
    module.unload()?;
    assert_eq!(terminal.shown()?, "");
    Ok(())
}

fn who_waits_is_told_that_the_terminal_is_gone(vm: &mut Vm) -> Result {
    let module = vm.load("ttys")?;
    let terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    assert_eq!(session.run("trap '' HUP")?, 0);
    tcflow(session.terminal(), Action::OOff)?;
    session.begin(&format!("printf never >{WAITS}"))?;
    process_is_in(session.id(), &[SYS_write])?;
    drop(terminal);
    assert_ne!(session.end()?, 0);
    vm.log().expect("ttys: took errno 5")?; // EIO
    assert_ne!(session.run(&format!("printf never >{AT_ONCE}"))?, 0);
    vm.log().expect("ttys: took errno 6")?;
    drop(session);
    module.unload()
}

/// `stty tostop`: a process in the background that writes is stopped.
fn the_background_may_have_to_be_silent(vm: &mut Vm) -> Result {
    let _module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    let mut settings = tcgetattr(session.terminal())?;
    settings.local_modes |= LocalModes::TOSTOP;
    tcsetattr(session.terminal(), OptionalActions::Now, &settings)?;
    assert_eq!(session.run(&format!("printf front >{AT_ONCE}"))?, 0);
    assert_eq!(terminal.shown()?, "front");
    for path in [AT_ONCE, WAITS] {
        vm.log().mark()?;
        let background = format!("set -m; printf back >{path} & true");
        assert_eq!(session.run(&background)?, 0);
        vm.log().expect("ttys: took errno 512")?;
        assert_eq!(terminal.shown()?, "");
    }
    Ok(())
}

/// It has no root directory any more, either, in which to look for one.
fn a_process_that_ends_has_none(vm: &mut Vm) -> Result {
    let module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    let open = "exec 3</dev/ttys-goodbye";
    assert_eq!(session.run(&format!("sh -c '{open}; exec 3<&-'"))?, 0);
    vm.log().expect("ttys: at the end 8")?;
    assert_eq!(terminal.shown()?, "goodbye\r\n");
    assert_eq!(session.run(&format!("sh -c '{open}; exit 0'"))?, 0);
    vm.log().expect("ttys: at the end errno 6")?;
    assert_eq!(terminal.shown()?, "");
    module.unload()
}

/// A terminal that is lost stays open, and does not keep the module.
fn odd_uses_are_safe(vm: &mut Vm) -> Result {
    let module = vm.load("ttys")?;
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    assert_eq!(session.run("echo >/dev/ttys-odd")?, 0);
    assert_eq!(terminal.shown()?, "one\r\ntwo\r\n");
    vm.log().expect("ttys: nothing 0")?;
    module.unload()?;
    vm.forgive_leaks();
    Ok(())
}

fn nothing_is_left(vm: &mut Vm) -> Result {
    let mut first = None;
    vm.rounds(|vm| {
        let module = vm.load("ttys")?;
        let mut terminal = Terminal::new()?;
        let mut session = terminal.session()?;
        session.run(&format!("echo >{AT_ONCE}; echo >{WAITS}"))?;
        assert_eq!(terminal.shown()?, "\r\n\r\n");
        // The lowest number that is free is the next. One that is still open is not.
        let path = terminal.path().to_owned();
        assert_eq!(*first.get_or_insert(path.clone()), path);
        drop((session, terminal));
        module.unload()
    })
}
