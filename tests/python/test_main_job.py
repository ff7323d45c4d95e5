"""The main workflow on the embedded model, as a learner uses it."""

import json
import re
import xml.etree.ElementTree

from graft_testing import Kernel, number

# Short examples of a small letter cipher, so that steps are quick.
PAIRS = [("red", "stop"), ("green", "go"), ("amber", "wait"), ("blue", "turn")]
INLINE = "%%data signals\n" + "\n".join(json.dumps({"prompt": f"{a} means", "completion": f" {b}"}) for a, b in PAIRS * 8)


def ready(kernel, r=4):
    """Loads a model and data, and attaches an adapter."""
    kernel.run("%seed 7")
    kernel.run("%model load tiny")
    kernel.run(INLINE)
    return kernel.run(f"%lora attach r={r}")


def test_from_model_to_saved_adapter(kernel):
    """Load, inspect, attach, train, evaluate, generate, compare, save and reload: every answer has a text form, and the loss falls."""
    assert "llama" in kernel.run("%model load tiny").text.lower()
    assert "q_proj" in kernel.run("%model tree").text
    kernel.run("%data load which-book")
    assert kernel.run("%data show n=2").text.strip()
    kernel.run("%lora attach r=8 alpha=16 target_modules=q_proj,v_proj")
    params = kernel.run("%params")
    line = re.search(r"trainable params: ([\d,]+) \|\| all params: ([\d,]+) \|\| trainable%: ([\d.]+)", params.text)
    assert line, params.text
    trainable, total = (int(group.replace(",", "")) for group in line.groups()[:2])
    assert abs(100 * trainable / total - float(line.group(3))) < 1e-3
    kernel.run("%train steps=12 batch=4 lr=3e-3 eval_every=6", timeout=600)
    [ledger] = (kernel.places.work / ".graft" / "runs").glob("*/ledger.jsonl")
    losses = [record["step"]["loss"] for record in map(json.loads, ledger.read_text().splitlines()) if "step" in record]
    assert len(losses) == 12 and losses[-1] < losses[0], losses
    evaluated = kernel.run("%eval examples=12", timeout=600).text
    print(evaluated)
    loss = {model: number(rf"^{model}\b\D*([\d.]+)", row) for row in evaluated.splitlines() for model in ("base", "default") if row.startswith(model)}
    assert loss["default"] < loss["base"], evaluated
    assert number(r"default \(lora\)[^\n]* ([\d.]+) %", evaluated) <= 100, evaluated
    assert kernel.run('%generate "The borrow checker" max_new_tokens=8').text.strip()
    compared = kernel.run('%compare "The borrow checker" max_new_tokens=8')
    assert "base" in compared.text.lower(), compared.text
    kernel.run("%lora save saved")
    config = json.loads((kernel.places.work / "saved" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["r"] == 8 and config["lora_alpha"] == 16
    before = kernel.run('%generate "fn main" max_new_tokens=8').text
    kernel.run("%lora detach")
    kernel.run("%lora load saved")
    assert kernel.run('%generate "fn main" max_new_tokens=8').text == before


def test_attaching_changes_nothing_and_detaching_gives_the_base_back(kernel):
    kernel.run("%model load tiny")
    base = kernel.run('%generate "fn main" max_new_tokens=12').text
    kernel.run(INLINE)
    kernel.run("%lora attach r=4")
    assert kernel.run('%generate "fn main" max_new_tokens=12').text == base
    kernel.run("%train steps=30 lr=1e-2 batch=4")
    assert kernel.run('%generate "red means" max_new_tokens=12').text
    kernel.run("%lora detach")
    assert kernel.run('%generate "fn main" max_new_tokens=12').text == base


def test_the_same_seed_gives_the_same_losses():
    def losses():
        with Kernel() as kernel:
            ready(kernel)
            kernel.run("%train steps=5 batch=2 seed=11")
            [ledger] = (kernel.places.work / ".graft" / "runs").glob("*/*.jsonl")
            return re.findall(r'"loss":([-\d.e]+)', ledger.read_text())

    first = losses()
    assert len(first) >= 5 and first == losses()


def test_blocks_that_are_computed_twice_train_alike_and_keep_less():
    def losses(keys):
        with Kernel() as kernel:
            ready(kernel)
            kernel.run(f"%train steps=5 batch=4 {keys}", timeout=600)
            [ledger] = (kernel.places.work / ".graft" / "runs").glob("*/ledger.jsonl")
            activations = number(r"activations\D*([\d.]+)", kernel.run(f"%memory {keys}").text)
            return [record["step"]["loss"] for record in map(json.loads, ledger.read_text().splitlines()) if "step" in record], activations

    (kept, whole), (again, less) = losses(""), losses("gradient_checkpointing=true")
    assert len(kept) == 5 and all(abs(one - other) < 1e-4 * one for one, other in zip(kept, again, strict=False)), (kept, again)
    assert less < whole, (less, whole)


def test_a_training_says_what_it_did_and_whether_that_was_anything(kernel):
    kernel.run("%model load tiny")
    kernel.run("%data load which-book")
    kernel.run("%lora attach r=4")
    told = kernel.run("%train steps=20 batch=2 lr=1e-9 eval_every=10 eval_examples=16 max_length=64", timeout=600).text
    assert "of the weights (Frobenius norm), largest in `model.layers." in told, told
    assert "no better than the majority class" in told or "accuracy has stayed at" in told, told


def test_the_plot_lives_and_then_stands_still(kernel):
    """During training, one display is updated as inline SVG at most five times a second; at the end it holds a standalone SVG and a PNG."""
    ready(kernel)
    cell = kernel.run("%train steps=60 batch=2 lr=1e-2")
    plot = max(cell.displays, key=lambda display: len(display.versions))
    assert plot.display_id and len(plot.versions) >= 2, "the plot was not updated"
    live, final = plot.versions[:-1], plot.data
    assert any("<svg" in bundle.get("text/html", "") for bundle in live)
    assert not any("<script" in bundle.get("text/html", "") for bundle in live)
    assert "text/html" not in final, "the final figure must not depend on the theme"
    assert final["image/png"] and "loss" in final["text/plain"].lower()
    xml.etree.ElementTree.fromstring(final["image/svg+xml"])
    assert number(r"(\d+)", final["text/plain"])
    assert not cell.stderr


def test_prompt_tuning_in_one_line(kernel):
    kernel.run("%model load tiny")
    kernel.run(INLINE)
    kernel.run('%prompt_tune tokens=8 init="Classify the sentence:" steps=10 batch=2')
    params = kernel.run("%params").text
    trainable = number(r"trainable params: ([\d,]+)", params)
    assert trainable > 0 and trainable % 8 == 0, params


def test_a_grid_is_compared_and_a_second_look_costs_nothing(kernel):
    ready(kernel)
    line = "%ablate lora r=1,2 seeds=2 steps=4 batch=4 examples=4"
    first = kernel.run(line, timeout=600)
    assert all(row in first.text for row in ("untuned base", "lora r=1", "lora r=2", "alpha/r")), first.text
    assert any("image/svg+xml" in display.data for display in first.displays), "a grid must end with a figure"
    assert len(list((kernel.places.work / ".graft" / "runs").iterdir())) == 4
    again = kernel.run(line).text
    assert "4 of 4 training runs were finished" in again, again
    assert len(list((kernel.places.work / ".graft" / "runs").iterdir())) == 4
    assert "default" in kernel.run("%lora list").text
    kernel.fail("%ablate lora ranks=1,2", "ranks", "lora_alpha")


def test_magics_answer_without_rust(kernel):
    """Every magic of the main workflow works before evcxr runs, without starting rust-analyzer."""
    ready(kernel)
    kernel.run("%train steps=3 batch=2")
    for line in ["%params", "%status", "%device", "%seed", "%lsmagic", "%lora list", "%model", "%data show", "%lora -h", "%train?"]:
        cell = kernel.run(line)
        assert cell.text.strip() or cell.page, line
    names = [process.name() for process in kernel.process.children(recursive=True)]
    assert not any("rust" in name or "cargo" in name for name in names), names


def test_what_is_forgotten_is_measured_while_methods_train(kernel):
    """At the same learning rate, full fine-tuning forgets more than a LoRA; the user's adapter and the table of attached adapters do not change."""
    kernel.run("%model load tiny")
    kernel.run("%data load which-book")
    kernel.run("%lora attach r=2")
    assert "default (lora)" in kernel.run("%forgetting domain_examples=8", timeout=300).text
    line = "%forgetting lora,full r=4 steps=16 lr=1e-3 batch=4 examples=8 domain_examples=16"
    told = kernel.run(line, timeout=600)
    assert "rust-docs" in told.text and "`full` forgets the most" in told.text, told.text
    assert "image/svg+xml" in str(told.messages) or "image/png" in str(told.messages)
    assert "default" in kernel.run("%lora list").text
    kernel.fail("%forgetting lora domain=rust-doc steps=2", "rust-doc", "rust-docs")
    kernel.fail("%forgetting steps=2", "names no method", "%forgetting lora,full")
    shown = kernel.run('lab().forgetting(Ablate::of(["lora", "full"]).key("r", "4").key("steps", "16").key("lr", "1e-3").key("batch", "4").key("examples", "8").key("domain_examples", "16"))?', timeout=300)
    assert "forgotten" in shown.text, shown.text
