"""Metrics of generated text and of classes, and texts for a whole data set."""

import json
import re

ROWS = [
    {"prompt": f"Question {i}: what is {i} + {i}? Answer:", "completion": f" {2 * i}", "split": "test" if i % 2 else "train"}
    for i in range(12)
]


def test_metrics_of_generated_text(kernel):
    """ROUGE, numbers and a metric of the user are computed on generated answers; bad input is refused with the next step."""
    (kernel.places.work / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    kernel.run("%model load tiny")
    kernel.run("%data load sums.jsonl")
    kernel.fail("%eval metric=rogue", "unknown metric", "did you mean `rouge`?")
    kernel.fail("%eval metric=regex", "regular expression", "pattern=")
    kernel.fail('%eval metric=regex pattern="("', "unclosed group")
    shown = kernel.run("%eval metric=rouge,numeric,bleu max_new_tokens=8 stop=?", timeout=120)
    for name in ["rouge1", "rouge2", "rougeL", "numeric", "bleu"]:
        assert re.search(rf"{name} +[\d.]+( %)? \[[\d.]+, [\d.]+\]", shown.text), shown.text
    kernel.run('lab().metric("digits", |predicted, gold| f64::from(u8::from(predicted.chars().any(|it| it.is_ascii_digit()) && !gold.is_empty())))?;', timeout=180)
    assert "digits" in kernel.run("%eval metric=digits max_new_tokens=4", timeout=60).text
    kernel.fail("%eval metric=digit max_new_tokens=4", "did you mean `digits`?")


def test_texts_of_a_data_set_are_written_to_a_file(kernel):
    """Each prompt of a split is continued; the file has one JSON object per line."""
    (kernel.places.work / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    kernel.run("%model load tiny")
    kernel.run("%data load sums.jsonl")
    kernel.fail("%generate data=test out=nowhere/a.jsonl", "its folder does not exist")
    kernel.fail('%generate "x" out=a.jsonl', "`out` needs a data set")
    kernel.fail("%generate data=tset out=a.jsonl", "unknown data set")
    said = kernel.run("%generate data=test out=answers.jsonl max_new_tokens=6 batch=4", timeout=120)
    assert "6 texts of sums, test split" in said.text, said.text
    rows = [json.loads(line) for line in (kernel.places.work / "answers.jsonl").read_text().splitlines()]
    assert [row["expected"] for row in rows] == ["2", "6", "10", "14", "18", "22"]
    assert all(row["tokens"] <= 6 and row["prompt"].startswith("Question") for row in rows)
    alone = kernel.run(f'%generate "{rows[0]["prompt"]}" max_new_tokens=6').text
    assert rows[0]["text"].strip() in alone, (rows[0], alone)
    assert "6 more" not in kernel.run("%generate data=test max_new_tokens=2").text


def test_a_confusion_matrix_is_drawn_for_metrics_of_classes(kernel):
    kernel.run("%model load tiny")
    kernel.run("%data load which-book")
    shown = kernel.run("%eval metric=accuracy,f1_macro,f1_weighted examples=24", timeout=120)
    assert "rows: expected class; columns: predicted class" in shown.text, shown.text
    assert "rgba(46,160,67" in shown.html and "f1_weighted" in shown.html
