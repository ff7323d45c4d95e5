//! Every line that the session tells to type next works when it is typed as it stands.

use graft_magic::{PartKind, parse_cell};
use graft_protocol::{Block, Command, Event, Level, Reply};
use graft_spec::{Failure, training};

use crate::world::{World, keys_of};

/// Types a line as a cell.
fn type_line(world: &World, line: &str) -> Result<Vec<Reply>, Failure> {
    let parts = parse_cell(line, &world.session.snapshot())?;
    let commands = parts.into_iter().map(|part| {
        if let PartKind::Session(command) = part.kind { command } else { panic!("{line}") }
    });
    commands.map(|command| world.run(command)).collect()
}

/// The whole lines that a text names: `%lora attach r=8`.
fn lines(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.starts_with('%'))
        .map(str::to_owned)
        .collect()
}

/// Every verb that a text mentions must be one.
fn verbs_exist(world: &World, text: &str) {
    for word in text
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '%' || letter == '_'))
        .filter(|word| word.len() > 1 && word.starts_with('%'))
    {
        if let Err(failure) = parse_cell(word, &world.session.snapshot()) {
            assert!(!failure.code.contains("unknown"), "{word} in {text}: {failure}");
        }
    }
}

fn warnings(world: &World) -> Vec<String> {
    let warning = |event| {
        if let Event::Note { level: Level::Warning, text } = event { Some(text) } else { None }
    };
    world.ear.events().into_iter().filter_map(warning).collect()
}

/// The peak learning rate of the newest run.
fn newest_rate(world: &World) -> f64 {
    let steps = world
        .ear
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

/// The embedded model on the text that it was trained on: it has something to lose.
fn pretrained() -> World {
    let world = World::new();
    for line in ["%model load tiny", "%data load rust-docs"] {
        type_line(&world, line).unwrap();
    }
    world
}

#[test]
fn after_a_loss_that_rose_the_line_trains_fresh_weights_with_a_smaller_rate() {
    let world = World::attached();
    // Once it has something to lose.
    world.train("steps=100 lr=0.05 batch=4 eval_every=0").unwrap();
    world.train("steps=40 lr=3 batch=4 eval_every=0 schedule=constant").unwrap();
    let told = warnings(&world).pop().expect("a warning");
    assert!(told.contains("the loss has risen") && !told.contains("larger"), "{told}");
    let [line] = lines(&told).try_into().unwrap();
    assert!(
        line.starts_with("%lora ")
            && line.contains(" r=2")
            && line.contains(" batch=4")
            && line.contains(" steps=40 "),
        "{line}"
    );
    type_line(&world, &line).unwrap();
    assert!(newest_rate(&world) <= 0.3, "{}", newest_rate(&world));
    let losses = world.ear.losses();
    let newest = &losses[losses.len() - 40..];
    assert!(newest[0].0 == 1 && newest[39].1 < newest[0].1, "the advice helps: {newest:?}");
}

#[test]
fn after_numbers_that_are_not_finite_too() {
    let world = World::attached();
    // As a learning rate without measure leaves them.
    for trainable in world.session.state().adapter("default").unwrap().adapter.trainables() {
        trainable.var.set(&trainable.var.ones_like().unwrap().affine(1e38, 0.0).unwrap()).unwrap();
    }
    let failure = world.train("steps=20 lr=1000 batch=4 eval_every=0").unwrap_err();
    assert_eq!(failure.code, "train::not_finite", "{failure}");
    let [line] = lines(&failure.hint.unwrap()).try_into().unwrap();
    type_line(&world, &line).unwrap();
}

#[test]
fn after_a_loss_that_stayed_the_line_trains_on_with_a_larger_rate() {
    let world = World::attached();
    world.train("steps=40 lr=1e-12 batch=40 eval_every=0").unwrap();
    let told = warnings(&world).pop().expect("a warning");
    assert!(told.contains("the loss has not fallen"), "{told}");
    let [line] = lines(&told).try_into().unwrap();
    type_line(&world, &line).unwrap();
    assert!(newest_rate(&world) > 1e-12);
}

#[test]
fn after_a_learning_rate_of_zero_the_line_names_the_methods_own() {
    let world = World::attached();
    world.train("steps=20 lr=0 batch=4 eval_every=0").unwrap();
    let told = warnings(&world).pop().expect("a warning");
    assert!(told.contains("the learning rate is 0, so nothing was learned"), "{told}");
    let [line] = lines(&told).try_into().unwrap();
    type_line(&world, &line).unwrap();
    assert!(newest_rate(&world) > 0.0);
}

#[test]
fn where_the_scale_is_zero_the_line_sets_it_to_one() {
    let world = World::attached();
    world
        .run(Command::Adapter {
            method: "lora".to_owned(),
            action: graft_protocol::AdapterAction::Scale { name: None, factor: Some(0.0) },
        })
        .unwrap();
    world.train("steps=20 lr=0.01 batch=4 eval_every=0").unwrap();
    let told = warnings(&world).pop().expect("a warning");
    let [line] = lines(&told).try_into().unwrap();
    assert_eq!(line, "%lora scale 1");
    type_line(&world, &line).unwrap();
    assert_eq!(world.session.snapshot().adapters[0].scale, 1.0);
}

#[test]
fn what_is_named_beside_a_job_in_the_background_works() {
    let world = World::attached();
    let begun = type_line(&world, "%train steps=1000000 batch=4 eval_every=0 bg=true").unwrap();
    verbs_exist(&world, &format!("{:?}", begun[0].blocks));
    let refused = world.run(Command::Seed { seed: Some(1) }).unwrap_err();
    let hint = refused.hint.unwrap();
    verbs_exist(&world, &hint);
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
        type_line(&world, line).unwrap();
    }
    let place = world.folder.path().join("adapter");
    type_line(&world, &format!("%lora save {}", place.display())).unwrap();
    let stopped = type_line(&world, "%stop").unwrap();
    let [line] = lines(&format!("{:?}", stopped[0].blocks)).try_into().unwrap();
    assert!(line.starts_with("%resume "), "{line}");
    type_line(&world, &format!("{line} bg=true")).unwrap();
    type_line(&world, "%stop").unwrap();
    let idle = type_line(&world, "%stop").unwrap_err();
    let [line] = lines(&idle.hint.unwrap()).try_into().unwrap();
    type_line(&world, &line.replace("bg=true", "bg=true steps=2 eval_every=0")).unwrap();
    world.session.wait_until_idle(std::time::Duration::from_secs(60));
}

#[test]
fn what_a_comparison_names_works() {
    let world = World::ready();
    let line = "%ablate lora r=1,2 steps=200000 batch=4 examples=4 bg=true";
    let begun = type_line(&world, line).unwrap();
    let text = format!("{:?}", begun[0].blocks);
    verbs_exist(&world, &text);
    assert!(text.contains("%trial stop 1"), "{text}");
    type_line(&world, "%trial stop 1").unwrap();
    type_line(&world, "%stop").unwrap();
    // The same line resumes it.
    type_line(&world, line).unwrap();
    type_line(&world, "%stop").unwrap();
    let alone = type_line(&world, "%ablate lora steps=2 batch=4 examples=4").unwrap();
    assert!(format!("{:?}", alone[0].blocks).contains("r=1,4,16"));
    type_line(&world, "%ablate lora r=1,4,16 steps=2 batch=4 examples=4").unwrap();
}

#[test]
fn a_comparison_that_beats_nothing_says_why_and_what_to_name() {
    let world = pretrained();
    let reply = type_line(
        &world,
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
    type_line(&world, "%ablate lora steps=4 batch=4 max_length=48 examples=8 lr=3e-1").unwrap();
}

#[test]
fn numbers_that_a_diverged_run_has_left_behind_stay_short() {
    let world = World::attached();
    // Not a step of learning: weights of a size that nothing else has.
    drop(world.train("steps=30 lr=1000 batch=4 eval_every=10 max_grad_norm=0 schedule=constant"));
    let settings = keys_of(training::EVAL, "examples=8");
    let replies = [
        Command::Eval { settings },
        Command::Weights { module: None },
        Command::Runs { action: graft_protocol::RunsAction::List },
    ];
    let mut texts: Vec<String> = replies
        .into_iter()
        .filter_map(|command| world.run(command).ok())
        .map(|reply| format!("{:?}", reply.blocks))
        .collect();
    texts.extend(world.ear.events().into_iter().filter_map(|event| match event {
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
