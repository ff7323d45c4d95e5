"""Opens models that Graft saved in transformers and compares them with what Graft says of them: `hf_models.py SOURCES SAVED`.

SOURCES/NAME is the folder that Graft loaded, SAVED/NAME what it wrote, with given.safetensors (ids and logits) beside the weights.
Ends with 1 when a prediction, a label, a token or a chat differs.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

TOLERANCE = 1e-4
TEXT = "the sky number 3 is  blue"
CHAT = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"}]


def kind(folder):
    architecture = AutoConfig.from_pretrained(folder).architectures[0]
    if "SequenceClassification" in architecture:
        return AutoModelForSequenceClassification
    return AutoModelForCausalLM if "LM" in architecture else AutoModel


def problems(source, saved):
    """What is wrong with a saved folder."""
    model, info = kind(saved).from_pretrained(saved, dtype=torch.float32, output_loading_info=True)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[what]:
            yield f"{what}: {sorted(map(str, info[what]))[:3]}"
    given = load_file(saved / "given.safetensors")
    with torch.no_grad():
        output = model.eval()(input_ids=given["input_ids"])
    logits = output.logits if hasattr(output, "logits") else output.last_hidden_state
    if logits.shape != given["logits"].shape or (logits - given["logits"]).abs().max() > TOLERANCE:
        yield "its predictions differ"
    labels = json.loads((saved / "labels.json").read_text())
    if labels and [model.config.id2label[index] for index in range(len(labels))] != labels:
        yield f"its labels are {model.config.id2label}"
    before, after = AutoTokenizer.from_pretrained(source), AutoTokenizer.from_pretrained(saved)
    if before(TEXT)["input_ids"] != after(TEXT)["input_ids"] or before.special_tokens_map != after.special_tokens_map:
        yield "its tokenizer differs"
    if before.chat_template != after.chat_template:
        yield "its chat template differs"
    if after.chat_template and before.apply_chat_template(CHAT, tokenize=False) != after.apply_chat_template(CHAT, tokenize=False):
        yield "its chats differ"


def main(sources, saved):
    found = 0
    for folder in sorted(pathlib.Path(saved).iterdir()):
        complaints = list(problems(pathlib.Path(sources) / folder.name, folder))
        found += len(complaints)
        print(f"{folder.name:12} {'; '.join(complaints) or 'the same'}")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
