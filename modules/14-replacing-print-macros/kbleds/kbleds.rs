// SPDX-License-Identifier: GPL-2.0-only

//! Blinks the keyboard's LEDs until the module is unloaded.
//!
//! Book: 14.2 Flashing keyboard LEDs

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex,
    time::Delta, //
};
use lkm::{
    vt::{
        self,
        Console,
        KeyboardLeds,
        Leds,
        MAX_NR_CONSOLES, //
    },
    workqueue::{
        new_work,
        SystemQueue,
        Work,
        WorkItem, //
    },
};

module! {
    type: KbLeds,
    name: "kbleds",
    authors: ["lkmpg-rs"],
    description: "Example module illustrating the use of Keyboard LEDs.",
    license: "GPL",
}

/// A fifth of a second, as C's `HZ / 5`.
const BLINK_DELAY: Delta = Delta::from_millis(200);

struct Blinking {
    leds: KeyboardLeds,
    lit: bool,
}

/// Work, not a timer: who looks for the console has to wait for a lock, and a timer must not.
#[pin_data]
struct Blinker {
    #[pin]
    blinking: Mutex<Blinking>,
}

impl WorkItem for Blinker {
    fn run(work: &Work<Self>) {
        let mut blinking = work.blinking.lock();
        blinking.lit = !blinking.lit;
        if !blinking.lit {
            // They say which locks are on.
            blinking.leds.restore();
        } else if let Err(error) = blinking.leds.show(Leds::ALL) {
            // Perhaps the next console to come to the foreground is open again.
            pr_debug!("the LEDs stay as they are: {error:?}\n");
        }
        drop(blinking);
        work.enqueue_delayed(BLINK_DELAY);
    }
}

struct KbLeds {
    // Dropping it stops the work, and has the LEDs say again which locks are on.
    _work: Work<Blinker>,
}

impl kernel::Module for KbLeds {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("loading\n");
        let foreground = vt::foreground();
        pr_info!("fgconsole is {foreground:x}\n");
        for (i, console) in (0..MAX_NR_CONSOLES).map_while(Console::find).enumerate() {
            let (number, tty) = (console.number(), console.tty());
            pr_info!("poet_atkm: console[{i}/{MAX_NR_CONSOLES}] #{number}, tty {tty}\n");
        }
        pr_info!("finished scanning consoles\n");

        // A console's LEDs belong to its terminal, which is there while somebody has it open.
        let leds = KeyboardLeds::new().inspect_err(|_| {
            pr_err!("nobody has /dev/tty{} open\n", foreground + 1);
        })?;
        let blinker = pin_init!(Blinker {
            blinking <- new_mutex!(Blinking { leds, lit: false }),
        });
        let work = new_work!(SystemQueue::Dfl, blinker)?;
        work.enqueue_delayed(BLINK_DELAY);
        Ok(Self { _work: work })
    }
}

impl Drop for KbLeds {
    fn drop(&mut self) {
        pr_info!("unloading...\n");
    }
}
