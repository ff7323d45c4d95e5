use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use graft_spec::{Hint, Settings, Value as Key};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::{DataError, Dataset, Limits, load_file};

/// Writes a file with the columns text, label and blob.
fn write(path: &Path, rows: &[(&str, i64)], compression: Compression, names: Option<&str>) {
    let schema =
        "message rows { required binary text (UTF8); required int64 label; required binary blob; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let metadata = names.map(|names| {
        let features = format!(
            r#"{{"info": {{"features": {{"label": {{"names": {names}, "_type": "ClassLabel"}}}}}}}}"#
        );
        vec![KeyValue::new("huggingface".to_owned(), features)]
    });
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(metadata)
        .build();
    let file = File::create(path).expect("creates");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("writes");
    let bytes = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    for half in rows.chunks(rows.len().div_ceil(2)) {
        let mut group = writer.next_row_group().expect("writes");
        let texts: Vec<ByteArray> = half.iter().map(|(text, _)| bytes(text)).collect();
        let labels: Vec<i64> = half.iter().map(|(_, label)| *label).collect();
        let blobs: Vec<ByteArray> = half.iter().map(|_| ByteArray::from(vec![0xff; 100])).collect();
        let mut column = group.next_column().expect("writes").expect("text");
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).expect("writes");
        column.close().expect("writes");
        let mut column = group.next_column().expect("writes").expect("label");
        column.typed::<Int64Type>().write_batch(&labels, None, None).expect("writes");
        column.close().expect("writes");
        let mut column = group.next_column().expect("writes").expect("blob");
        column.typed::<ByteArrayType>().write_batch(&blobs, None, None).expect("writes");
        column.close().expect("writes");
        group.close().expect("writes");
    }
    writer.close().expect("writes");
}

fn load(path: &Path, settings: &Settings) -> Result<Dataset, DataError> {
    load_file(path, settings, Limits::NONE)
}

const ROWS: &[(&str, i64)] = &[("one", 0), ("two", 1), ("three", 0), ("four", 1)];

#[test]
fn rows_are_read_by_content_whatever_the_compression_and_other_columns_are_skipped() {
    let folder = tempfile::tempdir().expect("folder");
    let compressions =
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())];
    for compression in compressions {
        let path = folder.path().join("rows.bin");
        write(&path, ROWS, compression, None);
        let set = load(&path, &Settings::default()).expect("reads");
        assert_eq!(set.labels(), ["0", "1"]);
        assert_eq!(set.train[1].prompt, "two\nLabel:");
        assert_eq!(set.report.line(), "read as parquet: `text`, `label`; ignored: `blob`");
    }
}

#[test]
fn class_names_of_hugging_face_data_sets_are_the_labels() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("rows.parquet");
    write(&path, ROWS, Compression::SNAPPY, Some(r#"["neg", "pos"]"#));
    let set = load(&path, &Settings::default()).expect("reads");
    assert_eq!(
        (set.labels(), &*set.train[1].completion),
        (&["neg".into(), "pos".into()][..], " pos")
    );
    write(
        &path,
        &[("one", 0), ("two", -1), ("three", 1)],
        Compression::SNAPPY,
        Some(r#"["neg", "pos"]"#),
    );
    let error = load(&path, &Settings::default()).expect_err("unlabeled");
    assert!(
        error.to_string().ends_with("rows.parquet` row 2: the label is null, a missing value"),
        "{error}"
    );
    let settings = Settings::default().with("skip_bad", Key::Bool(true));
    assert_eq!(load(&path, &settings).expect("reads").train.len(), 2);
}

#[test]
fn a_column_that_is_not_text_is_refused_when_it_is_used() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("rows.parquet");
    write(&path, ROWS, Compression::SNAPPY, None);
    let columns =
        |entry: &str| Settings::default().with("columns", Key::List(vec![entry.to_owned()]));
    let error = load(&path, &columns("text:blob")).expect_err("bytes");
    assert!(
        error.to_string().contains("row 1: the text (column `blob`) is bytes that are not text"),
        "{error}"
    );
    let error = load(&path, &columns("text:texts")).expect_err("unknown");
    assert_eq!(error.hint().as_deref(), Some("did you mean columns=text:text?"));
}

#[test]
fn a_damaged_file_is_refused_and_never_panics() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("rows.parquet");
    write(&path, ROWS, Compression::SNAPPY, None);
    let whole = std::fs::read(&path).expect("reads");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
    assert_eq!(load(&path, &Settings::default()).expect_err("cut").code(), "data::damaged_parquet");
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut stream = graft_random::Rng::new(1).stream("test", "parquet");
    let mut refused = 0;
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + stream.below(3) {
            let at = 4 + stream.below(bytes.len() as u64 - 4) as usize;
            bytes[at] = stream.below(256) as u8;
        }
        std::fs::write(&path, &bytes).expect("writes");
        refused += usize::from(load(&path, &Settings::default()).is_err());
    }
    std::panic::set_hook(hook);
    assert!(refused > 100, "{refused}");
}
