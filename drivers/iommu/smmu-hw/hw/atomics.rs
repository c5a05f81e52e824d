// SPDX-License-Identifier: GPL-2.0

//! Atomic accesses of devices. They need permission to read and to write.

use kernel::{
    prelude::*,
    sync::atomic::Full, //
};

use kernel_ext::phys::PhysWindow;

use super::{
    dma::{
        Attrs,
        DmaError,
        DmaErrorKind,
        DmaResult,
        Port, //
    },
    walk::Access, //
};

impl Port {
    /// Does `op` on the naturally aligned word of the size of `T` at `addr`.
    fn atomic<T: Default>(
        &self,
        ssid: Option<u32>,
        addr: u64,
        attrs: Attrs,
        mut op: impl FnMut(&PhysWindow<'_>) -> Result<T>,
    ) -> DmaResult<T> {
        let size = size_of::<T>();
        if addr % size as u64 != 0 {
            return Err(DmaError {
                kind: DmaErrorKind::Misaligned,
                addr,
            });
        }
        let access = Access {
            read: true,
            write: true,
            exec: false,
            privileged: attrs.privileged,
        };
        let mut old = T::default();
        self.access(ssid, addr, size, access, |memory, _| {
            if let Some(memory) = memory {
                old = op(memory)?;
            }
            Ok(())
        })?;
        self.count(|stats| stats.atomics += 1);
        Ok(old)
    }

    /// Adds to the naturally aligned 64-bit word at `addr`, atomically also towards the CPUs.
    /// Gives the old value.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn fetch_add64(
        &self,
        ssid: Option<u32>,
        addr: u64,
        add: u64,
        attrs: Attrs,
    ) -> DmaResult<u64> {
        self.atomic(ssid, addr, attrs, |memory| {
            Ok(memory.atomic64(0)?.fetch_add(add, Full))
        })
    }

    /// As [`Self::fetch_add64`], for 32 bits.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn fetch_add32(
        &self,
        ssid: Option<u32>,
        addr: u64,
        add: u32,
        attrs: Attrs,
    ) -> DmaResult<u32> {
        self.atomic(ssid, addr, attrs, |memory| {
            Ok(memory.atomic32(0)?.fetch_add(add, Full))
        })
    }

    /// Replaces the naturally aligned 64-bit word at `addr` by `new` if it is `old`, atomically
    /// also towards the CPUs. Gives what was there.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn compare_exchange64(
        &self,
        ssid: Option<u32>,
        addr: u64,
        old: u64,
        new: u64,
        attrs: Attrs,
    ) -> DmaResult<u64> {
        self.atomic(ssid, addr, attrs, |memory| {
            let was = memory.atomic64(0)?.cmpxchg(old, new, Full);
            Ok(was.unwrap_or_else(|other| other))
        })
    }

    /// As [`Self::compare_exchange64`], for 32 bits.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn compare_exchange32(
        &self,
        ssid: Option<u32>,
        addr: u64,
        old: u32,
        new: u32,
        attrs: Attrs,
    ) -> DmaResult<u32> {
        self.atomic(ssid, addr, attrs, |memory| {
            let was = memory.atomic32(0)?.cmpxchg(old, new, Full);
            Ok(was.unwrap_or_else(|other| other))
        })
    }

    /// Replaces the naturally aligned 64-bit word at `addr` by `new`, atomically also towards the CPUs.
    /// Gives the old value.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn swap64(&self, ssid: Option<u32>, addr: u64, new: u64, attrs: Attrs) -> DmaResult<u64> {
        self.atomic(ssid, addr, attrs, |memory| {
            Ok(memory.atomic64(0)?.xchg(new, Full))
        })
    }

    /// As [`Self::swap64`], for 32 bits.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn swap32(&self, ssid: Option<u32>, addr: u64, new: u32, attrs: Attrs) -> DmaResult<u32> {
        self.atomic(ssid, addr, attrs, |memory| {
            Ok(memory.atomic32(0)?.xchg(new, Full))
        })
    }
}
