//! `graft install`: prebuilds the library that cells link to and registers the kernel with Jupyter.
//!
//! The kernel spec contains an absolute path, so that it works in every environment. A binary in a
//! cargo target folder is copied first, so that the checkout can be deleted afterwards.

mod copy;
pub(crate) mod kernelspec;
mod next_steps;
pub(crate) mod spec_dir;

use std::path::{Path, PathBuf};

use graft_spec::{Failure, Hint};

use crate::cli::InstallArgs;
use crate::jupyter::Jupyter;
use graft_prebuilt::{Dirs, Intermediates, PrebuiltLibrary, Variant};
use kernelspec::Kernelspec;
use spec_dir::Place;

/// Why the kernel could not be installed or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InstallError {
    /// The name is not a valid folder name for a kernel spec.
    #[error("invalid kernel name `{name}`")]
    Name {
        /// The name.
        name: String,
    },
    /// Another kernel has this name.
    #[error("{path} belongs to another kernel ({display_name})")]
    Foreign {
        /// Folder of the kernel spec.
        path: PathBuf,
        /// Display name of the other kernel.
        display_name: String,
    },
    /// pip has installed a kernel of this name.
    #[error("{path} belongs to the wheel of Graft {version}, installed with pip")]
    Pip {
        /// Folder of the kernel spec.
        path: PathBuf,
        /// Version of the wheel.
        version: String,
    },
    /// `--sys-prefix` outside a Python environment.
    #[error("no Python environment is active")]
    NoEnvironment,
    /// The user has no home folder.
    #[error("the current user has no home folder")]
    NoHome,
    /// A file could not be read or written.
    #[error("cannot write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl Hint for InstallError {
    fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "install::name",
            Self::Foreign { .. } => "install::foreign",
            Self::Pip { .. } => "install::pip",
            Self::NoEnvironment => "install::no_environment",
            Self::NoHome => "install::no_home",
            Self::File { .. } => "install::file",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } => "use letters, digits, dots, hyphens and underscores; the name must not start with a dot".to_owned(),
            Self::Foreign { .. } => "choose another name with `--name`".to_owned(),
            Self::Pip { .. } => {
                "remove the wheel with `pip uninstall graft-kernel`, or choose another name with `--name`"
                    .to_owned()
            }
            Self::NoEnvironment => {
                "activate one (VIRTUAL_ENV or CONDA_PREFIX), or use `--user` or `--prefix PREFIX`"
                    .to_owned()
            }
            Self::NoHome => "set HOME, or use `--prefix PREFIX`".to_owned(),
            Self::File { .. } => {
                "free disk space, or install into a writable folder with `--user` or `--prefix PREFIX`".to_owned()
            }
        })
    }
}

impl InstallError {
    /// Converts the error of a file operation; for `map_err`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Installs the kernel and reports the progress on standard output.
///
/// # Errors
/// The failure to print. No partially written files remain.
pub(crate) fn run(args: &InstallArgs) -> Result<(), Failure> {
    let place = Place::of(args.sys_prefix, args.prefix.as_deref());
    let folder = place.data_dir()?.join("kernels").join(kernelspec::valid_name(&args.name)?);
    kernelspec::refuse_foreign(&folder)?;
    // The build comes first: if it fails, no files have been installed.
    let variant = if args.cuda { Variant::Cuda } else { Variant::Plain };
    let library = prebuilt_library(&dirs(&place)?, variant, &intermediates(args, &place)?)?;
    let program = copy::program(&place)?;
    let spec = Kernelspec::new(&program, args);
    spec.write(&folder)?;
    say(&format!("library   {}", library.layout.root().display()));
    say(&format!("program   {}", program.display()));
    say(&format!("kernel    {} as `{}`", folder.display(), args.display_name));
    say(&format!("\n{}", next_steps::for_kernel(&folder, args, Jupyter::of_user().as_ref())));
    Ok(())
}

/// Builds the library in the cache of this user, for example if the wheel with the files for Rust
/// cells is not installed. The kernel uses it from its next start.
///
/// # Errors
/// The failure to print.
pub(crate) fn build() -> Result<(), Failure> {
    let dirs = Dirs::user().claimed().map_err(InstallError::file(Dirs::user().cache()))?;
    let library = prebuilt_library(&dirs, Variant::Plain, &Intermediates::Remove)?;
    say(&format!("library   {}", library.layout.root().display()));
    Ok(())
}

/// Where to store the prebuilt library: a prefix contains everything that its users need.
fn dirs(place: &Place) -> Result<Dirs, InstallError> {
    let Some(prefix) = place.prefix()? else { return Ok(Dirs::user()) };
    let dirs = Dirs::in_prefix(&prefix);
    // Unlike the cache of a user, this folder must be readable by everyone.
    std::fs::create_dir_all(dirs.cache()).map_err(InstallError::file(dirs.cache()))?;
    Ok(dirs)
}

/// Where to compile the library: under a prefix nothing remains that its users do not need.
fn intermediates(args: &InstallArgs, place: &Place) -> Result<Intermediates, InstallError> {
    Ok(match &args.build_dir {
        Some(folder) => {
            Intermediates::In(std::path::absolute(folder).map_err(InstallError::file(folder))?)
        }
        None if place.prefix()?.is_some() => Intermediates::Remove,
        None => Intermediates::Keep,
    })
}

/// Finds the prebuilt library or builds it.
fn prebuilt_library(
    dirs: &Dirs,
    variant: Variant,
    intermediates: &Intermediates,
) -> Result<PrebuiltLibrary, Failure> {
    let found = graft_prebuilt::find_variant(dirs, variant);
    if let Some(complete) = found.filter(PrebuiltLibrary::has_rust_part) {
        return Ok(complete);
    }
    say("building the library that cells link to (once per compiler; takes several minutes)");
    Ok(graft_prebuilt::build(dirs, variant, intermediates, &mut |line| say(&format!("  {line}")))?)
}

/// Prints a line; errors are ignored, so that a closed standard output does not abort the
/// installation.
fn say(line: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
