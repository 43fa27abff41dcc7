// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /sys/kernel/debug/gpio",
        "grep . /sys/module/dht11_sim/parameters/*",
    ],
    tests: tests![
        answers_when_it_is_asked,
        answers_at_any_step,
        a_wrong_bit_is_wrong,
        is_silent_when_it_is_to_be,
        a_short_pulse_is_no_question,
        the_chip_can_cut_in,
        refuses_what_does_not_fit,
    ],
    ..Example::EMPTY
};

fn set(param: &str, value: u32) -> Result {
    let path = format!("/sys/module/dht11_sim/parameters/{param}");
    fs::write(&path, value.to_string()).context(path)
}

/// Asks, if `line` is driven low for so long.
fn ask(line: &LineRequest, pause: Duration) -> Result {
    line.configure(line::OUTPUT)?;
    thread::sleep(pause);
    line.configure(line::INPUT)?;
    Ok(())
}

const LONG: Duration = Duration::from_millis(20);

/// How often one sees the line at `level` before it changes; `None` when it does not.
fn width(line: &LineRequest, level: bool) -> Result<Option<u32>> {
    for looks in 0..1000 {
        if line.is_high()? != level {
            return Ok(Some(looks));
        }
    }
    Ok(None)
}

/// The answer; `None` when there is none.
fn answer(line: &LineRequest) -> Result<Option<[u8; 5]>> {
    if width(line, true)?.is_none() {
        return Ok(None);
    }
    let widths = |level| -> Result<u32> {
        let width = width(line, level)?;
        width.context("a line that changes")
    };
    widths(false)?;
    widths(true)?;
    let mut bytes = [0; 5];
    for bit in 0..40 {
        let (low, high) = (widths(false)?, widths(true)?);
        bytes[bit / 8] = (bytes[bit / 8] << 1) | u8::from(high > low);
    }
    widths(false)?;
    ensure!(width(line, true)?.is_none(), "it goes on");
    Ok(Some(bytes))
}

fn load(vm: &mut Vm) -> Result<(Module, LineRequest)> {
    let module = vm.load("dht11-sim")?;
    let chip = GpioChip::open("dht11-sim")?;
    assert_eq!(chip.lines, 1);
    Ok((module, chip.request(&[0], line::INPUT)?))
}

fn answers_when_it_is_asked(vm: &mut Vm) -> Result {
    let (_module, line) = load(vm)?;
    assert_eq!(answer(&line)?, None);
    ask(&line, LONG)?;
    assert_eq!(answer(&line)?, Some([61, 0, 30, 0, 91]));
    assert_eq!(answer(&line)?, None);
    for (humidity, temperature, sum) in [(0, 0, 0), (255, 1, 0), (170, 85, 255), (255, 255, 254)] {
        set("humidity", humidity)?;
        set("temperature", temperature)?;
        ask(&line, LONG)?;
        let expected = [humidity as u8, 0, temperature as u8, 0, sum];
        assert_eq!(answer(&line)?, Some(expected));
    }
    set("humidity", 7)?;
    fs::write("/sys/module/dht11_sim/parameters/rising", "1")?;
    for humidity in 7..10 {
        ask(&line, LONG)?;
        assert_eq!(answer(&line)?.map(|bytes| bytes[0]), Some(humidity));
    }
    Ok(())
}

fn answers_at_any_step(vm: &mut Vm) -> Result {
    let (_module, line) = load(vm)?;
    for step in [500, 1234, 3000] {
        set("step", step)?;
        for jitter in 0..=5 {
            set("jitter", jitter)?;
            ask(&line, LONG)?;
            let expected = Some([61, 0, 30, 0, 91]);
            assert_eq!(answer(&line)?, expected, "{step} ns, {jitter} us");
        }
    }
    Ok(())
}

fn a_wrong_bit_is_wrong(vm: &mut Vm) -> Result {
    let (_module, line) = load(vm)?;
    for (bit, expected) in [
        (0, [61 ^ 0x80, 0, 30, 0, 91]),
        (7, [61 ^ 1, 0, 30, 0, 91]),
        (8, [61, 0x80, 30, 0, 91]),
        (39, [61, 0, 30, 0, 91 ^ 1]),
    ] {
        set("bit", bit)?;
        set("wrong", 1)?;
        ask(&line, LONG)?;
        assert_eq!(answer(&line)?, Some(expected));
        ask(&line, LONG)?;
        assert_eq!(answer(&line)?, Some([61, 0, 30, 0, 91]));
    }
    Ok(())
}

fn is_silent_when_it_is_to_be(vm: &mut Vm) -> Result {
    let (_module, line) = load(vm)?;
    set("silent", 2)?;
    for _ in 0..2 {
        ask(&line, LONG)?;
        assert_eq!(answer(&line)?, None);
    }
    ask(&line, LONG)?;
    assert!(answer(&line)?.is_some());
    Ok(())
}

/// One that is meant to be short can be long, here. Not each time.
fn a_short_pulse_is_no_question(vm: &mut Vm) -> Result {
    let (_module, line) = load(vm)?;
    for _ in 0..100 {
        ask(&line, Duration::ZERO)?;
        if answer(&line)?.is_none() {
            return Ok(());
        }
    }
    bail!("each pulse was a question")
}

fn the_chip_can_cut_in(vm: &mut Vm) -> Result {
    let (_module, line) = load(vm)?;
    ask(&line, LONG)?;
    for level in [true, false] {
        width(&line, level)?.context("a line that changes")?;
    }
    line.configure(line::OUTPUT)?;
    assert_eq!(width(&line, false)?, None);
    line.set(1, 1)?;
    assert_eq!(width(&line, true)?, None);
    Ok(())
}

fn refuses_what_does_not_fit(vm: &mut Vm) -> Result {
    let (_module, _line) = load(vm)?;
    for (param, value) in [
        ("jitter", 6),
        ("step", 99),
        ("step", 3001),
        ("bit", 40),
        ("humidity", 256),
        ("temperature", 256),
    ] {
        let error = set(param, value).unwrap_err();
        let expected = if value == 256 {
            Errno::RANGE
        } else {
            Errno::INVAL
        };
        assert_eq!(errno(&error), Some(expected), "{param}={value}");
    }
    Ok(())
}
