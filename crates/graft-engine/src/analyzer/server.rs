//! The process of the analyzer.

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use graft_protocol::frame;

use super::project::Project;
use super::{Answer, Request, Wanted};
use crate::{machine_memory, unix};

/// Stack size of the working thread; rust-analyzer recurses deeply.
const STACK_SIZE: usize = 16 << 20;

/// Runs the analyzer with the arguments after `graft analyzer`: the folder of the workspace that it
/// reads. Returns the exit status.
pub fn run(arguments: &[String]) -> i32 {
    let Some(folder) = arguments.first().map(PathBuf::from) else {
        eprintln!("graft analyzer must be started by the kernel");
        return 2;
    };
    // Cells of this and other kernels come first.
    unix::lower_priority();
    machine_memory::prefer_to_kill_this_process();
    let worker = std::thread::Builder::new().stack_size(STACK_SIZE).spawn(move || serve(&folder));
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => 0,
        _ => 1,
    }
}

fn serve(folder: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(std::io::stdin());
    let mut writer = std::io::stdout();
    let mut project = Project::new(folder)?;
    while let Some((request, _)) = frame::read::<Request>(&mut reader)? {
        let answer = answer(&mut project, &request).unwrap_or_default();
        frame::write(&mut writer, &Answer { number: request.number, ..answer }, &[])?;
        writer.flush()?;
    }
    Ok(())
}

fn answer(project: &mut Project, request: &Request) -> Option<Answer> {
    project.update(&request.manifest, &request.position.source)?;
    let byte = request.position.byte;
    Some(match request.wanted {
        Wanted::Completions => {
            Answer { completions: project.completions(byte), ..Answer::default() }
        }
        Wanted::Inspection => Answer { inspection: project.inspection(byte), ..Answer::default() },
    })
}
