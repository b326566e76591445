//! What is recorded, in which order it happens, and what it costs.

use klimb::backend::gpu::{Gpu, GpuFloats, Preference};
use klimb::backend::kernels::{LEARNING, WRITING};
use klimb::backend::{At, BackendError, Kernels, MatmulSize, kernels};

use klimb::model::ModelConfig;

use super::{assert_parity, cpu, floats, gpu, gpu_as_card, noise, read};

const SIZE: MatmulSize = MatmulSize { rows: 1, inner: 1, columns: 1, bias: false };

/// out = x·w for single numbers.
fn multiply(gpu: &mut Gpu, x: &GpuFloats, w: &GpuFloats, out: &mut GpuFloats) {
    kernels::MatmulForward { size: SIZE, x, weights: At::new(w, 0), out }.run(gpu);
}

#[test]
fn a_dispatch_creates_objects_only_the_first_time() {
    let mut gpu = gpu();
    let (x, w) = (floats(&mut gpu, &[3.0]), floats(&mut gpu, &[2.0]));
    let mut out = gpu.floats("out", 1);
    let mut step = |gpu: &mut Gpu| {
        let before = gpu.counters();
        multiply(gpu, &x, &w, &mut out);
        multiply(gpu, &x, &w, &mut out);
        gpu.submit();
        let after = gpu.counters();
        assert_eq!(after.dispatches - before.dispatches, 2);
        assert_eq!(after.submits - before.submits, 1);
        (after.objects - before.objects, after.writes - before.writes)
    };
    assert_eq!(step(&mut gpu), (2, 1), "a page of uniform blocks, a bind group; one write of the block");
    for _ in 0..3 {
        assert_eq!(step(&mut gpu), (0, 0));
    }
    gpu.forget();
    assert_eq!(step(&mut gpu), (2, 1), "forgotten, made again");
    let before = gpu.counters();
    gpu.submit();
    assert_eq!(gpu.counters(), before, "nothing recorded, nothing sent");
}

#[test]
fn what_is_prepared_is_compiled_at_once_or_one_kernel_after_each_submit() {
    let mut gpu = gpu();
    gpu.prepare(&["matmul_forward"], &["squared_norm", "adamw"]);
    assert_eq!(gpu.compiled(), ["matmul_forward"]);
    let (x, w) = (floats(&mut gpu, &[3.0]), floats(&mut gpu, &[2.0]));
    let mut out = gpu.floats("out", 1);
    let mut submit = |gpu: &mut Gpu| {
        multiply(gpu, &x, &w, &mut out);
        gpu.submit();
        gpu.compiled()
    };
    assert_eq!(submit(&mut gpu), ["matmul_forward", "squared_norm"]);
    assert_eq!(submit(&mut gpu), ["matmul_forward", "squared_norm", "adamw"]);
    assert_eq!(submit(&mut gpu), ["matmul_forward", "squared_norm", "adamw"]);
}

/// The page would be no slower than it was if a kernel's name were wrong here: it would not start.
#[test]
fn a_session_prepares_kernels_that_are_there() {
    let prepared: Vec<_> = WRITING.into_iter().chain(LEARNING).collect();
    let model = ModelConfig { vocabulary: 9, context: 9, width: 16, layers: 1, heads: 4, own_unembedding: false };
    for mut gpu in [gpu(), gpu_as_card()] {
        let at_once = gpu.generates(&model, 9);
        let left_out: &[&str] = if at_once { &["attention_decode_forward", "sample"] } else { &["generate"] };
        gpu.prepare(&prepared, &[]);
        let compiled = gpu.compiled();
        assert_eq!(compiled.len() + left_out.len(), prepared.len(), "each of them once");
        assert!(left_out.iter().all(|name| !compiled.contains(name)), "{left_out:?}");
    }
}

#[test]
fn a_second_read_of_the_same_size_creates_nothing() {
    let mut gpu = gpu();
    let x = floats(&mut gpu, &[1.0, 2.0, 3.0]);
    assert_eq!(read(&mut gpu, &x, 3), [1.0, 2.0, 3.0]);
    let before = gpu.counters();
    assert_eq!(pollster::block_on(gpu.read_floats(&x, 1..3)).unwrap(), [2.0, 3.0]);
    let after = gpu.counters();
    assert_eq!((after.objects - before.objects, after.readbacks - before.readbacks), (0, 1));
}

#[test]
fn more_kernels_than_a_page_has_uniform_blocks() {
    let mut gpu = gpu();
    let w = floats(&mut gpu, &(0..1500).map(|i| i as f32).collect::<Vec<_>>());
    let x = floats(&mut gpu, &[1.0]);
    let mut out = gpu.floats("out", 1);
    let mut last = gpu.floats("last", 1);
    for offset in 0..1500 {
        let out = if offset == 1023 { &mut last } else { &mut out };
        kernels::MatmulForward { size: SIZE, x: &x, weights: At::new(&w, offset), out }.run(&mut gpu);
    }
    assert_eq!((read(&mut gpu, &last, 1), read(&mut gpu, &out, 1)), (vec![1023.0], vec![1499.0]));
}

#[test]
fn what_was_recorded_before_a_write_sees_the_old_values() {
    let mut gpu = gpu();
    let (mut x, w) = (floats(&mut gpu, &[3.0]), floats(&mut gpu, &[2.0]));
    let (mut before, mut after) = (gpu.floats("before", 1), gpu.floats("after", 1));
    multiply(&mut gpu, &x, &w, &mut before);
    gpu.write_floats(&mut x, 0, &[10.0]);
    multiply(&mut gpu, &x, &w, &mut after);
    assert_eq!((read(&mut gpu, &before, 1), read(&mut gpu, &after, 1)), (vec![6.0], vec![20.0]));
}

#[test]
fn copies_happen_in_order_with_kernels() {
    let mut gpu = gpu();
    let (x, w) = (floats(&mut gpu, &[3.0]), floats(&mut gpu, &[2.0]));
    let (mut out, mut copy) = (gpu.floats("out", 1), floats(&mut gpu, &[0.0, 7.0]));
    multiply(&mut gpu, &x, &w, &mut out);
    gpu.copy_floats(&out, &mut copy);
    multiply(&mut gpu, &copy, &w, &mut out);
    assert_eq!((read(&mut gpu, &copy, 2), read(&mut gpu, &out, 1)), (vec![6.0, 7.0], vec![12.0]));
}

#[test]
fn a_read_sees_what_was_recorded_before_it_and_nothing_behind() {
    let mut gpu = gpu();
    let (mut x, w) = (floats(&mut gpu, &[3.0]), floats(&mut gpu, &[2.0]));
    let mut out = gpu.floats("out", 1);
    multiply(&mut gpu, &x, &w, &mut out);
    let first = gpu.read_floats(&out, 0..1);
    gpu.write_floats(&mut x, 0, &[5.0]);
    multiply(&mut gpu, &x, &w, &mut out);
    let second = gpu.read_floats(&out, 0..1);
    assert_eq!(pollster::block_on(second).unwrap(), [10.0]);
    assert_eq!(pollster::block_on(first).unwrap(), [6.0]);
    drop(gpu.read_floats(&out, 0..1));
    assert_eq!(read(&mut gpu, &out, 1), [10.0], "a read nobody awaited does no harm");
}

/// More items than 65535 workgroups of 64 have: the grid goes on in a second dimension.
#[test]
fn a_grid_of_two_dimensions_covers_every_item() {
    fn case<K: Kernels<Real = f32>>(k: &mut K) -> super::Tensors {
        let rows = 64 * 65_535 + 33;
        let logprobs = floats(k, &noise("logprobs", rows));
        let weights = floats(k, &vec![0.5; rows]);
        let (mut dlogprobs, mut statistics) = (k.floats("dlogprobs", rows), k.floats("statistics", rows));
        kernels::Sft {
            rows,
            logprobs: &logprobs,
            weights: At::new(&weights, 0),
            dlogprobs: &mut dlogprobs,
            statistics: &mut statistics,
        }
        .run(k);
        vec![("statistics", read(k, &statistics, rows))]
    }
    assert_parity("two dimensions", &case(&mut gpu()), &case(&mut cpu()));
}

#[test]
fn an_adapter_that_is_not_there_is_named_in_the_error() {
    let preference = Preference { name: Some("abacus".into()), ..Preference::default() };
    let error = pollster::block_on(Gpu::new(preference)).expect_err("no adapter has this name");
    assert!(matches!(&error, BackendError::NoAdapter(reason) if reason.contains("abacus")), "{error}");
}

#[test]
fn a_software_adapter_is_recognised() {
    let gpu = gpu();
    let adapter = gpu.adapter();
    assert_eq!(adapter.is_software, adapter.device_type == "Cpu", "{adapter:?}");
    assert!(!adapter.name.is_empty() && !adapter.backend.is_empty());
}
