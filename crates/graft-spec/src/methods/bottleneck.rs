//! Keys of bottleneck adapters, as AdapterHub's `BnConfig` names them; HF PEFT has none.

use super::{ADAPTER_NAME, MODULES_TO_SAVE, MethodSpec};
use crate::{KeyKind, KeySpec};

/// Bottleneck adapters: `h + s U f(D x)` between a sublayer and the stream.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "bottleneck",
    peft_type: "ADAPTERHUB",
    builder: "Bottleneck",
    summary: "bottleneck adapters: small trained networks between the sublayers",
    equation: "h + s U f(D z)",
    help: "A small network is inserted where a sublayer's output h is added to the residual stream \
        x: h + s·U f(D z), with D (C/reduction_factor × C) and U (C × C/reduction_factor) and \
        their biases trained. config=pfeiffer: after the feed-forward sublayer, z = h + x \
        (normalized in BERT); houlsby: after attention and feed-forward, z = h; parallel: in \
        parallel with the feed-forward sublayer, z = x. U starts at zero, so attaching changes \
        nothing. Saved in AdapterHub's format.",
    shapes: "`D: (b, C)`, `U: (C, b)` with `b = C / reduction_factor`; biases `d: (b)` and `u: \
        (C)`",
    source: "Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00052; He et \
        al. 2021, arXiv:2110.04366",
    keys: KEYS,
    learning_rate: 1e-2,
    rate_falls_with_width: true,
};

const KEYS: &[KeySpec] = &[
    KeySpec {
        name: "config",
        aliases: &["preset"],
        kind: KeyKind::Choice(&["pfeiffer", "houlsby", "parallel"]),
        default: "pfeiffer",
        help: "placement and input of the adapters: AdapterHub's seq_bn, double_seq_bn and par_bn",
    },
    KeySpec {
        name: "reduction_factor",
        aliases: &["reduction"],
        kind: KeyKind::Float { min: 0.01, max: 65_536.0 },
        default: "16",
        help: "hidden size divided by the bottleneck size",
    },
    KeySpec {
        name: "non_linearity",
        aliases: &[],
        kind: KeyKind::Choice(&["relu", "swish", "gelu", "tanh"]),
        default: "",
        help: "activation function f; default: relu, or swish for houlsby",
    },
    KeySpec {
        name: "scaling",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1e6 },
        default: "",
        help: "scaling s; default: 1, or 4 for parallel",
    },
    KeySpec {
        name: "dropout",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability of the adapter's output",
    },
    KeySpec {
        name: "init_weights",
        aliases: &["init"],
        kind: KeyKind::Choice(&["mam_adapter", "bert"]),
        default: "mam_adapter",
        help: "mam_adapter: D uniform in ±1/sqrt(C), U zero; bert: both from N(0, 0.02), AdapterHub's default for pfeiffer and houlsby",
    },
    KeySpec {
        name: "leave_out",
        aliases: &[],
        kind: KeyKind::List,
        default: "",
        help: "numbers of the blocks without adapters, such as 0,1",
    },
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
