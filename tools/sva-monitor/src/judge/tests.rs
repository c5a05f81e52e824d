// SPDX-License-Identifier: GPL-2.0

use super::*;

/// What is forbidden of these events.
fn judge(events: &[&str]) -> Vec<String> {
    let mut judge = Judge::new();

    judge_on(&mut judge, events)
}

fn judge_on(judge: &mut Judge, events: &[&str]) -> Vec<String> {
    let mut verdicts = Vec::new();

    for event in events {
        let (name, fields) = event.split_once(' ').unwrap();

        verdicts.push(judge.line(&Line::Event { name, fields }));
    }
    verdicts.into_iter().filter_map(Verdict::err).collect()
}

const MAKE: &str = "bond_state dev=a pasid=1 tgid=7 state=making";
const LIVE: &str = "bond_state dev=a pasid=1 tgid=7 state=live";
const BIND: &str = "bind dev=a pasid=1 tgid=7 flags=pasid refs=1";
const ASK: &str = "page_request dev=a pasid=1 grpid=3 addr=0x1000 access=r";
const ANSWER: &str = "page_response dev=a pasid=1 grpid=3 code=success requests=1 latency=5";
const STOP: &str = "bond_state dev=a pasid=1 tgid=7 state=stopping";
const CALL: &str = "mm_exit dev=a pasid=1 tgid=7";
const UNBIND: &str = "unbind dev=a pasid=1 tgid=7 flags=pasid refs=0";
const END: &str = "bond_state dev=a pasid=1 tgid=7 state=ended";
const SHUTDOWN: &str = "device_shutdown dev=a";

#[test]
fn a_life() {
    let mut judge = Judge::new();
    let life = [
        MAKE, ASK, ANSWER, LIVE, BIND, ASK, STOP, CALL, ANSWER, UNBIND, END, SHUTDOWN,
    ];

    assert_eq!(judge_on(&mut judge, &life), Vec::<String>::new());
    assert_eq!(judge.check(), Ok(()));
    assert_eq!(judge.check_end(), Ok(()));
    assert_eq!(judge.events, life.len() as u64);
}

#[test]
fn bonds_that_share_addresses_are_not_told_apart() {
    let making = "bond_state dev=a pasid=0 tgid=7 state=making";
    let init = |features| format!("device_init dev=a features={features} max_pasid=0");
    let twice = |features| judge(&[&init(features), making, making]).len();

    assert_eq!(twice("iopf+shared_addresses"), 0);
    assert_eq!(twice("iopf"), 1);
}

#[test]
fn each_forbidden_thing() {
    let cases: &[&[&str]] = &[
        // Arrows that there are not.
        &[LIVE],
        &[MAKE, LIVE, LIVE],
        &[MAKE, STOP],
        &[MAKE, LIVE, MAKE],
        &[MAKE, LIVE, STOP, STOP],
        &[MAKE, LIVE, END, END],
        // What may not happen in a state.
        &[BIND],
        &[MAKE, BIND],
        &[
            MAKE,
            LIVE,
            BIND,
            STOP,
            "bind dev=a pasid=1 tgid=7 flags=pasid refs=2",
        ],
        &[MAKE, LIVE, CALL],
        &[MAKE, LIVE, STOP, CALL, CALL],
        // Counts.
        &[MAKE, LIVE, BIND, BIND],
        &[
            MAKE,
            LIVE,
            BIND,
            "unbind dev=a pasid=1 tgid=7 flags=pasid refs=1",
        ],
        // A PASID that is another's.
        &[MAKE, LIVE, "bond_state dev=b pasid=1 tgid=8 state=making"],
        // Page requests.
        &[ASK],
        &[MAKE, LIVE, ANSWER],
        &[MAKE, LIVE, ASK, ANSWER, ANSWER],
        &[MAKE, LIVE, ASK, END],
        &[MAKE, LIVE, END, ANSWER],
        // What a shutdown leaves.
        &[MAKE, LIVE, SHUTDOWN],
    ];

    for case in cases {
        assert!(!judge(case).is_empty(), "{case:?}");
        // No less would do.
        assert!(judge(&case[..case.len() - 1]).is_empty(), "{case:?}");
    }
}

#[test]
fn members_of_a_group_share() {
    let other = "bond_state dev=b pasid=1 tgid=7 state=making";
    let late = "page_request dev=a pasid=1 grpid=4 addr=0x1000 access=r";
    let answer = "page_response dev=a pasid=1 grpid=4 code=invalid requests=1 latency=0";

    assert!(judge(&[MAKE, LIVE, other, END, late, answer]).is_empty());
}

#[test]
fn what_was_lost_is_not_held_against_anybody() {
    let mut judge = Judge::new();

    judge_on(&mut judge, &[MAKE, LIVE, ASK]);
    judge.line(&Line::Lost).unwrap();
    assert!(judge_on(&mut judge, &[UNBIND, END, ANSWER, MAKE, LIVE]).is_empty());
    // What was seen since is known.
    assert_eq!(judge_on(&mut judge, &[LIVE]).len(), 1);
    assert_eq!(judge.losses, 1);
}

#[test]
fn the_end() {
    let mut judge = Judge::new();

    judge_on(&mut judge, &[SHUTDOWN, MAKE, LIVE]);
    assert!(judge.check().is_err());
    judge_on(
        &mut judge,
        &["device_init dev=a features=pasid max_pasid=5"],
    );
    assert!(judge.check().is_ok());
    assert!(judge.check_end().is_err());
}

#[test]
fn the_table_is_whole() {
    let rows = table::rows();

    assert_eq!(rows.len(), 10);
    for row in rows {
        assert!(!row.from.is_empty() && !row.trace.0.is_empty(), "{row:?}");
    }
}
