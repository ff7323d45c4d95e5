//! `%ablate`: parses a line of methods and `key=values` into a list of trials.

use crate::{
    AUTO, Failure, KeySpec, Settings, Value,
    methods::{self, METHODS, MethodSpec},
    training::{ABLATE, TRAIN},
};

/// A grid of more training runs than this needs `confirm=true`.
pub const MANY: u64 = 60;
/// `lora_alpha / r` in a grid over the rank that does not set alpha.
const ALPHA_PER_RANK: f64 = 2.0;
/// Keys of `%train` that cannot vary in a grid, because all trials share them.
const SHARED: &[&str] = &["seed", "data", "save_every", "eval_every", "eval_examples", "bg"];

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

/// How alpha depends on the rank.
#[derive(Clone, Copy)]
enum Alpha {
    /// Alpha is not in the line.
    Unset,
    /// `alpha=2r`.
    PerRank(f64),
    /// A number, or `fixed`: the same alpha for all ranks, so the scale decreases with the rank.
    AsGiven,
}

impl Ablation {
    /// Parses methods and `key=values`. Commas separate values; inside a value that is a list, `+`
    /// is used instead of the comma.
    ///
    /// # Errors
    /// `ablate::*` for a grid without methods or configurations and for an unknown method or key;
    /// those of [`KeySpec::parse`].
    pub fn parse(words: &[String], pairs: &[(String, String)]) -> Result<Self, Failure> {
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
        refuse_auto_batch(&axes)?;
        let trials = specs
            .iter()
            .map(|spec| trials(spec, &axes, alpha))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        Ok(Self { scaling: scaling(&axes, alpha), trials, settings, search_lr })
    }

    /// Parses the keys of a line without methods, which only measures.
    ///
    /// # Errors
    /// `ablate::no_method` for a key of `%train` or of a method, and those of [`KeySpec::parse`].
    pub fn measurement(pairs: &[(String, String)]) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        for (key, value) in pairs {
            match ABLATE.iter().find(|spec| spec.is_named(key)) {
                Some(spec) if !matches!(spec.name, "seeds" | "fresh" | "confirm") => {
                    settings.set(spec.name, spec.parse(value)?)
                }
                _ => {
                    let failure = Failure::new(
                        "ablate::no_method",
                        format!("`{key}` applies to training, but the line names no method"),
                    );
                    return Err(failure
                        .hint("for example %forgetting lora,full steps=100; without a method, %forgetting domain=rust-docs measures the attached adapters"));
                }
            }
        }
        Ok(settings)
    }

    /// Adds a configuration: a copy of number `number`, starting at 1, with other `keys`. If alpha
    /// depends on the rank, their ratio stays the same.
    ///
    /// # Errors
    /// `ablate::no_trial` for an unknown number, `ablate::same_trial` if the configuration exists
    /// already, and those of [`Self::parse`].
    pub fn with_clone(&self, number: usize, keys: &[(String, String)]) -> Result<Self, Failure> {
        let count = self.trials.len();
        let Some(original) = number.checked_sub(1).and_then(|index| self.trials.get(index)) else {
            return Err(Failure::new("ablate::no_trial", format!("unknown trial {number}"))
                .hint(format!("the comparison has trials 1 to {count}")));
        };
        let spec =
            methods::by_verb(original.method).ok_or_else(|| unknown_method(original.method))?;
        let mut trial = original.clone();
        change(&mut trial, spec, keys)?;
        if self.scaling.is_some() && !keys.iter().any(|(key, _)| is_alpha(key)) {
            keep_scale(spec, original, &mut trial);
        }
        if let Some(same) = self.trials.iter().position(|other| {
            (&other.settings, &other.train) == (&trial.settings, &trial.train)
                && other.method == trial.method
        }) {
            return Err(Failure::new(
                "ablate::same_trial",
                format!("trial {} already has these keys", same + 1),
            )
            .hint("change a key, such as r=32"));
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
    fn new(name: &'a str, value: &str) -> Result<Self, Failure> {
        let texts: Vec<String> = value
            .split(',')
            .map(|text| text.trim().replace('+', ","))
            .filter(|text| !text.is_empty())
            .collect();
        if texts.is_empty() {
            return Err(Failure::new("ablate::empty", format!("`{name}` has no values"))
                .hint(format!("for example {name}=1,2,4")));
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
) -> Result<Vec<&'static MethodSpec>, Failure> {
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
        return Err(Failure::new("ablate::no_method", "no method to compare")
            .hint("for example %ablate lora r=1,4,16 seeds=3 steps=100"));
    }
    Ok(specs)
}

/// Returns whether the pair is `lr=auto`.
fn seeks_rate(key: &str, value: &str) -> bool {
    value == "auto" && TRAIN.iter().any(|spec| spec.name == "lr" && spec.is_named(key))
}

/// Refuses `batch=auto`.
fn refuse_auto_batch(axes: &[Axis<'_>]) -> Result<(), Failure> {
    if axes.iter().any(|axis| {
        axis.texts.iter().any(|text| text == AUTO)
            && TRAIN.iter().any(|spec| spec.name == "batch" && spec.is_named(axis.name))
    }) {
        let failure = Failure::new(
            "ablate::auto_batch",
            "batch=auto cannot be part of a grid: it would give each trial another batch size",
        );
        return Err(
            failure.hint("set a number, such as batch=8; %train batch=auto shows which size fits")
        );
    }
    Ok(())
}

/// Sets the keys of a trial and changes its label.
fn change(
    trial: &mut Trial,
    spec: &'static MethodSpec,
    keys: &[(String, String)],
) -> Result<(), Failure> {
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

/// Changes alpha in proportion to the rank.
fn keep_scale(spec: &MethodSpec, original: &Trial, trial: &mut Trial) {
    let alpha = spec.keys.iter().map(|key| key.name).find(|name| is_alpha(name));
    let [before, after] =
        [&original.settings, &trial.settings].map(|settings| settings.integer(spec.keys, "r"));
    if let (Some(alpha), Some(before), Some(after)) = (alpha, before, after)
        && before != after
        && let Some(old) =
            trial.settings.values.get(alpha).and_then(|_| trial.settings.float(spec.keys, alpha))
    {
        trial.settings.set(alpha, Value::Float(old * after as f64 / before as f64));
    }
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
) -> Result<Vec<Trial>, Failure> {
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
) -> Result<Vec<Trial>, Failure> {
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

/// Sets alpha according to the rank, if alpha depends on it.
fn scale(spec: &MethodSpec, trial: &mut Trial, alpha: Alpha, rank_varies: bool) {
    let per_rank = match alpha {
        Alpha::PerRank(factor) => factor,
        Alpha::Unset if rank_varies => ALPHA_PER_RANK,
        Alpha::Unset | Alpha::AsGiven => return,
    };
    let name = spec.keys.iter().map(|key| key.name).find(|name| is_alpha(name));
    if let (Some(name), Some(rank)) = (name, trial.settings.integer(spec.keys, "r")) {
        trial.settings.set(name, Value::Float(per_rank * rank as f64));
    }
}

fn scaling(axes: &[Axis<'_>], alpha: Alpha) -> Option<String> {
    let rank_varies = axes.iter().any(|axis| axis.varies() && matches!(axis.name, "r" | "rank"));
    match alpha {
        Alpha::PerRank(factor) => {
            Some(format!("alpha = {factor}r: the scale alpha/r is the same at every rank"))
        }
        Alpha::Unset if rank_varies => Some(format!(
            "alpha was not given, so alpha = {ALPHA_PER_RANK}r: the scale alpha/r is the same at every rank (alpha=fixed keeps the default)"
        )),
        Alpha::AsGiven if rank_varies => Some(
            "alpha does not depend on the rank, so the scale alpha/r differs between rows"
                .to_owned(),
        ),
        _ => None,
    }
}

fn is_alpha(key: &str) -> bool {
    matches!(key, "lora_alpha" | "alpha")
}

/// Parses `2r`, `r` or `fixed`.
fn policy(value: &str) -> Option<Alpha> {
    if value == "fixed" {
        return Some(Alpha::AsGiven);
    }
    match value.strip_suffix('r')? {
        "" => Some(Alpha::PerRank(1.0)),
        factor => factor
            .parse()
            .ok()
            .filter(|factor: &f64| *factor > 0.0 && factor.is_finite())
            .map(Alpha::PerRank),
    }
}

fn home(key: &str, specs: &[&'static MethodSpec]) -> Result<Home, Failure> {
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
    let verbs: Vec<_> = specs.iter().map(|spec| spec.verb).collect();
    Err(Failure::new(
        "ablate::unknown_key",
        format!("unknown key `{key}` for {} and training", verbs.join(", ")),
    )
    .hint(format!("keys: {}", known.join(", "))))
}

fn shared(spec: &KeySpec) -> Failure {
    let hint = if spec.name == "seed" {
        "seeds=3 trains every configuration with the seed of the session and the two after it"
    } else {
        "all trials share it"
    };
    Failure::new("ablate::shared", format!("`{}` cannot be part of a grid", spec.name)).hint(hint)
}

fn unknown_method(name: &str) -> Failure {
    let verbs: Vec<_> = METHODS.iter().map(|spec| spec.verb).collect();
    Failure::new("ablate::unknown_method", format!("unknown method `{name}`"))
        .hint(format!("methods: {}", verbs.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Ablation, Failure> {
        let (pairs, words): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.contains('='));
        let pairs: Vec<_> = pairs
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ablation::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), &pairs)
    }

    #[test]
    fn a_clone_changes_only_the_given_keys_and_keeps_the_scale() {
        let (found, pair) =
            (parse("lora r=4,8 steps=20 fresh=true").unwrap(), |key: &str, value: &str| {
                vec![(key.to_owned(), value.to_owned())]
            });
        let wider = found.with_clone(2, &pair("r", "32")).unwrap();
        let (trial, keys) = (&wider.trials[2], methods::by_verb("lora").unwrap().keys);
        assert_eq!(
            (
                trial.label.as_str(),
                trial.settings.integer(keys, "r"),
                trial.settings.float(keys, "lora_alpha")
            ),
            ("lora r=32", Some(32), Some(64.0))
        );
        assert!(wider.settings.values.is_empty(), "finished trials are kept");
        assert_eq!(
            found.with_clone(2, &pair("r", "4")).unwrap_err().message,
            "trial 1 already has these keys"
        );
        assert_eq!(found.with_clone(0, &[]).unwrap_err().code, "ablate::no_trial");
        assert_eq!(found.with_clone(1, &pair("seeds", "3")).unwrap_err().code, "ablate::shared");
    }

    #[test]
    fn every_combination_is_a_trial_labeled_with_what_varies() {
        let found =
            parse("lora r=4,8 x target_modules=q_proj+v_proj,all-linear steps=20 seeds=3").unwrap();
        let labels: Vec<_> = found.trials.iter().map(|trial| trial.label.as_str()).collect();
        assert_eq!(labels[0], "lora r=4 target_modules=q_proj,v_proj");
        assert_eq!(labels.len(), 4);
        assert_eq!(found.seeds(), 3);
        let list = |names: &[&str]| {
            Some(Value::List(names.iter().map(|name| (*name).to_owned()).collect()))
        };
        assert_eq!(
            found.trials[0].settings.values.get("target_modules").cloned(),
            list(&["q_proj", "v_proj"])
        );
        assert!(
            found
                .trials
                .iter()
                .all(|trial| trial.train.values.get("steps") == Some(&Value::Integer(20)))
        );
    }

    #[test]
    fn the_scale_does_not_depend_on_the_rank_by_default() {
        let ratios = |line: &str| -> Vec<f64> {
            let keys = methods::lora::SPEC.keys;
            let ratio = |trial: &Trial| {
                trial.settings.float(keys, "lora_alpha").unwrap()
                    / trial.settings.float(keys, "r").unwrap()
            };
            parse(line).unwrap().trials.iter().map(ratio).collect()
        };
        assert_eq!(ratios("lora r=1,2,16"), [2.0, 2.0, 2.0]);
        assert_eq!(ratios("lora r=1,16 alpha=r"), [1.0, 1.0]);
        assert_eq!(ratios("lora r=1,8 alpha=fixed"), [8.0, 1.0]);
        assert_eq!(
            ratios("lora r=4 lr=1e-3,1e-2"),
            [2.0, 2.0],
            "a single rank keeps the default alpha of 8"
        );
        assert!(parse("lora r=1,2").unwrap().scaling.is_some_and(|text| text.contains("2r")));
    }

    #[test]
    fn lr_auto_is_not_a_value_of_the_grid() {
        let found = parse("lora r=1,4 lr=auto").unwrap();
        assert!(
            found.search_lr
                && found.trials.len() == 2
                && found.trials.iter().all(|trial| !trial.train.values.contains_key("lr"))
        );
        assert!(!parse("lora lr=1e-3").unwrap().search_lr);
        assert!(parse("lora lr=auto,1e-3").is_err());
    }

    #[test]
    fn a_key_of_one_method_does_not_affect_the_others() {
        let found = parse("methods=lora,ia3,full r=2,4").unwrap();
        assert_eq!(
            found.trials.iter().map(|trial| trial.label.as_str()).collect::<Vec<_>>(),
            ["lora r=2", "lora r=4", "ia3", "full"]
        );
    }

    #[test]
    fn an_invalid_grid_is_rejected_with_a_hint() {
        for (line, code) in [
            ("", "ablate::no_method"),
            ("lora r=", "ablate::empty"),
            ("lorra r=1", "ablate::unknown_method"),
            ("lora ranks=1,2", "ablate::unknown_key"),
            ("lora r=1,two", "settings::wrong_type"),
            ("lora r=0,1", "settings::out_of_range"),
            ("lora seed=1,2", "ablate::shared"),
        ] {
            let failure = parse(line).unwrap_err();
            assert!(failure.code == code && failure.hint.is_some(), "{line}: {failure:?}");
        }
    }

    #[test]
    fn a_large_grid_needs_confirmation() {
        let grid = |line| parse(line).unwrap();
        let large = grid("lora r=1,2,3,4,5,6,7,8 lr=1,2,3,4,5 seeds=2");
        assert!(large.training_runs() == 80 && large.wants_confirmation());
        assert!(
            !grid("lora r=1,2,3,4,5,6,7,8 lr=1,2,3,4,5 seeds=2 confirm=true").wants_confirmation()
        );
        assert!(!grid("lora r=1,2,3,4,5,6 lr=1,2,3,4,5 seeds=2").wants_confirmation());
    }
}
