// SPDX-License-Identifier: GPL-2.0

//! The formats of SMMUv3: registers, tables in memory and queue entries.
//!
//! Both halves of the mock speak through these and share nothing else. Every type here is plain
//! bits: no behaviour, no memory access. Bit positions are those of the Arm SMMU architecture
//! specification (IHI 0070), chapters 4 (commands), 5 (structures), 6 (registers), 7 (events) and
//! 8 (page requests).

pub mod cd;
pub mod cmd;
pub mod event;
pub mod ppr;
pub mod queue;
pub mod regs;
pub mod ste;

/// A value that a field of a format can hold.
pub trait FieldValue: Copy {
    /// Takes the value out of the low bits of `bits`.
    fn from_bits(bits: u64) -> Self;
    /// Gives the value as low bits.
    fn into_bits(self) -> u64;
}

impl FieldValue for bool {
    #[inline]
    fn from_bits(bits: u64) -> Self {
        bits != 0
    }

    #[inline]
    fn into_bits(self) -> u64 {
        u64::from(self)
    }
}

macro_rules! integer_field_value {
    ($($t:ty)*) => {$(
        impl FieldValue for $t {
            #[inline]
            fn from_bits(bits: u64) -> Self {
                bits as $t
            }

            #[inline]
            fn into_bits(self) -> u64 {
                self.into()
            }
        }
    )*};
}
integer_field_value!(u8 u16 u32 u64);

/// The bits `hi..=lo` of a 64-bit word, set.
pub const fn mask(hi: u32, lo: u32) -> u64 {
    (u64::MAX >> (63 - (hi - lo))) << lo
}

/// Replaces the bits `hi..=lo` of `word`; bits of `value` that do not fit are a bug of the caller.
#[inline]
const fn put(word: u64, hi: u32, lo: u32, value: u64) -> u64 {
    debug_assert!(value & !(mask(hi, lo) >> lo) == 0);
    (word & !mask(hi, lo)) | ((value << lo) & mask(hi, lo))
}

/// Declares a format of one or more words with named fields.
///
/// A field is `word hi:lo name: type;`, where `word` is the index of the word (left out for a
/// format of one word). It gives a getter `name()` and a builder `with_name(value)`. The pseudo
/// type `addr` is a field whose bits stand at their own place, as in an address: it is read and
/// written as a `u64` without a shift, and the builder drops the bits outside the field.
macro_rules! record {
    (
        $(#[$attr:meta])*
        pub struct $name:ident($word:ident) { $($fields:tt)* }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name([$word; 1]);

        impl $name {
            /// Takes raw bits.
            #[inline]
            pub const fn from_raw(raw: $word) -> Self {
                Self([raw])
            }

            /// Gives the raw bits.
            #[inline]
            pub const fn raw(self) -> $word {
                self.0[0]
            }

            $crate::fmt::record!(@one $word $($fields)*);
        }
    };

    (
        $(#[$attr:meta])*
        pub struct $name:ident([$word:ident; $n:literal]) { $($fields:tt)* }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name([$word; $n]);

        impl $name {
            /// The number of words.
            pub const WORDS: usize = $n;
            /// The size in memory, in bytes.
            pub const SIZE: usize = $n * ::core::mem::size_of::<$word>();

            /// Takes raw words.
            #[inline]
            pub const fn from_words(words: [$word; $n]) -> Self {
                Self(words)
            }

            /// Gives the raw words.
            #[inline]
            pub const fn words(&self) -> [$word; $n] {
                self.0
            }

            $crate::fmt::record!(@many $word $($fields)*);
            $crate::fmt::record!(@each () $($fields)*);
        }
    };

    (@each ($(($f:ident, $t:ident))*)) => {
        /// Every field with its name, in the order of declaration, for printing.
        pub fn each(&self, mut f: impl FnMut(&'static str, u64)) {
            $(f(stringify!($f), $crate::fmt::record!(@bits self $f $t));)*
        }
    };
    (@each ($($done:tt)*) $(#[$attr:meta])* $i:literal $hi:literal:$lo:literal $f:ident: $t:ident;
        $($rest:tt)*) => {
        $crate::fmt::record!(@each ($($done)* ($f, $t)) $($rest)*);
    };
    (@bits $self:ident $f:ident addr) => { $self.$f() };
    (@bits $self:ident $f:ident $t:ident) => {
        $crate::fmt::FieldValue::into_bits($self.$f())
    };

    (@one $word:ident) => {};
    (@one $word:ident $(#[$attr:meta])* $hi:literal:$lo:literal $f:ident: $t:ident;
        $($rest:tt)*) => {
        $crate::fmt::record!(@field $word $(#[$attr])* 0 $hi $lo $f $t);
        $crate::fmt::record!(@one $word $($rest)*);
    };

    (@many $word:ident) => {};
    (@many $word:ident $(#[$attr:meta])* $i:literal $hi:literal:$lo:literal $f:ident: $t:ident;
        $($rest:tt)*) => {
        $crate::fmt::record!(@field $word $(#[$attr])* $i $hi $lo $f $t);
        $crate::fmt::record!(@many $word $($rest)*);
    };

    (@field $word:ident $(#[$attr:meta])* $i:literal $hi:literal $lo:literal $f:ident addr) => {
        $(#[$attr])*
        #[inline]
        pub fn $f(&self) -> u64 {
            $crate::fmt::FieldValue::into_bits(self.0[$i]) & $crate::fmt::mask($hi, $lo)
        }

        ::kernel::macros::paste! {
            $(#[$attr])*
            #[inline]
            #[must_use]
            pub fn [<with_ $f>](mut self, value: u64) -> Self {
                let word = $crate::fmt::FieldValue::into_bits(self.0[$i]);
                let mask = $crate::fmt::mask($hi, $lo);
                self.0[$i] = $crate::fmt::FieldValue::from_bits((word & !mask) | (value & mask));
                self
            }
        }
    };
    (@field $word:ident $(#[$attr:meta])* $i:literal $hi:literal $lo:literal $f:ident $t:ident) => {
        $(#[$attr])*
        #[inline]
        pub fn $f(&self) -> $t {
            let word = $crate::fmt::FieldValue::into_bits(self.0[$i]);
            $crate::fmt::FieldValue::from_bits((word & $crate::fmt::mask($hi, $lo)) >> $lo)
        }

        ::kernel::macros::paste! {
            $(#[$attr])*
            #[inline]
            #[must_use]
            pub fn [<with_ $f>](mut self, value: $t) -> Self {
                let word = $crate::fmt::FieldValue::into_bits(self.0[$i]);
                let bits = $crate::fmt::FieldValue::into_bits(value);
                self.0[$i] =
                    $crate::fmt::FieldValue::from_bits($crate::fmt::put(word, $hi, $lo, bits));
                self
            }
        }
    };
}
pub(crate) use record;
