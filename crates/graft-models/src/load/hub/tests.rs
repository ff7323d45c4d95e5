use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
};

use graft_spec::Hint;

use super::*;

#[test]
fn a_repository_name_has_two_plain_parts() {
    for (source, expected) in [
        ("meta-llama/Llama-3.2-1B", true),
        ("tiny", false),
        ("a/b/c", false),
        ("../x", false),
        ("./x", false),
        ("/x", false),
        ("a b/c", false),
    ] {
        assert_eq!(is_repository(source), expected, "{source}");
    }
}

#[test]
fn http_errors_have_different_messages() {
    let status = |text: &str| {
        explain("a/b", &ApiError::IoError(std::io::Error::other(text.to_owned()))).to_string()
    };
    assert!(status("http status: 404").contains("no such model"));
    assert!(status("http status: 401").contains("denied access"));
    assert!(status("failed to lookup address").contains("cannot reach the Hub"));
}

/// A local Hub server with one repository, `o/n`. It runs until the process ends.
fn serve(files: BTreeMap<&'static str, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| answer(stream, &files))
    });
    address
}

fn answer(mut stream: TcpStream, files: &BTreeMap<&'static str, Vec<u8>>) {
    let lines: Vec<String> = BufReader::new(&stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let range = lines
        .iter()
        .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let (head, body) = if path.starts_with("/api/models/o/n") {
        let siblings: Vec<_> =
            files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        (
            "200 OK".to_owned(),
            serde_json::json!({ "sha": "c0ffee", "siblings": siblings }).to_string().into_bytes(),
        )
    } else if let Some(bytes) =
        path.strip_prefix("/o/n/resolve/main/").and_then(|name| files.get(name))
    {
        let (start, end) =
            range.as_deref().and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
        let start: usize = start.parse().unwrap();
        let end = end.parse().map_or(bytes.len(), |last: usize| last + 1);
        let head = format!(
            "206 Partial Content\r\nx-repo-commit: c0ffee\r\netag: \"{path}\"\r\ncontent-range: bytes {start}-{}/{}",
            end - 1,
            bytes.len()
        );
        (
            head.replace(&format!("\"{path}\""), &format!("\"{}\"", path.replace('/', "-"))),
            bytes[start..end].to_vec(),
        )
    } else {
        ("404 Not Found".to_owned(), Vec::new())
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&body);
}

/// File, bytes done, bytes in total.
type Reports = Vec<(String, u64, u64)>;

fn get(
    endpoint: &str,
    folder: &std::path::Path,
    name: &str,
) -> (Result<PathBuf, ModelError>, Reports) {
    let cache = Cache::new(folder.to_owned());
    let repository = Repo::with_revision(name.to_owned(), RepoType::Model, "main".to_owned());
    let api = ApiBuilder::from_cache(cache.clone())
        .with_endpoint(endpoint.to_owned())
        .with_progress(false)
        .build()
        .unwrap();
    let mut reports = Vec::new();
    let result = download(
        name,
        &api.repo(repository.clone()),
        &cache,
        &repository,
        &mut |file, done, total| reports.push((file.to_owned(), done, total)),
    );
    (result, reports)
}

#[test]
fn only_shards_and_side_files_are_downloaded_and_only_once() {
    let index =
        br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#.to_vec();
    let endpoint = serve(BTreeMap::from([
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", vec![1; 70_000]),
        ("model-2.safetensors", vec![2; 9]),
        ("pytorch_model.bin", vec![3; 9]),
    ]));
    let folder = tempfile::tempdir().unwrap();
    let (found, reports) = get(&endpoint, folder.path(), "o/n");
    let found = found.unwrap();
    assert_eq!(std::fs::read(found.join("model-1.safetensors")).unwrap(), vec![1; 70_000]);
    assert_eq!(std::fs::read(found.join("model-2.safetensors")).unwrap(), vec![2; 9]);
    assert!(!found.join("pytorch_model.bin").exists());
    assert!(reports.contains(&("model-1.safetensors".to_owned(), 70_000, 70_000)), "{reports:?}");
    let cache = Cache::new(folder.path().to_owned());
    assert_eq!(
        complete(
            &cache,
            &Repo::with_revision("o/n".to_owned(), RepoType::Model, "main".to_owned())
        ),
        Some(found)
    );
    assert!(get(&endpoint, folder.path(), "o/n").1.is_empty(), "something was fetched again");
}

#[test]
fn an_unreachable_hub_and_a_missing_model_have_hints() {
    let folder = tempfile::tempdir().unwrap();
    let error = get("http://127.0.0.1:9", folder.path(), "o/n").0.unwrap_err();
    assert_eq!(error.code(), "models::hub");
    assert!(
        error.to_string().contains("cannot reach the Hub")
            && error.hint().unwrap().contains("%model load DIR"),
        "{error}"
    );
    let endpoint =
        serve(BTreeMap::from([("config.json", b"{}".to_vec()), ("pytorch_model.bin", vec![3; 9])]));
    assert!(
        get(&endpoint, folder.path(), "o/n").0.unwrap_err().to_string().contains("Python pickle")
    );
    assert!(
        get(&endpoint, folder.path(), "o/other")
            .0
            .unwrap_err()
            .to_string()
            .contains("no such model")
    );
}
