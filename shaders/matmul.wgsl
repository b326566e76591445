// Linear maps of `rows` vectors: W of (inner, columns) at weights_offset, row-major, its bias right behind.
//
//   matmul_forward               out = x·W + b                     x (rows, inner), out (rows, columns)
//   matmul_gelu_forward          pre = x·W + b, out = gelu(pre)    pre, out (rows, columns)
//   matmul_residual_forward      out = residual + x·W + b          residual (rows, columns)
//   matmul_backward_input        dx = dout·Wᵀ                      dout (rows, columns), dx (rows, inner)
//   matmul_gelu_backward_input   dx = (dout·Wᵀ)·gelu′(pre)         pre, dx (rows, inner)
//   matmul_backward_weights      dW += xᵀ·dout, db += Σ_rows dout
//
// All write but the last, which adds. Each invocation computes a tile of 8×8 outputs in registers, as four blocks of
// 4×4. Arithmetic is cheap and loads are dear, above all on a software adapter, so they are few and wide: sixteen loads
// of four numbers feed 256 multiply-adds. That needs rows of a multiple of four numbers, which the network has; a
// second loop takes what the first one cannot, number by number. Tiles that stick out repeat the last row or column and
// do not store it, so that the inner loop has no branch.

struct MatmulSize {
    rows: u32,
    inner: u32,
    columns: u32,
    bias: u32, // 1 if there is a bias, else 0
    weights_offset: u32,
}

@group(0) @binding(0) var<uniform> size: MatmulSize;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> pre: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> dout: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> dweights: array<f32>;

// Blocks of 4×4: rows 0 to 3 or 4 to 7, columns 0 to 3 or 4 to 7. Row r of a block is block[r].
struct Tile {
    top_left: mat4x4<f32>,
    top_right: mat4x4<f32>,
    bottom_left: mat4x4<f32>,
    bottom_right: mat4x4<f32>,
}

// Row and column where tile number `i` of a matrix of `columns` begins.
fn tile_place(i: u32, columns: u32) -> vec2<u32> {
    let across = (columns + 7u) / 8u;
    return vec2<u32>(i / across, i % across) * 8u;
}

// Whether every row of every matrix begins at a multiple of four numbers.
fn in_fours() -> bool {
    return (size.inner | size.columns | size.weights_offset) % 4u == 0u;
}

// Four neighbouring indices from `first`, none beyond `count`.
fn four(first: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(count - 1u));
}

fn outer(a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(a.x * b, a.y * b, a.z * b, a.w * b);
}

// Numbers one by one (gather) and four rows of four, beginning at multiples of four (rows).

fn gather_x(i: vec4<u32>) -> vec4<f32> {
    let q = i / 4u;
    let r = i % 4u;
    return vec4<f32>(x[q.x][r.x], x[q.y][r.y], x[q.z][r.z], x[q.w][r.w]);
}

fn gather_weights(i: vec4<u32>) -> vec4<f32> {
    let q = i / 4u;
    let r = i % 4u;
    return vec4<f32>(weights[q.x][r.x], weights[q.y][r.y], weights[q.z][r.z], weights[q.w][r.w]);
}

fn gather_dout(i: vec4<u32>) -> vec4<f32> {
    let q = i / 4u;
    let r = i % 4u;
    return vec4<f32>(dout[q.x][r.x], dout[q.y][r.y], dout[q.z][r.z], dout[q.w][r.w]);
}

fn rows_of_x(i: vec4<u32>) -> mat4x4<f32> {
    let q = i / 4u;
    return mat4x4<f32>(x[q.x], x[q.y], x[q.z], x[q.w]);
}

fn rows_of_weights(i: vec4<u32>) -> mat4x4<f32> {
    let q = i / 4u;
    return mat4x4<f32>(weights[q.x], weights[q.y], weights[q.z], weights[q.w]);
}

fn rows_of_dout(i: vec4<u32>) -> mat4x4<f32> {
    let q = i / 4u;
    return mat4x4<f32>(dout[q.x], dout[q.y], dout[q.z], dout[q.w]);
}

// x·W + b, the rows from `row` and the columns from `column`.
fn forward_tile(row: u32, column: u32) -> Tile {
    let top = four(row, size.rows) * size.inner;
    let bottom = four(row + 4u, size.rows) * size.inner;
    let left = four(column, size.columns) + size.weights_offset;
    let right = four(column + 4u, size.columns) + size.weights_offset;
    var tile = Tile();
    if (size.bias == 1u) {
        let bias = size.inner * size.columns;
        tile.top_left = outer(vec4<f32>(1.0), gather_weights(left + bias));
        tile.top_right = outer(vec4<f32>(1.0), gather_weights(right + bias));
        tile.bottom_left = tile.top_left;
        tile.bottom_right = tile.top_right;
    }
    var k = 0u;
    for (; k < size.inner && in_fours(); k += 4u) {
        let w_rows = (vec4<u32>(0u, 1u, 2u, 3u) + k) * size.columns;
        let x_top = rows_of_x(top + k);
        let x_bottom = rows_of_x(bottom + k);
        let w_left = rows_of_weights(w_rows + left.x);
        let w_right = rows_of_weights(w_rows + right.x);
        tile.top_left += w_left * x_top;
        tile.top_right += w_right * x_top;
        tile.bottom_left += w_left * x_bottom;
        tile.bottom_right += w_right * x_bottom;
    }
    for (; k < size.inner; k++) {
        let x_top = gather_x(top + k);
        let x_bottom = gather_x(bottom + k);
        let w_left = gather_weights(left + k * size.columns);
        let w_right = gather_weights(right + k * size.columns);
        tile.top_left += outer(x_top, w_left);
        tile.top_right += outer(x_top, w_right);
        tile.bottom_left += outer(x_bottom, w_left);
        tile.bottom_right += outer(x_bottom, w_right);
    }
    return tile;
}

// dout·Wᵀ, the rows from `row` and the columns, which are W's rows, from `input`.
fn backward_tile(row: u32, input: u32) -> Tile {
    let top = four(row, size.rows) * size.columns;
    let bottom = four(row + 4u, size.rows) * size.columns;
    let left = four(input, size.inner) * size.columns + size.weights_offset;
    let right = four(input + 4u, size.inner) * size.columns + size.weights_offset;
    var tile = Tile();
    var c = 0u;
    for (; c < size.columns && in_fours(); c += 4u) {
        let dout_top = rows_of_dout(top + c);
        let dout_bottom = rows_of_dout(bottom + c);
        let w_left = transpose(rows_of_weights(left + c));
        let w_right = transpose(rows_of_weights(right + c));
        tile.top_left += w_left * dout_top;
        tile.top_right += w_right * dout_top;
        tile.bottom_left += w_left * dout_bottom;
        tile.bottom_right += w_right * dout_bottom;
    }
    for (; c < size.columns; c++) {
        let dout_top = gather_dout(top + c);
        let dout_bottom = gather_dout(bottom + c);
        let w_left = gather_weights(left + c);
        let w_right = gather_weights(right + c);
        tile.top_left += outer(dout_top, w_left);
        tile.top_right += outer(dout_top, w_right);
        tile.bottom_left += outer(dout_bottom, w_left);
        tile.bottom_right += outer(dout_bottom, w_right);
    }
    return tile;
}

// What follows a tile: each row of its blocks, four numbers, goes to its place in a matrix of `columns`.
struct Place {
    first: u32,
    count: u32, // of the four numbers that are inside the matrix
}

fn place_of(row: u32, column: u32, columns: u32) -> Place {
    return Place(row * columns + column, select(0u, min(4u, columns - column), row < size.rows && column < columns));
}

fn put_out(place: Place, values: vec4<f32>) {
    if (place.count == 4u && place.first % 4u == 0u) {
        out[place.first / 4u] = values;
        return;
    }
    for (var c = 0u; c < place.count; c++) {
        out[(place.first + c) / 4u][(place.first + c) % 4u] = values[c];
    }
}

fn put_row(row: u32, column: u32, values: vec4<f32>) {
    put_out(place_of(row, column, size.columns), values);
}

fn put(row: u32, column: u32, block: mat4x4<f32>) {
    put_row(row, column, block[0]);
    put_row(row + 1u, column, block[1]);
    put_row(row + 2u, column, block[2]);
    put_row(row + 3u, column, block[3]);
}

@compute @workgroup_size(64)
fn matmul_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.columns);
    if (first.x >= size.rows) {
        return;
    }
    let tile = forward_tile(first.x, first.y);
    put(first.x, first.y, tile.top_left);
    put(first.x, first.y + 4u, tile.top_right);
    put(first.x + 4u, first.y, tile.bottom_left);
    put(first.x + 4u, first.y + 4u, tile.bottom_right);
}

fn put_pre(place: Place, values: vec4<f32>) {
    if (place.count == 4u && place.first % 4u == 0u) {
        pre[place.first / 4u] = values;
        return;
    }
    for (var c = 0u; c < place.count; c++) {
        pre[(place.first + c) / 4u][(place.first + c) % 4u] = values[c];
    }
}

fn put_gelu_row(row: u32, column: u32, values: vec4<f32>) {
    let place = place_of(row, column, size.columns);
    put_pre(place, values);
    put_out(place, gelu(values));
}

fn put_gelu(row: u32, column: u32, block: mat4x4<f32>) {
    put_gelu_row(row, column, block[0]);
    put_gelu_row(row + 1u, column, block[1]);
    put_gelu_row(row + 2u, column, block[2]);
    put_gelu_row(row + 3u, column, block[3]);
}

@compute @workgroup_size(64)
fn matmul_gelu_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.columns);
    if (first.x >= size.rows) {
        return;
    }
    let tile = forward_tile(first.x, first.y);
    put_gelu(first.x, first.y, tile.top_left);
    put_gelu(first.x, first.y + 4u, tile.top_right);
    put_gelu(first.x + 4u, first.y, tile.bottom_left);
    put_gelu(first.x + 4u, first.y + 4u, tile.bottom_right);
}

fn put_residual_row(row: u32, column: u32, values: vec4<f32>) {
    let i = four(column, size.columns) + min(row, size.rows - 1u) * size.columns;
    let q = i / 4u;
    let r = i % 4u;
    let before = vec4<f32>(residual[q.x][r.x], residual[q.y][r.y], residual[q.z][r.z], residual[q.w][r.w]);
    put_out(place_of(row, column, size.columns), before + values);
}

fn put_residual(row: u32, column: u32, block: mat4x4<f32>) {
    put_residual_row(row, column, block[0]);
    put_residual_row(row + 1u, column, block[1]);
    put_residual_row(row + 2u, column, block[2]);
    put_residual_row(row + 3u, column, block[3]);
}

@compute @workgroup_size(64)
fn matmul_residual_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.columns);
    if (first.x >= size.rows) {
        return;
    }
    let tile = forward_tile(first.x, first.y);
    put_residual(first.x, first.y, tile.top_left);
    put_residual(first.x, first.y + 4u, tile.top_right);
    put_residual(first.x + 4u, first.y, tile.bottom_left);
    put_residual(first.x + 4u, first.y + 4u, tile.bottom_right);
}

fn put_dx(place: Place, values: vec4<f32>) {
    if (place.count == 4u && place.first % 4u == 0u) {
        dx[place.first / 4u] = values;
        return;
    }
    for (var c = 0u; c < place.count; c++) {
        dx[(place.first + c) / 4u][(place.first + c) % 4u] = values[c];
    }
}

fn put_dx_row(row: u32, column: u32, values: vec4<f32>) {
    put_dx(place_of(row, column, size.inner), values);
}

fn put_dx_block(row: u32, column: u32, block: mat4x4<f32>) {
    put_dx_row(row, column, block[0]);
    put_dx_row(row + 1u, column, block[1]);
    put_dx_row(row + 2u, column, block[2]);
    put_dx_row(row + 3u, column, block[3]);
}

@compute @workgroup_size(64)
fn matmul_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.inner);
    if (first.x >= size.rows) {
        return;
    }
    let tile = backward_tile(first.x, first.y);
    put_dx_block(first.x, first.y, tile.top_left);
    put_dx_block(first.x, first.y + 4u, tile.top_right);
    put_dx_block(first.x + 4u, first.y, tile.bottom_left);
    put_dx_block(first.x + 4u, first.y + 4u, tile.bottom_right);
}

fn put_gelu_dx_row(row: u32, column: u32, values: vec4<f32>) {
    let i = four(column, size.inner) + min(row, size.rows - 1u) * size.inner;
    let q = i / 4u;
    let r = i % 4u;
    let before = vec4<f32>(pre[q.x][r.x], pre[q.y][r.y], pre[q.z][r.z], pre[q.w][r.w]);
    put_dx(place_of(row, column, size.inner), values * gelu_derivative(before));
}

fn put_gelu_dx(row: u32, column: u32, block: mat4x4<f32>) {
    put_gelu_dx_row(row, column, block[0]);
    put_gelu_dx_row(row + 1u, column, block[1]);
    put_gelu_dx_row(row + 2u, column, block[2]);
    put_gelu_dx_row(row + 3u, column, block[3]);
}

@compute @workgroup_size(64)
fn matmul_gelu_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.inner);
    if (first.x >= size.rows) {
        return;
    }
    let tile = backward_tile(first.x, first.y);
    put_gelu_dx(first.x, first.y, tile.top_left);
    put_gelu_dx(first.x, first.y + 4u, tile.top_right);
    put_gelu_dx(first.x + 4u, first.y, tile.bottom_left);
    put_gelu_dx(first.x + 4u, first.y + 4u, tile.bottom_right);
}

// The gradient of W sums over all rows, of which there are many more than tiles: the 32 invocations of a workgroup share
// the rows of one tile, and add up what they have through workgroup memory, eight rows of four numbers and the bias's.
const QUADS = 9u;
var<workgroup> partial_sums: array<vec4<f32>, 288>;

// The sum over all invocations, row number `lane` of it, for the first nine.
fn sum_over_lanes(lane: u32, left: mat4x4<f32>, right: mat4x4<f32>, bias: vec4<f32>) -> vec4<f32> {
    let mine = lane * QUADS;
    workgroupBarrier(); // the sums of an earlier call have been read
    partial_sums[mine] = left[0];
    partial_sums[mine + 1u] = left[1];
    partial_sums[mine + 2u] = left[2];
    partial_sums[mine + 3u] = left[3];
    partial_sums[mine + 4u] = right[0];
    partial_sums[mine + 5u] = right[1];
    partial_sums[mine + 6u] = right[2];
    partial_sums[mine + 7u] = right[3];
    partial_sums[mine + 8u] = bias;
    workgroupBarrier();
    var sum = vec4<f32>();
    for (var i = lane; i < 32u * QUADS && lane < QUADS; i += QUADS) {
        sum += partial_sums[i];
    }
    return sum;
}

// Adds four numbers to the gradient of W, whose last row, number `inner`, is the bias's.
fn add_dweights(input: u32, column: u32, values: vec4<f32>) {
    for (var c = column; c < min(column + 4u, size.columns); c++) {
        dweights[size.weights_offset + input * size.columns + c] += values[c - column];
    }
}

@compute @workgroup_size(32)
fn matmul_backward_weights(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let input = 8u * group.y;
    let column = 8u * group.x;
    let top = four(input, size.inner);
    let bottom = four(input + 4u, size.inner);
    let left = four(column, size.columns);
    let right = four(column + 4u, size.columns);
    var tile = Tile();
    var bias_left = vec4<f32>();
    var bias_right = vec4<f32>();
    var row = 4u * lane;
    for (; row + 4u <= size.rows && in_fours(); row += 128u) {
        let rows = vec4<u32>(row, row + 1u, row + 2u, row + 3u);
        let x_top = transpose(rows_of_x(rows * size.inner + top.x));
        let x_bottom = transpose(rows_of_x(rows * size.inner + bottom.x));
        let dout_left = rows_of_dout(rows * size.columns + left.x);
        let dout_right = rows_of_dout(rows * size.columns + right.x);
        tile.top_left += dout_left * x_top;
        tile.top_right += dout_right * x_top;
        tile.bottom_left += dout_left * x_bottom;
        tile.bottom_right += dout_right * x_bottom;
        bias_left += dout_left * vec4<f32>(1.0);
        bias_right += dout_right * vec4<f32>(1.0);
    }
    for (; row < size.rows; row += 128u) {
        for (var r = row; r < min(row + 4u, size.rows); r++) {
            let x_top = gather_x(top + r * size.inner);
            let x_bottom = gather_x(bottom + r * size.inner);
            let dout_left = gather_dout(left + r * size.columns);
            let dout_right = gather_dout(right + r * size.columns);
            tile.top_left += outer(x_top, dout_left);
            tile.top_right += outer(x_top, dout_right);
            tile.bottom_left += outer(x_bottom, dout_left);
            tile.bottom_right += outer(x_bottom, dout_right);
            bias_left += dout_left;
            bias_right += dout_right;
        }
    }
    let upper = sum_over_lanes(lane, tile.top_left, tile.top_right, bias_left);
    let lower = sum_over_lanes(lane, tile.bottom_left, tile.bottom_right, bias_right);
    if (lane < 8u) {
        let r = input + lane % 4u;
        let c = column + 4u * (lane / 4u);
        if (r < size.inner) {
            add_dweights(r, c, upper);
        }
        if (r + 4u < size.inner) {
            add_dweights(r + 4u, c, lower);
        }
    } else if (lane == 8u && input == 0u && size.bias == 1u) {
        add_dweights(size.inner, column, upper);
        add_dweights(size.inner, column + 4u, lower);
    }
}
