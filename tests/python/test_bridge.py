"""Magics and Rust cells act on the same objects."""

import re

from graft_testing import number
from test_main_job import INLINE

# One line for each verb that has a Rust equivalent, after the lines that it needs.
LINES = [
    "%model load tiny",
    "%model",
    "%model tree",
    "%data load which-book",
    "%data show n=1",
    "%seed 3",
    "%device",
    "%lora attach r=4 alpha=8 target_modules=q_proj,v_proj",
    "%params",
    "%lora list",
    "%lora scale 0.5",
    "%lora scale 1",
    "%lora merge",
    "%lora unmerge",
    "%train steps=2 batch=1 max_length=32 eval_every=0",
    "%eval examples=2 batch=2",
    '%generate "fn main" max_new_tokens=4',
    '%compare "fn main" max_new_tokens=4',
    "%lora save adapters/a",
    "%lora detach",
    "%lora load adapters/a",
    "%status",
    '%prompt_tune attach tokens=4 init="Which book:"',
    "%prompt_tune tokens=4 steps=1 batch=1 max_length=32",
]


def test_a_table_and_a_rust_cell_give_the_same_number(kernel):
    kernel.run("%model load tiny")
    kernel.run("%lora attach r=4")
    table = number(r"trainable params: ([\d,]+)", kernel.run("%params").text)
    cell = kernel.run("println!(\"{}\", lab().model()?.trainable_parameters());")
    assert number(r"(\d+)", cell.stdout) == table > 0


def test_a_scale_set_in_rust_changes_what_a_magic_generates(kernel):
    kernel.run("%model load tiny")
    base = kernel.run('%generate "red means" max_new_tokens=8').text
    kernel.run(INLINE)
    kernel.run("%lora attach r=4")
    kernel.run("%train steps=60 batch=4 lr=2e-2")
    tuned = kernel.run('%generate "red means" max_new_tokens=8').text
    assert tuned != base, "training changed nothing, so the test could not detect a scale"
    kernel.run("lab().model()?.adapter(\"default\")?.set_scale(0.0)?;")
    assert kernel.run('%generate "red means" max_new_tokens=8').text == base
    kernel.run("lab().model()?.adapter(\"default\")?.set_scale(1.0)?;")
    assert kernel.run('%generate "red means" max_new_tokens=8').text == tuned


def test_what_rust_attaches_a_magic_lists(kernel):
    kernel.run("%model load tiny")
    kernel.run("lab().model()?.attach(Lora::new().r(2).adapter_name(\"mine\"))?;")
    assert "mine" in kernel.run("%lora list").text
    assert number(r"trainable params: ([\d,]+)", kernel.run("%params").text) > 0


def rust_source(kernel, line):
    """The Rust code that `--rust` prints for a magic."""
    shown = kernel.run(f"{line} --rust").text
    return re.sub(r"^```\w*$", "", shown, flags=re.M).strip()


def test_printed_rust_runs(kernel):
    """The code that `--rust` prints for each verb compiles and does the same: the printed lines alone do the whole job."""
    for line in LINES:
        source = rust_source(kernel, line)
        assert source and not source.startswith("%"), f"{line} --rust printed {source!r}"
        kernel.run(source, timeout=600)
    assert "tiny" in kernel.run("%status").text


def test_a_training_in_rust_draws_the_same_plot(kernel):
    kernel.run("%model load tiny")
    kernel.run(INLINE)
    kernel.run("%lora attach r=4")
    cell = kernel.run("lab().train(Train::new().steps(6).batch(2).lr(1e-3))?;")
    assert any("image/svg+xml" in display.data for display in cell.displays), cell.messages[-5:]
