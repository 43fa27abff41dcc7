// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        functions_can_be_left_out,
        errors_have_numbers,
        strings_end_with_a_zero,
        dbg_says_where_and_what,
        the_last_owner_drops,
        what_c_had_comes_back,
        scopes_are_cleaned_up,
    ],
    ..Example::EMPTY
};

/// What the module says in the part called `part`, from load to unload.
fn said(vm: &mut Vm, part: &str) -> Result<Vec<String>> {
    vm.load("rust_tour")?.unload()?;
    vm.log().texts(&format!("rust_tour: {part}"))
}

fn functions_can_be_left_out(vm: &mut Vm) -> Result {
    let expected = ["full squares 7 to 49", "sparse has no square"];
    assert_eq!(said(vm, "vtable")?, expected);
    let said = vm.log().said("rust_tour")?;
    assert!(said.iter().all(|line| line.level == 6), "{said:?}");
    Ok(())
}

fn errors_have_numbers(vm: &mut Vm) -> Result {
    let expected = [
        "a quarter of 12 is Ok(3)",
        "a quarter of 6 is EINVAL: true",
        "C calls that -22",
    ];
    assert_eq!(said(vm, "error")?, expected);
    Ok(())
}

fn strings_end_with_a_zero(vm: &mut Vm) -> Result {
    let expected = [
        "tour has 4 bytes, 5 with the zero",
        "tour no. 1",
        "a zero in the middle is an error: true",
    ];
    assert_eq!(said(vm, "str")?, expected);
    Ok(())
}

fn dbg_says_where_and_what(vm: &mut Vm) -> Result {
    assert_eq!(said(vm, "dbg")?, ["the sum is 6"]);
    let line = vm.log().expect("rust_tour.rs:")?;
    assert!(line.ends_with("] 1 + 2 = 3"), "{line}");
    Ok(())
}

fn the_last_owner_drops(vm: &mut Vm) -> Result {
    let expected = [
        "the same: true",
        "one owner has left",
        "arc is lent",
        "another has left",
        "gone",
        "the last has left",
    ];
    assert_eq!(said(vm, "arc")?, expected);
    Ok(())
}

fn what_c_had_comes_back(vm: &mut Vm) -> Result {
    let expected = [
        "foreign is in the array",
        "it came back: true",
        "gone",
        "the array is gone",
    ];
    assert_eq!(said(vm, "foreign")?, expected);
    // The other one stayed in the array, and went with it.
    let lines = vm.log().said("rust_tour")?;
    let other = lines.iter().position(|line| line.text == "other: gone");
    let next = &lines[other.unwrap() + 1];
    assert_eq!(next.text, "foreign: the array is gone");
    Ok(())
}

fn scopes_are_cleaned_up(vm: &mut Vm) -> Result {
    let expected = [
        "left early",
        "cleaned up",
        "left at the end",
        "cleaned up",
        "dismissed with 42",
    ];
    assert_eq!(said(vm, "scope")?, expected);
    vm.log().expect("rust_tour: the tour is over")?;
    Ok(())
}
