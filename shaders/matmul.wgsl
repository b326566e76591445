// Linear maps of `rows` vectors: W of (inner, columns) at weights_offset, row-major, its bias right behind.
//
//   matmul_forward               out = x·W + b                     x (rows, inner), out (rows, columns)
//   matmul_gelu_forward          pre = x·W + b, out = gelu(pre)    pre, out (rows, columns)
//   matmul_residual_forward      out = residual + x·W + b          residual (rows, columns)
//   matmul_backward_input        dx = dout·Wᵀ                      dout (rows, columns), dx (rows, inner)
//   matmul_gelu_backward_input   dpre = (dout·Wᵀ)·gelu′(pre)       pre, dpre (rows, inner)
//   matmul_backward_weights      dW += xᵀ·dout, db += Σ_rows dout
//
// All write but the last, which adds. Each invocation computes a tile of 8×8 outputs in registers, as four blocks of
// 4×4: sixteen loads feed 64 multiply-adds. Tiles that stick out repeat the last row or column and do not store it, so
// that the inner loop has no branch. Workgroup memory would save more loads on a large GPU, but its barriers are what a
// software adapter can bear least.

struct MatmulSize {
    rows: u32,
    inner: u32,
    columns: u32,
    bias: u32, // 1 if there is a bias, else 0
    weights_offset: u32,
}

@group(0) @binding(0) var<uniform> size: MatmulSize;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> pre: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read> dout: array<f32>;
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;
@group(0) @binding(8) var<storage, read_write> dpre: array<f32>;
@group(0) @binding(9) var<storage, read_write> dweights: array<f32>;

// Blocks of 4×4: rows 0 to 3 or 4 to 7, columns 0 to 3 or 4 to 7. Row r of a block is block[r].
struct Tile {
    top_left: mat4x4<f32>,
    top_right: mat4x4<f32>,
    bottom_left: mat4x4<f32>,
    bottom_right: mat4x4<f32>,
}

// Four neighbouring indices from `first`, none beyond `count`.
fn four(first: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(count - 1u));
}

fn outer(a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(a.x * b, a.y * b, a.z * b, a.w * b);
}

fn load_x(i: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]);
}

fn load_dout(i: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(dout[i.x], dout[i.y], dout[i.z], dout[i.w]);
}

fn load_weights(i: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(weights[i.x], weights[i.y], weights[i.z], weights[i.w]);
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
        tile.top_left = outer(vec4<f32>(1.0), load_weights(left + bias));
        tile.top_right = outer(vec4<f32>(1.0), load_weights(right + bias));
        tile.bottom_left = tile.top_left;
        tile.bottom_right = tile.top_right;
    }
    for (var k = 0u; k < size.inner; k++) {
        let x_top = load_x(top + k);
        let x_bottom = load_x(bottom + k);
        let w_left = load_weights(left + k * size.columns);
        let w_right = load_weights(right + k * size.columns);
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
    for (var c = 0u; c < size.columns; c++) {
        let dout_top = load_dout(top + c);
        let dout_bottom = load_dout(bottom + c);
        let w_left = load_weights(left + c);
        let w_right = load_weights(right + c);
        tile.top_left += outer(dout_top, w_left);
        tile.top_right += outer(dout_top, w_right);
        tile.bottom_left += outer(dout_bottom, w_left);
        tile.bottom_right += outer(dout_bottom, w_right);
    }
    return tile;
}

// xᵀ·dout, the rows of W's gradient from `input` and the columns from `column`. The bias is one more row, whose input
// is always 1.
fn weights_tile(input: u32, column: u32) -> Tile {
    let top = four(input, size.inner);
    let bottom = four(input + 4u, size.inner);
    let top_is_bias = vec4<u32>(input, input + 1u, input + 2u, input + 3u) == vec4<u32>(size.inner);
    let bottom_is_bias = vec4<u32>(input + 4u, input + 5u, input + 6u, input + 7u) == vec4<u32>(size.inner);
    let left = four(column, size.columns);
    let right = four(column + 4u, size.columns);
    var tile = Tile();
    for (var row = 0u; row < size.rows; row++) {
        let x_top = select(load_x(top + row * size.inner), vec4<f32>(1.0), top_is_bias);
        let x_bottom = select(load_x(bottom + row * size.inner), vec4<f32>(1.0), bottom_is_bias);
        let dout_left = load_dout(left + row * size.columns);
        let dout_right = load_dout(right + row * size.columns);
        tile.top_left += outer(x_top, dout_left);
        tile.top_right += outer(x_top, dout_right);
        tile.bottom_left += outer(x_bottom, dout_left);
        tile.bottom_right += outer(x_bottom, dout_right);
    }
    return tile;
}

// Number (r, c) of a tile.
fn at(tile: ptr<function, Tile>, r: u32, c: u32) -> f32 {
    if (r < 4u) {
        return select((*tile).top_right[r % 4u][c % 4u], (*tile).top_left[r % 4u][c % 4u], c < 4u);
    }
    return select((*tile).bottom_right[r % 4u][c % 4u], (*tile).bottom_left[r % 4u][c % 4u], c < 4u);
}

@compute @workgroup_size(8, 8)
fn matmul_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.yx * 8u;
    var tile = forward_tile(first.x, first.y);
    let end = min(first + 8u, vec2<u32>(size.rows, size.columns));
    for (var r = first.x; r < end.x; r++) {
        for (var c = first.y; c < end.y; c++) {
            let value = at(&tile, r - first.x, c - first.y);
            out[r * size.columns + c] = value;
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_gelu_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.yx * 8u;
    var tile = forward_tile(first.x, first.y);
    let end = min(first + 8u, vec2<u32>(size.rows, size.columns));
    for (var r = first.x; r < end.x; r++) {
        for (var c = first.y; c < end.y; c++) {
            let value = at(&tile, r - first.x, c - first.y);
            pre[r * size.columns + c] = value;
            out[r * size.columns + c] = gelu(value);
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_residual_forward(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.yx * 8u;
    var tile = forward_tile(first.x, first.y);
    let end = min(first + 8u, vec2<u32>(size.rows, size.columns));
    for (var r = first.x; r < end.x; r++) {
        for (var c = first.y; c < end.y; c++) {
            let value = at(&tile, r - first.x, c - first.y);
            out[r * size.columns + c] = residual[r * size.columns + c] + value;
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_backward_input(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.yx * 8u;
    var tile = backward_tile(first.x, first.y);
    let end = min(first + 8u, vec2<u32>(size.rows, size.inner));
    for (var r = first.x; r < end.x; r++) {
        for (var c = first.y; c < end.y; c++) {
            let value = at(&tile, r - first.x, c - first.y);
            dx[r * size.inner + c] = value;
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_gelu_backward_input(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.yx * 8u;
    var tile = backward_tile(first.x, first.y);
    let end = min(first + 8u, vec2<u32>(size.rows, size.inner));
    for (var r = first.x; r < end.x; r++) {
        for (var c = first.y; c < end.y; c++) {
            let value = at(&tile, r - first.x, c - first.y);
            dpre[r * size.inner + c] = value * gelu_derivative(pre[r * size.inner + c]);
        }
    }
}

@compute @workgroup_size(8, 8)
fn matmul_backward_weights(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.yx * 8u;
    var tile = weights_tile(first.x, first.y);
    let end = min(first + 8u, vec2<u32>(size.inner + size.bias, size.columns));
    for (var r = first.x; r < end.x; r++) {
        for (var c = first.y; c < end.y; c++) {
            let value = at(&tile, r - first.x, c - first.y);
            dweights[size.weights_offset + r * size.columns + c] += value;
        }
    }
}
