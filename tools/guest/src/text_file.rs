// SPDX-License-Identifier: GPL-2.0-only

use std::process::Command;

use crate::prelude::*;

/// A file of a module's that keeps the text which was written last, and the
/// tests that each such file must pass.
pub struct TextFile {
    /// The name of the module's file, without `.ko`.
    pub module: &'static str,
    /// Where the file is.
    pub path: &'static str,
    /// How many bytes it can hold.
    pub limit: usize,
}

/// Lists the tests of an example whose file is a [`TextFile`]: those that each
/// must pass, and the example's own: `text_file_tests![FILE: makes_its_file]`.
#[macro_export]
macro_rules! text_file_tests {
    ($file:ident: $($own:ident),* $(,)?) => {
        $crate::tests![
            $file: [
                reads_back_what_was_written,
                reads_in_pieces_and_from_anywhere,
                takes_as_much_as_fits,
                says_when_the_buffer_is_bad,
                empty_reads_and_writes,
                is_open_to_all,
                belongs_to_the_children_too,
                open_file_outlives_the_module,
                a_hundred_threads_see_whole_texts,
            ]
            $($own),*
        ]
    };
}

impl TextFile {
    fn open(&self) -> Result<File> {
        Ok(read_write(self.path)?)
    }

    /// What was written last is what there is, wherever it was written.
    pub fn reads_back_what_was_written(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        assert_eq!(fs::read(self.path)?, b"");
        for text in ["one", "something longer", "two", "\0\n"] {
            let mut file = self.open()?;
            assert_eq!(file.write(text.as_bytes())?, text.len());
            assert_eq!(file.stream_position()?, text.len() as u64);
            assert_eq!(fs::read(self.path)?, text.as_bytes());
        }
        Ok(())
    }

    /// A short read takes nothing away, and no read goes beyond the end.
    pub fn reads_in_pieces_and_from_anywhere(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        fs::write(self.path, "0123456789")?;
        let mut file = self.open()?;
        let mut buffer = [0xaa; 16];
        assert_eq!(file.read(&mut buffer[..3])?, 3);
        assert_eq!(&buffer[..5], b"012\xaa\xaa");
        assert_eq!(fs::read(self.path)?, b"0123456789");
        assert_eq!(file.read(&mut buffer)?, 7);
        assert_eq!(file.read(&mut buffer)?, 0);
        assert_eq!(file.read(&mut buffer)?, 0);
        assert_eq!(file.read_at(&mut buffer, 8)?, 2);
        assert_eq!(&buffer[..2], b"89");
        for beyond in [10, self.limit as u64, i64::MAX as u64 - 16] {
            assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{beyond}");
        }
        file.seek(SeekFrom::Start(4))?;
        assert_eq!(file.read(&mut buffer)?, 6);
        Ok(())
    }

    /// Of a write that is too long, as much is taken as fits.
    pub fn takes_as_much_as_fits(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        let long: Vec<u8> = (0..self.limit + 100)
            .map(|n| b'a' + (n % 26) as u8)
            .collect();
        assert_eq!(self.open()?.write(&long)?, self.limit);
        assert_eq!(fs::read(self.path)?, long[..self.limit]);
        Ok(())
    }

    /// Addresses that are not the caller's are `EFAULT`, and change nothing.
    pub fn says_when_the_buffer_is_bad(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        fs::write(self.path, "kept")?;
        let file = self.open()?;
        assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
        assert_eq!(write_from_bad_address(&file, 100), Err(Errno::FAULT));
        assert_eq!(Edge::of(b"begun").write(&file, 6), Err(Errno::FAULT));
        let bad = ioctl(&file, 0, Argument::BadAddress);
        assert_eq!(bad, Err(Errno::NOTTY));
        assert_eq!(fs::read(self.path)?, b"kept");
        Ok(())
    }

    /// Nothing can be read and written, too. That changes nothing.
    pub fn empty_reads_and_writes(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        fs::write(self.path, "text")?;
        let mut file = self.open()?;
        assert_eq!(file.read(&mut [])?, 0);
        assert_eq!(fs::read(self.path)?, b"text");
        assert_eq!(file.write(b"")?, 0);
        assert_eq!(fs::read(self.path)?, b"text");
        Ok(())
    }

    /// Who has the file open sees what others write.
    pub fn is_open_to_all(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        let (mut one, mut two) = (self.open()?, self.open()?);
        one.write_all(b"from one")?;
        let mut text = String::new();
        two.read_to_string(&mut text)?;
        assert_eq!(text, "from one");
        Ok(())
    }

    /// A child that inherits a descriptor writes to the same file.
    pub fn belongs_to_the_children_too(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        let file = self.open()?;
        let mut echo = Command::new("echo");
        echo.arg("from a child").stdout(file.try_clone()?);
        assert!(echo.status()?.success());
        drop(echo);
        assert_eq!(fs::read(self.path)?, b"from a child\n");
        // The position is shared: it is where the child's text ends.
        assert_eq!((&file).stream_position()?, 13);
        Ok(())
    }

    /// What is open when the module is unloaded answers `EIO`.
    pub fn open_file_outlives_the_module(&self, vm: &mut Vm) -> Result {
        let module = vm.load(self.module)?;
        let mut file = self.open()?;
        module.unload()?;
        assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::IO));
        assert_eq!(error_of(file.write(b"text")), Some(Errno::IO));
        Ok(())
    }

    /// Nobody sees a mixture of what two have written.
    pub fn a_hundred_threads_see_whole_texts(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        fs::write(self.path, vec![b'a'; self.limit])?;
        let hammer = |n| -> Result {
            let text = vec![b'a' + (n % 26) as u8; self.limit];
            let mut buffer = vec![0; self.limit + 1];
            for _ in 0..10 {
                self.open()?.write_all(&text)?;
                let read = self.open()?.read(&mut buffer)?;
                assert_eq!(buffer[..read], vec![buffer[0]; self.limit]);
            }
            Ok(())
        };
        on_threads(100, hammer).map(drop)
    }
}
