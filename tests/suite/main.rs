//! The native tests that stand neither in `kernels`, `objectives` nor `program`, in one program: what is linked once is
//! built soonest. Each file here is one subject.
#![cfg(not(target_arch = "wasm32"))]

mod common;
#[path = "../fuzz_targets/mod.rs"]
mod fuzz_targets;

mod actions;
mod best_of_n;
mod build_name;
mod charts;
mod checkpoint;
mod clinic;
mod compatible;
mod documents;
mod either;
mod faults;
mod fuzz;
mod golden;
mod gradients;
mod interrupted;
mod learning;
mod learning_pairs;
mod loophole;
mod not_finite;
mod online;
mod optimum;
mod pairs;
mod pairs_file;
mod ppo;
mod promises;
mod reward_model;
mod sentiment;
mod session;
mod session_annotator;
mod session_inside;
mod session_methods;
mod session_move;
mod session_order;
mod session_preferences;
mod session_report;
mod session_saved_policies;
mod session_scaling;
mod session_sweep;
mod session_sweep_workers;
mod session_undo;
mod settings;
mod shaders;
mod steps;
mod style;
mod tidy;
mod without_sft;
mod words;
mod world;
