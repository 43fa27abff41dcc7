// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::{prelude::*, sigio::*};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_band_is_told,
        an_opening_can_have_a_queue_of_its_own,
        the_first_answer_counts,
        a_queue_stays_as_long_as_its_files,
        a_file_that_does_not_open_is_in_no_queue,
        interrupts_tell,
        interrupts_tell_while_files_come_and_go,
        threads_turn_it_on_and_off,
    ],
    ..Example::EMPTY
};

const OWN: &str = "/dev/fasyncs-own";
const FICKLE: &str = "/dev/fasyncs-fickle";
const INTERRUPTS: &str = "/dev/fasyncs-interrupts";

/// C's number of the band for input.
const IN: usize = 1;

/// The table of those in `fs/fcntl.c`, and the numbers of events in `poll.h`.
fn each_band_is_told(vm: &mut Vm) -> Result {
    let _module = vm.load("fasyncs")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal])?;
    let file = Control::open(OWN)?;
    ask(&*file, signal)?;
    let bands = [0x41, 0x304, 0x441, 0x8, 0x82, 0x18];
    for (number, band) in (1..).zip(bands) {
        file.call(TELL, number)?;
        let notice = inbox.take()?.context("a signal")?;
        assert_eq!((notice.code, notice.band), (number as i32, band));
    }
    assert_eq!(file.call(TELL, 0), Err(Errno::INVAL));
    assert_eq!(file.call(TELL, 7), Err(Errno::INVAL));
    assert_eq!(inbox.take()?, None);
    Ok(())
}

fn an_opening_can_have_a_queue_of_its_own(vm: &mut Vm) -> Result {
    let _module = vm.load("fasyncs")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal])?;
    let (one, two) = (Control::open(OWN)?, Control::open(OWN)?);
    ask(&*one, signal)?;
    ask(&*two, signal)?;
    for file in [&one, &two] {
        file.call(TELL, IN)?;
        let notices = inbox.take_all()?;
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].fd, file.as_raw_fd());
    }
    drop(one);
    two.call(TELL, IN)?;
    assert_eq!(inbox.take_all()?.len(), 1);
    Ok(())
}

/// Else the kernel would look for a file that is closed in a queue in which it is not, and
/// leave it in the other.
fn the_first_answer_counts(vm: &mut Vm) -> Result {
    let _module = vm.load("fasyncs")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal])?;
    let teller = Control::open(FICKLE)?;
    let told = || -> Result<[usize; 2]> {
        let mut told = [0; 2];
        for (count, command) in told.iter_mut().zip([TELL, TELL_SECOND]) {
            teller.call(command, IN)?;
            *count = inbox.take_all()?.len();
        }
        Ok(told)
    };
    for number in 0..20 {
        let file = Control::open(FICKLE)?;
        ask(&*file, signal)?;
        let expected = match number % 2 {
            0 => [1, 0],
            _ => [0, 1],
        };
        assert_eq!(told()?, expected, "{number}");
        for _ in 0..3 {
            set_async(&*file, false)?;
            assert_eq!(told()?, [0, 0], "{number}");
            set_async(&*file, true)?;
            assert_eq!(told()?, expected, "{number}");
        }
        assert_eq!(teller.get(ASKED), number + 1);
        drop(file);
        // Memory of files is used again soon.
        drop(Control::open(OWN)?);
        assert_eq!(told()?, [0, 0], "{number}");
    }
    Ok(())
}

fn a_queue_stays_as_long_as_its_files(vm: &mut Vm) -> Result {
    let mut module = vm.load("fasyncs")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let file = Control::open(FICKLE)?;
    ask(&**file, 0)?;
    fs::write("/proc/fasyncs-control", "drop")?;
    assert!(!Path::new(FICKLE).exists());
    file.call(TELL, IN)?;
    assert_eq!(inbox.take_all()?.len(), 1);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(vm.log().count("its queues are gone")?, 0);
    drop(file);
    assert_eq!(vm.log().count("its queues are gone")?, 1);
    module.unload()
}

/// It is released without having been in any.
fn a_file_that_does_not_open_is_in_no_queue(vm: &mut Vm) -> Result {
    let _module = vm.load("fasyncs")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let teller = Control::open(FICKLE)?;
    let mut options = OpenOptions::new();
    options.read(true);
    for _ in 0..10 {
        let refused = options
            .custom_flags(libc::O_ASYNC | libc::O_DIRECT)
            .open(FICKLE);
        assert_eq!(error_of(refused), Some(Errno::INVAL));
        drop(options.custom_flags(libc::O_ASYNC).open(FICKLE)?);
    }
    assert_eq!(teller.get(ASKED), 0);
    teller.call(TELL, IN)?;
    teller.call(TELL_SECOND, IN)?;
    assert_eq!(inbox.take()?, None);
    Ok(())
}

fn interrupts_tell(vm: &mut Vm) -> Result {
    let _module = vm.load("fasyncs")?;
    let signal = realtime();
    let inbox = Inbox::new(&[SIGIO, signal])?;
    let file = Control::open(INTERRUPTS)?;
    ask(&*file, signal)?;
    for command in [FROM_SOFTIRQ, FROM_HARDIRQ] {
        file.call(command, 1)?;
        let notice = inbox.wait()?;
        assert_eq!((notice.signal, notice.band), (signal, 0x82));
    }
    file.call(FROM_HARDIRQ, 10)?;
    for _ in 0..10 {
        inbox.wait()?;
    }
    assert_eq!(file.get(ELSEWHERE), 0);
    Ok(())
}

fn interrupts_tell_while_files_come_and_go(vm: &mut Vm) -> Result {
    let module = vm.load("fasyncs")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let rounds = vm.fewer(500);
    let teller = Control::open(INTERRUPTS)?;
    on_threads(3, |_| {
        for round in 0..rounds {
            if round % 50 == 0 {
                teller.call(FROM_HARDIRQ, 200)?;
            }
            teller.call(FROM_SOFTIRQ, 0)?;
            let file = File::open(INTERRUPTS)?;
            ask(&file, 0)?;
            set_async(&file, round % 2 == 0)?;
        }
        Ok(())
    })?;
    // A timer may still run; it tells nobody. Its handle is dropped with the device.
    assert_eq!(teller.get(ELSEWHERE), 0);
    drop(teller);
    module.unload()?;
    inbox.take_all()?;
    Ok(())
}

/// All at once on one file, the first time, too.
fn threads_turn_it_on_and_off(vm: &mut Vm) -> Result {
    let module = vm.load("fasyncs")?;
    let inbox = Inbox::new(&[SIGIO])?;
    let rounds = vm.fewer(100);
    let done = AtomicBool::new(false);
    let teller = Control::open(FICKLE)?;
    thread::scope(|scope| -> Result {
        let telling = scope.spawn(|| -> Result {
            while !done.load(SeqCst) {
                teller.call(TELL, IN)?;
                teller.call(TELL_SECOND, IN)?;
            }
            Ok(())
        });
        let result = (0..rounds).try_for_each(|_| -> Result {
            let file = Control::open(FICKLE)?;
            on_threads(4, |number| {
                for _ in 0..5 {
                    ask(&*file, 0)?;
                    set_async(&*file, number % 2 == 0)?;
                }
                Ok(())
            })?;
            Ok(())
        });
        done.store(true, SeqCst);
        telling.join().expect("it does not panic")?;
        result
    })?;
    inbox.take_all()?;
    teller.call(TELL, IN)?;
    teller.call(TELL_SECOND, IN)?;
    assert_eq!(inbox.take()?, None);
    drop(teller);
    module.unload()
}
