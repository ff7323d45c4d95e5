use super::screen::tests::screen;
use super::*;
use crate::scripted_engine::ScriptedEngine;

/// Runs a file with its output in a pipe or on a terminal; returns the exit status, standard output
/// and standard error.
async fn run_text(text: &str, keep_going: bool, terminal: bool) -> (u8, String, String) {
    let (screen, out, err) = screen(terminal);
    let factory: Arc<EngineFactory> = Arc::new(|output| Ok(Arc::new(ScriptedEngine::new(output))));
    let args = RunArgs { file: "script.graft".into(), keep_going, grace: 10.0 };
    let status = run_cells(&Script::from_text(text), &screen, &args, factory).await;
    (status, out.text(), err.text())
}

#[tokio::test]
async fn magics_and_rust_run_in_order_and_the_status_is_zero() {
    let (status, out, err) = run_text(
        "#!/usr/bin/env -S graft run\n%status\nprint one\nvalue 42\n// %%\n%status\n",
        false,
        false,
    )
    .await;
    assert_eq!((status, out.as_str(), err.as_str()), (0, "no model\none\n42\nno model\n", ""));
}

#[tokio::test]
async fn the_first_error_ends_the_run_with_its_line_in_the_file() {
    let text = "%status\n// %%\n%lora attach rnk=8\n// %%\n%status\n";
    let (status, out, err) = run_text(text, false, false).await;
    assert_eq!((status, out.as_str()), (1, "no model\n"));
    assert!(err.starts_with("UsageError: `%lora attach` has no key `rnk`\n3 | %lora attach rnk=8\n  |              ^^^\nhint: did you mean `rank`?"), "{err}");
}

#[tokio::test]
async fn every_error_names_the_file_and_the_line_of_the_magic_or_rust_code() {
    for (text, line) in [
        ("%status\n// %%\n%lora attach rnk=8\n", 3),
        ("%status\n\n%status\nfail here\n", 4),
        ("// %% a title\n%status\n%run /no/such/file\n", 3),
        ("// %%\n%time fail here\n", 2),
    ] {
        let (status, _, err) = run_text(text, false, false).await;
        assert_eq!(status, 1);
        assert!(err.ends_with(&format!("  --> script.graft:{line}\n")), "{text}\n{err}");
    }
}

#[tokio::test]
async fn with_keep_going_the_rest_runs_and_the_status_is_still_one() {
    let (status, out, _) = run_text("fail here\n// %%\nprint after\n", true, false).await;
    assert_eq!((status, out.as_str()), (1, "after\n"));
}

#[tokio::test]
async fn training_shows_a_bar_on_a_terminal_and_ends_with_the_curve() {
    let (status, out, _) = run_text("%train", false, true).await;
    assert_eq!(status, 0);
    assert!(out.contains("\r\u{1b}[K") && out.contains("tokens/s · ETA"), "{out:?}");
    assert!(
        out.contains("lora on tiny\n")
            && out.contains("1.00 ┤")
            && out.contains("done\n")
            && out.ends_with("trained\n"),
        "{out}"
    );
}

#[tokio::test]
async fn a_generated_text_is_written_once() {
    let (_, out, _) = run_text("%generate A tale:", false, true).await;
    assert_eq!(out, "\u{1b}[1mA tale:\u{1b}[0monce upon a time\n");
}

/// Accepts one write and then fails, like a pipe that `head` has closed.
struct ClosesAfterOneWrite(bool);

impl std::io::Write for ClosesAfterOneWrite {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match std::mem::replace(&mut self.0, true) {
            false => Ok(bytes.len()),
            true => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_closed_output_ends_the_run_without_an_error() {
    let capabilities = screen::Capabilities { is_terminal: false, has_color: false, width: 80 };
    let errors = screen::tests::Buffer::default();
    let screen =
        Screen::new(capabilities, Box::new(ClosesAfterOneWrite(false)), Box::new(errors.clone()));
    let factory: Arc<EngineFactory> = Arc::new(|output| Ok(Arc::new(ScriptedEngine::new(output))));
    let script = Script::from_text("print one\nprint two\nwait\n");
    let args = RunArgs { file: "script.graft".into(), keep_going: false, grace: 10.0 };
    let status = run_cells(&script, &screen, &args, factory).await;
    assert_eq!((status, errors.text().as_str()), (0, ""));
}
