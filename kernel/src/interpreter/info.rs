//! How Graft describes itself to Jupyter clients.

use graft_jupyter::{HelpLink, KernelInfo, LanguageInfo};

/// Name, version, language, banner and help links.
pub(super) fn kernel_info() -> KernelInfo {
    let version = env!("CARGO_PKG_VERSION");
    KernelInfo {
        implementation: "graft",
        implementation_version: version,
        language_info: LanguageInfo {
            name: "rust",
            version: env!("CARGO_PKG_RUST_VERSION"),
            mimetype: "text/x-rustsrc",
            file_extension: ".rs",
            pygments_lexer: "rust",
            codemirror_mode: "rust",
            nbconvert_exporter: "script",
        },
        banner: format!(
            "Graft {version}: Rust with fine-tuning built in. \
             Start with `%model load tiny`; `%lsmagic` lists the commands."
        ),
        help_links: vec![
            HelpLink {
                text: "The Rust Programming Language",
                url: "https://doc.rust-lang.org/book/",
            },
            HelpLink { text: "Rust standard library", url: "https://doc.rust-lang.org/std/" },
            HelpLink {
                text: "PEFT methods (Hugging Face)",
                url: "https://huggingface.co/docs/peft",
            },
            HelpLink { text: "candle", url: "https://docs.rs/candle-core" },
        ],
    }
}
