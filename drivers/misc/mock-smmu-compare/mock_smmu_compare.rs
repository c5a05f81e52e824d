// SPDX-License-Identifier: GPL-2.0

//! For tests: whether the mock SMMU translates as the kernel does.
//!
//! `/dev/mock_smmu_compare` asks both, page by page ([`compare`]). C header:
//! [`include/uapi/linux/mock_smmu_compare.h`](srctree/include/uapi/linux/mock_smmu_compare.h)

use kernel::{
    ioctl::{
        _IOC_SIZE,
        _IOWR, //
    },
    prelude::*,
    str::CString,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use kernel_ext::misc_device::{
    MiscFile,
    Registration, //
};
use kernel_test_ext::bindings::{
    mock_smmu_compare as Request,
    MOCK_SMMU_COMPARE_IOC_MAGIC, //
};

mod compare;

module! {
    type: Compare,
    name: "mock_smmu_compare",
    authors: ["The sva developers"],
    description: "Compares translations of the mock SMMU with the kernel's",
    license: "GPL",
}
kernel_ext::module_version!();

/// `MOCK_SMMU_COMPARE_IOC_RUN`.
const RUN: u32 = _IOWR::<Request>(MOCK_SMMU_COMPARE_IOC_MAGIC, 0);

/// An open file: there is nothing to remember.
pub struct OpenFile;

#[vtable]
impl MiscFile for OpenFile {
    type Device = ();
    type Ptr = KBox<Self>;

    fn open(_device: &()) -> Result<KBox<Self>> {
        Ok(KBox::new(Self, GFP_KERNEL)?)
    }

    fn ioctl(_file: &Self, cmd: u32, arg: usize) -> Result<isize> {
        if cmd != RUN {
            return Err(ENOTTY);
        }
        let user = UserSlice::new(UserPtr::from_addr(arg), _IOC_SIZE(cmd));
        let (mut reader, mut writer) = user.reader_writer();
        let mut request = KBox::new(Request::default(), GFP_KERNEL)?;

        reader.read_slice(request.as_mut_bytes())?;
        compare::run(&mut request)?;
        writer.write_slice(request.as_bytes())?;
        Ok(0)
    }
}

/// The module.
pub struct Compare {
    _misc: Pin<KBox<Registration<OpenFile>>>,
}

impl kernel::Module for Compare {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let name = CString::try_from_fmt(fmt!("mock_smmu_compare"))?;

        Ok(Self {
            _misc: KBox::pin_init(Registration::new(name, ()), GFP_KERNEL)?,
        })
    }
}
