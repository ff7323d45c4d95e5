//! How a kernel describes itself to its clients.

use serde::Serialize;

/// The contents of `kernel_info_reply` that depend on the interpreter.
/// Spec: <https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-info>
#[derive(Clone, Debug, Serialize)]
pub struct KernelInfo {
    /// Name of the kernel.
    pub implementation: &'static str,
    /// Version of the kernel.
    pub implementation_version: &'static str,
    /// The language of the cells.
    pub language_info: LanguageInfo,
    /// Text that consoles print at startup.
    pub banner: String,
    /// Entries of the client's help menu.
    pub help_links: Vec<HelpLink>,
}

/// The language of the cells, for highlighting and export.
#[derive(Clone, Debug, Serialize)]
pub struct LanguageInfo {
    /// Name of the language.
    pub name: &'static str,
    /// Version of the language.
    pub version: &'static str,
    /// MIME type of a source file.
    pub mimetype: &'static str,
    /// Extension of a source file, with its dot.
    pub file_extension: &'static str,
    /// Highlighter of Pygments.
    pub pygments_lexer: &'static str,
    /// Highlighter of CodeMirror.
    pub codemirror_mode: &'static str,
    /// Exporter of nbconvert.
    pub nbconvert_exporter: &'static str,
}

/// One entry of the client's help menu.
#[derive(Clone, Debug, Serialize)]
pub struct HelpLink {
    /// Text of the entry.
    pub text: &'static str,
    /// Address that it opens.
    pub url: &'static str,
}
