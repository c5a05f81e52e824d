// SPDX-License-Identifier: GPL-2.0

//! Counters.

macro_rules! counters {
    (
        $(#[$attr:meta])*
        pub struct $name:ident {
            $($(#[$field_attr:meta])* $field:ident,)*
        }
    ) => {
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_attr])* pub $field: u64,)*
        }

        impl $name {
            /// Every counter with its name, for printing.
            pub fn each(&self, mut f: impl FnMut(&'static str, u64)) {
                $(f(stringify!($field), self.$field);)*
            }
        }
    };
}

counters! {
    /// Counters of an instance, since it was made.
    pub struct Stats {
        /// CFGI_STE and CFGI_STE_RANGE commands.
        cfgi_ste,
        /// CFGI_CD and CFGI_CD_ALL commands.
        cfgi_cd,
        /// TLBI commands for one ASID.
        tlbi_asid,
        /// TLBI commands for addresses.
        tlbi_va,
        /// TLBI commands for everything.
        tlbi_all,
        /// ATC_INV commands.
        atc_inv,
        /// Invalidation commands that were lost on request.
        invalidations_lost,
        /// PRI_RESP commands.
        pri_resp,
        /// PRI_RESP commands that no group waited for.
        pri_resp_stray,
        /// PRI_RESP commands that were lost on request.
        pri_resp_lost,
        /// RESUME commands.
        resume,
        /// RESUME commands that no stalled transaction waited for.
        resume_stray,
        /// RESUME commands that were lost on request.
        resume_lost,
        /// STALL_TERM commands.
        stall_term,
        /// SYNC commands.
        sync,
        /// Events sent to CPUs that wait for one.
        cpu_events,
        /// PREFETCH_CFG and PREFETCH_ADDR commands.
        prefetch,
        /// Commands that stopped the queue.
        command_errors,
        /// Table walks.
        walks,
        /// Table walks that began at a cached table.
        walk_hits,
        /// Translations found in the TLB.
        tlb_hits,
        /// Translations found in a device's ATC.
        atc_hits,
        /// Entries dropped at random, on request.
        evictions,
        /// Uses of stale entries that an invalidation under way may explain.
        strict_suspicions,
        /// Uses of stale entries that nothing explains.
        strict_records,
        /// ATS translation requests.
        ats_requests,
        /// Transactions stalled, of which software was told.
        stalls,
        /// Events recorded.
        events,
        /// Events merged with one that said the same.
        events_merged,
        /// Events lost as the queue was full or off.
        events_lost,
        /// Page requests queued.
        page_requests,
        /// Page requests lost as the queue was full or off.
        page_requests_lost,
        /// Page request groups answered by the SMMU itself.
        auto_responses,
    }
}

counters! {
    /// Counters of a port, since it was made.
    pub struct PortStats {
        /// Bytes read.
        bytes_read,
        /// Bytes written.
        bytes_written,
        /// Atomic accesses.
        atomics,
        /// Page requests sent.
        page_requests,
        /// Page request groups sent.
        groups,
        /// Groups answered with success.
        responses_success,
        /// Groups answered "invalid".
        responses_invalid,
        /// Groups answered "failure".
        responses_failure,
        /// Accesses that the SMMU stalled and told software of, anew for each retry.
        stalls,
        /// Groups and stalled accesses given up before an answer came.
        abandoned,
        /// Rules broken, on request.
        lies,
        /// Accesses that failed.
        errors,
        /// Accesses that the bus led to another device.
        astray,
    }
}
