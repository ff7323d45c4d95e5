"""Training in the words of HF Trainer: epochs, optimizers, early stopping, the best weights, and closures in Rust cells."""

import json

TRAINING = 600


def ready(kernel):
    kernel.run("%seed 7\n%model load tiny\n%data load which-book\n%lora attach r=2")


def ledger(kernel, run):
    path = kernel.places.work / ".graft" / "runs" / run / "ledger.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def steps(kernel, run):
    return [record["step"] for record in ledger(kernel, run) if "step" in record]


def test_names_of_trainer_train_and_bad_values_are_answered(kernel):
    ready(kernel)
    line = (
        "%train num_train_epochs=0.02, eval_steps=0, per_device_train_batch_size=8, learning_rate=2e-3, lr_scheduler_type=\"linear\", "
        "warmup_ratio=0.2, optim=\"adafactor\", label_smoothing_factor=0.1, neftune_noise_alpha=5, task_type=\"CAUSAL_LM\""
    )
    cell = kernel.run(line, timeout=TRAINING)
    header = next(record["header"] for record in ledger(kernel, "lora-001") if "header" in record)
    count = header["train"]["values"]["steps"]["Integer"]
    assert "epochs of" in cell.text and f": {count} steps" in cell.text and "`task_type`" in cell.text, cell.text
    assert len(steps(kernel, "lora-001")) == count
    kernel.fail("%train epochs=1 steps=5", "`steps` and `epochs` cannot be given together", "leave out")
    kernel.fail("%train optim=adamv", "did you mean `adamw`")
    kernel.fail("%train momentum=0.9", "no effect with optim=adamw", "add optim=sgd")
    kernel.fail("%train steps=3 best=acuracy", "do not measure `acuracy`", "did you mean best=accuracy")
    kernel.fail("%train steps=3 early_stopping=2 eval_every=0", "needs validations", "eval_every=20")
    kernel.fail("%resume lora-001 steps=99 optim=lion", "optim=adafactor", "%resume lora-001 optim=adafactor")
    kernel.fail("%ablate lora r=1,2 early_stopping=2", "cannot be part of a grid", "early=halving")
    kernel.run("%ablate lora r=1 epochs=0.02 batch=8 examples=8", timeout=TRAINING)
    sizes = [kernel.run(f"%memory optim={name}").text for name in ("adamw", "sgd")]
    states = [next(line for line in text.splitlines() if "optimizer states" in line) for text in sizes]
    assert states[0] != states[1], states


def test_a_run_stops_early_and_attaches_its_best_weights(kernel):
    ready(kernel)
    cell = kernel.run("%train steps=30 lr=0.1 batch=4 warmup=0 eval_every=2 eval_examples=8 early_stopping=2 load_best=true", timeout=TRAINING)
    assert "attached the best weights: step" in cell.text, cell.text
    [ended] = [record["ended"] for record in ledger(kernel, "lora-001") if "ended" in record]
    assert ended["step"] < 30 and "no better validation loss in 2 validations" in ended["summary"], ended
    kernel.fail("%resume lora-001", "has stopped early", "early_stopping=5")


def test_the_best_weights_are_those_with_the_best_answers(kernel):
    rows = [{"prompt": f"{word} means", "completion": f" {word}"} for word in ["red", "blue", "sun", "moon"]]
    (kernel.places.work / "words.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    kernel.run("%seed 7\n%model load tiny\n%data load train=words.jsonl validation=words.jsonl test=words.jsonl\n%lora attach r=8")
    kernel.run("%train steps=60 lr=2e-2 batch=4 warmup=0 eval_every=20 best=exact_match load_best=true", timeout=TRAINING)
    measured = [record["validation"]["metric"] for record in ledger(kernel, "lora-001") if "validation" in record]
    assert len(measured) == 4 and all(0 <= value <= 1 for value in measured), measured
    shown = kernel.run("%eval metric=exact_match base=false max_new_tokens=16").text
    assert f"{100 * max(measured[1:]):.1f} %" in shown, (measured, shown)
    kernel.run('lab().metric("length", |predicted, _| predicted.len() as f64)?;', timeout=TRAINING)
    kernel.run("%train steps=2 batch=4 eval_every=1 best=length", timeout=TRAINING)
    kernel.fail("%train steps=2 best=rougel2", "do not measure `rougel2`", "best=exact_match")


def test_a_closure_logs_stops_changes_the_rate_and_computes_the_loss(kernel):
    ready(kernel)
    kernel.run(
        "let mut seen = 0;\n"
        "lab().on_step(move |event| {\n"
        "    seen += 1;\n"
        "    if event.step() == 2 { event.set_lr(1e-4); event.log(format!(\"saw {seen}, loss {:.2}\", event.loss())); }\n"
        "    if event.step() == 4 { event.stop(); }\n"
        "})?;",
        timeout=TRAINING,
    )
    cell = kernel.run("%train steps=9 batch=2 eval_every=0 schedule=constant lr=1e-3", timeout=TRAINING)
    assert "saw 2, loss" in cell.text and "uses your `on_step` closure" in cell.text, cell.text
    assert [step["lr"] for step in steps(kernel, "lora-001")] == [1e-3, 1e-3, 1e-4, 1e-4]
    # A panic is a reported failure that loses nothing.
    kernel.run("lab().on_step(|event| { if event.step() == 3 { panic!(\"the sky fell\"); } })?;", timeout=TRAINING)
    kernel.fail("%train steps=5 batch=2 eval_every=0", "`on_step` failed", "the sky fell", "%resume", timeout=TRAINING)
    assert len(steps(kernel, "lora-002")) == 3
    kernel.run("lab().clear_callbacks()?;", timeout=TRAINING)
    kernel.run("%resume lora-002", timeout=TRAINING)
    assert [step["step"] for step in steps(kernel, "lora-002")] == [1, 2, 3, 4, 5]
    # The loss through the same door: half of the cross entropy.
    kernel.run(
        "lab().train_loss(|logits, labels| {\n"
        "    let log_probs = candle_nn::ops::log_softmax(logits, D::Minus1)?;\n"
        "    log_probs.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)? * -0.5\n"
        "})?;",
        timeout=TRAINING,
    )
    again = "%seed 7\n%lora attach r=2\n%train steps=1 batch=2 eval_every=0"
    kernel.run(again, timeout=TRAINING)
    kernel.run("lab().clear_callbacks()?;", timeout=TRAINING)
    kernel.run(again, timeout=TRAINING)
    half, whole = (steps(kernel, run)[0]["loss"] for run in ("lora-003", "lora-004"))
    assert abs(2 * half - whole) < 1e-4, (half, whole)
    kernel.fail("%resume lora-003 steps=3", "your own loss|loss of your own", "train_loss")
