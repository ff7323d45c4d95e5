"""Runs across processes: one kernel at a time, and scripts that repeat a resumed run."""

import json

from graft_testing import Kernel, graft


def losses(folder):
    records = map(json.loads, (folder / "ledger.jsonl").read_text().splitlines())
    return [record["step"]["loss"] for record in records if "step" in record]


def test_a_run_that_one_kernel_trains_is_refused_to_another_by_name(places):
    with Kernel(places=places) as first, Kernel(places=places) as second:
        first.run("%model load tiny\n%data load which-book\n%lora attach r=2")
        first.run("%train steps=100000 batch=4 eval_every=0 save_every=1 bg=true", timeout=600)
        second.fail("%resume lora-001", "`lora-001` is being trained by process [0-9]+", "%watch lora-001")
        assert "running" in second.run("%runs").text
        first.run("%stop", timeout=600)
        second.run("%runs use lora-001", timeout=600)
        assert "interrupted" in second.run("%runs").text


def test_a_continued_run_is_trained_again_from_its_script_to_the_same_losses(kernel):
    kernel.run("%model load tiny\n%data load which-book\n%lora attach r=2")
    kernel.run("%train steps=4 batch=4 eval_every=0\n%train steps=3 batch=4 eval_every=0", timeout=600)
    kernel.run("%runs export lora-002 again.graft")
    graft("run", "again.graft", places=kernel.places, timeout=600)
    runs = kernel.places.work / ".graft" / "runs"
    assert losses(runs / "lora-004") == losses(runs / "lora-002")
