"""What was trained: runs listed, compared, drawn, written into files, and trained again from one."""

import csv
import json

from graft_testing import Kernel, graft
from scenarios.main_job import ready


def losses(folder):
    records = map(json.loads, (folder / "ledger.jsonl").read_text().splitlines())
    return [record["step"]["loss"] for record in records if "step" in record]


def runs_are_listed_compared_drawn_written_and_trained_again():
    with Kernel() as kernel:
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
        kernel.fail("%runs export lora-001 lora.txt", "in what form", "lora-001.csv")
        work = kernel.places.work
        for name in ("steps.csv", "all.json", "again.graft"):
            assert name in kernel.run(f"%runs export lora-001 {name}").text
        rows = list(csv.DictReader((work / "steps.csv").open()))
        first = losses(work / ".graft" / "runs" / "lora-001")
        assert [float(row["loss"]) for row in rows] == first and rows[2]["validation_loss"]
        assert json.loads((work / "all.json").read_text())["header"]["method"] == "lora"
        kernel.run("lab().plot_runs(&[\"lora-001\"], Plot::new().y(\"loss\"))?")
        # A damaged line is skipped and said.
        with (work / ".graft" / "runs" / "lora-002" / "ledger.jsonl").open("a") as ledger:
            ledger.write("{half a li\n")
        assert "damaged" in kernel.run("%runs show lora-002").text
        # Another process trains it again, to the same losses.
        graft("run", "again.graft", places=kernel.places, timeout=600)
        assert losses(work / ".graft" / "runs" / "lora-003") == first, (work / "again.graft").read_text()
