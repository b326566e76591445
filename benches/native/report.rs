//! The results as numbers for another program, and where they were measured.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use klimb::backend::gpu::Adapter;
use serde_json::{Value, json};

use super::harness::Measured;
use super::scaling;

/// The variable that names the file to write.
const FILE: &str = "KLIMB_BENCH_JSON";

/// Writes what was measured where [`FILE`] says, if it says so.
pub fn write(measured: &[Measured], adapter: Option<&Adapter>) {
    let Some(path) = std::env::var_os(FILE) else { return };
    let results: Vec<Value> = measured.iter().filter_map(result).collect();
    let report = json!({
        "program": concat!("klimb ", env!("CARGO_PKG_VERSION")),
        "unix_seconds": SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        "machine": machine(adapter),
        "results": results,
        "scaling": scaling::laws(&results),
    });
    let text = serde_json::to_string_pretty(&report).expect("numbers and words");
    if let Err(error) = fs::write(&path, text + "\n") {
        eprintln!("cannot write {}: {error}", path.display());
        std::process::exit(1);
    }
    println!("{} results in {}", measured.len(), path.display());
}

/// What the numbers depend on. The load says whether others used the machine too.
fn machine(adapter: Option<&Adapter>) -> Value {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let information = file("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "processor": model.map_or(std::env::consts::ARCH, |(_, name)| name),
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "system": std::env::consts::OS,
        "load": file("/proc/loadavg").split_whitespace().next(),
        "adapter": adapter.map(|adapter| json!({
            "name": adapter.name,
            "backend": adapter.backend,
            "driver": adapter.driver,
            "device_type": adapter.device_type,
            "is_software": adapter.is_software,
        })),
    })
}

/// One subject's numbers, or nothing where Criterion kept none (it only keeps what `--bench` measured).
fn result(Measured { subject, backend, folder }: &Measured) -> Option<Value> {
    let estimates = read(&folder.join("estimates.json"))?;
    let sample = read(&folder.join("sample.json"))?;
    let milliseconds = |nanoseconds: f64| nanoseconds * 1e-6;
    let median = milliseconds(estimates["median"]["point_estimate"].as_f64()?);
    Some(json!({
        "subject": subject.name,
        "size": subject.size,
        "backend": backend,
        "milliseconds": {
            "median": median,
            "mean": milliseconds(estimates["mean"]["point_estimate"].as_f64()?),
            "fastest": milliseconds(fastest(&sample)?),
        },
        "gflop": subject.flop.map(|flop| flop as f64 * 1e-9),
        "gflop_per_second": subject.flop.map(|flop| flop as f64 * 1e-6 / median),
    }))
}

/// Nanoseconds of the quickest sample.
fn fastest(sample: &Value) -> Option<f64> {
    let numbers = |name: &str| sample[name].as_array().map(|all| all.iter().filter_map(Value::as_f64));
    numbers("times")?.zip(numbers("iters")?).map(|(time, times)| time / times).reduce(f64::min)
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}
