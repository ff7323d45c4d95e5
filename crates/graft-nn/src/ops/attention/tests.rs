use super::super::check::{assert_close, check, flat, normal};
use super::*;
use crate::{Device, KvCache};

fn spec(heads: usize, kv_heads: usize) -> AttentionSpec {
    AttentionSpec {
        heads,
        kv_heads,
        causal: true,
        mask: None,
        offset: 0,
        scale: 0.4,
        softcap: None,
        window: None,
        sequences: None,
        attention_probs: None,
    }
}

#[test]
fn causal_attention_over_several_blocks_with_grouped_heads() {
    check("attention", &[&[2, 3, 12], &[2, 3, 12], &[2, 3, 12]], |x| {
        attention(&x[0], &x[1], &x[2], &spec(4, 4))
    });
    // 67 queries: a full block and a part.
    check("grouped attention", &[&[2, 67, 20], &[2, 67, 10], &[2, 67, 10]], |x| {
        attention(&x[0], &x[1], &x[2], &spec(4, 2))
    });
}

#[test]
fn bounded_scores_pass_their_gradient() {
    let spec = AttentionSpec { softcap: Some(1.5), ..spec(4, 2) };
    check("bounded attention", &[&[2, 67, 20], &[2, 67, 10], &[2, 67, 10]], |x| {
        attention(&(&x[0] * 3.0)?, &x[1], &x[2], &spec)
    });
}

#[test]
fn keys_from_a_cache_are_seen_by_every_query() {
    let spec = AttentionSpec { offset: 5, ..spec(2, 1) };
    check("attention after a cache", &[&[2, 3, 6], &[2, 8, 3], &[2, 8, 3]], |x| {
        attention(&x[0], &x[1], &x[2], &spec)
    });
}

#[test]
fn a_sliding_window_hides_earlier_keys() {
    let spec = AttentionSpec { window: Some(5), ..spec(4, 2) };
    check("windowed attention", &[&[2, 67, 20], &[2, 67, 10], &[2, 67, 10]], |x| {
        attention(&x[0], &x[1], &x[2], &spec)
    });
    let mask = Tensor::from_vec(
        (0..14).map(|place| u8::from(place % 4 != 0)).collect::<Vec<_>>(),
        (2, 7),
        &Device::Cpu,
    )
    .expect("a mask");
    let behind = AttentionSpec { offset: 4, window: Some(3), mask: Some(mask), ..spec.clone() };
    check("windowed attention after a cache", &[&[2, 3, 20], &[2, 7, 10], &[2, 7, 10]], |x| {
        attention(&x[0], &x[1], &x[2], &behind)
    });
    // Only the last five of seven keys reach the last query.
    let [q, k] = [normal("q", &[1, 7, 20]), normal("k", &[1, 7, 10])];
    let moved =
        Tensor::cat(&[&normal("other", &[1, 2, 10]), &k.narrow(1, 2, 5).expect("a part")], 1)
            .expect("joins");
    let last = |k: &Tensor| {
        flat(&attention(&q, k, k, &spec).expect("works").narrow(1, 6, 1).expect("a part"))
    };
    assert_eq!(last(&k), last(&moved));
}

#[test]
fn attention_in_both_directions_may_have_any_number_of_keys() {
    let spec = AttentionSpec { causal: false, ..spec(2, 2) };
    check("full attention", &[&[2, 70, 6], &[2, 4, 6], &[2, 4, 6]], |x| {
        attention(&x[0], &x[1], &x[2], &spec)
    });
}

#[test]
fn a_window_in_both_directions_hides_keys_on_either_side() {
    let spec = AttentionSpec { causal: false, window: Some(3), ..spec(4, 2) };
    check("local attention", &[&[2, 67, 20], &[2, 67, 10], &[2, 67, 10]], |x| {
        attention(&x[0], &x[1], &x[2], &spec)
    });
    // The fourth of seven queries sees two keys before and two after its own.
    let [q, k] = [normal("q", &[1, 7, 20]), normal("k", &[1, 7, 10])];
    let of_fourth = |k: &Tensor| {
        flat(&attention(&q, k, k, &spec).expect("works").narrow(1, 3, 1).expect("a part"))
    };
    let with_other = |place: usize| {
        let part = |start, count| k.narrow(1, start, count).expect("a part");
        let other = normal("other", &[1, 1, 10]);
        Tensor::cat(&[&part(0, place), &other, &part(place + 1, 6 - place)], 1).expect("joins")
    };
    let unchanged = of_fourth(&k);
    let seen: Vec<bool> = (0..7).map(|place| of_fourth(&with_other(place)) != unchanged).collect();
    assert_eq!(seen, [false, true, true, true, true, true, false]);
}

#[test]
fn a_bias_is_added_to_the_scores_and_gets_its_gradient() {
    let spec = AttentionSpec { causal: false, ..spec(2, 1) };
    check("biased attention", &[&[2, 3, 6], &[2, 4, 3], &[2, 4, 3], &[2, 3, 4]], |x| {
        biased_attention(&x[0], &x[1], &x[2], &x[3], &spec)
    });
    let [q, k, b] = [normal("q", &[2, 3, 6]), normal("k", &[2, 4, 3]), normal("b", &[2, 3, 4])];
    let zero = b.zeros_like().expect("zeros");
    let without = attention(&q, &k, &k, &spec).expect("works");
    let with_zero = biased_attention(&q, &k, &k, &zero, &spec).expect("works");
    assert_close("without bias", &flat(&with_zero), &flat(&without));
    assert!(biased_attention(&q, &k, &k, &q, &spec).is_err());
}

#[test]
fn padding_is_masked_and_a_fully_masked_query_returns_zeros() {
    let mask =
        Tensor::from_slice(&[1u8, 1, 1, 0, 0, 0, 1, 1], (2, 4), &Device::Cpu).expect("a mask");
    let spec = AttentionSpec { mask: Some(mask), ..spec(2, 1) };
    check("padded attention", &[&[2, 4, 6], &[2, 4, 3], &[2, 4, 3]], |x| {
        attention(&x[0], &x[1], &x[2], &spec)
    });
    let [q, k] = [normal("q", &[2, 4, 6]), normal("k", &[2, 4, 3])];
    let y = flat(&attention(&q, &k, &k, &spec).expect("works"));
    assert!(y[24..36].iter().all(|v| *v == 0.0) && y[36..].iter().all(|v| *v != 0.0));
}

#[test]
fn token_by_token_with_a_cache_equals_all_at_once() {
    let [q, k, v] = ["q", "k", "v"].map(|name| normal(name, &[2, 9, 8]));
    let whole = attention(&q, &k, &v, &spec(2, 2)).expect("works");
    let cache = KvCache::new(1);
    let mut parts = Vec::new();
    for (start, count) in [(0, 4), (4, 1), (5, 1), (6, 3)] {
        let part = |t: &Tensor| t.narrow(1, start, count).expect("a part");
        let (keys, values) = cache.append(0, &part(&k), &part(&v)).expect("appends");
        parts.push(
            attention(&part(&q), &keys, &values, &AttentionSpec { offset: start, ..spec(2, 2) })
                .expect("works"),
        );
    }
    assert_close("cache", &flat(&Tensor::cat(&parts, 1).expect("joins")), &flat(&whole));
}

#[test]
fn packed_sequences_see_themselves_alone() {
    let lengths = [3, 70, 1, 6];
    let whole: usize = lengths.iter().sum();
    let (alone, packed) =
        (spec(4, 2), AttentionSpec { sequences: Some(Sequences::new(&lengths)), ..spec(4, 2) });
    let sizes: [&[usize]; 3] = [&[1, 80, 20], &[1, 80, 10], &[1, 80, 10]];
    for spec in [
        packed.clone(),
        AttentionSpec { window: Some(4), ..packed.clone() },
        AttentionSpec { causal: false, ..packed.clone() },
    ] {
        check("packed attention", &sizes, |x| attention(&x[0], &x[1], &x[2], &spec));
    }
    let [q, k, v] =
        [normal("q", &[1, whole, 20]), normal("k", &[1, whole, 10]), normal("v", &[1, whole, 10])];
    let together = attention(&q, &k, &v, &packed).expect("works");
    for range in Sequences::new(&lengths).ranges() {
        let part = |t: &Tensor| t.narrow(1, range.start, range.len()).expect("a part");
        let apart = attention(&part(&q), &part(&k), &part(&v), &alone).expect("works");
        assert_close("packed", &flat(&part(&together)), &flat(&apart));
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let [q, k] = [normal("q", &[1, 3, 8]), normal("k", &[1, 3, 4])];
    assert!(attention(&q, &k, &k, &spec(2, 2)).is_err());
    assert!(attention(&q, &q, &q, &spec(3, 3)).is_err());
    assert!(attention(&q, &q, &q, &AttentionSpec { offset: 1, ..spec(2, 2) }).is_err());
    let mask = Tensor::ones((1, 2), DType::U8, &Device::Cpu).expect("a mask");
    assert!(attention(&q, &q, &q, &AttentionSpec { mask: Some(mask), ..spec(2, 2) }).is_err());
    assert!(
        attention(
            &q,
            &q,
            &q,
            &AttentionSpec { sequences: Some(Sequences::new(&[2, 2])), ..spec(2, 2) }
        )
        .is_err()
    );
}
