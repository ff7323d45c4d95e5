//! The crate of a cell with its dependencies, as rust-analyzer sees it.

use std::io;
use std::path::{Path, PathBuf};

use crossbeam_channel::Receiver;
use ra_ap_base_db::SourceRoot;
use ra_ap_hir::ChangeWithProcMacros;
use ra_ap_ide::{Analysis, AnalysisHost};
use ra_ap_paths::AbsPathBuf;
use ra_ap_project_model::{CargoConfig, ProjectManifest, ProjectWorkspace, RustLibSource};
use ra_ap_vfs::file_set::FileSetConfig;
use ra_ap_vfs::loader::{Config, Directories, Entry, Handle, LoadingProgress, Message};
use ra_ap_vfs::{Change, FileId, Vfs, VfsPath};
use ra_ap_vfs_notify::NotifyHandle;

/// The crate of the cell.
pub(super) struct Project {
    manifest_path: PathBuf,
    source_path: AbsPathBuf,
    /// The manifest that has been read.
    manifest: Option<String>,
    host: AnalysisHost,
    vfs: Vfs,
    file: FileId,
    /// The current source.
    pub(super) source: String,
}

impl Project {
    /// A project in the workspace `folder`, which has not been read yet.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let member = folder.join("cell");
        let source_path = absolute(&member.join("src/lib.rs")).ok_or_else(|| {
            io::Error::other(format!("`{}` must be absolute and UTF-8", member.display()))
        })?;
        let mut vfs = Vfs::default();
        let path = VfsPath::from(source_path.clone());
        vfs.set_file_contents(path.clone(), Some(Vec::new()));
        let (file, _) = vfs
            .file_id(&path)
            .ok_or_else(|| io::Error::other("the source of the cell has no number"))?;
        Ok(Self {
            manifest_path: member.join("Cargo.toml"),
            source_path,
            manifest: None,
            host: AnalysisHost::default(),
            vfs,
            file,
            source: String::new(),
        })
    }

    /// Replaces the source, and reads the crates if the manifest has changed; `None` if that fails.
    pub(super) fn update(&mut self, manifest: &str, source: &str) -> Option<()> {
        let mut change = ChangeWithProcMacros::default();
        source.clone_into(&mut self.source);
        let bytes = source.as_bytes().to_vec();
        self.vfs.set_file_contents(self.source_path.clone().into(), Some(bytes));
        if self.manifest.as_deref() != Some(manifest) {
            std::fs::write(&self.manifest_path, manifest).ok()?;
            self.load(&mut change)?;
            self.manifest = Some(manifest.to_owned());
        }
        change.change_file(self.file, Some(source.to_owned()));
        self.host.apply_change(change);
        Some(())
    }

    /// A snapshot for questions.
    pub(super) fn analysis(&self) -> Analysis {
        self.host.analysis()
    }

    /// The file of the cell.
    pub(super) fn file(&self) -> FileId {
        self.file
    }

    fn load(&mut self, change: &mut ChangeWithProcMacros) -> Option<()> {
        let path = absolute(&self.manifest_path)?;
        let manifest = ProjectManifest::from_manifest_file(path).ok()?;
        let config =
            CargoConfig { sysroot: Some(RustLibSource::Discover), ..CargoConfig::default() };
        let workspace = ProjectWorkspace::load(manifest, &config, &|_| {}).ok()?;
        self.read_files(&workspace);
        for (file, changed) in self.vfs.take_changes() {
            let text = match changed.change {
                Change::Create(bytes, _) | Change::Modify(bytes, _) => {
                    String::from_utf8(bytes).ok()
                }
                Change::Delete => None,
            };
            change.change_file(file, text);
        }
        let roots = FileSetConfig::default().partition(&self.vfs);
        change.set_roots(roots.into_iter().map(SourceRoot::new_local).collect());
        let vfs = &self.vfs;
        let mut number = |path: &ra_ap_paths::AbsPath| {
            vfs.file_id(&VfsPath::from(path.to_path_buf())).map(|(file, _)| file)
        };
        let (graph, _) = workspace.to_crate_graph(&mut number, &Default::default());
        change.set_crate_graph(graph);
        Some(())
    }

    /// Reads the sources of all crates of the workspace.
    fn read_files(&mut self, workspace: &ProjectWorkspace) {
        let (sender, messages) = crossbeam_channel::unbounded();
        let mut loader = NotifyHandle::spawn(sender);
        let folders = workspace.to_roots().into_iter().map(|root| {
            Entry::Directories(Directories {
                extensions: vec!["rs".to_owned()],
                include: root.include,
                exclude: root.exclude,
            })
        });
        loader.set_config(Config { version: 1, load: folders.collect(), watch: Vec::new() });
        self.receive_files(&messages);
    }

    fn receive_files(&mut self, messages: &Receiver<Message>) {
        for message in messages {
            match message {
                Message::Progress { n_done: LoadingProgress::Finished, .. } => return,
                Message::Progress { .. } => {}
                Message::Loaded { files } | Message::Changed { files } => {
                    // The source of the cell comes from the host.
                    let others = files.into_iter().filter(|(path, _)| *path != self.source_path);
                    for (path, contents) in others.collect::<Vec<_>>() {
                        self.vfs.set_file_contents(path.into(), contents);
                    }
                }
            }
        }
    }
}

/// A path as rust-analyzer expects it; `None` unless it is absolute and UTF-8.
fn absolute(path: &Path) -> Option<AbsPathBuf> {
    AbsPathBuf::try_from(path.to_str()?).ok()
}
