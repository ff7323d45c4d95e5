//! Tests of the workspace itself: the shape of the tree, its dependency rules and its documents.
//! Real clients are tested in `tests/python`.

mod dependencies;
mod documents;
mod guide;
mod tidy;
