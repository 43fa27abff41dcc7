// SPDX-License-Identifier: GPL-2.0-only

//! Whether the tests notice when `lkm` is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context, Result};
use console::style;
use lkmpg_proto::{Mode, Request};
use wildmatch::WildMatchPattern;

use crate::{
    accel,
    cli::{MutateOptions, RunOptions, Shard, Source, VmOptions},
    examples,
    modules::with_needed,
    mutants::{
        self, LKM, Mutant,
        survivors::{self, Survivors},
        users::Users,
    },
    repo,
    run::{jobs, pool::Pool, tree::Tree},
    source::{Kernel, Plan, Usual, Workshop},
    stop::Stop,
    tally::Verdict,
};

/// How long a test may run before it hangs when nothing is said: on the base kernel none takes
/// a tenth of that.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What became of a mutant.
#[derive(Debug, Eq, PartialEq)]
enum Fate {
    /// It does not compile.
    Unviable,
    /// A test failed.
    Caught { by: String, hung: bool },
    /// All tests passed.
    Survived,
}

/// Applies mutants one at a time, and tests the modules that use what changes. Returns whether
/// each is caught that is not listed as a survivor.
pub fn mutate(
    source: &Source,
    wanted: &[String],
    vm: &VmOptions,
    run: &RunOptions,
    options: &MutateOptions,
) -> Result<bool> {
    let root = repo::root(source)?;
    let all = mutants::all(&root)?;
    let survivors = survivors::read(&root)?;
    let stale = stale(&survivors, &all);
    let mutants = select(all, wanted, options.shard)?;

    let mut modules = examples::discover(&root)?;
    modules.extend(examples::in_chapter(&root, examples::TESTS_OF_LKM)?);
    let modules = examples::for_this_machine(modules, &[])?;
    let users = Users::find(&root, &modules)?;
    let files: BTreeSet<_> = mutants.iter().map(|mutant| &mutant.file).collect();
    let users = files.into_iter().map(|file| (file.clone(), users.of(file)));
    let users: BTreeMap<_, _> = users.collect();
    if options.list {
        for mutant in &mutants {
            let count = users[&mutant.file].len();
            println!("{:>5}  {:>3}  {}", mutant.line, count, mutant.name);
        }
    } else if !mutants.is_empty() {
        let names: BTreeSet<_> = users.values().flatten().cloned().collect();
        let names: Vec<_> = names.into_iter().collect();
        let lab = Lab::new(source, &root, &names)?;
        let fates = lab.all(&mutants, &users, vm, run)?;
        if !judge(&mutants, &fates, &survivors) {
            return Ok(false);
        }
    }
    for name in &stale {
        println!("{}: there is no such mutant: {name}", survivors::FILE);
    }
    Ok(stale.is_empty())
}

/// The names in the list of survivors that no mutant has.
fn stale<'a>(survivors: &'a Survivors, all: &[Mutant]) -> Vec<&'a String> {
    let names: BTreeSet<_> = all.iter().map(|mutant| &mutant.name).collect();
    let listed = survivors.keys();
    listed.filter(|name| !names.contains(name)).collect()
}

/// Those of `all` whose file or name one of the words `wanted` is, and that are in the `shard`.
/// An error names a word that means nothing.
fn select(all: Vec<Mutant>, wanted: &[String], shard: Option<Shard>) -> Result<Vec<Mutant>> {
    let means = |word: &str, mutant: &Mutant| {
        let file = word.strip_prefix(LKM).unwrap_or(word);
        let pattern = WildMatchPattern::<'*', '\0'>::new(file.trim_start_matches('/'));
        pattern.matches(&mutant.file) || pattern.matches(&mutant.name)
    };
    for word in wanted {
        if !all.iter().any(|mutant| means(word, mutant)) {
            return Err(Stop::usage(format!(
                "'{word}' is no file of {LKM} that has mutants, and no mutant: \
                 ./lkmpg mutate --list"
            )));
        }
    }
    let is_wanted =
        |mutant: &Mutant| wanted.is_empty() || wanted.iter().any(|word| means(word, mutant));
    let mut mutants: Vec<_> = all.into_iter().filter(is_wanted).collect();
    if let Some(Shard { index, count }) = shard {
        // Neighbours differ little in what they take.
        let mutants_of_all = mutants.into_iter().skip(index);
        mutants = mutants_of_all.step_by(count).collect();
    }
    Ok(mutants)
}

/// Where mutants are built and tested.
struct Lab {
    tree: Tree,
    /// Its modules are those of the tree.
    workshop: Workshop,
    /// The repository.
    root: PathBuf,
}

impl Lab {
    /// For the modules called `names`.
    fn new(source: &Source, root: &Path, names: &[String]) -> Result<Self> {
        let plan = Plan::new(source, names, Kernel::Base, Usual::AllThatPass)?;
        let mut workshop = plan.build()?;
        let tree = Tree::of(root)?;
        for (name, module) in &mut workshop.modules {
            module.file = tree.module(name);
        }
        Ok(Self {
            tree,
            workshop,
            root: root.to_owned(),
        })
    }

    /// What becomes of each of `mutants`. `users` has the modules for each file. An error says
    /// what fails without a mutant.
    fn all(
        &self,
        mutants: &[Mutant],
        users: &BTreeMap<String, Vec<String>>,
        vm: &VmOptions,
        run: &RunOptions,
    ) -> Result<Vec<Fate>> {
        let accel = accel::choose(vm.accel, &self.workshop.machine)?;
        // Each module is tested more than once.
        let names = self.workshop.names().iter();
        let groups: Vec<_> = names.clone().chain(names).map(|it| vec![it.clone()]).collect();
        let timeout = vm.timeout.unwrap_or(TIMEOUT);
        let pool = Pool::new(&self.workshop, accel, timeout, &groups, run.fresh, None)?;
        let jobs = jobs::count(run, Kernel::Base);

        if let Some(why) = self.build(self.workshop.names())? {
            return Err(Stop::failed(format!(
                "the modules do not build as they are:\n{why}"
            )));
        }
        if let Some(verdict) = first_failure(&pool, self.workshop.names(), jobs)? {
            return Err(Stop::failed(format!(
                "a test fails without any mutant: {}\n{}",
                verdict.name(),
                verdict.message
            )));
        }
        let mut fates = Vec::new();
        for (index, mutant) in mutants.iter().enumerate() {
            let fate = self.try_one(mutant, &users[&mutant.file], &pool, jobs)?;
            println!("{}/{} {}", index + 1, mutants.len(), told(mutant, &fate));
            fates.push(fate);
        }
        Ok(fates)
    }

    /// Builds the modules called `names`, and those that they need.
    fn build(&self, names: &[String]) -> Result<Option<String>> {
        self.tree.build(&with_needed(&self.workshop.modules, names)?)
    }

    /// What becomes of `mutant`, by the tests of the modules called `names`.
    fn try_one(
        &self,
        mutant: &Mutant,
        names: &[String],
        pool: &Pool<'_>,
        jobs: usize,
    ) -> Result<Fate> {
        let path = self.root.join(LKM).join(&mutant.file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        self.tree.write(&mutant.file, &mutant.apply(&text))?;
        let built = self.build(names)?;
        // The next one is built without this one.
        self.tree.write(&mutant.file, &text)?;
        if built.is_some() {
            return Ok(Fate::Unviable);
        }
        let failure = first_failure(pool, names, jobs)?;
        Ok(failure.map_or(Fate::Survived, |verdict| Fate::Caught {
            by: verdict.name(),
            hung: verdict.message.starts_with("hung:"),
        }))
    }
}

/// Tests the modules called `names`, so many at a time, until a test fails. Returns how.
fn first_failure(pool: &Pool<'_>, names: &[String], jobs: usize) -> Result<Option<Verdict>> {
    let failure = Mutex::new(None);
    jobs::run(names.len(), jobs, |index| {
        if failure.lock().unwrap().is_some() {
            return Ok(());
        }
        let request = Request::new(Mode::Test, vec![names[index].clone()]);
        let (verdicts, _) = pool.run(&request, &mut |_| {})?;
        let failed = verdicts.into_iter().find(|verdict| !verdict.passed());
        let mut failure = failure.lock().unwrap();
        *failure = failure.take().or(failed);
        Ok(())
    })?;
    Ok(failure.into_inner().unwrap())
}

/// What became of `mutant`, in a line.
fn told(mutant: &Mutant, fate: &Fate) -> String {
    let Mutant {
        file, line, name, ..
    } = mutant;
    let place = format!("{LKM}/{file}:{line}");
    match fate {
        Fate::Unviable => format!("unviable  {name} ({place})"),
        Fate::Caught { by, hung } => {
            let how = if *hung { "timeout, " } else { "" };
            format!("caught    {name} ({place}; {how}{by})")
        }
        Fate::Survived => format!("{}  {name} ({place})", style("SURVIVED").red()),
    }
}

/// Prints what is to be done, and the numbers. Returns whether nothing is.
fn judge(mutants: &[Mutant], fates: &[Fate], survivors: &Survivors) -> bool {
    let mut good = true;
    println!();
    for (mutant, fate) in mutants.iter().zip(fates) {
        match (fate, survivors.get(&mutant.name)) {
            (Fate::Survived, None) => {
                good = false;
                println!(
                    "no test catches it, and {} has no reason: {}",
                    survivors::FILE,
                    mutant.name
                );
            }
            (Fate::Caught { .. } | Fate::Unviable, Some(_)) => {
                println!("{} need not have it: {}", survivors::FILE, mutant.name);
            }
            _ => {}
        }
    }
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
    println!(
        "{} mutants: {} caught, {} of them by a timeout, {} survived, {} unviable",
        fates.len(),
        count(|fate| matches!(fate, Fate::Caught { .. })),
        count(|fate| matches!(fate, Fate::Caught { hung: true, .. })),
        count(|fate| *fate == Fate::Survived),
        count(|fate| *fate == Fate::Unviable)
    );
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutants() -> Vec<Mutant> {
        let root = tempfile::tempdir().unwrap();
        let lkm = root.path().join(LKM);
        fs::create_dir_all(&lkm).unwrap();
        fs::write(lkm.join("a.rs"), "fn f() -> bool { !g() }\n").unwrap();
        fs::write(lkm.join("b.rs"), "fn f() { g() }\n").unwrap();
        mutants::all(root.path()).unwrap()
    }

    fn names(mutants: &[Mutant]) -> Vec<&str> {
        mutants.iter().map(|mutant| mutant.name.as_str()).collect()
    }

    #[test]
    fn words_are_files_or_names() {
        let pick = |words: &[&str], shard| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            select(mutants(), &words, shard)
        };
        let all = [
            "a.rs f: return true",
            "a.rs f: return false",
            "a.rs f: delete !",
            "b.rs f: return ()",
        ];
        assert_eq!(names(&pick(&[], None).unwrap()), all);
        assert_eq!(names(&pick(&["modules/lkm/b.rs"], None).unwrap()), all[3..]);
        assert_eq!(names(&pick(&["a.rs*delete*"], None).unwrap()), all[2..3]);
        let second = Shard { index: 1, count: 2 };
        assert_eq!(names(&pick(&[], Some(second)).unwrap()), [all[1], all[3]]);
        assert!(pick(&["c.rs"], None).is_err());
    }

    #[test]
    fn a_survivor_is_to_be_listed() {
        let mutants = &mutants()[2..];
        let caught = |hung| Fate::Caught {
            by: "a::reload".to_owned(),
            hung,
        };
        let listed = |name: &str| Survivors::from([(name.to_owned(), "why".to_owned())]);
        let fates = [Fate::Survived, caught(true)];
        assert!(!judge(mutants, &fates, &Survivors::new()));
        assert!(judge(mutants, &fates, &listed("a.rs f: delete !")));
        // One that is listed and caught is only told.
        assert!(judge(mutants, &[caught(false), Fate::Unviable], &listed("b.rs f: return ()")));
        assert_eq!(stale(&listed("b.rs f: return 1"), mutants).len(), 1);
        assert!(stale(&listed("b.rs f: return ()"), mutants).is_empty());
    }
}
