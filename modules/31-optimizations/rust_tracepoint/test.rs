// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, read::elf::ElfFile64};
use rustix::{fs::OFlags, thread::gettid};

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /proc/rust_tracepoint",
        "echo 5 >/sys/module/rust_tracepoint/parameters/rounds",
        "echo 1 >/sys/kernel/tracing/events/rust_tracepoint/enable",
        "cat /proc/rust_tracepoint",
        "grep -v '^#' /sys/kernel/tracing/trace",
    ],
    tests: tests![
        shows_what_it_costs,
        branches_are_in_the_code,
        says_what_an_event_has,
        events_are_off_at_first,
        events_are_traced,
        events_can_be_filtered,
        switched_while_they_happen,
        unloading_while_it_is_on,
        unloading_while_somebody_reads,
        open_files_outlive_the_module,
    ],
    setup: Some(prepare),
    ..Example::EMPTY
};

const PATH: &str = "/proc/rust_tracepoint";
const TRACING: &str = "/sys/kernel/tracing";

/// Who wants to trace mounts that himself, unless systemd has.
fn prepare(vm: &mut Vm) -> Result {
    if !Path::new(TRACING).join("events").exists() {
        vm.sh("mount -t tracefs tracefs /sys/kernel/tracing")?;
    }
    Ok(())
}

fn load(vm: &mut Vm, rounds: u32) -> Result<Module> {
    clear()?;
    vm.load_with("rust_tracepoint", &format!("rounds={rounds}"))
}

/// A file of tracefs.
fn of_tracing(file: &str) -> String {
    format!("{TRACING}/{file}")
}

/// A file of the event.
fn of_event(file: &str) -> String {
    of_tracing(&format!(
        "events/rust_tracepoint/rust_tracepoint_round/{file}"
    ))
}

fn switch(on: bool) -> io::Result<()> {
    fs::write(of_event("enable"), if on { "1" } else { "0" })
}

/// Forgets what was traced.
fn clear() -> io::Result<()> {
    File::create(of_tracing("trace")).map(drop)
}

/// Makes events happen.
fn happen() -> io::Result<()> {
    fs::read(PATH).map(drop)
}

/// The events that were traced, by their numbers.
fn traced() -> Result<Vec<(u32, u64)>> {
    let text = fs::read_to_string(of_tracing("trace"))?;
    let mut events = Vec::new();
    for line in text.lines() {
        let Some((_, event)) = line.split_once(" rust_tracepoint_round: number=") else {
            continue;
        };
        let (number, sum) = event.split_once(" sum=").with_context(|| line.to_owned())?;
        events.push((number.parse()?, sum.parse()?));
    }
    // On another CPU time may be another.
    events.sort_unstable();
    Ok(events)
}

/// What is traced of so many rounds.
fn rounds(count: u32) -> Vec<(u32, u64)> {
    let round = |number| (number, u64::from(number) * (u64::from(number) + 1) / 2);
    (0..count).map(round).collect()
}

/// Whether there is the event.
fn is_there() -> Result<bool> {
    let events = fs::read_to_string(of_tracing("available_events"))?;
    let listed = events.contains("rust_tracepoint:rust_tracepoint_round\n");
    assert_eq!(Path::new(&of_event("format")).exists(), listed);
    Ok(listed)
}

fn shows_what_it_costs(vm: &mut Vm) -> Result {
    for (given, count) in [
        ("", 1000),
        ("rounds=0", 0),
        ("rounds=4294967295", 1_000_000),
    ] {
        let module = vm.load_with("rust_tracepoint", given)?;
        let text = fs::read_to_string(PATH)?;
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(&*format!("{count} rounds")));
        for name in ["nothing", "a flag", "a static key", "a tracepoint"] {
            let line = lines.next().with_context(|| text.clone())?;
            let nanos = line
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(": ")?.strip_suffix(" ns"));
            let nanos: i64 = nanos.with_context(|| text.clone())?.parse()?;
            assert!(nanos >= 0, "{text}");
        }
        assert_eq!(lines.next(), None);
        module.unload()?;
    }
    let module = vm.load("rust_tracepoint")?;
    fs::write("/sys/module/rust_tracepoint/parameters/rounds", "7")?;
    assert!(fs::read_to_string(PATH)?.starts_with("7 rounds\n"));
    assert_eq!(module.param("rounds")?, "7");
    Ok(())
}

/// In the table of places where the kernel writes a jump over what does nothing: one of the
/// module's own key, and one of the tracepoint. Other code of the kernel's has some there, too.
fn branches_are_in_the_code(_vm: &mut Vm) -> Result {
    // Two addresses of code, and that of the key.
    const ENTRY: u64 = 16;
    const KEY: u64 = 8;
    let elf = fs::read(module_file("rust_tracepoint"))?;
    let file = ElfFile64::<object::LittleEndian>::parse(&*elf)?;
    let table = file.section_by_name("__jump_table");
    let mut keys = Vec::new();
    for (place, relocation) in table.context("no branches")?.relocations() {
        match relocation.target() {
            RelocationTarget::Symbol(symbol) if place % ENTRY == KEY => {
                keys.push(file.symbol_by_index(symbol)?.name()?);
            }
            _ => {}
        }
    }
    assert!(
        keys.contains(&"__tracepoint_rust_tracepoint_round"),
        "{keys:?}"
    );
    // The compiler names only the section of what nobody else can see.
    assert!(
        keys.iter().any(|key| !key.starts_with("__tracepoint_")),
        "{keys:?}"
    );
    Ok(())
}

fn says_what_an_event_has(vm: &mut Vm) -> Result {
    assert!(!is_there()?);
    let module = load(vm, 1)?;
    assert!(is_there()?);
    let format = fs::read_to_string(of_event("format"))?;
    assert!(format.starts_with("name: rust_tracepoint_round\n"));
    for field in ["field:u32 number;", "field:u64 sum;"] {
        assert!(format.contains(field), "{format}");
    }
    let print = r#"print fmt: "number=%u sum=%llu", REC->number, REC->sum"#;
    assert!(format.contains(print), "{format}");
    module.unload()?;
    assert!(!is_there()?);
    assert!(!Path::new(TRACING).join("events/rust_tracepoint").exists());
    Ok(())
}

fn events_are_off_at_first(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = load(vm, 10)?;
        assert_eq!(fs::read_to_string(of_event("enable"))?, "0\n");
        happen()?;
        assert_eq!(traced()?, []);
        // Nor is it on the next time.
        switch(true)?;
        module.unload()?;
    }
    Ok(())
}

fn events_are_traced(vm: &mut Vm) -> Result {
    let _module = load(vm, 10)?;
    switch(true)?;
    assert_eq!(fs::read_to_string(of_event("enable"))?, "1\n");
    happen()?;
    assert_eq!(traced()?, rounds(10));
    // With the number of the thread that made it happen.
    let text = fs::read_to_string(of_tracing("trace"))?;
    let line = text.lines().find(|line| line.contains("number=9 sum=45"));
    let thread = format!("-{} ", gettid().as_raw_nonzero());
    assert!(line.is_some_and(|line| line.contains(&thread)), "{text}");
    switch(false)?;
    happen()?;
    assert_eq!(traced()?, rounds(10));
    clear()?;
    assert_eq!(traced()?, []);
    switch(true)?;
    happen()?;
    assert_eq!(traced()?, rounds(10));
    switch(false)?;
    Ok(())
}

fn events_can_be_filtered(vm: &mut Vm) -> Result {
    let _module = load(vm, 10)?;
    fs::write(of_event("filter"), "number >= 4 && sum < 28")?;
    switch(true)?;
    happen()?;
    assert_eq!(traced()?, rounds(7)[4..]);
    let error = error_of(fs::write(of_event("filter"), "count > 1"));
    assert_eq!(error, Some(Errno::INVAL));
    switch(false)?;
    Ok(())
}

/// Code is rewritten while it runs on another CPU. Of each read some rounds are traced.
fn switched_while_they_happen(vm: &mut Vm) -> Result {
    let _module = load(vm, 100)?;
    let reads = vm.fewer(100);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..reads).try_for_each(|_| happen())))
            .collect();
        let mut on = false;
        while !readers.iter().all(|reader| reader.is_finished()) {
            on = !on;
            switch(on)?;
        }
        for reader in readers {
            reader.join().unwrap()?;
        }
        anyhow::Ok(())
    })?;
    switch(false)?;
    let all = rounds(100);
    for event in traced()? {
        assert!(all.contains(&event), "{event:?}");
    }
    clear()?;
    switch(true)?;
    happen()?;
    assert_eq!(traced()?, all);
    switch(false)?;
    Ok(())
}

/// What was traced is printed by code of the module, and is gone with it.
fn unloading_while_it_is_on(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, 10)?;
        switch(true)?;
        happen()?;
        assert_eq!(traced()?.len(), 10);
        module.unload()?;
        assert!(!is_there()?);
        assert_eq!(traced()?, []);
        Ok(())
    })
}

fn unloading_while_somebody_reads(vm: &mut Vm) -> Result {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| -> Result {
            let mut pipe = OpenOptions::new()
                .read(true)
                .custom_flags(OFlags::NONBLOCK.bits() as i32)
                .open(of_tracing("trace_pipe"))?;
            while !stop.load(SeqCst) {
                traced()?;
                // There may be nothing to read.
                let _ = pipe.read(&mut [0; 4096]);
            }
            Ok(())
        });
        let result = (0..vm.fewer(50)).try_for_each(|_| {
            let module = load(vm, 100)?;
            switch(true)?;
            happen()?;
            module.unload()
        });
        stop.store(true, SeqCst);
        reader.join().unwrap()?;
        result
    })
}

fn open_files_outlive_the_module(vm: &mut Vm) -> Result {
    let module = load(vm, 10)?;
    switch(true)?;
    let mut files = Vec::new();
    for file in ["enable", "format", "filter", "id"] {
        files.push((file, File::open(of_event(file))?));
    }
    let mut pipe = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(of_tracing("trace_pipe"))?;
    happen()?;
    let mut text = [0; 4096];
    let read = pipe.read(&mut text)?;
    assert!(String::from_utf8_lossy(&text[..read]).contains("number=0 sum=0"));
    module.unload()?;
    for (name, mut file) in files {
        let result = file.read(&mut [0; 64]);
        if ["enable", "format", "filter"].contains(&name) {
            assert_eq!(error_of(result), Some(Errno::NODEV), "{name}");
        }
    }
    let _ = pipe.read(&mut text);
    drop(pipe);
    // All goes on with another one.
    let _module = load(vm, 10)?;
    switch(true)?;
    happen()?;
    assert_eq!(traced()?, rounds(10));
    switch(false)?;
    Ok(())
}
