//! The metrics of `%check`.

/// A metric of `%check`.
#[derive(Debug, PartialEq)]
pub struct MetricSpec {
    /// Name in a check.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What is measured.
    pub quantity: Quantity,
    /// The unit, which decides the values it can be compared with.
    pub unit: Unit,
    /// The default split of a metric that is measured on examples.
    pub split: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// A quantity that the session can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Fraction of the examples whose own label has the highest score.
    Accuracy,
    /// Mean loss in nats.
    Loss,
    /// `exp(loss)`.
    Perplexity,
    /// Whether the loss with the adapter is below that of the base.
    LossFell,
    /// Increase of the loss on the base model's own domain, in nats per token.
    Forgotten,
    /// Number of trainable parameters.
    Trainable,
    /// Trainable parameters in percent of all parameters.
    TrainablePercent,
    /// Number of all parameters.
    Parameters,
    /// Steps that the adapter was trained for.
    Steps,
    /// Whether the adapter was trained.
    Trained,
    /// Whether the adapter is merged.
    Merged,
    /// Verb of the method.
    Method,
    /// The source of the model.
    Model,
    /// Name of the current data set.
    Data,
    /// Name of the adapter in use.
    Adapter,
    /// Name of the device.
    Device,
    /// The seed of the session.
    Seed,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A fraction in `[0, 1]`; `40%` means 0.4.
    Fraction,
    /// A number in percent; `1%` means 1.
    Percent,
    /// A loss or another real number.
    Real,
    /// A whole number.
    Count,
    /// A name.
    Name,
    /// True or false, without a comparison.
    Fact,
}

/// A metric that is measured without examples.
const fn plain(
    name: &'static str,
    quantity: Quantity,
    unit: Unit,
    help: &'static str,
) -> MetricSpec {
    MetricSpec { name, aliases: &[], quantity, unit, split: None, help }
}

/// A metric that is measured on the examples of a split.
const fn scored(
    name: &'static str,
    (quantity, unit): (Quantity, Unit),
    split: &'static str,
    help: &'static str,
) -> MetricSpec {
    MetricSpec { name, aliases: &[], quantity, unit, split: Some(split), help }
}

/// Every metric apart from the keys of the methods.
pub const METRICS: &[MetricSpec] = &[
    MetricSpec {
        aliases: &["acc"],
        ..scored(
            "accuracy",
            (Quantity::Accuracy, Unit::Fraction),
            "test",
            "fraction of examples whose own label scores highest; the value may be `base` or `majority`",
        )
    },
    scored(
        "loss",
        (Quantity::Loss, Unit::Real),
        "test",
        "mean loss in nats, per token or, for a classifier, per example; the value may be `base`",
    ),
    MetricSpec {
        aliases: &["ppl"],
        ..scored(
            "perplexity",
            (Quantity::Perplexity, Unit::Real),
            "test",
            "exp(loss); the value may be `base`",
        )
    },
    scored(
        "loss_fell",
        (Quantity::LossFell, Unit::Fact),
        "train",
        "whether the loss with the adapter is below that of the base model",
    ),
    plain(
        "forgotten",
        Quantity::Forgotten,
        Unit::Real,
        "increase of the loss on the base model's own domain, in nats per token; data=NAME names the domain of another model than `tiny`",
    ),
    MetricSpec {
        aliases: &["trainable_parameters"],
        ..plain(
            "trainable",
            Quantity::Trainable,
            Unit::Count,
            "number of trainable parameters of the adapter in use",
        )
    },
    plain(
        "trainable_percent",
        Quantity::TrainablePercent,
        Unit::Percent,
        "trainable parameters in percent of all parameters",
    ),
    plain(
        "parameters",
        Quantity::Parameters,
        Unit::Count,
        "number of all parameters, with those of the adapter",
    ),
    plain("steps", Quantity::Steps, Unit::Count, "steps that the adapter in use was trained for"),
    plain("trained", Quantity::Trained, Unit::Fact, "whether the adapter in use was trained"),
    plain("merged", Quantity::Merged, Unit::Fact, "whether the adapter in use is merged"),
    plain("method", Quantity::Method, Unit::Name, "method of the adapter in use, such as lora"),
    plain("adapter", Quantity::Adapter, Unit::Name, "name of the adapter in use"),
    plain("model", Quantity::Model, Unit::Name, "what `%model load` was given"),
    plain("data", Quantity::Data, Unit::Name, "name of the current data set"),
    plain("device", Quantity::Device, Unit::Name, "cpu or cuda"),
    plain("seed", Quantity::Seed, Unit::Count, "seed of the session"),
];
