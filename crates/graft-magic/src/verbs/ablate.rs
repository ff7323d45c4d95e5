//! `%ablate`.

use graft_protocol::{Command, Failure, Span, ablation::Ablation};

use crate::{
    cell::{Context, PartKind},
    rust_source::rust_source,
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
    words::{self, Word},
};

const GRID: &[Slot] = &[Slot::rest("METHOD key=VALUE,VALUE", SlotKind::Raw, "methods, and keys of them, of %train or of %ablate with their values")];

/// The definition.
pub(super) fn verb() -> VerbSpec {
    VerbSpec {
        name: "ablate",
        aliases: &["sweep"],
        summary: "train every combination of a grid on the same data, and say what the differences are worth",
        help: "Keys are those of the methods and of %train; values are separated by commas, and `+` stands for the comma inside one value \
               (target_modules=q_proj+v_proj,all-linear). seeds=3 trains each three times, with the same order of the data for all; the table gives means and 95 % intervals \
               beside the untuned base and the majority class. While the rank varies, alpha follows it (alpha=2r; alpha=r, alpha=fixed or numbers say otherwise). Your adapters \
               stay as they are. Stop keeps what is finished, and the same line again trains the rest. Keys of its own: seeds, split, examples, fresh, confirm.",
        forms: vec![Form::bare("", "compare configurations", build).slots(GRID)],
        cell: None,
        examples: vec![
            "%ablate lora r=1,4,16 seeds=3 steps=100".into(),
            "%ablate lora r=4,8 target_modules=q_proj+v_proj,all-linear steps=100".into(),
            "%ablate methods=lora,ia3,ln_tuning,full steps=100".into(),
        ],
    }
}

fn build(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let all = words::split(line.raw, line.raw_at.line, line.raw_at.start)?;
    let shows_rust = all.iter().any(|word| word.bare() == Some("--rust"));
    let given: Vec<&Word> = all.iter().filter(|word| word.bare() != Some("--rust")).collect();
    let methods: Vec<String> = given.iter().filter(|word| word.pair().is_none()).map(|word| word.text.clone()).collect();
    let keys: Vec<_> = given.iter().filter_map(|word| word.pair()).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ablation::parse(&methods, &keys).map_err(|failure| {
        let span = bad_word(&failure, &given).unwrap_or(line.span);
        failure.span(span)
    })?;
    let command = Command::Ablate { methods, keys };
    Ok(if shows_rust { PartKind::ShowRust(rust_source(&command)) } else { PartKind::Session(command) })
}

/// The word that a failure names in its first backquotes.
fn bad_word(failure: &Failure, words: &[&Word]) -> Option<Span> {
    let named = failure.message.split('`').skip(1).step_by(2);
    named.into_iter().find_map(|name| {
        let of = |word: &&&Word| word.text == name || word.pair().is_some_and(|(key, value)| key == name || value.split(',').any(|one| one == name));
        words.iter().find(of).map(|word| word.span)
    })
}

#[cfg(test)]
mod tests {
    use graft_protocol::Snapshot;

    use super::*;

    #[test]
    fn a_grid_becomes_a_command_and_the_bad_word_is_pointed_at() {
        let parsed = crate::parse_cell("%ablate lora r=1,4 steps=10", &Snapshot::default()).unwrap();
        let keys = [("r", "1,4"), ("steps", "10")].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        assert_eq!(parsed[0].kind, PartKind::Session(Command::Ablate { methods: vec!["lora".to_owned()], keys }));
        let failure = crate::parse_cell("%ablate lora ranks=1,4", &Snapshot::default()).unwrap_err();
        assert_eq!(failure.span, Some(Span { line: 0, start: 13, end: 22 }));
        let PartKind::ShowRust(rust) = &crate::parse_cell("%ablate lora r=1,4 --rust", &Snapshot::default()).unwrap()[0].kind else { panic!("no Rust") };
        assert!(rust.contains("Ablate::of([\"lora\"])"), "{rust}");
    }
}
