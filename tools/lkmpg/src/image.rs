// SPDX-License-Identifier: GPL-2.0-only

//! The files that a VM is started from.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cpio::newc;
use tempfile::TempDir;

use crate::machine::Needs;

/// How deep below a module's output its `.ko` may be:
/// `lib/modules/VERSION/extra/NAME.ko`.
const DEPTH: usize = 5;

/// A module that is built.
#[derive(Clone, Debug)]
pub struct Module {
    /// The module's file.
    pub file: PathBuf,
    /// What its example needs of the machine.
    pub needs: Needs,
}

/// Modules by name.
pub type Modules = BTreeMap<String, Module>;

/// Finds the modules in the outputs `dirs`.
pub fn find_modules(dirs: &[PathBuf]) -> Result<Modules> {
    let mut modules = Modules::new();
    for dir in dirs {
        let mut files = Vec::new();
        find(dir, DEPTH, &mut files).with_context(|| dir.display().to_string())?;
        for file in files {
            if let Some(name) = file.file_stem().and_then(|name| name.to_str()) {
                let needs = dir.join("share/lkmpg").join(format!("{name}.toml"));
                let needs = Needs::read(&needs)?;
                modules.insert(name.to_owned(), Module { file, needs });
            }
        }
    }
    Ok(modules)
}

/// Adds the modules' files in `dir`, and `depth - 1` levels below, to `files`.
fn find(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && depth > 1 {
            find(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            files.push(path);
        }
    }
    Ok(())
}

/// An initial RAM file system with modules in it. The file is gone when this
/// is dropped.
pub struct Initrd {
    dir: TempDir,
}

impl Initrd {
    /// Adds the modules called `names` to the file system `base`.
    pub fn compose(base: &Path, modules: &Modules, names: &[String]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("lkmpg-").tempdir();
        let initrd = Self {
            dir: dir.context("a temporary directory")?,
        };
        let path = initrd.path();
        let write = || -> io::Result<()> {
            let mut file = BufWriter::new(File::create(&path)?);
            let length = io::copy(&mut File::open(base)?, &mut file)?;
            pad(&mut file, length)?;
            let mut contents = Vec::new();
            for name in names {
                contents.push((name.as_str(), fs::read(&modules[name].file)?));
            }
            append(&mut file, &contents)?;
            file.flush()
        };
        write().with_context(|| path.display().to_string())?;
        Ok(initrd)
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("initrd")
    }
}

/// Fills up to a multiple of 4 bytes, where the kernel looks for the next
/// archive.
fn pad(out: &mut impl Write, length: u64) -> io::Result<()> {
    let missing = length.next_multiple_of(4) - length;
    out.write_all(&[0; 4][..missing as usize])
}

/// Writes an archive with `/lib/modules/NAME.ko` for each of `modules`.
fn append(mut out: &mut impl Write, modules: &[(&str, Vec<u8>)]) -> io::Result<()> {
    const DIRECTORY: u32 = 0o040_755;
    const FILE: u32 = 0o100_644;
    for dir in ["lib", "lib/modules"] {
        let entry = newc::Builder::new(dir).mode(DIRECTORY).nlink(2);
        out = entry.write(out, 0).finish()?;
    }
    for (name, content) in modules {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        let path = format!("lib/modules/{name}.ko");
        let mut entry = newc::Builder::new(&path)
            .mode(FILE)
            .nlink(1)
            .write(out, length);
        entry.write_all(content)?;
        out = entry.finish()?;
    }
    newc::trailer(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_begins_at_a_multiple_of_four() {
        for length in 0..9 {
            let mut bytes = vec![1; length];
            pad(&mut bytes, length as u64).unwrap();
            assert_eq!(bytes.len() % 4, 0);
            assert!(bytes.len() - length < 4);
        }
    }

    #[test]
    fn modules_are_found_and_packed() {
        let dir = tempfile::tempdir().unwrap();
        let extra = dir.path().join("lib/modules/7.2.6/extra");
        fs::create_dir_all(&extra).unwrap();
        fs::write(extra.join("hello-1.ko"), "odd").unwrap();
        let share = dir.path().join("share/lkmpg");
        fs::create_dir_all(&share).unwrap();
        fs::write(share.join("hello-1.toml"), "memory = 512").unwrap();
        let base = dir.path().join("base");
        fs::write(&base, "12345").unwrap();

        let modules = find_modules(&[dir.path().to_owned()]).unwrap();
        assert_eq!(modules["hello-1"].needs.memory, 512);
        let names = ["hello-1".to_owned()];
        let initrd = Initrd::compose(&base, &modules, &names).unwrap();
        let bytes = fs::read(initrd.path()).unwrap();
        assert_eq!(&bytes[..8], b"12345\0\0\0");

        let mut rest = &bytes[8..];
        let mut found = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let name = reader.entry().name().to_owned();
            let mut content = String::new();
            io::Read::read_to_string(&mut reader, &mut content).unwrap();
            found.push((name, reader.entry().mode(), content));
            rest = reader.finish().unwrap();
        }
        let (name, mode, content) = &found[2];
        assert_eq!(
            (&**name, *mode, &**content),
            ("lib/modules/hello-1.ko", 0o100_644, "odd")
        );
        assert_eq!(found[1].0, "lib/modules");
    }

    #[test]
    fn nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        fs::write(&base, "").unwrap();
        let initrd = Initrd::compose(&base, &Modules::new(), &[]).unwrap();
        let path = initrd.path();
        assert!(path.exists());
        drop(initrd);
        assert!(!path.parent().unwrap().exists());
    }
}
