//! The values of the Rust expressions in a magic, such as `%lora attach r={rank}`.
//!
//! The kernel evaluates the expressions in a cell of its own, whose last value this is.

use graft_protocol::message::MAGIC_VALUES;

/// The values of the expressions in a magic, as text.
#[doc(hidden)]
pub struct MagicValues(Vec<String>);

/// Returns the values to the kernel.
#[doc(hidden)]
pub fn magic_values<const N: usize>(values: [String; N]) -> MagicValues {
    MagicValues(values.into())
}

impl MagicValues {
    /// Prints the values in evcxr's protocol for rich output. In JSON they are one line, so that no
    /// value can end the block.
    pub fn evcxr_display(&self) {
        let values = serde_json::to_string(&self.0).unwrap_or_default();
        println!("EVCXR_BEGIN_CONTENT {MAGIC_VALUES}\n{values}\nEVCXR_END_CONTENT");
    }
}
