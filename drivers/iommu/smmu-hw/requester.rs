// SPDX-License-Identifier: GPL-2.0

//! Requesters on buses that others model: the port of a device that is plugged in there.

use crate::{
    host,
    hw::{
        Fabric,
        Port, //
    },
    ports::Connection, //
};
use core::any::Any;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kernel_ext::fwspec::IommuNode;

/// How many requesters are behind an SMMU.
pub struct Count(Atomic<u32>);

impl Count {
    /// None. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self(Atomic::new(0)), GFP_KERNEL)?)
    }

    /// Whether there are none.
    pub fn is_zero(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

/// One of those counted.
struct Counted(Arc<Count>);

impl Counted {
    fn new(count: &Arc<Count>) -> Self {
        count.0.fetch_add(1, Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0 .0.fetch_sub(1, Relaxed);
    }
}

/// A connected port, for a device that somebody else plugs in. While it lives the SMMU stays; to be
/// dropped when the device has left its IOMMU group.
pub struct Requester {
    connection: Connection,
    node: IommuNode,
    _iommu: Arc<dyn Any + Send + Sync>,
    // Dropped last.
    _counted: Counted,
}

impl Requester {
    /// Connects a port for the device that is called `device` to the SMMU called `smmu`, which sees it
    /// under `sid`. What it may do `fabric` says, at any time. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`host::Host::connect`], and `ENODEV` if no module is loaded that has an SMMU.
    pub fn new(smmu: &CStr, device: &CStr, sid: u32, fabric: Arc<dyn Fabric>) -> Result<Self> {
        let requester = host::ask(|host| host.connect(smmu, device, sid))?;

        requester.port().set_fabric(fabric);
        Ok(requester)
    }

    /// For hosts: one with this connection to the SMMU that firmware calls `node`, of which there are
    /// `count`. It keeps `iommu` alive.
    pub fn of(
        connection: Connection,
        node: IommuNode,
        iommu: Arc<dyn Any + Send + Sync>,
        count: &Arc<Count>,
    ) -> Self {
        Self {
            connection,
            node,
            _iommu: iommu,
            _counted: Counted::new(count),
        }
    }

    /// What firmware calls the SMMU.
    pub fn node(&self) -> &IommuNode {
        &self.node
    }

    /// The port.
    pub fn port(&self) -> &Arc<Port> {
        self.connection.port()
    }
}
