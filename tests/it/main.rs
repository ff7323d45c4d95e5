//! The workspace's own tests: the shape of the tree, its dependency rules and its documents. What real clients see is tested by `tests/python`.

mod dependencies;
mod documents;
mod guide;
mod tidy;
