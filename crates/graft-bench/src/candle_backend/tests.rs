use super::*;
use crate::backend::model;
use crate::workload::{Shape, Work};
use graft_nn::{Context, Rng, gradients};

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
}

#[test]
fn our_loss_and_every_gradient_are_those_of_candle_backend() {
    let scene = Scene::new(Shape::Tiny, Work::Lora);
    let (model, adapter) = model(&scene).expect("a model");
    let trainables = adapter.trainables();
    // B is zero when it is attached, and a zero B would hide A.
    for trainable in &trainables {
        let values = Rng::new(3).stream("test", &trainable.name).normal(
            0.0,
            0.05,
            trainable.var.elem_count(),
        );
        trainable
            .var
            .set(&Tensor::from_vec(values, trainable.var.shape(), &Device::Cpu).expect("a tensor"))
            .expect("fits");
    }
    let batch = scene.batch();
    let labels = graft_train::loss::label_count(&*model, &batch) as f64;
    let ours = graft_train::loss::loss(&*model, &batch, &Context::train(1, 1, 0), labels)
        .expect("our loss");
    let plain = PlainLlama::of(&*model, &trainables, &scene)
        .and_then(|plain| Ok(plain.loss(&batch.ids_tensor(&Device::Cpu)?)?))
        .expect("candle's loss");
    let a = flat(&ours)[0];
    let b = flat(&plain)[0];
    assert!((a - b).abs() < 1e-4, "{a} instead of {b}");
    let pairs = gradients(&ours, &trainables)
        .expect("our gradients")
        .into_iter()
        .zip(gradients(&plain, &trainables).expect("candle's gradients"));
    for (trainable, (ours, plain)) in trainables.iter().zip(pairs) {
        let ours = flat(&ours);
        let plain = flat(&plain);
        let largest = plain.iter().fold(0f32, |best, value| best.max(value.abs()));
        assert!(largest > 0.0, "{} has a gradient", trainable.name);
        let worst = ours.iter().zip(&plain).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 1e-3 * largest, "{}: off by {worst} of {largest}", trainable.name);
    }
}
