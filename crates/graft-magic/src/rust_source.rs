//! `--rust`: the Rust code that does the same as a magic.

use graft_protocol::{AdapterAction, ChatAction, ClassAction, Command, RunsAction};
use graft_spec::{AUTO, Settings, Value, methods, options, training};

/// Returns the Rust code of `command`, one statement per line.
pub fn rust_source(command: &Command) -> String {
    let background = command.is_background();
    match command {
        Command::ModelLoad { source, settings } => load_model(source, settings),
        Command::ModelResize { settings } => {
            format!("lab().resize_tokens({})?;", builder("ModelOptions", settings))
        }
        Command::ModelCard => shown("lab().model()?.card()?"),
        Command::ModelTree => shown("lab().model()?.tree()?"),
        Command::ModelSave { directory, settings } => save_model(directory, settings),
        Command::DataLoad { source, settings } => load_data(source, settings),
        Command::DataInline { name, text, settings } => data_inline(name, text, settings),
        Command::DataShow { name, rows, tokens } => {
            show_data(name.as_deref(), *rows, tokens.as_ref())
        }
        Command::DataUse { name } => format!("lab().use_data({name:?})?;"),
        Command::Adapter { method, action } => adapter(method, action),
        Command::Train { attach, settings } => train(attach.as_ref(), settings, background),
        Command::Resume { run, settings } => resume(run.as_deref(), settings, background),
        Command::Ablate { .. } | Command::Forgetting { .. } => comparison(command),
        Command::TrialStop { number } => shown(&format!("lab().stop_trial({number})?")),
        Command::TrialClone { number, keys } => format!("lab().clone_trial({number}, &{keys:?})?;"),
        Command::Eval { settings } => shown(&format!("lab().eval({})?", builder("Eval", settings))),
        Command::Check { checks } => {
            shown(&format!("lab().check({:?})?.require()?", checks.join("\n")))
        }
        Command::Generate { prompt, settings } => prompted("generate", prompt, settings),
        Command::GenerateData { settings } => {
            shown(&format!("lab().generate_data({})?", builder("GenerateData", settings)))
        }
        Command::Compare { prompt, settings } => prompted("compare", prompt, settings),
        Command::Chat { action } => chat(action),
        Command::Memory { of, settings } => memory(of.as_deref(), settings),
        Command::Params => shown("lab().model()?.parameters()?"),
        Command::Weights { module } => show_weights(module.as_deref()),
        Command::Seed { seed: None } => shown("lab().seed()"),
        Command::Seed { seed: Some(seed) } => format!("lab().set_seed({seed})?;"),
        Command::Device { device: None } => shown("lab().device_name()"),
        Command::Device { device: Some(device) } => format!("lab().set_device({device:?})?;"),
        Command::Status => shown("lab().status()?"),
        Command::Jobs => shown("lab().jobs()?"),
        Command::Stop => shown("lab().stop()?"),
        Command::Watch { run } => format!("lab().watch({})?;", option(run.as_deref())),
        Command::Runs { action } => runs(action),
        Command::Class { action } => class(action),
    }
}

/// Formats `%data show`.
fn show_data(name: Option<&str>, rows: usize, tokens: Option<&Settings>) -> String {
    let name = option(name);
    shown(&match tokens {
        None => format!("lab().show_data({name}, {rows})?"),
        Some(keys) if keys.values.is_empty() => format!("lab().show_tokens({name}, {rows})?"),
        Some(keys) => {
            format!("lab().show_tokens_with({name}, {rows}, {})?", builder("Train", keys))
        }
    })
}

/// Formats `%model load`.
fn load_model(source: &str, settings: &Settings) -> String {
    load("load_model", &[source], "ModelOptions", settings)
}

/// Formats `%model save`.
fn save_model(directory: &str, settings: &Settings) -> String {
    match settings.text(training::MODEL_SAVE, "dtype") {
        Some(dtype) if settings.values.contains_key("dtype") => {
            format!("lab().model()?.save_as({directory:?}, {dtype:?})?;")
        }
        _ => format!("lab().model()?.save({directory:?})?;"),
    }
}

/// Formats `%data` of a file or of a data set on the Hub.
fn load_data(source: &str, settings: &Settings) -> String {
    load("load_data", &[source], "DataOptions", settings)
}

/// Formats `%%data`, whose rows are in the cell.
fn data_inline(name: &str, text: &str, settings: &Settings) -> String {
    load("data_inline", &[name, text], "DataOptions", settings)
}

/// Formats `%train`, after the method that a magic such as `%lora` attaches first.
fn train(method: Option<&(String, Settings)>, settings: &Settings, background: bool) -> String {
    let attached = method.map(|(method, keys)| format!("{}\n", attach(method, keys)));
    let attached = attached.unwrap_or_default();
    let keys = foreground(settings);
    if background {
        return format!("{attached}{}", shown(&format!("lab().train_in_background({keys})?")));
    }
    format!("{attached}lab().train({keys})?;")
}

/// Formats `%resume`.
fn resume(run: Option<&str>, settings: &Settings, background: bool) -> String {
    let run = option(run);
    if background {
        let keys = foreground(settings);
        return shown(&format!("lab().resume_in_background({run}, {keys})?"));
    }
    if settings.values.is_empty() {
        return format!("lab().resume({run})?;");
    }
    format!("lab().resume_with({run}, {})?;", foreground(settings))
}

/// Formats `%ablate` and `%forgetting`.
fn comparison(command: &Command) -> String {
    if command.is_background() {
        return match command.clone().in_foreground() {
            Command::Ablate { methods, keys } => grid("ablate_in_background", &methods, &keys),
            Command::Forgetting { methods, keys } => {
                grid("forgetting_in_background", &methods, &keys)
            }
            _ => String::new(),
        };
    }
    match command {
        Command::Ablate { methods, keys } => grid("ablate", methods, keys),
        Command::Forgetting { methods, keys } => grid("forgetting", methods, keys),
        _ => String::new(),
    }
}

/// Formats a magic that generates text from a prompt.
fn prompted(function: &str, prompt: &str, settings: &Settings) -> String {
    shown(&format!("lab().{function}({prompt:?}, {})?", builder("Generate", settings)))
}

/// Formats `%chat`.
fn chat(action: &ChatAction) -> String {
    match action {
        ChatAction::Say { text, settings } => {
            shown(&format!("lab().chat({text:?}, {})?", builder("Chat", settings)))
        }
        ChatAction::Show => shown("lab().conversation()?"),
        ChatAction::Reset => "lab().reset_chat()?;".to_owned(),
    }
}

/// Formats `%memory`.
fn memory(of: Option<&str>, settings: &Settings) -> String {
    shown(&format!("lab().memory({}, {})?", option(of), builder("MemoryOptions", settings)))
}

/// Formats `%weights`.
fn show_weights(module: Option<&str>) -> String {
    format!("lab().show_weights({})?;", option(module))
}

/// Returns the builder of `%train` without `bg`, which selects the method of `Lab`.
fn foreground(settings: &Settings) -> String {
    let mut settings = settings.clone();
    settings.values.remove("bg");
    builder("Train", &settings)
}

fn grid(verb: &str, methods: &[String], keys: &[(String, String)]) -> String {
    let keys: String =
        keys.iter().map(|(key, value)| format!(".key({key:?}, {value:?})")).collect();
    // An empty list needs a type.
    let names = if methods.is_empty() { "[\"\"; 0]".to_owned() } else { format!("{methods:?}") };
    shown(&format!("lab().{verb}(Ablate::of({names}){keys})?"))
}

fn runs(action: &RunsAction) -> String {
    match action {
        RunsAction::List => shown("lab().run_table()?"),
        RunsAction::Show { run } => shown(&format!("lab().run_facts({})?", option(run.as_deref()))),
        RunsAction::Diff { one, other } => {
            shown(&format!("lab().compare_runs({one:?}, {other:?})?"))
        }
        RunsAction::Plot { runs, settings } => {
            shown(&format!("lab().plot_runs(&{runs:?}, {})?", builder("Plot", settings)))
        }
        RunsAction::Use { run, settings } => {
            format!("lab().runs().adapter({run:?}, {})?;", builder("RunWeights", settings))
        }
        RunsAction::Export { run, file } => format!("lab().export_run({run:?}, {file:?})?;"),
    }
}

fn class(action: &ClassAction) -> String {
    match action {
        ClassAction::Join { name, settings } => format!(
            "lab().join_class({}, {})?;",
            option(name.as_deref()),
            builder("ClassJoin", settings)
        ),
        ClassAction::Leave => "lab().leave_class()?;".to_owned(),
        ClassAction::Show { settings } => {
            shown(&format!("lab().class({})?", builder("ClassView", settings)))
        }
        ClassAction::Watch { settings } => {
            format!("lab().watch_class({})?;", builder("ClassView", settings))
        }
    }
}

fn adapter(method: &str, action: &AdapterAction) -> String {
    match action {
        AdapterAction::Attach { settings } => attach(method, settings),
        AdapterAction::Detach { name } => format!("{}.detach()?;", handle(name.as_deref())),
        AdapterAction::Merge { name } => format!("{}.merge()?;", handle(name.as_deref())),
        AdapterAction::Unmerge { name } => format!("{}.unmerge()?;", handle(name.as_deref())),
        AdapterAction::Scale { name, factor: Some(factor) } => {
            format!("{}.set_scale({factor:?})?;", handle(name.as_deref()))
        }
        AdapterAction::Scale { name, factor: None } => {
            shown(&format!("{}.scale()", handle(name.as_deref())))
        }
        AdapterAction::Save { name, directory } => {
            format!("{}.save({directory:?})?;", handle(name.as_deref()))
        }
        AdapterAction::Load { directory, name: None } => {
            format!("lab().model()?.load_adapter({directory:?})?;")
        }
        AdapterAction::Load { directory, name: Some(name) } => {
            format!("lab().model()?.load_adapter_as({directory:?}, {name:?})?;")
        }
        AdapterAction::Combine { names, settings } => {
            format!("lab().model()?.combine({names:?}, {})?;", builder("Combine", settings))
        }
        AdapterAction::List => shown("lab().model()?.adapter_table()?"),
        AdapterAction::Use { name } => format!("lab().model()?.adapter({name:?})?.activate()?;"),
        AdapterAction::Enable { on: true } => "lab().model()?.enable_adapters()?;".to_owned(),
        AdapterAction::Enable { on: false } => "lab().model()?.disable_adapters()?;".to_owned(),
    }
}

fn attach(method: &str, settings: &Settings) -> String {
    let name = methods::by_verb(method).map_or(method, |spec| spec.builder);
    format!("lab().model()?.attach({})?;", builder(name, settings))
}

fn handle(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("lab().model()?.adapter({name:?})?"),
        None => "lab().model()?.active_adapter()?".to_owned(),
    }
}

/// Formats `lab().f("a")?;`, or `lab().f_with("a", Options::new().key(value))?;` if keys are given.
fn load(function: &str, texts: &[&str], options: &str, settings: &Settings) -> String {
    let texts: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
    if settings.values.is_empty() {
        return format!("lab().{function}({})?;", texts.join(", "));
    }
    format!("lab().{function}_with({}, {})?;", texts.join(", "), builder(options, settings))
}

/// Formats a builder such as `Lora::new().r(8).lora_alpha(16.0)`; it has one setter per key with
/// the name of the key.
fn builder(name: &str, settings: &Settings) -> String {
    let keys = options::keys_of(name).unwrap_or_default();
    let setters = settings.values.iter().map(|(key, value)| {
        let is_auto = *value == Value::Text(AUTO.to_owned())
            && keys.iter().any(|spec| spec.name == key && spec.takes_auto());
        let is_file = matches!(value, Value::Text(_))
            && keys.iter().any(|spec| spec.name == key && spec.takes_path());
        match (is_auto, is_file) {
            (true, _) => format!(".{key}_auto()"),
            (_, true) => format!(".{key}_file({})", literal(value)),
            _ => format!(".{key}({})", literal(value)),
        }
    });
    format!("{name}::new(){}", setters.collect::<String>())
}

fn literal(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(value) => format!("{value:?}"),
        Value::List(values) => format!("{values:?}"),
    }
}

fn option(text: Option<&str>) -> String {
    text.map_or_else(|| "None".to_owned(), |text| format!("Some({text:?})"))
}

fn shown(expression: &str) -> String {
    format!("println!(\"{{}}\", {expression});")
}

#[cfg(test)]
mod tests;
