//! What the documents promise: links that lead somewhere, tables that name files that are there.

use graft_tests::root;

const DOCUMENTS: &[&str] =
    &["README.md", "crates/README.md", "crates/STYLE.md", "notebooks/README.md"];

/// Targets of Markdown links and pictures that are not addresses on the net.
fn local_links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS {
        let path = root().join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        for link in local_links(&text) {
            assert!(
                path.with_file_name("").join(&link).exists(),
                "{document} links to {link}, which is not there"
            );
        }
    }
}

#[test]
fn the_map_names_every_crate() {
    let map = std::fs::read_to_string(root().join("crates/README.md")).unwrap();
    for package in graft_tests::workspace() {
        let name = package.name.replace("graft-kernel", "kernel");
        assert!(
            name == "graft-tests" || map.contains(&format!("[{name}]")),
            "the map does not show {name}"
        );
    }
}

#[test]
fn documents_say_what_users_can_type() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in
        ["cargo xtask lab", "cargo xtask test", "graft uninstall", "graft doctor", "graft run"]
    {
        assert!(readme.contains(command), "{command}");
    }
    assert!(!readme.contains("FIGURES"), "the expected figures are missing");
}
