//! What the tests need beyond a Rust toolchain: ONNX Runtime, the `onnx` checker and libsndfile from PyPI,
//! a software Vulkan driver and espeak-ng from Debian. Everything from PyPI goes into `.cache/venv`.

use crate::shell::{Result, available, capture, root, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Versions known to work together; the tests say which they ran with.
const PYTHON_PACKAGES: [&str; 5] = ["onnx", "onnxruntime", "numpy", "pyarrow", "soundfile"];

/// Speaks the voices of tests and examples.
pub const ESPEAK: (&str, &str) = ("espeak-ng", "/usr/bin/espeak-ng");

const DEBIAN_PACKAGES: [(&str, &str); 2] = [ESPEAK, ("mesa-vulkan-drivers", LAVAPIPE)];

const LAVAPIPE: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

/// Where the installed tools are.
pub struct Tools {
    /// Python with `onnx`, `onnxruntime`, `numpy`, `pyarrow`, `soundfile`.
    pub python: PathBuf,
    /// ONNX Runtime's shared library, for `ORT_DYLIB_PATH`.
    pub onnx_runtime: PathBuf,
    /// The software Vulkan driver's manifest, for `VK_ICD_FILENAMES`.
    pub vulkan_driver: Option<PathBuf>,
}

impl Tools {
    /// Tells a child process where the tools are.
    pub fn apply(&self, command: &mut Command) {
        command
            .env("SER_PYTHON", &self.python)
            .env("ORT_DYLIB_PATH", &self.onnx_runtime);
        if let Some(driver) = &self.vulkan_driver {
            command.env("VK_ICD_FILENAMES", driver);
        }
    }
}

/// Installs all that the tests need.
pub fn test_tools() -> Result<Tools> {
    debian_packages(&DEBIAN_PACKAGES)?;
    let python = virtual_environment(&PYTHON_PACKAGES)?;
    Ok(Tools {
        onnx_runtime: onnx_runtime(&python)?,
        python,
        vulkan_driver: Path::new(LAVAPIPE).exists().then(|| LAVAPIPE.into()),
    })
}

/// ONNX Runtime alone, for the demo.
pub fn onnx_runtime_only() -> Result<PathBuf> {
    let python = virtual_environment(&["onnxruntime"])?;
    onnx_runtime(&python)
}

/// Installs the packages whose file is not there.
pub fn debian_packages(packages: &[(&'static str, &str)]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install by hand: {}", missing.join(" "));
    if !available("apt-get", &["--version"]) {
        return Err(format!("no apt-get on this machine; {by_hand}"));
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments);
        command
    };
    run(&mut apt(&["update", "-qq"])).map_err(|e| format!("{e}; {by_hand}"))?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    run(&mut apt(&arguments)).map_err(|e| format!("{e} (root needed); {by_hand}"))
}

fn virtual_environment(packages: &[&str]) -> Result<PathBuf> {
    let folder = root().join(".cache/venv");
    let python = folder.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).map_err(|e| {
            format!("{e}; a Python 3 with venv is needed (Debian: apt-get install python3-venv)")
        })?;
    }
    let imports = format!("import {}", packages.join(", "));
    if !available(&python.to_string_lossy(), &["-c", &imports]) {
        run(Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(packages))?;
    }
    Ok(python)
}

fn onnx_runtime(python: &Path) -> Result<PathBuf> {
    let script = "import glob, os, onnxruntime; \
        print(sorted(glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi', 'libonnxruntime.*')))[-1])";
    let path = capture(Command::new(python).args(["-c", script]), false)
        .map_err(|e| format!("{e}: the onnxruntime wheel holds no libonnxruntime"))?;
    Ok(PathBuf::from(path.trim()))
}
