// SPDX-License-Identifier: GPL-2.0-only

use std::process::Command;

use crate::prelude::*;

/// A device that takes what is written to it, keeps nothing and says what is done
/// to it, and the tests that each such device must pass.
pub struct SinkDevice {
    /// The name of the module's file, without `.ko`.
    pub module: &'static str,
    /// Where the device is.
    pub path: &'static str,
    /// What the module says when it is loaded ...
    pub says_at_load: &'static str,
    /// ... when something is written to the device ...
    pub says_at_write: &'static str,
    /// ... and when it is unloaded, if anything.
    pub says_at_unload: Option<&'static str>,
}

/// Lists the tests of an example whose device is a [`SinkDevice`]: those that each
/// must pass, and the example's own: `sink_device_tests![DEVICE: makes_its_node]`.
#[macro_export]
macro_rules! sink_device_tests {
    ($device:ident: $($own:ident),* $(,)?) => {
        $crate::tests![
            $device: [
                says_what_is_done_to_it,
                says_when_the_buffer_is_bad,
                takes_a_page_at_a_time,
                belongs_to_the_children_too,
                keeps_the_module_while_open,
                a_hundred_threads_find_it_open,
            ]
            $($own),*
        ]
    };
}

impl SinkDevice {
    /// Each open, read and write is said.
    pub fn says_what_is_done_to_it(&self, vm: &mut Vm) -> Result {
        let module = vm.load(self.module)?;
        let mut file = read_write(self.path)?;
        assert_eq!(file.read(&mut [0; 8])?, 0);
        assert_eq!(file.read_at(&mut [], 100)?, 0);
        assert_eq!(file.write(b"hello")?, 5);
        assert_eq!(file.write(b"")?, 0);
        drop(file);
        module.unload()?;
        let mut expected = vec![
            info(self.says_at_load),
            info("File opened"),
            info("File read"),
            info("File read"),
            info(self.says_at_write),
            info(self.says_at_write),
        ];
        expected.extend(self.says_at_unload.map(info));
        assert_eq!(vm.log().said(self.module)?, expected);
        Ok(())
    }

    /// Nothing is ever written there by a read.
    pub fn says_when_the_buffer_is_bad(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        let file = read_write(self.path)?;
        assert_eq!(read_to_bad_address(&file, 4), Ok(0));
        assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
        assert_eq!(Edge::of(b"text").write(&file, 5), Err(Errno::FAULT));
        assert_eq!(Edge::of(b"text").write(&file, 4), Ok(4));
        assert_eq!(ioctl(&file, 0, Argument::None), Err(Errno::NOTTY));
        Ok(())
    }

    /// Not a buffer as large as the caller likes.
    pub fn takes_a_page_at_a_time(&self, vm: &mut Vm) -> Result {
        let _module = vm.load(self.module)?;
        let mut file = OpenOptions::new().write(true).open(self.path)?;
        assert_eq!(file.write(&[b'x'; 5000])?, 4096);
        file.write_all(&[b'x'; 10_000])?;
        Ok(())
    }

    /// A child that inherits a descriptor keeps the module, too.
    pub fn belongs_to_the_children_too(&self, vm: &mut Vm) -> Result {
        let mut module = vm.load(self.module)?;
        let file = OpenOptions::new().write(true).open(self.path)?;
        let mut child = Command::new("sh")
            .args(["-c", "echo hello; exec sleep 1000"])
            .stdout(file)
            .spawn()?;
        vm.log().expect(self.says_at_write)?;
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        child.kill()?;
        child.wait()?;
        module.unload()
    }

    /// The module stays until the last close.
    pub fn keeps_the_module_while_open(&self, vm: &mut Vm) -> Result {
        let mut module = vm.load(self.module)?;
        let file = File::open(self.path)?;
        let same = file.try_clone()?;
        drop(file);
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        drop(same);
        module.unload()
    }

    /// Nobody is kept out by others.
    pub fn a_hundred_threads_find_it_open(&self, vm: &mut Vm) -> Result {
        let module = vm.load(self.module)?;
        on_threads(100, |_| {
            for _ in 0..10 {
                File::open(self.path)?;
            }
            Ok(())
        })?;
        module.unload()
    }
}
