// SPDX-License-Identifier: GPL-2.0-only

//! Other forms of the interface, as if the modules had been built at different times.

use kernel::prelude::*;

/// The number of forms.
pub(crate) const FORMS: u32 = 5;

/// Calls the other module by one of the forms, from 1 to [`FORMS`].
pub(crate) fn call(form: u32) -> Result {
    match form {
        1 => fewer::call(),
        2 => other_type::call(),
        3 => other_order::call(),
        4 => other_name::call(),
        _ => other_guest::call(),
    }
}

/// What the calls have in common: neither a check nor a call gets through.
macro_rules! call {
    ($hall:ident, $call:expr) => {
        pub(super) fn call() -> Result {
            let checked = $hall.check();
            let called = $call.map(drop);
            match checked == called {
                true => checked,
                false => Err(EIO),
            }
        }
    };
}

/// A method is missing.
mod fewer {
    use kernel::prelude::*;

    lkm::interface! {
        trait Hall {
            fn nothing(&self) -> Result<()>;
            fn small(&self, a: i8, b: u8, c: i16, d: u16) -> Result<i32>;
        }
    }

    lkm::import! {
        static HALL: dyn Hall = interfaces_hall;
    }

    call!(HALL, HALL.nothing());
}

/// The same but for one type.
mod other_type {
    use crate::api::Guest;
    use kernel::prelude::*;
    use lkm::interface::Remote;

    lkm::interface! {
        trait Hall {
            fn nothing(&self) -> Result<()>;
            fn small(&self, a: i8, b: u8, c: i16, d: u16) -> Result<i32>;
            fn big(&self, a: i32, b: u32, c: i64, d: u64, e: isize, f: usize) -> Result<i64>;
            fn not(&self, value: bool) -> Result<bool>;
            fn len(&self, bytes: &[u8]) -> Result<usize>;
            fn reverse(&self, bytes: &[u8]) -> Result<()>;
            fn fail(&self, errno: i32) -> Result<u8>;
            fn enter(&self, guest: Remote<dyn Guest>) -> Result<()>;
            fn guest(&self) -> Result<Remote<dyn Guest>>;
        }
    }

    lkm::import! {
        static HALL: dyn Hall = interfaces_hall;
    }

    call!(HALL, HALL.nothing());
}

/// Two methods have changed places.
mod other_order {
    use crate::api::Guest;
    use kernel::prelude::*;
    use lkm::interface::Remote;

    lkm::interface! {
        trait Hall {
            fn nothing(&self) -> Result<()>;
            fn small(&self, a: i8, b: u8, c: i16, d: u16) -> Result<i32>;
            fn big(&self, a: i32, b: u32, c: i64, d: u64, e: isize, f: usize) -> Result<i64>;
            fn len(&self, bytes: &[u8]) -> Result<usize>;
            fn not(&self, value: bool) -> Result<bool>;
            fn reverse(&self, bytes: &mut [u8]) -> Result<()>;
            fn fail(&self, errno: i32) -> Result<u8>;
            fn enter(&self, guest: Remote<dyn Guest>) -> Result<()>;
            fn guest(&self) -> Result<Remote<dyn Guest>>;
        }
    }

    lkm::import! {
        static HALL: dyn Hall = interfaces_hall;
    }

    call!(HALL, HALL.not(true));
}

/// A method is called otherwise.
mod other_name {
    use crate::api::Guest;
    use kernel::prelude::*;
    use lkm::interface::Remote;

    lkm::interface! {
        trait Hall {
            fn anything(&self) -> Result<()>;
            fn small(&self, a: i8, b: u8, c: i16, d: u16) -> Result<i32>;
            fn big(&self, a: i32, b: u32, c: i64, d: u64, e: isize, f: usize) -> Result<i64>;
            fn not(&self, value: bool) -> Result<bool>;
            fn len(&self, bytes: &[u8]) -> Result<usize>;
            fn reverse(&self, bytes: &mut [u8]) -> Result<()>;
            fn fail(&self, errno: i32) -> Result<u8>;
            fn enter(&self, guest: Remote<dyn Guest>) -> Result<()>;
            fn guest(&self) -> Result<Remote<dyn Guest>>;
        }
    }

    lkm::import! {
        static HALL: dyn Hall = interfaces_hall;
    }

    call!(HALL, HALL.anything());
}

/// All methods are the same, and so is the name of the guest's interface, but not what is
/// in that.
mod other_guest {
    use kernel::prelude::*;
    use lkm::interface::Remote;

    lkm::interface! {
        trait Guest {
            fn greet(&self, name: &str, text: &mut [u8]) -> Result<usize>;
        }
    }

    lkm::interface! {
        trait Hall {
            fn nothing(&self) -> Result<()>;
            fn small(&self, a: i8, b: u8, c: i16, d: u16) -> Result<i32>;
            fn big(&self, a: i32, b: u32, c: i64, d: u64, e: isize, f: usize) -> Result<i64>;
            fn not(&self, value: bool) -> Result<bool>;
            fn len(&self, bytes: &[u8]) -> Result<usize>;
            fn reverse(&self, bytes: &mut [u8]) -> Result<()>;
            fn fail(&self, errno: i32) -> Result<u8>;
            fn enter(&self, guest: Remote<dyn Guest>) -> Result<()>;
            fn guest(&self) -> Result<Remote<dyn Guest>>;
        }
    }

    lkm::import! {
        static HALL: dyn Hall = interfaces_hall;
    }

    call!(HALL, HALL.nothing());
}
