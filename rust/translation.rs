// SPDX-License-Identifier: GPL-2.0

//! Translations: the domain that a PASID leads to.

use crate::{attachment::FaultHandler, domain::SvaDomain, pasid::Pasid};
use kernel::{prelude::*, sync::Arc};

/// A domain, and the PASID that it is attached under in one or more groups.
///
/// Attachments share it, and the last of them frees both.
pub struct Translation<T: FaultHandler> {
    domain: SvaDomain<T>,
    pasid: PasidOf<T>,
}

/// Whose a PASID is.
enum PasidOf<T: FaultHandler> {
    Own(Pasid),
    /// That of a translation that has it as its own.
    Another(Arc<Translation<T>>),
}

impl<T: FaultHandler> Translation<T> {
    /// Of `domain` under a PASID of its own.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(domain: SvaDomain<T>, pasid: Pasid) -> Result<Arc<Self>> {
        let pasid = PasidOf::Own(pasid);

        Ok(Arc::new(Self { domain, pasid }, GFP_KERNEL)?)
    }

    /// Of `domain`, for another IOMMU, under the PASID of `there`, whose domain lives as long.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn with_pasid_of(there: &Arc<Self>, domain: SvaDomain<T>) -> Result<Arc<Self>> {
        let pasid = PasidOf::Another(match &there.pasid {
            PasidOf::Own(_) => there.clone(),
            PasidOf::Another(owner) => owner.clone(),
        });

        Ok(Arc::new(Self { domain, pasid }, GFP_KERNEL)?)
    }

    /// The PASID of a translation, if nobody else has that; else this is one who has it less.
    pub fn into_pasid(this: Arc<Self>) -> Option<Pasid> {
        let mut last = Arc::into_unique_or_drop(this)?;
        let pasid = &mut last.as_mut().get_mut().pasid;

        match core::mem::replace(pasid, PasidOf::Own(Pasid::none())) {
            PasidOf::Own(pasid) => Some(pasid),
            PasidOf::Another(owner) => Self::into_pasid(owner),
        }
    }

    /// The domain.
    pub fn domain(&self) -> &SvaDomain<T> {
        &self.domain
    }

    /// The PASID; [`Pasid::NONE`] for accesses without.
    pub fn pasid(&self) -> u32 {
        match &self.pasid {
            PasidOf::Own(pasid) => pasid.get(),
            PasidOf::Another(owner) => owner.pasid(),
        }
    }
}
