"""Rust cells: one library shared by all cells, the prelude, and crates added later."""

from graft_testing import LONG, number


def test_five_across_cells(kernel):
    """Tensors of different cells are different tensors: d(w·x)/dw is x. With a separate copy of the library in each cell, the result was 8."""
    kernel.run("use graft::candle::{Device, Tensor, Var};\nlet w = Var::new(3f32, &Device::Cpu)?;")
    kernel.run("let x = Var::new(5f32, &Device::Cpu)?;")
    cell = kernel.run(
        "let y = (w.as_tensor() * x.as_tensor())?;\n"
        "let gradients = y.backward()?;\n"
        "println!(\"dw = {}\", gradients.get(&w).expect(\"w has a gradient\").to_scalar::<f32>()?);"
    )
    assert cell.stdout.strip() == "dw = 5", cell.text
    assert not cell.stderr, cell.stderr


def test_habits_of_evcxr_keep_working(kernel):
    """The value of the last expression, `?`, async, MIME blocks, partial lines, items, and an error that keeps the variables."""
    assert "42" in kernel.run("let a = 6;\na * 7").text
    kernel.run("fn double(n: i32) -> i32 { 2 * n }")
    assert kernel.run("println!(\"{}\", double(21));").stdout.strip() == "42"
    assert kernel.run("print!(\"no line end\");").stdout == "no line end"
    kernel.fail("let n: i32 = \"seven\".parse::<i32>()?;", "invalid digit")
    kernel.fail("let wrong: i32 = \"text\";", "mismatched types")
    shown = kernel.run('println!("EVCXR_BEGIN_CONTENT text/html\\n<b>bold</b>\\nEVCXR_END_CONTENT");')
    assert "<b>bold</b>" in shown.html, shown.messages
    assert kernel.run("a").text.strip().endswith("6")


def test_the_prelude_needs_no_use(kernel):
    """`lab()` and the handles are available in the first cell, and only text goes to stdout."""
    kernel.run("%model load tiny")
    cell = kernel.run("let model = lab().model()?;\nprintln!(\"{}\", model.all_parameters());")
    assert number(r"(\d+)", cell.stdout) > 1_000_000
    assert not cell.stderr, cell.stderr


def test_a_crate_added_after_tensors_exist(kernel):
    """`:dep` in the middle of a session: the child survives, with its tensors, variables and model."""
    kernel.run("%model load tiny")
    kernel.run("use graft::candle::{Device, Tensor};\nlet t = Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu)?;")
    before = kernel.child().pid
    kernel.run(':dep serde_json = "1"', timeout=600)
    cell = kernel.run("let value = serde_json::json!({\"dims\": t.dims()});\nprintln!(\"{value}\");", timeout=600)
    assert cell.stdout.strip() == '{"dims":[3]}', cell.text
    if LONG:
        kernel.run(':dep rand = "0.9"', timeout=900)
        kernel.run("let r: f32 = rand::random();\nprintln!(\"{}\", (t.sum_all()?.to_scalar::<f32>()? + 0.0 * r));", timeout=900)
    assert kernel.run("println!(\"{:?}\", t.dims());").stdout.strip() == "[3]"
    assert kernel.child().pid == before, "the child was replaced"
    assert "tiny" in kernel.run("%status").text


def test_clear_keeps_the_session(kernel):
    """`:clear` removes the variables; the model belongs to the session and stays."""
    kernel.run("%model load tiny")
    kernel.run("let kept = 1;")
    kernel.run(":clear")
    kernel.fail("println!(\"{kept}\");", "kept")
    assert "tiny" in kernel.run("%status").text
    assert number(r"(\d+)", kernel.run("println!(\"{}\", lab().model()?.all_parameters());").stdout) > 1_000_000


def test_a_panic_in_a_cell_is_told(kernel):
    """A panic shows its message, and the kernel continues with the model."""
    kernel.run("%model load tiny")
    kernel.fail("panic!(\"deliberate\");", "deliberate|panic")
    assert "2" in kernel.run("1 + 1").text
    assert "tiny" in kernel.run("%status").text


def test_variables_of_every_kind_of_type_are_kept(kernel):
    """The compiler tells the types: those that are known only from a later line, of patterns, of generics, of trait objects and of own items."""
    kernel.run("mod shapes { #[derive(Debug)] pub struct Point<const N: usize> { pub x: [f64; N] } }")
    kernel.run(
        "let mut later = Vec::new(); later.push(1u8);\n"
        "let (left, mut right) = (\"a\", String::from(\"b\"));\n"
        "let point = shapes::Point::<1> { x: [0.5] };\n"
        "let shapes::Point { x } = shapes::Point::<2> { x: [1.0, 2.0] };\n"
        "let Some(some) = Some(3u16) else { panic!() };\n"
        "let declared;\n"
        "declared = std::collections::BTreeMap::from([(1i64, 'c')]);\n"
        "let boxed: Box<dyn Fn(i32) -> i32 + Send> = Box::new(|n| n + 1);\n"
        "let function = i32::abs;\n"
        "let shared = std::sync::Arc::new(std::sync::Mutex::new(later.clone()));\n"
        "let partly: Vec<_> = \"p q\".split(' ').collect();\n"
        "let parsed = \"7\".parse::<i32>();  // a comment at the end"
    )
    cell = kernel.run(
        "later.push(2); right.push('!');\n"
        "println!(\"{later:?} {left} {right} {x:?} {some} {declared:?} {} {} {shared:?} {partly:?} {parsed:?} {point:?}\", boxed(1), function(-4));"
    )
    expected = '[1, 2] a b! [1.0, 2.0] 3 {1: \'c\'} 2 4 Mutex { data: [1], poisoned: false, .. } ["p", "q"] Ok(7) Point { x: [0.5] }'
    assert cell.stdout.strip() == expected, cell.text
    shown = kernel.run(":vars").text
    assert "later: std::vec::Vec<u8>" in shown and "shared: std::sync::Arc<std::sync::Mutex<std::vec::Vec<u8>>>" in shown, shown


def test_a_variable_without_a_nameable_type_is_refused_with_the_line_to_type(kernel):
    kernel.fail("let f = |n: i32| n + 1;\nf(1)", "`f` is a closure", "Box<dyn Fn")
    kernel.fail("let evens = (0..9).filter(|n| n % 2 == 0);", "`evens` has a type without a name", "Box<dyn Iterator")
    assert kernel.run("let f: Box<dyn Fn(i32) -> i32> = Box::new(|x| x + 1);\nf(1)").text.strip().endswith("2")
    assert kernel.run("{ let f = |n: i32| n + 1; f(2) }").text.strip().endswith("3")
    kernel.fail("let answer = todo!();", "not yet implemented")
    kernel.run("mod outer { mod inner { pub struct Hidden; } pub fn hidden() -> inner::Hidden { inner::Hidden } }")
    kernel.fail("let hidden = outer::hidden();", "private", "a type that can be named")


def test_errors_about_a_variable_point_at_the_line_of_the_user(kernel):
    """Graft adds statements with the types; no message shows them."""
    moved = kernel.fail("let text = String::from(\"a\");\nlet other = text;\nprintln!(\"{text}\");", "borrow of moved value")
    assert "let text: " not in moved.failure, moved.failure
    assert "2 | let other = text;" in moved.failure and "3 | println!" in moved.failure, moved.failure
    fixed = kernel.fail("let list = Vec::new();\nlist.push(1);", "cannot borrow")
    assert "let list: " not in fixed.failure and "2 | list.push(1);" in fixed.failure, fixed.failure
    borrowed = kernel.fail("let owner = String::from(\"a\"); let view = &owner;", "`view` borrows from another variable")
    assert "let owner = String" in borrowed.failure, borrowed.failure
    kernel.run("let owner = String::from(\"a\"); let gone = owner;")
    kernel.fail("owner.len()", "owner")
