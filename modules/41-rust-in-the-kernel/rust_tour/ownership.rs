// SPDX-License-Identifier: GPL-2.0-only

//! Owners: one, several, and C.

use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        UniqueArc, //
    },
    xarray::{
        AllocKind,
        XArray, //
    },
};

/// Says when it goes.
struct Guide(&'static str);

impl Drop for Guide {
    fn drop(&mut self) {
        pr_info!("{}: gone\n", self.0);
    }
}

pub(crate) fn show() -> Result {
    shared()?;
    foreign()
}

/// An `Arc` has several owners, an `ArcBorrow` is lent by one of them, and a
/// `UniqueArc` has one owner, who may still change it.
fn shared() -> Result {
    let mut unique = UniqueArc::new(Guide("nobody"), GFP_KERNEL)?;
    unique.0 = "arc";

    let first: Arc<Guide> = unique.into();
    let second = first.clone();
    pr_info!("arc: the same: {}\n", Arc::ptr_eq(&first, &second));

    drop(first);
    pr_info!("arc: one owner has left\n");
    let third = keep(second.as_arc_borrow());
    drop(second);
    pr_info!("arc: another has left\n");
    drop(third);
    pr_info!("arc: the last has left\n");
    Ok(())
}

/// Who is lent something can become an owner.
fn keep(guide: ArcBorrow<'_, Guide>) -> Arc<Guide> {
    pr_info!("arc: {} is lent\n", guide.0);
    guide.into()
}

/// A `ForeignOwnable` can be handed to C as a pointer and come back. Here C is
/// the array: it keeps pointers, and knows no types.
fn foreign() -> Result {
    let array = KBox::pin_init(XArray::new(AllocKind::Alloc), GFP_KERNEL)?;
    let guide = KBox::new(Guide("foreign"), GFP_KERNEL)?;
    let other = KBox::new(Guide("other"), GFP_KERNEL)?;

    let mut guides = array.lock();
    guides.store(1, guide, GFP_KERNEL)?;
    guides.store(2, other, GFP_KERNEL)?;
    if let Some(guide) = guides.get(1) {
        pr_info!("foreign: {} is in the array\n", guide.0);
    }
    let back = guides.remove(1);
    drop(guides);
    pr_info!("foreign: it came back: {}\n", back.is_some());
    drop(back);

    // What is still in the array goes with it.
    drop(array);
    pr_info!("foreign: the array is gone\n");
    Ok(())
}
