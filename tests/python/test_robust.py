"""Stress tests: large outputs, large cells, many cells, many starts, and sudden exits."""

import signal
import time

import psutil

from graft_testing import ANSWER, LONG, Kernel, gone


def megabytes(kernel):
    """Resident memory of the host and the session."""
    processes = [kernel.process, *kernel.process.children(recursive=True)]
    return sum(it.memory_info().rss for it in processes if it.name().startswith("graft")) / 1e6


def test_a_hundred_megabytes_of_output_pass(kernel):
    """All of it arrives in order, the memory of the kernel stays bounded, and other requests are answered."""
    kernel.run('let line = format!("{}\\n", "x".repeat(999));')
    before, most = megabytes(kernel), 0
    cell = kernel.start('for _ in 0..100_000 { print!("{line}"); }\nprint!("the end");')
    asked = False
    while not (cell.idle and cell.reply):
        kernel.take()
        most = max(most, megabytes(kernel) - before)
        if not asked and len(cell.stdout) > 5_000_000:
            asked = True
            assert kernel.complete("%trai")["matches"]
    assert cell.ok() and len(cell.stdout) == 100_000_007 and cell.stdout.endswith("the end"), len(cell.stdout)
    assert asked and most < 250, f"{most:.0f} MB more"


def test_a_shell_line_without_end_is_stopped(kernel):
    cell = kernel.start("!yes").wait_for(lambda cell: len(cell.stdout) > 1_000_000)
    kernel.interrupt()
    cell.wait(ANSWER)
    assert kernel.run("%seed").text


def test_an_error_message_is_shown_once(kernel):
    """A panic and a failing `?` are shown as the error of the cell and not again on standard error; what the cell wrote itself remains."""
    cell = kernel.fail('eprintln!("mine");\nlet values = vec![1, 2, 3];\nlet index = values.len() + 7;\nvalues[index];', "index out of bounds: the len is 3 but the index is 10", r"4 \| values\[index\];")
    assert cell.stderr == "mine\n", cell.stderr
    cell = kernel.fail('let n: i32 = "seven".parse()?;', "invalid digit found in string")
    assert cell.stderr == "", cell.stderr
    kernel.run(
        "#[derive(Debug)]\nstruct Unread(std::num::ParseIntError);\n"
        'impl std::fmt::Display for Unread { fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { write!(f, "no settings") } }\n'
        "impl std::error::Error for Unread { fn source(&self) -> Option<&(dyn std::error::Error + 'static)> { Some(&self.0) } }"
    )
    boxed = 'Err::<(), Box<dyn std::error::Error>>(Box::new(Unread("seven".parse::<i32>().unwrap_err())))?;'
    cell = kernel.fail(boxed, "no settings\ncaused by: invalid digit found in string")
    assert cell.stderr == "", cell.stderr
    typed = 'Err::<(), Unread>(Unread("seven".parse::<i32>().unwrap_err()))?;'
    cell = kernel.fail(typed, "no settings\ncaused by: invalid digit found in string")
    assert cell.stderr == "", cell.stderr
    kernel.fail('let n: i32 = "7".parse()?;\nErr::<(), &str>("no error, but a text")?;', "no error, but a text")
    kernel.fail('let n: i32 = "7".parse()?;\nlet wrong: i32 = "text";', r"2 \| let wrong", "mismatched types")
    cell = kernel.fail("lab().train(Train::new().steps(3))?;", "no model is loaded", "%model load tiny")
    assert cell.stderr == "", cell.stderr
    caught = kernel.run('let caught = std::panic::catch_unwind(|| panic!("inside")).is_err();\nprintln!("{caught}");')
    assert caught.stdout == "true\n" and "inside" in caught.stderr, "a panic that the cell catches must not be reported as an error"
    kernel.run("fn fails(i: usize) -> i32 {\n    [1, 2][i]\n}")
    kernel.fail("fails(5)", r"in an earlier cell \| \[1, 2\]\[i\]")


def test_errors_count_lines_from_the_top_of_the_cell(kernel):
    """A Rust error below magics names the line number that the user sees."""
    kernel.warm().fail('%seed 3\n%status\nlet right = 1;\nlet wrong: i32 = "text";', r"4 \| let wrong")
    kernel.fail('%seed 3\n\nlet values = vec![1];\nlet at = 5 + values.len();\nvalues[at]', r"5 \| values\[at\]")


def test_large_cells_and_odd_text_pass(kernel):
    text = "é🦀\u200d漢\u0301" * 20_000
    assert kernel.warm().run(f'let text = "{text}";\ntext.chars().count()').text.strip() == str(5 * 20_000)
    assert kernel.run('println!("{}", "\\u{1f980}".repeat(50_000));').stdout.count("🦀") == 50_000
    assert kernel.run("\n".join(f"let v{i} = {i};" for i in range(300)) + "\nv299").text.strip() == "299"
    # Bytes that are not text, and a line that looks like an evcxr control line.
    cell = kernel.run('use std::io::Write;\nstd::io::stdout().write_all(&[0xff, 0xfe, b\'\\n\'])?;\nprintln!("EVCXR_ is only a word");')
    assert "EVCXR_ is only a word" in cell.stdout and "\ufffd" in cell.stdout


def test_a_kernel_told_to_end_leaves_nothing(places):
    """SIGTERM, as sent by a machine that shuts down: session, compiler and folders disappear with the host."""
    kernel = Kernel(places)
    kernel.run("let x = 1;")
    family = kernel.process.children(recursive=True)
    kernel.process.send_signal(signal.SIGTERM)
    assert gone(kernel.process.pid)
    assert all(gone(process.pid, 10) for process in family), family
    assert not list((places.root / "cache" / "graft" / "sessions").iterdir())
    kernel.client.stop_channels()
    kernel.log.close()


def test_many_cells_hold_no_memory(kernel):
    """After hundreds of magics and dozens of Rust cells, the host uses about as much memory as before."""
    kernel.run("%model load tiny")
    for _ in range(20):
        kernel.run("%status")
    kernel.run("let mut n = 0;")
    before = kernel.process.memory_info().rss
    for _ in range(970 if LONG else 300):
        kernel.run("%status")
    for _ in range(15):
        kernel.run("n += 1;")
    assert kernel.run("n").text.strip() == "15"
    grown = (kernel.process.memory_info().rss - before) / 1e6
    # rust-analyzer's tables grow with the items of the cells; leaked messages would need far more memory.
    assert grown < 150, f"{grown:.0f} MB"


def test_starts_and_stops_leave_nothing(places):
    pids = []
    for _ in range(200 if LONG else 6):
        with Kernel(places) as kernel:
            kernel.run("%model load tiny")
            pids += [kernel.process.pid, kernel.child().pid]
    assert all(gone(pid, 10) for pid in pids)
    time.sleep(0.2)
    assert not list((places.root / "cache" / "graft" / "sessions").iterdir())
    ours = [it for it in psutil.process_iter(["environ"]) if (it.info["environ"] or {}).get("XDG_RUNTIME_DIR") == str(places.runtime)]
    assert not ours, ours


def test_after_a_crash_the_hint_restores_the_users_own_adapter(kernel):
    """The newest run on disk is a trial of a comparison; the hint must name the run of the attached adapter."""
    kernel.run("%seed 1\n%model load tiny\n%data load which-book\n%lora attach r=2\n%train steps=2 batch=2 max_length=64 eval_every=0", timeout=600)
    kernel.run("%ablate lora r=1,4 steps=2 batch=2 max_length=64 examples=4", timeout=600)
    newest = kernel.run("%runs").text
    assert newest.index("lora-003") < newest.index("lora-001"), newest
    kernel.fail("std::process::abort();", "SessionDied|signal", "%runs use lora-001", timeout=600)
    kernel.run("%model load tiny\n%runs use lora-001", timeout=600)
    assert "r=2" in kernel.run("%lora list").text
