use super::*;
use crate::{Failure, Hint, Value};

fn parse(line: &str) -> Result<Ablation, Failure> {
    let (pairs, words): (Vec<&str>, Vec<&str>) =
        line.split_whitespace().partition(|word| word.contains('='));
    let pairs: Vec<_> = pairs
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Ok(Ablation::parse(&words, &pairs)?)
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
        found.with_clone(2, &pair("r", "4")).unwrap_err().to_string(),
        "trial 1 already has these keys"
    );
    assert_eq!(found.with_clone(0, &[]).unwrap_err().code(), "ablate::no_trial");
    assert_eq!(found.with_clone(1, &pair("seeds", "3")).unwrap_err().code(), "ablate::shared");
}

#[test]
fn every_combination_is_a_trial_labeled_with_what_varies() {
    let found =
        parse("lora r=4,8 x target_modules=q_proj+v_proj,all-linear steps=20 seeds=3").unwrap();
    let labels: Vec<_> = found.trials.iter().map(|trial| trial.label.as_str()).collect();
    assert_eq!(labels[0], "lora r=4 target_modules=q_proj,v_proj");
    assert_eq!(labels.len(), 4);
    assert_eq!(found.seeds(), 3);
    let list =
        |names: &[&str]| Some(Value::List(names.iter().map(|name| (*name).to_owned()).collect()));
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
        ("lora schedule=cosine,reduce_on_plateau", "ablate::plateau"),
        ("lora lr_patience=1,2", "ablate::plateau"),
        ("lora power=1,2", "settings::needs_key"),
        ("lora schedule=linear,cosine momentum=0.9", "settings::needs_key"),
    ] {
        let failure = parse(line).unwrap_err();
        assert!(failure.code == code && failure.hint.is_some(), "{line}: {failure:?}");
    }
}

#[test]
fn a_key_of_one_schedule_is_accepted_when_a_trial_has_that_schedule() {
    let found = parse("lora schedule=linear,polynomial power=2").unwrap();
    assert_eq!(found.trials.len(), 2);
    let power = |value: &str| vec![("power".to_owned(), value.to_owned())];
    assert_eq!(found.with_clone(1, &power("3")).unwrap_err().code(), "settings::needs_key");
    assert_eq!(found.with_clone(2, &power("3")).unwrap().trials.len(), 3);
    // Trial 1 carries a `power` that the user gave for the other trial.
    let rank = vec![("r".to_owned(), "32".to_owned())];
    assert_eq!(found.with_clone(1, &rank).unwrap().trials.len(), 3);
    let linear = vec![("schedule".to_owned(), "cosine".to_owned())];
    let trial = &found.with_clone(2, &linear).unwrap().trials[2];
    assert_eq!(trial.train.values.get("power"), None);
    let plateau = vec![("schedule".to_owned(), "reduce_on_plateau".to_owned())];
    assert_eq!(found.with_clone(1, &plateau).unwrap_err().code(), "ablate::plateau");
}

#[test]
fn metrics_belong_to_the_whole_comparison() {
    let found = parse("lora r=1,2 metric=rougeL,exact_match pattern=[0-9]+").unwrap();
    assert_eq!(found.trials.len(), 2);
    let names = found.settings.list(ABLATE, "metric").unwrap();
    assert_eq!(names, ["rougeL", "exact_match"]);
    let pair = ("metric".to_owned(), "rougeL".to_owned());
    assert!(Ablation::measurement(&[pair]).is_err());
}

#[test]
fn a_large_grid_needs_confirmation() {
    let grid = |line| parse(line).unwrap();
    let large = grid("lora r=1,2,3,4,5,6,7,8 lr=1,2,3,4,5 seeds=2");
    assert!(large.training_runs() == 80 && large.wants_confirmation());
    assert!(!grid("lora r=1,2,3,4,5,6,7,8 lr=1,2,3,4,5 seeds=2 confirm=true").wants_confirmation());
    assert!(!grid("lora r=1,2,3,4,5,6 lr=1,2,3,4,5 seeds=2").wants_confirmation());
}
