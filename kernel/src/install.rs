//! `graft install`: prebuilds what cells use and tells Jupyter about the kernel.
//!
//! The specification names an absolute path, so that it works from every environment. A program that lies in a cargo
//! target folder is copied first: the checkout may be deleted afterwards.

mod copy;
pub(crate) mod kernelspec;
pub(crate) mod spec_dir;

use std::path::{Path, PathBuf};

use graft_spec::{Failure, Hint};

use crate::cli::InstallArgs;
use graft_prebuilt::{Dirs, PrebuiltLibrary, Variant};
use kernelspec::Kernelspec;
use spec_dir::Place;

/// Why an installation could not be made or taken away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum InstallError {
    /// The name cannot be a folder of Jupyter's.
    #[error("`{name}` cannot be the name of a kernel")]
    Name {
        /// The name.
        name: String,
    },
    /// Somebody else's kernel has this name.
    #[error("{path} belongs to another kernel ({display_name})")]
    Foreign {
        /// Its folder.
        path: PathBuf,
        /// What it calls itself.
        display_name: String,
    },
    /// `--sys-prefix` outside an environment.
    #[error("no Python environment is active")]
    NoEnvironment,
    /// There is no home folder to install into.
    #[error("this user has no home folder")]
    NoHome,
    /// A file could not be read or written.
    #[error("cannot write {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Hint for InstallError {
    fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "install::name",
            Self::Foreign { .. } => "install::foreign",
            Self::NoEnvironment => "install::no_environment",
            Self::NoHome => "install::no_home",
            Self::File { .. } => "install::file",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } => "letters, digits, dots, hyphens and underscores".to_owned(),
            Self::Foreign { .. } => "choose another name with --name".to_owned(),
            Self::NoEnvironment => {
                "activate one (VIRTUAL_ENV or CONDA_PREFIX), or use --user or --prefix FOLDER"
                    .to_owned()
            }
            Self::NoHome => "set HOME, or use --prefix FOLDER".to_owned(),
            Self::File { .. } => {
                "make room, or install where you may write: --user, or --prefix FOLDER".to_owned()
            }
        })
    }
}

impl InstallError {
    /// For `map_err` of a file operation.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Installs, telling what happens on standard output.
///
/// # Errors
/// The failure to print; nothing half-written is left.
pub(crate) fn run(args: &InstallArgs) -> Result<(), Failure> {
    let place = Place::of(args.sys_prefix, args.prefix.as_deref());
    let folder = place.data_dir()?.join("kernels").join(kernelspec::valid_name(&args.name)?);
    kernelspec::refuse_foreign(&folder)?;
    // Last what is quick: when the template cannot be built, nothing is left behind.
    let template =
        template(&places(&place)?, if args.cuda { Variant::Cuda } else { Variant::Plain })?;
    let program = copy::program(&place)?;
    let spec = Kernelspec::new(&program, args);
    spec.write(&folder)?;
    say(&format!("template  {}", template.layout.root().display()));
    say(&format!("program   {}", program.display()));
    say(&format!("kernel    {} as `{}`", folder.display(), args.display_name));
    say(&format!(
        "\nTry: jupyter lab (choose {}), or jupyter console --kernel {}",
        args.display_name, args.name
    ));
    Ok(())
}

/// Where the template goes: a prefix is whole in itself, for every user of it.
fn places(place: &Place) -> Result<Dirs, InstallError> {
    let Some(prefix) = place.prefix()? else { return Ok(Dirs::user()) };
    let places = Dirs::in_prefix(&prefix);
    // Not private like a user's cache: everybody must be able to read it.
    std::fs::create_dir_all(places.cache()).map_err(InstallError::file(places.cache()))?;
    Ok(places)
}

/// The template that is there, or a new one.
pub(crate) fn template(places: &Dirs, variant: Variant) -> Result<PrebuiltLibrary, Failure> {
    if let Some(found) = graft_prebuilt::find_variant(places, variant) {
        return Ok(found);
    }
    say("building the library that cells use (once for each compiler; minutes)");
    Ok(graft_prebuilt::build(places, variant, &mut |line| say(&format!("  {line}")))?)
}

/// A line on standard output; a closed one ends nothing.
fn say(line: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
