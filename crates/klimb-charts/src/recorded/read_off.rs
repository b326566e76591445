//! Values read off the published figures by eye, as far as they can be: approximate, and of another task. Rafailov et al.
//! (2023), Figure 2: generating positive reviews with GPT-2 large, judged by a sentiment classifier.

use crate::Trail;
use klimb_metrics::{FrontierPoint, Method, Setting};
use klimb_text::words::{key, say};

/// A method, what its curve is called, and KL and reward along it.
type Curve = (Method, &'static str, &'static [(f64, f64)]);

/// The upper edge of each method's points, Figure 2 left.
const CURVES: [Curve; 3] = [
    (Method::Dpo, key("DPO in the paper"), &[(2.0, 0.88), (2.5, 0.9), (5.0, 0.99), (8.0, 1.0)]),
    (Method::Ppo, key("PPO in the paper"), &[(2.0, 0.53), (11.0, 0.92)]),
    (Method::PpoGt, key("PPO-GT in the paper"), &[(1.0, 0.49), (12.0, 0.89)]),
];

/// Win rates against the references at temperatures 0, 0.25, 0.5, 0.75 and 1, Figure 2 right: another task again, the
/// summaries of TL;DR judged by GPT-4.
pub const READ_OFF_WIN_RATES: [(Method, [f64; 5]); 4] = [
    (Method::Dpo, [0.62, 0.62, 0.59, 0.52, 0.38]),
    (Method::Ppo, [0.57, 0.53, 0.40, 0.20, 0.08]),
    (Method::BestOfN, [0.42, 0.54, 0.57, 0.51, 0.45]),
    (Method::Sft, [0.41, 0.39, 0.38, 0.33, 0.28]),
];

/// The curves of Figure 2 left.
pub fn read_off_curves() -> Vec<Trail> {
    let point = |method, &(kl_per_sequence, gold_reward): &(f64, f64)| FrontierPoint {
        method,
        setting: Setting::Label("read off".into()),
        seed: 0,
        step: 0,
        kl_per_sequence,
        kl_half_width: 0.0,
        gold_reward,
        gold_reward_half_width: 0.0,
        samples: 0,
        seconds: 0.0,
        diversity: None,
    };
    let curve = |(method, label, points): Curve| Trail {
        label: say(label).into(),
        method,
        live: false,
        points: points.iter().map(|it| point(method, it)).collect(),
    };
    CURVES.map(curve).into()
}
