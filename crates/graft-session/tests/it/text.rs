//! Prompt and completion are tokenized as transformers and TRL tokenize them.

use std::path::Path;

use crate::text_golden::check;

#[test]
fn every_completion_is_tokenized_and_labelled_as_by_trl_with_every_kind_of_tokenizer() {
    let tallies = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/text")).unwrap();
    let unmet: Vec<_> = tallies.iter().flat_map(|(name, tally)| tally.unmet.iter().map(move |case| format!("{name}: {case}"))).collect();
    assert_eq!(unmet, Vec::<String>::new());
    assert_eq!(tallies.values().map(|tally| tally.met).collect::<Vec<_>>(), [10; 5]);
}
