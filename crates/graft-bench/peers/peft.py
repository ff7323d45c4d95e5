"""A fine-tuning step in PyTorch with HF PEFT: a backend of graft-bench. Prints its measurements as one line of JSON."""

import argparse
import json
import resource
import time

began = time.perf_counter()

import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM


def llama(hidden, ffn, layers, heads, vocab, tokens, kv_heads=None, tied=False):
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=vocab, hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv_heads or heads, max_position_embeddings=2 * tokens, rms_norm_eps=1e-5, tie_word_embeddings=tied, use_cache=False,
    ))


def gpt2():
    # Without dropout, like the other backends.
    return GPT2LMHeadModel(GPT2Config(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, use_cache=False))


def bert():
    return BertForSequenceClassification(BertConfig(num_labels=7, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))


# vocabulary, model of so many tokens
SHAPES = {
    "tiny": (2048, lambda tokens: llama(256, 688, 4, 4, 2048, tokens)),
    "d768": (8192, lambda tokens: llama(768, 2048, 8, 12, 8192, tokens)),
    "gpt2": (50257, lambda tokens: gpt2()),
    "bert": (30522, lambda tokens: bert()),
    "llama-1b": (128256, lambda tokens: llama(2048, 8192, 16, 32, 128256, tokens, kv_heads=8, tied=True)),
}

parser = argparse.ArgumentParser()
parser.add_argument("--shape", choices=SHAPES, required=True)
parser.add_argument("--work", choices=["lora", "checkpointed", "lora-qv", "dora", "prompt", "full"], required=True)
parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
for number in ("rows", "tokens", "rank", "steps"):
    parser.add_argument(f"--{number}", type=int, required=True)
arguments = parser.parse_args()
rows, tokens = arguments.rows, arguments.tokens
vocab, make = SHAPES[arguments.shape]
is_classifier = arguments.shape == "bert"
task = "SEQ_CLS" if is_classifier else "CAUSAL_LM"

torch.manual_seed(1)
# Weights are created on the device; PEFT keeps the adapters of a bf16 base in 32 bits, as Graft does.
torch.set_default_device(arguments.device)
torch.set_default_dtype(torch.bfloat16 if arguments.shape == "llama-1b" else torch.float32)
model = make(tokens)
torch.set_default_dtype(torch.float32)
if arguments.work == "prompt":
    model = get_peft_model(model, PromptTuningConfig(num_virtual_tokens=20, task_type=task))
elif arguments.work != "full":
    targets = None if arguments.work == "lora-qv" else "all-linear"
    model = get_peft_model(model, LoraConfig(
        r=arguments.rank, lora_alpha=2 * arguments.rank, target_modules=targets, use_dora=arguments.work == "dora", task_type=task,
    ))
model.train()
if arguments.work == "checkpointed":
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
places = torch.arange(rows * tokens)
ids = ((places * 7919 + places * places * 31) % vocab).reshape(rows, tokens)
labels = torch.arange(rows) % 7 if is_classifier else ids

step_milliseconds, losses, first = [], [], None
for _ in range(arguments.steps):
    start = time.perf_counter()
    loss = model(input_ids=ids, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())  # waits for the GPU
    step_milliseconds.append(1e3 * (time.perf_counter() - start))
    first = first or 1e3 * (time.perf_counter() - began)

print(json.dumps({
    "step_milliseconds": step_milliseconds,
    "losses": losses,
    "first_step_milliseconds": first,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
