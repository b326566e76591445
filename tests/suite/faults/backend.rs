//! A backend that fails on purpose: the CPU's, which loses its device, cannot be read or writes what is no number at a place
//! that is told beforehand. Lost, it behaves as a graphics device does: what is recorded goes nowhere, nothing panics, and
//! every read answers with the first error.

use std::cell::RefCell;
use std::future::ready;
use std::ops::Range;
use std::rc::Rc;

use klimb::backend::cpu::Cpu;
use klimb::backend::kernels::{Kernel, Written};
use klimb::backend::*;
use klimb::model::ModelConfig;

/// What goes wrong, once. Places are counted from 0, from when the fault is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The device is gone from this kernel on.
    LostAtKernel(u64),
    /// The device is gone from this read on, as it is when nothing is recorded in between.
    LostAtRead(u64),
    /// This read alone cannot be answered.
    FailedRead(u64),
    /// The device refuses commands from this kernel on: it has run out of memory.
    RefusedAtKernel(u64),
    /// Every buffer of reals that this kernel writes is full of what is no number.
    NanFromKernel(u64),
    /// So is the second half of the values of this write from the host, coins left out: the host draws them between 0 and 1,
    /// and what is no number would be a draw like another.
    NanFromWrite(u64),
}

/// What happened since the fault was set.
#[derive(Debug, Default)]
pub struct Course {
    fault: Option<Fault>,
    kernels: u64,
    reads: u64,
    writes: u64,
    /// What every read answers from now on.
    error: Option<BackendError>,
    /// Whether the fault has come.
    pub has_come: bool,
}

/// The course of a backend, in the hands of its session and of whoever sets faults.
#[derive(Debug, Clone, Default)]
pub struct Faults(Rc<RefCell<Course>>);

impl Faults {
    /// Sets a fault; places are counted from here.
    pub fn set(&self, fault: Fault) {
        *self.0.borrow_mut() = Course { fault: Some(fault), ..Course::default() };
    }

    /// Sets none.
    pub fn none(&self) {
        *self.0.borrow_mut() = Course::default();
    }

    /// Whether the fault has come.
    pub fn have_come(&self) -> bool {
        self.0.borrow().has_come
    }

    /// The fault, if it comes at this place.
    fn at(&self, place: impl FnOnce(&mut Course) -> Option<Fault>) -> Option<Fault> {
        let mut course = self.0.borrow_mut();
        let fault = place(&mut course);
        let comes = fault.is_some() && fault == course.fault;
        course.has_come |= comes;
        fault.filter(|_| comes)
    }

    /// Counts a kernel. Answers whether it runs, and whether it writes what is no number.
    fn kernel(&self) -> (bool, bool) {
        let next = |course: &mut Course| {
            let at = course.kernels;
            course.kernels += 1;
            match course.fault? {
                Fault::LostAtKernel(_) => Some(Fault::LostAtKernel(at)),
                Fault::RefusedAtKernel(_) => Some(Fault::RefusedAtKernel(at)),
                Fault::NanFromKernel(_) => Some(Fault::NanFromKernel(at)),
                Fault::LostAtRead(_) | Fault::FailedRead(_) | Fault::NanFromWrite(_) => None,
            }
        };
        let fault = self.at(next);
        let error = match fault {
            Some(Fault::LostAtKernel(_)) => Some(BackendError::DeviceLost("Destroyed: by a test".into())),
            Some(Fault::RefusedAtKernel(_)) => Some(BackendError::Refused("Out of memory".into())),
            _ => None,
        };
        let mut course = self.0.borrow_mut();
        course.error = course.error.take().or(error);
        (course.error.is_none(), matches!(fault, Some(Fault::NanFromKernel(_))))
    }

    /// Counts a write. Answers whether it is of what is no number.
    fn write(&self) -> bool {
        let next = |course: &mut Course| {
            course.writes += 1;
            matches!(course.fault, Some(Fault::NanFromWrite(_))).then_some(Fault::NanFromWrite(course.writes - 1))
        };
        self.at(next).is_some()
    }

    /// Counts a read, or a wait. Answers with what it fails with.
    fn read(&self) -> Option<BackendError> {
        let next = |course: &mut Course| {
            course.reads += 1;
            match course.fault? {
                Fault::LostAtRead(_) => Some(Fault::LostAtRead(course.reads - 1)),
                Fault::FailedRead(_) => Some(Fault::FailedRead(course.reads - 1)),
                _ => None,
            }
        };
        let fault = self.at(next);
        let mut course = self.0.borrow_mut();
        if let Some(Fault::LostAtRead(_)) = fault {
            course.error = Some(BackendError::DeviceLost("Destroyed: by a test".into()));
        }
        let failed = matches!(fault, Some(Fault::FailedRead(_)));
        course.error.clone().or_else(|| failed.then(|| BackendError::Readback("by a test".into())))
    }
}

/// The CPU backend with faults.
#[derive(Debug, Default)]
pub struct Faulty {
    cpu: Cpu<f32>,
    faults: Faults,
    /// Whether it writes sequences in one kernel, as a graphics card does.
    pub writes_as_card: bool,
    /// Where buffers of coins lie.
    coins: Vec<*const f32>,
}

impl Faulty {
    /// A backend without a fault, and what sets one.
    pub fn new(writes_as_card: bool) -> (Self, Faults) {
        let faults = Faults::default();
        (Self { cpu: Cpu::new(), faults: faults.clone(), writes_as_card, coins: Vec::new() }, faults)
    }
}

type Floats = Vec<f32>;
type Integers = Vec<u32>;

impl Kernels for Faulty {
    type Real = f32;
    type Floats = Floats;
    type Integers = Integers;

    fn floats(&mut self, label: &'static str, len: usize) -> Floats {
        let buffer = self.cpu.floats(label, len);
        // Memory that a buffer of coins gave back may be this one's.
        self.coins.retain(|it| *it != buffer.as_ptr());
        if label == "coins" {
            self.coins.push(buffer.as_ptr());
        }
        buffer
    }

    fn integers(&mut self, label: &'static str, len: usize) -> Integers {
        self.cpu.integers(label, len)
    }

    fn write_floats(&mut self, buffer: &mut Floats, offset: usize, values: &[f32]) {
        self.cpu.write_floats(buffer, offset, values);
        if !self.coins.contains(&buffer.as_ptr()) && self.faults.write() {
            // The second half: in front stand a step's settings, behind them the numbers.
            buffer[offset + values.len() / 2..offset + values.len()].fill(f32::NAN);
        }
    }

    fn write_integers(&mut self, buffer: &mut Integers, offset: usize, values: &[u32]) {
        self.cpu.write_integers(buffer, offset, values);
    }

    fn submit(&mut self) {
        self.cpu.submit();
    }

    fn read_floats(
        &mut self,
        buffer: &Floats,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<f32>, BackendError>> + 'static + use<> {
        self.cpu.submit();
        ready(self.faults.read().map_or_else(|| Ok(buffer[range].to_vec()), Err))
    }

    fn read_integers(
        &mut self,
        buffer: &Integers,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Vec<u32>, BackendError>> + 'static + use<> {
        self.cpu.submit();
        ready(self.faults.read().map_or_else(|| Ok(buffer[range].to_vec()), Err))
    }

    fn finished(&mut self) -> impl Future<Output = Result<(), BackendError>> + 'static + use<> {
        self.cpu.submit();
        ready(self.faults.read().map_or(Ok(()), Err))
    }

    fn counters(&self) -> Counters {
        self.cpu.counters()
    }

    fn forget(&mut self) {
        self.cpu.forget();
    }

    fn generates(&self, _: &ModelConfig, _: usize) -> bool {
        self.writes_as_card
    }

    fn copy_floats(&mut self, source: &Floats, destination: &mut Floats) {
        let (runs, spoils) = self.faults.kernel();
        if runs {
            self.cpu.copy_floats(source, destination);
        }
        if spoils {
            destination.fill(f32::NAN);
        }
    }

    fn run<T: Kernel>(&mut self, mut call: T::On<'_, Self>) {
        let (runs, spoils) = self.faults.kernel();
        if runs {
            self.cpu.run::<T>(T::borrowed(&mut call));
        }
        if spoils {
            for Written { buffer, offset } in T::written(&mut call) {
                // Tokens stay what they are.
                if let Some(numbers) = buffer.downcast_mut::<Floats>() {
                    numbers[offset..].fill(f32::NAN);
                }
            }
        }
    }
}
