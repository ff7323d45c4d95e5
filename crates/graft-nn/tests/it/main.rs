//! Integration of the layers: a small model trains, caches, swaps adapters, and is bit-identical on
//! one thread and on two.

mod tiny;

use std::sync::Arc;

use graft_nn::{
    Context, Device, KvCache, Model, ModelShape, Result, SoftPrompt, Tensor, Trainable, Var,
    gradients,
};
use tiny::{Tiny, small_shape};

/// A soft prompt.
struct Prompt(Var);

impl SoftPrompt for Prompt {
    fn embeddings(&self, _cx: &Context) -> Result<Tensor> {
        Ok(self.0.as_tensor().clone())
    }

    fn len(&self) -> usize {
        self.0.dims()[0]
    }
}

fn model() -> Tiny {
    Tiny::new(small_shape()).expect("a model")
}

fn ids() -> Tensor {
    let numbers: Vec<u32> = (0..22).map(|i| (i * i * 7 + i * 3) % 31).collect();
    Tensor::from_vec(numbers, (2, 11), &Device::Cpu).expect("ids")
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values")
}

fn loss(model: &Tiny, cx: &Context) -> f64 {
    f64::from(flat(&model.loss(&ids(), cx).expect("a loss"))[0])
}

/// Asserts that every gradient exists, is finite and not zero, and that together they predict
/// how the loss changes.
fn check_gradients(model: &Tiny, trainables: &[Trainable], cx: &Context) {
    let found =
        gradients(&model.loss(&ids(), cx).expect("a loss"), trainables).expect("every gradient");
    let mut slope = 0.0;
    for (parameter, gradient) in trainables.iter().zip(&found) {
        let values = flat(gradient);
        assert!(
            values.iter().all(|g| g.is_finite()) && values.iter().any(|g| *g != 0.0),
            "{}",
            parameter.name
        );
        slope += values.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
    }
    let step = |by: f64| {
        for (parameter, gradient) in trainables.iter().zip(&found) {
            let moved =
                (parameter.var.as_tensor() + (gradient * by).expect("a step")).expect("a step");
            parameter.var.set(&moved.detach()).expect("sets");
        }
    };
    let by = 2e-3 / slope;
    step(by);
    let above = loss(model, cx);
    step(-2.0 * by);
    let measured = (above - loss(model, cx)) / (2.0 * by);
    step(by);
    assert!((measured / slope - 1.0).abs() < 0.02, "measured {measured}, computed {slope}");
}

#[test]
fn every_low_rank_matrix_of_every_layer_gets_its_gradient() {
    let model = model();
    let trainables = model.attach("a", 3, 0.0).expect("attaches");
    assert_eq!(trainables.len(), 2 * 7 * 2);
    check_gradients(&model, &trainables, &Context::eval());
}

#[test]
fn dropout_is_the_same_in_both_passes() {
    let model = model();
    let trainables = model.attach("a", 3, 0.3).expect("attaches");
    check_gradients(&model, &trainables, &Context::train(1, 2, 3));
    assert_ne!(loss(&model, &Context::train(1, 2, 3)), loss(&model, &Context::train(1, 2, 4)));
    assert_eq!(loss(&model, &Context::train(1, 2, 3)), loss(&model, &Context::train(1, 2, 3)));
}

#[test]
fn full_fine_tuning_reaches_every_weight_once() {
    for tied in [false, true] {
        let model = Tiny::new(ModelShape { tied, ..small_shape() }).expect("a model");
        let parameters = model.parameters();
        let trainables: Vec<_> = parameters
            .iter()
            .map(|p| Trainable::new(p.path(), p.train().expect("trains")))
            .collect();
        assert_eq!(trainables.len(), 2 + 2 * 9 + usize::from(!tied));
        check_gradients(&model, &trainables, &Context::eval());
    }
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    let model = model();
    let trainables = model.attach("a", 3, 0.2).expect("attaches");
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let loss = model.loss(&ids(), &Context::train(5, 0, 0)).expect("a loss");
            gradients(&loss, &trainables)
                .expect("gradients")
                .iter()
                .flat_map(flat)
                .chain(flat(&loss))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn token_by_token_with_a_cache_equals_all_at_once() {
    let model = model();
    let whole = flat(
        &model
            .logits(&ids(), None, &Context::eval())
            .and_then(|l| Ok(l.narrow(1, 10, 1)?))
            .expect("logits"),
    );
    let cx = Context::eval().with_cache(Arc::new(KvCache::new(2)));
    let mut last = Vec::new();
    for (start, count) in [(0, 5), (5, 1), (6, 4), (10, 1)] {
        let part = ids().narrow(1, start, count).expect("a part");
        last = flat(
            &model
                .logits(&part, None, &cx)
                .and_then(|l| Ok(l.narrow(1, count - 1, 1)?))
                .expect("logits"),
        );
    }
    assert_eq!(cx.offset(), 11);
    assert!(whole.iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[test]
fn adapters_are_swapped_summed_and_removed_without_a_trace() {
    let model = model();
    let logits = || flat(&model.logits(&ids(), None, &Context::eval()).expect("logits"));
    let activate =
        |names: &[&str]| model.linears().iter().for_each(|linear| linear.slot().set_active(names));
    let base = logits();
    model.attach("a", 3, 0.0).expect("attaches");
    let first = logits();
    model.attach("b", 2, 0.0).expect("attaches");
    let second = logits();
    assert!(base != first && first != second);
    activate(&["a", "b"]);
    let x = Tensor::from_vec(vec![0.5f32; 24], (1, 24), &Device::Cpu).expect("x");
    let layer = model.linears()[0];
    let sum = flat(&layer.forward(&x, &Context::eval()).expect("works"));
    let delta = |name| {
        layer
            .slot()
            .get(name)
            .expect("an adapter")
            .delta(layer)
            .expect("works")
            .expect("a change of the weight")
    };
    let merged = (layer.weight().tensor() + delta("a"))
        .and_then(|w| w + delta("b"))
        .and_then(|w| x.matmul(&w.t()?))
        .expect("works");
    assert!(sum.iter().zip(flat(&merged)).all(|(a, b)| (a - b).abs() < 1e-5));
    activate(&["a"]);
    assert_eq!(logits(), first);
    model.linears().iter().for_each(|linear| drop(linear.slot().remove("a")));
    assert_eq!(logits(), base);
}

#[test]
fn a_soft_prompt_precedes_and_lengthens_the_text_and_is_trained() {
    let model = model();
    let prompt =
        Var::from_tensor(&Tensor::ones((3, 24), graft_nn::DType::F32, &Device::Cpu).expect("ones"))
            .expect("a variable");
    model.embedding().prompt().insert("p", Arc::new(Prompt(prompt.clone())));
    model.embedding().prompt().set_active(&["p"]);
    let hidden = model.hidden(&ids(), None, &Context::eval()).expect("works");
    assert_eq!((hidden.states.dims(), hidden.virtual_tokens), (&[2, 14, 24][..], 3));
    let loss = hidden.states.narrow(1, 5, 9).and_then(|s| s.sqr()?.sum_all()).expect("a loss");
    let gradient = gradients(&loss, &[Trainable::new("prompt", prompt)]).expect("a gradient");
    assert!(flat(&gradient[0]).iter().all(|g| *g != 0.0));

    let cx = Context::eval().with_cache(Arc::new(KvCache::new(2)));
    let first = model.hidden(&ids(), None, &cx).expect("works");
    let second = model.hidden(&ids().narrow(1, 0, 1).expect("a part"), None, &cx).expect("works");
    assert_eq!(
        (first.virtual_tokens, second.virtual_tokens, second.states.dims()),
        (3, 0, &[2, 1, 24][..])
    );
}

#[test]
fn errors_name_the_layer() {
    let error = model()
        .logits(&Tensor::new(&[[99u32]], &Device::Cpu).expect("ids"), None, &Context::eval())
        .expect_err("outside");
    assert_eq!(error.to_string(), "in model.embed_tokens");
}
