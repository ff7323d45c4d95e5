//! The chat template that the user chose for a data set of conversations.

use std::path::Path;

use graft_spec::user_file;

use super::DataError;

/// Maximum size of a template in bytes; the longest published ones have 30 kB.
const LONGEST: u64 = 4 << 20;

/// A chosen chat template. A file is read with the data, so that the data set contains everything
/// that determines its tokens except the tokenizer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChatTemplateChoice {
    /// The name of a template, or the path of its file.
    pub name: String,
    /// The contents of the file; `None` for a name.
    pub source: Option<String>,
}

impl ChatTemplateChoice {
    /// Reads the file if `name` is one. A word without an extension or a folder that is not a file
    /// is the name of a template.
    ///
    /// # Errors
    /// [`DataError::File`].
    pub(crate) fn read(name: &str) -> Result<Self, DataError> {
        let path = Path::new(name);
        let is_word = path.components().count() == 1 && path.extension().is_none();
        let source = match is_word && !path.exists() {
            true => None,
            false => Some(user_file::read_text(path, LONGEST).map_err(DataError::File)?),
        };
        Ok(Self { name: name.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_name_and_everything_else_a_file() {
        let named = ChatTemplateChoice::read("chatml").expect("a name");
        assert_eq!((named.name.as_str(), named.source), ("chatml", None));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("chat.jinja");
        std::fs::write(&file, "{{ messages }}").expect("written");
        let read = ChatTemplateChoice::read(&file.display().to_string()).expect("a file");
        assert_eq!(read.source.as_deref(), Some("{{ messages }}"));
        let missing = ChatTemplateChoice::read("missing.jinja").expect_err("no such file");
        assert!(missing.to_string().contains("missing.jinja"), "{missing}");
    }
}
