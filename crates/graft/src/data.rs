//! The handle on a data set.

use std::sync::Arc;

use graft_session::{state::LoadedData, verbs};

use crate::Table;

/// A data set of the session.
#[derive(Clone)]
pub struct Data {
    data: Arc<LoadedData>,
}

impl Data {
    pub(crate) fn new(data: Arc<LoadedData>) -> Self {
        Self { data }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.data.dataset.name
    }

    /// Examples of a split: `train`, `validation` or `test`, each as prompt and completion.
    pub fn examples(&self, split: &str) -> Vec<(String, String)> {
        let set = &self.data.dataset;
        let examples = match split {
            "train" => &set.train,
            "validation" => &set.validation,
            "test" => &set.test,
            _ => return Vec::new(),
        };
        examples
            .iter()
            .map(|example| (example.prompt.clone(), example.completion.clone()))
            .collect()
    }

    /// The first `rows` examples of each split.
    pub fn show(&self, rows: usize) -> Table {
        self.data.dataset.table(rows).into()
    }
}

impl std::fmt::Display for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", verbs::data::line(&self.data))
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
