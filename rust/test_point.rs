// SPDX-License-Identifier: GPL-2.0

//! Points at which KUnit suites force an order of events: `include/linux/sva_test_point.h`.

/// Where a task passes.
#[derive(Clone, Copy)]
pub enum TestPoint {
    /// A bond is listed, and not attached yet.
    Listed,
    /// A bond has been detached, and is listed still.
    Detached,
    /// The first member of a group has been bound, and the others have not.
    FirstMember,
    /// A group's bond has been unbound, and its members have not ended.
    GroupUnbound,
    /// A driver is about to be called for the end of a bond.
    Stopping,
    /// A group of page requests is about to wait for its page.
    Waits,
}

/// Lets a suite have this task wait here. May sleep. Nothing without `CONFIG_KUNIT`.
#[inline]
pub fn pass(point: TestPoint) {
    #[cfg(CONFIG_KUNIT)]
    {
        use crate::bindings;

        let point = match point {
            TestPoint::Listed => bindings::sva_test_point_SVA_TEST_LISTED,
            TestPoint::Detached => bindings::sva_test_point_SVA_TEST_DETACHED,
            TestPoint::FirstMember => bindings::sva_test_point_SVA_TEST_FIRST_MEMBER,
            TestPoint::GroupUnbound => bindings::sva_test_point_SVA_TEST_GROUP_UNBOUND,
            TestPoint::Stopping => bindings::sva_test_point_SVA_TEST_STOPPING,
            TestPoint::Waits => bindings::sva_test_point_SVA_TEST_WAITS,
        };

        // SAFETY: Whoever fills the hook keeps its code until all have passed.
        unsafe { bindings::sva_test_point_pass(point) };
    }
    #[cfg(not(CONFIG_KUNIT))]
    let _ = point;
}

/// How long page requests may wait, in ms: `usual`, unless a suite wants less.
#[inline]
pub fn wait_ms(usual: i64) -> i64 {
    #[cfg(CONFIG_KUNIT)]
    {
        // SAFETY: May be called in any context.
        match unsafe { crate::bindings::sva_test_wait_ms() } {
            0 => usual,
            ms => ms as i64,
        }
    }
    #[cfg(not(CONFIG_KUNIT))]
    usual
}
