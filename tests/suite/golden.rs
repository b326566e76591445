//! The engine against numbers computed by PyTorch (`tests/data/transformer_small.json`), on both backends.

use klimb::backend::cpu::Cpu;
use klimb::backend::gpu::{Gpu, Preference};
use klimb::experiments::verify::{Check, Reference};

fn reference() -> Reference {
    Reference::from_bytes(
        include_bytes!("../data/transformer_small.json"),
        include_bytes!("../data/transformer_small.params.f32"),
        include_bytes!("../data/transformer_small.batches.i32"),
    )
    .expect("the golden files are of the documented format")
}

fn assert_all(checks: &[Check]) {
    assert!(checks.len() > 20);
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(failed.is_empty(), "beyond their tolerance: {failed:#?}");
}

#[test]
fn the_cpu_backend_agrees_with_pytorch_in_f32() {
    assert_all(&pollster::block_on(reference().check(&mut Cpu::<f32>::new())).unwrap());
}

#[test]
fn the_cpu_backend_agrees_with_pytorch_in_f64() {
    assert_all(&pollster::block_on(reference().check(&mut Cpu::<f64>::new())).unwrap());
}

#[test]
fn the_gpu_backend_agrees_with_pytorch() {
    pollster::block_on(async {
        let mut gpu = Gpu::new(Preference::default()).await.expect("the tests need a graphics adapter");
        assert_all(&reference().check(&mut gpu).await.unwrap());
    });
}
