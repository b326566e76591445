//! Criterion, with what is common to every subject: a backend that is opened when it is needed, state that is made once,
//! and a clock that stops when the device has finished.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use klimb::backend::Kernels;

/// Kernels recorded before they are sent: enough that sending hardly counts, few enough for any driver.
const KERNELS_A_SUBMIT: u64 = 64;

/// A backend that is opened when the first selected subject needs it: what is not measured needs no adapter.
pub struct Machine<K> {
    name: &'static str,
    open: fn() -> K,
    opened: Option<K>,
}

impl<K> Machine<K> {
    pub fn new(name: &'static str, open: fn() -> K) -> Self {
        Self { name, open, opened: None }
    }

    pub fn opened(&self) -> Option<&K> {
        self.opened.as_ref()
    }

    fn get(&mut self) -> &mut K {
        self.opened.get_or_insert_with(self.open)
    }
}

/// What is measured: its name, its size's name and the operations of its matrix products, if it has any to speak of.
#[derive(Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    pub size: &'static str,
    pub flop: Option<u64>,
}

/// A subject that was measured, and where Criterion left the numbers.
pub struct Measured {
    pub subject: Subject,
    pub backend: &'static str,
    pub folder: PathBuf,
}

pub struct Harness {
    criterion: Criterion,
    folder: PathBuf,
    measured: Vec<Measured>,
}

impl Harness {
    pub fn new() -> Self {
        let folder =
            std::env::var_os("CRITERION_HOME").map_or_else(|| PathBuf::from("target/criterion"), PathBuf::from);
        // Short by default: the numbers are for comparing backends and builds, not for the last percent.
        let criterion = Criterion::default()
            .output_directory(&folder)
            .sample_size(10)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .configure_from_args();
        Self { criterion, folder, measured: Vec::new() }
    }

    /// Measures `step`, which leaves nothing unfinished when it returns.
    pub fn step<K: Kernels, S>(
        &mut self,
        machine: &mut Machine<K>,
        subject: Subject,
        make: impl Fn(&mut K) -> S,
        mut step: impl FnMut(&mut K, &mut S),
    ) {
        self.measure(machine, subject, make, |k, state, times| (0..times).for_each(|_| step(k, state)));
    }

    /// Measures a kernel in long queues, so that a launch counts but no wait does.
    pub fn kernel<K: Kernels, S>(
        &mut self,
        machine: &mut Machine<K>,
        subject: Subject,
        make: impl Fn(&mut K) -> S,
        mut kernel: impl FnMut(&mut K, &mut S),
    ) {
        self.measure(machine, subject, make, |k, state, times| {
            for time in 1..=times {
                kernel(k, state);
                if time % KERNELS_A_SUBMIT == 0 {
                    k.submit();
                }
            }
            finish(k);
        });
    }

    fn measure<K: Kernels, S>(
        &mut self,
        machine: &mut Machine<K>,
        subject: Subject,
        make: impl Fn(&mut K) -> S,
        mut run: impl FnMut(&mut K, &mut S, u64),
    ) {
        let backend = machine.name;
        // Criterion calls the closure once a sample; what is made must outlive that.
        let mut made = None;
        let mut group = self.criterion.benchmark_group(subject.name);
        group.sampling_mode(SamplingMode::Flat);
        if let Some(flop) = subject.flop {
            group.throughput(Throughput::Elements(flop));
        }
        group.bench_function(BenchmarkId::new(subject.size, backend), |bencher| {
            let k = machine.get();
            let state = made.get_or_insert_with(|| warmed(k, &make, &mut run));
            bencher.iter_custom(|times| {
                let start = Instant::now();
                run(k, state, times);
                start.elapsed()
            });
        });
        group.finish();
        if made.take().is_some() {
            machine.get().forget();
            let folder = self.folder.join(subject.name).join(subject.size).join(backend).join("new");
            self.measured.push(Measured { subject, backend, folder });
        }
    }

    /// Everything that was selected.
    pub fn finish(self) -> Vec<Measured> {
        self.criterion.final_summary();
        self.measured
    }
}

/// The state after two runs: the first compiles shaders, the second still makes uniform blocks and bind groups.
fn warmed<K, S>(k: &mut K, make: impl Fn(&mut K) -> S, run: &mut impl FnMut(&mut K, &mut S, u64)) -> S {
    let mut state = make(k);
    run(k, &mut state, 2);
    state
}

/// Waits for the device.
pub fn finish<K: Kernels>(k: &mut K) {
    pollster::block_on(k.finished()).expect("the device works");
}
