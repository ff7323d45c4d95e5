//! The command line: subcommands and arguments of `graft`.

use std::path::PathBuf;

use clap::{Args, Parser};

/// The cells of a file, in `graft run --help`.
const RUN_HELP: &str = "\
Cells of a text file:
  A line `// %%` begins a cell, with or without a title. A file without such a line is one cell, in
  which a `%%name` line begins another cell that ends at the first blank line.

Example:
  // %% prepare
  %model load tiny
  %lora attach r=8
  // %% train
  %train steps=20

The exit status is 1 after an error, 2 if the file cannot be read, and 130 after Ctrl-C.";

/// A Jupyter kernel for Rust with parameter-efficient fine-tuning built in.
#[derive(Parser)]
#[command(name = "graft", version = env!("GRAFT_VERSION"))]
pub(crate) struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Subcommand,
}

/// Subcommands.
#[derive(clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Install the kernel for Jupyter and prebuild the library that cells link to
    Install(InstallArgs),
    /// Build the library that cells link to from the sources, in the cache of this user
    Build,
    /// Remove the kernel from Jupyter
    Uninstall(UninstallArgs),
    /// Remove prebuilt libraries, sessions and other generated files
    Clean(CleanArgs),
    /// Run a file with magics and Rust in the terminal
    Run(RunArgs),
    /// Copy the tutorials into a folder
    Notebooks(NotebooksArgs),
    /// Open the tutorials in JupyterLab
    Lab(LabArgs),
    /// Create a course whose assignments nbgrader grades
    Class(ClassArgs),
    /// Check the requirements of Graft on this machine, one line each
    Doctor(DoctorArgs),
    /// Serve a Jupyter client (started by the kernel spec)
    #[command(hide = true)]
    Kernel(KernelArgs),
    /// Run each argument as a Rust cell or, with a leading `%`, as a magic, and print the output of
    /// the engine
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
    /// Prebuild for NVIDIA GPUs; needs the CUDA compiler (`cargo xtask cuda-build` installs it)
    #[arg(long)]
    pub(crate) cuda: bool,
    /// Compile in this target folder of cargo and keep it, so that the next installation compiles
    /// only what has changed
    #[arg(long, value_name = "DIR")]
    pub(crate) build_dir: Option<PathBuf>,
    /// Name of the kernel spec
    #[arg(long, default_value = "graft")]
    pub(crate) name: String,
    /// Name shown in Jupyter
    #[arg(long, value_name = "NAME", default_value = "Rust (Graft)")]
    pub(crate) display_name: String,
    /// Prepare Rust in the background whenever a kernel starts
    #[arg(long)]
    pub(crate) warm: bool,
    /// Seconds to wait for an interrupt to take effect before the session process is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) grace: f64,
}

/// `graft class`
#[derive(Args)]
pub(crate) struct ClassArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: ClassCommand,
}

/// Subcommands of `graft class`
#[derive(clap::Subcommand)]
pub(crate) enum ClassCommand {
    /// Write a course with nbgrader's configuration and a sample assignment into a folder
    Init(ClassInitArgs),
}

/// `graft class init`
#[derive(Args)]
pub(crate) struct ClassInitArgs {
    /// The folder; created if missing. Existing files are never replaced
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Name of the course [default: the name of the folder]
    #[arg(long, value_name = "NAME")]
    pub(crate) course: Option<String>,
    /// Name of the kernel spec that the notebooks use
    #[arg(long, value_name = "NAME", default_value = "graft")]
    pub(crate) kernel: String,
}

/// `graft doctor`
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Check the GPU, its driver and the NVIDIA libraries instead
    #[arg(long)]
    pub(crate) gpu: bool,
}

/// `graft uninstall`
#[derive(Args)]
pub(crate) struct UninstallArgs {
    /// Name of the kernel spec
    #[arg(long, default_value = "graft")]
    pub(crate) name: String,
    /// Also search PREFIX/share/jupyter
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<PathBuf>,
}

/// `graft clean`
#[derive(Args)]
pub(crate) struct CleanArgs {
    /// Also remove the history and the stored state
    #[arg(long)]
    pub(crate) all: bool,
}

/// `graft notebooks`
#[derive(Args)]
pub(crate) struct NotebooksArgs {
    /// The folder, which is created if it is missing; files that you have changed are kept
    /// [default: graft-notebooks]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

/// `graft lab`
#[derive(Args)]
pub(crate) struct LabArgs {
    /// The folder to open; if it does not exist, the tutorials are copied into it [default:
    /// graft-notebooks]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Print the address instead of opening a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// More arguments for JupyterLab, after `--`
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<String>,
}

/// `graft run`
#[derive(Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// The file to run: a notebook (.ipynb), or text with magics and Rust; `-` reads standard input
    pub(crate) file: PathBuf,
    /// Continue after an error; the exit status is still 1
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    /// Seconds to wait for an interrupt to take effect before the session process is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) grace: f64,
}

/// `graft kernel`
#[derive(Args)]
pub(crate) struct KernelArgs {
    /// Connection file written by the Jupyter client
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Prepare Rust in the background
    #[arg(long)]
    pub(crate) warm: bool,
    /// Seconds to wait for an interrupt to take effect before the session process is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) grace: f64,
}

/// `graft probe`
#[derive(Args)]
pub(crate) struct ProbeArgs {
    /// Use the prebuilt library in this folder without checking how it was built
    #[arg(long, value_name = "DIR")]
    pub(crate) prebuilt: Option<PathBuf>,
    /// Cells, or `@interrupt SECONDS CELL`, `@kill`, `@complete CODE`, `@inspect CODE`, `@sleep
    /// SECONDS`
    pub(crate) cells: Vec<String>,
}
