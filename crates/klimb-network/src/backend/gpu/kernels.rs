//! The table of kernels: the whole interface between Rust and the shaders, one row for each entry point.
//!
//! A row's name is the WGSL entry point, the method of [`Kernels`](crate::backend::Kernels), the CPU twin and the
//! parity test. `tests/suite/shaders.rs` holds every row against the shader's source.

use super::bare::{bare, shader_text};

/// One WGSL file of an operation, with the shared files it calls.
#[derive(Debug)]
pub struct Shader {
    /// The path below `shaders/`.
    pub path: &'static str,
    /// Its text, bare.
    pub text: &'static str,
    /// Texts of `shaders/shared/` that go in front.
    pub shared: &'static [&'static str],
    /// What its `override` constants are on an adapter that a processor plays; elsewhere they are as in the text.
    pub on_software: &'static [(&'static str, f64)],
}

impl Shader {
    /// A shader that is the same on every adapter.
    const fn new(path: &'static str, text: &'static str, shared: &'static [&'static str]) -> Self {
        Self { path, text, shared, on_software: &[] }
    }

    /// What the device compiles: the shared files, then the file.
    pub fn source(&self) -> String {
        self.shared.iter().copied().chain([self.text]).collect::<Vec<_>>().join("\n")
    }
}

/// What a kernel does to a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only reads it.
    Read,
    /// Replaces it, or the part the contract names, and never reads it.
    Write,
    /// Reads it and writes it back: added to, or updated in place.
    Add,
}

/// One storage buffer of a kernel: the binding's number, the variable's name in the shader, and what happens to it.
pub type Binding = (u32, &'static str, Access);

/// The type of one field of the uniform block. All have four bytes, so field i lies at byte 4·i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// An unsigned integer.
    U32(&'static str),
    /// A float, passed as its bits.
    F32(&'static str),
}

/// How many workgroups run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// One invocation per item; past 65535 workgroups it goes on in y (`shared/index.wgsl`).
    Items,
    /// Each workgroup covers this many items in x and in y.
    Covers(u32, u32),
}

/// One row of the table. Binding 0 is the uniform block.
#[derive(Debug)]
pub struct Kernel {
    /// Entry point, trait method, CPU twin, parity test.
    pub name: &'static str,
    /// Where the entry point is.
    pub shader: &'static Shader,
    /// The uniform block's fields, in order.
    pub uniforms: &'static [Field],
    /// The buffers, in the order in which the method passes them.
    pub bindings: &'static [Binding],
    /// Invocations of a workgroup in x and y.
    pub workgroup: [u32; 2],
    /// How many workgroups run.
    pub grid: Grid,
}

impl Kernel {
    /// Whether the shader declares the variable `read_write`: some entry point of the same file writes it.
    pub fn is_declared_writable(&self, variable: &str) -> bool {
        let same_file = KERNELS.iter().filter(|kernel| std::ptr::eq(kernel.shader, self.shader));
        same_file
            .flat_map(|kernel| kernel.bindings)
            .any(|&(_, name, access)| name == variable && access != Access::Read)
    }
}

use Access::{Add, Read, Write};
use Field::{F32, U32};
use Grid::{Covers, Items};

/// The edge of a tile of a product's outputs, `EDGE` in the text of `matmul.wgsl`: a large one loads less, but leaves most of
/// a graphics card without work.
pub const fn edge(is_software: bool) -> usize {
    if is_software { 8 } else { 4 }
}

/// The edge of a tile of a gradient of weights, `WEIGHTS_EDGE` in that text.
pub const WEIGHTS_EDGE: usize = 8;

/// How many invocations share the rows of a tile of `matmul_backward_weights`, `SHARES` in its text: a graphics card has
/// many more invocations than there are tiles, a processor that plays one has not.
pub const fn shares(is_software: bool) -> usize {
    if is_software { 1 } else { 32 }
}

const INDEX: &str = shader_text!("shared/index.wgsl");
const REDUCE: &str = shader_text!("shared/reduce.wgsl");
const LOGISTIC: &str = shader_text!("shared/logistic.wgsl");
const ORDER: &str = shader_text!("shared/order.wgsl");
const GELU: &str = shader_text!("shared/gelu.wgsl");

static EMBEDDING: Shader = Shader::new("embedding.wgsl", shader_text!("embedding.wgsl"), &[INDEX]);
static LAYER_NORM: Shader = Shader::new("layer_norm.wgsl", shader_text!("layer_norm.wgsl"), &[INDEX, REDUCE]);
static MATMUL: Shader = Shader {
    on_software: &[("EDGE", edge(true) as f64), ("SHARES", shares(true) as f64), ("PARTIAL_SUMS", 1.0)],
    ..Shader::new("matmul.wgsl", shader_text!("matmul.wgsl"), &[INDEX, GELU])
};
static ATTENTION: Shader = Shader::new("attention.wgsl", shader_text!("attention.wgsl"), &[INDEX]);
static LOGPROBS: Shader = Shader::new("logprobs.wgsl", shader_text!("logprobs.wgsl"), &[INDEX]);
static SFT: Shader = Shader::new("objectives/sft.wgsl", shader_text!("objectives/sft.wgsl"), &[INDEX]);
static DPO: Shader = Shader::new("objectives/dpo.wgsl", shader_text!("objectives/dpo.wgsl"), &[INDEX, ORDER]);
static UNLIKELIHOOD: Shader =
    Shader::new("objectives/unlikelihood.wgsl", shader_text!("objectives/unlikelihood.wgsl"), &[INDEX, ORDER]);
static BRADLEY_TERRY: Shader = Shader::new(
    "objectives/bradley_terry.wgsl",
    shader_text!("objectives/bradley_terry.wgsl"),
    &[INDEX, LOGISTIC, ORDER],
);
static PPO: Shader = Shader::new("objectives/ppo.wgsl", shader_text!("objectives/ppo.wgsl"), &[INDEX]);
static ROLLOUT: Shader = Shader::new("rollout.wgsl", shader_text!("rollout.wgsl"), &[INDEX]);
static OPTIMISER: Shader = Shader::new("optimiser.wgsl", shader_text!("optimiser.wgsl"), &[REDUCE]);
static GENERATE: Shader = Shader::new("generate.wgsl", shader_text!("generate.wgsl"), &[GELU]);
static SAMPLE: Shader = Shader::new("sample.wgsl", shader_text!("sample.wgsl"), &[INDEX]);

const EMBED: &[Field] = &[
    U32("batch"),
    U32("length"),
    U32("stride"),
    U32("first"),
    U32("width"),
    U32("vocabulary"),
    U32("context"),
    U32("tokens_offset"),
    U32("parameters_offset"),
];
const NORM: &[Field] = &[U32("rows"), U32("width"), U32("accumulate"), U32("weights_offset")];
const LINEAR: &[Field] = &[U32("rows"), U32("inner"), U32("columns"), U32("bias"), U32("weights_offset")];
const HEADS: &[Field] = &[U32("batch"), U32("length"), U32("heads"), U32("head_width")];
const LOGITS: &[Field] = &[U32("rows"), U32("vocabulary"), U32("targets_offset")];
const SEQUENCES: &[Field] = &[U32("batch"), U32("length"), U32("completion_mask_offset")];
const PPO_ROWS: &[Field] = &[
    U32("rows"),
    U32("first"),
    U32("stride"),
    U32("weights_offset"),
    U32("rollout_offset"),
    U32("settings_offset"),
    U32("statistics_offset"),
];

/// What a session's first samples need, by either way of writing, and the dearest of what measuring needs beside it.
pub const WRITING: [&str; 10] = [
    "generate",
    "embed_forward",
    "layer_norm_forward",
    "matmul_forward",
    "attention_decode_forward",
    "matmul_residual_forward",
    "matmul_gelu_forward",
    "matmul_backward_input",
    "sample",
    "attention_forward",
];

/// The kernels of the way of writing that a device does not prefer. A card takes it for models that `generate` has no room
/// for, and compiles them then.
pub const fn unused(is_software: bool) -> &'static [&'static str] {
    if is_software { &["generate"] } else { &["attention_decode_forward", "sample"] }
}

/// What the rest of measuring a policy, and then a step of DPO, need beside that, in this order.
pub const LEARNING: [&str; 15] = [
    "logprobs_forward",
    "kl_forward",
    "sequence_logprobs_forward",
    "dpo",
    "sequence_logprobs_backward",
    "logprobs_backward",
    "matmul_backward_weights",
    "layer_norm_backward",
    "layer_norm_backward_weights",
    "matmul_gelu_backward_input",
    "attention_backward",
    "embed_backward",
    "squared_norm",
    "record_metrics",
    "adamw",
];

/// Every kernel.
#[rustfmt::skip]
pub static KERNELS: [Kernel; 31] = [
    Kernel { name: "embed_forward", shader: &EMBEDDING, uniforms: EMBED, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "tokens", Read), (2, "parameters", Read), (3, "x", Write)] },
    Kernel { name: "embed_backward", shader: &EMBEDDING, uniforms: EMBED, workgroup: [64, 1], grid: Items,
        bindings: &[(4, "occurrences", Read), (5, "dx", Read), (6, "dparameters", Add)] },

    Kernel { name: "layer_norm_forward", shader: &LAYER_NORM, uniforms: NORM, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "x", Read), (2, "weights", Read), (3, "out", Write), (4, "moments", Write)] },
    Kernel { name: "layer_norm_backward", shader: &LAYER_NORM, uniforms: NORM, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "x", Read), (2, "weights", Read), (4, "moments", Read), (5, "dout", Read), (6, "dx", Add)] },
    Kernel { name: "layer_norm_backward_weights", shader: &LAYER_NORM, uniforms: NORM, workgroup: [64, 1], grid: Covers(1, 1),
        bindings: &[(1, "x", Read), (4, "moments", Read), (5, "dout", Read), (7, "dweights", Add)] },

    Kernel { name: "matmul_forward", shader: &MATMUL, uniforms: LINEAR, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "x", Read), (2, "weights", Read), (5, "out", Write)] },
    Kernel { name: "matmul_gelu_forward", shader: &MATMUL, uniforms: LINEAR, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "x", Read), (2, "weights", Read), (4, "pre", Write), (5, "out", Write)] },
    Kernel { name: "matmul_residual_forward", shader: &MATMUL, uniforms: LINEAR, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "x", Read), (2, "weights", Read), (3, "residual", Read), (5, "out", Write)] },
    Kernel { name: "matmul_backward_input", shader: &MATMUL, uniforms: LINEAR, workgroup: [64, 1], grid: Items,
        bindings: &[(6, "dout", Read), (2, "weights", Read), (7, "dx", Write)] },
    Kernel { name: "matmul_gelu_backward_input", shader: &MATMUL, uniforms: LINEAR, workgroup: [64, 1], grid: Items,
        bindings: &[(6, "dout", Read), (2, "weights", Read), (4, "pre", Read), (7, "dx", Write)] },
    Kernel { name: "matmul_backward_weights", shader: &MATMUL, uniforms: LINEAR, workgroup: [32, 1], grid: Covers(32, 1),
        bindings: &[(1, "x", Read), (6, "dout", Read), (8, "dweights", Add)] },

    Kernel { name: "attention_forward", shader: &ATTENTION, uniforms: HEADS, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "qkv", Read), (2, "out", Write), (3, "logsumexps", Write)] },
    Kernel { name: "attention_backward", shader: &ATTENTION, uniforms: HEADS, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "qkv", Read), (2, "out", Read), (3, "logsumexps", Read), (4, "dout", Read), (5, "dqkv", Write)] },
    Kernel { name: "attention_decode_forward", shader: &ATTENTION, workgroup: [64, 1], grid: Items,
        uniforms: &[U32("batch"), U32("position"), U32("capacity"), U32("heads"), U32("head_width")],
        bindings: &[(1, "qkv", Read), (6, "cache", Add), (2, "out", Write)] },

    Kernel { name: "logprobs_forward", shader: &LOGPROBS, uniforms: LOGITS, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "logits", Read), (2, "targets", Read), (3, "numbers", Write)] },
    Kernel { name: "logprobs_backward", shader: &LOGPROBS, uniforms: LOGITS, workgroup: [64, 1], grid: Items,
        bindings: &[(2, "targets", Read), (3, "numbers", Read), (4, "dnumbers", Read), (1, "logits", Add)] },
    Kernel { name: "kl_forward", shader: &LOGPROBS, uniforms: LOGITS, workgroup: [64, 1], grid: Items,
        bindings: &[(5, "policy_logits", Read), (6, "reference_logits", Read), (7, "kl_per_token", Write)] },
    Kernel { name: "sequence_logprobs_forward", shader: &LOGPROBS, uniforms: SEQUENCES, workgroup: [64, 1], grid: Items,
        bindings: &[(8, "logprobs", Read), (9, "completion_mask", Read), (10, "sequence_logprobs", Write)] },
    Kernel { name: "sequence_logprobs_backward", shader: &LOGPROBS, uniforms: SEQUENCES, workgroup: [64, 1], grid: Items,
        bindings: &[(11, "dsequence_logprobs", Read), (9, "completion_mask", Read), (12, "dlogprobs", Write)] },

    Kernel { name: "sft", shader: &SFT, workgroup: [64, 1], grid: Items,
        uniforms: &[U32("rows"), U32("weights_offset")],
        bindings: &[(1, "logprobs", Read), (2, "weights", Read), (3, "dlogprobs", Write), (4, "statistics", Write)] },
    Kernel { name: "dpo", shader: &DPO, workgroup: [64, 1], grid: Items,
        uniforms: &[U32("pairs"), U32("loss"), U32("references_offset"), U32("settings_offset")],
        bindings: &[(1, "sequence_logprobs", Read), (2, "references", Read), (3, "settings", Read),
            (4, "dsequence_logprobs", Write), (5, "statistics", Write)] },
    Kernel { name: "unlikelihood", shader: &UNLIKELIHOOD, workgroup: [64, 1], grid: Items,
        uniforms: &[U32("pairs"), U32("settings_offset")],
        bindings: &[(1, "sequence_logprobs", Read), (2, "settings", Read), (3, "dsequence_logprobs", Write),
            (4, "statistics", Write)] },

    Kernel { name: "bradley_terry", shader: &BRADLEY_TERRY, workgroup: [64, 1], grid: Items,
        uniforms: &[U32("pairs")],
        bindings: &[(1, "scores", Read), (2, "dscores", Write), (3, "statistics", Write)] },

    Kernel { name: "ppo_policy", shader: &PPO, uniforms: PPO_ROWS, workgroup: [64, 1], grid: Items,
        bindings: &[(1, "numbers", Read), (2, "weights", Read), (3, "rollout", Read), (4, "settings", Read),
            (5, "dnumbers", Write), (6, "statistics", Write)] },
    Kernel { name: "ppo_value", shader: &PPO, uniforms: PPO_ROWS, workgroup: [64, 1], grid: Items,
        bindings: &[(7, "values", Read), (2, "weights", Read), (3, "rollout", Read), (4, "settings", Read),
            (8, "dvalues", Write), (6, "statistics", Write)] },

    Kernel { name: "record_rollout", shader: &ROLLOUT, uniforms: &[U32("rows")], workgroup: [64, 1], grid: Items,
        bindings: &[(1, "tokens", Read), (2, "numbers", Read), (3, "reference_numbers", Read), (4, "kl_per_token", Read),
            (5, "values", Read), (6, "scores", Read), (7, "record", Write)] },

    Kernel { name: "squared_norm", shader: &OPTIMISER, workgroup: [64, 1], grid: Covers(1, 1),
        uniforms: &[U32("len")],
        bindings: &[(1, "values", Read), (2, "partials", Write)] },
    Kernel { name: "record_metrics", shader: &OPTIMISER, workgroup: [64, 1], grid: Covers(1, 1),
        uniforms: &[U32("items"), U32("columns"), U32("partials"), U32("settings_offset")],
        bindings: &[(3, "statistics", Read), (2, "partials", Read), (4, "settings", Read), (5, "metrics", Write)] },
    Kernel { name: "adamw", shader: &OPTIMISER, workgroup: [64, 1], grid: Covers(512, 1),
        uniforms: &[U32("len"), U32("partials"), F32("beta1"), F32("beta2"), F32("epsilon"), F32("weight_decay"),
            F32("max_norm"), U32("settings_offset")],
        bindings: &[(4, "settings", Read), (2, "partials", Read), (6, "parameters", Add), (7, "gradients", Add),
            (8, "first_moments", Add), (9, "second_moments", Add)] },

    Kernel { name: "sample", shader: &SAMPLE, workgroup: [64, 1], grid: Items,
        uniforms: &[U32("batch"), U32("length"), U32("position"), U32("vocabulary"), U32("end"), U32("padding"),
            U32("coins_offset"), U32("settings_offset"), U32("prompt_lengths_offset")],
        bindings: &[(1, "logits", Read), (2, "coins", Read), (3, "settings", Read), (4, "prompt_lengths", Read),
            (5, "tokens", Add)] },

    Kernel { name: "generate", shader: &GENERATE, workgroup: [256, 1], grid: Covers(1, 1),
        uniforms: &[U32("batch"), U32("length"), U32("vocabulary"), U32("context"), U32("width"), U32("layers"),
            U32("heads"), U32("own_unembedding"), U32("end"), U32("padding"), U32("coins_offset"), U32("settings_offset")],
        bindings: &[(1, "parameters", Read), (2, "coins", Read), (3, "settings", Read), (4, "prompt_lengths", Read),
            (5, "cache", Add), (6, "tokens", Add)] },
];
