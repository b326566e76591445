//! What a file holds that somebody chose or dropped, judged by what is inside: a name says little after a download, a mail or
//! another program.

use klimb_text::json::{self, Value};
use klimb_text::text::{of_bytes, without_mark};

/// What is in a file, as far as its beginning tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A model, as safetensors.
    Checkpoint,
    /// Preference pairs, as JSON lines or one array.
    Pairs,
    /// The numbers that the page exports, as JSON.
    Numbers,
    /// Receipts, one a line.
    Receipts,
    /// What the native program ran, which it writes beside its tables and the page does not read.
    Study,
    /// A table of numbers, which the page writes and does not read.
    Table,
    /// Nothing at all.
    Empty,
    /// Something else.
    Other,
}

impl FileKind {
    /// Looks inside.
    pub fn of(bytes: &[u8]) -> Self {
        if let Some((length, rest)) = bytes.split_first_chunk::<8>()
            && u64::from_le_bytes(*length) < 1 << 32
            && rest.first() == Some(&b'{')
        {
            return Self::Checkpoint;
        }
        let Ok(text) = of_bytes(bytes) else { return Self::Other };
        let Some(first) = text.lines().map(|line| without_mark(line).trim()).find(|line| !line.is_empty()) else {
            return Self::Empty;
        };
        match first.as_bytes()[0] {
            b'[' => Self::Pairs,
            b'{' => Self::of_object(first)
                // An object may go over many lines.
                .or_else(|| (first == "{").then(|| Self::of_object(&text)).flatten())
                .unwrap_or_else(|| Self::by_words(&text)),
            _ if first.starts_with("record,of,run,") || first.starts_with("method,setting,") => Self::Table,
            _ => Self::Other,
        }
    }

    /// By the fields of an object; `None` where the text is no object, or a foreign one.
    fn of_object(text: &str) -> Option<Self> {
        let object: Value = json::from_text(text).ok()?;
        let has = |name| object.field(name).is_some();
        if has("receipt") {
            Some(Self::Receipts)
        } else if has("points") {
            Some(Self::Numbers)
        } else if has("program") && (has("settings") || has("study")) {
            Some(Self::Study)
        } else {
            (has("prompt") || has("chosen") || has("rejected")).then_some(Self::Pairs)
        }
    }

    /// By the names in an object of several lines, or of one that is broken: whoever reads it says what is wrong with it.
    fn by_words(text: &str) -> Self {
        let names = [("\"chosen\"", Self::Pairs), ("\"receipt\"", Self::Receipts), ("\"points\"", Self::Numbers)];
        let found = names.into_iter().filter_map(|(name, kind)| Some((text.find(name)?, kind)));
        found.min_by_key(|(at, _)| *at).map_or(Self::Pairs, |(_, kind)| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Settings;
    use crate::page::model::export;
    use crate::page::model::state::State;

    #[test]
    fn a_file_is_what_is_inside_of_it() {
        let pair = r#"{"prompt":"the plot","chosen":"was superb .","rejected":"was dull ."}"#;
        let state = State::new(Settings::default());
        let model = include_bytes!("../../../www/assets/sft.safetensors");
        let [sweep, study] = [
            include_bytes!("../../../tests/data/compatible/sweep/run.json").to_vec(),
            include_bytes!("../../../tests/data/compatible/hacking/run.json").to_vec(),
        ];
        let (numbers, table) = (export::json(&state, ""), export::csv(&state, ""));
        let receipt = state.receipt().to_line();
        let marked = |text: &str| format!("\u{feff}\r\n{text}");
        let wide: Vec<u8> = format!("\u{feff}{pair}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, kind) in [
            (model.to_vec(), FileKind::Checkpoint),
            (model[..1000].to_vec(), FileKind::Checkpoint),
            (pair.into(), FileKind::Pairs),
            (marked(&format!("{pair}\r\n{pair}")).into(), FileKind::Pairs),
            (format!("[\n{pair}]").into(), FileKind::Pairs),
            (wide, FileKind::Pairs),
            ("{\"prompt\": 1".into(), FileKind::Pairs),
            ("{\n \"prompt\": \"x\",\n \"chosen\": 1}".into(), FileKind::Pairs),
            (numbers.clone().into(), FileKind::Numbers),
            (marked(&numbers).into(), FileKind::Numbers),
            (r#"{"points": []}"#.into(), FileKind::Numbers),
            (marked(&receipt).into(), FileKind::Receipts),
            (marked(&table).into(), FileKind::Table),
            (sweep, FileKind::Study),
            (study, FileKind::Study),
            (b"{\n  \"program\": \"klimb\",\n  \"settings\": {}".to_vec(), FileKind::Pairs),
            ("".into(), FileKind::Empty),
            ("\u{feff}\r\n ".into(), FileKind::Empty),
            ("the acting in this film".into(), FileKind::Other),
            (vec![0xff; 40], FileKind::Other),
            (b"PK\x03\x04\0\0\0\0\0\0".to_vec(), FileKind::Other),
        ] {
            assert_eq!(FileKind::of(&bytes), kind, "{:.60}", String::from_utf8_lossy(&bytes));
        }
    }
}
