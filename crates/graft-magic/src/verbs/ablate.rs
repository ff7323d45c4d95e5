//! `%ablate` and `%forgetting`.

use graft_protocol::Command;
use graft_spec::{Failure, Span, SpecError, ablation::Ablation};

use crate::{
    expressions,
    part::{Context, PartKind},
    rust_source::rust_source,
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
    words::Word,
};

const GRID: &[Slot] = &[Slot::rest(
    "METHOD key=VALUE,VALUE",
    SlotKind::Raw,
    "methods, and keys of the methods, of %train or of %ablate, with their values",
)];

/// Defines the magic.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "ablate",
        aliases: &["sweep"],
        summary: "train every combination of a grid on the same data and compare the results with confidence intervals",
        help: "Keys are those of the methods and of %train. Commas separate values; `+` replaces \
            the comma inside one value (target_modules=q_proj+v_proj,all-linear). seeds=3 \
            trains each configuration three times, with the same data order for all; the table \
            shows means and 95 % intervals, the base model and the majority class. lr=auto \
            finds the learning rate of each configuration with short training runs. If the rank \
            varies, alpha follows it (alpha=2r); alpha=r, alpha=fixed or numbers change that. \
            Your adapters do not change. The stop button keeps finished trials, and running the \
            same line again resumes the comparison. The trials are trained alternately, so that \
            all curves appear soon; early=halving stops the worse half twice; bg=true compares in \
            the background, where %trial changes the grid. Its own keys: seeds, split, examples, \
            domain, domain_examples, early, bg, fresh, confirm.",
        forms: vec![Form::bare("", "compare configurations", build).slots(GRID)],
        cell: None,
        examples: vec![
            "%ablate lora r=1,4,16 seeds=3 steps=100".into(),
            "%ablate lora r=4,8 target_modules=q_proj+v_proj,all-linear steps=100".into(),
            "%ablate methods=lora,ia3,ln_tuning,full lr=auto steps=100".into(),
        ],
    }
}

/// Defines `%trial`.
pub(super) fn trial() -> VerbSpec {
    VerbSpec {
        name: "trial",
        aliases: &[],
        summary: "stop a configuration of a comparison, or add a copy of one with other keys",
        help: "Numbers are those of the live table. `stop` changes the comparison in the \
            background (%ablate ... bg=true); `clone` adds to it, or to the last comparison, \
            whose finished configurations are not repeated.",
        forms: vec![
            Form::bare(
                "",
                "stop a configuration, or add one that differs in the given keys",
                build_trial,
            )
            .slots(TRIAL),
        ],
        cell: None,
        examples: vec!["%trial stop 3".into(), "%trial clone 2 r=32".into()],
    }
}

const TRIAL: &[Slot] = &[Slot::rest(
    "stop NUMBER | clone NUMBER key=VALUE",
    SlotKind::Raw,
    "the action, the number in the live table, starting at 1, and the keys that differ",
)];

fn build_trial(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let all = &line.words;
    let shows_rust = all.iter().any(|word| word.bare() == Some("--rust"));
    let keys: Vec<_> = all
        .iter()
        .filter_map(Word::pair)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut plain =
        all.iter().filter(|word| word.pair().is_none() && word.bare() != Some("--rust"));
    let (action, number) = (plain.next(), plain.next());
    let span = number.or(action).map_or(line.span, |word| word.span);
    // The line is checked before the values of its expressions are known, and parsed again with
    // them.
    let is_expression = number.is_some_and(|word| expressions::is_marked(&word.text));
    if is_expression && shows_rust {
        return Err(Failure::new(
            "magic::no_rust",
            "`--rust` needs the number of the trial itself",
        )
        .hint("%trial stop 3 --rust")
        .span(span));
    }
    let number = match number {
        Some(_) if is_expression => Some(1),
        Some(word) => word.text.parse().ok(),
        None => None,
    };
    let number = number.ok_or_else(|| no_number(span));
    let command = match action.map(|word| word.text.as_str()) {
        Some("stop") => Command::TrialStop { number: number? },
        Some("clone") => Command::TrialClone { number: number?, keys },
        _ => {
            return Err(Failure::new("magic::no_action", "`%trial` needs `stop` or `clone`")
                .hint("%trial stop 3, or %trial clone 2 r=32")
                .span(span));
        }
    };
    Ok(if shows_rust {
        PartKind::ShowRust(rust_source(&command))
    } else {
        PartKind::Session(command)
    })
}

fn no_number(span: Span) -> Failure {
    Failure::new("magic::no_number", "missing the number of the trial")
        .hint("for example %trial stop 3, or %trial clone 2 r=32")
        .span(span)
}

/// Defines `%forgetting`.
pub(super) fn forgetting() -> VerbSpec {
    VerbSpec {
        name: "forgetting",
        aliases: &[],
        summary: "measure forgetting: the loss on text like the training data of the base, before and after",
        help: "Without methods it measures each attached adapter. With methods it trains them on \
            the current data like %ablate, with the same keys (seeds=3, r=4,16, steps=100), \
            evaluates the domain during training, and compares what each method gains with what \
            it forgets. The domain of `tiny` is the data set rust-docs, which is not in its \
            training data; for another model, domain=NAME names a data set or a text file like \
            its training data.",
        forms: vec![Form::bare("", "measure, or train and compare", build_forgetting).slots(GRID)],
        cell: None,
        examples: vec![
            "%forgetting".into(),
            "%forgetting lora,full steps=100".into(),
            "%forgetting lora r=2,16 seeds=3 steps=100 domain=rust-docs".into(),
        ],
    }
}

fn build(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    command(
        line,
        |methods, keys| Ablation::parse(methods, keys).map(drop),
        |methods, keys| Command::Ablate { methods, keys },
    )
}

fn build_forgetting(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let check = |methods: &[String], keys: &[(String, String)]| match methods.is_empty()
        && keys.iter().all(|(key, _)| key != "methods")
    {
        true => Ablation::measurement(keys).map(drop),
        false => Ablation::parse(methods, keys).map(drop),
    };
    command(line, check, |methods, keys| Command::Forgetting { methods, keys })
}

/// Parses methods and keys. A failure points at the wrong word.
fn command(
    line: &Invocation<'_>,
    check: impl Fn(&[String], &[(String, String)]) -> Result<(), SpecError>,
    command: impl Fn(Vec<String>, Vec<(String, String)>) -> Command,
) -> Result<PartKind, Failure> {
    let all = &line.words;
    let shows_rust = all.iter().any(|word| word.bare() == Some("--rust"));
    let given: Vec<&Word> = all.iter().filter(|word| word.bare() != Some("--rust")).collect();
    let methods: Vec<String> =
        given.iter().filter(|word| word.pair().is_none()).map(|word| word.text.clone()).collect();
    let keys: Vec<_> = given
        .iter()
        .filter_map(|word| word.pair())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    // `--rust` with an expression: its value is not known.
    if !given.iter().any(|word| expressions::is_marked(&word.text)) {
        check(&methods, &keys).map_err(|error| {
            let failure = Failure::from(error);
            let span = bad_word(&failure, &given).unwrap_or(line.span);
            failure.span(span)
        })?;
    }
    let command = command(methods, keys);
    Ok(if shows_rust {
        PartKind::ShowRust(rust_source(&command))
    } else {
        PartKind::Session(command)
    })
}

/// Returns the word in the first backticks of a failure.
fn bad_word(failure: &Failure, words: &[&Word]) -> Option<Span> {
    let named = failure.message.split('`').skip(1).step_by(2);
    named.into_iter().find_map(|name| {
        let of = |word: &&&Word| {
            word.text == name
                || word.pair().is_some_and(|(key, value)| {
                    key == name || value.split(',').any(|one| one == name)
                })
        };
        words.iter().find(of).map(|word| word.span)
    })
}

#[cfg(test)]
mod tests {
    use graft_protocol::Snapshot;

    use super::*;

    #[test]
    fn a_grid_becomes_a_command_and_the_bad_word_is_pointed_at() {
        let parsed =
            crate::parse_cell("%ablate lora r=1,4 steps=10", &Snapshot::default()).unwrap();
        let keys = [("r", "1,4"), ("steps", "10")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec();
        assert_eq!(
            parsed[0].kind,
            PartKind::Session(Command::Ablate { methods: vec!["lora".to_owned()], keys })
        );
        let failure =
            crate::parse_cell("%ablate lora ranks=1,4", &Snapshot::default()).unwrap_err();
        assert_eq!(failure.span, Some(Span { line: 0, start: 13, end: 22 }));
        for (line, code) in [
            ("%trial 3", "magic::no_action"),
            ("%trial stop", "magic::no_number"),
            ("%trial clone r=3", "magic::no_number"),
        ] {
            assert_eq!(
                crate::parse_cell(line, &Snapshot::default()).unwrap_err().code,
                code,
                "{line}"
            );
        }
        let PartKind::ShowRust(rust) =
            &crate::parse_cell("%ablate lora r=1,4 --rust", &Snapshot::default()).unwrap()[0].kind
        else {
            panic!("no Rust")
        };
        assert!(rust.contains("Ablate::of([\"lora\"])"), "{rust}");
    }
}
