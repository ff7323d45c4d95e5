//! Documentation of names.

use ra_ap_ide::{FileRange, HoverConfig, HoverDocFormat, RaFixtureConfig, SubstTyLen};
use ra_ap_syntax::{TextRange, TextSize};

use super::project::Project;
use crate::rust_result::RustInspection;

impl Project {
    /// The documentation of the name at a byte of the source.
    pub(super) fn inspection(&self, byte: usize) -> Option<RustInspection> {
        let offset = TextSize::from(u32::try_from(byte).ok()?);
        let plain = self.hover(offset, HoverDocFormat::PlainText)?;
        let markdown = self.hover(offset, HoverDocFormat::Markdown)?;
        let mut html = String::new();
        pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new(&markdown));
        Some(RustInspection { plain, html })
    }

    fn hover(&self, offset: TextSize, format: HoverDocFormat) -> Option<String> {
        let configuration = HoverConfig {
            links_in_hover: true,
            memory_layout: None,
            documentation: true,
            keywords: true,
            format,
            max_trait_assoc_items_count: None,
            max_fields_count: Some(5),
            max_enum_variants_count: Some(5),
            max_subst_ty_len: SubstTyLen::Unlimited,
            show_drop_glue: false,
            ra_fixture: RaFixtureConfig::default(),
        };
        let range = FileRange { file_id: self.file(), range: TextRange::empty(offset) };
        let found = self.analysis().hover(&configuration, range).ok()??;
        Some(found.info.markup.into())
    }
}
