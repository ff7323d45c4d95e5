//! Seed, device and status of the session.

use graft_session::verbs;

use crate::{Device, Lab, Result, Table};

impl Lab {
    /// The seed of everything random that has no seed of its own.
    pub fn seed(&self) -> u64 {
        self.state().seed
    }

    /// Sets the seed.
    ///
    /// # Errors
    /// If the session is closing.
    pub fn set_seed(&self, seed: u64) -> Result<()> {
        self.job("setting the seed", move |cx| verbs::seed::seed(cx, Some(seed))).map(drop)
    }

    /// The device of the session's tensors. Create your own tensors on it.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// let zeros = Tensor::zeros((2, 3), DType::F32, &lab().device())?;
    /// assert_eq!(zeros.dims(), [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn device(&self) -> Device {
        self.state().device.clone()
    }

    /// The name of the device.
    pub fn device_name(&self) -> String {
        graft_nn::device::describe(&self.state().device)
    }

    /// Changes the device and loads the model again on the new one.
    ///
    /// # Errors
    /// If this build or this machine does not have the device.
    pub fn set_device(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.job("changing the device", move |cx| verbs::device::device(cx, Some(&name))).map(drop)
    }

    /// Model, adapters, data, runs, seed, device and memory.
    ///
    /// # Errors
    /// Never, currently.
    pub fn status(&self) -> Result<Table> {
        self.read(|cx| Ok(verbs::status::table(cx))).map(Table::from)
    }
}
