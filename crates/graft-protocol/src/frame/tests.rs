use std::io::Cursor;

use super::*;
use crate::{Event, FromChild, StepRecord};

#[test]
fn a_nan_loss_survives_the_round_trip() {
    let step = StepRecord {
        step: 3,
        loss: f64::NAN,
        lr: 1e-3,
        grad_norm: f64::INFINITY,
        tokens_per_second: 1.0,
        elapsed_seconds: 2.0,
        rewards: None,
    };
    let mut bytes = Vec::new();
    write(&mut bytes, &FromChild::Event { request: Some(7), event: Event::Step(step) }, b"xyz")
        .unwrap();
    let (message, binary) = read::<FromChild>(&mut Cursor::new(bytes)).unwrap().unwrap();
    let FromChild::Event { event: Event::Step(back), .. } = message else {
        panic!("another message came back")
    };
    assert!(back.loss.is_nan());
    assert_eq!(back.grad_norm, f64::INFINITY);
    assert_eq!(binary, b"xyz");
}

#[test]
fn a_clean_end_is_none_and_a_truncated_frame_is_an_error() {
    assert!(read::<FromChild>(&mut Cursor::new(Vec::new())).unwrap().is_none());
    let mut bytes = Vec::new();
    write(&mut bytes, &FromChild::InterruptSeen { number: 1, job: None }, &[]).unwrap();
    for cut in 1..bytes.len() {
        assert!(read::<FromChild>(&mut Cursor::new(&bytes[..cut])).is_err(), "cut at {cut}");
    }
}

#[test]
fn an_excessive_length_is_rejected_before_allocation() {
    let bytes = [0xff; 8];
    assert_eq!(
        read::<FromChild>(&mut Cursor::new(bytes)).unwrap_err().kind(),
        std::io::ErrorKind::InvalidData
    );
}
