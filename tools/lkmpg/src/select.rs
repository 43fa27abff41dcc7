// SPDX-License-Identifier: GPL-2.0-only

//! Which modules and which of their tests are meant.

use std::collections::BTreeMap;

use anyhow::Result;
use lkmpg_proto::Catalog;
use wildmatch::WildMatchPattern;

use crate::{examples::check_name, source::Kernel, stop::Stop};

/// How alike a name must be to be worth suggesting, from 0 to 1.
const ALIKE: f64 = 0.7;

/// How many names to suggest.
const SUGGESTIONS: usize = 3;

/// What to work with.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// The modules, in order.
    pub names: Vec<String>,
    /// The tests of a module, when not all of them are meant.
    pub only: BTreeMap<String, Vec<String>>,
}

/// What there is to choose from.
pub struct Choice<'a> {
    /// The modules that patterns are about; all of these when nothing is named.
    pub usual: Vec<String>,
    /// Those that must be named.
    pub others: Vec<String>,
    /// The kernel that the tests run on.
    pub kernel: Kernel,
    /// Gets the list of the tests, for which something may have to be built.
    pub catalog: &'a dyn Fn() -> Result<Catalog>,
}

impl Choice<'_> {
    /// What the words `wanted` mean: each is the name of a module, or
    /// `MODULE::TEST`; in both `*` stands for any text.
    ///
    /// A pattern without `::` is about modules, and when none fits, about tests.
    /// The error for a word that means nothing suggests the nearest name.
    pub fn select(&self, wanted: &[String]) -> Result<Selection> {
        let mut selection = Selection::default();
        if wanted.is_empty() {
            selection.names.clone_from(&self.usual);
        }
        for word in wanted {
            match word.split_once("::") {
                Some((module, test)) => self.select_tests(word, module, test, &mut selection)?,
                None => {
                    let modules = self.modules(word);
                    if !modules.is_empty() {
                        modules.iter().for_each(|name| selection.add(name, None));
                    } else if word.contains('*') {
                        self.select_tests(word, "*", word, &mut selection)?;
                    } else {
                        return Err(unknown(
                            "module",
                            word,
                            self.usual.iter().chain(&self.others),
                        ));
                    }
                }
            }
        }
        Ok(selection)
    }

    /// The modules that `pattern` fits.
    fn modules(&self, pattern: &str) -> Vec<&String> {
        let usual = self.usual.iter();
        if pattern.contains('*') {
            let pattern = glob(pattern);
            return usual.filter(|name| pattern.matches(name)).collect();
        }
        usual
            .chain(&self.others)
            .filter(|name| *name == pattern)
            .collect()
    }

    fn select_tests(
        &self,
        word: &str,
        module: &str,
        test: &str,
        selection: &mut Selection,
    ) -> Result<()> {
        let modules = self.modules(module);
        if let ([], false) = (&modules[..], module.contains('*')) {
            return Err(unknown(
                "module",
                module,
                self.usual.iter().chain(&self.others),
            ));
        }
        let catalog = (self.catalog)()?;
        let pattern = glob(test);
        let (mut found, mut all, mut elsewhere) = (false, Vec::new(), None);
        for name in modules {
            for (one, kernel) in catalog.tests(name) {
                let here = kernel.is_none_or(|kernel| self.kernel.runs(kernel));
                let fits = pattern.matches(one);
                if fits && here {
                    found = true;
                    selection.add(name, Some(one));
                } else if fits {
                    elsewhere = kernel;
                }
                all.push(one.to_owned());
            }
        }
        match (found, elsewhere) {
            (true, _) => Ok(()),
            (false, Some(kernel)) => Err(Stop::usage(format!(
                "'{word}' is for another kernel; add --kernel {kernel}"
            ))),
            (false, None) if word.contains('*') => Err(Stop::usage(format!(
                "nothing fits '{word}'; `lkmpg list --tests` shows all tests"
            ))),
            (false, None) => Err(unknown(&format!("test of {module}"), test, all.iter())),
        }
    }
}

impl Selection {
    /// Adds a test of the module called `name`, or all of them.
    fn add(&mut self, name: &str, test: Option<&str>) {
        let known = self.names.iter().any(|it| it == name);
        if !known {
            self.names.push(name.to_owned());
        }
        match test {
            None => drop(self.only.remove(name)),
            // All are meant already.
            Some(_) if known && !self.only.contains_key(name) => {}
            Some(test) => {
                let only = self.only.entry(name.to_owned()).or_default();
                if !only.iter().any(|it| it == test) {
                    only.push(test.to_owned());
                }
            }
        }
    }
}

/// `pattern` with `*` for any text, and nothing else that is special.
fn glob(pattern: &str) -> WildMatchPattern<'*', '\0'> {
    WildMatchPattern::new(pattern)
}

/// The error for a name that nothing has.
fn unknown<'a>(what: &str, name: &str, all: impl Iterator<Item = &'a String>) -> anyhow::Error {
    let mut near: Vec<_> = all
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut near: Vec<_> = near.iter().map(|(_, name)| format!("'{name}'")).collect();
    near.dedup();
    near.truncate(SUGGESTIONS);
    if let ("module", [], Err(error)) = (what, &near[..], check_name(name)) {
        return error;
    }
    let list = match what {
        "module" => "lkmpg list",
        _ => "lkmpg list --tests",
    };
    Stop::usage(match &near[..] {
        [] => format!("no {what} is called '{name}'; `{list}` shows them all"),
        near => {
            let near = near.join(" or ");
            format!("no {what} is called '{name}'; did you mean {near}?")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lkmpg_proto::Check;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn select(kernel: Kernel, wanted: &[&str]) -> Result<Selection, String> {
        let check = |name: &str, kernel: Option<&str>| Check {
            name: name.into(),
            kernel: kernel.map(str::to_owned),
        };
        let choice = Choice {
            usual: names(&["hello-1", "hello-2", "procfs1", "sleep"]),
            others: names(&["panics"]),
            kernel,
            catalog: &|| {
                Ok(Catalog {
                    modules: [("hello-1".into(), names(&["greets", "sleeps"]))].into(),
                    checks: vec![
                        check("reload", None),
                        check("leaks_nothing", Some("base")),
                        check("memory_leaks", Some("debug")),
                    ],
                })
            },
        };
        choice
            .select(&names(wanted))
            .map_err(|error| error.to_string())
    }

    fn names_of(wanted: &[&str]) -> Vec<String> {
        let selection = select(Kernel::Base, wanted).unwrap();
        assert_eq!(selection.only, BTreeMap::new());
        selection.names
    }

    fn tests_of(wanted: &[&str]) -> Vec<String> {
        let selection = select(Kernel::Base, wanted).unwrap();
        let Selection { names, only } = selection;
        let each = names.iter().flat_map(|name| {
            let tests = only.get(name).cloned().unwrap_or(vec!["all".to_owned()]);
            tests.into_iter().map(move |test| format!("{name}::{test}"))
        });
        each.collect()
    }

    #[test]
    fn names_are_chosen_once_and_in_order() {
        assert_eq!(names_of(&[]), ["hello-1", "hello-2", "procfs1", "sleep"]);
        assert_eq!(
            names_of(&["procfs1", "hello-1", "procfs1"]),
            ["procfs1", "hello-1"]
        );
        assert_eq!(names_of(&["hello*"]), ["hello-1", "hello-2"]);
        assert_eq!(names_of(&["*1", "sleep"]), ["hello-1", "procfs1", "sleep"]);
        assert_eq!(names_of(&["sleep*"]), ["sleep"]);
    }

    #[test]
    fn what_is_not_usual_must_be_named() {
        assert_eq!(names_of(&["panics"]), ["panics"]);
        assert!(select(Kernel::Base, &["panic*"]).is_err());
        assert_eq!(tests_of(&["panics::reload"]), ["panics::reload"]);
    }

    #[test]
    fn tests_are_chosen() {
        assert_eq!(tests_of(&["hello-1::greets"]), ["hello-1::greets"]);
        let both = ["hello-1::sleeps", "hello-1::greets"];
        assert_eq!(tests_of(&both), both);
        assert_eq!(
            tests_of(&["hello-1::*s"]),
            ["hello-1::greets", "hello-1::sleeps"]
        );
        assert_eq!(
            tests_of(&["hello-*::reload"]),
            ["hello-1::reload", "hello-2::reload"]
        );
        assert_eq!(tests_of(&["*eet*"]), ["hello-1::greets"]);
        assert_eq!(tests_of(&["hello-1::greets", "hello-1"]), ["hello-1::all"]);
        assert_eq!(tests_of(&["hello-1", "hello-1::greets"]), ["hello-1::all"]);
        assert_eq!(tests_of(&["sleep::leaks*"]), ["sleep::leaks_nothing"]);
    }

    #[test]
    fn what_there_is_not_is_told() {
        let told = |wanted: &str| select(Kernel::Base, &[wanted]).unwrap_err();
        assert_eq!(
            told("helo-1"),
            "no module is called 'helo-1'; did you mean 'hello-1' or 'hello-2'?"
        );
        assert_eq!(
            told("zzz"),
            "no module is called 'zzz'; `lkmpg list` shows them all"
        );
        assert_eq!(
            told("hello-1::greet"),
            "no test of hello-1 is called 'greet'; did you mean 'greets'?"
        );
        assert!(told("hello-1.ko").contains("did you mean 'hello-1'"));
        assert!(told("a b").starts_with("'a b' cannot be an example's name"));
        assert!(told("a b::greets").starts_with("'a b' cannot be an example's name"));
        assert!(told("helo-1::greets").contains("did you mean 'hello-1'"));
        assert!(told("*zzz*").starts_with("nothing fits '*zzz*'"));
        assert!(told("sleep::greets").starts_with("no test of sleep is called"));
    }

    #[test]
    fn some_tests_are_of_one_kernel() {
        let told = select(Kernel::Base, &["sleep::memory_leaks"]).unwrap_err();
        assert_eq!(
            told,
            "'sleep::memory_leaks' is for another kernel; add --kernel debug"
        );
        let selection = select(Kernel::Debug, &["sleep::*leaks*"]).unwrap();
        assert_eq!(selection.only["sleep"], ["memory_leaks"]);
    }
}
