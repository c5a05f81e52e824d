// SPDX-License-Identifier: GPL-2.0

//! Where the ports of devices are found: by the SMMU's firmware node and the StreamID, which is
//! what every device behind an SMMU has, whoever drives that.

use crate::hw::{
    Port,
    PortConfig,
    Smmu, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    fwspec::{
        stream_of,
        IommuNode, //
    },
    global::Global, //
};

struct Entry {
    smmu: IommuNode,
    /// What the device is called, or will be.
    device: CString,
    port: Arc<Port>,
}

/// Connected ports.
#[pin_data]
pub(crate) struct Ports {
    #[pin]
    entries: Mutex<KVec<Entry>>,
}

/// The ports of all SMMUs.
pub(crate) static PORTS: Global<Ports> = Global::new();

impl Ports {
    /// An empty list. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                entries <- new_mutex!(KVec::new(), "smmu_hw_ports"),
            }),
            GFP_KERNEL,
        )
    }

    fn find(&self, which: impl Fn(&Entry) -> bool) -> Option<Arc<Port>> {
        let entries = self.entries.lock();
        let mut entries = entries.iter();
        entries.find(|entry| which(entry)).map(|e| e.port.clone())
    }
}

/// The port of a device, if that is behind an SMMU modelled here. May sleep.
pub fn port_of(dev: &Device<Bound>) -> Option<Arc<Port>> {
    let (smmu, sid) = stream_of(dev)?;
    PORTS
        .get()?
        .find(|entry| entry.smmu == smmu && entry.port.sid() == sid)
}

/// The port of the device called `name`, behind whichever SMMU. May sleep.
pub fn port_named(name: &CStr) -> Option<Arc<Port>> {
    PORTS.get()?.find(|entry| &*entry.device == name)
}

/// A connected port that devices' drivers find. Dropping it stops the port; who still holds it
/// makes no more accesses.
pub struct Connection {
    port: Arc<Port>,
}

impl Connection {
    /// Connects a port with StreamID `sid` to `hw`, which is the SMMU that firmware calls `smmu`,
    /// for the device that will be called `device`. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Port::new`].
    pub fn new(
        hw: Arc<Smmu>,
        smmu: IommuNode,
        device: CString,
        sid: u32,
        config: PortConfig,
    ) -> Result<Self> {
        let port = Port::new(hw, sid, config)?;
        let ports = PORTS.get().ok_or(ENODEV)?;
        let entry = Entry {
            smmu,
            device,
            port: port.clone(),
        };
        ports.entries.lock().push(entry, GFP_KERNEL)?;
        Ok(Self { port })
    }

    /// The port.
    pub fn port(&self) -> &Arc<Port> {
        &self.port
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.port.stop();
        if let Some(ports) = PORTS.get() {
            let mut entries = ports.entries.lock();
            entries.retain(|entry| !Arc::ptr_eq(&entry.port, &self.port));
        }
    }
}
