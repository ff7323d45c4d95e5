//! The `config.json` of a saved model, derived from the one that was loaded.

use graft_nn::{DType, LabelNames, Model, Task};
use serde_json::{Map, Value, json};

use crate::families;

/// Properties of the saved weights.
pub(super) struct Saved {
    /// Type of the matrices.
    pub(super) dtype: DType,
    /// `quantization_config`, if some of them are quantized.
    pub(super) quantization: Option<Value>,
    /// Whether the head is among the weights.
    pub(super) has_head: bool,
}

/// The config of the saved weights.
pub(super) fn of(model: &dyn Model, loaded: &Value, saved: Saved) -> Value {
    let mut config = loaded.clone();
    let Some(object) = config.as_object_mut() else { return config };
    let family = loaded.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(architecture) = families::architecture(&family, model.task()) {
        object.insert("architectures".to_owned(), json!([architecture]));
    }
    // Refers to custom code, which is not saved and not needed to read the weights.
    object.remove("auto_map");
    match model.task() {
        Task::SequenceClassification { labels } => classes(object, &names(model, labels)),
        Task::Seq2SeqLm => {
            // transformers 5 decides on this key whether the head scales, 4 on the next one.
            let tied = object.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(true);
            // The head of mT5 never scales.
            let scales = tied && family != "mt5";
            object.entry("scale_decoder_outputs").or_insert_with(|| scales.into());
            object.insert("tie_word_embeddings".to_owned(), (!saved.has_head).into());
        }
        Task::CausalLm => {
            drop(object.insert("tie_word_embeddings".to_owned(), (!saved.has_head).into()))
        }
        Task::FeatureExtraction => {}
    }
    object.remove("quantization_config");
    object.extend(
        saved.quantization.map(|quantization| ("quantization_config".to_owned(), quantization)),
    );
    let dtype = match saved.dtype {
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        _ => "float32",
    };
    // transformers 4 reads the first key, 5 the second.
    object.insert("torch_dtype".to_owned(), dtype.into());
    object.insert("dtype".to_owned(), dtype.into());
    config
}

/// Sets number and names of the classes, as transformers does.
fn classes(object: &mut Map<String, Value>, names: &[String]) {
    let by_id: Map<_, _> =
        names.iter().enumerate().map(|(id, name)| (id.to_string(), name.as_str().into())).collect();
    let by_label: Map<_, _> =
        names.iter().enumerate().map(|(id, name)| (name.clone(), id.into())).collect();
    object.insert("num_labels".to_owned(), names.len().into());
    object.insert("id2label".to_owned(), by_id.into());
    object.insert("label2id".to_owned(), by_label.into());
    // transformers treats a model with one output as a regression.
    if names.len() > 1 {
        object.insert("problem_type".to_owned(), "single_label_classification".into());
    }
}

/// The names of the classes: those of the training data, else those of the config, else `LABEL_0`,
/// `LABEL_1`, ….
fn names(model: &dyn Model, labels: usize) -> Vec<String> {
    let named = model.label_names().and_then(LabelNames::get).filter(|names| names.len() == labels);
    named.map_or_else(
        || (0..labels).map(|id| format!("LABEL_{id}")).collect(),
        |names| names.to_vec(),
    )
}
