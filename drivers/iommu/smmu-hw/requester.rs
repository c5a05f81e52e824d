// SPDX-License-Identifier: GPL-2.0

//! Requesters on buses that others model: the ports of devices that are plugged in there.

use crate::{
    host,
    hw::{
        Fabric,
        PortConfig,
        Smmu, //
    },
    ports::Connection, //
};
use core::any::Any;
use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};
use kernel_ext::{
    fwspec::IommuNode,
    module_ref::ModuleRef, //
};

/// How many of others use an SMMU.
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

/// An SMMU, for who plugs in devices behind it. While it lives the SMMU stays.
pub struct Upstream {
    hw: Arc<Smmu>,
    node: IommuNode,
    config: PortConfig,
    _iommu: Arc<dyn Any + Send + Sync>,
    // Dropped last: the SMMU's module, too, only then may go.
    _counted: Counted,
    _module: ModuleRef,
}

impl Upstream {
    /// The SMMU called `smmu`. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`host::Host::upstream`], and `ENODEV` if no module is loaded that has an SMMU.
    pub fn find(smmu: &CStr) -> Result<Self> {
        host::ask(|host| host.upstream(smmu))
    }

    /// For hosts: that SMMU, which firmware calls `node`, and of which `count` tells whether it must
    /// stay. Ports are as `config` says. It keeps `iommu` alive, and the host's module loaded.
    pub fn new(
        hw: Arc<Smmu>,
        node: IommuNode,
        config: PortConfig,
        iommu: Arc<dyn Any + Send + Sync>,
        count: &Arc<Count>,
        module: ModuleRef,
    ) -> Self {
        Self {
            hw,
            node,
            config,
            _iommu: iommu,
            _counted: Counted::new(count),
            _module: module,
        }
    }

    /// What firmware calls the SMMU.
    pub fn node(&self) -> &IommuNode {
        &self.node
    }

    /// Connects a port of StreamID `sid` for the device that is called `device`. What it may do
    /// `fabric` says, at any time. The result is to be dropped when the device has left its IOMMU
    /// group. May sleep; asks no host.
    ///
    /// # Errors
    ///
    /// Those of [`Connection::new`].
    pub fn connect(&self, device: &CStr, sid: u32, fabric: Arc<dyn Fabric>) -> Result<Connection> {
        let device = CString::try_from(device)?;
        let connection =
            Connection::new(self.hw.clone(), self.node.clone(), device, sid, self.config)?;

        connection.port().set_fabric(fabric);
        Ok(connection)
    }
}
