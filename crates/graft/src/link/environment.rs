//! The child's environment, changed on the host's word.
#![allow(unsafe_code)]

/// Sets a variable, or removes it without a value. A name that the system cannot hold is left alone.
pub(super) fn set(name: &str, value: Option<&str>) {
    if name.is_empty() || name.contains(['=', '\0']) || value.is_some_and(|value| value.contains('\0')) {
        return;
    }
    // SAFETY: std's own accesses are locked against this one. The C side reads the environment when libraries start up, which is over;
    // a cell that calls `getenv` through a foreign library at this very moment is the user's own race, as with `std::env::set_var` there.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}
