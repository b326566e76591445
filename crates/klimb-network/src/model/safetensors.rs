//! The file format of checkpoints: safetensors, which other programs read. Eight bytes say how long the header is; the
//! header is JSON, from each tensor's name to its type, its shape and where it lies; then come the tensors' bytes.
//! Format: <https://github.com/huggingface/safetensors>.

use std::fmt::{self, Formatter};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::TensorSpec;
use klimb_text::shorten::shortened;
use klimb_text::{Message, json, message};

/// Bytes that say how long the header is, and what its end is aligned to.
const ALIGNMENT: usize = 8;
/// Longest header that the format allows, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;
/// The name in the header that is no tensor's.
const METADATA: &str = "__metadata__";
/// The only type of number in our files.
pub const F32: &str = "F32";

/// Why bytes are no such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// They begin as no such file does.
    Foreign,
    /// There are fewer or more of them than the header announces.
    Truncated,
    /// The header cannot be read, or contradicts itself.
    Damaged(Message),
}

/// A tensor as it lies in a file.
#[derive(Debug)]
pub struct StoredTensor<'a> {
    /// Its name.
    pub name: String,
    /// Type of its numbers, such as `F32`.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its bytes; their number is not checked against the shape.
    pub bytes: &'a [u8],
}

/// What the header says of a tensor or, under [`METADATA`], of the file.
#[derive(Serialize, Deserialize)]
struct Info {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    klimb: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_offsets: Option<(usize, usize)>,
}

/// The header's entries in the order of the file.
struct Header(Vec<(String, Info)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut Formatter) -> fmt::Result {
                f.write_str("tensors by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A file of `tensors`, which lie in `parameters`, with `entry` as the metadata's entry `klimb`. Tensors are in the order of
/// their names, as by other writers, so the same numbers are the same bytes.
pub fn write(entry: String, tensors: &[TensorSpec], parameters: &[f32]) -> Vec<u8> {
    let mut by_name: Vec<&TensorSpec> = tensors.iter().collect();
    by_name.sort_by(|a, b| a.name.cmp(&b.name));
    let metadata = Info { klimb: Some(entry), dtype: None, shape: None, data_offsets: None };
    let mut header = format!("{{\"{METADATA}\":{}", json::to_text(&metadata));
    let mut data = Vec::with_capacity(4 * parameters.len());
    for tensor in by_name {
        let start = data.len();
        data.extend(parameters[tensor.range()].iter().flat_map(|parameter| parameter.to_le_bytes()));
        let info = Info {
            klimb: None,
            dtype: Some(F32.into()),
            shape: Some(tensor.shape.clone()),
            data_offsets: Some((start, data.len())),
        };
        header += &format!(",{}:{}", json::to_text(&tensor.name), json::to_text(&info));
    }
    header.push('}');
    let mut header = header.into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat()
}

/// What a file holds.
pub struct Contents<'a> {
    /// The metadata's entry `klimb`, if there is one.
    pub entry: Option<String>,
    /// They fill the file without gap or overlap.
    pub tensors: Vec<StoredTensor<'a>>,
}

/// What a file of these bytes holds.
pub fn read(bytes: &[u8]) -> Result<Contents<'_>, Unreadable> {
    let (length, rest) = bytes.split_first_chunk::<ALIGNMENT>().ok_or(Unreadable::Truncated)?;
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER {
        return Err(Unreadable::Foreign);
    }
    let (header, data) = rest.split_at_checked(length as usize).ok_or(Unreadable::Truncated)?;
    let header =
        std::str::from_utf8(header).map_err(|error| Unreadable::Damaged(Message::verbatim(error.to_string())))?;
    // The browser's reader takes the last of two values, serde's here would give both: neither says which is meant.
    if let Some(key) = json::doubled_key(header) {
        return Err(Unreadable::Damaged(message!("its header has {} twice", shortened(&key))));
    }
    let Header(entries) = json::from_text(header).map_err(|error| Unreadable::Damaged(error.message()))?;

    let (mut entry, mut tensors) = (None, Vec::new());
    for (name, info) in entries {
        if name == METADATA {
            entry = info.klimb;
        } else if let Info { dtype: Some(dtype), shape: Some(shape), data_offsets: Some(range), .. } = info {
            tensors.push((range, name, dtype, shape));
        } else {
            return Err(Unreadable::Damaged(message!("the tensor {} is not described", shortened(&name))));
        }
    }
    tensors.sort_by_key(|(range, ..)| *range);
    let mut end = 0;
    for ((from, to), name, ..) in &tensors {
        if *from != end || to < from {
            let name = shortened(name);
            return Err(Unreadable::Damaged(message!(
                "the tensor {} does not begin where the one before it ends",
                name
            )));
        }
        end = *to;
    }
    if end != data.len() {
        return Err(Unreadable::Truncated);
    }
    let stored = |((from, to), name, dtype, shape): ((usize, usize), _, _, _)| StoredTensor {
        name,
        dtype,
        shape,
        bytes: &data[from..to],
    };
    Ok(Contents { entry, tensors: tensors.into_iter().map(stored).collect() })
}
