use std::sync::Arc;

use graft_protocol::{Cell, Table};
use graft_render::Progress;

use super::*;

/// A shared buffer for the output of a screen.
#[derive(Clone, Default)]
pub(crate) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

pub(crate) fn screen(is_terminal: bool) -> (Screen, Buffer, Buffer) {
    let (out, err) = (Buffer::default(), Buffer::default());
    let capabilities = Capabilities { is_terminal, has_color: is_terminal, width: 80 };
    (Screen::new(capabilities, Box::new(out.clone()), Box::new(err.clone())), out, err)
}

fn step(done: u64) -> Rich {
    Rich::from_progress(&Progress::of("step", done, 10)).live()
}

fn table() -> Rich {
    let mut table = Table::new("t", &["#n"]);
    table.row(vec![Cell::Integer(1)]);
    Rich::from_block(&Block::Table(table))
}

#[test]
fn a_bar_is_overwritten_and_removed_before_other_output() {
    let (screen, out, _) = screen(true);
    screen.display(&step(1), Some("a"));
    screen.update_display(&step(2), "a");
    screen.stream(Stream::Stdout, b"hello\n");
    screen.update_display(&table(), "a");
    let text = out.text();
    assert_eq!(text.matches("\r\u{1b}[K").count(), 2, "{text:?}");
    assert!(
        text.ends_with("\u{1b}[Khello\n\u{1b}[1mt\u{1b}[0m\n\u{1b}[1mn\u{1b}[0m\n─\n1\n"),
        "{text:?}"
    );
}

#[test]
fn a_pipe_gets_plain_lines() {
    let (screen, out, _) = screen(false);
    screen.display(&step(1), Some("a"));
    screen.update_display(&step(10), "a");
    screen.update_display(&step(10), "a");
    screen.display(&table(), None);
    assert_eq!(out.text(), "step 1/10 · 10 %\nstep 10/10 · 100 %\nt\nn\n─\n1\n");
}

#[test]
fn generated_text_is_incremental_on_a_terminal_and_complete_in_a_pipe() {
    let text = |text: &str| {
        Rich::from_block(&Block::Generated {
            prompt: "A".to_owned(),
            text: text.to_owned(),
            pieces: Vec::new(),
        })
    };
    for (terminal, expected) in [(true, "\u{1b}[1mA\u{1b}[0m b c\n"), (false, "A b c\n")] {
        let (screen, out, _) = screen(terminal);
        screen.display(&text(" b").live(), Some("g"));
        screen.update_display(&text(" b c").live(), "g");
        screen.update_display(&text(" b c"), "g");
        assert_eq!(out.text(), expected);
    }
}

#[test]
fn an_unfinished_line_is_ended_before_a_block() {
    let (screen, out, _) = screen(false);
    screen.stream(Stream::Stdout, b"no end");
    screen.display(&Rich::plain("next"), None);
    assert_eq!(out.text(), "no end\nnext\n");
}

#[test]
fn errors_go_to_standard_error_without_escapes_in_a_pipe() {
    let (screen, out, err) = screen(false);
    screen.error(&CellError {
        ename: "E".to_owned(),
        evalue: "v".to_owned(),
        traceback: vec!["\u{1b}[1;31mE\u{1b}[0m: v".to_owned()],
    });
    assert_eq!((out.text().as_str(), err.text().as_str()), ("", "E: v\n"));
}

#[test]
fn a_display_without_text_shows_its_mime_type() {
    let (screen, out, _) = screen(false);
    screen.result(&Rich {
        mime: BTreeMap::from([("image/png".to_owned(), "AAAA".to_owned())]),
        ..Rich::default()
    });
    assert_eq!(out.text(), "[image/png]\n");
}

#[test]
fn no_escape_sequence_of_data_or_of_an_error_reaches_the_terminal() {
    const ESCAPES: &str = "\u{1b}]52;c;eHg=\u{7}\u{9b}2J\u{202e}";
    for terminal in [true, false] {
        let (screen, out, err) = screen(terminal);
        screen.display(&Rich::from_block(&Block::Text(ESCAPES.to_owned())), None);
        screen.display(&Rich::from_progress(&Progress::of(ESCAPES, 1, 10)).live(), Some("a"));
        screen.display(
            &Rich::from_block(&Block::Generated {
                prompt: ESCAPES.to_owned(),
                text: ESCAPES.to_owned(),
                pieces: Vec::new(),
            })
            .live(),
            Some("b"),
        );
        screen.result(&Rich::plain(ESCAPES));
        screen.set_next_input(ESCAPES, true);
        screen.error(&CellError::from_failure(
            &graft_spec::Failure::new("data::malformed", ESCAPES).hint(ESCAPES),
            ESCAPES,
        ));
        let text = out.text() + &err.text();
        assert!(text.contains("␛]52;c;eHg=␇\\u{9b}2J\\u{202e}"), "{text:?}");
        assert!(
            !text.contains(['\u{7}', '\u{9b}', '\u{202e}']) && !text.contains("\u{1b}]"),
            "{text:?}"
        );
    }
}

#[test]
fn escape_sequences_printed_by_a_cell_are_unchanged() {
    let (screen, out, _) = screen(true);
    screen.stream(Stream::Stdout, b"\x1b[31mred\x1b[0m\n");
    assert_eq!(out.text(), "\u{1b}[31mred\u{1b}[0m\n");
}
