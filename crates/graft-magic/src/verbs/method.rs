//! The magic of a method, such as `%lora`: all have the same subcommands; the keys are those of the
//! [`MethodSpec`].

use graft_protocol::{AdapterAction, Command};
use graft_spec::{Failure, KeySpec, combination, methods::MethodSpec, training};

use crate::{
    part::{Context, PartKind},
    verb::{Form, Invocation, Slot, SlotKind, VerbSpec},
};

const NAME: &[Slot] = &[Slot::required("NAME", SlotKind::Adapter, "name of an adapter")];
const MAYBE_NAME: &[Slot] =
    &[Slot::optional("NAME", SlotKind::Adapter, "name of an adapter; default: the active one")];
const NAMES: &[Slot] =
    &[Slot::required("NAMES", SlotKind::Adapter, "names of adapters, separated by commas")];
const FOLDER: &[Slot] = &[Slot::required("FOLDER", SlotKind::Path, "the folder")];
const FACTOR: &[Slot] = &[
    Slot::optional(
        "FACTOR",
        SlotKind::Number,
        "1 is as trained, 0 is the base; without it the current factor is shown",
    ),
    Slot::optional("NAME", SlotKind::Adapter, "name of an adapter; default: the active one"),
];
const ONE_NAME: &[KeySpec] = &[graft_spec::methods::ADAPTER_NAME];

/// Returns the definition of a method's magic.
pub(super) fn verb(spec: &'static MethodSpec) -> VerbSpec {
    VerbSpec {
        name: spec.verb,
        aliases: &[],
        summary: spec.summary,
        help: help(spec),
        forms: vec![
            Form::bare(
                "",
                "with keys of %train: attach and train; with other keys: attach; without keys: list the adapters",
                attach_and_train,
            )
            .keys(spec.keys)
            .keys(training::TRAIN),
            Form::bare("attach", "create an adapter and make it the active one", attach)
                .keys(spec.keys),
            Form::bare("detach", "remove it and restore the base", |line, _| {
                act(line, AdapterAction::Detach { name: name(line, 0) })
            })
            .slots(MAYBE_NAME)
            .keys(ONE_NAME),
            Form::bare("merge", "add its update to the base weights", |line, _| {
                act(line, AdapterAction::Merge { name: name(line, 0) })
            })
            .slots(MAYBE_NAME)
            .keys(ONE_NAME),
            Form::bare("unmerge", "undo a merge; the base is restored bit for bit", |line, _| {
                act(line, AdapterAction::Unmerge { name: name(line, 0) })
            })
            .slots(MAYBE_NAME)
            .keys(ONE_NAME),
            Form::bare("scale", "set the factor on its update", scale).slots(FACTOR).keys(ONE_NAME),
            Form::bare("save", "save it in the format of HF PEFT", save).slots(FOLDER).keys(ONE_NAME),
            Form::bare(
                "load",
                "load an adapter that HF PEFT or Graft saved, and make it the active one",
                load,
            )
            .slots(FOLDER)
            .keys(ONE_NAME),
            Form::bare("combine", "combine several adapters into a new one", combine)
                .slots(NAMES)
                .keys(combination::KEYS),
            Form::bare("list", "list the adapters", |line, _| act(line, AdapterAction::List)),
            Form::bare("use", "make it the active one", |line, _| {
                act(line, AdapterAction::Use { name: line.joined() })
            })
            .slots(NAME),
            Form::bare("on", "enable the adapters again", |line, _| {
                act(line, AdapterAction::Enable { on: true })
            }),
            Form::bare("off", "disable all adapters without removing them", |line, _| {
                act(line, AdapterAction::Enable { on: false })
            }),
        ],
        cell: None,
        examples: examples(spec),
    }
}

/// Returns the help paragraph with its sources. The registry of verbs is built once and lives as
/// long as the process, so the text is never freed.
fn help(spec: &MethodSpec) -> &'static str {
    format!("{} {}.", spec.help, spec.source).leak()
}

fn examples(spec: &MethodSpec) -> Vec<std::borrow::Cow<'static, str>> {
    let verb = spec.verb;
    let given = spec
        .keys
        .iter()
        .find(|key| !key.default.is_empty())
        .map(|key| format!("{}={}", key.name, key.default))
        .unwrap_or_default();
    vec![
        format!("%{verb} attach {given}").into(),
        format!("%{verb} {given} steps=200 lr={}", spec.learning_rate).into(),
        format!("%{verb} scale 0.5").into(),
        format!("%{verb} save my-adapter").into(),
        format!("%{verb} attach {given} --rust").into(),
    ]
}

fn act(line: &Invocation<'_>, action: AdapterAction) -> Result<PartKind, Failure> {
    Ok(PartKind::Session(Command::Adapter { method: line.verb.name.to_owned(), action }))
}

/// Returns the name of an adapter, given by position or as `adapter_name=`.
fn name(line: &Invocation<'_>, index: usize) -> Option<String> {
    line.word(index).or_else(|| {
        line.settings.values.get(graft_spec::methods::ADAPTER_NAME.name).map(ToString::to_string)
    })
}

fn attach(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    act(line, AdapterAction::Attach { settings: line.settings.clone() })
}

fn attach_and_train(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    if line.settings.values.is_empty() {
        return act(line, AdapterAction::List);
    }
    let keys =
        graft_spec::methods::by_verb(line.verb.name).map_or(&[] as &[KeySpec], |spec| spec.keys);
    let (method, training) = line.settings.clone().split(keys);
    if training.values.is_empty() {
        return act(line, AdapterAction::Attach { settings: method });
    }
    Ok(PartKind::Session(Command::Train {
        attach: Some((line.verb.name.to_owned(), method)),
        settings: training,
    }))
}

fn scale(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let factor = line
        .word(0)
        .and_then(|text| text.replace('_', "").parse().ok())
        .filter(|factor: &f64| factor.is_finite());
    if factor.is_none()
        && let Some(word) = line.positional.first()
    {
        return Err(Failure::new(
            "magic::wrong_argument",
            format!("FACTOR must be a finite number, got `{}`", word.text),
        )
        .hint("1 is as trained, 0 is the base")
        .span(word.span));
    }
    act(line, AdapterAction::Scale { name: name(line, 1), factor })
}

fn combine(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    let names = line
        .joined()
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    act(line, AdapterAction::Combine { names, settings: line.settings.clone() })
}

fn save(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    act(line, AdapterAction::Save { name: name(line, 1), directory: line.joined() })
}

fn load(line: &Invocation<'_>, _: &mut Context<'_>) -> Result<PartKind, Failure> {
    act(line, AdapterAction::Load { name: name(line, 1), directory: line.joined() })
}
