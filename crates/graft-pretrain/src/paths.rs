//! The folders that the recipe reads and writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{PretrainError, Result};

/// The folders of the recipe.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The toolchain's documentation, `share/doc/rust/html`.
    pub documentation: PathBuf,
    /// Intermediate files: the corpus and the checkpoints.
    pub work: PathBuf,
    /// The data sets, `crates/graft-data/assets`.
    pub datasets: PathBuf,
    /// The model, `crates/graft-models/assets/tiny`.
    pub model: PathBuf,
}

impl Paths {
    /// The folders of this checkout, with intermediate files in `work`.
    ///
    /// # Errors
    /// [`PretrainError::NoDocumentation`] when the toolchain has no HTML documentation.
    pub fn of_checkout(work: PathBuf) -> Result<Self> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("invariant: this crate is in crates/");
        Ok(Self {
            documentation: find_documentation()?,
            work,
            datasets: crates.join("graft-data/assets"),
            model: crates.join("graft-models/assets/tiny"),
        })
    }

    /// The extracted pages.
    pub fn corpus(&self) -> PathBuf {
        self.work.join("corpus.jsonl")
    }

    /// The tokenizer, before it is copied to the folder of the model.
    pub fn tokenizer(&self) -> PathBuf {
        self.work.join("tokenizer.json")
    }
}

fn find_documentation() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .map_err(|source| PretrainError::io("rustc", source))?;
    let html =
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("share/doc/rust/html");
    if html.join("book").is_dir() {
        Ok(html)
    } else {
        Err(PretrainError::NoDocumentation { looked: html })
    }
}
