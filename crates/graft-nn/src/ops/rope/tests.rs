use super::super::check::{assert_close, check, flat, normal};
use super::*;
use crate::Sequences;

fn spec(scaling: RopeScaling) -> RopeSpec {
    RopeSpec { head_dim: 6, theta: 10_000.0, scaling, positions: 40 }
}

fn table() -> RopeTable {
    RopeTable::new(&spec(RopeScaling::Default), &Device::Cpu).expect("a table")
}

#[test]
fn it_rotates_each_head_by_its_position() {
    let table = table();
    check("rope", &[&[2, 5, 18]], |x| rope(&x[0], &table, 0, 3));
    check("rope after a cache", &[&[2, 5, 12]], |x| rope(&x[0], &table, 17, 2));
}

#[test]
fn a_head_wider_than_the_rotated_part_keeps_its_end() {
    let table = table();
    check("partial rope", &[&[2, 5, 20]], |x| rope(&x[0], &table, 3, 2));
    let x = normal("x", &[1, 2, 20]);
    let end = |t: &Tensor| flat(&t.narrow(2, 6, 4).expect("a part"));
    assert_eq!(end(&rope(&x, &table, 3, 2).expect("works")), end(&x));
}

#[test]
fn a_later_position_is_the_same_as_an_offset() {
    let (table, x) = (table(), normal("x", &[1, 9, 12]));
    let whole = rope(&x, &table, 0, 2).expect("works").narrow(1, 4, 5).expect("a part");
    let part = rope(&x.narrow(1, 4, 5).expect("a part"), &table, 4, 2).expect("works");
    assert_close("offset", &flat(&part), &flat(&whole));
}

#[test]
fn packed_sequences_begin_at_position_zero_each() {
    let (table, sequences) = (table(), Sequences::new(&[3, 1, 5]));
    check("packed rope", &[&[1, 9, 12]], |x| {
        rope(&x[0], &table, Positions::Restarting(sequences.clone()), 2)
    });
    let x = normal("x", &[1, 9, 12]);
    let packed = rope(&x, &table, Positions::Restarting(sequences.clone()), 2).expect("works");
    for range in sequences.ranges() {
        let part = |t: &Tensor| t.narrow(1, range.start, range.len()).expect("a part");
        assert_close(
            "packed",
            &flat(&part(&packed)),
            &flat(&rope(&part(&x), &table, 0, 2).expect("works")),
        );
    }
}

#[test]
fn a_rope_table_allocates_only_the_positions_in_use() {
    let spec = |positions| RopeSpec { positions, ..spec(RopeScaling::Default) };
    let (long, short) = (
        RopeTable::new(&spec(1 << 31), &Device::Cpu).expect("a table"),
        RopeTable::new(&spec(700), &Device::Cpu).expect("a table"),
    );
    let x = normal("x", &[1, 300, 12]);
    let turn = |table: &RopeTable, from: usize| flat(&rope(&x, table, from, 2).expect("works"));
    for from in [0, 400] {
        assert_eq!(turn(&long, from), turn(&short, from));
    }
    assert_eq!(
        long.angles.lock().expect("a lock").as_ref().map(|angles| angles.positions),
        Some(1024)
    );
    assert!(rope(&x, &short, 401, 2).is_err());
}

#[test]
fn scores_depend_on_the_distance_only() {
    let (table, q, k) = (table(), normal("q", &[1, 1, 6]), normal("k", &[1, 1, 6]));
    let turn = |x: &Tensor, position| rope(x, &table, position, 1).expect("works");
    let score = |at: usize| {
        (turn(&q, at + 7) * turn(&k, at))
            .and_then(|p| p.sum_all())
            .map(|s| flat(&s)[0])
            .expect("a score")
    };
    assert!((score(0) - score(30)).abs() < 1e-4);
}

#[test]
fn llama_3_keeps_high_frequencies_divides_low_ones_and_blends_between() {
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 8192.0,
    };
    let spec =
        |scaling| RopeSpec { head_dim: 64, theta: 500_000.0, scaling, positions: 1 }.frequencies(1);
    let (plain, scaled) = (spec(RopeScaling::Default), spec(scaling));
    // The planes whose frequencies transformers 4.57 keeps, interpolates and divides for Llama
    // 3.2 1B.
    assert_eq!(plain[..15], scaled[..15]);
    assert!((15..18).all(|i| scaled[i] < plain[i] && scaled[i] > plain[i] / 32.0));
    assert!((18..32).all(|i| scaled[i] == plain[i] / 32.0));
}

#[test]
fn yarn_and_dynamic_scaling_have_the_frequencies_of_transformers() {
    let spec = |scaling| RopeSpec { head_dim: 16, theta: 10_000.0, scaling, positions: 256 };
    let far = |found: Vec<f64>, expected: [f64; 8]| {
        found.iter().zip(expected).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max)
    };
    let yarn = spec(RopeScaling::Yarn(Yarn {
        factor: 4.0,
        original_max_positions: 64.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        truncate: true,
        attention_factor: 1.25,
    }));
    // `_compute_yarn_parameters` in 64 bits.
    let expected = [
        1.000000000000e+00,
        2.371708245126e-01,
        5.000000000000e-02,
        7.905694150421e-03,
        2.500000000000e-03,
        7.905694150421e-04,
        2.500000000000e-04,
        7.905694150421e-05,
    ];
    assert!(far(yarn.frequencies(1), expected) < 1e-9, "{:?}", yarn.frequencies(1));
    let dynamic = spec(RopeScaling::Dynamic { factor: 4.0, original_max_positions: 64.0 });
    // `_compute_dynamic_ntk_parameters` for 160 tokens.
    let expected = [
        1.000000000000e+00,
        2.394813560060e-01,
        5.735131987446e-02,
        1.373457185227e-02,
        3.289173891343e-03,
        7.876958236383e-04,
        1.886384639652e-04,
        4.517539514526e-05,
    ];
    assert!(far(dynamic.frequencies(160), expected) < 1e-9, "{:?}", dynamic.frequencies(160));
    assert_eq!(dynamic.frequencies(64), spec(RopeScaling::Default).frequencies(64));
}

#[test]
fn the_attention_factor_multiplies_both_cosine_and_sine() {
    let with_factor = |attention_factor| {
        let scaling = RopeScaling::LongRope(Arc::new(LongRope {
            short_factor: vec![1.0; 3],
            long_factor: vec![2.0, 3.0, 4.0],
            original_max_positions: 8.0,
            attention_factor,
        }));
        RopeTable::new(&spec(scaling), &Device::Cpu).expect("a table")
    };
    let x = normal("x", &[1, 5, 12]);
    let larger = flat(&rope(&x, &with_factor(1.5), 0, 2).expect("works"));
    let plain = flat(&(rope(&x, &table(), 0, 2).expect("works") * 1.5).expect("a product"));
    assert_close("attention factor", &larger, &plain);
    check("longrope", &[&[1, 12, 12]], |x| rope(&x[0], &with_factor(1.5), 0, 2));
    // Beyond the original context all positions use the long factors.
    let scaling = with_factor(1.0).spec;
    assert_eq!(scaling.frequencies(9)[0], scaling.frequencies(8)[0] / 2.0);
}

#[test]
fn a_position_beyond_the_table_is_refused() {
    let error = rope(&normal("x", &[1, 2, 6]), &table(), 39, 1).expect_err("refused");
    assert_eq!(error.to_string(), "position 40 is outside 0..40");
}
