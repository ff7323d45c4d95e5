use super::*;

fn texts(line: &str) -> Vec<String> {
    split(line, 0, 0, BraceRule::Never).unwrap().into_iter().map(|word| word.text).collect()
}

#[test]
fn words_split_at_spaces_and_quotes_hold_them_together() {
    assert_eq!(
        texts(r#"attach r=8 init="Classify the sentence:" 'a b'"#),
        ["attach", "r=8", "init=Classify the sentence:", "a b"]
    );
}

#[test]
fn double_quotes_have_the_escapes_of_rust_and_keep_regular_expressions() {
    assert_eq!(
        texts(r#"template="{text}\nFrom:" target_modules=".*\.(q|v)_proj""#),
        ["template={text}\nFrom:", r"target_modules=.*\.(q|v)_proj"]
    );
    assert_eq!(texts(r"'a\n'"), [r"a\n"]);
}

#[test]
fn a_quote_inside_a_word_is_an_ordinary_character() {
    assert_eq!(texts("don't panic"), ["don't", "panic"]);
}

#[test]
fn an_equals_sign_in_quotes_does_not_make_a_key() {
    let words = split(r#""a=b" x=1"#, 0, 0, BraceRule::Never).unwrap();
    assert_eq!(words[0].pair(), None);
    assert_eq!(words[1].pair(), Some(("x", "1")));
}

#[test]
fn spans_count_code_points_from_the_given_column() {
    let words = split("é𝄞 r=8", 3, 10, BraceRule::Never).unwrap();
    assert_eq!(words[1].span, Span { line: 3, start: 13, end: 16 });
    assert_eq!(words[1].key_span(), Span { line: 3, start: 13, end: 14 });
    assert_eq!(words[1].value_span(), Span { line: 3, start: 15, end: 16 });
}

#[test]
fn a_bracketed_list_keeps_its_spaces() {
    assert_eq!(
        texts(r#"target_modules=["q_proj", "v_proj"] r=4"#),
        [r"target_modules=[q_proj, v_proj]", "r=4"]
    );
    assert_eq!(texts("target_modules=[qv]_proj r=4"), ["target_modules=[qv]_proj", "r=4"]);
    assert_eq!(texts("a=[b c"), ["a=[b", "c"]);
}

#[test]
fn a_backslash_at_the_end_continues_the_line() {
    let words = split("attach \\\n  r=8", 2, 6, BraceRule::Never).unwrap();
    assert_eq!(words[1].span, Span { line: 3, start: 2, end: 5 });
}

#[test]
fn an_unclosed_quote_is_marked() {
    let failure = split("load \"tiny", 1, 7, BraceRule::Never).unwrap_err();
    assert_eq!(failure.code, "magic::unclosed_quote");
    assert_eq!(failure.span, Some(Span { line: 1, start: 12, end: 13 }));
}

#[test]
fn a_code_point_in_double_quotes_is_parsed_and_similar_text_is_kept() {
    let texts = |line: &str| {
        split(line, 0, 0, BraceRule::Never)
            .unwrap()
            .into_iter()
            .map(|word| word.text)
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(r#""a\u{1b}b" "\u{202e}""#), ["a\u{1b}b", "\u{202e}"]);
    assert_eq!(
        texts(r#""\u{zz}" "\u{110000}" "\u{41" "\u41" '\u{41}'"#),
        ["\\u{zz}", "\\u{110000}", "\\u{41", "\\u41", "\\u{41}"]
    );
}
