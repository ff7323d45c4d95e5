//! Static stand-ins for NVIDIA's libraries: each function jumps through a slot, which the first
//! call fills from the real library.
//!
//! candle links these libraries by name, so its programs would not start on a machine without them.
//! Linked with the stand-ins, a program starts everywhere, and the functions of a missing library
//! return an error. x86-64 only, like Graft.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::problem::{Problem, Result};
use crate::shell;

/// The code that opens a library, compiled once for each.
const RESOLVER: &str = include_str!("lazy.c");

/// Registers that may contain arguments; saved while a slot is filled.
const REGISTERS: [&str; 8] = ["rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax", "r10"];

/// A library to replace by a stand-in.
pub(super) struct Library<'a> {
    /// Name without prefix and extension: `cublas` for `libcublas.so`.
    pub(super) name: &'a str,
    /// The status code that its functions return if the library is missing.
    pub(super) missing: u32,
    /// File names to try, in order of preference.
    pub(super) files: Vec<String>,
    /// Names of the functions it exports.
    pub(super) functions: Vec<String>,
}

impl Library<'_> {
    /// Writes `libNAME.a` into a folder, and sources and objects into another.
    pub(super) fn build(&self, folder: &Path, work: &Path) -> Result<()> {
        let archive = folder.join(format!("lib{}.a", self.name));
        if archive.is_file() {
            return Ok(());
        }
        let assembly = work.join(format!("{}.S", self.name));
        let resolver = work.join("lazy.c");
        write(&assembly, &self.assembly())?;
        write(&resolver, RESOLVER)?;
        let object = |kind: &str| work.join(format!("{}-{kind}.o", self.name));
        let files =
            self.files.iter().map(|file| format!("\"{file}\"")).collect::<Vec<_>>().join(",");
        let mut compile = shell::command("cc", &["-c", "-O2", "-fPIC", "-fvisibility=hidden"]);
        compile.args([
            format!("-DLIBRARY={}", self.name),
            format!("-DMISSING={}", self.missing),
            format!("-DSONAMES={files}"),
        ]);
        quietly(compile.arg(&resolver).arg("-o").arg(object("open")))?;
        quietly(
            shell::command("cc", &["-c", "-fPIC"]).arg(&assembly).arg("-o").arg(object("jump")),
        )?;
        // Renamed at the end, so that an incomplete archive is never mistaken for a complete one.
        let unfinished = work.join(format!("lib{}.a", self.name));
        let _ = std::fs::remove_file(&unfinished);
        quietly(
            shell::command("ar", &["rcs"]).arg(&unfinished).arg(object("open")).arg(object("jump")),
        )?;
        std::fs::rename(&unfinished, &archive)
            .map_err(|error| Problem::file("write", &archive, &error))
    }

    /// Generates one slot and one jump per function. A slot initially points at code that enters
    /// the resolver with the number of the function.
    fn assembly(&self) -> String {
        let mut text = String::from("\t.section .note.GNU-stack,\"\",@progbits\n\t.text\n");
        // Writing to a string cannot fail.
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            text.write_fmt(format_args!("{arguments}\n")).unwrap_or_default()
        };
        self.write_jumps(&mut line);
        self.write_resolver(&mut line);
        self.write_tables(&mut line);
        text
    }

    /// Writes the functions, each of which jumps to the address in its slot.
    fn write_jumps(&self, line: &mut impl FnMut(std::fmt::Arguments<'_>)) {
        let name = self.name;
        for (number, function) in self.functions.iter().enumerate() {
            line(format_args!(
                "\t.globl {function}\n\t.type {function},@function\n\t.p2align 4\n{function}:"
            ));
            line(format_args!("\tjmp *lazy_{name}_slots+{}(%rip)", 8 * number));
            line(format_args!(
                ".Lfirst{number}:\n\tpushq ${number}\n\tjmp .Lresolve\n\t.size {function},.-{function}"
            ));
        }
    }

    /// Writes the code that finds a function at its first call.
    fn write_resolver(&self, line: &mut impl FnMut(std::fmt::Arguments<'_>)) {
        let name = self.name;
        // Align the stack for the call and save possible arguments; remove the pushed number before
        // the jump.
        line(format_args!(
            "\t.p2align 4\n.Lresolve:\n\tpushq %rbp\n\tmovq %rsp,%rbp\n\tandq $-16,%rsp\n\tsubq $192,%rsp"
        ));
        for (place, register) in REGISTERS.iter().enumerate() {
            line(format_args!("\tmovq %{register},{}(%rsp)", 8 * place));
        }
        for register in 0..8 {
            line(format_args!("\tmovups %xmm{register},{}(%rsp)", 64 + 16 * register));
        }
        line(format_args!("\tmovq 8(%rbp),%rdi\n\tcall lazy_{name}_resolve\n\tmovq %rax,%r11"));
        for (place, register) in REGISTERS.iter().enumerate() {
            line(format_args!("\tmovq {}(%rsp),%{register}", 8 * place));
        }
        for register in 0..8 {
            line(format_args!("\tmovups {}(%rsp),%xmm{register}", 64 + 16 * register));
        }
        line(format_args!("\tmovq %rbp,%rsp\n\tpopq %rbp\n\taddq $8,%rsp\n\tjmp *%r11"));
    }

    /// Writes the slots and the names of the functions.
    fn write_tables(&self, line: &mut impl FnMut(std::fmt::Arguments<'_>)) {
        let name = self.name;
        line(format_args!(
            "\t.section .data.rel.local,\"aw\",@progbits\n\t.p2align 3\n\t.globl lazy_{name}_slots\n\t.hidden lazy_{name}_slots\nlazy_{name}_slots:"
        ));
        for number in 0..self.functions.len() {
            line(format_args!("\t.quad .Lfirst{number}"));
        }
        line(format_args!(
            "\t.section .data.rel.ro.local,\"aw\",@progbits\n\t.p2align 3\n\t.globl lazy_{name}_names\n\t.hidden lazy_{name}_names\nlazy_{name}_names:"
        ));
        for number in 0..self.functions.len() {
            line(format_args!("\t.quad .Lname{number}"));
        }
        line(format_args!("\t.section .rodata.str1.1,\"aMS\",@progbits,1"));
        for (number, function) in self.functions.iter().enumerate() {
            line(format_args!(".Lname{number}:\t.asciz \"{function}\""));
        }
    }
}

/// Lists the functions that a shared library exports.
pub(super) fn exported(library: &Path) -> Result<Vec<String>> {
    let listed = shell::stdout_of(shell::command("nm", &["-D", "--defined-only"]).arg(library))
        .ok_or_else(|| {
            Problem::new(format!("`nm` cannot read {}", library.display()))
                .hint("on Debian or Ubuntu: sudo apt-get install binutils")
        })?;
    let functions = listed.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, name) = (words.next()?, words.next()?.split('@').next()?);
        (matches!(kind, "T" | "W") && !matches!(name, "_init" | "_fini")).then(|| name.to_owned())
    });
    Ok(sorted(functions))
}

/// Lists the functions of the driver. Its library may be missing, so they are read from `cuda.h`,
/// in every spelling declared there.
pub(super) fn declared(include: &Path) -> Result<Vec<String>> {
    let mut names = vec![
        "cuProfilerStart".to_owned(),
        "cuProfilerStop".to_owned(),
        "cuProfilerInitialize".to_owned(),
    ];
    for spelling in
        ["GRAFT_PLAIN", "__CUDA_API_VERSION_INTERNAL", "CUDA_API_PER_THREAD_DEFAULT_STREAM"]
    {
        let mut command = shell::command("cc", &["-E", "-P", &format!("-D{spelling}")]);
        let page = shell::stdout_of(command.arg(include.join("cuda.h")))
            .ok_or_else(|| Problem::new("`cc` cannot read cuda.h"))?;
        names.extend(page.match_indices('(').filter_map(|(end, _)| {
            let before = page[..end].trim_end();
            let start = before
                .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .map_or(0, |at| at + 1);
            let name = &before[start..];
            let is_function = name
                .strip_prefix("cu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            is_function.then(|| name.to_owned())
        }));
    }
    let names = sorted(names.into_iter());
    if names.len() > 400 {
        Ok(names)
    } else {
        Err(Problem::new(format!("cuda.h declares only {} functions", names.len())))
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

fn write(path: &PathBuf, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| Problem::file("write", path, &error))
}

/// Runs a command without printing it, since there are five for each library.
fn quietly(command: &mut std::process::Command) -> Result<()> {
    let status = command.status().map_err(|error| shell::cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Problem::new(format!("`{}` exited with {status}", shell::shown(command))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_calls_an_installed_library_and_returns_the_status_of_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let program = "int graft_sum(int, int, double, double); int graft_none(void); const char *noneGetErrorString(int);\n#include <stdio.h>\n\
            int main(void) { printf(\"%d %d %d\\n\", graft_sum(1, 2, 3.0, 4.0), graft_sum(5, 6, 7.0, 8.0), graft_none()); return noneGetErrorString(1) == 0; }\n";
        std::fs::write(path("sum.c"), "int graft_sum(int a, int b, double c, double d) { return a + 10 * b + 100 * (int)c + 1000 * (int)d; }").unwrap();
        std::fs::write(path("main.c"), program).unwrap();
        let real = path("libsum.so.1");
        quietly(
            shell::command("cc", &["-shared", "-fPIC"]).arg(path("sum.c")).arg("-o").arg(&real),
        )
        .unwrap();
        assert_eq!(exported(&real).unwrap(), ["graft_sum"]);
        let there = Library {
            name: "sum",
            missing: 1,
            files: vec![real.display().to_string()],
            functions: exported(&real).unwrap(),
        };
        let functions = vec!["graft_none".to_owned(), "noneGetErrorString".to_owned()];
        let missing = Library {
            name: "none",
            missing: 100,
            files: vec!["libgraft-none.so.1".to_owned()],
            functions,
        };
        for library in [&there, &missing] {
            library.build(folder.path(), folder.path()).unwrap();
        }
        let mut link = shell::command("cc", &[]);
        quietly(
            link.arg(path("main.c"))
                .arg("-o")
                .arg(path("main"))
                .arg("-L")
                .arg(folder.path())
                .args(["-lsum", "-lnone", "-ldl", "-lpthread"]),
        )
        .unwrap();
        assert_eq!(
            shell::stdout_of(&mut shell::command(path("main"), &[])).as_deref(),
            Some("4321 8765 100")
        );
    }
}
