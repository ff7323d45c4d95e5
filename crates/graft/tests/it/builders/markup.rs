//! Help texts as doc comments.

/// Widest line of the sources.
const WIDTH: usize = 100;

/// A help text as a sentence of Markdown: capital letter, full stop, code in backticks. `values`
/// are words that are code too.
pub(super) fn sentence(help: &str, values: &[&str]) -> String {
    let mut text = help.split(' ').map(|text| word(text, values)).collect::<Vec<_>>().join(" ");
    let first = help.split([' ', ',', ':']).next().unwrap_or_default();
    if first.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
        && !text.starts_with('`')
    {
        text = text[..1].to_uppercase() + &text[1..];
    }
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// A word; names of keys, values and magics as code.
fn word(word: &str, values: &[&str]) -> String {
    let core = word.trim_start_matches('(').trim_end_matches([')', ',', '.', ';', ':']);
    let code = core.strip_prefix('%').unwrap_or(core);
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_=-.,:".contains(letter);
    let is_code = code.chars().all(is_name)
        && code.contains(|letter: char| letter.is_ascii_alphabetic())
        && (code != core || code.contains(['_', '=']) || values.contains(&code));
    match is_code {
        true => word.replace(core, &format!("`{core}`")),
        false if word.contains('`') => word.to_owned(),
        false => escaped(word),
    }
}

/// Text with the brackets that Markdown would read as a link or a tag.
fn escaped(text: &str) -> String {
    text.replace('[', "\\[").replace(']', "\\]").replace('<', "\\<").replace('*', "\\*")
}

/// Papers with links to arXiv, a full stop at the end.
pub(super) fn links(source: &str) -> String {
    let words = source.split(' ').map(|word| {
        let number = word.strip_prefix("arXiv:").map(|it| it.trim_end_matches([';', ',']));
        match number {
            Some(number) => word.replace(
                &format!("arXiv:{number}"),
                &format!("[arXiv:{number}](https://arxiv.org/abs/{number})"),
            ),
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ") + "."
}

/// Markdown as a doc comment, wrapped outside fenced code.
pub(super) fn comment(indent: &str, markdown: &str) -> String {
    let mut text = String::new();
    let mut is_code = false;
    for line in markdown.lines() {
        is_code ^= line.starts_with("```");
        let mut row = format!("{indent}///");
        for word in unbreakable(line) {
            let is_full = row.chars().count() + 1 + word.chars().count() > WIDTH;
            if is_full && !is_code && row.len() > indent.len() + 3 {
                text.push_str(&row);
                text.push('\n');
                row = format!("{indent}///");
            }
            row.push(' ');
            row.push_str(&word);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// The words of a line; code in backticks is one word.
fn unbreakable(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_code = false;
    for word in line.split(' ') {
        match words.last_mut().filter(|_| is_code) {
            Some(last) => last.push_str(&format!(" {word}")),
            None => words.push(word.to_owned()),
        }
        is_code ^= word.matches('`').count() % 2 == 1;
    }
    words
}
