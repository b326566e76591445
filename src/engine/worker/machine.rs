//! The session on the backend that suits this browser. Wasm alone.

use wasm_bindgen_futures::spawn_local;

use super::{DeviceWatch, adapter, shipped};
use crate::engine::protocol::{
    Adapter, BackendKind, Badge, Checkpoints, Command, Event, Failure, JobNews, JobReport, WorkerJob,
};
use crate::engine::session::{ModelKind, Session, Snapshot, SweepWorker, unusable};
use crate::engine::settings::{BackendChoice, Settings, WidthChoice};
use klimb_network::backend::BackendError;
use klimb_network::backend::either::{Either, EitherBackend};
use klimb_network::backend::kernels::{LEARNING, WRITING};
use klimb_text::Message;
use klimb_text::words::key;

/// Milliseconds after a failure in which a browser tells that the device is lost.
const TELLING: i32 = 200;

/// What the worker drives.
#[derive(Default)]
pub enum Machine {
    /// Nothing, as long as no command has come that builds an engine and could be obeyed.
    #[default]
    Nothing,
    /// A person's session.
    Session(Box<Session<EitherBackend>>),
    /// A session that makes runs for another.
    SweepWorker(Box<SweepWorker<EitherBackend>>),
}

impl Machine {
    /// Obeys a command, and moves to the CPU if the device is lost over it. `Start`, `Resume` and `MoveTo` build another
    /// session, and a refused one leaves the old as it was; `watch` is told when a device of theirs fails.
    pub async fn handle(&mut self, command: Command, watch: &DeviceWatch) -> Vec<Event> {
        let events = self.obey(command, watch).await;
        self.rescue(events).await
    }

    /// Moves to the CPU if the device has been lost meanwhile, with nothing asked of it.
    pub async fn look_at_device(&mut self) -> Vec<Event> {
        if let Self::Session(session) = self {
            session.look_for_loss();
        }
        self.rescue(Vec::new()).await
    }

    async fn obey(&mut self, command: Command, watch: &DeviceWatch) -> Vec<Event> {
        match (self, command) {
            (machine, Command::WorkerJob(job)) => machine.help(*job).await,
            (Self::SweepWorker(worker), command) => {
                worker.handle(command).await;
                Vec::new()
            }
            (machine, command) => machine.obey_person(command, watch).await,
        }
    }

    /// Begins a job, on the CPU as the engine that gave it.
    async fn help(&mut self, job: WorkerJob) -> Vec<Event> {
        if !matches!(self, Self::SweepWorker(_)) {
            match SweepWorker::new(cpu(), seconds, &job.kept) {
                Ok(worker) => *self = Self::SweepWorker(Box::new(worker)),
                Err(_) => return vec![Event::JobReport(JobReport { run: job.run, news: JobNews::Requeued })],
            }
        }
        let Self::SweepWorker(worker) = self else { return Vec::new() };
        worker.take(job).await
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    async fn obey_person(&mut self, command: Command, watch: &DeviceWatch) -> Vec<Event> {
        let begun = match &command {
            Command::Start(settings) => Some(built(*settings, Source::Models(self.models()), watch).await),
            Command::Resume(kept) => Some(match Snapshot::from_kept((**kept).clone()) {
                Ok(snapshot) => built(snapshot.settings(), Source::Kept(Box::new(snapshot)), watch).await,
                Err(failure) => Err(failure),
            }),
            Command::MoveTo(settings) => Some(match &*self {
                Self::Session(session) => {
                    let snapshot = session.moving_to(settings.backend);
                    built(snapshot.settings(), Source::Moving(Box::new(snapshot)), watch).await
                }
                Self::Nothing | Self::SweepWorker(_) => built(*settings, Source::Models(None), watch).await,
            }),
            _ => None,
        };
        match begun {
            Some(Ok(mut session)) => {
                let mut events = session.open().await;
                let former = std::mem::take(self);
                if let (Self::Session(former), Command::Start(_) | Command::MoveTo(_)) = (former, &command) {
                    events.extend(session.put_aside(*former));
                }
                *self = Self::Session(Box::new(session));
                events
            }
            Some(Err(failure)) => {
                let mut events = vec![Event::Failure(failure)];
                events.extend(match self {
                    Self::Session(session) => session.stay(),
                    Self::Nothing | Self::SweepWorker(_) => vec![Event::NotBuilt(None)],
                });
                events
            }
            None => match self {
                Self::Session(session) => session.handle(command).await,
                Self::Nothing | Self::SweepWorker(_) => match command {
                    Command::Report => vec![Event::Report(None)],
                    Command::LoadCheckpoint(_) => vec![Event::Failure(no_engine("checkpoint"))],
                    Command::LoadPreferences(_) => vec![Event::Failure(no_engine("preferences"))],
                    // The page offers nothing else before there is an engine.
                    _ => Vec::new(),
                },
            },
        }
    }

    /// Does one slice of work, and moves to the CPU if the device is lost over it.
    pub async fn advance(&mut self) -> Vec<Event> {
        let events = match self {
            Self::Session(session) => session.advance().await,
            Self::SweepWorker(worker) => worker.advance().await,
            Self::Nothing => Vec::new(),
        };
        self.rescue(events).await
    }

    /// If the device is lost, goes on from the last point on the CPU, and says so instead of what the device said.
    async fn rescue(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        let Self::Session(session) = self else { return events };
        let has_failed = events.iter().any(|event| matches!(event, Event::Failure(failure) if failure.stopped));
        if has_failed && !session.lost() {
            super::pause(TELLING).await;
            session.look_for_loss();
        }
        if !session.lost() {
            return events;
        }
        let backend = match session.snapshot().settings().backend {
            BackendChoice::Gpu | BackendChoice::Cpu => BackendChoice::Cpu,
            BackendChoice::Auto => BackendChoice::Auto,
        };
        let snapshot = session.moving_to(backend).where_auto_is(WidthChoice::Auto.width(false));
        let refused = session.has_refused();
        let why = if refused {
            message!("the graphics device refused a command.")
        } else {
            message!("the graphics device was lost.")
        };
        let badge = badge(BackendKind::Cpu, None, why, Some(message!("Choose “GPU” to try it again.")));
        match Session::restore(cpu(), seconds, badge, &snapshot) {
            Ok(mut session) => {
                events.retain(|event| !matches!(event, Event::Failure(_)));
                events.extend(session.open().await);
                let (stage, step) = (Message::named(snapshot.stage().name()), snapshot.step());
                let sentence = if refused {
                    message!("The graphics device refused a command; {} is back at step {}, on the CPU.", stage, step)
                } else {
                    message!("The graphics device was lost; {} is back at step {}, on the CPU.", stage, step)
                };
                events.push(Event::Failure(Failure {
                    sentence,
                    remedy: message!("Press Play to go on; the optimiser’s moments start anew."),
                    field: None,
                    stopped: true,
                }));
                *self = Self::Session(Box::new(session));
            }
            Err(failure) => events.push(Event::Failure(failure)),
        }
        events
    }

    /// The models of the session, if there is one.
    fn models(&self) -> Option<SessionModels> {
        let Self::Session(session) = self else { return None };
        Some(SessionModels { kind: session.model_kind(), checkpoints: session.checkpoints() })
    }

    /// Whether there is work.
    pub fn busy(&self) -> bool {
        match self {
            Self::Session(session) => session.busy(),
            Self::SweepWorker(worker) => worker.busy(),
            Self::Nothing => false,
        }
    }
}

/// What is said of a file that came before there is an engine.
fn no_engine(field: &str) -> Failure {
    Failure {
        sentence: message!("There is no engine yet that could take the file up."),
        remedy: message!("Choose the file again once the engine has started."),
        field: Some(field.into()),
        stopped: false,
    }
}

fn cpu() -> EitherBackend {
    Either::Cpu(Box::default())
}

/// The backend the person chose, or the one that is faster here: an adapter that is only software loses to
/// WebAssembly by an order of magnitude. It goes on with the models that are there if they have width and breadth wanted:
/// one that was loaded or trained here is not forgotten over another seed.
async fn built(settings: Settings, source: Source, watch: &DeviceWatch) -> Result<Session<EitherBackend>, Failure> {
    let on_cpu = async |source, adapter, why: Message, remedy: Option<Message>| {
        let badge = badge(BackendKind::Cpu, adapter, why, remedy);
        session(cpu(), badge, settings, settings.width.width(false), source).await
    };
    if settings.backend == BackendChoice::Cpu {
        return on_cpu(source, None, message!("you chose it."), None).await;
    }
    let found = adapter::find().await;
    let adapter = found.as_ref().map(|found| found.described.clone());
    let software = adapter.as_ref().is_some_and(|adapter| adapter.software);
    if settings.backend == BackendChoice::Auto && software {
        let why = message!("the graphics adapter is emulated in software, which is slower.");
        let remedy = message!("Hardware acceleration in the browser's settings may help.");
        return on_cpu(source, adapter, why, Some(remedy)).await;
    }
    let opened = match &found {
        Some(found) => found.open().await,
        None => Err(BackendError::NoAdapter(key("this browser offers none").into())),
    };
    match opened {
        Ok(mut gpu) => {
            // Compiling is most of the way to the first step: it begins before the models are there.
            gpu.prepare(&WRITING, &LEARNING);
            let (failed, watch) = (gpu.failed(), watch.clone());
            spawn_local(async move {
                if failed.await {
                    watch();
                }
            });
            let remedy = software.then(|| message!("The adapter is emulated in software; the CPU would be faster."));
            let chosen = settings.backend == BackendChoice::Gpu;
            let why = if chosen { message!("you chose it.") } else { message!("a graphics adapter is there.") };
            let badge = badge(BackendKind::Gpu, adapter, why, remedy);
            session(Either::Gpu(Box::new(gpu)), badge, settings, settings.width.width(!software), source).await
        }
        Err(error) if settings.backend == BackendChoice::Gpu => Err(Failure {
            sentence: message!("The GPU cannot be used: {}.", error.message()),
            remedy: message!("Choose “auto” or “CPU” under “runs on”."),
            field: Some("backend".into()),
            stopped: true,
        }),
        Err(_) => {
            let why = message!("this browser offers no graphics adapter.");
            let remedy = message!("A recent Chrome, Edge, Safari or Firefox with WebGPU trains faster.");
            on_cpu(source, adapter, why, Some(remedy)).await
        }
    }
}

/// The models of a session.
struct SessionModels {
    kind: ModelKind,
    checkpoints: Checkpoints,
}

/// What a session is made from.
enum Source {
    /// Models that are there, if there are any.
    Models(Option<SessionModels>),
    /// A session that was kept, which has the width that it has.
    Kept(Box<Snapshot>),
    /// The session that is there.
    Moving(Box<Snapshot>),
}

async fn session(
    k: EitherBackend,
    badge: Badge,
    settings: Settings,
    width: usize,
    source: Source,
) -> Result<Session<EitherBackend>, Failure> {
    match source {
        Source::Models(there) => {
            let wanted = ModelKind { width, breadth: settings.breadth };
            let are_shipped = there.as_ref().is_none_or(|its| its.kind != wanted);
            let checkpoints = models(wanted, there).await?;
            let refused = |failure: Failure| match failure.field.as_deref() {
                Some("checkpoint") if are_shipped => shipped::damaged(),
                _ => failure,
            };
            Session::new(k, seconds, badge, settings, &checkpoints).map_err(refused)
        }
        Source::Kept(snapshot) => {
            let snapshot = snapshot.where_auto_is(width);
            Session::restore(k, seconds, badge, &snapshot).map_err(|failure| unusable(failure.sentence))
        }
        Source::Moving(snapshot) => Session::restore(k, seconds, badge, &snapshot.where_auto_is(width)),
    }
}

/// The models that are there, if they are those wanted, or the shipped ones; a person's pairs fit either.
async fn models(wanted: ModelKind, there: Option<SessionModels>) -> Result<Checkpoints, Failure> {
    match there {
        Some(its) if its.kind == wanted => Ok(its.checkpoints),
        there => {
            let preferences = there.map(|its| its.checkpoints.preferences).unwrap_or_default();
            Ok(Checkpoints { preferences, ..shipped::checkpoints(wanted.width, wanted.breadth).await? })
        }
    }
}

fn badge(kind: BackendKind, adapter: Option<Adapter>, why: Message, remedy: Option<Message>) -> Badge {
    Badge { kind, adapter, why, remedy }
}

/// The worker's clock, in seconds.
fn seconds() -> f64 {
    super::now() / 1000.0
}
