//! Starting evcxr: toolchain checks, configuration, and the cell that makes the facade known.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use evcxr::{CommandContext, EvalContext};
use graft_prebuilt::{FACADE, rustc_wrapper, toolchain};

use super::worker::{CHILD_START_TIMEOUT, Worker};
use crate::event::EngineEvent;
use crate::rust_error::RustError;
use crate::session_folder::SessionFolder;
use crate::stderr_filter::CargoOutputFilter;
use crate::typed_cell::TypedCell;
use crate::{errors, relay, unix};

impl Worker {
    /// Starts evcxr unless it is running. The status line shows the progress.
    pub(super) fn attach(&mut self) -> Result<(), RustError> {
        if self.evcxr.is_some() {
            return Ok(());
        }
        let filter = CargoOutputFilter::begin();
        let result = self.start();
        drop(filter);
        self.context.shared.send(EngineEvent::Status(String::new()));
        self.evcxr = Some(result?);
        self.generation = self.context.supervisor.generation();
        self.question_mark = false;
        self.publish_variables();
        Ok(())
    }

    fn start(&mut self) -> Result<CommandContext, RustError> {
        let shared = Arc::clone(&self.context.shared);
        let status = |text: &str| shared.send(EngineEvent::Status(text.to_owned()));
        status("starting Rust…");
        if !self.context.supervisor.wait_ready(CHILD_START_TIMEOUT) {
            return Err(errors::plain("SessionDied", "the session's process is not running"));
        }
        self.use_fitting_library()?;
        // evcxr asks rust-analyzer only for types that the cells state; see `type_probe`. The
        // analyzer for completion is another process, which starts when it is needed.
        set_for_evcxr("RUST_SRC_PATH", Some(self.context.folder.empty_library().as_os_str()));
        set_for_evcxr(rustc_wrapper::START_VARIABLE, Some("1".as_ref()));
        let started = self.start_evcxr();
        set_for_evcxr(rustc_wrapper::START_VARIABLE, None);
        started
    }

    /// Creates evcxr and makes the facade known to it. Nothing is compiled for it.
    fn start_evcxr(&self) -> Result<CommandContext, RustError> {
        let mut evcxr = self.create()?;
        let code = TypedCell::unchanged(&self.set_up_code());
        evcxr.execute(&code.text).map_err(|error| self.error(&code, error))?;
        Ok(evcxr)
    }

    /// Creates evcxr with a configuration of its own. Neither the user's settings nor those of the
    /// notebook's folder change what is built.
    fn create(&self) -> Result<CommandContext, RustError> {
        let folder = &self.context.folder;
        set_environment(folder);
        if let Some(threads) = self.context.share.threads_text() {
            set_for_evcxr("CARGO_BUILD_JOBS", Some(threads.as_ref()));
        }
        // evcxr asks rustup in the current folder, where this variable takes precedence over any
        // `rust-toolchain.toml`.
        let name = toolchain::tools().ok().and_then(|tools| tools.name.clone());
        if let Some(name) = &name {
            set_for_evcxr(toolchain::TOOLCHAIN_VARIABLE, Some(name.as_ref()));
        }
        let created = without_local_settings(folder, name.is_some(), || {
            let command = relay::command(&self.context.executable, self.context.relays.as_fd());
            std::panic::catch_unwind(AssertUnwindSafe(|| {
                EvalContext::with_subprocess_command(command)
            }))
        });
        let (evcxr, outputs) = match created {
            Ok(Ok(created)) => created,
            Ok(Err(error)) => return Err(self.error(&TypedCell::default(), error)),
            Err(_) => {
                return Err(errors::plain(
                    "EvcxrPanic",
                    "evcxr panicked while it started; see the kernel's log for details",
                ));
            }
        };
        // The host reads the child's streams itself; these two carry only the lines that the host
        // sends to evcxr. They must be read, since evcxr
        // blocks on that at the end of a cell.
        std::thread::spawn(move || outputs.stdout.iter().for_each(drop));
        std::thread::spawn(move || outputs.stderr.iter().for_each(drop));
        Ok(CommandContext::with_eval_context(evcxr))
    }

    /// The cell that makes the facade known to evcxr, run after the start and after `:clear`.
    pub(super) fn set_up_code(&self) -> String {
        let facade = self.context.prebuilt.layout.facade().display().to_string();
        format!(
            ":linker system\n:dep {FACADE} = {{ path = {facade:?} }}\n#[allow(unused_imports)]\nuse {FACADE}::prelude::*;\n"
        )
    }
}

/// Sets the environment variables that evcxr and its cargo read.
fn set_environment(folder: &SessionFolder) {
    set_for_evcxr("EVCXR_CONFIG_DIR", Some(folder.configuration().as_os_str()));
    set_for_evcxr("EVCXR_TMPDIR", Some(folder.cell().as_os_str()));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"]
        .into_iter()
        .chain(toolchain::COMPILER_VARIABLES)
    {
        set_for_evcxr(variable, None);
    }
}

/// Runs `create` in a folder without settings of evcxr and rustup.
fn without_local_settings<T>(
    folder: &SessionFolder,
    has_toolchain: bool,
    create: impl FnOnce() -> T,
) -> T {
    // evcxr reads `evcxr.toml` of the current folder, and a rustup other than the one in use
    // reads a toolchain file there. Another current folder is the only way to prevent both.
    let has_settings = |here: &PathBuf| {
        let is_above = |file: &str| here.ancestors().any(|folder| folder.join(file).exists());
        here.join("evcxr.toml").exists()
            || (!has_toolchain && (is_above("rust-toolchain.toml") || is_above("rust-toolchain")))
    };
    let here = std::env::current_dir().ok().filter(has_settings);
    if here.is_some() {
        let _ = std::env::set_current_dir(folder.configuration());
    }
    let created = create();
    if let Some(here) = here {
        let _ = std::env::set_current_dir(here);
    }
    created
}

/// Sets an environment variable for evcxr, which runs in this process, and for the cargo that evcxr
/// starts.
#[allow(unsafe_code)]
fn set_for_evcxr(name: &str, value: Option<&OsStr>) {
    // SAFETY: Rust code of this process reads the environment through std, whose lock covers this
    // call. C code (SQLite, the allocator, the resolver of the C library) reads it when it opens
    // its first file or connection, which the kernel does before the first Rust cell.
    unsafe { unix::set_environment(name, value) };
}
