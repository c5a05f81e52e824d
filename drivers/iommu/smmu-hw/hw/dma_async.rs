// SPDX-License-Identifier: GPL-2.0

//! Accesses that somebody does not wait for: a worker makes them and tells of their end.

use kernel::{
    prelude::*,
    sync::Arc,
    workqueue, //
};

use super::dma::{
    Attrs,
    DmaResult,
    Port, //
};

impl Port {
    /// Has a worker make accesses of any kind, in `work`. They are not ordered with others. Sleeps
    /// for memory only.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn submit(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) -> Result {
        let port = self.clone();
        let pending = Pending::new(self.clone());
        workqueue::system_long().try_spawn(GFP_KERNEL, move || {
            work(&port);
            drop(pending);
        })?;
        Ok(())
    }

    /// As [`Self::read`], but returns at once; `done` gets the result and the buffer, in a context
    /// that may sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]. `done` is not called then.
    pub fn read_async(
        self: &Arc<Self>,
        ssid: Option<u32>,
        addr: u64,
        mut to: KVec<u8>,
        attrs: Attrs,
        done: impl FnOnce(DmaResult, KVec<u8>) + Send + 'static,
    ) -> Result {
        self.submit(move |port| {
            let result = port.read(ssid, addr, &mut to, attrs);
            done(result, to);
        })
    }

    /// As [`Self::write`], but returns at once; `done` gets the result and the buffer, in a
    /// context that may sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]. `done` is not called then.
    pub fn write_async(
        self: &Arc<Self>,
        ssid: Option<u32>,
        addr: u64,
        from: KVec<u8>,
        attrs: Attrs,
        done: impl FnOnce(DmaResult, KVec<u8>) + Send + 'static,
    ) -> Result {
        self.submit(move |port| {
            let result = port.write(ssid, addr, &from, attrs);
            done(result, from);
        })
    }

    /// How much submitted work has not ended. Does not sleep.
    pub fn pending(&self) -> u32 {
        self.with_state(|state| state.pending).unwrap_or_default()
    }

    /// Waits until all submitted work has ended, that of other threads too. Sleeps; not to be
    /// called from such work. [`Self::stop`] before makes it quick.
    pub fn drain(&self) {
        let mut engine = self.smmu.engine().lock();
        while engine.ports[self.slot]
            .as_ref()
            .is_some_and(|state| state.pending != 0)
        {
            self.wake.condvar.wait(&mut engine);
        }
    }
}

/// Counts a piece of work as pending for as long as it lives.
struct Pending(Arc<Port>);

impl Pending {
    fn new(port: Arc<Port>) -> Self {
        port.with_state(|state| state.pending += 1);
        Self(port)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.with_state(|state| state.pending -= 1);
        self.0.wake.condvar.notify_all();
    }
}
