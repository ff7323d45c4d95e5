use super::*;
use crate::TrainError;
use graft_spec::Hint;

fn shape() -> ModelShape {
    let hidden = 8;
    let layers = 2;
    let heads = 2;
    let kv_heads = 1;
    let head_dim = 4;
    let intermediate = 20;
    ModelShape {
        family: "llama".into(),
        hidden,
        layers,
        heads,
        kv_heads,
        head_dim,
        intermediate,
        vocab: 10,
        max_positions: 64,
        tied: true,
    }
}

/// Adapters of 30 numbers, three rows of five tokens, the batch whole.
fn sizes_of(shape: &ModelShape) -> Sizes<'_> {
    let adapters = SavedActivations::default();
    let recompute = false;
    Sizes {
        shape,
        parameters: 1000,
        stored_bytes: 4000,
        widened_bytes: 0,
        added: 30,
        unfrozen: 0,
        rows: 3,
        rows_per_example: 1,
        copies: 0,
        tokens: 5,
        adapters,
        frozen_blocks: 0,
        recompute,
        threads: 0,
        validation: LargestPass::default(),
        inside_blocks: true,
        before_feed_forward: 0,
        optimizer_bytes: None,
    }
}

#[test]
fn every_part_is_counted_by_hand() {
    let shape = shape();
    let sizes = Sizes { stored_bytes: 2000, widened_bytes: 640, ..sizes_of(&shape) };
    let memory = Memory::predict(&sizes);
    // 6 C + 3 H*D + 3 K*D + 3 F = 48 + 24 + 12 + 60 = 144 in each of two blocks, and two vectors
    // of C after them.
    let expected = Memory {
        weights: 2000 + 120,
        gradients: 120,
        optimizer: 360,
        activations: 15 * (2 * 144 + 16) * 4,
        temporary: 15 * (100 + 16) * 4 + 8 * 20 * 4 + (2 << 20),
    };
    assert_eq!(memory, expected);
    assert_eq!(memory.total(), expected.weights + memory.on_top());
}

#[test]
fn full_fine_tuning_keeps_the_weights_it_opens_in_32_bits() {
    let shape = shape();
    let memory = Memory::predict(&Sizes {
        stored_bytes: 2000,
        added: 0,
        unfrozen: 1000,
        rows: 1,
        tokens: 1,
        ..sizes_of(&shape)
    });
    assert_eq!((memory.weights, memory.gradients, memory.optimizer), (4000, 4000, 12_000));
}

#[test]
fn only_the_pieces_in_progress_of_a_split_batch_count() {
    let shape = shape();
    let whole = Sizes { stored_bytes: 2000, rows: 8, tokens: 256, ..sizes_of(&shape) };
    let on = |threads: usize| Memory::predict(&Sizes { threads, ..whole }).activations;
    assert_eq!((on(1) * 8, on(2) * 4), (on(0), on(0)));
    // More threads than pieces share one piece after another.
    assert_eq!(on(9), on(1));
}

#[test]
fn a_pair_counts_as_two_rows_and_a_starting_reference_as_two_copies() {
    let shape = shape();
    let sizes = sizes_of(&shape);
    let pairs = Memory::predict(&Sizes { rows: 3, rows_per_example: 2, ..sizes });
    assert_eq!(pairs, Memory::predict(&Sizes { rows: 6, ..sizes }));
    let starting = Memory::predict(&Sizes { copies: 2, ..sizes });
    assert_eq!(starting.on_top() - Memory::predict(&sizes).on_top(), 2 * 30 * 4);
}

#[test]
fn blocks_that_are_computed_again_keep_their_inputs_and_one_block() {
    let shape = shape();
    let sizes = Sizes { stored_bytes: 2000, recompute: true, ..sizes_of(&shape) };
    assert_eq!(Memory::predict(&sizes).activations, 15 * ((2 + 9) * 8 + 144 + 16) * 4);
}

#[test]
fn the_largest_batch_fits_and_one_more_row_would_not() {
    let shape = shape();
    let sizes = Sizes { rows: 1, ..sizes_of(&shape) };
    let of = |rows: usize| Memory::predict(&Sizes { rows, ..sizes }).on_top();
    let enough = of(7) * 10 / 9 + 10;
    assert_eq!(
        largest(&sizes, 64, enough).expect("fits"),
        Fitting { rows: 7, tokens: 5, needed: of(7), available: enough }
    );
    assert_eq!(largest(&sizes, 3, enough).expect("fits").rows, 3);
    assert!(matches!(largest(&sizes, 64, 100), Err(TrainError::WouldNotFit { rows: 1, .. })));
}

#[test]
fn a_run_that_does_not_fit_is_refused_with_a_hint_and_one_that_fits_is_not() {
    let shape = shape();
    let sizes = Sizes { rows: 4, ..sizes_of(&shape) };
    let memory = Memory::predict(&sizes);
    assert!(memory.fits(memory.on_top(), &sizes).is_ok());
    let error = memory.fits(memory.on_top() - 1, &sizes).expect_err("refused");
    assert!(error.to_string().contains("4 rows of 5 tokens"), "{error}");
    assert!(
        error.hint().expect("a hint").contains("gradient_checkpointing=true"),
        "{:?}",
        error.hint()
    );
    let error = memory.fits(0, &sizes).expect_err("refused");
    assert!(error.hint().expect("a hint").contains("max_length=2"), "{:?}", error.hint());
}

#[test]
fn what_adapters_keep_counts_in_their_measure() {
    let shape = shape();
    let plain = Memory::predict(&sizes_of(&shape));
    let own = SavedActivations { per_position: 7, per_pass: 11, at_the_end: 0 };
    let more = Memory::predict(&Sizes { adapters: own, ..sizes_of(&shape) });
    assert_eq!(more.activations - plain.activations, (15 * 7 + 11) * 4);
    // At the end of a pass what was needed for a moment is gone.
    let at_the_end = |numbers: usize| {
        Memory::predict(&Sizes {
            adapters: SavedActivations { at_the_end: numbers, ..SavedActivations::default() },
            ..sizes_of(&shape)
        })
        .temporary
    };
    assert_eq!(at_the_end(100), plain.temporary);
    assert!(at_the_end(100_000) > plain.temporary);
}

#[test]
fn frozen_blocks_before_the_first_trained_one_save_nothing() {
    let shape = shape();
    let activations = |frozen_blocks: usize| {
        Memory::predict(&Sizes { frozen_blocks, ..sizes_of(&shape) }).activations
    };
    assert_eq!(activations(0) - activations(1), 15 * 144 * 4);
    assert_eq!(activations(2), activations(3));
}

#[test]
fn each_thread_holds_the_sums_of_earlier_pieces_and_the_newest_gradient() {
    let shape = shape();
    let sizes = Sizes { rows: 8, tokens: 256, added: 100_000, ..sizes_of(&shape) };
    let temporary = |threads: usize| Memory::predict(&Sizes { threads, ..sizes }).temporary;
    // Eight pieces. On two threads, four each: the sum of two, the sum of one and the newest exist
    // at the same time. On eight threads, each has its own.
    let gradient = 100_000 * 4;
    assert!(
        temporary(2) > 5 * gradient
            && temporary(8) > 7 * gradient
            && temporary(2) < 7 * gradient + (4 << 20),
        "{} {}",
        temporary(2),
        temporary(8)
    );
}

#[test]
fn a_validation_counts_where_it_takes_more_than_a_step() {
    let shape = shape();
    let sizes = Sizes { rows: 1, tokens: 2, ..sizes_of(&shape) };
    let with = |positions: usize, threads: usize| Sizes {
        validation: LargestPass { positions, read: positions, passes: 4 },
        threads,
        ..sizes
    };
    assert_eq!(
        Memory::predict(&with(1, 0)),
        Memory::predict(&sizes),
        "a small one changes nothing"
    );
    // 144 of the block and three times C; then C of the states after the blocks, and C and twice V
    // of each state that is read.
    let of = |positions: u64| (positions * 168).max(positions * (8 + 8 + 20)) * 4 + (2 << 20);
    assert_eq!(Memory::of_validation(&with(10_000, 0)), of(10_000));
    // Four times F and four times C exist at the same time when nothing is saved.
    assert_eq!(
        Memory::of_validation(&Sizes { inside_blocks: false, ..with(10_000, 0) }),
        10_000 * (80 + 32) * 4 + (2 << 20)
    );
    assert_eq!(
        Memory::of_validation(&with(10_000, 2)),
        2 * of(10_000),
        "as many passes as there are threads"
    );
    assert_eq!(
        Memory::of_validation(&with(10_000, 9)),
        of(10_000),
        "fewer passes than threads: one after the other"
    );
    let memory = Memory::predict(&with(10_000, 0));
    assert_eq!(memory.on_top(), memory.optimizer + of(10_000));
    let sizes = with(10_000, 0);
    let error = memory.fits(memory.on_top() - 1, &sizes).expect_err("refused");
    assert!(
        error.to_string().contains("validation needs")
            && error.hint().expect("a hint").contains("eval_every=0"),
        "{error}"
    );
    assert!(matches!(memory.fits(0, &sizes), Err(TrainError::WouldNotFit { .. })));
}

#[test]
fn the_passes_at_once_are_those_of_the_threads_that_evaluate() {
    let model = crate::testing::TinyLlama::new(16, 32);
    for threads in [1, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        assert_eq!(pool.install(|| of_model(&model).threads), threads);
    }
}
