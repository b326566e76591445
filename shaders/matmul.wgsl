// Linear maps of `rows` vectors: W of (inner, columns) at weights_offset, row-major, its bias right behind.
//
//   matmul_forward               out = x·W + b                     x (rows, inner), out (rows, columns)
//   matmul_gelu_forward          pre = x·W + b, out = gelu(pre)    pre, out (rows, columns)
//   matmul_residual_forward      out = residual + x·W + b          residual (rows, columns)
//   matmul_backward_input        dx = dout·Wᵀ                      dout (rows, columns), dx (rows, inner)
//   matmul_gelu_backward_input   dx = (dout·Wᵀ)·gelu′(pre)         pre, dx (rows, inner)
//   matmul_backward_weights      dW += xᵀ·dout, db += Σ_rows dout
//
// All write but the last, which adds. Each invocation computes a tile of outputs in registers: 8×8 as four blocks of 4×4,
// or one block alone. Arithmetic is cheap and loads are dear, above all on a software adapter, so they are few and wide:
// sixteen loads of four numbers feed 256 multiply-adds, or eight 64. That needs rows of a multiple of four numbers, which
// all maps of the network have but a scalar head, and the unembedding where V is none; what has not is computed number by
// number, but not by the two kernels of the hidden layer. Tiles that stick out repeat the last row or column and do not
// store it, so that the inner loop has no branch.
//
// A driver that compiles on the processor takes its time by the length of what it is given, functions written out at
// every call: so what follows a product is a short loop, and the other way is as short as it can be.
//
// More than 400 lines, because its six entry points share their tiles.

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

// The edge of a tile of outputs: 4, one block, or 8, which is four. A graphics card has more invocations at work than
// there are large tiles, a processor that plays one has not. Tiles of the gradient of W are large everywhere.
override EDGE: u32 = 4u; // 4 or 8
const WEIGHTS_EDGE = 8u;

// Blocks of 4×4: rows 0 to 3 or 4 to 7, columns 0 to 3 or 4 to 7. Row r of a block is block[r].
struct Tile {
    top_left: mat4x4<f32>,
    top_right: mat4x4<f32>,
    bottom_left: mat4x4<f32>,
    bottom_right: mat4x4<f32>,
}

// Row and column where tile number `i` of a matrix of `columns` begins.
fn tile_place(i: u32, columns: u32, edge: u32) -> vec2<u32> {
    let across = (columns + edge - 1u) / edge;
    return vec2<u32>(i / across, i % across) * edge;
}

// Whether every row of every matrix begins at a multiple of four numbers.
fn in_fours() -> bool {
    return (size.inner | size.columns | size.weights_offset) % 4u == 0u;
}

// Four neighbouring indices from `first`, none beyond `count`.
fn four(first: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(count - 1u));
}

// The quad that begins at column `column`, or the last one of a row of `columns`.
fn quad(column: u32, columns: u32) -> u32 {
    return min(column, columns - 4u);
}

// Four rows of four numbers, which begin at multiples of four.

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
    let left = quad(column, size.columns) + size.weights_offset;
    let right = quad(column + 4u, size.columns) + size.weights_offset;
    var tile = Tile();
    if (size.bias == 1u) {
        let bias_left = weights[(left + size.inner * size.columns) / 4u];
        let bias_right = weights[(right + size.inner * size.columns) / 4u];
        tile.top_left = mat4x4<f32>(bias_left, bias_left, bias_left, bias_left);
        tile.top_right = mat4x4<f32>(bias_right, bias_right, bias_right, bias_right);
        tile.bottom_left = tile.top_left;
        tile.bottom_right = tile.top_right;
    }
    for (var k = 0u; k < size.inner; k += 4u) {
        let w_rows = (vec4<u32>(0u, 1u, 2u, 3u) + k) * size.columns;
        let x_top = rows_of_x(top + k);
        let w_left = rows_of_weights(w_rows + left);
        tile.top_left += w_left * x_top;
        if (EDGE == 8u) {
            let x_bottom = rows_of_x(bottom + k);
            let w_right = rows_of_weights(w_rows + right);
            tile.top_right += w_right * x_top;
            tile.bottom_left += w_left * x_bottom;
            tile.bottom_right += w_right * x_bottom;
        }
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
    for (var c = 0u; c < size.columns; c += 4u) {
        let dout_top = rows_of_dout(top + c);
        let w_left = transpose(rows_of_weights(left + c));
        tile.top_left += w_left * dout_top;
        if (EDGE == 8u) {
            let dout_bottom = rows_of_dout(bottom + c);
            let w_right = transpose(rows_of_weights(right + c));
            tile.top_right += w_right * dout_top;
            tile.bottom_left += w_left * dout_bottom;
            tile.bottom_right += w_right * dout_bottom;
        }
    }
    return tile;
}

// The same number by number: one of x·W + b, and one of dout·Wᵀ.

fn forward_number(row: u32, column: u32) -> f32 {
    var sum = 0.0;
    if (size.bias == 1u) {
        let bias = size.weights_offset + size.inner * size.columns + column;
        sum = weights[bias / 4u][bias % 4u];
    }
    for (var k = 0u; k < size.inner; k++) {
        let i = row * size.inner + k;
        let w = size.weights_offset + k * size.columns + column;
        sum += x[i / 4u][i % 4u] * weights[w / 4u][w % 4u];
    }
    return sum;
}

fn backward_number(row: u32, input: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < size.columns; c++) {
        let i = row * size.columns + c;
        let w = size.weights_offset + input * size.columns + c;
        sum += dout[i / 4u][i % 4u] * weights[w / 4u][w % 4u];
    }
    return sum;
}

// What follows a tile: a loop over the first rows of its blocks, each of which goes to its place, and the next ones.
// The blocks are turned, not indexed: a number known only at run time would put them in memory.
fn turned(tile: Tile) -> Tile {
    let a = tile.top_left;
    let b = tile.top_right;
    let c = tile.bottom_left;
    let d = tile.bottom_right;
    return Tile(
        mat4x4<f32>(a[1], a[2], a[3], a[0]),
        mat4x4<f32>(b[1], b[2], b[3], b[0]),
        mat4x4<f32>(c[1], c[2], c[3], c[0]),
        mat4x4<f32>(d[1], d[2], d[3], d[0]),
    );
}

// Place number `i` of a tile, row by row.
fn place_in_tile(first: vec2<u32>, i: u32) -> vec2<u32> {
    return first + vec2<u32>(i / EDGE, i % EDGE);
}

// Whether a place is in the matrix of `size.rows` and `columns`.
fn is_in(place: vec2<u32>, columns: u32) -> bool {
    return place.x < size.rows && place.y < columns;
}

fn put(place: vec2<u32>, values: vec4<f32>) {
    if (is_in(place, size.columns)) {
        let at = (place.x * size.columns + place.y) / 4u;
        out[at] = values;
    }
}

@compute @workgroup_size(64)
fn matmul_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.columns, EDGE);
    if (first.x >= size.rows) {
        return;
    }
    if (!in_fours()) {
        for (var i = 0u; i < EDGE * EDGE; i++) {
            let place = place_in_tile(first, i);
            if (is_in(place, size.columns)) {
                let at = place.x * size.columns + place.y;
                let value = forward_number(place.x, place.y);
                out[at / 4u][at % 4u] = value;
            }
        }
        return;
    }
    var tile = forward_tile(first.x, first.y);
    for (var r = 0u; r < 4u; r++) {
        put(first + vec2<u32>(r, 0u), tile.top_left[0]);
        if (EDGE == 8u) {
            put(first + vec2<u32>(r, 4u), tile.top_right[0]);
            put(first + vec2<u32>(r + 4u, 0u), tile.bottom_left[0]);
            put(first + vec2<u32>(r + 4u, 4u), tile.bottom_right[0]);
        }
        tile = turned(tile);
    }
}

fn put_gelu(place: vec2<u32>, values: vec4<f32>) {
    if (is_in(place, size.columns)) {
        let at = (place.x * size.columns + place.y) / 4u;
        pre[at] = values;
        out[at] = gelu(values);
    }
}

@compute @workgroup_size(64)
fn matmul_gelu_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.columns, EDGE);
    if (first.x >= size.rows) {
        return;
    }
    var tile = forward_tile(first.x, first.y);
    for (var r = 0u; r < 4u; r++) {
        put_gelu(first + vec2<u32>(r, 0u), tile.top_left[0]);
        if (EDGE == 8u) {
            put_gelu(first + vec2<u32>(r, 4u), tile.top_right[0]);
            put_gelu(first + vec2<u32>(r + 4u, 0u), tile.bottom_left[0]);
            put_gelu(first + vec2<u32>(r + 4u, 4u), tile.bottom_right[0]);
        }
        tile = turned(tile);
    }
}

fn put_residual(place: vec2<u32>, values: vec4<f32>) {
    if (is_in(place, size.columns)) {
        let at = (place.x * size.columns + place.y) / 4u;
        out[at] = residual[at] + values;
    }
}

@compute @workgroup_size(64)
fn matmul_residual_forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.columns, EDGE);
    if (first.x >= size.rows) {
        return;
    }
    if (!in_fours()) {
        for (var i = 0u; i < EDGE * EDGE; i++) {
            let place = place_in_tile(first, i);
            if (is_in(place, size.columns)) {
                let at = place.x * size.columns + place.y;
                let value = forward_number(place.x, place.y);
                out[at / 4u][at % 4u] = residual[at / 4u][at % 4u] + value;
            }
        }
        return;
    }
    var tile = forward_tile(first.x, first.y);
    for (var r = 0u; r < 4u; r++) {
        put_residual(first + vec2<u32>(r, 0u), tile.top_left[0]);
        if (EDGE == 8u) {
            put_residual(first + vec2<u32>(r, 4u), tile.top_right[0]);
            put_residual(first + vec2<u32>(r + 4u, 0u), tile.bottom_left[0]);
            put_residual(first + vec2<u32>(r + 4u, 4u), tile.bottom_right[0]);
        }
        tile = turned(tile);
    }
}

fn put_dx(place: vec2<u32>, values: vec4<f32>) {
    if (is_in(place, size.inner)) {
        let at = (place.x * size.inner + place.y) / 4u;
        dx[at] = values;
    }
}

@compute @workgroup_size(64)
fn matmul_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.inner, EDGE);
    if (first.x >= size.rows) {
        return;
    }
    if (!in_fours()) {
        for (var i = 0u; i < EDGE * EDGE; i++) {
            let place = place_in_tile(first, i);
            if (is_in(place, size.inner)) {
                let at = place.x * size.inner + place.y;
                let value = backward_number(place.x, place.y);
                dx[at / 4u][at % 4u] = value;
            }
        }
        return;
    }
    var tile = backward_tile(first.x, first.y);
    for (var r = 0u; r < 4u; r++) {
        put_dx(first + vec2<u32>(r, 0u), tile.top_left[0]);
        if (EDGE == 8u) {
            put_dx(first + vec2<u32>(r, 4u), tile.top_right[0]);
            put_dx(first + vec2<u32>(r + 4u, 0u), tile.bottom_left[0]);
            put_dx(first + vec2<u32>(r + 4u, 4u), tile.bottom_right[0]);
        }
        tile = turned(tile);
    }
}

fn put_gelu_dx(place: vec2<u32>, values: vec4<f32>) {
    if (is_in(place, size.inner)) {
        let at = (place.x * size.inner + place.y) / 4u;
        dx[at] = values * gelu_derivative(pre[at]);
    }
}

@compute @workgroup_size(64)
fn matmul_gelu_backward_input(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = tile_place(item(id, groups), size.inner, EDGE);
    if (first.x >= size.rows) {
        return;
    }
    var tile = backward_tile(first.x, first.y);
    for (var r = 0u; r < 4u; r++) {
        put_gelu_dx(first + vec2<u32>(r, 0u), tile.top_left[0]);
        if (EDGE == 8u) {
            put_gelu_dx(first + vec2<u32>(r, 4u), tile.top_right[0]);
            put_gelu_dx(first + vec2<u32>(r + 4u, 0u), tile.bottom_left[0]);
            put_gelu_dx(first + vec2<u32>(r + 4u, 4u), tile.bottom_right[0]);
        }
        tile = turned(tile);
    }
}

// The gradient of W sums over all rows, of which there are many more than tiles: the 32 invocations of a workgroup share
// the rows of one tile, and add up what they have through workgroup memory, first for its upper half, then for the lower
// one: four rows of eight numbers and, in the last of nine quads, four of the bias's. On a software adapter, which has
// few processors and clears that memory number by number, each invocation has a tile for itself.
override SHARES: u32 = 32u; // 32 or 1
override PARTIAL_SUMS: u32 = 288u; // 9 of each of 32 invocations, or 1 where nothing is shared
const QUADS = 9u;
var<workgroup> partial_sums: array<vec4<f32>, PARTIAL_SUMS>;

// Where quad `q` of a half of the tile at `first` belongs: row and column of the gradient. The bias's row is behind the
// last one of W, and wanted once, of the first tile of a column; what is not wanted gets a row beyond that.
fn place_of_quad(first: vec2<u32>, half: u32, q: u32) -> vec2<u32> {
    if (q == 8u) {
        return vec2<u32>(select(size.inner + 1u, size.inner, first.x == 0u && size.bias == 1u), first.y + 4u * half);
    }
    let row = first.x + 4u * half + q % 4u;
    return vec2<u32>(select(size.inner + 1u, row, row < size.inner), first.y + 4u * (q / 4u));
}

fn add_dweights(place: vec2<u32>, values: vec4<f32>) {
    for (var c = 0u; c < 4u && place.x <= size.inner && place.y + c < size.columns; c++) {
        dweights[size.weights_offset + place.x * size.columns + place.y + c] += values[c];
    }
}

// A quad of one invocation: a part of a sum or, where nothing is shared, all of it.
fn give(first: vec2<u32>, half: u32, q: u32, lane: u32, values: vec4<f32>) {
    if (SHARES == 1u) {
        add_dweights(place_of_quad(first, half, q), values);
    } else {
        partial_sums[lane * QUADS + q] = values;
    }
}

// A quad number by number, over an invocation's share of the rows.
fn weights_numbers(place: vec2<u32>, share: u32) -> vec4<f32> {
    var sums = vec4<f32>();
    for (var c = 0u; c < 4u && place.x <= size.inner && place.y + c < size.columns; c++) {
        var sum = 0.0;
        for (var row = share; row < size.rows; row += SHARES) {
            let i = row * size.inner + min(place.x, size.inner - 1u);
            let o = row * size.columns + place.y + c;
            sum += select(x[i / 4u][i % 4u], 1.0, place.x == size.inner) * dout[o / 4u][o % 4u];
        }
        sums[c] = sum;
    }
    return sums;
}

// The first `count` rows of a block, and zeros.
fn first_rows(block: mat4x4<f32>, count: u32) -> mat4x4<f32> {
    let kept = vec4<f32>(vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(count));
    return mat4x4<f32>(block[0] * kept.x, block[1] * kept.y, block[2] * kept.z, block[3] * kept.w);
}

@compute @workgroup_size(32)
fn matmul_backward_weights(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group.x * 32u + lane;
    let first = tile_place(i / SHARES, size.columns, WEIGHTS_EDGE);
    let share = i % SHARES;
    var tile = Tile();
    var bias_left = vec4<f32>();
    var bias_right = vec4<f32>();
    if (in_fours() && first.x < size.inner) {
        let top = quad(first.x, size.inner);
        let bottom = quad(first.x + 4u, size.inner);
        let left = quad(first.y, size.columns);
        let right = quad(first.y + 4u, size.columns);
        for (var row = 4u * share; row < size.rows; row += 4u * SHARES) {
            let rows = four(row, size.rows);
            let x_top = transpose(rows_of_x(rows * size.inner + top));
            let x_bottom = transpose(rows_of_x(rows * size.inner + bottom));
            var dout_left = rows_of_dout(rows * size.columns + left);
            var dout_right = rows_of_dout(rows * size.columns + right);
            if (row + 4u > size.rows) {
                dout_left = first_rows(dout_left, size.rows - row);
                dout_right = first_rows(dout_right, size.rows - row);
            }
            tile.top_left += dout_left * x_top;
            tile.top_right += dout_right * x_top;
            tile.bottom_left += dout_left * x_bottom;
            tile.bottom_right += dout_right * x_bottom;
            bias_left += dout_left * vec4<f32>(1.0);
            bias_right += dout_right * vec4<f32>(1.0);
        }
    }
    for (var half = 0u; half < 2u; half++) {
        if (in_fours()) {
            for (var r = 0u; r < 4u; r++) {
                give(first, half, r, lane, tile.top_left[0]);
                give(first, half, r + 4u, lane, tile.top_right[0]);
                tile = turned(tile);
            }
            give(first, half, 8u, lane, bias_left);
            tile = Tile(tile.bottom_left, tile.bottom_right, tile.top_left, tile.top_right);
            bias_left = bias_right;
        } else {
            for (var q = 0u; q < QUADS; q++) {
                give(first, half, q, lane, weights_numbers(place_of_quad(first, half, q), share));
            }
        }
        if (SHARES > 1u) {
            workgroupBarrier();
            if (lane < QUADS) {
                var sum = vec4<f32>();
                for (var s = lane; s < 32u * QUADS; s += QUADS) {
                    sum += partial_sums[s];
                }
                add_dweights(place_of_quad(first, half, lane), sum);
            }
            workgroupBarrier(); // the sums have been read
        }
    }
}
