"""The tokens of examples, conversations with the model, and training on conversations."""

import json
import re

ROWS = '%%data answers\n{"prompt": "Answer:", "completion": " <yes>"}\n{"prompt": "Say:", "completion": " no"}'


def test_tokens_are_shown_with_ids_and_loss(kernel):
    kernel.run("%model load tiny")
    kernel.run(ROWS)
    shown = kernel.run("%data show n=1 tokens=true")
    assert "answers, train, example 1" in shown.text and "^ carries loss" in shown.text, shown.text
    # The tokenizer splits " <yes>" into several tokens, so each part is escaped by itself.
    assert "&lt;" in shown.html and "<yes" not in shown.html and "rgba(46,160,67" in shown.html
    kernel.fail("%data show n=1 tokens=maybe", "true or false")
    ids = kernel.run('let shown = lab().show_tokens(None, 1)?;\nprintln!("{}", shown.ids()[0].iter().filter(|it| it.1).count());', timeout=120)
    assert int(ids.stdout.strip()) >= 2, ids.stdout


def test_a_conversation_is_kept_until_it_is_reset(kernel):
    kernel.run("%model load tiny")
    kernel.fail('%chat "Hello"', "no chat template", "template=")
    first = kernel.run('%chat "Hello" template=plain max_new_tokens=8', timeout=60)
    assert "Hello" in first.text
    kernel.run('%chat "And now?" max_new_tokens=8', timeout=60)
    shown = kernel.run("%chat").text
    assert "And now?" in shown and shown.count("assistant") == 2, shown
    assert "4 messages" in kernel.run("%chat reset").text
    kernel.fail('%chat "Hello"', "no chat template")
    kernel.fail("%chat template=plain", "message is missing")


def test_a_bad_template_is_named_with_its_line(kernel):
    kernel.run("%model load tiny")
    kernel.run("%%writefile bad.jinja\n{% for m in messages %}\n{{ m.content | nothing }}\n{% endfor %}")
    kernel.fail('%chat "Hello" template=bad.jinja', "bad.jinja` line 2", "nothing is unknown")
    kernel.run("%%writefile endless.jinja\n{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}")
    kernel.fail('%chat "Hello" template=endless.jinja', "was stopped")
    kernel.run("%%writefile strict.jinja\n{{ raise_exception('not today') }}")
    kernel.fail('%chat "Hello" template=strict.jinja', "refuses the conversation: not today")
    assert "1" in kernel.run("println!(\"{}\", 1)", timeout=120).text


TOOL = [{"type": "function", "function": {"name": "add", "description": "Adds two numbers", "parameters": {"type": "object", "properties": {}}}}]


def conversations():
    """OpenAI-style rows: plain ones, one with a system message and several turns, one with tools."""
    rows = [{"messages": [{"role": "user", "content": f"Say {word}"}, {"role": "assistant", "content": word}]} for word in ["yes", "no", "red", "blue", "one", "two", "sun", "moon"]]
    rows.append({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Farewell"}]})
    call = {"role": "assistant", "content": "I add.", "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}}]}
    rows.append({"tools": TOOL, "messages": [{"role": "user", "content": "1 + 2?"}, call, {"role": "tool", "content": "3"}, {"role": "assistant", "content": "It is 3."}]})
    return rows


def lines(rows):
    return "\n".join(json.dumps(row) for row in rows)


def loss_tokens(cell):
    """The numbers of tokens with loss of all shown examples."""
    return [int(found) for found in re.findall(r"(\d+) with loss", cell.text)]


def test_conversations_are_trained_scored_compared_resumed_and_continued(kernel):
    kernel.run("%model load tiny\n%seed 3")
    (kernel.places.work / "chat.jsonl").write_text(lines(conversations()))
    load = "%data load chat.jsonl validation=0.2 test=0.2"
    assert "conversations" in kernel.run(load).text
    kernel.run("%lora attach r=2")
    # The embedded model has no template: the message names one that suits its tokenizer, and it works.
    kernel.fail("%train steps=2", "need a chat template", "chat_template=plain")
    kernel.fail("%data show tokens=true", "chat_template=plain")
    kernel.run(load + " chat_template=plain")
    shown = kernel.run("%data show n=1 tokens=true")
    # The loss is on the answer and the token that ends it.
    assert "ist ant :" in shown.text and shown.text.count("«</s>»") == 3 and min(loss_tokens(shown)) >= 2, shown.text
    everything = loss_tokens(kernel.run("%data show n=1 loss_on=all"))
    assert all(more > some for more, some in zip(everything, loss_tokens(shown), strict=True)), (everything, shown.text)
    trained = kernel.run("%train steps=4 batch=2 eval_every=2 warmup=0", timeout=60)
    assert "validation" in trained.text.lower(), trained.text
    scores = kernel.run("%eval batch=4 base=false").text
    assert "perplexity" in scores and "accuracy" not in scores, scores
    assert kernel.run("%eval batch=4 base=false loss_on=all").text != scores
    resumed = kernel.run("%resume steps=6", timeout=60)
    assert "6" in resumed.text, resumed.text
    compared = kernel.run("%ablate lora r=1,2 steps=2 batch=2 loss_on=completion", timeout=60)
    assert "r=1" in compared.text and "r=2" in compared.text, compared.text
    # The template of the data is that of the conversation.
    assert "Say yes" in kernel.run('%chat "Say yes" max_new_tokens=4', timeout=60).text


def test_share_gpt_and_a_template_file_are_trained_alike(kernel):
    kernel.run("%model load tiny")
    share = [{"conversations": [{"from": {"user": "human", "assistant": "gpt"}.get(it["role"], it["role"]), "value": it["content"]} for it in row["messages"]]} for row in conversations()[:8]]
    (kernel.places.work / "share.jsonl").write_text(lines(share))
    (kernel.places.work / "open.jsonl").write_text(lines(conversations()[:8]))
    (kernel.places.work / "own.jinja").write_text("{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}\n{% endfor %}")
    kernel.run("%lora attach r=2")
    tokens = []
    for name in ["share", "open"]:
        kernel.run(f"%data load {name}.jsonl validation=0 test=0 chat_template=own.jinja")
        tokens.append(kernel.run("%data show n=2 tokens=true").text.replace(name, "data"))
        kernel.run("%train steps=1 batch=2 eval_every=0", timeout=60)
    assert tokens[0] == tokens[1] and "ist ant :" in tokens[0] and "«</s>»" in tokens[0], tokens
    # The template was read with the data: a resumed run refuses data with another one.
    (kernel.places.work / "own.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    kernel.run("%data load open.jsonl validation=0 test=0 chat_template=own.jinja")
    kernel.fail("%resume steps=3", "changed|differ|other")


def test_conversations_that_cannot_be_trained_are_named(kernel):
    kernel.run("%model load tiny\n%lora attach r=2")
    good = conversations()[:2]
    ends = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]}]
    write = lambda rows: (kernel.places.work / "rows.jsonl").write_text(lines(rows))  # noqa: E731
    load = "%data load rows.jsonl validation=0 test=0 chat_template="
    write(good + ends)
    kernel.run(load + "plain")
    # The answer in the middle is learned; only `completion` needs one at the end.
    kernel.run("%train steps=1 batch=3 eval_every=0", timeout=60)
    kernel.fail("%train steps=1 loss_on=completion", "conversation 3 of the train split", "`user` wrote it", "loss_on=all")
    kernel.run("%train steps=1 batch=3 eval_every=0 loss_on=all", timeout=60)
    kernel.fail(load + "chatmll", "chat template is called `chatmll`", "did you mean `chatml`")
    kernel.fail(load + "gone.jinja", "gone.jinja")
    (kernel.places.work / "bad.jinja").write_text("{% for m in messages %}\n{{ m.content | }}\n{% endfor %}")
    kernel.fail(load + "bad.jinja", "bad.jinja` line 2")
    (kernel.places.work / "strict.jinja").write_text("{% for m in messages %}{% if m.role == 'assistant' and loop.last %}{{ raise_exception('no answers') }}{% endif %}{{ m.content }}{% endfor %}")
    kernel.run(load + "strict.jinja")
    kernel.fail("%train steps=1", "conversation 1 of the train split", "no answers", "chat_template=chatml")
    (kernel.places.work / "backwards.jinja").write_text("{% for m in messages | reverse %}{{ m.content | upper }};{% endfor %}")
    kernel.run(load + "backwards.jinja")
    kernel.fail("%train steps=1", "cannot find the text of message", "generation", "loss_on=all")
    kernel.run("%train steps=1 batch=3 eval_every=0 loss_on=all", timeout=60)
    (kernel.places.work / "dated.jinja").write_text("{{ strftime_now('%Y') }}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}")
    kernel.run(load + "dated.jinja")
    assert "current date" in kernel.run("%train steps=1 batch=3 eval_every=0", timeout=60).text
    write(good + [{"prompt": "a", "completion": "b"}])
    kernel.fail(load + "plain", "line 3", "skip_bad=true")
    write([{"prompt": "a", "completion": "b"}] * 3)
    assert "no conversations" in kernel.run(load + "plain").text


def test_long_conversations_are_cut_split_or_packed_and_counted(kernel):
    kernel.run("%model load tiny\n%lora attach r=2")
    long = {"messages": [{"role": "user", "content": "count " * 30}, {"role": "assistant", "content": "one two three " * 10}]}
    (kernel.places.work / "rows.jsonl").write_text(lines(conversations()[:8] + [long]))
    kernel.run("%data load rows.jsonl validation=0 test=0 chat_template=plain")
    cut = kernel.run("%train steps=1 batch=3 eval_every=0 max_length=32", timeout=60).text
    assert "1 of 9 training examples were longer than 32 tokens and were cut" in cut and "1 of 9 training examples have no token with loss" in cut, cut
    split = kernel.run("%train steps=1 batch=3 eval_every=0 max_length=32 stride=8", timeout=60).text
    assert "were split" in split and "were cut" not in split, split
    packed = kernel.run("%train steps=2 batch=1 eval_every=0 max_length=64 packing=true stride=8", timeout=60).text
    assert "packed" in packed and "full" in packed, packed
    kernel.fail("%train steps=1 max_length=32 stride=40", "`stride` must be at least 2 less", "stride=4")
    kernel.run("%train steps=1 batch=3 eval_every=0 max_length=32 stride=4", timeout=60)


def test_tokens_are_added_trained_saved_and_loaded(kernel):
    kernel.run('%model load tiny added_tokens="<|im_start|>,<|im_end|>"')
    (kernel.places.work / "rows.jsonl").write_text(lines(conversations()))
    kernel.run("%data load rows.jsonl validation=0 test=0 chat_template=chatml")
    shown = kernel.run("%data show n=1 tokens=true").text
    assert "«<|im_end|>»" in shown, shown
    report = kernel.run('%model load tiny added_tokens="<|im_start|>,<|im_end|>"').text
    ids = re.search(r"trainable_token_indices=([0-9,]+)", report).group(1)
    kernel.run(f"%lora attach r=2 trainable_token_indices={ids}")
    kernel.run("%train steps=2 batch=2 eval_every=0 warmup=0", timeout=60)
    kernel.run("%lora save adapter\n%lora merge\n%model save merged")
    kernel.run("%model load tiny")
    vocab = int(ids.split(",")[-1]) + 1
    kernel.fail("%lora load adapter", f"resize_tokens={vocab}`")
    kernel.fail("%model resize_tokens", "number of tokens is missing", "added_tokens")
    kernel.fail("%model resize_tokens few", "resize_tokens")
    assert f"vocabulary {vocab:,}" in kernel.run(f"%model resize_tokens {vocab}").text
    kernel.run("%lora load adapter\n%eval split=train base=false", timeout=60)
    merged = kernel.run("%model load merged\n%data show n=1 tokens=true", timeout=60).text
    assert "«<|im_end|>»" in merged, merged
    assert kernel.run("%eval split=train base=false", timeout=60).text
