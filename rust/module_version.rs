// SPDX-License-Identifier: GPL-2.0

//! The version of a module, which the kernel's `module!` has no field for.

/// Gives the module that this stands in the version of the project (the top `Kbuild` has it), as
/// `MODULE_VERSION()` does in C.
#[macro_export]
macro_rules! module_version {
    () => {
        const _: () = {
            const INFO: &str = concat!("version=", env!("SVA_VERSION"), "\0");

            #[used]
            #[link_section = ".modinfo"]
            static VERSION: [u8; INFO.len()] = match INFO.as_bytes().first_chunk() {
                Some(bytes) => *bytes,
                None => panic!(),
            };
        };
    };
}
