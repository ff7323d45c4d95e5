//! Every command that a message suggests works as written.

use graft_magic::{PartKind, parse_cell};
use graft_protocol::{Block, Command, Event, Level, Reply};
use graft_spec::{Failure, training};

use crate::test_session::{TestSession, keys_of};

/// Types a line as a cell.
fn type_line(test: &TestSession, line: &str) -> Result<Vec<Reply>, Failure> {
    let parts = parse_cell(line, &test.session.snapshot())?;
    let commands = parts.into_iter().map(|part| {
        if let PartKind::Session(command) = part.kind { command } else { panic!("{line}") }
    });
    commands.map(|command| test.run(command)).collect()
}

/// The complete commands in a text, such as `%lora attach r=8`.
fn lines(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.starts_with('%'))
        .map(str::to_owned)
        .collect()
}

/// Every magic in a text must exist.
fn verbs_exist(test: &TestSession, text: &str) {
    for word in text
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '%' || letter == '_'))
        .filter(|word| word.len() > 1 && word.starts_with('%'))
    {
        if let Err(failure) = parse_cell(word, &test.session.snapshot()) {
            assert!(!failure.code.contains("unknown"), "{word} in {text}: {failure}");
        }
    }
}

fn warnings(test: &TestSession) -> Vec<String> {
    let warning = |event| {
        if let Event::Note { level: Level::Warning, text } = event { Some(text) } else { None }
    };
    test.sink.events().into_iter().filter_map(warning).collect()
}

/// The peak learning rate of the newest run.
fn newest_rate(test: &TestSession) -> f64 {
    let steps = test
        .sink
        .events()
        .into_iter()
        .filter_map(|event| if let Event::Step(step) = event { Some(step) } else { None });
    let since = steps.fold(Vec::new(), |mut steps: Vec<f64>, step| {
        if step.step == 1 {
            steps.clear();
        }
        steps.push(step.lr);
        steps
    });
    since.into_iter().fold(0.0, f64::max)
}

/// The embedded model with its pretraining data, on which its loss is low.
fn pretrained() -> TestSession {
    let test = TestSession::new();
    for line in ["%model load tiny", "%data load rust-docs"] {
        type_line(&test, line).unwrap();
    }
    test
}

#[test]
fn a_rising_loss_suggests_fresh_weights_with_a_smaller_rate() {
    let test = TestSession::attached();
    // After some training, so that the loss can rise.
    test.train("steps=100 lr=0.05 batch=4 eval_every=0").unwrap();
    test.train("steps=40 lr=3 batch=4 eval_every=0 schedule=constant").unwrap();
    let told = warnings(&test).pop().expect("a warning");
    assert!(told.contains("the loss rose") && !told.contains("larger"), "{told}");
    let [line] = lines(&told).try_into().unwrap();
    assert!(
        line.starts_with("%lora ")
            && line.contains(" r=2")
            && line.contains(" batch=4")
            && line.contains(" steps=40 "),
        "{line}"
    );
    type_line(&test, &line).unwrap();
    assert!(newest_rate(&test) <= 0.3, "{}", newest_rate(&test));
    let losses = test.sink.losses();
    let newest = &losses[losses.len() - 40..];
    assert!(newest[0].0 == 1 && newest[39].1 < newest[0].1, "the advice helps: {newest:?}");
}

#[test]
fn a_loss_that_is_not_finite_suggests_fresh_weights_too() {
    let test = TestSession::attached();
    // The weights after training with a huge learning rate.
    for trainable in test.session.state().adapter("default").unwrap().adapter.trainables() {
        trainable.var.set(&trainable.var.ones_like().unwrap().affine(1e38, 0.0).unwrap()).unwrap();
    }
    let failure = test.train("steps=20 lr=1000 batch=4 eval_every=0").unwrap_err();
    assert_eq!(failure.code, "train::not_finite", "{failure}");
    let [line] = lines(&failure.hint.unwrap()).try_into().unwrap();
    type_line(&test, &line).unwrap();
}

#[test]
fn a_flat_loss_suggests_a_larger_rate() {
    let test = TestSession::attached();
    test.train("steps=40 lr=1e-12 batch=40 eval_every=0").unwrap();
    let told = warnings(&test).pop().expect("a warning");
    assert!(told.contains("the loss did not fall"), "{told}");
    let [line] = lines(&told).try_into().unwrap();
    type_line(&test, &line).unwrap();
    assert!(newest_rate(&test) > 1e-12);
}

#[test]
fn a_learning_rate_of_zero_suggests_the_default() {
    let test = TestSession::attached();
    test.train("steps=20 lr=0 batch=4 eval_every=0").unwrap();
    let told = warnings(&test).pop().expect("a warning");
    assert!(told.contains("the learning rate is 0, so nothing was learned"), "{told}");
    let [line] = lines(&told).try_into().unwrap();
    type_line(&test, &line).unwrap();
    assert!(newest_rate(&test) > 0.0);
}

#[test]
fn a_scale_of_zero_suggests_one() {
    let test = TestSession::attached();
    test.run(Command::Adapter {
        method: "lora".to_owned(),
        action: graft_protocol::AdapterAction::Scale { name: None, factor: Some(0.0) },
    })
    .unwrap();
    test.train("steps=20 lr=0.01 batch=4 eval_every=0").unwrap();
    let told = warnings(&test).pop().expect("a warning");
    let [line] = lines(&told).try_into().unwrap();
    assert_eq!(line, "%lora scale 1");
    type_line(&test, &line).unwrap();
    assert_eq!(test.session.snapshot().adapters[0].scale, 1.0);
}

#[test]
fn commands_in_the_messages_of_a_background_job_work() {
    let test = TestSession::attached();
    let begun = type_line(&test, "%train steps=1000000 batch=4 eval_every=0 bg=true").unwrap();
    verbs_exist(&test, &format!("{:?}", begun[0].blocks));
    let refused = test.run(Command::Seed { seed: Some(1) }).unwrap_err();
    let hint = refused.hint.unwrap();
    verbs_exist(&test, &hint);
    for line in [
        "%generate \"red\" max_new_tokens=2",
        "%eval examples=4",
        "%compare \"red\" max_new_tokens=2",
        "%weights",
        "%params",
        "%memory",
        "%status",
        "%runs",
    ] {
        let verb = line.split(' ').next().unwrap();
        assert!(hint.contains(verb), "{verb} in {hint}");
        type_line(&test, line).unwrap();
    }
    let place = test.folder.path().join("adapter");
    type_line(&test, &format!("%lora save {}", place.display())).unwrap();
    let stopped = type_line(&test, "%stop").unwrap();
    let [line] = lines(&format!("{:?}", stopped[0].blocks)).try_into().unwrap();
    assert!(line.starts_with("%resume "), "{line}");
    type_line(&test, &format!("{line} bg=true")).unwrap();
    type_line(&test, "%stop").unwrap();
    let idle = type_line(&test, "%stop").unwrap_err();
    let [line] = lines(&idle.hint.unwrap()).try_into().unwrap();
    type_line(&test, &line.replace("bg=true", "bg=true steps=2 eval_every=0")).unwrap();
    test.session.wait_until_idle(std::time::Duration::from_secs(60));
}

#[test]
fn commands_in_the_messages_of_a_comparison_work() {
    let test = TestSession::ready();
    let line = "%ablate lora r=1,2 steps=200000 batch=4 examples=4 bg=true";
    let begun = type_line(&test, line).unwrap();
    let text = format!("{:?}", begun[0].blocks);
    verbs_exist(&test, &text);
    assert!(text.contains("%trial stop 1"), "{text}");
    type_line(&test, "%trial stop 1").unwrap();
    type_line(&test, "%stop").unwrap();
    // The same line resumes it.
    type_line(&test, line).unwrap();
    type_line(&test, "%stop").unwrap();
    let alone = type_line(&test, "%ablate lora steps=2 batch=4 examples=4").unwrap();
    assert!(format!("{:?}", alone[0].blocks).contains("r=1,4,16"));
    type_line(&test, "%ablate lora r=1,4,16 steps=2 batch=4 examples=4").unwrap();
}

#[test]
fn a_comparison_no_better_than_the_base_is_explained_with_a_suggestion() {
    let test = pretrained();
    let reply = type_line(
        &test,
        "%ablate lora steps=40 batch=4 max_length=48 examples=8 lr=3 schedule=constant",
    )
    .unwrap();
    let Some(Block::Table(table)) = reply[0].blocks.first() else { panic!("{reply:?}") };
    let said = table.footer.last().unwrap();
    assert!(
        said.contains("no configuration is better than the untuned base")
            && said.contains("its training loss rose"),
        "{said}"
    );
    assert!(said.ends_with("lr=3e-1"), "{said}");
    type_line(&test, "%ablate lora steps=4 batch=4 max_length=48 examples=8 lr=3e-1").unwrap();
}

#[test]
fn numbers_of_a_diverged_run_are_short() {
    let test = TestSession::attached();
    // Weights of a magnitude that training does not reach.
    drop(test.train("steps=30 lr=1000 batch=4 eval_every=10 max_grad_norm=0 schedule=constant"));
    let settings = keys_of(training::EVAL, "examples=8");
    let replies = [
        Command::Eval { settings },
        Command::Weights { module: None },
        Command::Runs { action: graft_protocol::RunsAction::List },
    ];
    let mut texts: Vec<String> = replies
        .into_iter()
        .filter_map(|command| test.run(command).ok())
        .map(|reply| format!("{:?}", reply.blocks))
        .collect();
    texts.extend(test.sink.events().into_iter().filter_map(|event| match event {
        Event::Note { text, .. } => Some(text),
        Event::RunEnded(ended) => Some(ended.summary),
        _ => None,
    }));
    let digits = |text: &str| {
        text.split(|letter: char| !letter.is_ascii_digit()).map(str::len).max().unwrap_or(0)
    };
    let notes: Vec<_> = texts.iter().filter(|text| !text.starts_with('[')).collect();
    assert!(notes.iter().all(|text| digits(text) <= 20), "{notes:?}");
}
