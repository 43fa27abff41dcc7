// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

/// The lines that the guide's modules use.
const LED: GpioLine = GpioLine(4);
const ON: GpioLine = GpioLine(17);
const OFF: GpioLine = GpioLine(18);

/// What the interrupts of the buttons are called.
const INTERRUPTS: [&str; 2] = ["gpiomod#button1", "gpiomod#button2"];

/// A module with two buttons, one that turns an LED on and one that turns it off, and the
/// tests that each such module must pass.
pub struct GpioButtons {
    /// The name of the module's file, without `.ko`.
    pub module: &'static str,
    /// Its parameters, so that it does not take long.
    pub params: &'static str,
    /// What it says first when it is loaded ...
    pub says_at_load: &'static str,
    /// ... and first when it is unloaded.
    pub says_at_unload: &'static str,
    /// How many presses there are to be. A module that says something of each has fewer.
    pub presses: u32,
}

/// Lists the tests of an example that is [`GpioButtons`]: those that each must pass, and the
/// example's own: `gpio_button_tests![BUTTONS: has_threads]`.
#[macro_export]
macro_rules! gpio_button_tests {
    ($buttons:ident: $($own:ident),* $(,)?) => {
        $crate::tests![
            $buttons: [
                says_what_it_asks_for,
                turns_the_led_on_and_off,
                loses_no_press,
                does_not_count_letting_go,
                says_what_is_missing,
                says_what_is_taken,
                unloading_in_a_storm_of_presses,
                unloading_while_a_button_is_down,
            ]
            $($own),*
        ]
    };
}

impl GpioButtons {
    /// Loads the module when nobody presses a button.
    fn load(&self, vm: &mut Vm) -> Result<Module> {
        for button in [ON, OFF] {
            button.pull(false)?;
        }
        vm.load_with(self.module, self.params)
    }

    /// How often both interrupts have come.
    fn count() -> Result<u64> {
        let mut sum = 0;
        for name in INTERRUPTS {
            sum += interrupts(name)?.with_context(|| format!("no {name}"))?;
        }
        Ok(sum)
    }

    /// Nobody has any of the lines: they can be taken.
    fn has_nothing() -> Result {
        for line in [LED, ON, OFF] {
            drop(line.take()?);
        }
        Ok(())
    }

    /// Loading fails with this error, a line in the log says why, and nothing is left.
    fn fails(&self, vm: &mut Vm, params: &str, error: Errno, lines: &str) -> Result {
        vm.log().mark()?;
        assert_eq!(vm.load_fails(self.module, params)?, error, "{params}");
        let number = -error.raw_os_error();
        let line = format!("Unable to request GPIOs for {lines}: {number}");
        let complaints = vm.log().complaints(self.module)?;
        assert_eq!(complaints, [(3, line)], "{params}");
        for name in INTERRUPTS {
            assert_eq!(interrupts(name)?, None, "{params}");
        }
        Ok(())
    }

    /// The numbers are those in `/proc/interrupts`.
    pub fn says_what_it_asks_for(&self, vm: &mut Vm) -> Result {
        for pressed in [false, true] {
            vm.log().mark()?;
            for button in [ON, OFF] {
                button.pull(pressed)?;
            }
            let module = vm.load_with(self.module, self.params)?;
            // To be down is not to be pressed.
            assert!(!LED.value()?);
            let mut said = vec![
                self.says_at_load.to_owned(),
                format!("Current button1 value: {}", u8::from(pressed)),
            ];
            for (n, name) in (1..).zip(INTERRUPTS) {
                let number = interrupt_number(name)?;
                said.push(format!("Successfully requested BUTTON{n} IRQ # {number}"));
            }
            module.unload()?;
            said.push(self.says_at_unload.to_owned());
            let said: Vec<_> = said.into_iter().map(info).collect();
            assert_eq!(vm.log().said(self.module)?, said);
            for button in [ON, OFF] {
                button.pull(false)?;
            }
        }
        Ok(())
    }

    /// In the guide's `intrpt` the LED is no output, and in its `bh_threaded` nobody drives
    /// it.
    pub fn turns_the_led_on_and_off(&self, vm: &mut Vm) -> Result {
        let module = self.load(vm)?;
        assert!(!LED.value()?);
        for _ in 0..3 {
            for (button, level) in [(ON, true), (OFF, false)] {
                button.pull(true)?;
                LED.becomes(level)?;
                button.pull(false)?;
            }
        }
        module.unload()?;
        assert!(!LED.value()?);
        Self::has_nothing()
    }

    /// Each press is seen, and each is an interrupt.
    pub fn loses_no_press(&self, vm: &mut Vm) -> Result {
        let presses = vm.fewer(self.presses);
        let module = self.load(vm)?;
        let before = Self::count()?;
        for n in 0..presses {
            let level = n % 2 == 0;
            let button = if level { ON } else { OFF };
            button.pull(true)?;
            LED.becomes(level)?;
            button.pull(false)?;
        }
        assert_eq!(Self::count()?, before + u64::from(presses));
        module.unload()
    }

    /// The guide's modules are interrupted then, too.
    pub fn does_not_count_letting_go(&self, vm: &mut Vm) -> Result {
        let _module = self.load(vm)?;
        for (button, name) in [ON, OFF].into_iter().zip(INTERRUPTS) {
            let count = || interrupts(name)?.context(name);
            let before = count()?;
            for n in 1..=10 {
                button.pull(true)?;
                // Nor what it is already.
                button.pull(true)?;
                eventually(name, || count().is_ok_and(|count| count >= before + n))?;
                button.pull(false)?;
                button.pull(false)?;
            }
            assert_eq!(count()?, before + 10);
        }
        Ok(())
    }

    /// A line of another chip, or of none.
    pub fn says_what_is_missing(&self, vm: &mut Vm) -> Result {
        self.fails(vm, "chip=nowhere", Errno::NODEV, "LEDs")?;
        self.fails(vm, "chip=", Errno::NODEV, "LEDs")?;
        for line in [GPIO_LINES, 65_534, 65_535, 65_540, u32::MAX] {
            self.fails(vm, &format!("led_gpio={line}"), Errno::INVAL, "LEDs")?;
            for button in ["button1_gpio", "button2_gpio"] {
                self.fails(vm, &format!("{button}={line}"), Errno::INVAL, "BUTTONs")?;
            }
        }
        Self::has_nothing()
    }

    /// A process has one of the lines, or the module itself.
    pub fn says_what_is_taken(&self, vm: &mut Vm) -> Result {
        for (line, lines) in [(LED, "LEDs"), (ON, "BUTTONs"), (OFF, "BUTTONs")] {
            let taken = line.take()?;
            self.fails(vm, "", Errno::BUSY, lines)?;
            drop(taken);
        }
        for params in ["button1_gpio=4", "button2_gpio=4", "button2_gpio=17"] {
            self.fails(vm, params, Errno::BUSY, "BUTTONs")?;
        }
        Self::has_nothing()?;

        // Nor can a process have what the module has.
        let module = self.load(vm)?;
        for line in [LED, ON, OFF] {
            let error = line.take().err().context("the module has it")?;
            assert_eq!(errno(&error), Some(Errno::BUSY));
        }
        module.unload()?;
        Self::has_nothing()
    }

    /// The guide's `bottomhalf` leaves its work behind: that runs in a module that is gone.
    pub fn unloading_in_a_storm_of_presses(&self, vm: &mut Vm) -> Result {
        let press = || -> Result {
            for button in [ON, OFF] {
                button.pull(true)?;
                button.pull(false)?;
            }
            thread::sleep(Duration::from_millis(2));
            Ok(())
        };
        while_others(1, press, || {
            vm.rounds(|vm| {
                let module = vm.load_with(self.module, self.params)?;
                let before = Self::count()?;
                eventually("presses", || Self::count().is_ok_and(|now| now > before))?;
                module.unload()
            })
        })?;
        Self::has_nothing()?;
        // An interrupt that came when nobody had it would be the next owner's.
        gpio_chip_comes_as_before()
    }

    /// At once, when what comes after the interrupt has only begun.
    pub fn unloading_while_a_button_is_down(&self, vm: &mut Vm) -> Result {
        vm.rounds(|vm| {
            let module = self.load(vm)?;
            ON.pull(true)?;
            module.unload()?;
            ON.pull(false)
        })
    }
}
