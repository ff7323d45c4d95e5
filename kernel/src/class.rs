//! `graft class`: courses that nbgrader grades.

mod course;

use graft_spec::Failure;

use crate::cli::{ClassArgs, ClassCommand};

/// Runs a subcommand of `graft class`.
///
/// # Errors
/// The failure to print.
pub(crate) fn run(args: &ClassArgs) -> Result<(), Failure> {
    match &args.command {
        ClassCommand::Init(args) => {
            let course = course::create(&args.folder, args.course.as_deref(), &args.kernel)?;
            // A closed standard output is not an error.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), course.report().as_bytes());
            Ok(())
        }
    }
}
