// SPDX-License-Identifier: GPL-2.0

//! What is known of the page requests of an attachment: made with the first of them, since many
//! bonds never see one.

use super::{
    read_ahead::Streams,
    service::FaultService,
    stats::FaultStats, //
};
use kernel::{
    prelude::*,
    sync::SetOnce, //
};

/// Counts and streams of one attachment.
#[derive(Default)]
pub(crate) struct Activity {
    pub(super) stats: FaultStats,
    pub(super) streams: Streams,
}

/// Nothing, or what there is since the first page request.
pub(super) struct Begun(SetOnce<KBox<Activity>>);

impl Begun {
    pub(super) fn new() -> Self {
        Self(SetOnce::new())
    }
}

impl FaultService {
    /// What there is, made now if need be; without memory what all attachments without share. May
    /// sleep.
    #[inline]
    pub(super) fn activity(&self) -> &Activity {
        match self.begun.0.as_ref() {
            Some(activity) => activity,
            None => self.begin_activity(),
        }
    }

    #[cold]
    fn begin_activity(&self) -> &Activity {
        if let Ok(activity) = KBox::new(Activity::default(), GFP_KERNEL) {
            // Or somebody else was faster.
            self.begun.0.populate(activity);
        }
        self.begun
            .0
            .as_ref()
            .map_or(&self.waits.spare, |activity| &**activity)
    }

    /// The counts, if there are any.
    pub(super) fn stats(&self) -> Option<&FaultStats> {
        self.begun.0.as_ref().map(|activity| &activity.stats)
    }
}
