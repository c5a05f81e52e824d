// SPDX-License-Identifier: GPL-2.0

//! Page requests: from their arrival to their one answer.
//!
//! Most need nothing but memory, and are served at once, in the thread that reports them
//! ([`serve`]). What may have to wait goes to a worker ([`waiting`]), within bounds ([`waits`]).

mod activity;
pub(crate) mod asked;
pub(crate) mod hearers;
pub(crate) mod read_ahead;
pub(crate) mod refusal;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod stats;
pub(crate) mod waiting;
pub(crate) mod waits;

use kernel_ext::attachment::Attachment;

/// The one attachment of (group, address space), which the bonds of the group's members share.
///
/// It stays attached as long as a bond of a device in its group does.
pub(crate) type GroupAttachment = Attachment<service::FaultService>;
