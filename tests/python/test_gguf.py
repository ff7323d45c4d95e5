"""GGUF files through an installed kernel."""

import pathlib
import re
import shutil

from graft_testing import Kernel

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
