use crate::{ChatTemplate, Conversation, Ending};

fn render(template: &str) -> Result<String, String> {
    let chat = Conversation::from_json(r#"[{"role":"user","content":"hi"}]"#).unwrap();
    ChatTemplate::new("t.jinja", template, Vec::new())
        .and_then(|template| template.render(&chat, Ending::Complete))
        .map(|it| it.text)
        .map_err(|error| error.to_string())
}

#[test]
fn an_error_names_the_template_and_the_line() {
    let cases = [
        (
            "a\n{{ raise_exception('no ' ~ messages[0].role) }}",
            "chat template `t.jinja` line 2 refuses the conversation: no user",
        ),
        ("a\n\n{% if %}", "chat template `t.jinja` line 3: syntax error"),
        (
            "{% generation %}x",
            "chat template `t.jinja` line 1: syntax error: unexpected end of input, expected end of block",
        ),
        (
            "{% generation %}\n{{ raise_exception('in') }}{% endgeneration %}",
            "chat template `t.jinja` line 2 refuses the conversation: in",
        ),
        ("\n{{ nothing.at_all }}", "chat template `t.jinja` line 2: undefined value"),
        (
            "{{ 'a' | nothing }}",
            "chat template `t.jinja` line 1: unknown filter: filter nothing is unknown",
        ),
        (
            "{% include '/etc/passwd' %}",
            "chat template `t.jinja` line 1: syntax error: unknown statement include",
        ),
    ];
    for (template, message) in cases {
        let found = render(template).unwrap_err();
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn a_template_that_never_ends_or_writes_too_much_is_stopped() {
    let loops = "{% for a in range(90000) %}{% for b in range(90000) %}{% set c = 1 %}{% endfor %}{% endfor %}";
    assert!(render(loops).unwrap_err().contains("was stopped: it takes more than"));
    let doubled =
        format!("{{% set x = 'aaaaaaaa' %}}{}{{{{ x }}}}", "{% set x = x ~ x %}".repeat(60));
    assert!(render(&doubled).unwrap_err().contains("was stopped"));
    assert!(render("{{ 'x'.ljust(100000000000) }}").unwrap_err().contains("too large"));
    let recursive = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(render(recursive).is_err());
}

#[test]
fn the_date_is_written_in_the_format_of_python() {
    let year = render("{{ strftime_now('%Y') }}").unwrap();
    assert!(year.len() == 4 && year.parse::<u32>().unwrap() >= 2024, "{year}");
    assert_eq!(render("{{ strftime_now('%d %b %Y') | length }}").unwrap(), "11");
    assert!(render("{{ strftime_now('%Q') }}").unwrap_err().contains("not a valid date format"));
}
