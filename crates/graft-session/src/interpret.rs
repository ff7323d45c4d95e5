//! The interpreter: calls the verb of a command and turns its result into a reply.

use std::path::Path;

use graft_protocol::{
    AdapterAction, Block, ChatAction, ClassAction, Command, Reply, RunsAction, Table,
};
use graft_spec::Failure;

use crate::{
    CommandContext,
    state::AttachedAdapter,
    verbs::{
        ablate, adapter, attach, chat, check, class, combine, compare, data, device, eval,
        forgetting, generate, jobs, load_adapter, memory, model, params, resume, runs, seed,
        status, train, tree, trial, weights,
    },
};

/// The label of a command while it runs.
pub(crate) fn label(command: &Command) -> String {
    match command {
        Command::ModelLoad { source, .. } => format!("loading the model {source}"),
        Command::ModelResize { .. } => "loading the model again".to_owned(),
        Command::ModelSave { directory, .. } => format!("saving the model in {directory}"),
        Command::DataLoad { source, .. } => format!("loading the data {source}"),
        Command::DataInline { name, .. } => format!("reading the data {name}"),
        Command::Train { .. } => "training".to_owned(),
        Command::Resume { .. } => "resuming a run".to_owned(),
        Command::Ablate { .. } => "comparing configurations".to_owned(),
        Command::Forgetting { .. } => "measuring forgetting".to_owned(),
        Command::Eval { .. } => "evaluating".to_owned(),
        Command::Check { .. } => "checking".to_owned(),
        Command::Generate { .. } | Command::GenerateData { .. } => "generating".to_owned(),
        Command::Chat { action: ChatAction::Say { .. } } => "answering".to_owned(),
        Command::Chat { .. } => "reading".to_owned(),
        Command::Compare { .. } => "comparing".to_owned(),
        Command::TrialStop { .. } | Command::TrialClone { .. } => {
            "changing a comparison".to_owned()
        }
        Command::Weights { .. } => "plotting the weights".to_owned(),
        Command::Adapter { method, .. } => format!("changing a {method} adapter"),
        Command::Device { .. } => "changing the device".to_owned(),
        Command::ModelCard
        | Command::ModelTree
        | Command::DataShow { .. }
        | Command::DataUse { .. } => "reading".to_owned(),
        Command::Watch { .. } | Command::Class { action: ClassAction::Watch { .. } } => {
            "watching".to_owned()
        }
        Command::Class { .. } => "reading the class folder".to_owned(),
        Command::Stop | Command::Jobs => "reading".to_owned(),
        Command::Runs { action: RunsAction::Use { run, .. } } => {
            format!("attaching the weights of {run}")
        }
        Command::Runs { .. } => "reading the runs".to_owned(),
        Command::Memory { .. } | Command::Params | Command::Seed { .. } | Command::Status => {
            "reading".to_owned()
        }
    }
}

/// Executes a command.
pub(crate) fn interpret(cx: &CommandContext, command: Command) -> Result<Reply, Failure> {
    Ok(match command {
        Command::ModelLoad { source, settings } => model::load(cx, &source, &settings)?.reply(),
        Command::ModelResize { settings } => model::resize(cx, &settings)?.reply(),
        Command::ModelCard => model::card(cx)?.reply(),
        Command::ModelSave { directory, settings } => {
            Reply::text(model::save(cx, &directory, &settings)?)
        }
        Command::ModelTree => tree::reply(tree::tree(cx)?),
        Command::DataLoad { source, settings } => {
            data::reply(&*data::load(cx, &source, &settings)?)
        }
        Command::DataInline { name, text, settings } => {
            data::reply(&*data::inline(cx, &name, &text, &settings)?)
        }
        Command::DataShow { name, rows, tokens: Some(keys) } => {
            data::tokens::reply(data::tokens::tokens(cx, name.as_deref(), rows, &keys)?)
        }
        Command::DataShow { name, rows, tokens: None } => {
            table_reply(data::show(cx, name.as_deref(), rows)?)
        }
        Command::DataUse { name } => data::reply(&*data::choose(cx, &name)?),
        Command::Adapter { method, action } => adapter_action(cx, &method, action)?,
        Command::Train { attach, settings } => {
            train::reply(train::train(cx, attach.as_ref(), &settings)?)
        }
        Command::Resume { run, settings } => {
            train::reply(resume::resume(cx, run.as_deref(), &settings)?)
        }
        Command::Ablate { methods, keys } => ablate::ablate(cx, &methods, &keys)?.reply(),
        Command::Forgetting { methods, keys } => {
            forgetting::forgetting(cx, &methods, &keys)?.reply()
        }
        Command::TrialStop { number } => Reply::text(trial::stop(cx, number)?),
        Command::TrialClone { number, keys } => trial::clone(cx, number, &keys)?,
        Command::Eval { settings } => eval::eval(cx, &settings)?.reply(),
        Command::Check { checks } => check::reply(cx, &checks)?,
        Command::Generate { prompt, settings } => {
            generate::reply(generate::generate(cx, &prompt, &settings)?)
        }
        Command::GenerateData { settings } => generate::generate_data(cx, &settings)?.reply(),
        Command::Compare { prompt, settings } => compare::compare(cx, &prompt, &settings)?.reply(),
        Command::Chat { action } => chat_action(cx, action)?,
        Command::Memory { of, settings } => {
            table_reply(memory::table(cx, of.as_deref(), &settings)?)
        }
        Command::Weights { module } => weights::weights(cx, module.as_deref())?,
        Command::Params => table_reply(params::table(cx)?),
        Command::Seed { seed } => seed::reply(seed::seed(cx, seed)?),
        Command::Device { device } => device::device(cx, device.as_deref())?.reply(),
        Command::Status => table_reply(status::table(cx)),
        Command::Jobs => table_reply(jobs::table(cx)?),
        Command::Stop => Reply::text(jobs::stop(cx)?),
        Command::Watch { run } => jobs::watch(cx, run.as_deref())?,
        Command::Runs { action } => runs_action(cx, action)?,
        Command::Class { action } => class_action(cx, action)?,
    })
}

fn class_action(cx: &CommandContext, action: ClassAction) -> Result<Reply, Failure> {
    Ok(match action {
        ClassAction::Join { name, settings } => {
            Reply::text(class::join(cx, name.as_deref(), &settings)?)
        }
        ClassAction::Leave => Reply::text(class::leave(cx)?),
        ClassAction::Show { settings } => class::show(cx, &settings)?.reply(),
        ClassAction::Watch { settings } => class::watch(cx, &settings)?.reply(),
    })
}

fn chat_action(cx: &CommandContext, action: ChatAction) -> Result<Reply, Failure> {
    Ok(match action {
        ChatAction::Say { text, settings } => chat::reply(chat::say(cx, &text, &settings)?),
        ChatAction::Show => table_reply(chat::table(cx)),
        ChatAction::Reset => Reply::text(match chat::reset(cx) {
            0 => "the conversation has no messages".to_owned(),
            messages => format!("started a new conversation ({messages} messages dropped)"),
        }),
    })
}

fn runs_action(cx: &CommandContext, action: RunsAction) -> Result<Reply, Failure> {
    Ok(match action {
        RunsAction::List => table_reply(runs::table(cx)?),
        RunsAction::Show { run } => table_reply(runs::facts(cx, run.as_deref())?),
        RunsAction::Diff { one, other } => table_reply(runs::difference(cx, &one, &other)?),
        RunsAction::Plot { runs, settings } => {
            Reply::one(Block::Chart(runs::plot(cx, &runs, &settings)?))
        }
        RunsAction::Export { run, file } => Reply::text(runs::export(cx, &run, Path::new(&file))?),
        RunsAction::Use { run, settings } => runs::attach_run(cx, &run, &settings)?.reply(),
    })
}

fn adapter_action(
    cx: &CommandContext,
    method: &str,
    action: AdapterAction,
) -> Result<Reply, Failure> {
    match action {
        AdapterAction::Attach { settings } => Ok(attach::attach(cx, method, &settings)?.reply()),
        AdapterAction::Load { directory, name } => {
            Ok(load_adapter::load(cx, &directory, name.as_deref())?.reply())
        }
        AdapterAction::Combine { names, settings } => {
            Ok(combine::combine(cx, &names, &settings)?.reply())
        }
        AdapterAction::List => Ok(table_reply(adapter::table(&cx.state()))),
        AdapterAction::Use { name } => {
            let attached = cx.state().adapter(&name)?;
            adapter::choose(cx, &attached)?;
            Ok(adapter::line_about(&attached, "is in use"))
        }
        AdapterAction::Enable { on: true } => {
            Ok(adapter::line_about(&*adapter::enable(cx)?, "is enabled"))
        }
        AdapterAction::Enable { on: false } => {
            let disabled = adapter::disable(cx)?;
            Ok(adapter::line_about(&disabled, "is disabled; the base model is active"))
        }
        AdapterAction::Detach { ref name }
        | AdapterAction::Merge { ref name }
        | AdapterAction::Unmerge { ref name }
        | AdapterAction::Scale { ref name, .. }
        | AdapterAction::Save { ref name, .. } => {
            let attached = adapter::find(&cx.state(), Some(method), name.as_deref())?;
            let predicate = apply(cx, &attached, &action)?;
            Ok(adapter::line_about(&attached, &predicate))
        }
    }
}

/// Applies an action to an adapter and returns the predicate of the reply.
fn apply(
    cx: &CommandContext,
    attached: &AttachedAdapter,
    action: &AdapterAction,
) -> Result<String, Failure> {
    let verb = attached.adapter.spec().verb;
    match action {
        AdapterAction::Detach { .. } => {
            adapter::detach(cx, attached)?;
            let back = if attached.trained_steps() > 0 {
                format!("; {}", runs::reattach_hint(attached))
            } else {
                String::new()
            };
            Ok(format!("is detached{back}"))
        }
        AdapterAction::Merge { .. } => {
            adapter::merge(cx, attached)?;
            Ok(format!("is merged into the base; `%{verb} unmerge` undoes it"))
        }
        AdapterAction::Unmerge { .. } => {
            adapter::unmerge(cx, attached)?;
            Ok("is no longer merged".to_owned())
        }
        AdapterAction::Scale { factor: Some(factor), .. } => {
            adapter::set_scale(cx, attached, *factor)?;
            Ok(format!("has scale {factor}"))
        }
        AdapterAction::Save { directory, .. } => {
            adapter::save(cx, attached, directory)?;
            Ok(format!("is saved in `{directory}`: {}", files(attached.adapter.spec().peft_type)))
        }
        _ => Ok(format!("has scale {}", attached.adapter.scale())),
    }
}

/// The files of a saved adapter, and the libraries that read them.
fn files(peft_type: &str) -> &'static str {
    match peft_type {
        "ADAPTERHUB" => "adapter_config.json, adapter.safetensors (AdapterHub format)",
        "FULL" | "BITFIT" => {
            "adapter_config.json, adapter_model.safetensors (only for Graft: HF PEFT does not have \
             this method)"
        }
        _ => "adapter_config.json, adapter_model.safetensors (HF PEFT format)",
    }
}

fn table_reply(table: Table) -> Reply {
    Reply::one(Block::Table(table))
}
