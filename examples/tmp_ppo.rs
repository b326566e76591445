use klimb::algorithms::*;
use klimb::backend::cpu::Cpu;
use klimb::backend::network::Network;
use klimb::experiments::*;
use klimb::language::Schedule;
use klimb::metrics::MetricRow;
use klimb::model::*;
use klimb::world::*;
use std::ops::ControlFlow;

fn env(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().map_or(default, |v| v.parse().unwrap())
}
struct Print;
impl PpoSink for Print {
    type Error = std::convert::Infallible;
    fn seconds(&self) -> f64 {
        0.0
    }
    fn learned(&mut self, n: u64, row: &MetricRow, steps: &[PpoMetrics]) -> ControlFlow<()> {
        if n % 5 == 0 || n < 3 {
            let v = |k: &str| row.values[k];
            let m = |f: &dyn Fn(&PpoMetrics) -> f64| steps.iter().map(f).sum::<f64>() / steps.len() as f64;
            println!(
                "  r{n} kl {:.2} k1 {:.2} k3 {:.2} score {:.2} gold {:.3} H {:.2} ev {:.2} beta {:.3} | approx_kl {:.4} clip {:.3} vclip {:.2} vloss {:.3} gn {:.2} vgn {:.2} ratio {:.2}-{:.2} J {:.3}",
                v("objective/kl"),
                v("objective/k1"),
                v("objective/k3"),
                v("objective/score"),
                v("objective/gold_reward"),
                v("objective/entropy"),
                v("ppo/explained_variance"),
                v("objective/kl_coefficient"),
                m(&|s| s.approx_kl[2]),
                m(&|s| s.clip_fraction),
                m(&|s| s.value_clip_fraction),
                m(&|s| s.value_loss),
                m(&|s| s.gradient_norm),
                m(&|s| s.value_gradient_norm),
                v("ppo/ratio_min"),
                v("ppo/ratio_max"),
                v("objective/score") - v("objective/kl_coefficient") * v("objective/kl")
            );
        }
        ControlFlow::Continue(())
    }
    fn point(&mut self, p: SweepPoint) -> Result<(), Self::Error> {
        println!(
            "POINT step {} KL {:.3} ± {:.3} gold {:.3} ± {:.3} distinct {:.2} ended {:.3}",
            p.point.step,
            p.point.kl_per_sequence,
            p.point.kl_half_width,
            p.point.gold_reward,
            p.point.gold_reward_half_width,
            p.point.diversity.unwrap(),
            p.evaluation.ended
        );
        Ok(())
    }
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let world = World::new(WorldSettings::default()).unwrap();
    let load = |path: &str| Checkpoint::from_bytes(&std::fs::read(path).unwrap(), None).unwrap();
    let sft = load(&std::env::var("FROM").unwrap_or("www/assets/sft.safetensors".into()));
    let mut k = Cpu::<f32>::new();
    if args[1] == "optimum" {
        let proposals: Vec<Vec<f32>> = args[2..].iter().map(|p| load(p).parameters).collect();
        let network = Network::new(sft.config);
        let samples = pollster::block_on(sample_optimum(
            &mut k,
            &world,
            &network,
            &sft.parameters,
            &proposals,
            (env("N", 512.0) as usize, 1),
            || ControlFlow::Continue(()),
        ))
        .unwrap()
        .unwrap();
        for beta in [5.0, 3.0, 2.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1] {
            let p = optimum(&samples, 0.1, beta);
            println!(
                "beta {beta} KL {:.3} gold {:.4} ESS {:.0}",
                p.kl_per_sequence, p.gold_reward, p.effective_sample_size
            );
        }
        return;
    }
    let lr = env("LR", 5e-4);
    let d = PpoRunSettings::default();
    let rollouts = env("R", 30.0) as u64;
    let rm = std::env::var("RM").ok().map(|p| load(&p));
    let settings = PpoRunSettings {
        rollouts,
        evaluate_every: env("EVERY", rollouts as f64) as u64,
        evaluation: EvaluationSettings { samples: 1024, ..d.evaluation },
        ppo: PpoSettings {
            kl_coefficient: env("BETA", 0.3),
            target_kl: std::env::var("TARGET").ok().map(|v| v.parse().unwrap()),
            episodes: env("EPISODES", 256.0) as usize,
            epochs: env("EPOCHS", 4.0) as usize,
            minibatches: env("MB", 4.0) as usize,
            value_network: if env("SHARED", 0.0) > 0.0 { ValueNetwork::Shared } else { ValueNetwork::Own },
            value_clip_range: {
                let c = env("VCLIP", 0.0);
                (c > 0.0).then_some(c)
            },
            value_coefficient: env("VC", 0.1),
            clip_range: env("CLIP", 0.2),
            gae_lambda: env("LAMBDA", 0.95),
            schedule: Schedule {
                peak: lr,
                floor: lr * env("FLOOR", 1.0),
                warm_up: 0,
                steps: if env("FLOOR", 1.0) < 1.0 {
                    rollouts * (env("EPOCHS", 4.0) * env("MB", 4.0)) as u64
                } else {
                    0
                },
            },
            adamw: klimb::language::Adamw {
                beta2: env("B2", 0.999) as f32,
                epsilon: env("EPS", 1e-8) as f32,
                max_norm: env("NORM", 1.0) as f32,
                ..d.ppo.adamw
            },
            ..d.ppo
        },
        ..d
    };
    let trunk = rm.as_ref().map_or(&sft.parameters, |rm| &rm.parameters);
    let start = PpoStart {
        reference: &sft.parameters,
        value_trunk: trunk,
        reward_model: rm.as_ref().map(|rm| rm.parameters.as_slice()),
    };
    let run = PpoRun { config: sft.config, start, seed: env("SEED", 1.0) as u64, settings };
    let end = pollster::block_on(run_ppo(&mut k, &world, run, &mut Print)).unwrap();
    if let Ok(out) = std::env::var("OUT") {
        std::fs::write(
            out,
            Checkpoint { step: end.step, stage: "ppo".into(), parameters: end.parameters, ..sft }.to_bytes(),
        )
        .unwrap();
    }
}
