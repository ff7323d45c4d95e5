"""Rows per second of reading and tokenizing: Graft and `datasets` with the tokenizers of transformers, in one run.

    pip install datasets transformers
    cargo build -p graft-train --example encoding_speed
    python tests/bench/encoding_speed.py target/debug/examples/encoding_speed [--rows 100000] [--rounds 3]

Both read the same files with the tokenizer of the embedded model: `labels.jsonl` (text and label, as one text with the
template of Graft) and `chat.jsonl` (two turns, the template chatml). Python reads with `load_dataset` into an empty cache
and tokenizes with `map(batched=True)` and `num_proc` of 1 and of the number of cores. The programs alternate; medians.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CRATES = HERE.parents[1] / "crates"
TINY = CRATES / "graft-models/assets/tiny"
CHATML = (CRATES / "graft-chat/assets/chatml.jinja").read_text()
WORDS = """the borrow checker refuses a second mutable reference while another one is alive each value has one owner and
lifetimes name how long references are valid a trait describes behavior that types share closures capture their environment
iterators are lazy until something consumes them the compiler infers most types and explains what it cannot""".split()  # noqa: SIM905


def sentence(rng, low, high):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(low, high)))


def write_files(folder, rows):
    rng = random.Random(0)
    labels, chat = folder / "labels.jsonl", folder / "chat.jsonl"
    with labels.open("w") as out:
        for _ in range(rows):
            out.write(json.dumps({"text": sentence(rng, 15, 45), "label": rng.choice(["good", "bad", "other"])}) + "\n")
    with chat.open("w") as out:
        for _ in range(rows):
            turns = [(role, sentence(rng, 5, 25)) for role in ("user", "assistant", "user", "assistant")]
            out.write(json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}) + "\n")
    return [labels, chat]


def of_python(file, processes):
    """Reads and tokenizes in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"HF_HOME": cache, "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        command = [sys.executable, __file__, "--peer", str(file), str(processes)]
        return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def peer(file, processes):
    from datasets import load_dataset
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(TINY / "tokenizer.json"))
    started = time.perf_counter()
    data = load_dataset("json", data_files=file, split="train")
    read = time.perf_counter() - started
    # Python has no `generation` tag, and the same text without it.
    template = CHATML.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")

    def labels(batch):
        return tokenizer([f"{text}\nLabel: {label}" for text, label in zip(batch["text"], batch["label"])])

    def chat(batch):
        texts = [tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False) for chat in batch["messages"]]
        return tokenizer(texts, add_special_tokens=False)

    started = time.perf_counter()
    encode = chat if "messages" in data.column_names else labels
    tokens = data.map(encode, batched=True, num_proc=processes if processes > 1 else None, remove_columns=data.column_names)
    encode = time.perf_counter() - started
    count = sum(len(row) for row in tokens["input_ids"])
    print(json.dumps({"rows": len(tokens), "tokens": count, "read": read, "encode": encode}))


def main():
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the example encoding_speed")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), arguments.rows)
        found = {}
        for _ in range(arguments.rounds):
            for file in files:
                graft = subprocess.run([arguments.program, "tiny", str(file)], check=True, capture_output=True, text=True)
                found.setdefault((file.name, "Graft"), []).append(json.loads(graft.stdout))
                for processes in sorted({1, cores}):
                    name = f"datasets, {processes} process{'es' if processes > 1 else ''}"
                    found.setdefault((file.name, name), []).append(of_python(file, processes))
    print("| file | program | tokens | read, s | tokenize, s | rows/s in all |\n|---|---|---:|---:|---:|---:|")
    for (file, name), runs in found.items():
        read, encode = (statistics.median(run[key] for run in runs) for key in ("read", "encode"))
        rate = runs[0]["rows"] / (read + encode)
        print(f"| {file} | {name} | {runs[0]['tokens']:,} | {read:.2f} | {encode:.2f} | {rate:,.0f} |")


main()
