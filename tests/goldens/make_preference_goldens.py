#!/usr/bin/env python3
"""Golden values of preference training: TRL's DPOTrainer (dpo, ipo, hinge), ORPOTrainer and CPOTrainer (simpo) on the embedded model.

Writes preference/trl.json: the pairs; their token ids and the index of the first token of the answers; for each loss, the loss,
gradient norm and rewards of every step, and loss and rewards of each pair alone after training. Only the norms are trained, in
float32, with all pairs in each batch, so the order does not matter; the reference is a copy of the untrained model.

Usage: python make_preference_goldens.py       Needs: torch 2.15.0 transformers 5.24.0 trl 1.16.0
"""
import copy, json, pathlib, tempfile

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE.parents[1] / "crates/graft-models/assets/tiny"
STEPS, BETA, GAMMA, RATE = 4, 0.3, 0.7, 0.02
PAIRS = [
    dict(prompt="The `Vec` type is", chosen=" a growable array.", rejected=" a kind of soup, which is served hot."),
    dict(prompt="# Error code E0308\n\n", chosen="Expected type did not match the received type.", rejected="```\nfn main() {}\n```"),
    dict(prompt="Use `cargo", chosen=" build` to compile.", rejected="o` to compile."),
    dict(prompt="A trait tells the compiler about functionality a type has", chosen=".", rejected=" and can share with the other types; we use traits."),
]
BORDER = 2  # in one answer to this prompt, a token spans the border


def main():
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(TINY / "tokenizer.json"))
    tokenizer.bos_token, tokenizer.eos_token = tokenizer.convert_ids_to_tokens([model.config.bos_token_id, model.config.eos_token_id])
    tokenizer.pad_token = tokenizer.eos_token
    out = {"beta": BETA, "gamma": GAMMA, "lr": RATE, "pairs": PAIRS, "losses": {}}
    for loss in ("dpo", "ipo", "hinge", "orpo", "simpo"):
        # ORPOTrainer and CPOTrainer count the answers of the pair with a token across the border from different tokens.
        used = [index for index in range(len(PAIRS)) if loss not in ("orpo", "simpo") or index != BORDER]
        trainer = make_trainer(loss, [PAIRS[index] for index in used], copy.deepcopy(model), copy.deepcopy(model), tokenizer)
        if loss == "dpo":
            out["tokens"] = [dict(prompt=row["prompt_ids"], chosen=row["chosen_ids"], rejected=row["rejected_ids"]) for row in trainer.train_dataset]
        trainer.train()
        keys = {"loss": "loss", "grad_norm": "grad_norm", "chosen": "rewards/chosen", "rejected": "rewards/rejected", "accuracy": "rewards/accuracies"}
        steps = [{name: entry[key] for name, key in keys.items()} for entry in trainer.state.log_history if "loss" in entry]
        each = []
        for index in range(len(used)):
            found = trainer.evaluate(trainer.eval_dataset.select([index]))
            each.append({name: found["eval_" + key] for name, key in keys.items() if name != "grad_norm"})
        out["losses"][loss] = {"used": used, "steps": steps, "pairs": each}
    (HERE / "preference").mkdir(exist_ok=True)
    (HERE / "preference" / "trl.json").write_text(json.dumps(out, indent=1) + "\n")


def make_trainer(loss, pairs, model, reference, tokenizer):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "norm" in name
    shared = dict(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=len(PAIRS), per_device_eval_batch_size=1, max_steps=STEPS, beta=BETA,
                  learning_rate=RATE, lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0, logging_steps=1, optim="adamw_torch",
                  save_strategy="no", report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False, max_length=512, remove_unused_columns=False)
    data = Dataset.from_list(pairs)
    if loss == "orpo":
        return ORPOTrainer(model, args=ORPOConfig(**shared), train_dataset=data, eval_dataset=data, processing_class=tokenizer)
    if loss == "simpo":
        args = CPOConfig(loss_type="simpo", cpo_alpha=0.0, simpo_gamma=GAMMA, **shared)
        return CPOTrainer(model, args=args, train_dataset=data, eval_dataset=data, processing_class=tokenizer)
    loss_type = {"dpo": "sigmoid"}.get(loss, loss)
    return DPOTrainer(model, reference, args=DPOConfig(loss_type=loss_type, **shared), train_dataset=data, eval_dataset=data, processing_class=tokenizer)


main()
