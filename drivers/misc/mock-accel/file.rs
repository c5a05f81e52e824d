// SPDX-License-Identifier: GPL-2.0

//! `/dev/mock_accelN`: the ioctls.

use crate::{
    accel::{
        Accel,
        BoundAccel, //
    },
    context::Context,
    uapi::{
        Prefetch,
        Submit,
        Wait,
        DESC_ALIGN,
        PREFETCH,
        QUERY,
        SUBMIT,
        WAIT, //
    },
};
use kernel::{
    ioctl::_IOC_SIZE,
    prelude::*,
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use kernel_ext::misc_device::MiscFile;

/// An open file: one context.
pub(crate) struct OpenFile {
    accel: Arc<Accel>,
    context: Arc<Context>,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.accel.close(&self.context);
    }
}

#[vtable]
impl MiscFile for OpenFile {
    type Device = BoundAccel;
    type Ptr = KBox<Self>;

    fn open(device: &BoundAccel) -> Result<KBox<Self>> {
        let task = current!();
        let (accel, context) = device.open(task.mm().ok_or(EPERM)?)?;

        Ok(KBox::new(Self { accel, context }, GFP_KERNEL)?)
    }

    fn ioctl(file: &Self, cmd: u32, arg: usize) -> Result<isize> {
        let user = UserSlice::new(UserPtr::from_addr(arg), _IOC_SIZE(cmd));

        match cmd {
            QUERY => file.query(user)?,
            SUBMIT => file.submit(user)?,
            WAIT => file.wait(user)?,
            PREFETCH => file.prefetch(user)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

impl OpenFile {
    fn query(&self, user: UserSlice) -> Result {
        user.writer().write_slice(self.context.info().as_bytes())
    }

    fn submit(&self, user: UserSlice) -> Result {
        let (mut reader, mut writer) = user.reader_writer();
        let mut arg = Submit::default();

        self.context.check_caller()?;
        reader.read_slice(arg.as_mut_bytes())?;
        if arg.desc % u64::from(DESC_ALIGN) != 0 {
            return Err(EINVAL);
        }
        arg.job = self.context.submit(arg.desc)?;
        writer.write_slice(arg.as_bytes())
    }

    fn prefetch(&self, user: UserSlice) -> Result {
        let (mut reader, mut writer) = user.reader_writer();
        let mut arg = Prefetch::default();

        self.context.check_caller()?;
        reader.read_slice(arg.as_mut_bytes())?;
        if arg.write > 1 || arg.reserved != 0 {
            return Err(EINVAL);
        }
        let end = arg.addr.checked_add(arg.length).ok_or(EINVAL)?;

        arg.pages = self.context.prefetch(arg.addr..end, arg.write != 0)?;
        writer.write_slice(arg.as_bytes())
    }

    fn wait(&self, user: UserSlice) -> Result {
        let (mut reader, mut writer) = user.reader_writer();
        let mut arg = Wait::default();

        self.context.check_caller()?;
        reader.read_slice(arg.as_mut_bytes())?;
        let outcome = self.context.wait(arg.job)?;

        arg.completion = outcome.completion;
        writer.write_slice(arg.as_bytes())?;
        if outcome.recorded {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}
