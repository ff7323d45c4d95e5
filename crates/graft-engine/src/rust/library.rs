//! The library that the installed compiler needs: a cell can be loaded only by a child that has
//! opened the library of its compiler.

use std::time::Duration;

use graft_prebuilt::{Dirs, Intermediates, PrebuiltError, PrebuiltLibrary, Variant, toolchain};
use graft_spec::Hint;

use super::worker::Worker;
use crate::child_exit::Cause;
use crate::errors;
use crate::event::EngineEvent;
use crate::rust_error::RustError;

/// Longest wait for the child that opens another library.
const CHILD_RESTART_TIMEOUT: Duration = Duration::from_secs(10);

impl Worker {
    /// Makes the session use the library of the installed compiler, and builds it if there is none.
    /// The status line shows the progress.
    pub(super) fn use_fitting_library(&mut self) -> Result<(), RustError> {
        let fits = |worker: &Self| {
            let version = toolchain::verbose_version()?;
            let installed = version.lines().next().unwrap_or_default().to_owned();
            let fits = worker.context.prebuilt.fits_the_compiler()?;
            Ok::<_, PrebuiltError>((fits, installed))
        };
        let mut found = fits(self);
        if !matches!(found, Ok((true, _)))
            && self.context.prebuilt.info.version().is_some_and(toolchain::switch_to)
        {
            found = fits(self);
        }
        match found {
            Ok((true, installed)) => self.use_complete_library(&installed),
            Ok((false, installed)) => {
                let library = self.library_of(&installed)?;
                self.open(library, &installed)
            }
            Err(error) => Err(errors::plain(
                "RustMissing",
                format!(
                    "{error}: Rust cells need a compiler; magics work without\nhint: {}, then run the cell again",
                    self.install_compiler()
                ),
            )),
        }
    }

    /// Makes the session use a library with the files that only Rust cells need.
    fn use_complete_library(&mut self, installed: &str) -> Result<(), RustError> {
        let part = self.context.prebuilt.rust_part();
        let Some((problem, solution)) = part.problem(&self.context.prebuilt.layout) else {
            return Ok(());
        };
        let found = graft_prebuilt::find_fitting(&Dirs::user());
        match found.filter(PrebuiltLibrary::has_rust_part) {
            Some(library) => self.open(library, installed),
            None => Err(errors::plain(
                "RustPartMissing",
                format!(
                    "Rust cells do not work: {problem}; magics work without it\nhint: {solution}; then run the cell again"
                ),
            )),
        }
    }

    /// The line that installs the compiler of the library in use.
    fn install_compiler(&self) -> String {
        match self.context.prebuilt.info.version() {
            Some(version) => format!(
                "run `{}` (rustup is at https://rustup.rs)",
                toolchain::install_command(version)
            ),
            None => "install Rust from https://rustup.rs".to_owned(),
        }
    }

    /// Finds or builds the library of the compiler.
    fn library_of(&self, installed: &str) -> Result<PrebuiltLibrary, RustError> {
        let dirs = Dirs::user();
        let found = graft_prebuilt::find_fitting(&dirs);
        if let Some(library) = found.filter(PrebuiltLibrary::has_rust_part) {
            return Ok(library);
        }
        let mut status = |line: &str| {
            let text = format!("building the library for {installed}, once: {line}");
            self.context.shared.send(EngineEvent::Status(text));
        };
        status("this takes several minutes");
        let built = dirs.claimed().map_err(|error| error.to_string()).and_then(|dirs| {
            graft_prebuilt::build(&dirs, Variant::Plain, &Intermediates::Remove, &mut status)
                .map_err(|error| describe(&error))
        });
        built.map_err(|reason| self.not_built(installed, &reason))
    }

    fn not_built(&self, installed: &str, reason: &str) -> RustError {
        if self.is_interrupted() {
            return errors::plain(
                "Interrupted",
                "interrupted while the library for Rust cells was built; the next Rust cell continues",
            );
        }
        errors::plain(
            "RustChanged",
            format!(
                "the library that cells use was built by {}, and building it for {installed} failed; magics still work\nhint: {}, then run the cell again\n{reason}",
                self.context.prebuilt.info.rustc,
                self.install_compiler(),
            ),
        )
    }

    /// Replaces the child by one that opens `library`, unless something would be lost.
    fn open(&mut self, library: PrebuiltLibrary, installed: &str) -> Result<(), RustError> {
        let snapshot = self.context.shared.snapshot();
        let is_empty = snapshot.model.is_none()
            && snapshot.data.is_empty()
            && snapshot.adapters.is_empty()
            && snapshot.job.is_none();
        if !is_empty {
            return Err(errors::plain(
                "RustChanged",
                format!(
                    "the library for {installed} is ready, but this session has a model or data in the library of {}\nhint: save what you need, for example with `%lora save DIR`, and restart the kernel; or {} and run the cell again",
                    self.context.prebuilt.info.rustc,
                    self.install_compiler(),
                ),
            ));
        }
        let refill = self.context.folder.fill(&library.layout);
        refill.map_err(|error| {
            errors::plain("SessionDied", format!("cannot prepare the session's folder: {error}"))
        })?;
        let supervisor = &self.context.supervisor;
        supervisor.use_library(library.clone());
        self.context.prebuilt = library;
        supervisor.kill(Cause::Restart);
        supervisor.wait_gone(CHILD_RESTART_TIMEOUT);
        supervisor.wait_ready(CHILD_RESTART_TIMEOUT);
        Ok(())
    }
}

/// An error with its causes and its hint.
fn describe(error: &PrebuiltError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}
