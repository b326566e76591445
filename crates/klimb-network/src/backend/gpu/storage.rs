//! Making buffers on the device, and the way back from it.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;

use super::buffers::Stored;
use super::device::Failure;
use super::recorder::Recorder;
use crate::backend::BackendError;
use klimb_text::words::key;

/// Creates buffers and reads them back.
#[derive(Debug)]
pub struct Storage {
    device: wgpu::Device,
    next_id: u32,
    failure: Failure,
    /// Unmapped staging buffers that wait for the next read.
    staging: Rc<RefCell<Vec<wgpu::Buffer>>>,
    #[cfg(not(target_arch = "wasm32"))]
    poller: poller::Poller,
}

impl Storage {
    /// Storage on `device`.
    pub fn new(device: wgpu::Device, failure: Failure) -> Self {
        Self {
            #[cfg(not(target_arch = "wasm32"))]
            poller: poller::Poller::new(device.clone(), failure.clone()),
            device,
            next_id: 0,
            failure,
            staging: Rc::default(),
        }
    }

    /// A zeroed buffer of `len` elements, with room to the next multiple of four: shaders may see it as vectors of four.
    pub fn create(&mut self, recorder: &mut Recorder, label: &'static str, len: usize) -> Stored {
        recorder.counters.objects += 1;
        let id = self.next_id;
        self.next_id += 1;
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: 4 * len.max(1).next_multiple_of(4) as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Stored { buffer, id, len }
    }

    /// The elements of `range`, once everything recorded so far has run. Sends it.
    pub fn read<T: bytemuck::Pod>(
        &mut self,
        recorder: &mut Recorder,
        stored: &Stored,
        range: std::ops::Range<usize>,
    ) -> impl Future<Output = Result<Vec<T>, BackendError>> + 'static + use<T> {
        assert!(!range.is_empty() && range.end <= stored.len, "read of {range:?} from {} elements", stored.len);
        let bytes = 4 * range.len();
        let staging = self.staging_buffer(recorder, bytes);
        recorder.copy(&stored.buffer, 4 * range.start, &staging, bytes);
        recorder.submit();
        recorder.counters.readbacks += 1;

        let (sender, receiver) = oneshot::channel();
        // A dropped future no longer wants the answer.
        staging.slice(..bytes as u64).map_async(wgpu::MapMode::Read, move |result| drop(sender.send(result)));
        #[cfg(not(target_arch = "wasm32"))]
        self.poller.wake();
        let (failure, pool) = (self.failure.clone(), Rc::clone(&self.staging));
        async move {
            let result = receiver.await;
            if let Some(error) = failure.get() {
                return Err(error);
            }
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(BackendError::Readback(error.to_string())),
                Err(oneshot::Canceled) => return Err(BackendError::Readback(key("the device never answered").into())),
            }
            let view = staging
                .slice(..bytes as u64)
                .get_mapped_range()
                .map_err(|error| BackendError::Readback(error.to_string()))?;
            let values = bytemuck::pod_collect_to_vec(&view);
            drop(view);
            staging.unmap();
            pool.borrow_mut().push(staging);
            Ok(values)
        }
    }

    /// What the device has told of itself.
    pub fn failure(&self) -> Option<BackendError> {
        self.failure.get()
    }

    /// Resolves when the device tells that it is lost or refuses commands; see [`Failure::happened`].
    pub fn failed(&self) -> impl Future<Output = bool> + 'static + use<> {
        self.failure.happened()
    }

    /// Resolves when everything recorded so far has run. Sends it.
    pub fn finished(
        &mut self,
        recorder: &mut Recorder,
    ) -> impl Future<Output = Result<(), BackendError>> + 'static + use<> {
        recorder.submit();
        let (sender, receiver) = oneshot::channel();
        recorder.queue().on_submitted_work_done(move || {
            // A dropped future no longer wants the answer.
            let _ = sender.send(());
        });
        #[cfg(not(target_arch = "wasm32"))]
        self.poller.wake();
        let failure = self.failure.clone();
        async move {
            let answer = receiver.await;
            match failure.get() {
                Some(error) => Err(error),
                None => answer.map_err(|_| BackendError::Readback(key("the device never answered").into())),
            }
        }
    }

    fn staging_buffer(&self, recorder: &mut Recorder, bytes: usize) -> wgpu::Buffer {
        let size = bytes.next_power_of_two().max(1024) as u64;
        let mut pool = self.staging.borrow_mut();
        if let Some(i) = pool.iter().position(|buffer| buffer.size() == size) {
            return pool.swap_remove(i);
        }
        recorder.counters.objects += 1;
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }
}

/// Natively nothing happens unless someone waits for the device: a thread does, so that a read never blocks whoever
/// awaits it. In a browser, the browser does.
#[cfg(not(target_arch = "wasm32"))]
mod poller {
    use std::sync::mpsc;
    use std::thread::{self, JoinHandle};

    use super::Failure;
    use crate::backend::BackendError;

    /// Ends with the storage that owns it.
    #[derive(Debug)]
    pub struct Poller {
        /// `None` only while it is dropped, which is what ends the thread.
        waits: Option<mpsc::Sender<()>>,
        thread: Option<JoinHandle<()>>,
    }

    impl Poller {
        pub fn new(device: wgpu::Device, failure: Failure) -> Self {
            let (sender, receiver) = mpsc::channel();
            let thread = thread::spawn(move || {
                while receiver.recv().is_ok() {
                    if let Err(error) = device.poll(wgpu::PollType::wait_indefinitely()) {
                        failure.set(BackendError::Readback(error.to_string()));
                    }
                }
            });
            Self { waits: Some(sender), thread: Some(thread) }
        }

        /// Waits, on the thread, for everything sent so far.
        pub fn wake(&self) {
            // The thread outlives the sender, so that sending cannot fail unless polling panicked.
            self.waits.as_ref().and_then(|waits| waits.send(()).ok()).expect("the polling thread runs");
        }
    }

    /// A thread that held the device's last handle while the process ends would take the driver apart beneath it.
    impl Drop for Poller {
        fn drop(&mut self) {
            drop(self.waits.take());
            if let Some(thread) = self.thread.take() {
                // It panicked only if polling did, and whoever waited was told.
                let _ = thread.join();
            }
        }
    }
}
