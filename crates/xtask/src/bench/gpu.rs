//! `cargo xtask bench gpu`: compares training steps on an NVIDIA GPU with PyTorch and HF PEFT in
//! one run.
//!
//! The benchmark program can be built without a GPU and is a single file that can be copied to a
//! machine with one: it opens NVIDIA's libraries when the GPU is first used, and contains the
//! Python script of the comparison.

use std::path::Path;

use crate::cuda::Toolkit;
use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::{cuda, machine, shell};

/// Builds the program and, if there is a GPU, runs it with the given arguments.
pub(super) fn run(arguments: &[String]) -> Result<()> {
    let (capability, arguments) = capability(arguments)?;
    let paths = Paths::here();
    let folder = paths.target.join("bench-gpu");
    let mut phases = Phases::new(4);
    phases.run("system requirements", || {
        machine::c_compiler().and_then(|()| machine::python_with_venv())
    })?;
    phases.run("NVIDIA's compiler and libraries (1.2 GB)", || {
        Environment::ready(&paths.cuda(), &paths.requirements("cuda")).map(drop)
    })?;
    phases.run(
        "the benchmark program for CUDA (nvcc compiles candle's kernels, which takes minutes)",
        || build(&paths, &folder, capability),
    )?;
    let program = folder.join("debug/graft-bench");
    if shell::which("nvidia-smi").is_none() {
        phases.summary();
        explain_missing_gpu(&program);
        return Ok(());
    }
    phases
        .run("measurements", || shell::run(shell::command(&program, &["gpu"]).args(arguments)))?;
    phases.summary();
    Ok(())
}

/// Builds the benchmark program for GPUs of at least `capability`.
fn build(paths: &Paths, folder: &Path, capability: u32) -> Result<()> {
    let mut build = shell::command(
        "cargo",
        &["build", "--locked", "--package", "graft-bench", "--features", "cuda", "--target-dir"],
    );
    // A separate folder: with this feature, candle and all crates that depend on it are
    // built differently.
    build.arg(folder).current_dir(&paths.root);
    Toolkit::ready(&paths.cuda())?.prepare(&mut build, capability);
    shell::run(&mut build)
}

/// Prints how to run the program on a machine with a GPU.
fn explain_missing_gpu(program: &Path) {
    println!("\nno NVIDIA GPU found (`nvidia-smi` is missing); nothing was measured");
    println!(
        "on a machine with a GPU, its driver and the libraries of CUDA 13, run: {} gpu --python PYTHON --out gpu.md",
        program.display()
    );
    println!(
        "only this program must be copied; PYTHON needs torch for CUDA, transformers and peft"
    );
}

/// Splits the arguments into the oldest GPU to support, from `--arch`, and those of the program.
fn capability(arguments: &[String]) -> Result<(u32, Vec<&String>)> {
    let Some(place) = arguments.iter().position(|word| word == "--arch") else {
        return Ok((cuda::FIRST_WITH_BF16, arguments.iter().collect()));
    };
    let list = arguments
        .get(place + 1)
        .ok_or_else(|| Problem::new("`--arch` needs compute capabilities, such as 80,86,89"))?;
    let rest = arguments
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != place && *index != place + 1)
        .map(|(_, word)| word);
    let oldest = cuda::oldest(list)?;
    if oldest < cuda::FIRST_WITH_BF16 {
        return Err(Problem::new(
            "the benchmark model uses bf16, which GPUs before compute capability 8.0 do not support",
        )
        .hint("use `--arch 80`, or leave it out"));
    }
    Ok((oldest, rest.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn xtask_takes_the_capability_and_passes_the_rest() {
        let given = words("--rows 2 --arch 90 --python p");
        let (capability, rest) = capability(&given).unwrap();
        assert_eq!((capability, rest), (90, vec![&given[0], &given[1], &given[4], &given[5]]));
    }

    #[test]
    fn a_gpu_without_bf16_is_rejected() {
        assert!(capability(&words("--arch 75,90")).unwrap_err().to_string().contains("bf16"));
        assert!(capability(&words("--arch")).is_err());
    }
}
