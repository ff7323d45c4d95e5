use super::*;
use crate::testing::{TinyLlama, Words, labeled_data};
use graft_nn::{Context, Tensor};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

fn request(split: SplitName) -> Request {
    Request { split, examples: 100, batch: 3, encoding: EncodeOptions::default() }
}

/// Log-probabilities of `completion` behind `prompt`, one row at a time: the slow and plain way.
fn plain(model: &TinyLlama, prompt: &[u32], completion: &[u32]) -> Vec<f64> {
    let ids = [prompt, completion].concat();
    let ids_tensor = Tensor::new(&ids[..ids.len() - 1], &graft_nn::Device::Cpu)
        .and_then(|t| t.unsqueeze(0))
        .expect("ids");
    let logits = model
        .logits(&ids_tensor, None, &Context::eval())
        .and_then(|t| Ok(t.squeeze(0)?.to_vec2::<f32>()?))
        .expect("logits");
    let shift = logits.len() + 1 - ids.len();
    let score = |index: usize| {
        let row = &logits[shift + prompt.len() + index - 1];
        let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        f64::from(row[completion[index] as usize]) - sum.ln()
    };
    (0..completion.len()).map(score).collect()
}

fn check(model: &TinyLlama) {
    let data = labeled_data();
    let (found, predicted) = Evaluator::new(model, &Words, &data, request(SplitName::Test))
        .and_then(|evaluator| evaluator.run_with_predictions(&Control::new(), &mut |_, _| {}))
        .expect("evaluates");
    let mut best_labels = Vec::new();
    let mut loss = 0.0;
    let mut tokens = 0;
    let mut right = 0;
    for example in &data.test {
        let prompt = [vec![0], Words.encode(&example.prompt).expect("prompt")].concat();
        let completion = [Words.encode(&example.completion).expect("completion"), vec![1]].concat();
        loss -= plain(model, &prompt, &completion).iter().sum::<f64>();
        tokens += completion.len();
        let scores: Vec<f64> = data
            .labels()
            .iter()
            .map(|label| plain(model, &prompt, &Words.encode(label).expect("label")).iter().sum())
            .collect();
        let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        right += usize::from(best == example.label);
        best_labels.push(best);
    }
    assert_eq!(predicted, best_labels);
    assert!(
        (found.loss - loss / tokens as f64).abs() < 1e-5,
        "{} {}",
        found.loss,
        loss / tokens as f64
    );
    assert_eq!(found.accuracy, Some(right as f64 / data.test.len() as f64));
    assert_eq!((found.examples, found.tokens), (data.test.len() as u64, tokens as u64));
    assert!((found.perplexity - found.loss.exp()).abs() < 1e-9);
}

#[test]
fn batched_scores_are_those_of_one_row_at_a_time() {
    check(&TinyLlama::new(16, 32));
}

#[test]
fn a_soft_prompt_shifts_the_positions_that_are_scored() {
    let model = TinyLlama::new(16, 32);
    model.prompt(3);
    check(&model);
}

#[test]
fn the_majority_is_the_commonest_label_of_the_scored_examples() {
    let data = labeled_data();
    let model = TinyLlama::new(16, 32);
    let cases = [
        (SplitName::Test, 100),
        (SplitName::Test, 1),
        (SplitName::Train, 5),
        (SplitName::Validation, 3),
    ];
    for (split, most) in cases {
        let request = Request { examples: most, ..request(split) };
        let found = evaluate(&model, &Words, &data, request, &Control::new(), &mut |_, _| {})
            .expect("evaluates");
        let scored = data.scored(split, most);
        let count = |label| scored.iter().filter(|example| example.label == Some(label)).count();
        let commonest = (0..3).map(count).max().expect("a label");
        assert_eq!(found.examples, scored.len() as u64);
        assert_eq!(found.majority, Some(commonest as f64 / scored.len() as f64));
    }
}

#[test]
fn guessing_at_random_does_not_exceed_the_majority() {
    let data = crate::data::builtin("which-book").expect("reads").expect("is built in");
    for split in SplitName::ALL {
        for most in [7, 24, 40, 100, 200] {
            let majority = data.majority(data.scored(split, most)).expect("has labels");
            assert!(majority >= 1.0 / 7.0, "{majority} on {most} {split} examples");
        }
    }
}

#[test]
fn a_stop_ends_an_evaluation_and_an_empty_part_is_refused() {
    let model = TinyLlama::new(16, 32);
    let data = labeled_data();
    let control = Control::new();
    let mut seen = 0;
    let all = Request { batch: 4, ..request(SplitName::Train) };
    let result = evaluate(&model, &Words, &data, all, &control, &mut |done, _| {
        seen = done;
        control.stop();
    });
    assert!(matches!(result, Err(TrainError::Stopped)));
    assert_eq!(seen, 4);
    let empty = Dataset { test: Vec::new(), ..data };
    let test = request(SplitName::Test);
    let error = evaluate(&model, &Words, &empty, test, &Control::new(), &mut |_, _| {})
        .expect_err("no examples");
    assert_eq!(error.to_string(), "data set `firsts` has no test examples");
}

fn sequences(labels: &[&[u32]], first: usize) -> Vec<Sequence> {
    labels.iter().map(|ids| Sequence { ids: ids.to_vec(), first }).collect()
}

#[test]
fn labels_that_begin_like_another_need_their_end() {
    assert!(is_end_needed(&sequences(&[&[0, 7], &[0, 7, 8]], 1)));
    assert!(!is_end_needed(&sequences(&[&[0, 7, 3], &[0, 7, 8]], 1)));
    assert!(
        is_end_needed(&sequences(&[&[0, 7, 8], &[0, 7, 9], &[0, 7, 8]], 1)),
        "two labels that are the same"
    );
    assert!(!is_end_needed(&sequences(&[&[0, 7]], 1)) && !is_end_needed(&[]));
}

#[test]
fn an_end_token_is_needed_exactly_if_one_label_is_a_prefix_of_another() {
    let mut rng = graft_nn::Rng::new(7).stream("labels", "tokens");
    let mut seen = [0, 0];
    for _ in 0..500 {
        let mut number = |below: u64| rng.below(below) as usize;
        let labels: Vec<Sequence> = (0..2 + number(4))
            .map(|_| Sequence {
                ids: [vec![0, 5], (0..number(4)).map(|_| number(4) as u32).collect()].concat(),
                first: 2,
            })
            .collect();
        let begins = |one: usize, other: usize| {
            one != other && labels[other].ids.starts_with(&labels[one].ids)
        };
        let expected =
            (0..labels.len()).any(|one| (0..labels.len()).any(|other| begins(one, other)));
        assert_eq!(is_end_needed(&labels), expected, "{labels:?}");
        seen[usize::from(expected)] += 1;
    }
    assert!(seen[0] > 50 && seen[1] > 50, "{seen:?}");
}

#[test]
fn labels_of_which_one_shares_a_token_with_the_prompt_are_compared_from_there() {
    // `▁a` after `x ` is one token with the space of the prompt, `▁` `7` are two.
    let mut labels = [sequences(&[&[0, 5, 7]], 2), sequences(&[&[0, 5, 3, 8]], 3)].concat();
    compare_from_the_same_token(&mut labels);
    assert_eq!(labels.iter().map(|label| label.first).collect::<Vec<_>>(), [2, 2]);
    let mut labels = sequences(&[&[0, 5, 7], &[0, 5, 8]], 2);
    compare_from_the_same_token(&mut labels);
    assert_eq!(labels.iter().map(|label| label.first).collect::<Vec<_>>(), [2, 2]);
}

/// [`Words`], and how often it was asked.
#[derive(Default)]
struct Counted(AtomicUsize);

impl TokenEncoder for Counted {
    fn encode(&self, text: &str) -> graft_nn::Result<Vec<u32>> {
        Words.encode(text)
    }

    fn encode_with_offsets(&self, text: &str) -> graft_nn::Result<Vec<(u32, Range<usize>)>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Words.encode_with_offsets(text)
    }

    fn decode(&self, ids: &[u32]) -> graft_nn::Result<String> {
        Words.decode(ids)
    }

    fn bos(&self) -> Option<u32> {
        Words.bos()
    }

    fn eos(&self) -> Option<u32> {
        Words.eos()
    }

    fn vocab(&self) -> usize {
        Words.vocab()
    }

    fn token(&self, id: u32) -> String {
        Words.token(id)
    }
}

#[test]
fn with_thousands_of_labels_the_largest_pass_is_found_from_the_longest_texts() {
    let model = TinyLlama::new(16, 64);
    let find = |labels: usize| {
        let prompt =
            |index: usize| vec!["7"; if index == 41 { 30 } else { 1 + index % 5 }].join(" ");
        let test = (0..42)
            .map(|index| Example {
                prompt: prompt(index).into(),
                completion: " 100".into(),
                label: Some(0),
                extra: None,
            })
            .collect();
        let data = Dataset {
            kind: Kind::Labels((100..100 + labels).map(|label| label.to_string()).collect()),
            test,
            ..labeled_data()
        };
        let words = Counted::default();
        let largest = Evaluator::new(&model, &words, &data, request(SplitName::Test))
            .and_then(|evaluator| evaluator.largest_pass())
            .expect("finds");
        (largest, words.0.load(Ordering::Relaxed))
    };
    let ((few, all), (many, texts)) = (find(3), find(5000));
    assert_eq!((few, all), (many, 42 * 4), "with few labels every text is looked at");
    assert!(texts <= MOST_TEXTS, "{texts} of {} texts", 42 * 5001);
}
