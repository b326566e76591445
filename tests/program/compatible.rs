//! Folders that an earlier build wrote (`tests/data/compatible/`): the same command goes on with them.

use std::path::{Path, PathBuf};

use super::sweep::sweep;
use super::{folder, klimb};

fn earlier(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/compatible").join(name)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        let its = to.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            copy(&path, &its);
        } else {
            std::fs::copy(&path, its).expect("it can be copied");
        }
    }
}

#[test]
fn a_folder_of_an_earlier_build_is_gone_on_with() {
    let folder = folder("compatible");
    let reference = earlier("sweep/checkpoints/reference.safetensors");
    copy(&earlier("sweep"), &folder.join("sweep"));
    let said = sweep(&reference, &folder.join("sweep"), &["--shard", "3/3"]).ended(0).error;
    assert!(said.contains("not repeated: 2 of 2 runs"), "{said}");
    let table = |path: PathBuf| std::fs::read_to_string(path).expect("it is text");
    assert_eq!(table(folder.join("sweep/frontier.csv")), table(earlier("sweep/frontier.csv")));
    // Every policy's part is there. The reward models' files are not, so they are trained again, which takes its own seconds.
    copy(&earlier("comparison"), &folder.join("comparison"));
    let (reference, out) = (reference.to_str().unwrap(), folder.join("comparison"));
    klimb(["compare", "--preset", "smoke", "--reference", reference, "--out", out.to_str().unwrap()]).ended(0);
    let (now, then) = (table(out.join("comparison.csv")), table(earlier("comparison/comparison.csv")));
    assert_eq!(now.lines().count(), then.lines().count());
    for (now, then) in now.lines().zip(then.lines()).filter(|(_, then)| !then.contains(",seconds,")) {
        for (now_cell, then_cell) in now.split(',').zip(then.split(',')) {
            // The earlier build read numbers of the parts without their last digit.
            let is_same = match (now_cell.parse::<f64>(), then_cell.parse::<f64>()) {
                (Ok(now), Ok(then)) => (now - then).abs() <= 1e-12 * then.abs(),
                _ => now_cell == then_cell,
            };
            assert!(is_same, "{now}\n{then}");
        }
    }
}
