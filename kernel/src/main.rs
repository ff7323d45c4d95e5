//! Graft. 
fn main() {}
