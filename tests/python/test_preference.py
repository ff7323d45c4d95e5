"""Preference training through the front doors: losses, rewards, evaluation, resuming, and what is refused."""

import csv
import json
import math
import re


def start(kernel, method="lora attach r=4"):
    kernel.run("%model load tiny")
    loaded = kernel.run("%data load prose-or-code").text
    assert "chosen and rejected answers" in loaded, loaded
    if method:
        kernel.run(f"%{method}")


def ledger(kernel, run="lora-001"):
    lines = (kernel.places.work / ".graft" / "runs" / run / "ledger.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def steps_of(kernel, run="lora-001"):
    return [line["step"] for line in ledger(kernel, run) if "step" in line]


def test_dpo_raises_the_margin_and_everything_shows_it(kernel):
    start(kernel)
    shown = kernel.run("%data show n=1 tokens=true").text
    assert "example 1, chosen" in shown and "example 1, rejected" in shown, shown[:400]
    kernel.fail("%train steps=2", "prose-or-code", "%train loss=dpo")
    kernel.fail("%eval loss=nope", "dpo")
    plot = kernel.run("%train loss=dpo beta=0.1 steps=12 batch=4 warmup=2 lr=2e-3 eval_every=6 eval_examples=8", timeout=600)
    [svg] = [shown.data["image/svg+xml"] for shown in plot.displays if "image/svg+xml" in shown.data][-1:]
    words = " ".join(re.sub("<[^>]*>", " ", svg).split())
    assert "reward margin" in words and "with dpo" in words, words
    steps = steps_of(kernel)
    margins = [step["rewards"]["chosen"] - step["rewards"]["rejected"] for step in steps]
    assert abs(steps[0]["loss"] - math.log(2)) < 1e-6 and abs(margins[0]) < 1e-4, steps[0]
    assert sum(margins[-3:]) / 3 > 0.02, margins
    validations = [line["validation"] for line in ledger(kernel) if "validation" in line]
    assert validations[-1]["loss"] < validations[0]["loss"] and 0 <= validations[-1]["accuracy"] <= 1
    scores = kernel.run("%eval split=validation examples=16", timeout=600).text
    assert all(word in scores for word in ("base", "0.693", "reward margin", "16 pairs", "accuracy")), scores
    assert kernel.run("%plot lora-001 y=reward_margin").displays
    kernel.run("%runs export lora-001 steps.csv")
    rows = list(csv.DictReader((kernel.places.work / "steps.csv").open()))
    assert abs(float(rows[-1]["reward_margin"]) - margins[-1]) < 1e-9
    # The adapter now has trained weights, so it is its own reference.
    kernel.run("%train loss=dpo steps=2 batch=4 warmup=0 eval_every=0", timeout=600)
    again = steps_of(kernel, "lora-002")
    assert abs(again[0]["loss"] - math.log(2)) < 1e-6, again
    kernel.run("%train loss=dpo reference=base steps=1 batch=4 warmup=0 eval_every=0", timeout=600)
    assert steps_of(kernel, "lora-003")[0]["loss"] < 0.69


def test_a_resumed_preference_run_is_the_uninterrupted_one(kernel):
    keys = "loss=dpo batch=4 gradient_accumulation_steps=2 warmup=0 eval_every=0 lr=1e-3 schedule=constant"
    start(kernel)
    kernel.run(f"%train {keys} steps=4", timeout=600)
    kernel.run("%lora attach r=4")
    kernel.run(f"%train {keys} steps=2", timeout=600)
    kernel.run("%resume lora-002 steps=4", timeout=600)
    [whole, resumed] = [[step["loss"] for step in steps_of(kernel, run)] for run in ("lora-001", "lora-002")]
    assert whole == resumed, (whole, resumed)


def test_other_losses_and_methods_train_and_are_compared(kernel):
    start(kernel, method=None)
    kernel.run("%lora r=4 loss=orpo steps=2 batch=auto max_length=64 eval_every=0", timeout=600)
    assert steps_of(kernel)[0]["rewards"]["chosen"] < 0
    kernel.run("%full attach target_modules=norm")
    kernel.run("%train loss=ipo steps=2 batch=2 eval_every=0 gradient_checkpointing=true", timeout=600)
    assert abs(steps_of(kernel, "full-001")[0]["loss"] - 25) < 1e-3
    table = kernel.run("%ablate lora r=2,4 loss=hinge steps=3 batch=2 examples=8", timeout=600).text
    assert "accuracy" in table and "untuned base" in table, table


def test_bad_preferences_and_keys_are_refused_with_the_next_step(kernel):
    start(kernel)
    kernel.fail("%train loss=dpo beta=0", "beta", "between 0.0001 and 1000")
    kernel.fail("%train loss=dpo beta=-1", "beta", "between 0.0001 and 1000")
    kernel.fail("%train loss=dop", "dpo")
    work = kernel.places.work
    pair = {"prompt": "a", "chosen": " b", "rejected": " c"}
    for change, words in (
        ({"rejected": " b"}, "answer are the same"),
        ({"chosen": ""}, "the chosen is empty"),
        ({"rejected": None}, "has no `rejected`"),
    ):
        (work / "bad.jsonl").write_text(json.dumps(pair) + "\n" + json.dumps(pair | change) + "\n")
        kernel.fail("%data load bad.jsonl", "line 2", words)
    (work / "half.jsonl").write_text(json.dumps({"prompt": "a", "chosen": " b"}) + "\n")
    kernel.fail("%data load half.jsonl", "rejected")
    messages = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": text}] for text in "bc"]
    (work / "chat.jsonl").write_text(json.dumps({"chosen": messages[0], "rejected": messages[1]}) + "\n")
    kernel.run("%data load chat.jsonl")
    assert "user: a" in kernel.run("%data show n=1").text
    kernel.fail("%train loss=dpo steps=1", "chat template", "chat_template=")
    kernel.run("%data load chat.jsonl chat_template=chatml")
    kernel.run("%train loss=dpo steps=1 batch=1 warmup=0 eval_every=0", timeout=600)
    assert abs(steps_of(kernel)[0]["loss"] - math.log(2)) < 1e-6
    # The prompt of a preference between conversations is a conversation too.
    kernel.run("%generate data=train out=answers.jsonl max_new_tokens=2")
    answer = json.loads((work / "answers.jsonl").read_text())
    assert answer["messages"] == messages[0][:1] and answer["expected"] == "b" and "prompt" not in answer, answer
    kernel.run("%data load which-book")
    kernel.fail("%train loss=dpo steps=1", "which-book", "%data load prose-or-code")
    assert "`beta` has no effect" in kernel.run("%train steps=1 beta=0.2 batch=1 eval_every=0", timeout=600).text
