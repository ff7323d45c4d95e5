//! Quantized weights in the format of bitsandbytes, as transformers saves a model that was loaded
//! in 4 or 8 bits.
//!
//! # Format
//! NF4: `W.weight` contains the codes, two per byte; `W.weight.absmax` the scales of the blocks;
//! `W.weight.quant_map` the sixteen levels; `W.weight.quant_state.bitsandbytes__nf4` a JSON object
//! with shape and block size. With double quantization the scales are 8-bit codes, with
//! `nested_absmax`, `nested_quant_map` and, in the JSON, `nested_blocksize` and `nested_offset`. 8
//! bits: `W.weight` contains signed bytes, `W.SCB` one scale per row.
//! # Source
//! bitsandbytes 0.50 `QuantState.as_dict`, transformers 5.24; goldens `tests/goldens-bnb`

use graft_nn::packed::{ByteBlocks, Int8, Nf4, Numbers, Scales};
use graft_nn::{DType, Device, NnError, Packed, Tensor};
use serde_json::{Value, json};

/// Suffix of the quantization state of NF4.
const STATE: &str = "quant_state.bitsandbytes__nf4";
/// Suffix of the quantization state of FP4, which is not supported.
const OTHER_STATE: &str = "quant_state.bitsandbytes__fp4";
/// Suffixes of the auxiliary tensors of a quantized weight.
const AUXILIARY: &[&str] =
    &[".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".SCB", ".weight_format"];

/// Reads a tensor of the same model by name, if it exists.
pub(crate) type Read<'a> = &'a dyn Fn(&str) -> Option<Tensor>;

/// Whether a tensor is an auxiliary tensor of a quantized weight.
pub(crate) fn is_auxiliary(name: &str) -> bool {
    AUXILIARY.iter().any(|ending| name.ends_with(ending))
        || name.ends_with(STATE)
        || name.ends_with(OTHER_STATE)
}

/// The names of tensors that mark `W.weight` as quantized.
pub(crate) fn marks(weight: &str) -> [String; 3] {
    let layer = weight.strip_suffix(".weight").unwrap_or(weight);
    [format!("{weight}.{STATE}"), format!("{weight}.{OTHER_STATE}"), format!("{layer}.SCB")]
}

/// Reads the quantized weight (d_out, d_in) of that name.
///
/// # Errors
/// Returns a description of the problem if a tensor is missing, has the wrong type or an
/// inconsistent size.
pub(crate) fn read(
    weight: &str,
    (d_out, d_in): (usize, usize),
    read: Read<'_>,
) -> Result<Packed, String> {
    let [state, other, scb] = marks(weight);
    let get = |name: &str| read(name).ok_or_else(|| format!("`{name}` is missing"));
    if read(&other).is_some() {
        return Err(format!("`{weight}` is quantized as FP4, which is not supported (NF4 is)"));
    }
    let numbers = match read(&scb) {
        Some(scales) => Numbers::Int8(Int8::new(
            bytes(&get(weight)?)?.into_iter().map(|byte| byte as i8).collect(),
            floats(&scales)?,
        )),
        None => Numbers::Nf4(nf4(weight, &state, [d_out, d_in], &get)?),
    };
    Packed::from_numbers((d_out, d_in), numbers).map_err(|error| format!("`{weight}`: {error}"))
}

/// The codes, scales and levels of an NF4 weight whose quantization state is the tensor `state`.
fn nf4(
    weight: &str,
    state: &str,
    dims: [usize; 2],
    get: &dyn Fn(&str) -> Result<Tensor, String>,
) -> Result<Nf4, String> {
    let text = bytes(&get(state)?)?;
    let state: Value = serde_json::from_slice(&text)
        .map_err(|error| format!("`{state}` is not valid JSON ({error})"))?;
    let levels = <[f32; 16]>::try_from(floats(&get(&format!("{weight}.quant_map"))?)?)
        .map_err(|_| format!("`{weight}.quant_map` must have 16 levels"))?;
    let block = whole(&state, "blocksize")?;
    let shape = state.get("shape").and_then(Value::as_array);
    if shape.is_some_and(|shape| *shape != dims.map(|size| json!(size))) {
        return Err(format!(
            "`{weight}` was quantized from shape {}, but config.json requires {dims:?}",
            state["shape"]
        ));
    }
    Ok(Nf4::new(bytes(&get(weight)?)?, scales(weight, &state, get)?, block, levels))
}

fn scales(
    weight: &str,
    state: &Value,
    get: &dyn Fn(&str) -> Result<Tensor, String>,
) -> Result<Scales, String> {
    let absmax = get(&format!("{weight}.absmax"))?;
    if state.get("nested_blocksize").is_none() {
        return Ok(Scales::Plain(floats(&absmax)?));
    }
    let nested = get(&format!("{weight}.nested_absmax"))?;
    let map = get(&format!("{weight}.nested_quant_map"))?;
    let blocks = ByteBlocks::new(
        bytes(&absmax)?,
        floats(&nested)?,
        whole(state, "nested_blocksize")?,
        floats(&map)?,
    );
    let blocks =
        blocks.ok_or_else(|| format!("the scales of `{weight}` have inconsistent sizes"))?;
    let offset = state
        .get("nested_offset")
        .and_then(Value::as_f64)
        .ok_or_else(|| format!("the quantization state of `{weight}` has no `nested_offset`"))?;
    Ok(Scales::Double { blocks, offset: offset as f32 })
}

/// The tensors of a quantized weight in the format of bitsandbytes, by name; `None` for formats
/// other than NF4, which are saved dequantized.
///
/// # Errors
/// Returns an error if the underlying candle operation fails.
pub(crate) fn tensors(
    weight: &str,
    packed: &Packed,
) -> Result<Option<Vec<(String, Tensor)>>, NnError> {
    let Numbers::Nf4(nf4) = packed.numbers() else { return Ok(None) };
    let (d_out, d_in) = packed.dims();
    let of_bytes = |values: &[u8]| Tensor::from_slice(values, values.len(), &Device::Cpu);
    let of_floats = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
    let mut state = json!({"quant_type": "nf4", "blocksize": nf4.block(), "dtype": "float32", "shape": [d_out, d_in]});
    let mut all =
        vec![(weight.to_owned(), of_bytes(nf4.codes())?.reshape((nf4.codes().len(), 1))?)];
    match nf4.scales() {
        Scales::Plain(scales) => all.push((format!("{weight}.absmax"), of_floats(scales)?)),
        Scales::Double { blocks, offset } => {
            all.push((format!("{weight}.absmax"), of_bytes(blocks.codes())?));
            all.push((format!("{weight}.nested_absmax"), of_floats(blocks.scales())?));
            all.push((format!("{weight}.nested_quant_map"), of_floats(blocks.levels())?));
            state["nested_blocksize"] = blocks.block().into();
            state["nested_dtype"] = "float32".into();
            state["nested_offset"] = f64::from(*offset).into();
        }
    }
    all.push((format!("{weight}.quant_map"), of_floats(nf4.levels())?));
    all.push((format!("{weight}.{STATE}"), of_bytes(state.to_string().as_bytes())?));
    Ok(Some(all))
}

/// `quantization_config` of a model in NF4; `unpacked` are the layers that are not quantized.
pub(crate) fn config(double: bool, unpacked: &[String]) -> Value {
    json!({"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, "_load_in_4bit": true, "_load_in_8bit": false,
        "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": double, "bnb_4bit_compute_dtype": "float32", "bnb_4bit_quant_storage": "uint8",
        "llm_int8_skip_modules": unpacked})
}

fn bytes(tensor: &Tensor) -> Result<Vec<u8>, String> {
    if tensor.dtype() != DType::U8 {
        return Err(format!("packed values must be stored as bytes, found {:?}", tensor.dtype()));
    }
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).map_err(|error| error.to_string())
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>, String> {
    tensor
        .to_dtype(DType::F32)
        .and_then(|tensor| tensor.flatten_all()?.to_vec1())
        .map_err(|error| error.to_string())
}

fn whole(state: &Value, name: &str) -> Result<usize, String> {
    state
        .get(name)
        .and_then(Value::as_u64)
        .map(|value| value as usize)
        .ok_or_else(|| format!("the quantization state of a weight has no `{name}`"))
}
