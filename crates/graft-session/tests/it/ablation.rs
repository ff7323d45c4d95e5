//! `%ablate`: its results, and that it does not change the session.

use std::sync::Arc;

use graft_protocol::{Block, Cell, Chart, Command, Event, Reply, RunsAction, Table};
use graft_session::verbs::eval::define_metric;
use graft_spec::Failure;

use crate::test_session::TestSession;

fn ablate(test: &TestSession, methods: &[&str], keys: &[(&str, &str)]) -> Result<Reply, Failure> {
    let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    test.run(Command::Ablate {
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        keys,
    })
}

fn table(reply: &Reply) -> &Table {
    reply
        .blocks
        .iter()
        .find_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
        .unwrap()
}

fn labels(table: &Table) -> Vec<String> {
    table
        .rows
        .iter()
        .map(|row| if let Cell::Text(label) = &row[0] { label.clone() } else { panic!("{row:?}") })
        .collect()
}

const QUICK: [(&str, &str); 4] =
    [("steps", "6"), ("lr", "0.02"), ("batch", "4"), ("examples", "8")];

fn quick<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    QUICK.iter().chain(more).copied().collect()
}

#[test]
fn every_configuration_is_listed_with_the_base_and_the_users_adapter_is_unchanged() {
    let test = TestSession::attached();
    test.train("steps=4 lr=0.02 eval_every=0 batch=4").unwrap();
    let before = test
        .run(Command::Generate { prompt: "red".to_owned(), settings: Default::default() })
        .unwrap();
    let reply = ablate(&test, &["lora", "ia3"], &quick(&[("r", "1,2"), ("seeds", "2")])).unwrap();
    let found = table(&reply);
    assert_eq!(labels(found), ["untuned base", "majority class", "lora r=1", "lora r=2", "ia3"]);
    let column = |name: &str| found.columns.iter().position(|column| column.name == name).unwrap();
    assert!(
        found.rows[2..].iter().all(|row| ["trainable", "tokens/s", "MB"]
            .iter()
            .all(|name| matches!(row[column(name)], Cell::Integer(1..)))),
        "{found:?}"
    );
    let scale = found.columns.iter().position(|column| column.name == "alpha/r").unwrap();
    assert_eq!(found.rows[2][scale], Cell::Float(2.0, 2));
    assert_eq!(found.rows[3][scale], Cell::Float(2.0, 2));
    assert_eq!(found.rows[4][scale], Cell::Empty);
    assert!(
        found.rows[2..].iter().all(|row| row.last() == Some(&Cell::Text("done".to_owned()))),
        "{found:?}"
    );
    assert_eq!(reply.blocks.iter().filter(|block| matches!(block, Block::Chart(_))).count(), 2);
    assert_eq!(
        test.run(Command::Generate { prompt: "red".to_owned(), settings: Default::default() })
            .unwrap(),
        before
    );
    let status = format!("{:?}", test.run(Command::Status).unwrap().blocks);
    assert!(status.contains("default") && !status.contains("_ablate"), "{status}");
}

#[test]
fn a_seed_reproduces_the_results_and_finished_trials_are_reused() {
    let test = TestSession::ready();
    let first = ablate(&test, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    let steps = |test: &TestSession| {
        test.sink.events().iter().filter(|event| matches!(event, Event::Progress { label, .. } if label.starts_with("trial"))).count()
    };
    let trained = steps(&test);
    assert!(trained > 0);
    let again = ablate(&test, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    assert_eq!(steps(&test), trained);
    assert_eq!(table(&again).rows, table(&first).rows);
    assert!(format!("{:?}", again.blocks).contains("2 of 2 training runs were finished"));
    let other = crate::tiny::colors().replace("sky", "sea");
    test.run(Command::DataInline {
        name: "colors".to_owned(),
        text: other,
        settings: Default::default(),
    })
    .unwrap();
    let on_other = ablate(&test, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    assert!(
        !format!("{:?}", on_other.blocks).contains("were finished"),
        "another text under the same name is other data"
    );
    test.run(Command::DataInline {
        name: "colors".to_owned(),
        text: crate::tiny::colors(),
        settings: Default::default(),
    })
    .unwrap();
    let fresh = ablate(&test, &["lora"], &quick(&[("r", "1,2"), ("fresh", "true")])).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&fresh), losses(&first));
}

#[test]
fn a_trial_that_fails_is_marked_and_the_others_continue() {
    let test = TestSession::ready();
    let reply = ablate(&test, &["lora"], &quick(&[("r", "1,60000")])).unwrap();
    let found = table(&reply);
    let status = |row: usize| format!("{:?}", found.rows[row].last().unwrap());
    assert!(
        status(2).contains("done") && status(3).contains("1 of 1 failed: r = 60000 is larger"),
        "{found:?}"
    );
    assert_eq!(
        ablate(&test, &["lora"], &quick(&[("r", "60000")])).unwrap_err().code,
        "peft::rank_too_large"
    );
}

#[test]
fn stop_keeps_finished_trials_and_the_same_line_resumes() {
    let test = TestSession::ready();
    let keys = quick(&[("r", "1,2"), ("seeds", "2"), ("steps", "24")]);
    let session = test.session.clone();
    let mut turns = 0;
    test.sink.react(move |event| {
        // In the second seed, after some rounds of both trials.
        turns += usize::from(
            matches!(event, Event::Progress { label, .. } if label.starts_with("trial 4 of 4")),
        );
        if turns == 5 {
            session.interrupt();
        }
    });
    let stopped = ablate(&test, &["lora"], &keys).unwrap_err();
    assert_eq!(stopped.code, "session::interrupted");
    assert!(stopped.message.contains("after 2 of 4"), "{stopped}");
    let shown = test.sink.events().into_iter().find_map(|event| {
        if let Event::Block(Block::Table(table)) = event { Some(table) } else { None }
    });
    assert_eq!(
        labels(&shown.expect("what is finished is shown")),
        ["untuned base", "majority class", "lora r=1", "lora r=2"]
    );
    test.sink.react(|_| {});
    let whole = ablate(&test, &["lora"], &keys).unwrap();
    assert!(format!("{:?}", whole.blocks).contains("2 of 4 training runs were finished"));
    let runs = || std::fs::read_dir(test.folder.path().join("runs")).unwrap().count();
    assert_eq!(runs(), 4, "partial runs are resumed");
    let fresh = ablate(&test, &["lora"], &[keys, vec![("fresh", "true")]].concat()).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(
        losses(&whole),
        losses(&fresh),
        "the losses are those of an uninterrupted comparison"
    );
}

/// The last live table that was shown, and its chart.
fn last_live_table(test: &TestSession) -> (Table, Chart) {
    let live_table = |event| if let Event::LiveTable(blocks) = event { Some(blocks) } else { None };
    let blocks =
        test.sink.events().into_iter().filter_map(live_table).next_back().expect("a live table");
    match blocks.as_slice() {
        [Block::Table(table), Block::Chart(chart)] => (table.clone(), chart.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_live_table_stays_after_a_stop_and_the_same_line_resumes() {
    let test = TestSession::ready();
    let keys = quick(&[("r", "1,2,3"), ("steps", "48")]);
    let session = test.session.clone();
    let mut turns = 0;
    test.sink.react(move |event| {
        // After some rounds of all three trials, before any of them is done.
        turns += usize::from(
            matches!(event, Event::Progress { label, .. } if label.starts_with("trial 3 of 3")),
        );
        if turns == 4 {
            session.interrupt();
        }
    });
    let stopped = ablate(&test, &["lora"], &keys).unwrap_err();
    assert!(
        stopped.code == "session::interrupted" && stopped.message.contains("after 0 of 3"),
        "{stopped}"
    );
    let (shown, chart) = last_live_table(&test);
    assert_eq!((shown.rows.len(), chart.series.len()), (3, 3), "{shown:?}");
    assert_eq!(chart.x_max, None, "the axis ends at the last step, not at the last planned one");
    for row in &shown.rows {
        let (status, loss) = (format!("{:?}", row[2]), format!("{:?}", row[5]));
        assert!(status.contains("stopped, step ") && status.contains(" of 48"), "{status}");
        assert!(loss.contains("Float"), "the loss reached stays: {loss}");
    }
    test.sink.react(|_| {});
    let whole = ablate(&test, &["lora"], &keys).unwrap();
    let runs = std::fs::read_dir(test.folder.path().join("runs")).unwrap().count();
    assert_eq!(runs, 3, "they are the runs that were stopped");
    let fresh = ablate(&test, &["lora"], &[keys, vec![("fresh", "true")]].concat()).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&whole), losses(&fresh));
}

#[test]
fn the_curves_of_the_first_seed_stay_until_the_second_has_steps() {
    let test = TestSession::ready();
    ablate(&test, &["lora"], &quick(&[("r", "1,2"), ("seeds", "2"), ("steps", "24")])).unwrap();
    let live_table = |event| if let Event::LiveTable(blocks) = event { Some(blocks) } else { None };
    let curves = test.sink.events().into_iter().filter_map(live_table).map(|blocks| {
        match blocks.into_iter().nth(1) {
            Some(Block::Chart(chart)) => chart.series.len(),
            other => panic!("{other:?}"),
        }
    });
    let curves: Vec<usize> = curves.collect();
    let first = curves.iter().position(|count| *count == 2).expect("both curves are shown");
    assert!(curves[first..].iter().all(|count| *count == 2), "{curves:?}");
}

#[test]
fn a_large_grid_is_refused_with_an_estimate_of_its_time() {
    let test = TestSession::ready();
    let ranks = (1..=50).map(|rank| rank.to_string()).collect::<Vec<_>>().join(",");
    let rates = (1..=100).map(|rate| format!("{rate}e-4")).collect::<Vec<_>>().join(",");
    let keys = [
        ("r", ranks.as_str()),
        ("lr", rates.as_str()),
        ("seeds", "2"),
        ("steps", "100"),
        ("batch", "4"),
        ("examples", "8"),
    ];
    let refused = ablate(&test, &["lora"], &keys).unwrap_err();
    assert_eq!(refused.code, "ablate::many");
    assert!(
        refused
            .message
            .starts_with("these are 10,000 training runs (5,000 configurations, 2 seeds), about "),
        "{refused}"
    );
    assert!(refused.message.contains(" min") || refused.message.contains(" h"), "{refused}");
    assert!(refused.hint.unwrap().contains("confirm=true"));
    let runs = std::fs::read_dir(test.folder.path().join("runs")).map_or(0, Iterator::count);
    assert_eq!(runs, 0, "the run that was timed is gone");
}

#[test]
fn the_live_table_shows_the_metric_during_training() {
    let test = TestSession::ready();
    ablate(
        &test,
        &["lora"],
        &[("r", "1,2"), ("steps", "60"), ("lr", "0.02"), ("batch", "4"), ("examples", "8")],
    )
    .unwrap();
    let live_table = |event| if let Event::LiveTable(blocks) = event { Some(blocks) } else { None };
    let tables = test
        .sink
        .events()
        .into_iter()
        .filter_map(live_table)
        .flatten()
        .filter_map(|block| if let Block::Table(table) = block { Some(table) } else { None });
    let seen: Vec<_> = tables
        .flat_map(|table| table.rows)
        .map(|row| format!("{:?} {:?}", row[2], row[6]))
        .collect();
    assert!(
        seen.iter().any(|row| row.contains("step 60 of 60") && row.contains("Percent")),
        "trained and not yet scored: {seen:?}"
    );
    assert!(seen.iter().any(|row| row.contains("done") && row.contains("Percent")), "{seen:?}");
}

#[test]
fn a_run_that_was_stopped_before_scoring_is_not_trained_again() {
    let test = TestSession::ready();
    let keys = quick(&[("r", "1,2")]);
    let session = test.session.clone();
    test.sink.react(move |event| {
        if matches!(event, Event::Progress { label, .. } if label.starts_with("scoring lora r=1")) {
            session.interrupt();
        }
    });
    assert_eq!(ablate(&test, &["lora"], &keys).unwrap_err().code, "session::interrupted");
    test.sink.react(|_| {});
    let trained = |test: &TestSession| {
        test.sink.events().iter().filter(|event| matches!(event, Event::Progress { label, .. } if label.starts_with("trial"))).count()
    };
    let before = trained(&test);
    let whole = ablate(&test, &["lora"], &keys).unwrap();
    assert_eq!(trained(&test), before);
    let fresh = ablate(&test, &["lora"], &[keys, vec![("fresh", "true")]].concat()).unwrap();
    let losses =
        |reply: &Reply| table(reply).rows.iter().map(|row| row[4].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&whole), losses(&fresh));
}

#[test]
fn each_configuration_is_trained_with_its_own_best_learning_rate() {
    let test = TestSession::ready();
    let keys = [("steps", "12"), ("batch", "4"), ("examples", "8"), ("lr", "auto"), ("r", "1,2")];
    let together = ablate(&test, &["lora"], &keys).unwrap();
    for rank in ["1", "2"] {
        let keys = [
            ("steps", "12"),
            ("batch", "4"),
            ("examples", "8"),
            ("lr", "auto"),
            ("r", rank),
            ("alpha", "2r"),
            ("fresh", "true"),
        ];
        let alone = ablate(&test, &["lora"], &keys).unwrap();
        let row = table(&together)
            .rows
            .iter()
            .find(|row| format!("{:?}", row[0]).contains(&format!("r={rank}")))
            .unwrap();
        assert_eq!(table(&alone).rows[2][4], row[4], "rank {rank}");
    }
}

#[test]
fn trials_advance_in_alternation_with_the_results_of_separate_runs() {
    let test = TestSession::ready();
    let keys = quick(&[("steps", "24")]);
    let together = ablate(&test, &["lora", "ln_tuning", "full", "prompt_tune"], &keys).unwrap();
    let numbers: Vec<String> = test
        .sink
        .events()
        .into_iter()
        .filter_map(
            |event| if let Event::Progress { label, .. } = event { Some(label) } else { None },
        )
        .collect();
    let turns: Vec<&str> = numbers
        .iter()
        .filter_map(|label| label.strip_prefix("trial "))
        .map(|label| &label[..1])
        .collect();
    assert_eq!(turns[..8], ["1", "2", "3", "4", "1", "2", "3", "4"]);
    let live_table =
        test.sink.events().into_iter().find_map(|event| {
            if let Event::LiveTable(blocks) = event { Some(blocks) } else { None }
        });
    assert!(
        matches!(live_table.as_deref(), Some([Block::Table(table), Block::Chart(_)]) if table.rows.len() == 4),
        "{live_table:?}"
    );
    for (row, method) in ["lora", "ln_tuning", "full", "prompt_tune"].into_iter().enumerate() {
        let alone =
            ablate(&test, &[method], &[keys.clone(), vec![("fresh", "true")]].concat()).unwrap();
        assert_eq!(table(&alone).rows[2][4], table(&together).rows[2 + row][4], "{method}");
    }
}

#[test]
fn halving_stops_the_worse_half_twice_and_reports_it() {
    let test = TestSession::ready();
    let keys = [
        ("steps", "24"),
        ("lr", "0.02,0.00001,0.000001,0.01"),
        ("batch", "4"),
        ("examples", "8"),
        ("early", "halving"),
    ];
    let reply = ablate(&test, &["lora"], &keys).unwrap();
    let statuses = |reply: &Reply| -> Vec<String> {
        table(reply).rows[2..].iter().map(|row| format!("{:?}", row.last().unwrap())).collect()
    };
    let first = statuses(&reply);
    let stopped = |step: &str| {
        first
            .iter()
            .filter(|status| status.contains(&format!("stopped early at step {step}")))
            .count()
    };
    assert_eq!((stopped("6"), stopped("12")), (2, 1), "{first:?}");
    assert!(
        first[1].contains("step 6") && first[2].contains("step 6"),
        "the rates that learn nothing go first: {first:?}"
    );
    assert!(
        table(&reply).footer.iter().any(|line| line
            == "`lora lr=0.02` is the only one of 4 configurations that was trained to the end"),
        "{:?}",
        table(&reply).footer
    );
    let again = ablate(&test, &["lora"], &keys).unwrap();
    assert_eq!(statuses(&again), first, "trials that were stopped early are not resumed");
}

#[test]
fn a_missing_model_or_data_set_is_reported() {
    let test = TestSession::new();
    assert_eq!(ablate(&test, &["lora"], &[("r", "1,2")]).unwrap_err().code, "session::no_model");
    test.load_model();
    assert_eq!(ablate(&test, &["lora"], &[("r", "1,2")]).unwrap_err().code, "session::no_data");
}

#[test]
fn a_learning_rate_search_is_reported_and_leaves_no_runs() {
    let test = TestSession::ready();
    let keys = [("steps", "12"), ("batch", "4"), ("examples", "8"), ("lr", "auto"), ("seeds", "2")];
    let reply = ablate(&test, &["lora"], &keys).unwrap();
    let found = table(&reply);
    let label = labels(found).pop().unwrap();
    assert!(label.starts_with("lora lr=") && label.contains("e-"), "{label}");
    assert!(
        found.footer.iter().any(|line| line.contains("short training runs")),
        "{:?}",
        found.footer
    );
    let runs = std::fs::read_dir(test.folder.path().join("runs")).unwrap().count();
    assert_eq!(runs, 2, "one for each seed");
    assert_eq!(
        labels(table(&ablate(&test, &["lora"], &keys).unwrap())).pop().unwrap(),
        label,
        "what is finished keeps its rate"
    );
}

#[test]
fn the_list_of_runs_names_their_trials_and_explains_its_losses() {
    let test = TestSession::attached();
    test.train("steps=2 batch=4 eval_every=0").unwrap();
    let runs = |test: &TestSession| {
        table(&test.run(Command::Runs { action: RunsAction::List }).unwrap()).clone()
    };
    let before = runs(&test);
    assert!(before.columns.iter().all(|column| column.name != "trial"), "{before:?}");
    assert!(before.footer[0].contains("mean training loss over the last tenth"), "{before:?}");
    ablate(&test, &["lora"], &quick(&[("r", "1,2")])).unwrap();
    let after = runs(&test);
    let trials: Vec<&Cell> = after.rows.iter().map(|row| row.last().unwrap()).collect();
    let trial = |rank: u64| Cell::Text(format!("lora_alpha={} r={rank} lr=2e-2 seed=0", 2 * rank));
    assert_eq!(trials, [&trial(2), &trial(1), &Cell::Empty]);
}

/// The index of a column.
fn column(table: &Table, name: &str) -> usize {
    let found = table.columns.iter().position(|column| column.name == name);
    found.unwrap_or_else(|| panic!("no column {name} in {:?}", table.columns))
}

/// Steps trained so far, in all runs.
fn trained(test: &TestSession) -> usize {
    let is_step = |event: &Event| matches!(event, Event::Progress { label, .. } if label.starts_with("trial"));
    test.sink.events().iter().filter(|event| is_step(event)).count()
}

#[test]
fn a_metric_of_generated_text_ranks_the_trials_and_is_shown_with_its_interval() {
    let test = TestSession::ready();
    let keys = quick(&[("r", "1,2"), ("max_new_tokens", "3"), ("metric", "chrf,exact_match")]);
    let reply = ablate(&test, &["lora"], &keys).unwrap();
    let found = table(&reply);
    assert_eq!(labels(found), ["untuned base", "majority class", "lora r=1", "lora r=2"]);
    for name in ["chrf", "exact_match"] {
        let column = column(found, name);
        for row in [&found.rows[0], &found.rows[2], &found.rows[3]] {
            let Cell::Text(text) = &row[column] else { panic!("{row:?}") };
            assert!(text.contains('[') && text.ends_with(']'), "{text}");
        }
        assert_eq!(found.rows[1][column], Cell::Empty);
    }
    // The accuracy has no interval of its own beside that of the metric.
    assert!(found.columns.iter().all(|column| column.name != "± 95 %"), "{:?}", found.columns);
    let footer = found.footer.join("\n");
    assert!(footer.contains("`chrf` ranks the trials"), "{footer}");
    assert!(footer.contains("has the best chrf"), "{footer}");
    let axis = reply.blocks.iter().find_map(|block| match block {
        Block::Chart(Chart { y_label, .. }) => Some(y_label.as_str()),
        _ => None,
    });
    assert_eq!(axis, Some("chrf"));
    let live = test.sink.events().into_iter().rev().find_map(|event| match event {
        Event::LiveTable(blocks) => Some(blocks),
        _ => None,
    });
    assert!(format!("{live:?}").contains("\"chrf\""), "{live:?}");
    let seeds = ablate(&test, &["lora"], &[keys, vec![("seeds", "2")]].concat()).unwrap();
    let row = &table(&seeds).rows[2];
    let Cell::Text(text) = &row[column(table(&seeds), "chrf")] else { panic!("{row:?}") };
    assert!(text.contains('±') && !text.contains('['), "{text}");
}

#[test]
fn another_metric_scores_the_weights_that_are_trained() {
    let test = TestSession::ready();
    let keys = |more: &[(&'static str, &'static str)]| {
        quick(&[&[("r", "1,2"), ("max_new_tokens", "3")], more].concat())
    };
    let plain = ablate(&test, &["lora"], &keys(&[])).unwrap();
    let steps = trained(&test);
    let scored = ablate(&test, &["lora"], &keys(&[("metric", "rougeL")])).unwrap();
    assert_eq!(trained(&test), steps, "nothing was trained again");
    let loss =
        |reply: &Reply, row: usize| table(reply).rows[row][column(table(reply), "loss")].clone();
    for row in [0, 2, 3] {
        assert_eq!(loss(&scored, row), loss(&plain, row), "the weights are the same");
    }
    let again = ablate(&test, &["lora"], &keys(&[("metric", "rougeL")])).unwrap();
    assert_eq!(table(&again).rows, table(&scored).rows);
    let fresh =
        ablate(&test, &["lora"], &keys(&[("metric", "rougeL"), ("fresh", "true")])).unwrap();
    assert!(trained(&test) > steps);
    let values = |reply: &Reply| {
        let place = column(table(reply), "rougeL");
        table(reply).rows.iter().map(|row| row[place].clone()).collect::<Vec<_>>()
    };
    assert_eq!(values(&fresh), values(&scored));
}

#[test]
fn a_metric_of_the_user_ranks_the_trials_and_a_new_closure_scores_again() {
    let test = TestSession::ready();
    let define = |value: f64| {
        test.session
            .read(move |cx| define_metric(cx, "mine", Arc::new(move |_, _| value)))
            .unwrap();
    };
    define(7.25);
    let keys = quick(&[("r", "1,2"), ("max_new_tokens", "2"), ("metric", "mine,accuracy")]);
    let value = |reply: &Reply| {
        let place = column(table(reply), "mine");
        let Cell::Text(text) = &table(reply).rows[2][place] else { panic!("{reply:?}") };
        text.clone()
    };
    let first = ablate(&test, &["lora"], &keys).unwrap();
    assert_eq!(value(&first), "7.250 [7.250, 7.250]");
    let columns = &table(&first).columns;
    assert_eq!(columns.iter().filter(|column| column.name == "accuracy").count(), 1);
    let steps = trained(&test);
    define(1.5);
    assert!(value(&ablate(&test, &["lora"], &keys).unwrap()).starts_with("1.500"));
    assert_eq!(trained(&test), steps);
}

#[test]
fn the_loss_can_rank_trials_on_data_with_labels() {
    let test = TestSession::ready();
    let reply = ablate(&test, &["lora"], &quick(&[("r", "1,2"), ("metric", "loss")])).unwrap();
    let footer = table(&reply).footer.join("\n");
    assert!(footer.contains("has the best loss"), "{footer}");
}

#[test]
fn a_key_without_effect_is_reported_once() {
    let test = TestSession::ready();
    ablate(&test, &["lora"], &quick(&[("r", "1,2"), ("beta", "0.2")])).unwrap();
    let is_it = |event: &Event| matches!(event, Event::Note { text, .. } if text == "`beta` has no effect without loss=");
    assert_eq!(test.sink.events().iter().filter(|event| is_it(event)).count(), 1);
}

#[test]
fn a_metric_that_cannot_be_computed_is_refused_before_training() {
    let test = TestSession::ready();
    for (value, code) in [("rogue", "metrics::unknown"), ("regex", "metrics::pattern")] {
        let keys = quick(&[("metric", value)]);
        assert_eq!(ablate(&test, &["lora"], &keys).unwrap_err().code, code);
    }
    let keys = quick(&[("schedule", "reduce_on_plateau")]);
    let failure = ablate(&test, &["lora"], &keys).unwrap_err();
    assert_eq!(failure.code, "ablate::plateau");
    assert!(failure.hint.unwrap().contains("schedule=linear,cosine"));
    assert_eq!(trained(&test), 0);
}
