"""The wheel: packed from the kernel that the tests use, and installed with the real pip into fresh environments."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from graft_testing import ANSWER, PATIENCE, PREFIX, ROOT, Kernel, Places

PACK = ROOT / "crates" / "xtask" / "python" / "pack_wheel.py"
# Runs in the environment with the wheel: executes cells as a notebook and prints the text of their outputs as JSON.
EXECUTE = """
import json, sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.argv[1])])
NotebookClient(notebook, kernel_name="graft", timeout=600, allow_errors=True).execute()
def text(output):
    return output.get("text") or "\\n".join(output.get("traceback", [])) or output.get("data", {}).get("text/plain", "")
print(json.dumps(["\\n".join(text(output) for output in cell.outputs) for cell in notebook.cells]))
"""
TRAINING = ["%seed 7", "%model load tiny", "%data load which-book", "%lora attach r=2", "%train steps=2 batch=2", "%status"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The kernel of the tests as a wheel."""
    output = tmp_path_factory.mktemp("wheels")
    command = [ROOT / "target" / "debug" / "xtask", "wheel", "--from", PREFIX, "--output", output]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = output.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel and with the Jupyter of the tests."""
    environment = new_environment(tmp_path_factory.mktemp("env") / "venv")
    pip(environment, "install", "--no-deps", wheel)
    return environment


def new_environment(folder):
    """A fresh virtual environment that can import the packages of the tests."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def pip(environment, *words, check=True):
    command = [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def files(folder):
    """Every file with its size and time."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def execute(environment, cells, variables):
    command = [environment / "bin" / "python", "-c", EXECUTE, json.dumps(cells)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def without_rust(places, environment):
    """The variables of a machine on which nothing but the environment is on the PATH."""
    bare = places.folder("bare")
    if not (bare / "sh").exists():
        (bare / "sh").symlink_to("/bin/sh")
    return places.environment(PATH=f"{environment / 'bin'}:{bare}", RUSTUP_HOME="/nowhere", CARGO_HOME="/nowhere")


def with_rust(places, environment, **more):
    """The variables of a machine with Rust, an empty registry and no network."""
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    return places.environment(PATH=path, CARGO_HOME=str(places.folder("cargo")), CARGO_NET_OFFLINE="true", **more)


def test_a_notebook_runs_without_rust(installed, places):
    """Jupyter finds the kernel at once, magics train, and a Rust cell names the line that installs its compiler."""
    outputs = execute(installed, [*TRAINING, "1 + 1"], without_rust(places, installed))
    assert "lora" in outputs[5] and re.search(r"steps?", outputs[4]), outputs
    assert re.search(r"rustup toolchain install 1\.\d+\.\d+ --profile minimal --component rust-src", outputs[6]), outputs[6]


def test_rust_cells_compile_nothing_and_need_no_network(installed, places):
    """The compiler of the wheel suffices: no registry, no network, and no write into the environment, which may belong to another user."""
    before = files(installed)
    cells = ["let names: Vec<i32> = vec![1, 2, 3];", "names.len()", "%model load tiny", "lab().model()?.all_parameters()", "let t: candle_core::Tensor = candle_core::Tensor::zeros((2, 3), candle_core::DType::F32, &candle_core::Device::Cpu)?;", "t.dims().to_vec()"]
    outputs = execute(installed, cells, with_rust(places, installed))
    assert outputs[1].strip() == "3" and outputs[5].strip() == "[2, 3]" and re.search(r"[1-9]", outputs[3]), outputs
    assert files(installed) == before
    assert not list((places.root / "cache" / "graft").glob("templates/*")), "a library was built"


def test_another_compiler_builds_its_library_once_and_magics_do_not_wait(installed, places):
    """With another rustc magics work at once; the first Rust cell builds in the user's cache, shows it, and can be interrupted."""
    variables = with_rust(places, installed)
    shim = another_compiler(places)
    variables["PATH"] = f"{shim.parent}:{variables['PATH']}"
    doctor = subprocess.run([installed / "bin" / "graft", "doctor"], env=variables, capture_output=True, text=True, timeout=ANSWER).stdout
    [line] = [line for line in doctor.splitlines() if line[6:].startswith("rustc ")]
    assert line.startswith("note") and "rustup toolchain install" in line, doctor
    outputs = execute(installed, ["%model load tiny", "%status"], variables)
    assert "tiny" in outputs[1], outputs
    assert not list((places.root / "cache" / "graft").glob("templates/*"))
    with Kernel(places, env=variables, prefix=installed) as kernel:
        kernel.run("%seed 3")
        cell = kernel.start("1 + 1")
        shows_it = lambda it: any("building the library for rustc" in bundle.get("text/plain", "") for display in it.displays for bundle in display.versions)
        # Without a network, the build may fail before the line is drawn.
        cell.wait_for(lambda it: shows_it(it) or "building it for rustc" in it.failure, ANSWER)
        kernel.interrupt()
        assert cell.wait(ANSWER).status == "error"
        assert "3" in kernel.run("%seed").text
    assert list((places.root / "cache" / "graft").glob("templates/*")), "the build is not in the user's cache"


def another_compiler(places):
    """A rustc of another commit. It is not a proxy of rustup, so no other toolchain can be chosen."""
    compiler = subprocess.run(["rustup", "which", "rustc"], capture_output=True, text=True).stdout.strip() or shutil.which("rustc")
    folder = places.folder("compiler")
    shim = folder / "rustc"
    shim.write_text(f"""#!/bin/sh
case "$*" in
    *-vV*) "{compiler}" "$@" | sed 's/^commit-hash: .*/commit-hash: another/; s/^rustc 1[^ ]*/rustc 1.0.0/' ;;
    *) exec "{compiler}" "$@" ;;
esac
""")
    shim.chmod(0o755)
    (folder / "cargo").symlink_to(pathlib.Path(compiler).with_name("cargo"))
    return shim


def test_a_damaged_installation_names_the_file_and_the_repair(wheel, places, tmp_path):
    environment = new_environment(tmp_path / "venv")
    pip(environment, "install", "--no-deps", wheel)
    [library] = environment.glob("share/graft/templates/*/lib/libgraft.so")
    os.truncate(library, 1000)
    variables = without_rust(places, environment)
    [output] = execute(environment, ["%model load tiny"], variables)
    assert "libgraft.so" in output and "pip install --force-reinstall --no-deps" in output, output
    doctor = subprocess.run([environment / "bin" / "graft", "doctor"], env=variables, capture_output=True, text=True, timeout=ANSWER)
    assert doctor.returncode == 1 and "libgraft.so" in doctor.stdout, doctor.stdout
    # The advice works.
    pip(environment, "install", "--force-reinstall", "--no-deps", wheel)
    assert "tiny" in execute(environment, ["%model load tiny", "%status"], variables)[1]


def test_uninstalling_leaves_nothing_and_graft_leaves_pips_files_alone(wheel, places, tmp_path):
    environment = new_environment(tmp_path / "venv")
    before = set(environment.rglob("*"))
    pip(environment, "install", "--no-deps", wheel)
    variables = {**places.environment(), "VIRTUAL_ENV": str(environment)}
    program = environment / "bin" / "graft"
    refused = subprocess.run([program, "install", "--sys-prefix"], env=variables, capture_output=True, text=True, timeout=ANSWER)
    assert refused.returncode == 1 and "pip uninstall graft-kernel" in refused.stderr, refused
    kept = subprocess.run([program, "uninstall"], env=variables, capture_output=True, text=True, timeout=ANSWER)
    assert "pip uninstall graft-kernel" in kept.stdout and program.exists(), kept
    pip(environment, "uninstall", "--yes", "graft-kernel")
    # pip keeps the folders that Jupyter's own packages share with the kernel, also if they are empty.
    left = {str(path.relative_to(environment)) for path in set(environment.rglob("*")) - before}
    assert left <= {"share", "share/jupyter", "share/jupyter/kernels"}, left


def test_a_target_folder_works(wheel, places, tmp_path):
    """`pip install --target`: Jupyter finds the kernel through JUPYTER_PATH, and `python -m graft_kernel` finds the program."""
    environment = new_environment(tmp_path / "venv")
    folder = tmp_path / "folder"
    pip(environment, "install", "--no-deps", "--target", folder, wheel)
    variables = {**without_rust(places, environment), "JUPYTER_PATH": str(folder / "share" / "jupyter"), "PYTHONPATH": str(folder)}
    assert "tiny" in execute(environment, ["%model load tiny", "%status"], variables)[1]
    version = subprocess.run([environment / "bin" / "python", "-m", "graft_kernel", "--version"], env=variables, capture_output=True, text=True)
    assert re.match(r"graft \d+\.\d+\.\d+ \([0-9a-f]{9} \d{4}-\d\d-\d\d\)\n", version.stdout), version


@pytest.mark.parametrize("platform", ["manylinux_2_12_x86_64", "manylinux_2_34_aarch64", "macosx_14_0_arm64"])
def test_another_platform_is_refused(small_wheel, platform, tmp_path):
    """An old glibc or another processor: pip says that the wheel does not fit, and installs nothing."""
    environment = new_environment(tmp_path / "venv")
    done = pip(environment, "install", "--no-deps", "--only-binary=:all:", "--platform", platform, "--target", tmp_path / "folder", small_wheel, check=False)
    assert done.returncode == 1 and "not a supported wheel on this platform" in done.stderr, done
    assert not (tmp_path / "folder").exists()


@pytest.fixture
def small_wheel(tmp_path):
    """A wheel of an installation with a few small files."""
    return pack(tmp_path / "prefix", tmp_path / "wheels")


def pack(prefix, output):
    """Packs a prefix with small files."""
    spec = {"argv": ["/p/bin/graft", "kernel", "-f", "{connection_file}"], "display_name": "Rust (Graft)", "metadata": {"graft": {"version": "0.1.0"}}}
    contents = {"bin/graft": "#!/bin/sh\n", "share/jupyter/kernels/graft/kernel.json": json.dumps(spec), "share/graft/templates/abc/lib/libgraft.so": "library", "share/graft/templates/lock": "", "share/graft/templates/abc/sources/Cargo.toml": "", "share/graft/templates/abc/analysis/x/src/target/mod.rs": "", "share/graft/templates/target/debug/x": "x"}
    for name, content in contents.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    command = [sys.executable, PACK, ROOT, prefix, output, "manylinux_2_34_x86_64", "1700000000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


def test_the_same_input_gives_the_same_bytes(tmp_path):
    one, two = (pack(tmp_path / name / "prefix", tmp_path / name / "wheels") for name in ["one", "two"])
    assert one.name == two.name and one.read_bytes() == two.read_bytes()
    names = zipfile.ZipFile(one).namelist()
    assert not [name for name in names if "/templates/target/" in name or "/sources/" in name or name.endswith("/lock")], names
    assert any(name.endswith("/analysis/x/src/target/mod.rs") for name in names), names
    spec = json.loads(zipfile.ZipFile(one).read(next(name for name in names if name.endswith("kernel.json"))))
    assert spec["argv"][0].startswith("{resource_dir}/") and spec["metadata"]["graft"]["installer"] == "pip"


def test_after_a_full_disk_in_pip_the_line_of_the_guide_works(wheel, tmp_path):
    """pip keeps its entry of a wheel that it could not write as a whole; `--force-reinstall` completes it."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(tiny)], capture_output=True).returncode != 0:
        print("no permission to mount: the full disk is not tried")
        return
    try:
        environment = new_environment(tiny / "venv")
        failed = pip(environment, "install", "--no-deps", wheel, check=False)
        assert failed.returncode != 0 and "No space left on device" in failed.stdout + failed.stderr, failed
        subprocess.run(["mount", "-o", "remount,size=2g", str(tiny)], check=True)
        pip(environment, "install", "--force-reinstall", "--no-deps", wheel)
        with Places() as places:
            assert "tiny" in execute(environment, ["%model load tiny", "%status"], without_rust(places, environment))[1]
    finally:
        subprocess.run(["umount", "-l", str(tiny)], check=True)
