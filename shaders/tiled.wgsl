// Direct convolution, tiled in registers: a thread computes 4 rows of one quad each, for up to 4 kernels of a bank at once.
//
// Geometry. Threads lie over the output like their results: 4 columns and 4 rows each, WORKGROUP_X by WORKGROUP_Y of them a
// workgroup, a plane a layer of the dispatch. A thread walks down the rows under its windows. Of each it loads the quads that its
// 4 columns need, once, and adds them to the sums of all output rows that see it: 4·4 multiply-adds for each tap against a load
// of (SPAN + 6) / 16 quads. Neighbours load the same quads; the cache next to the processor serves those: at K = 9 it delivers 48 bytes
// an output pixel, against 81 multiply-adds. So there is no workgroup memory and no barrier.
//
// A bank of kernels is one dispatch. What a thread loads is added to the sums of KERNELS kernels, all in registers, so that it loads
// 1/KERNELS as much for an output of each. Further groups of kernels follow one after the other (`bundle`) over the same pixels, which by then
// are in the cache: memory is read once for the whole bank. Where an image has too few tiles to keep a processor busy, groups are layers
// instead (`chunks`). The windows of a dispatch share one frame that holds them all; zero taps fill it. Where the channels of the result lie side by
// side (ACROSS), so do the kernels of an element: the sums of 4 kernels are one quad of the result.
//
// The width of a frame of at most 24 elements is known when compiling: `has_tap` and `has_quad` of literals fold away, and a row of
// taps is straight multiply-adds; compilers do not unroll nested loops over it by themselves. A WIDE frame, and any at the image's
// edges, goes quad by quad and kernel by kernel, 64 multiply-adds for a load; zero taps pad it to whole quads. A NaN beside a window may so spoil its
// sum: `careful_sum` looks into it.

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

// ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Columns of the window in elements, holes between the lanes included, zero taps in front that make its quads whole, and params.lanes.
override SPAN: u32 = 3u;
override LEAD: u32 = 0u;
override LANES: u32 = 1u;
override WIDE: bool = false;
override WORKGROUP_X: u32 = 16u;
override WORKGROUP_Y: u32 = 8u;
// Kernels whose sums a thread holds: 1 to 4; 4 where ACROSS.
override KERNELS: u32 = 1u;
override ACROSS: bool = false;

fn has_tap(at: u32) -> bool {
	return at >= LEAD && at < LEAD + SPAN && (at - LEAD) % LANES == 0u;
}

fn has_quad(q: u32) -> bool {
	return 4u * q < LEAD + SPAN;
}

// A row of pixels under the window: as many quads as SPAN needs, and the one that the last tap's neighbours reach into.
struct Pixels {
	q0: vec4u,
	q1: vec4u,
	q2: vec4u,
	q3: vec4u,
	q4: vec4u,
	q5: vec4u,
	q6: vec4u,
}

fn reaches(q: u32) -> bool {
	return 4u * q < LEAD + SPAN + 3u;
}

// @param at element of the first
fn pixels(at: u32) -> Pixels {
	var p: Pixels;
	p.q0 = whole_quad(at);
	if (reaches(1u)) { p.q1 = whole_quad(at + 4u); }
	if (reaches(2u)) { p.q2 = whole_quad(at + 8u); }
	if (reaches(3u)) { p.q3 = whole_quad(at + 12u); }
	if (reaches(4u)) { p.q4 = whole_quad(at + 16u); }
	if (reaches(5u)) { p.q5 = whole_quad(at + 20u); }
	if (reaches(6u)) { p.q6 = whole_quad(at + 24u); }
	return p;
}

// Adds 4 taps from column `at` on, by the quads under them; `at` is a literal, so what has no tap is no instruction.
fn add_quad(sums: vec4u, at: u32, tap: vec4u, a: vec4u, b: vec4u) -> vec4u {
	var s = sums;
	if (has_tap(at)) { s = multiply_add(tap.x, a, s); }
	if (has_tap(at + 1u)) { s = multiply_add(tap.y, vec4u(a.yzw, b.x), s); }
	if (has_tap(at + 2u)) { s = multiply_add(tap.z, vec4u(a.zw, b.xy), s); }
	if (has_tap(at + 3u)) { s = multiply_add(tap.w, vec4u(a.w, b.xyz), s); }
	return s;
}

// A kernel row whose taps begin at `t`, left to right; float rows are summed by themselves before they are added.
fn add_row(sums: vec4u, t: u32, p: Pixels) -> vec4u {
	var s = vec4u();
	if (SUM != REAL) { s = sums; }
	s = add_quad(s, 0u, taps[t], p.q0, p.q1);
	if (has_quad(1u)) { s = add_quad(s, 4u, taps[t + 1u], p.q1, p.q2); }
	if (has_quad(2u)) { s = add_quad(s, 8u, taps[t + 2u], p.q2, p.q3); }
	if (has_quad(3u)) { s = add_quad(s, 12u, taps[t + 3u], p.q3, p.q4); }
	if (has_quad(4u)) { s = add_quad(s, 16u, taps[t + 4u], p.q4, p.q5); }
	if (has_quad(5u)) { s = add_quad(s, 20u, taps[t + 5u], p.q5, p.q6); }
	if (SUM == REAL) { return plus(sums, s); }
	return s;
}

struct Block {
	r0: vec4u,
	r1: vec4u,
	r2: vec4u,
	r3: vec4u,
}

// All 4 taps of a quad.
fn add_whole_quad(sums: vec4u, t: u32, a: vec4u, b: vec4u) -> vec4u {
	let tap = taps[t];
	var s = multiply_add(tap.x, a, sums);
	s = multiply_add(tap.y, vec4u(a.yzw, b.x), s);
	s = multiply_add(tap.z, vec4u(a.zw, b.xy), s);
	return multiply_add(tap.w, vec4u(a.w, b.xyz), s);
}

// `taps` begins with a quad for each kernel of the dispatch: its channel from the plane's first on, the first row of its window in the frame
// with their number above it, and the columns likewise.
struct Window {
	channel: u32,
	first_row: u32,
	rows: u32,
	first_col: u32,
	cols: u32,
}

fn window_of(kernel: u32) -> Window {
	let w = taps[kernel];
	return Window(w.x, w.y & 0xffffu, w.y >> 16u, w.z & 0xffffu, w.z >> 16u);
}

// Where the taps of a kernel of the dispatch begin.
fn taps_of(kernel: u32) -> u32 {
	return params.bank + kernel * params.tap_rows * params.quads;
}

// Adds input row j of a wide frame to the 4 output rows that see it. @param first where the kernel's taps begin
fn add_wide_row(sums: Block, first: u32, j: u32, base: u32, line: u32, col: i32, direct: bool) -> Block {
	let rows = params.tap_rows;
	let see = vec4<bool>((j < rows), (j >= 1u && j - 1u < rows), (j >= 2u && j - 2u < rows), (j >= 3u));
	var s: Block;
	if (SUM != REAL) { s = sums; }
	var a: vec4u;
	for (var q = 0u; q <= params.quads; q += 1u) {
		let b = quad(base, line, col + 4 * i32(q), direct);
		if (q > 0u) {
			let t = first + j * params.quads + q - 1u;
			if (see.x) { s.r0 = add_whole_quad(s.r0, t, a, b); }
			if (see.y) { s.r1 = add_whole_quad(s.r1, t - params.quads, a, b); }
			if (see.z) { s.r2 = add_whole_quad(s.r2, t - 2u * params.quads, a, b); }
			if (see.w) { s.r3 = add_whole_quad(s.r3, t - 3u * params.quads, a, b); }
		}
		a = b;
	}
	if (SUM != REAL) { return s; }
	return Block(plus(sums.r0, s.r0), plus(sums.r1, s.r1), plus(sums.r2, s.r2), plus(sums.r3, s.r3));
}

// Sums of one kernel for 4 rows of quads: each input row is loaded once and added wherever the frame has a row for it.
fn wide_block(kernel: u32, base: u32, y: u32, col: i32, direct: bool) -> Block {
	let first = taps_of(kernel);
	var b: Block;
	for (var j = 0u; j < params.tap_rows + 3u; j += 1u) {
		b = add_wide_row(b, first, j, base, line_of(y + j + params.row_shift), col, direct);
	}
	return b;
}

// The blocks of KERNELS kernels.
struct Blocks {
	k0: Block,
	k1: Block,
	k2: Block,
	k3: Block,
}

fn wide_blocks(kernel: u32, count: u32, base: u32, y: u32, col: i32, direct: bool) -> Blocks {
	var s: Blocks;
	for (var k = 0u; k < count; k += 1u) {
		let b = wide_block(kernel + k, base, y, col, direct);
		if (k == 0u) { s.k0 = b; }
		if (KERNELS > 1u && k == 1u) { s.k1 = b; }
		if (KERNELS > 2u && k == 2u) { s.k2 = b; }
		if (KERNELS > 3u && k == 3u) { s.k3 = b; }
	}
	return s;
}

// Adds input row j to the 4 output rows that see it.
fn add_pixels(sums: Block, first: u32, j: u32, p: Pixels) -> Block {
	var b = sums;
	let t = first + j * params.quads;
	if (j < params.tap_rows) { b.r0 = add_row(b.r0, t, p); }
	if (j >= 1u && j - 1u < params.tap_rows) { b.r1 = add_row(b.r1, t - params.quads, p); }
	if (j >= 2u && j - 2u < params.tap_rows) { b.r2 = add_row(b.r2, t - 2u * params.quads, p); }
	if (j >= 3u) { b.r3 = add_row(b.r3, t - 3u * params.quads, p); }
	return b;
}

// The same for a frame of known width whose pixels all lie inside the image, from element `at` on: each is loaded once for all kernels.
fn blocks(kernel: u32, count: u32, at: u32) -> Blocks {
	let first = taps_of(kernel);
	let step = params.tap_rows * params.quads;
	var s: Blocks;
	for (var j = 0u; j < params.tap_rows + 3u; j += 1u) {
		let p = pixels(at + j * params.row_pitch);
		s.k0 = add_pixels(s.k0, first, j, p);
		if (KERNELS > 1u && count > 1u) { s.k1 = add_pixels(s.k1, first + step, j, p); }
		if (KERNELS > 2u && count > 2u) { s.k2 = add_pixels(s.k2, first + 2u * step, j, p); }
		if (KERNELS > 3u && count > 3u) { s.k3 = add_pixels(s.k3, first + 3u * step, j, p); }
	}
	return s;
}

// ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// The sum of one window by itself, in the same order; by IEEE rules where it holds a NaN or an infinity.
fn careful_sum(kernel: u32, base: u32, y: u32, x: u32) -> u32 {
	let w = window_of(kernel);
	let first = taps_of(kernel);
	var seen = Extremes(false, false, false);
	var sum = vec4u();
	for (var j = w.first_row; j < w.first_row + w.rows; j += 1u) {
		let line = line_of(y + j + params.row_shift);
		var row_sum = vec4u();
		for (var i = w.first_col; i < w.first_col + w.cols; i += 1u) {
			let at = params.lead + i * params.lanes;
			let pixel = in_sum(vec4u(mapped(base, line, i32(x + at) + bitcast<i32>(params.col_shift))));
			let tap = taps[first + j * params.quads + at / 4u][at % 4u];
			seen = meet(seen, pixel.x, tap);
			row_sum = multiply_add(tap, pixel, row_sum);
		}
		sum = plus(sum, row_sum);
	}
	let extreme = extreme_sum(seen);
	return select(extreme, sum.x, extreme == 0u);
}

fn row_of(b: Block, r: u32) -> vec4u {
	var sums = b.r0;
	if (r == 1u) { sums = b.r1; }
	if (r == 2u) { sums = b.r2; }
	if (r == 3u) { sums = b.r3; }
	return sums;
}

// A plane for each kernel.
fn finish(z: u32, top: u32, x: u32, kernel: u32, count: u32, s: Blocks) {
	let base = base_of(z);
	for (var k = 0u; k < count; k += 1u) {
		var b = s.k0;
		if (KERNELS > 1u && k == 1u) { b = s.k1; }
		if (KERNELS > 2u && k == 2u) { b = s.k2; }
		if (KERNELS > 3u && k == 3u) { b = s.k3; }
		let channel = window_of(kernel + k).channel;
		for (var r = 0u; r < 4u && top + r < params.rows; r += 1u) {
			let y = top + r;
			var sums = row_of(b, r);
			if (IN >= F16) {
				let odd = not_finite(sums);
				if (any(odd)) {
					for (var e = 0u; e < 4u; e += 1u) {
						if (odd[e] && x + e < params.width) { sums[e] = careful_sum(kernel + k, base, y, x + e); }
					}
				}
			}
			store(place_in_bank(channel, z, y, x), sums);
		}
	}
}

// The sums of 4 kernels side by side.
fn finish_across(z: u32, top: u32, x: u32, kernel: u32, count: u32, s: Blocks) {
	let base = base_of(z);
	let channel = window_of(kernel).channel;
	for (var r = 0u; r < 4u && top + r < params.rows; r += 1u) {
		let y = top + r;
		let of_kernel = array<vec4u, 4>(row_of(s.k0, r), row_of(s.k1, r), row_of(s.k2, r), row_of(s.k3, r));
		for (var e = 0u; e < 4u && x + e < params.width; e += 1u) {
			var sums = vec4u(of_kernel[0][e], of_kernel[1][e], of_kernel[2][e], of_kernel[3][e]);
			if (IN >= F16) {
				let odd = not_finite(sums);
				if (any(odd)) {
					for (var k = 0u; k < count; k += 1u) {
						if (odd[k]) { sums[k] = careful_sum(kernel + k, base, y, x + e); }
					}
				}
			}
			var place = place_of(z, y, 0u);
			place.channel += (x + e) % params.lanes * params.across + channel;
			place.side = 1u;
			place.x = (x + e) * params.across + channel;
			place.end = (x + e + 1u) * params.across;
			place.at = (x + e) * params.spread + channel;
			store(place, sums);
		}
	}
}

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn main(@builtin(global_invocation_id) id: vec3u) {
	let x = 4u * id.x;
	let y = 4u * id.y;
	if (x >= params.width || y >= params.rows) { return; }
	let z = id.z / params.chunks;
	let base = base_of(z);
	let col = i32(x) + bitcast<i32>(params.col_shift);
	let row = y + params.row_shift;
	// of a wide frame the loop loads one quad more than its taps
	let quads = select((LEAD + SPAN + 6u) / 4u, params.quads + 1u, WIDE);
	let direct = params.aligned != 0u && inside(col, quads) && row >= params.row_begin && row + params.tap_rows + 3u <= params.row_end;
	for (var i = 0u; i < params.bundle; i += 1u) {
		let kernel = ((id.z - z * params.chunks) * params.bundle + i) * KERNELS;
		if (kernel >= params.bank) { break; }
		let count = min(KERNELS, params.bank - kernel);
		var s: Blocks;
		if (direct && !WIDE) {
			s = blocks(kernel, count, base + line_of(row) + params.col_origin + u32(col));
		} else {
			s = wide_blocks(kernel, count, base, y, col, direct);
		}
		if (ACROSS) {
			finish_across(z, y, x, kernel, count, s);
		} else {
			finish(z, y, x, kernel, count, s);
		}
	}
}
