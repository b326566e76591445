//! What a browser does not need of a WebAssembly module.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What a module begins with: its magic word and the version of the format.
const HEADER: usize = 8;
/// The sections for tools are all of this kind, and carry a name.
const CUSTOM: u8 = 0;

/// Takes names of functions and the like out of the module at `path`: a tenth of what would travel, and nothing runs by it.
pub fn slim(path: &Path) -> Result<()> {
    let module = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let slim = without_custom_sections(&module).with_context(|| format!("{} is no module", path.display()))?;
    fs::write(path, slim).with_context(|| format!("cannot write {}", path.display()))
}

fn without_custom_sections(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER)?;
    let mut kept = header.to_vec();
    while let Some(&kind) = rest.first() {
        let (size, digits) = leb128(&rest[1..])?;
        let (section, behind) = rest.split_at_checked(1 + digits + size)?;
        if kind != CUSTOM {
            kept.extend(section);
        }
        rest = behind;
    }
    Some(kept)
}

/// The number that `bytes` begin with, seven bits a byte, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let digits = 1 + bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let number = bytes[..digits].iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    Some((number, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_sections_go_and_the_others_stay() {
        let header = *b"\0asm\x01\0\0\0";
        let long = [&[10, 0x81, 0x01][..], &[7; 129]].concat();
        let module = [&header[..], &[0, 3, 1, b'x', 5], &[1, 1, 0], &[0, 2, 1, b'y'], &long].concat();
        let expected = [&header[..], &[1, 1, 0], &long].concat();
        assert_eq!(without_custom_sections(&module), Some(expected.clone()));
        assert_eq!(without_custom_sections(&expected), Some(expected.clone()));
        assert_eq!(without_custom_sections(&expected[..20]), None);
        assert_eq!(without_custom_sections(b"text"), None);
    }
}
