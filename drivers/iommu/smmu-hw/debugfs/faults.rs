// SPDX-License-Identifier: GPL-2.0

//! The directories of fault injection, one for each kind of [`Fault`].

use crate::inject::{
    Fault,
    Faults, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_test_ext::fault_attr::FaultAttr;

/// The directories of an instance; removed when dropped.
struct Directories([Pin<KBox<FaultAttr>>; 5]);

/// Makes the directories in `top/instance`, which must be there. May sleep.
///
/// # Errors
///
/// `ENOENT` without that directory; `ENOMEM`.
pub fn new(top: &CStr, instance: &CStr) -> Result<Arc<dyn Faults>> {
    let point = |name| KBox::pin_init(FaultAttr::new(top, instance, name), GFP_KERNEL);
    // In the order of `Fault`.
    let points = [
        point(c"fail_queue_full")?,
        point(c"fail_response_drop")?,
        point(c"fail_response_slow")?,
        point(c"fail_invalidate")?,
        point(c"fail_alloc")?,
    ];
    Ok(Arc::new(Directories(points), GFP_KERNEL)?)
}

impl Faults for Directories {
    fn strikes(&self, fault: Fault) -> bool {
        self.0[fault as usize].should_fail()
    }
}
