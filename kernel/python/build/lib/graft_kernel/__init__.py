"""Python side of the Graft kernel: what Python tools need to know about Rust notebooks."""
