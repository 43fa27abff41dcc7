// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["sleep 1", "cat /proc/rust_timer"],
    tests: tests![
        makes_its_file,
        ticks_go_on,
        each_comes_again_and_again,
        each_has_its_context,
        the_fine_one_is_never_early,
        cannot_be_written,
        open_file_outlives_the_module,
        unloading_before_anything_comes,
        unloading_while_all_come,
        bad_values,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/proc/rust_timer";

const WAYS: [&str; 3] = ["timer_list", "hrtimer", "delayed work"];

/// What a line says of one way.
#[derive(Debug)]
struct Times {
    count: u64,
    last: i64,
    most: i64,
    context: String,
}

/// The first line's numbers, and what the others say, in the order of `WAYS`.
fn look() -> Result<((u64, u64), Vec<Times>)> {
    let text = fs::read_to_string(PATH)?;
    let mut lines = text.lines();
    let first = lines.next().and_then(|line| {
        let (ticks, rate) = line.strip_suffix(" a second")?.split_once(" ticks, ")?;
        Some((ticks.parse().ok()?, rate.parse().ok()?))
    });
    let mut all = Vec::new();
    for way in WAYS {
        let times = lines.next().and_then(|line| {
            let rest = line.strip_prefix(way)?.strip_prefix(": ")?;
            let (count, rest) = rest.split_once(" times, ")?;
            let (last, rest) = rest.split_once(" us late, at most ")?;
            let (most, context) = rest.split_once(" us, in ")?;
            Some(Times {
                count: count.parse().ok()?,
                last: last.parse().ok()?,
                most: most.parse().ok()?,
                context: context.strip_suffix(" context")?.to_owned(),
            })
        });
        all.push(times.with_context(|| text.clone())?);
    }
    assert_eq!(lines.next(), None, "{text}");
    Ok((first.with_context(|| text.clone())?, all))
}

/// Waits until each has come so often.
fn have_come(times: u64) -> Result<Vec<Times>> {
    eventually("all three", || {
        let (_, all) = look().unwrap();
        all.iter().all(|it| it.count >= times)
    })?;
    Ok(look()?.1)
}

fn makes_its_file(vm: &mut Vm) -> Result {
    let module = vm.load("rust_timer")?;
    let file = fs::metadata(PATH)?;
    assert!(file.is_file());
    assert_eq!(file.mode() & 0o7777, 0o444);
    assert_eq!(module.param("interval_ms")?, "20");
    look()?;
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    assert_eq!(vm.log().said("rust_timer")?.len(), 0);
    Ok(())
}

fn ticks_go_on(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_timer")?;
    let ((before, rate), _) = look()?;
    assert!([100, 250, 300, 1000].contains(&rate), "{rate}");
    for more in 1..=10 {
        eventually("a tick", || look().unwrap().0.0 >= before + more)?;
    }
    assert_eq!(look()?.0.1, rate);
    Ok(())
}

fn each_comes_again_and_again(vm: &mut Vm) -> Result {
    for interval in [1, 10, 50] {
        let module = vm.load_with("rust_timer", &format!("interval_ms={interval}"))?;
        for times in have_come(10)? {
            assert!(times.most >= times.last, "{times:?}");
        }
        module.unload()?;
    }
    Ok(())
}

fn each_has_its_context(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_timer")?;
    let all = have_come(3)?;
    let contexts: Vec<_> = all.iter().map(|it| &*it.context).collect();
    assert_eq!(contexts, ["softirq", "hardirq", "process"]);
    Ok(())
}

/// It goes by the clock that the module looks at. The others count ticks, which may have
/// been counted late, and are too early by the clock then.
fn the_fine_one_is_never_early(vm: &mut Vm) -> Result {
    let _module = vm.load_with("rust_timer", "interval_ms=5")?;
    have_come(1)?;
    for _ in 0..50 {
        let (_, all) = look()?;
        assert!(all[1].last >= 0, "{:?}", all[1]);
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn cannot_be_written(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_timer")?;
    assert_eq!(error_of(fs::write(PATH, "7")), Some(Errno::IO));
    Ok(())
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("rust_timer")?;
    let mut file = File::open(PATH)?;
    file.read_exact(&mut [0])?;
    module.unload()?;
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::IO));
    Ok(())
}

/// What is not stopped would go off in nothing.
fn unloading_before_anything_comes(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load_with("rust_timer", "interval_ms=4294967295")?;
        let (_, all) = look()?;
        assert!(all.iter().all(|it| it.count == 0), "{all:?}");
        module.unload()
    })
}

fn unloading_while_all_come(vm: &mut Vm) -> Result {
    let mut round = 0;
    vm.rounds(|vm| {
        round += 1;
        let module = vm.load_with("rust_timer", "interval_ms=1")?;
        if round % 2 == 0 {
            have_come(1)?;
        }
        module.unload()
    })
}

fn bad_values(vm: &mut Vm) -> Result {
    let mut refused = |params| vm.load_fails("rust_timer", params);
    assert_eq!(refused("interval_ms=0")?, Errno::INVAL);
    assert_eq!(refused("interval_ms=soon")?, Errno::INVAL);
    assert_eq!(refused("interval_ms=-1")?, Errno::INVAL);
    assert_eq!(refused("interval_ms=4294967296")?, Errno::RANGE);
    Ok(())
}
