//! `cargo xtask cuda-build`: installs the kernel with a library for NVIDIA GPUs, on any machine,
//! with or without a GPU.
//!
//! Only the library that contains the session uses CUDA; the kernel's program is unchanged. The
//! result opens NVIDIA's libraries when a GPU is first used, so it also runs on the CPU of machines
//! without them.

mod lazy;
mod toolkit;

use std::path::PathBuf;

use crate::paths::Paths;
use crate::phases::Phases;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::{lab, machine, shell};
pub(crate) use toolkit::Toolkit;

/// Common compute capabilities: Turing, Ampere (A100, RTX 30), Ada, Hopper, Blackwell.
const KNOWN: [u32; 10] = [75, 80, 86, 87, 89, 90, 100, 103, 120, 121];

/// The oldest compute capability with bf16 arithmetic.
pub(crate) const FIRST_WITH_BF16: u32 = 80;

/// The parsed arguments.
#[derive(Debug, PartialEq)]
struct Options {
    /// The oldest compute capability to support; the code for it also runs on every newer one.
    oldest: u32,
    prefix: Option<PathBuf>,
}

/// Installs the toolkit's wheels, and the kernel with a library for CUDA.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = options(arguments)?;
    let paths = Paths::here();
    let prefix = options.prefix.clone().unwrap_or_else(|| paths.cuda());
    let mut phases = Phases::new(5);
    phases.run("system requirements", || {
        machine::c_compiler().and_then(|()| machine::python_with_venv())
    })?;
    phases.run("NVIDIA's compiler and libraries (1.2 GB)", || {
        Environment::ready(&paths.cuda(), &paths.requirements("cuda")).map(drop)
    })?;
    let toolkit = phases
        .run("stand-ins for the libraries of the GPU driver", || Toolkit::ready(&paths.cuda()))?;
    phases.run("the kernel's binary", || lab::build(&paths))?;
    phases.run(
        "the library for CUDA (nvcc compiles candle's kernels, which takes minutes)",
        || {
            let mut install = shell::command(paths.graft(), &["install", "--cuda", "--prefix"]);
            toolkit.prepare(&mut install, options.oldest);
            shell::run(install.arg(&prefix).arg("--build-dir").arg(&paths.target))
        },
    )?;
    phases.summary();
    println!(
        "\nsupports GPUs of compute capability {} and newer; needs driver 580 or newer",
        with_point(options.oldest)
    );
    if options.oldest < FIRST_WITH_BF16 {
        println!(
            "GPUs before compute capability 8.0 have no bf16, so this library does not support it: leave 75 out of --arch for models in bf16"
        );
    }
    println!(
        "`{} doctor --gpu` checks the GPU of this machine; in a notebook, `%device cuda` moves the session to it",
        prefix.join("bin/graft").display()
    );
    Ok(())
}

/// Parses the arguments.
fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options { oldest: FIRST_WITH_BF16, prefix: None };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value =
            |what: &str| words.next().ok_or_else(|| Problem::new(format!("`{word}` needs {what}")));
        match word.as_str() {
            "--arch" => options.oldest = oldest(value("compute capabilities, such as 80,86,89")?)?,
            "--prefix" => options.prefix = Some(PathBuf::from(value("a folder")?)),
            other => {
                return Err(Problem::new(format!("`cuda-build` does not take `{other}`"))
                    .hint("it takes: --arch 80,86,89,90,120 --prefix FOLDER"));
            }
        }
    }
    Ok(options)
}

/// Returns the oldest of a list of compute capabilities.
pub(crate) fn oldest(list: &str) -> Result<u32> {
    let number = |text: &str| {
        text.trim().replace('.', "").parse().ok().filter(|number| KNOWN.contains(number))
    };
    let known = || KNOWN.map(|it| it.to_string()).join(", ");
    let numbers = list.split(',').map(|text| {
        number(text).ok_or_else(|| {
            Problem::new(format!("`{text}` is not a compute capability that CUDA 13 supports"))
                .hint(format!("supported: {}", known()))
        })
    });
    numbers
        .collect::<Result<Vec<u32>>>()?
        .into_iter()
        .min()
        .ok_or_else(|| Problem::new("`--arch` is empty"))
}

/// Formats 86 as `8.6`.
fn with_point(capability: u32) -> String {
    format!("{}.{}", capability / 10, capability % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_oldest_capability_of_the_list_decides() {
        assert_eq!(
            options(&words("--arch 90,75,8.6 --prefix p")).unwrap(),
            Options { oldest: 75, prefix: Some(PathBuf::from("p")) }
        );
        assert_eq!(options(&[]).unwrap().oldest, 80);
        assert_eq!(with_point(120), "12.0");
    }

    #[test]
    fn an_unknown_capability_is_rejected_with_the_supported_ones() {
        assert!(options(&words("--arch 61")).unwrap_err().to_string().contains("75, 80"));
        assert!(options(&words("--arch")).is_err());
        assert!(options(&words("--archs 80")).is_err());
    }
}
