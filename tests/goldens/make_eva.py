#!/usr/bin/env python3
"""EVA's start as HF PEFT finds it, for the test `eva_initializes_as_hf_peft_does`: batches, and A of every layer, on the models here.

Usage: python make_eva.py FILE MODEL_FOLDER...     (pip install torch transformers peft safetensors)
Writes FILE with `<model>.batches` (N, B, T) i64 and `<model>.<path of the layer>` (rank, d_in) f32.
"""
import pathlib, sys

import torch
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

found = {}
for folder in map(pathlib.Path, sys.argv[2:]):
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    # Few tokens are common and most are rare, so that the inputs have directions.
    ids = (torch.rand(6, 8, 16) ** 3 * model.config.vocab_size).long()
    eva = EvaConfig(rho=2.0, tau=0.99, use_label_mask=False)
    targets = ["c_attn", "c_proj"] if model.config.model_type == "gpt2" else ["q_proj", "v_proj", "o_proj", "down_proj"]
    peft = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, init_lora_weights="eva", eva_config=eva, target_modules=targets))
    initialize_lora_eva_weights(peft, [{"input_ids": batch} for batch in ids], show_progress_bar=False)
    found[f"{folder.name}.batches"] = ids
    for name, weight in peft.named_parameters():
        if ".lora_A." in name:
            found[f"{folder.name}." + name.removeprefix("base_model.model.").split(".lora_A")[0]] = weight.detach().contiguous()
    config = peft.peft_config["default"]
    print(folder.name, config.rank_pattern, config.alpha_pattern, config.target_modules)
save_file(found, sys.argv[1])
