//! `%runs export RUN FILE.svg` and `.png`: the session returns the curves, and the host renders
//! them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use graft_protocol::{Block, Chart, Command, Reply, RunsAction};
use graft_spec::Settings;

use crate::error::KernelError;

/// A file with a plot of one run.
pub(super) struct PlotFile {
    file: PathBuf,
    draw: fn(&Chart) -> Vec<u8>,
}

impl PlotFile {
    /// The plot that a command requests, and the command that returns its curves.
    pub(super) fn requested(command: &Command) -> Option<(Self, Command)> {
        let Command::Runs { action: RunsAction::Export { run, file } } = command else {
            return None;
        };
        let draw: fn(&Chart) -> Vec<u8> = match Path::new(file).extension()?.to_str()? {
            "svg" => |chart| graft_render::chart_svg(chart).into_bytes(),
            "png" => graft_render::chart_png,
            _ => return None,
        };
        let plot = RunsAction::Plot { runs: vec![run.clone()], settings: Settings::default() };
        Some((Self { file: file.into(), draw }, Command::Runs { action: plot }))
    }

    /// Writes the file atomically.
    pub(super) fn write(&self, reply: &Reply) -> Result<Reply, KernelError> {
        let chart = reply
            .blocks
            .iter()
            .find_map(|block| if let Block::Chart(chart) = block { Some(chart) } else { None });
        let Some(chart) = chart else {
            return Err(KernelError::NoCurve);
        };
        let folder = self
            .file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
            file.write_all(&(self.draw)(chart))?;
            file.as_file().sync_all()?;
            Ok(file.persist(&self.file)?)
        });
        let failed = |error| KernelError::WritePlot { path: self.file.clone(), error };
        written.map(|_| Reply::text(format!("wrote `{}`", self.file.display()))).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use graft_protocol::{Series, SeriesStyle, chart::NonFinite};
    use graft_spec::Hint;

    use super::*;

    fn export(file: &Path) -> Command {
        Command::Runs {
            action: RunsAction::Export { run: "lora-001".into(), file: file.display().to_string() },
        }
    }

    fn curve() -> Reply {
        let series = Series {
            name: "loss".into(),
            style: SeriesStyle::Line,
            points: vec![(1.0, NonFinite(2.0)), (2.0, NonFinite(1.0))],
            labels: Vec::new(),
        };
        Reply::one(Block::Chart(Chart {
            title: "runs".into(),
            series: vec![series],
            ..Chart::default()
        }))
    }

    #[test]
    fn a_plot_is_written_atomically_and_a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for (name, begins) in [("a.svg", &b"<svg"[..]), ("a.png", &b"\x89PNG"[..])] {
            let file = folder.path().join(name);
            let (plot, command) = PlotFile::requested(&export(&file)).unwrap();
            assert!(
                matches!(command, Command::Runs { action: RunsAction::Plot { runs, .. } } if runs == ["lora-001"])
            );
            plot.write(&curve()).unwrap();
            assert!(std::fs::read(&file).unwrap().starts_with(begins));
        }
        assert!(PlotFile::requested(&export(Path::new("a.csv"))).is_none());
        let (plot, _) = PlotFile::requested(&export(&folder.path().join("nowhere/a.svg"))).unwrap();
        assert_eq!(plot.write(&curve()).unwrap_err().code(), "runs::io");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
