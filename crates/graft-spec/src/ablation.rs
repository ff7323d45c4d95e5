//! `%ablate`: parses a line of methods and `key=values` into a list of trials.

mod alpha;

use crate::{
    AUTO, KeySpec, Settings, SpecError,
    methods::{self, METHODS, MethodSpec},
    training::{ABLATE, TRAIN, check_dependent, check_exclusive, is_dependent, overlaid},
};

use alpha::{Alpha, is_alpha, keep_scale, policy, scale, scaling};

/// A grid of more training runs than this needs `confirm=true`.
pub const MANY: u64 = 60;
/// Keys of `%train` that cannot vary in a grid, because all trials share them.
const SHARED: &[&str] = &[
    "seed",
    "data",
    "save_every",
    "eval_every",
    "eval_examples",
    "bg",
    "best",
    "early_stopping",
    "load_best",
];
/// The schedule that depends on validations, which trials do not have.
const PLATEAU: &str = "reduce_on_plateau";
/// Its keys.
const PLATEAU_KEYS: [&str; 2] = ["lr_patience", "lr_factor"];

/// Keys of [`ABLATE`] about the trials, which a line without methods has not.
const OF_TRIALS: &[&str] =
    &["seeds", "fresh", "confirm", "metric", "pattern", "max_new_tokens", "stop"];

/// A parsed grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Ablation {
    /// The configurations, in the order of the line. Each is trained with every seed.
    pub trials: Vec<Trial>,
    /// Keys of [`ABLATE`].
    pub settings: Settings,
    /// How `lora_alpha` depends on the rank, as text; `None` if the rank does not vary.
    pub scaling: Option<String>,
    /// `lr=auto`: short training runs find the learning rate of each configuration.
    pub search_lr: bool,
}

/// One configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Name of the method's magic.
    pub method: &'static str,
    /// The method and the keys that vary, such as `lora r=4`.
    pub label: String,
    /// Keys of the method.
    pub settings: Settings,
    /// Keys of `%train`.
    pub train: Settings,
}

/// A key with its values, as typed.
struct Axis<'a> {
    name: &'a str,
    texts: Vec<String>,
}

/// The command that a key belongs to.
enum Home {
    Own(&'static KeySpec),
    Train(&'static KeySpec),
    Methods,
}

impl Ablation {
    /// Parses methods and `key=values`. Commas separate values; inside a value that is a list, `+`
    /// is used instead of the comma.
    ///
    /// # Errors
    /// [`SpecError`] for a grid without methods or configurations and for an unknown method or key,
    /// and the errors of [`KeySpec::parse`].
    pub fn parse(words: &[String], pairs: &[(String, String)]) -> Result<Self, SpecError> {
        let specs = method_specs(words, pairs)?;
        let (mut settings, mut axes, mut alpha) = (Settings::default(), Vec::new(), Alpha::Unset);
        let search_lr = pairs.iter().any(|(key, value)| seeks_rate(key, value));
        for (key, value) in
            pairs.iter().filter(|(key, value)| key != "methods" && !seeks_rate(key, value))
        {
            match home(key, &specs)? {
                Home::Own(spec) => settings.set(spec.name, spec.parse(value)?),
                Home::Train(spec) if SHARED.contains(&spec.name) => return Err(shared(spec)),
                Home::Methods if is_alpha(key) && policy(value).is_some() => {
                    alpha = policy(value).unwrap_or(Alpha::Unset)
                }
                Home::Methods if is_alpha(key) => {
                    alpha = Alpha::AsGiven;
                    axes.push(Axis::new(key, value)?);
                }
                Home::Train(_) | Home::Methods => axes.push(Axis::new(key, value)?),
            }
        }
        refuse_auto(&axes)?;
        let trials = specs
            .iter()
            .map(|spec| trials(spec, &axes, alpha))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        trials.iter().try_for_each(check_trial)?;
        check_dependent(&trials.iter().map(|trial| &trial.train).collect::<Vec<_>>())?;
        Ok(Self { scaling: scaling(&axes, alpha), trials, settings, search_lr })
    }

    /// Parses the keys of a line without methods, which only measures.
    ///
    /// # Errors
    /// [`SpecError::KeyWithoutMethod`] for a key of `%train` or of a method, and the errors of
    /// [`KeySpec::parse`].
    pub fn measurement(pairs: &[(String, String)]) -> Result<Settings, SpecError> {
        let mut settings = Settings::default();
        for (key, value) in pairs {
            match ABLATE.iter().find(|spec| spec.is_named(key)) {
                Some(spec) if !OF_TRIALS.contains(&spec.name) => {
                    settings.set(spec.name, spec.parse(value)?)
                }
                _ => {
                    return Err(SpecError::KeyWithoutMethod { key: key.clone() });
                }
            }
        }
        Ok(settings)
    }

    /// Adds a configuration: a copy of number `number`, starting at 1, with other `keys`. If alpha
    /// depends on the rank, their ratio stays the same.
    ///
    /// # Errors
    /// [`SpecError::UnknownTrial`] for an unknown number, [`SpecError::SameTrial`] if the
    /// configuration exists already, and the errors of [`Self::parse`].
    pub fn with_clone(&self, number: usize, keys: &[(String, String)]) -> Result<Self, SpecError> {
        let count = self.trials.len();
        let Some(original) = number.checked_sub(1).and_then(|index| self.trials.get(index)) else {
            return Err(SpecError::UnknownTrial { number, count });
        };
        let spec =
            methods::by_verb(original.method).ok_or_else(|| unknown_method(original.method))?;
        let mut trial = original.clone();
        change(&mut trial, spec, keys)?;
        if self.scaling.is_some() && !keys.iter().any(|(key, _)| is_alpha(key)) {
            keep_scale(spec, original, &mut trial);
        }
        let is_typed = |name: &str| {
            TRAIN
                .iter()
                .any(|spec| spec.name == name && keys.iter().any(|(key, _)| spec.is_named(key)))
        };
        let mut typed = trial.train.clone();
        typed.values.retain(|name, _| is_typed(name));
        trial.train = overlaid(&original.train, &typed);
        check_trial(&trial)?;
        // A grid has keys that act in some of its trials only, and each trial carries all of them.
        let mut checked = trial.train.clone();
        checked.values.retain(|name, _| is_typed(name) || !is_dependent(name));
        check_dependent(&[&checked])?;
        if let Some(same) = self.trials.iter().position(|other| {
            (&other.settings, &other.train) == (&trial.settings, &trial.train)
                && other.method == trial.method
        }) {
            return Err(SpecError::SameTrial { number: same + 1 });
        }
        let mut wider = self.clone();
        wider.trials.push(trial);
        // Finished trials are not repeated because of the new one.
        wider.settings.values.remove("fresh");
        Ok(wider)
    }

    /// Seeds per configuration.
    pub fn seeds(&self) -> u64 {
        self.settings.integer(ABLATE, "seeds").map_or(1, i64::unsigned_abs)
    }

    /// Returns whether the worse half is stopped early, twice.
    pub fn halves(&self) -> bool {
        self.settings.text(ABLATE, "early").as_deref() == Some("halving")
    }

    /// Returns the number of training runs.
    pub fn training_runs(&self) -> u64 {
        self.trials.len() as u64 * self.seeds()
    }

    /// Returns whether the grid has more than [`MANY`] training runs and is not confirmed.
    pub fn wants_confirmation(&self) -> bool {
        self.training_runs() > MANY && !self.settings.bool(ABLATE, "confirm")
    }
}

impl<'a> Axis<'a> {
    fn new(name: &'a str, value: &str) -> Result<Self, SpecError> {
        let texts: Vec<String> = value
            .split(',')
            .map(|text| text.trim().replace('+', ","))
            .filter(|text| !text.is_empty())
            .collect();
        if texts.is_empty() {
            return Err(SpecError::NoValues { key: name.to_owned() });
        }
        Ok(Self { name, texts })
    }

    fn varies(&self) -> bool {
        self.texts.len() > 1
    }
}

/// The methods of a line.
fn method_specs(
    words: &[String],
    pairs: &[(String, String)],
) -> Result<Vec<&'static MethodSpec>, SpecError> {
    let listed =
        pairs.iter().filter(|(key, _)| key == "methods").flat_map(|(_, value)| value.split(','));
    let names: Vec<&str> = words
        .iter()
        .flat_map(|word| word.split(','))
        .chain(listed)
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "x")
        .collect();
    let specs = names
        .iter()
        .map(|name| methods::by_verb(name).ok_or_else(|| unknown_method(name)))
        .collect::<Result<Vec<_>, _>>()?;
    if specs.is_empty() {
        return Err(SpecError::NoMethod);
    }
    Ok(specs)
}

/// Returns whether the pair is `lr=auto`.
fn seeks_rate(key: &str, value: &str) -> bool {
    value == "auto" && TRAIN.iter().any(|spec| spec.name == "lr" && spec.is_named(key))
}

/// Refuses `batch=auto`, and `lr=auto` together with other learning rates.
fn refuse_auto(axes: &[Axis<'_>]) -> Result<(), SpecError> {
    let has_auto = |name: &str| {
        axes.iter().any(|axis| {
            axis.texts.iter().any(|text| text == AUTO)
                && TRAIN.iter().any(|spec| spec.name == name && spec.is_named(axis.name))
        })
    };
    if has_auto("batch") {
        return Err(SpecError::AutoBatch);
    }
    if has_auto("lr") {
        return Err(SpecError::WrongType {
            key: "lr",
            expected: "a number or auto alone",
            found: AUTO.to_owned(),
            example: "lr=auto searches the learning rate of every configuration; lr=1e-3,1e-4 \
                compares these two"
                .to_owned(),
        });
    }
    Ok(())
}

/// Refuses keys that exclude each other, and a schedule that needs validations.
fn check_trial(trial: &Trial) -> Result<(), SpecError> {
    check_exclusive(&trial.train)?;
    let given = |name: &str| trial.train.values.contains_key(name);
    let is_plateau = trial.train.text(TRAIN, "schedule").as_deref() == Some(PLATEAU);
    if is_plateau || PLATEAU_KEYS.iter().any(|key| given(key)) {
        return Err(SpecError::PlateauInGrid);
    }
    Ok(())
}

/// Sets the keys of a trial and changes its label.
fn change(
    trial: &mut Trial,
    spec: &'static MethodSpec,
    keys: &[(String, String)],
) -> Result<(), SpecError> {
    for (key, text) in keys {
        let (found, is_training) = match home(key, &[spec])? {
            Home::Own(own) => return Err(shared(own)),
            Home::Train(train) if SHARED.contains(&train.name) => return Err(shared(train)),
            Home::Train(train) => (train, true),
            Home::Methods => {
                (spec.keys.iter().find(|known| known.is_named(key)).unwrap_or(&spec.keys[0]), false)
            }
        };
        let value = found.parse(&text.replace('+', ","))?;
        if is_training {
            trial.train.set(found.name, value)
        } else {
            trial.settings.set(found.name, value)
        }
        trial.label = relabeled(&trial.label, found.name, text);
    }
    Ok(())
}

/// Replaces the value of a key in a label.
fn relabeled(label: &str, key: &str, value: &str) -> String {
    let others =
        label.split(' ').filter(|word| word.split_once('=').is_none_or(|(name, _)| name != key));
    format!("{} {key}={value}", others.collect::<Vec<_>>().join(" "))
}

/// Returns every combination of the values of the keys that the method or `%train` has.
fn trials(
    spec: &'static MethodSpec,
    axes: &[Axis<'_>],
    alpha: Alpha,
) -> Result<Vec<Trial>, SpecError> {
    let mut found = vec![Trial {
        method: spec.verb,
        label: spec.verb.to_owned(),
        settings: Settings::default(),
        train: Settings::default(),
    }];
    for axis in axes {
        let (key, is_training) = match (
            TRAIN.iter().find(|key| key.is_named(axis.name)),
            spec.keys.iter().find(|key| key.is_named(axis.name)),
        ) {
            (Some(key), _) => (key, true),
            (None, Some(key)) => (key, false),
            // A key of another method.
            (None, None) => continue,
        };
        found = widened(&found, axis, key, is_training)?;
    }
    let rank_varies = axes.iter().any(|axis| {
        axis.varies() && spec.keys.iter().any(|key| key.name == "r" && key.is_named(axis.name))
    });
    found.iter_mut().for_each(|trial| scale(spec, trial, alpha, rank_varies));
    Ok(found)
}

/// Returns a copy of each trial for each value of the key.
fn widened(
    found: &[Trial],
    axis: &Axis<'_>,
    key: &KeySpec,
    is_training: bool,
) -> Result<Vec<Trial>, SpecError> {
    let mut wider = Vec::new();
    for trial in found {
        for text in &axis.texts {
            let (mut trial, value) = (trial.clone(), key.parse(text)?);
            if axis.varies() {
                trial.label.push_str(&format!(" {}={text}", key.name));
            }
            if is_training {
                trial.train.set(key.name, value)
            } else {
                trial.settings.set(key.name, value)
            }
            wider.push(trial);
        }
    }
    Ok(wider)
}

fn home(key: &str, specs: &[&'static MethodSpec]) -> Result<Home, SpecError> {
    if let Some(spec) = ABLATE.iter().find(|spec| spec.is_named(key)) {
        return Ok(Home::Own(spec));
    }
    if let Some(spec) = TRAIN.iter().find(|spec| spec.is_named(key)) {
        return Ok(Home::Train(spec));
    }
    if specs.iter().any(|spec| {
        spec.keys.iter().any(|known| known.is_named(key) && known.name != "adapter_name")
    }) {
        return Ok(Home::Methods);
    }
    let mut known: Vec<&str> = specs
        .iter()
        .flat_map(|spec| spec.keys)
        .chain(TRAIN)
        .chain(ABLATE)
        .map(|spec| spec.name)
        .collect();
    known.retain(|name| !SHARED.contains(name) && *name != "adapter_name");
    known.sort_unstable();
    known.dedup();
    let methods = specs.iter().map(|spec| spec.verb).collect();
    Err(SpecError::UnknownGridKey { key: key.to_owned(), methods, known })
}

fn shared(spec: &KeySpec) -> SpecError {
    SpecError::SharedKey { key: spec.name }
}

fn unknown_method(name: &str) -> SpecError {
    let known = METHODS.iter().map(|spec| spec.verb).collect();
    SpecError::UnknownMethod { name: name.to_owned(), known }
}

#[cfg(test)]
mod tests;
