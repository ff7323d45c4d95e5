//! `{% generation %}` blocks, which mark the text of the assistant in a template.
//!
//! transformers implements the block as a call block of Jinja. The template engine has call blocks
//! but no custom ones, so the source is rewritten: `{% generation %}` becomes `{% call
//! FUNCTION() %}`, and `{% endgeneration %}` becomes `{% endcall %}`. Lines keep their numbers.

/// Name of the function that [`rewrite`] inserts.
pub(crate) const FUNCTION: &str = "_generation_support";

/// A template for the engine.
#[derive(Debug, PartialEq)]
pub(crate) struct Rewritten {
    pub(crate) source: String,
    /// Whether the template has a generation block.
    pub(crate) has_generation: bool,
}

/// Replaces the generation tags outside of comments, expressions and raw blocks.
pub(crate) fn rewrite(template: &str) -> Rewritten {
    let pieces = pieces(template);
    let call = call(&pieces);
    let mut has_generation = false;
    let source = pieces.iter().map(|piece| match statement(piece) {
        Some("generation") => {
            has_generation = true;
            piece.replacen("generation", &call, 1)
        }
        Some("endgeneration") => piece.replacen("endgeneration", "endcall", 1),
        _ => (*piece).to_owned(),
    });
    Rewritten { source: source.collect(), has_generation }
}

/// The call that starts a generation block.
///
/// The body of a call block sees only the variables that it reads. A namespace that it assigns to
/// is made one of them by a parameter with it as the default.
fn call(pieces: &[&str]) -> String {
    let mut names: Vec<&str> =
        pieces.iter().filter_map(|piece| assigned_namespace(statement(piece)?)).collect();
    names.sort_unstable();
    names.dedup();
    match names.is_empty() {
        true => format!("call {FUNCTION}()"),
        false => format!("call(_namespaces=[{}]) {FUNCTION}()", names.join(", ")),
    }
}

/// `ns` in `set ns.last = 1`.
fn assigned_namespace(statement: &str) -> Option<&str> {
    let (target, _) = statement.strip_prefix("set")?.split_once('=')?;
    let (name, _) = target.split_once('.')?;
    let name = name.strip_prefix(|it: char| it.is_ascii_whitespace())?.trim();
    let is_word = name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    (is_word && !name.is_empty() && !name.starts_with(|it: char| it.is_ascii_digit()))
        .then_some(name)
}

/// The tags of a template and the text between them, in order. A raw block is text.
fn pieces(template: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(at) = next_tag(rest) {
        let length = tag_length(&rest[at..]);
        let (text, after) = rest.split_at(at);
        let (tag, after) = after.split_at(length);
        pieces.extend([text, tag]);
        rest = after;
        if statement(tag) == Some("raw") {
            let (raw, after) = after.split_at(raw_length(after));
            pieces.push(raw);
            rest = after;
        }
    }
    pieces.push(rest);
    pieces
}

/// Position of the next `{%`, `{{` or `{#`.
fn next_tag(text: &str) -> Option<usize> {
    text.match_indices('{')
        .map(|(at, _)| at)
        .find(|at| matches!(text.as_bytes().get(at + 1), Some(b'%' | b'{' | b'#')))
}

/// Length of the tag at the start of a text, with its delimiters.
fn tag_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let close = match bytes[1] {
        b'#' => return text.find("#}").map_or(text.len(), |at| at + 2),
        b'%' => b"%}",
        _ => b"}}",
    };
    let mut at = 2;
    let mut quote = None;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(bytes[at]),
            (None, _) if bytes[at..].starts_with(close) => return at + 2,
            (None, _) => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The text of a statement tag without delimiters, whitespace control and spaces.
fn statement(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner).trim())
}

/// Length of the text up to `{% endraw %}`.
fn raw_length(text: &str) -> usize {
    text.match_indices("{%")
        .map(|(at, _)| at)
        .find(|at| {
            let end = text[*at..].find("%}").map_or(text.len(), |end| at + end + 2);
            statement(&text[*at..end]) == Some("endraw")
        })
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(template: &str) -> String {
        rewrite(template).source
    }

    #[test]
    fn generation_tags_become_call_blocks_on_the_same_lines() {
        assert_eq!(
            rewrite("a{%- generation\n -%}b{% endgeneration %}c"),
            Rewritten {
                source: "a{%- call _generation_support()\n -%}b{% endcall %}c".to_owned(),
                has_generation: true,
            }
        );
    }

    #[test]
    fn a_generation_block_sees_the_namespaces_that_it_assigns_to() {
        assert_eq!(
            source("{%- set ns.a = 1 %}{% set x = y.z %}{% generation %}{% set b . c=2 %}"),
            "{%- set ns.a = 1 %}{% set x = y.z %}{% call(_namespaces=[b, ns]) \
             _generation_support() %}{% set b . c=2 %}"
        );
    }

    #[test]
    fn tags_in_strings_comments_and_raw_blocks_stay() {
        for template in [
            "{{ '{% generation %}' }}",
            "{# {% generation %} #}",
            "{% raw %}{% generation %}{{ '{% endraw %}x",
            "{% if x == \"%}{% generation %}\" %}{% endif %}",
            "{{ 'it\\'s {% generation %}' }}",
            "{ % generation % } {%",
            "{{ 'open {% generation %}",
        ] {
            assert_eq!(
                rewrite(template),
                Rewritten { source: template.to_owned(), has_generation: false },
                "{template}"
            );
        }
        assert_eq!(
            source("{% raw %}{{{% endraw %}{% generation %}"),
            "{% raw %}{{{% endraw %}{% call _generation_support() %}"
        );
    }

    proptest::proptest! {
        #[test]
        fn every_text_is_rewritten_without_a_panic(text in "[{}%# '\"\\\\\na-é]{0,40}") {
            let tags = ["{% generation %}", &text, "{% endgeneration %}"].concat();
            assert_eq!(source(&tags).lines().count(), tags.lines().count());
        }
    }
}
