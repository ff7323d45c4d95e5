//! A `CUDA_HOME` assembled from NVIDIA's wheels, with which candle is compiled and linked on a
//! machine without a GPU, driver or toolkit.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::lazy::{self, Library};
use crate::problem::{Problem, Result};

/// Libraries that candle links in addition to the driver, each with the status code for a missing
/// library.
const LIBRARIES: [(&str, u32); 4] =
    [("cublas", 1), ("cublasLt", 1), ("curand", 203), ("nvrtc", 11)];

/// `CUDA_ERROR_NO_DEVICE`.
const NO_DEVICE: u32 = 100;

/// The toolkit version in cudarc's notation.
const VERSION: &str = "13000";

/// The script that candle's build script runs as nvcc.
const COMPILER: &str = include_str!("nvcc.sh");

/// The folder, ready for a build.
pub(crate) struct Toolkit {
    home: PathBuf,
    nvcc: PathBuf,
}

impl Toolkit {
    /// Creates the folder from the wheels of a Python environment; existing files are kept.
    pub(crate) fn ready(environment: &Path) -> Result<Self> {
        let wheels = wheels(environment)?;
        let home = environment.join("cuda-home");
        let (libraries, work) = (home.join("lib64"), home.join("work"));
        for folder in [&libraries, &work] {
            std::fs::create_dir_all(folder)
                .map_err(|error| Problem::file("create", folder, &error))?;
        }
        for name in ["include", "nvvm"] {
            link(&wheels.join(name), &home.join(name))?;
        }
        for name in ["libcudart.a", "libcudart_static.a"] {
            link(&wheels.join("lib/libcudart_static.a"), &libraries.join(name))?;
        }
        let driver = ["libcuda.so.1", "libcuda.so"].map(str::to_owned).to_vec();
        let functions = lazy::declared(&wheels.join("include"))?;
        Library { name: "cuda", missing: NO_DEVICE, files: driver, functions }
            .build(&libraries, &work)?;
        for (name, missing) in LIBRARIES {
            let real = versioned(&wheels.join("lib"), name)?;
            let file = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let functions = lazy::exported(&real)?;
            Library { name, missing, files: vec![file, format!("lib{name}.so")], functions }
                .build(&libraries, &work)?;
        }
        let script = home.join("nvcc.sh");
        std::fs::write(&script, COMPILER)
            .map_err(|error| Problem::file("write", &script, &error))?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
            .map_err(|error| Problem::file("write", &script, &error))?;
        Ok(Self { nvcc: wheels.join("bin/nvcc"), home })
    }

    /// Configures a build to use the toolkit and to compile for one GPU architecture: `capability`
    /// is 80 for 8.0.
    pub(crate) fn prepare(&self, command: &mut Command, capability: u32) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = self.nvcc.parent().map(Path::to_path_buf);
        let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path)))
            .unwrap_or(path);
        let libraries = self.home.join("lib64");
        for name in ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"] {
            command.env(name, &self.home);
        }
        command
            .env("NVCC", self.home.join("nvcc.sh"))
            .env("GRAFT_NVCC", &self.nvcc)
            .env("PATH", path);
        command.env("CUDA_COMPUTE_CAP", capability.to_string()).env("CUDARC_CUDA_VERSION", VERSION);
        command.env("LIBRARY_PATH", libraries).env("CUDAFORGE_THREADS", "2");
    }
}

/// Returns the folder of NVIDIA's wheels in an environment.
fn wheels(environment: &Path) -> Result<PathBuf> {
    let library = environment.join("lib");
    let entries =
        std::fs::read_dir(&library).map_err(|error| Problem::file("read", &library, &error))?;
    let found = entries
        .flatten()
        .map(|entry| entry.path().join("site-packages/nvidia/cu13"))
        .find(|folder| folder.join("bin/nvcc").is_file());
    found.ok_or_else(|| {
        Problem::new(format!("no nvcc in {}", library.display()))
            .hint("remove the environment in that folder and run the task again")
    })
}

/// Finds `libNAME.so.N`; the wheels contain one version of each.
fn versioned(folder: &Path, name: &str) -> Result<PathBuf> {
    let start = format!("lib{name}.so.");
    let entries =
        std::fs::read_dir(folder).map_err(|error| Problem::file("read", folder, &error))?;
    let found = entries.flatten().map(|entry| entry.path()).find(|path| {
        path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&start))
    });
    found.ok_or_else(|| Problem::new(format!("no {start}* in {}", folder.display())))
}

/// Creates or replaces a symbolic link.
fn link(to: &Path, at: &Path) -> Result<()> {
    let _ = std::fs::remove_file(at);
    std::os::unix::fs::symlink(to, at).map_err(|error| Problem::file("write", at, &error))
}
