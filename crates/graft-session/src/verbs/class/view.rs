//! The table and the chart of a class.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use graft_protocol::{
    Block, Cell, Chart, Level, Reply, Series, SeriesStyle, Table, chart::NonFinite,
};

use crate::{
    class::{Record, Roster, Standing, is_better},
    verbs::format::counted,
};

/// Most problems of files that are named.
const MAX_PROBLEMS: usize = 5;

/// The results of a class in one exercise.
#[derive(Clone, Debug, Default)]
pub struct ClassPicture {
    /// One row per student, the best first.
    pub table: Table,
    /// One point per student: accuracy, or loss without labels, by trained parameters. `None`
    /// before the first result.
    pub chart: Option<Chart>,
    /// Files that could not be read, and a folder that cannot be reached.
    pub problems: Vec<String>,
    vanished: Option<String>,
}

impl ClassPicture {
    pub(super) fn of(
        roster: &Roster,
        exercise: &str,
        pseudonyms: Option<&BTreeMap<String, String>>,
    ) -> Self {
        let mut standings: Vec<(String, Standing)> = roster
            .students
            .iter()
            .filter_map(|(name, records)| {
                let shown = match pseudonyms {
                    Some(pseudonyms) => pseudonyms.get(name).cloned().unwrap_or_default(),
                    None => name.clone(),
                };
                Some((shown, Standing::of(records, exercise)?))
            })
            .collect();
        standings.sort_by(|one, other| {
            let order = match (&one.1.best, &other.1.best) {
                (Some(one), Some(other)) => is_better(other, one).cmp(&is_better(one, other)),
                (one, other) => other.is_some().cmp(&one.is_some()),
            };
            order.then_with(|| one.0.cmp(&other.0))
        });
        Self {
            table: table(roster, exercise, &standings),
            chart: chart(exercise, &standings),
            problems: problems(roster, pseudonyms.is_some()),
            vanished: None,
        }
    }

    /// Reports that the folder has vanished since.
    pub(super) fn set_problem(&mut self, problem: &str) {
        self.vanished = Some(problem.to_owned());
    }

    /// The reply to `%class`.
    pub fn reply(self) -> Reply {
        let problems = self.vanished.into_iter().chain(self.problems);
        let mut blocks = vec![Block::Table(self.table)];
        blocks.extend(problems.map(|problem| Block::Note(Level::Warning, problem)));
        blocks.extend(self.chart.map(Block::Chart));
        Reply { blocks }
    }
}

fn title(exercise: &str) -> String {
    if exercise.is_empty() { "class".to_owned() } else { format!("class, exercise {exercise}") }
}

fn table(roster: &Roster, exercise: &str, standings: &[(String, Standing)]) -> Table {
    let mut table = Table::new(
        title(exercise),
        &[
            "student",
            "#accuracy",
            "#loss",
            "measured on",
            "#trained",
            "method",
            "data",
            "#steps",
            "#runs",
            "#newest result",
        ],
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for (name, standing) in standings {
        table.row(row(name, standing, now));
    }
    let others: Vec<String> = roster
        .exercises()
        .into_iter()
        .filter(|other| other != exercise && !other.is_empty())
        .map(|other| format!("`{other}`"))
        .collect();
    let with_result = standings.iter().filter(|(_, standing)| standing.best.is_some()).count();
    table.footer.push(match standings.len() {
        0 => "no results yet; students type `%class join NAME`".to_owned(),
        _ => format!(
            "{with_result} of {} with a result; each row is the best run",
            counted(standings.len(), "student")
        ),
    });
    if !others.is_empty() {
        table.footer.push(format!(
            "other exercises: {}; `%class exercise=NAME` shows one",
            others.join(", ")
        ));
    }
    table
}

fn row(name: &str, standing: &Standing, now: u64) -> Vec<Cell> {
    let integer = |value: u64| Cell::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    let name = Cell::Text(name.to_owned());
    let newest = Cell::Text(ago(now.saturating_sub(standing.newest)));
    let Some(best) = &standing.best else {
        let empty = || Cell::Empty;
        return vec![
            name,
            empty(),
            empty(),
            Cell::Text("no run yet".to_owned()),
            empty(),
            empty(),
            empty(),
            empty(),
            integer(0),
            newest,
        ];
    };
    vec![
        name,
        best.accuracy.map_or(Cell::Empty, |share| Cell::Percent(share, 1)),
        best.held_out_loss.map_or(Cell::Empty, |loss| Cell::Float(loss, 3)),
        Cell::Text(measured_on(best)),
        integer(best.trainable),
        Cell::Text(best.method.clone()),
        Cell::Text(best.data.clone()),
        integer(best.steps),
        integer(standing.runs as u64),
        newest,
    ]
}

fn measured_on(best: &Record) -> String {
    let outcome = match best.outcome.as_str() {
        "" | "finished" => String::new(),
        outcome => format!(" ({outcome})"),
    };
    match (best.held_out_loss, best.examples) {
        (None, _) => format!("nothing{outcome}"),
        (_, 0) => format!("{}{outcome}", best.split),
        (_, examples) => {
            format!("{}, {}{outcome}", best.split, counted(examples as usize, "example"))
        }
    }
}

/// `12 s ago`, `3 min ago`, `2 h ago`, `4 days ago`.
fn ago(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s ago"),
        100..6_000 => format!("{} min ago", seconds.div_ceil(60)),
        6_000..172_800 => format!("{} h ago", seconds.div_ceil(3_600)),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// One series per method, whose points are labeled with the students.
fn chart(exercise: &str, standings: &[(String, Standing)]) -> Option<Chart> {
    let has_labels = standings
        .iter()
        .any(|(_, standing)| standing.best.as_ref().is_some_and(|best| best.accuracy.is_some()));
    let mut methods: BTreeMap<&str, Series> = BTreeMap::new();
    for (name, standing) in standings {
        let Some(best) = &standing.best else { continue };
        let value = if has_labels { best.accuracy } else { best.held_out_loss };
        let Some(value) = value.filter(|_| best.trainable > 0) else { continue };
        let series = methods.entry(&best.method).or_insert_with(|| Series {
            name: best.method.clone(),
            style: SeriesStyle::Points,
            points: Vec::new(),
            labels: Vec::new(),
        });
        series.points.push((best.trainable as f64, NonFinite(value)));
        series.labels.push(name.clone());
    }
    let what = if has_labels { "accuracy" } else { "held-out loss" };
    (!methods.is_empty()).then(|| Chart {
        title: format!("{what} by trained parameters: {}", title(exercise)),
        x_label: "trained parameters".to_owned(),
        y_label: if has_labels { "accuracy".to_owned() } else { "held-out loss, nats".to_owned() },
        log_x: true,
        series: methods.into_values().collect(),
        ..Chart::default()
    })
}

/// What is wrong with files of students. Without names, only their number.
fn problems(roster: &Roster, without_names: bool) -> Vec<String> {
    let count = roster.problems.len();
    if without_names && count > 0 {
        return vec![format!("{} with a problem; `%class` names them", counted(count, "file"))];
    }
    let mut problems: Vec<String> = roster
        .problems
        .iter()
        .take(MAX_PROBLEMS)
        .map(|(file, problem)| format!("`{file}`: {problem}"))
        .collect();
    if count > MAX_PROBLEMS {
        problems.push(format!("{} more", counted(count - MAX_PROBLEMS, "file")));
    }
    problems
}
