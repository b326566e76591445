//! The worker's loop: takes requests, drives the session a slice at a time, and posts events, at most one batch a frame.
//! Wasm alone, and thin: what training means is the session's business.
//!
//! Between two slices the loop returns to the browser's message queue, so that a request waits for one slice at most;
//! a slice awaits each submit before it sends the next, so at most one is in flight.

pub mod adapter;
mod machine;
mod shipped;
pub mod wire;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel};

use machine::Machine;

use super::protocol::{Command, Event, Failure, JobNews, JobReport, Request};
use klimb_text::Message;

/// Milliseconds between two batches of events: one frame of a 60 Hz screen.
const FRAME: f64 = 16.0;

/// What is called when a graphics device fails. It may not be the session's any more.
type DeviceWatch = Rc<dyn Fn()>;

/// The engine's end of the line.
#[wasm_bindgen]
pub struct Worker(Rc<EventLoop>);

struct EventLoop {
    requests: RefCell<VecDeque<Request>>,
    events: RefCell<Vec<Event>>,
    /// Whether the loop is on; it ends when there is nothing to do.
    running: Cell<bool>,
    /// When events were posted last, milliseconds.
    posted: Cell<f64>,
    /// Least milliseconds between two optimiser steps.
    pace: Cell<f64>,
    /// Whether a graphics device has told that it is lost, or refuses commands.
    has_device_failed: Cell<bool>,
    machine: RefCell<Machine>,
    yielding: MessageChannel,
}

#[wasm_bindgen]
impl Worker {
    /// A worker that has no engine yet. It must run in a dedicated worker, for it posts to whoever made that.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Result<Self, JsValue> {
        report_panics();
        Ok(Self(Rc::new(EventLoop {
            requests: RefCell::default(),
            events: RefCell::default(),
            running: Cell::new(false),
            posted: Cell::new(f64::NEG_INFINITY),
            pace: Cell::new(0.0),
            has_device_failed: Cell::new(false),
            machine: RefCell::default(),
            yielding: MessageChannel::new()?,
        })))
    }

    /// Takes up a request of the page. Returns at once; the loop obeys at the next slice boundary.
    pub fn receive(&self, message: JsValue) {
        match wire::decode::<Request>(message) {
            Ok(request) => self.0.requests.borrow_mut().push_back(request),
            Err(error) => self
                .0
                .events
                .borrow_mut()
                .push(Event::Failure(failure(message!("An order could not be read: {}.", error.message())))),
        }
        self.0.clone().wake();
    }
}

impl EventLoop {
    /// Begins the loop, unless it is on.
    fn wake(self: Rc<Self>) {
        if !self.running.replace(true) {
            spawn_local(async move { self.run().await });
        }
    }

    /// What notes that a device has failed, and lets the loop look at it, even where nothing trains.
    fn device_watch(self: &Rc<Self>) -> DeviceWatch {
        let line = self.clone();
        Rc::new(move || {
            line.has_device_failed.set(true);
            line.clone().wake();
        })
    }

    // Only the loop borrows the machine, and there is one loop: the borrow is never contended.
    #[allow(clippy::await_holding_refcell_ref)]
    async fn run(self: Rc<Self>) {
        let mut machine = self.machine.borrow_mut();
        let watch = self.device_watch();
        loop {
            while let Some(request) = self.next_request() {
                self.push(vec![Event::Acknowledged(request.id)]);
                if let Command::SetPace(pace) = request.command {
                    self.pace.set(pace.map_or(0.0, |steps_per_second| 1000.0 / steps_per_second));
                } else {
                    let events = machine.handle(request.command, &watch).await;
                    self.push(events);
                }
            }
            if self.has_device_failed.take() {
                let events = machine.look_at_device().await;
                self.push(events);
            }
            if machine.busy() {
                let began = now();
                let events = machine.advance().await;
                let steps = count_steps(&events);
                self.push(events);
                self.post_if(now() - self.posted.get() >= FRAME);
                let rest = self.pace.get() * steps as f64 - (now() - began);
                if rest > 0.0 { self.sleep(rest).await } else { self.give_way().await }
            } else {
                self.post_if(true);
                // A request may have come while the last one was handled; whoever sends the next finds the loop ended.
                if self.requests.borrow().is_empty() && !self.has_device_failed.get() {
                    self.running.set(false);
                    return;
                }
            }
        }
    }

    fn next_request(&self) -> Option<Request> {
        self.requests.borrow_mut().pop_front()
    }

    fn push(&self, events: Vec<Event>) {
        self.events.borrow_mut().extend(events);
    }

    fn post_if(&self, due: bool) {
        let events = if due { self.events.take() } else { return };
        if !events.is_empty() {
            self.posted.set(now());
            post(&events);
        }
    }

    /// Lets the browser deliver messages, without the four milliseconds a nested time-out costs.
    async fn give_way(&self) {
        let turn = Promise::new(&mut |resolve, _| {
            self.yielding.port1().set_onmessage(Some(&resolve));
            // A port of this worker's own channel takes any message.
            let _ = self.yielding.port2().post_message(&JsValue::NULL);
        });
        // The promise is never rejected.
        let _ = JsFuture::from(turn).await;
    }

    /// Waits, posting what there is: a slow pace must not hold back events. Long waits are cut so that requests are
    /// taken up in time.
    async fn sleep(&self, milliseconds: f64) {
        self.post_if(true);
        let until = now() + milliseconds;
        while now() < until && self.requests.borrow().is_empty() {
            pause((until - now()).clamp(0.0, 50.0) as i32).await;
        }
    }
}

/// Lets so many milliseconds pass.
async fn pause(milliseconds: i32) {
    let pause = Promise::new(&mut |resolve, _| {
        // Only a page being closed refuses a time-out, and then nothing is to be awaited.
        let _ = scope().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    });
    let _ = JsFuture::from(pause).await;
}

/// Optimiser steps among these events.
fn count_steps(events: &[Event]) -> usize {
    let of = |event: &Event| {
        if let Event::Metrics(_, rows) = event {
            rows.len()
        } else if let Event::JobReport(JobReport { news: JobNews::Steps(steps), .. }) = event {
            *steps
        } else {
            0
        }
    };
    events.iter().map(of).sum()
}

pub(super) fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Milliseconds since the worker began.
pub(super) fn now() -> f64 {
    scope().performance().map_or_else(js_sys::Date::now, |clock| clock.now())
}

fn post(events: &[Event]) {
    let message = wire::encode(&events).or_else(|error| {
        wire::encode(&[Event::Failure(failure(message!("A report could not be sent: {}.", error.message())))])
    });
    if let Ok(message) = message {
        // The page may be gone; then nobody is left to tell.
        let _ = scope().post_message(&message);
    }
}

fn failure(sentence: Message) -> Failure {
    Failure {
        sentence,
        remedy: message!("Reload the page; seed and settings are kept in the address."),
        field: None,
        stopped: true,
    }
}

/// A panic ends the engine; the page is told so in a sentence, and the console gets the whole of it.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&JsValue::from_str(&panic.to_string()));
        let sentence = message!("The engine met a fault of its own ({}).", panic.to_string());
        post(&[Event::Failure(Failure { field: Some("engine".into()), ..failure(sentence) })]);
    }));
}
