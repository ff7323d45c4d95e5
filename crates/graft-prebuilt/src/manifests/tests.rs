use super::*;

#[test]
fn the_workspace_contains_only_packed_members() {
    let root: Table = workspace_root().unwrap().parse().unwrap();
    let members = root["workspace"]["members"].as_array().unwrap();
    assert!(members.contains(&Value::from("crates/graft")));
    assert!(!members.contains(&Value::from("kernel")));
    assert!(root["workspace"]["dependencies"].get("graft-kernel").is_none());
    assert!(root["workspace"]["dependencies"].get("graft-nn").is_some());
    assert_eq!(root["profile"]["dev"]["package"]["graft-nn"]["opt-level"].as_integer(), Some(3));
}

#[test]
fn library_and_session_compile_dependencies_alike() {
    let library: Table = workspace_root().unwrap().parse().unwrap();
    let session: Table = session_root().parse().unwrap();
    let mut base = library["profile"]["dev"].as_table().unwrap().clone();
    let packages = base.remove("package").unwrap();
    let mut other = session["profile"]["dev"].as_table().unwrap().clone();
    let others = other.remove("package").unwrap();
    assert_eq!(base, other);
    assert_eq!(packages["*"], others["*"]);
}

#[test]
fn the_library_and_the_tests_compile_dependencies_alike() {
    let library: Table = workspace_root().unwrap().parse().unwrap();
    let (library, tests) =
        (&library["profile"]["dev"], &parse("Cargo.toml").unwrap()["profile"]["dev"]);
    assert_eq!(library.get("rpath"), tests.get("rpath"));
    for (name, settings) in library["package"].as_table().unwrap() {
        if !name.starts_with("graft") {
            assert_eq!(Some(settings), tests["package"].get(name), "{name}");
        }
    }
}

#[test]
fn a_member_has_no_test_sections() {
    for name in archive::manifests() {
        let manifest: Table = member(name).unwrap().parse().unwrap();
        assert!(manifest.get("dev-dependencies").is_none(), "{name}");
    }
}

#[test]
fn the_facade_hides_its_dependencies_from_builds() {
    let manifest: Table = analysis("crates/graft").unwrap().parse().unwrap();
    assert!(manifest.get("dependencies").is_none());
    let seen = manifest["target"]["cfg(graft_analysis)"]["dependencies"].as_table().unwrap();
    assert_eq!(seen["graft-session"]["path"].as_str(), Some("../graft-session"));
    assert_eq!(seen["candle-core"]["path"].as_str(), Some("../candle-core"));
    assert_eq!(manifest["lib"]["crate-type"][0].as_str(), Some("dylib"));
}

#[test]
fn the_prelude_shows_rust_analyzer_the_crates_that_the_compiler_gets() {
    let manifest: Table = analysis("crates/graft").unwrap().parse().unwrap();
    assert_eq!(manifest["features"]["default"][0].as_str(), Some(SEES_CRATES));
    let built: Table = member("crates/graft/Cargo.toml").unwrap().parse().unwrap();
    assert_eq!(built["features"][SEES_CRATES].as_array().map(Vec::len), Some(0));
    assert!(
        !built["features"]["default"].as_array().unwrap().contains(&Value::from(SEES_CRATES)),
        "the library itself is built without the feature"
    );
    let prelude = archive::text("crates/graft/src/prelude.rs").unwrap();
    for name in SHOWN {
        assert!(prelude.contains(&name.replace('-', "_")), "{name}");
        assert!(foreign::VISIBLE.contains(&name) && shared_version(name).is_some(), "{name}");
    }
}

#[test]
fn rust_analyzer_sees_only_crates_whose_types_cells_can_have() {
    for member in members() {
        let manifest: Table = analysis(member).unwrap().parse().unwrap();
        let seen =
            manifest.get("dependencies").and_then(Value::as_table).cloned().unwrap_or_default();
        assert!(seen.keys().all(|key| is_shown(key)), "{member}: {seen}");
        assert_eq!(manifest["lib"]["path"].as_str(), Some("src/lib.rs"));
    }
}

#[test]
fn special_characters_in_paths_are_escaped_in_the_configuration() {
    let layout = Layout::new(PathBuf::from("/cache/a \"b\" \\c/abc"));
    let file = |name: &str| Path::new("/x").join(name);
    let text =
        session_config(&layout, &file("graft-rustc"), &file("progress"), &file("cell-arguments"));
    let config: Table = text.parse().unwrap();
    assert_eq!(config["env"]["GRAFT_TEMPLATE"].as_str(), Some("/cache/a \"b\" \\c/abc"));
    let keep: Table = session_keep(&layout.facade()).unwrap().parse().unwrap();
    assert_eq!(
        keep["target"]["cfg(graft_lock)"]["dependencies"]["graft"]["path"].as_str(),
        Some("/cache/a \"b\" \\c/abc/analysis/graft")
    );
}

#[test]
fn a_session_depends_on_the_registry_only_if_its_cells_do() {
    let keep: Table = session_keep(Path::new("/x")).unwrap().parse().unwrap();
    let with = keep["target"]["cfg(graft_lock)"]["dependencies"].as_table().unwrap();
    assert_eq!(with.len(), 1 + SHOWN.len());
    let keep: Table = session_without_crates().parse().unwrap();
    assert!(!keep.contains_key("target") && !keep.contains_key("dependencies"));
}
