//! Files of models that somebody has damaged or made up.

mod exchange;
mod hostile;
mod memory;
