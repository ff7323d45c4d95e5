//! Loading models and data.

use graft_session::verbs;
use graft_spec::Failure;

use crate::{Data, DataOptions, Lab, Model, ModelOptions, Result, Table, Tokens, Train};

impl Lab {
    /// Loads a model and makes it the current one.
    ///
    /// `source` is `tiny` (the embedded model), a Hugging Face folder, a GGUF file, or `ORG/NAME`
    /// on the Hub.
    ///
    /// # Errors
    /// If the model cannot be found or read. The previous model stays loaded.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// let model = lab().load_model("tiny")?;
    /// assert_eq!(model.name(), "tiny");
    /// # Ok(())
    /// # }
    /// ```
    pub fn load_model(&self, source: &str) -> Result<Model> {
        self.load_model_with(source, ModelOptions::new())
    }

    /// [`Lab::load_model`] with options.
    ///
    /// # Errors
    /// As [`Lab::load_model`].
    pub fn load_model_with(&self, source: &str, options: ModelOptions) -> Result<Model> {
        let source = source.to_owned();
        let report = self
            .job("loading a model", move |cx| verbs::model::load(cx, &source, &options.into()))?;
        Ok(Model::new(self.clone(), report.model))
    }

    /// Loads the current model again with the `added_tokens` and `resize_tokens` of the options, in
    /// addition to those it was loaded with.
    ///
    /// # Errors
    /// `session::no_model`, and as [`Lab::load_model`]. The previous model stays loaded.
    pub fn resize_tokens(&self, options: ModelOptions) -> Result<Model> {
        let report =
            self.job("loading a model", move |cx| verbs::model::resize(cx, &options.into()))?;
        Ok(Model::new(self.clone(), report.model))
    }

    /// The current model.
    ///
    /// # Errors
    /// `session::no_model`.
    pub fn model(&self) -> Result<Model> {
        let model = self.state().model().map_err(Failure::from)?;
        Ok(Model::new(self.clone(), model))
    }

    /// Loads a data set and makes it the current one.
    ///
    /// `source` is a built-in data set (`which-book`, `error-codes`, `rust-docs`) or a jsonl, csv,
    /// tsv or txt file.
    ///
    /// # Errors
    /// If the data cannot be found or read.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// let data = lab().load_data("which-book")?;
    /// let (prompt, completion) = &data.examples("train")[0];
    /// println!("{prompt} ->{completion}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn load_data(&self, source: &str) -> Result<Data> {
        self.load_data_with(source, DataOptions::new())
    }

    /// [`Lab::load_data`] with options.
    ///
    /// # Errors
    /// As [`Lab::load_data`].
    pub fn load_data_with(&self, source: &str, options: DataOptions) -> Result<Data> {
        let source = source.to_owned();
        self.job("loading data", move |cx| verbs::data::load(cx, &source, &options.into()))
            .map(Data::new)
    }

    /// Reads examples from a text, as `%%data` does, and makes them the current data set.
    ///
    /// # Errors
    /// If the text is not in a known format.
    pub fn data_inline(&self, name: &str, text: &str) -> Result<Data> {
        self.data_inline_with(name, text, DataOptions::new())
    }

    /// [`Lab::data_inline`] with options.
    ///
    /// # Errors
    /// As [`Lab::data_inline`].
    pub fn data_inline_with(&self, name: &str, text: &str, options: DataOptions) -> Result<Data> {
        let name = name.to_owned();
        let text = text.to_owned();
        self.job("reading data", move |cx| verbs::data::inline(cx, &name, &text, &options.into()))
            .map(Data::new)
    }

    /// The data set with this name, or the current one.
    ///
    /// # Errors
    /// `session::no_data`, `session::unknown_data`.
    pub fn data(&self, name: Option<&str>) -> Result<Data> {
        Ok(Data::new(self.state().data(name).map_err(Failure::from)?))
    }

    /// The first `rows` examples of each split of a data set, or of the current one.
    ///
    /// # Errors
    /// As [`Lab::data`].
    pub fn show_data(&self, name: Option<&str>, rows: usize) -> Result<Table> {
        self.read(|cx| verbs::data::show(cx, name, rows)).map(Table::from)
    }

    /// The tokens of the first `rows` examples of each split, as a training run reads them.
    ///
    /// # Errors
    /// As [`Lab::data`], and `session::no_model`.
    pub fn show_tokens(&self, name: Option<&str>, rows: usize) -> Result<Tokens> {
        self.show_tokens_with(name, rows, Train::new())
    }

    /// As [`Lab::show_tokens`], with the `max_length`, `stride` and `loss_on` of a training run.
    ///
    /// # Errors
    /// As [`Lab::show_tokens`].
    pub fn show_tokens_with(
        &self,
        name: Option<&str>,
        rows: usize,
        options: Train,
    ) -> Result<Tokens> {
        let keys = options.into();
        self.read(|cx| verbs::data::tokens::tokens(cx, name, rows, &keys)).map(Tokens::from)
    }

    /// Makes a loaded data set the current one.
    ///
    /// # Errors
    /// `session::unknown_data`.
    pub fn use_data(&self, name: &str) -> Result<Data> {
        let name = name.to_owned();
        self.job("changing the data", move |cx| verbs::data::choose(cx, &name)).map(Data::new)
    }
}
