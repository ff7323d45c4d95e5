//! `cargo xtask bench gpu`: a training step on an NVIDIA card beside PyTorch with HF PEFT, in one run.
//!
//! The measuring program is made with or without a card, and is one file that can be carried to a machine that has one: it opens NVIDIA's libraries
//! when the card is first asked for, and holds the Python contender itself.

use crate::cuda::Toolkit;
use crate::phases::Phases;
use crate::places::Places;
use crate::problem::{Problem, Result};
use crate::python::Environment;
use crate::{cuda, machine, shell};

/// Builds the program and, where there is a card, runs it with the given arguments.
pub(super) fn run(arguments: &[String]) -> Result<()> {
    let (capability, arguments) = capability(arguments)?;
    let places = Places::here();
    let folder = places.target.join("bench-gpu");
    let mut phases = Phases::new(4);
    phases.run("what the machine needs", || {
        machine::c_compiler().and_then(|()| machine::python_with_venv())
    })?;
    phases.run("NVIDIA's compiler and libraries (1.2 GB)", || {
        Environment::ready(&places.cuda(), &places.requirements("cuda")).map(drop)
    })?;
    phases.run(
        "the measuring program for CUDA (nvcc compiles candle's kernels: minutes)",
        || {
            let mut build = shell::command(
                "cargo",
                &[
                    "build",
                    "--locked",
                    "--package",
                    "graft-bench",
                    "--features",
                    "cuda",
                    "--target-dir",
                ],
            );
            // A folder of its own: with the feature, everything above candle is another build.
            build.arg(&folder).current_dir(&places.root);
            Toolkit::ready(&places.cuda())?.prepare(&mut build, capability);
            shell::run(&mut build)
        },
    )?;
    let program = folder.join("debug/graft-bench");
    if shell::which("nvidia-smi").is_none() {
        phases.summary();
        println!("\nno NVIDIA card here (`nvidia-smi` is missing), so nothing was measured");
        println!(
            "on a machine with a card, its driver and CUDA 13's libraries: {} gpu --python PYTHON --out gpu.md",
            program.display()
        );
        println!(
            "the program alone is all that has to be carried; PYTHON has torch for CUDA, transformers and peft"
        );
        return Ok(());
    }
    phases
        .run("measurements", || shell::run(shell::command(&program, &["gpu"]).args(arguments)))?;
    phases.summary();
    Ok(())
}

/// The oldest card that is to be served, from `--arch`, and the arguments that are the program's.
fn capability(arguments: &[String]) -> Result<(u32, Vec<&String>)> {
    let Some(place) = arguments.iter().position(|word| word == "--arch") else {
        return Ok((cuda::FIRST_WITH_BF16, arguments.iter().collect()));
    };
    let list = arguments
        .get(place + 1)
        .ok_or_else(|| Problem::new("`--arch` needs capabilities, such as 80,86,89"))?;
    let rest = arguments
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != place && *index != place + 1)
        .map(|(_, word)| word);
    let oldest = cuda::oldest(list)?;
    if oldest < cuda::FIRST_WITH_BF16 {
        return Err(Problem::new(
            "the model that is measured is in bf16, which cards before 8.0 do not have",
        )
        .hint("--arch 80, or leave it out"));
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
    fn the_card_is_ours_and_the_rest_the_programs() {
        let given = words("--rows 2 --arch 90 --python p");
        let (capability, rest) = capability(&given).unwrap();
        assert_eq!((capability, rest), (90, vec![&given[0], &given[1], &given[4], &given[5]]));
    }

    #[test]
    fn a_card_without_bf16_is_refused() {
        assert!(capability(&words("--arch 75,90")).unwrap_err().to_string().contains("bf16"));
        assert!(capability(&words("--arch")).is_err());
    }
}
