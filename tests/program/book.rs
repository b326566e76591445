//! The book against the program: the chapters that follow from tables of the code, and the commands of *the command line*,
//! run as they stand there. KLIMB_WRITE_BOOK writes those chapters anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use klimb::engine::settings::{KNOBS, Knob, Section, Settings};
use klimb::engine::stage::Stage;
use klimb::metrics::{DEFINITIONS, LearnsFrom, METHODS, SettingKind};

use super::{folder, klimb, program};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Under every chapter that nobody writes by hand.
const MADE: &str = "This chapter is made from the code by `cargo xtask docs --generate`.\n";
/// The commands that train or draw for longer than a moment, and what each is given instead of what the book gives it, so that
/// it is soon over; an empty value takes the flag away.
const LONG: &[(&str, &[(&str, &str)])] = &[
    ("pretrain", &[("--steps", "2")]),
    ("sft", &[("--steps", "2")]),
    ("optimum", &[("--effective", "4"), ("--kl", "0.5")]),
    ("dpo", &[("--steps", "2"), ("--evaluate-every", "1")]),
    ("reward-model", &[("--pairs", "384"), ("--epochs", "1")]),
    ("ppo", &[("--rollouts", "1"), ("--evaluate-every", "1")]),
    ("best-of-n", &[("--samples", "16")]),
    ("sweep", &[("--preset", "smoke")]),
    ("scaling", &[("--preset", "smoke")]),
    ("compare", &[("--preset", "smoke")]),
    ("ablate", &[("--preset", "smoke"), ("--seeds", ""), ("--factor", "unembedding")]),
    ("hack", &[("--preset", "smoke")]),
    ("winrate", &[("--best-of", "2"), ("--instances", "16"), ("--temperatures", "1")]),
];

/// A row of a table in Markdown.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('*', "\\*")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Checks that the book's chapter is `text`, or writes it.
fn is_chapter(name: &str, text: &str) {
    let path = Path::new(ROOT).join("docs/guide").join(name);
    if std::env::var_os("KLIMB_WRITE_BOOK").is_some() {
        std::fs::write(&path, text).expect("the chapter can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(text.lines()).find(|(one, other)| one != other);
    assert!(
        there == text,
        "docs/guide/{name} is not what the code says ({differs:?}); run `cargo xtask docs --generate`"
    );
}

/// The values that a setting takes, in words.
fn values(knob: &Knob) -> String {
    let names: Vec<String> = knob.values.names.iter().map(|name| format!("`{name}`")).collect();
    if let Some((last, others)) = names.split_last() {
        return format!("{} or {last}", others.join(", "));
    }
    let (low, high) = knob.values.range;
    match knob.values.grain {
        1.0 => format!("a whole number from {low} to {high}"),
        0.0 => format!("{low} to {high}"),
        grain => format!("a multiple of {grain} from {low} to {high}"),
    }
}

#[test]
fn generated_settings() {
    let sections = [
        (Section::Slider, "Beside the chart"),
        (Section::Run, "In the bar: which run it is"),
        (Section::Engine, "In the bar: what computes"),
        (Section::Settings, "Under *Settings*"),
    ];
    let mut text = format!(
        "# Settings\n\n{MADE}\nThe settings of a run stand in the address of the page.\nWhat the address does not name has its \
         default, and a value that cannot be used is named on the page.\n"
    );
    for (section, title) in sections {
        write!(text, "\n## {title}\n").unwrap();
        for knob in KNOBS.iter().filter(|knob| knob.section == section) {
            let stages: Vec<&str> = knob.stages.iter().map(|stage| stage.name()).collect();
            let matters = if stages.len() == Stage::ALL.len() { "every stage".to_owned() } else { stages.join(", ") };
            write!(text, "\n### `{}`\n\n{}\n\n", knob.name, knob.meaning).unwrap();
            writeln!(text, "- On the page: *{}*", knob.label).unwrap();
            writeln!(text, "- Values: {}; default `{}`", values(knob), knob.text(&Settings::default())).unwrap();
            writeln!(text, "- Matters to: {matters}").unwrap();
        }
    }
    for knob in KNOBS {
        assert!(text.contains(&format!("### `{}`", knob.name)), "{} stands in no section", knob.name);
    }
    is_chapter("settings.md", &text);
}

#[test]
fn generated_methods() {
    let mut text = format!(
        "# Methods\n\n{MADE}\nEvery way in which a policy of the frontier comes about, with its name in files and in receipts.\n\n"
    );
    text += &row(&["method", "name in files", "learns from", "its setting", "its loss"]);
    text += &row(&["---"; 5]);
    for info in METHODS {
        let learns_from = match info.learns_from {
            LearnsFrom::Texts => "texts",
            LearnsFrom::Pairs => "pairs of completions",
            LearnsFrom::Rollouts if info.needs_reward_model => "what it writes, judged by a reward model",
            LearnsFrom::Rollouts => "what it writes, judged by the gold reward",
            LearnsFrom::Nothing => "nothing: it is not trained",
        };
        let setting = match info.setting {
            SettingKind::Knob(setting) => format!("{} (`{}`)", setting.symbol, setting.knob),
            SettingKind::Count => "N, how many completions are drawn".to_owned(),
            SettingKind::None => "none".to_owned(),
        };
        let loss = info.loss.map_or("none".to_owned(), |loss| format!("`{loss}`"));
        text += &row(&[info.label, &format!("`{}`", info.file_name), learns_from, &setting, &loss]);
    }
    text += "\n[The metrics](metrics.md) explains the losses.\n";
    is_chapter("methods.md", &text);
}

#[test]
fn generated_metrics() {
    let mut text = format!(
        "# Metrics\n\n{MADE}\nEvery number that a run reports, under its name in exports and logs.\nWhere a library such as TRL \
         reports the same number, the name is that library's.\n"
    );
    for metric in DEFINITIONS {
        let unit = if metric.unit.is_empty() { String::new() } else { format!(" ({})", metric.unit) };
        write!(text, "\n## `{}`\n\n**{}**{unit}\n\n", metric.name, metric.label).unwrap();
        let escaped = |text: &str| text.replace('*', "\\*").replace('_', "\\_");
        write!(text, "{}\n{}\n", escaped(metric.definition), escaped(metric.how_to_read)).unwrap();
    }
    is_chapter("metrics.md", &text);
}

/// What a command line prints as help, as it is piped.
fn help(of: &[&str]) -> String {
    let output = program().args(of).arg("--help").env("NO_COLOR", "1").output().expect("the program was built");
    let text = String::from_utf8(output.stdout).expect("the program prints UTF-8");
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>().trim_end().to_owned()
}

#[test]
fn generated_commands() {
    let overview = help(&[]);
    let mut text = format!(
        "# Commands of klimb\n\n{MADE}\n`klimb COMMAND --help` prints these texts; [the command line](command_line.md) shows the \
         commands at work.\n\n```text\n{overview}\n```\n"
    );
    let list = overview.split("\nCommands:\n").nth(1).expect("a list of commands").split("\n\n").next().unwrap();
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"dpo") && names.last() == Some(&"help"), "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        write!(text, "\n## `klimb {name}`\n\n```text\n{}\n```\n", help(&[name])).unwrap();
    }
    is_chapter("commands.md", &text);
}

/// A command of the chapter with what it prints there.
#[derive(Debug, PartialEq)]
struct Example {
    words: Vec<String>,
    printed: Vec<String>,
}

/// The commands in the blocks of code of a chapter.
fn examples(chapter: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    for block in chapter.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let joined = block.replace("\\\n", " ");
        for line in joined.lines() {
            match (line.strip_prefix("$ klimb "), examples.last_mut()) {
                (Some(command), _) => examples.push(Example { words: words(command), printed: Vec::new() }),
                (None, Some(Example { printed, .. })) => printed.push(line.to_owned()),
                (None, None) => {}
            }
        }
    }
    examples
}

/// The words of a command line, as a shell reads those of the book.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned())
        } else {
            words.extend(part.split_whitespace().map(str::to_owned))
        }
    }
    words
}

/// Whether the lines of `printed` stand in `out` in this order; "…" stands for any lines, and lines that follow each other
/// there do so here.
fn is_printed(printed: &[String], out: &str) -> bool {
    let lines: Vec<&str> = out.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut groups = printed
        .split(|line| line.trim() == "…")
        .map(|group| group.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>());
    let mut at = 0;
    groups.all(|group| {
        let found = (at..=lines.len().saturating_sub(group.len())).find(|start| lines[*start..].starts_with(&group));
        found.is_some_and(|start| {
            at = start + group.len();
            true
        })
    })
}

/// A line with `#` for each number, whose last digits another processor may round otherwise.
fn without_numbers(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let is_number = word.trim_end_matches(',').parse::<f64>().is_ok();
        if is_number { "#" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn quick_commands_print_what_the_book_says() {
    let chapter = std::fs::read_to_string(format!("{ROOT}/docs/guide/command_line.md")).expect("the chapter");
    let readme = std::fs::read_to_string(format!("{ROOT}/README.md")).expect("the README");
    let mut ran = BTreeMap::<String, usize>::new();
    for Example { words, printed } in examples(&chapter).into_iter().chain(examples(&readme)) {
        let is_long = LONG.iter().any(|(command, _)| *command == words[0]);
        // The models of a sweep of its own are no quick matter.
        if is_long || words.iter().any(|word| word.starts_with("sweep/")) {
            continue;
        }
        let answer = klimb(&words).ended(0);
        let (printed, out) = if words[0] == "verify" {
            let out: Vec<String> = answer.out.lines().map(without_numbers).collect();
            (printed.iter().map(|line| without_numbers(line)).collect(), out.join("\n"))
        } else {
            (printed, answer.out)
        };
        assert!(!printed.is_empty() && is_printed(&printed, &out), "klimb {} prints now:\n{out}", words.join(" "));
        *ran.entry(words[0].clone()).or_default() += 1;
    }
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["pairs", "sample", "score", "verify"]);
}

/// The words of a command with a small budget.
fn shortened(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    let (_, budget) = LONG.iter().find(|(command, _)| *command == words[0]).expect("a command that takes long");
    for (flag, value) in *budget {
        match words.iter().position(|word| word == flag) {
            Some(at) if value.is_empty() => drop(words.drain(at..at + 2)),
            None if value.is_empty() => {}
            Some(at) => words[at + 1] = (*value).to_owned(),
            None => words.extend([(*flag).to_owned(), (*value).to_owned()]),
        }
    }
    words
}

#[test]
#[ignore = "it trains by every command: `cargo xtask test long` runs it"]
fn long_commands_run_with_a_small_budget() {
    let chapter = std::fs::read_to_string(format!("{ROOT}/docs/guide/command_line.md")).expect("the chapter");
    let folder = folder("book");
    // Some write over the models that ship with the page.
    std::fs::create_dir_all(folder.join("www/assets")).unwrap();
    for file in std::fs::read_dir(format!("{ROOT}/www/assets")).unwrap().map(Result::unwrap) {
        if file.path().is_file() {
            std::fs::copy(file.path(), folder.join("www/assets").join(file.file_name())).unwrap();
        }
    }
    let sft = format!("{ROOT}/www/assets/sft.safetensors");
    for Example { words, printed } in examples(&chapter) {
        if !LONG.iter().any(|(command, _)| *command == words[0]) {
            continue;
        }
        // What a sweep of the right length would have left.
        let with_model = |word: &String| match word.split_once('=') {
            Some((name, path)) if path.contains("checkpoints/") => format!("{name}={sft}"),
            _ => word.clone(),
        };
        let words: Vec<String> = shortened(&words).iter().map(with_model).collect();
        let output = program().args(&words).current_dir(&folder).output().expect("the program was built");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8")).concat();
        assert_eq!(output.status.code(), Some(0), "klimb {}:\n{said}", words.join(" "));
        let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = said.lines().map(plain).collect();
        let headings =
            printed.iter().filter(|line| !line.contains(|letter: char| letter.is_numeric() || letter == '…'));
        for heading in headings.map(|line| plain(line)).filter(|line| !line.is_empty()) {
            assert!(lines.contains(&heading), "klimb {} prints no line “{heading}”:\n{said}", words.join(" "));
        }
    }
}

#[test]
fn every_command_of_the_book_is_one_that_the_program_takes() {
    let chapter = std::fs::read_to_string(format!("{ROOT}/docs/guide/command_line.md")).expect("the chapter");
    for Example { words, .. } in examples(&chapter) {
        // Help is asked for at the end, so that all before it is read, and nothing is done.
        let output = program().args(&words).arg("--help").output().expect("the program was built");
        assert_eq!(output.status.code(), Some(0), "klimb {}", words.join(" "));
        let text = String::from_utf8(output.stdout).expect("the program prints UTF-8");
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(
                text.contains(&format!("{flag} ")) || text.contains(&format!("{flag}\n")),
                "klimb {}: {flag}",
                words[0]
            );
        }
    }
}

#[test]
fn examples_are_read_and_compared() {
    let chapter =
        "```text\n$ klimb score \"a b\" c\n  one\n  …\n\n  three\n$ klimb verify \\\n  --x\n```\n```sh\nno\n```\n";
    let [score, verify] = &examples(chapter)[..] else { panic!("two examples") };
    assert_eq!(score.words, ["score", "a b", "c"]);
    assert_eq!(verify.words, ["verify", "--x"]);
    assert!(is_printed(&score.printed, "zero\none\ntwo\n three\n"));
    assert!(!is_printed(&score.printed, "three\none\n"));
    assert!(!is_printed(&["one".into(), "three".into()], "one\ntwo\nthree"));
    assert_eq!(without_numbers("losses of 20 steps 9.54e-7, x"), "losses of # steps # x");
    let long = shortened(&["dpo".to_owned(), "--steps".to_owned(), "100".to_owned()]);
    assert_eq!(long, ["dpo", "--steps", "2", "--evaluate-every", "1"]);
    let ablate = shortened(&["ablate", "--seeds", "3", "--out", "x"].map(str::to_owned));
    assert_eq!(ablate, ["ablate", "--out", "x", "--preset", "smoke", "--factor", "unembedding"]);
}
