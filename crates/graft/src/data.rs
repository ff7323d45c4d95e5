//! The handle of a data set.

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

    /// The conversations of a split as pairs of JSON lists: messages, and tools (empty without
    /// tools). Data of other kinds has none.
    pub fn conversations(&self, split: &str) -> Vec<(String, String)> {
        let set = &self.data.dataset;
        let examples = graft_train::data::SplitName::parse(split).map(|split| set.split(split));
        examples
            .into_iter()
            .flatten()
            .filter_map(|example| set.conversation(example))
            .map(|chat| (chat.messages.to_string(), chat.tools.to_string()))
            .collect()
    }

    /// The examples of a split (`train`, `validation` or `test`) as pairs of prompt and completion.
    /// Another name gives no examples.
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
            .map(|example| (example.prompt.to_string(), example.completion.to_string()))
            .collect()
    }

    /// A table with the first `rows` examples of each split.
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
