//! Completions.

use ra_ap_hir::PrefixKind;
use ra_ap_ide::{
    CallableSnippets, CompletionConfig, CompletionFieldsToResolve, CompletionItem,
    CompletionItemKind, FilePosition, RaFixtureConfig,
};
use ra_ap_ide_db::imports::insert_use::{ImportGranularity, InsertUseConfig};
use ra_ap_ide_db::{SnippetCap, SymbolKind};

use super::project::Project;
use crate::rust_result::RustCompletion;

/// Names in evcxr's own code.
const INTERNAL: &str = "evcxr_";

impl Project {
    /// The completions at a byte of the source. Their ranges are ranges of the source.
    pub(super) fn completions(&self, byte: usize) -> Vec<RustCompletion> {
        let Ok(offset) = u32::try_from(byte) else { return Vec::new() };
        let position = FilePosition { file_id: self.file(), offset: offset.into() };
        let items = self.analysis().completions(&configuration(), position, None);
        let Ok(Some(items)) = items else { return Vec::new() };
        items.into_iter().filter_map(|item| self.completion(&item)).collect()
    }

    /// A completion that continues what the user has typed; rust-analyzer returns all names.
    fn completion(&self, item: &CompletionItem) -> Option<RustCompletion> {
        let mut changes = item.text_edit.iter();
        let change = changes.next()?;
        let (start, end) = (usize::from(change.delete.start()), usize::from(change.delete.end()));
        let typed = self.source.get(start..end)?;
        let text = without_placeholders(&change.insert);
        let is_wanted = changes.next().is_none()
            && item.lookup().starts_with(typed)
            && !text.starts_with(INTERNAL);
        is_wanted.then(|| RustCompletion { text, kind: kind(item.kind).to_owned(), start, end })
    }
}

fn configuration() -> CompletionConfig<'static> {
    CompletionConfig {
        enable_postfix_completions: true,
        snippet_cap: SnippetCap::new(true),
        enable_imports_on_the_fly: false,
        enable_self_on_the_fly: true,
        enable_private_editable: true,
        prefer_no_std: false,
        full_function_signatures: true,
        snippets: Vec::new(),
        insert_use: InsertUseConfig {
            prefix_kind: PrefixKind::ByCrate,
            group: false,
            granularity: ImportGranularity::Item,
            enforce_granularity: false,
            skip_glob_imports: false,
        },
        callable: Some(CallableSnippets::FillArguments),
        limit: None,
        prefer_prelude: false,
        enable_term_search: false,
        term_search_fuel: 0,
        prefer_absolute: false,
        add_semicolon_to_unit: true,
        fields_to_resolve: CompletionFieldsToResolve::empty(),
        exclude_flyimport: Vec::new(),
        exclude_traits: &[],
        enable_auto_iter: true,
        enable_auto_await: true,
        ra_fixture: RaFixtureConfig::default(),
        add_colons_to_module: true,
    }
}

/// A snippet without its placeholders: `${1:name}` becomes `name`, `$0` nothing.
fn without_placeholders(snippet: &str) -> String {
    let mut text = String::with_capacity(snippet.len());
    let mut rest = snippet;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let digits = |text: &str| text.len() - text.trim_start_matches(char::is_numeric).len();
        if let Some((name, behind)) = after
            .strip_prefix('{')
            .and_then(|inner| inner.get(digits(inner)..)?.strip_prefix(':'))
            .and_then(|inner| inner.split_once('}'))
        {
            text.push_str(name);
            rest = behind;
        } else if after.starts_with(char::is_numeric) {
            rest = after.get(digits(after)..).unwrap_or_default();
        } else {
            text.push('$');
            rest = after;
        }
    }
    text + rest
}

/// The kind for Jupyter's clients.
fn kind(kind: CompletionItemKind) -> &'static str {
    let CompletionItemKind::SymbolKind(symbol) = kind else {
        return if kind == CompletionItemKind::Keyword { "keyword" } else { "instance" };
    };
    match symbol {
        SymbolKind::Function
        | SymbolKind::Method
        | SymbolKind::Macro
        | SymbolKind::ProcMacro
        | SymbolKind::Derive
        | SymbolKind::DeriveHelper
        | SymbolKind::Attribute
        | SymbolKind::BuiltinAttr => "function",
        SymbolKind::Struct
        | SymbolKind::Enum
        | SymbolKind::Union
        | SymbolKind::Trait
        | SymbolKind::TypeAlias
        | SymbolKind::TypeParam
        | SymbolKind::SelfType => "class",
        SymbolKind::Module | SymbolKind::CrateRoot | SymbolKind::ToolModule => "module",
        _ => "instance",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_becomes_plain_code() {
        assert_eq!(without_placeholders("zip(${1:other})$0"), "zip(other)");
        assert_eq!(without_placeholders("new()$0"), "new()");
        assert_eq!(without_placeholders("f(${1:a}, ${2:b})"), "f(a, b)");
        assert_eq!(without_placeholders("price$"), "price$");
    }
}
