//! What pairs are that did not come from the engine.

use serde::{Deserialize, Serialize};

use klimb_text::words::{key, say};

/// What is written of pairs that came from a file. It is also what they are called.
const LOADED: &str = key("loaded pairs");
/// What is written of a person's own labels, alone or with the share that was turned round.
const OWN: &str = key("my labels");
/// What earlier builds wrote of those in German, on a German page.
const OWN_BEFORE: &str = "meine Labels";

/// Which pairs a run was trained on, where they were not generated. It is kept and exported as the same text in every language
/// (`my labels, 25 % flipped`), and worded in the page's language where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PairSource {
    /// A file that somebody chose.
    Loaded,
    /// The person's own labels.
    Own {
        /// Which share of them was turned round, in percent.
        flipped: u32,
    },
    /// Whatever else a file says.
    Other(String),
}

impl PairSource {
    /// In the page's language.
    pub fn words(&self) -> String {
        match self {
            Self::Loaded => say(LOADED).into(),
            Self::Own { flipped: 0 } => say(OWN).into(),
            Self::Own { flipped } => say!("my labels, {} % flipped", flipped),
            Self::Other(name) => name.clone(),
        }
    }
}

impl From<String> for PairSource {
    fn from(text: String) -> Self {
        if text == LOADED {
            return Self::Loaded;
        }
        let share = [OWN, OWN_BEFORE].iter().find_map(|own| text.strip_prefix(own)).and_then(|share| match share {
            "" => Some(0),
            share => {
                let (percent, what) = share.strip_prefix(", ")?.split_once(" % ")?;
                percent.parse().ok().filter(|_| matches!(what, "flipped" | "vertauscht"))
            }
        });
        share.map_or(Self::Other(text), |flipped| Self::Own { flipped })
    }
}

impl From<PairSource> for String {
    fn from(source: PairSource) -> Self {
        match source {
            PairSource::Loaded => LOADED.into(),
            PairSource::Own { flipped: 0 } => OWN.into(),
            PairSource::Own { flipped } => format!("{OWN}, {flipped} % flipped"),
            PairSource::Other(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klimb_text::json;
    use klimb_text::words::speak;

    #[test]
    fn a_source_is_written_alike_in_every_language_and_worded_when_it_is_shown() {
        let sources = [
            (PairSource::Loaded, "loaded pairs", "geladene Paare"),
            (PairSource::Own { flipped: 0 }, "my labels", "meine Labels"),
            (PairSource::Own { flipped: 25 }, "my labels, 25 % flipped", "meine Labels, 25 % vertauscht"),
            (PairSource::Other("Ada’s".into()), "Ada’s", "Ada’s"),
        ];
        for (source, english, _) in &sources {
            assert_eq!(source.words(), *english);
        }
        let entry = |english: &str, german: &str| (english.to_owned(), german.to_owned());
        speak(vec![
            entry(LOADED, "geladene Paare"),
            entry(OWN, "meine Labels"),
            entry("my labels, {} % flipped", "meine Labels, {} % vertauscht"),
        ]);
        for (source, english, german) in sources {
            let written = json::to_text(&source);
            assert_eq!((source.words().as_str(), written), (german, format!("\"{english}\"")));
            assert_eq!(PairSource::from(english.to_owned()), source);
            let is_own = matches!(source, PairSource::Own { .. });
            assert!(!is_own || PairSource::from(german.to_owned()) == source, "as earlier builds wrote it");
        }
        speak(Vec::new());
        for other in ["my labels 1", "my labels, x % flipped", "my labels, 5 %", ""] {
            assert_eq!(PairSource::from(other.to_owned()), PairSource::Other(other.into()));
        }
    }
}
