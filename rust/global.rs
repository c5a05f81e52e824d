// SPDX-License-Identifier: GPL-2.0

//! A static place for what a module makes when it starts.

use core::{marker::PhantomData, ops::Deref};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{ordering, Atomic},
        rcu, Arc, ArcBorrow,
    },
};

/// A static slot for an [`Arc`], filled while the module that owns it runs.
///
/// # Invariants
///
/// `ptr` is null, or comes from `Arc::<T>::into_raw` of a reference that the slot's [`Installed`]
/// owns until a grace period after `ptr` was cleared.
pub struct Global<T: Send + Sync + 'static> {
    ptr: Atomic<usize>,
    _owner: PhantomData<Arc<T>>,
}

// SAFETY: The pointer is only followed under RCU, to a `T` that may be shared.
unsafe impl<T: Send + Sync> Sync for Global<T> {}

impl<T: Send + Sync> Global<T> {
    /// An empty slot.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        // INVARIANT: Null.
        Self {
            ptr: Atomic::new(0),
            _owner: PhantomData,
        }
    }

    /// Fills the slot, until the result is dropped.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is filled.
    pub fn install(&'static self, value: Arc<T>) -> Result<Installed<T>> {
        let raw = value.clone().into_raw();

        // INVARIANT: On success `Installed` owns this reference.
        match self.ptr.cmpxchg(0, raw.expose_provenance(), ordering::Full) {
            Ok(_) => Ok(Installed { slot: self, value }),
            Err(_) => {
                // SAFETY: The reference was made above, and nobody has seen it.
                drop(unsafe { Arc::from_raw(raw) });
                Err(EBUSY)
            }
        }
    }

    /// What is in the slot. Any context.
    pub fn get(&self) -> Option<Arc<T>> {
        let _rcu = rcu::read_lock();
        let raw = core::ptr::with_exposed_provenance::<T>(self.ptr.load(ordering::Acquire));

        if raw.is_null() {
            return None;
        }
        // SAFETY: By the type invariants the slot's reference is not dropped before a grace
        // period has passed, so the object lives while we count a reference of our own.
        Some(unsafe { ArcBorrow::from_raw(raw) }.into())
    }
}

/// Keeps a [`Global`] filled; empties it when dropped. Dropping may sleep.
pub struct Installed<T: Send + Sync + 'static> {
    slot: &'static Global<T>,
    value: Arc<T>,
}

impl<T: Send + Sync> Deref for Installed<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.value
    }
}

impl<T: Send + Sync> Drop for Installed<T> {
    fn drop(&mut self) {
        let raw = core::ptr::with_exposed_provenance::<T>(self.slot.ptr.xchg(0, ordering::Full));

        // SAFETY: May be called by any task that may sleep.
        unsafe { bindings::synchronize_rcu() };
        // SAFETY: `install` put this reference there, and no reader is left that only has the
        // pointer.
        drop(unsafe { Arc::from_raw(raw) });
    }
}
