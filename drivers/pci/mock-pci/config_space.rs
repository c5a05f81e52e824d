// SPDX-License-Identifier: GPL-2.0

//! Registers in configuration space, of which software can change some bits.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Bytes that may be other than 0.
pub(crate) const SIZE: usize = 0x200;

/// What the registers are at first.
pub(crate) struct Image {
    words: [u32; SIZE / 4],
    writable: [u32; SIZE / 4],
}

impl Image {
    /// All 0, and nothing can be changed.
    pub(crate) fn new() -> Self {
        Self {
            words: [0; SIZE / 4],
            writable: [0; SIZE / 4],
        }
    }

    /// The word at `offset` is `value`, and software can change the bits of `writable`.
    pub(crate) fn set(&mut self, offset: usize, value: u32, writable: u32) {
        self.words[offset / 4] = value;
        self.writable[offset / 4] = writable;
    }
}

/// The registers. Any context; accesses by the kernel come one after the other.
pub(crate) struct ConfigSpace {
    words: [Atomic<u32>; SIZE / 4],
    writable: [Atomic<u32>; SIZE / 4],
}

/// The part of a word that an access of `size` bytes at `offset` means: its first bit, and its mask.
fn part(offset: usize, size: usize) -> (usize, u32) {
    let shift = 8 * (offset % 4);
    let mask = match size {
        1 => 0xff,
        2 => 0xffff,
        _ => u32::MAX,
    };

    (shift, mask)
}

impl ConfigSpace {
    /// Registers that are all 0.
    pub(crate) fn new() -> Self {
        Self {
            words: [const { Atomic::new(0) }; SIZE / 4],
            writable: [const { Atomic::new(0) }; SIZE / 4],
        }
    }

    /// Begins anew with `image`.
    pub(crate) fn load(&self, image: &Image) {
        for (to, from) in self.words.iter().zip(&image.words) {
            to.store(*from, Relaxed);
        }
        for (to, from) in self.writable.iter().zip(&image.writable) {
            to.store(*from, Relaxed);
        }
    }

    /// Reads `size` bytes at `offset`, aligned to that.
    pub(crate) fn read(&self, offset: usize, size: usize) -> u32 {
        let (shift, mask) = part(offset, size);
        let word = self.words.get(offset / 4);

        word.map_or(0, |word| (word.load(Relaxed) >> shift) & mask)
    }

    /// Changes the bits of `size` bytes at `offset` that can be changed.
    pub(crate) fn write(&self, offset: usize, size: usize, value: u32) {
        let (shift, mask) = part(offset, size);
        let at = offset / 4;
        let (Some(word), Some(writable)) = (self.words.get(at), self.writable.get(at)) else {
            return;
        };
        let mask = (mask << shift) & writable.load(Relaxed);

        word.store(
            (word.load(Relaxed) & !mask) | ((value << shift) & mask),
            Relaxed,
        );
    }

    /// Sets or clears `bits` of the word at `offset`, as the device itself does.
    pub(crate) fn set_bits(&self, offset: usize, bits: u32, on: bool) {
        let word = &self.words[offset / 4];
        let others = word.load(Relaxed) & !bits;

        word.store(others | if on { bits } else { 0 }, Relaxed);
    }
}

#[kunit_tests(mock_pci_config_space)]
mod tests {
    use super::*;

    fn one() -> Result<KBox<ConfigSpace>> {
        let mut image = Image::new();
        image.set(0x10, 0x1122_3344, 0x00ff_ff00);
        let space = KBox::new(ConfigSpace::new(), GFP_KERNEL)?;
        space.load(&image);
        Ok(space)
    }

    #[test]
    fn parts_of_words() -> Result {
        let space = one()?;
        assert_eq!(space.read(0x10, 4), 0x1122_3344);
        assert_eq!(space.read(0x12, 2), 0x1122);
        assert_eq!(space.read(0x11, 1), 0x33);
        // Beyond of what there is.
        assert_eq!(space.read(0xffc, 4), 0);
        Ok(())
    }

    #[test]
    fn what_cannot_be_changed_stays() -> Result {
        let space = one()?;
        space.write(0x10, 4, u32::MAX);
        assert_eq!(space.read(0x10, 4), 0x11ff_ff44);
        space.write(0x12, 1, 0);
        assert_eq!(space.read(0x10, 4), 0x1100_ff44);
        space.write(0x12, 2, 0x9955);
        assert_eq!(space.read(0x10, 4), 0x1155_ff44);
        space.write(0xffc, 4, 1);
        Ok(())
    }
}
