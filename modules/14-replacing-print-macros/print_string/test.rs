// SPDX-License-Identifier: GPL-2.0-only

use rustix::termios::{Action, OptionalActions, tcflow, tcgetattr, tcsetattr};

use crate::{
    prelude::*,
    terminal::{Session, Terminal, without_terminal},
};

pub const EXAMPLE: Example = Example {
    demo: &["echo 'No terminal has loaded it here: try ./lkmpg shell print_string'"],
    tests: tests![
        writes_to_who_loads_it,
        writes_to_who_unloads_it,
        a_raw_terminal_gets_what_is_written,
        needs_no_terminal,
        waits_for_nobody,
        no_terminal_is_left,
    ],
    ..Example::EMPTY
};

const HELLO: &str = "The module has been inserted.  Hello world!\r\n";
const FAREWELL: &str = "The module has been removed.  Farewell world!\r\n";

fn load(session: &mut Session) -> Result<Module> {
    session.load("print_string")
}

/// Byte by byte what the book's module writes.
fn writes_to_who_loads_it(vm: &mut Vm) -> Result {
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    let module = load(&mut session)?;
    assert_eq!(terminal.shown()?, HELLO);
    session.unload(module)?;
    assert_eq!(terminal.shown()?, FAREWELL);
    assert_eq!(vm.log().said("print_string")?, Vec::<Line>::new());
    Ok(())
}

fn writes_to_who_unloads_it(_vm: &mut Vm) -> Result {
    let (mut one, mut two) = (Terminal::new()?, Terminal::new()?);
    let (mut first, mut second) = (one.session()?, two.session()?);
    let module = load(&mut first)?;
    second.unload(module)?;
    assert_eq!(one.shown()?, HELLO);
    assert_eq!(two.shown()?, FAREWELL);
    Ok(())
}

/// The book's module goes around the settings, and always writes a carriage return.
fn a_raw_terminal_gets_what_is_written(_vm: &mut Vm) -> Result {
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    let mut settings = tcgetattr(session.terminal())?;
    settings.make_raw();
    tcsetattr(session.terminal(), OptionalActions::Now, &settings)?;
    let module = load(&mut session)?;
    assert_eq!(terminal.shown()?, HELLO.replace('\r', ""));
    session.unload(module)
}

/// There is nothing to be seen then, in the log either.
fn needs_no_terminal(vm: &mut Vm) -> Result {
    let path = module_file("print_string");
    let insmod = format!("insmod {}", path.display());
    assert_eq!(without_terminal(&insmod)?, Some(0));
    assert!(Path::new("/sys/module/print_string").exists());
    assert_eq!(without_terminal("rmmod print_string")?, Some(0));
    assert!(!Path::new("/sys/module/print_string").exists());
    assert_eq!(vm.log().said("print_string")?, Vec::<Line>::new());
    Ok(())
}

/// Not for a person who has stopped the terminal, and not for one who does not look at it.
fn waits_for_nobody(_vm: &mut Vm) -> Result {
    let mut terminal = Terminal::new()?;
    let mut session = terminal.session()?;
    tcflow(session.terminal(), Action::OOff)?;
    let module = load(&mut session)?;
    session.unload(module)?;
    tcflow(session.terminal(), Action::OOn)?;
    assert_eq!(terminal.shown()?, "");

    // A process goes on writing, and waits when the terminal takes no more.
    const ID: &str = "/tmp/print-string-yes";
    fs::create_dir_all("/tmp")?;
    session.run(&format!("yes >/dev/tty & echo $! >{ID}"))?;
    let id = fs::read_to_string(ID)?;
    fs::remove_file(ID)?;
    process_is_in(id.trim().parse()?, &[libc::SYS_write])?;
    let module = load(&mut session)?;
    session.unload(module)?;
    // Until it is gone it has the lock of those who write.
    session.run("kill $!; wait $!")?;
    assert!(terminal.shown()?.starts_with("y\r\ny\r\n"));

    // All is well again afterwards.
    let module = load(&mut session)?;
    assert!(terminal.shown()?.ends_with(HELLO));
    session.unload(module)
}

/// The book's module takes a reference to the terminal each time, and never gives it back.
fn no_terminal_is_left(vm: &mut Vm) -> Result {
    let mut first = None;
    vm.rounds(|_| {
        let mut terminal = Terminal::new()?;
        let mut session = terminal.session()?;
        let module = load(&mut session)?;
        session.unload(module)?;
        assert_eq!(terminal.shown()?, format!("{HELLO}{FAREWELL}"));
        // The lowest number that is free is the next. One that is still open is not.
        let path = terminal.path().to_owned();
        assert_eq!(*first.get_or_insert(path.clone()), path);
        Ok(())
    })
}
