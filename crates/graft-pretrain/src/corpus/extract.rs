//! Converts HTML of mdBook and rustdoc to blocks of text.

use scraper::{ElementRef, Html, Node, Selector};

use super::Block;

/// Elements without readable text.
const SKIPPED_ELEMENTS: &[&str] = &[
    "script",
    "style",
    "nav",
    "button",
    "svg",
    "noscript",
    "rustdoc-toolbar",
    "wbr",
    "img",
    "sup",
];

/// Classes of links to sources and anchors, hidden lines, versions, item lists and rule labels.
const SKIPPED_CLASSES: &[&str] = &[
    "src",
    "rightside",
    "anchor",
    "doc-anchor",
    "out-of-band",
    "test-arrow",
    "boring",
    "since",
    "item-table",
    "item-info",
    "rule",
    "buttons",
    "stab",
    "tooltip",
    "footnote-definition",
    "grammar-container",
    "rustdoc-breadcrumbs",
    "sub-heading",
];

/// Lists of rustdoc that repeat other pages.
const SKIPPED_IDS: &[&str] = &[
    "trait-implementations-list",
    "synthetic-implementations-list",
    "blanket-implementations-list",
    "implementors-list",
    "foreign-impls",
    "synthetic-implementors-list",
];

/// The text of one page: the content of `<main>` (mdBook) or `#main-content` (rustdoc), without
/// navigation and source links.
pub fn blocks_of(html: &str) -> Vec<Block> {
    let document = Html::parse_document(html);
    let selector = Selector::parse("main, #main-content").expect("invariant: a constant selector");
    let mut blocks = Vec::new();
    // rustdoc's #main-content is inside <main>, so the last match in document order is the content.
    if let Some(content) = document.select(&selector).next_back() {
        walk(content, "", &mut blocks);
    }
    blocks
}

/// Appends the blocks below `element`; `bullet` precedes the first paragraph of a list item.
fn walk(element: ElementRef<'_>, bullet: &str, blocks: &mut Vec<Block>) {
    let mut bullet = bullet;
    let mut loose = String::new(); // text between block elements
    for child in element.children() {
        match child.value() {
            Node::Text(text) => loose.push_str(text),
            Node::Element(_) => {
                let Some(child) = ElementRef::wrap(child) else { continue };
                if is_skipped(child) {
                    continue;
                }
                if is_inline(child) {
                    append_inline(child, &mut loose);
                    continue;
                }
                flush(&mut loose, &mut bullet, blocks);
                block(child, &mut bullet, blocks);
            }
            _ => {}
        }
    }
    flush(&mut loose, &mut bullet, blocks);
}

fn block(element: ElementRef<'_>, bullet: &mut &str, blocks: &mut Vec<Block>) {
    let name = element.value().name();
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
            let level = name.as_bytes()[1] - b'0';
            let text = inline_text(element);
            if has_class(element, "code-header") {
                push_text(Block::Heading(level, format!("`{text}`")), &text, blocks);
            } else {
                push_text(Block::Heading(level, text.clone()), &text, blocks);
            }
        }
        "p" => flush(&mut inline_text(element), bullet, blocks),
        "pre" => {
            let text = code_text(element);
            push_text(Block::Code(text.clone()), &text, blocks);
        }
        "li" => walk(element, "- ", blocks),
        "table" => {
            let text = table_text(element);
            push_text(Block::Paragraph(text.clone()), &text, blocks);
        }
        _ => walk(element, bullet, blocks),
    }
}

fn push_text(block: Block, text: &str, blocks: &mut Vec<Block>) {
    if !text.trim().is_empty() {
        blocks.push(block);
    }
}

fn flush(loose: &mut String, bullet: &mut &str, blocks: &mut Vec<Block>) {
    let text = tidy(loose);
    loose.clear();
    if !text.is_empty() {
        blocks.push(Block::Paragraph(format!("{bullet}{text}")));
        *bullet = "";
    }
}

fn inline_text(element: ElementRef<'_>) -> String {
    let mut text = String::new();
    append_children(element, &mut text);
    tidy(&text)
}

fn append_children(element: ElementRef<'_>, text: &mut String) {
    for child in element.children() {
        match child.value() {
            Node::Text(piece) => text.push_str(piece),
            Node::Element(_) => {
                if let Some(child) = ElementRef::wrap(child) {
                    append_inline(child, text);
                }
            }
            _ => {}
        }
    }
}

fn append_inline(element: ElementRef<'_>, text: &mut String) {
    if is_skipped(element) {
        return;
    }
    match element.value().name() {
        "code" => {
            let mut code = String::new();
            append_children(element, &mut code);
            text.push_str(&format!("`{code}`"));
        }
        "br" => text.push(' '),
        _ => append_children(element, text),
    }
}

/// The text of a `<pre>` with its lines, without mdBook's hidden lines.
fn code_text(element: ElementRef<'_>) -> String {
    let mut text = String::new();
    append_code(element, &mut text);
    let lines: Vec<String> =
        straight(&text).lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn append_code(element: ElementRef<'_>, text: &mut String) {
    for child in element.children() {
        match child.value() {
            Node::Text(piece) => text.push_str(piece),
            Node::Element(value) if value.name() == "br" => text.push('\n'),
            Node::Element(_) => {
                if let Some(child) = ElementRef::wrap(child).filter(|child| !is_skipped(*child)) {
                    append_code(child, text);
                }
            }
            _ => {}
        }
    }
}

fn table_text(element: ElementRef<'_>) -> String {
    let rows = Selector::parse("tr").expect("invariant: a constant selector");
    let cells = Selector::parse("th, td").expect("invariant: a constant selector");
    let lines = element
        .select(&rows)
        .map(|row| row.select(&cells).map(inline_text).collect::<Vec<_>>().join(" | "));
    lines.filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

fn is_skipped(element: ElementRef<'_>) -> bool {
    let value = element.value();
    SKIPPED_ELEMENTS.contains(&value.name())
        || value.classes().any(|class| SKIPPED_CLASSES.contains(&class))
        || value.id().is_some_and(|id| SKIPPED_IDS.contains(&id))
}

fn is_inline(element: ElementRef<'_>) -> bool {
    matches!(
        element.value().name(),
        "a" | "code"
            | "em"
            | "strong"
            | "b"
            | "i"
            | "span"
            | "kbd"
            | "br"
            | "var"
            | "small"
            | "q"
            | "del"
            | "abbr"
            | "u"
            | "s"
            | "cite"
            | "dfn"
    )
}

fn has_class(element: ElementRef<'_>, name: &str) -> bool {
    element.value().classes().any(|class| class == name)
}

/// Collapses white space and replaces typographic quotes by straight ones, which users type and
/// from which mdBook made the others.
fn tidy(text: &str) -> String {
    straight(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn straight(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{2018}' | '\u{2019}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' => plain.push('"'),
            '\u{2026}' => plain.push_str("..."),
            '\u{a0}' => plain.push(' '),
            '\u{200b}' | '\u{feff}' => {}
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_mdbook_becomes_blocks_without_navigation_and_hidden_lines() {
        let html = "<html><body><nav>menu</nav><main><h1><a class=\"header\">Own\u{2019}ership</a></h1><p>A <em>set</em> of\n<code>rules</code>.</p>\
            <ul><li>one</li><li><p>two</p><pre><code><span class=\"boring\">fn main() {\n</span>let x = 1;\n<span class=\"boring\">}</span></code></pre></li></ul></main></body></html>";
        let expected = [
            Block::Heading(1, "Own'ership".into()),
            Block::Paragraph("A set of `rules`.".into()),
            Block::Paragraph("- one".into()),
            Block::Paragraph("- two".into()),
            Block::Code("let x = 1;".into()),
        ];
        assert_eq!(blocks_of(html), expected);
    }

    #[test]
    fn a_page_of_rustdoc_keeps_signatures_and_drops_links_to_the_source() {
        let html = "<main><section id=\"main-content\"><section><span class=\"rightside\">1.0.0</span><h4 class=\"code-header\">pub fn new() -&gt; Self</h4></section>\
            <div class=\"docblock\"><p>Makes one.</p></div><div id=\"blanket-implementations-list\"><p>noise</p></div></section></main>";
        assert_eq!(
            blocks_of(html),
            [
                Block::Heading(4, "`pub fn new() -> Self`".into()),
                Block::Paragraph("Makes one.".into())
            ]
        );
    }
}
