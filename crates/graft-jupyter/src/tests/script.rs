//! An interpreter for tests: each line of a cell is a word that says what to do.

use std::convert::Infallible;

use futures::future::BoxFuture;
use graft_frontend::{CellError, Frontend, Interrupt, Rich, Stream};

use crate::{Completeness, CompletionItem, Completions, Interpreter, KernelInfo, LanguageInfo};

/// Runs the lines `print TEXT`, `show TEXT`, `value TEXT`, `page TEXT`, `ask PROMPT`, `secret
/// PROMPT`, `fail TEXT`, `panic` and `wait` (for an interrupt).
#[derive(Default)]
pub(super) struct Script {
    pub(super) interrupt: Interrupt,
}

impl Script {
    async fn line(&self, line: &str, frontend: &dyn Frontend) -> Result<(), CellError> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let print = |text: &str| frontend.stream(Stream::Stdout, format!("{text}\n").as_bytes());
        match word {
            "print" => print(rest),
            "show" => frontend.display(&Rich::plain(rest), None),
            "value" => frontend.result(&Rich::plain(rest)),
            "page" => frontend.page(&Rich::plain(rest)),
            "ask" | "secret" => match frontend.input(rest, word == "secret").await {
                Some(typed) => print(&format!("got {typed}")),
                None => return Err(CellError::new("Input", "no input")),
            },
            "wait" => {
                print("waiting");
                self.interrupt.pressed().await;
                return Err(CellError::new("Interrupted", "the cell was interrupted"));
            }
            "fail" => return Err(CellError::new("Failed", rest)),
            "panic" => panic!("the interpreter panicked"),
            _ => {}
        }
        Ok(())
    }
}

impl Interpreter for Script {
    fn kernel_info(&self) -> KernelInfo {
        KernelInfo {
            implementation: "script",
            implementation_version: "1",
            language_info: LanguageInfo {
                name: "words",
                version: "1",
                mimetype: "text/plain",
                file_extension: ".txt",
                pygments_lexer: "text",
                codemirror_mode: "null",
                nbconvert_exporter: "script",
            },
            banner: String::new(),
            help_links: Vec::new(),
        }
    }

    fn execute<'a>(
        &'a self,
        code: &'a str,
        frontend: &'a dyn Frontend,
    ) -> BoxFuture<'a, Result<(), CellError>> {
        Box::pin(async move {
            for line in code.lines() {
                if let Err(error) = self.line(line, frontend).await {
                    frontend.error(&error);
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    fn record<'a>(&'a self, _code: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn idle<'a>(&'a self, _frontend: &'a dyn Frontend) -> BoxFuture<'a, Infallible> {
        Box::pin(std::future::pending())
    }

    /// Completes every word to `length`.
    fn complete<'a>(&'a self, code: &'a str, cursor: usize) -> BoxFuture<'a, Completions> {
        let start = code.chars().take(cursor).collect::<Vec<_>>();
        let start = start.iter().rposition(|char| *char == '.').map_or(0, |at| at + 1);
        let item = CompletionItem {
            text: "length".into(),
            kind: "function".into(),
            signature: String::new(),
        };
        Box::pin(std::future::ready(Completions { start, end: cursor, items: vec![item] }))
    }

    /// Describes every name by the cursor and the detail level.
    fn inspect<'a>(
        &'a self,
        code: &'a str,
        cursor: usize,
        detail_level: u8,
    ) -> BoxFuture<'a, Option<Rich>> {
        let found = !code.is_empty();
        let rich = found.then(|| Rich::plain(format!("cursor {cursor}, detail {detail_level}")));
        Box::pin(std::future::ready(rich))
    }

    fn is_complete(&self, code: &str) -> Completeness {
        match code {
            "}" => Completeness::Invalid,
            "?" => Completeness::Unknown,
            _ if code.ends_with('{') => Completeness::Incomplete { indent: "    ".to_owned() },
            _ => Completeness::Complete,
        }
    }

    fn interrupt(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
