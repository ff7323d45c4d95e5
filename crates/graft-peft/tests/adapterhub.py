"""Loads bottleneck adapters saved by Graft with AdapterHub's library and compares logits: `adapterhub.py BASES ADAPTERS`.

BASES/MODEL is a Hugging Face folder, ADAPTERS/MODEL/NAME what Graft wrote for it. Prints a row each; ends with 1 when one differs.
"""

import json
import pathlib
import sys

import adapters
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

TOLERANCE = 1e-4


def opened(model_folder, folder):
    """Returns the largest difference of the logits, and the keys that AdapterHub misses in the file."""
    architectures = json.loads((model_folder / "config.json").read_text()).get("architectures") or [""]
    kind = AutoModelForSequenceClassification if "SequenceClassification" in architectures[0] else AutoModelForCausalLM
    model = kind.from_pretrained(model_folder).float()
    adapters.init(model)
    told = {}
    name = model.load_adapter(str(folder), with_head=False, use_safetensors=True, loading_info=told)
    model.set_active_adapters(name)
    # A classifier's head is not part of AdapterHub's adapter: Graft saves it separately.
    stored = load_file(folder / "adapter.safetensors")
    head = {key.removeprefix("base_model.model."): value for key, value in stored.items() if ".classifier." in key}
    assert not model.load_state_dict(head, strict=False).unexpected_keys
    given = load_file(folder / "given.safetensors")
    with torch.no_grad():
        logits = model.eval()(input_ids=given["input_ids"]).logits
    return (logits - given["logits"]).abs().max().item(), told.get("missing_keys", [])


def main(bases, found):
    failed = 0
    for folder in sorted(found.glob("*/*")):
        away, missing = opened(bases / folder.parent.name, folder)
        good = away < TOLERANCE and not missing
        failed += not good
        print(f"{'ok' if good else 'FAILED':6} {folder.parent.name:12} {folder.name:44} opened {away:.1e}  {' '.join(missing)}")
    return 1 if failed else 0


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
