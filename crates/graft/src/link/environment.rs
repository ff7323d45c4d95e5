//! Changes to the environment of this process that the host requests.
#![allow(unsafe_code)]

/// Sets a variable, or removes it without a value. Ignores names and values that the system does
/// not allow.
///
/// # Safety
/// No other thread may access the environment at the same time, except through [`mod@std::env`],
/// which locks it.
pub(super) unsafe fn set(name: &str, value: Option<&str>) {
    if name.is_empty()
        || name.contains(['=', '\0'])
        || value.is_some_and(|value| value.contains('\0'))
    {
        return;
    }
    // SAFETY: the caller guarantees it.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}
