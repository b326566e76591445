//! `sweep --shard` and `merge`: several machines make what one would have.

use std::path::Path;

use super::sweep::{sweep, text};
use super::{Answer, folder, klimb, tiny_reference};

fn merge(folders: &[&Path], out: &Path) -> Answer {
    let folders = folders.iter().map(|folder| folder.to_str().unwrap());
    klimb(["merge"].into_iter().chain(folders).chain(["--out", out.to_str().unwrap()]))
}

fn frontier(folder: &Path) -> Vec<String> {
    let without_seconds = |line: &str| line.rsplit_once(',').unwrap().0.to_owned();
    text(&folder.join("frontier.csv")).lines().map(without_seconds).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = ["samples", "checkpoints"]
        .iter()
        .flat_map(|below| std::fs::read_dir(folder.join(below)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn shards_put_together_are_the_sweep() {
    let folder = folder("merge");
    let reference = tiny_reference(&folder);
    let [whole, first, second, merged] = ["whole", "first", "second", "merged"].map(|name| folder.join(name));
    sweep(&reference, &whole, &[]).ended(0);
    sweep(&reference, &first, &["--shard", "1/2"]).ended(0);
    sweep(&reference, &second, &["--shard", "2/2"]).ended(0);
    assert!(!first.join("optimum.csv").exists() && first.join("frontier.svg").exists());
    let parts = frontier(&first).len() + frontier(&second).len();
    assert_eq!(parts, frontier(&whole).len() + 2, "header and reference twice");
    sweep(&reference, &first, &["--shard", "2/2"]).refused("other shard");

    merge(&[&second, &first], &merged).ended(0);
    assert_eq!(frontier(&merged), frontier(&whole));
    assert_eq!(files(&merged), files(&whole));
    for file in ["optimum.csv", "optimum_learned.csv"] {
        assert_eq!(text(&merged.join(file)), text(&whole.join(file)));
    }
    let said = sweep(&reference, &merged, &[]).ended(0).error;
    assert!(said.contains("not repeated: 7 of 7 runs"), "{said}");
    // Again into the same folder: nothing is new.
    let said = merge(&[&first, &second], &merged).ended(0).error;
    assert!(!said.contains("another reward model"), "{said}");
    assert_eq!(frontier(&merged), frontier(&whole));
}

#[test]
fn what_is_missing_is_said_and_can_be_made_up_for() {
    let folder = folder("merge-part");
    let reference = tiny_reference(&folder);
    let [first, merged] = ["first", "merged"].map(|name| folder.join(name));
    sweep(&reference, &first, &["--shard", "1/2"]).ended(0);
    let said = merge(&[&first], &merged).ended(0).out;
    assert!(said.contains("3 of 7 runs are missing"), "{said}");
    assert!(!merged.join("optimum.csv").exists());
    let said = sweep(&reference, &merged, &[]).ended(0).error;
    assert!(said.contains("not repeated: 4 of 7 runs"), "{said}");
    assert!(merged.join("optimum.csv").exists());
}

#[test]
fn folders_that_are_not_one_sweep_are_refused() {
    let folder = folder("merge-foreign");
    let reference = tiny_reference(&folder);
    let [one, other, twin, merged] = ["one", "other", "twin", "merged"].map(|name| folder.join(name));
    sweep(&reference, &one, &["--shard", "1/5"]).ended(0);
    sweep(&reference, &other, &["--seed", "2", "--shard", "1/5"]).ended(0);
    merge(&[&one, &other], &merged).refused("other settings");
    merge(&[&folder], &merged).refused("run.json");
    assert!(!merged.exists());
    sweep(&reference, &twin, &["--shard", "1/5"]).ended(0);
    let changed = text(&one.join("frontier.csv")).replace("dpo,0.3,1,4,", "dpo,0.3,1,4,9");
    std::fs::write(twin.join("frontier.csv"), changed).unwrap();
    merge(&[&one, &twin], &merged).refused("another dpo-0.3-1-4");
    assert!(!merged.exists(), "a refusal leaves nothing");
    // Nor does one where the points that contradict each other came together before.
    let (half, third) = (folder.join("half"), folder.join("third"));
    merge(&[&one], &half).ended(0);
    sweep(&reference, &third, &["--shard", "2/5"]).ended(0);
    let before = (text(&half.join("frontier.csv")), files(&half));
    merge(&[&third, &twin], &half).refused(&format!("another dpo-0.3-1-4 than {}", half.display()));
    assert_eq!((text(&half.join("frontier.csv")), files(&half)), before);
    // What is left out, because its file is another, contradicts nothing.
    let point = "checkpoints/dpo-0.3-1-4.safetensors";
    std::fs::copy(twin.join("checkpoints/dpo-0.3-1-2.safetensors"), twin.join(point)).unwrap();
    let said = merge(&[&third, &twin], &half).ended(0).error;
    assert!(said.matches("it is left out").count() == 1 && said.contains("so is its point dpo-0.3-1-4"), "{said}");
    assert!(frontier(&half).len() > before.0.lines().count());
    std::fs::copy(one.join(point), twin.join(point)).unwrap();
    std::fs::write(twin.join("frontier.csv"), text(&one.join("frontier.csv"))).unwrap();
    let (model, mine) = ("checkpoints/reward-model-1.safetensors", "of another machine");
    std::fs::write(twin.join(model), mine).unwrap();
    std::fs::copy(folder.join("sft.safetensors"), one.join(model)).unwrap();
    let said = merge(&[&one, &twin], &merged).ended(0).error;
    assert!(said.contains("another reward model") && said.contains("seed 1"), "{said}");
    assert_eq!(std::fs::read(merged.join(model)).unwrap(), std::fs::read(one.join(model)).unwrap());
    // Names from a file become those of files only where a run of the sweep makes such a point.
    let (frontier, last) = (text(&one.join("frontier.csv")), folder.join("last"));
    let line = frontier.lines().position(|line| line.starts_with("dpo,0.3,1,4,")).unwrap();
    for (name, words) in [
        ("../../evil,0.3,1,4,", "column method"),
        ("dpo,../../evil,1,4,", "no run of this sweep makes the point dpo-../../evil-1-4"),
        ("best_of_n,../../evil,1,0,", "no run of this sweep"),
        ("dpo,0.3,1,3,", "no run of this sweep"),
        ("evil,0.3,1,4,", "column method"),
        ("sft,reference,1,9,", "no run of this sweep"),
    ] {
        std::fs::write(twin.join("frontier.csv"), frontier.replace("dpo,0.3,1,4,", name)).unwrap();
        let at = format!("line {}", line + 1);
        let said = merge(&[&twin], &last).ended(2).error;
        assert!(said.contains(words) && said.contains(&at), "{said}");
        sweep(&reference, &twin, &["--shard", "1/5"]).refused(&at);
    }
    let is_evil =
        |folder: &Path| std::fs::read_dir(folder).unwrap().any(|it| format!("{:?}", it.unwrap()).contains("evil"));
    assert!(!is_evil(&folder) && !last.exists(), "a refusal leaves nothing");
    // A point whose files are missing is left out, and said; so are parts of different builds.
    std::fs::write(twin.join("frontier.csv"), &frontier).unwrap();
    std::fs::remove_file(twin.join("checkpoints/dpo-0.3-1-2.safetensors")).unwrap();
    let other = text(&twin.join("run.json")).replace("\"build\": null", "\"build\": \"of another day\"");
    std::fs::write(twin.join("run.json"), other).unwrap();
    let said = merge(&[&twin], &last).ended(0);
    assert!(
        said.error.contains("dpo-0.3-1-2; it is left out") && !said.error.contains("different builds"),
        "{}",
        said.error
    );
    assert!(said.out.contains("6 of 7 runs are missing"), "{}", said.out);
    let said = merge(&[&one, &twin], &last).ended(0);
    assert!(said.error.contains("different builds") && said.error.contains("twin: of another day"), "{}", said.error);
    assert!(said.out.contains("5 of 7 runs are missing"), "{}", said.out);
    std::fs::write(twin.join("run.json"), "{}").unwrap();
    merge(&[&twin], &folder.join("none")).refused("settings");
    sweep(&reference, &folder.join("none"), &["--shard", "3/2"]).ended(2);
}
