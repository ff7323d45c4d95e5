//! The keys of preference training.

use crate::{KeyKind, KeySpec};

/// Names of the losses on pairs of answers.
pub const LOSSES: &[&str] = &["dpo", "ipo", "hinge", "orpo", "simpo"];

/// Names of the reference models.
pub const REFERENCES: &[&str] = &["base", "start"];

/// The loss on pairs of answers.
pub const LOSS: KeySpec = KeySpec {
    name: "loss",
    aliases: &["loss_type"],
    kind: KeyKind::Choice(LOSSES),
    default: "",
    help: "loss on preference data (prompt, chosen, rejected): dpo, ipo and hinge compare with a reference model, orpo and simpo need none; other data is trained with the cross-entropy of its tokens",
};

/// The strength of the preference.
pub const BETA: KeySpec = KeySpec {
    name: "beta",
    aliases: &[],
    kind: KeyKind::Float { min: 1e-4, max: 1e3 },
    default: "0.1",
    help: "with loss=: scale of the rewards; a higher beta keeps the model closer to its reference, and weights the odds ratio of orpo; simpo is usually trained with 2 to 2.5",
};

/// The target margin of SimPO.
pub const GAMMA: KeySpec = KeySpec {
    name: "gamma",
    aliases: &["simpo_gamma"],
    kind: KeyKind::Float { min: 0.0, max: 1e3 },
    default: "0.5",
    help: "with loss=simpo: margin by which the reward of the chosen answer should exceed that of the rejected one",
};

/// The reference model of DPO, IPO and hinge.
pub const REFERENCE: KeySpec = KeySpec {
    name: "reference",
    aliases: &["ref_model"],
    kind: KeyKind::Choice(REFERENCES),
    default: "",
    help: "with loss=: reference model. base is the model with the adapter switched off, start the adapter as it is before the run; without it base for a new adapter, start for one with trained weights",
};
