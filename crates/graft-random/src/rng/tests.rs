use super::Rng;

fn first(rng: Rng, purpose: &str, name: &str, index: u64) -> Vec<f32> {
    rng.indexed(purpose, name, index).uniform(0.0, 1.0, 8)
}

#[test]
fn the_same_names_give_the_same_values_in_any_order() {
    let rng = Rng::new(7);
    let early = first(rng, "init", "a", 0);
    let _ = first(rng, "init", "b", 0);
    assert_eq!(early, first(rng, "init", "a", 0));
}

#[test]
fn each_of_seed_purpose_name_and_index_changes_the_values() {
    let base = first(Rng::new(7), "init", "a", 0);
    let others = [
        first(Rng::new(8), "init", "a", 0),
        first(Rng::new(7), "drop", "a", 0),
        first(Rng::new(7), "init", "b", 0),
        first(Rng::new(7), "init", "a", 1),
    ];
    for other in others {
        assert!(base.iter().zip(&other).all(|(x, y)| x != y), "{base:?} {other:?}");
    }
}

#[test]
fn moving_a_letter_from_purpose_to_name_changes_the_values() {
    assert_ne!(first(Rng::new(7), "ab", "c", 0), first(Rng::new(7), "a", "bc", 0));
    assert_ne!(first(Rng::new(7), "ab", "", 0), first(Rng::new(7), "", "ab", 0));
}

#[test]
fn a_longer_draw_begins_with_the_shorter_one() {
    let rng = Rng::new(1);
    let (short, long) =
        (rng.stream("init", "w").normal(0.0, 1.0, 5), rng.stream("init", "w").normal(0.0, 1.0, 50));
    assert_eq!(short[..], long[..5]);
}

#[test]
fn uniform_and_normal_have_their_moments() {
    let n = 100_000;
    let moments = |values: Vec<f32>| {
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
        (
            mean,
            (values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n as f64).sqrt(),
        )
    };
    let (mean, std) = moments(Rng::new(3).stream("test", "uniform").uniform(-1.0, 3.0, n));
    assert!((mean - 1.0).abs() < 0.02 && (std - 4.0 / 12f64.sqrt()).abs() < 0.02, "{mean} {std}");
    let (mean, std) = moments(Rng::new(3).stream("test", "normal").normal(0.5, 2.0, n));
    assert!((mean - 0.5).abs() < 0.03 && (std - 2.0).abs() < 0.03, "{mean} {std}");
}

#[test]
fn below_reaches_every_value_equally() {
    let mut stream = Rng::new(5).stream("test", "below");
    let mut counts = [0u32; 3];
    (0..30_000).for_each(|_| counts[stream.below(3) as usize] += 1);
    assert!(counts.iter().all(|count| count.abs_diff(10_000) < 400), "{counts:?}");
    assert_eq!((stream.below(1), stream.below(0)), (0, 0));
}

#[test]
fn a_shuffle_keeps_every_item() {
    let mut items: Vec<u32> = (0..100).collect();
    Rng::new(9).indexed("shuffle", "epoch", 2).shuffle(&mut items);
    assert_ne!(items, (0..100).collect::<Vec<_>>());
    items.sort_unstable();
    assert_eq!(items, (0..100).collect::<Vec<_>>());
}
