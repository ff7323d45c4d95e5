//! The command line: what can be typed after `graft`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A Jupyter kernel for Rust with parameter-efficient fine-tuning built in.
#[derive(Parser)]
#[command(name = "graft", version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Install the kernel for Jupyter and prebuild what its cells use
    Install(InstallArgs),
    /// Remove the kernel from Jupyter
    Uninstall(UninstallArgs),
    /// Remove templates, sessions and other files that use has left
    Clean(CleanArgs),
    /// Run a file of magics and Rust in the terminal
    Run(RunArgs),
    /// Check this machine: one line for each thing Graft needs
    Doctor(DoctorArgs),
    /// Serve Jupyter (what the kernel specification calls)
    #[command(hide = true)]
    Kernel(KernelArgs),
    /// Run each argument as a Rust cell or, with a leading `%`, as a magic, and print what the engine says
    #[command(hide = true)]
    Probe(ProbeArgs),
}

/// `graft install`
#[derive(Args)]
pub(crate) struct InstallArgs {
    /// Install for this user (the default)
    #[arg(long, group = "place")]
    pub(crate) user: bool,
    /// Install into the active Python environment
    #[arg(long, group = "place")]
    pub(crate) sys_prefix: bool,
    /// Install under PREFIX/share/jupyter
    #[arg(long, group = "place", value_name = "PREFIX")]
    pub(crate) prefix: Option<PathBuf>,
    /// Prebuild for NVIDIA cards too; needs CUDA's compiler (`cargo xtask cuda-build` brings it)
    #[arg(long)]
    pub(crate) cuda: bool,
    /// Name of the kernel specification
    #[arg(long, default_value = "graft")]
    pub(crate) name: String,
    /// Name shown in Jupyter
    #[arg(long, default_value = "Rust (Graft)")]
    pub(crate) display_name: String,
    /// Make Rust ready in the background whenever a kernel starts
    #[arg(long)]
    pub(crate) warm: bool,
    /// Seconds that an interrupt may stay unanswered before the child is killed
    #[arg(long, default_value_t = 10.0)]
    pub(crate) grace: f64,
}

/// `graft doctor`
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Check the card, its driver and NVIDIA's libraries instead
    #[arg(long)]
    pub(crate) gpu: bool,
}

/// `graft uninstall`
#[derive(Args)]
pub(crate) struct UninstallArgs {
    /// Name of the kernel specification
    #[arg(long, default_value = "graft")]
    pub(crate) name: String,
    /// Look under PREFIX/share/jupyter too
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<PathBuf>,
}

/// `graft clean`
#[derive(Args)]
pub(crate) struct CleanArgs {
    /// Remove history and stored state as well
    #[arg(long)]
    pub(crate) all: bool,
}

/// `graft run`
#[derive(Args)]
pub(crate) struct RunArgs {
    /// The file; `-` is standard input
    pub(crate) file: PathBuf,
    /// Go on after an error; the exit status still tells of it
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    /// Seconds that an interrupt may stay unanswered before the child is killed
    #[arg(long, default_value_t = 10.0)]
    pub(crate) grace: f64,
}

/// `graft kernel`
#[derive(Args)]
pub(crate) struct KernelArgs {
    /// Connection file that Jupyter wrote
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Make Rust ready in the background
    #[arg(long)]
    pub(crate) warm: bool,
    /// Seconds that an interrupt may stay unanswered before the child is killed
    #[arg(long, default_value_t = 10.0)]
    pub(crate) grace: f64,
}

/// `graft probe`
#[derive(Args)]
pub(crate) struct ProbeArgs {
    /// Use the template in this folder, whatever it was built from
    #[arg(long, value_name = "DIR")]
    pub(crate) template: Option<PathBuf>,
    /// Cells; also `@interrupt SECONDS CELL`, `@kill`, `@complete CODE`, `@inspect CODE`, `@sleep SECONDS`
    pub(crate) cells: Vec<String>,
}
