//! Measures the metrics of checks.

use std::sync::Arc;

use graft_peft::counts;
use graft_spec::{
    Failure, Settings, Value,
    check::{Check, KEYS, Metric, MetricSpec, Quantity},
    training::ABLATE,
};
use graft_train::Evaluation;

use crate::{
    CommandContext, SessionError, SessionState,
    state::AttachedAdapter,
    verbs::{adapters_disabled::AdaptersDisabled, domain::Domain, eval, format::counted},
};

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Measured {
    /// A number, and where it was measured, such as ` on 200 test examples of which-book`.
    Number(f64, String),
    /// A name.
    Name(String),
    /// Whether a fact holds, in words.
    Fact(bool, String),
    /// The value of a key of the attached method.
    Setting(Value),
}

/// The model that an evaluation is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scored {
    /// With the user's active adapters.
    Current,
    /// Without adapters.
    Base,
}

/// Measures the state of the session. Checks on the same examples share one evaluation.
pub(super) struct Meter<'a> {
    cx: &'a CommandContext,
    state: Arc<SessionState>,
    scores: Vec<(Settings, Scored, Evaluation)>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(cx: &'a CommandContext) -> Self {
        Self { cx, state: cx.state(), scores: Vec::new() }
    }

    /// Measures the metric of a check.
    ///
    /// # Errors
    /// Why it cannot be measured: [`SessionError::NoModel`], [`SessionError::NoData`],
    /// [`SessionError::NoAdapter`], a data set without labels, a method without the key; those of
    /// an evaluation.
    pub(super) fn measure(&mut self, check: &Check) -> Result<Measured, Failure> {
        let spec = match &check.metric {
            Metric::Named(spec) => spec,
            Metric::Key(key) => return self.setting(key).map(Measured::Setting),
        };
        match spec.quantity {
            Quantity::Accuracy | Quantity::Loss | Quantity::Perplexity => {
                let evaluation = self.score(check, Scored::Current)?;
                Ok(Measured::Number(of(evaluation, spec)?, self.place(check, &evaluation)))
            }
            Quantity::LossFell => self.loss_fell(check),
            Quantity::Forgotten => self.forgotten(check),
            _ => self.fact(spec),
        }
    }

    /// The metric of a check for the base model.
    ///
    /// # Errors
    /// Those of an evaluation.
    pub(super) fn base(&mut self, check: &Check, spec: &MetricSpec) -> Result<f64, Failure> {
        of(self.score(check, Scored::Base)?, spec)
    }

    /// The accuracy of always guessing the most common label, on the examples of the check.
    ///
    /// # Errors
    /// A data set without labels, and those of an evaluation.
    pub(super) fn majority(&mut self, check: &Check) -> Result<f64, Failure> {
        self.score(check, Scored::Current)?.majority.ok_or_else(no_labels)
    }

    /// The metrics that need no examples.
    fn fact(&self, spec: &MetricSpec) -> Result<Measured, Failure> {
        let nowhere = |value: u64| Ok(Measured::Number(value as f64, String::new()));
        match spec.quantity {
            Quantity::Trainable => self.counted(|counts| counts.trainable as f64),
            Quantity::TrainablePercent => self.counted(|counts| counts.percent()),
            Quantity::Parameters => self.counted(|counts| counts.all as f64),
            Quantity::Steps => nowhere(self.adapter()?.trained_steps()),
            Quantity::Trained => {
                let steps = self.adapter()?.trained_steps();
                let text = format!("trained for {}", counted(steps as usize, "step"));
                Ok(Measured::Fact(steps > 0, text))
            }
            Quantity::Merged => {
                let is_merged = self.adapter()?.adapter.is_merged();
                let text = if is_merged { "merged into the base" } else { "not merged" };
                Ok(Measured::Fact(is_merged, text.to_owned()))
            }
            Quantity::Seed => nowhere(self.state.seed),
            _ => self.name(spec.quantity).map(Measured::Name),
        }
    }

    fn name(&self, quantity: Quantity) -> Result<String, Failure> {
        Ok(match quantity {
            Quantity::Method => self.adapter()?.adapter.spec().verb.to_owned(),
            Quantity::Adapter => self.adapter()?.adapter.name().to_owned(),
            Quantity::Model => self.state.model()?.source.clone(),
            Quantity::Data => self.state.data(None)?.dataset.name.clone(),
            _ => if self.state.device.is_cpu() { "cpu" } else { "cuda" }.to_owned(),
        })
    }

    /// The adapter in use.
    fn adapter(&self) -> Result<Arc<AttachedAdapter>, Failure> {
        self.state.model()?;
        Ok(self.state.adapter_in_use().ok_or(SessionError::NoAdapter { method: "lora" })?)
    }

    /// Counts parameters. Merged adapters count as trainable, because they were trained too.
    fn counted(&self, count: fn(&graft_peft::Counts) -> f64) -> Result<Measured, Failure> {
        let model = self.state.model()?;
        self.adapter()?;
        let adapters: Vec<_> = self.state.adapters.iter().map(|it| &it.adapter).collect();
        let counts = counts(model.loaded.model.as_ref(), &adapters);
        Ok(Measured::Number(count(&counts), String::new()))
    }

    /// The effective value of a key of the adapter in use.
    fn setting(&self, key: &str) -> Result<Value, Failure> {
        let attached = self.adapter()?;
        let spec = attached.adapter.spec();
        let found = spec.keys.iter().find(|known| known.is_named(key));
        let value = found.and_then(|known| attached.adapter.settings().get(spec.keys, known.name));
        let without = format!("`{}` has no key `{key}`", spec.verb);
        value.ok_or_else(|| {
            Failure::new("check::no_key", without).hint(format!("`%{}?` lists its keys", spec.verb))
        })
    }

    /// Whether the loss of the current model is below that of the base.
    fn loss_fell(&mut self, check: &Check) -> Result<Measured, Failure> {
        self.adapter()?;
        let current = self.score(check, Scored::Current)?;
        let base = self.score(check, Scored::Base)?;
        let text = format!(
            "loss {:.4} with the adapter, {:.4} without{}",
            current.loss,
            base.loss,
            self.place(check, &current)
        );
        Ok(Measured::Fact(current.loss < base.loss, text))
    }

    /// The increase of the loss on the domain of the base model.
    fn forgotten(&mut self, check: &Check) -> Result<Measured, Failure> {
        let mut settings = Settings::default();
        if let Some(domain) = check.settings.values.get("data") {
            settings.set("domain", domain.clone());
        }
        if let Some(examples) = check.settings.values.get("examples") {
            settings.set("domain_examples", examples.clone());
        }
        let settings = Domain::with_default(&self.state, settings)?;
        let Some(domain) = Domain::named(self.cx, &self.state, &settings)? else {
            return Ok(Measured::Number(f64::NAN, String::new()));
        };
        let after = domain.loss(self.cx, "the model")?;
        let _disabled = AdaptersDisabled::new(&self.state)?;
        let before = domain.loss(self.cx, "the base")?;
        let name = settings.text(ABLATE, "domain").unwrap_or_default();
        Ok(Measured::Number(after - before, format!(" on {name}")))
    }

    /// Evaluates a model on the examples of the check, unless another check has done so.
    fn score(&mut self, check: &Check, scored: Scored) -> Result<Evaluation, Failure> {
        let settings = evaluation_settings(check);
        let known = self.scores.iter().find(|(known, who, _)| *known == settings && *who == scored);
        if let Some((_, _, evaluation)) = known {
            return Ok(*evaluation);
        }
        self.state.model()?;
        let data = self.state.data(check.settings.text(KEYS, "data").as_deref())?;
        let evaluation = match scored {
            Scored::Current => eval::score(self.cx, &data, &settings, "the model")?,
            Scored::Base => {
                let _disabled = AdaptersDisabled::new(&self.state)?;
                eval::score(self.cx, &data, &settings, "the base")?
            }
        };
        self.scores.push((settings, scored, evaluation));
        Ok(evaluation)
    }

    /// The examples that a check was measured on.
    fn place(&self, check: &Check, evaluation: &Evaluation) -> String {
        let name = self.state.data(check.settings.text(KEYS, "data").as_deref());
        let name = name.map(|data| data.dataset.name.clone()).unwrap_or_default();
        let split = check.split.unwrap_or_default();
        let examples = counted(evaluation.examples as usize, &format!("{split} example"));
        format!(" on {examples} of {name}")
    }
}

/// The keys of `%eval` for a check.
fn evaluation_settings(check: &Check) -> Settings {
    let mut settings = check.settings.clone();
    settings.values.retain(|key, _| matches!(key.as_str(), "data" | "examples" | "batch"));
    settings.with("split", Value::Text(check.split.unwrap_or("test").to_owned()))
}

/// A metric of an evaluation.
fn of(evaluation: Evaluation, spec: &MetricSpec) -> Result<f64, Failure> {
    match spec.quantity {
        Quantity::Accuracy => evaluation.accuracy.ok_or_else(no_labels),
        Quantity::Perplexity => Ok(evaluation.perplexity),
        _ => Ok(evaluation.loss),
    }
}

fn no_labels() -> Failure {
    Failure::new("check::no_labels", "the data has no labels, so there is no accuracy")
        .hint("check the loss, such as `%check loss < 3.2`, or load data with labels: `%data load which-book`")
}
