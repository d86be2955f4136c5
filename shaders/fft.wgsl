// Overlap-save by Fourier transforms, in three passes over a spectrum in device memory, for float sums.
//
//   survey    pixels -> what is known of each region: mean, scale, and whether a transform may be trusted with it
//   forward   (pixels - mean) * 2^-e, rows transformed -> spectrum
//   columns   columns transformed, times the kernel's spectrum, transformed back, in place
//   columns_of_bank   the same for several kernels, which share all before the product: columns transformed once, then back for each
//   inverse   rows transformed back, * 2^e + mean * sum of taps -> result
//   direct    the tiles whose regions hold what would smear: sums over their windows -> result
//   interleave   sums of planes -> channels side by side
//
// A tile of tile_height x tile_width outputs reads a region that is reach_y and reach_x larger; a cyclic correlation over 2^log_y x 2^log_x
// points, at least that large, gives the tile in its first rows and columns. Two tiles side by side, a pair, go together as real and
// imaginary part, which the real kernel keeps apart. Each is scaled by its own power of two to a 2-norm from 1 to 2, so that the rounding errors
// that they share are small beside either one. Pairs are counted from the piece's corner, where a pair of the whole result begins.
//
// Geometry. A workgroup holds POINTS complex numbers: as many whole lines (rows of a pair; columns side by side) as that is. Transforms are in
// place, radix 4 first, then 8: forward by decimation in frequency, which leaves the frequencies in the order of their reversed digits, back by
// decimation in time, which takes them so. The kernel's spectrum lies in the same order; nothing is ever put in order. To transform back is to
// transform with real and imaginary part swapped, and so they stay from the product to the store. Roots of unity come from the host, rounded once.
//
// Kernels of a bank are moved into one frame, so that they read the same region. A pair has as many spectra in memory as the dispatch has kernels,
// one after the other; what all of them share, rows transformed, lies where that of the first will be.
//
// A region holding a NaN or an infinity, or an outlier (has_outlier in native/fft_tile.c says why and how), is left out of its pair.

// ── begin: a copy of common.wgsl, made by scripts/shaders.mjs; edit it there ──

// What the tiled shaders share: how pixels are loaded and results stored. A thread works on quads: 4 elements side by side in a row.
//
// Rows are rows of memory: planar images have one plane a channel and one lane; where channels lie side by side a row is all of
// them and taps are `lanes` elements apart. Input rows are whole quads where `aligned`, output rows always: in every dtype a quad is
// whole 32-bit words that nobody else writes. A position of the window's reach finds its source through the index maps, but for
// quads wholly inside the image, which are loaded at once.
//
// A quad in registers is 4 words of the sum's type: float32 bits (SUM = REAL), integers that float32 holds exactly (EXACT: every
// partial sum is below 2^24) or integers modulo 2^32 (WORD), which are only ever stored plain. What is NaN or infinite is decided on bits: a WGSL compiler may
// assume that neither occurs. A sum over a non-finite pixel is itself not finite, because taps are never known when compiling.

// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 5 are integers of at most 32 bits, unsigned ones even; 8 and 9 are floats.
override IN: u32 = 9u;
override OUT: u32 = 9u;
override SUM: u32 = 0u;
// Quads of `taps`, at least as many as are read.
const TAP_QUADS = 16u;

const REAL = 0u;
const EXACT = 1u;
const WORD = 2u;

const U32 = 4u;
const I32 = 5u;
const F16 = 8u;
const F32 = 9u;

const SATURATE = 0u;
const WRAP = 1u;
const THROW = 2u;

const NEAREST_EVEN = 0u;
const HALF_AWAY = 1u;
const TRUNCATE = 2u;
const FLOOR = 3u;

const OUTSIDE = 0xffffffffu;
const EXPONENT = 0x7f800000u;
const MAGNITUDE = 0x7fffffffu;
const NAN = 0x7fc00000u;

struct Params {
	width: u32, // output elements of a row, for each kernel
	rows: u32, // rows of an output plane
	out_pitch: u32, // elements from one output row to the next: a multiple of 4
	first_plane: u32, // plane of the dispatch's first layer
	planes: u32, // planes of one image of the batch that this kernel of the bank computes
	out_planes: u32, // planes of one image of the piece's result
	out_first: u32, // and which of them plane 0 gives; the next is `kernels` further
	kernels: u32,
	first_channel: u32, // result channel of plane 0
	first_element: u32, // element of the image at row 0, column 0 of plane 0
	batch_stride: u32, // of the image, in elements
	channel_stride: u32,
	row_pitch: u32,
	aligned: u32, // 1: every input row begins on a whole quad
	row_count: u32, // entries of the rows' map; the columns' follows in `maps`
	col_count: u32,
	row_shift: u32, // map entry under window row 0 of output row 0; and column, which may be negative (two's complement)
	col_shift: u32,
	row_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)
	row_end: u32,
	row_origin: u32,
	col_begin: u32, // the same in elements
	col_end: u32,
	col_origin: u32,
	fill: u32, // what lies outside, as loaded
	overflow: u32,
	rounding: u32,
	tap_rows: u32, // of the window; 0: every tap is zero
	tap_cols: u32,
	quads: u32, // quads of a row of taps
	lead: u32, // zero taps in front of each row
	lanes: u32, // elements from a tap to the next: channels side by side
	plain: u32, // 1: every channel is stored with scale 1 and bias 0
	march: u32, // output rows of one workgroup, where it walks down the image
	run: u32, // box.wgsl: neighbours in a row that are summed first
	block_row: u32, // box.wgsl: row of its block of tap_rows rows on which the window of output row 0 begins
	bank: u32, // kernels of the dispatch
	bundle: u32, // tiled.wgsl: groups of them that a thread computes one after the other
	chunks: u32, // tiled.wgsl: layers of the dispatch for a plane: each has `bundle` groups
	across: u32, // results of an element that lie side by side: the kernels of a bank into channels side by side; elsewhere 1
	spread: u32, // the same in whole quads, as they are written
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> taps: array<vec4u, TAP_QUADS>;
@group(0) @binding(2) var<storage, read> image: array<u32>;
@group(0) @binding(3) var<storage, read> wide_image: array<vec4u>; // the same memory, for elements of 4 bytes
@group(0) @binding(4) var<storage, read> maps: array<u32>;
@group(0) @binding(5) var<storage, read> epilogues: array<u32>; // scale, bias, plain: one triple a result channel
@group(0) @binding(6) var<storage, read_write> result: array<u32>; // for elements of 1 and 2 bytes
@group(0) @binding(7) var<storage, read_write> wide_result: array<vec4u>; // for elements of 4
// Lowest element that does not fit under 'throw'.
@group(0) @binding(8) var<storage, read_write> overflow_at: atomic<u32>;

// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn is_signed(dtype: u32) -> bool {
	return dtype < F16 && (dtype & 1u) == 1u;
}

// log2 of the bytes of an element.
fn size_of(dtype: u32) -> u32 {
	return select(dtype - 7u, dtype >> 1u, dtype < F16);
}

// float16 bits as float32 bits; NaN and infinity stay what they are.
fn widen_half(bits: vec4u) -> vec4u {
	let sign = (bits & vec4u(0x8000u)) << vec4u(16u);
	let magnitude = bits & vec4u(0x7fffu);
	// the exponent's bias differs by 112, that of infinity by twice that; a subnormal is taken as 2^-14·(1 + …), less 2^-14
	let shifted = (magnitude << vec4u(13u)) + select(vec4u(112u << 23u), vec4u(224u << 23u), magnitude >= vec4u(0x7c00u));
	let subnormal = bitcast<vec4u>(bitcast<vec4f>(shifted + vec4u(1u << 23u)) - vec4f(0x1p-14f));
	return sign | select(shifted, subnormal, magnitude < vec4u(0x400u));
}

// Loaded elements, integers extended to 32 bits, in the sum's type.
fn in_sum(raw: vec4u) -> vec4u {
	if (SUM == WORD || IN == F32) { return raw; }
	if (IN == F16) { return widen_half(raw); }
	if (is_signed(IN)) { return bitcast<vec4u>(vec4f(bitcast<vec4i>(raw))); }
	return bitcast<vec4u>(vec4f(raw));
}

fn extract(word: u32, shift: u32, bits: u32) -> u32 {
	if (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, bits)); }
	return extractBits(word, shift, bits);
}

fn element(at: u32) -> u32 {
	if (size_of(IN) == 0u) { return extract(image[at >> 2u], (at & 3u) * 8u, 8u); }
	if (size_of(IN) == 1u) { return extract(image[at >> 1u], (at & 1u) * 16u, 16u); }
	return image[at];
}

// The quad that begins at a multiple of 4 elements.
fn whole_quad(at: u32) -> vec4u {
	if (size_of(IN) == 0u) {
		let word = image[at >> 2u];
		return in_sum(vec4u(extract(word, 0u, 8u), extract(word, 8u, 8u), extract(word, 16u, 8u), extract(word, 24u, 8u)));
	}
	if (size_of(IN) == 1u) {
		let low = image[at >> 1u];
		let high = image[(at >> 1u) + 1u];
		return in_sum(vec4u(extract(low, 0u, 16u), extract(low, 16u, 16u), extract(high, 0u, 16u), extract(high, 16u, 16u)));
	}
	return in_sum(wide_image[at >> 2u]);
}

// Where the source row of a position begins in its plane, or OUTSIDE.
fn line_of(row: u32) -> u32 {
	if (row >= params.row_begin && row < params.row_end) { return params.row_origin + row * params.row_pitch; }
	if (row >= params.row_count) { return OUTSIDE; } // below the last row: nobody uses it
	return maps[row];
}

// The element at a position; positions beyond the map lie under zero taps only.
fn mapped(base: u32, line: u32, col: i32) -> u32 {
	if (line == OUTSIDE || col < 0 || col >= i32(params.col_count)) { return params.fill; }
	let at = maps[params.row_count + u32(col)];
	if (at == OUTSIDE) { return params.fill; }
	return element(base + line + at);
}

// Every quad from col to col + 4·quads lies inside the image, where addresses are linear.
fn inside(col: i32, quads: u32) -> bool {
	return col >= i32(params.col_begin) && col + 4 * i32(quads) <= i32(params.col_end);
}

// 4 positions of a row from `col` on. @param direct no position needs the map, and the quad is whole
fn quad(base: u32, line: u32, col: i32, direct: bool) -> vec4u {
	let at = base + line + params.col_origin + u32(col);
	if (direct || (params.aligned != 0u && line != OUTSIDE && inside(col, 1u))) { return whole_quad(at); }
	let linear = line != OUTSIDE && inside(col, 1u);
	var raw: vec4u;
	for (var e = 0u; e < 4u; e += 1u) {
		if (linear) {
			raw[e] = element(at + e);
		} else {
			raw[e] = mapped(base, line, col + i32(e));
		}
	}
	return in_sum(raw);
}

// ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn multiply_add(tap: u32, pixels: vec4u, sums: vec4u) -> vec4u {
	if (SUM == WORD) { return tap * pixels + sums; }
	return bitcast<vec4u>(fma(vec4f(bitcast<f32>(tap)), bitcast<vec4f>(pixels), bitcast<vec4f>(sums)));
}

fn plus(a: vec4u, b: vec4u) -> vec4u {
	if (SUM == WORD) { return a + b; }
	return bitcast<vec4u>(bitcast<vec4f>(a) + bitcast<vec4f>(b));
}

fn not_finite(bits: vec4u) -> vec4<bool> {
	return (bits & vec4u(EXPONENT)) == vec4u(EXPONENT);
}

// What the non-finite pixels of a window add up to.
struct Extremes {
	nan: bool,
	up: bool, // an infinity of this sign
	down: bool,
}

fn meet(seen: Extremes, pixel: u32, tap: u32) -> Extremes {
	if ((pixel & EXPONENT) != EXPONENT) { return seen; }
	if ((pixel & 0x7fffffu) != 0u || (tap & MAGNITUDE) == 0u) { return Extremes(true, false, false); }
	let minus = ((pixel ^ tap) >> 31u) == 1u;
	return Extremes(seen.nan, seen.up || !minus, seen.down || minus);
}

// The sum's bits by IEEE arithmetic; 0 where every pixel is finite.
fn extreme_sum(seen: Extremes) -> u32 {
	if (seen.nan || (seen.up && seen.down)) { return NAN; }
	if (seen.up) { return EXPONENT; }
	return select(0u, 0x80000000u | EXPONENT, seen.down);
}

// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// A quad of the result: where it lies and what it holds.
struct Place {
	plane: u32, // of the piece's result
	channel: u32, // result channel of lane 0
	side: u32, // from one element's channel to the next: 1 where the kernels of a bank lie side by side
	y: u32,
	x: u32, // its first element in the row
	end: u32, // and the first that is none of the row: what lies from there on is room that nobody reads
	at: u32, // where it is written in the row with its room; a multiple of 4
}

// Values in the result's dtype, and those that do not fit it.
struct Stored {
	words: vec4u,
	over: vec4<bool>,
}

// Ends of the dtype OUT, of at most 16 bits.
fn least() -> i32 {
	return select(0, -(1 << ((8u << size_of(OUT)) - 1u)), is_signed(OUT));
}

fn most() -> i32 {
	let bits = (8u << size_of(OUT)) - select(0u, 1u, is_signed(OUT));
	return (1 << bits) - 1;
}

fn store_integers(values: vec4i) -> Stored {
	var kept = values;
	if (OUT == U32) { kept = max(values, vec4i(0)); }
	if (size_of(OUT) < 2u) { kept = clamp(values, vec4i(least()), vec4i(most())); }
	if (params.overflow == WRAP) { return Stored(bitcast<vec4u>(values), vec4<bool>()); }
	return Stored(bitcast<vec4u>(kept), kept != values);
}

fn round_whole(v: vec4f) -> vec4f {
	let whole = trunc(v);
	switch params.rounding {
		case NEAREST_EVEN: { return round(v); }
		case HALF_AWAY: { return whole + select(vec4f(), sign(v), abs(v - whole) >= vec4f(0.5f)); }
		case FLOOR: { return floor(v); }
		default: { return whole; }
	}
}

// A whole float32 modulo 2^32; infinities give 0.
fn whole_modulo(v: vec4f) -> vec4u {
	let bits = bitcast<vec4u>(v);
	let exponent = (bits & vec4u(EXPONENT)) >> vec4u(23u);
	let fraction = (bits & vec4u(0x7fffffu)) | vec4u(0x800000u);
	let shift = max(exponent, vec4u(150u)) - vec4u(150u);
	let large = select(fraction << (shift & vec4u(31u)), vec4u(), shift >= vec4u(32u));
	let magnitude = select(vec4u(abs(v)), large, exponent >= vec4u(150u));
	return select(magnitude, ~magnitude + vec4u(1u), bits >> vec4u(31u) == vec4u(1u));
}

// Rounds finite float32 values to an integer dtype.
fn store_rounded(v: vec4f) -> Stored {
	let whole = round_whole(v);
	if (params.overflow == WRAP) { return Stored(whole_modulo(whole), vec4<bool>()); }
	var low = f32(least());
	var high = f32(most()) + 1.0f;
	if (OUT == U32) { high = 0x1p32f; }
	if (OUT == I32) { low = -0x1p31f; high = 0x1p31f; }
	let under = whole < vec4f(low);
	let above = whole >= vec4f(high);
	let held = select(whole, vec4f(), under | above);
	var words = bitcast<vec4u>(vec4i(held));
	if (OUT == U32) { words = vec4u(held); }
	let last = select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);
	let first = select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u);
	return Stored(select(select(words, vec4u(last), above), vec4u(first), under), under | above);
}

// float32 bits rounded to float16 bits: nearest, ties to even.
fn narrow_to_half(bits: vec4u) -> vec4u {
	let sign = (bits >> vec4u(16u)) & vec4u(0x8000u);
	let magnitude = bits & vec4u(MAGNITUDE);
	let tiny = magnitude < vec4u(0x38800000u); // below 2^-14: subnormal
	let shift = select(vec4u(13u), min(vec4u(126u) - (min(magnitude, vec4u(0x38800000u)) >> vec4u(23u)), vec4u(25u)), tiny);
	let value = select(magnitude - vec4u(112u << 23u), (magnitude & vec4u(0x7fffffu)) | vec4u(0x800000u), tiny);
	let whole = value >> shift;
	let rest = value & ((vec4u(1u) << shift) - vec4u(1u));
	let half = vec4u(1u) << (shift - vec4u(1u));
	let up = (rest > half) | ((rest == half) & ((whole & vec4u(1u)) == vec4u(1u)));
	var rounded = whole + select(vec4u(), vec4u(1u), up); // a carry runs into the exponent and up to infinity
	rounded = select(rounded, vec4u(0x7c00u), magnitude >= vec4u(0x47800000u)); // 2^16 and above
	return sign | select(rounded, vec4u(0x7e00u), magnitude > vec4u(EXPONENT));
}

// A NaN or an infinity in an integer dtype.
fn store_extreme(bits: u32) -> u32 {
	if ((bits & 0x7fffffu) != 0u || params.overflow != SATURATE) { return 0u; }
	if (bits >> 31u == 1u) { return select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u); }
	return select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);
}

fn epilogue(p: Place, sums: vec4u) -> vec4u {
	var scaled = sums;
	for (var e = 0u; e < 4u; e += 1u) {
		var channel = p.channel + e * p.side;
		if (params.lanes > 1u && p.side == 0u) { channel += (p.x + e) % params.lanes; }
		let at = 3u * channel;
		let scale = epilogues[at];
		let bits = sums[e];
		if (epilogues[at + 2u] != 0u) { continue; }
		if (IN >= F16 && (bits & EXPONENT) == EXPONENT) {
			scaled[e] = select(bits ^ (scale & 0x80000000u), NAN, (bits & 0x7fffffu) != 0u || (scale & MAGNITUDE) == 0u);
		} else {
			scaled[e] = bitcast<u32>(fma(bitcast<f32>(scale), bitcast<f32>(bits), bitcast<f32>(epilogues[at + 1u])));
		}
	}
	return scaled;
}

fn in_result(p: Place, sums: vec4u) -> Stored {
	if (SUM == WORD) { return store_integers(bitcast<vec4i>(sums)); }
	if (params.plain != 0u && SUM == EXACT && OUT < F16) { return store_integers(vec4i(bitcast<vec4f>(sums))); }
	var bits = sums;
	if (params.plain == 0u) { bits = epilogue(p, sums); }
	if (OUT == F32) { return Stored(bits, vec4<bool>()); }
	if (OUT == F16) { return Stored(narrow_to_half(bits), vec4<bool>()); }
	let odd = not_finite(bits);
	var stored = store_rounded(bitcast<vec4f>(select(bits, vec4u(), odd)));
	if (any(odd)) {
		let extremes = vec4u(store_extreme(bits.x), store_extreme(bits.y), store_extreme(bits.z), store_extreme(bits.w));
		stored.words = select(stored.words, extremes, odd);
		stored.over = stored.over | (odd & ((bits & vec4u(0x7fffffu)) == vec4u()));
	}
	return stored;
}

// Stores a quad.
fn store(p: Place, sums: vec4u) {
	let stored = in_result(p, sums);
	let words = stored.words;
	if (OUT < F16 && params.overflow == THROW && any(stored.over)) {
		for (var e = 0u; e < 4u; e += 1u) {
			if (stored.over[e] && p.x + e < p.end) {
				atomicMin(&overflow_at, (p.plane * params.rows + p.y) * params.width * params.across + p.x + e);
			}
		}
	}
	let at = (p.plane * params.rows + p.y) * params.out_pitch + p.at;
	if (size_of(OUT) == 0u) {
		let low = words & vec4u(0xffu);
		result[at >> 2u] = low.x | (low.y << 8u) | (low.z << 16u) | (low.w << 24u);
	} else if (size_of(OUT) == 1u) {
		let low = words & vec4u(0xffffu);
		result[at >> 1u] = low.x | (low.y << 16u);
		result[(at >> 1u) + 1u] = low.z | (low.w << 16u);
	} else {
		wide_result[at >> 2u] = words;
	}
}

// Where layer z of the dispatch is read, and where its quad goes.
fn base_of(z: u32) -> u32 {
	let plane = params.first_plane + z;
	let batch = plane / params.planes;
	return params.first_element + batch * params.batch_stride + (plane - batch * params.planes) * params.channel_stride;
}

fn place_of(z: u32, y: u32, x: u32) -> Place {
	let plane = params.first_plane + z;
	let batch = plane / params.planes;
	let step = (plane - batch * params.planes) * params.kernels;
	return Place(batch * params.out_planes + params.out_first + step, params.first_channel + step, 0u, y, x, params.width, x);
}

// The same for a kernel of the dispatch whose planes are `kernel` further.
fn place_in_bank(kernel: u32, z: u32, y: u32, x: u32) -> Place {
	var place = place_of(z, y, x);
	place.plane += kernel;
	place.channel += kernel;
	return place;
}

// ── end ──

// ── what is known of a job ──────────────────────────────────────────────────────────────────────────────────────────────

// Complex numbers that a workgroup holds, a power of two of at least 8 * THREADS and one line.
override POINTS: u32 = 2048u;
override THREADS: u32 = 256u;

struct Transform {
	log_y: u32, // log2 of the transforms' lengths
	log_x: u32,
	first_pair: u32, // of the dispatch; `regions` and `spectrum` begin with it
	pairs_y: u32, // pairs of one plane
	pairs_x: u32,
	step_y: u32, // from the first tile of a pair to the second: one of them is 1
	step_x: u32,
	tile_height: u32,
	tile_width: u32, // a multiple of 4 where a plane has several tiles in a row
	columns: u32, // pixels of an output row
	reach_y: u32, // rows and columns of the frame less one
	reach_x: u32,
	col_pitch: u32, // elements of the image from a column to the next
	first_kernel: u32, // of the dispatch, in `kernels`
	magnitude_exponent: u32, // log2 of the largest sum of |tap|, rounded down (two's complement)
	quiet: f32, // deviations up to this are never outliers
	rounds: u32, // POINTS / 8 / THREADS: said when running, so that compilers do not unroll what is large already
}

// Words of a kernel in `kernels`.
const FACTS = 8u;

struct Kernel {
	weight: f32, // sum of the taps
	exponent: i32, // the spectrum is scaled by 2^-this
	taps: u32, // where they begin in `kernels`, row by row
	rows: u32, // of the window
	cols: u32,
	row: u32, // of the frame on which the window begins
	col: u32,
}

// One region: the part of its pair.
struct Region {
	kind: u32,
	mean: f32,
	scale: f32, // 2^-exponent; 0: the part is left out
	exponent: i32,
}

const ABSENT = 0u; // beyond the last tile
const TRANSFORMED = 1u;
const FLAT = 2u; // all pixels are the mean: the sums owe nothing to the transform, nor to rounding in the other part
const DIRECT = 3u;

@group(0) @binding(9) var<uniform> transform: Transform;
@group(0) @binding(10) var<storage, read_write> regions: array<Region>; // two a pair
@group(0) @binding(11) var<storage, read_write> spectrum: array<vec2f>; // params.bank spectra a pair, of rows of 2^log_x
@group(0) @binding(12) var<storage, read> roots: array<vec2f>; // exp(-2*pi*i*k/n) of the pass's axis
@group(0) @binding(13) var<storage, read> kernel_spectrum: array<vec2f>; // conj(F taps) / n * 2^-exponent, of each kernel of the dispatch
@group(0) @binding(14) var<storage, read> kernels: array<u32>; // facts of each kernel of the bank, then the taps of all
@group(0) @binding(15) var<storage, read> sums_of_planes: array<u32>; // rows of whole quads

// @param local counted from the first kernel of the dispatch
fn kernel_of(local: u32) -> Kernel {
	let at = FACTS * (transform.first_kernel + local);
	return Kernel(
		bitcast<f32>(kernels[at]),
		bitcast<i32>(kernels[at + 1u]),
		kernels[at + 2u],
		kernels[at + 3u],
		kernels[at + 4u],
		kernels[at + 5u],
		kernels[at + 6u]);
}

// Where a tile lies.
struct Tile {
	present: bool,
	plane: u32,
	y: u32, // first output
	x: u32,
	height: u32,
	width: u32,
}

fn tile_of(local_pair: u32, part: u32) -> Tile {
	let pair = transform.first_pair + local_pair;
	let each = transform.pairs_y * transform.pairs_x;
	let plane = pair / each;
	let row = (pair - plane * each) / transform.pairs_x;
	let col = pair - plane * each - row * transform.pairs_x;
	let y = (row * (1u + transform.step_y) + part * transform.step_y) * transform.tile_height;
	let x = (col * (1u + transform.step_x) + part * transform.step_x) * transform.tile_width;
	let present = y < params.rows && x < transform.columns;
	let height = min(transform.tile_height, params.rows - min(y, params.rows));
	let width = min(transform.tile_width, transform.columns - min(x, transform.columns));
	return Tile(present, plane, y, x, height, width);
}

// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Row y of a tile's region, counted from output row 0.
fn region_line(y: u32) -> u32 {
	return line_of(y + params.row_shift);
}

// A pixel as float32 bits; x counts from output column 0.
fn pixel_bits(base: u32, line: u32, x: u32) -> u32 {
	let col = x + params.col_shift;
	if (line != OUTSIDE && col >= params.col_begin && col < params.col_end) {
		return in_sum(vec4u(element(base + line + params.col_origin + col * transform.col_pitch))).x;
	}
	return in_sum(vec4u(mapped(base, line, i32(col)))).x;
}

// ── survey ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// A region is judged by so many of its pixels, and holds an outlier where so many of them are quiet.
const SAMPLES = 64u;
const QUIET = 60u;

// From 2^100 on, sums over a region and the transform have no room; below 2^-118 a scale would overflow.
const LARGE = 0x71800000u;
const LEAST_EXPONENT = -118;
// log2 of what the sums themselves may reach; a norm is below 2^11 of its largest pixel.
const MOST_EXPONENT = 108;

override LANES_X: u32 = min(THREADS, 32u);
override LANES_Y: u32 = THREADS / LANES_X;

// Sums of so many rows are added up before they go on.
const BAND = 16u;

// Each thread's sum, least and largest pixel, and 1 where one was too large.
var<workgroup> findings: array<vec4f, THREADS>;
var<workgroup> samples: array<f32, SAMPLES>;
var<workgroup> median: f32;

fn both(a: vec4f, b: vec4f) -> vec4f {
	return vec4f(a.x + b.x, min(a.y, b.y), max(a.z, b.z), max(a.w, b.w));
}

// All threads' findings together, for every thread.
fn gathered(thread: u32, own: vec4f) -> vec4f {
	workgroupBarrier();
	findings[thread] = own;
	workgroupBarrier();
	for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
		if (thread < half) { findings[thread] = both(findings[thread], findings[thread + half]); }
		workgroupBarrier();
	}
	return findings[0];
}

// Sum of the pixels less the pivot; or of ((x - pivot) * scale)^2. Of rows of a band first, then of bands.
fn look(base: u32, tile: Tile, thread: u32, pivot: f32, scale: f32, squares: bool) -> vec4f {
	let rows = tile.height + transform.reach_y;
	let cols = tile.width + transform.reach_x;
	let lane = thread % LANES_X;
	let first = thread / LANES_X;
	let wide = (cols + LANES_X - 1u) / LANES_X;
	let bands = (rows + LANES_Y * BAND - 1u) / (LANES_Y * BAND);
	var seen = vec4f(0.0f, pivot, pivot, 0.0f);
	for (var b = 0u; b < bands; b += 1u) {
		var band = 0.0f;
		for (var j = 0u; j < BAND; j += 1u) {
			let y = (b * BAND + j) * LANES_Y + first;
			let line = region_line(tile.y + y);
			var row = 0.0f;
			for (var i = 0u; y < rows && i < wide; i += 1u) {
				let x = i * LANES_X + lane;
				if (x >= cols) { continue; }
				let bits = pixel_bits(base, line, tile.x + x);
				if ((bits & MAGNITUDE) >= LARGE) {
					seen.w = 1.0f;
					continue;
				}
				let v = bitcast<f32>(bits);
				let d = v - pivot;
				row += select(d, (d * scale) * (d * scale), squares);
				seen = vec4f(seen.x, min(seen.y, v), max(seen.z, v), seen.w);
			}
			band += row;
		}
		seen.x += band;
	}
	return seen;
}

// log2 of a positive number, rounded down; of subnormals -127.
fn exponent_of(v: f32) -> i32 {
	return i32((bitcast<u32>(v) & EXPONENT) >> 23u) - 127;
}

// 2^e for e from -126 to 127.
fn power(e: i32) -> f32 {
	return bitcast<f32>(u32(e + 127) << 23u);
}

// Sorts out the median of the samples. Where one was too large they are zeros in its place; it does not matter then.
fn take_samples(base: u32, tile: Tile, thread: u32) {
	let rows = tile.height + transform.reach_y;
	let cols = tile.width + transform.reach_x;
	let each = (SAMPLES + THREADS - 1u) / THREADS;
	for (var i = 0u; i < each; i += 1u) {
		let k = i * THREADS + thread;
		if (k < SAMPLES) {
			// rows in order, columns by the golden ratio: points of a lattice without short lines
			let y = k * rows / SAMPLES;
			let x = (((k * 40503u) & 0xffffu) * cols) >> 16u;
			let bits = pixel_bits(base, region_line(tile.y + y), tile.x + x);
			samples[k] = bitcast<f32>(select(bits, 0u, (bits & MAGNITUDE) >= LARGE));
		}
	}
	workgroupBarrier();
	for (var i = 0u; i < each; i += 1u) {
		let k = i * THREADS + thread;
		if (k < SAMPLES) {
			let own = samples[k];
			var rank = 0u;
			for (var j = 0u; j < SAMPLES; j += 1u) {
				let other = samples[j];
				rank += select(0u, 1u, other < own || (other == own && j < k));
			}
			if (rank == SAMPLES / 2u) { median = own; }
		}
	}
	workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn survey(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
	let tile = tile_of(group.x >> 1u, group.x & 1u);
	if (!tile.present) {
		if (thread == 0u) { regions[group.x] = Region(ABSENT, 0.0f, 0.0f, 0); }
		return;
	}
	let base = base_of(tile.plane);
	let count = f32((tile.height + transform.reach_y) * (tile.width + transform.reach_x));
	let corner = pixel_bits(base, region_line(tile.y), tile.x);
	let pivot = bitcast<f32>(select(corner, 0u, (corner & MAGNITUDE) >= LARGE));
	let found = gathered(thread, look(base, tile, thread, pivot, 0.0f, false));
	let mean = pivot + found.x / count;
	let largest = max(found.z - mean, mean - found.y);
	// scaled so that squares neither overflow nor all vanish, then to a norm from 1 to 2
	let rough = max(exponent_of(largest), LEAST_EXPONENT);
	let squares = gathered(thread, look(base, tile, thread, mean, power(-rough), true)).x;
	// log2 of the root, rounded down; a shift keeps the sign
	let exponent = max(rough + select(0, exponent_of(squares) >> 1u, squares > 0.0f), LEAST_EXPONENT);
	take_samples(base, tile, thread);
	if (thread != 0u) { return; }
	let most = max(found.z - median, median - found.y);
	var quiet = 0u;
	for (var k = 0u; k < SAMPLES; k += 1u) { quiet += select(0u, 1u, abs(samples[k] - median) < most * 0x1p-12f); }
	let outlier = most > transform.quiet * 0x1p12f && quiet >= QUIET;
	let reach = exponent_of(max(abs(mean), largest)) + bitcast<i32>(transform.magnitude_exponent);
	if (found.w != 0.0f || outlier || reach >= MOST_EXPONENT) {
		regions[group.x] = Region(DIRECT, 0.0f, 0.0f, 0);
	} else if (largest == 0.0f) {
		regions[group.x] = Region(FLAT, mean, 0.0f, 0);
	} else {
		regions[group.x] = Region(TRANSFORMED, mean, power(-exponent), exponent);
	}
}

// ── transforms of lines in a workgroup's memory ─────────────────────────────────────────────────────────────────────────

var<workgroup> points: array<vec2f, POINTS>;

// How the lines of a workgroup lie: one after the other, or side by side.
struct Lines {
	log_length: u32,
	log_count: u32,
	abreast: bool,
}

fn log2_of(n: u32) -> u32 {
	return firstTrailingBit(n);
}

// Place of an element, turned around within 16 neighbours, so that steps of powers of two do not meet in one bank.
fn slot(lines: Lines, line: u32, at: u32) -> u32 {
	let place = select((line << lines.log_length) | at, (at << lines.log_count) | line, lines.abreast);
	return place ^ ((place >> 4u) & 15u);
}

// A butterfly of a pass: its line, its first element, and the power of the root that its twiddles are powers of.
struct Butterfly {
	line: u32,
	first: u32,
	root: u32,
}

// @param log_step log2 of the distance of its elements; log_radix of their number
fn butterfly(lines: Lines, index: u32, log_step: u32, log_radix: u32) -> Butterfly {
	let log_each = lines.log_length - log_radix; // butterflies of a line
	let line = select(index >> log_each, index & ((1u << lines.log_count) - 1u), lines.abreast);
	let j = select(index & ((1u << log_each) - 1u), index >> lines.log_count, lines.abreast);
	let within = j & ((1u << log_step) - 1u);
	let first = ((j >> log_step) << (log_step + log_radix)) | within;
	return Butterfly(line, first, within << (log_each - log_step));
}

fn times(a: vec2f, b: vec2f) -> vec2f {
	return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// z to the power of the butterfly's q-th element.
fn turned(z: vec2f, b: Butterfly, q: u32) -> vec2f {
	return times(z, roots[b.root * q]);
}

// -i·z
fn quarter(z: vec2f) -> vec2f {
	return vec2f(z.y, -z.x);
}

struct Four {
	a: vec2f,
	b: vec2f,
	c: vec2f,
	d: vec2f,
}

struct Eight {
	low: Four,
	high: Four,
}

fn transform_4(z: Four) -> Four {
	let s = z.a + z.c;
	let d = z.a - z.c;
	let t = z.b + z.d;
	let e = quarter(z.b - z.d);
	return Four(s + t, d + e, s - t, d - e);
}

const ROOT_HALF = 0.70710678118654752440f;

fn transform_8(z: Eight) -> Eight {
	let even = transform_4(Four(z.low.a + z.high.a, z.low.b + z.high.b, z.low.c + z.high.c, z.low.d + z.high.d));
	let b = z.low.b - z.high.b;
	let d = z.low.d - z.high.d;
	let odd = transform_4(Four(
		z.low.a - z.high.a,
		ROOT_HALF * vec2f(b.x + b.y, b.y - b.x),
		quarter(z.low.c - z.high.c),
		ROOT_HALF * vec2f(d.y - d.x, -d.x - d.y)));
	return Eight(Four(even.a, odd.a, even.b, odd.b), Four(even.c, odd.c, even.d, odd.d));
}

fn load_4(lines: Lines, line: u32, first: u32, log_step: u32) -> Four {
	let step = 1u << log_step;
	return Four(
		points[slot(lines, line, first)],
		points[slot(lines, line, first + step)],
		points[slot(lines, line, first + 2u * step)],
		points[slot(lines, line, first + 3u * step)]);
}

fn save_4(lines: Lines, line: u32, first: u32, log_step: u32, z: Four) {
	let step = 1u << log_step;
	points[slot(lines, line, first)] = z.a;
	points[slot(lines, line, first + step)] = z.b;
	points[slot(lines, line, first + 2u * step)] = z.c;
	points[slot(lines, line, first + 3u * step)] = z.d;
}

fn load_8(lines: Lines, b: Butterfly, log_step: u32) -> Eight {
	return Eight(load_4(lines, b.line, b.first, log_step), load_4(lines, b.line, b.first + (4u << log_step), log_step));
}

fn save_8(lines: Lines, b: Butterfly, log_step: u32, z: Eight) {
	save_4(lines, b.line, b.first, log_step, z.low);
	save_4(lines, b.line, b.first + (4u << log_step), log_step, z.high);
}

fn twiddled_4(z: Four, b: Butterfly) -> Four {
	return Four(z.a, turned(z.b, b, 1u), turned(z.c, b, 2u), turned(z.d, b, 3u));
}

fn twiddled_8(z: Eight, b: Butterfly) -> Eight {
	return Eight(
		twiddled_4(z.low, b),
		Four(turned(z.high.a, b, 4u), turned(z.high.b, b, 5u), turned(z.high.c, b, 6u), turned(z.high.d, b, 7u)));
}

// Passes of radix 4 of a length 2^log: the rest are of radix 8, the last one always.
fn fours(log: u32) -> u32 {
	return (3u - log % 3u) % 3u;
}

fn pass_4(lines: Lines, thread: u32, log_step: u32, back: bool) {
	for (var k = 0u; k < 2u * transform.rounds; k += 1u) {
		let b = butterfly(lines, k * THREADS + thread, log_step, 2u);
		let z = load_4(lines, b.line, b.first, log_step);
		if (back) {
			save_4(lines, b.line, b.first, log_step, transform_4(twiddled_4(z, b)));
		} else {
			save_4(lines, b.line, b.first, log_step, twiddled_4(transform_4(z), b));
		}
	}
	workgroupBarrier();
}

fn pass_8(lines: Lines, thread: u32, log_step: u32, back: bool) {
	for (var k = 0u; k < transform.rounds; k += 1u) {
		let b = butterfly(lines, k * THREADS + thread, log_step, 3u);
		let z = load_8(lines, b, log_step);
		if (back) {
			save_8(lines, b, log_step, transform_8(twiddled_8(z, b)));
		} else {
			save_8(lines, b, log_step, twiddled_8(transform_8(z), b));
		}
	}
	workgroupBarrier();
}

// The passes before the last, which has no twiddles.
fn transform_down(lines: Lines, thread: u32) {
	var log_step = lines.log_length;
	for (var p = 0u; p < fours(lines.log_length); p += 1u) {
		log_step -= 2u;
		pass_4(lines, thread, log_step, false);
	}
	let eights = (log_step - 1u) / 3u; // log_step is 3 times their number, the last one included
	for (var p = 0u; p < eights; p += 1u) {
		log_step -= 3u;
		pass_8(lines, thread, log_step, false);
	}
}

// The passes back after the first.
fn transform_up(lines: Lines, thread: u32) {
	var log_step = 3u;
	let narrow = fours(lines.log_length);
	let eights = (lines.log_length - 2u * narrow) / 3u - 1u;
	for (var p = 0u; p < eights; p += 1u) {
		pass_8(lines, thread, log_step, true);
		log_step += 3u;
	}
	for (var p = 0u; p < narrow; p += 1u) {
		pass_4(lines, thread, log_step, true);
		log_step += 2u;
	}
}

// The pass of neighbours, without twiddles.
fn pass_neighbours(lines: Lines, thread: u32) {
	for (var k = 0u; k < transform.rounds; k += 1u) {
		let b = butterfly(lines, k * THREADS + thread, 0u, 3u);
		save_8(lines, b, 0u, transform_8(load_8(lines, b, 0u)));
	}
	workgroupBarrier();
}

fn lines_of_rows() -> Lines {
	return Lines(transform.log_x, log2_of(POINTS) - transform.log_x, false);
}

// Where a row begins in `spectrum`: of the first kernel's spectrum of a pair, and so many further.
fn row_of(pair: u32, kernel: u32, y: u32) -> u32 {
	return (((pair * params.bank + kernel) << transform.log_y) + y) << transform.log_x;
}

// ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// A pixel of a region in its part of the pair, 0 outside the region.
fn part(region: Region, tile: Tile, base: u32, y: u32, x: u32) -> f32 {
	if (region.scale == 0.0f || y >= tile.height + transform.reach_y || x >= tile.width + transform.reach_x) { return 0.0f; }
	let pixel = bitcast<f32>(pixel_bits(base, region_line(tile.y + y), tile.x + x));
	return (pixel - region.mean) * region.scale;
}

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
	let lines = lines_of_rows();
	let rows = transform.tile_height + transform.reach_y;
	let top = group.x << lines.log_count;
	let first = tile_of(group.y, 0u);
	let second = tile_of(group.y, 1u);
	let re = regions[2u * group.y];
	let im = regions[2u * group.y + 1u];
	let base = base_of(first.plane);
	for (var k = 0u; k < 8u * transform.rounds; k += 1u) {
		let at = k * THREADS + thread;
		let line = at >> transform.log_x;
		let x = at & ((1u << transform.log_x) - 1u);
		let y = top + line;
		points[slot(lines, line, x)] = vec2f(part(re, first, base, y, x), part(im, second, base, y, x));
	}
	workgroupBarrier();
	transform_down(lines, thread);
	pass_neighbours(lines, thread);
	for (var k = 0u; k < 8u * transform.rounds; k += 1u) {
		let at = k * THREADS + thread;
		let line = at >> transform.log_x;
		let x = at & ((1u << transform.log_x) - 1u);
		if (top + line < rows) { spectrum[row_of(group.y, 0u, top + line) + x] = points[slot(lines, line, x)]; }
	}
}

// ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn lines_of_columns() -> Lines {
	return Lines(transform.log_y, log2_of(POINTS) - transform.log_y, true);
}

fn load_columns(lines: Lines, pair: u32, left: u32, thread: u32) {
	let rows = transform.tile_height + transform.reach_y;
	for (var k = 0u; k < 8u * transform.rounds; k += 1u) {
		let at = k * THREADS + thread;
		let y = at >> lines.log_count;
		let line = at & ((1u << lines.log_count) - 1u);
		var z = vec2f();
		if (y < rows && left + line < (1u << transform.log_x)) { z = spectrum[row_of(pair, 0u, y) + left + line]; }
		points[slot(lines, line, y)] = z;
	}
	workgroupBarrier();
}

fn save_columns(lines: Lines, pair: u32, kernel: u32, left: u32, thread: u32) {
	for (var k = 0u; k < 8u * transform.rounds; k += 1u) {
		let at = k * THREADS + thread;
		let y = at >> lines.log_count;
		let line = at & ((1u << lines.log_count) - 1u);
		if (y < transform.tile_height && left + line < (1u << transform.log_x)) {
			spectrum[row_of(pair, kernel, y) + left + line] = points[slot(lines, line, y)];
		}
	}
}

// times the kernel, then real and imaginary part swapped. @param row of all kernels' spectra
fn multiplied(z: vec2f, x: u32, row: u32) -> vec2f {
	return times(z, kernel_spectrum[(row << transform.log_x) + x]).yx;
}

fn multiplied_4(z: Four, x: u32, row: u32) -> Four {
	return Four(multiplied(z.a, x, row), multiplied(z.b, x, row + 1u), multiplied(z.c, x, row + 2u), multiplied(z.d, x, row + 3u));
}

// The product of neighbours in a column with a kernel's spectrum, and the first pass back.
fn turn_back(z: Eight, lines: Lines, b: Butterfly, kernel: u32, left: u32) {
	let x = min(left + b.line, (1u << transform.log_x) - 1u);
	let row = (kernel << transform.log_y) + b.first;
	save_8(lines, b, 0u, transform_8(Eight(multiplied_4(z.low, x, row), multiplied_4(z.high, x, row + 4u))));
}

@compute @workgroup_size(THREADS)
fn columns(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
	let lines = lines_of_columns();
	let left = group.x << lines.log_count;
	load_columns(lines, group.y, left, thread);
	transform_down(lines, thread);
	// the last pass, the product and the first pass back
	for (var k = 0u; k < transform.rounds; k += 1u) {
		let b = butterfly(lines, k * THREADS + thread, 0u, 3u);
		turn_back(transform_8(load_8(lines, b, 0u)), lines, b, 0u, left);
	}
	workgroupBarrier();
	transform_up(lines, thread);
	save_columns(lines, group.y, 0u, left, thread);
}

// transform.rounds once more: said when compiling, so that what a thread keeps from kernel to kernel lies in registers.
const KEPT = 1u;

@compute @workgroup_size(THREADS)
fn columns_of_bank(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
	let lines = lines_of_columns();
	let left = group.x << lines.log_count;
	load_columns(lines, group.y, left, thread);
	transform_down(lines, thread);
	// each thread reads and writes the same neighbours in what follows
	var kept: array<Eight, KEPT>;
	for (var k = 0u; k < KEPT; k += 1u) {
		kept[k] = transform_8(load_8(lines, butterfly(lines, k * THREADS + thread, 0u, 3u), 0u));
	}
	for (var m = 0u; m < params.bank; m += 1u) {
		for (var k = 0u; k < KEPT; k += 1u) { turn_back(kept[k], lines, butterfly(lines, k * THREADS + thread, 0u, 3u), m, left); }
		workgroupBarrier();
		transform_up(lines, thread);
		save_columns(lines, group.y, m, left, thread);
		workgroupBarrier();
	}
}

// ── inverse ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Stores a quad of a tile's sums. Two factors: their product may be beyond a float32.
fn finish(kernel: Kernel, local: u32, region: Region, tile: Tile, y: u32, x: u32, sums: vec4f) {
	if (region.kind == ABSENT || region.kind == DIRECT || y >= tile.height || x >= tile.width) { return; }
	var factors = vec2f();
	if (region.kind == TRANSFORMED) {
		let exponent = region.exponent + kernel.exponent;
		factors = vec2f(power(exponent >> 1u), power(exponent - (exponent >> 1u)));
	}
	let shift = region.mean * kernel.weight;
	let place = place_in_bank(local, tile.plane, tile.y + y, tile.x + x);
	store(place, bitcast<vec4u>(fma(sums * factors.x, vec4f(factors.y), vec4f(shift))));
}

@compute @workgroup_size(THREADS)
fn inverse(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
	let lines = lines_of_rows();
	let top = group.x << lines.log_count;
	for (var k = 0u; k < 8u * transform.rounds; k += 1u) {
		let at = k * THREADS + thread;
		let line = at >> transform.log_x;
		let x = at & ((1u << transform.log_x) - 1u);
		var z = vec2f();
		if (top + line < transform.tile_height) { z = spectrum[row_of(group.y, group.z, top + line) + x]; }
		points[slot(lines, line, x)] = z;
	}
	workgroupBarrier();
	pass_neighbours(lines, thread);
	transform_up(lines, thread);
	let first = tile_of(group.y, 0u);
	let second = tile_of(group.y, 1u);
	let re = regions[2u * group.y];
	let im = regions[2u * group.y + 1u];
	let kernel = kernel_of(group.z);
	for (var k = 0u; k < 2u * transform.rounds; k += 1u) {
		let at = 4u * (k * THREADS + thread);
		let line = at >> transform.log_x;
		let x = at & ((1u << transform.log_x) - 1u);
		let a = points[slot(lines, line, x)];
		let b = points[slot(lines, line, x + 1u)];
		let c = points[slot(lines, line, x + 2u)];
		let d = points[slot(lines, line, x + 3u)];
		finish(kernel, group.z, re, first, top + line, x, vec4f(a.y, b.y, c.y, d.y));
		finish(kernel, group.z, im, second, top + line, x, vec4f(a.x, b.x, c.x, d.x));
	}
}

// ── direct ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// One sum, each row of the window first; by IEEE rules where the window holds a NaN or an infinity.
fn direct_sum(kernel: Kernel, base: u32, y: u32, x: u32) -> u32 {
	var seen = Extremes(false, false, false);
	var sum = 0.0f;
	var tap = kernel.taps;
	for (var j = 0u; j < kernel.rows; j += 1u) {
		let line = region_line(y + kernel.row + j);
		var row = 0.0f;
		for (var i = 0u; i < kernel.cols; i += 1u) {
			let bits = pixel_bits(base, line, x + kernel.col + i);
			if (IN >= F16) { seen = meet(seen, bits, kernels[tap]); }
			row = fma(bitcast<f32>(kernels[tap]), bitcast<f32>(bits), row);
			tap += 1u;
		}
		sum += row;
	}
	let extreme = extreme_sum(seen);
	return select(extreme, bitcast<u32>(sum), extreme == 0u);
}

@compute @workgroup_size(THREADS)
fn direct(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
	let tile = tile_of(group.y >> 1u, group.y & 1u);
	if (regions[group.y].kind != DIRECT) { return; }
	let quads = (tile.width + 3u) / 4u;
	let at = group.x * THREADS + thread;
	let y = at / quads;
	let x = 4u * (at - y * quads);
	if (y >= tile.height) { return; }
	let base = base_of(tile.plane);
	let kernel = kernel_of(group.z);
	var sums = vec4u();
	for (var e = 0u; e < 4u; e += 1u) {
		if (x + e < tile.width) { sums[e] = direct_sum(kernel, base, tile.y + y, tile.x + x + e); }
	}
	store(place_in_bank(group.z, tile.plane, tile.y + y, tile.x + x), sums);
}

// ── interleave ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Here a row is all channels of its pixels. `columns` is its pixels, `tile_width` the elements of a row of a plane of sums.
@compute @workgroup_size(THREADS)
fn interleave(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
	let x = 4u * (group.x * THREADS + thread);
	if (x >= params.width) { return; }
	let batch = transform.first_pair + group.z;
	var sums = vec4u();
	for (var e = 0u; e < 4u; e += 1u) {
		let pixel = (x + e) / params.lanes;
		let plane = batch * params.lanes + (x + e) - pixel * params.lanes;
		if (pixel < transform.columns) { sums[e] = sums_of_planes[(plane * params.rows + group.y) * transform.tile_width + pixel]; }
	}
	store(Place(batch, 0u, 0u, group.y, x, params.width, x), sums);
}
