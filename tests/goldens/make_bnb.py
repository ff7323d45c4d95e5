#!/usr/bin/env python3
"""A tiny Llama packed by bitsandbytes, as transformers saves it, with the weights that it stands for: `make_bnb.py OUT_FOLDER`.

Writes OUT_FOLDER/{nf4,nf4-double,int8}/: config.json, model.safetensors, and expected.safetensors with input_ids, the logits of the unpacked
model, and two of the unpacked weights.      (pip install torch transformers accelerate bitsandbytes safetensors)
"""
import pathlib, sys, tempfile

import bitsandbytes.functional as F
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

out = pathlib.Path(sys.argv[1])
ids = torch.tensor([[4, 8, 15, 16, 23, 42], [7, 7, 1, 0, 49, 3]])
nf4 = dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
kinds = {"nf4": nf4, "nf4-double": nf4 | dict(bnb_4bit_use_double_quant=True), "int8": dict(load_in_8bit=True)}
torch.manual_seed(5)
config = LlamaConfig(vocab_size=96, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                     max_position_embeddings=64, initializer_range=0.15, tie_word_embeddings=False)
plain = LlamaForCausalLM(config).eval()
with tempfile.TemporaryDirectory() as base:
    plain.save_pretrained(base)
    for name, keys in kinds.items():
        packed = AutoModelForCausalLM.from_pretrained(base, quantization_config=BitsAndBytesConfig(**keys), dtype=torch.float32, device_map="cpu")
        folder = out / name
        packed.save_pretrained(folder)
        weights = {}
        for path, layer in packed.named_modules():
            if hasattr(getattr(layer, "weight", None), "quant_state"):
                weights[f"{path}.weight"] = F.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
            elif hasattr(getattr(layer, "weight", None), "SCB"):
                weights[f"{path}.weight"] = layer.weight.data.float() * layer.weight.SCB[:, None] / 127
        unpacked = LlamaForCausalLM(config).eval()
        unpacked.load_state_dict(plain.state_dict() | weights)
        with torch.no_grad():
            logits = unpacked(ids).logits
        some = {key: weight.contiguous() for key, weight in weights.items() if "layers.1.self_attn.k_proj" in key or "layers.0.mlp.down_proj" in key}
        save_file({"input_ids": ids, "logits": logits} | some, folder / "expected.safetensors")
        print(name, len(weights), sorted(load_file(folder / "model.safetensors"))[3:12])
