//! The store's first form, in which a folder had one run, and its parts no identity: read once, and put into today's form.
//! Two tabs wrote over each other there, so a policy is only taken over whose point stands among the run's.

use serde::Deserialize;

use super::store::{Key, Store, StoreError, Transaction, Under};
use super::{Entry, FORMAT, Loaded, Place, Stretch};
use crate::engine::protocol::{Kept, SavedPolicy, Stage};
use klimb_metrics::MetricRow;
use klimb_text::{Message, json};

/// The version of [`FirstEntry`].
const FIRST_FORMAT: u32 = 1;

/// A page as the first form kept it.
#[derive(Debug, Deserialize)]
struct FirstEntry {
    format: u32,
    when: f64,
    page: String,
    engine: Option<Kept>,
    #[serde(default)]
    moments: Vec<u32>,
    #[serde(default)]
    stretches: Vec<(Stage, Vec<u32>)>,
}

/// What was found in the first form.
pub enum First {
    /// Nothing.
    Nothing,
    /// A run, and the keys that it takes there.
    Run(Box<Loaded>, Vec<Key>),
    /// Something that cannot be read, and its keys.
    Broken(Message, Vec<Key>),
    /// Something of a form that is not known, which is left alone.
    Newer,
}

/// Reads a folder's run.
///
/// # Errors
/// The store's.
pub async fn read<S: Store>(reading: &mut S::Transaction, folder: &str) -> Result<First, StoreError> {
    let keys = reading.keys(Under::First(folder)).await?;
    let Some(value) = reading.get(&Key::First(folder.into())).await? else { return Ok(First::Nothing) };
    let first: FirstEntry = match S::decode(value) {
        Ok(first) => first,
        Err(reason) => return Ok(First::Broken(reason, keys)),
    };
    if first.format > FIRST_FORMAT {
        return Ok(First::Newer);
    }
    let (mut places, mut policies) = (Vec::new(), Vec::new());
    for slot in first.moments {
        let value = reading.get(&Key::First(format!("{folder}#{slot}"))).await?;
        if let Some(policy) = S::readable::<SavedPolicy>(value) {
            places.push(Place { slot, moment: policy.key() });
            policies.push((slot, policy));
        }
    }
    let (mut stretches, mut rows) = (Vec::new(), Vec::new());
    for (stage, numbers) in first.stretches {
        for place in numbers {
            let text = S::readable::<String>(reading.get(&Key::First(format!("{folder}#rows{place:06}"))).await?);
            let Some(text) = text else { continue };
            let its: Vec<MetricRow> = json::from_text(&text).unwrap_or_default();
            let Some(first) = its.first().map(|row| row.step) else { continue };
            stretches.push(Stretch { stage, place, first });
            rows.push((place, text));
        }
    }
    let entry = Entry {
        format: FORMAT,
        when: first.when,
        page: first.page,
        engine: first.engine,
        moments: places,
        stretches,
        fresh: Vec::new(),
        fresh_rows: Vec::new(),
        replaces: None,
    };
    Ok(First::Run(Box::new(Loaded { entry, policies, rows }), keys))
}
