//! The formulas of the methods on pairs, which stand in the document by the ids of their stages.

use crate::engine::protocol::Stage;
use crate::page::view::dom;
use klimb_metrics::Method;

/// Shows the formula of a stage, and hides those of the other stages that train by `methods`.
pub fn show(stage: Stage, methods: impl Fn(Method) -> bool) {
    for other in Stage::of_policies().filter(|it| it.policy().is_some_and(&methods)) {
        dom::flag(&format!("formula-{}", other.id()), "hidden", other != stage);
    }
}
