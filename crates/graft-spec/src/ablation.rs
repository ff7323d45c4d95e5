//! `%ablate`: a line of methods and `key=values` becomes the list of its trials.

use crate::{
    AUTO, Failure, KeySpec, Settings, Value,
    methods::{self, METHODS, MethodSpec},
    training::{ABLATE, TRAIN},
};

/// Comparisons with more runs than this need `confirm=true`.
pub const MANY: u64 = 60;
/// `lora_alpha / r` where a grid over the rank does not say it.
const ALPHA_PER_RANK: f64 = 2.0;
/// Keys of `%train` that a grid cannot hold: the trials share them.
const SHARED: &[&str] = &["seed", "data", "save_every", "eval_every", "eval_examples", "bg"];

/// What is to be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Ablation {
    /// The configurations, in the order of the line; each is trained with every seed.
    pub trials: Vec<Trial>,
    /// Keys of [`ABLATE`].
    pub settings: Settings,
    /// How `lora_alpha` follows the rank, in words; none where no rank varies.
    pub scaling: Option<String>,
    /// `lr=auto`: short runs find the learning rate of each configuration.
    pub search_lr: bool,
}

/// One configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Verb of the method.
    pub method: &'static str,
    /// The method and what varies, such as `lora r=4`.
    pub label: String,
    /// Keys of the method.
    pub settings: Settings,
    /// Keys of the training.
    pub train: Settings,
}

/// One key with its values, as typed.
struct Axis<'a> {
    name: &'a str,
    texts: Vec<String>,
}

/// Where a key belongs.
enum Home {
    Own(&'static KeySpec),
    Train(&'static KeySpec),
    Methods,
}

/// How alpha follows the rank.
#[derive(Clone, Copy)]
enum Alpha {
    /// Nothing was said.
    Unsaid,
    /// `alpha=2r`.
    PerRank(f64),
    /// A number, or `fixed`: alpha as it is, so that the scale falls with the rank.
    AsGiven,
}

impl Ablation {
    /// Reads methods and `key=values`. Values are separated by commas; inside one value of a list, `+` stands for the comma.
    ///
    /// # Errors
    /// `ablate::*` for a grid without methods or configurations, an unknown method or key; those of [`KeySpec::parse`].
    pub fn parse(words: &[String], pairs: &[(String, String)]) -> Result<Self, Failure> {
        let listed = pairs
            .iter()
            .filter(|(key, _)| key == "methods")
            .flat_map(|(_, value)| value.split(','));
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
            return Err(Failure::new("ablate::no_method", "missing method to compare")
                .hint("for example %ablate lora r=1,4,16 seeds=3 steps=100"));
        }
        let (mut settings, mut axes, mut alpha) = (Settings::default(), Vec::new(), Alpha::Unsaid);
        let seeks = |key: &str, value: &str| {
            value == "auto" && TRAIN.iter().any(|spec| spec.name == "lr" && spec.is_named(key))
        };
        let search_lr = pairs.iter().any(|(key, value)| seeks(key, value));
        for (key, value) in
            pairs.iter().filter(|(key, value)| key != "methods" && !seeks(key, value))
        {
            match home(key, &specs)? {
                Home::Own(spec) => settings.set(spec.name, spec.parse(value)?),
                Home::Train(spec) if SHARED.contains(&spec.name) => return Err(shared(spec)),
                Home::Methods if is_alpha(key) && policy(value).is_some() => {
                    alpha = policy(value).unwrap_or(Alpha::Unsaid)
                }
                Home::Methods if is_alpha(key) => {
                    alpha = Alpha::AsGiven;
                    axes.push(Axis::new(key, value)?);
                }
                Home::Train(_) | Home::Methods => axes.push(Axis::new(key, value)?),
            }
        }
        if axes.iter().any(|axis| {
            axis.texts.iter().any(|text| text == AUTO)
                && TRAIN.iter().any(|spec| spec.name == "batch" && spec.is_named(axis.name))
        }) {
            let failure = Failure::new(
                "ablate::auto_batch",
                "batch=auto could give each trial a different batch size, so that they would not be comparable",
            );
            return Err(failure.hint(
                "give one number, such as batch=8; %train batch=auto shows which size fits",
            ));
        }
        let trials = specs
            .iter()
            .map(|spec| trials(spec, &axes, alpha))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        Ok(Self { scaling: scaling(&axes, alpha), trials, settings, search_lr })
    }

    /// The keys of a line without methods, which measures and trains nothing.
    ///
    /// # Errors
    /// A [`Failure`] for a key that only training has, and those of [`KeySpec::parse`].
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
                        format!("`{key}` is a key of %train, and no method is given"),
                    );
                    return Err(failure
                        .hint("for example %forgetting lora,full steps=100; without a method it measures the attached adapters: %forgetting domain=rust-docs"));
                }
            }
        }
        Ok(settings)
    }

    /// The comparison with one more configuration: like number `number`, from 1, but for `keys`. Alpha keeps its ratio to the rank where it follows it.
    ///
    /// # Errors
    /// `ablate::no_trial` for a number that there is not, `ablate::same_trial` when there is such a configuration already, and those of [`Self::parse`].
    pub fn with_clone(&self, number: usize, keys: &[(String, String)]) -> Result<Self, Failure> {
        let count = self.trials.len();
        let Some(original) = number.checked_sub(1).and_then(|index| self.trials.get(index)) else {
            return Err(Failure::new("ablate::no_trial", format!("unknown trial {number}"))
                .hint(format!("the comparison has trials 1 to {count}")));
        };
        let spec =
            methods::by_verb(original.method).ok_or_else(|| unknown_method(original.method))?;
        let mut trial = original.clone();
        for (key, text) in keys {
            let (found, is_training) = match home(key, &[spec])? {
                Home::Own(own) => return Err(shared(own)),
                Home::Train(train) if SHARED.contains(&train.name) => return Err(shared(train)),
                Home::Train(train) => (train, true),
                Home::Methods => (
                    spec.keys.iter().find(|known| known.is_named(key)).unwrap_or(&spec.keys[0]),
                    false,
                ),
            };
            let value = found.parse(&text.replace('+', ","))?;
            if is_training {
                trial.train.set(found.name, value)
            } else {
                trial.settings.set(found.name, value)
            }
            trial.label = relabelled(&trial.label, found.name, text);
        }
        let alpha = spec.keys.iter().map(|key| key.name).find(|name| is_alpha(name));
        let [before, after] =
            [&original.settings, &trial.settings].map(|settings| settings.integer(spec.keys, "r"));
        if let (Some(alpha), Some(before), Some(after), Some(_)) =
            (alpha, before, after, &self.scaling)
            && before != after
            && !keys.iter().any(|(key, _)| is_alpha(key))
            && let Some(old) = trial
                .settings
                .values
                .get(alpha)
                .and_then(|_| trial.settings.float(spec.keys, alpha))
        {
            trial.settings.set(alpha, Value::Float(old * after as f64 / before as f64));
        }
        if let Some(same) = self.trials.iter().position(|other| {
            (&other.settings, &other.train) == (&trial.settings, &trial.train)
                && other.method == trial.method
        }) {
            return Err(Failure::new(
                "ablate::same_trial",
                format!("that is the same as trial {}", same + 1),
            )
            .hint("give a key with another value, such as r=32"));
        }
        let mut wider = self.clone();
        wider.trials.push(trial);
        // What is finished is not trained again for the sake of another.
        wider.settings.values.remove("fresh");
        Ok(wider)
    }

    /// Seeds per configuration.
    pub fn seeds(&self) -> u64 {
        self.settings.integer(ABLATE, "seeds").map_or(1, i64::unsigned_abs)
    }

    /// Whether the worse half is stopped early, twice (successive halving).
    pub fn halves(&self) -> bool {
        self.settings.text(ABLATE, "early").as_deref() == Some("halving")
    }

    /// Total number of training runs.
    pub fn trainings(&self) -> u64 {
        self.trials.len() as u64 * self.seeds()
    }

    /// Whether there are so many runs that the line may be a mistake, and the user has not confirmed it.
    pub fn wants_confirmation(&self) -> bool {
        self.trainings() > MANY && !self.settings.bool(ABLATE, "confirm")
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

/// A label with another value of a key.
fn relabelled(label: &str, key: &str, value: &str) -> String {
    let others =
        label.split(' ').filter(|word| word.split_once('=').is_none_or(|(name, _)| name != key));
    format!("{} {key}={value}", others.collect::<Vec<_>>().join(" "))
}

/// Every combination of the values whose keys this method, or the training, has.
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
            // Another of the methods has it.
            (None, None) => continue,
        };
        let mut wider = Vec::new();
        for trial in &found {
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
        found = wider;
    }
    let rank_varies = axes.iter().any(|axis| {
        axis.varies() && spec.keys.iter().any(|key| key.name == "r" && key.is_named(axis.name))
    });
    found.iter_mut().for_each(|trial| scale(spec, trial, alpha, rank_varies));
    Ok(found)
}

/// Sets alpha by the rank where that is the policy.
fn scale(spec: &MethodSpec, trial: &mut Trial, alpha: Alpha, rank_varies: bool) {
    let per_rank = match alpha {
        Alpha::PerRank(factor) => factor,
        Alpha::Unsaid if rank_varies => ALPHA_PER_RANK,
        Alpha::Unsaid | Alpha::AsGiven => return,
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
        Alpha::Unsaid if rank_varies => Some(format!(
            "alpha was not given, so alpha = {ALPHA_PER_RANK}r: the scale alpha/r is the same at every rank (alpha=fixed keeps the default alpha)"
        )),
        Alpha::AsGiven if rank_varies => Some(
            "alpha does not follow the rank, so the scale alpha/r differs from row to row"
                .to_owned(),
        ),
        _ => None,
    }
}

fn is_alpha(key: &str) -> bool {
    matches!(key, "lora_alpha" | "alpha")
}

/// `2r`, `r` or `fixed`.
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
        format!("neither {} nor %train has a key `{key}`", verbs.join(", ")),
    )
    .hint(format!("keys: {}", known.join(", "))))
}

fn shared(spec: &KeySpec) -> Failure {
    let hint = if spec.name == "seed" {
        "seeds=3 trains every configuration with the session's seed and the next two"
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
    fn a_clone_differs_in_what_is_named_and_keeps_the_scale() {
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
        assert!(wider.settings.values.is_empty(), "what is finished stays");
        assert_eq!(
            found.with_clone(2, &pair("r", "4")).unwrap_err().message,
            "that is the same as trial 1"
        );
        assert_eq!(found.with_clone(0, &[]).unwrap_err().code, "ablate::no_trial");
        assert_eq!(found.with_clone(1, &pair("seeds", "3")).unwrap_err().code, "ablate::shared");
    }

    #[test]
    fn every_combination_is_a_trial_and_the_label_says_what_varies() {
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
    fn the_scale_does_not_change_with_the_rank_unless_that_is_asked_for() {
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
            "a lone rank keeps the default alpha of 8"
        );
        assert!(parse("lora r=1,2").unwrap().scaling.is_some_and(|text| text.contains("2r")));
    }

    #[test]
    fn a_rate_that_is_to_be_found_is_no_value_of_the_grid() {
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
    fn a_key_of_one_method_leaves_the_others_alone() {
        let found = parse("methods=lora,ia3,full r=2,4").unwrap();
        assert_eq!(
            found.trials.iter().map(|trial| trial.label.as_str()).collect::<Vec<_>>(),
            ["lora r=2", "lora r=4", "ia3", "full"]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
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
    fn a_large_grid_wants_to_be_confirmed() {
        let grid = |line| parse(line).unwrap();
        let large = grid("lora r=1,2,3,4,5,6,7,8 lr=1,2,3,4,5 seeds=2");
        assert!(large.trainings() == 80 && large.wants_confirmation());
        assert!(
            !grid("lora r=1,2,3,4,5,6,7,8 lr=1,2,3,4,5 seeds=2 confirm=true").wants_confirmation()
        );
        assert!(!grid("lora r=1,2,3,4,5,6 lr=1,2,3,4,5 seeds=2").wants_confirmation());
    }
}
