//! Opening a graphics device, knowing what it is, and noticing when it is gone.

#[cfg(not(target_arch = "wasm32"))]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;

use crate::backend::BackendError;

/// Which adapter to ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preference {
    /// Ask for the software adapter, even where there is a real one.
    pub force_fallback: bool,
    /// Natively, take the first adapter whose name or driver contains this, in any case. Without it, the environment
    /// variable `KLIMB_ADAPTER` says the same. A browser offers no choice.
    pub name: Option<String>,
    /// Whether whoever asks knows that a processor plays the adapter. A browser may tell that in words that `wgpu` does
    /// not pass on.
    pub known_software: bool,
    /// Treat the adapter as a graphics card, even where a processor plays one: its shaders' constants and its way of
    /// writing. The tests want both.
    pub as_card: bool,
}

/// What the person is told about the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// The adapter's name, such as `llvmpipe`; a browser may leave it empty.
    pub name: String,
    /// Vulkan, Metal, DirectX 12 or WebGPU.
    pub backend: String,
    /// The driver and its version, if known.
    pub driver: String,
    /// Discrete, integrated, virtual, CPU or other.
    pub device_type: String,
    /// Whether a processor plays the graphics card. The CPU backend is faster then.
    pub is_software: bool,
}

impl Adapter {
    fn new(info: &wgpu::AdapterInfo) -> Self {
        let words = format!("{} {} {}", info.name, info.driver, info.driver_info);
        Self {
            name: info.name.clone(),
            backend: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            device_type: format!("{:?}", info.device_type),
            is_software: info.device_type == wgpu::DeviceType::Cpu || is_software(&words),
        }
    }
}

/// Whether an adapter's own words name a driver that plays a graphics card on the processor.
pub fn is_software(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["llvmpipe", "lavapipe", "swiftshader", "basic render", "software"].iter().any(|name| words.contains(name))
}

/// The first thing that went wrong outside a call's answer; every later read returns it.
#[derive(Debug, Clone, Default)]
pub struct Failure(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    error: Option<BackendError>,
    /// Who waits for the first error.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Failure {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first error, and tells it to whoever waits for one.
    pub fn set(&self, error: BackendError) {
        let mut known = self.known();
        known.error.get_or_insert(error);
        for waiting in known.waiting.drain(..) {
            // A dropped future no longer wants the answer.
            let _ = waiting.send(());
        }
    }

    /// The first error, if any.
    pub fn get(&self) -> Option<BackendError> {
        self.known().error.clone()
    }

    /// Resolves when there is a first error: to true, or to false if no error can come any more, since the device is gone.
    pub fn happened(&self) -> impl Future<Output = bool> + 'static + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut known = self.known();
        if known.error.is_some() {
            // Its receiver is at hand.
            let _ = sender.send(());
        } else {
            known.waiting.push(sender);
        }
        async move { receiver.await.is_ok() }
    }
}

/// A device that was opened.
pub struct Opened {
    pub device: wgpu::Device,
    /// Where its commands go.
    pub queue: wgpu::Queue,
    /// What it runs on.
    pub adapter: Adapter,
    /// Who will know if it fails.
    pub failure: Failure,
}

/// A device with WebGPU's default limits.
///
/// # Errors
/// `NoAdapter` if nothing suits the preference, `NoDevice` if the adapter refuses.
pub async fn open(preference: &Preference) -> Result<Opened, BackendError> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    #[cfg(not(target_arch = "wasm32"))]
    keep_driver(&instance);
    let adapter = find_adapter(&instance, preference).await?;
    let mut adapter_info = Adapter::new(&adapter.get_info());
    adapter_info.is_software |= preference.known_software;
    let descriptor = wgpu::DeviceDescriptor { required_limits: wgpu::Limits::default(), ..Default::default() };
    let (device, queue) = adapter
        .request_device(&descriptor)
        .await
        .map_err(|error| BackendError::NoDevice { adapter: adapter_info.name.clone(), reason: error.to_string() })?;

    let failure = Failure::default();
    let on_loss = failure.clone();
    device.set_device_lost_callback(move |reason, message| {
        on_loss.set(BackendError::DeviceLost(format!("{reason:?}: {message}")));
    });
    let on_error = failure.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        on_error.set(BackendError::Refused(error.to_string()));
    }));
    Ok(Opened { device, queue, adapter: adapter_info, failure })
}

/// Keeps the driver loaded for as long as the process lives. It would be unloaded with the last instance, and a thread that
/// had opened a device would find NVIDIA's clean-up gone when it ends.
#[cfg(not(target_arch = "wasm32"))]
fn keep_driver(instance: &wgpu::Instance) {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| instance.clone());
}

async fn find_adapter(instance: &wgpu::Instance, preference: &Preference) -> Result<wgpu::Adapter, BackendError> {
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(wanted) = preference.name.clone().or_else(|| std::env::var("KLIMB_ADAPTER").ok()) {
        let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
        let has_wanted_name = |adapter: &wgpu::Adapter| {
            let info = adapter.get_info();
            format!("{} {}", info.name, info.driver).to_lowercase().contains(&wanted.to_lowercase())
        };
        let found = adapters.into_iter().find(has_wanted_name);
        return found.ok_or_else(|| BackendError::NoAdapter(format!("none of {names:?} contains {wanted:?}")));
    }
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        force_fallback_adapter: preference.force_fallback,
        ..Default::default()
    };
    instance.request_adapter(&options).await.map_err(|error| BackendError::NoAdapter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn answer(happened: impl Future<Output = bool>) -> Poll<bool> {
        pin!(happened).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn whoever_waits_for_a_failure_is_told_of_the_first() {
        let failure = Failure::default();
        assert_eq!(answer(failure.happened()), Poll::Pending);
        let happened = failure.happened();
        failure.set(BackendError::DeviceLost("destroyed".into()));
        failure.set(BackendError::Refused("a command".into()));
        assert_eq!(answer(happened), Poll::Ready(true));
        assert_eq!(answer(failure.happened()), Poll::Ready(true), "one that asks later is told at once");
        assert!(matches!(failure.get(), Some(BackendError::DeviceLost(_))));
    }

    #[test]
    fn whoever_waits_is_released_with_the_device() {
        let failure = Failure::default();
        let happened = failure.happened();
        drop(failure);
        assert_eq!(answer(happened), Poll::Ready(false));
    }
}
