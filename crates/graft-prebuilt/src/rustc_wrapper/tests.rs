use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn prebuilt() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path().join("abc"));
    for folder in layout.dependency_folders() {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::create_dir_all(layout.libraries()).unwrap();
    (folder, layout)
}

#[test]
fn the_facade_is_never_compiled() {
    let (folder, layout) = prebuilt();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let source = layout.sources().join("crates/graft/src/lib.rs");
    let arguments = words(&format!(
        "--crate-name graft {} --crate-type dylib --emit=dep-info,link --out-dir {}",
        source.display(),
        out.display()
    ));
    let call = Call::read(&arguments);
    assert_eq!(act(&call, &layout, &arguments).unwrap(), Action::Done);
    assert!(out.join("libgraft.so").exists());
    assert!(std::fs::read_to_string(out.join("graft.d")).unwrap().ends_with("lib.rs\n"));
}

#[test]
fn a_users_own_crate_called_graft_is_compiled() {
    let (_folder, layout) = prebuilt();
    let arguments = words(
        "--crate-name graft /home/me/graft/src/lib.rs --crate-type lib --emit=dep-info,metadata,link --out-dir /x -C extra-filename=-1",
    );
    assert_eq!(act(&Call::read(&arguments), &layout, &arguments).unwrap(), Action::Compile(None));
}

#[test]
fn a_cell_links_the_prebuilt_library() {
    let (_folder, layout) = prebuilt();
    std::fs::write(layout.metadata(), b"").unwrap();
    let arguments = words(
        "--crate-name ctx cell/src/lib.rs --crate-type cdylib --extern graft=/s/libgraft.so --extern rand=/s/librand-1.rlib --out-dir /s",
    );
    let Action::Compile(Some(changed)) = act(&Call::read(&arguments), &layout, &arguments).unwrap()
    else {
        panic!("not rewritten")
    };
    let externs: Vec<&String> = changed
        .iter()
        .zip(changed.iter().skip(1))
        .filter(|(first, _)| *first == "--extern")
        .map(|(_, second)| second)
        .collect();
    let library = format!("graft={}", layout.library().display());
    let metadata = format!("graft={}", layout.metadata().display());
    assert_eq!(externs, [&library, &metadata, &"rand=/s/librand-1.rlib".to_owned()]);
    assert_eq!(changed.iter().filter(|word| word.starts_with("dependency=")).count(), 2);
    assert_eq!(changed.last().map(String::as_str), Some("-Crpath"));
}

#[test]
fn a_cell_can_use_the_crates_of_the_facade_and_the_users_own_replace_them() {
    let (_folder, layout) = prebuilt();
    std::fs::write(
        layout.crates(),
        "candle_core=libcandle_core-1.rlib\nserde_json=libserde_json-2.rlib\n",
    )
    .unwrap();
    let arguments = words(
        "--crate-name ctx cell/src/lib.rs --crate-type cdylib --extern graft=/s/libgraft.so --extern serde_json=/s/libserde_json-9.rlib --out-dir /s",
    );
    let Action::Compile(Some(changed)) = act(&Call::read(&arguments), &layout, &arguments).unwrap()
    else {
        panic!("not rewritten")
    };
    let externs: Vec<&String> = changed
        .iter()
        .zip(changed.iter().skip(1))
        .filter(|(first, _)| *first == "--extern")
        .map(|(_, second)| second)
        .collect();
    let candle = layout.dependencies().join("libcandle_core-1.rlib");
    let candle = format!("candle_core={}", candle.display());
    assert_eq!(externs[1..], [&"serde_json=/s/libserde_json-9.rlib".to_owned(), &candle]);
}

#[test]
fn types_of_cells_keep_their_identity_when_crates_are_added() {
    let (_folder, layout) = prebuilt();
    let compiled = |metadata: &str| {
        let arguments = words(&format!(
            "--crate-name ctx cell/src/lib.rs --crate-type cdylib -C metadata={metadata} -C extra-filename=-{metadata} --out-dir /s"
        ));
        let Action::Compile(Some(changed)) =
            act(&Call::read(&arguments), &layout, &arguments).unwrap()
        else {
            panic!("not rewritten")
        };
        changed
    };
    let (one, other) = (compiled("1a"), compiled("2b"));
    assert!(one.contains(&CELL_METADATA.to_owned()) && other.contains(&CELL_METADATA.to_owned()));
    assert!(one.contains(&"extra-filename=-1a".to_owned()), "cargo expects this file name");
    assert!(!one.contains(&"metadata=1a".to_owned()));
}

#[test]
fn a_prebuilt_crate_is_used_and_its_metadata_extracted() {
    let (folder, layout) = prebuilt();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let compiled = std::process::Command::new("rustc")
        .args(["-", "--crate-type=lib", "--crate-name=rand", "--emit=metadata,link"])
        .args(["-Cextra-filename=-77", "--out-dir"])
        .arg(layout.dependencies())
        .stdin(std::process::Stdio::null())
        .status();
    assert!(compiled.unwrap().success());
    let metadata = layout.dependencies().join("librand-77.rmeta");
    let expected = std::fs::read(&metadata).unwrap();
    std::fs::remove_file(metadata).unwrap();
    let arguments = words(&format!(
        "--crate-name rand r.rs --crate-type lib --emit=dep-info,metadata,link -C extra-filename=-77 --out-dir {}",
        out.display()
    ));
    assert_eq!(act(&Call::read(&arguments), &layout, &arguments).unwrap(), Action::Done);
    assert!(std::fs::read(out.join("librand-77.rmeta")).unwrap() == expected);
    let name = "librand-77.rlib";
    let prebuilt = std::fs::read(layout.dependencies().join(name)).unwrap();
    assert!(std::fs::read(out.join(name)).unwrap() == prebuilt);
    let info = std::fs::read_to_string(out.join("rand-77.d")).unwrap();
    assert_eq!(info, format!("{}: r.rs\n", out.join("librand-77.rmeta").display()));
}

#[test]
fn a_prebuilt_procedural_macro_is_copied() {
    let (folder, layout) = prebuilt();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(layout.macros().join("libderive-5.so"), "code").unwrap();
    let arguments = words(&format!(
        "--crate-name derive d.rs --crate-type proc-macro --emit=dep-info,link -C extra-filename=-5 --out-dir {}",
        out.display()
    ));
    assert_eq!(act(&Call::read(&arguments), &layout, &arguments).unwrap(), Action::Done);
    assert_eq!(std::fs::read_to_string(out.join("libderive-5.so")).unwrap(), "code");
    assert!(out.join("derive-5.d").exists());
}

#[test]
fn a_crate_with_another_hash_is_compiled() {
    let (_folder, layout) = prebuilt();
    let arguments = words(
        "--crate-name rand r.rs --crate-type lib --emit=dep-info,metadata,link -C extra-filename=-78 --out-dir /x",
    );
    assert_eq!(act(&Call::read(&arguments), &layout, &arguments).unwrap(), Action::Compile(None));
}
