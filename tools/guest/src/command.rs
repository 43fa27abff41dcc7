// SPDX-License-Identifier: GPL-2.0-only

//! `lkmpg-guest test`: tests modules on a machine that others use, too, such
//! as a VM with NixOS, and leaves it running. `lkmpg-guest list`: prints which
//! tests there are, as JSON.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use lkmpg_proto::{Catalog, Check, Mode, Request};
use rustix::process::geteuid;

use crate::{Example, Vm, checks, complain, harness::Harness, module, report::Lines};

const USAGE: &str = "usage: lkmpg-guest test [--modules DIR] [NAME...], or lkmpg-guest list";

/// The exit status when the command line is wrong.
const BAD_USAGE: u8 = 2;

/// What the command line says.
#[derive(Debug, Eq, PartialEq)]
struct Arguments {
    modules: Option<PathBuf>,
    names: Vec<String>,
}

/// Does what `arguments` say.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    if arguments == ["list"] {
        println!("{}", catalog().to_json());
        return ExitCode::SUCCESS;
    }
    let names = match prepare(arguments) {
        Ok(names) => names,
        Err(error) => {
            complain(&format!("{error:#}"));
            return ExitCode::from(BAD_USAGE);
        }
    };
    match test(names) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => complain(&format!("{error:#}")),
    }
}

/// The tests that there are.
fn catalog() -> Catalog {
    let own = |name: &str| {
        let tests = Example::find(name).tests.iter();
        (
            name.to_owned(),
            tests.map(|test| test.name.to_owned()).collect(),
        )
    };
    Catalog {
        modules: Example::names().map(own).collect(),
        checks: checks::on_any_kernel()
            .map(|(check, kernel)| Check {
                name: check.name.to_owned(),
                kernel: kernel.map(str::to_owned),
            })
            .collect(),
    }
}

/// Runs the tests of the modules called `names`. Returns whether none failed.
fn test(names: Vec<String>) -> Result<bool> {
    let mut vm = Vm::new()?;
    vm.log().begin()?;
    let mut lines = Lines::new(io::stdout());
    Harness::new(vm, &mut lines).run(&Request::new(Mode::Test, names))?;
    lines.sum_up()
}

/// Makes sure that what `arguments` ask for can be done. Returns the names of
/// the modules.
fn prepare(arguments: Vec<OsString>) -> Result<Vec<String>> {
    let arguments = parse(arguments).context(USAGE)?;
    ensure!(geteuid().is_root(), "only root may load modules");
    if let Some(dir) = arguments.modules {
        module::set_directory(dir);
    }
    let dir = module::directory();
    let examples: Vec<_> = Example::names().collect();
    choose(arguments.names, &examples, &module::available(dir)?, dir)
}

fn parse(arguments: Vec<OsString>) -> Option<Arguments> {
    let mut arguments = arguments.into_iter();
    if arguments.next()? != "test" {
        return None;
    }
    let (mut modules, mut names) = (None, Vec::new());
    while let Some(argument) = arguments.next() {
        if argument == "--modules" {
            modules = Some(arguments.next()?.into());
        } else {
            let name = argument.into_string().ok()?;
            if name.starts_with('-') {
                return None;
            }
            names.push(name);
        }
    }
    Some(Arguments { modules, names })
}

/// The names to work with: those `wanted`, or when none is those of the
/// `examples` whose modules are `available` in `dir`.
fn choose(
    wanted: Vec<String>,
    examples: &[&str],
    available: &[String],
    dir: &Path,
) -> Result<Vec<String>> {
    let dir = dir.display();
    let list = match available {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    };
    if let Some(name) = wanted.iter().find(|name| !available.contains(name)) {
        bail!("there is no {name}.ko in {dir}; what there is: {list}");
    }
    if !wanted.is_empty() {
        return Ok(wanted);
    }
    let mut names = available.to_vec();
    names.retain(|name| examples.contains(&name.as_str()));
    ensure!(
        !names.is_empty(),
        "none of the modules with tests is in {dir}; what there is: {list}"
    );
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn read(arguments: &[&str]) -> Option<Arguments> {
        parse(arguments.iter().map(OsString::from).collect())
    }

    #[test]
    fn arguments_are_read() {
        let arguments = read(&["test", "a", "--modules", "/m", "b"]).unwrap();
        assert_eq!(arguments.modules, Some("/m".into()));
        assert_eq!(arguments.names, ["a", "b"]);
        let none = read(&["test"]).unwrap();
        assert_eq!((none.modules, none.names), (None, Vec::new()));
        for wrong in [&["demo"][..], &["test", "--modules"], &["test", "-x"]] {
            assert_eq!(read(wrong), None);
        }
    }

    #[test]
    fn names_are_of_modules_that_are_there() {
        let available = names(&["a", "b"]);
        let dir = Path::new("/m");
        let choose = |wanted: &[&str], examples: &[&str]| {
            choose(names(wanted), examples, &available, dir).map_err(|error| error.to_string())
        };
        assert_eq!(choose(&["b"], &["a"]), Ok(names(&["b"])));
        assert_eq!(choose(&[], &["b", "c"]), Ok(names(&["b"])));
        let unknown = "there is no c.ko in /m; what there is: a, b".to_owned();
        assert_eq!(choose(&["a", "c"], &["c"]), Err(unknown));
        assert!(choose(&[], &["c"]).is_err());
    }
}
