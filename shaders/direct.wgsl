// Direct convolution of one piece of the result: every output as a sum over its kernel window, then the store.
//
//   sum[y, x] = Σ_j Σ_i taps[j, i] · image[row_map[y·stride_y + first_row + j·dilation_y], col_map[x·stride_x + first_col + i·dilation_x]]
//
// Geometry. One thread computes 4 consecutive elements of the piece's memory order (planar N·K·H·W or interleaved N·H·W·K), which
// are whole 32-bit words in every dtype: nobody else writes them, so narrow dtypes need no atomics. It loads pixels straight from
// the storage buffer, each at the source that the index maps give for its position, where OUTSIDE stands for the fill. BLOCKED
// adds a faster way for 4 windows that lie inside the image and belong to one kernel: it walks addresses, 4 sums at a time, one
// new pixel per tap where the windows slide by one. Both ways give the same bits; small pieces do without, for the shorter compile.
//
// Arithmetic. Float sums are formed in float32, each kernel row first, then the rows; fma() everywhere, so that both ways through
// a window give the same bits. Integer sums are two's complement in LIMBS words of 32 bits, exact or modulo 2^(32·LIMBS).
// Everything about NaN, infinity, rounding and storing is decided on bits: a WGSL compiler may assume that NaN and infinity do
// not occur, and float16 and float64 are never more than bits here.

// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 7 are the integers, unsigned ones even, 8 … 10 the floats.
override IN: u32 = 0u;
override OUT: u32 = 0u;
// The sum is a float32; else an integer.
override FLOAT_SUM: bool = false;
override WORKGROUP: u32 = 64u;
// Words of an integer sum. 1: taps are one two's complement word each; more: a sign word and TAP_LIMBS words of magnitude.
const LIMBS = 1u;
override TAP_LIMBS: u32 = 1u;
// Compile the way for 4 neighbours at once.
override BLOCKED: bool = false;

const I64 = 7u;
const F16 = 8u;
const F32 = 9u;
const F64 = 10u;

const SATURATE = 0u;
const WRAP = 1u;
const THROW = 2u;

const NEAREST_EVEN = 0u;
const HALF_AWAY = 1u;
const TRUNCATE = 2u;
const FLOOR = 3u;

const OUTSIDE = 0xffffffffu;
const EXPONENT = 0x7f800000u;
const NAN = 0x7fc00000u;

struct Params {
	count: u32, // output elements of the piece
	width: u32, // pixels of an output row
	rows: u32, // rows of an output plane
	channels: u32, // result channels of the piece
	interleaved: u32, // 1: channels lie side by side
	first_channel: u32, // result channel of the piece's channel 0
	first_plane: u32, // image channel at element 0 of `image`
	kernels: u32, // kernels of the bank
	batch_stride: u32, // of the image, in elements
	channel_stride: u32,
	row_pitch: u32,
	col_pitch: u32,
	stride_y: u32,
	stride_x: u32,
	dilation_y: u32,
	dilation_x: u32,
	col_map: u32, // where the columns' map begins in `maps`; the rows' begins at 0
	row_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)
	row_end: u32,
	row_origin: u32,
	col_begin: u32,
	col_end: u32,
	col_origin: u32,
	fill_low: u32, // what lies outside, as loaded
	fill_high: u32,
	overflow: u32,
	rounding: u32,
	scan_holes: u32, // 1: a dilated kernel on a float image; a NaN between the taps counts
	epilogues: u32, // where the (scale, bias, plain) triples of the result channels begin in `kernel`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> maps: array<u32>;
// Per kernel 5 words: rows, cols, first row, first column (map entries), where its taps begin. Then epilogues, then taps.
@group(0) @binding(3) var<storage, read> kernel: array<u32>;
@group(0) @binding(4) var<storage, read_write> result: array<u32>;
// Lowest element that does not fit under 'throw'.
@group(0) @binding(5) var<storage, read_write> overflow_at: atomic<u32>;

// ── where an output element lies ────────────────────────────────────────────────────────────────────────────────────────

struct Site {
	channel: u32, // of the result
	base: u32, // element of the image at row 0, column 0 of its plane
	row: u32, // map entries under tap (0, 0)
	col: u32,
	rows: u32, // of the window
	cols: u32,
	taps: u32,
}

// An element's coordinates in the piece.
struct Place {
	batch: u32,
	y: u32,
	x: u32,
	k: u32, // channel
}

fn place(element: u32) -> Place {
	if (params.interleaved != 0u) {
		let pixel_index = element / params.channels;
		let line = pixel_index / params.width;
		let batch = line / params.rows;
		return Place(batch, line - batch * params.rows, pixel_index - line * params.width, element - pixel_index * params.channels);
	}
	let line = element / params.width;
	let plane = line / params.rows;
	let batch = plane / params.channels;
	return Place(batch, line - plane * params.rows, element - line * params.width, plane - batch * params.channels);
}

// The place of the next element in memory; no division, which many devices emulate.
fn next(p: Place) -> Place {
	var q = p;
	if (params.interleaved != 0u) {
		q.k += 1u;
		if (q.k < params.channels) { return q; }
		q.k = 0u;
	}
	q.x += 1u;
	if (q.x < params.width) { return q; }
	q.x = 0u;
	q.y += 1u;
	if (q.y < params.rows) { return q; }
	q.y = 0u;
	if (params.interleaved == 0u) {
		q.k += 1u;
		if (q.k < params.channels) { return q; }
		q.k = 0u;
	}
	q.batch += 1u;
	return q;
}

fn site(p: Place) -> Site {
	var s: Site;
	s.channel = params.first_channel + p.k;
	var plane = s.channel;
	var window = 0u;
	if (params.kernels > 1u) {
		plane = s.channel / params.kernels;
		window = 5u * (s.channel - plane * params.kernels);
	}
	s.base = p.batch * params.batch_stride + (plane - params.first_plane) * params.channel_stride;
	s.rows = kernel[window];
	s.cols = kernel[window + 1u];
	s.row = p.y * params.stride_y + kernel[window + 2u];
	s.col = p.x * params.stride_x + kernel[window + 3u];
	s.taps = kernel[window + 4u];
	return s;
}

// The whole window lies where addresses are linear.
fn inside(s: Site) -> bool {
	return s.rows == 0u || (s.row >= params.row_begin && s.row + (s.rows - 1u) * params.dilation_y < params.row_end &&
		s.col >= params.col_begin && s.col + (s.cols - 1u) * params.dilation_x < params.col_end);
}

// Element of the image under tap (0, 0), where the window lies inside.
fn address(s: Site) -> u32 {
	return s.base + params.row_origin + s.row * params.row_pitch + params.col_origin + s.col * params.col_pitch;
}

// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn is_signed(dtype: u32) -> bool {
	return dtype < F16 && (dtype & 1u) == 1u;
}

// log2 of the bytes of an element.
fn size_of(dtype: u32) -> u32 {
	return select(dtype - 7u, dtype >> 1u, dtype < F16);
}

// One element's bits: integers extended to 32 bits, of 64 bits the low word.
fn pixel(at: u32) -> u32 {
	if (size_of(IN) == 0u) {
		let word = image[at >> 2u];
		let shift = (at & 3u) * 8u;
		if (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, 8u)); }
		return extractBits(word, shift, 8u);
	}
	if (size_of(IN) == 1u) {
		let word = image[at >> 1u];
		let shift = (at & 1u) * 16u;
		if (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, 16u)); }
		return extractBits(word, shift, 16u);
	}
	if (size_of(IN) == 3u) { return image[2u * at]; }
	return image[at];
}

fn pixel_high(at: u32) -> u32 {
	if (size_of(IN) == 3u) { return image[2u * at + 1u]; }
	return 0u;
}

// Element of the image that a map position shows, or OUTSIDE.
fn source(s: Site, j: u32, i: u32) -> u32 {
	let row = maps[s.row + j];
	let col = maps[params.col_map + s.col + i];
	if (row == OUTSIDE || col == OUTSIDE) { return OUTSIDE; }
	return s.base + row + col;
}

fn pixel_or_fill(at: u32) -> u32 {
	if (at == OUTSIDE) { return params.fill_low; }
	return pixel(at);
}

// float16 bits as float32 bits; NaN and infinity stay what they are.
fn widen_half(bits: u32) -> u32 {
	let sign = (bits & 0x8000u) << 16u;
	let magnitude = bits & 0x7fffu;
	if (magnitude >= 0x7c00u) { return sign | EXPONENT | ((magnitude & 0x3ffu) << 13u); }
	if (magnitude >= 0x400u) { return sign | ((magnitude << 13u) + (112u << 23u)); }
	return sign | bitcast<u32>(f32(magnitude) * 0x1p-24f);
}

// A loaded element as float32 bits; integers of at most 16 bits are exact.
fn float_bits(bits: u32) -> u32 {
	if (IN == F32) { return bits; }
	if (IN == F16) { return widen_half(bits); }
	if (is_signed(IN)) { return bitcast<u32>(f32(bitcast<i32>(bits))); }
	return bitcast<u32>(f32(bits));
}

// ── float sums ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct FloatSums {
	value: vec4f,
	peak: vec4u, // largest magnitude bits of a pixel met
}

fn float_sums(s: Site, start: vec4u) -> FloatSums {
	let row_step = params.dilation_y * params.row_pitch;
	let col_step = params.dilation_x * params.col_pitch;
	let sliding = col_step == 1u && all(start == vec4u(start.x, start.x + 1u, start.x + 2u, start.x + 3u));
	var sums = FloatSums(vec4f(), vec4u());
	var tap = s.taps;
	var line = start;
	for (var j = 0u; j < s.rows; j += 1u) {
		var row_sum = vec4f();
		if (sliding) {
			var bits = vec4u(0u, float_bits(pixel(line.x)), float_bits(pixel(line.y)), float_bits(pixel(line.z)));
			for (var i = 0u; i < s.cols; i += 1u) {
				bits = vec4u(bits.yzw, float_bits(pixel(line.w + i)));
				sums.peak = max(sums.peak, bits & vec4u(0x7fffffffu));
				row_sum = fma(vec4f(bitcast<f32>(kernel[tap + i])), bitcast<vec4f>(bits), row_sum);
			}
		} else {
			var at = line;
			for (var i = 0u; i < s.cols; i += 1u) {
				let bits = vec4u(float_bits(pixel(at.x)), float_bits(pixel(at.y)), float_bits(pixel(at.z)), float_bits(pixel(at.w)));
				sums.peak = max(sums.peak, bits & vec4u(0x7fffffffu));
				row_sum = fma(vec4f(bitcast<f32>(kernel[tap + i])), bitcast<vec4f>(bits), row_sum);
				at += vec4u(col_step);
			}
		}
		sums.value += row_sum;
		tap += s.cols;
		line += vec4u(row_step);
	}
	return sums;
}

// Largest magnitude bits between the taps of 4 dilated windows that lie inside, and under them: one look for all kernels of a bank.
fn hole_peaks(s: Site, start: vec4u) -> vec4u {
	var peaks = vec4u();
	let height = (s.rows - 1u) * params.dilation_y + 1u;
	let width = (s.cols - 1u) * params.dilation_x + 1u;
	var line = start;
	for (var j = 0u; s.rows > 0u && j < height; j += 1u) {
		var at = line;
		for (var i = 0u; i < width; i += 1u) {
			let bits = vec4u(float_bits(pixel(at.x)), float_bits(pixel(at.y)), float_bits(pixel(at.z)), float_bits(pixel(at.w)));
			peaks = max(peaks, bits & vec4u(0x7fffffffu));
			at += vec4u(params.col_pitch);
		}
		line += vec4u(params.row_pitch);
	}
	return peaks;
}

struct FloatSum {
	value: f32,
	peak: u32, // where holes count and nobody looked at them, EXPONENT
}

fn float_sum(s: Site) -> FloatSum {
	var sum = FloatSum(0.0, select(0u, EXPONENT, params.scan_holes != 0u));
	var tap = s.taps;
	for (var j = 0u; j < s.rows; j += 1u) {
		var row_sum = 0.0f;
		for (var i = 0u; i < s.cols; i += 1u) {
			let bits = float_bits(pixel_or_fill(source(s, j * params.dilation_y, i * params.dilation_x)));
			sum.peak = max(sum.peak, bits & 0x7fffffffu);
			row_sum = fma(bitcast<f32>(kernel[tap]), bitcast<f32>(bits), row_sum);
			tap += 1u;
		}
		sum.value += row_sum;
	}
	return sum;
}

// 0 where every pixel of the window is finite, holes of a dilated kernel included (they are zero taps); else the bits of the
// sum that IEEE arithmetic would give: NaN, or an infinity of one sign.
fn non_finite_sum(s: Site) -> u32 {
	if (s.rows == 0u) { return 0u; }
	var positive = false;
	var negative = false;
	let height = (s.rows - 1u) * params.dilation_y + 1u;
	let width = (s.cols - 1u) * params.dilation_x + 1u;
	for (var j = 0u; j < height; j += 1u) {
		for (var i = 0u; i < width; i += 1u) {
			let bits = float_bits(pixel_or_fill(source(s, j, i)));
			if ((bits & EXPONENT) != EXPONENT) { continue; }
			let hole = j % params.dilation_y != 0u || i % params.dilation_x != 0u;
			var tap = 0u;
			if (!hole) { tap = kernel[s.taps + (j / params.dilation_y) * s.cols + i / params.dilation_x]; }
			if ((bits & 0x7fffffu) != 0u || (tap & 0x7fffffffu) == 0u) { return NAN; }
			let minus = ((bits ^ tap) >> 31u) == 1u;
			negative = negative || minus;
			positive = positive || !minus;
		}
	}
	if (positive && negative) { return NAN; }
	if (positive) { return EXPONENT; }
	return select(0u, 0x80000000u | EXPONENT, negative);
}

fn is_plain(channel: u32) -> bool {
	return kernel[params.epilogues + 3u * channel + 2u] != 0u;
}

fn scaled(sum: f32, channel: u32) -> f32 {
	let at = params.epilogues + 3u * channel;
	return fma(bitcast<f32>(kernel[at]), sum, bitcast<f32>(kernel[at + 1u]));
}

// scale·infinity + bias.
fn scaled_non_finite(bits: u32, channel: u32) -> u32 {
	let scale = kernel[params.epilogues + 3u * channel];
	if ((bits & 0x7fffffu) != 0u || (scale & 0x7fffffffu) == 0u) { return NAN; }
	return bits ^ (scale & 0x80000000u);
}

fn store_float_sum(s: Site, sum: FloatSum, element: u32) -> vec2u {
	var bits = bitcast<u32>(sum.value);
	var non_finite = 0u;
	if (IN >= F16 && sum.peak >= EXPONENT) { non_finite = non_finite_sum(s); }
	if (non_finite != 0u) {
		bits = scaled_non_finite(non_finite, s.channel);
	} else if (!is_plain(s.channel)) {
		bits = bitcast<u32>(scaled(sum.value, s.channel));
	}
	if (OUT >= F16) { return float_words(bits); }
	return store_integer(whole_magnitude(bits), element);
}

// ── integer sums ────────────────────────────────────────────────────────────────────────────────────────────────────────

alias Limbs = array<u32, LIMBS>;

// One-word sums of 4 neighbours.
fn word_sums(s: Site, start: vec4u) -> vec4u {
	let row_step = params.dilation_y * params.row_pitch;
	let col_step = params.dilation_x * params.col_pitch;
	let sliding = col_step == 1u && all(start == vec4u(start.x, start.x + 1u, start.x + 2u, start.x + 3u));
	var sums = vec4u();
	var tap = s.taps;
	var line = start;
	for (var j = 0u; j < s.rows; j += 1u) {
		if (sliding) {
			var bits = vec4u(0u, pixel(line.x), pixel(line.y), pixel(line.z));
			for (var i = 0u; i < s.cols; i += 1u) {
				bits = vec4u(bits.yzw, pixel(line.w + i));
				sums += kernel[tap + i] * bits;
			}
		} else {
			var at = line;
			for (var i = 0u; i < s.cols; i += 1u) {
				sums += kernel[tap + i] * vec4u(pixel(at.x), pixel(at.y), pixel(at.z), pixel(at.w));
				at += vec4u(col_step);
			}
		}
		tap += s.cols;
		line += vec4u(row_step);
	}
	return sums;
}

fn word_sum(s: Site) -> u32 {
	var sum = 0u;
	var tap = s.taps;
	for (var j = 0u; j < s.rows; j += 1u) {
		for (var i = 0u; i < s.cols; i += 1u) {
			sum += kernel[tap] * pixel_or_fill(source(s, j * params.dilation_y, i * params.dilation_x));
			tap += 1u;
		}
	}
	return sum;
}

// a·b as (low, high), from 16-bit halves.
fn multiply(a: u32, b: u32) -> vec2u {
	let low = (a & 0xffffu) * (b & 0xffffu);
	let cross = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
	let other = (a & 0xffffu) * (b >> 16u) + (cross & 0xffffu);
	return vec2u((other << 16u) | (low & 0xffffu), (a >> 16u) * (b >> 16u) + (cross >> 16u) + (other >> 16u));
}

// −v modulo 2^64.
fn negate(v: vec2u) -> vec2u {
	let low = ~v.x + 1u;
	return vec2u(low, ~v.y + select(0u, 1u, low == 0u));
}

// The product of two magnitudes as 4 words.
fn multiply_wide(a: vec2u, b: vec2u) -> vec4u {
	let p = multiply(a.x, b.x);
	if (size_of(IN) < 3u && TAP_LIMBS == 1u) { return vec4u(p, 0u, 0u); }
	let q = multiply(a.x, b.y);
	let r = multiply(a.y, b.x);
	let t = multiply(a.y, b.y);
	let w1 = p.y + q.x;
	let c1 = select(0u, 1u, w1 < q.x);
	let v1 = w1 + r.x;
	let d1 = select(0u, 1u, v1 < r.x);
	let w2 = q.y + r.y;
	let c2 = select(0u, 1u, w2 < r.y);
	let v2 = w2 + t.x;
	let d2 = select(0u, 1u, v2 < t.x);
	let u2 = v2 + c1 + d1;
	let e2 = select(0u, 1u, u2 < v2);
	return vec4u(p.x, v1, u2, t.y + c2 + d2 + e2);
}

fn limb_sum(s: Site) -> Limbs {
	var sum: Limbs;
	var tap = s.taps;
	for (var j = 0u; j < s.rows; j += 1u) {
		for (var i = 0u; i < s.cols; i += 1u) {
			let at = source(s, j * params.dilation_y, i * params.dilation_x);
			var x = vec2u(params.fill_low, params.fill_high);
			if (at != OUTSIDE) { x = vec2u(pixel(at), pixel_high(at)); }
			var minus = kernel[tap] != 0u;
			var w = vec2u(kernel[tap + 1u], 0u);
			if (TAP_LIMBS == 2u) { w.y = kernel[tap + 2u]; }
			tap += 1u + TAP_LIMBS;
			if (is_signed(IN)) {
				let top = select(x.x, x.y, IN == I64);
				if (top >> 31u == 1u) {
					minus = !minus;
					x = select(vec2u(~x.x + 1u, 0u), negate(x), IN == I64);
				}
			}
			let product = multiply_wide(x, w);
			// sum ± product: subtracting adds the complement and 1
			var carry = select(0u, 1u, minus);
			for (var k = 0u; k < LIMBS; k += 1u) {
				var word = 0u;
				if (k < 4u) { word = product[k]; }
				if (minus) { word = ~word; }
				let once = sum[k] + word;
				let twice = once + carry;
				carry = select(0u, 1u, once < word || twice < once);
				sum[k] = twice;
			}
		}
	}
	return sum;
}

// The magnitude of a sum, normalised: its top 64 bits with the highest one at bit 63, whether bits below them are set, and the
// exponent of the highest one.
struct Normal {
	high: u32,
	low: u32,
	sticky: bool,
	exponent: u32,
}

fn normalise(magnitude: Limbs) -> Normal {
	var limbs = magnitude;
	var top = LIMBS - 1u;
	while (top > 0u && limbs[top] == 0u) { top -= 1u; }
	let shift = countLeadingZeros(limbs[top]);
	var words = vec3u(limbs[top], 0u, 0u);
	if (top >= 1u) { words.y = limbs[top - 1u]; }
	if (top >= 2u) { words.z = limbs[top - 2u]; }
	var rest = words.z << shift;
	for (var k = 0u; k + 2u < top; k += 1u) { rest |= limbs[k]; }
	let back = 32u - shift;
	// a shift by 32 is not one
	let carried = select(vec2u(words.y >> (back & 31u), words.z >> (back & 31u)), vec2u(), shift == 0u);
	return Normal((words.x << shift) | carried.x, (words.y << shift) | carried.y, rest != 0u, 32u * top + 31u - shift);
}

// An integer magnitude (not 0) rounded once to float32 bits: nearest, ties to even; a carry runs into the exponent.
fn round_to_single(n: Normal) -> u32 {
	if (n.exponent > 127u) { return EXPONENT; }
	let up = (n.high & 0x80u) != 0u && ((n.high & 0x17fu) != 0u || n.low != 0u || n.sticky);
	return ((n.exponent + 127u) << 23u) + ((n.high >> 8u) & 0x7fffffu) + select(0u, 1u, up);
}

fn round_to_half(n: Normal) -> u32 {
	if (n.exponent > 15u) { return 0x7c00u; }
	let up = (n.high & 0x100000u) != 0u && ((n.high & 0x2fffffu) != 0u || n.low != 0u || n.sticky);
	return ((n.exponent + 15u) << 10u) + ((n.high >> 21u) & 0x3ffu) + select(0u, 1u, up);
}

fn round_to_double(n: Normal) -> vec2u {
	let up = (n.low & 0x400u) != 0u && ((n.low & 0xbffu) != 0u || n.sticky);
	let low = (n.high << 21u) | (n.low >> 11u);
	let rounded = low + select(0u, 1u, up);
	let high = ((n.exponent + 1023u) << 20u) + ((n.high >> 11u) & 0xfffffu);
	return vec2u(rounded, high + select(0u, 1u, rounded < low));
}

fn store_integer_sum(sum: Limbs, channel: u32, element: u32) -> vec2u {
	var magnitude = sum;
	let negative = magnitude[LIMBS - 1u] >> 31u == 1u;
	if (negative) {
		var carry = 1u;
		for (var k = 0u; k < LIMBS; k += 1u) {
			magnitude[k] = ~magnitude[k] + carry;
			carry = select(0u, carry, magnitude[k] == 0u);
		}
	}
	var words = vec2u(magnitude[0], 0u);
	if (LIMBS > 1u) { words.y = magnitude[min(1u, LIMBS - 1u)]; }
	var beyond = 0u; // what lies above 64 bits
	for (var k = 2u; k < LIMBS; k += 1u) { beyond |= magnitude[k]; }
	let plain = is_plain(channel);
	var whole = Magnitude(negative, words, beyond != 0u, false);
	if (OUT >= F16 || !plain) {
		let sign = select(0u, 0x80000000u, negative);
		var bits = 0u;
		if ((words.x | words.y | beyond) != 0u) {
			let n = normalise(magnitude);
			if (plain && OUT == F16) { return vec2u((sign >> 16u) | round_to_half(n), 0u); }
			if (plain && OUT == F64) { return round_to_double(n) | vec2u(0u, sign); }
			bits = sign | round_to_single(n);
		}
		if (!plain) { bits = bitcast<u32>(scaled(bitcast<f32>(bits), channel)); }
		if (OUT >= F16) { return float_words(bits); }
		whole = whole_magnitude(bits);
	}
	return store_integer(whole, element);
}

// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// An integer on its way into an integer dtype.
struct Magnitude {
	negative: bool,
	words: vec2u, // modulo 2^64, low word first
	huge: bool, // 2^64 or more
	nan: bool,
}

// By the overflow rule, as two's complement.
fn store_integer(value: Magnitude, element: u32) -> vec2u {
	// largest magnitude of this sign, as (low, high)
	let bits = 8u << size_of(OUT);
	var most = vec2u(OUTSIDE >> (32u - min(bits, 32u)), select(0u, OUTSIDE, bits == 64u));
	if (is_signed(OUT)) {
		most = vec2u(select(most.x >> 1u, OUTSIDE, bits == 64u), most.y >> 1u);
		if (value.negative) { most = vec2u(most.x + 1u, most.y + select(0u, 1u, bits == 64u)); }
	} else if (value.negative) {
		most = vec2u();
	}
	var stored = value.words;
	if (!value.nan && (value.huge || stored.y > most.y || (stored.y == most.y && stored.x > most.x))) {
		if (params.overflow == SATURATE) { stored = most; }
		if (params.overflow == THROW) { atomicMin(&overflow_at, element); }
	}
	if (value.negative) { return negate(stored); }
	return stored;
}

// float32 bits as the float dtype OUT.
fn float_words(bits: u32) -> vec2u {
	if (OUT == F16) { return vec2u(narrow_to_half(bits), 0u); }
	if (OUT == F64) { return widen_to_double(bits); }
	return vec2u(bits, 0u);
}

// float32 bits rounded to an integer. NaN gives 0; infinities are huge, and 0 modulo 2^64.
fn whole_magnitude(bits: u32) -> Magnitude {
	let negative = bits >> 31u == 1u;
	let exponent = (bits & EXPONENT) >> 23u;
	let fraction = select(bits & 0x7fffffu, (bits & 0x7fffffu) | 0x800000u, exponent != 0u);
	if (exponent == 255u) { return Magnitude(negative, vec2u(), true, (bits & 0x7fffffu) != 0u); }
	// the value is fraction · 2^(exponent − 150)
	if (exponent >= 150u) {
		let shift = exponent - 150u;
		if (shift < 32u) {
			let high = select(fraction >> ((32u - shift) & 31u), 0u, shift == 0u);
			return Magnitude(negative, vec2u(fraction << shift, high), false, false);
		}
		let lost = select(fraction >> ((64u - shift) & 31u), 0u, shift <= 32u);
		let high = select(fraction << (shift & 31u), 0u, shift >= 64u);
		return Magnitude(negative, vec2u(0u, high), shift >= 64u || lost != 0u, false);
	}
	let shift = 150u - max(exponent, 1u);
	var whole = 0u;
	var above = false; // the part cut off is more than a half
	var tie = false;
	if (shift <= 24u) {
		whole = fraction >> shift;
		let rest = fraction & ((1u << shift) - 1u);
		let half = 1u << (shift - 1u);
		above = rest > half;
		tie = rest == half;
	}
	let cut = fraction != 0u && (shift > 24u || whole << shift != fraction);
	var up = false;
	switch params.rounding {
		case NEAREST_EVEN: { up = above || (tie && (whole & 1u) == 1u); }
		case HALF_AWAY: { up = above || tie; }
		case FLOOR: { up = negative && cut; }
		default: {}
	}
	return Magnitude(negative, vec2u(whole + select(0u, 1u, up), 0u), false, false);
}

// float32 bits rounded to float16 bits: nearest, ties to even.
fn narrow_to_half(bits: u32) -> u32 {
	let sign = (bits >> 16u) & 0x8000u;
	let magnitude = bits & 0x7fffffffu;
	if (magnitude > EXPONENT) { return sign | 0x7e00u; }
	if (magnitude >= 0x47800000u) { return sign | 0x7c00u; } // 2^16 and above
	var shift = 13u;
	var value = magnitude - (112u << 23u); // a carry runs into the exponent and up to infinity
	if (magnitude < 0x38800000u) { // below 2^-14: subnormal
		shift = 126u - (magnitude >> 23u);
		if (shift > 24u) { return sign; }
		value = (magnitude & 0x7fffffu) | 0x800000u;
	}
	let whole = value >> shift;
	let rest = value & ((1u << shift) - 1u);
	let half = 1u << (shift - 1u);
	return sign | (whole + select(0u, 1u, rest > half || (rest == half && (whole & 1u) == 1u)));
}

// float32 bits as float64 bits; exact, subnormals flushed.
fn widen_to_double(bits: u32) -> vec2u {
	let sign = bits & 0x80000000u;
	let magnitude = bits & 0x7fffffffu;
	if (magnitude >= EXPONENT) { return vec2u(0u, sign | 0x7ff00000u | ((magnitude & 0x7fffffu) >> 3u)); }
	if (magnitude < 0x800000u) { return vec2u(0u, sign); }
	return vec2u(magnitude << 29u, sign | ((magnitude >> 3u) + (896u << 20u)));
}

// ── the thread's 4 elements ─────────────────────────────────────────────────────────────────────────────────────────────

// Writes the words of the elements from `first` on; words wholly past the end are left alone.
fn write(first: u32, count: u32, stored: array<vec2u, 4>) {
	let group = first >> 2u;
	if (size_of(OUT) == 0u) {
		let m = 0xffu;
		result[group] = (stored[0].x & m) | ((stored[1].x & m) << 8u) | ((stored[2].x & m) << 16u) | (stored[3].x << 24u);
	} else if (size_of(OUT) == 1u) {
		result[2u * group] = (stored[0].x & 0xffffu) | (stored[1].x << 16u);
		if (count > 2u) { result[2u * group + 1u] = (stored[2].x & 0xffffu) | (stored[3].x << 16u); }
	} else {
		var words = stored;
		for (var e = 0u; e < count; e += 1u) {
			if (size_of(OUT) == 2u) { result[first + e] = words[e].x; }
			if (size_of(OUT) == 3u) {
				result[2u * (first + e)] = words[e].x;
				result[2u * (first + e) + 1u] = words[e].y;
			}
		}
	}
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
	let first = 4u * (id.y * groups.x * WORKGROUP + id.x);
	if (first >= params.count) { return; }
	let count = min(params.count - first, 4u);
	let lead_place = place(first);
	var together = false;
	var floats = FloatSums(vec4f(), vec4u());
	var integers = vec4u();
	if (BLOCKED && LIMBS == 1u) {
		let lead = site(lead_place);
		var start = vec4u();
		var at = lead_place;
		together = count == 4u;
		for (var e = 0u; together && e < 4u; e += 1u) {
			let s = site(at);
			together = s.taps == lead.taps && inside(s);
			start[e] = address(s);
			at = next(at);
		}
		if (together && FLOAT_SUM) {
			floats = float_sums(lead, start);
			if (params.scan_holes != 0u) { floats.peak = vec4u(EXPONENT); }
		}
		if (together && !FLOAT_SUM) { integers = word_sums(lead, start); }
	}
	var stored: array<vec2u, 4>;
	var at = lead_place;
	for (var e = 0u; e < count; e += 1u) {
		let element = first + e;
		let s = site(at);
		at = next(at);
		if (FLOAT_SUM) {
			var sum = FloatSum(floats.value[e], floats.peak[e]);
			if (!together) { sum = float_sum(s); }
			stored[e] = store_float_sum(s, sum, element);
		} else if (LIMBS > 1u) {
			stored[e] = store_integer_sum(limb_sum(s), s.channel, element);
		} else {
			var sum: Limbs;
			sum[0] = integers[e];
			if (!together) { sum[0] = word_sum(s); }
			stored[e] = store_integer_sum(sum, s.channel, element);
		}
	}
	write(first, count, stored);
}

// ── a bank ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Kernels whose windows are alike: a thread computes 4 pixels under up to 4 of them, whose taps meet the same loaded pixels. Its results are whole
// words too: of 4 planes of 4·n pixels each, or of 4 channels side by side at 4 pixels. Needs BLOCKED; bits are those of `main`.

// Four sums for each kernel, as bits.
struct BankSums {
	a: vec4u,
	b: vec4u,
	c: vec4u,
	d: vec4u,
	peak: vec4u, // of floats: largest magnitude bits of a pixel met
}

// 4 pixels as the sum takes them.
fn operands(at: vec4u) -> vec4u {
	let bits = vec4u(pixel(at.x), pixel(at.y), pixel(at.z), pixel(at.w));
	if (!FLOAT_SUM) { return bits; }
	return vec4u(float_bits(bits.x), float_bits(bits.y), float_bits(bits.z), float_bits(bits.w));
}

fn multiply_add(tap: u32, pixels: vec4u, sums: vec4u) -> vec4u {
	if (!FLOAT_SUM) { return tap * pixels + sums; }
	return bitcast<vec4u>(fma(vec4f(bitcast<f32>(tap)), bitcast<vec4f>(pixels), bitcast<vec4f>(sums)));
}

fn plus(a: vec4u, b: vec4u) -> vec4u {
	if (!FLOAT_SUM) { return a + b; }
	return bitcast<vec4u>(bitcast<vec4f>(a) + bitcast<vec4f>(b));
}

// @param taps where those of each kernel begin
fn bank_sums(s: Site, start: vec4u, taps: vec4u) -> BankSums {
	let row_step = params.dilation_y * params.row_pitch;
	let col_step = params.dilation_x * params.col_pitch;
	var sums: BankSums;
	var tap = taps;
	var line = start;
	for (var j = 0u; j < s.rows; j += 1u) {
		var row = BankSums(); // said: left to the declaration, lavapipe (Mesa 25.0) keeps the row before
		var at = line;
		for (var i = 0u; i < s.cols; i += 1u) {
			let bits = operands(at);
			sums.peak = max(sums.peak, bits & vec4u(0x7fffffffu));
			row.a = multiply_add(kernel[tap.x + i], bits, row.a);
			row.b = multiply_add(kernel[tap.y + i], bits, row.b);
			row.c = multiply_add(kernel[tap.z + i], bits, row.c);
			row.d = multiply_add(kernel[tap.w + i], bits, row.d);
			at += vec4u(col_step);
		}
		sums.a = plus(sums.a, row.a);
		sums.b = plus(sums.b, row.b);
		sums.c = plus(sums.c, row.c);
		sums.d = plus(sums.d, row.d);
		tap += vec4u(s.cols);
		line += vec4u(row_step);
	}
	return sums;
}

fn sums_of(sums: BankSums, kernel_here: u32) -> vec4u {
	switch kernel_here {
		case 0u: { return sums.a; }
		case 1u: { return sums.b; }
		case 2u: { return sums.c; }
		default: { return sums.d; }
	}
}

fn element_of(p: Place) -> u32 {
	if (params.interleaved != 0u) { return ((p.batch * params.rows + p.y) * params.width + p.x) * params.channels + p.k; }
	return ((p.batch * params.channels + p.k) * params.rows + p.y) * params.width + p.x;
}

fn store_sum(s: Site, bits: u32, peak: u32, element: u32) -> vec2u {
	if (FLOAT_SUM) { return store_float_sum(s, FloatSum(bitcast<f32>(bits), peak), element); }
	var sum: Limbs;
	sum[0] = bits;
	return store_integer_sum(sum, s.channel, element);
}

@compute @workgroup_size(WORKGROUP)
fn bank(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32, @builtin(num_workgroups) groups: vec3u) {
	let pixels = params.rows * params.width;
	let pixel_first = 4u * ((group.y * groups.x + group.x) * WORKGROUP + thread);
	if (pixel_first >= pixels) { return; }
	// a layer of the dispatch is 4 kernels on one plane of the image: taps are the same for a whole workgroup
	let layers = (params.kernels + 3u) / 4u;
	let plane = group.z / layers;
	let planes = params.channels / params.kernels;
	let batch = plane / planes;
	let kernel_first = 4u * (group.z - plane * layers);
	let channel = (plane - batch * planes) * params.kernels + kernel_first;
	let count = min(pixels - pixel_first, 4u);
	var ys = vec4u(pixel_first / params.width);
	var xs = vec4u(pixel_first - ys.x * params.width);
	for (var e = 1u; e < 4u; e += 1u) {
		let wraps = xs[e - 1u] + 1u == params.width;
		xs[e] = select(xs[e - 1u] + 1u, 0u, wraps);
		ys[e] = select(ys[e - 1u], ys[e - 1u] + 1u, wraps);
	}
	var start = vec4u();
	var together = count == 4u;
	for (var e = 0u; together && e < 4u; e += 1u) {
		let s = site(Place(batch, ys[e], xs[e], channel));
		together = inside(s);
		start[e] = address(s);
	}
	var sums: BankSums;
	if (together) {
		let last = params.kernels - 1u;
		let all = min(vec4u(kernel_first) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
		let taps = vec4u(kernel[5u * all.x + 4u], kernel[5u * all.y + 4u], kernel[5u * all.z + 4u], kernel[5u * all.w + 4u]);
		let lead = site(Place(batch, ys.x, xs.x, channel));
		sums = bank_sums(lead, start, taps);
		if (FLOAT_SUM && IN >= F16 && params.scan_holes != 0u) { sums.peak = max(sums.peak, hole_peaks(lead, start)); }
	}
	let across = params.interleaved != 0u;
	let lines = select(min(params.kernels - kernel_first, 4u), count, across);
	for (var u = 0u; u < lines; u += 1u) {
		var stored: array<vec2u, 4>;
		for (var v = 0u; v < 4u; v += 1u) {
			let k = select(u, v, across);
			let e = select(v, u, across);
			let p = Place(batch, ys[e], xs[e], channel + k);
			let s = site(p);
			var bits = sums_of(sums, k)[e];
			var peak = sums.peak[e];
			if (!together && FLOAT_SUM) {
				let one = float_sum(s);
				bits = bitcast<u32>(one.value);
				peak = one.peak;
			}
			if (!together && !FLOAT_SUM) { bits = word_sum(s); }
			stored[v] = store_sum(s, bits, peak, element_of(p));
		}
		write(element_of(Place(batch, ys[select(0u, u, across)], xs[select(0u, u, across)], channel + select(u, 0u, across))), 4u, stored);
	}
}
