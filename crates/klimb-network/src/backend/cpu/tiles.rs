//! Matrix products in tiles whose sums stay in registers.
//!
//! The networks' matrices are narrow and long: weights fit a processor's nearest cache, rows of activations come by the
//! thousand. So weights are laid out once a product in *panels* as wide as a tile, and activations are read where they
//! lie.

use std::ops::Range;

use super::factor::{Factor, Rows};
use klimb_numerics::real::Real;

/// Rows of a tile.
pub const ROWS: usize = 4;
/// Columns of a tile. A tile of f32 is eight 128-bit vectors: browsers' compilers spill what is larger.
pub const COLUMNS: usize = 8;
/// Rows that go through all panels before the next ones do, so that they stay in the nearest cache.
const BLOCK: usize = 8 * ROWS;

/// `R` rows of `left`, which lie `stride` apart, times `panel` (inner, [`COLUMNS`]), added to `start`.
#[inline(always)]
pub fn tile<F: Real, const R: usize>(
    left: &[F],
    stride: usize,
    inner: usize,
    start: [F; COLUMNS],
    panel: &[F],
) -> [[F; COLUMNS]; R] {
    let rows: [&[F]; R] = std::array::from_fn(|i| &left[i * stride..][..inner]);
    let mut sums = [start; R];
    for (k, panel) in (0..inner).zip(panel.chunks_exact(COLUMNS)) {
        for i in 0..R {
            for column in 0..COLUMNS {
                sums[i][column] += rows[i][k] * panel[column];
            }
        }
    }
    sums
}

/// Columns `at..at + R` of `left`, transposed, times columns `first..first + COLUMNS` of `right`.
#[inline(always)]
pub fn tile_over_rows<F: Real, const R: usize>(
    left: Rows<F>,
    at: usize,
    right: Rows<F>,
    first: usize,
) -> [[F; COLUMNS]; R] {
    let (Rows { values: left, width: m }, Rows { values: right, width: n }) = (left, right);
    let mut sums = [[F::zero(); COLUMNS]; R];
    for (left, right) in left.chunks_exact(m).zip(right.chunks_exact(n)) {
        let (left, right) = (&left[at..at + R], &right[first..first + COLUMNS]);
        for i in 0..R {
            for column in 0..COLUMNS {
                sums[i][column] += left[i] * right[column];
            }
        }
    }
    sums
}

/// See [`super::product::product`].
#[inline(always)]
pub fn product<F: Real>(
    rows: usize,
    left: &[F],
    factor: Factor<F>,
    out: &mut [F],
    scratch: &mut Vec<F>,
    mut end: impl FnMut(Range<usize>, &mut [F]),
) {
    let Factor { inner, columns, .. } = factor;
    let panels = panels(factor, scratch);
    for block in (0..rows).step_by(BLOCK) {
        let behind = rows.min(block + BLOCK);
        let tiled = behind - (behind - block) % ROWS;
        for (panel, first) in panels.chunks_exact((1 + inner) * COLUMNS).zip((0..columns).step_by(COLUMNS)) {
            let width = COLUMNS.min(columns - first);
            let (start, panel) = panel.split_first_chunk().expect("a panel begins with a row to start from");
            for row in (block..tiled).step_by(ROWS) {
                let sums = tile::<F, ROWS>(&left[row * inner..], inner, inner, *start, panel);
                store(&sums, &mut out[row * columns + first..], columns, width);
            }
            for row in tiled..behind {
                let sums = tile::<F, 1>(&left[row * inner..], inner, inner, *start, panel);
                store(&sums, &mut out[row * columns + first..], columns, width);
            }
        }
        let stretch = block * columns..behind * columns;
        end(stretch.clone(), &mut out[stretch]);
    }
}

/// Puts the first `width` columns of a tile into rows that lie `stride` apart.
#[inline(always)]
pub fn store<F: Real>(sums: &[[F; COLUMNS]], out: &mut [F], stride: usize, width: usize) {
    for (i, sums) in sums.iter().enumerate() {
        copy(sums, &mut out[i * stride..], width);
    }
}

/// Copies `width` numbers. In a browser a copy whose length only running shows is a call.
#[inline(always)]
fn copy<F: Copy>(from: &[F], to: &mut [F], width: usize) {
    if width == COLUMNS {
        to[..COLUMNS].copy_from_slice(&from[..COLUMNS]);
    } else {
        to.iter_mut().zip(from).take(width).for_each(|(to, &from)| *to = from);
    }
}

/// A factor in panels of [`COLUMNS`] columns, of which the last is filled up with zeros. The first row of a panel is the
/// bias, or zeros: what sums start from.
#[inline(always)]
fn panels<'a, F: Real>(factor: Factor<F>, scratch: &'a mut Vec<F>) -> &'a [F] {
    let Factor { values, inner, columns, transposed, bias } = factor;
    let panel_len = (1 + inner) * COLUMNS;
    let panels = room(scratch, columns.div_ceil(COLUMNS) * panel_len);
    for (panel, first) in panels.chunks_exact_mut(panel_len).zip((0..columns).step_by(COLUMNS)) {
        let width = COLUMNS.min(columns - first);
        if width < COLUMNS {
            panel.fill(F::zero());
        }
        let (start, panel) = panel.split_first_chunk_mut().expect("a panel begins with a row to start from");
        *start = [F::zero(); COLUMNS];
        if let Some(bias) = bias {
            copy(&bias[first..], start, width);
        }
        if transposed {
            for (column, row) in values[first * inner..].chunks_exact(inner).take(width).enumerate() {
                for (to, &value) in panel.chunks_exact_mut(COLUMNS).zip(row) {
                    to[column] = value;
                }
            }
        } else {
            for (to, row) in panel.chunks_exact_mut(COLUMNS).zip(values.chunks_exact(columns)) {
                copy(&row[first..], to, width);
            }
        }
    }
    panels
}

/// Room for `len` numbers, whatever they are: scratch grows to the largest need and stays.
#[inline(always)]
pub fn room<F: Real>(scratch: &mut Vec<F>, len: usize) -> &mut [F] {
    if scratch.len() < len {
        scratch.resize(len, F::zero());
    }
    &mut scratch[..len]
}

/// See [`super::product::add_product_over_rows`].
#[inline(always)]
pub fn add_product_over_rows<F: Real>(left: Rows<F>, right: Rows<F>, sums: &mut [F]) {
    let (Rows { values: left, width: m }, Rows { values: right, width: n }) = (left, right);
    let (tiled_m, tiled_n) = (m - m % ROWS, n - n % COLUMNS);
    for (left, right) in left.chunks(BLOCK * m).zip(right.chunks(BLOCK * n)) {
        for first in (0..tiled_n).step_by(COLUMNS) {
            for at in (0..tiled_m).step_by(ROWS) {
                let tile = tile_over_rows::<F, ROWS>(Rows::new(left, m), at, Rows::new(right, n), first);
                add(&tile, &mut sums[at * n + first..], n);
            }
            for at in tiled_m..m {
                let tile = tile_over_rows::<F, 1>(Rows::new(left, m), at, Rows::new(right, n), first);
                add(&tile, &mut sums[at * n + first..], n);
            }
        }
        if tiled_n < n {
            for (left, right) in left.chunks_exact(m).zip(right.chunks_exact(n)) {
                for (sums, &left) in sums.chunks_exact_mut(n).zip(left) {
                    sums[tiled_n..].iter_mut().zip(&right[tiled_n..]).for_each(|(sum, &right)| *sum += left * right);
                }
            }
        }
    }
}

/// Adds a tile to rows that lie `stride` apart.
#[inline(always)]
fn add<F: Real>(tile: &[[F; COLUMNS]], sums: &mut [F], stride: usize) {
    for (i, tile) in tile.iter().enumerate() {
        let sums = sums[i * stride..].first_chunk_mut::<COLUMNS>().expect("a whole tile lies there");
        for column in 0..COLUMNS {
            sums[column] += tile[column];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::product;
    use super::*;

    fn numbers(len: usize, seed: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 37 + seed * 101) % 61) as f64 / 61.0 - 0.5).collect()
    }

    fn assert_close(tiles: &[f64], library: &[f64], size: [usize; 3]) {
        for (tile, library) in tiles.iter().zip(library) {
            assert!((tile - library).abs() < 1e-12, "{size:?}: {tile} and not {library}");
        }
    }

    /// Sizes with and without a remainder in each direction, one and several blocks of rows.
    const SIZES: [[usize; 3]; 6] = [[1, 1, 1], [3, 5, 7], [4, 8, 8], [33, 6, 16], [70, 13, 9], [64, 16, 48]];

    #[test]
    fn tiles_give_the_products_that_the_library_gives() {
        for [rows, inner, columns] in SIZES {
            let (left, values, bias) = (numbers(rows * inner, 1), numbers(inner * columns, 2), numbers(columns, 3));
            for transposed in [false, true] {
                for bias in [None, Some(&bias[..])] {
                    let factor = Factor { values: &values, inner, columns, transposed, bias };
                    let (mut tiles, mut library) = (vec![7.0; rows * columns], vec![8.0; rows * columns]);
                    // Scratch as another product left it.
                    let mut scratch = vec![9.0; 11];
                    let mut seen = 0;
                    product(rows, &left, factor, &mut tiles, &mut scratch, |at, stretch| {
                        assert_eq!((at.start, at.len()), (seen, stretch.len()));
                        seen = at.end;
                    });
                    assert_eq!(seen, rows * columns);
                    product::of_library(rows, &left, factor, &mut library);
                    assert_close(&tiles, &library, [rows, inner, columns]);
                }
            }
        }
    }

    #[test]
    fn tiles_add_the_products_over_rows_that_the_library_adds() {
        for [rows, m, n] in SIZES {
            let (left, right, before) = (numbers(rows * m, 4), numbers(rows * n, 5), numbers(m * n, 6));
            let (mut tiles, mut library) = (before.clone(), before);
            let (left, right) = (Rows::new(&left, m), Rows::new(&right, n));
            add_product_over_rows(left, right, &mut tiles);
            product::add_over_rows_of_library(left, right, &mut library);
            assert_close(&tiles, &library, [rows, m, n]);
        }
    }
}
