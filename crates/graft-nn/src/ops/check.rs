//! Test harness: a fused operation in 32 bits against the portable one in 64 bits, against finite
//! differences, and on one thread against two.

use crate::{DType, Device, Result, Rng, Tensor, Var};

/// Largest difference, relative to the largest element of the reference.
const TOLERANCE: f64 = 2e-5;

/// Values and gradients of one run, flattened.
struct Outcome {
    value: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

/// Normally distributed values that depend on the name.
pub(super) fn normal(name: &str, dims: &[usize]) -> Tensor {
    let values = Rng::new(1).stream("test", name).normal(0.0, 1.0, dims.iter().product());
    Tensor::from_vec(values, dims, &Device::Cpu).expect("a tensor")
}

/// Checks `op` as a function of variables with these shapes.
pub(super) fn check(
    name: &str,
    shapes: &[&[usize]],
    op: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync,
) {
    let inputs: Vec<Tensor> =
        shapes.iter().enumerate().map(|(i, dims)| normal(&format!("{name} {i}"), dims)).collect();
    let exact = run(&inputs, DType::F64, &op);
    let fused = on_threads(1, || run(&inputs, DType::F32, &op));
    assert_close(name, &fused.value, &exact.value);
    for (index, (ours, reference)) in fused.gradients.iter().zip(&exact.gradients).enumerate() {
        assert_close(&format!("{name}, gradient {index}"), ours, reference);
    }
    check_differences(name, &inputs, &exact, &op);
    let two = on_threads(2, || run(&inputs, DType::F32, &op));
    assert!(
        fused.value == two.value && fused.gradients == two.gradients,
        "{name}: the number of threads changes the result"
    );
}

fn on_threads<R: Send>(count: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("threads").install(work)
}

/// The output, and the gradients of its weighted sum with fixed weights.
fn run(inputs: &[Tensor], dtype: DType, op: &dyn Fn(&[Tensor]) -> Result<Tensor>) -> Outcome {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(&t.to_dtype(dtype).expect("converts")).expect("a variable"))
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let y = op(&tensors).expect("the operation works");
    let mut store = weighted(&y).backward().expect("the backward pass works");
    let gradients = vars.iter().map(|var| flat(&store.remove(var).expect("a gradient"))).collect();
    Outcome { value: flat(&y), gradients }
}

fn weighted(y: &Tensor) -> Tensor {
    let weights = normal("weights of the output", y.dims()).to_dtype(y.dtype()).expect("converts");
    (y * weights).and_then(|product| product.sum_all()).expect("a sum")
}

fn check_differences(
    name: &str,
    inputs: &[Tensor],
    exact: &Outcome,
    op: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) {
    const STEP: f64 = 1e-5;
    let wide: Vec<Tensor> =
        inputs.iter().map(|t| t.to_dtype(DType::F64).expect("converts")).collect();
    for (index, gradient) in exact.gradients.iter().enumerate() {
        let mut places = Rng::new(2).indexed("test", name, index as u64);
        for _ in 0..4 {
            let place = places.below(gradient.len() as u64) as usize;
            let loss = |by: f64| {
                let mut moved = wide.clone();
                let mut values = flat(&moved[index]);
                values[place] += by;
                moved[index] =
                    Tensor::from_vec(values, moved[index].dims(), &Device::Cpu).expect("a tensor");
                flat(&weighted(&op(&moved).expect("the operation works")))[0]
            };
            let slope = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            let largest = gradient.iter().fold(0f64, |best, g| best.max(g.abs()));
            assert!(
                (slope - gradient[place]).abs() < 1e-6 * largest.max(1.0),
                "{name}, input {index}, element {place}: {slope} {}",
                gradient[place]
            );
        }
    }
}

/// Elements in 64 bits.
pub(super) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1()).expect("values")
}

/// Asserts that two results agree.
pub(super) fn assert_close(name: &str, ours: &[f64], reference: &[f64]) {
    assert_eq!(ours.len(), reference.len(), "{name}: number of elements");
    let largest = reference.iter().fold(0f64, |best, v| best.max(v.abs()));
    for (place, (a, b)) in ours.iter().zip(reference).enumerate() {
        assert!(
            (a - b).abs() <= TOLERANCE * largest.max(1e-3),
            "{name}, element {place}: {a} instead of {b} (largest {largest})"
        );
    }
}
