use super::*;
use crate::Rng;

fn matrix(rows: usize, columns: usize) -> Tensor {
    Tensor::from_vec(
        Rng::new(3).stream("packed", "w").normal(0.0, 0.05, rows * columns),
        (rows, columns),
        &Device::Cpu,
    )
    .expect("a matrix")
}

/// Root mean squared error relative to the root mean square of the values.
fn error(quantization: Quantization) -> f64 {
    let w = matrix(96, 200);
    let packed = Packed::new(&w, quantization).expect("packs");
    let (before, after) =
        (w.flatten_all().expect("flat").to_vec1::<f32>().expect("values"), packed.unpack());
    let square = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value).powi(2)).sum::<f64>()
    };
    (square(&mut before.iter().zip(&after).map(|(a, b)| a - b))
        / square(&mut before.iter().copied()))
    .sqrt()
}

#[test]
fn the_error_is_that_of_the_number_of_bits() {
    let (nf4, double, int8) = (
        error(Quantization::Nf4 { double: false }),
        error(Quantization::Nf4 { double: true }),
        error(Quantization::Int8),
    );
    assert!((0.07..0.11).contains(&nf4), "{nf4}");
    assert!((nf4 - double).abs() < 0.002, "{double}");
    assert!((0.003..0.012).contains(&int8), "{int8}");
}

#[test]
fn bytes_are_those_of_the_paper() {
    let w = matrix(128, 256);
    let bits = |quantization| {
        Packed::new(&w, quantization).expect("packs").bytes() as f64 * 8.0 / (128.0 * 256.0)
    };
    assert_eq!(bits(Quantization::Nf4 { double: false }), 4.5);
    assert!((4.126..4.14).contains(&bits(Quantization::Nf4 { double: true })));
    assert_eq!(bits(Quantization::Int8), 8.0 + 32.0 / 256.0);
}

#[test]
fn bytes_are_known_before_anything_is_packed() {
    for quantization in [
        Quantization::Nf4 { double: true },
        Quantization::Nf4 { double: false },
        Quantization::Int8,
    ] {
        for (rows, columns) in [(1, 1), (5, 13), (129, 257)] {
            let packed = Packed::new(&matrix(rows, columns), quantization).expect("packs");
            assert_eq!(quantization.bytes((rows, columns)), packed.bytes());
        }
    }
}

#[test]
fn odd_sizes_and_rows_of_zeros_are_packed() {
    for (rows, columns) in [(1, 1), (3, 7), (5, 13), (1, 129)] {
        for quantization in [
            Quantization::Nf4 { double: true },
            Quantization::Nf4 { double: false },
            Quantization::Int8,
        ] {
            let zeros =
                Packed::new(&matrix(rows, columns).zeros_like().expect("zeros"), quantization)
                    .expect("packs");
            assert_eq!(
                zeros.unpack(),
                vec![0.0; rows * columns],
                "{rows} x {columns} {quantization:?}"
            );
            let w = matrix(rows, columns);
            let away = (Packed::new(&w, quantization).expect("packs").on_cpu() - w)
                .expect("same shape")
                .abs()
                .expect("abs");
            assert!(
                away.max_all().expect("max").to_scalar::<f32>().expect("a number") < 0.05,
                "{rows} x {columns} {quantization:?}"
            );
        }
    }
}

#[test]
fn invalid_matrices_are_refused_with_the_reason() {
    let vector = Tensor::zeros(4, DType::F32, &Device::Cpu).expect("zeros");
    assert!(
        Packed::new(&vector, Quantization::Int8)
            .expect_err("refused")
            .to_string()
            .contains("(d_out, d_in)")
    );
    let infinite = Tensor::full(f32::INFINITY, (2, 2), &Device::Cpu).expect("full");
    assert!(matches!(Packed::new(&infinite, Quantization::Int8), Err(NnError::NotFinite { .. })));
}
