use super::*;
use crate::{Conversation, Ending};

/// A folder with files of the given names and contents.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn text(templates: &Templates, choice: Option<&str>, tools: bool) -> Result<String, ChatError> {
    let mut chat = Conversation::default();
    chat.push("user", "hi");
    Ok(templates.select(choice, tools)?.render(&chat, Ending::Complete)?.text)
}

#[test]
fn a_template_file_has_priority_over_the_config() {
    let files = folder(&[
        (
            "tokenizer_config.json",
            r#"{"chat_template": "config", "bos_token": {"content": "<s>"}}"#,
        ),
        ("special_tokens_map.json", r#"{"bos_token": "no", "eos_token": "</s>"}"#),
        ("chat_template.jinja", "file {{ bos_token }}{{ eos_token }}"),
        ("additional_chat_templates/rag.jinja", "rag"),
    ]);
    let templates = Templates::from_folder(files.path()).unwrap();
    assert_eq!(templates.names(), ["default", "rag"]);
    assert_eq!(text(&templates, None, true).unwrap(), "file <s></s>");
    assert_eq!(text(&templates, Some("rag"), false).unwrap(), "rag");
}

#[test]
fn the_config_has_one_template_or_several_with_names() {
    let files = folder(&[("tokenizer_config.json", r#"{"chat_template": "one"}"#)]);
    let templates = Templates::from_folder(files.path()).unwrap();
    assert_eq!(text(&templates, None, true).unwrap(), "one");
    let list = r#"{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}"#;
    let files = folder(&[("tokenizer_config.json", list)]);
    let templates = Templates::from_folder(files.path()).unwrap();
    assert_eq!(text(&templates, None, false).unwrap(), "d");
    assert_eq!(text(&templates, None, true).unwrap(), "t");
}

#[test]
fn a_model_without_a_template_is_told_what_was_looked_for_and_what_to_choose() {
    let files = folder(&[]);
    let templates = Templates::from_folder(files.path()).unwrap();
    let error = text(&templates, None, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the model has no chat template (looked for `chat_template.jinja` and `chat_template` of `tokenizer_config.json` in `{}`)",
            files.path().display()
        )
    );
    assert!(
        graft_spec::Hint::hint(&error).unwrap().contains("`chat_template=NAME` (chatml, llama3,")
    );
    assert!(text(&templates, Some("chatml"), false).unwrap().starts_with("<|im_start|>user\nhi"));
    let error = text(&templates, Some("chatmll"), false).unwrap_err();
    assert!(graft_spec::Hint::hint(&error).unwrap().starts_with("did you mean `chatml`?"));
    let file = files.path().join("own.jinja");
    std::fs::write(&file, "own").unwrap();
    assert_eq!(text(&templates, Some(file.to_str().unwrap()), false).unwrap(), "own");
    let missing = files.path().join("none.jinja");
    let error = text(&templates, Some(missing.to_str().unwrap()), false).unwrap_err();
    assert!(error.to_string().starts_with("cannot read"), "{error}");
}

#[test]
fn a_damaged_file_is_named() {
    for (name, content) in [
        ("tokenizer_config.json", "{"),
        ("tokenizer_config.json", r#"{"chat_template": 5}"#),
        ("tokenizer_config.json", r#"{"chat_template": [{"name": "x"}]}"#),
    ] {
        let files = folder(&[(name, content)]);
        let error = Templates::from_folder(files.path()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("is not valid"), "{error}");
    }
    let files = folder(&[("tokenizer_config.json", r#"{"chat_template": "a\n{% if %}"}"#)]);
    let error = Templates::from_folder(files.path()).unwrap().select(None, false).unwrap_err();
    assert!(error.to_string().contains("tokenizer_config.json` line 2: syntax error"), "{error}");
}
