"""The wheels: packed from the kernel that the tests use, and installed with the real pip into fresh environments, with and without that for Rust cells."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

import pytest

from graft_testing import ANSWER, PATIENCE, PREFIX, ROOT, Kernel, Places
from test_students import Student

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
FILES = {"kernel": "graft_kernel", "rust": "graft_kernel_rust", "crates": "graft_kernel_rust_crates"}
# Names of packages, in an order in which a user may remove them.
KERNEL, RUST = ["graft-kernel"], ["graft-kernel-rust", "graft-kernel-rust-crates"]
TRAINING = ["%seed 7", "%model load tiny", "%data load which-book", "%lora attach r=2", "%train steps=2 batch=2", "%status"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The kernel of the tests as wheels: `kernel` for magics, `rust` and `crates` with what Rust cells need."""
    output = tmp_path_factory.mktemp("wheels")
    command = [ROOT / "target" / "debug" / "xtask", "wheel", "--from", PREFIX, "--output", output]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {name: list(output.glob(f"{file}-*.whl")) for name, file in FILES.items()}
    assert [len(paths) for paths in found.values()] == [1, 1, 1], found
    return {name: paths[0] for name, paths in found.items()}


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory):
    """An environment with all wheels and with the Jupyter of the tests."""
    environment = new_environment(tmp_path_factory.mktemp("env") / "venv")
    pip(environment, "install", "--no-index", "--find-links", wheels["kernel"].parent, "graft-kernel[rust]")
    return environment


@pytest.fixture(scope="module")
def magics_only(wheels, tmp_path_factory):
    """An environment with the wheel of the kernel alone."""
    environment = new_environment(tmp_path_factory.mktemp("magics") / "venv")
    pip(environment, "install", wheels["kernel"])
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


def test_a_notebook_runs_without_rust(magics_only, places):
    """Jupyter finds the kernel at once, magics train, and a Rust cell names the line that installs its compiler."""
    outputs = execute(magics_only, [*TRAINING, "1 + 1"], without_rust(places, magics_only))
    assert "lora" in outputs[5] and re.search(r"steps?", outputs[4]), outputs
    assert re.search(r"rustup toolchain install 1\.\d+\.\d+ --profile minimal --component rust-src", outputs[6]), outputs[6]


def doctor(environment, variables):
    """The report of `graft doctor`: its exit status, and the status and text of each line by its name."""
    done = subprocess.run([environment / "bin" / "graft", "doctor"], env=variables, capture_output=True, text=True, timeout=ANSWER)
    return done.returncode, {line[6:23].strip(): (line[:4].strip(), line[23:]) for line in done.stdout.splitlines()}


def test_without_its_wheels_a_rust_cell_says_what_to_type_and_the_line_works(wheels, places, tmp_path):
    """Magics work. The cell and the doctor name the package, and after its installation the same kernel runs the cell."""
    environment = new_environment(tmp_path / "venv")
    pip(environment, "install", wheels["kernel"])
    variables = with_rust(places, environment)
    status, found = doctor(environment, variables)
    state, text = found["prebuilt library"]
    assert status == 0 and state == "note" and "magics do" in text and 'pip install "graft-kernel[rust]==' in text, found
    with Kernel(places, env=variables, prefix=environment) as kernel:
        kernel.run("%model load tiny")
        own = kernel.child().environ()
        for name, file in {"GRAFT_ASSETS": "tiny/config.json", "GRAFT_DATA": "which-book.jsonl"}.items():
            # Without these, the library would look in the folder in which it was compiled.
            assert pathlib.Path(own[name]).is_relative_to(environment) and (pathlib.Path(own[name]) / file).is_file(), own[name]
        kernel.fail("1 + 1", "RustPartMissing", "graft-kernel-rust` is not installed", r'pip install "graft-kernel\[rust\]==\d', "graft build")
        assert "tiny" in kernel.run("%status").text
        pip(environment, "install", "--no-index", "--find-links", wheels["kernel"].parent, "graft-kernel[rust]")
        assert kernel.run("1 + 1").text.strip().endswith("2")
        assert "tiny" in kernel.run("%status").text
    assert doctor(environment, variables)[1]["prebuilt library"][0] == "ok"


def test_the_library_can_be_built_from_the_sources_instead(magics_only, places):
    """`graft build` unpacks the sources of the program and starts cargo; without a network it names the cause."""
    variables = with_rust(places, magics_only)
    done = subprocess.run([magics_only / "bin" / "graft", "build"], env=variables, capture_output=True, text=True, timeout=PATIENCE)
    assert "building the library that cells link to" in done.stdout and "unpacking sources" in done.stdout, done
    assert done.returncode == 1 and "building the prebuilt library failed" in done.stderr and "offline" in done.stderr, done.stderr
    assert list((places.root / "cache" / "graft" / "templates").glob("*/sources/Cargo.toml"))


def test_files_for_rust_cells_of_another_build_are_named(wheels, places, tmp_path):
    """The wheels have the same version but do not belong together, as between two checkouts."""
    environment = new_environment(tmp_path / "venv")
    pip(environment, "install", "--no-index", "--find-links", wheels["kernel"].parent, "graft-kernel[rust]")
    [folder] = environment.glob("share/graft/templates/*")
    other = folder.with_name("0123456789abcdef")
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("template.json", "libgraft.so", "session"))
    for path in ["deps", "macros"]:
        shutil.rmtree(folder / "lib" / path)
    for path in ["libgraft.rmeta", "crates"]:
        (folder / "lib" / path).unlink()
    [output] = execute(environment, ["1 + 1"], with_rust(places, environment))
    assert "belongs to another build of Graft" in output and str(other) in output and "--force-reinstall" in output, output


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
    state, text = doctor(installed, variables)[1]["rustc"]
    assert state == "note" and "rustup toolchain install" in text, text
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


@pytest.mark.parametrize(
    ("file", "parts", "repair", "cell"),
    [
        ("libgraft.so", ["kernel"], "graft_kernel-", "%model load tiny"),
        ("deps/libcandle_core-*.rlib", ["rust", "crates"], "graft_kernel_rust*-", "1 + 1"),
    ],
)
def test_a_damaged_installation_names_the_file_and_the_repair(wheels, places, tmp_path, file, parts, repair, cell):
    environment = new_environment(tmp_path / "venv")
    pip(environment, "install", *wheels.values())
    [damaged] = environment.glob(f"share/graft/templates/*/lib/{file}")
    os.truncate(damaged, 1000)
    variables = with_rust(places, environment)
    [output] = execute(environment, [cell], variables)
    assert damaged.name in output and f"pip install --force-reinstall --no-deps {repair}" in output, output
    status, found = doctor(environment, variables)
    assert status == 1 and found["prebuilt library"][0] == "FAIL" and damaged.name in found["prebuilt library"][1], found
    # The advice works.
    pip(environment, "install", "--force-reinstall", "--no-deps", *(wheels[part] for part in parts))
    outputs = execute(environment, ["%model load tiny", "%status", "1 + 1"], variables)
    assert "tiny" in outputs[1] and outputs[2].split()[-1] == "2", outputs


@pytest.mark.parametrize("names", [KERNEL, KERNEL + RUST, RUST[::-1] + KERNEL])
def test_uninstalling_leaves_nothing_and_graft_leaves_pips_files_alone(wheels, places, tmp_path, names):
    environment = new_environment(tmp_path / "venv")
    before = set(environment.rglob("*"))
    pip(environment, "install", *list(wheels.values())[: len(names)])
    variables = {**places.environment(), "VIRTUAL_ENV": str(environment)}
    program = environment / "bin" / "graft"
    refused = subprocess.run([program, "install", "--sys-prefix"], env=variables, capture_output=True, text=True, timeout=ANSWER)
    assert refused.returncode == 1 and "pip uninstall graft-kernel" in refused.stderr, refused
    kept = subprocess.run([program, "uninstall"], env=variables, capture_output=True, text=True, timeout=ANSWER)
    assert "pip uninstall graft-kernel" in kept.stdout and program.exists(), kept
    for name in names:
        pip(environment, "uninstall", "--yes", name)
    # pip keeps the folders that Jupyter's own packages share with the kernel, also if they are empty.
    left = {str(path.relative_to(environment)) for path in set(environment.rglob("*")) - before}
    assert left <= {"share", "share/jupyter", "share/jupyter/kernels"}, left


def test_a_target_folder_works(wheels, places, tmp_path):
    """`pip install --target`: Jupyter finds the kernel through JUPYTER_PATH, and `python -m graft_kernel` finds the program."""
    environment = new_environment(tmp_path / "venv")
    folder = tmp_path / "folder"
    pip(environment, "install", "--target", folder, *wheels.values())
    variables = {**with_rust(places, environment), "JUPYTER_PATH": str(folder / "share" / "jupyter"), "PYTHONPATH": str(folder)}
    outputs = execute(environment, ["%model load tiny", "%status", "1 + 1"], variables)
    assert "tiny" in outputs[1] and outputs[2].split()[-1] == "2", outputs
    version = subprocess.run([environment / "bin" / "python", "-m", "graft_kernel", "--version"], env=variables, capture_output=True, text=True)
    assert re.match(r"graft \d+\.\d+\.\d+ \([0-9a-f]{9} \d{4}-\d\d-\d\d\)\n", version.stdout), version


@pytest.mark.long
def test_uv_and_pipx_find_the_kernel_in_their_environments(wheels, tmp_path):
    """The lines of the guide, with a package of Jupyter that is smaller than JupyterLab. Needs a network."""
    tools = new_environment(tmp_path / "tools")
    pip(tools, "install", "uv", "pipx")
    folder = wheels["kernel"].parent
    variables = {**os.environ, "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "uv"), "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}

    def run(program, *words):
        done = subprocess.run([program, *map(str, words)], env=variables, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    given = [word for wheel in wheels.values() for word in ("--with", wheel)]
    listed = run(tools / "bin" / "uvx", "--from", "jupyter-core", "--with", "jupyter-client", *given, "jupyter", "kernelspec", "list", "--json")
    assert "graft" in json.loads(listed)["kernelspecs"], listed
    run(tools / "bin" / "pipx", "install", "jupyter_client")
    run(tools / "bin" / "pipx", "inject", "jupyter_client", f"--pip-args=--no-index --find-links {folder}", "graft-kernel[rust]")
    listed = json.loads(run(tmp_path / "bin" / "jupyter-kernelspec", "list", "--json"))
    program = pathlib.Path(listed["kernelspecs"]["graft"]["resource_dir"]) / "../../../../bin/graft"
    assert "ok    prebuilt library" in run(program, "doctor")


def test_users_share_an_installation_that_they_cannot_write(wheels, places):
    """The files belong to the administrator. Two students train at the same time, without a writable home, and change nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can create the accounts of students")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="graft-shared-"))
    students = []
    try:
        folder.chmod(0o755)
        environment = new_environment(folder / "venv")
        pip(environment, "install", wheels["kernel"])
        program = environment / "bin" / "graft"
        before = files(environment)
        lesson = folder / "lesson.graft"
        lesson.write_text("\n".join(TRAINING))
        students = [Student(places), Student(places)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runs = list(pool.map(lambda student: student.run(program, "run", lesson), students))
        assert all(run.returncode == 0 and "2 steps" in run.stdout for run in runs), runs
        assert files(environment) == before
    finally:
        for student in students:
            student.remove()
        shutil.rmtree(folder)


@pytest.mark.parametrize("platform", ["manylinux_2_12_x86_64", "manylinux_2_34_aarch64", "macosx_14_0_arm64"])
def test_another_platform_is_refused(small_wheel, platform, tmp_path):
    """An old glibc or another processor: pip says that the wheel does not fit, and installs nothing."""
    environment = new_environment(tmp_path / "venv")
    done = pip(environment, "install", "--no-deps", "--only-binary=:all:", "--platform", platform, "--target", tmp_path / "folder", small_wheel, check=False)
    assert done.returncode == 1 and "not a supported wheel on this platform" in done.stderr, done
    assert not (tmp_path / "folder").exists()


@pytest.fixture
def small_wheel(tmp_path):
    """The wheel of an installation with a few small files."""
    return pack(tmp_path / "prefix", tmp_path / "wheels", "kernel")


def pack(prefix, output, part):
    """Packs a prefix with small files."""
    spec = {"argv": ["/p/bin/graft", "kernel", "-f", "{connection_file}"], "display_name": "Rust (Graft)", "metadata": {"graft": {"version": "0.1.0"}}}
    contents = {
        "bin/graft": "#!/bin/sh\n",
        "share/jupyter/kernels/graft/kernel.json": json.dumps(spec),
        "share/graft/templates/abc/template.json": "{}",
        "share/graft/templates/abc/lib/libgraft.so": "library",
        "share/graft/templates/abc/lib/libstd-1.so": "library",
        "share/graft/templates/abc/lib/deps/liba-1.rlib": "metadata",
        "share/graft/templates/abc/lib/deps/libz-1.rlib": "metadata",
        "share/graft/templates/lock": "",
        "share/graft/templates/abc/session/Cargo.toml": "",
        "share/graft/templates/abc/sources/Cargo.toml": "",
        "share/graft/templates/abc/sources/crates/graft-models/assets/tiny/config.json": "{}",
        "share/graft/templates/abc/analysis/x/src/target/mod.rs": "",
        "share/graft/templates/target/debug/x": "x",
        "share/graft/templates/interrupted/lib/libgraft.so": "lib",
    }
    for name, content in contents.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    command = [sys.executable, PACK, ROOT, prefix, output, part, "manylinux_2_34_x86_64", "1700000000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


@pytest.mark.parametrize("part", FILES)
def test_the_same_input_gives_the_same_bytes(tmp_path, part):
    one, two = (pack(tmp_path / name / "prefix", tmp_path / name / "wheels", part) for name in ["one", "two"])
    assert one.name == two.name and one.read_bytes() == two.read_bytes()


def test_each_file_is_in_one_wheel_and_the_wheels_are_pinned_to_each_other(tmp_path):
    kernel, rust, crates = (zipfile.ZipFile(pack(tmp_path / "prefix", tmp_path / "wheels", part)) for part in FILES)

    def installed(wheel):
        return {name.split(".data/", 1)[1] for name in wheel.namelist() if ".data/" in name}

    def metadata(wheel):
        return wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()

    library = "data/share/graft/templates/abc"
    assert installed(rust) == {f"{library}/lib/deps/liba-1.rlib", f"{library}/analysis/x/src/target/mod.rs", "data/share/graft/rust-installed-by-pip"}
    assert installed(crates) == {f"{library}/lib/deps/libz-1.rlib", "data/share/graft/rust-crates-installed-by-pip"}
    assert installed(kernel) == {
        "scripts/graft",
        "data/share/jupyter/kernels/graft/kernel.json",
        "data/share/graft/installed-by-pip",
        *(f"{library}/{name}" for name in ["template.json", "lib/libgraft.so", "lib/libstd-1.so", "session/Cargo.toml", "sources/crates/graft-models/assets/tiny/config.json"]),
    }
    version = re.search(r"^Version: (.+)$", metadata(kernel), re.M).group(1)
    assert f'Requires-Dist: graft-kernel-rust=={version}; extra == "rust"\n' in metadata(kernel)
    assert f"Requires-Dist: graft-kernel=={version}\nRequires-Dist: graft-kernel-rust-crates=={version}\n" in metadata(rust)
    assert f"Requires-Dist: graft-kernel=={version}\n" in metadata(crates)
    spec = json.loads(kernel.read(next(name for name in kernel.namelist() if name.endswith("kernel.json"))))
    assert spec["argv"][0].startswith("{resource_dir}/") and spec["metadata"]["graft"]["installer"] == "pip"


def test_after_a_full_disk_in_pip_the_line_of_the_guide_works(wheels, tmp_path):
    """pip keeps its entry of a wheel that it could not write as a whole; `--force-reinstall` completes it."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(tiny)], capture_output=True).returncode != 0:
        print("no permission to mount: the full disk is not tried")
        return
    try:
        environment = new_environment(tiny / "venv")
        failed = pip(environment, "install", "--no-deps", wheels["kernel"], check=False)
        assert failed.returncode != 0 and "No space left on device" in failed.stdout + failed.stderr, failed
        subprocess.run(["mount", "-o", "remount,size=2g", str(tiny)], check=True)
        pip(environment, "install", "--force-reinstall", "--no-deps", wheels["kernel"])
        with Places() as places:
            assert "tiny" in execute(environment, ["%model load tiny", "%status"], without_rust(places, environment))[1]
    finally:
        subprocess.run(["umount", "-l", str(tiny)], check=True)
