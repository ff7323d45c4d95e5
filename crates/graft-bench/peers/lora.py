"""The LoRA step in PyTorch with HF PEFT: a contender of graft-bench. Prints its figures as one line of JSON."""

import argparse
import json
import resource
import time

began = time.perf_counter()

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    "tiny": dict(hidden=256, ffn=688, layers=4, heads=4, vocab=2048, rows=8, tokens=128),
    "d768": dict(hidden=768, ffn=2048, layers=8, heads=12, vocab=8192, rows=4, tokens=256),
}

parser = argparse.ArgumentParser()
parser.add_argument("--shape", choices=SHAPES, required=True)
parser.add_argument("--steps", type=int, required=True)
arguments = parser.parse_args()
shape = SHAPES[arguments.shape]

config = LlamaConfig(
    vocab_size=shape["vocab"], hidden_size=shape["hidden"], intermediate_size=shape["ffn"],
    num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"], num_key_value_heads=shape["heads"],
    max_position_embeddings=shape["tokens"], rms_norm_eps=1e-5, tie_word_embeddings=False, use_cache=False,
)
torch.manual_seed(1)
model = get_peft_model(
    LlamaForCausalLM(config),
    LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
)
model.train()
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
places = torch.arange(shape["rows"] * shape["tokens"])
ids = ((places * 7919 + places * places * 31) % shape["vocab"]).reshape(shape["rows"], shape["tokens"])

step_milliseconds, losses, first = [], [], None
for _ in range(arguments.steps):
    start = time.perf_counter()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
    step_milliseconds.append(1e3 * (time.perf_counter() - start))
    first = first or 1e3 * (time.perf_counter() - began)

print(json.dumps({
    "step_milliseconds": step_milliseconds,
    "losses": losses,
    "first_step_milliseconds": first,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
