// SPDX-License-Identifier: GPL-2.0-only

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tests that a guest knows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Catalog {
    /// Those of each module that has some of its own, in order.
    pub modules: BTreeMap<String, Vec<String>>,
    /// Those of every module, which come after its own.
    pub checks: Vec<Check>,
}

/// A test of every module.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// The kernel that it needs, as `--kernel` has it; nothing when any will do.
    pub kernel: Option<String>,
}

impl Catalog {
    /// The tests of the module called `name`, in order, each with the kernel that
    /// it needs.
    pub fn tests(&self, name: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
        let own = self.modules.get(name).into_iter().flatten();
        let checks = self.checks.iter();
        own.map(|test| (test.as_str(), None))
            .chain(checks.map(|check| (check.name.as_str(), check.kernel.as_deref())))
    }

    /// The catalog as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("it is plain data")
    }

    /// How many tests the module called `name` has of its own.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.modules.get(name).map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_its_own_tests_and_the_checks() {
        let catalog = Catalog {
            modules: [("a".to_owned(), vec!["greets".to_owned()])].into(),
            checks: vec![Check {
                name: "reload".to_owned(),
                kernel: Some("base".to_owned()),
            }],
        };
        let tests = |name: &str| catalog.tests(name).collect::<Vec<_>>();
        assert_eq!(tests("a"), [("greets", None), ("reload", Some("base"))]);
        assert_eq!(tests("b"), [("reload", Some("base"))]);
        assert_eq!((catalog.count("a"), catalog.count("b")), (1, 0));
    }
}
