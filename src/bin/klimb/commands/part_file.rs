//! A part of a study as a file of JSON with a checksum: numbers that were changed by hand or by a fault are not taken for
//! measured ones. The checksum finds damage; it is no protection against forgery. Parts of earlier versions have none.

use std::path::Path;

use klimb::hash::fingerprint;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Failure, files};

const CHECKSUM: &str = "checksum";

#[derive(Serialize)]
struct Checked<'a, T> {
    #[serde(flatten)]
    part: &'a T,
    checksum: String,
}

/// Writes a part, which is an object in JSON.
pub fn write(path: &Path, part: &impl Serialize) -> Result<(), Failure> {
    // Read back, so that numbers are those that will be read from the file.
    let checksum = checksum(&serde_json::from_str(&serde_json::to_string(part)?)?);
    files::write(path, serde_json::to_string_pretty(&Checked { part, checksum })? + "\n")
}

/// The part in a file, unless it was changed.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let about = |problem: String| Failure::about(path.display(), format!("{problem}; {}", files::DONE_AGAIN));
    let mut part: Value = serde_json::from_slice(&files::read(path)?).map_err(|error| about(error.to_string()))?;
    let announced = part.as_object_mut().and_then(|part| part.remove(CHECKSUM));
    if announced.is_some_and(|announced| announced != checksum(&part)) {
        return Err(about("was changed after it was written: its checksum does not fit its numbers".into()));
    }
    serde_json::from_value(part).map_err(|error| about(error.to_string()))
}

/// Over the text without spaces, keys in order.
fn checksum(part: &Value) -> String {
    fingerprint(part.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_written_and_a_changed_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part.json");
        let part = serde_json::json!({"seed": u64::MAX, "points": [0.1, 1e-300, null, 1.0], "single": 0.1f32});
        write(&path, &part).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(read::<Value>(&path).unwrap(), serde_json::from_str::<Value>(&part.to_string()).unwrap());
        // Written anew by another program, in another order and with other spaces.
        let again: Value = serde_json::from_str(&text).unwrap();
        std::fs::write(&path, again.to_string()).unwrap();
        assert!(read::<Value>(&path).is_ok());
        std::fs::write(&path, text.replace("1e-300", "2e-300")).unwrap();
        let Failure(sentence) = read::<Value>(&path).unwrap_err();
        assert!(sentence.contains("was changed") && sentence.contains("done again"), "{sentence}");
        std::fs::write(&path, part.to_string().replace("1e-300", "2e-300")).unwrap();
        assert!(read::<Value>(&path).is_ok(), "an earlier version's has no checksum");
    }
}
