//! Keys of bottleneck adapters, named as in AdapterHub's `BnConfig`; HF PEFT has none.

use super::{ADAPTER_NAME, MODULES_TO_SAVE, MethodSpec};
use crate::{KeyKind, KeySpec};

/// Bottleneck adapters: `h + s (U f(D z + d) + u)` between a sublayer and the stream.
pub const SPEC: MethodSpec = MethodSpec {
    verb: "bottleneck",
    peft_type: "ADAPTERHUB",
    builder: "Bottleneck",
    summary: "bottleneck adapters: small trained networks between the sublayers",
    equation: "h + s (U f(D z + d) + u)",
    help: "A small network is added where a sublayer's output h joins the residual stream x: h + \
        s·(U·f(D·z+d)+u). D (C/reduction_factor × C), U (C × C/reduction_factor) and the biases d \
        and u are trained. config=pfeiffer: after the feed-forward sublayer with z = h + x (normalized in \
        BERT); houlsby: after attention and after feed-forward with z = h; parallel: in parallel \
        with feed-forward, z = x. U starts at zero, so attaching does not change the output, except with init_weights=bert. The \
        files are those of AdapterHub.",
    shapes: "`D: (b, C)`, `U: (C, b)` with `b = C / reduction_factor`; biases `d: (b)` and `u: (C)`",
    source: "Houlsby et al. 2019, arXiv:1902.00751; Pfeiffer et al. 2020, arXiv:2005.00052; He et al. \
        2021, arXiv:2110.04366",
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
        help: "position and input of the networks; the presets seq_bn, double_seq_bn and par_bn of AdapterHub",
    },
    KeySpec {
        name: "reduction_factor",
        aliases: &["reduction"],
        kind: KeyKind::Float { min: 0.01, max: 65_536.0 },
        default: "16",
        help: "hidden size of the model divided by the width of the bottleneck",
    },
    KeySpec {
        name: "non_linearity",
        aliases: &[],
        kind: KeyKind::Choice(&["relu", "swish", "gelu", "tanh"]),
        default: "",
        help: "activation function f; without it relu, and swish for houlsby",
    },
    KeySpec {
        name: "scaling",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 1e6 },
        default: "",
        help: "scale s of the output; without it 1, and 4 for parallel",
    },
    KeySpec {
        name: "dropout",
        aliases: &[],
        kind: KeyKind::Float { min: 0.0, max: 0.999 },
        default: "0",
        help: "dropout probability on the output of the network during training",
    },
    KeySpec {
        name: "init_weights",
        aliases: &["init"],
        kind: KeyKind::Choice(&["mam_adapter", "bert"]),
        default: "mam_adapter",
        help: "initial values. mam_adapter: D uniform in ±1/sqrt(C), U zero; bert: both from N(0, 0.02²), the default of AdapterHub for pfeiffer and houlsby",
    },
    KeySpec {
        name: "leave_out",
        aliases: &[],
        kind: KeyKind::List,
        default: "",
        help: "numbers of the blocks to leave out, such as 0,1",
    },
    MODULES_TO_SAVE,
    ADAPTER_NAME,
];
