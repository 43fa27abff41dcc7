// SPDX-License-Identifier: GPL-2.0-only

//! A tour of what Rust in the kernel learnt first: tables of functions, errors, C strings, shared
//! ownership, and cleaning up.
//!
//! Write-up: Linux 6.2 and 6.3

use kernel::{
    c_str,
    prelude::*,
    str::CString,
    types::ScopeGuard, //
};

mod ownership;
mod vtable;

module! {
    type: RustTour,
    name: "rust_tour",
    authors: ["lkmpg-rs"],
    description: "What Linux 6.1 to 6.3 brought to Rust",
    license: "GPL",
}

struct RustTour;

impl kernel::Module for RustTour {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        vtable::show();
        errors();
        strings()?;
        debugging();
        ownership::show()?;
        scopes();
        Ok(RustTour)
    }
}

/// An error is one of C's numbers, with a name; `?` hands it on.
fn errors() {
    fn half(number: u32) -> Result<u32> {
        if number % 2 == 0 {
            Ok(number / 2)
        } else {
            Err(EINVAL)
        }
    }
    fn quarter(number: u32) -> Result<u32> {
        half(half(number)?)
    }
    pr_info!("error: a quarter of 12 is {:?}\n", quarter(12));
    let refused = quarter(6) == Err(EINVAL);
    pr_info!("error: a quarter of 6 is EINVAL: {refused}\n");
    pr_info!("error: C calls that {}\n", EINVAL.to_errno());
}

/// A `CStr` ends with a zero and has none before; a `CString` owns such a text.
fn strings() -> Result {
    let name = c_str!("tour");
    pr_info!(
        "str: {name} has {} bytes, {} with the zero\n",
        name.to_bytes().len(),
        name.to_bytes_with_nul().len()
    );
    let owned = CString::try_from_fmt(fmt!("{name} no. {}", 1))?;
    pr_info!("str: {}\n", &*owned);
    let bytes: &[u8] = b"to\0ur\0";
    let refused = CStr::from_bytes_with_nul(bytes).is_err();
    pr_info!("str: a zero in the middle is an error: {refused}\n");
    Ok(())
}

/// `dbg!` prints an expression and where it is, and is its value.
#[allow(clippy::disallowed_macros)]
fn debugging() {
    let sum = dbg!(1 + 2) + 3;
    pr_info!("dbg: the sum is {sum}\n");
}

/// What a guard has to do is done however its scope is left.
fn scopes() {
    fn leave(early: bool) {
        let _guard = ScopeGuard::new(|| pr_info!("scope: cleaned up\n"));
        if early {
            pr_info!("scope: left early\n");
            return;
        }
        pr_info!("scope: left at the end\n");
    }
    leave(true);
    leave(false);
    let guard = ScopeGuard::new_with_data(42, |_| pr_info!("scope: never said\n"));
    pr_info!("scope: dismissed with {}\n", guard.dismiss());
}

impl Drop for RustTour {
    fn drop(&mut self) {
        pr_info!("the tour is over\n");
    }
}
