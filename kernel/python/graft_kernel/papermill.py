"""papermill parameters in Rust.

papermill loads this module through the entry point of the engine below, and the module registers the translator for Rust. Parameters become
typed `let` statements: the kernel does not have to infer their types.
"""

import math
import re

from papermill.engines import NBClientEngine
from papermill.exceptions import PapermillException
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

KEYWORDS = {"abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield"}
# These cannot be written as raw identifiers.
RESERVED = {"crate", "self", "super", "Self", "_"}
NAME = re.compile(r"[^\W\d]\w*")
JSON = "serde_json::Value"
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
# `let NAME: TYPE = VALUE; // help`
LET = re.compile(r"^\s*let\s+(?:mut\s+)?(?:r#)?(\w+)\s*(?::\s*([^=]+?)\s*)?=\s*(.*?)\s*;\s*(?://\s*(.*))?$")


class RustTranslator(Translator):
    """Writes values as Rust expressions."""

    @classmethod
    def translate_none(cls, val):
        return "None"

    @classmethod
    def translate_int(cls, val):
        if not -(2**127) <= val < 2**127:
            raise PapermillException(f"{val} does not fit into the largest integer type of Rust; pass it as text")
        return str(int(val))

    @classmethod
    def translate_float(cls, val):
        if math.isnan(val):
            return "f64::NAN"
        if math.isinf(val):
            return "f64::INFINITY" if val > 0 else "f64::NEG_INFINITY"
        # In Rust, a number without a point or an exponent is an integer.
        text = repr(float(val))
        return text if any(sign in text for sign in ".e") else f"{text}.0"

    @classmethod
    def translate_str(cls, val):
        return f"String::from({literal(val)})"

    translate_escaped_str = translate_str

    @classmethod
    def translate_list(cls, val):
        kind = rust_type(val)
        if kind == JSON:
            return json(val)
        return f"vec![{', '.join(cls.typed(item, kind[len('Vec<') : -1]) for item in val)}]"

    @classmethod
    def translate_dict(cls, val):
        kind = rust_type(val)
        if kind == JSON:
            return json(val)
        inner = kind[len("std::collections::BTreeMap<String, ") : -1]
        pairs = ", ".join(f"({cls.translate_str(str(key))}, {cls.typed(item, inner)})" for key, item in val.items())
        return f"std::collections::BTreeMap::from([{pairs}])"

    @classmethod
    def typed(cls, val, kind):
        """A value inside a list or a dictionary of this type: a whole number among other numbers is one of them."""
        return cls.translate_float(float(val)) if kind == "f64" else cls.translate(val)

    @classmethod
    def translate(cls, val):
        # YAML has dates and other types, which become text.
        if val is None or isinstance(val, (str, bool, int, float, dict, list)):
            return super().translate(val)
        return cls.translate_str(str(val))

    @classmethod
    def comment(cls, cmt_str):
        return f"// {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val, kind=None):
        return f"let {identifier(name)}{f': {kind}' if kind else ''} = {str_val};"

    @classmethod
    def codify(cls, parameters, comment="Parameters"):
        lines = [cls.comment(comment)]
        lines += [cls.assign(name, cls.translate(val), rust_type(val)) for name, val in parameters.items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def inspect(cls, parameters_cell):
        """The parameters of a cell, for `papermill --help-notebook`."""
        found = []
        for line in parameters_cell["source"].splitlines():
            match = LET.match(line)
            if match:
                name, kind, default, text = match.groups()
                found.append(Parameter(name=name, inferred_type_name=(kind or "None").strip(), default=default, help=text or ""))
        return found


class GraftEngine(NBClientEngine):
    """The default engine of papermill. Loading it registers the translator."""


def rust_type(val):
    """The Rust type of a value."""
    if val is None:
        return "Option<String>"
    if isinstance(val, bool):
        return "bool"
    if isinstance(val, int):
        return "i64" if -(2**63) <= val < 2**63 else "i128"
    if isinstance(val, float):
        return "f64"
    if isinstance(val, list):
        inner = common_type(val)
        return f"Vec<{inner}>" if inner else JSON
    if isinstance(val, dict):
        inner = common_type(list(val.values()))
        return f"std::collections::BTreeMap<String, {inner}>" if inner else JSON
    return "String"


def common_type(values):
    """The type of all values; `f64` for whole and other numbers together. None if they have no common type."""
    kinds = {rust_type(item) for item in values}
    if kinds <= {"i64", "f64"} and "f64" in kinds:
        return "f64"
    if kinds == {"i64", "i128"} or None in values or JSON in kinds:
        return None
    return kinds.pop() if len(kinds) == 1 else None


def identifier(name):
    """A parameter's name as a Rust identifier."""
    name = str(name)
    if not NAME.fullmatch(name) or name in RESERVED:
        near = re.sub(r"\W+", "_", name).strip("_") or "value"
        near = f"{near}_" if near in RESERVED else f"_{near}" if near[0].isdigit() else near
        raise PapermillException(f"`{name}` is not a name in Rust; did you mean `{near}`?")
    return f"r#{name}" if name in KEYWORDS else name


def literal(text):
    """A Rust string literal."""
    out = []
    for char in text:
        if char in ESCAPES:
            out.append(ESCAPES[char])
        elif 0xD800 <= ord(char) < 0xE000:
            # Half of a surrogate pair is not a character.
            out.append("\\u{fffd}")
        elif not char.isprintable():
            out.append(f"\\u{{{ord(char):x}}}")
        else:
            out.append(char)
    return f'"{"".join(out)}"'


def json(val):
    """A value of serde_json."""
    return f"serde_json::json!({json_text(val)})"


def json_text(val):
    if val is None:
        return "null"
    if isinstance(val, bool):
        return "true" if val else "false"
    if isinstance(val, int):
        # Larger numbers do not exist in serde_json.
        return str(val) if -(2**63) <= val < 2**64 else json_text(float(val))
    if isinstance(val, float):
        return RustTranslator.translate_float(val) if math.isfinite(val) else "null"
    if isinstance(val, list):
        return f"[{', '.join(json_text(item) for item in val)}]"
    if isinstance(val, dict):
        return f"{{{', '.join(f'{literal(str(key))}: {json_text(item)}' for key, item in val.items())}}}"
    return literal(str(val))


# By the name of the kernel and by the language of the notebook: a kernel can be installed under another name.
papermill_translators.register("graft", RustTranslator)
papermill_translators.register("rust", RustTranslator)
