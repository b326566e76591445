//! The browser's side of the sweep workers. `www/main.js` makes them and passes on what they tell; from here they are told what
//! is to be done.

use std::collections::BTreeMap;

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::Worker;

use super::{Page, dom};
use crate::engine::protocol::{Command, Event, Request, WorkerJob};
use crate::engine::worker::wire;
use crate::page::model::state::State;
use crate::page::model::sweep_workers::{Task, helpful};

/// The workers there are, by the numbers of their sweep workers.
pub struct Workers {
    /// Makes a worker of this number.
    make: Function,
    workers: BTreeMap<u32, Worker>,
}

impl Workers {
    /// No worker yet.
    pub fn new(make: Function) -> Self {
        Self { make, workers: BTreeMap::default() }
    }

    /// Makes a worker; answers whether it could be made.
    fn spawn(&mut self, number: u32) -> bool {
        let made = self.make.call1(&JsValue::NULL, &number.into());
        made.is_ok_and(|worker| {
            self.workers.insert(number, worker.unchecked_into());
            true
        })
    }

    /// Sends a worker a command; answers whether that could be done.
    fn tell(&self, number: u32, command: Command) -> bool {
        let request = wire::encode(&Request { id: 0, command });
        let worker = self.workers.get(&number);
        worker.zip(request.ok()).is_some_and(|(worker, request)| worker.post_message(&request).is_ok())
    }
}

/// How many sweep workers would help with so many runs in this browser.
pub fn available(state: &State, runs: usize) -> usize {
    let navigator = dom::window().navigator();
    let gigabytes = Reflect::get(&navigator, &"deviceMemory".into()).ok().and_then(|it| it.as_f64());
    let badge = state.training.ready.as_ref().map(|ready| &ready.backend);
    helpful(badge, runs, navigator.hardware_concurrency(), gigabytes)
}

impl Page {
    /// A sweep worker tells something.
    pub fn heard(&mut self, number: u32, message: JsValue) {
        let Ok(events) = wire::decode::<Vec<Event>>(message) else { return self.lost(number) };
        for event in events {
            let tasks = self.sweep_workers.hear(number, event);
            self.carry_out(tasks);
        }
    }

    /// A sweep worker has ended, or could not begin.
    pub fn lost(&mut self, number: u32) {
        let tasks = self.sweep_workers.lose(number);
        self.carry_out(tasks);
    }
}

impl Page {
    /// Lets a sweep worker make a run.
    pub(super) fn send_job(&mut self, job: WorkerJob) {
        self.keep_workers_in_step();
        let tasks = self.sweep_workers.send(job);
        self.carry_out(tasks);
    }

    /// What is ordered of the person's engine, as a message, is so of the sweep workers.
    pub(super) fn tell_sweep_workers(&mut self, command: &Command, request: &JsValue) {
        if self.sweep_workers.follow(command) {
            for worker in self.workers.workers.values() {
                // One that is gone says so itself.
                let _ = worker.post_message(request);
            }
        }
        self.keep_workers_in_step();
    }

    /// Sweep workers work while the sweep goes on, rest while it does, and are gone when it is over.
    pub(super) fn keep_workers_in_step(&mut self) {
        let State { sweep, training, .. } = &self.state;
        let goes_on = training.playing && sweep.stage == Some(training.focused);
        let tasks =
            if sweep.stage.is_some() { self.sweep_workers.play(goes_on) } else { self.sweep_workers.stop_all() };
        self.carry_out(tasks);
    }

    /// Ends the sweep workers, and gives their jobs back: should the sweep go on, the page's own engine makes these runs.
    pub(super) fn requeue_jobs(&mut self) {
        while let Some(number) = self.sweep_workers.first() {
            self.lost(number);
        }
    }

    fn carry_out(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            match task {
                Task::Spawn(number) => {
                    if !self.workers.spawn(number) {
                        self.lost(number);
                    }
                }
                Task::Tell(number, command) => {
                    if !self.workers.tell(number, command) {
                        self.lost(number);
                    }
                }
                Task::Stop(number) => {
                    if let Some(worker) = self.workers.workers.remove(&number) {
                        worker.terminate();
                    }
                }
                Task::Request(command) => self.request(command),
            }
        }
    }
}
