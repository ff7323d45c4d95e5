//! The properties that every method has on every model family, tested with random inputs and
//! weights that are not zero. The test writes the table in README.md.

use std::{collections::BTreeMap, sync::Arc};

use graft_models::{Llama, LlamaConfig, random_model};
use graft_nn::{
    Context, Device, Model, Quantization, Recompute, Rng, Sequences, Tensor, Weight, gradients,
    gradients_through, ops::cross_entropy, packable,
};
use graft_peft::{Acting, Adapter, AttachContext, InputBatch, Inputs, PeftError, attach, load};
use graft_spec::{Hint, Settings, Value, methods::METHODS};

type Held = Result<(), String>;
/// A property. Its test gets a base model without adapters and must leave it without adapters.
type Property = (&'static str, fn(&dyn Model, &Case) -> Held);

/// The properties, in the order of the table's legend.
const PROPERTIES: &[Property] = &[
    ("attaching does not change the output", attaching_changes_nothing),
    ("training changes only the adapter", training_changes_only_the_adapter),
    (
        "an inactive or detached adapter leaves the base model bit for bit",
        an_inactive_or_detached_adapter_has_no_effect,
    ),
    (
        "merging does not change the output, and unmerging restores every bit",
        merging_keeps_the_output_and_can_be_undone,
    ),
    ("a saved adapter gives the same output after loading", a_saved_adapter_can_be_loaded),
    ("two adapters do not affect each other", two_adapters_do_not_affect_each_other),
    ("attaching again replaces the adapter", attaching_again_replaces),
    (
        "recomputing blocks in the backward pass gives the same gradients",
        recomputing_changes_no_gradient,
    ),
    (
        "texts packed into one row give the same output as separate texts",
        packed_texts_do_not_affect_each_other,
    ),
];

/// A method with keys that suit small models.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) verb: &'static str,
    settings: Settings,
}

impl Case {
    pub(crate) fn attach(&self, model: &dyn Model, name: &str) -> Result<Adapter, String> {
        let settings = self.settings.clone().with("adapter_name", Value::Text(name.to_owned()));
        attach(&attach_context(model), self.verb, &settings)
            .map_err(|error| format!("{error} ({:?})", error.hint()))
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> =
        METHODS.iter().map(|spec| case(spec.verb, spec.verb, small(spec.verb))).collect();
    let projects = small("prefix_tune").with("prefix_projection", Value::Bool(true));
    cases.push(case("prefix_tune prefix_projection=true", "prefix_tune", projects));
    let lstm = small("p_tune")
        .with("encoder_reparameterization_type", Value::Text("LSTM".to_owned()))
        .with("encoder_hidden_size", Value::Integer(6));
    cases.push(case("p_tune encoder_reparameterization_type=LSTM", "p_tune", lstm));
    for preset in ["houlsby", "parallel"] {
        cases.push(case(
            &format!("bottleneck config={preset}"),
            "bottleneck",
            small("bottleneck").with("config", Value::Text(preset.to_owned())),
        ));
    }
    let list = |word: &str| Value::List(vec![word.to_owned()]);
    cases.push(case(
        "lora bias=all",
        "lora",
        small("lora").with("bias", Value::Text("all".to_owned())),
    ));
    for init in ["orthogonal", "pissa", "olora", "eva"] {
        let keys = Settings::default()
            .with("r", Value::Integer(4))
            .with("init_lora_weights", Value::Text(init.to_owned()));
        cases.push(case(&format!("lora init_lora_weights={init}"), "lora", keys));
    }
    let targets = Value::List(["q_proj", "embed_tokens"].map(str::to_owned).to_vec());
    cases.push(case(
        "lora target_modules=q_proj,embed_tokens",
        "lora",
        small("lora").with("target_modules", targets),
    ));
    cases.push(case(
        "lora target_modules=q_proj,lm_head",
        "lora",
        small("lora")
            .with("target_modules", Value::List(["q_proj", "lm_head"].map(str::to_owned).to_vec())),
    ));
    cases.push(case(
        "ia3 modules_to_save=lm_head",
        "ia3",
        Settings::default().with("modules_to_save", list("lm_head")),
    ));
    cases
}

fn case(title: &str, verb: &'static str, settings: Settings) -> Case {
    Case { title: title.to_owned(), verb, settings }
}

fn small(verb: &str) -> Settings {
    let keys = METHODS.iter().find(|spec| spec.verb == verb).map_or(&[] as &[_], |spec| spec.keys);
    let sizes = [
        ("reduction_factor", 4),
        ("oft_block_size", 4),
        ("num_virtual_tokens", 4),
        ("init_r", 3),
        ("r", 3),
    ];
    let size = sizes.iter().find(|(name, _)| keys.iter().any(|key| key.name == *name));
    let settings = size.map_or_else(Settings::default, |(name, size)| {
        Settings::default().with(name, Value::Integer(*size))
    });
    if verb == "trainable_tokens" {
        return settings
            .with("token_indices", Value::List(["4", "7", "42"].map(str::to_owned).to_vec()));
    }
    if verb == "adalora" { settings.with("target_r", Value::Integer(2)) } else { settings }
}

fn families() -> Vec<(&'static str, Arc<dyn Model>)> {
    let llama = |tied: bool| {
        let json = serde_json::json!({"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 40, "initializer_range": 0.2, "attention_bias": true, "tie_word_embeddings": tied});
        Arc::new(Llama::random(&LlamaConfig::from_json(&json).unwrap(), 1, &Device::Cpu).unwrap())
            as Arc<dyn Model>
    };
    let other = |json: serde_json::Value| random_model(&json, 1, &Device::Cpu).unwrap();
    let qwen3 = serde_json::json!({"model_type": "qwen3", "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 6, "max_position_embeddings": 40, "initializer_range": 0.2, "attention_bias": true});
    let gpt2 = serde_json::json!({"model_type": "gpt2", "vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 40, "initializer_range": 0.2});
    let bert = serde_json::json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"], "num_labels": 3, "vocab_size": 50, "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40, "initializer_range": 0.2});
    let roberta = serde_json::json!({"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"], "num_labels": 3, "vocab_size": 50, "hidden_size": 16,
        "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 42, "initializer_range": 0.2});
    let distilbert = serde_json::json!({"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"], "num_labels": 3, "vocab_size": 50, "dim": 16,
        "hidden_dim": 24, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 40, "initializer_range": 0.2});
    let modernbert = serde_json::json!({"model_type": "modernbert", "architectures": ["ModernBertForSequenceClassification"], "num_labels": 3, "vocab_size": 50,
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40, "local_attention": 4,
        "classifier_pooling": "mean", "initializer_range": 0.2});
    let t5 = serde_json::json!({"model_type": "t5", "vocab_size": 50, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4, "n_positions": 40,
        "feed_forward_proj": "gated-gelu", "initializer_range": 0.2});
    let packed = llama(false);
    packable(&*packed)
        .into_iter()
        .for_each(|linear| linear.weight().pack(Quantization::Nf4 { double: true }).unwrap());
    vec![
        ("Llama", llama(false)),
        ("Llama, tied", llama(true)),
        ("Llama in 4 bits", packed),
        ("Qwen3", other(qwen3)),
        ("GPT-2", other(gpt2)),
        ("BERT", other(bert)),
        ("RoBERTa", other(roberta)),
        ("DistilBERT", other(distilbert)),
        ("ModernBERT", other(modernbert)),
        ("T5", other(t5)),
    ]
}

fn attach_context(model: &dyn Model) -> AttachContext<'_> {
    AttachContext { inputs: Some(&Noise), ..AttachContext::new(model, "toy", 9) }
}

/// Data for initializations that read some.
struct Noise;

impl Inputs for Noise {
    fn batch(&self, index: u64) -> Result<InputBatch, PeftError> {
        let ids: Vec<u32> =
            (0..128).map(|place| (place * place + 7 * (index as u32 % 5)) % 50).collect();
        Ok(InputBatch { ids: Tensor::from_vec(ids, (8, 16), &Device::Cpu)?, mask: None })
    }
}

fn run(model: &dyn Model, cx: &Context) -> Tensor {
    let ids = Tensor::new(&[[4u32, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]], &Device::Cpu).unwrap();
    model.logits(&ids, None, cx).unwrap()
}

fn output(model: &dyn Model) -> Vec<f32> {
    run(model, &Context::eval()).flatten_all().unwrap().to_vec1().unwrap()
}

fn weights(model: &dyn Model) -> Vec<Vec<f32>> {
    model
        .parameters()
        .iter()
        .map(|parameter| parameter.base_value().flatten_all().unwrap().to_vec1().unwrap())
        .collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        f32::INFINITY
    } else {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }
}

/// Adds noise to every weight, so that the adapter has an effect.
pub(crate) fn randomize(adapter: &Adapter, seed: u64) {
    for trainable in adapter.trainables() {
        let noise = Rng::new(seed).stream("stir", &trainable.name).normal(
            0.0,
            0.2,
            trainable.var.elem_count(),
        );
        let noise = Tensor::from_vec(noise, trainable.var.dims(), &Device::Cpu).unwrap();
        trainable.var.set(&(trainable.var.as_detached_tensor() + noise).unwrap()).unwrap();
    }
}

fn holds(condition: bool, otherwise: impl Into<String>) -> Held {
    if condition { Ok(()) } else { Err(otherwise.into()) }
}

fn is_prompt(model: &dyn Model) -> bool {
    model.embedding().positions_taken() > 0
}

fn attaching_changes_nothing(model: &dyn Model, case: &Case) -> Held {
    let base = output(model);
    let adapter = case.attach(model, "default")?;
    let away = distance(&output(model), &base);
    let held = holds(is_prompt(model) || away < 1e-5, format!("{away} away"));
    adapter.detach(model).unwrap();
    held
}

fn training_changes_only_the_adapter(model: &dyn Model, case: &Case) -> Held {
    let before = weights(model);
    let adapter = case.attach(model, "default")?;
    randomize(&adapter, 3);
    let loss = loss(model, &Context::train(1, 0, 0));
    let trainables = adapter.trainables();
    for (trainable, gradient) in trainables.iter().zip(gradients(&loss, &trainables).unwrap()) {
        let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        holds(
            norm.is_finite() && norm > 0.0,
            format!("{} has gradient norm² {norm}", trainable.name),
        )?;
        trainable.var.set(&(trainable.var.as_detached_tensor() - gradient).unwrap()).unwrap();
    }
    let store = loss.backward().unwrap();
    holds(
        model.parameters().iter().all(|parameter| store.get(&parameter.base_value()).is_none()),
        "a base weight has a gradient",
    )?;
    holds(weights(model) == before, "a base weight changed")?;
    adapter.detach(model).unwrap();
    Ok(())
}

/// The loss of the model's output for fixed labels.
fn loss(model: &dyn Model, cx: &Context) -> Tensor {
    let logits = run(model, cx);
    let (rows, width) =
        (logits.elem_count() / logits.dims().last().unwrap(), *logits.dims().last().unwrap());
    let labels: Vec<i64> = (0..rows as i64).map(|row| (7 * row + 3) % width as i64).collect();
    cross_entropy(&logits.reshape((rows, width)).unwrap(), &labels, rows as f64).unwrap()
}

fn recomputing_changes_no_gradient(model: &dyn Model, case: &Case) -> Held {
    let adapter = case.attach(model, "default")?;
    randomize(&adapter, 3);
    let (trainables, cx) = (adapter.trainables(), Context::train(1, 0, 0));
    let kept = gradients(&loss(model, &cx), &trainables).unwrap();
    let recompute = Arc::new(Recompute::new(&trainables).unwrap());
    let again = gradients_through(
        &loss(model, &cx.with_recompute(recompute.clone())),
        &trainables,
        Some(&recompute),
    )
    .unwrap();
    for ((trainable, kept), again) in trainables.iter().zip(&kept).zip(&again) {
        let norm = |tensor: &Tensor| {
            tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt()
        };
        let away = norm(&(kept - again).unwrap());
        holds(
            away <= 1e-5 * norm(kept),
            format!("the gradient of {} is {away} away from {}", trainable.name, norm(kept)),
        )?;
    }
    adapter.detach(model).unwrap();
    Ok(())
}

fn packed_texts_do_not_affect_each_other(model: &dyn Model, case: &Case) -> Held {
    let adapter = case.attach(model, "default")?;
    randomize(&adapter, 3);
    let texts: [&[u32]; 3] = [&[4, 8, 15, 16, 23, 42], &[7], &[1, 0, 49, 3]];
    let row = |ids: &[u32]| Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let packed = Context::eval().with_sequences(Sequences::new(&texts.map(<[u32]>::len)));
    let together = model.logits(&row(&texts.concat()), None, &packed);
    let result = if is_prompt(model) {
        holds(
            together.is_err_and(|error| error.to_string().contains("without virtual tokens")),
            "packed texts behind one prompt",
        )
    } else {
        let values = |logits: &Tensor| logits.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let alone: Vec<f32> = texts
            .iter()
            .flat_map(|text| values(&model.logits(&row(text), None, &Context::eval()).unwrap()))
            .collect();
        let away = distance(&values(&together.unwrap()), &alone);
        holds(away < 1e-4, format!("{away} away"))
    };
    adapter.detach(model).unwrap();
    result
}

fn an_inactive_or_detached_adapter_has_no_effect(model: &dyn Model, case: &Case) -> Held {
    let base = output(model);
    let adapter = case.attach(model, "default")?;
    randomize(&adapter, 3);
    let acting = output(model);
    holds(distance(&acting, &base) > 1e-3, "it does not act")?;
    adapter.deactivate(model).unwrap();
    holds(output(model) == base, "off is not the base")?;
    adapter.activate(model).unwrap();
    holds(output(model) == acting, "on again is not what it was")?;
    let remembered = Acting::of(model);
    Acting::silence(model);
    holds(output(model) == base, "silenced is not the base")?;
    remembered.restore(model);
    holds(
        output(model) == acting && Acting::of(model) == remembered,
        "put back is not what it was",
    )?;
    adapter.detach(model).unwrap();
    holds(output(model) == base, "detached is not the base")
}

fn merging_keeps_the_output_and_can_be_undone(model: &dyn Model, case: &Case) -> Held {
    let (base, own) = (output(model), weights(model));
    let adapter = case.attach(model, "default")?;
    randomize(&adapter, 3);
    let beside = output(model);
    let merged = adapter.merge(model);
    let cannot = match (
        is_prompt(model) || case.verb == "bottleneck",
        model.shape().tied && case.title.contains("embed_tokens"),
    ) {
        (true, _) => Some("peft::not_mergeable"),
        (_, true) => Some("peft::tied_embedding"),
        _ => None,
    };
    if let Some(code) = cannot {
        adapter.detach(model).unwrap();
        return holds(merged.is_err_and(|error| error.code() == code), "it was merged");
    }
    merged.map_err(|error| error.to_string())?;
    let away = distance(&output(model), &beside);
    holds(away < 1e-4, format!("merged is {away} away"))?;
    let merged = output(model);
    holds(
        adapter.lift_merge().unwrap() && output(model) == base,
        "a lifted merge is not the base",
    )?;
    holds(
        !adapter.lift_merge().unwrap() && adapter.is_merged(),
        "what was lifted is merged all the same",
    )?;
    adapter.reapply_merge(model).unwrap();
    holds(output(model) == merged, "a merge that was lifted is not what it was")?;
    adapter.deactivate(model).unwrap();
    holds(output(model) == base, "merged and off is not the base")?;
    adapter.activate(model).unwrap();
    adapter.unmerge(model).unwrap();
    holds(weights(model) == own && output(model) == beside, "unmerging did not restore")?;
    adapter.detach(model).unwrap();
    Ok(())
}

fn a_saved_adapter_can_be_loaded(model: &dyn Model, case: &Case) -> Held {
    let folder = tempfile::tempdir().unwrap();
    let adapter = case.attach(model, "default")?;
    randomize(&adapter, 3);
    let acting = output(model);
    adapter.save(folder.path(), "toy").map_err(|error| error.to_string())?;
    adapter.detach(model).unwrap();
    let (again, warnings) =
        load(&attach_context(model), folder.path(), "other").map_err(|error| error.to_string())?;
    let away = distance(&output(model), &acting);
    holds(warnings.is_empty(), format!("{warnings:?}"))?;
    holds(
        away == 0.0 && again.summary() == adapter.summary(),
        format!("{away} away, {}", again.summary()),
    )?;
    again.detach(model).unwrap();
    Ok(())
}

fn two_adapters_do_not_affect_each_other(model: &dyn Model, case: &Case) -> Held {
    let first = case.attach(model, "first")?;
    randomize(&first, 3);
    let alone = output(model);
    let second = case.attach(model, "second")?;
    randomize(&second, 4);
    let other = output(model);
    holds(distance(&alone, &other) > 1e-3, "they act alike")?;
    first.activate(model).unwrap();
    holds(output(model) == alone, "switched back is not the same")?;
    second.activate(model).unwrap();
    holds(output(model) == other, "the second is not the same")?;
    second.detach(model).unwrap();
    first.activate(model).unwrap();
    holds(output(model) == alone, "detaching the second changed the first")?;
    first.detach(model).unwrap();
    Ok(())
}

fn attaching_again_replaces(model: &dyn Model, case: &Case) -> Held {
    let base = output(model);
    let once = case.attach(model, "default")?;
    let fresh = output(model);
    randomize(&once, 3);
    let twice = case.attach(model, "default")?;
    holds(output(model) == fresh, "the second attach is not fresh")?;
    once.detach(model).unwrap();
    holds(output(model) == fresh, "the old handle took the new adapter away")?;
    twice.detach(model).unwrap();
    holds(output(model) == base, "something stayed behind")
}

#[test]
fn every_method_has_every_property_on_every_family() {
    let (mut rows, mut broken) = (BTreeMap::<String, Vec<String>>::new(), Vec::new());
    for (family, _) in families() {
        for case in cases() {
            let model = families().into_iter().find(|(name, _)| *name == family).unwrap().1;
            if is_impossible(&*model, &case) {
                rows.entry(case.title.clone()).or_default().push("–".to_owned());
                continue;
            }
            let kept = PROPERTIES.iter().filter(|(property, check)| match check(&*model, &case) {
                Ok(()) => true,
                Err(problem) => {
                    broken.push(format!("{} on {family}: {property}: {problem}", case.title));
                    false
                }
            });
            let kept = kept.count();
            rows.entry(case.title.clone())
                .or_default()
                .push(format!("{kept} of {}", PROPERTIES.len()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    check_page(&rows);
}

/// Whether the case names a module that the model does not have, trains biases of a model without
/// them, or needs weights that are not quantized.
pub(crate) fn is_impossible(model: &dyn Model, case: &Case) -> bool {
    let has = |name: &str| {
        model
            .sites()
            .iter()
            .map(|site| site.path)
            .chain(model.tied_head().map(|head| head.path()))
            .any(|path| path.ends_with(name))
    };
    let is_packed = model
        .parameters()
        .iter()
        .any(|parameter| matches!(parameter.base_weight(), Weight::Packed(_)));
    let is_bias = |path: &str| path.ends_with(".bias") && !path.starts_with("classifier");
    let has_bias = model.parameters().iter().any(|parameter| is_bias(parameter.path()));
    let trains_bias = case.verb == "bitfit" || case.title.contains("bias=all");
    is_packed && case.verb == "full"
        || trains_bias && !has_bias
        || ["lm_head", "embed_tokens", "q_proj"]
            .iter()
            .any(|name| case.title.contains(name) && !has(name))
}

/// Compares README.md with the results, or writes it.
fn check_page(rows: &BTreeMap<String, Vec<String>>) {
    let names: Vec<_> = families().into_iter().map(|(name, _)| name).collect();
    let mut page = format!(
        "{INTRODUCTION}\n| method | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for case in cases() {
        page.push_str(&format!("| `{}` | {} |\n", case.title, rows[&case.title].join(" | ")));
    }
    page.push_str("\nThe properties:\n\n");
    PROPERTIES.iter().enumerate().for_each(|(number, (property, _))| {
        page.push_str(&format!("{}. {property}\n", number + 1))
    });
    page.push_str(NOTE);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    if std::env::var_os("GRAFT_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == page,
        "README.md is out of date: run GRAFT_BLESS=1 cargo test -p graft-peft"
    );
}

const INTRODUCTION: &str = "# The methods of Graft

Each method has one file in [src/methods](src/methods) (mathematics and Hugging Face files) and one in
[graft-spec/src/methods](../graft-spec/src/methods) (keys and help). The cases in [tests/goldens](../../tests/goldens)
compare the methods with HF PEFT; `cargo xtask goldens DIR` checks the cases of any folder. `cargo xtask test --peft`
loads the saved adapters in HF PEFT and the merged models in transformers, and compares the logits.

[tests/it/method_contract.rs](tests/it/method_contract.rs) tests the same properties for every method and writes this
table: the number of properties that hold.
";

const NOTE: &str = "
Exceptions:

* A soft prompt changes the output when it is attached, so property 1 does not apply to it.
* Soft prompts, bottleneck networks and the embedding of a model whose head shares its weight cannot be merged;
  property 4 is then that merging is refused.
* Packed texts cannot be combined with virtual tokens, which every text needs; property 9 is then that packing is
  refused.
* A dash means that the keys do not fit the model: a module of another family, biases of a model without them, or
  full fine-tuning of quantized weights.
";
