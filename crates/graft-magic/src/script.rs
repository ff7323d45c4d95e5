//! A text file into cells, as `graft run` reads it.
//!
//! A line `// %%` begins a cell. Without any, the file is one cell, in which a `%%name` line begins a cell of its own that ends at the first blank line.
//! A line of data that looks like `// %%` is written with a backslash, `// \%%`, which is taken away again; so every text can be in a cell.

/// Cuts a file into its cells; none is blank. Each keeps the line numbers of the file, so that failures point at the file's own lines.
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

/// `// %%`, with or without the blank and a title.
fn is_mark(line: &str) -> bool {
    line.strip_prefix("//").is_some_and(|rest| rest.trim_start().starts_with("%%"))
}

/// `// \%%` without its first backslash, if the line begins so.
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
            "a file without marks is taken as it is"
        );
    }
}
