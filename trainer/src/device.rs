//! Which device trains: `--device cpu|wgpu|cuda|auto`.

use std::fmt;

use burn::tensor::Device;

/// What the user asked for; by default, of every command, [`Auto`](Self::Auto).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The CPU (burn's flex backend): always there.
    Cpu,
    /// A GPU through wgpu (Vulkan, Metal, DX12); needs a build with the cargo feature `gpu`.
    Wgpu,
    /// An NVIDIA GPU through CUDA; needs a build with the cargo feature `cuda`.
    Cuda,
    /// A hardware GPU where this build and this machine have one, else the CPU.
    #[default]
    Auto,
}

/// A device that is there, with words for logs and result files.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// For tensors.
    pub device: Device,
    /// "cpu", "wgpu: NVIDIA H200 (Vulkan, discrete GPU)", …
    pub name: String,
    /// Why `auto` took this one, where that needs saying.
    pub note: Option<String>,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Not compiled in.
    #[error(
        "--device {device}: this ser-train was built without it; build with `cargo build --release --features ser-trainer/{feature}`, or use --device cpu"
    )]
    NotCompiled {
        /// "wgpu" or "cuda".
        device: &'static str,
        /// The cargo feature.
        feature: &'static str,
    },
    /// Compiled in, but the machine has none.
    #[error(
        "--device {device}: no usable device found ({reason}); check the driver, or use --device cpu"
    )]
    NotFound {
        /// "wgpu" or "cuda".
        device: &'static str,
        /// What the driver said.
        reason: String,
    },
}

/// The device that `choice` stands for on this machine.
///
/// # Errors
/// The device is not compiled in, or the machine has none. `cpu` and `auto` never fail.
pub fn choose(choice: DeviceChoice) -> Result<Chosen, DeviceError> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu(None)),
        DeviceChoice::Wgpu => wgpu(),
        DeviceChoice::Cuda => cuda(),
        DeviceChoice::Auto => Ok(auto()),
    }
}

fn cpu(note: Option<String>) -> Chosen {
    Chosen {
        device: Device::flex(),
        name: "cpu".into(),
        note,
    }
}

fn auto() -> Chosen {
    let mut reasons = Vec::new();
    for attempt in [cuda(), hardware_wgpu()] {
        match attempt {
            Ok(chosen) => return chosen,
            Err(e) => reasons.push(match e {
                DeviceError::NotCompiled { device, .. } => format!("{device} is not compiled in"),
                DeviceError::NotFound { device, reason } => format!("{device}: {reason}"),
            }),
        }
    }
    cpu(Some(format!("no GPU is used: {}", reasons.join("; "))))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Chosen, DeviceError> {
    Err(DeviceError::NotCompiled {
        device: "cuda",
        feature: "cuda",
    })
}

/// `Device::cuda` panics where the driver is missing, so the driver is asked first.
#[cfg(feature = "cuda")]
fn cuda() -> Result<Chosen, DeviceError> {
    use burn::tensor::DeviceType;
    match Device::enumerate(DeviceType::Cuda).into_iter().next() {
        Some(device) => Ok(Chosen {
            name: format!("cuda: {device:?}"),
            device,
            note: None,
        }),
        None => Err(DeviceError::NotFound {
            device: "cuda",
            reason: "the CUDA driver is missing or lists no device".into(),
        }),
    }
}

#[cfg(not(feature = "gpu"))]
fn wgpu() -> Result<Chosen, DeviceError> {
    Err(DeviceError::NotCompiled {
        device: "wgpu",
        feature: "gpu",
    })
}

#[cfg(not(feature = "gpu"))]
fn hardware_wgpu() -> Result<Chosen, DeviceError> {
    wgpu()
}

#[cfg(feature = "gpu")]
use on_wgpu::{hardware_wgpu, wgpu};

#[cfg(feature = "gpu")]
mod on_wgpu {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::OnceLock;
    use std::task::{Context, Poll, Waker};

    use burn::tensor::Device;
    use burn::tensor::wgpu::{MemoryConfiguration, wgpu as api};

    use super::{Chosen, DeviceError};

    /// burn's wgpu runtime can be initialised once in a process.
    static DEVICE: OnceLock<Result<Chosen, String>> = OnceLock::new();

    pub(super) fn wgpu() -> Result<Chosen, DeviceError> {
        DEVICE.get_or_init(initialise).clone().map_err(not_found)
    }

    pub(super) fn hardware_wgpu() -> Result<Chosen, DeviceError> {
        let info = adapter().map_err(not_found)?;
        if is_software(&info) {
            return Err(not_found(format!(
                "the only adapter is a software one, {} (--device wgpu would use it)",
                info.name
            )));
        }
        wgpu()
    }

    fn initialise() -> Result<Chosen, String> {
        let info = adapter()?;
        let mut options = Device::wgpu_options();
        if is_software(&info) {
            // Software drivers answer "out of memory" to the default policy's large pages.
            options = options.memory_config(MemoryConfiguration::ExclusivePages);
        }
        let (device, setup) = options.init_with_setup().map_err(|e| e.to_string())?;
        let info = setup.adapter.get_info();
        Ok(Chosen {
            device,
            name: format!(
                "wgpu: {} ({:?}, {:?})",
                info.name, info.backend, info.device_type
            ),
            note: is_software(&info).then(|| {
                "the adapter is a software one: right, but much slower than --device cpu".into()
            }),
        })
    }

    /// The adapter that burn will pick: the first high-performance one.
    fn adapter() -> Result<api::AdapterInfo, String> {
        let instance = api::Instance::new(api::InstanceDescriptor::new_without_display_handle());
        let wanted = api::RequestAdapterOptions {
            power_preference: api::PowerPreference::HighPerformance,
            ..api::RequestAdapterOptions::default()
        };
        let request = pin!(instance.request_adapter(&wanted));
        // Off the web the answer is there at the first poll.
        match request.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(adapter)) => Ok(adapter.get_info()),
            Poll::Ready(Err(e)) => Err(format!("no adapter: {e}")),
            Poll::Pending => Err("the graphics API did not answer".into()),
        }
    }

    fn is_software(info: &api::AdapterInfo) -> bool {
        let name = info.name.to_lowercase();
        info.device_type == api::DeviceType::Cpu
            || ["llvmpipe", "lavapipe", "swiftshader"]
                .iter()
                .any(|s| name.contains(s))
    }

    fn not_found(reason: String) -> DeviceError {
        DeviceError::NotFound {
            device: "wgpu",
            reason,
        }
    }
}
