"""Writes prose-or-code.jsonl from rust-docs.jsonl and error-codes.jsonl.

A pair is made from a passage with two paragraphs of prose and a block of code. The prompt is the
first paragraph, the chosen answer the next paragraph, and the rejected answer the block. The split
is that of the passage. Run it in this folder: python3 make_prose_or_code.py
"""

import json

SHORTEST, LONGEST = 60, 300


def fits(part):
    return SHORTEST <= len(part) <= LONGEST


def is_code(part):
    return part.startswith("```\n") and part.endswith("\n```")


def is_prose(part):
    return part[0].isalpha() and part[-1] in ".:" and "```" not in part


def parts_of(text):
    """Paragraphs and blocks; an empty line inside a block does not end it."""
    parts = []
    for part in text.split("\n\n"):
        if parts and parts[-1].count("```") % 2 == 1:
            parts[-1] += "\n\n" + part
        else:
            parts.append(part)
    return [part for part in parts if part.strip()]


def pair_of(row):
    parts = [part for part in parts_of(row["text"]) if fits(part)]
    prose = [part for part in parts if is_prose(part)]
    code = [part for part in parts if is_code(part)]
    if len(prose) < 2 or not code:
        return None
    return {
        "prompt": prose[0] + "\n\n",
        "chosen": prose[1],
        "rejected": code[0],
        "split": row["split"],
        "page": row["page"],
    }


def main():
    pairs, seen = [], set()
    for name in ("rust-docs", "error-codes"):
        with open(f"{name}.jsonl", encoding="utf-8") as file:
            for line in file:
                pair = pair_of(json.loads(line))
                if pair and pair["prompt"] not in seen:
                    seen.add(pair["prompt"])
                    pairs.append(pair)
    with open("prose-or-code.jsonl", "w", encoding="utf-8") as file:
        for pair in pairs:
            file.write(json.dumps(pair, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
