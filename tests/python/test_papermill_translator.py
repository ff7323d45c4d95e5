"""The translator of papermill's parameters, without a kernel."""

import math
import pathlib
import sys
import tomllib

import nbformat
import pytest

from graft_testing import ROOT

PYTHON = ROOT / "kernel" / "python"
sys.path.insert(0, str(PYTHON))

from graft_kernel.papermill import RustTranslator  # noqa: E402
from papermill.exceptions import PapermillException  # noqa: E402
from papermill.translators import papermill_translators  # noqa: E402

VALUES = [
    (4, "let x: i64 = 4;"),
    (-(2**63), "let x: i64 = -9223372036854775808;"),
    (2**70, "let x: i128 = 1180591620717411303424;"),
    (2.0, "let x: f64 = 2.0;"),
    (1e-5, "let x: f64 = 1e-05;"),
    (math.nan, "let x: f64 = f64::NAN;"),
    (-math.inf, "let x: f64 = f64::NEG_INFINITY;"),
    (True, "let x: bool = true;"),
    (None, "let x: Option<String> = None;"),
    ('"\\\n\t{x}\u202e', r'let x: String = String::from("\"\\\n\t{x}\u{202e}");'),
    ([1, 2], "let x: Vec<i64> = vec![1, 2];"),
    ([1, 2.5], "let x: Vec<f64> = vec![1.0, 2.5];"),
    ([[True]], "let x: Vec<Vec<bool>> = vec![vec![true]];"),
    ([], "let x: serde_json::Value = serde_json::json!([]);"),
    ([1, "a", None, math.nan], 'let x: serde_json::Value = serde_json::json!([1, "a", null, null]);'),
    ({"a": 1}, 'let x: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::from([(String::from("a"), 1)]);'),
    ({"a": 1, "b": {}}, 'let x: serde_json::Value = serde_json::json!({"a": 1, "b": {}});'),
]


@pytest.mark.parametrize("value,expected", VALUES, ids=[repr(value) for value, _ in VALUES])
def test_a_value_becomes_a_typed_let_line(value, expected):
    assert RustTranslator.codify({"x": value}) == f"// Parameters\n{expected}\n"


def test_names_are_rust_names():
    assert RustTranslator.codify({"type": 1}).endswith("let r#type: i64 = 1;\n")
    for name, near in [("learning-rate", "learning_rate"), ("self", "self_"), ("1x", "_1x"), ("x; panic!()", "x_panic")]:
        with pytest.raises(PapermillException, match=f"did you mean `{near}`"):
            RustTranslator.codify({name: 1})
    with pytest.raises(PapermillException, match="does not fit"):
        RustTranslator.codify({"x": 2**200})


def test_it_is_registered_for_the_kernel_and_the_language():
    assert papermill_translators.find_translator("graft", "rust") is RustTranslator
    assert papermill_translators.find_translator("another-name", "rust") is RustTranslator


def test_parameters_are_listed_with_type_and_help():
    cell = nbformat.v4.new_code_cell('let rank: i64 = 8; // rank of the update\nlet mut lr = 1e-3;\nprintln!("{rank}");')
    found = [(it.name, it.inferred_type_name, it.default, it.help) for it in RustTranslator.inspect(cell)]
    assert found == [("rank", "i64", "8", "rank of the update"), ("lr", "None", "1e-3", "")]


def test_both_packages_have_the_same_entry_point():
    project = tomllib.loads((PYTHON / "pyproject.toml").read_text())["project"]
    text = pathlib.Path(PYTHON / "graft_kernel" / "entry_points.txt").read_text()
    assert text == "".join(f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items()) for group, points in project["entry-points"].items())
