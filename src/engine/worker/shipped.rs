//! The models that ship with the page and the optimum recorded for them, fetched when they are wanted.

use js_sys::{Array, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Response};

use crate::engine::protocol::{Checkpoints, Event, Failure, Fetching};
use crate::engine::settings::Breadth;
use klimb_text::Message;
use klimb_text::words::key;

/// Milliseconds between two reports of how far the files have come. What takes less is not reported at all.
const MOMENT: f64 = 250.0;
const RELOAD: &str = key("Reload the page once the connection is back; seed and settings are kept in the address.");

/// Base, SFT and optimum of `width` for text of `breadth`, from the files beside the worker's script. They are asked for at
/// once, and the page is told how far they have come.
///
/// # Errors
/// A file that cannot be loaded. A missing optimum is none where the text is not the default's: it is then estimated live.
pub async fn checkpoints(width: usize, breadth: Breadth) -> Result<Checkpoints, Failure> {
    let width_suffix = if width == 32 { String::new() } else { format!("-{width}") };
    let suffix = format!("{width_suffix}{}", breadth.suffix());
    let (base, sft) = (format!("assets/base{suffix}.safetensors"), format!("assets/sft{suffix}.safetensors"));
    let [base, sft, optimum] = [base, sft, format!("assets/optimum{suffix}.json")].map(File::ask);
    let mut line = Download::new();
    let failed = |it: Unloaded| it.failure(width, breadth);
    let base = line.answer(base).await.map_err(failed)?;
    let sft = line.answer(sft).await.map_err(failed)?;
    let optimum = match line.answer(optimum).await {
        Err(Unloaded { is_missing: true, .. }) if breadth != Breadth::Default => None,
        optimum => Some(optimum.map_err(failed)?),
    };
    line.total = [Some(&base), Some(&sft), optimum.as_ref()].into_iter().flatten().map(Answer::length).sum();
    Ok(Checkpoints {
        base: line.bytes(base).await.map_err(failed)?,
        sft: line.bytes(sft).await.map_err(failed)?,
        optimum: match optimum {
            Some(optimum) => line.bytes(optimum).await.map_err(failed)?,
            None => Vec::new(),
        },
        preferences: Vec::new(),
    })
}

/// A file that is asked for.
struct File {
    path: String,
    promise: Promise,
}

impl File {
    fn ask(path: String) -> Self {
        let promise: Promise = super::scope().fetch_with_str(&path).unchecked_into();
        // Where an earlier file fails, nobody waits for this one: its failure is no news then.
        drop(JsFuture::from(promise.clone()));
        Self { path, promise }
    }
}

/// A file that is there, and comes.
struct Answer {
    path: String,
    response: Response,
}

impl Answer {
    /// Bytes in all, where the host tells. A compressed answer tells its length as it travels, which is another.
    fn length(&self) -> Option<usize> {
        let header = |name: &str| self.response.headers().get(name).ok().flatten();
        if header("content-encoding").is_some() { None } else { header("content-length")?.parse().ok() }
    }
}

/// What comes through the line, and when the page was told of it.
struct Download {
    received: usize,
    total: Option<usize>,
    /// When something came last, milliseconds.
    heard: f64,
    /// When the page was told last.
    told: f64,
}

impl Download {
    fn new() -> Self {
        let now = super::now();
        Self { received: 0, total: None, heard: now, told: now }
    }

    async fn answer(&mut self, File { path, promise }: File) -> Result<Answer, Unloaded> {
        let response = match self.wait(&promise).await {
            Ok(response) => response.unchecked_into::<Response>(),
            Err(error) => return Err(Unloaded { path, reason: words(&error), is_missing: false }),
        };
        if response.ok() {
            return Ok(Answer { path, response });
        }
        let (status, text) = (response.status(), response.status_text());
        Err(Unloaded { path, reason: format!("{status} {text}").trim_end().into(), is_missing: status == 404 })
    }

    async fn bytes(&mut self, Answer { path, response }: Answer) -> Result<Vec<u8>, Unloaded> {
        self.read(&response).await.map_err(|error| Unloaded { path, reason: words(&error), is_missing: false })
    }

    async fn read(&mut self, response: &Response) -> Result<Vec<u8>, JsValue> {
        let Some(stream) = response.body() else { return Ok(Vec::new()) };
        let reader = ReadableStreamDefaultReader::new(&stream)?;
        let mut bytes = Vec::new();
        loop {
            let chunk = self.wait(&reader.read().unchecked_into()).await?;
            if Reflect::get(&chunk, &"done".into())?.is_truthy() {
                return Ok(bytes);
            }
            let chunk: Uint8Array = Reflect::get(&chunk, &"value".into())?.dyn_into()?;
            self.received += chunk.length() as usize;
            bytes.extend(chunk.to_vec());
        }
    }

    /// Waits for what comes next, and tells the page from time to time how far the line is.
    async fn wait(&mut self, next: &Promise) -> Result<JsValue, JsValue> {
        loop {
            let moment = Promise::new(&mut |resolve, _| {
                // Only a page being closed refuses a time-out, and then nobody is to be told.
                let _ = super::scope().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, MOMENT as i32);
            });
            let first = JsFuture::from(Promise::race(&Array::of2(next, &moment))).await;
            let has_come = !first.as_ref().is_ok_and(JsValue::is_undefined);
            let now = super::now();
            if has_come {
                self.heard = now;
            }
            if now - self.told >= MOMENT {
                self.told = now;
                let total = self.total.filter(|total| self.received <= *total);
                let silence = ((now - self.heard) / 1000.0) as u32;
                super::post(&[Event::Fetching(Fetching { received: self.received, total, silence })]);
            }
            if has_come {
                return first;
            }
        }
    }
}

/// What a browser says of its trouble.
fn words(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    message
        .or_else(|| error.as_string())
        .unwrap_or_else(|| format!("{error:?}"))
        .trim_end_matches(['.', ' '])
        .to_owned()
}

/// What is said of models that came and cannot be used: nobody chose them, and they are to be fetched again.
pub fn damaged() -> Failure {
    Failure {
        sentence: message!("The models of the page are damaged, or have not come whole."),
        remedy: Message::named(RELOAD),
        field: None,
        stopped: true,
    }
}

/// A file that could not be loaded.
struct Unloaded {
    path: String,
    reason: String,
    /// Whether the page's host has no such file.
    is_missing: bool,
}

impl Unloaded {
    fn failure(self, width: usize, breadth: Breadth) -> Failure {
        let Self { path, reason, is_missing } = self;
        let noise = 100.0 * breadth.noise();
        if is_missing && breadth != Breadth::Default {
            return Failure {
                sentence: message!(
                    "This page has no models of width {} for text with {} % noise ({} is not there).",
                    width,
                    format!("{noise:.0}"),
                    path
                ),
                remedy: message!("Choose “3 %” under “text noise”, or another width."),
                field: Some("breadth".into()),
                stopped: true,
            };
        }
        Failure {
            sentence: message!("A file of the page could not be loaded: {} ({}).", path, reason),
            remedy: Message::named(RELOAD),
            field: None,
            stopped: true,
        }
    }
}
