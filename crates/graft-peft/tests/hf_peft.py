"""Loads adapters saved by Graft in HF PEFT, and merged models in transformers, and compares their logits: `hf_peft.py BASES ADAPTERS`.

BASES/MODEL is a Hugging Face folder, ADAPTERS/MODEL/METHOD what Graft wrote for it. Prints a row each; ends with 1 when one differs.
"""

import json
import pathlib
import sys
import warnings

import torch
import transformers
from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

TOLERANCE = 1e-4


def base(folder):
    """Loads the model in a folder with the class that its config names."""
    architectures = json.loads((folder / "config.json").read_text()).get("architectures") or [""]
    kind = AutoModelForSequenceClassification if "SequenceClassification" in architectures[0] else AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32).eval()


def distance(model, given):
    """Returns the largest difference of a logit; infinity if the shapes differ."""
    with torch.no_grad():
        logits = model(input_ids=given["input_ids"]).logits
    if logits.shape != given["logits"].shape:
        return float("inf")
    return (logits - given["logits"]).abs().max().item()


def opened(model_folder, folder):
    """Loads an adapter in PEFT; returns the largest difference of the logits, and the warnings."""
    config = json.loads((folder / "adapter_config.json").read_text())
    peft_type = config.get("peft_type")
    if peft_type not in PEFT_TYPE_TO_CONFIG_MAPPING:
        return None, f"HF PEFT has no {peft_type}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = PeftModel.from_pretrained(base(model_folder), folder).eval()
        except TypeError as refusal:  # GPT-2's Conv1D under LoHa, LoKr and OFT
            if "not supported" not in str(refusal):
                raise
            return None, "HF PEFT refuses this layer"
        except RuntimeError as mismatch:  # PiSSA and OLoRA on GPT-2's Conv1D
            if "size mismatch" not in str(mismatch) or not (config.get("fan_in_fan_out") and isinstance(config.get("init_lora_weights"), str)):
                raise
            return None, "HF PEFT starts this method with matrices of turned shapes on this layer"
    complaints = [str(warning.message) for warning in caught if "missing adapter keys" in str(warning.message).lower()]
    try:
        return distance(model, load_file(folder / "given.safetensors")), "; ".join(complaints)
    except ValueError as refusal:  # a prefix on BERT, whose forward of this transformers takes no keys and values
        if "does not support past key values" not in str(refusal):
            raise
        return None, "HF PEFT cannot run a prefix on this model"


def main(bases, adapters):
    failed = 0
    for folder in sorted(adapters.glob("*/*")):
        given = load_file(folder / "given.safetensors")
        away, note = opened(bases / folder.parent.name, folder)
        merged = distance(base(folder / "merged"), given) if (folder / "merged").is_dir() else None
        is_checked = away is not None or merged is not None or "cannot run" in note
        good = is_checked and all(it is None or it < TOLERANCE for it in (away, merged)) and (away is None or not note)
        failed += not good
        shown = ["-" if it is None else f"{it:.1e}" for it in (away, merged)]
        print(f"{'ok' if good else 'FAILED':6} {folder.parent.name:12} {folder.name:44} opened {shown[0]:>8}  merged {shown[1]:>8}  {note}")
    return 1 if failed else 0


if __name__ == "__main__":
    transformers.logging.disable_progress_bar()
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
