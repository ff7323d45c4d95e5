//! `%chat`, and the tokens of `%data show tokens=true`.

use graft_protocol::{Block, ChatAction, Command, Reply, TokenList};
use graft_spec::{Failure, Settings, chat::CHAT, training};

use crate::{
    test_session::{TestSession, keys_of},
    text::load,
};

fn say(test: &TestSession, text: &str, keys: &str) -> Result<Reply, Failure> {
    let action = ChatAction::Say { text: text.to_owned(), settings: keys_of(CHAT, keys) };
    test.run(Command::Chat { action })
}

/// The messages of the conversation, as `role: text`.
fn conversation(test: &TestSession) -> Vec<String> {
    let reply = test.run(Command::Chat { action: ChatAction::Show }).unwrap();
    let Some(Block::Table(table)) = reply.blocks.into_iter().next() else { panic!("no table") };
    table.rows.iter().map(|row| format!("{:?}", row)).collect()
}

#[test]
fn a_base_model_is_told_to_choose_a_template() {
    let test = TestSession::new();
    load(&test, "bytelevel");
    let error = say(&test, "hello", "").unwrap_err();
    assert_eq!(error.code, "chat::no_template");
    assert!(error.message.contains("looked for `chat_template.jinja`"), "{error:?}");
    assert!(error.hint.unwrap().contains("`chat_template=NAME` (chatml,"));
    assert_eq!(conversation(&test).len(), 0);
    let error = say(&test, "hello", "template=chatmll").unwrap_err();
    assert!(error.hint.unwrap().contains("did you mean `chatml`?"));
}

#[test]
fn the_conversation_grows_until_it_is_reset() {
    let test = TestSession::new();
    load(&test, "bytelevel");
    say(&test, "hello", "template=plain system=brief max_new_tokens=3").unwrap();
    assert_eq!(conversation(&test).len(), 3);
    // The template and the system message stay.
    say(&test, "yes", "max_new_tokens=2").unwrap();
    let messages = conversation(&test);
    assert_eq!(messages.len(), 5);
    assert!(messages[0].contains("system") && messages[3].contains("yes"), "{messages:?}");
    let error = say(&test, "a", "system=other").unwrap_err();
    assert_eq!(error.code, "session::system_later");
    let reply = test.run(Command::Chat { action: ChatAction::Reset }).unwrap();
    assert_eq!(reply, Reply::text("started a new conversation (5 messages dropped)"));
    assert_eq!(say(&test, "hello", "").unwrap_err().code, "chat::no_template");
}

#[test]
fn a_conversation_that_fills_the_context_suggests_a_new_one() {
    let test = TestSession::new();
    load(&test, "bytelevel");
    let error = say(&test, &"日本".repeat(40), "template=plain").unwrap_err();
    assert_eq!(error.code, "models::prompt_too_long");
    assert_eq!(error.hint.as_deref(), Some("`%chat reset` starts a new conversation"));
    assert_eq!(conversation(&test).len(), 0);
}

#[test]
fn the_template_in_the_models_folder_is_used() {
    let test = TestSession::new();
    load(&test, "bytelevel");
    let folder = test.folder.path().join("bytelevel");
    let template = "{{ eos_token }}\n{{ raise_exception('got ' ~ messages[0].content) }}";
    std::fs::write(folder.join("chat_template.jinja"), template).unwrap();
    let source = folder.display().to_string();
    test.run(Command::ModelLoad { source: source.clone(), settings: Settings::default() }).unwrap();
    let error = say(&test, "hello", "").unwrap_err();
    assert_eq!(
        error.message,
        format!(
            "chat template `{source}/chat_template.jinja` line 2 refuses the conversation: got hello"
        )
    );
    // A damaged template leaves the model usable.
    std::fs::write(folder.join("chat_template.jinja"), [0xff]).unwrap();
    test.run(Command::ModelLoad { source, settings: Settings::default() }).unwrap();
    assert_eq!(say(&test, "hello", "").unwrap_err().code, "chat::no_template");
    say(&test, "hello", "template=plain max_new_tokens=1").unwrap();
}

fn tokens(test: &TestSession, lines: &str) -> Vec<TokenList> {
    test.run(Command::DataInline {
        name: "rows".to_owned(),
        text: lines.to_owned(),
        settings: keys_of(training::DATA, "validation=0"),
    })
    .unwrap();
    let reply = test
        .run(Command::DataShow { name: None, rows: 1, tokens: Some(Settings::default()) })
        .unwrap();
    let list = |block| match block {
        Block::Tokens(list) => list,
        other => panic!("{other:?}"),
    };
    reply.blocks.into_iter().map(list).collect()
}

#[test]
fn every_token_is_shown_with_its_text_and_its_loss() {
    for tokenizer in ["bytelevel", "llama2", "metaspace-never"] {
        let test = TestSession::new();
        load(&test, tokenizer);
        let lists = tokens(
            &test,
            "{\"prompt\": \"Answer: 日本\\n\", \"completion\": \" yes\"}\n{\"prompt\": \"a\", \"completion\": \" no\"}",
        );
        let list = &lists[0];
        assert_eq!(list.title, "rows, train, example 1");
        let learned: Vec<&str> =
            list.tokens.iter().filter(|it| it.has_loss).map(|it| it.text.as_str()).collect();
        assert_eq!(learned, [" yes", "</s>"], "{tokenizer}");
        let special: Vec<&str> =
            list.tokens.iter().filter(|it| it.is_special).map(|it| it.text.as_str()).collect();
        // The tokenizer of `llama2` declares its byte tokens special.
        assert!(special.contains(&"</s>") && !special.contains(&" yes"), "{tokenizer} {special:?}");
        assert!(list.tokens.iter().any(|it| it.text.contains('\n')), "{tokenizer} {list:?}");
        assert!(list.note.ends_with("; 2 with loss"), "{}", list.note);
    }
}

#[test]
fn tokens_need_a_model_and_data() {
    let test = TestSession::new();
    let show =
        || test.run(Command::DataShow { name: None, rows: 1, tokens: Some(Settings::default()) });
    assert_eq!(show().unwrap_err().code, "session::no_data");
    test.run(Command::DataInline {
        name: "rows".to_owned(),
        text: "{\"text\": \"a\"}".to_owned(),
        settings: Settings::default(),
    })
    .unwrap();
    assert_eq!(show().unwrap_err().code, "session::no_model");
}
