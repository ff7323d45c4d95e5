use super::*;
use crate::optimizer::OptimizerConfig;
use graft_nn::{Trainable, Var};

fn setup(values: &[f32]) -> (Vec<Trainable>, Optimizer) {
    let trainables = vec![Trainable::new("lora_A", Var::new(values, &Device::Cpu).expect("var"))];
    let optimizer = Optimizer::new(OptimizerConfig::default(), trainables.clone());
    (trainables, optimizer)
}

fn progress(step: u64) -> Progress {
    Progress { step, position: 2 * step, optimizer_steps: step, steps: 10, ..Progress::default() }
}

#[test]
fn the_last_two_checkpoints_are_kept_and_restore_the_saved_state() {
    let run = tempfile::tempdir().expect("folder");
    let (trainables, optimizer) = setup(&[1.0, 2.0]);
    for step in 1..=3 {
        Checkpoint::save(run.path(), &progress(step), &trainables, &optimizer).expect("saves");
    }
    let kept = Checkpoint::list(run.path());
    assert_eq!(kept.iter().map(|c| c.progress().expect("reads").step).collect::<Vec<_>>(), [2, 3]);
    let (others, mut optimizer) = setup(&[0.0, 0.0]);
    assert_eq!(kept[1].restore(&others, &mut optimizer).expect("restores"), progress(3));
    assert_eq!(others[0].var.to_vec1::<f32>().expect("values"), [1.0, 2.0]);
    assert_eq!(optimizer.steps(), 3);
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_and_changes_nothing() {
    let run = tempfile::tempdir().expect("folder");
    let (trainables, optimizer) = setup(&[1.0, 2.0]);
    let saved = Checkpoint::save(run.path(), &progress(1), &trainables, &optimizer).expect("saves");
    let (others, mut optimizer) = setup(&[5.0, 6.0, 7.0]);
    let error = saved.restore(&others, &mut optimizer).expect_err("other shape");
    assert!(
        error
            .to_string()
            .contains("`lora_A.exp_avg` has shape [2], but the parameter has shape [3]"),
        "{error}"
    );
    assert_eq!(others[0].var.to_vec1::<f32>().expect("values"), [5.0, 6.0, 7.0]);
}

#[test]
fn a_failed_write_leaves_the_earlier_checkpoint_and_no_partial_files() {
    struct Broken;
    impl CheckpointState for Broken {
        fn state(&self) -> graft_nn::Result<BTreeMap<String, Tensor>> {
            Err(graft_nn::NnError::MissingGradient { name: "broken".to_owned() })
        }
        fn restore(&self, _state: &BTreeMap<String, Tensor>) -> graft_nn::Result<()> {
            Ok(())
        }
    }
    let run = tempfile::tempdir().expect("folder");
    let (trainables, optimizer) = setup(&[1.0]);
    Checkpoint::save(run.path(), &progress(1), &trainables, &optimizer).expect("saves");
    assert!(Checkpoint::save(run.path(), &progress(2), &Broken, &optimizer).is_err());
    assert_eq!(fs::read_dir(run.path()).expect("lists").count(), 1);
    assert_eq!(Checkpoint::list(run.path()).len(), 1);
}

#[test]
fn a_checkpoint_of_the_same_step_takes_the_old_ones_place_and_leavings_are_swept() {
    let run = tempfile::tempdir().expect("folder");
    let (trainables, optimizer) = setup(&[1.0, 2.0]);
    fs::create_dir_all(run.path().join(".checkpoint-00000007.1.part"))
        .expect("what a dead process left");
    Checkpoint::save(run.path(), &progress(1), &trainables, &optimizer).expect("saves");
    let (others, mut optimizer) = setup(&[3.0, 4.0]);
    Checkpoint::save(run.path(), &progress(1), &others, &optimizer).expect("saves again");
    let names: Vec<_> =
        fs::read_dir(run.path()).expect("lists").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["checkpoint-00000001"]);
    Checkpoint::list(run.path())[0].restore(&trainables, &mut optimizer).expect("restores");
    assert_eq!(trainables[0].var.to_vec1::<f32>().expect("values"), [3.0, 4.0]);
}

#[test]
fn a_link_where_a_checkpoint_is_prepared_is_removed_and_not_followed() {
    let run = tempfile::tempdir().expect("folder");
    let users = tempfile::tempdir().expect("folder");
    let (trainables, optimizer) = setup(&[1.0, 2.0]);
    let beside = run.path().join(format!(".checkpoint-00000001.{}.part", std::process::id()));
    std::os::unix::fs::symlink(users.path(), &beside).expect("links");
    let saved = Checkpoint::save(run.path(), &progress(1), &trainables, &optimizer).expect("saves");
    assert_eq!(fs::read_dir(users.path()).expect("lists").count(), 0);
    assert!(!saved.path().is_symlink() && saved.progress().expect("reads") == progress(1));
}
