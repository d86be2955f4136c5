// The sums of `verify: 'checksum'`: every pixel of a result against the image, without a pixel leaving the device. The scheme is that of
// src/core/checksum-scheme.ts, the sums are those of src/core/checksum-sums.ts, in float32 (SUM = REAL) or modulo 2^32 (WORD).
//
//   project   rows of an image or of a result -> their weighted sums, SAMPLES of a block, for each column, and for each tap row of the window
//   compare   the window over the image's sums, scale and bias -> against the result's sums; what differs is noted
//
// A thread of `project` walks down the rows of one block in one column under one tap row and keeps all samples in registers, so a pixel is read
// once for each tap row. A result is projected as an image under a window of one tap. Neighbouring threads have neighbouring columns.
// Sums over a pixel that is NaN or infinite are stored as NaN, and sums that are not finite always count as different.

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

override WORKGROUP: u32 = 64u;
// Sums that a row takes part in: 32 of WORDs, 2 of REALs.
override SAMPLES: u32 = 2u;

struct Projection {
	count: u32, // threads: columns x tap_rows x blocks x planes
	columns: u32,
	tap_rows: u32,
	blocks: u32,
	block_length: u32, // result rows from a block to the next
	height: u32, // result rows
	planes: u32, // of one image of the batch
	row_shift: u32, // map entry under tap row 0 of result row 0
	row_step: u32, // entries from a result row to the next, and from a tap row to the next
	row_apart: u32,
	col_shift: u32, // map entry of column 0
	first_element: u32, // of plane 0
	batch_stride: u32,
	channel_stride: u32, // from a plane to the next
	fill: u32, // what lies outside, as loaded
	centre: f32, // added to each pixel
	measured: u32, // 1: `peaks` is wanted
}

struct Comparison {
	count: u32, // threads: columns x SAMPLES x blocks x planes
	columns: u32, // of the result
	width: u32, // columns of the image's sums
	blocks: u32,
	planes: u32, // of one image of the batch
	tap_rows: u32,
	tap_cols: u32,
	col_step: u32, // columns from a result column to the next, and from a tap to the next
	col_apart: u32,
	taps_at: u32, // the window's taps in `tables`
	channels_at: u32, // scale, bias, slope and offset of result channel 0 of the piece
	totals_at: u32, // sums of weights, SAMPLES a block
	first_channel: u32, // result channel of plane 0, within the piece; the next is `kernels` further
	kernels: u32,
	unused_bits: u32, // above those of the result's dtype
	room: u32, // for suspects
}

@group(0) @binding(9) var<uniform> projection: Projection;
@group(0) @binding(10) var<storage, read> weights: array<u32>; // a row of a block: SAMPLES bits, or SAMPLES float32
@group(0) @binding(11) var<storage, read_write> projected: array<u32>; // [plane][block][tap row][sample][column]
@group(0) @binding(12) var<storage, read_write> peaks: array<atomic<u32>>; // largest finite |pixel| of [plane][block], as bits
@group(0) @binding(13) var<uniform> comparison: Comparison;
@group(0) @binding(14) var<storage, read> image_sums: array<u32>;
@group(0) @binding(15) var<storage, read> result_sums: array<u32>;
@group(0) @binding(16) var<storage, read> tables: array<u32>;
@group(0) @binding(17) var<storage, read> known_peaks: array<u32>;
// How many sums differ; largest share of a threshold, and largest threshold, as bits; a spare word; four words a suspect.
@group(0) @binding(18) var<storage, read_write> found: array<atomic<u32>>;

const HEAD = 4u;
const SUSPECT_WORDS = 4u;

// ── project ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// The pixel in a result row's line and a column, as loaded.
fn shown(base: u32, line: u32, col: u32) -> u32 {
	if (line == OUTSIDE || col == OUTSIDE) { return projection.fill; }
	return element(base + line + col);
}

// Result rows of a block and where they lie: row first + o has the weights o.
struct Walk {
	first: i32,
	begin: u32,
	end: u32,
	base: u32,
	map: u32, // entry of result row 0
	col: u32,
}

fn project_words(walk: Walk, at: u32) {
	var sums: array<vec4u, 8>;
	for (var y = walk.begin; y < walk.end; y += 1u) {
		let pixel = shown(walk.base, maps[walk.map + y * projection.row_step], walk.col);
		let mask = weights[u32(i32(y) - walk.first)];
		for (var q = 0u; q < 8u; q += 1u) {
			sums[q] += pixel * ((vec4u(mask) >> (vec4u(4u * q) + vec4u(0u, 1u, 2u, 3u))) & vec4u(1u));
		}
	}
	for (var k = 0u; k < 32u; k += 1u) { projected[at + k * projection.columns] = sums[k >> 2u][k & 3u]; }
}

fn project_reals(walk: Walk, at: u32, block: u32) {
	var sums: vec2f;
	var odd = false;
	var peak = 0u;
	for (var y = walk.begin; y < walk.end; y += 1u) {
		let bits = in_sum(vec4u(shown(walk.base, maps[walk.map + y * projection.row_step], walk.col))).x;
		if ((bits & EXPONENT) == EXPONENT) {
			odd = true;
			continue;
		}
		peak = max(peak, bits & MAGNITUDE);
		let o = 2u * u32(i32(y) - walk.first);
		let pair = vec2f(bitcast<f32>(weights[o]), bitcast<f32>(weights[o + 1u]));
		sums = fma(pair, vec2f(bitcast<f32>(bits) + projection.centre), sums);
	}
	let words = select(bitcast<vec2u>(sums), vec2u(NAN), vec2<bool>(odd));
	projected[at] = words.x;
	projected[at + projection.columns] = words.y;
	if (projection.measured != 0u && peak > atomicLoad(&peaks[block])) { atomicMax(&peaks[block], peak); }
}

@compute @workgroup_size(WORKGROUP)
fn project(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
	let thread = id.y * groups.x * WORKGROUP + id.x;
	if (thread >= projection.count) { return; }
	let line = thread / projection.columns;
	let col = thread - line * projection.columns;
	let block = line / projection.tap_rows; // of all planes
	let tap_row = line - block * projection.tap_rows;
	let plane = block / projection.blocks;
	let batch = plane / projection.planes;
	let first = i32((block - plane * projection.blocks) * projection.block_length) - i32(SAMPLES - 1u);
	let end = min(u32(first + i32(projection.block_length + SAMPLES - 1u)), projection.height);
	let base = projection.first_element + batch * projection.batch_stride + (plane - batch * projection.planes) * projection.channel_stride;
	let map = projection.row_shift + tap_row * projection.row_apart;
	let walk = Walk(first, u32(max(first, 0)), end, base, map, maps[projection.col_shift + col]);
	let at = line * SAMPLES * projection.columns + col;
	if (SUM == WORD) {
		project_words(walk, at);
	} else {
		project_reals(walk, at, block);
	}
}

// ── compare ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn suspect(batch: u32, channel: u32, x: u32, sample: u32) {
	let index = atomicAdd(&found[0], 1u);
	if (index >= comparison.room) { return; }
	let at = HEAD + SUSPECT_WORDS * index;
	atomicStore(&found[at], batch);
	atomicStore(&found[at + 1u], channel);
	atomicStore(&found[at + 2u], x);
	atomicStore(&found[at + 3u], sample);
}

// The window over the image's sums, modulo 2^32. @param at of its first tap
fn expected_word(at: u32) -> u32 {
	var sum = 0u;
	for (var j = 0u; j < comparison.tap_rows; j += 1u) {
		let line = at + j * SAMPLES * comparison.width;
		for (var i = 0u; i < comparison.tap_cols; i += 1u) {
			sum += tables[comparison.taps_at + j * comparison.tap_cols + i] * image_sums[line + i * comparison.col_apart];
		}
	}
	return sum;
}

// The same in float32, each row first, then the rows; NaN where a sum is not finite.
fn expected_real(at: u32) -> u32 {
	var sum = 0f;
	var odd = false;
	for (var j = 0u; j < comparison.tap_rows; j += 1u) {
		let line = at + j * SAMPLES * comparison.width;
		var row = 0f;
		for (var i = 0u; i < comparison.tap_cols; i += 1u) {
			let bits = image_sums[line + i * comparison.col_apart];
			odd = odd || (bits & EXPONENT) == EXPONENT;
			row = fma(bitcast<f32>(tables[comparison.taps_at + j * comparison.tap_cols + i]), bitcast<f32>(bits), row);
		}
		sum += row;
	}
	return select(bitcast<u32>(sum), NAN, odd);
}

fn finite(bits: u32) -> bool {
	return (bits & EXPONENT) != EXPONENT;
}

// True where float32 sums are equal within the threshold of their block; keeps the largest share and threshold.
fn agree(expected: u32, actual: u32, channel: u32, block: u32, total: f32) -> bool {
	let own = comparison.channels_at + 4u * channel;
	let limit = bitcast<u32>(fma(bitcast<f32>(tables[own + 2u]), bitcast<f32>(known_peaks[block]), bitcast<f32>(tables[own + 3u])));
	if (!finite(limit)) { return false; }
	if (limit > atomicLoad(&found[2])) { atomicMax(&found[2], limit); }
	if (!finite(expected) || !finite(actual)) { return false; }
	let shift = fma(bitcast<f32>(tables[own + 1u]), total, -bitcast<f32>(actual));
	let apart = bitcast<u32>(abs(fma(bitcast<f32>(tables[own]), bitcast<f32>(expected), shift)));
	if (!finite(apart) || apart > limit) { return false; }
	let share = bitcast<u32>(bitcast<f32>(apart) / bitcast<f32>(limit));
	if (apart > 0u && share > atomicLoad(&found[1])) { atomicMax(&found[1], share); }
	return true;
}

@compute @workgroup_size(WORKGROUP)
fn compare(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
	let thread = id.y * groups.x * WORKGROUP + id.x;
	if (thread >= comparison.count) { return; }
	let line = thread / comparison.columns; // of result sums: [plane][block][sample]
	let x = thread - line * comparison.columns;
	let block = line / SAMPLES; // of all planes
	let k = line - block * SAMPLES;
	let plane = block / comparison.blocks;
	let batch = plane / comparison.planes;
	let channel = comparison.first_channel + (plane - batch * comparison.planes) * comparison.kernels;
	let at = (block * comparison.tap_rows * SAMPLES + k) * comparison.width + x * comparison.col_step;
	let sample = line - plane * comparison.blocks * SAMPLES;
	let actual = result_sums[thread];
	if (SUM == WORD) {
		if (((expected_word(at) - actual) << comparison.unused_bits) != 0u) { suspect(batch, channel, x, sample); }
	} else {
		let total = bitcast<f32>(tables[comparison.totals_at + sample]);
		if (!agree(expected_real(at), actual, channel, block, total)) { suspect(batch, channel, x, sample); }
	}
}
