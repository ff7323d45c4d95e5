"""The tokens of examples, and conversations with the model."""

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
