// SPDX-License-Identifier: GPL-2.0

//! Queue pointers: an index, a wrap bit above it, and for output queues an overflow flag.
//!
//! Both pointers of a queue have this form. The queue is empty when index and wrap bit are equal,
//! full when only the wrap bits differ. `OVFLG` in the producer's pointer toggles when the
//! hardware loses an entry; software acknowledges by copying it into the consumer's pointer.
//! (SMMUv3, 3.5.)

/// The overflow flag, `OVFLG` in PROD and `OVACKFLG` in CONS.
pub const OVERFLOW_FLAG: u32 = 1 << 31;

/// The geometry of a queue: how many entries, how large each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// log2 of the number of entries, at most 19.
    pub log2size: u8,
    /// Bytes of one entry.
    pub entry_size: usize,
}

impl Layout {
    /// The number of entries.
    pub const fn entries(self) -> u32 {
        1 << self.log2size
    }

    /// The queue's size in bytes.
    pub const fn bytes(self) -> usize {
        self.entry_size << self.log2size
    }

    /// The index that a pointer names.
    pub const fn index(self, pointer: u32) -> u32 {
        pointer & (self.entries() - 1)
    }

    /// Byte offset from the queue's base of the entry that a pointer names.
    pub const fn offset(self, pointer: u32) -> usize {
        self.index(pointer) as usize * self.entry_size
    }

    /// Index and wrap bit: the pointer without its overflow flag or other high bits.
    pub const fn position(self, pointer: u32) -> u32 {
        pointer & (2 * self.entries() - 1)
    }

    /// Whether nothing is queued.
    pub const fn is_empty(self, prod: u32, cons: u32) -> bool {
        self.position(prod) == self.position(cons)
    }

    /// Whether no entry is free.
    pub const fn is_full(self, prod: u32, cons: u32) -> bool {
        self.position(prod) ^ self.position(cons) == self.entries()
    }

    /// Number of queued entries; more than [`Self::entries`] if the pointers are inconsistent.
    pub const fn queued(self, prod: u32, cons: u32) -> u32 {
        self.position(self.position(prod).wrapping_sub(self.position(cons)))
    }

    /// Number of free entries; none if the pointers are inconsistent.
    pub const fn space(self, prod: u32, cons: u32) -> u32 {
        self.entries().saturating_sub(self.queued(prod, cons))
    }

    /// The pointer `n` entries on; the overflow flag stays.
    pub const fn advance(self, pointer: u32, n: u32) -> u32 {
        self.position(pointer.wrapping_add(n)) | (pointer & OVERFLOW_FLAG)
    }
}

/// Whether the hardware has lost entries that software has not acknowledged.
pub const fn overflowed(prod: u32, cons: u32) -> bool {
    (prod ^ cons) & OVERFLOW_FLAG != 0
}

/// The consumer's pointer that acknowledges an overflow: its own position, the producer's flag.
pub const fn acknowledge(prod: u32, cons: u32) -> u32 {
    (cons & !OVERFLOW_FLAG) | (prod & OVERFLOW_FLAG)
}

#[kernel::prelude::kunit_tests(smmu_fmt_queue)]
mod tests {
    use super::*;

    const Q: Layout = Layout {
        log2size: 2,
        entry_size: 16,
    };

    #[test]
    fn empty_and_full() {
        assert!(Q.is_empty(0, 0));
        assert!(!Q.is_full(0, 0));
        assert!(Q.is_full(4, 0));
        assert!(!Q.is_empty(4, 0));
        assert!(Q.is_full(1, 5));
        assert!(Q.is_empty(7, 7));
    }

    #[test]
    fn index_wraps() {
        assert_eq!(Q.advance(3, 1), 4);
        assert_eq!(Q.index(4), 0);
        assert_eq!(Q.advance(7, 1), 0);
        assert_eq!(Q.advance(6, 4), 2);
        assert_eq!(Q.offset(7), 48);
    }

    #[test]
    fn counts() {
        assert_eq!(Q.queued(1, 6), 3);
        assert_eq!(Q.space(1, 6), 1);
        assert_eq!(Q.space(4, 0), 0);
        assert_eq!(Q.queued(0, 0), 0);
        // Inconsistent pointers offer no space.
        assert_eq!(Q.space(6, 0), 0);
    }

    #[test]
    fn overflow_flag() {
        assert!(overflowed(OVERFLOW_FLAG | 3, 3));
        assert!(!overflowed(OVERFLOW_FLAG, OVERFLOW_FLAG | 2));
        assert_eq!(Q.advance(OVERFLOW_FLAG | 7, 1), OVERFLOW_FLAG);
        assert!(Q.is_empty(OVERFLOW_FLAG | 5, 5));
        assert_eq!(acknowledge(OVERFLOW_FLAG | 1, 2), OVERFLOW_FLAG | 2);
        assert_eq!(acknowledge(1, OVERFLOW_FLAG | 2), 2);
    }

    #[test]
    fn single_entry() {
        let one = Layout {
            log2size: 0,
            entry_size: 32,
        };
        assert!(one.is_empty(1, 1));
        assert!(one.is_full(1, 0));
        assert_eq!(one.advance(1, 1), 0);
        assert_eq!(one.bytes(), 32);
    }

    #[test]
    fn largest() {
        let q = Layout {
            log2size: 19,
            entry_size: 16,
        };
        assert_eq!(q.advance(0xf_ffff, 1), 0);
        assert!(q.is_full(0x8_0000, 0));
        assert_eq!(q.bytes(), 8 << 20);
    }
}
