// SPDX-License-Identifier: GPL-2.0

//! A linked list in random order: pointers mean the same to the device.

use crate::{
    accel::{Accel, Operation},
    random::Random,
    sys::{Mapping, PAGE},
    verify, Result,
};
use std::sync::atomic::Ordering::Relaxed;

const NODES: usize = 100_000;

/// A node is a pointer, a value, and what else the program may keep there.
const NODE_WORDS: usize = 8;

pub fn run(accel: &Accel) -> Result<String> {
    let memory = Mapping::new((NODES * NODE_WORDS * 8).next_multiple_of(PAGE))?;
    let words = memory.words();
    let address = |node: usize| memory.addr() + (node * NODE_WORDS * 8) as u64;
    let mut random = Random::new(1);
    let order = random.permutation(NODES);

    for (i, &node) in order.iter().enumerate() {
        let next = order.get(i + 1).map_or(0, |&next| address(next));

        words[node * NODE_WORDS].store(next, Relaxed);
        words[node * NODE_WORDS + 1].store(random.next(), Relaxed);
    }
    let completion = accel.run(Operation::Chase {
        first: address(order[0]),
        limit: NODES,
    })?;
    let sum = words
        .chunks(NODE_WORDS)
        .take(NODES)
        .fold(0u64, |sum, node| sum.wrapping_add(node[1].load(Relaxed)));

    verify(completion.bytes == 16 * NODES as u64, || {
        format!("{completion} after {} bytes", completion.bytes)
    })?;
    verify(completion.result == sum, || {
        format!("sum {:#x}, the CPU's is {sum:#x}", completion.result)
    })?;
    Ok(format!(
        "list of {NODES} nodes in random order: the device's sum {sum:#018x} is the CPU's"
    ))
}
