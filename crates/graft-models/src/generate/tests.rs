use std::sync::Arc;

use graft_nn::{Context, DType, Device, SoftPrompt, Tensor};
use graft_spec::Hint;

use super::*;
use crate::{Llama, LlamaConfig, tokenizer::tests::byte_level};

fn parts(context: usize) -> (Llama, Tokenizer) {
    let json = serde_json::json!({"vocab_size": 258, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": context, "initializer_range": 0.3});
    let model = Llama::random(&LlamaConfig::from_json(&json).unwrap(), 4, &Device::Cpu).unwrap();
    (
        model,
        Tokenizer::new(tokenizers::Tokenizer::from_bytes(byte_level(true)).unwrap(), Vec::new()),
    )
}

fn run(
    model: &Llama,
    tokenizer: &Tokenizer,
    prompt: &str,
    options: &GenerateOptions,
) -> Result<(Generated, String), ModelError> {
    let mut streamed = String::new();
    let generated = generate(model, tokenizer, prompt, options, &mut |piece| {
        streamed.push_str(piece);
        true
    })?;
    Ok((generated, streamed))
}

#[test]
fn greedy_text_is_that_of_whole_passes_without_a_cache() {
    let (model, tokenizer) = parts(64);
    let (generated, streamed) = run(
        &model,
        &tokenizer,
        "let x",
        &GenerateOptions { max_new_tokens: 12, ..Default::default() },
    )
    .unwrap();
    let mut ids = prompt_ids(&tokenizer, "let x").unwrap();
    let start = ids.len();
    for _ in 0..12 {
        let input = Tensor::from_slice(&ids, (1, ids.len()), &Device::Cpu).unwrap();
        let logits = model.logits(&input, None, &Context::eval()).unwrap();
        let last: Vec<f32> =
            logits.narrow(1, ids.len() - 1, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let best =
            (0..last.len()).fold(0, |best, id| if last[id] > last[best] { id } else { best });
        ids.push(best as u32);
    }
    let (whole, before) =
        (tokenizer.decode(&ids).unwrap(), tokenizer.decode(&ids[..start]).unwrap());
    assert_eq!(generated.text, whole.strip_prefix(&before).unwrap());
    assert_eq!(streamed, generated.text);
    assert_eq!((generated.tokens, generated.stop), (12, StopReason::Length));
    assert!(generated.logprob_mean < 0.0);
    assert_eq!(
        generated.pieces.iter().map(|(piece, _)| piece.as_str()).collect::<String>(),
        generated.text
    );
    assert!(generated.pieces.iter().all(|(_, logprob)| *logprob < 0.0), "{:?}", generated.pieces);
}

fn batch_of(tokenizer: &Tokenizer, prompts: &[&str]) -> Vec<BatchPrompt> {
    let prompt = |(index, text): (usize, &&str)| BatchPrompt {
        text: (*text).to_owned(),
        ids: prompt_ids(tokenizer, text).unwrap(),
        index: index as u64,
    };
    prompts.iter().enumerate().map(prompt).collect()
}

#[test]
fn the_texts_of_a_batch_are_those_of_each_prompt_alone() {
    let (model, tokenizer) = parts(40);
    let prompts = ["let x", "a", "", "fn main() {", "a longer prompt with words", "let y"];
    let batch = batch_of(&tokenizer, &prompts);
    let options = GenerateOptions { max_new_tokens: 24, ..Default::default() };
    let together = generate_batch(&model, &tokenizer, &batch, &options, &mut || false).unwrap();
    for (prompt, found) in prompts.iter().zip(&together) {
        let (alone, _) = run(&model, &tokenizer, prompt, &options).unwrap();
        assert_eq!(
            (&found.text, found.tokens, found.stop),
            (&alone.text, alone.tokens, alone.stop)
        );
        assert!((found.logprob_mean - alone.logprob_mean).abs() < 1e-4);
        assert_eq!(found.prompt, *prompt);
    }
    let stops: Vec<_> = together.iter().map(|generated| generated.stop).collect();
    assert!(stops.contains(&StopReason::Length), "{stops:?}");
    assert!(stops.contains(&StopReason::ContextFull(40)), "{stops:?}");
}

#[test]
fn sampled_texts_depend_on_their_index_and_not_on_the_batch() {
    let (model, tokenizer) = parts(64);
    let options =
        GenerateOptions { temperature: 1.0, max_new_tokens: 12, seed: 3, ..Default::default() };
    let texts = |batch: &[BatchPrompt]| -> Vec<String> {
        let generated = generate_batch(&model, &tokenizer, batch, &options, &mut || false).unwrap();
        generated.into_iter().map(|generated| generated.text).collect()
    };
    let batch = batch_of(&tokenizer, &["a", "a", "a b c"]);
    let all = texts(&batch);
    assert_ne!(all[0], all[1]);
    assert_eq!(texts(&batch[1..]), all[1..]);
}

#[test]
fn an_encoder_decoder_answers_the_prompts_of_a_batch_as_each_alone_and_as_whole_passes() {
    let config = serde_json::json!({"model_type": "t5", "vocab_size": 258, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2,
        "n_positions": 40, "decoder_start_token_id": 0, "initializer_range": 0.3});
    let model = crate::random_model(&config, 4, &Device::Cpu).unwrap();
    let (_, tokenizer) = parts(40);
    let options = GenerateOptions { max_new_tokens: 12, ..Default::default() };
    let prompts = ["let x", "a", "a longer prompt with words"];
    let batch = batch_of(&tokenizer, &prompts);
    let together = generate_batch(&*model, &tokenizer, &batch, &options, &mut || false).unwrap();
    for (prompt, found) in prompts.iter().zip(&together) {
        let alone = generate(&*model, &tokenizer, prompt, &options, &mut |_| true).unwrap();
        assert_eq!((&found.text, found.stop), (&alone.text, alone.stop));
        let row = |ids: &[u32]| Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let text = row(&prompt_ids(&tokenizer, prompt).unwrap());
        let encoder = model.encoder_decoder().unwrap();
        let encoded = encoder.encode(&text, None, &Context::eval()).unwrap();
        let cx = Context::eval().with_encoded(encoded);
        let mut ids = vec![encoder.start_token()];
        while ids.len() <= found.tokens {
            let logits = model.logits(&row(&ids), None, &cx).unwrap();
            let last: Vec<f32> =
                logits.get(0).unwrap().get(ids.len() - 1).unwrap().to_vec1().unwrap();
            let best =
                (0..last.len()).fold(0, |best, id| if last[id] > last[best] { id } else { best });
            ids.push(best as u32);
        }
        assert_eq!(found.text, tokenizer.decode(&ids[1..]).unwrap());
    }
    assert!(together.iter().any(|found| found.text != together[0].text), "{together:?}");
    let long = "x".repeat(60);
    let error = generate(&*model, &tokenizer, &long, &options, &mut |_| true).unwrap_err();
    assert_eq!(error.code(), "models::prompt_too_long");
}

#[test]
fn a_stopped_batch_keeps_the_texts_so_far() {
    let (model, tokenizer) = parts(64);
    let mut passes = 0;
    let generated = generate_batch(
        &model,
        &tokenizer,
        &batch_of(&tokenizer, &["a", "b"]),
        &GenerateOptions::default(),
        &mut || {
            passes += 1;
            passes > 4
        },
    )
    .unwrap();
    assert!(generated.iter().all(|it| (it.tokens, it.stop) == (4, StopReason::Caller)));
}

#[test]
fn the_seed_decides_a_sampled_text() {
    let (model, tokenizer) = parts(64);
    let text = |seed| {
        run(
            &model,
            &tokenizer,
            "a",
            &GenerateOptions { temperature: 1.0, seed, max_new_tokens: 20, ..Default::default() },
        )
        .unwrap()
        .0
        .text
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn a_full_context_ends_the_text_and_a_prompt_that_fills_it_is_refused() {
    let (model, tokenizer) = parts(16);
    let (generated, _) =
        run(&model, &tokenizer, "0123456789", &GenerateOptions::default()).unwrap();
    assert_eq!((generated.tokens, generated.stop), (5, StopReason::ContextFull(16)));
    let error =
        run(&model, &tokenizer, "0123456789abcdef", &GenerateOptions::default()).unwrap_err();
    assert_eq!(error.code(), "models::prompt_too_long");
    assert_eq!(error.hint().unwrap(), "shorten the prompt by 2 tokens or more");
}

#[test]
fn the_caller_can_stop_and_an_empty_prompt_starts_from_the_first_token() {
    let (model, tokenizer) = parts(64);
    let options = GenerateOptions { temperature: 1.0, ..Default::default() };
    let generated = generate(&model, &tokenizer, "", &options, &mut |_| false).unwrap();
    assert_eq!(generated.stop, StopReason::Caller);
    assert!(generated.tokens >= 1);
}

#[test]
fn the_caller_is_asked_at_every_token() {
    let (model, tokenizer) = parts(64);
    let mut asked = 0;
    let options = GenerateOptions { temperature: 1.0, max_new_tokens: 12, ..Default::default() };
    let generated = generate(&model, &tokenizer, "a", &options, &mut |_| {
        asked += 1;
        asked < 4
    });
    let generated = generated.unwrap();
    assert_eq!((generated.tokens, generated.stop), (4, StopReason::Caller));
}

struct Ones(usize);

impl SoftPrompt for Ones {
    fn embeddings(&self, _: &Context) -> graft_nn::Result<Tensor> {
        Ok(Tensor::ones((self.0, 16), DType::F32, &Device::Cpu)?)
    }
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn a_soft_prompt_is_applied_and_uses_positions_of_the_context() {
    let (model, tokenizer) = parts(16);
    let options = GenerateOptions { max_new_tokens: 8, ..Default::default() };
    let plain = run(&model, &tokenizer, "0123", &options).unwrap().0;
    model.embedding().prompt().insert("soft", Arc::new(Ones(6)));
    model.embedding().prompt().set_active(&["soft"]);
    let soft = run(&model, &tokenizer, "0123", &options).unwrap().0;
    assert_eq!((soft.tokens, soft.stop), (5, StopReason::ContextFull(16)));
    assert!(!plain.text.starts_with(&soft.text), "{:?} {:?}", plain.text, soft.text);
    let error = run(&model, &tokenizer, "0123456789", &options).unwrap_err();
    assert!(error.to_string().contains("soft prompt of 6"), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_reported_and_not_sampled() {
    let (model, tokenizer) = parts(16);
    let norm = model
        .parameters()
        .into_iter()
        .find(|parameter| parameter.path() == "model.norm.weight")
        .unwrap();
    norm.set(Tensor::full(f32::NAN, 16, &Device::Cpu).unwrap()).unwrap();
    assert_eq!(
        run(&model, &tokenizer, "a", &GenerateOptions::default()).unwrap_err().code(),
        "models::not_finite"
    );
}
