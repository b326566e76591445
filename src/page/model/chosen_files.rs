//! What becomes of files that were chosen together: each is taken up or named.

use super::file_kind::FileKind;
use klimb_text::Message;

/// Most bytes of a file that is read, in mebibytes.
const MOST: u32 = 64;

/// What the browser gave of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// All of it.
    Bytes(Vec<u8>),
    /// Nothing, for it has so many bytes.
    TooLarge(f64),
    /// Nothing, for this reason.
    Unreadable(String),
}

/// A file that is to be taken up.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// What it is called.
    pub name: String,
    /// What it holds.
    pub kind: FileKind,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// The files to be taken up, a model before the pairs that it is to learn from; and of each other why it is not, as a clause.
/// There is room for one model and for one file of pairs: the first.
pub fn sorted(files: Vec<(String, Content)>) -> (Vec<Chosen>, Vec<Message>) {
    let (mut chosen, mut problems) = (Vec::<Chosen>::new(), Vec::new());
    for (name, content) in files {
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::TooLarge(bytes) => {
                let size = bytes / f64::from(1 << 20);
                problems.push(message!("{} has {} MiB, and at most {} are read", name, format!("{size:.0}"), MOST));
                continue;
            }
            Content::Unreadable(reason) => {
                problems.push(message!("{} could not be read ({})", name, Message::named(reason).without_stop()));
                continue;
            }
        };
        let kind = FileKind::of(&bytes);
        let same = chosen.iter().find(|other| other.kind == kind);
        match (kind, same) {
            (FileKind::Checkpoint, Some(first)) => {
                problems.push(message!("{} is one more model, and {} came first", name, first.name));
            }
            (FileKind::Pairs, Some(first)) => {
                problems.push(message!("{} has pairs too, and those of {} came first", name, first.name));
            }
            (FileKind::Table, _) => {
                problems.push(message!("{} is a table for other programs, and the numbers are read as JSON", name));
            }
            (FileKind::Study, _) => problems.push(message!(
                "{} describes a run of the native program, and the page reads the numbers that it exports itself",
                name
            )),
            (FileKind::Empty, _) => problems.push(message!("{} is empty", name)),
            (FileKind::Other, _) => {
                problems.push(message!("{} holds neither a model nor pairs, exported numbers or receipts", name));
            }
            (FileKind::Checkpoint | FileKind::Pairs, None) | (FileKind::Numbers | FileKind::Receipts, _) => {
                chosen.push(Chosen { name, kind, bytes });
            }
        }
    }
    chosen.sort_by_key(|file| file.kind != FileKind::Checkpoint);
    (chosen, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_taken_or_named() {
        let model = || Content::Bytes([8_u64.to_le_bytes().as_slice(), b"{}"].concat());
        let text = |text: &str| Content::Bytes(text.into());
        let files = [
            ("a.jsonl", text("{\"prompt\":1}")),
            ("b.txt", model()),
            ("c.json", text("{\"points\":[]}")),
            ("d", model()),
            ("e", text("[]")),
            ("f", text("poem")),
            ("g", text("")),
            ("h", Content::TooLarge(68_157_440.0)),
            ("i", Content::Unreadable("it is a folder.".into())),
            ("j.json", text("{\"points\":[]}")),
            ("k.csv", text("record,of,run,step,name,value\n")),
            ("run.json", text("{\n\"program\": \"klimb 0.1.0\",\n\"settings\": {}}")),
        ];
        let count = files.len();
        let (chosen, problems) = sorted(files.map(|(name, content)| (name.into(), content)).into());
        let taken: Vec<&str> = chosen.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(taken, ["b.txt", "a.jsonl", "c.json", "j.json"], "the model first");
        assert_eq!(problems.len() + taken.len(), count);
        for (problem, words) in problems.iter().zip([
            "d is one more model, and b.txt came first",
            "e has pairs too, and those of a.jsonl came first",
            "f holds neither",
            "g is empty",
            "h has 65 MiB, and at most 64 are read",
            "i could not be read (it is a folder)",
            "k.csv is a table",
            "run.json describes a run of the native program",
        ]) {
            assert!(problem.to_string().starts_with(words), "{problem}");
        }
    }
}
