//! Checks that the map names every crate and the README the commands.

use graft_tests::root;

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
fn the_readme_names_the_commands() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in
        ["cargo xtask lab", "cargo xtask test", "graft uninstall", "graft doctor", "graft run"]
    {
        assert!(readme.contains(command), "{command}");
    }
    assert!(!readme.contains("FIGURES"), "the expected figures are missing");
}
