//! Evaluation, generation and the effect of an adapter on the weights.

use std::sync::Arc;

use graft_session::verbs::{self, eval::UserMetric};

use crate::{
    Checks, Comparison, Eval, Evaluation, Generate, GenerateData, Generated, GeneratedTexts, Lab,
    Result,
};

impl Lab {
    /// Scores the active adapter, the base model and the majority class on a split of the data.
    ///
    /// # Errors
    /// If no model or data is loaded; `session::interrupted` if it was stopped.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// lab().load_model("tiny")?;
    /// lab().load_data("which-book")?;
    /// let scores = lab().eval(Eval::new().split("validation").examples(8))?;
    /// println!("perplexity {:.2}", scores.base().map_or(f64::NAN, |base| base.perplexity));
    /// # Ok(())
    /// # }
    /// ```
    pub fn eval(&self, options: Eval) -> Result<Evaluation> {
        self.read_model("evaluating", move |cx| verbs::eval::eval(cx, &options.into()))
            .map(Evaluation::new)
    }

    /// Checks conditions on the session, one per line, such as `accuracy >= 0.4 on test`. The
    /// metrics and operators are those of `%check`. A condition that does not hold is a result, not
    /// an error; [`Checks::require`] turns it into one.
    ///
    /// # Errors
    /// `check::*` if a line is not a check; `session::interrupted` if it was stopped.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// let model = lab().load_model("tiny")?;
    /// model.attach(Lora::new().r(8))?;
    /// lab().check("r == 8")?.require()?;
    /// let graded = lab().check("method == lora points=1\ntrainable <= 1_000 points=2")?;
    /// assert_eq!(graded.points(), Some(1.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&self, conditions: &str) -> Result<Checks> {
        let lines = conditions.lines().map(str::trim).filter(|line| !line.is_empty());
        let checks: Vec<String> = lines.map(str::to_owned).collect();
        self.read_model("checking", move |cx| verbs::check::check(cx, &checks)).map(Checks::new)
    }

    /// Continues a prompt with the active adapter. `println!` or the end of a cell shows the text.
    ///
    /// # Errors
    /// If no model is loaded or the prompt is too long; `session::interrupted` if it was stopped.
    pub fn generate(&self, prompt: &str, options: Generate) -> Result<Generated> {
        let prompt = prompt.to_owned();
        self.read_model("generating", move |cx| {
            verbs::generate::quietly(cx, &prompt, &options.into())
        })
        .map(Generated::new)
    }

    /// Continues the prompts of a data set with the active adapter. `out` writes the texts to a
    /// file, one JSON object per line.
    ///
    /// # Errors
    /// If no model or data is loaded, or the file cannot be written; `session::interrupted` if it
    /// was stopped, after the file has been written with the texts so far.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// lab().load_model("tiny")?;
    /// lab().load_data("which-book")?;
    /// let options = GenerateData::new().data("test").examples(2).max_new_tokens(4);
    /// let texts = lab().generate_data(options)?;
    /// assert_eq!(texts.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn generate_data(&self, options: GenerateData) -> Result<GeneratedTexts> {
        self.read_model("generating", move |cx| verbs::generate::generate_data(cx, &options.into()))
            .map(GeneratedTexts::new)
    }

    /// Adds a metric of your own, which `metric=NAME` of `%eval` then computes on generated texts.
    /// The function receives the generated and the expected text of an example, both without spaces
    /// around them; the metric is the mean of its results. A metric of the same name is replaced.
    ///
    /// # Errors
    /// If a built-in metric has the name, or it does not consist of letters, digits and
    /// underscores.
    ///
    /// # Examples
    /// ```
    /// use graft::prelude::*;
    ///
    /// # fn main() -> graft::Result<()> {
    /// lab().load_model("tiny")?;
    /// lab().load_data("which-book")?;
    /// lab().metric("same_start", |predicted, gold| {
    ///     f64::from(u8::from(predicted.chars().next() == gold.chars().next()))
    /// })?;
    /// let options = Eval::new().metric(["same_start"]).examples(4).max_new_tokens(4);
    /// let scores = lab().eval(options)?;
    /// assert!(scores.metric("same_start").is_some_and(|it| (0.0..=1.0).contains(&it.value)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn metric(
        &self,
        name: &str,
        metric: impl Fn(&str, &str) -> f64 + Send + Sync + 'static,
    ) -> Result<()> {
        self.define_metric(name, Arc::new(metric))
    }

    fn define_metric(&self, name: &str, metric: UserMetric) -> Result<()> {
        self.read(|cx| verbs::eval::define_metric(cx, name, metric))
    }

    /// Continues a prompt twice: with the base model and with the active adapter.
    ///
    /// # Errors
    /// As [`Lab::generate`], and if no adapter is active.
    pub fn compare(&self, prompt: &str, options: Generate) -> Result<Comparison> {
        let prompt = prompt.to_owned();
        self.read_model("comparing", move |cx| {
            verbs::compare::compare(cx, &prompt, &options.into())
        })
        .map(Comparison::new)
    }

    /// Shows the effect of the active adapter on the weights: the relative change of each layer,
    /// and figures for one layer, by default the one with the largest change. For a soft prompt,
    /// shows the nearest words of each vector.
    ///
    /// # Errors
    /// If no adapter is active, or it does not change the weights of that module.
    pub fn show_weights(&self, module: Option<&str>) -> Result<()> {
        let module = module.map(str::to_owned);
        let reply = self.read_model("comparing weights", move |cx| {
            verbs::weights::weights(cx, module.as_deref())
        })?;
        self.show(reply);
        Ok(())
    }
}
