// SPDX-License-Identifier: GPL-2.0-only

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use rustix::io::Errno;

/// Opens the file at `path` to read it and to write to it.
///
/// # Errors
///
/// As `File::open`.
pub fn read_write(path: impl AsRef<Path>) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Writes `text` to the file at `path`, which is there, by one write(2). `fs::write` would try
/// again on `EINTR`, which can be the error of a module.
///
/// # Errors
///
/// The kernel's error number.
///
/// # Panics
///
/// When only a part is written.
pub fn write_once(path: impl AsRef<Path>, text: &str) -> Result<(), Errno> {
    let file = OpenOptions::new().write(true).open(path);
    let written = file.and_then(|mut file| file.write(text.as_bytes()));
    match written {
        Ok(len) => {
            assert_eq!(len, text.len());
            Ok(())
        }
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}

/// The names of what is in the directory at `path`, in order.
///
/// # Errors
///
/// As `fs::read_dir`.
pub fn names(path: impl AsRef<Path>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The error number with which something failed; `None` when it did not.
#[must_use]
pub fn error_of<T>(result: io::Result<T>) -> Option<Errno> {
    Errno::from_io_error(&result.err()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_that_is_there() {
        write_once("/dev/null", "text").unwrap();
        assert_eq!(write_once("/nowhere", "text"), Err(Errno::NOENT));
    }

    #[test]
    fn an_error_has_a_number() {
        assert_eq!(error_of(read_write("/dev/null")), None);
        assert_eq!(error_of(read_write("/nowhere")), Some(Errno::NOENT));
    }
}
