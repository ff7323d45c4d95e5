//! `%eval metric=...`, metrics of the user, and generation over a data set.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use graft_models::GenerateOptions;
use graft_protocol::{Block, Cell, Command, ConfusionMatrix, Event, Reply, Table};
use graft_session::verbs::eval::{MetricRequest, define_metric, evaluate_generated};
use graft_spec::{Failure, Settings, Value, training};

use crate::{
    test_session::{TestSession, keys_of},
    text::load,
};

fn eval(test: &TestSession, keys: &str) -> Result<Reply, Failure> {
    test.run(Command::Eval { settings: keys_of(training::EVAL, keys) })
}

fn generate(test: &TestSession, keys: &str) -> Result<Reply, Failure> {
    test.run(Command::GenerateData { settings: keys_of(training::GENERATE_DATA, keys) })
}

fn inline(test: &TestSession, name: &str, text: &str) {
    let settings = Settings::default();
    let (name, text) = (name.to_owned(), text.to_owned());
    test.run(Command::DataInline { name, text, settings }).unwrap();
}

fn table(reply: &Reply) -> &Table {
    let Some(Block::Table(table)) = reply.blocks.first() else { panic!("{reply:?}") };
    table
}

fn confusion(reply: &Reply) -> &ConfusionMatrix {
    let Some(Block::Confusion(matrix)) = reply.blocks.last() else { panic!("{reply:?}") };
    matrix
}

/// The cells of the row of a metric.
fn row<'a>(reply: &'a Reply, metric: &str) -> &'a [Cell] {
    let is_it = |row: &&Vec<Cell>| row.first() == Some(&Cell::Text(metric.to_owned()));
    let found = table(reply).rows.iter().find(is_it);
    &found.unwrap_or_else(|| panic!("no {metric} in {:?}", table(reply)))[1..]
}

fn text(cell: &Cell) -> &str {
    let Cell::Text(text) = cell else { panic!("{cell:?}") };
    text
}

/// Whether progress of this kind was reported.
fn has_progress(test: &TestSession, kind: &str) -> bool {
    let is_it =
        |event: &Event| matches!(event, Event::Progress { label, .. } if label.starts_with(kind));
    test.sink.events().iter().any(is_it)
}

/// Whether the model was used.
fn is_working(test: &TestSession) -> bool {
    has_progress(test, "evaluating") || has_progress(test, "generating")
}

#[test]
fn metrics_of_classes_come_from_the_scores_of_the_labels() {
    let test = TestSession::ready();
    let plain = eval(&test, "split=train examples=12").unwrap();
    let accuracy = table(&plain).rows[0].last().unwrap().clone();
    let Cell::Percent(accuracy, _) = accuracy else { panic!("{accuracy:?}") };
    let reply = eval(&test, "split=train examples=12 metric=accuracy,f1,f1_weighted").unwrap();
    let expected = format!("{:.1} %", 100.0 * accuracy);
    assert!(text(&row(&reply, "accuracy")[0]).starts_with(&expected), "{reply:?}");
    assert!(text(&row(&reply, "f1_macro")[0]).contains('['), "{reply:?}");
    let matrix = confusion(&reply);
    let right: u64 = (0..matrix.names.len()).map(|class| matrix.counts[class][class]).sum();
    assert_eq!(matrix.counts.iter().flatten().sum::<u64>(), 12);
    let majority = matrix.counts.iter().map(|row| row.iter().sum::<u64>()).max().unwrap();
    let majority = format!("the most common label: {:.1} %", 100.0 * majority as f64 / 12.0);
    assert!(table(&reply).footer[0].ends_with(&majority), "{reply:?}");
    assert!((right as f64 / 12.0 - accuracy).abs() < 1e-9);
    // Nothing was generated.
    assert!(!has_progress(&test, "generating"));
}

#[test]
fn metrics_of_text_are_those_of_the_generated_answers() {
    let test = TestSession::ready();
    let prompts = ["the sky is", "grass is", "snow", "the sky is blue and"];
    let answer = |prompt: &str| {
        let settings = keys_of(training::GENERATE, "max_new_tokens=6");
        let reply = test.run(Command::Generate { prompt: prompt.to_owned(), settings }).unwrap();
        let Some(Block::Generated { text, .. }) = reply.blocks.into_iter().next() else { panic!() };
        text
    };
    // The model's own answers are the gold texts of half of the examples.
    let rows = prompts.iter().enumerate().map(|(index, prompt)| {
        let gold = if index % 2 == 0 { answer(prompt) } else { "zebra stripes".to_owned() };
        serde_json::json!({"prompt": prompt, "completion": gold, "split": "test"}).to_string()
    });
    let rows: Vec<String> = rows.collect();
    inline(&test, "answers", &rows.join("\n"));
    let keys = "metric=exact_match,rouge,bleu max_new_tokens=6 batch=3";
    let reply = eval(&test, keys).unwrap();
    assert!(text(&row(&reply, "exact_match")[0]).starts_with("50.0 % ["), "{reply:?}");
    assert!(table(&reply).rows.len() >= 8);
    assert!(table(&reply).footer.iter().any(|line| line.contains("4 answers reached")));
    assert_eq!(eval(&test, keys).unwrap(), reply);
    // Every batch size has the same answers.
    assert_eq!(
        row(&eval(&test, &format!("{keys} batch=1")).unwrap(), "rouge1"),
        row(&reply, "rouge1")
    );
}

#[test]
fn a_metric_of_the_user_is_computed_on_the_answers_and_its_name_suggested() {
    let test = TestSession::ready();
    inline(
        &test,
        "answers",
        "{\"prompt\": \"a\", \"completion\": \" gold \", \"split\": \"test\"}",
    );
    let define = |name: &str| {
        let name = name.to_owned();
        test.session.read(move |cx| {
            define_metric(cx, &name, Arc::new(|_, gold| if gold == "gold" { 7.25 } else { 0.0 }))
        })
    };
    define("mine").unwrap();
    let reply = eval(&test, "metric=mine max_new_tokens=2").unwrap();
    assert_eq!(row(&reply, "mine"), [Cell::Text("7.250".to_owned())]);
    let error = eval(&test, "metric=mien max_new_tokens=2").unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.hint.as_deref()),
        ("metrics::unknown", Some("did you mean `mine`?"))
    );
    assert!(define("rouge").unwrap_err().message.contains("a built-in metric has it"));
    assert_eq!(define("a b").unwrap_err().code, "session::metric_name");
}

#[test]
fn the_trainer_can_compute_metrics_of_generated_text() {
    let test = TestSession::ready();
    let scores = test
        .session
        .perform("measuring", |cx| {
            let keys = Settings::default()
                .with("metric", Value::List(vec!["accuracy".to_owned(), "chrf".to_owned()]))
                .with("examples", Value::Integer(5))
                .with("max_new_tokens", Value::Integer(3));
            let request = MetricRequest::from_settings(&cx.state(), &keys)?.unwrap();
            assert_eq!(
                request.options,
                GenerateOptions { max_new_tokens: 3, ..Default::default() }
            );
            let data = cx.state().data(None)?;
            evaluate_generated(cx, (&*cx.state().model()?, &data.dataset), &request, "the model")
        })
        .unwrap();
    assert_eq!(
        scores.iter().map(|it| it.metric.as_str()).collect::<Vec<_>>(),
        ["accuracy", "chrf"]
    );
    assert!(scores.iter().all(|it| it.value.is_finite() && it.examples > 0));
}

#[test]
fn bad_metrics_are_refused_before_anything_is_generated() {
    let test = TestSession::ready();
    for (keys, code) in [
        ("metric=rogue", "metrics::unknown"),
        ("metric=,", "metrics::none"),
        ("metric=regex", "metrics::pattern"),
        ("metric=regex pattern=(", "metrics::pattern"),
    ] {
        assert_eq!(eval(&test, keys).unwrap_err().code, code, "{keys}");
    }
    assert!(!is_working(&test));
    inline(&test, "texts", "{\"text\": \"only text\", \"split\": \"test\"}");
    assert_eq!(eval(&test, "metric=rouge").unwrap_err().code, "session::no_answers");
    inline(&test, "words", "{\"prompt\": \"a\", \"completion\": \"yes\", \"split\": \"test\"}");
    let error = eval(&test, "metric=numeric max_new_tokens=2").unwrap_err();
    assert!(error.message.contains("that of example 1 has none: \"yes\""), "{error:?}");
}

#[test]
fn an_expected_answer_without_a_number_is_named_before_anything_is_generated() {
    let test = TestSession::ready();
    let rows = [
        r#"{"prompt": "a", "completion": "4", "split": "test"}"#,
        r#"{"prompt": "b", "completion": "5", "split": "test"}"#,
        r#"{"prompt": "c", "completion": "five", "split": "test"}"#,
    ];
    inline(&test, "sums", &rows.join("\n"));
    let error = eval(&test, "metric=numeric max_new_tokens=2").unwrap_err();
    assert!(error.message.contains("that of example 3 has none: \"five\""), "{error:?}");
    assert_eq!(error.site.as_deref(), Some("test split of sums"));
    assert!(!has_progress(&test, "generating"));
}

#[test]
fn the_best_weights_are_those_of_a_pattern_or_the_next_step_is_named() {
    let test = TestSession::attached();
    let failure = test.train("steps=2 eval_every=1 best=regex").unwrap_err();
    assert_eq!(failure.code, "metrics::pattern");
    let hint = failure.hint.unwrap();
    assert!(hint.contains("best=regex pattern=") && !hint.contains("metric="), "{hint}");
    test.train("steps=2 eval_every=1 eval_examples=2 best=regex pattern=[a-z]+").unwrap();
    let failure = test.train("steps=2 pattern=[a-z]+").unwrap_err();
    assert_eq!(failure.code, "settings::needs_key");
    let folder = test.folder.path().join("runs");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "refused runs leave no folder");
}

#[test]
fn a_failing_metric_of_a_validation_has_the_hint_of_the_metric() {
    let test = TestSession::attached();
    test.session.read(|cx| define_metric(cx, "mine", Arc::new(|_, _| f64::NAN))).unwrap();
    let failure = test.train("steps=2 eval_every=1 eval_examples=2 best=mine").unwrap_err();
    assert_eq!(failure.code, "train::metric");
    assert!(failure.message.contains("`mine`") && failure.message.contains("NaN"), "{failure:?}");
    assert_eq!(failure.hint.as_deref(), Some("return 0.0 where the metric is not defined"));
}

#[test]
fn answers_of_validations_are_as_long_as_asked_for() {
    let test = TestSession::attached();
    let longest = Arc::new(AtomicUsize::new(0));
    let seen = longest.clone();
    let measure = move |predicted: &str, _: &str| {
        seen.fetch_max(predicted.chars().count(), Ordering::Relaxed);
        1.0
    };
    test.session.read(|cx| define_metric(cx, "mine", Arc::new(measure))).unwrap();
    let mut lengths = Vec::new();
    for most in [1, 12] {
        longest.store(0, Ordering::Relaxed);
        let line = format!("steps=1 eval_every=1 eval_examples=4 best=mine max_new_tokens={most}");
        test.train(&line).unwrap();
        lengths.push(longest.load(Ordering::Relaxed));
    }
    assert!(lengths[0] < lengths[1], "{lengths:?}");
    let is_it = |event: &Event| matches!(event, Event::Note { text, .. } if text == "`max_new_tokens` has no effect without best=METRIC");
    assert!(!test.sink.events().iter().any(is_it));
    test.train("steps=1 max_new_tokens=4").unwrap();
    assert!(test.sink.events().iter().any(is_it));
}

#[test]
fn texts_of_a_data_set_are_written_one_per_line() {
    let test = TestSession::ready();
    inline(
        &test,
        "two",
        "{\"prompt\": \"one\", \"completion\": \" x\", \"split\": \"test\"}\n{\"prompt\": \"one two three\", \"completion\": \" y\", \"split\": \"test\"}",
    );
    let out = test.folder.path().join("answers.jsonl");
    let reply =
        generate(&test, &format!("data=two max_new_tokens=4 out={}", out.display())).unwrap();
    let Some(Block::Text(line)) = reply.blocks.first() else { panic!("{reply:?}") };
    assert!(line.contains("2 texts of two, test split"), "{line}");
    let written = std::fs::read_to_string(&out).unwrap();
    let rows: Vec<serde_json::Value> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[1]["prompt"], &rows[1]["expected"]), (&"one two three".into(), &"y".into()));
    assert_eq!((&rows[0]["tokens"], &rows[0]["stop"]), (&4.into(), &"length".into()));
    // The name of a split is that split of the current data set.
    let reply = generate(&test, "data=test max_new_tokens=4").unwrap();
    assert_eq!(text(&table(&reply).rows[1][2]), "y");
    assert_eq!(text(&table(&reply).rows[0][1]), rows[0]["text"].as_str().unwrap().trim());
}

#[test]
fn texts_that_cannot_be_written_are_not_generated() {
    let test = TestSession::ready();
    let missing = test.folder.path().join("missing/answers.jsonl");
    let error = generate(&test, &format!("data=test out={}", missing.display())).unwrap_err();
    assert!(error.message.contains("its folder does not exist"), "{error:?}");
    let error = generate(&test, &format!("data=test out={}", test.folder.path().display()));
    assert!(error.unwrap_err().message.contains("it is a folder"));
    assert_eq!(generate(&test, "data=colrs").unwrap_err().code, "session::unknown_data");
    assert!(!is_working(&test));
}

#[test]
fn a_stopped_generation_keeps_the_texts_so_far() {
    let test = TestSession::ready();
    let out = test.folder.path().join("answers.jsonl");
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Progress { label, done, .. } if label.starts_with("generating") && *done >= 2)
        {
            session.interrupt();
        }
    });
    let keys = format!("data=colors split=train batch=2 max_new_tokens=3 out={}", out.display());
    let error = generate(&test, &keys).unwrap_err();
    assert_eq!(error.code, "session::interrupted");
    let lines = std::fs::read_to_string(&out).unwrap().lines().count();
    assert!(error.message.contains(&format!("stopped after {lines} of")), "{error:?}");
    assert_eq!(lines, 2);
}

#[test]
fn conversations_are_answered_through_the_chat_template() {
    let test = TestSession::new();
    load(&test, "bytelevel");
    let row = r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "ok?"}, {"role": "assistant", "content": "hello"}]}"#;
    inline(&test, "talk", row);
    assert_eq!(generate(&test, "data=train").unwrap_err().code, "chat::no_template");
    let folder = test.folder.path().join("bytelevel");
    let template = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}";
    std::fs::write(folder.join("chat_template.jinja"), template).unwrap();
    let source = folder.display().to_string();
    test.run(Command::ModelLoad { source, settings: Settings::default() }).unwrap();
    let out = test.folder.path().join("talk.jsonl");
    let keys = format!("data=talk split=train max_new_tokens=3 out={}", out.display());
    generate(&test, &keys).unwrap();
    let line: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(line["messages"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&line["messages"][2]["content"], &line["expected"]),
        (&"ok?".into(), &"hello".into())
    );
    // The text is that of the rendered prompt.
    let settings = keys_of(training::GENERATE, "max_new_tokens=3");
    let prompt = "u:hi;a:yes;u:ok?;a:".to_owned();
    let reply = test.run(Command::Generate { prompt, settings }).unwrap();
    let Some(Block::Generated { text, .. }) = reply.blocks.into_iter().next() else { panic!() };
    assert!(text.starts_with(line["text"].as_str().unwrap()), "{text:?} {line}");
}

#[test]
fn another_adapter_generates_and_the_active_one_stays() {
    let test = TestSession::attached();
    test.train("steps=6 lr=0.5 warmup=0 eval_every=0").unwrap();
    let trained = test.text();
    let settings = keys_of(graft_spec::methods::lora::SPEC.keys, "r=2 adapter_name=fresh");
    test.adapter(graft_protocol::AdapterAction::Attach { settings }).unwrap();
    let fresh = test.text();
    assert_ne!(trained, fresh);
    let with = |name: &str| {
        let settings =
            keys_of(training::GENERATE, &format!("max_new_tokens=24 adapter_name={name}"));
        let reply = test.run(Command::Generate { prompt: "the sky is".to_owned(), settings })?;
        let Some(Block::Generated { text, .. }) = reply.blocks.into_iter().next() else { panic!() };
        Ok::<String, Failure>(text)
    };
    assert_eq!(with("default").unwrap(), trained);
    assert_eq!(test.text(), fresh);
    let error = with("defualt").unwrap_err();
    assert!(error.hint.unwrap().contains("did you mean `default`?"));
    // A merged adapter that is not active leaves the weights as they were.
    let name = Some("default".to_owned());
    test.adapter(graft_protocol::AdapterAction::Merge { name }).unwrap();
    test.adapter(graft_protocol::AdapterAction::Use { name: "fresh".to_owned() }).unwrap();
    assert_eq!(with("default").unwrap(), trained);
    assert_eq!(test.text(), fresh);
}
