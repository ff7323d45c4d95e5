"""`%check` as students and nbgrader see it: green or red, an error status, points as the result of the cell."""

import pytest


def result(cell):
    """The plain text of the cell's result, which nbgrader reads."""
    found = [display for display in cell.displays if display.kind == "execute_result"]
    assert len(found) <= 1, cell.text
    return found[0].data["text/plain"] if found else None


def test_a_check_is_green_or_red_and_a_red_one_fails_the_cell(kernel):
    kernel.fail("%check trainable <= 50_000", r"not measured: no model is loaded", r"%model load tiny")
    kernel.run("%model load tiny")
    kernel.fail("%check trainable <= 50_000", r"no adapter is attached", r"%lora attach")
    kernel.run("%lora attach r=8 target_modules=q_proj,v_proj")
    assert "passed trainable <= 50_000: trainable is 32,768" in kernel.run("%check trainable <= 50_000").text
    cell = kernel.fail("%check r == 4", r"`r == 4` failed: r is 8, must be 4", r"%lora attach r=4")
    assert cell.error["ename"] and result(cell) is None
    soft = kernel.run("%check r == 4 soft=true")
    assert "failed r == 4" in soft.text and "#d1403a" in soft.html
    kernel.run("%lora attach r=4")  # The step that the failed check suggests.
    kernel.run("%check r == 4")


def test_points_are_the_result_of_the_cell_and_never_fail_it(kernel):
    kernel.run("%model load tiny\n%lora attach r=8 target_modules=q_proj,v_proj")
    cell = kernel.run("%%check\nmethod == lora points=1\nr == 4 points=1.5\n// a comment\ntrainable <= 50k points=0.5")
    assert result(cell) == "1.5" and "total: 1.5 of 3 points" in cell.text
    # Several lines of one cell give one result: nbgrader reads the first.
    assert result(kernel.run("%check r == 8 points=1\n%check r == 4 points=1\n%check method == lora points=1")) == "2"
    assert result(kernel.run("%check r == 8")) is None
    cell = kernel.fail("%%check\nmethod == lora\nr == 4\nr == 16", r"2 of 3 checks failed: `r == 4`, `r == 16`")
    assert "passed method == lora" in cell.text, "the results are shown before the error"


def test_a_score_is_measured_when_the_check_runs(kernel):
    kernel.run("%seed 7\n%model load tiny\n%data load which-book")
    kernel.fail("%check loss < base examples=32", r"must be below the \S+ of the base")
    kernel.run("%lora attach r=8")
    kernel.fail("%check loss_fell examples=32", r"loss \S+ with the adapter", r"%train steps=100")
    kernel.run("%train steps=30 batch=8 lr=3e-3 max_length=128 eval_every=0")
    kernel.run("%check loss_fell examples=32\n%check trained\n%check steps == 30")
    found = kernel.run("%check loss < base on validation examples=32")
    assert "on 32 validation examples of which-book" in found.text
    kernel.run("%lora off")
    kernel.fail("%check loss < base examples=32", r"%lora on")


@pytest.mark.parametrize(
    "line, said",
    [
        ("%check acuracy >= 0.4", "did you mean `accuracy`"),
        ("%check r = 8", "did you mean `r == 8`"),
        ("%check accuracy >= 40", "did you mean `accuracy >= 40%`"),
        ("%check loss < 3 on tset", "train, validation and test"),
        ("%check r == 8 point=1", "did you mean `points=1`"),
        ("%%check\n// nothing", "one condition per line"),
        ("%%check r == 8\nr == 8", "write the conditions below"),
    ],
)
def test_a_wrong_check_says_what_to_type(kernel, line, said):
    kernel.fail(line, said.replace("(", r"\("))


def test_a_check_in_rust_is_typed_and_fails_the_cell_on_request(kernel):
    kernel.run("%model load tiny\n%lora attach r=8")
    shown = kernel.run("%check r == 8 --rust").text
    assert 'lab().check("r == 8")?.require()?' in shown
    kernel.run(shown)
    kernel.run('let checks = lab().check("r == 8 points=2\\nr == 4 points=1")?;\nassert_eq!(checks.points(), Some(2.0));\nassert_eq!(checks.failures(), 1);')
    kernel.fail('lab().check("r == 4")?.require()?;', r"r is 8, must be 4")
