//! The child's environment, changed on the host's word.
#![allow(unsafe_code)]

/// Sets a variable, or removes it without a value. A name that the system cannot hold is left alone.
///
/// # Safety
/// No other thread reads or writes the environment meanwhile, except through [`mod@std::env`], which locks it.
pub(super) unsafe fn set(name: &str, value: Option<&str>) {
    if name.is_empty()
        || name.contains(['=', '\0'])
        || value.is_some_and(|value| value.contains('\0'))
    {
        return;
    }
    // SAFETY: the caller promises it.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}
