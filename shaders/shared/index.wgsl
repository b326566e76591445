// The number of an invocation, for kernels of one invocation per item and workgroups of 64. A grid has at most 65535
// workgroups a dimension; what does not fit in x continues in y. The last workgroup may stick out: compare with the
// number of items before touching anything.

fn item(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.x + id.y * groups.x * 64u;
}
