//! Shaders as they travel with the page: what is for readers of the files, comments and indentation, stays behind. Lines
//! stay where they are, so that a compiler's complaint names the line of the file.

/// `text` without comments and indentation, cut to N bytes, and how many bytes it would take.
pub const fn bare<const N: usize>(text: &str) -> ([u8; N], usize) {
    let text = text.as_bytes();
    let (mut out, mut length, mut at) = ([0; N], 0, 0);
    let (mut is_indent, mut is_comment) = (true, false);
    while at < text.len() {
        let byte = text[at];
        let is_end = byte == b'\n';
        is_indent = is_end || is_indent && byte == b' ';
        is_comment = !is_end && (is_comment || byte == b'/' && at + 1 < text.len() && text[at + 1] == b'/');
        if is_end || !is_indent && !is_comment {
            if length < N {
                out[length] = byte;
            }
            length += 1;
        }
        at += 1;
    }
    (out, length)
}

/// The file at this path below `shaders/`, bare.
macro_rules! shader_text {
    ($path:literal) => {{
        use $crate::backend::bare::bare;
        const TEXT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path));
        const BARE: [u8; bare::<0>(TEXT).1] = bare(TEXT).0;
        match std::str::from_utf8(&BARE) {
            Ok(text) => text,
            Err(_) => panic!("a character was cut"),
        }
    }};
}
pub(super) use shader_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_go_and_lines_stay() {
        const TEXT: &str = "// a gain, γ\nfn scale() {\n    x = a / b; // why\n\n}\n";
        const BARE: [u8; bare::<0>(TEXT).1] = bare(TEXT).0;
        assert_eq!(std::str::from_utf8(&BARE), Ok("\nfn scale() {\nx = a / b; \n\n}\n"));
    }
}
