//! Splits a text file into cells, for `graft run`.
//!
//! A line `// %%` begins a cell. A file without such a line is one cell, in which a `%%name` line
//! begins another cell that ends at the first blank line. In data, `// %%` is written as `// \%%`;
//! the backslash is removed again, so a cell can contain any text.

/// Splits a file into its cells, without blank ones. Each cell keeps the line numbers of the file,
/// so that failures point to lines of the file.
pub fn script_cells(text: &str) -> Vec<String> {
    let has_marks = text.lines().any(is_mark);
    let mut cells = vec![String::new()];
    let mut blank_lines = String::new();
    let mut whole_cell = false;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let begins = if has_marks { is_mark(line) } else { begins_cell_magic(line) };
        let ends = !has_marks && whole_cell && line.trim().is_empty();
        if begins || ends {
            cells.push(blank_lines.clone());
            whole_cell = begins;
        }
        let is_shebang = number == 0 && line.starts_with("#!") && !line.starts_with("#![");
        if let Some(cell) = cells.last_mut() {
            match escaped(line).filter(|_| has_marks) {
                _ if is_shebang || (has_marks && begins) => cell.push('\n'),
                Some(plain) => cell.push_str(&plain),
                None => cell.push_str(line),
            }
        }
        blank_lines.push('\n');
    }
    cells.retain(|cell| !cell.trim().is_empty());
    cells
}

/// Returns whether a line is `// %%`, with or without the space and a title.
fn is_mark(line: &str) -> bool {
    line.strip_prefix("//").is_some_and(|rest| rest.trim_start().starts_with("%%"))
}

/// Returns the line without its first backslash, if it is `// \%%`.
fn escaped(line: &str) -> Option<String> {
    let rest = line.strip_prefix("//")?.trim_start();
    let is_one = rest.starts_with('\\') && rest.trim_start_matches('\\').starts_with("%%");
    is_one.then(|| line.replacen('\\', "", 1))
}

fn begins_cell_magic(line: &str) -> bool {
    line.strip_prefix("%%")
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_data_that_looks_like_a_mark_is_written_with_a_backslash() {
        let text = "// %%\n%%data a\nx\n// \\%%\n//\\\\%% y\n// %%\n%train\n";
        assert_eq!(
            script_cells(text),
            ["\n%%data a\nx\n// %%\n//\\%% y\n", "\n\n\n\n\n\n%train\n"]
        );
        assert_eq!(
            script_cells("let a = 1; \n// \\%%\n"),
            ["let a = 1; \n// \\%%\n"],
            "a file without `// %%` is one cell"
        );
    }
}
