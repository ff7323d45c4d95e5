"""Bad input: every case gives a clear error, the kernel keeps running, and nothing is lost."""

import functools
import json
import math
import pathlib
import struct
import subprocess
import unittest.mock

import psutil

from graft_testing import Kernel, number
from test_main_job import INLINE, ready


def test_words_that_are_wrong(kernel):
    """An unknown magic, an unknown key or a wrong type gives a suggestion and a caret under the bad token."""
    kernel.fail("%trian steps=3", "did you mean", "train", r"\^")
    kernel.run("%model load tiny")
    kernel.fail("%lora attach rnak=8", "did you mean", r"\br\b|rank", r"\^")
    kernel.fail("%lora attach r=eight", "r", "integer|whole|number", r"\^")
    kernel.fail("%lora atach r=8", "did you mean", "attach")
    kernel.fail("%seed many", "seed")
    assert "tiny" in kernel.run("%status").text


def test_numbers_that_do_not_fit(kernel):
    """Rank 0, a rank larger than the layer, a dropout of 1."""
    kernel.run("%model load tiny")
    kernel.fail("%lora attach r=0", r"\br\b|rank", "1")
    kernel.fail("%lora attach r=60000", r"\br\b|rank", "60,?000")
    kernel.fail("%lora attach r=4 lora_dropout=1.0", "dropout")
    assert "no adapter" in kernel.run("%lora list").text.lower() or "default" not in kernel.run("%lora list").text


def test_modules_that_are_not_there(kernel):
    kernel.run("%model load tiny")
    kernel.fail("%lora attach r=4 target_modules=query", "query", "q_proj")
    kernel.fail("%lora attach r=4 target_modules=q_porj", "q_proj")


def test_steps_out_of_order(kernel):
    """Training without a model, without data, without an adapter."""
    kernel.fail("%train steps=1", "model", r"%model load")
    kernel.run("%model load tiny")
    kernel.fail("%train steps=1", "adapter|data")
    kernel.run(INLINE)
    kernel.fail("%train steps=1", "adapter|lora")
    kernel.fail("%resume", "run")
    kernel.fail("%lora save somewhere", "adapter")


def test_files_that_are_missing(kernel):
    kernel.fail("%model load ./nowhere", "nowhere")
    kernel.fail("%data load nowhere.jsonl", "nowhere.jsonl")
    kernel.fail("%data load wich-book", "which-book")
    kernel.run("%model load tiny")
    kernel.fail("%lora load ./nowhere", "nowhere")


def assets(kernel):
    """A copy of the folder of the embedded model, which a test may damage."""
    import shutil

    source = pathlib.Path(__file__).resolve().parents[2] / "crates" / "graft-models" / "assets" / "tiny"
    copy = kernel.places.work / "copy"
    shutil.copytree(source, copy)
    return copy


def test_weights_that_are_damaged(kernel):
    """Truncated weights, an absurd header, wrong shapes, and a missing config."""
    folder = assets(kernel)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    kernel.run("%model load ./copy")
    weights.write_bytes(whole[: len(whole) // 2])
    kernel.fail("%model load ./copy", "model.safetensors|safetensors")
    weights.write_bytes(struct.pack("<Q", 2**60) + whole[8:])
    kernel.fail("%model load ./copy", "safetensors")
    weights.write_bytes(b"")
    kernel.fail("%model load ./copy", "safetensors")
    weights.write_bytes(whole)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": config["hidden_size"] * 2}))
    kernel.fail("%model load ./copy", "shape|hidden|size|head")
    (folder / "config.json").write_text("{ not json")
    kernel.fail("%model load ./copy", "config.json|json")
    assert "copy" in kernel.run("%status").text, "the previously loaded model is gone"


def test_a_tokenizer_of_another_model(kernel):
    """The tokenizer has more tokens than the embedding has rows, so an id could point past the end."""
    folder = assets(kernel)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["zzzzzz-extra"] = len(vocabulary) + 5000
    path.write_text(json.dumps(tokenizer))
    kernel.fail("%model load ./copy", "token", "vocab|embedding|match")


def test_data_that_is_empty_or_broken(kernel):
    kernel.run("%model load tiny")
    (kernel.places.work / "empty.jsonl").write_text("")
    kernel.fail("%data load empty.jsonl", "empty|no example")
    (kernel.places.work / "broken.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n')
    kernel.fail("%data load broken.jsonl", "line 2")
    kernel.fail("%%data nothing\n", "empty|no example")


def test_an_example_that_is_too_long(kernel):
    """The example is cut to the context of the model, and the message says how many examples were cut."""
    kernel.run("%model load tiny")
    examples = [{"prompt": "word " * 3000, "completion": " end"}, {"prompt": "a", "completion": " b"}] * 8
    (kernel.places.work / "long.jsonl").write_text("\n".join(map(json.dumps, examples)))
    kernel.run("%data load long.jsonl")
    kernel.run("%lora attach r=2")
    cell = kernel.start("%train steps=2 batch=1 max_length=64 eval_every=0").wait()
    assert "cut" in (cell.text + cell.failure).lower() or "longer" in (cell.text + cell.failure).lower(), cell.text + cell.failure


def numbers(path):
    """All numbers of a safetensors file whose tensors are all F32."""
    whole = path.read_bytes()
    [size] = struct.unpack("<Q", whole[:8])
    tensors = [it for name, it in json.loads(whole[8 : 8 + size]).items() if name != "__metadata__"]
    assert tensors and all(it["dtype"] == "F32" for it in tensors), tensors
    return [value for [value] in struct.iter_unpack("<f", whole[8 + size :])]


def test_a_loss_that_is_not_a_number(kernel):
    """Training stops, reports the step, and keeps the last good adapter."""
    ready(kernel)
    kernel.run("%train steps=5 batch=2")
    kernel.fail("%train steps=500 batch=2 lr=1000 max_grad_norm=0 warmup=0 schedule=constant weight_decay=10", "step", "nan|finite|inf", timeout=600)
    kernel.run("%lora save kept")
    weights = numbers(kernel.places.work / "kept" / "adapter_model.safetensors")
    assert weights and all(map(math.isfinite, weights)), "the kept adapter contains NaN or infinity"
    evaluated = kernel.run("%eval").text
    assert math.isfinite(number(r"default \(lora\)\s+([\d.]+)", evaluated)), evaluated
    kernel.run("%train steps=2 batch=2")


def test_a_full_disk_while_saving():
    """No file may grow beyond 2000 bytes, so a write fails as on a full disk. Files saved before stay intact, and no partial file remains."""
    # Python resets SIGXFSZ in child processes, so that exceeding the limit would kill them. When the signal is ignored, the write fails with an error.
    ignoring = functools.partial(subprocess.Popen, restore_signals=False)
    with unittest.mock.patch("jupyter_client.launcher.Popen", ignoring), Kernel() as kernel:
        ready(kernel)
        kernel.run("%lora save fine")
        folder = kernel.places.work / "fine"
        before = content(folder)
        assert sorted(before) == ["adapter_config.json", "adapter_model.safetensors"]
        kernel.run("%train steps=2 batch=2")
        child = kernel.child()
        limits = child.rlimit(psutil.RLIMIT_FSIZE)
        child.rlimit(psutil.RLIMIT_FSIZE, (2000, limits[1]))
        kernel.fail("%lora save fine", "fine|adapter_model", "large|space|full")
        assert content(folder) == before
        child.rlimit(psutil.RLIMIT_FSIZE, limits)
        kernel.run("%lora save fine")
        assert content(folder)["adapter_model.safetensors"] != before["adapter_model.safetensors"]
        assert kernel.child().pid == child.pid, "the session died"


def test_a_full_disk_while_comparing():
    """The ledger of %ablate cannot grow, as on a full disk: the error says so, and the same line resumes with the finished trials once there is space."""
    ignoring = functools.partial(subprocess.Popen, restore_signals=False)
    with unittest.mock.patch("jupyter_client.launcher.Popen", ignoring), Kernel() as kernel:
        ready(kernel)
        ledger = kernel.places.work / ".graft" / "ablations.jsonl"
        ledger.parent.mkdir(exist_ok=True)
        ledger.write_text("\n" * (1 << 20))
        child = kernel.child()
        limits = child.rlimit(psutil.RLIMIT_FSIZE)
        child.rlimit(psutil.RLIMIT_FSIZE, (1 << 20, limits[1]))
        line = "%ablate lora r=1,2 steps=3 batch=2 examples=8"
        kernel.fail(line, "ablations.jsonl", "large|space|full")
        child.rlimit(psutil.RLIMIT_FSIZE, limits)
        told = kernel.run(line).text
        assert told.count("done") == 2, told
        assert "2 of 2 training runs were finished" in kernel.run(line).text
        assert kernel.child().pid == child.pid, "the session died"


def content(folder):
    """The contents of all files of a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_error_stops_the_queue_but_not_the_kernel(kernel):
    """After a magic fails, neither the Rust code below it nor the queued cells run."""
    first = kernel.start("%nonsense\nprintln!(\"not reached\");")
    second = kernel.start("%status")
    assert first.wait().status == "error" and "not reached" not in first.stdout
    assert second.wait().status in ("error", "aborted")
    kernel.run("%status")
