// The one workgroup reduction: the sum of `value` over the 64 invocations of the workgroup, known to all of them.
// Every invocation must call it. Each adds up all 64 numbers itself, in the same order, instead of halving a tree:
// two barriers instead of seven, and a barrier costs a software adapter more than 64 additions.

var<workgroup> summands: array<f32, 64>;

fn workgroup_sum(value: f32, lane: u32) -> f32 {
    workgroupBarrier(); // the summands of an earlier call have been read by everyone
    summands[lane] = value;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 64u; i++) {
        sum += summands[i];
    }
    return sum;
}
