// SPDX-License-Identifier: GPL-2.0-only

//! Runs Nix and shows what it does.

mod builds;
mod log;
mod progress;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    env,
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    slice, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    children::{Group, interrupted},
    nix::{
        builds::{Build, Builds},
        log::Event,
        progress::Progress,
    },
    stop::Stop,
};

/// How long Nix may take to end after it has closed its output.
const GRACE: Duration = Duration::from_secs(60);

/// What is to be built.
#[derive(Deserialize)]
pub struct Planned {
    derivation: String,
    /// Where it is, once it is built.
    pub path: PathBuf,
}

/// The Nix function that makes it of a derivation. (A set with an outPath becomes a
/// string in JSON.)
const PLANNED: &str = "it: { derivation = it.drvPath; path = it.outPath; }";

/// How a run of Nix ended.
struct Outcome {
    status: ExitStatus,
    stdout: String,
    builds: Builds,
}

/// Evaluates the derivations called `names` in `set`, with one copy of the sources.
pub fn plan(set: &str, names: &[String]) -> Result<Vec<Planned>> {
    let names = names.join("\" \"");
    let planned = format!("name: ({PLANNED}) set.${{name}}");
    eval(set, &format!("set: map ({planned}) [ \"{names}\" ]"))
}

/// Builds what is `planned` and not built yet.
pub fn realise(planned: &[Planned]) -> Result<()> {
    let mut args = vec!["--realise".to_owned()];
    args.extend(planned.iter().map(|it| it.derivation.clone()));
    run("nix-store", &args)?.into_result().map(drop)
}

/// Builds `installable` and returns its path.
pub fn build(installable: &str) -> Result<PathBuf> {
    let planned: Planned = eval(installable, PLANNED)?;
    realise(slice::from_ref(&planned))?;
    Ok(planned.path)
}

/// How building went.
pub struct Results {
    /// Whether everything is built.
    pub all_good: bool,
    /// What had to be built, and how long that took.
    pub times: Vec<(String, Duration)>,
}

/// Builds as many of `installables` as can be built. What went wrong is printed.
pub fn build_all(installables: &[String]) -> Result<Results> {
    let mut args = vec![
        "build".to_owned(),
        "--no-link".into(),
        "--keep-going".into(),
    ];
    args.extend_from_slice(installables);
    let outcome = run("nix", &args)?;
    let times = times(&outcome.builds.ended);
    let all_good = match outcome.into_result() {
        Ok(_) => true,
        Err(error) => match error.downcast_ref::<Stop>() {
            Some(stop) if stop.status == 1 => {
                eprintln!("{error}");
                false
            }
            _ => return Err(error),
        },
    };
    Ok(Results { all_good, times })
}

/// How long each of `builds` took that made its outputs. Nix does not always say at
/// once that a build has ended, but the store knows since when it has an output.
fn times(builds: &[Build]) -> Vec<(String, Duration)> {
    let made = made(builds).unwrap_or_default();
    let times = builds.iter().filter_map(|build| {
        let took = made.get(&build.derivation)?.duration_since(build.began);
        Some((build.name().to_owned(), took.ok()?))
    });
    times.collect()
}

/// Since when the store has what `builds` make, by derivation.
fn made(builds: &[Build]) -> Option<BTreeMap<String, SystemTime>> {
    let mut ask = nix("nix");
    ask.args(["path-info", "--json"]);
    ask.args(outputs(builds)?.lines());
    let answer = ask.stderr(Stdio::null()).output().ok()?;
    let answer: Value = serde_json::from_slice(&answer.stdout).ok()?;
    // A list, or since Nix 2.19 a set by path.
    let infos: Vec<_> = match &answer {
        Value::Array(list) => list.iter().collect(),
        other => other.as_object()?.values().collect(),
    };
    let made = infos.into_iter().filter_map(|info| {
        let since = Duration::from_secs(info["registrationTime"].as_u64()?);
        Some((info["deriver"].as_str()?.to_owned(), UNIX_EPOCH + since))
    });
    Some(made.collect())
}

/// The paths of what `builds` make, a line each.
fn outputs(builds: &[Build]) -> Option<String> {
    let mut query = Command::new("nix-store");
    query.args(["--query", "--outputs"]);
    query.args(builds.iter().map(|build| &build.derivation));
    let answer = query.stderr(Stdio::null()).output().ok()?;
    let paths = String::from_utf8_lossy(&answer.stdout).into_owned();
    answer.status.success().then_some(paths)
}

/// Evaluates `installable` after applying the Nix function `apply` to it.
pub fn eval<T: DeserializeOwned>(installable: &str, apply: &str) -> Result<T> {
    let args = ["eval", "--json", installable, "--apply", apply];
    let stdout = run("nix", &args.map(str::to_owned))?.into_result()?;
    serde_json::from_str(&stdout).with_context(|| format!("nix eval {installable}"))
}

/// Evaluates everything that `flake` offers; an error says what does not
/// evaluate.
pub fn flake_check(flake: &str) -> Result<()> {
    let args = ["flake", "check", "--no-build", flake];
    run("nix", &args.map(str::to_owned))?
        .into_result()
        .map(drop)
}

/// Gives way to the development shell of `flake`, or to `command` in it.
/// `nixpkgs` is the flake to use in place of the one called nixpkgs.
pub fn develop(flake: &str, nixpkgs: Option<&str>, command: &[OsString]) -> Result<Infallible> {
    let mut nix = nix("nix");
    nix.args(["develop", flake]);
    // All that Nix says goes to the terminal. Without its cache of evaluations it does not
    // say that another run uses that.
    nix.args(["--option", "eval-cache", "false"]);
    if let Some(nixpkgs) = nixpkgs {
        nix.args(["--override-flake", "nixpkgs", nixpkgs]);
    }
    if !command.is_empty() {
        nix.arg("--command").args(command);
    }
    Err(not_started(nix.exec()))
}

/// Whether the store has `path`.
pub fn is_valid(path: &str) -> Result<bool> {
    let args = ["path-info", path].map(str::to_owned);
    Ok(run("nix", &args)?.status.success())
}

/// `program` of Nix, to be told what to do.
fn nix(program: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--extra-experimental-features", "nix-command flakes"]);
    // Pure evaluation does not see that variable.
    if env::var_os("LKMPG_DEBIAN_LOCK").is_some_and(|lock| !lock.is_empty()) {
        command.args(["--option", "pure-eval", "false"]);
    }
    command
}

fn not_started(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => Stop::missing("there is no nix; ./lkmpg installs it"),
        _ => error.into(),
    }
}

/// Runs `program` of Nix and follows its builds.
fn run(program: &str, args: &[String]) -> Result<Outcome> {
    let mut command = nix(program);
    command
        .args(args)
        .args(["--log-format", "internal-json", "-v"]);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut nix = Group::spawn(&mut command, Signal::TERM).map_err(not_started)?;

    let stdout = nix.child().stdout.take().context("the pipe from nix")?;
    let stdout = thread::spawn(move || io::read_to_string(stdout));
    let stderr = nix.child().stderr.take().context("the pipe from nix")?;
    let builds = follow(stderr)?;
    let status = nix.wait(GRACE)?.context("nix does not end")?;
    let stdout = stdout.join().expect("reading does not panic")?;
    if interrupted() {
        return Err(Stop::failed("interrupted"));
    }
    Ok(Outcome {
        status,
        stdout,
        builds,
    })
}

fn follow(log: impl Read) -> io::Result<Builds> {
    let mut builds = Builds::default();
    let mut progress = Progress::new();
    for line in BufReader::new(log).split(b'\n') {
        let line = line?;
        if let Some(event) = Event::parse(&String::from_utf8_lossy(&line)) {
            if let Some((id, change)) = builds.feed(event) {
                progress.show(id, &change);
            }
        }
    }
    Ok(builds)
}

impl Outcome {
    /// What Nix printed, or why it failed.
    fn into_result(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let builds = &self.builds;
        if let Some(line) = builds.said("run: ./lkmpg fetch") {
            return Err(Stop::missing(line));
        }
        if builds.said("No space left on device").is_some() {
            return Err(Stop::missing(full_disk()));
        }
        // Where several builds fail, Nix need not name all of them.
        let named: Vec<_> = builds.failed().map(|build| &build.derivation).collect();
        let failed = |build: &&Build| named.contains(&&build.derivation) || !is_made(build);
        let failures: Vec<_> = builds
            .ended
            .iter()
            .filter(failed)
            .map(|build| format!("{} failed:\n{}", build.name(), build.reason()))
            .collect();
        Err(Stop::failed(if failures.is_empty() {
            builds.errors.join("\n")
        } else {
            failures.join("\n\n")
        }))
    }
}

/// Whether a build that has ended made its outputs: those of one that failed can
/// be there, too, but are not valid.
fn is_made(build: &Build) -> bool {
    outputs(slice::from_ref(build)).is_some_and(|outputs| {
        let mut check = Command::new("nix-store");
        check.arg("--check-validity").args(outputs.lines());
        check.stderr(Stdio::null());
        check.status().is_ok_and(|status| status.success())
    })
}

/// Says which of the file systems that Nix writes to is full.
fn full_disk() -> String {
    let build_dir = env::temp_dir();
    let places = [PathBuf::from("/nix/store"), build_dir];
    let free = |path: &PathBuf| {
        let file = File::open(path).ok()?;
        let stat = rustix::fs::fstatvfs(&file).ok()?;
        Some(stat.f_bavail * stat.f_frsize)
    };
    let fullest = places.iter().filter_map(|path| Some((free(path)?, path)));
    let place = fullest.min().map_or(&places[0], |(_, path)| path);
    format!(
        "the disk that holds {} is full; free some (nix-collect-garbage helps), \
         then run this again",
        place.display()
    )
}
