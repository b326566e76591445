//! Inputs that are almost of a format: seeds of it, changed here and there by numbers of a generator, the same everywhere.

use klimb::hash::fingerprint;
use klimb::rng::Generator;

use super::Target;

/// What readers stumble over.
const TOKENS: [&str; 44] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "[[[[[[[[",
    "{\"a\":",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    "\u{feff}",
    "\u{0}",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\u{2028}",
    "é",
    "Z\u{308}",
    "😀",
    "%2C",
    "%",
    "%00",
    "%F0%9F",
    "&",
    "=",
    "+",
    "-",
    ".",
    "e9",
    "NaN",
    "inf",
    "../../x",
    "<b>",
    "\"a\":1,\"a\":2,",
    "__metadata__",
    "__proto__",
    "{}{}",
    "{0}{18446744073709551616}",
];
/// Numbers at the ends of their kinds and beyond.
const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "-1",
    "1.0",
    "1e0",
    "0.1",
    "1e-400",
    "1e400",
    "-1e400",
    "5e-324",
    "1.7976931348623157e308",
    "0.30000000000000004",
    "123456789.123456789123456789",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1152921504606846976",
    "00",
    "1e",
    "2.5",
];
/// Longest input, in bytes.
const LONGEST: usize = 1 << 17;

/// The `index`-th input of a seed: one of the target's own, or what becomes of it.
pub fn input(target: &Target, seed: u64, index: u64) -> Vec<u8> {
    let mut generator = Generator::numbered(seed, target.name, index);
    let mut input = pick(target.seeds, &mut generator).to_vec();
    for _ in 0..=generator.below(4) {
        change(&mut input, target.seeds, &mut generator);
    }
    input.truncate(LONGEST);
    input
}

fn pick<'a, T: ?Sized>(of: &[&'a T], generator: &mut Generator) -> &'a T {
    of[generator.below(of.len())]
}

/// A place in the input, its end among them.
fn place(input: &[u8], generator: &mut Generator) -> usize {
    generator.below(input.len() + 1)
}

/// A stretch of the input, mostly a short one.
fn stretch(input: &[u8], generator: &mut Generator) -> std::ops::Range<usize> {
    let from = place(input, generator);
    let most = if generator.below(4) == 0 { input.len() } else { 12 };
    from..(from + generator.below(most + 1)).min(input.len())
}

fn change(input: &mut Vec<u8>, seeds: &[&[u8]], generator: &mut Generator) {
    let at = place(input, generator);
    match generator.below(10) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << generator.below(8);
            }
        }
        1 => input.insert(at, generator.below(256) as u8),
        2 => drop(input.drain(stretch(input, generator))),
        3 => drop(input.splice(at..at, pick(&TOKENS, generator).bytes())),
        4 => drop(input.splice(stretch(input, generator), pick(&TOKENS, generator).bytes())),
        5 | 6 => {
            let number = number_near(input, at);
            input.splice(number, pick(&NUMBERS, generator).bytes());
        }
        7 => {
            let other = pick(seeds, generator);
            let piece = stretch(other, generator);
            input.splice(stretch(input, generator), other[piece].iter().copied());
        }
        8 => {
            // Now and then so often that what takes the square of its time is noticed.
            let piece = input[stretch(input, generator)].to_vec();
            let times = if generator.below(64) == 0 { 4096 } else { 1 + generator.below(3) };
            input.splice(at..at, piece.repeat(times).into_iter().take(LONGEST));
        }
        _ => input.truncate(at),
    }
}

/// The number at this place or behind it; where there is none, the place.
fn number_near(input: &[u8], at: usize) -> std::ops::Range<usize> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let Some(from) = input[at..].iter().position(u8::is_ascii_digit).map(|ahead| at + ahead) else { return at..at };
    let before = input[..from].iter().rev().take_while(|byte| is_part(byte)).count();
    let behind = input[from..].iter().take_while(|byte| is_part(byte)).count();
    from - before..from + behind
}

/// Inputs of a target that have a digest.
const DIGESTED: u64 = 300;
/// Digits of one.
const DIGITS: usize = 8;
/// In the place of the digest of an input that is refused.
pub const REFUSED: &str = "-";

/// What a target makes of inputs of seed 0: a digest of what each means, or [`REFUSED`].
pub fn digests(target: &Target) -> Vec<String> {
    let digest = |index| match (target.read)(&input(target, 0, index)) {
        Some(meaning) => fingerprint(meaning.bytes())[..DIGITS].to_owned(),
        None => REFUSED.to_owned(),
    };
    (0..DIGESTED).map(digest).collect()
}
