//! A study that is interrupted or killed at random moments and begun again ends as one that ran through: the same files, byte
//! for byte but for the seconds that were measured. `KLIMB_LONG` asks for more moments.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use klimb::rng::Generator;
use serde_json::Value;

use super::{folder, program, tiny_reference};

/// How often a study is stopped before it may run to its end.
const STOPS: usize = 3;
/// How often it is begun anew, to be stopped sooner, where it had ended before anything reached it.
const MOST_MISSES: i32 = 20;

/// Every file of a study with what time changes left out.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            match path.extension().and_then(|it| it.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("lock") => {}
                Some("csv") => drop(found.insert(name, timeless_table(&std::fs::read_to_string(path).unwrap()))),
                Some("json") => drop(found.insert(name, timeless_json(&std::fs::read(path).unwrap()))),
                _ => drop(found.insert(name, std::fs::read(path).unwrap())),
            }
        }
    }
    found
}

/// A table without its column of seconds and without its rows of them.
fn timeless_table(text: &str) -> Vec<u8> {
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    let seconds = header.iter().position(|it| *it == "seconds");
    let rows = text.lines().filter(|line| !line.contains(",seconds,"));
    let cells = |line: &str| {
        let cells = line.split(',').enumerate().filter(|(at, _)| Some(*at) != seconds);
        cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(",")
    };
    rows.map(|line| cells(line) + "\n").collect::<String>().into_bytes()
}

fn timeless_json(bytes: &[u8]) -> Vec<u8> {
    fn timeless(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| name != "seconds" && name != "checksum");
                fields.values_mut().for_each(timeless);
            }
            Value::Array(items) => items.iter_mut().for_each(timeless),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut value = serde_json::from_slice(bytes).expect("JSON");
    timeless(&mut value);
    serde_json::to_vec(&value).unwrap()
}

/// What came of a study that somebody wanted to stop.
enum Course {
    /// It was stopped so often, by an interruption and by a kill, before it ended.
    Stopped([usize; 2]),
    /// It ended before it could be stopped for the first time.
    Missed,
}

/// Runs a study to its end, however often it is stopped on the way: by a kill or an interruption in turn, after any share of
/// the time that it lasts.
fn stopped_and_begun_again(
    arguments: &[&str],
    lasts: Duration,
    (random, kills_first): (&mut Generator, bool),
) -> Course {
    let mut stops = [0; 2];
    for attempt in 0.. {
        let mut child = program()
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built");
        let is_kill = kills_first == (attempt % 2 == 0);
        if attempt < STOPS {
            std::thread::sleep(lasts.mul_f64(random.uniform()));
            // Nobody has waited for it, so there is somebody to be told, who may have ended by itself.
            let signal = if is_kill { "-KILL" } else { "-INT" };
            let told = Command::new("kill").args([signal, &child.id().to_string()]).status();
            assert!(told.expect("kill is there").success(), "{arguments:?}: nobody was told");
        }
        match child.wait().expect("it was started").code() {
            Some(0) if stops == [0; 2] => return Course::Missed,
            Some(0) => return Course::Stopped(stops),
            // Interrupted before it listened, it ends like any program; killed, likewise.
            Some(130) | None => {
                assert!(attempt < STOPS, "{arguments:?}: nobody stopped it");
                stops[usize::from(is_kill)] += 1;
            }
            Some(code) => panic!("{arguments:?}: exit code {code}"),
        }
    }
    unreachable!("the last attempt is not stopped")
}

#[cfg(unix)]
#[test]
fn a_study_that_was_stopped_anywhere_ends_as_one_that_ran_through() {
    let folder = folder("stopped");
    let reference = tiny_reference(&folder);
    let reference = reference.to_str().unwrap();
    let policy = format!("sft={reference}");
    let studies: [(&str, &[&str]); 6] = [
        ("sweep", &["--preset", "smoke", "--reference", reference]),
        ("compare", &["--preset", "smoke", "--reference", reference]),
        ("scaling", &["--preset", "smoke"]),
        ("ablate", &["--preset", "smoke", "--factor", "unembedding"]),
        ("hack", &["--preset", "smoke", "--reference", reference]),
        (
            "winrate",
            &[&policy, "--reference", reference, "--best-of", "2", "--instances", "64", "--temperatures", "0.5,1"],
        ),
    ];
    let times = if std::env::var_os("KLIMB_LONG").is_some() { 20 } else { 1 };
    let (mut random, mut all) = (Generator::new(1, "interruptions"), [0; 2]);
    for (index, (study, more)) in studies.into_iter().enumerate() {
        let arguments = |out: &Path| -> Vec<String> {
            let arguments = [&[study][..], more, &["--out", out.to_str().unwrap()]].concat();
            arguments.into_iter().map(str::to_owned).collect()
        };
        let (whole, began) = (folder.join(study), Instant::now());
        super::klimb(arguments(&whole)).ended(0);
        let lasts = began.elapsed();
        let expected = files(&whole);
        assert!(expected.len() > 1, "{study}: {:?}", expected.keys());
        let mut stops = [0; 2];
        for time in 0..times {
            let out = folder.join(format!("{study}-{time}"));
            let its = (0..MOST_MISSES).find_map(|misses| {
                let arguments = arguments(&out);
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let kills_first = (index + time) % 2 == 0;
                match stopped_and_begun_again(&arguments, lasts / (1 << misses), (&mut random, kills_first)) {
                    Course::Stopped(stops) => Some(stops),
                    Course::Missed => {
                        std::fs::remove_dir_all(&out).unwrap();
                        None
                    }
                }
            });
            let its = its.unwrap_or_else(|| panic!("{study}: it always ends before it can be stopped"));
            stops = [stops[0] + its[0], stops[1] + its[1]];
            let found = files(&out);
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{study}: the files");
            for (name, bytes) in &expected {
                assert!(found[name] == *bytes, "{study}: {name} is another after {its:?} interruptions and kills");
            }
        }
        println!("{study}: stopped {stops:?} times (interrupted, killed), {} files alike", expected.len());
        all = [all[0] + stops[0], all[1] + stops[1]];
    }
    // The first stop reaches every study, by a kill every second one.
    assert!(all[0] > 0 && all[1] > 0, "{all:?}");
}
