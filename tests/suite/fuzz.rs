//! Everything that reads something from elsewhere, on inputs that are almost right: thousands of them, the same ones each
//! time. `cargo xtask fuzz` drives the same targets for as long as one likes, with other seeds.
//!
//! The environment says what is not the suite's: KLIMB_FUZZ_SEED another seed, KLIMB_FUZZ_SECONDS how long each target is
//! driven, KLIMB_WRITE_DIGESTS that the digests for the browser are to be written anew.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use klimb::json;

use crate::fuzz_targets::{TARGETS, Target, mutator, named};

/// Inputs of each target.
const INPUTS: u64 = 20_000;
/// How many times as many at length.
const AT_LENGTH: u64 = 20;
/// Most bytes that reading may take beside what is there for every input, and for each byte of the input: what is refused
/// takes no more because of what it claims.
const MOST_BYTES: (usize, usize) = (8 << 20, 1 << 10);

/// Counts what each thread has allocated.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    // A buffer may be freed by another thread than the one that made it.
    LIVE.set(LIVE.get().saturating_add(more).saturating_sub(less));
    MOST.set(MOST.get().max(LIVE.get()));
}

// SAFETY: every call is the system allocator's own; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were allocated at a time while `work` went on, beside those before.
fn most_bytes<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    MOST.set(before);
    let done = work();
    (done, MOST.get().saturating_sub(before))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// The input in a form to be read: its beginning, escaped.
fn shown(input: &[u8]) -> String {
    let beginning = &input[..input.len().min(600)];
    let more = if beginning.len() < input.len() { "…" } else { "" };
    format!("{}{more} ({} bytes)", beginning.escape_ascii(), input.len())
}

/// Reads one input. Answers whether it was accepted, or how it was taken amiss.
fn read(target: &Target, input: &[u8]) -> Result<bool, String> {
    let (read, bytes) = most_bytes(|| catch_unwind(AssertUnwindSafe(|| (target.read)(input).is_some())));
    let accepted = read.map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned())).unwrap_or_default()
    })?;
    let (fixed, a_byte) = MOST_BYTES;
    let most = fixed + a_byte * input.len();
    if bytes > most { Err(format!("it took {bytes} bytes, more than {most}")) } else { Ok(accepted) }
}

/// Drives a target.
fn drive(name: &str) {
    let target = named(name);
    for seed in target.seeds {
        assert_eq!(read(target, seed), Ok(true), "{name}: a seed is to be accepted: {}", shown(seed));
    }
    let seed = number("KLIMB_FUZZ_SEED").unwrap_or(1);
    let limit = number("KLIMB_FUZZ_SECONDS").map(Duration::from_secs);
    let inputs = if std::env::var_os("KLIMB_LONG").is_some() { AT_LENGTH * INPUTS } else { INPUTS };
    let (start, mut accepted, mut index) = (Instant::now(), 0, 0);
    while limit.map_or(index < inputs, |limit| start.elapsed() < limit) {
        let input = mutator::input(target, seed, index);
        match read(target, &input) {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(reason) => {
                let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
                let file = folder.join(format!("{name}-{seed}-{index}"));
                std::fs::create_dir_all(&folder)
                    .and_then(|()| std::fs::write(&file, &input))
                    .expect("a folder to write to");
                panic!("{name}, seed {seed}, input {index}, kept as {}: {reason}\n{}", file.display(), shown(&input));
            }
        }
        index += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    // Not by a macro, which the runner of tests would keep to itself.
    let line = format!("fuzz {name}: {index} inputs of seed {seed}, {accepted} of them accepted, {seconds:.1} s\n");
    std::io::stdout().write_all(line.as_bytes()).expect("an open output");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            drive(stringify!($name));
        })*

        #[test]
        fn every_target_is_driven() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
        }
    };
}

targets! {
    address pairs checkpoint numbers receipt kept first session tab csv run optimum message parts golden sentences
}

#[test]
fn what_an_input_claims_is_not_allocated() {
    let huge = 1_u64 << 60;
    let header = format!(r#"{{"wte":{{"dtype":"F32","shape":[{huge},2],"data_offsets":[0,{huge}]}}}}"#);
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let long = [&huge.to_le_bytes()[..], b"{}"].concat();
    let transformer =
        String::from_utf8_lossy(named("golden").seeds[0]).replace("\"nb\": 4", &format!("\"nb\": {huge}"));
    let labels = String::from_utf8_lossy(named("tab").seeds[0]).replace("\"goal\":20", &format!("\"goal\":{huge}"));
    for (name, input) in [
        ("checkpoint", file),
        ("checkpoint", long),
        ("golden", transformer.into_bytes()),
        ("tab", labels.into_bytes()),
        ("address", format!("rollout_size={huge}&pairs={huge}&batch_size={huge}").into_bytes()),
    ] {
        let _ = (named(name).read)(named(name).seeds[0]);
        let (_, bytes) = most_bytes(|| drop((named(name).read)(&input)));
        assert!(bytes < (1 << 20) + 64 * input.len(), "{name}: {bytes} bytes for {}", shown(&input));
    }
}

/// What would take the square of its length in time, or a stack as deep as it is long, does not end within a day here.
#[test]
fn long_inputs_of_one_kind_come_to_an_end() {
    const LENGTH: usize = 1 << 19;
    let repeated = |piece: &str| piece.repeat(LENGTH / piece.len());
    let numbered = |piece: fn(usize) -> String| (0..LENGTH / 16).map(piece).collect::<String>();
    let keys = numbered(|n| format!("\"k{:07}\":1,", LENGTH - n));
    let mut inputs: Vec<String> =
        [".", "a: ", "Not ", "[", "{\"a\":", "\"", "\\", "&a=b", "hide=x,", "%", ",", "1", "\n", "{}", "so but ", "!?"]
            .map(repeated)
            .into();
    inputs.extend([
        numbered(|n| format!("w{n} ")),
        numbered(|n| format!("w{n}=1&")),
        numbered(|n| format!("{{\"step\":{n}}}\n")),
        format!("{{{keys}\"z\":1}}"),
        format!("{{\"valences\":{{{keys}\"z\":1}},\"boosters\":{{}},\"negations\":[],\"neutral\":[]}}"),
        format!("{}{}", "[".repeat(LENGTH / 2), "]".repeat(LENGTH / 2)),
    ]);
    for (target, input) in TARGETS.iter().flat_map(|target| inputs.iter().map(move |input| (target, input))) {
        let framed = [&(input.len() as u64).to_le_bytes(), input.as_bytes()].concat();
        for bytes in [input.as_bytes(), &framed] {
            read(target, bytes).unwrap_or_else(|reason| panic!("{}: {reason}: {}", target.name, shown(bytes)));
        }
    }
}

/// What inputs of the browser's targets mean, in the same form as there.
#[test]
fn the_browser_is_told_what_inputs_mean_here() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz_digests.json");
    let digests: BTreeMap<&str, String> = TARGETS
        .iter()
        .filter(|target| target.in_browser)
        .map(|target| (target.name, mutator::digests(target).join(" ")))
        .collect();
    let text = json::to_pretty_text(&digests) + "\n";
    if std::env::var_os("KLIMB_WRITE_DIGESTS").is_some() {
        std::fs::write(&path, &text).expect("the file of digests is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "what readers accept has changed: run `KLIMB_WRITE_DIGESTS=1 cargo test --test suite fuzz::`, and then the tests in the browser"
    );
}
