//! Helpers for error messages.

/// The first `count` names in backticks, and how many more there are.
pub fn first_names(names: &[String], count: usize) -> String {
    let shown: Vec<_> = names.iter().take(count).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// candle's error message without the backtrace frames that it may append.
pub fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_names_are_listed_and_the_others_counted() {
        let names = |count: usize| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>();
        assert_eq!(first_names(&names(2), 4), "`w0`, `w1`");
        assert_eq!(first_names(&names(6), 4), "`w0`, `w1`, `w2`, `w3` and 2 more");
    }
}
