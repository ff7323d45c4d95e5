//! `graft doctor --gpu`: checks the GPU, its driver and the NVIDIA libraries through the driver
//! API.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::path::PathBuf;

use libloading::Library;

use super::{Finding, fail, ok};
use graft_prebuilt::{Dirs, Variant};

/// Library of the CUDA driver API.
const DRIVER: &str = "libcuda.so.1";

/// Version of CUDA that the prebuilt library uses, in the encoding of the driver.
const REQUIRED_CUDA: c_int = 13_000;

/// Libraries that candle opens in addition to the driver, and their packages on PyPI.
const LIBRARIES: [(&str, &str); 4] = [
    ("libcublas.so.13", "nvidia-cublas==13.*"),
    ("libcublasLt.so.13", "nvidia-cublas==13.*"),
    ("libcurand.so.10", "nvidia-curand==10.4.*"),
    ("libnvrtc.so.13", "nvidia-cuda-nvrtc==13.*"),
];

/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR` of cuda.h.
const CAPABILITY: [c_int; 2] = [75, 76];

/// Runs all GPU checks.
pub(super) fn findings() -> Vec<Finding> {
    let mut findings = match Driver::open() {
        Ok(driver) => driver.findings(),
        Err(reason) => {
            let fix = "install the NVIDIA driver 580 or newer (Ubuntu: sudo apt install nvidia-driver-580), or start the container with `--gpus all`";
            vec![fail("driver", format!("{reason}: {fix}"))]
        }
    };
    findings.push(libraries());
    findings.push(prebuilt_library());
    findings
}

/// Checks the CUDA libraries, in the folders that the prebuilt library searches.
fn libraries() -> Finding {
    let missing: Vec<_> = LIBRARIES.iter().filter(|(file, _)| !opens(file)).collect();
    let Some((_, package)) = missing.first() else {
        return ok("libraries", LIBRARIES.map(|(file, _)| file).join(", "));
    };
    let files = missing.iter().map(|(file, _)| *file).collect::<Vec<_>>().join(", ");
    let fix = "install the CUDA 13 toolkit (sudo apt install cuda-libraries-13-0)";
    fail(
        "libraries",
        format!(
            "{files} not found: {fix}, or run `pip install '{package}'` and add its `lib` folder to LD_LIBRARY_PATH"
        ),
    )
}

/// Whether a library can be opened, in the search path of the loader or in a CUDA toolkit.
fn opens(file: &str) -> bool {
    let named =
        ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let usual = ["/usr/local/cuda", "/opt/cuda", "/usr"].map(PathBuf::from);
    let folders = named.chain(usual).flat_map(|home| {
        ["lib64", "lib", "lib/x86_64-linux-gnu"].map(|under| home.join(under).join(file))
    });
    // SAFETY: NVIDIA's libraries may be opened and closed at any time; none of their functions is
    // called.
    std::iter::once(PathBuf::from(file))
        .chain(folders)
        .any(|path| unsafe { Library::new(path) }.is_ok())
}

/// Checks for a prebuilt library with the `cuda` feature.
fn prebuilt_library() -> Finding {
    match graft_prebuilt::find_variant(&Dirs::user(), Variant::Cuda) {
        Some(library) => ok("prebuilt library", library.layout.root().display().to_string()),
        None => fail(
            "prebuilt library",
            "not built for CUDA: run `cargo xtask cuda-build`, then start the kernel that it installs",
        ),
    }
}

/// The open driver library.
struct Driver {
    library: Library,
}

impl Driver {
    /// Opens the library; the error is a message for the user.
    fn open() -> Result<Self, String> {
        // SAFETY: the initializers of the driver may be run by any program.
        unsafe { Library::new(DRIVER) }
            .map(|library| Self { library })
            .map_err(|_| format!("{DRIVER} is not on this machine"))
    }

    fn findings(&self) -> Vec<Finding> {
        let mut version = 0;
        // SAFETY: `CUresult cuDriverGetVersion(int *)`; works before cuInit.
        let status = unsafe {
            self.call::<unsafe extern "C" fn(*mut c_int) -> c_int>(c"cuDriverGetVersion")
                .map(|function| function(&raw mut version))
        };
        let mut findings = vec![driver_finding(status == Some(0), version)];
        // SAFETY: `CUresult cuInit(unsigned)`.
        let status = unsafe {
            self.call::<unsafe extern "C" fn(c_uint) -> c_int>(c"cuInit")
                .map(|function| function(0))
        };
        match status {
            Some(0) => findings.extend(self.gpus()),
            other => findings.push(fail(
                "GPU",
                format!(
                    "the driver finds no GPU (status {}): make sure that `nvidia-smi` lists one",
                    other.unwrap_or(-1)
                ),
            )),
        }
        findings
    }

    /// One finding for each GPU.
    fn gpus(&self) -> Vec<Finding> {
        type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
        type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
        type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
        type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
        // SAFETY: the signatures are cuda.h's; a CUdevice is an int, and the pointers live for the
        // calls.
        unsafe {
            let functions = (
                self.call::<Count>(c"cuDeviceGetCount"),
                self.call::<Name>(c"cuDeviceGetName"),
                self.call::<Attribute>(c"cuDeviceGetAttribute"),
                self.call::<Memory>(c"cuDeviceTotalMem_v2"),
            );
            let (Some(count), Some(name), Some(attribute), Some(memory)) = functions else {
                return vec![fail(
                    "GPU",
                    "the driver is too old for CUDA 13: update it to 580 or newer",
                )];
            };
            let mut gpu_count = 0;
            if count(&raw mut gpu_count) != 0 || gpu_count == 0 {
                return vec![fail("GPU", "no GPU found: make sure that `nvidia-smi` lists one")];
            }
            let gpu = |device: c_int| {
                let mut text = [0 as c_char; 128];
                name(text.as_mut_ptr(), 128, device);
                let [major, minor] = CAPABILITY.map(|which| {
                    let mut value = 0;
                    attribute(&raw mut value, which, device);
                    value
                });
                let mut bytes = 0;
                memory(&raw mut bytes, device);
                let title = CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned();
                gpu_finding(&title, (major, minor), bytes)
            };
            (0..gpu_count).map(gpu).collect()
        }
    }

    /// Looks up a function of the driver; `None` if the driver is too old to have it.
    ///
    /// # Safety
    /// `T` must be the function's type.
    unsafe fn call<T: Copy>(&self, name: &CStr) -> Option<T> {
        // SAFETY: the caller guarantees the type.
        unsafe { self.library.get::<T>(name.to_bytes_with_nul()) }.ok().map(|symbol| *symbol)
    }
}

/// Checks the version of the driver.
fn driver_finding(is_known: bool, version: c_int) -> Finding {
    let format_version = |version: c_int| format!("{}.{}", version / 1000, version % 1000 / 10);
    if !is_known {
        fail(
            "driver",
            format!("{DRIVER} does not report its version: install the NVIDIA driver 580 or newer"),
        )
    } else if version < REQUIRED_CUDA {
        fail(
            "driver",
            format!(
                "supports CUDA up to {}, but Graft requires {}: update the driver to 580 or newer",
                format_version(version),
                format_version(REQUIRED_CUDA)
            ),
        )
    } else {
        ok("driver", format!("supports CUDA up to {}", format_version(version)))
    }
}

/// Describes a GPU and checks that CUDA 13 supports it.
fn gpu_finding(name: &str, (major, minor): (c_int, c_int), bytes: usize) -> Finding {
    let text = format!("{name}, compute capability {major}.{minor}, {:.1} GB", bytes as f64 / 1e9);
    match (major, minor) {
        it if it < (7, 5) => fail(
            "GPU",
            format!(
                "{text}: CUDA 13 requires compute capability 7.5 or newer; use the CPU build on this machine"
            ),
        ),
        it if it < (8, 0) => {
            ok("GPU", format!("{text} (no bf16: cargo xtask cuda-build --arch {major}{minor})"))
        }
        _ => ok("GPU", text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn old_drivers_and_gpus_are_reported_with_a_fix() {
        assert!(driver_finding(true, 13_000).status == Status::Ok);
        let old = driver_finding(true, 12_040);
        assert!(
            old.status == Status::Fail
                && old.text.contains("up to 12.4")
                && old.text.contains("580")
        );
        assert!(
            gpu_finding("NVIDIA GeForce GTX 1080", (6, 1), 8_500_000_000).status == Status::Fail
        );
        assert!(gpu_finding("Tesla T4", (7, 5), 16_000_000_000).text.contains("--arch 75"));
        assert_eq!(
            gpu_finding("NVIDIA RTX 4090", (8, 9), 24_000_000_000).text,
            "NVIDIA RTX 4090, compute capability 8.9, 24.0 GB"
        );
    }

    #[test]
    fn every_failed_check_names_a_fix() {
        for finding in findings() {
            assert!(
                finding.status == Status::Ok || finding.text.contains(':'),
                "{}: {}",
                finding.name,
                finding.text
            );
        }
    }
}
