use candle_core::{D, DType};
use graft_protocol::{AdapterAction, Block, Command, Event};
use graft_spec::Settings;

use super::host::{Host, train};
use crate::{Eval, Generate, Lora, Table, Train};

/// The bounds of a type that a cell can store in a variable.
fn can_be_stored<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}

#[test]
fn every_handle_can_be_stored_in_a_variable_of_a_cell() {
    can_be_stored::<crate::Lab>();
    can_be_stored::<crate::Model>();
    can_be_stored::<crate::Adapter>();
    can_be_stored::<crate::Data>();
    can_be_stored::<crate::Run>();
    can_be_stored::<crate::Evaluation>();
    can_be_stored::<crate::Generated>();
    can_be_stored::<crate::Comparison>();
    can_be_stored::<crate::Table>();
    can_be_stored::<crate::Chart>();
    can_be_stored::<crate::Tokenizer>();
    can_be_stored::<crate::DisplayHandle>();
    can_be_stored::<crate::Error>();
}

#[test]
fn a_cell_and_the_magics_use_the_same_adapter() {
    let mut host = Host::attached();
    let lab = host.lab();
    let model = lab.model().unwrap();
    assert_eq!(model.trainable_parameters(), host.snapshot.adapters[0].trainable);
    host.run(train(30)).unwrap();
    let text = |host: &mut Host| {
        let Some(Block::Generated { text, .. }) = host
            .run(Command::Generate { prompt: "the sky".to_owned(), settings: Settings::default() })
            .unwrap()
            .blocks
            .pop()
        else {
            panic!("no text")
        };
        text
    };
    let adapter = model.active_adapter().unwrap();
    let tuned = text(&mut host);
    adapter.set_scale(0.0).unwrap();
    let without_effect = text(&mut host);
    assert_ne!(tuned, without_effect);
    host.run(Command::Adapter {
        method: "lora".to_owned(),
        action: AdapterAction::Scale { name: None, factor: Some(1.0) },
    })
    .unwrap();
    assert_eq!((adapter.scale(), text(&mut host)), (1.0, tuned));
}

#[test]
fn a_cell_can_load_train_evaluate_save_and_load_again() {
    let host = Host::new();
    let lab = host.lab();
    let model = lab.load_model(&host.folder.path().join("model").display().to_string()).unwrap();
    lab.data_inline("colors", &super::tiny::colors()).unwrap();
    let adapter = model
        .attach(Lora::new().r(4).lora_alpha(8.0).target_modules(["q_proj", "v_proj"]))
        .unwrap();
    assert_eq!((adapter.name(), adapter.trainable_parameters()), ("default", 512));
    let run = lab.train(Train::new().steps(20).lr(0.05).eval_every(0)).unwrap();
    let losses = run.losses().unwrap();
    assert!(run.is_finished() && losses.len() == 20 && losses[19] < losses[0]);
    let scores = lab.eval(Eval::new().split("test")).unwrap();
    assert!(scores.adapter().unwrap().loss < scores.base().unwrap().loss);
    assert!(scores.to_string().contains("majority class"));
    let folder = host.folder.path().join("saved").display().to_string();
    adapter.save(&folder).unwrap();
    adapter.detach().unwrap();
    assert_eq!(adapter.set_scale(1.0).unwrap_err().code(), "graft::detached");
    let again = model.load_adapter(&folder).unwrap();
    let generated = lab.generate("the sky", Generate::new().max_new_tokens(8)).unwrap();
    assert_eq!(generated.to_string(), format!("the sky{}", generated.text()));
    let a = again.tensor("layers.0.self_attn.q_proj.lora_A.weight").unwrap();
    assert_eq!(a.dims(), [4, 16]);
}

#[test]
fn logits_carry_gradients_to_the_adapter() {
    let host = Host::attached();
    let model = host.lab().model().unwrap();
    let ids = model.tokenizer().unwrap().tensor("the sky is").unwrap();
    let logits = model.logits(&ids).unwrap();
    assert_eq!(logits.dims(), [10, 258]);
    let loss = logits.sqr().unwrap().sum(D::Minus1).unwrap().mean_all().unwrap();
    assert_eq!(loss.dtype(), DType::F32);
    let gradients = loss.backward().unwrap();
    for (name, var) in model.active_adapter().unwrap().variables() {
        let gradient = gradients.get(&var).unwrap_or_else(|| panic!("no gradient reached {name}"));
        let size = gradient.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        // B is zero initially, so the gradient of A is zero.
        assert_eq!(size > 0.0, name.contains("lora_B"), "{name}: {size}");
    }
}

#[test]
fn displays_of_a_cell_reach_the_host_without_a_request() {
    let mut host = Host::new();
    let lab = host.lab();
    let mut table = Table::new("scores", &["name", "#loss"]);
    table.row(&["base", "1.5"]);
    lab.display(&table);
    let handle = lab.display_html("<b>one</b>");
    handle.update(&crate::Html("<b>two</b>".to_owned()));
    host.run(Command::Seed { seed: None }).unwrap();
    let [
        (None, Event::Named { block: Block::Table(shown), update: false, .. }),
        (None, Event::Display(first)),
        (None, Event::Display(second)),
    ] = host.events.as_slice()
    else {
        panic!("{:?}", host.events)
    };
    assert_eq!(shown.title, "scores");
    assert_eq!((first.display_id.as_deref(), first.update), (Some(handle.id()), false));
    assert_eq!(
        (second.display_id.as_deref(), second.update, second.data["text/html"].as_str()),
        (Some(handle.id()), true, "<b>two</b>")
    );
}

#[test]
fn a_handle_of_a_replaced_model_refuses_to_attach() {
    let host = Host::attached();
    let lab = host.lab();
    let old = lab.model().unwrap();
    lab.load_model(&host.folder.path().join("model").display().to_string()).unwrap();
    assert_eq!(old.attach(Lora::new()).unwrap_err().code(), "graft::replaced");
    old.logits(&old.tokenizer().unwrap().tensor("abc").unwrap()).unwrap();
}
