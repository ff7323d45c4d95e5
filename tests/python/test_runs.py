"""Training runs: listed, compared, plotted, exported to files, and repeated from an exported script."""

import csv
import json

from graft_testing import graft
from test_main_job import ready


def losses(folder):
    records = map(json.loads, (folder / "ledger.jsonl").read_text().splitlines())
    return [record["step"]["loss"] for record in records if "step" in record]


def test_runs_are_listed_compared_drawn_written_and_trained_again(kernel):
    assert "no runs here yet" in kernel.run("%runs").text
    kernel.fail("%plot lora-001", "lora-001", "%train")
    ready(kernel, r=2)
    kernel.run("%train steps=6 batch=4 lr=2e-3 eval_every=3", timeout=600)
    kernel.run("%lora attach r=8")
    kernel.run("%train steps=6 batch=4", timeout=600)
    listed = kernel.run("%runs").text
    assert all(word in listed for word in ("lora-001", "lora-002", "finished", "signals")), listed
    shown = kernel.run("%runs show lora-001").text
    assert "0.002" in shown and "first loss" in shown and "best validation" in shown, shown
    differs = kernel.run("%runs diff lora-001 lora-002").text
    above, same = differs.split("the same:")
    assert "r " in above and "lr" in above and "method lora" in same, differs
    drawn = kernel.run("%plot lora-001 lora-002 smooth=0")
    [svg] = [display.data["image/svg+xml"] for display in drawn.displays if "image/svg+xml" in display.data]
    assert "lora-001" in svg and "lora-002" in svg and "loss of 2 runs" in svg, svg[:400]
    assert kernel.run("%plot lora-001 y=validation").displays and kernel.run("%plot lora-001 y=lr log=true").displays
    kernel.fail("%plot lora-001 lora-009", "lora-009", "lora-002")
    kernel.fail("%runs export lora-001 lora.txt", "cannot tell the format", "lora-001.csv")
    work = kernel.places.work
    for name in ("steps.csv", "all.json", "again.graft"):
        assert name in kernel.run(f"%runs export lora-001 {name}").text
    for name, begins in (("curves.svg", b"<svg"), ("curves.png", b"\x89PNG")):
        assert name in kernel.run(f"%runs export lora-001 {name}").text
        assert (work / name).read_bytes().startswith(begins)
    kernel.fail("%runs export lora-009 curves.svg", "lora-009", "lora-002")
    rows = list(csv.DictReader((work / "steps.csv").open()))
    first = losses(work / ".graft" / "runs" / "lora-001")
    assert [float(row["loss"]) for row in rows] == first and rows[2]["validation_loss"]
    assert json.loads((work / "all.json").read_text())["header"]["method"] == "lora"
    kernel.run("lab().plot_runs(&[\"lora-001\"], Plot::new().y(\"loss\"))?")
    # A damaged line is skipped and reported.
    with (work / ".graft" / "runs" / "lora-002" / "ledger.jsonl").open("a") as ledger:
        ledger.write("{half a li\n")
    assert "damaged" in kernel.run("%runs show lora-002").text
    # Another process repeats the run and gets the same losses.
    graft("run", "again.graft", places=kernel.places, timeout=600)
    assert losses(work / ".graft" / "runs" / "lora-003") == first, (work / "again.graft").read_text()


def test_a_run_that_began_by_looking_at_its_data_is_trained_again_from_its_script(kernel):
    """EVA initializes the adapter from the data; a script without this step would start from other weights."""
    kernel.run("%model load tiny\n%data load which-book\n%lora attach r=2 init=eva")
    kernel.run("%train steps=4 batch=4 eval_every=0", timeout=600)
    kernel.run("%runs export lora-001 eva.graft")
    script = (kernel.places.work / "eva.graft").read_text()
    assert "init_lora_weights=eva" in script and " lr=0.005" in script, script
    graft("run", "eva.graft", places=kernel.places, timeout=600)
    runs = kernel.places.work / ".graft" / "runs"
    assert losses(runs / "lora-002") == losses(runs / "lora-001"), script


def test_weights_are_drawn_and_tokens_shaded(kernel):
    ready(kernel, r=2)
    kernel.run("%train steps=6 batch=4 lr=2e-3 eval_every=0", timeout=600)
    looked = kernel.run("%weights v_proj")
    assert "change of the weights" in looked.text and "lora_A" in looked.text, looked.text
    forms = [set(display.data) for display in looked.displays]
    assert any("image/png" in form and "image/svg+xml" not in form for form in forms), forms
    assert any("image/svg+xml" in form for form in forms), forms
    kernel.fail("%weights v_prjo", "v_proj")
    compared = kernel.run('%compare "The borrow checker" max_new_tokens=8').html
    assert compared.count('title="probability') >= 8, compared[:600]
    shown = kernel.run("%ablate lora r=1,2 steps=60 batch=4 examples=16", timeout=300)
    assert "tokens/s" in shown.text and "MB" in shown.text, shown.text
