//! What every view needs: what the page knows, the engine's worker, and what the browser keeps.

use js_sys::{Array, Function, Object};
use wasm_bindgen::prelude::*;

use super::recorded::{self, Inbox};
use super::session_store::Storage;
use super::sweep_workers::Workers;
use super::{address, animation_frames, dom, notices, presentation, tour};
use crate::engine::protocol::{Command, Event, Failure, JobNews as Word, JobReport, Report};
use crate::engine::session::unusable;
use crate::engine::settings::Settings;
use crate::engine::worker::wire;
use crate::page::model::announcer::Announcer;
use crate::page::model::background_throttling::Pace;
use crate::page::model::change::Change;
use crate::page::model::presentation::Presentation;
use crate::page::model::saved_session::{Job, News, StorageTask};
use crate::page::model::state::State;
use crate::page::model::sweep_workers::SweepWorkers;
use klimb_text::Message;
use klimb_text::words::{self, key};

/// What follows where a worker has ended that had an engine.
const BUILT_AGAIN: &str = key("It is built again as it was at its last point. Press Play to go on.");

/// What the views share.
pub struct Page {
    pub(super) state: State,
    /// What gets the focus as soon as it is drawn.
    pub(super) focus_when_drawn: Option<&'static str>,
    /// Whether single keys are obeyed.
    pub(super) single_keys: bool,
    pace: Pace,
    is_hidden: bool,
    announcer: Announcer,
    post: Function,
    /// Recorded files as they arrive.
    inbox: Inbox,
    has_asked_for_recorded: bool,
    storage: Storage,
    /// Whether the worker has an engine.
    pub(super) is_engine_there: bool,
    pub(super) sweep_workers: SweepWorkers,
    pub(super) workers: Workers,
    /// Whether the address asks for settings of a while, and not for the person's own.
    is_address_temporary: bool,
}

impl Page {
    /// A page with the settings of the address; see [`super::App::new`]. `is_anew` says that one before it broke down.
    pub fn new(post: Function, spawn: Function, wake: Function, words: &Object, is_anew: bool) -> Self {
        tell_panics();
        animation_frames::ask_by(wake);
        words::speak(Object::entries(words).iter().filter_map(text_of_entry).collect());
        let (presentation, problems, rest) = Presentation::from_query(&address::query());
        let (settings, errors) = Settings::from_parts(&rest);
        let (own, clinic) = address::restore_temporary_settings().reloaded(settings);
        let mut state = if is_anew { State::anew(own) } else { State::new(own) };
        state.lesson.clinic = clinic;
        presentation::show(&presentation);
        state.lesson.presentation = presentation;
        address::blame(&mut state, &problems, &errors);
        Self {
            state,
            focus_when_drawn: None,
            single_keys: true,
            pace: Pace::default(),
            is_hidden: false,
            announcer: Announcer::default(),
            post,
            inbox: Inbox::default(),
            has_asked_for_recorded: false,
            storage: Storage::new(),
            is_engine_there: false,
            sweep_workers: SweepWorkers::default(),
            workers: Workers::new(spawn),
            is_address_temporary: own != settings && !is_anew,
        }
    }

    /// Lets the address ask for the person's own settings, and the links to other languages for the same.
    pub fn write_own_address(&mut self) {
        address::carry();
        if std::mem::take(&mut self.is_address_temporary) {
            address::write(&self.state);
        }
    }

    /// Says what the page before this one broke down over.
    pub fn tell_made_anew(&mut self, trouble: &str) {
        self.state.apply(made_anew(trouble));
    }

    /// Builds the engine, or asks the one that is there to tell everything once more.
    pub fn start(&mut self) {
        if self.state.awaits_report() {
            self.request(Command::Report);
        } else {
            self.restart();
        }
        self.storage.look();
    }

    /// Takes up a batch of the worker's events.
    pub fn receive(&mut self, message: JsValue) {
        let before = self.state.training.settings;
        match wire::decode::<Vec<Event>>(message) {
            Ok(events) => {
                for event in events {
                    if matches!(event, Event::Acknowledged(_)) {
                        // What was ordered may put the engine aside whose point is still to be kept.
                        self.write_now();
                    }
                    self.take(event);
                }
            }
            Err(error) => self.stopped(error.message(), None),
        }
        self.keep_workers_in_step();
        tour::watch(self);
        self.draw_pairs();
        if self.state.training.settings != before {
            // A choice was taken back: the address must not ask for it again.
            address::write(&self.state);
        }
        self.do_storage_tasks();
        self.ask_for_recorded();
    }

    /// The worker or one of its files is not there, or it has ended. Answers whether another worker is to be made, to which
    /// [`Page::rebuild`] then gives what was kept: one that never got as far as an engine would come no further again.
    /// What it said of that itself stands.
    pub fn broken(&mut self, reason: String) -> bool {
        let is_to_follow = std::mem::take(&mut self.is_engine_there);
        self.stopped(Message::named(reason), is_to_follow.then(|| Message::named(BUILT_AGAIN)));
        self.ask_for_recorded();
        is_to_follow
    }

    /// Another worker is there in the place of one that has died.
    pub fn rebuild(&mut self) {
        let command = self.state.rebuilt();
        self.request(command);
    }

    /// The tab was hidden, or came back into sight.
    pub fn turned(&mut self, hidden: bool) {
        let (now, steps) = (js_sys::Date::now() / 1000.0, self.state.training.steps);
        self.is_hidden = hidden;
        if hidden {
            // It may be the last that is heard of this page.
            self.write_now();
            self.pace.hide(now, steps);
        } else if let Some(share) = self.pace.show(now, steps).filter(|_| self.state.training.playing) {
            self.state.apply(Event::Failure(Failure {
                sentence: message!(
                    "While this tab was hidden, the browser slowed training to {} % of its pace.",
                    format!("{:.0}", 100.0 * share)
                ),
                remedy: message!("Keep the tab in sight for full speed; nothing was lost."),
                field: None,
                stopped: false,
            }));
        }
    }

    /// Takes up what has come from the browser since the last frame.
    pub fn take_news(&mut self) {
        for (recording, files) in self.inbox.take() {
            self.state.others.recorded.take(recording, files);
            self.state.mark(Change::Recorded);
        }
        for news in self.storage.take_news() {
            self.hear(news);
        }
        // An entry may have waited for the one before it.
        self.do_storage_tasks();
    }

    /// Tells what is to be told after a frame, and hands over what was made.
    pub fn tell_news(&mut self) {
        if let Some(told) = self.announcer.next(&self.state, js_sys::Date::now() / 1000.0) {
            dom::set_text("said", &told);
        }
        if let Some(export) = self.state.files.export.take() {
            notices::save(&export);
        }
        if let Some(failure) = notices::take_told() {
            self.state.apply(Event::Failure(failure));
        }
    }
}

impl Page {
    /// The engine has ended, or page and engine do not understand each other.
    fn stopped(&mut self, reason: Message, remedy: Option<Message>) {
        self.requeue_jobs();
        let told = self.state.failure.take().filter(|failure| failure.stopped);
        // A panic has told itself.
        let (own, told): (Option<Failure>, _) = match told {
            Some(it) if it.field.as_deref() == Some("engine") => (Some(it), None),
            other => (None, other),
        };
        let reload = message!("Reload the page; seed and settings are kept in the address.");
        let failure = match (own, told, remedy) {
            (Some(own), _, remedy) => Failure { remedy: remedy.unwrap_or(reload), ..own },
            // What was to follow has not come.
            (None, Some(told), None) if told.remedy == Message::named(BUILT_AGAIN) => {
                Failure { remedy: reload, ..told }
            }
            (None, Some(told), None) => told,
            (None, _, remedy) => Failure {
                sentence: message!("The engine stopped: {}.", reason.without_stop()),
                remedy: remedy.unwrap_or(reload),
                field: None,
                stopped: true,
            },
        };
        self.state.apply(Event::Failure(failure));
    }

    /// Asks for what was recorded once the engine is there, or will not be: until then all of the line is for the engine's
    /// files, of which a host that speaks HTTP/1.1 sends six at a time.
    fn ask_for_recorded(&mut self) {
        if (self.is_engine_there || self.state.has_not_started())
            && !std::mem::replace(&mut self.has_asked_for_recorded, true)
        {
            recorded::all(&self.inbox);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    fn take(&mut self, event: Event) {
        match event {
            Event::WorkerJob(_) if self.state.awaits_report() => {}
            Event::WorkerJob(job) => self.send_job(*job),
            // The sweep workers of this sweep are gone before another may begin.
            Event::Sweep(None) | Event::Ready(_) => {
                self.is_engine_there |= matches!(event, Event::Ready(_));
                self.state.apply(event);
                self.keep_workers_in_step();
            }
            Event::Report(report) => self.take_report(report),
            Event::Undone(_) | Event::NotBuilt(_) => {
                let is_unknown = matches!(event, Event::Undone(_)) && !self.state.knows_undone();
                self.is_engine_there &= event != Event::NotBuilt(None);
                self.state.apply(event);
                self.keep_workers_in_step();
                if is_unknown {
                    // This page was made anew meanwhile.
                    self.request(Command::Report);
                }
                if self.state.results.pair_names.await_settings() {
                    // What was ordered before this was known may carry what does not hold.
                    self.request(Command::Configure(self.state.training.settings));
                }
                self.request(Command::Focus(self.state.training.focused));
            }
            event => self.state.apply(event),
        }
    }

    /// The engine has told everything once more, or there is none.
    fn take_report(&mut self, report: Option<Box<Report>>) {
        let is_there = report.is_some();
        self.state.apply(Event::Report(report));
        self.is_engine_there = is_there;
        if !is_there {
            return self.restart();
        }
        // The page before this one ended the sweep workers.
        for run in self.state.sweep.runs_elsewhere() {
            self.request(Command::Adopt(JobReport { run, news: Word::Requeued }));
        }
        let (own, clinic) = address::restore_temporary_settings().reloaded(self.state.training.settings);
        self.state.lesson.clinic = clinic;
        if own != self.state.training.settings {
            self.request(Command::Configure(own));
        }
        address::write(&self.state);
    }

    /// Sends a command.
    pub(super) fn request(&mut self, command: Command) {
        if command == Command::Play {
            self.pace.begin(js_sys::Date::now() / 1000.0, self.state.training.steps);
        }
        if matches!(command, Command::Start(_) | Command::MoveTo(_) | Command::Resume(_)) {
            self.requeue_jobs();
        }
        let begins = matches!(command, Command::Start(_));
        let request = self.state.request(command);
        let sent = wire::encode(&request).map_err(|error| error.message()).and_then(|message| {
            self.post.call1(&JsValue::NULL, &message).map_err(|error| Message::verbatim(format!("{error:?}")))?;
            self.tell_sweep_workers(&request.command, &message);
            Ok(())
        });
        if let Err(reason) = sent {
            self.stopped(reason, None);
        } else if begins {
            // An engine begins with its own.
            self.request(Command::Focus(self.state.training.focused));
        }
    }

    /// Lets the browser do what is to be done about the kept run.
    pub(super) fn do_storage_tasks(&mut self) {
        // A page out of sight is given no frame in which to make an entry later.
        let is_to_wait = self.storage.is_saving() && !self.is_hidden;
        self.do_them(is_to_wait);
    }

    /// Makes an entry that waits for the one before it.
    fn write_now(&mut self) {
        self.do_them(false);
    }

    fn do_them(&mut self, is_to_wait: bool) {
        for task in std::mem::take(&mut self.state.keeping.storage_tasks) {
            match task {
                StorageTask::Write if is_to_wait => self.state.keeping.write(),
                StorageTask::Write => self.storage.save(|| self.state.entry(js_sys::Date::now())),
                StorageTask::Hold(visit) => self.storage.push(Job::Hold(visit)),
                StorageTask::Forget(saved) => self.storage.push(Job::Forget(saved)),
            }
        }
    }

    /// Takes up what the browser's store has to say.
    fn hear(&mut self, news: News) {
        if let Some(reason) = self.state.keeping.hear(news) {
            self.state.failure = Some(unusable(reason));
        }
        self.state.know_saved_run();
        self.do_storage_tasks();
        self.state.mark(Change::Notices);
    }

    /// Asks for the pairs that the annotator waits for, if labelling has begun.
    pub(super) fn draw_pairs(&mut self) {
        if self.state.training.ready.is_some()
            && self.state.annotator.has_begun()
            && let Some(command) = self.state.annotator.wanted()
        {
            self.request(command);
        }
    }

    /// Builds the engine again with the settings as they are.
    pub(super) fn restart(&mut self) {
        self.request(Command::Start(self.state.training.settings));
    }
}

/// What is said of a page that broke down, once another is in its place.
fn made_anew(trouble: &str) -> Event {
    Event::Failure(Failure {
        sentence: message!(
            "The page met a fault of its own and was made anew; training was not interrupted ({}).",
            trouble
        ),
        remedy: message!("Add runs from files and others’ receipts once more; what else there was is back."),
        field: None,
        stopped: false,
    })
}

/// A panic's message goes along as what is thrown, for `www/main.js` to tell.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| wasm_bindgen::throw_str(&panic.to_string())));
}

/// A text and what it is in the page's language.
fn text_of_entry(entry: JsValue) -> Option<(String, String)> {
    let entry: Array = entry.dyn_into().ok()?;
    Some((entry.get(0).as_string()?, entry.get(1).as_string()?))
}
