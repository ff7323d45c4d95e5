//! Malicious adapter folders: each one loads or returns an error that explains the problem; nothing
//! panics, hangs or allocates the size that a file claims.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use graft_nn::{Device, Model, Rng, Stream, Tensor, tensor_file};
use graft_peft::{PeftError, attach, load};
use graft_spec::{Hint, KeyKind, Settings, Value as Setting, methods::METHODS};
use serde_json::{Value, json};

use crate::{
    files::{attach_context, llama, output, saved},
    method_contract::{cases, is_impossible, randomize},
};

/// Records the largest allocation of this thread.
struct Counting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call is forwarded unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the guarantees of the caller are forwarded.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the guarantees of the caller are forwarded.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the guarantees of the caller are forwarded.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the guarantees of the caller are forwarded.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Maximum allocation for a folder of a few kilobytes: a configuration may have 8 MB.
const MOST_BYTES: usize = 48 << 20;
/// Maximum time for a folder, in a test build.
const LONGEST: Duration = Duration::from_secs(30);

/// Loads a folder, checks that the model is unchanged, and returns the error, if any.
fn try_load(model: &dyn Model, folder: &Path, what: &str) -> Option<PeftError> {
    LARGEST.set(0);
    let started = Instant::now();
    let result =
        catch_unwind(AssertUnwindSafe(|| match load(&attach_context(model), folder, "default") {
            Ok((adapter, _)) => {
                adapter.detach(model).unwrap();
                None
            }
            Err(error) => Some(error),
        }));
    let error = result.unwrap_or_else(|_| panic!("{what} panicked"));
    assert!(LARGEST.get() <= MOST_BYTES, "{what} asked for {} bytes at once", LARGEST.get());
    assert!(started.elapsed() < LONGEST, "{what} took {:?}", started.elapsed());
    error
}

fn refusal(model: &dyn Model, folder: &Path, what: &str) -> (String, String) {
    let error = try_load(model, folder, what).unwrap_or_else(|| panic!("{what} was loaded"));
    (error.code().to_owned(), format!("{error} / {}", error.hint().unwrap_or_default()))
}

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("adapter_config.json")).unwrap()).unwrap()
}

fn with_field(folder: &Path, field: &str, value: Value) {
    let mut changed = config(folder);
    changed[field] = value;
    fs::write(folder.join("adapter_config.json"), changed.to_string()).unwrap();
}

#[test]
fn counts_and_scales_out_of_range_in_a_file_are_refused_before_any_allocation() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    saved(&model, folder.path());
    let rows: Vec<(&str, Value, &str)> = vec![
        (
            "r",
            json!(2_147_483_647),
            "`r` must be a whole number between 1 and 65536, got 2147483647",
        ),
        ("r", json!(0), "between 1 and 65536, got 0"),
        ("r", json!(-4), "got -4"),
        ("r", json!(1e308), "got 1e+308"),
        ("r", json!(null), "got nothing"),
        // Within the range, but far larger than the file.
        ("r", json!(65_536), "is larger than"),
        ("lora_alpha", json!(1e308), "`lora_alpha` must be"),
        ("lora_alpha", json!("NaN"), "`lora_alpha` must be a number"),
        ("lora_dropout", json!(1.5), "`lora_dropout` must be"),
        ("rank_pattern", json!({"q_proj": 2_147_483_647}), "`rank_pattern` must be"),
        ("rank_pattern", json!({"q_proj": 65_000}), "is larger than"),
        ("alpha_pattern", json!({"q_proj": 1e308}), "`alpha_pattern` must be"),
        (
            "target_modules",
            json!(r"(?:(?:(?:\w{100}){100}){100}){100}"),
            "not a valid regular expression",
        ),
        ("target_modules", json!("x".repeat(1 << 20)), "more than 32768 characters"),
        ("target_modules", json!(vec!["q_proj"; 200_000]), "200000 items"),
        ("layers_to_transform", json!(vec![0; 200_000]), "200000 items"),
        ("layers_pattern", json!("("), "not a valid regular expression"),
    ];
    for (field, value, expected) in rows {
        saved(&model, folder.path());
        with_field(folder.path(), field, value);
        let (_, text) = refusal(&model, folder.path(), &format!("{field} ({expected})"));
        assert!(text.contains(expected), "{field}: {text}");
    }
    // A backtracking matcher would not terminate in practice.
    saved(&model, folder.path());
    with_field(folder.path(), "target_modules", json!(r"(.*)*(.*)*(.*)*(.*)*(a+)+$"));
    assert_eq!(refusal(&model, folder.path(), "nested stars").0, "peft::no_match");
    let bomb: serde_json::Map<_, _> = (0..90_000)
        .map(|place| (format!("model.layers.{place}.self_attn.q_proj"), json!(2)))
        .collect();
    saved(&model, folder.path());
    with_field(folder.path(), "rank_pattern", bomb.into());
    assert!(try_load(&model, folder.path(), "90,000 ranks").is_none());
    let bomb: serde_json::Map<_, _> =
        (0..90_000).map(|place| (format!("(a+)+{place}"), json!(2))).collect();
    with_field(folder.path(), "rank_pattern", bomb.into());
    assert_eq!(
        refusal(&model, folder.path(), "90,000 regular expressions").0,
        "peft::too_many_patterns"
    );
}

#[test]
fn other_methods_are_limited_by_their_files_too() {
    let model = llama(false, 1);
    let rows: Vec<(&str, &str, Value, &str)> = vec![
        ("prompt_tune", "num_virtual_tokens", json!(2_147_483_648u64), "between 1 and 65536"),
        ("prefix_tune", "num_virtual_tokens", json!(65_000), "leave no room"),
        ("vera", "r", json!(65_536), "is larger than"),
        ("loha", "r", json!(60_000), "is larger than"),
        ("adalora", "init_r", json!(65_536), ""),
        (
            "adalora",
            "rank_pattern",
            json!({"model.layers.0.self_attn.q_proj.lora_E": vec![true; 65_537]}),
            "rank_pattern",
        ),
        ("oft", "oft_block_size", json!(2_147_483_647), "between 0 and 65536"),
        ("lokr", "r", json!(2_147_483_647), "between 1 and 65536"),
        ("bottleneck", "config", json!({"reduction_factor": 1e-300}), ""),
        ("trainable_tokens", "token_indices", json!([50]), "outside the vocabulary"),
        ("trainable_tokens", "token_indices", json!([-1]), "token_indices"),
        ("lora", "trainable_token_indices", json!([50]), "outside the vocabulary"),
        ("lora", "trainable_token_indices", json!({"embed_tokens": [-1]}), "token numbers"),
        ("dora", "trainable_token_indices", json!({"q_proj": [1]}), "trainable_token_indices"),
        ("lora", "trainable_token_indices", json!(7), "token numbers"),
        ("adalora", "trainable_token_indices", json!([1]), "trainable_token_indices"),
        (
            "trainable_tokens",
            "token_indices",
            json!((0..100_000).map(|index| index % 50).collect::<Vec<_>>()),
            "",
        ),
    ];
    for (verb, field, value, expected) in rows {
        let case = cases().into_iter().find(|case| case.title == verb).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let adapter = case.attach(&model, "default").unwrap();
        adapter.save(folder.path(), "toy").unwrap();
        adapter.detach(&model).unwrap();
        with_field(folder.path(), field, value);
        let (_, text) = refusal(&model, folder.path(), &format!("{verb} {field}"));
        assert!(text.contains(expected), "{verb} {field}: {text}");
    }
}

#[test]
fn a_vera_adapter_without_projections_is_limited_by_the_memory() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    let keys = Settings::default()
        .with("r", Setting::Integer(3))
        .with("save_projection", Setting::Bool(false));
    let adapter = attach(&attach_context(&model), "vera", &keys).unwrap();
    adapter.save(folder.path(), "toy").unwrap();
    adapter.detach(&model).unwrap();
    with_field(folder.path(), "r", json!(65_536));
    assert_eq!(refusal(&model, folder.path(), "vera").0, "peft::wrong_shape");
}

#[test]
fn paths_that_are_not_regular_files_are_refused() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
        let path = folder.path().join(name);
        let make: [(&str, &dyn Fn()); 3] = [
            ("a pipe", &|| assert!(Command::new("mkfifo").arg(&path).status().unwrap().success())),
            ("/dev/zero", &|| std::os::unix::fs::symlink("/dev/zero", &path).unwrap()),
            ("a folder", &|| fs::create_dir(&path).unwrap()),
        ];
        for (kind, make) in make {
            let _ = fs::remove_dir_all(&path);
            saved(&model, folder.path());
            fs::remove_file(&path).unwrap();
            make();
            let (code, text) = refusal(&model, folder.path(), kind);
            assert!(code == "peft::not_a_file" && text.contains(name), "{kind}: {text}");
            fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        }
    }
    saved(&model, folder.path());
    let path = folder.path().join("adapter_config.json");
    fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
    assert!(refusal(&model, folder.path(), "100 MB").1.contains("larger than 8 MB"));
    for text in [
        "[".repeat(1 << 20),
        format!("{{\"r\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        "{\"r\": NaN}".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(refusal(&model, folder.path(), "a configuration").0, "peft::malformed");
    }
}

/// A safetensors file with this header, followed by a hole of `bytes`.
fn hollow(path: &Path, header: &Value, bytes: u64) {
    let header = header.to_string();
    let file = fs::File::create(path).unwrap();
    file.write_all_at(&(header.len() as u64).to_le_bytes(), 0).unwrap();
    file.write_all_at(header.as_bytes(), 8).unwrap();
    file.set_len(8 + header.len() as u64 + bytes).unwrap();
}

#[test]
fn tensor_shapes_are_checked_before_the_data_is_read() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    saved(&model, folder.path());
    let path = folder.path().join("adapter_model.safetensors");
    let file = tensor_file::TensorFile::open(&path).unwrap();
    let keys: Vec<String> = file.entries().keys().cloned().collect();
    // The header without this tensor, and the offset of the next tensor's data: a file must not
    // have gaps.
    let without = |name: &str| {
        let (mut header, mut start) = (serde_json::Map::new(), 0);
        for key in keys.iter().filter(|key| *key != name) {
            let shape = file.entries()[key].shape.clone();
            let end = start + 4 * shape.iter().product::<usize>();
            header.insert(
                key.clone(),
                json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}),
            );
            start = end;
        }
        (header, start as u64)
    };
    let huge = 1u64 << 40;
    let entry = |dtype: &str, shape: Value, start: u64, bytes: u64| json!({"dtype": dtype, "shape": shape, "data_offsets": [start, start + bytes]});
    // One that the adapter needs, one of the base model, and one that is unused.
    let names = [keys[0].as_str(), "base_model.model.lm_head.weight", "nothing"];
    for (name, expected) in
        names.into_iter().zip([Some("peft::wrong_shape"), Some("peft::wrong_shape"), None])
    {
        let (mut header, start) = without(name);
        header.insert(name.to_owned(), entry("F32", json!([1 << 19, 1 << 19]), start, huge));
        hollow(&path, &header.into(), start + huge);
        assert_eq!(
            try_load(&model, folder.path(), name).map(|error| error.code()),
            expected,
            "{name}"
        );
    }
    for (dtype, bytes) in [("I64", 8), ("U8", 1), ("I32", 4), ("U32", 4)] {
        let (mut header, start) = without(&keys[0]);
        let shape = file.entries()[&keys[0]].shape.clone();
        let bytes = bytes * shape.iter().product::<usize>() as u64;
        header.insert(keys[0].clone(), entry(dtype, json!(shape), start, bytes));
        hollow(&path, &header.into(), start + bytes);
        let (code, text) = refusal(&model, folder.path(), dtype);
        assert!(
            code == "peft::wrong_type"
                && text.contains(&keys[0])
                && text.contains("floating-point"),
            "{dtype}: {text}"
        );
    }
}

#[test]
fn counts_out_of_range_in_keys_are_refused_for_every_method() {
    let model = llama(false, 1);
    let mut count = 0;
    for spec in METHODS {
        for key in spec.keys {
            if let KeyKind::Integer { min, max } = key.kind {
                for value in [max.checked_add(1), Some(i64::MAX), Some(min - 1)]
                    .into_iter()
                    .flatten()
                    .filter(|value| !(min..=max).contains(value))
                {
                    let error = attach(
                        &attach_context(&model),
                        spec.verb,
                        &Settings::default().with(key.name, Setting::Integer(value)),
                    )
                    .err()
                    .expect("refused");
                    assert!(
                        error.code() == "peft::settings" && error.to_string().contains(key.name),
                        "{} {}={value}: {error}",
                        spec.verb,
                        key.name
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 30, "{count}");
    // Within the ranges of the keys, but larger than the memory; nothing is allocated.
    LARGEST.set(0);
    let list =
        |words: &[&str]| Setting::List(words.iter().map(|word| (*word).to_owned()).collect());
    for (verb, keys) in [
        (
            "p_tune",
            vec![
                ("encoder_hidden_size", Setting::Integer(65_536)),
                ("encoder_reparameterization_type", Setting::Text("LSTM".to_owned())),
                ("encoder_num_layers", Setting::Integer(16)),
            ],
        ),
        ("lora", vec![("r", Setting::Integer(65_536))]),
        ("lora", vec![("rank_pattern", list(&["q_proj:9999999999"]))]),
        ("lokr", vec![("rank_pattern", list(&["q_proj:9999999999"]))]),
        ("lora", vec![("alpha_pattern", list(&["q_proj:1e300"]))]),
        ("lora", vec![("layers_to_transform", list(&["0-16777214"]))]),
        ("trainable_tokens", vec![("token_indices", list(&["0-16777214", "0-16777214"]))]),
        ("prompt_tune", vec![("num_virtual_tokens", Setting::Integer(65_536))]),
    ] {
        let settings = keys.iter().fold(Settings::default(), |settings, (name, value)| {
            settings.with(name, value.clone())
        });
        let base = output(&model);
        let error = attach(&attach_context(&model), verb, &settings)
            .err()
            .unwrap_or_else(|| panic!("{verb} {keys:?} was attached"));
        assert!(error.hint().is_some() && output(&model) == base, "{verb} {keys:?}: {error}");
    }
    assert!(LARGEST.get() <= MOST_BYTES, "{} bytes at once", LARGEST.get());
}

/// Values that no field should have.
fn bad_values() -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(3),
        json!(0.5),
        json!(65_536),
        json!(2_147_483_647),
        json!(2_147_483_648u64),
        json!(9_007_199_254_740_993i64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-1e308),
        json!(5e-324),
        json!(""),
        json!("x"),
        json!("all-linear"),
        json!(".*"),
        json!("(a+)+$"),
        json!("("),
        json!("q_proj"),
        json!("x".repeat(40_000)),
        json!([]),
        json!({}),
        json!(["q_proj"]),
        json!([["q_proj"]]),
        json!(["lm_head", "embed_tokens"]),
        json!([0, 1, 2_147_483_647]),
        json!(vec![7; 1_000]),
        json!({"q_proj": 1}),
        json!({".*": 65_536}),
        json!({"q_proj": [true, false]}),
        json!({"rho": 1e308}),
        json!("pissa"),
        json!("eva"),
        json!("LORA"),
        json!("PROMPT_TUNING"),
        json!("all"),
        json!("zero"),
        deep,
    ]
}

/// Changes one detail of a folder.
fn mutate(folder: &Path, stream: &mut Stream) -> String {
    let path = folder.join("adapter_config.json");
    let weights = ["adapter_model.safetensors", "adapter.safetensors"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .unwrap();
    match stream.below(5) {
        0 | 1 => {
            let mut changed = config(folder);
            let inner = if changed.get("config").is_some_and(Value::is_object) {
                &mut changed["config"]
            } else {
                &mut changed
            };
            let fields = inner.as_object_mut().unwrap();
            let name =
                fields.keys().nth(stream.below(fields.len() as u64) as usize).unwrap().clone();
            let values = bad_values();
            let value = values[stream.below(values.len() as u64) as usize].clone();
            let text =
                format!("{name} = {}", value.to_string().chars().take(60).collect::<String>());
            fields.insert(name, value);
            fs::write(path, changed.to_string()).unwrap();
            text
        }
        2 => flip(&path, stream, usize::MAX),
        3 => {
            let length =
                u64::from_le_bytes(fs::read(&weights).unwrap()[..8].try_into().unwrap()) as usize;
            flip(&weights, stream, 8 + length)
        }
        _ => {
            // Changes a digit of the header, or cuts off the end of the file.
            let mut bytes = fs::read(&weights).unwrap();
            let digits: Vec<usize> =
                (8..bytes.len()).filter(|place| bytes[*place].is_ascii_digit()).collect();
            let place = digits[stream.below(digits.len() as u64) as usize];
            bytes[place] = b'0' + stream.below(10) as u8;
            if stream.below(4) == 0 {
                bytes.truncate(place);
            }
            fs::write(&weights, bytes).unwrap();
            format!("digit {place} of the weights")
        }
    }
}

/// Changes a few bytes among the first `end`.
fn flip(path: &Path, stream: &mut Stream, end: usize) -> String {
    let mut bytes = fs::read(path).unwrap();
    let end = end.min(bytes.len());
    let places: Vec<usize> =
        (0..1 + stream.below(3)).map(|_| stream.below(end as u64) as usize).collect();
    places.iter().for_each(|place| bytes[*place] = stream.below(256) as u8);
    fs::write(path, bytes).unwrap();
    format!("bytes {places:?} of {}", path.file_name().unwrap().to_string_lossy())
}

#[test]
fn mutated_folders_of_every_method_are_an_error_or_load_and_never_a_panic() {
    let (mut loaded, mut refused) = (0, 0);
    for tied in [false, true] {
        let model = llama(tied, 1);
        let base = output(&model);
        for case in cases().iter().filter(|case| {
            !is_impossible(&model, case)
                && !case.title.contains("eva")
                && !case.title.contains("bias")
        }) {
            let original = tempfile::tempdir().unwrap();
            // For example BitFit on a model without biases.
            let Ok(adapter) = case.attach(&model, "default") else { continue };
            randomize(&adapter, 3);
            adapter.save(original.path(), "toy").unwrap();
            adapter.detach(&model).unwrap();
            for round in 0..24 {
                let folder = tempfile::tempdir().unwrap();
                for entry in fs::read_dir(original.path()).unwrap().flatten() {
                    fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
                }
                let mut stream = Rng::new(round).stream("hostile", &case.title);
                let what = mutate(folder.path(), &mut stream);
                match try_load(
                    &model,
                    folder.path(),
                    &format!("{} (tied: {tied}), round {round}: {what}", case.title),
                ) {
                    Some(_) => refused += 1,
                    None => loaded += 1,
                }
                assert_eq!(
                    output(&model),
                    base,
                    "{} round {round}: {what} left something behind",
                    case.title
                );
            }
        }
    }
    assert!(loaded > 50 && refused > 200, "{loaded} loaded, {refused} refused");
}

#[test]
fn a_tensor_of_the_wrong_rank_or_without_elements_is_refused() {
    let (model, folder) = (llama(false, 1), tempfile::tempdir().unwrap());
    let path = folder.path().join("adapter_model.safetensors");
    for shape in [&[][..], &[32], &[2, 16, 1], &[0, 16], &[2, 0]] {
        saved(&model, folder.path());
        let mut tensors =
            tensor_file::TensorFile::open(&path).unwrap().tensors(&Device::Cpu).unwrap();
        let key = tensors.keys().next().unwrap().clone();
        tensors.insert(key, Tensor::zeros(shape, graft_nn::DType::F32, &Device::Cpu).unwrap());
        tensor_file::write(&path, &tensors).unwrap();
        assert_eq!(refusal(&model, folder.path(), "a shape").0, "peft::wrong_shape", "{shape:?}");
    }
}
