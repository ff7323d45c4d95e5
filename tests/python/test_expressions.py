"""`{expression}` in magics: values of Rust expressions in arguments."""

from graft_testing import graft


def test_a_magic_takes_the_value_of_a_rust_expression(kernel):
    kernel.run("%model load tiny\n%data load which-book")
    # In one cell: the variable exists when the magic is executed, not when the cell is parsed.
    cell = kernel.run('let rank: usize = 4;\nlet name = String::from("mine");\n%lora attach r={rank} lora_alpha={rank * 2} adapter_name={name}')
    assert "mine" in cell.text and "r=4" in kernel.run("%lora list").text
    assert "lora_alpha=8" in kernel.run("%lora list").text
    assert kernel.run("rank + name.len()").text.strip() == "8", "the variables are still there"
    kernel.run("let rate = 1e-3;\nlet n: usize = 2;\n%train steps={n} lr={rate:e} batch={n} eval_examples=4")
    kernel.run('let folder = "out dir";\n%lora save {folder}/{name}')
    assert (kernel.places.work / "out dir" / "mine" / "adapter_config.json").is_file()
    assert "fn main() {" in kernel.run('%generate "fn main() {" max_new_tokens={n}').text
    shown = kernel.run("%lora attach r={rank * 2} --rust").text
    assert shown.strip() == "lab().model()?.attach(Lora::new().r(rank * 2))?;", shown
    kernel.run(shown)


def test_errors_name_the_expression_and_the_next_step(kernel):
    kernel.run("%model load tiny")
    kernel.run('let rank = 4;\nlet list = vec![1, 2];\nlet text = "four";')
    kernel.fail("%lora attach r={rnak}", "cannot evaluate `{rnak}`", "cannot find value `rnak`", "did you mean `rank`")
    kernel.fail("%lora attach r={zzz}", "`zzz`", "Rust variables: .*`rank`", "let zzz = 8;")
    kernel.fail("%lora attach r={list}", "`{list}` cannot be written as text", r"Vec<i32>. does not implement `Display`")
    kernel.fail("%lora attach r={text}", "`r` must be a whole number, got `four`")
    kernel.fail("%lora attach r={rank} lora_alpha={rank +}", r"cannot evaluate `\{rank \+\}`")
    kernel.fail("%lora attach ranc={rank}", "has no key `ranc`")
    assert "r=4" in kernel.run("%lora attach r={rank}\n%lora list").text


def test_braces_that_are_not_expressions_need_no_rust(kernel):
    kernel.run("%model load tiny")
    kernel.run('%generate fn main() { x } max_new_tokens=2\n%generate "{x}" max_new_tokens=2\n%lora attach target_modules={q_proj,v_proj}')
    assert not any("rust-analyzer" in " ".join(it.cmdline()) for it in kernel.process.children(recursive=True))


def test_the_terminal_evaluates_expressions(places):
    script = places.work / "rank.graft"
    script.write_text("%model load tiny\nlet rank = 3;\n%lora attach r={rank}\n%lora list\n")
    assert "r=3" in graft("run", script, places=places).stdout
