//! The one interpreter: a command becomes a verb, its result becomes blocks.

use std::path::Path;

use graft_protocol::{AdapterAction, Block, Command, Reply, RunsAction, Table};
use graft_spec::Failure;

use crate::{
    CommandContext,
    state::Attached,
    verbs::{
        ablate, adapter, attach, combine, compare, data, device, eval, forgetting, generate, jobs,
        load_adapter, memory, model, params, resume, runs, seed, status, train, tree, trial,
        weights,
    },
};

/// What a job of this command is called while it runs.
pub(crate) fn label(command: &Command) -> String {
    match command {
        Command::ModelLoad { source, .. } => format!("loading the model {source}"),
        Command::ModelSave { directory, .. } => format!("saving the model in {directory}"),
        Command::DataLoad { source, .. } => format!("loading the data {source}"),
        Command::DataInline { name, .. } => format!("reading the data {name}"),
        Command::Train { .. } => "training".to_owned(),
        Command::Resume { .. } => "resuming a training".to_owned(),
        Command::Ablate { .. } => "comparing configurations".to_owned(),
        Command::Forgetting { .. } => "measuring what is forgotten".to_owned(),
        Command::Eval { .. } => "evaluating".to_owned(),
        Command::Generate { .. } => "generating".to_owned(),
        Command::Compare { .. } => "comparing".to_owned(),
        Command::TrialStop { .. } | Command::TrialClone { .. } => {
            "changing a comparison".to_owned()
        }
        Command::Weights { .. } => "looking at the weights".to_owned(),
        Command::Adapter { method, .. } => format!("changing a {method} adapter"),
        Command::Device { .. } => "changing the device".to_owned(),
        Command::ModelCard
        | Command::ModelTree
        | Command::DataShow { .. }
        | Command::DataUse { .. } => "reading".to_owned(),
        Command::Watch { .. } => "watching".to_owned(),
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
pub(crate) fn interpret(desk: &CommandContext, command: Command) -> Result<Reply, Failure> {
    Ok(match command {
        Command::ModelLoad { source, settings } => model::load(desk, &source, &settings)?.reply(),
        Command::ModelCard => model::card(desk)?.reply(),
        Command::ModelSave { directory, settings } => {
            Reply::text(model::save(desk, &directory, &settings)?)
        }
        Command::ModelTree => tree::reply(tree::tree(desk)?),
        Command::DataLoad { source, settings } => {
            data::reply(&*data::load(desk, &source, &settings)?)
        }
        Command::DataInline { name, text, settings } => {
            data::reply(&*data::inline(desk, &name, &text, &settings)?)
        }
        Command::DataShow { name, rows } => shown(data::show(desk, name.as_deref(), rows)?),
        Command::DataUse { name } => data::reply(&*data::choose(desk, &name)?),
        Command::Adapter { method, action } => act(desk, &method, action)?,
        Command::Train { attach, settings } => {
            train::reply(train::train(desk, attach.as_ref(), &settings)?)
        }
        Command::Resume { run, settings } => {
            train::reply(resume::resume(desk, run.as_deref(), &settings)?)
        }
        Command::Ablate { methods, keys } => ablate::ablate(desk, &methods, &keys)?.reply(),
        Command::Forgetting { methods, keys } => {
            forgetting::forgetting(desk, &methods, &keys)?.reply()
        }
        Command::TrialStop { number } => Reply::text(trial::stop(desk, number)?),
        Command::TrialClone { number, keys } => trial::clone(desk, number, &keys)?,
        Command::Eval { settings } => shown(eval::eval(desk, &settings)?.table()),
        Command::Generate { prompt, settings } => {
            generate::reply(generate::generate(desk, &prompt, &settings)?)
        }
        Command::Compare { prompt, settings } => {
            compare::compare(desk, &prompt, &settings)?.reply()
        }
        Command::Memory { of, settings } => shown(memory::table(desk, of.as_deref(), &settings)?),
        Command::Weights { module } => weights::weights(desk, module.as_deref())?,
        Command::Params => shown(params::table(desk)?),
        Command::Seed { seed } => seed::reply(seed::seed(desk, seed)?),
        Command::Device { device } => device::device(desk, device.as_deref())?.reply(),
        Command::Status => shown(status::table(desk)),
        Command::Jobs => shown(jobs::table(desk)?),
        Command::Stop => Reply::text(jobs::stop(desk)?),
        Command::Watch { run } => jobs::watch(desk, run.as_deref())?,
        Command::Runs { action } => match action {
            RunsAction::List => shown(runs::table(desk)?),
            RunsAction::Show { run } => shown(runs::facts(desk, run.as_deref())?),
            RunsAction::Diff { one, other } => shown(runs::difference(desk, &one, &other)?),
            RunsAction::Plot { runs, settings } => {
                Reply::one(Block::Chart(runs::plot(desk, &runs, &settings)?))
            }
            RunsAction::Export { run, file } => {
                Reply::text(runs::export(desk, &run, Path::new(&file))?)
            }
            RunsAction::Use { run, settings } => runs::attach_run(desk, &run, &settings)?.reply(),
        },
    })
}

fn act(desk: &CommandContext, method: &str, action: AdapterAction) -> Result<Reply, Failure> {
    match action {
        AdapterAction::Attach { settings } => Ok(attach::attach(desk, method, &settings)?.reply()),
        AdapterAction::Load { directory, name } => {
            Ok(load_adapter::load(desk, &directory, name.as_deref())?.reply())
        }
        AdapterAction::Combine { names, settings } => {
            Ok(combine::combine(desk, &names, &settings)?.reply())
        }
        AdapterAction::List => Ok(shown(adapter::table(&desk.state()))),
        AdapterAction::Use { name } => {
            let attached = desk.state().adapter(&name)?;
            adapter::choose(desk, &attached)?;
            Ok(adapter::said(&attached, "is in use"))
        }
        AdapterAction::Enable { on } => {
            let attached = adapter::enable(desk, on)?;
            Ok(adapter::said(
                &attached,
                if on { "acts again" } else { "is switched off: the model is its base" },
            ))
        }
        AdapterAction::Detach { ref name }
        | AdapterAction::Merge { ref name }
        | AdapterAction::Unmerge { ref name }
        | AdapterAction::Scale { ref name, .. }
        | AdapterAction::Save { ref name, .. } => {
            let attached = adapter::find(&desk.state(), Some(method), name.as_deref())?;
            let said = act_on(desk, &attached, &action)?;
            Ok(adapter::said(&attached, &said))
        }
    }
}

/// Does something to one adapter and says what became of it.
fn act_on(
    desk: &CommandContext,
    attached: &Attached,
    action: &AdapterAction,
) -> Result<String, Failure> {
    let verb = attached.adapter.spec().verb;
    match action {
        AdapterAction::Detach { .. } => {
            adapter::detach(desk, attached)?;
            let back = if attached.trained_steps() > 0 {
                format!("; {}", runs::way_back(attached))
            } else {
                String::new()
            };
            Ok(format!("is detached: the model is as it was without it{back}"))
        }
        AdapterAction::Merge { .. } => {
            adapter::merge(desk, attached)?;
            Ok(format!("is merged into the base; `%{verb} unmerge` takes it back"))
        }
        AdapterAction::Unmerge { .. } => {
            adapter::unmerge(desk, attached)?;
            Ok("is no longer merged: base and adapter are apart again".to_owned())
        }
        AdapterAction::Scale { factor: Some(factor), .. } => {
            adapter::set_scale(desk, attached, *factor)?;
            Ok(format!("acts with factor {factor}"))
        }
        AdapterAction::Save { directory, .. } => {
            adapter::save(desk, attached, directory)?;
            Ok(format!("is saved in `{directory}`: {}", files(attached.adapter.spec().peft_type)))
        }
        _ => Ok(format!("acts with factor {}", attached.adapter.scale())),
    }
}

/// What an adapter is saved as, and who reads it.
fn files(peft_type: &str) -> &'static str {
    match peft_type {
        "ADAPTERHUB" => "adapter_config.json, adapter.safetensors, as AdapterHub reads them",
        "FULL" | "BITFIT" => {
            "adapter_config.json, adapter_model.safetensors, which Graft reads; HF PEFT has no such method"
        }
        _ => "adapter_config.json, adapter_model.safetensors, as HF PEFT reads them",
    }
}

fn shown(table: Table) -> Reply {
    Reply::one(Block::Table(table))
}
