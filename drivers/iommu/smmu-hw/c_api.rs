// SPDX-License-Identifier: GPL-2.0

//! The C interface, `include/linux/mock_smmu.h`, which documents it.
//!
//! In `device` devices come and go; `port` has plain accesses, `request` their general form.

mod device;
mod port;
mod request;

/// Checks at compile time that a function here has the type that the C header gives it.
macro_rules! matches_prototype {
    ($($name:ident),* $(,)?) => {$(
        const _: () = {
            if true {
                bindings::$name
            } else {
                $name
            };
        };
    )*};
}
use matches_prototype;
