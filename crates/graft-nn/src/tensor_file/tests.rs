use std::fs;

use super::*;

fn sample(folder: &Path) -> PathBuf {
    let path = folder.join("x.safetensors");
    let tensors = BTreeMap::from([
        (
            "half".to_owned(),
            Tensor::new(&[1f32, -2.5, 3.0], &Device::Cpu).unwrap().to_dtype(DType::BF16).unwrap(),
        ),
        ("a.weight".to_owned(), Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap()),
    ]);
    write(&path, &tensors).unwrap();
    path
}

#[test]
fn written_tensors_are_read_back_with_their_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = TensorFile::open(&sample(folder.path())).unwrap();
    assert_eq!(file.metadata().get("format").map(String::as_str), Some("pt"));
    let tensors = file.tensors(&Device::Cpu).unwrap();
    assert_eq!(tensors["a.weight"].to_vec2::<f32>().unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(tensors["half"].dtype(), DType::BF16);
    assert_eq!(
        tensors["half"].to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap(),
        [1.0, -2.5, 3.0]
    );
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
fn an_inconsistent_header_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("y.safetensors");
    for (header, words) in [
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, "needs 8 bytes"),
        (
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,4]}}"#,
            "shape whose size overflows",
        ),
        (
            r#"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#,
            "unsupported type F8_E4M3",
        ),
        (r#"{"a":{"shape":[4]}}"#, "has no dtype"),
        ("[1]", "not a JSON object"),
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

/// Writes a file with this header and `data` bytes of data.
fn file_of(path: &Path, header: &str, data: usize) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + data, 0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn tensors_that_overlap_gaps_repeated_names_and_surplus_bytes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("z.safetensors");
    let tensor = |name: &str, start: usize, end: usize| {
        format!(
            r#""{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[{start},{end}]}}"#,
            (end - start) / 4
        )
    };
    let whole = format!("{{{},{}}}", tensor("a", 0, 8), tensor("b", 8, 16));
    file_of(&path, &whole, 16);
    assert_eq!(TensorFile::open(&path).unwrap().entries().len(), 2);
    for (header, data, words) in [
        (format!("{{{},{}}}", tensor("a", 0, 8), tensor("b", 0, 8)), 8, "`a` and `b` overlap"),
        (format!("{{{},{}}}", tensor("a", 0, 8), tensor("b", 4, 12)), 12, "`a` and `b` overlap"),
        (
            format!("{{{},{}}}", tensor("a", 0, 8), tensor("b", 12, 16)),
            16,
            "4 unused bytes before tensor `b`",
        ),
        (format!("{{{},{}}}", tensor("a", 0, 8), tensor("a", 8, 16)), 16, "duplicate name `a`"),
        (
            format!(r#"{{"__metadata__":{{}},{},"__metadata__":{{}}}}"#, tensor("a", 0, 8)),
            8,
            "duplicate name `__metadata__`",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,4]}}"#.to_owned(),
            4,
            "duplicate field",
        ),
        (
            format!(
                r#"{{"a":{{"dtype":"F32","shape":[{}1],"data_offsets":[0,4]}}}}"#,
                "1,".repeat(1000)
            ),
            4,
            "at most 16",
        ),
        (whole, 17, "1 unused bytes after the last tensor"),
    ] {
        file_of(&path, &header, data);
        let error = TensorFile::open(&path).unwrap_err();
        assert!(error.code() == "file::malformed" && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_pipe_or_a_device_in_the_place_of_a_file_is_refused_at_once() {
    let error = TensorFile::open(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(error.code(), "file::io");
}
