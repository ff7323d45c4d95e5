#!/usr/bin/env python3
"""Golden cases for chat templates: small templates that each use a part of Jinja and Python, rendered by transformers.

Writes OUT, a list of cases: template, messages, and where given tools, documents, variables and ending (prompt or continue)
  -> text and generated (the character ranges of `{% generation %}`), or refused (the message of `raise_exception`), or failed (true).

Usage: python make_chat_goldens.py OUT.json [TEMPLATE.jinja ...]      Needs: transformers jinja2
With template files, each is rendered with the conversations below instead. `GRAFT_CHAT_GOLDENS=OUT.json cargo test -p graft-chat` compares them.
"""
import json, pathlib, sys

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template, _render_with_assistant_indices, render_jinja_template

U, A, S = (lambda role: lambda text, **more: dict(role=role, content=text, **more))("user"), (lambda text, **more: dict(role="assistant", content=text, **more)), (lambda text: dict(role="system", content=text))
TOOL = {"type": "function", "function": {"name": "weather", "description": "the \"weather\" <é> & 日本", "parameters": {"type": "object", "properties": {"place": {"type": "string", "enum": []}, "days": {"type": "integer", "default": 3}}, "required": ["place"]}, "strict": True, "x": None, "y": 1.0}}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"place": "Köln", "days": 2, "exact": False}}}]}
RESULT = {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "{\"sky\": \"clear\"}"}
CHATS = {
    "one": dict(messages=[U("hello"), A("good answer")]),
    "two": dict(messages=[U("  hi  "), A(" yes\n"), U("日本 é?"), A("🦀 fine")]),
    "system": dict(messages=[S("be brief"), U("a"), A("b"), U("c"), A("d")]),
    "prompt": dict(messages=[S("be brief"), U("a"), A("b"), U("c")], ending="prompt"),
    "user-last": dict(messages=[U("a")]),
    "thinking": dict(messages=[U("a"), A("b", reasoning_content="why"), U("c"), A("<think>\nhm\n</think>\n\nd")]),
    "tools": dict(messages=[U("weather?"), CALL, RESULT, A("clear")], tools=[TOOL]),
    "tools-prompt": dict(messages=[S("s"), U("weather?"), CALL, RESULT], tools=[TOOL], ending="prompt"),
    "parts": dict(messages=[{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}, A("z")]),
    "continue": dict(messages=[U("a"), A("the answer is ")], ending="continue"),
    "two-users": dict(messages=[U("a"), U("b"), A("c")]),
    "documents": dict(messages=[U("a"), A("b")], documents=[{"title": "T", "text": "D"}]),
    "variables": dict(messages=[U("a"), A("b"), U("c")], ending="prompt", variables={"enable_thinking": False}),
}
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}

SNIPPETS = [
    "{{ true }} {{ none }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 3 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ 2 ** 10 }}",
    "{{ [1, 'a', none, true, 1.5] }} {{ {'a': [1], 'b': {'c': none}} }} {{ (1, 'x') }} {{ (1,) }} {{ [] }} {{ {} }}",
    "{{ \"it's\" }} {{ [\"it's\", 'say \"x\"', 'a\\nb', 'é'] }}",
    "{{ missing }}|{{ messages[0].missing }}|{{ messages[9] is defined }}|{{ messages[0]['name'] is defined }}",
    "{{ missing.attribute }}",
    "{{ 'a' + 1 }}",
    "{{ 'a' + none }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ [1] }}",
    "{{ raise_exception('no ' + messages[0].role) }}",
    "{% for m in messages %}\n{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem.role }}{{ loop.nextitem.role }}\n{% endfor %}",
    "{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}{{ m.content }}{% if loop.index > 1 %}{% break %}{% endif %}{% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ m.content }}{% else %}none{% endfor %}",
    "{% for m in [] %}x{% else %}empty{% endfor %}",
    "{% set x = 1 %}{% for m in messages %}{% set x = 2 %}{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, last='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% set ns.last = m.role %}{% endfor %}{{ ns.n }}{{ ns.last }}",
    "{% set text %}a{{ messages|length }}b{% endset %}[{{ text }}]",
    "{% macro m(a, b='x') %}<{{ a }}{{ b }}>{% endmacro %}{{ m('1') }}{{ m('1', b='2') }}{{ m(a='3') }}",
    "{% macro wrap() %}[{{ caller() }}]{% endmacro %}{% call wrap() %}in{% endcall %}",
    "{{ messages | map(attribute='role') | join(', ') }} {{ messages | map(attribute='content') | list }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('role', '==', 'user') | map(attribute='content') | first }}",
    "{{ messages | length }} {{ messages | first }} {{ messages | last | tojson }}",
    "{{ messages[::-1][0].role }} {{ messages[1:] | length }} {{ messages[-1].role }} {{ 'hello'[1:3] }} {{ 'hello'[-1] }} {{ 'hello'[::-1] }}",
    "{{ tools | tojson }}\n{{ tools | tojson(indent=2) }}\n{{ tools | tojson(indent=4, sort_keys=true) }}\n{{ tools | tojson(separators=(',', ':')) }}\n{{ tools | tojson(ensure_ascii=true) }}",
    "{{ {'a': 1.0, 'b': 1e20, 'c': none, 'd': true, 'e': [], 'f': {}, 'g': '\\u007f\\t\"\\\\/<>&', 'h': 1e-7} | tojson }} {{ [] | tojson(indent=2) }} {{ {1: 2, none: 3, true: 4} | tojson }}",
    "{{ missing | tojson }}",
    "{% for k, v in tools[0].function.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in tools[0].function %}{{ k }} {% endfor %}{{ tools[0].function.keys() | list }} {{ tools[0].function.values() | list | length }}",
    "{% for k, v in tools[0].function | dictsort %}{{ k }};{% endfor %}{{ tools[0].function | items | list | length }}",
    "{{ tools[0].get('type') }} {{ tools[0].get('nothing') }} {{ tools[0].get('nothing', 'default') }}",
    "{{ messages[0].content is string }} {{ messages[0] is mapping }} {{ messages is sequence }} {{ 'x' is sequence }} {{ messages[0] is sequence }} {{ 'x' is iterable }} {{ messages[0] is iterable }} {{ 1 is number }} {{ true is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.5 is float }} {{ true is boolean }} {{ none is none }} {{ missing is undefined }} {{ missing is none }}",
    "{{ true is true }} {{ 1 is true }} {{ 1 == true }} {{ 'a' is in 'abc' }} {{ 'a' in ['a'] }} {{ 'role' in messages[0] }} {{ 'z' not in 'abc' }} {{ 3 is odd }} {{ 4 is divisibleby 2 }} {{ 'a' is eq 'a' }}",
    "[{{ '  a b ' | trim }}][{{ '  a ' .strip() }}][{{ ' a '.lstrip() }}][{{ ' a '.rstrip() }}][{{ 'xxaxx'.strip('x') }}][{{ '\\x1c a\\u00a0'.strip() }}]",
    "{{ 'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'a b c'.rsplit(None, 1) }} {{ 'a b  c'.split(None, 1) }} {{ 'a b'.split(maxsplit=1) }} {{ 'abc'.split('b')[-1] }} {{ ''.split(',') }} {{ ''.split() }}",
    "{{ 'a\\nb\\r\\nc\\x0bd\\n'.splitlines() }} {{ 'a\\nb'.splitlines(true) }} {{ 'a.b.c'.partition('.') }} {{ 'a.b.c'.rpartition('.') }} {{ 'abc'.partition('x') }}",
    "{{ 'abc'.startswith('a') }} {{ 'abc'.endswith(('b', 'c')) }} {{ 'abc'.startswith(('b', 'c')) }} {{ 'abcabc'.find('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('b') }} {{ 'aXbX'.count('X') }} {{ 'abc'.index('c') }}",
    "{{ 'abc'.replace('b', 'x') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'aaa' | replace('a', 'b') }} {{ 'hELLO wORLD'.title() }} {{ 'hELLO'.capitalize() }} {{ 'aB'.swapcase() }} {{ 'é'.upper() }} {{ 'hello world' | title }} {{ 'hELLO' | capitalize }} {{ 'Ab' | upper }} {{ 'Ab' | lower }}",
    "{{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ '5'.zfill(3) }} {{ '-5'.zfill(4) }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ 'a'.center(4, '-') }} {{ 'ab'.center(5, '-') }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ ' '.isspace() }} {{ 'a1'.isalnum() }} {{ 'AB'.isupper() }}",
    "{{ ', '.join(['a', 'b']) }} {{ '{} {}'.format('a', 1) }} {{ '{x}'.format(x=2) }} {{ '%s-%d' | format('a', 3) }}",
    "{{ missing | default('d') }} {{ '' | default('d', true) }} {{ none | default('d') }} {{ 'x' if missing }} {{ 'x' if false else 'y' }} {{ missing or 'z' }} {{ not missing }}",
    "{{ 'a\\nb\\n\\nc' | indent(2) }}|{{ 'a\\nb' | indent(4, true) }}|{{ 'a\\nb' | indent('> ') }}",
    "{{ [3, 1, 2] | sort }} {{ [1, 1, 2] | unique | list }} {{ [1, 2] | sum }} {{ [1, 2] | max }} {{ ['b', 'A'] | sort }} {{ [1, 2, 3] | reverse | list }} {{ 'ab' | list }} {{ [1,2,3,4] | batch(2) | list }} {{ range(3) | list }} {{ range(5, 0, -2) | list }}",
    "{{ '12' | int + 1 }} {{ 'x' | int }} {{ '1.5' | float }} {{ 3.7 | int }} {{ 2.5 | round }} {{ 2.567 | round(2) }} {{ -3 | abs }} {{ 5 | string + 'x' }} {{ true | string }} {{ [1, 'a'] | string }}",
    "{% raw %}{{ x }}{% generation %}{% endraw %}{# {% generation %} #}|{{ '{% generation %}' }}",
    "  {% if true %}\n    a\n  {% endif %}\nb\n  {%- if true %} c {% endif -%}  \nd {{- ' e ' -}} f\n  {%+ if true +%}\n g{% endif %}\n\n",
    "{%- for m in messages %}\n  {{- m.role }}\n{%- endfor %}\n",
    "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}",
    "{% for m in messages %}\n{% if m.role == 'assistant' %}\n  {%- generation %}\n{{ m.content }}\n  {%- endgeneration %}\n\n{% else %}\n{{ m.content }}\n{% endif %}\n{% endfor %}",
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{% set inner = m.content %}{{ inner }}{% if loop.last %}!{% endif %}{% endgeneration %}{{ inner }}{% endif %}{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{% set ns.n = loop.index %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}{{ ns.n }}",
    "{% macro say(m) %}{% generation %}{{ m.content }}{% endgeneration %}{% endmacro %}{% for m in messages %}<{{ say(m) }}>{% endfor %}",
    "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}{{ sep_token }}|{{ add_generation_prompt }}|{{ tools }}|{{ documents }}|{{ enable_thinking is defined and enable_thinking is false }}",
    "{% if add_generation_prompt is defined and not add_generation_prompt %}full{% else %}prompt{% endif %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set l = [1] + [2] %}{{ l }}{% set d = dict(x=1) %}{{ d.x }}{{ d['x'] }}",
    "{% set a = messages.append(1) %}",
    "{{ messages[0].content.__class__ }}",
    "{% include 'x' %}",
    "{{ 'abc' | unknown_filter }}",
    "{% for %}",
    "{% if x %}",
    "{% generation %}x",
    "{{ 1 if }}",
    "{{ ['a', 'b'] | join }}{{ ['a', 1] | join('-') }}{{ [{'x': 1}] | join(',', attribute='x') }}",
    "{{ 'x' * 3 }} {{ [1] * 2 }} {{ 5 == 5.0 }} {{ 'a' < 'b' }} {{ [1, 2] == [1, 2] }} {{ 1 < 2 < 3 }} {{ 3 > 2 and not false or x }}",
    "{{ messages[0].content | length }} {{ '日本' | length }} {{ messages[0].content | trim | upper }} {{ (messages[0].content | string)[:2] }} {{ '🦀x'[1] }}",
    "{% filter upper %}abc{{ messages[0].role }}{% endfilter %}{% with x = 2 %}{{ x }}{% endwith %}",
    "{% set x = messages | selectattr('content', 'defined') | list %}{{ x | length }}{% if x %}yes{% endif %}{% if not [] %}no{% endif %}{% if {} %}a{% elif '' %}b{% else %}c{% endif %}",
    "{{ 'a' if messages[0].content else 'b' }}{{ 'tool_calls' in messages[1] and messages[1].tool_calls is not none }}{{ messages[1].tool_calls[0].function.arguments | tojson if messages[1].tool_calls else '' }}",
    "{{ messages | groupby('role') | length }} {{ messages | map('length') | list }} {{ ['1','2'] | map('int') | sum }} {{ [1,none,2] | select | list }} {{ [1,2,3] | reject('odd') | list }} {{ [[1,2],[3]] | map('first') | list }}",
    "{{ 'Hello <b>' | escape }} {{ 'a' | safe }} {{ 'a b' | urlencode if false else 'x' }}",
    "{{ ({'a': 1}).items() | list }} {{ {'b': 1, 'a': 2} | dictsort }} {{ {'x': 1} == {'x': 1.0} }} {{ 'k' in {'k': 1} }} {{ {'k': 1} | length }}",
    "{{ cycler is defined }} {{ joiner is defined }} {{ range is defined }} {{ strftime_now is defined }} {{ strftime_now('%%') }}",
    "{% set ns = namespace(x=[]) %}{% for m in messages %}{% set ns.x = ns.x + [m.role] %}{% endfor %}{{ ns.x | join(',') }}",
    "{% for a in [1,2] recursive %}{{ a }}{% endfor %}{% for a in range(2) %}{% for b in range(2) %}{{ loop.index }}{{ a }}{{ b }} {% endfor %}{% endfor %}",
    "{{ 10 | string | length }} {{ (1, 2)[0] }} {{ [1, 2, 3][-1] }} {{ [1, 2, 3][1:] }} {{ 'abc' | first }} {{ 'abc' | last }} {{ [] | first is undefined }}",
]


def run(template, case):
    ending = case.get("ending")
    kwargs = dict(tools=case.get("tools"), documents=case.get("documents"), **SPECIAL, **case.get("variables", {}))
    messages = [{k: v for k, v in m.items() if v is not None} for m in case["messages"]]
    out = dict(template=template, special=SPECIAL, **case)
    try:
        if ending == "continue":
            out["text"] = render_jinja_template([messages], chat_template=template, continue_final_message=True, **kwargs)[0][0]
            return out
        texts, generated = render_jinja_template([messages], chat_template=template, return_assistant_tokens_mask=True, add_generation_prompt=ending == "prompt", **kwargs)
        out["text"], out["generated"] = texts[0], [list(it) for it in generated[0]]
    except jinja2.exceptions.TemplateError as error:
        if type(error) is jinja2.exceptions.TemplateError:
            out["refused"] = str(error)
        else:
            out["failed"] = f"{type(error).__name__}: {error}"
    except Exception as error:
        out["failed"] = f"{type(error).__name__}: {error}"
    return out


def main():
    out, *files = sys.argv[1:]
    cases = []
    if files:
        for file in files:
            text = pathlib.Path(file).read_text()
            cases += [dict(run(text, case), name=f"{pathlib.Path(file).name} {name}") for name, case in CHATS.items()]
    else:
        everything = dict(messages=CHATS["tools"]["messages"], tools=[TOOL])
        cases = [dict(run(text, everything), name=f"snippet {at}") for at, text in enumerate(SNIPPETS)]
        for at in (45, 46, 47, 48, 49, 50, 51):
            cases += [dict(run(SNIPPETS[at], case), name=f"snippet {at} {name}") for name, case in CHATS.items()]
    pathlib.Path(out).write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")
    print(len(cases), "cases,", sum("refused" in c for c in cases), "refused,", sum("failed" in c for c in cases), "failed")


main()
