use std::fs;

use super::*;

fn sample(folder: &Path) -> PathBuf {
    let path = folder.join("x.safetensors");
    let tensors = BTreeMap::from([
        ("half".to_owned(), Tensor::new(&[1f32, -2.5, 3.0], &Device::Cpu).unwrap().to_dtype(DType::BF16).unwrap()),
        ("a.weight".to_owned(), Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap()),
    ]);
    write(&path, &tensors).unwrap();
    path
}

#[test]
fn what_is_written_is_read_back_and_says_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = TensorFile::open(&sample(folder.path())).unwrap();
    assert_eq!(file.metadata().get("format").map(String::as_str), Some("pt"));
    let tensors = file.tensors(&Device::Cpu).unwrap();
    assert_eq!(tensors["a.weight"].to_vec2::<f32>().unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(tensors["half"].dtype(), DType::BF16);
    assert_eq!(tensors["half"].to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap(), [1.0, -2.5, 3.0]);
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(folder.path());
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let error = TensorFile::open(&path).unwrap_err();
        assert!(error.to_string().contains("x.safetensors"), "{error}");
        assert!(matches!(error.code(), "file::truncated" | "file::malformed"));
    }
}

#[test]
fn a_header_that_lies_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("y.safetensors");
    for (header, words) in [
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, "needs 8 bytes"),
        (r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,4]}}"#, "absurd shape"),
        (r#"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#, "stored as F8_E4M3"),
        (r#"{"a":{"shape":[4]}}"#, "has no dtype"),
        ("[1]", "no JSON object"),
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend([0; 16]);
        fs::write(&path, bytes).unwrap();
        let error = TensorFile::open(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    fs::write(&path, b"PK\x03\x04\x00\x00\xff\xff pickled").unwrap();
    assert_eq!(TensorFile::open(&path).unwrap_err().code(), "file::malformed");
}
