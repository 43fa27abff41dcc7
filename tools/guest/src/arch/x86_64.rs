// SPDX-License-Identifier: GPL-2.0-only

// The system calls by which a program can do one thing, for
// [`Waiter::begin_in`](crate::Waiter::begin_in).

/// Those of open(2).
pub const OPEN: &[libc::c_long] = &[libc::SYS_open, libc::SYS_openat];

/// Those of poll(2).
pub const POLL: &[libc::c_long] = &[libc::SYS_poll, libc::SYS_ppoll];

/// Those of epoll(7).
pub const EPOLL: &[libc::c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
];

/// An address of the kernel's: the beginning of memory as it sees it.
pub const KERNEL_ADDRESS: usize = 0xffff_8880_0000_0000;

/// Where a kernel that does not choose its own address has the code of modules: from the
/// first of these addresses up to the second. Its own code is elsewhere.
pub const MODULES: (u64, u64) = (0xffff_ffff_a000_0000, 0xffff_ffff_ff00_0000);

/// The numbers with which instructions in `code` seem to compare something, each once: those
/// of `cmp` before a jump, and of `add`, `sub` and `lea` before a comparison of what is left,
/// as for a jump table. Small ones are left out, and what an error number looks like.
pub fn compared(code: &[u8]) -> std::collections::BTreeSet<u32> {
    let mut found = std::collections::BTreeSet::new();
    for window in code.windows(8) {
        let number = |at: usize| {
            let bytes = [window[at], window[at + 1], window[at + 2], window[at + 3]];
            u32::from_le_bytes(bytes)
        };
        // What the next instruction is.
        let chooses = |at: usize| match window[at] {
            0x70..=0x7f => true,
            0x0f => matches!(window[at + 1], 0x40..=0x4f | 0x80..=0x9f),
            _ => false,
        };
        let compares = |at: usize| matches!(window[at], 0x3d | 0x81 | 0x83);
        let word = match window[..2] {
            // cmp, sub and add of EAX.
            [0x3d, _] if chooses(5) => number(1),
            [0x2d, _] if compares(5) => number(1),
            [0x05, _] if compares(5) => number(1).wrapping_neg(),
            // The same of another register.
            [0x81, 0xf8..=0xff] if chooses(6) => number(2),
            [0x81, 0xe8..=0xef] if compares(6) => number(2),
            [0x81, 0xc0..=0xc7] if compares(6) => number(2).wrapping_neg(),
            // lea with a displacement.
            [0x8d, 0x80..=0xbf] if compares(6) => number(2).wrapping_neg(),
            _ => continue,
        };
        if (0x100..0xffff_0000).contains(&word) {
            found.insert(word);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_is_found() {
        let code = [
            // cmp $0x80b1a783,%esi; je +5; cmp $0x6601,%eax; jne +0x100
            &[0x81_u8, 0xfe, 0x83, 0xa7, 0xb1, 0x80, 0x74, 0x05][..],
            &[0x3d, 0x01, 0x66, 0x00, 0x00, 0x0f, 0x85, 0x00, 0x01, 0x00, 0x00],
            // lea -0x6604(%rsi),%eax; cmp $3,%eax; ja +1
            &[0x8d, 0x86, 0xfc, 0x99, 0xff, 0xff, 0x83, 0xf8, 0x03, 0x77, 0x01],
            // cmp $5,%eax with four bytes; ret
            &[0x3d, 0x05, 0x00, 0x00, 0x00, 0x74, 0x01, 0xc3],
        ]
        .concat();
        let found: Vec<_> = compared(&code).into_iter().collect();
        assert_eq!(found, [0x6601, 0x6604, 0x80b1_a783]);
        assert!(compared(&[0x3d, 0x01]).is_empty());
    }
}
