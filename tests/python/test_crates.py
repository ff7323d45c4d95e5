"""External crates and evcxr's own features, in a session that already has tensors."""

from graft_testing import LONG

# The name, the `:dep` line, an expression, and its expected output.
COMMON = [
    ("anyhow", 'anyhow = "1"', 'anyhow::anyhow!("told").to_string()', '"told"'),
    ("chrono", 'chrono = "0.4"', "chrono::NaiveDate::from_ymd_opt(2026, 3, 1).unwrap().to_string()", '"2026-03-01"'),
    ("csv", 'csv = "1"', 'csv::Reader::from_reader("a,b\\n1,2\\n".as_bytes()).records().count()', "1"),
    ("itertools", 'itertools = "0.14"', "itertools::join([1, 2, 3], \"-\")", '"1-2-3"'),
    ("num-bigint", 'num-bigint = "0.4"', "num_bigint::BigInt::from(2).pow(70).to_string()", '"1180591620717411303424"'),
    ("once_cell", 'once_cell = "1"', "*once_cell::sync::Lazy::new(|| 7)", "7"),
    ("rand", 'rand = "0.9"', "(0..9).contains(&rand::random_range(0..9))", "true"),
    ("rayon", 'rayon = "1"', "{ use rayon::prelude::*; (0..100).into_par_iter().sum::<i32>() }", "4950"),
    ("regex", 'regex = "1"', 'regex::Regex::new("[0-9]+").unwrap().find("ab12").unwrap().as_str()', '"12"'),
    ("serde_json", 'serde_json = "1"', 'serde_json::json!({"a": [1]}).to_string()', '"{\\"a\\":[1]}"'),
    ("smallvec", 'smallvec = "1"', "smallvec::SmallVec::<[i32; 2]>::new().len()", "0"),
    ("uuid", 'uuid = { version = "1", features = ["v4"] }', "uuid::Uuid::new_v4().to_string().len()", "36"),
]
# These take minutes on two cores.
HEAVY = [
    ("image", 'image = { version = "0.25", default-features = false, features = ["png"] }', "image::RgbImage::new(3, 2).dimensions()", "(3, 2)"),
    ("nalgebra", 'nalgebra = "0.34"', "nalgebra::Vector3::new(3.0, 0.0, 4.0).norm()", "5.0"),
    ("ndarray", 'ndarray = "0.16"', "ndarray::arr2(&[[1, 2], [3, 4]]).sum()", "10"),
    ("plotters", 'plotters = { version = "0.3", default-features = false, features = ["svg_backend"] }', "plotters::style::RED.0", "255"),
    ("polars", 'polars = { version = "0.51", default-features = false }', '{ use polars::prelude::*; Series::new("a".into(), &[1i32, 2]).len() }', "2"),
    ("reqwest", 'reqwest = { version = "0.12", default-features = false }', 'reqwest::Url::parse("http://a/b").unwrap().path().to_owned()', '"/b"'),
    ("serde", 'serde = { version = "1", features = ["derive"] }', '{ #[derive(serde::Serialize)] struct A; 1 }', "1"),
    ("tokio", 'tokio = { version = "1", features = ["full"] }', "tokio::runtime::Runtime::new().unwrap().block_on(async { 5 })", "5"),
]


def check(kernel, crates):
    """Adds the crates in one cell, as notebooks do, and uses each in a cell of its own."""
    kernel.run("\n".join(f":dep {line}" for _, line, _, _ in crates), timeout=560)
    for name, _, expression, shown in crates:
        got = kernel.run(expression, timeout=560).text.strip()
        assert got == shown, (name, got)


def test_crates_that_everybody_uses(kernel):
    """Adds all of them to one session that already has tensors: the child, its variables and its model survive."""
    kernel.run("%model load tiny")
    kernel.run("let t = Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu)?;\nlet w = Var::from_tensor(&t)?;")
    kernel.run("#[derive(Debug)]\nstruct Mine(u32);\nlet mine = vec![Mine(7)];")
    child = kernel.child().pid
    status = kernel.start(f":dep {COMMON[0][1]}")
    status.wait(560).ok()
    assert "Compiling" in status.text or "anyhow" in status.text, "the crate that is being compiled must be shown"
    # One after the other, and together.
    for crate in COMMON[:2]:
        check(kernel, [crate])
    check(kernel, COMMON[2:])
    for crate in HEAVY if LONG else []:
        check(kernel, [crate])
    kernel.fail('Err::<(), _>(anyhow::anyhow!("the file is gone").context("no settings"))?;', "no settings: the file is gone")
    assert kernel.run("mine").text.strip() == "[Mine(7)]", "a variable of a type from a cell"
    assert kernel.run("(w.as_tensor() * &t)?.sum_all()?.backward()?.get(&w).unwrap().to_vec1::<f32>()?").text.strip() == "[1.0, 2.0, 3.0]"
    assert kernel.child().pid == child and "tiny" in kernel.run("%status").text
    missing = kernel.start(':dep no-such-crate-anywhere = "1"\nno_such_crate_anywhere::f();').wait(560)
    assert missing.status == "error" and "no-such-crate-anywhere" in missing.failure, missing.failure
    assert kernel.run("t.dims()").text.strip() == "[3]"


def test_a_crate_in_a_folder(kernel):
    kernel.warm()
    source = kernel.places.work / "mine" / "src"
    source.mkdir(parents=True)
    (source.parent / "Cargo.toml").write_text('[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2024"\n')
    (source / "lib.rs").write_text("pub fn seven() -> i32 { 7 }\n")
    kernel.run(f':dep mine = {{ path = "{source.parent}" }}')
    assert kernel.run("mine::seven()").text.strip() == "7"


def test_commands_of_evcxr(kernel):
    kernel.run("let number = 7u8;\nlet text = String::from(\"a\");")
    vars = kernel.run(":vars").text
    assert "number" in vars and "u8" in vars and "String" in vars, vars
    assert "u8" in kernel.run(":type number").text
    assert ":dep" in kernel.run(":help").text
    assert "Optimization: 0" in kernel.run(":opt 0").text
    assert "Optimization: 2" in kernel.run(":opt 2").text
    kernel.run(":fmt {:#?}")
    assert kernel.run("vec![1, 2]").text.strip() == "[\n    1,\n    2,\n]"
    kernel.run(":fmt")
    kernel.run(":types")
    assert kernel.run("number").text.strip() == ": u8 = 7"
    kernel.run(":types")
    assert kernel.run("number").text.strip() == "7"
    kernel.fail(":fmt {}", "is not supported")
    kernel.run(":env GRAFT_GREETING=hello")
    assert kernel.run('std::env::var("GRAFT_GREETING")?').text.strip() == '"hello"'
    kernel.fail(":quit", "kernel menu")
    kernel.fail(":nonsense", "nonsense")
    kernel.run(":clear")
    kernel.fail("number", "cannot find value")


def test_items_of_all_kinds_and_async(kernel):
    kernel.run("#[derive(Debug, Clone, PartialEq)]\nstruct Point { x: i32, y: i32 }\nenum Shape { Dot(Point), Nothing }")
    kernel.run("trait Area { fn area(&self) -> i32; }\nimpl Area for Point { fn area(&self) -> i32 { self.x * self.y } }")
    kernel.run("macro_rules! point { ($x:expr, $y:expr) => { Point { x: $x, y: $y } }; }\nmod inner { pub const TEN: i32 = 10; }\nconst TWO: i32 = 2;")
    kernel.run("let mut p = point!(3, inner::TEN);\np.x += TWO;")
    assert kernel.run("p.area()").text.strip() == "50"
    assert kernel.run("p").text.strip() == "Point { x: 5, y: 10 }"
    assert kernel.run("if let Shape::Dot(q) = Shape::Dot(p.clone()) { q == p } else { false }").text.strip() == "true"
    kernel.run("fn generic<T: std::fmt::Display>(value: T) -> String { format!(\"<{value}>\") }")
    assert kernel.run("generic(7)").text.strip() == '"<7>"'
    kernel.run("fn generic(value: i32) -> i32 { value }")
    assert kernel.run("generic(8)").text.strip() == "8", "a function defined again replaces the first"
    kernel.run("let p = \"another type\";")
    assert kernel.run("p").text.strip() == '"another type"'
    kernel.fail("let moved = String::new();\nlet other = moved;\nmoved", "moved")
    kernel.run("async fn answer() -> i32 { 42 }")
    kernel.run(':dep tokio = { version = "1", features = ["rt-multi-thread", "time"] }', timeout=560)
    assert kernel.run("answer().await", timeout=560).text.strip() == "42"


def test_displays_of_evcxr(kernel):
    """A user-defined `evcxr_display`, several MIME types in one display, and several displays of one type."""
    kernel.run(
        'struct Shown(u32);\nimpl Shown {\n  fn evcxr_display(&self) {\n'
        '    println!("EVCXR_BEGIN_CONTENT text/html\\n<b>{}</b>\\nEVCXR_END_CONTENT", self.0);\n'
        '    println!("EVCXR_BEGIN_CONTENT text/plain\\n{}\\nEVCXR_END_CONTENT", self.0);\n  }\n}'
    )
    cell = kernel.run("Shown(1).evcxr_display();\nShown(2)")
    assert [display.data for display in cell.displays] == [{"text/html": f"<b>{i}</b>", "text/plain": str(i)} for i in (1, 2)], cell.messages
    assert cell.displays[1].kind == "execute_result"


def test_tensors_show_themselves(kernel):
    cell = kernel.warm().run("Tensor::new(&[[1f32, -2.0], [0.5, 4.0]], &Device::Cpu)?")
    assert cell.displays[0].kind == "execute_result" and "Tensor [2, 2] f32 on cpu" in cell.text, cell.text
    assert "rgba(" in cell.html and "-2.0000" in cell.html
    assert "from 0 to 5" in kernel.run("let t = Tensor::arange(0i64, 6, &Device::Cpu)?;\nt").text
    assert "[2, 3]" in kernel.run("lab().display(&t.reshape((2, 3))?);").text
    assert kernel.run("()").displays == [] and kernel.run("let unit = 1;").displays == []
    drawn = kernel.run(
        "use graft::plotters::prelude::*;\nlab().draw(320, 200, |area| {\n  area.fill(&WHITE)?;\n"
        '  let mut chart = ChartBuilder::on(area).caption("a line", ("sans-serif", 18)).build_cartesian_2d(0f32..1f32, 0f32..1f32)?;\n'
        "  chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], &BLUE))?;\n  Ok(())\n})?;"
    )
    assert "<polyline" in drawn.displays[0].data["image/svg+xml"] and "a line" in drawn.displays[0].data["image/svg+xml"]
