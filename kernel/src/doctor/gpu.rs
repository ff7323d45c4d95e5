//! `graft doctor --gpu`: the card, its driver and NVIDIA's libraries, asked through the driver itself.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::path::PathBuf;

use libloading::Library;

use super::{Finding, bad, good};
use graft_prebuilt::{Dirs, Variant};

/// The driver's interface of CUDA, as its library is called.
const DRIVER: &str = "libcuda.so.1";

/// The version of CUDA that the library for cells is made with, as the driver spells versions.
const WANTED: c_int = 13_000;

/// What candle opens beside the driver, and how its package is called on PyPI.
const LIBRARIES: [(&str, &str); 4] = [
    ("libcublas.so.13", "nvidia-cublas==13.*"),
    ("libcublasLt.so.13", "nvidia-cublas==13.*"),
    ("libcurand.so.10", "nvidia-curand==10.4.*"),
    ("libnvrtc.so.13", "nvidia-cuda-nvrtc==13.*"),
];

/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR` of cuda.h.
const CAPABILITY: [c_int; 2] = [75, 76];

/// Everything that a session on a card needs.
pub(super) fn findings() -> Vec<Finding> {
    let mut findings = match Driver::open() {
        Ok(driver) => driver.findings(),
        Err(reason) => {
            let fix = "install NVIDIA's driver 580 or newer (Ubuntu: sudo apt install nvidia-driver-580), or start the container with `--gpus all`";
            vec![bad("driver", format!("{reason}: {fix}"))]
        }
    };
    findings.push(libraries());
    findings.push(library_for_cells());
    findings
}

/// NVIDIA's own libraries, looked for where the library for cells looks.
fn libraries() -> Finding {
    let missing: Vec<_> = LIBRARIES.iter().filter(|(file, _)| !opens(file)).collect();
    let Some((_, package)) = missing.first() else {
        return good("libraries", LIBRARIES.map(|(file, _)| file).join(", "));
    };
    let files = missing.iter().map(|(file, _)| *file).collect::<Vec<_>>().join(", ");
    let fix = "install the CUDA 13 toolkit (sudo apt install cuda-libraries-13-0)";
    bad(
        "libraries",
        format!(
            "{files} not found: {fix}, or pip install '{package}' and put its folder `lib` into LD_LIBRARY_PATH"
        ),
    )
}

/// Whether a library can be opened by the loader's rules or in a toolkit.
fn opens(file: &str) -> bool {
    let named =
        ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let usual = ["/usr/local/cuda", "/opt/cuda", "/usr"].map(PathBuf::from);
    let folders = named.chain(usual).flat_map(|home| {
        ["lib64", "lib", "lib/x86_64-linux-gnu"].map(|under| home.join(under).join(file))
    });
    // SAFETY: NVIDIA's libraries may be opened and closed at any time; nothing of them is called.
    std::iter::once(PathBuf::from(file))
        .chain(folders)
        .any(|path| unsafe { Library::new(path) }.is_ok())
}

/// The template with the `cuda` feature.
fn library_for_cells() -> Finding {
    match graft_prebuilt::find_variant(&Dirs::user(), Variant::Cuda) {
        Some(template) => good("graft's library", template.layout.root().display().to_string()),
        None => bad(
            "graft's library",
            "not built for CUDA: cargo xtask cuda-build, then start the kernel that it installs",
        ),
    }
}

/// The driver's library.
struct Driver {
    library: Library,
}

impl Driver {
    /// Opens it; the reason is one for a reader.
    fn open() -> Result<Self, String> {
        // SAFETY: the driver's initialisers are meant to be run by any program.
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
            Some(0) => findings.extend(self.cards()),
            other => findings.push(bad(
                "card",
                format!(
                    "the driver finds none (status {}): `nvidia-smi` must list one first",
                    other.unwrap_or(-1)
                ),
            )),
        }
        findings
    }

    /// A finding for each card.
    fn cards(&self) -> Vec<Finding> {
        type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
        type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
        type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
        type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
        // SAFETY: the signatures are cuda.h's; a CUdevice is an int, and the pointers live for the calls.
        unsafe {
            let functions = (
                self.call::<Count>(c"cuDeviceGetCount"),
                self.call::<Name>(c"cuDeviceGetName"),
                self.call::<Attribute>(c"cuDeviceGetAttribute"),
                self.call::<Memory>(c"cuDeviceTotalMem_v2"),
            );
            let (Some(count), Some(name), Some(attribute), Some(memory)) = functions else {
                return vec![bad(
                    "card",
                    "the driver lacks what CUDA 13 has: update it to 580 or newer",
                )];
            };
            let mut cards = 0;
            if count(&raw mut cards) != 0 || cards == 0 {
                return vec![bad("card", "none: `nvidia-smi` must list one first")];
            }
            let card = |device: c_int| {
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
                card_finding(&title, (major, minor), bytes)
            };
            (0..cards).map(card).collect()
        }
    }

    /// A function of the driver; none where it is older.
    ///
    /// # Safety
    /// `T` must be the function's type.
    unsafe fn call<T: Copy>(&self, name: &CStr) -> Option<T> {
        // SAFETY: the caller names the right type.
        unsafe { self.library.get::<T>(name.to_bytes_with_nul()) }.ok().map(|symbol| *symbol)
    }
}

/// Whether the driver is new enough.
fn driver_finding(is_known: bool, version: c_int) -> Finding {
    let spoken = |version: c_int| format!("{}.{}", version / 1000, version % 1000 / 10);
    if !is_known {
        bad(
            "driver",
            format!("{DRIVER} does not say its version: install NVIDIA's driver 580 or newer"),
        )
    } else if version < WANTED {
        bad(
            "driver",
            format!(
                "runs CUDA up to {}, and Graft's library is made with {}: update the driver to 580 or newer",
                spoken(version),
                spoken(WANTED)
            ),
        )
    } else {
        good("driver", format!("runs CUDA up to {}", spoken(version)))
    }
}

/// A card with its capability and memory; what CUDA 13 no longer serves is said.
fn card_finding(name: &str, (major, minor): (c_int, c_int), bytes: usize) -> Finding {
    let text = format!("{name}, compute capability {major}.{minor}, {:.1} GB", bytes as f64 / 1e9);
    match (major, minor) {
        it if it < (7, 5) => bad(
            "card",
            format!(
                "{text}: CUDA 13 serves 7.5 and newer; this card can only be used with the CPU build"
            ),
        ),
        it if it < (8, 0) => {
            good("card", format!("{text} (no bf16: cargo xtask cuda-build --arch {major}{minor})"))
        }
        _ => good("card", text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn an_old_driver_or_card_is_named_with_what_to_do() {
        assert!(driver_finding(true, 13_000).state == State::Good);
        let old = driver_finding(true, 12_040);
        assert!(
            old.state == State::Bad && old.text.contains("up to 12.4") && old.text.contains("580")
        );
        assert!(card_finding("NVIDIA GeForce GTX 1080", (6, 1), 8_500_000_000).state == State::Bad);
        assert!(card_finding("Tesla T4", (7, 5), 16_000_000_000).text.contains("--arch 75"));
        assert_eq!(
            card_finding("NVIDIA RTX 4090", (8, 9), 24_000_000_000).text,
            "NVIDIA RTX 4090, compute capability 8.9, 24.0 GB"
        );
    }

    #[test]
    fn every_finding_that_is_bad_says_what_to_do() {
        for finding in findings() {
            assert!(
                finding.state == State::Good || finding.text.contains(':'),
                "{}: {}",
                finding.name,
                finding.text
            );
        }
    }
}
