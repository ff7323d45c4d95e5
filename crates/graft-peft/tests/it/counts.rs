//! Parameter counts for Llama-3.2-3B, compared with those that HF PEFT's method comparison has
//! published.
//!
//! The model itself is not needed: models with one and with two blocks have the same widths, and
//! all blocks are equal.

use std::sync::Arc;

use graft_models::{Llama, LlamaConfig};
use graft_nn::{Device, Model};
use graft_peft::{AttachContext, attach};
use graft_spec::{Settings, methods};

const BLOCKS: u64 = 28;

/// Method, its keys as typed, and the published count.
const PUBLISHED: &[(&str, &str, u64)] = &[
    ("lora", "r=32 target_modules=q_proj,v_proj", 9_175_040),
    ("lora", "r=64 target_modules=q_proj,v_proj", 18_350_080),
    ("lora", "r=10 target_modules=gate_proj,up_proj,down_proj", 9_461_760),
    ("dora", "r=32 target_modules=q_proj,v_proj", 9_289_728),
    ("shira", "r=32 target_modules=q_proj,v_proj", 9_175_040),
    ("oft", "oft_block_size=96 target_modules=q_proj,v_proj", 8_171_520),
    ("ia3", "target_modules=k_proj,v_proj,down_proj feedforward_modules=down_proj", 286_720),
    (
        "ia3",
        "target_modules=q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj feedforward_modules=gate_proj,up_proj,down_proj",
        630_784,
    ),
    ("loha", "r=32 target_modules=q_proj,v_proj", 18_350_080),
    ("adalora", "init_r=64 target_r=32 target_modules=q_proj,v_proj", 18_353_664),
    ("vera", "r=256 target_modules=q_proj,v_proj", 129_024),
    ("prompt_tune", "num_virtual_tokens=200", 614_400),
    ("prefix_tune", "num_virtual_tokens=50", 2_867_200),
    ("prefix_tune", "num_virtual_tokens=200", 11_468_800),
    ("p_tune", "num_virtual_tokens=20 encoder_hidden_size=3072", 28_382_208),
    ("ln_tuning", "", 175_104),
    ("trainable_tokens", "token_indices=1,2", 6_144),
];

/// Llama-3.2-3B with this many blocks and a tiny vocabulary.
fn model(blocks: u64) -> Arc<dyn Model> {
    let json = serde_json::json!({"vocab_size": 8, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": blocks, "num_attention_heads": 24,
        "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 512, "tie_word_embeddings": true});
    Arc::new(Llama::random(&LlamaConfig::from_json(&json).unwrap(), 1, &Device::Cpu).unwrap())
}

fn settings(verb: &str, keys: &str) -> Settings {
    let specs = methods::by_verb(verb).unwrap().keys;
    let pairs = keys.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    pairs.fold(Settings::default(), |settings, (name, value)| {
        settings
            .with(name, specs.iter().find(|spec| spec.name == name).unwrap().parse(value).unwrap())
    })
}

#[test]
fn parameter_counts_of_llama_3_2_3b_equal_the_published_ones() {
    let (one, two) = (model(1), model(2));
    for (verb, keys, published) in PUBLISHED {
        let trained = |model: &Arc<dyn Model>| {
            let attach_context = AttachContext::new(model.as_ref(), "llama-3.2-3b", 1);
            let adapter = attach(&attach_context, verb, &settings(verb, keys))
                .unwrap_or_else(|error| panic!("{verb} {keys}: {error}"));
            let count = adapter.trainable_parameters();
            adapter.detach(model.as_ref()).unwrap();
            count
        };
        let (one, two) = (trained(&one), trained(&two));
        assert_eq!(one + (BLOCKS - 1) * (two - one), *published, "{verb} {keys}");
    }
}
