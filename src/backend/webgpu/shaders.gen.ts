// Generated from shaders/*.wgsl by scripts/shaders.mjs; do not edit.

export const SHADERS = {
	"box": {
		"hash": "e26ab6f6ee9c96ff",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"taps": {
				"binding": 1,
				"space": "uniform"
			},
			"image": {
				"binding": 2,
				"space": "storage,read"
			},
			"wide_image": {
				"binding": 3,
				"space": "storage,read"
			},
			"maps": {
				"binding": 4,
				"space": "storage,read"
			},
			"epilogues": {
				"binding": 5,
				"space": "storage,read"
			},
			"result": {
				"binding": 6,
				"space": "storage,read_write"
			},
			"wide_result": {
				"binding": 7,
				"space": "storage,read_write"
			},
			"overflow_at": {
				"binding": 8,
				"space": "storage,read_write"
			}
		},
		"entries": {
			"main": [
				"params",
				"taps",
				"image",
				"wide_image",
				"maps",
				"epilogues",
				"result",
				"wide_result",
				"overflow_at"
			]
		},
		"uniforms": {
			"params": {
				"width": 0,
				"rows": 1,
				"out_pitch": 2,
				"first_plane": 3,
				"planes": 4,
				"out_planes": 5,
				"out_first": 6,
				"kernels": 7,
				"first_channel": 8,
				"first_element": 9,
				"batch_stride": 10,
				"channel_stride": 11,
				"row_pitch": 12,
				"aligned": 13,
				"row_count": 14,
				"col_count": 15,
				"row_shift": 16,
				"col_shift": 17,
				"row_begin": 18,
				"row_end": 19,
				"row_origin": 20,
				"col_begin": 21,
				"col_end": 22,
				"col_origin": 23,
				"fill": 24,
				"overflow": 25,
				"rounding": 26,
				"tap_rows": 27,
				"tap_cols": 28,
				"quads": 29,
				"lead": 30,
				"lanes": 31,
				"plain": 32,
				"march": 33,
				"run": 34,
				"block_row": 35,
				"bank": 36,
				"bundle": 37,
				"chunks": 38,
				"across": 39,
				"spread": 40
			}
		},
		"overrides": [
			"IN",
			"OUT",
			"SUM",
			"COLUMNS",
			"CHUNK",
			"WINDOW_QUADS",
			"BLOCK_ROWS",
			"STAGE",
			"RUNS"
		],
		"constants": [
			"TAP_QUADS",
			"REAL",
			"EXACT",
			"WORD",
			"U32",
			"I32",
			"F16",
			"F32",
			"SATURATE",
			"WRAP",
			"THROW",
			"NEAREST_EVEN",
			"HALF_AWAY",
			"TRUNCATE",
			"FLOOR",
			"OUTSIDE",
			"EXPONENT",
			"MAGNITUDE",
			"NAN"
		],
		"text": "// A kernel whose taps are all equal, in one pass over the image: sums of neighbours along the rows, running sums down the columns.\n// Nothing is ever subtracted, so what has left the window leaves no trace.\n//\n// Geometry. A workgroup owns a strip of COLUMNS elements and walks down `march` output rows, CHUNK rows at a time; a thread owns one\n// element of every row:\n//\n//   load   the chunk's rows and the elements beside the strip, every pixel once, times the tap, into `staged`\n//   runs   sums of `run` neighbours in each row, beside them\n//   down   of those, and the pixels that are left over, the sum of a row of the window; from such sums those of whole windows, into `sums`\n//   store  the chunk's results, in quads\n//\n// With runs of about √tap_cols pixels a row sum takes 2·√tap_cols additions, of the same pixels in the same order wherever it lies.\n// Down a column (van Herk; Gil and Werman) rows come in blocks of tap_rows: a window that is no block is the end of one, summed from its\n// last row up, and the beginning of the next, summed from its first row down: 3 additions, however tall the window. Blocks begin at\n// multiples of tap_rows of the whole result's rows, so neither pieces nor marches move them.\n//\n// So the image is read once, but for tap_cols − 1 columns a strip and tap_rows − 1 rows a march, and written once.\n\n// ── begin: a copy of common.wgsl, made by scripts/shaders.mjs; edit it there ──\n\n// What the tiled shaders share: how pixels are loaded and results stored. A thread works on quads: 4 elements side by side in a row.\n//\n// Rows are rows of memory: planar images have one plane a channel and one lane; where channels lie side by side a row is all of\n// them and taps are `lanes` elements apart. Input rows are whole quads where `aligned`, output rows always: in every dtype a quad is\n// whole 32-bit words that nobody else writes. A position of the window's reach finds its source through the index maps, but for\n// quads wholly inside the image, which are loaded at once.\n//\n// A quad in registers is 4 words of the sum's type: float32 bits (SUM = REAL), integers that float32 holds exactly (EXACT: every\n// partial sum is below 2^24) or integers modulo 2^32 (WORD), which are only ever stored plain. What is NaN or infinite is decided on bits: a WGSL compiler may\n// assume that neither occurs. A sum over a non-finite pixel is itself not finite, because taps are never known when compiling.\n\n// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 5 are integers of at most 32 bits, unsigned ones even; 8 and 9 are floats.\noverride IN: u32 = 9u;\noverride OUT: u32 = 9u;\noverride SUM: u32 = 0u;\n// Quads of `taps`, at least as many as are read.\nconst TAP_QUADS = 16u;\n\nconst REAL = 0u;\nconst EXACT = 1u;\nconst WORD = 2u;\n\nconst U32 = 4u;\nconst I32 = 5u;\nconst F16 = 8u;\nconst F32 = 9u;\n\nconst SATURATE = 0u;\nconst WRAP = 1u;\nconst THROW = 2u;\n\nconst NEAREST_EVEN = 0u;\nconst HALF_AWAY = 1u;\nconst TRUNCATE = 2u;\nconst FLOOR = 3u;\n\nconst OUTSIDE = 0xffffffffu;\nconst EXPONENT = 0x7f800000u;\nconst MAGNITUDE = 0x7fffffffu;\nconst NAN = 0x7fc00000u;\n\nstruct Params {\n\twidth: u32, // output elements of a row, for each kernel\n\trows: u32, // rows of an output plane\n\tout_pitch: u32, // elements from one output row to the next: a multiple of 4\n\tfirst_plane: u32, // plane of the dispatch's first layer\n\tplanes: u32, // planes of one image of the batch that this kernel of the bank computes\n\tout_planes: u32, // planes of one image of the piece's result\n\tout_first: u32, // and which of them plane 0 gives; the next is `kernels` further\n\tkernels: u32,\n\tfirst_channel: u32, // result channel of plane 0\n\tfirst_element: u32, // element of the image at row 0, column 0 of plane 0\n\tbatch_stride: u32, // of the image, in elements\n\tchannel_stride: u32,\n\trow_pitch: u32,\n\taligned: u32, // 1: every input row begins on a whole quad\n\trow_count: u32, // entries of the rows' map; the columns' follows in `maps`\n\tcol_count: u32,\n\trow_shift: u32, // map entry under window row 0 of output row 0; and column, which may be negative (two's complement)\n\tcol_shift: u32,\n\trow_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)\n\trow_end: u32,\n\trow_origin: u32,\n\tcol_begin: u32, // the same in elements\n\tcol_end: u32,\n\tcol_origin: u32,\n\tfill: u32, // what lies outside, as loaded\n\toverflow: u32,\n\trounding: u32,\n\ttap_rows: u32, // of the window; 0: every tap is zero\n\ttap_cols: u32,\n\tquads: u32, // quads of a row of taps\n\tlead: u32, // zero taps in front of each row\n\tlanes: u32, // elements from a tap to the next: channels side by side\n\tplain: u32, // 1: every channel is stored with scale 1 and bias 0\n\tmarch: u32, // output rows of one workgroup, where it walks down the image\n\trun: u32, // box.wgsl: neighbours in a row that are summed first\n\tblock_row: u32, // box.wgsl: row of its block of tap_rows rows on which the window of output row 0 begins\n\tbank: u32, // tiled.wgsl: kernels of the dispatch\n\tbundle: u32, // groups of them that a thread computes one after the other\n\tchunks: u32, // layers of the dispatch for a plane: each has `bundle` groups\n\tacross: u32, // results of an element that lie side by side: the kernels of a bank into channels side by side; elsewhere 1\n\tspread: u32, // the same in whole quads, as they are written\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<uniform> taps: array<vec4u, TAP_QUADS>;\n@group(0) @binding(2) var<storage, read> image: array<u32>;\n@group(0) @binding(3) var<storage, read> wide_image: array<vec4u>; // the same memory, for elements of 4 bytes\n@group(0) @binding(4) var<storage, read> maps: array<u32>;\n@group(0) @binding(5) var<storage, read> epilogues: array<u32>; // scale, bias, plain: one triple a result channel\n@group(0) @binding(6) var<storage, read_write> result: array<u32>; // for elements of 1 and 2 bytes\n@group(0) @binding(7) var<storage, read_write> wide_result: array<vec4u>; // for elements of 4\n// Lowest element that does not fit under 'throw'.\n@group(0) @binding(8) var<storage, read_write> overflow_at: atomic<u32>;\n\n// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn is_signed(dtype: u32) -> bool {\n\treturn dtype < F16 && (dtype & 1u) == 1u;\n}\n\n// log2 of the bytes of an element.\nfn size_of(dtype: u32) -> u32 {\n\treturn select(dtype - 7u, dtype >> 1u, dtype < F16);\n}\n\n// float16 bits as float32 bits; NaN and infinity stay what they are.\nfn widen_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits & vec4u(0x8000u)) << vec4u(16u);\n\tlet magnitude = bits & vec4u(0x7fffu);\n\t// the exponent's bias differs by 112, that of infinity by twice that; a subnormal is taken as 2^-14·(1 + …), less 2^-14\n\tlet shifted = (magnitude << vec4u(13u)) + select(vec4u(112u << 23u), vec4u(224u << 23u), magnitude >= vec4u(0x7c00u));\n\tlet subnormal = bitcast<vec4u>(bitcast<vec4f>(shifted + vec4u(1u << 23u)) - vec4f(0x1p-14f));\n\treturn sign | select(shifted, subnormal, magnitude < vec4u(0x400u));\n}\n\n// Loaded elements, integers extended to 32 bits, in the sum's type.\nfn in_sum(raw: vec4u) -> vec4u {\n\tif (SUM == WORD || IN == F32) { return raw; }\n\tif (IN == F16) { return widen_half(raw); }\n\tif (is_signed(IN)) { return bitcast<vec4u>(vec4f(bitcast<vec4i>(raw))); }\n\treturn bitcast<vec4u>(vec4f(raw));\n}\n\nfn extract(word: u32, shift: u32, bits: u32) -> u32 {\n\tif (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, bits)); }\n\treturn extractBits(word, shift, bits);\n}\n\nfn element(at: u32) -> u32 {\n\tif (size_of(IN) == 0u) { return extract(image[at >> 2u], (at & 3u) * 8u, 8u); }\n\tif (size_of(IN) == 1u) { return extract(image[at >> 1u], (at & 1u) * 16u, 16u); }\n\treturn image[at];\n}\n\n// The quad that begins at a multiple of 4 elements.\nfn whole_quad(at: u32) -> vec4u {\n\tif (size_of(IN) == 0u) {\n\t\tlet word = image[at >> 2u];\n\t\treturn in_sum(vec4u(extract(word, 0u, 8u), extract(word, 8u, 8u), extract(word, 16u, 8u), extract(word, 24u, 8u)));\n\t}\n\tif (size_of(IN) == 1u) {\n\t\tlet low = image[at >> 1u];\n\t\tlet high = image[(at >> 1u) + 1u];\n\t\treturn in_sum(vec4u(extract(low, 0u, 16u), extract(low, 16u, 16u), extract(high, 0u, 16u), extract(high, 16u, 16u)));\n\t}\n\treturn in_sum(wide_image[at >> 2u]);\n}\n\n// Where the source row of a position begins in its plane, or OUTSIDE.\nfn line_of(row: u32) -> u32 {\n\tif (row >= params.row_begin && row < params.row_end) { return params.row_origin + row * params.row_pitch; }\n\tif (row >= params.row_count) { return OUTSIDE; } // below the last row: nobody uses it\n\treturn maps[row];\n}\n\n// The element at a position; positions beyond the map lie under zero taps only.\nfn mapped(base: u32, line: u32, col: i32) -> u32 {\n\tif (line == OUTSIDE || col < 0 || col >= i32(params.col_count)) { return params.fill; }\n\tlet at = maps[params.row_count + u32(col)];\n\tif (at == OUTSIDE) { return params.fill; }\n\treturn element(base + line + at);\n}\n\n// Every quad from col to col + 4·quads lies inside the image, where addresses are linear.\nfn inside(col: i32, quads: u32) -> bool {\n\treturn col >= i32(params.col_begin) && col + 4 * i32(quads) <= i32(params.col_end);\n}\n\n// 4 positions of a row from `col` on. @param direct no position needs the map, and the quad is whole\nfn quad(base: u32, line: u32, col: i32, direct: bool) -> vec4u {\n\tlet at = base + line + params.col_origin + u32(col);\n\tif (direct || (params.aligned != 0u && line != OUTSIDE && inside(col, 1u))) { return whole_quad(at); }\n\tlet linear = line != OUTSIDE && inside(col, 1u);\n\tvar raw: vec4u;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tif (linear) {\n\t\t\traw[e] = element(at + e);\n\t\t} else {\n\t\t\traw[e] = mapped(base, line, col + i32(e));\n\t\t}\n\t}\n\treturn in_sum(raw);\n}\n\n// ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn multiply_add(tap: u32, pixels: vec4u, sums: vec4u) -> vec4u {\n\tif (SUM == WORD) { return tap * pixels + sums; }\n\treturn bitcast<vec4u>(fma(vec4f(bitcast<f32>(tap)), bitcast<vec4f>(pixels), bitcast<vec4f>(sums)));\n}\n\nfn plus(a: vec4u, b: vec4u) -> vec4u {\n\tif (SUM == WORD) { return a + b; }\n\treturn bitcast<vec4u>(bitcast<vec4f>(a) + bitcast<vec4f>(b));\n}\n\nfn not_finite(bits: vec4u) -> vec4<bool> {\n\treturn (bits & vec4u(EXPONENT)) == vec4u(EXPONENT);\n}\n\n// What the non-finite pixels of a window add up to.\nstruct Extremes {\n\tnan: bool,\n\tup: bool, // an infinity of this sign\n\tdown: bool,\n}\n\nfn meet(seen: Extremes, pixel: u32, tap: u32) -> Extremes {\n\tif ((pixel & EXPONENT) != EXPONENT) { return seen; }\n\tif ((pixel & 0x7fffffu) != 0u || (tap & MAGNITUDE) == 0u) { return Extremes(true, false, false); }\n\tlet minus = ((pixel ^ tap) >> 31u) == 1u;\n\treturn Extremes(seen.nan, seen.up || !minus, seen.down || minus);\n}\n\n// The sum's bits by IEEE arithmetic; 0 where every pixel is finite.\nfn extreme_sum(seen: Extremes) -> u32 {\n\tif (seen.nan || (seen.up && seen.down)) { return NAN; }\n\tif (seen.up) { return EXPONENT; }\n\treturn select(0u, 0x80000000u | EXPONENT, seen.down);\n}\n\n// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// A quad of the result: where it lies and what it holds.\nstruct Place {\n\tplane: u32, // of the piece's result\n\tchannel: u32, // result channel of lane 0\n\tside: u32, // from one element's channel to the next: 1 where the kernels of a bank lie side by side\n\ty: u32,\n\tx: u32, // its first element in the row\n\tend: u32, // and the first that is none of the row: what lies from there on is room that nobody reads\n\tat: u32, // where it is written in the row with its room; a multiple of 4\n}\n\n// Values in the result's dtype, and those that do not fit it.\nstruct Stored {\n\twords: vec4u,\n\tover: vec4<bool>,\n}\n\n// Ends of the dtype OUT, of at most 16 bits.\nfn least() -> i32 {\n\treturn select(0, -(1 << ((8u << size_of(OUT)) - 1u)), is_signed(OUT));\n}\n\nfn most() -> i32 {\n\tlet bits = (8u << size_of(OUT)) - select(0u, 1u, is_signed(OUT));\n\treturn (1 << bits) - 1;\n}\n\nfn store_integers(values: vec4i) -> Stored {\n\tvar kept = values;\n\tif (OUT == U32) { kept = max(values, vec4i(0)); }\n\tif (size_of(OUT) < 2u) { kept = clamp(values, vec4i(least()), vec4i(most())); }\n\tif (params.overflow == WRAP) { return Stored(bitcast<vec4u>(values), vec4<bool>()); }\n\treturn Stored(bitcast<vec4u>(kept), kept != values);\n}\n\nfn round_whole(v: vec4f) -> vec4f {\n\tlet whole = trunc(v);\n\tswitch params.rounding {\n\t\tcase NEAREST_EVEN: { return round(v); }\n\t\tcase HALF_AWAY: { return whole + select(vec4f(), sign(v), abs(v - whole) >= vec4f(0.5f)); }\n\t\tcase FLOOR: { return floor(v); }\n\t\tdefault: { return whole; }\n\t}\n}\n\n// A whole float32 modulo 2^32; infinities give 0.\nfn whole_modulo(v: vec4f) -> vec4u {\n\tlet bits = bitcast<vec4u>(v);\n\tlet exponent = (bits & vec4u(EXPONENT)) >> vec4u(23u);\n\tlet fraction = (bits & vec4u(0x7fffffu)) | vec4u(0x800000u);\n\tlet shift = max(exponent, vec4u(150u)) - vec4u(150u);\n\tlet large = select(fraction << (shift & vec4u(31u)), vec4u(), shift >= vec4u(32u));\n\tlet magnitude = select(vec4u(abs(v)), large, exponent >= vec4u(150u));\n\treturn select(magnitude, ~magnitude + vec4u(1u), bits >> vec4u(31u) == vec4u(1u));\n}\n\n// Rounds finite float32 values to an integer dtype.\nfn store_rounded(v: vec4f) -> Stored {\n\tlet whole = round_whole(v);\n\tif (params.overflow == WRAP) { return Stored(whole_modulo(whole), vec4<bool>()); }\n\tvar low = f32(least());\n\tvar high = f32(most()) + 1.0f;\n\tif (OUT == U32) { high = 0x1p32f; }\n\tif (OUT == I32) { low = -0x1p31f; high = 0x1p31f; }\n\tlet under = whole < vec4f(low);\n\tlet above = whole >= vec4f(high);\n\tlet held = select(whole, vec4f(), under | above);\n\tvar words = bitcast<vec4u>(vec4i(held));\n\tif (OUT == U32) { words = vec4u(held); }\n\tlet last = select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n\tlet first = select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u);\n\treturn Stored(select(select(words, vec4u(last), above), vec4u(first), under), under | above);\n}\n\n// float32 bits rounded to float16 bits: nearest, ties to even.\nfn narrow_to_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits >> vec4u(16u)) & vec4u(0x8000u);\n\tlet magnitude = bits & vec4u(MAGNITUDE);\n\tlet tiny = magnitude < vec4u(0x38800000u); // below 2^-14: subnormal\n\tlet shift = select(vec4u(13u), min(vec4u(126u) - (min(magnitude, vec4u(0x38800000u)) >> vec4u(23u)), vec4u(25u)), tiny);\n\tlet value = select(magnitude - vec4u(112u << 23u), (magnitude & vec4u(0x7fffffu)) | vec4u(0x800000u), tiny);\n\tlet whole = value >> shift;\n\tlet rest = value & ((vec4u(1u) << shift) - vec4u(1u));\n\tlet half = vec4u(1u) << (shift - vec4u(1u));\n\tlet up = (rest > half) | ((rest == half) & ((whole & vec4u(1u)) == vec4u(1u)));\n\tvar rounded = whole + select(vec4u(), vec4u(1u), up); // a carry runs into the exponent and up to infinity\n\trounded = select(rounded, vec4u(0x7c00u), magnitude >= vec4u(0x47800000u)); // 2^16 and above\n\treturn sign | select(rounded, vec4u(0x7e00u), magnitude > vec4u(EXPONENT));\n}\n\n// A NaN or an infinity in an integer dtype.\nfn store_extreme(bits: u32) -> u32 {\n\tif ((bits & 0x7fffffu) != 0u || params.overflow != SATURATE) { return 0u; }\n\tif (bits >> 31u == 1u) { return select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u); }\n\treturn select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n}\n\nfn epilogue(p: Place, sums: vec4u) -> vec4u {\n\tvar scaled = sums;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tvar channel = p.channel + e * p.side;\n\t\tif (params.lanes > 1u && p.side == 0u) { channel += (p.x + e) % params.lanes; }\n\t\tlet at = 3u * channel;\n\t\tlet scale = epilogues[at];\n\t\tlet bits = sums[e];\n\t\tif (epilogues[at + 2u] != 0u) { continue; }\n\t\tif (IN >= F16 && (bits & EXPONENT) == EXPONENT) {\n\t\t\tscaled[e] = select(bits ^ (scale & 0x80000000u), NAN, (bits & 0x7fffffu) != 0u || (scale & MAGNITUDE) == 0u);\n\t\t} else {\n\t\t\tscaled[e] = bitcast<u32>(fma(bitcast<f32>(scale), bitcast<f32>(bits), bitcast<f32>(epilogues[at + 1u])));\n\t\t}\n\t}\n\treturn scaled;\n}\n\nfn in_result(p: Place, sums: vec4u) -> Stored {\n\tif (SUM == WORD) { return store_integers(bitcast<vec4i>(sums)); }\n\tif (params.plain != 0u && SUM == EXACT && OUT < F16) { return store_integers(vec4i(bitcast<vec4f>(sums))); }\n\tvar bits = sums;\n\tif (params.plain == 0u) { bits = epilogue(p, sums); }\n\tif (OUT == F32) { return Stored(bits, vec4<bool>()); }\n\tif (OUT == F16) { return Stored(narrow_to_half(bits), vec4<bool>()); }\n\tlet odd = not_finite(bits);\n\tvar stored = store_rounded(bitcast<vec4f>(select(bits, vec4u(), odd)));\n\tif (any(odd)) {\n\t\tlet extremes = vec4u(store_extreme(bits.x), store_extreme(bits.y), store_extreme(bits.z), store_extreme(bits.w));\n\t\tstored.words = select(stored.words, extremes, odd);\n\t\tstored.over = stored.over | (odd & ((bits & vec4u(0x7fffffu)) == vec4u()));\n\t}\n\treturn stored;\n}\n\n// Stores a quad.\nfn store(p: Place, sums: vec4u) {\n\tlet stored = in_result(p, sums);\n\tlet words = stored.words;\n\tif (OUT < F16 && params.overflow == THROW && any(stored.over)) {\n\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\tif (stored.over[e] && p.x + e < p.end) {\n\t\t\t\tatomicMin(&overflow_at, (p.plane * params.rows + p.y) * params.width * params.across + p.x + e);\n\t\t\t}\n\t\t}\n\t}\n\tlet at = (p.plane * params.rows + p.y) * params.out_pitch + p.at;\n\tif (size_of(OUT) == 0u) {\n\t\tlet low = words & vec4u(0xffu);\n\t\tresult[at >> 2u] = low.x | (low.y << 8u) | (low.z << 16u) | (low.w << 24u);\n\t} else if (size_of(OUT) == 1u) {\n\t\tlet low = words & vec4u(0xffffu);\n\t\tresult[at >> 1u] = low.x | (low.y << 16u);\n\t\tresult[(at >> 1u) + 1u] = low.z | (low.w << 16u);\n\t} else {\n\t\twide_result[at >> 2u] = words;\n\t}\n}\n\n// Where layer z of the dispatch is read, and where its quad goes.\nfn base_of(z: u32) -> u32 {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\treturn params.first_element + batch * params.batch_stride + (plane - batch * params.planes) * params.channel_stride;\n}\n\nfn place_of(z: u32, y: u32, x: u32) -> Place {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\tlet step = (plane - batch * params.planes) * params.kernels;\n\treturn Place(batch * params.out_planes + params.out_first + step, params.first_channel + step, 0u, y, x, params.width, x);\n}\n\n// ── end ──\n\n// ── the strip ───────────────────────────────────────────────────────────────────────────────────────────────────────────\n\noverride COLUMNS: u32 = 64u; // elements of a row of the strip, and threads\noverride CHUNK: u32 = 8u; // a multiple of 4\noverride WINDOW_QUADS: u32 = 4u; // at least params.quads\noverride BLOCK_ROWS: u32 = 16u; // at least params.tap_rows\n\noverride STAGE: u32 = COLUMNS + 4u * WINDOW_QUADS; // elements of one staged row\noverride RUNS: u32 = CHUNK * STAGE; // where the sums of runs begin\n\nvar<workgroup> staged: array<u32, 2u * RUNS>;\n// Rows of the block so far, and behind them what the block before holds of windows that reach into this one.\nvar<workgroup> block: array<u32, BLOCK_ROWS * COLUMNS>;\nvar<workgroup> sums: array<u32, CHUNK * COLUMNS>;\n\nfn add(a: u32, b: u32) -> u32 {\n\treturn plus(vec4u(a), vec4u(b)).x;\n}\n\n// Loads rows first … first + CHUNK − 1 of the reach, times the tap: what is added then stays within what a direct sum would form.\nfn load_chunk(base: u32, first: u32, left: u32, thread: u32) {\n\tlet quads = COLUMNS / 4u + params.quads;\n\tlet loads = (CHUNK * quads + COLUMNS - 1u) / COLUMNS;\n\tfor (var k = 0u; k < loads; k += 1u) {\n\t\tlet at = k * COLUMNS + thread;\n\t\tlet row = at / quads;\n\t\tlet q = at - row * quads;\n\t\tif (row < CHUNK) {\n\t\t\tlet pixels = quad(base, line_of(first + row), i32(left + 4u * q) + bitcast<i32>(params.col_shift), false);\n\t\t\tlet products = multiply_add(taps[0].x, pixels, vec4u());\n\t\t\tlet to = row * STAGE + 4u * q;\n\t\t\tstaged[to] = products.x;\n\t\t\tstaged[to + 1u] = products.y;\n\t\t\tstaged[to + 2u] = products.z;\n\t\t\tstaged[to + 3u] = products.w;\n\t\t}\n\t}\n}\n\n// An element of 4 rows.\nfn four(at: u32) -> vec4u {\n\treturn vec4u(staged[at], staged[at + STAGE], staged[at + 2u * STAGE], staged[at + 3u * STAGE]);\n}\n\n// In each of 4 rows `sum` and `count` elements more, `step` apart.\nfn sum_of(sum: vec4u, at: u32, count: u32, step: u32) -> vec4u {\n\tvar total = sum;\n\tfor (var k = 0u; k < count; k += 1u) {\n\t\ttotal = plus(total, four(at + k * step));\n\t}\n\treturn total;\n}\n\n// Sums of runs, from each element on that the windows of the strip use.\nfn sum_runs(thread: u32) {\n\tlet reach = COLUMNS + (max(params.tap_cols, 1u) - params.run) * params.lanes;\n\tlet passes = (reach + COLUMNS - 1u) / COLUMNS;\n\tfor (var k = 0u; k < passes; k += 1u) {\n\t\tlet x = k * COLUMNS + thread;\n\t\tif (x < reach) {\n\t\t\tfor (var g = 0u; g < CHUNK / 4u; g += 1u) {\n\t\t\t\tlet at = 4u * g * STAGE + x;\n\t\t\t\tlet run = sum_of(vec4u(), at + params.lead, params.run, params.lanes);\n\t\t\t\tstaged[RUNS + at] = run.x;\n\t\t\t\tstaged[RUNS + at + STAGE] = run.y;\n\t\t\t\tstaged[RUNS + at + 2u * STAGE] = run.z;\n\t\t\t\tstaged[RUNS + at + 3u * STAGE] = run.w;\n\t\t\t}\n\t\t}\n\t}\n}\n\n// The sums of one row of the window, in 4 rows: runs, which are pixels where they are of one, and what is left over.\nfn along(row: u32, column: u32) -> vec4u {\n\tlet cols = max(params.tap_cols, 1u);\n\tlet at = row * STAGE + column;\n\tlet pixels = at + params.lead;\n\tlet runs = cols / params.run;\n\tlet step = params.run * params.lanes;\n\tlet sum = sum_of(vec4u(), select(RUNS + at, pixels, params.run == 1u), runs, step);\n\treturn sum_of(sum, pixels + runs * step, cols - runs * params.run, params.lanes);\n}\n\n// Where a thread is in the block of its column.\nstruct Walk {\n\trow: u32, // of the block: the next line's\n\tprefix: u32, // the sum of the block's lines so far\n}\n\n// Rows of the finished block from the last one up, each plus all below it; row 0 is the beginning of no window but the block itself.\nfn up(column: u32, tall: u32) {\n\tvar sum = block[(tall - 1u) * COLUMNS + column];\n\tfor (var k = 2u; k < tall; k += 1u) {\n\t\tlet at = (tall - k) * COLUMNS + column;\n\t\tsum = add(block[at], sum);\n\t\tblock[at] = sum;\n\t}\n}\n\n// Takes one row sum more; the sum of the window that ends with it goes to row `to` of `sums`. The first tall − 1 of a march end none: what\n// they give, of memory that nobody wrote yet, is not stored.\nfn down(walk: Walk, line: u32, to: u32, column: u32, tall: u32) -> Walk {\n\tlet prefix = select(add(walk.prefix, line), line, walk.row == 0u);\n\tblock[walk.row * COLUMNS + column] = line;\n\tlet whole = walk.row + 1u == tall;\n\tlet next = select(walk.row + 1u, 0u, whole);\n\tsums[to * COLUMNS + column] = select(add(block[next * COLUMNS + column], prefix), prefix, whole);\n\tif (whole) { up(column, tall); }\n\treturn Walk(next, prefix);\n}\n\n// The sum of one window from the image itself, row by row; by IEEE rules where it holds a NaN or an infinity.\nfn careful_sum(base: u32, y: u32, x: u32) -> u32 {\n\tlet tap = taps[0].x;\n\tvar seen = Extremes(false, false, false);\n\tvar sum = 0u;\n\tfor (var j = 0u; j < params.tap_rows; j += 1u) {\n\t\tlet line = line_of(y + j + params.row_shift);\n\t\tvar row_sum = vec4u();\n\t\tfor (var i = 0u; i < params.tap_cols; i += 1u) {\n\t\t\tlet at = params.lead + i * params.lanes;\n\t\t\tlet pixel = in_sum(vec4u(mapped(base, line, i32(x + at) + bitcast<i32>(params.col_shift))));\n\t\t\tseen = meet(seen, pixel.x, tap);\n\t\t\trow_sum = multiply_add(tap, pixel, row_sum);\n\t\t}\n\t\tsum = add(sum, row_sum.x);\n\t}\n\tlet extreme = extreme_sum(seen);\n\treturn select(extreme, sum, extreme == 0u);\n}\n\nfn finish(z: u32, y: u32, x: u32, found: vec4u) {\n\tvar kept = found;\n\tif (IN >= F16) {\n\t\tlet odd = not_finite(kept);\n\t\tif (any(odd)) {\n\t\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\t\tif (odd[e] && x + e < params.width) { kept[e] = careful_sum(base_of(z), y, x + e); }\n\t\t\t}\n\t\t}\n\t}\n\tstore(place_of(z, y, x), kept);\n}\n\n@compute @workgroup_size(COLUMNS)\nfn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet left = COLUMNS * group.x;\n\tlet top = params.march * group.y;\n\tlet base = base_of(group.z);\n\tlet outputs = min(params.march, params.rows - top);\n\tlet tall = max(params.tap_rows, 1u);\n\tlet before = tall - 1u; // lines that end no window\n\tlet chunks = (before + outputs + CHUNK - 1u) / CHUNK;\n\tvar walk = Walk((params.block_row + top) % tall, 0u);\n\tfor (var c = 0u; c < chunks; c += 1u) {\n\t\tload_chunk(base, top + params.row_shift + c * CHUNK, left, thread);\n\t\tworkgroupBarrier();\n\t\tif (params.run > 1u) {\n\t\t\tsum_runs(thread);\n\t\t\tworkgroupBarrier();\n\t\t}\n\t\tfor (var g = 0u; g < CHUNK / 4u; g += 1u) {\n\t\t\tlet lines = along(4u * g, thread);\n\t\t\tfor (var r = 0u; r < 4u; r += 1u) {\n\t\t\t\twalk = down(walk, lines[r], 4u * g + r, thread, tall);\n\t\t\t}\n\t\t}\n\t\tworkgroupBarrier();\n\t\tlet x = 4u * (thread % (COLUMNS / 4u));\n\t\tfor (var g = 0u; g < CHUNK / 4u; g += 1u) {\n\t\t\tlet row = 4u * g + thread / (COLUMNS / 4u);\n\t\t\tlet line = c * CHUNK + row;\n\t\t\tif (line >= before && line < before + outputs && left + x < params.width) {\n\t\t\t\tlet at = row * COLUMNS + x;\n\t\t\t\tfinish(group.z, top + line - before, left + x, vec4u(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]));\n\t\t\t}\n\t\t}\n\t}\n}\n"
	},
	"checksum": {
		"hash": "121ede4b91c16d01",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"taps": {
				"binding": 1,
				"space": "uniform"
			},
			"image": {
				"binding": 2,
				"space": "storage,read"
			},
			"wide_image": {
				"binding": 3,
				"space": "storage,read"
			},
			"maps": {
				"binding": 4,
				"space": "storage,read"
			},
			"epilogues": {
				"binding": 5,
				"space": "storage,read"
			},
			"result": {
				"binding": 6,
				"space": "storage,read_write"
			},
			"wide_result": {
				"binding": 7,
				"space": "storage,read_write"
			},
			"overflow_at": {
				"binding": 8,
				"space": "storage,read_write"
			},
			"projection": {
				"binding": 9,
				"space": "uniform"
			},
			"weights": {
				"binding": 10,
				"space": "storage,read"
			},
			"projected": {
				"binding": 11,
				"space": "storage,read_write"
			},
			"peaks": {
				"binding": 12,
				"space": "storage,read_write"
			},
			"comparison": {
				"binding": 13,
				"space": "uniform"
			},
			"image_sums": {
				"binding": 14,
				"space": "storage,read"
			},
			"result_sums": {
				"binding": 15,
				"space": "storage,read"
			},
			"tables": {
				"binding": 16,
				"space": "storage,read"
			},
			"known_peaks": {
				"binding": 17,
				"space": "storage,read"
			},
			"found": {
				"binding": 18,
				"space": "storage,read_write"
			}
		},
		"entries": {
			"project": [
				"image",
				"maps",
				"projection",
				"weights",
				"projected",
				"peaks"
			],
			"compare": [
				"comparison",
				"image_sums",
				"result_sums",
				"tables",
				"known_peaks",
				"found"
			]
		},
		"uniforms": {
			"params": {
				"width": 0,
				"rows": 1,
				"out_pitch": 2,
				"first_plane": 3,
				"planes": 4,
				"out_planes": 5,
				"out_first": 6,
				"kernels": 7,
				"first_channel": 8,
				"first_element": 9,
				"batch_stride": 10,
				"channel_stride": 11,
				"row_pitch": 12,
				"aligned": 13,
				"row_count": 14,
				"col_count": 15,
				"row_shift": 16,
				"col_shift": 17,
				"row_begin": 18,
				"row_end": 19,
				"row_origin": 20,
				"col_begin": 21,
				"col_end": 22,
				"col_origin": 23,
				"fill": 24,
				"overflow": 25,
				"rounding": 26,
				"tap_rows": 27,
				"tap_cols": 28,
				"quads": 29,
				"lead": 30,
				"lanes": 31,
				"plain": 32,
				"march": 33,
				"run": 34,
				"block_row": 35,
				"bank": 36,
				"bundle": 37,
				"chunks": 38,
				"across": 39,
				"spread": 40
			},
			"projection": {
				"count": 0,
				"columns": 1,
				"tap_rows": 2,
				"blocks": 3,
				"block_length": 4,
				"height": 5,
				"planes": 6,
				"row_shift": 7,
				"row_step": 8,
				"row_apart": 9,
				"col_shift": 10,
				"first_element": 11,
				"batch_stride": 12,
				"channel_stride": 13,
				"fill": 14,
				"centre": 15,
				"measured": 16
			},
			"comparison": {
				"count": 0,
				"columns": 1,
				"width": 2,
				"blocks": 3,
				"planes": 4,
				"tap_rows": 5,
				"tap_cols": 6,
				"col_step": 7,
				"col_apart": 8,
				"taps_at": 9,
				"channels_at": 10,
				"totals_at": 11,
				"first_channel": 12,
				"kernels": 13,
				"unused_bits": 14,
				"room": 15
			}
		},
		"overrides": [
			"IN",
			"OUT",
			"SUM",
			"WORKGROUP",
			"SAMPLES"
		],
		"constants": [
			"TAP_QUADS",
			"REAL",
			"EXACT",
			"WORD",
			"U32",
			"I32",
			"F16",
			"F32",
			"SATURATE",
			"WRAP",
			"THROW",
			"NEAREST_EVEN",
			"HALF_AWAY",
			"TRUNCATE",
			"FLOOR",
			"OUTSIDE",
			"EXPONENT",
			"MAGNITUDE",
			"NAN",
			"HEAD",
			"SUSPECT_WORDS"
		],
		"text": "// The sums of `verify: 'checksum'`: every pixel of a result against the image, without a pixel leaving the device. The scheme is that of\n// src/core/checksum-scheme.ts, the sums are those of src/core/checksum-sums.ts, in float32 (SUM = REAL) or modulo 2^32 (WORD).\n//\n//   project   rows of an image or of a result -> their weighted sums, SAMPLES of a block, for each column, and for each tap row of the window\n//   compare   the window over the image's sums, scale and bias -> against the result's sums; what differs is noted\n//\n// A thread of `project` walks down the rows of one block in one column under one tap row and keeps all samples in registers, so a pixel is read\n// once for each tap row. A result is projected as an image under a window of one tap. Neighbouring threads have neighbouring columns.\n// Sums over a pixel that is NaN or infinite are stored as NaN, and sums that are not finite always count as different.\n\n// ── begin: a copy of common.wgsl, made by scripts/shaders.mjs; edit it there ──\n\n// What the tiled shaders share: how pixels are loaded and results stored. A thread works on quads: 4 elements side by side in a row.\n//\n// Rows are rows of memory: planar images have one plane a channel and one lane; where channels lie side by side a row is all of\n// them and taps are `lanes` elements apart. Input rows are whole quads where `aligned`, output rows always: in every dtype a quad is\n// whole 32-bit words that nobody else writes. A position of the window's reach finds its source through the index maps, but for\n// quads wholly inside the image, which are loaded at once.\n//\n// A quad in registers is 4 words of the sum's type: float32 bits (SUM = REAL), integers that float32 holds exactly (EXACT: every\n// partial sum is below 2^24) or integers modulo 2^32 (WORD), which are only ever stored plain. What is NaN or infinite is decided on bits: a WGSL compiler may\n// assume that neither occurs. A sum over a non-finite pixel is itself not finite, because taps are never known when compiling.\n\n// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 5 are integers of at most 32 bits, unsigned ones even; 8 and 9 are floats.\noverride IN: u32 = 9u;\noverride OUT: u32 = 9u;\noverride SUM: u32 = 0u;\n// Quads of `taps`, at least as many as are read.\nconst TAP_QUADS = 16u;\n\nconst REAL = 0u;\nconst EXACT = 1u;\nconst WORD = 2u;\n\nconst U32 = 4u;\nconst I32 = 5u;\nconst F16 = 8u;\nconst F32 = 9u;\n\nconst SATURATE = 0u;\nconst WRAP = 1u;\nconst THROW = 2u;\n\nconst NEAREST_EVEN = 0u;\nconst HALF_AWAY = 1u;\nconst TRUNCATE = 2u;\nconst FLOOR = 3u;\n\nconst OUTSIDE = 0xffffffffu;\nconst EXPONENT = 0x7f800000u;\nconst MAGNITUDE = 0x7fffffffu;\nconst NAN = 0x7fc00000u;\n\nstruct Params {\n\twidth: u32, // output elements of a row, for each kernel\n\trows: u32, // rows of an output plane\n\tout_pitch: u32, // elements from one output row to the next: a multiple of 4\n\tfirst_plane: u32, // plane of the dispatch's first layer\n\tplanes: u32, // planes of one image of the batch that this kernel of the bank computes\n\tout_planes: u32, // planes of one image of the piece's result\n\tout_first: u32, // and which of them plane 0 gives; the next is `kernels` further\n\tkernels: u32,\n\tfirst_channel: u32, // result channel of plane 0\n\tfirst_element: u32, // element of the image at row 0, column 0 of plane 0\n\tbatch_stride: u32, // of the image, in elements\n\tchannel_stride: u32,\n\trow_pitch: u32,\n\taligned: u32, // 1: every input row begins on a whole quad\n\trow_count: u32, // entries of the rows' map; the columns' follows in `maps`\n\tcol_count: u32,\n\trow_shift: u32, // map entry under window row 0 of output row 0; and column, which may be negative (two's complement)\n\tcol_shift: u32,\n\trow_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)\n\trow_end: u32,\n\trow_origin: u32,\n\tcol_begin: u32, // the same in elements\n\tcol_end: u32,\n\tcol_origin: u32,\n\tfill: u32, // what lies outside, as loaded\n\toverflow: u32,\n\trounding: u32,\n\ttap_rows: u32, // of the window; 0: every tap is zero\n\ttap_cols: u32,\n\tquads: u32, // quads of a row of taps\n\tlead: u32, // zero taps in front of each row\n\tlanes: u32, // elements from a tap to the next: channels side by side\n\tplain: u32, // 1: every channel is stored with scale 1 and bias 0\n\tmarch: u32, // output rows of one workgroup, where it walks down the image\n\trun: u32, // box.wgsl: neighbours in a row that are summed first\n\tblock_row: u32, // box.wgsl: row of its block of tap_rows rows on which the window of output row 0 begins\n\tbank: u32, // tiled.wgsl: kernels of the dispatch\n\tbundle: u32, // groups of them that a thread computes one after the other\n\tchunks: u32, // layers of the dispatch for a plane: each has `bundle` groups\n\tacross: u32, // results of an element that lie side by side: the kernels of a bank into channels side by side; elsewhere 1\n\tspread: u32, // the same in whole quads, as they are written\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<uniform> taps: array<vec4u, TAP_QUADS>;\n@group(0) @binding(2) var<storage, read> image: array<u32>;\n@group(0) @binding(3) var<storage, read> wide_image: array<vec4u>; // the same memory, for elements of 4 bytes\n@group(0) @binding(4) var<storage, read> maps: array<u32>;\n@group(0) @binding(5) var<storage, read> epilogues: array<u32>; // scale, bias, plain: one triple a result channel\n@group(0) @binding(6) var<storage, read_write> result: array<u32>; // for elements of 1 and 2 bytes\n@group(0) @binding(7) var<storage, read_write> wide_result: array<vec4u>; // for elements of 4\n// Lowest element that does not fit under 'throw'.\n@group(0) @binding(8) var<storage, read_write> overflow_at: atomic<u32>;\n\n// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn is_signed(dtype: u32) -> bool {\n\treturn dtype < F16 && (dtype & 1u) == 1u;\n}\n\n// log2 of the bytes of an element.\nfn size_of(dtype: u32) -> u32 {\n\treturn select(dtype - 7u, dtype >> 1u, dtype < F16);\n}\n\n// float16 bits as float32 bits; NaN and infinity stay what they are.\nfn widen_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits & vec4u(0x8000u)) << vec4u(16u);\n\tlet magnitude = bits & vec4u(0x7fffu);\n\t// the exponent's bias differs by 112, that of infinity by twice that; a subnormal is taken as 2^-14·(1 + …), less 2^-14\n\tlet shifted = (magnitude << vec4u(13u)) + select(vec4u(112u << 23u), vec4u(224u << 23u), magnitude >= vec4u(0x7c00u));\n\tlet subnormal = bitcast<vec4u>(bitcast<vec4f>(shifted + vec4u(1u << 23u)) - vec4f(0x1p-14f));\n\treturn sign | select(shifted, subnormal, magnitude < vec4u(0x400u));\n}\n\n// Loaded elements, integers extended to 32 bits, in the sum's type.\nfn in_sum(raw: vec4u) -> vec4u {\n\tif (SUM == WORD || IN == F32) { return raw; }\n\tif (IN == F16) { return widen_half(raw); }\n\tif (is_signed(IN)) { return bitcast<vec4u>(vec4f(bitcast<vec4i>(raw))); }\n\treturn bitcast<vec4u>(vec4f(raw));\n}\n\nfn extract(word: u32, shift: u32, bits: u32) -> u32 {\n\tif (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, bits)); }\n\treturn extractBits(word, shift, bits);\n}\n\nfn element(at: u32) -> u32 {\n\tif (size_of(IN) == 0u) { return extract(image[at >> 2u], (at & 3u) * 8u, 8u); }\n\tif (size_of(IN) == 1u) { return extract(image[at >> 1u], (at & 1u) * 16u, 16u); }\n\treturn image[at];\n}\n\n// The quad that begins at a multiple of 4 elements.\nfn whole_quad(at: u32) -> vec4u {\n\tif (size_of(IN) == 0u) {\n\t\tlet word = image[at >> 2u];\n\t\treturn in_sum(vec4u(extract(word, 0u, 8u), extract(word, 8u, 8u), extract(word, 16u, 8u), extract(word, 24u, 8u)));\n\t}\n\tif (size_of(IN) == 1u) {\n\t\tlet low = image[at >> 1u];\n\t\tlet high = image[(at >> 1u) + 1u];\n\t\treturn in_sum(vec4u(extract(low, 0u, 16u), extract(low, 16u, 16u), extract(high, 0u, 16u), extract(high, 16u, 16u)));\n\t}\n\treturn in_sum(wide_image[at >> 2u]);\n}\n\n// Where the source row of a position begins in its plane, or OUTSIDE.\nfn line_of(row: u32) -> u32 {\n\tif (row >= params.row_begin && row < params.row_end) { return params.row_origin + row * params.row_pitch; }\n\tif (row >= params.row_count) { return OUTSIDE; } // below the last row: nobody uses it\n\treturn maps[row];\n}\n\n// The element at a position; positions beyond the map lie under zero taps only.\nfn mapped(base: u32, line: u32, col: i32) -> u32 {\n\tif (line == OUTSIDE || col < 0 || col >= i32(params.col_count)) { return params.fill; }\n\tlet at = maps[params.row_count + u32(col)];\n\tif (at == OUTSIDE) { return params.fill; }\n\treturn element(base + line + at);\n}\n\n// Every quad from col to col + 4·quads lies inside the image, where addresses are linear.\nfn inside(col: i32, quads: u32) -> bool {\n\treturn col >= i32(params.col_begin) && col + 4 * i32(quads) <= i32(params.col_end);\n}\n\n// 4 positions of a row from `col` on. @param direct no position needs the map, and the quad is whole\nfn quad(base: u32, line: u32, col: i32, direct: bool) -> vec4u {\n\tlet at = base + line + params.col_origin + u32(col);\n\tif (direct || (params.aligned != 0u && line != OUTSIDE && inside(col, 1u))) { return whole_quad(at); }\n\tlet linear = line != OUTSIDE && inside(col, 1u);\n\tvar raw: vec4u;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tif (linear) {\n\t\t\traw[e] = element(at + e);\n\t\t} else {\n\t\t\traw[e] = mapped(base, line, col + i32(e));\n\t\t}\n\t}\n\treturn in_sum(raw);\n}\n\n// ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn multiply_add(tap: u32, pixels: vec4u, sums: vec4u) -> vec4u {\n\tif (SUM == WORD) { return tap * pixels + sums; }\n\treturn bitcast<vec4u>(fma(vec4f(bitcast<f32>(tap)), bitcast<vec4f>(pixels), bitcast<vec4f>(sums)));\n}\n\nfn plus(a: vec4u, b: vec4u) -> vec4u {\n\tif (SUM == WORD) { return a + b; }\n\treturn bitcast<vec4u>(bitcast<vec4f>(a) + bitcast<vec4f>(b));\n}\n\nfn not_finite(bits: vec4u) -> vec4<bool> {\n\treturn (bits & vec4u(EXPONENT)) == vec4u(EXPONENT);\n}\n\n// What the non-finite pixels of a window add up to.\nstruct Extremes {\n\tnan: bool,\n\tup: bool, // an infinity of this sign\n\tdown: bool,\n}\n\nfn meet(seen: Extremes, pixel: u32, tap: u32) -> Extremes {\n\tif ((pixel & EXPONENT) != EXPONENT) { return seen; }\n\tif ((pixel & 0x7fffffu) != 0u || (tap & MAGNITUDE) == 0u) { return Extremes(true, false, false); }\n\tlet minus = ((pixel ^ tap) >> 31u) == 1u;\n\treturn Extremes(seen.nan, seen.up || !minus, seen.down || minus);\n}\n\n// The sum's bits by IEEE arithmetic; 0 where every pixel is finite.\nfn extreme_sum(seen: Extremes) -> u32 {\n\tif (seen.nan || (seen.up && seen.down)) { return NAN; }\n\tif (seen.up) { return EXPONENT; }\n\treturn select(0u, 0x80000000u | EXPONENT, seen.down);\n}\n\n// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// A quad of the result: where it lies and what it holds.\nstruct Place {\n\tplane: u32, // of the piece's result\n\tchannel: u32, // result channel of lane 0\n\tside: u32, // from one element's channel to the next: 1 where the kernels of a bank lie side by side\n\ty: u32,\n\tx: u32, // its first element in the row\n\tend: u32, // and the first that is none of the row: what lies from there on is room that nobody reads\n\tat: u32, // where it is written in the row with its room; a multiple of 4\n}\n\n// Values in the result's dtype, and those that do not fit it.\nstruct Stored {\n\twords: vec4u,\n\tover: vec4<bool>,\n}\n\n// Ends of the dtype OUT, of at most 16 bits.\nfn least() -> i32 {\n\treturn select(0, -(1 << ((8u << size_of(OUT)) - 1u)), is_signed(OUT));\n}\n\nfn most() -> i32 {\n\tlet bits = (8u << size_of(OUT)) - select(0u, 1u, is_signed(OUT));\n\treturn (1 << bits) - 1;\n}\n\nfn store_integers(values: vec4i) -> Stored {\n\tvar kept = values;\n\tif (OUT == U32) { kept = max(values, vec4i(0)); }\n\tif (size_of(OUT) < 2u) { kept = clamp(values, vec4i(least()), vec4i(most())); }\n\tif (params.overflow == WRAP) { return Stored(bitcast<vec4u>(values), vec4<bool>()); }\n\treturn Stored(bitcast<vec4u>(kept), kept != values);\n}\n\nfn round_whole(v: vec4f) -> vec4f {\n\tlet whole = trunc(v);\n\tswitch params.rounding {\n\t\tcase NEAREST_EVEN: { return round(v); }\n\t\tcase HALF_AWAY: { return whole + select(vec4f(), sign(v), abs(v - whole) >= vec4f(0.5f)); }\n\t\tcase FLOOR: { return floor(v); }\n\t\tdefault: { return whole; }\n\t}\n}\n\n// A whole float32 modulo 2^32; infinities give 0.\nfn whole_modulo(v: vec4f) -> vec4u {\n\tlet bits = bitcast<vec4u>(v);\n\tlet exponent = (bits & vec4u(EXPONENT)) >> vec4u(23u);\n\tlet fraction = (bits & vec4u(0x7fffffu)) | vec4u(0x800000u);\n\tlet shift = max(exponent, vec4u(150u)) - vec4u(150u);\n\tlet large = select(fraction << (shift & vec4u(31u)), vec4u(), shift >= vec4u(32u));\n\tlet magnitude = select(vec4u(abs(v)), large, exponent >= vec4u(150u));\n\treturn select(magnitude, ~magnitude + vec4u(1u), bits >> vec4u(31u) == vec4u(1u));\n}\n\n// Rounds finite float32 values to an integer dtype.\nfn store_rounded(v: vec4f) -> Stored {\n\tlet whole = round_whole(v);\n\tif (params.overflow == WRAP) { return Stored(whole_modulo(whole), vec4<bool>()); }\n\tvar low = f32(least());\n\tvar high = f32(most()) + 1.0f;\n\tif (OUT == U32) { high = 0x1p32f; }\n\tif (OUT == I32) { low = -0x1p31f; high = 0x1p31f; }\n\tlet under = whole < vec4f(low);\n\tlet above = whole >= vec4f(high);\n\tlet held = select(whole, vec4f(), under | above);\n\tvar words = bitcast<vec4u>(vec4i(held));\n\tif (OUT == U32) { words = vec4u(held); }\n\tlet last = select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n\tlet first = select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u);\n\treturn Stored(select(select(words, vec4u(last), above), vec4u(first), under), under | above);\n}\n\n// float32 bits rounded to float16 bits: nearest, ties to even.\nfn narrow_to_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits >> vec4u(16u)) & vec4u(0x8000u);\n\tlet magnitude = bits & vec4u(MAGNITUDE);\n\tlet tiny = magnitude < vec4u(0x38800000u); // below 2^-14: subnormal\n\tlet shift = select(vec4u(13u), min(vec4u(126u) - (min(magnitude, vec4u(0x38800000u)) >> vec4u(23u)), vec4u(25u)), tiny);\n\tlet value = select(magnitude - vec4u(112u << 23u), (magnitude & vec4u(0x7fffffu)) | vec4u(0x800000u), tiny);\n\tlet whole = value >> shift;\n\tlet rest = value & ((vec4u(1u) << shift) - vec4u(1u));\n\tlet half = vec4u(1u) << (shift - vec4u(1u));\n\tlet up = (rest > half) | ((rest == half) & ((whole & vec4u(1u)) == vec4u(1u)));\n\tvar rounded = whole + select(vec4u(), vec4u(1u), up); // a carry runs into the exponent and up to infinity\n\trounded = select(rounded, vec4u(0x7c00u), magnitude >= vec4u(0x47800000u)); // 2^16 and above\n\treturn sign | select(rounded, vec4u(0x7e00u), magnitude > vec4u(EXPONENT));\n}\n\n// A NaN or an infinity in an integer dtype.\nfn store_extreme(bits: u32) -> u32 {\n\tif ((bits & 0x7fffffu) != 0u || params.overflow != SATURATE) { return 0u; }\n\tif (bits >> 31u == 1u) { return select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u); }\n\treturn select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n}\n\nfn epilogue(p: Place, sums: vec4u) -> vec4u {\n\tvar scaled = sums;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tvar channel = p.channel + e * p.side;\n\t\tif (params.lanes > 1u && p.side == 0u) { channel += (p.x + e) % params.lanes; }\n\t\tlet at = 3u * channel;\n\t\tlet scale = epilogues[at];\n\t\tlet bits = sums[e];\n\t\tif (epilogues[at + 2u] != 0u) { continue; }\n\t\tif (IN >= F16 && (bits & EXPONENT) == EXPONENT) {\n\t\t\tscaled[e] = select(bits ^ (scale & 0x80000000u), NAN, (bits & 0x7fffffu) != 0u || (scale & MAGNITUDE) == 0u);\n\t\t} else {\n\t\t\tscaled[e] = bitcast<u32>(fma(bitcast<f32>(scale), bitcast<f32>(bits), bitcast<f32>(epilogues[at + 1u])));\n\t\t}\n\t}\n\treturn scaled;\n}\n\nfn in_result(p: Place, sums: vec4u) -> Stored {\n\tif (SUM == WORD) { return store_integers(bitcast<vec4i>(sums)); }\n\tif (params.plain != 0u && SUM == EXACT && OUT < F16) { return store_integers(vec4i(bitcast<vec4f>(sums))); }\n\tvar bits = sums;\n\tif (params.plain == 0u) { bits = epilogue(p, sums); }\n\tif (OUT == F32) { return Stored(bits, vec4<bool>()); }\n\tif (OUT == F16) { return Stored(narrow_to_half(bits), vec4<bool>()); }\n\tlet odd = not_finite(bits);\n\tvar stored = store_rounded(bitcast<vec4f>(select(bits, vec4u(), odd)));\n\tif (any(odd)) {\n\t\tlet extremes = vec4u(store_extreme(bits.x), store_extreme(bits.y), store_extreme(bits.z), store_extreme(bits.w));\n\t\tstored.words = select(stored.words, extremes, odd);\n\t\tstored.over = stored.over | (odd & ((bits & vec4u(0x7fffffu)) == vec4u()));\n\t}\n\treturn stored;\n}\n\n// Stores a quad.\nfn store(p: Place, sums: vec4u) {\n\tlet stored = in_result(p, sums);\n\tlet words = stored.words;\n\tif (OUT < F16 && params.overflow == THROW && any(stored.over)) {\n\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\tif (stored.over[e] && p.x + e < p.end) {\n\t\t\t\tatomicMin(&overflow_at, (p.plane * params.rows + p.y) * params.width * params.across + p.x + e);\n\t\t\t}\n\t\t}\n\t}\n\tlet at = (p.plane * params.rows + p.y) * params.out_pitch + p.at;\n\tif (size_of(OUT) == 0u) {\n\t\tlet low = words & vec4u(0xffu);\n\t\tresult[at >> 2u] = low.x | (low.y << 8u) | (low.z << 16u) | (low.w << 24u);\n\t} else if (size_of(OUT) == 1u) {\n\t\tlet low = words & vec4u(0xffffu);\n\t\tresult[at >> 1u] = low.x | (low.y << 16u);\n\t\tresult[(at >> 1u) + 1u] = low.z | (low.w << 16u);\n\t} else {\n\t\twide_result[at >> 2u] = words;\n\t}\n}\n\n// Where layer z of the dispatch is read, and where its quad goes.\nfn base_of(z: u32) -> u32 {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\treturn params.first_element + batch * params.batch_stride + (plane - batch * params.planes) * params.channel_stride;\n}\n\nfn place_of(z: u32, y: u32, x: u32) -> Place {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\tlet step = (plane - batch * params.planes) * params.kernels;\n\treturn Place(batch * params.out_planes + params.out_first + step, params.first_channel + step, 0u, y, x, params.width, x);\n}\n\n// ── end ──\n\noverride WORKGROUP: u32 = 64u;\n// Sums that a row takes part in: 32 of WORDs, 2 of REALs.\noverride SAMPLES: u32 = 2u;\n\nstruct Projection {\n\tcount: u32, // threads: columns x tap_rows x blocks x planes\n\tcolumns: u32,\n\ttap_rows: u32,\n\tblocks: u32,\n\tblock_length: u32, // result rows from a block to the next\n\theight: u32, // result rows\n\tplanes: u32, // of one image of the batch\n\trow_shift: u32, // map entry under tap row 0 of result row 0\n\trow_step: u32, // entries from a result row to the next, and from a tap row to the next\n\trow_apart: u32,\n\tcol_shift: u32, // map entry of column 0\n\tfirst_element: u32, // of plane 0\n\tbatch_stride: u32,\n\tchannel_stride: u32, // from a plane to the next\n\tfill: u32, // what lies outside, as loaded\n\tcentre: f32, // added to each pixel\n\tmeasured: u32, // 1: `peaks` is wanted\n}\n\nstruct Comparison {\n\tcount: u32, // threads: columns x SAMPLES x blocks x planes\n\tcolumns: u32, // of the result\n\twidth: u32, // columns of the image's sums\n\tblocks: u32,\n\tplanes: u32, // of one image of the batch\n\ttap_rows: u32,\n\ttap_cols: u32,\n\tcol_step: u32, // columns from a result column to the next, and from a tap to the next\n\tcol_apart: u32,\n\ttaps_at: u32, // the window's taps in `tables`\n\tchannels_at: u32, // scale, bias, slope and offset of result channel 0 of the piece\n\ttotals_at: u32, // sums of weights, SAMPLES a block\n\tfirst_channel: u32, // result channel of plane 0, within the piece; the next is `kernels` further\n\tkernels: u32,\n\tunused_bits: u32, // above those of the result's dtype\n\troom: u32, // for suspects\n}\n\n@group(0) @binding(9) var<uniform> projection: Projection;\n@group(0) @binding(10) var<storage, read> weights: array<u32>; // a row of a block: SAMPLES bits, or SAMPLES float32\n@group(0) @binding(11) var<storage, read_write> projected: array<u32>; // [plane][block][tap row][sample][column]\n@group(0) @binding(12) var<storage, read_write> peaks: array<atomic<u32>>; // largest finite |pixel| of [plane][block], as bits\n@group(0) @binding(13) var<uniform> comparison: Comparison;\n@group(0) @binding(14) var<storage, read> image_sums: array<u32>;\n@group(0) @binding(15) var<storage, read> result_sums: array<u32>;\n@group(0) @binding(16) var<storage, read> tables: array<u32>;\n@group(0) @binding(17) var<storage, read> known_peaks: array<u32>;\n// How many sums differ; largest share of a threshold, and largest threshold, as bits; a spare word; four words a suspect.\n@group(0) @binding(18) var<storage, read_write> found: array<atomic<u32>>;\n\nconst HEAD = 4u;\nconst SUSPECT_WORDS = 4u;\n\n// ── project ─────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// The pixel in a result row's line and a column, as loaded.\nfn shown(base: u32, line: u32, col: u32) -> u32 {\n\tif (line == OUTSIDE || col == OUTSIDE) { return projection.fill; }\n\treturn element(base + line + col);\n}\n\n// Result rows of a block and where they lie: row first + o has the weights o.\nstruct Walk {\n\tfirst: i32,\n\tbegin: u32,\n\tend: u32,\n\tbase: u32,\n\tmap: u32, // entry of result row 0\n\tcol: u32,\n}\n\nfn project_words(walk: Walk, at: u32) {\n\tvar sums: array<vec4u, 8>;\n\tfor (var y = walk.begin; y < walk.end; y += 1u) {\n\t\tlet pixel = shown(walk.base, maps[walk.map + y * projection.row_step], walk.col);\n\t\tlet mask = weights[u32(i32(y) - walk.first)];\n\t\tfor (var q = 0u; q < 8u; q += 1u) {\n\t\t\tsums[q] += pixel * ((vec4u(mask) >> (vec4u(4u * q) + vec4u(0u, 1u, 2u, 3u))) & vec4u(1u));\n\t\t}\n\t}\n\tfor (var k = 0u; k < 32u; k += 1u) { projected[at + k * projection.columns] = sums[k >> 2u][k & 3u]; }\n}\n\nfn project_reals(walk: Walk, at: u32, block: u32) {\n\tvar sums: vec2f;\n\tvar odd = false;\n\tvar peak = 0u;\n\tfor (var y = walk.begin; y < walk.end; y += 1u) {\n\t\tlet bits = in_sum(vec4u(shown(walk.base, maps[walk.map + y * projection.row_step], walk.col))).x;\n\t\tif ((bits & EXPONENT) == EXPONENT) {\n\t\t\todd = true;\n\t\t\tcontinue;\n\t\t}\n\t\tpeak = max(peak, bits & MAGNITUDE);\n\t\tlet o = 2u * u32(i32(y) - walk.first);\n\t\tlet pair = vec2f(bitcast<f32>(weights[o]), bitcast<f32>(weights[o + 1u]));\n\t\tsums = fma(pair, vec2f(bitcast<f32>(bits) + projection.centre), sums);\n\t}\n\tlet words = select(bitcast<vec2u>(sums), vec2u(NAN), vec2<bool>(odd));\n\tprojected[at] = words.x;\n\tprojected[at + projection.columns] = words.y;\n\tif (projection.measured != 0u && peak > atomicLoad(&peaks[block])) { atomicMax(&peaks[block], peak); }\n}\n\n@compute @workgroup_size(WORKGROUP)\nfn project(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {\n\tlet thread = id.y * groups.x * WORKGROUP + id.x;\n\tif (thread >= projection.count) { return; }\n\tlet line = thread / projection.columns;\n\tlet col = thread - line * projection.columns;\n\tlet block = line / projection.tap_rows; // of all planes\n\tlet tap_row = line - block * projection.tap_rows;\n\tlet plane = block / projection.blocks;\n\tlet batch = plane / projection.planes;\n\tlet first = i32((block - plane * projection.blocks) * projection.block_length) - i32(SAMPLES - 1u);\n\tlet end = min(u32(first + i32(projection.block_length + SAMPLES - 1u)), projection.height);\n\tlet base = projection.first_element + batch * projection.batch_stride + (plane - batch * projection.planes) * projection.channel_stride;\n\tlet map = projection.row_shift + tap_row * projection.row_apart;\n\tlet walk = Walk(first, u32(max(first, 0)), end, base, map, maps[projection.col_shift + col]);\n\tlet at = line * SAMPLES * projection.columns + col;\n\tif (SUM == WORD) {\n\t\tproject_words(walk, at);\n\t} else {\n\t\tproject_reals(walk, at, block);\n\t}\n}\n\n// ── compare ─────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn suspect(batch: u32, channel: u32, x: u32, sample: u32) {\n\tlet index = atomicAdd(&found[0], 1u);\n\tif (index >= comparison.room) { return; }\n\tlet at = HEAD + SUSPECT_WORDS * index;\n\tatomicStore(&found[at], batch);\n\tatomicStore(&found[at + 1u], channel);\n\tatomicStore(&found[at + 2u], x);\n\tatomicStore(&found[at + 3u], sample);\n}\n\n// The window over the image's sums, modulo 2^32. @param at of its first tap\nfn expected_word(at: u32) -> u32 {\n\tvar sum = 0u;\n\tfor (var j = 0u; j < comparison.tap_rows; j += 1u) {\n\t\tlet line = at + j * SAMPLES * comparison.width;\n\t\tfor (var i = 0u; i < comparison.tap_cols; i += 1u) {\n\t\t\tsum += tables[comparison.taps_at + j * comparison.tap_cols + i] * image_sums[line + i * comparison.col_apart];\n\t\t}\n\t}\n\treturn sum;\n}\n\n// The same in float32, each row first, then the rows; NaN where a sum is not finite.\nfn expected_real(at: u32) -> u32 {\n\tvar sum = 0f;\n\tvar odd = false;\n\tfor (var j = 0u; j < comparison.tap_rows; j += 1u) {\n\t\tlet line = at + j * SAMPLES * comparison.width;\n\t\tvar row = 0f;\n\t\tfor (var i = 0u; i < comparison.tap_cols; i += 1u) {\n\t\t\tlet bits = image_sums[line + i * comparison.col_apart];\n\t\t\todd = odd || (bits & EXPONENT) == EXPONENT;\n\t\t\trow = fma(bitcast<f32>(tables[comparison.taps_at + j * comparison.tap_cols + i]), bitcast<f32>(bits), row);\n\t\t}\n\t\tsum += row;\n\t}\n\treturn select(bitcast<u32>(sum), NAN, odd);\n}\n\nfn finite(bits: u32) -> bool {\n\treturn (bits & EXPONENT) != EXPONENT;\n}\n\n// True where float32 sums are equal within the threshold of their block; keeps the largest share and threshold.\nfn agree(expected: u32, actual: u32, channel: u32, block: u32, total: f32) -> bool {\n\tlet own = comparison.channels_at + 4u * channel;\n\tlet limit = bitcast<u32>(fma(bitcast<f32>(tables[own + 2u]), bitcast<f32>(known_peaks[block]), bitcast<f32>(tables[own + 3u])));\n\tif (!finite(limit)) { return false; }\n\tif (limit > atomicLoad(&found[2])) { atomicMax(&found[2], limit); }\n\tif (!finite(expected) || !finite(actual)) { return false; }\n\tlet shift = fma(bitcast<f32>(tables[own + 1u]), total, -bitcast<f32>(actual));\n\tlet apart = bitcast<u32>(abs(fma(bitcast<f32>(tables[own]), bitcast<f32>(expected), shift)));\n\tif (!finite(apart) || apart > limit) { return false; }\n\tlet share = bitcast<u32>(bitcast<f32>(apart) / bitcast<f32>(limit));\n\tif (apart > 0u && share > atomicLoad(&found[1])) { atomicMax(&found[1], share); }\n\treturn true;\n}\n\n@compute @workgroup_size(WORKGROUP)\nfn compare(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {\n\tlet thread = id.y * groups.x * WORKGROUP + id.x;\n\tif (thread >= comparison.count) { return; }\n\tlet line = thread / comparison.columns; // of result sums: [plane][block][sample]\n\tlet x = thread - line * comparison.columns;\n\tlet block = line / SAMPLES; // of all planes\n\tlet k = line - block * SAMPLES;\n\tlet plane = block / comparison.blocks;\n\tlet batch = plane / comparison.planes;\n\tlet channel = comparison.first_channel + (plane - batch * comparison.planes) * comparison.kernels;\n\tlet at = (block * comparison.tap_rows * SAMPLES + k) * comparison.width + x * comparison.col_step;\n\tlet sample = line - plane * comparison.blocks * SAMPLES;\n\tlet actual = result_sums[thread];\n\tif (SUM == WORD) {\n\t\tif (((expected_word(at) - actual) << comparison.unused_bits) != 0u) { suspect(batch, channel, x, sample); }\n\t} else {\n\t\tlet total = bitcast<f32>(tables[comparison.totals_at + sample]);\n\t\tif (!agree(expected_real(at), actual, channel, block, total)) { suspect(batch, channel, x, sample); }\n\t}\n}\n"
	},
	"compact": {
		"hash": "8d9c58dda93bcafb",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"padded": {
				"binding": 1,
				"space": "storage,read"
			},
			"packed": {
				"binding": 2,
				"space": "storage,read_write"
			}
		},
		"entries": {
			"main": [
				"params",
				"padded",
				"packed"
			]
		},
		"uniforms": {
			"params": {
				"row_bytes": 0,
				"pitch_bytes": 1,
				"rows": 2
			}
		},
		"overrides": [
			"WORKGROUP"
		],
		"constants": [],
		"text": "// Takes out the room between rows: results whose rows are no whole quads are computed into rows that are, then packed by this.\n//\n// One thread writes one word of the target, byte by byte: neighbours read neighbouring words, so the cache serves all but the first.\n\noverride WORKGROUP: u32 = 64u;\n\nstruct Params {\n\trow_bytes: u32,\n\tpitch_bytes: u32, // from one row of the source to the next; a multiple of 4\n\trows: u32,\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<storage, read> padded: array<u32>;\n@group(0) @binding(2) var<storage, read_write> packed: array<u32>;\n\n@compute @workgroup_size(WORKGROUP)\nfn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {\n\tlet at = id.y * groups.x * WORKGROUP + id.x;\n\tlet first = 4u * at;\n\tif (first >= params.rows * params.row_bytes) { return; }\n\tvar row = first / params.row_bytes;\n\tvar col = first - row * params.row_bytes;\n\tvar word = 0u;\n\tfor (var k = 0u; k < 4u; k += 1u) {\n\t\tif (row < params.rows) {\n\t\t\tlet source = row * params.pitch_bytes + col;\n\t\t\tword |= extractBits(padded[source >> 2u], (source & 3u) * 8u, 8u) << (8u * k);\n\t\t}\n\t\tcol += 1u;\n\t\tif (col == params.row_bytes) {\n\t\t\tcol = 0u;\n\t\t\trow += 1u;\n\t\t}\n\t}\n\tpacked[at] = word;\n}\n"
	},
	"direct": {
		"hash": "87740af99fc8c998",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"image": {
				"binding": 1,
				"space": "storage,read"
			},
			"maps": {
				"binding": 2,
				"space": "storage,read"
			},
			"kernel": {
				"binding": 3,
				"space": "storage,read"
			},
			"result": {
				"binding": 4,
				"space": "storage,read_write"
			},
			"overflow_at": {
				"binding": 5,
				"space": "storage,read_write"
			}
		},
		"entries": {
			"main": [
				"params",
				"image",
				"maps",
				"kernel",
				"result",
				"overflow_at"
			]
		},
		"uniforms": {
			"params": {
				"count": 0,
				"width": 1,
				"rows": 2,
				"channels": 3,
				"interleaved": 4,
				"first_channel": 5,
				"first_plane": 6,
				"kernels": 7,
				"batch_stride": 8,
				"channel_stride": 9,
				"row_pitch": 10,
				"col_pitch": 11,
				"stride_y": 12,
				"stride_x": 13,
				"dilation_y": 14,
				"dilation_x": 15,
				"col_map": 16,
				"row_begin": 17,
				"row_end": 18,
				"row_origin": 19,
				"col_begin": 20,
				"col_end": 21,
				"col_origin": 22,
				"fill_low": 23,
				"fill_high": 24,
				"overflow": 25,
				"rounding": 26,
				"scan_holes": 27,
				"epilogues": 28
			}
		},
		"overrides": [
			"IN",
			"OUT",
			"FLOAT_SUM",
			"WORKGROUP",
			"TAP_LIMBS",
			"BLOCKED"
		],
		"constants": [
			"LIMBS",
			"I64",
			"F16",
			"F32",
			"F64",
			"SATURATE",
			"WRAP",
			"THROW",
			"NEAREST_EVEN",
			"HALF_AWAY",
			"TRUNCATE",
			"FLOOR",
			"OUTSIDE",
			"EXPONENT",
			"NAN"
		],
		"text": "// Direct convolution of one piece of the result: every output as a sum over its kernel window, then the store.\n//\n//   sum[y, x] = Σ_j Σ_i taps[j, i] · image[row_map[y·stride_y + first_row + j·dilation_y], col_map[x·stride_x + first_col + i·dilation_x]]\n//\n// Geometry. One thread computes 4 consecutive elements of the piece's memory order (planar N·K·H·W or interleaved N·H·W·K), which\n// are whole 32-bit words in every dtype: nobody else writes them, so narrow dtypes need no atomics. It loads pixels straight from\n// the storage buffer, each at the source that the index maps give for its position, where OUTSIDE stands for the fill. BLOCKED\n// adds a faster way for 4 windows that lie inside the image and belong to one kernel: it walks addresses, 4 sums at a time, one\n// new pixel per tap where the windows slide by one. Both ways give the same bits; small pieces do without, for the shorter compile.\n//\n// Arithmetic. Float sums are formed in float32, each kernel row first, then the rows; fma() everywhere, so that both ways through\n// a window give the same bits. Integer sums are two's complement in LIMBS words of 32 bits, exact or modulo 2^(32·LIMBS).\n// Everything about NaN, infinity, rounding and storing is decided on bits: a WGSL compiler may assume that NaN and infinity do\n// not occur, and float16 and float64 are never more than bits here.\n\n// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 7 are the integers, unsigned ones even, 8 … 10 the floats.\noverride IN: u32 = 0u;\noverride OUT: u32 = 0u;\n// The sum is a float32; else an integer.\noverride FLOAT_SUM: bool = false;\noverride WORKGROUP: u32 = 64u;\n// Words of an integer sum. 1: taps are one two's complement word each; more: a sign word and TAP_LIMBS words of magnitude.\nconst LIMBS = 1u;\noverride TAP_LIMBS: u32 = 1u;\n// Compile the way for 4 neighbours at once.\noverride BLOCKED: bool = false;\n\nconst I64 = 7u;\nconst F16 = 8u;\nconst F32 = 9u;\nconst F64 = 10u;\n\nconst SATURATE = 0u;\nconst WRAP = 1u;\nconst THROW = 2u;\n\nconst NEAREST_EVEN = 0u;\nconst HALF_AWAY = 1u;\nconst TRUNCATE = 2u;\nconst FLOOR = 3u;\n\nconst OUTSIDE = 0xffffffffu;\nconst EXPONENT = 0x7f800000u;\nconst NAN = 0x7fc00000u;\n\nstruct Params {\n\tcount: u32, // output elements of the piece\n\twidth: u32, // pixels of an output row\n\trows: u32, // rows of an output plane\n\tchannels: u32, // result channels of the piece\n\tinterleaved: u32, // 1: channels lie side by side\n\tfirst_channel: u32, // result channel of the piece's channel 0\n\tfirst_plane: u32, // image channel at element 0 of `image`\n\tkernels: u32, // kernels of the bank\n\tbatch_stride: u32, // of the image, in elements\n\tchannel_stride: u32,\n\trow_pitch: u32,\n\tcol_pitch: u32,\n\tstride_y: u32,\n\tstride_x: u32,\n\tdilation_y: u32,\n\tdilation_x: u32,\n\tcol_map: u32, // where the columns' map begins in `maps`; the rows' begins at 0\n\trow_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)\n\trow_end: u32,\n\trow_origin: u32,\n\tcol_begin: u32,\n\tcol_end: u32,\n\tcol_origin: u32,\n\tfill_low: u32, // what lies outside, as loaded\n\tfill_high: u32,\n\toverflow: u32,\n\trounding: u32,\n\tscan_holes: u32, // 1: a dilated kernel on a float image; a NaN between the taps counts\n\tepilogues: u32, // where the (scale, bias, plain) triples of the result channels begin in `kernel`\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<storage, read> image: array<u32>;\n@group(0) @binding(2) var<storage, read> maps: array<u32>;\n// Per kernel 5 words: rows, cols, first row, first column (map entries), where its taps begin. Then epilogues, then taps.\n@group(0) @binding(3) var<storage, read> kernel: array<u32>;\n@group(0) @binding(4) var<storage, read_write> result: array<u32>;\n// Lowest element that does not fit under 'throw'.\n@group(0) @binding(5) var<storage, read_write> overflow_at: atomic<u32>;\n\n// ── where an output element lies ────────────────────────────────────────────────────────────────────────────────────────\n\nstruct Site {\n\tchannel: u32, // of the result\n\tbase: u32, // element of the image at row 0, column 0 of its plane\n\trow: u32, // map entries under tap (0, 0)\n\tcol: u32,\n\trows: u32, // of the window\n\tcols: u32,\n\ttaps: u32,\n}\n\n// An element's coordinates in the piece.\nstruct Place {\n\tbatch: u32,\n\ty: u32,\n\tx: u32,\n\tk: u32, // channel\n}\n\nfn place(element: u32) -> Place {\n\tif (params.interleaved != 0u) {\n\t\tlet pixel_index = element / params.channels;\n\t\tlet line = pixel_index / params.width;\n\t\tlet batch = line / params.rows;\n\t\treturn Place(batch, line - batch * params.rows, pixel_index - line * params.width, element - pixel_index * params.channels);\n\t}\n\tlet line = element / params.width;\n\tlet plane = line / params.rows;\n\tlet batch = plane / params.channels;\n\treturn Place(batch, line - plane * params.rows, element - line * params.width, plane - batch * params.channels);\n}\n\n// The place of the next element in memory; no division, which many devices emulate.\nfn next(p: Place) -> Place {\n\tvar q = p;\n\tif (params.interleaved != 0u) {\n\t\tq.k += 1u;\n\t\tif (q.k < params.channels) { return q; }\n\t\tq.k = 0u;\n\t}\n\tq.x += 1u;\n\tif (q.x < params.width) { return q; }\n\tq.x = 0u;\n\tq.y += 1u;\n\tif (q.y < params.rows) { return q; }\n\tq.y = 0u;\n\tif (params.interleaved == 0u) {\n\t\tq.k += 1u;\n\t\tif (q.k < params.channels) { return q; }\n\t\tq.k = 0u;\n\t}\n\tq.batch += 1u;\n\treturn q;\n}\n\nfn site(p: Place) -> Site {\n\tvar s: Site;\n\ts.channel = params.first_channel + p.k;\n\tvar plane = s.channel;\n\tvar window = 0u;\n\tif (params.kernels > 1u) {\n\t\tplane = s.channel / params.kernels;\n\t\twindow = 5u * (s.channel - plane * params.kernels);\n\t}\n\ts.base = p.batch * params.batch_stride + (plane - params.first_plane) * params.channel_stride;\n\ts.rows = kernel[window];\n\ts.cols = kernel[window + 1u];\n\ts.row = p.y * params.stride_y + kernel[window + 2u];\n\ts.col = p.x * params.stride_x + kernel[window + 3u];\n\ts.taps = kernel[window + 4u];\n\treturn s;\n}\n\n// The whole window lies where addresses are linear.\nfn inside(s: Site) -> bool {\n\treturn s.rows == 0u || (s.row >= params.row_begin && s.row + (s.rows - 1u) * params.dilation_y < params.row_end &&\n\t\ts.col >= params.col_begin && s.col + (s.cols - 1u) * params.dilation_x < params.col_end);\n}\n\n// Element of the image under tap (0, 0), where the window lies inside.\nfn address(s: Site) -> u32 {\n\treturn s.base + params.row_origin + s.row * params.row_pitch + params.col_origin + s.col * params.col_pitch;\n}\n\n// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn is_signed(dtype: u32) -> bool {\n\treturn dtype < F16 && (dtype & 1u) == 1u;\n}\n\n// log2 of the bytes of an element.\nfn size_of(dtype: u32) -> u32 {\n\treturn select(dtype - 7u, dtype >> 1u, dtype < F16);\n}\n\n// One element's bits: integers extended to 32 bits, of 64 bits the low word.\nfn pixel(at: u32) -> u32 {\n\tif (size_of(IN) == 0u) {\n\t\tlet word = image[at >> 2u];\n\t\tlet shift = (at & 3u) * 8u;\n\t\tif (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, 8u)); }\n\t\treturn extractBits(word, shift, 8u);\n\t}\n\tif (size_of(IN) == 1u) {\n\t\tlet word = image[at >> 1u];\n\t\tlet shift = (at & 1u) * 16u;\n\t\tif (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, 16u)); }\n\t\treturn extractBits(word, shift, 16u);\n\t}\n\tif (size_of(IN) == 3u) { return image[2u * at]; }\n\treturn image[at];\n}\n\nfn pixel_high(at: u32) -> u32 {\n\tif (size_of(IN) == 3u) { return image[2u * at + 1u]; }\n\treturn 0u;\n}\n\n// Element of the image that a map position shows, or OUTSIDE.\nfn source(s: Site, j: u32, i: u32) -> u32 {\n\tlet row = maps[s.row + j];\n\tlet col = maps[params.col_map + s.col + i];\n\tif (row == OUTSIDE || col == OUTSIDE) { return OUTSIDE; }\n\treturn s.base + row + col;\n}\n\nfn pixel_or_fill(at: u32) -> u32 {\n\tif (at == OUTSIDE) { return params.fill_low; }\n\treturn pixel(at);\n}\n\n// float16 bits as float32 bits; NaN and infinity stay what they are.\nfn widen_half(bits: u32) -> u32 {\n\tlet sign = (bits & 0x8000u) << 16u;\n\tlet magnitude = bits & 0x7fffu;\n\tif (magnitude >= 0x7c00u) { return sign | EXPONENT | ((magnitude & 0x3ffu) << 13u); }\n\tif (magnitude >= 0x400u) { return sign | ((magnitude << 13u) + (112u << 23u)); }\n\treturn sign | bitcast<u32>(f32(magnitude) * 0x1p-24f);\n}\n\n// A loaded element as float32 bits; integers of at most 16 bits are exact.\nfn float_bits(bits: u32) -> u32 {\n\tif (IN == F32) { return bits; }\n\tif (IN == F16) { return widen_half(bits); }\n\tif (is_signed(IN)) { return bitcast<u32>(f32(bitcast<i32>(bits))); }\n\treturn bitcast<u32>(f32(bits));\n}\n\n// ── float sums ──────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nstruct FloatSums {\n\tvalue: vec4f,\n\tpeak: vec4u, // largest magnitude bits of a pixel met\n}\n\nfn float_sums(s: Site, start: vec4u) -> FloatSums {\n\tlet row_step = params.dilation_y * params.row_pitch;\n\tlet col_step = params.dilation_x * params.col_pitch;\n\tlet sliding = col_step == 1u && all(start == vec4u(start.x, start.x + 1u, start.x + 2u, start.x + 3u));\n\tvar sums = FloatSums(vec4f(), vec4u());\n\tvar tap = s.taps;\n\tvar line = start;\n\tfor (var j = 0u; j < s.rows; j += 1u) {\n\t\tvar row_sum = vec4f();\n\t\tif (sliding) {\n\t\t\tvar bits = vec4u(0u, float_bits(pixel(line.x)), float_bits(pixel(line.y)), float_bits(pixel(line.z)));\n\t\t\tfor (var i = 0u; i < s.cols; i += 1u) {\n\t\t\t\tbits = vec4u(bits.yzw, float_bits(pixel(line.w + i)));\n\t\t\t\tsums.peak = max(sums.peak, bits & vec4u(0x7fffffffu));\n\t\t\t\trow_sum = fma(vec4f(bitcast<f32>(kernel[tap + i])), bitcast<vec4f>(bits), row_sum);\n\t\t\t}\n\t\t} else {\n\t\t\tvar at = line;\n\t\t\tfor (var i = 0u; i < s.cols; i += 1u) {\n\t\t\t\tlet bits = vec4u(float_bits(pixel(at.x)), float_bits(pixel(at.y)), float_bits(pixel(at.z)), float_bits(pixel(at.w)));\n\t\t\t\tsums.peak = max(sums.peak, bits & vec4u(0x7fffffffu));\n\t\t\t\trow_sum = fma(vec4f(bitcast<f32>(kernel[tap + i])), bitcast<vec4f>(bits), row_sum);\n\t\t\t\tat += vec4u(col_step);\n\t\t\t}\n\t\t}\n\t\tsums.value += row_sum;\n\t\ttap += s.cols;\n\t\tline += vec4u(row_step);\n\t}\n\treturn sums;\n}\n\nstruct FloatSum {\n\tvalue: f32,\n\tpeak: u32,\n}\n\nfn float_sum(s: Site) -> FloatSum {\n\tvar sum = FloatSum(0.0, 0u);\n\tvar tap = s.taps;\n\tfor (var j = 0u; j < s.rows; j += 1u) {\n\t\tvar row_sum = 0.0f;\n\t\tfor (var i = 0u; i < s.cols; i += 1u) {\n\t\t\tlet bits = float_bits(pixel_or_fill(source(s, j * params.dilation_y, i * params.dilation_x)));\n\t\t\tsum.peak = max(sum.peak, bits & 0x7fffffffu);\n\t\t\trow_sum = fma(bitcast<f32>(kernel[tap]), bitcast<f32>(bits), row_sum);\n\t\t\ttap += 1u;\n\t\t}\n\t\tsum.value += row_sum;\n\t}\n\treturn sum;\n}\n\n// 0 where every pixel of the window is finite, holes of a dilated kernel included (they are zero taps); else the bits of the\n// sum that IEEE arithmetic would give: NaN, or an infinity of one sign.\nfn non_finite_sum(s: Site) -> u32 {\n\tif (s.rows == 0u) { return 0u; }\n\tvar positive = false;\n\tvar negative = false;\n\tlet height = (s.rows - 1u) * params.dilation_y + 1u;\n\tlet width = (s.cols - 1u) * params.dilation_x + 1u;\n\tfor (var j = 0u; j < height; j += 1u) {\n\t\tfor (var i = 0u; i < width; i += 1u) {\n\t\t\tlet bits = float_bits(pixel_or_fill(source(s, j, i)));\n\t\t\tif ((bits & EXPONENT) != EXPONENT) { continue; }\n\t\t\tlet hole = j % params.dilation_y != 0u || i % params.dilation_x != 0u;\n\t\t\tvar tap = 0u;\n\t\t\tif (!hole) { tap = kernel[s.taps + (j / params.dilation_y) * s.cols + i / params.dilation_x]; }\n\t\t\tif ((bits & 0x7fffffu) != 0u || (tap & 0x7fffffffu) == 0u) { return NAN; }\n\t\t\tlet minus = ((bits ^ tap) >> 31u) == 1u;\n\t\t\tnegative = negative || minus;\n\t\t\tpositive = positive || !minus;\n\t\t}\n\t}\n\tif (positive && negative) { return NAN; }\n\tif (positive) { return EXPONENT; }\n\treturn select(0u, 0x80000000u | EXPONENT, negative);\n}\n\nfn is_plain(channel: u32) -> bool {\n\treturn kernel[params.epilogues + 3u * channel + 2u] != 0u;\n}\n\nfn scaled(sum: f32, channel: u32) -> f32 {\n\tlet at = params.epilogues + 3u * channel;\n\treturn fma(bitcast<f32>(kernel[at]), sum, bitcast<f32>(kernel[at + 1u]));\n}\n\n// scale·infinity + bias.\nfn scaled_non_finite(bits: u32, channel: u32) -> u32 {\n\tlet scale = kernel[params.epilogues + 3u * channel];\n\tif ((bits & 0x7fffffu) != 0u || (scale & 0x7fffffffu) == 0u) { return NAN; }\n\treturn bits ^ (scale & 0x80000000u);\n}\n\nfn store_float_sum(s: Site, sum: FloatSum, element: u32) -> vec2u {\n\tvar bits = bitcast<u32>(sum.value);\n\tvar non_finite = 0u;\n\tif (IN >= F16 && (sum.peak >= EXPONENT || params.scan_holes != 0u)) { non_finite = non_finite_sum(s); }\n\tif (non_finite != 0u) {\n\t\tbits = scaled_non_finite(non_finite, s.channel);\n\t} else if (!is_plain(s.channel)) {\n\t\tbits = bitcast<u32>(scaled(sum.value, s.channel));\n\t}\n\tif (OUT >= F16) { return float_words(bits); }\n\treturn store_integer(whole_magnitude(bits), element);\n}\n\n// ── integer sums ────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nalias Limbs = array<u32, LIMBS>;\n\n// One-word sums of 4 neighbours.\nfn word_sums(s: Site, start: vec4u) -> vec4u {\n\tlet row_step = params.dilation_y * params.row_pitch;\n\tlet col_step = params.dilation_x * params.col_pitch;\n\tlet sliding = col_step == 1u && all(start == vec4u(start.x, start.x + 1u, start.x + 2u, start.x + 3u));\n\tvar sums = vec4u();\n\tvar tap = s.taps;\n\tvar line = start;\n\tfor (var j = 0u; j < s.rows; j += 1u) {\n\t\tif (sliding) {\n\t\t\tvar bits = vec4u(0u, pixel(line.x), pixel(line.y), pixel(line.z));\n\t\t\tfor (var i = 0u; i < s.cols; i += 1u) {\n\t\t\t\tbits = vec4u(bits.yzw, pixel(line.w + i));\n\t\t\t\tsums += kernel[tap + i] * bits;\n\t\t\t}\n\t\t} else {\n\t\t\tvar at = line;\n\t\t\tfor (var i = 0u; i < s.cols; i += 1u) {\n\t\t\t\tsums += kernel[tap + i] * vec4u(pixel(at.x), pixel(at.y), pixel(at.z), pixel(at.w));\n\t\t\t\tat += vec4u(col_step);\n\t\t\t}\n\t\t}\n\t\ttap += s.cols;\n\t\tline += vec4u(row_step);\n\t}\n\treturn sums;\n}\n\nfn word_sum(s: Site) -> u32 {\n\tvar sum = 0u;\n\tvar tap = s.taps;\n\tfor (var j = 0u; j < s.rows; j += 1u) {\n\t\tfor (var i = 0u; i < s.cols; i += 1u) {\n\t\t\tsum += kernel[tap] * pixel_or_fill(source(s, j * params.dilation_y, i * params.dilation_x));\n\t\t\ttap += 1u;\n\t\t}\n\t}\n\treturn sum;\n}\n\n// a·b as (low, high), from 16-bit halves.\nfn multiply(a: u32, b: u32) -> vec2u {\n\tlet low = (a & 0xffffu) * (b & 0xffffu);\n\tlet cross = (a >> 16u) * (b & 0xffffu) + (low >> 16u);\n\tlet other = (a & 0xffffu) * (b >> 16u) + (cross & 0xffffu);\n\treturn vec2u((other << 16u) | (low & 0xffffu), (a >> 16u) * (b >> 16u) + (cross >> 16u) + (other >> 16u));\n}\n\n// −v modulo 2^64.\nfn negate(v: vec2u) -> vec2u {\n\tlet low = ~v.x + 1u;\n\treturn vec2u(low, ~v.y + select(0u, 1u, low == 0u));\n}\n\n// The product of two magnitudes as 4 words.\nfn multiply_wide(a: vec2u, b: vec2u) -> vec4u {\n\tlet p = multiply(a.x, b.x);\n\tif (size_of(IN) < 3u && TAP_LIMBS == 1u) { return vec4u(p, 0u, 0u); }\n\tlet q = multiply(a.x, b.y);\n\tlet r = multiply(a.y, b.x);\n\tlet t = multiply(a.y, b.y);\n\tlet w1 = p.y + q.x;\n\tlet c1 = select(0u, 1u, w1 < q.x);\n\tlet v1 = w1 + r.x;\n\tlet d1 = select(0u, 1u, v1 < r.x);\n\tlet w2 = q.y + r.y;\n\tlet c2 = select(0u, 1u, w2 < r.y);\n\tlet v2 = w2 + t.x;\n\tlet d2 = select(0u, 1u, v2 < t.x);\n\tlet u2 = v2 + c1 + d1;\n\tlet e2 = select(0u, 1u, u2 < v2);\n\treturn vec4u(p.x, v1, u2, t.y + c2 + d2 + e2);\n}\n\nfn limb_sum(s: Site) -> Limbs {\n\tvar sum: Limbs;\n\tvar tap = s.taps;\n\tfor (var j = 0u; j < s.rows; j += 1u) {\n\t\tfor (var i = 0u; i < s.cols; i += 1u) {\n\t\t\tlet at = source(s, j * params.dilation_y, i * params.dilation_x);\n\t\t\tvar x = vec2u(params.fill_low, params.fill_high);\n\t\t\tif (at != OUTSIDE) { x = vec2u(pixel(at), pixel_high(at)); }\n\t\t\tvar minus = kernel[tap] != 0u;\n\t\t\tvar w = vec2u(kernel[tap + 1u], 0u);\n\t\t\tif (TAP_LIMBS == 2u) { w.y = kernel[tap + 2u]; }\n\t\t\ttap += 1u + TAP_LIMBS;\n\t\t\tif (is_signed(IN)) {\n\t\t\t\tlet top = select(x.x, x.y, IN == I64);\n\t\t\t\tif (top >> 31u == 1u) {\n\t\t\t\t\tminus = !minus;\n\t\t\t\t\tx = select(vec2u(~x.x + 1u, 0u), negate(x), IN == I64);\n\t\t\t\t}\n\t\t\t}\n\t\t\tlet product = multiply_wide(x, w);\n\t\t\t// sum ± product: subtracting adds the complement and 1\n\t\t\tvar carry = select(0u, 1u, minus);\n\t\t\tfor (var k = 0u; k < LIMBS; k += 1u) {\n\t\t\t\tvar word = 0u;\n\t\t\t\tif (k < 4u) { word = product[k]; }\n\t\t\t\tif (minus) { word = ~word; }\n\t\t\t\tlet once = sum[k] + word;\n\t\t\t\tlet twice = once + carry;\n\t\t\t\tcarry = select(0u, 1u, once < word || twice < once);\n\t\t\t\tsum[k] = twice;\n\t\t\t}\n\t\t}\n\t}\n\treturn sum;\n}\n\n// The magnitude of a sum, normalised: its top 64 bits with the highest one at bit 63, whether bits below them are set, and the\n// exponent of the highest one.\nstruct Normal {\n\thigh: u32,\n\tlow: u32,\n\tsticky: bool,\n\texponent: u32,\n}\n\nfn normalise(magnitude: Limbs) -> Normal {\n\tvar limbs = magnitude;\n\tvar top = LIMBS - 1u;\n\twhile (top > 0u && limbs[top] == 0u) { top -= 1u; }\n\tlet shift = countLeadingZeros(limbs[top]);\n\tvar words = vec3u(limbs[top], 0u, 0u);\n\tif (top >= 1u) { words.y = limbs[top - 1u]; }\n\tif (top >= 2u) { words.z = limbs[top - 2u]; }\n\tvar rest = words.z << shift;\n\tfor (var k = 0u; k + 2u < top; k += 1u) { rest |= limbs[k]; }\n\tlet back = 32u - shift;\n\t// a shift by 32 is not one\n\tlet carried = select(vec2u(words.y >> (back & 31u), words.z >> (back & 31u)), vec2u(), shift == 0u);\n\treturn Normal((words.x << shift) | carried.x, (words.y << shift) | carried.y, rest != 0u, 32u * top + 31u - shift);\n}\n\n// An integer magnitude (not 0) rounded once to float32 bits: nearest, ties to even; a carry runs into the exponent.\nfn round_to_single(n: Normal) -> u32 {\n\tif (n.exponent > 127u) { return EXPONENT; }\n\tlet up = (n.high & 0x80u) != 0u && ((n.high & 0x17fu) != 0u || n.low != 0u || n.sticky);\n\treturn ((n.exponent + 127u) << 23u) + ((n.high >> 8u) & 0x7fffffu) + select(0u, 1u, up);\n}\n\nfn round_to_half(n: Normal) -> u32 {\n\tif (n.exponent > 15u) { return 0x7c00u; }\n\tlet up = (n.high & 0x100000u) != 0u && ((n.high & 0x2fffffu) != 0u || n.low != 0u || n.sticky);\n\treturn ((n.exponent + 15u) << 10u) + ((n.high >> 21u) & 0x3ffu) + select(0u, 1u, up);\n}\n\nfn round_to_double(n: Normal) -> vec2u {\n\tlet up = (n.low & 0x400u) != 0u && ((n.low & 0xbffu) != 0u || n.sticky);\n\tlet low = (n.high << 21u) | (n.low >> 11u);\n\tlet rounded = low + select(0u, 1u, up);\n\tlet high = ((n.exponent + 1023u) << 20u) + ((n.high >> 11u) & 0xfffffu);\n\treturn vec2u(rounded, high + select(0u, 1u, rounded < low));\n}\n\nfn store_integer_sum(sum: Limbs, channel: u32, element: u32) -> vec2u {\n\tvar magnitude = sum;\n\tlet negative = magnitude[LIMBS - 1u] >> 31u == 1u;\n\tif (negative) {\n\t\tvar carry = 1u;\n\t\tfor (var k = 0u; k < LIMBS; k += 1u) {\n\t\t\tmagnitude[k] = ~magnitude[k] + carry;\n\t\t\tcarry = select(0u, carry, magnitude[k] == 0u);\n\t\t}\n\t}\n\tvar words = vec2u(magnitude[0], 0u);\n\tif (LIMBS > 1u) { words.y = magnitude[min(1u, LIMBS - 1u)]; }\n\tvar beyond = 0u; // what lies above 64 bits\n\tfor (var k = 2u; k < LIMBS; k += 1u) { beyond |= magnitude[k]; }\n\tlet plain = is_plain(channel);\n\tvar whole = Magnitude(negative, words, beyond != 0u, false);\n\tif (OUT >= F16 || !plain) {\n\t\tlet sign = select(0u, 0x80000000u, negative);\n\t\tvar bits = 0u;\n\t\tif ((words.x | words.y | beyond) != 0u) {\n\t\t\tlet n = normalise(magnitude);\n\t\t\tif (plain && OUT == F16) { return vec2u((sign >> 16u) | round_to_half(n), 0u); }\n\t\t\tif (plain && OUT == F64) { return round_to_double(n) | vec2u(0u, sign); }\n\t\t\tbits = sign | round_to_single(n);\n\t\t}\n\t\tif (!plain) { bits = bitcast<u32>(scaled(bitcast<f32>(bits), channel)); }\n\t\tif (OUT >= F16) { return float_words(bits); }\n\t\twhole = whole_magnitude(bits);\n\t}\n\treturn store_integer(whole, element);\n}\n\n// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// An integer on its way into an integer dtype.\nstruct Magnitude {\n\tnegative: bool,\n\twords: vec2u, // modulo 2^64, low word first\n\thuge: bool, // 2^64 or more\n\tnan: bool,\n}\n\n// By the overflow rule, as two's complement.\nfn store_integer(value: Magnitude, element: u32) -> vec2u {\n\t// largest magnitude of this sign, as (low, high)\n\tlet bits = 8u << size_of(OUT);\n\tvar most = vec2u(OUTSIDE >> (32u - min(bits, 32u)), select(0u, OUTSIDE, bits == 64u));\n\tif (is_signed(OUT)) {\n\t\tmost = vec2u(select(most.x >> 1u, OUTSIDE, bits == 64u), most.y >> 1u);\n\t\tif (value.negative) { most = vec2u(most.x + 1u, most.y + select(0u, 1u, bits == 64u)); }\n\t} else if (value.negative) {\n\t\tmost = vec2u();\n\t}\n\tvar stored = value.words;\n\tif (!value.nan && (value.huge || stored.y > most.y || (stored.y == most.y && stored.x > most.x))) {\n\t\tif (params.overflow == SATURATE) { stored = most; }\n\t\tif (params.overflow == THROW) { atomicMin(&overflow_at, element); }\n\t}\n\tif (value.negative) { return negate(stored); }\n\treturn stored;\n}\n\n// float32 bits as the float dtype OUT.\nfn float_words(bits: u32) -> vec2u {\n\tif (OUT == F16) { return vec2u(narrow_to_half(bits), 0u); }\n\tif (OUT == F64) { return widen_to_double(bits); }\n\treturn vec2u(bits, 0u);\n}\n\n// float32 bits rounded to an integer. NaN gives 0; infinities are huge, and 0 modulo 2^64.\nfn whole_magnitude(bits: u32) -> Magnitude {\n\tlet negative = bits >> 31u == 1u;\n\tlet exponent = (bits & EXPONENT) >> 23u;\n\tlet fraction = select(bits & 0x7fffffu, (bits & 0x7fffffu) | 0x800000u, exponent != 0u);\n\tif (exponent == 255u) { return Magnitude(negative, vec2u(), true, (bits & 0x7fffffu) != 0u); }\n\t// the value is fraction · 2^(exponent − 150)\n\tif (exponent >= 150u) {\n\t\tlet shift = exponent - 150u;\n\t\tif (shift < 32u) {\n\t\t\tlet high = select(fraction >> ((32u - shift) & 31u), 0u, shift == 0u);\n\t\t\treturn Magnitude(negative, vec2u(fraction << shift, high), false, false);\n\t\t}\n\t\tlet lost = select(fraction >> ((64u - shift) & 31u), 0u, shift <= 32u);\n\t\tlet high = select(fraction << (shift & 31u), 0u, shift >= 64u);\n\t\treturn Magnitude(negative, vec2u(0u, high), shift >= 64u || lost != 0u, false);\n\t}\n\tlet shift = 150u - max(exponent, 1u);\n\tvar whole = 0u;\n\tvar above = false; // the part cut off is more than a half\n\tvar tie = false;\n\tif (shift <= 24u) {\n\t\twhole = fraction >> shift;\n\t\tlet rest = fraction & ((1u << shift) - 1u);\n\t\tlet half = 1u << (shift - 1u);\n\t\tabove = rest > half;\n\t\ttie = rest == half;\n\t}\n\tlet cut = fraction != 0u && (shift > 24u || whole << shift != fraction);\n\tvar up = false;\n\tswitch params.rounding {\n\t\tcase NEAREST_EVEN: { up = above || (tie && (whole & 1u) == 1u); }\n\t\tcase HALF_AWAY: { up = above || tie; }\n\t\tcase FLOOR: { up = negative && cut; }\n\t\tdefault: {}\n\t}\n\treturn Magnitude(negative, vec2u(whole + select(0u, 1u, up), 0u), false, false);\n}\n\n// float32 bits rounded to float16 bits: nearest, ties to even.\nfn narrow_to_half(bits: u32) -> u32 {\n\tlet sign = (bits >> 16u) & 0x8000u;\n\tlet magnitude = bits & 0x7fffffffu;\n\tif (magnitude > EXPONENT) { return sign | 0x7e00u; }\n\tif (magnitude >= 0x47800000u) { return sign | 0x7c00u; } // 2^16 and above\n\tvar shift = 13u;\n\tvar value = magnitude - (112u << 23u); // a carry runs into the exponent and up to infinity\n\tif (magnitude < 0x38800000u) { // below 2^-14: subnormal\n\t\tshift = 126u - (magnitude >> 23u);\n\t\tif (shift > 24u) { return sign; }\n\t\tvalue = (magnitude & 0x7fffffu) | 0x800000u;\n\t}\n\tlet whole = value >> shift;\n\tlet rest = value & ((1u << shift) - 1u);\n\tlet half = 1u << (shift - 1u);\n\treturn sign | (whole + select(0u, 1u, rest > half || (rest == half && (whole & 1u) == 1u)));\n}\n\n// float32 bits as float64 bits; exact, subnormals flushed.\nfn widen_to_double(bits: u32) -> vec2u {\n\tlet sign = bits & 0x80000000u;\n\tlet magnitude = bits & 0x7fffffffu;\n\tif (magnitude >= EXPONENT) { return vec2u(0u, sign | 0x7ff00000u | ((magnitude & 0x7fffffu) >> 3u)); }\n\tif (magnitude < 0x800000u) { return vec2u(0u, sign); }\n\treturn vec2u(magnitude << 29u, sign | ((magnitude >> 3u) + (896u << 20u)));\n}\n\n// ── the thread's 4 elements ─────────────────────────────────────────────────────────────────────────────────────────────\n\n// Writes the words of the elements from `first` on; words wholly past the end are left alone.\nfn write(first: u32, count: u32, stored: array<vec2u, 4>) {\n\tlet group = first >> 2u;\n\tif (size_of(OUT) == 0u) {\n\t\tlet m = 0xffu;\n\t\tresult[group] = (stored[0].x & m) | ((stored[1].x & m) << 8u) | ((stored[2].x & m) << 16u) | (stored[3].x << 24u);\n\t} else if (size_of(OUT) == 1u) {\n\t\tresult[2u * group] = (stored[0].x & 0xffffu) | (stored[1].x << 16u);\n\t\tif (count > 2u) { result[2u * group + 1u] = (stored[2].x & 0xffffu) | (stored[3].x << 16u); }\n\t} else {\n\t\tvar words = stored;\n\t\tfor (var e = 0u; e < count; e += 1u) {\n\t\t\tif (size_of(OUT) == 2u) { result[first + e] = words[e].x; }\n\t\t\tif (size_of(OUT) == 3u) {\n\t\t\t\tresult[2u * (first + e)] = words[e].x;\n\t\t\t\tresult[2u * (first + e) + 1u] = words[e].y;\n\t\t\t}\n\t\t}\n\t}\n}\n\n@compute @workgroup_size(WORKGROUP)\nfn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {\n\tlet first = 4u * (id.y * groups.x * WORKGROUP + id.x);\n\tif (first >= params.count) { return; }\n\tlet count = min(params.count - first, 4u);\n\tlet lead_place = place(first);\n\tvar together = false;\n\tvar floats = FloatSums(vec4f(), vec4u());\n\tvar integers = vec4u();\n\tif (BLOCKED && LIMBS == 1u) {\n\t\tlet lead = site(lead_place);\n\t\tvar start = vec4u();\n\t\tvar at = lead_place;\n\t\ttogether = count == 4u;\n\t\tfor (var e = 0u; together && e < 4u; e += 1u) {\n\t\t\tlet s = site(at);\n\t\t\ttogether = s.taps == lead.taps && inside(s);\n\t\t\tstart[e] = address(s);\n\t\t\tat = next(at);\n\t\t}\n\t\tif (together && FLOAT_SUM) { floats = float_sums(lead, start); }\n\t\tif (together && !FLOAT_SUM) { integers = word_sums(lead, start); }\n\t}\n\tvar stored: array<vec2u, 4>;\n\tvar at = lead_place;\n\tfor (var e = 0u; e < count; e += 1u) {\n\t\tlet element = first + e;\n\t\tlet s = site(at);\n\t\tat = next(at);\n\t\tif (FLOAT_SUM) {\n\t\t\tvar sum = FloatSum(floats.value[e], floats.peak[e]);\n\t\t\tif (!together) { sum = float_sum(s); }\n\t\t\tstored[e] = store_float_sum(s, sum, element);\n\t\t} else if (LIMBS > 1u) {\n\t\t\tstored[e] = store_integer_sum(limb_sum(s), s.channel, element);\n\t\t} else {\n\t\t\tvar sum: Limbs;\n\t\t\tsum[0] = integers[e];\n\t\t\tif (!together) { sum[0] = word_sum(s); }\n\t\t\tstored[e] = store_integer_sum(sum, s.channel, element);\n\t\t}\n\t}\n\twrite(first, count, stored);\n}\n"
	},
	"fft": {
		"hash": "38756e31a5e3cf1a",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"taps": {
				"binding": 1,
				"space": "uniform"
			},
			"image": {
				"binding": 2,
				"space": "storage,read"
			},
			"wide_image": {
				"binding": 3,
				"space": "storage,read"
			},
			"maps": {
				"binding": 4,
				"space": "storage,read"
			},
			"epilogues": {
				"binding": 5,
				"space": "storage,read"
			},
			"result": {
				"binding": 6,
				"space": "storage,read_write"
			},
			"wide_result": {
				"binding": 7,
				"space": "storage,read_write"
			},
			"overflow_at": {
				"binding": 8,
				"space": "storage,read_write"
			},
			"transform": {
				"binding": 9,
				"space": "uniform"
			},
			"regions": {
				"binding": 10,
				"space": "storage,read_write"
			},
			"spectrum": {
				"binding": 11,
				"space": "storage,read_write"
			},
			"roots": {
				"binding": 12,
				"space": "storage,read"
			},
			"kernel_spectrum": {
				"binding": 13,
				"space": "storage,read"
			},
			"window_taps": {
				"binding": 14,
				"space": "storage,read"
			},
			"sums_of_planes": {
				"binding": 15,
				"space": "storage,read"
			}
		},
		"entries": {
			"survey": [
				"params",
				"image",
				"maps",
				"transform",
				"regions"
			],
			"forward": [
				"params",
				"image",
				"maps",
				"transform",
				"regions",
				"spectrum",
				"roots"
			],
			"columns": [
				"transform",
				"spectrum",
				"roots",
				"kernel_spectrum"
			],
			"inverse": [
				"params",
				"epilogues",
				"result",
				"wide_result",
				"overflow_at",
				"transform",
				"regions",
				"spectrum",
				"roots"
			],
			"direct": [
				"params",
				"image",
				"maps",
				"epilogues",
				"result",
				"wide_result",
				"overflow_at",
				"transform",
				"regions",
				"window_taps"
			],
			"interleave": [
				"params",
				"epilogues",
				"result",
				"wide_result",
				"overflow_at",
				"transform",
				"sums_of_planes"
			]
		},
		"uniforms": {
			"params": {
				"width": 0,
				"rows": 1,
				"out_pitch": 2,
				"first_plane": 3,
				"planes": 4,
				"out_planes": 5,
				"out_first": 6,
				"kernels": 7,
				"first_channel": 8,
				"first_element": 9,
				"batch_stride": 10,
				"channel_stride": 11,
				"row_pitch": 12,
				"aligned": 13,
				"row_count": 14,
				"col_count": 15,
				"row_shift": 16,
				"col_shift": 17,
				"row_begin": 18,
				"row_end": 19,
				"row_origin": 20,
				"col_begin": 21,
				"col_end": 22,
				"col_origin": 23,
				"fill": 24,
				"overflow": 25,
				"rounding": 26,
				"tap_rows": 27,
				"tap_cols": 28,
				"quads": 29,
				"lead": 30,
				"lanes": 31,
				"plain": 32,
				"march": 33,
				"run": 34,
				"block_row": 35,
				"bank": 36,
				"bundle": 37,
				"chunks": 38,
				"across": 39,
				"spread": 40
			},
			"transform": {
				"log_y": 0,
				"log_x": 1,
				"first_pair": 2,
				"pairs_y": 3,
				"pairs_x": 4,
				"step_y": 5,
				"step_x": 6,
				"tile_height": 7,
				"tile_width": 8,
				"columns": 9,
				"reach_y": 10,
				"reach_x": 11,
				"col_pitch": 12,
				"weight": 13,
				"kernel_exponent": 14,
				"magnitude_exponent": 15,
				"quiet": 16,
				"rounds": 17
			}
		},
		"overrides": [
			"IN",
			"OUT",
			"SUM",
			"POINTS",
			"THREADS",
			"LANES_X",
			"LANES_Y"
		],
		"constants": [
			"TAP_QUADS",
			"REAL",
			"EXACT",
			"WORD",
			"U32",
			"I32",
			"F16",
			"F32",
			"SATURATE",
			"WRAP",
			"THROW",
			"NEAREST_EVEN",
			"HALF_AWAY",
			"TRUNCATE",
			"FLOOR",
			"OUTSIDE",
			"EXPONENT",
			"MAGNITUDE",
			"NAN",
			"TRANSFORMED",
			"DIRECT",
			"SAMPLES",
			"QUIET",
			"LARGE",
			"LEAST_EXPONENT",
			"MOST_EXPONENT",
			"BAND",
			"ROOT_HALF"
		],
		"text": "// Overlap-save by Fourier transforms, in three passes over a spectrum in device memory, for float sums.\n//\n//   survey    pixels -> what is known of each region: mean, scale, and whether a transform may be trusted with it\n//   forward   (pixels - mean) * 2^-e, rows transformed -> spectrum\n//   columns   columns transformed, times the kernel's spectrum, transformed back, in place\n//   inverse   rows transformed back, * 2^e + mean * sum of taps -> result\n//   direct    the tiles whose regions hold what would smear: sums over their windows -> result\n//   interleave   sums of planes -> channels side by side\n//\n// A tile of tile_height x tile_width outputs reads a region that is reach_y and reach_x larger; a cyclic correlation over 2^log_y x 2^log_x\n// points, at least that large, gives the tile in its first rows and columns. Two tiles side by side, a pair, go together as real and\n// imaginary part, which the real kernel keeps apart. Each is scaled by its own power of two to a 2-norm from 1 to 2, so that the rounding errors\n// that they share are small beside either one. Pairs are counted from the piece's corner, where a pair of the whole result begins.\n//\n// Geometry. A workgroup holds POINTS complex numbers: as many whole lines (rows of a pair; columns side by side) as that is. Transforms are in\n// place, radix 4 first, then 8: forward by decimation in frequency, which leaves the frequencies in the order of their reversed digits, back by\n// decimation in time, which takes them so. The kernel's spectrum lies in the same order; nothing is ever put in order. To transform back is to\n// transform with real and imaginary part swapped, and so they stay from the product to the store. Roots of unity come from the host, rounded once.\n//\n// A region holding a NaN or an infinity, or an outlier (has_outlier in native/fft_tile.c says why and how), is left out of its pair.\n\n// ── begin: a copy of common.wgsl, made by scripts/shaders.mjs; edit it there ──\n\n// What the tiled shaders share: how pixels are loaded and results stored. A thread works on quads: 4 elements side by side in a row.\n//\n// Rows are rows of memory: planar images have one plane a channel and one lane; where channels lie side by side a row is all of\n// them and taps are `lanes` elements apart. Input rows are whole quads where `aligned`, output rows always: in every dtype a quad is\n// whole 32-bit words that nobody else writes. A position of the window's reach finds its source through the index maps, but for\n// quads wholly inside the image, which are loaded at once.\n//\n// A quad in registers is 4 words of the sum's type: float32 bits (SUM = REAL), integers that float32 holds exactly (EXACT: every\n// partial sum is below 2^24) or integers modulo 2^32 (WORD), which are only ever stored plain. What is NaN or infinite is decided on bits: a WGSL compiler may\n// assume that neither occurs. A sum over a non-finite pixel is itself not finite, because taps are never known when compiling.\n\n// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 5 are integers of at most 32 bits, unsigned ones even; 8 and 9 are floats.\noverride IN: u32 = 9u;\noverride OUT: u32 = 9u;\noverride SUM: u32 = 0u;\n// Quads of `taps`, at least as many as are read.\nconst TAP_QUADS = 16u;\n\nconst REAL = 0u;\nconst EXACT = 1u;\nconst WORD = 2u;\n\nconst U32 = 4u;\nconst I32 = 5u;\nconst F16 = 8u;\nconst F32 = 9u;\n\nconst SATURATE = 0u;\nconst WRAP = 1u;\nconst THROW = 2u;\n\nconst NEAREST_EVEN = 0u;\nconst HALF_AWAY = 1u;\nconst TRUNCATE = 2u;\nconst FLOOR = 3u;\n\nconst OUTSIDE = 0xffffffffu;\nconst EXPONENT = 0x7f800000u;\nconst MAGNITUDE = 0x7fffffffu;\nconst NAN = 0x7fc00000u;\n\nstruct Params {\n\twidth: u32, // output elements of a row, for each kernel\n\trows: u32, // rows of an output plane\n\tout_pitch: u32, // elements from one output row to the next: a multiple of 4\n\tfirst_plane: u32, // plane of the dispatch's first layer\n\tplanes: u32, // planes of one image of the batch that this kernel of the bank computes\n\tout_planes: u32, // planes of one image of the piece's result\n\tout_first: u32, // and which of them plane 0 gives; the next is `kernels` further\n\tkernels: u32,\n\tfirst_channel: u32, // result channel of plane 0\n\tfirst_element: u32, // element of the image at row 0, column 0 of plane 0\n\tbatch_stride: u32, // of the image, in elements\n\tchannel_stride: u32,\n\trow_pitch: u32,\n\taligned: u32, // 1: every input row begins on a whole quad\n\trow_count: u32, // entries of the rows' map; the columns' follows in `maps`\n\tcol_count: u32,\n\trow_shift: u32, // map entry under window row 0 of output row 0; and column, which may be negative (two's complement)\n\tcol_shift: u32,\n\trow_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)\n\trow_end: u32,\n\trow_origin: u32,\n\tcol_begin: u32, // the same in elements\n\tcol_end: u32,\n\tcol_origin: u32,\n\tfill: u32, // what lies outside, as loaded\n\toverflow: u32,\n\trounding: u32,\n\ttap_rows: u32, // of the window; 0: every tap is zero\n\ttap_cols: u32,\n\tquads: u32, // quads of a row of taps\n\tlead: u32, // zero taps in front of each row\n\tlanes: u32, // elements from a tap to the next: channels side by side\n\tplain: u32, // 1: every channel is stored with scale 1 and bias 0\n\tmarch: u32, // output rows of one workgroup, where it walks down the image\n\trun: u32, // box.wgsl: neighbours in a row that are summed first\n\tblock_row: u32, // box.wgsl: row of its block of tap_rows rows on which the window of output row 0 begins\n\tbank: u32, // tiled.wgsl: kernels of the dispatch\n\tbundle: u32, // groups of them that a thread computes one after the other\n\tchunks: u32, // layers of the dispatch for a plane: each has `bundle` groups\n\tacross: u32, // results of an element that lie side by side: the kernels of a bank into channels side by side; elsewhere 1\n\tspread: u32, // the same in whole quads, as they are written\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<uniform> taps: array<vec4u, TAP_QUADS>;\n@group(0) @binding(2) var<storage, read> image: array<u32>;\n@group(0) @binding(3) var<storage, read> wide_image: array<vec4u>; // the same memory, for elements of 4 bytes\n@group(0) @binding(4) var<storage, read> maps: array<u32>;\n@group(0) @binding(5) var<storage, read> epilogues: array<u32>; // scale, bias, plain: one triple a result channel\n@group(0) @binding(6) var<storage, read_write> result: array<u32>; // for elements of 1 and 2 bytes\n@group(0) @binding(7) var<storage, read_write> wide_result: array<vec4u>; // for elements of 4\n// Lowest element that does not fit under 'throw'.\n@group(0) @binding(8) var<storage, read_write> overflow_at: atomic<u32>;\n\n// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn is_signed(dtype: u32) -> bool {\n\treturn dtype < F16 && (dtype & 1u) == 1u;\n}\n\n// log2 of the bytes of an element.\nfn size_of(dtype: u32) -> u32 {\n\treturn select(dtype - 7u, dtype >> 1u, dtype < F16);\n}\n\n// float16 bits as float32 bits; NaN and infinity stay what they are.\nfn widen_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits & vec4u(0x8000u)) << vec4u(16u);\n\tlet magnitude = bits & vec4u(0x7fffu);\n\t// the exponent's bias differs by 112, that of infinity by twice that; a subnormal is taken as 2^-14·(1 + …), less 2^-14\n\tlet shifted = (magnitude << vec4u(13u)) + select(vec4u(112u << 23u), vec4u(224u << 23u), magnitude >= vec4u(0x7c00u));\n\tlet subnormal = bitcast<vec4u>(bitcast<vec4f>(shifted + vec4u(1u << 23u)) - vec4f(0x1p-14f));\n\treturn sign | select(shifted, subnormal, magnitude < vec4u(0x400u));\n}\n\n// Loaded elements, integers extended to 32 bits, in the sum's type.\nfn in_sum(raw: vec4u) -> vec4u {\n\tif (SUM == WORD || IN == F32) { return raw; }\n\tif (IN == F16) { return widen_half(raw); }\n\tif (is_signed(IN)) { return bitcast<vec4u>(vec4f(bitcast<vec4i>(raw))); }\n\treturn bitcast<vec4u>(vec4f(raw));\n}\n\nfn extract(word: u32, shift: u32, bits: u32) -> u32 {\n\tif (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, bits)); }\n\treturn extractBits(word, shift, bits);\n}\n\nfn element(at: u32) -> u32 {\n\tif (size_of(IN) == 0u) { return extract(image[at >> 2u], (at & 3u) * 8u, 8u); }\n\tif (size_of(IN) == 1u) { return extract(image[at >> 1u], (at & 1u) * 16u, 16u); }\n\treturn image[at];\n}\n\n// The quad that begins at a multiple of 4 elements.\nfn whole_quad(at: u32) -> vec4u {\n\tif (size_of(IN) == 0u) {\n\t\tlet word = image[at >> 2u];\n\t\treturn in_sum(vec4u(extract(word, 0u, 8u), extract(word, 8u, 8u), extract(word, 16u, 8u), extract(word, 24u, 8u)));\n\t}\n\tif (size_of(IN) == 1u) {\n\t\tlet low = image[at >> 1u];\n\t\tlet high = image[(at >> 1u) + 1u];\n\t\treturn in_sum(vec4u(extract(low, 0u, 16u), extract(low, 16u, 16u), extract(high, 0u, 16u), extract(high, 16u, 16u)));\n\t}\n\treturn in_sum(wide_image[at >> 2u]);\n}\n\n// Where the source row of a position begins in its plane, or OUTSIDE.\nfn line_of(row: u32) -> u32 {\n\tif (row >= params.row_begin && row < params.row_end) { return params.row_origin + row * params.row_pitch; }\n\tif (row >= params.row_count) { return OUTSIDE; } // below the last row: nobody uses it\n\treturn maps[row];\n}\n\n// The element at a position; positions beyond the map lie under zero taps only.\nfn mapped(base: u32, line: u32, col: i32) -> u32 {\n\tif (line == OUTSIDE || col < 0 || col >= i32(params.col_count)) { return params.fill; }\n\tlet at = maps[params.row_count + u32(col)];\n\tif (at == OUTSIDE) { return params.fill; }\n\treturn element(base + line + at);\n}\n\n// Every quad from col to col + 4·quads lies inside the image, where addresses are linear.\nfn inside(col: i32, quads: u32) -> bool {\n\treturn col >= i32(params.col_begin) && col + 4 * i32(quads) <= i32(params.col_end);\n}\n\n// 4 positions of a row from `col` on. @param direct no position needs the map, and the quad is whole\nfn quad(base: u32, line: u32, col: i32, direct: bool) -> vec4u {\n\tlet at = base + line + params.col_origin + u32(col);\n\tif (direct || (params.aligned != 0u && line != OUTSIDE && inside(col, 1u))) { return whole_quad(at); }\n\tlet linear = line != OUTSIDE && inside(col, 1u);\n\tvar raw: vec4u;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tif (linear) {\n\t\t\traw[e] = element(at + e);\n\t\t} else {\n\t\t\traw[e] = mapped(base, line, col + i32(e));\n\t\t}\n\t}\n\treturn in_sum(raw);\n}\n\n// ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn multiply_add(tap: u32, pixels: vec4u, sums: vec4u) -> vec4u {\n\tif (SUM == WORD) { return tap * pixels + sums; }\n\treturn bitcast<vec4u>(fma(vec4f(bitcast<f32>(tap)), bitcast<vec4f>(pixels), bitcast<vec4f>(sums)));\n}\n\nfn plus(a: vec4u, b: vec4u) -> vec4u {\n\tif (SUM == WORD) { return a + b; }\n\treturn bitcast<vec4u>(bitcast<vec4f>(a) + bitcast<vec4f>(b));\n}\n\nfn not_finite(bits: vec4u) -> vec4<bool> {\n\treturn (bits & vec4u(EXPONENT)) == vec4u(EXPONENT);\n}\n\n// What the non-finite pixels of a window add up to.\nstruct Extremes {\n\tnan: bool,\n\tup: bool, // an infinity of this sign\n\tdown: bool,\n}\n\nfn meet(seen: Extremes, pixel: u32, tap: u32) -> Extremes {\n\tif ((pixel & EXPONENT) != EXPONENT) { return seen; }\n\tif ((pixel & 0x7fffffu) != 0u || (tap & MAGNITUDE) == 0u) { return Extremes(true, false, false); }\n\tlet minus = ((pixel ^ tap) >> 31u) == 1u;\n\treturn Extremes(seen.nan, seen.up || !minus, seen.down || minus);\n}\n\n// The sum's bits by IEEE arithmetic; 0 where every pixel is finite.\nfn extreme_sum(seen: Extremes) -> u32 {\n\tif (seen.nan || (seen.up && seen.down)) { return NAN; }\n\tif (seen.up) { return EXPONENT; }\n\treturn select(0u, 0x80000000u | EXPONENT, seen.down);\n}\n\n// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// A quad of the result: where it lies and what it holds.\nstruct Place {\n\tplane: u32, // of the piece's result\n\tchannel: u32, // result channel of lane 0\n\tside: u32, // from one element's channel to the next: 1 where the kernels of a bank lie side by side\n\ty: u32,\n\tx: u32, // its first element in the row\n\tend: u32, // and the first that is none of the row: what lies from there on is room that nobody reads\n\tat: u32, // where it is written in the row with its room; a multiple of 4\n}\n\n// Values in the result's dtype, and those that do not fit it.\nstruct Stored {\n\twords: vec4u,\n\tover: vec4<bool>,\n}\n\n// Ends of the dtype OUT, of at most 16 bits.\nfn least() -> i32 {\n\treturn select(0, -(1 << ((8u << size_of(OUT)) - 1u)), is_signed(OUT));\n}\n\nfn most() -> i32 {\n\tlet bits = (8u << size_of(OUT)) - select(0u, 1u, is_signed(OUT));\n\treturn (1 << bits) - 1;\n}\n\nfn store_integers(values: vec4i) -> Stored {\n\tvar kept = values;\n\tif (OUT == U32) { kept = max(values, vec4i(0)); }\n\tif (size_of(OUT) < 2u) { kept = clamp(values, vec4i(least()), vec4i(most())); }\n\tif (params.overflow == WRAP) { return Stored(bitcast<vec4u>(values), vec4<bool>()); }\n\treturn Stored(bitcast<vec4u>(kept), kept != values);\n}\n\nfn round_whole(v: vec4f) -> vec4f {\n\tlet whole = trunc(v);\n\tswitch params.rounding {\n\t\tcase NEAREST_EVEN: { return round(v); }\n\t\tcase HALF_AWAY: { return whole + select(vec4f(), sign(v), abs(v - whole) >= vec4f(0.5f)); }\n\t\tcase FLOOR: { return floor(v); }\n\t\tdefault: { return whole; }\n\t}\n}\n\n// A whole float32 modulo 2^32; infinities give 0.\nfn whole_modulo(v: vec4f) -> vec4u {\n\tlet bits = bitcast<vec4u>(v);\n\tlet exponent = (bits & vec4u(EXPONENT)) >> vec4u(23u);\n\tlet fraction = (bits & vec4u(0x7fffffu)) | vec4u(0x800000u);\n\tlet shift = max(exponent, vec4u(150u)) - vec4u(150u);\n\tlet large = select(fraction << (shift & vec4u(31u)), vec4u(), shift >= vec4u(32u));\n\tlet magnitude = select(vec4u(abs(v)), large, exponent >= vec4u(150u));\n\treturn select(magnitude, ~magnitude + vec4u(1u), bits >> vec4u(31u) == vec4u(1u));\n}\n\n// Rounds finite float32 values to an integer dtype.\nfn store_rounded(v: vec4f) -> Stored {\n\tlet whole = round_whole(v);\n\tif (params.overflow == WRAP) { return Stored(whole_modulo(whole), vec4<bool>()); }\n\tvar low = f32(least());\n\tvar high = f32(most()) + 1.0f;\n\tif (OUT == U32) { high = 0x1p32f; }\n\tif (OUT == I32) { low = -0x1p31f; high = 0x1p31f; }\n\tlet under = whole < vec4f(low);\n\tlet above = whole >= vec4f(high);\n\tlet held = select(whole, vec4f(), under | above);\n\tvar words = bitcast<vec4u>(vec4i(held));\n\tif (OUT == U32) { words = vec4u(held); }\n\tlet last = select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n\tlet first = select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u);\n\treturn Stored(select(select(words, vec4u(last), above), vec4u(first), under), under | above);\n}\n\n// float32 bits rounded to float16 bits: nearest, ties to even.\nfn narrow_to_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits >> vec4u(16u)) & vec4u(0x8000u);\n\tlet magnitude = bits & vec4u(MAGNITUDE);\n\tlet tiny = magnitude < vec4u(0x38800000u); // below 2^-14: subnormal\n\tlet shift = select(vec4u(13u), min(vec4u(126u) - (min(magnitude, vec4u(0x38800000u)) >> vec4u(23u)), vec4u(25u)), tiny);\n\tlet value = select(magnitude - vec4u(112u << 23u), (magnitude & vec4u(0x7fffffu)) | vec4u(0x800000u), tiny);\n\tlet whole = value >> shift;\n\tlet rest = value & ((vec4u(1u) << shift) - vec4u(1u));\n\tlet half = vec4u(1u) << (shift - vec4u(1u));\n\tlet up = (rest > half) | ((rest == half) & ((whole & vec4u(1u)) == vec4u(1u)));\n\tvar rounded = whole + select(vec4u(), vec4u(1u), up); // a carry runs into the exponent and up to infinity\n\trounded = select(rounded, vec4u(0x7c00u), magnitude >= vec4u(0x47800000u)); // 2^16 and above\n\treturn sign | select(rounded, vec4u(0x7e00u), magnitude > vec4u(EXPONENT));\n}\n\n// A NaN or an infinity in an integer dtype.\nfn store_extreme(bits: u32) -> u32 {\n\tif ((bits & 0x7fffffu) != 0u || params.overflow != SATURATE) { return 0u; }\n\tif (bits >> 31u == 1u) { return select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u); }\n\treturn select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n}\n\nfn epilogue(p: Place, sums: vec4u) -> vec4u {\n\tvar scaled = sums;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tvar channel = p.channel + e * p.side;\n\t\tif (params.lanes > 1u && p.side == 0u) { channel += (p.x + e) % params.lanes; }\n\t\tlet at = 3u * channel;\n\t\tlet scale = epilogues[at];\n\t\tlet bits = sums[e];\n\t\tif (epilogues[at + 2u] != 0u) { continue; }\n\t\tif (IN >= F16 && (bits & EXPONENT) == EXPONENT) {\n\t\t\tscaled[e] = select(bits ^ (scale & 0x80000000u), NAN, (bits & 0x7fffffu) != 0u || (scale & MAGNITUDE) == 0u);\n\t\t} else {\n\t\t\tscaled[e] = bitcast<u32>(fma(bitcast<f32>(scale), bitcast<f32>(bits), bitcast<f32>(epilogues[at + 1u])));\n\t\t}\n\t}\n\treturn scaled;\n}\n\nfn in_result(p: Place, sums: vec4u) -> Stored {\n\tif (SUM == WORD) { return store_integers(bitcast<vec4i>(sums)); }\n\tif (params.plain != 0u && SUM == EXACT && OUT < F16) { return store_integers(vec4i(bitcast<vec4f>(sums))); }\n\tvar bits = sums;\n\tif (params.plain == 0u) { bits = epilogue(p, sums); }\n\tif (OUT == F32) { return Stored(bits, vec4<bool>()); }\n\tif (OUT == F16) { return Stored(narrow_to_half(bits), vec4<bool>()); }\n\tlet odd = not_finite(bits);\n\tvar stored = store_rounded(bitcast<vec4f>(select(bits, vec4u(), odd)));\n\tif (any(odd)) {\n\t\tlet extremes = vec4u(store_extreme(bits.x), store_extreme(bits.y), store_extreme(bits.z), store_extreme(bits.w));\n\t\tstored.words = select(stored.words, extremes, odd);\n\t\tstored.over = stored.over | (odd & ((bits & vec4u(0x7fffffu)) == vec4u()));\n\t}\n\treturn stored;\n}\n\n// Stores a quad.\nfn store(p: Place, sums: vec4u) {\n\tlet stored = in_result(p, sums);\n\tlet words = stored.words;\n\tif (OUT < F16 && params.overflow == THROW && any(stored.over)) {\n\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\tif (stored.over[e] && p.x + e < p.end) {\n\t\t\t\tatomicMin(&overflow_at, (p.plane * params.rows + p.y) * params.width * params.across + p.x + e);\n\t\t\t}\n\t\t}\n\t}\n\tlet at = (p.plane * params.rows + p.y) * params.out_pitch + p.at;\n\tif (size_of(OUT) == 0u) {\n\t\tlet low = words & vec4u(0xffu);\n\t\tresult[at >> 2u] = low.x | (low.y << 8u) | (low.z << 16u) | (low.w << 24u);\n\t} else if (size_of(OUT) == 1u) {\n\t\tlet low = words & vec4u(0xffffu);\n\t\tresult[at >> 1u] = low.x | (low.y << 16u);\n\t\tresult[(at >> 1u) + 1u] = low.z | (low.w << 16u);\n\t} else {\n\t\twide_result[at >> 2u] = words;\n\t}\n}\n\n// Where layer z of the dispatch is read, and where its quad goes.\nfn base_of(z: u32) -> u32 {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\treturn params.first_element + batch * params.batch_stride + (plane - batch * params.planes) * params.channel_stride;\n}\n\nfn place_of(z: u32, y: u32, x: u32) -> Place {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\tlet step = (plane - batch * params.planes) * params.kernels;\n\treturn Place(batch * params.out_planes + params.out_first + step, params.first_channel + step, 0u, y, x, params.width, x);\n}\n\n// ── end ──\n\n// ── what is known of a job ──────────────────────────────────────────────────────────────────────────────────────────────\n\n// Complex numbers that a workgroup holds, a power of two of at least 8 * THREADS and one line.\noverride POINTS: u32 = 2048u;\noverride THREADS: u32 = 256u;\n\nstruct Transform {\n\tlog_y: u32, // log2 of the transforms' lengths\n\tlog_x: u32,\n\tfirst_pair: u32, // of the dispatch; `regions` and `spectrum` begin with it\n\tpairs_y: u32, // pairs of one plane\n\tpairs_x: u32,\n\tstep_y: u32, // from the first tile of a pair to the second: one of them is 1\n\tstep_x: u32,\n\ttile_height: u32,\n\ttile_width: u32, // a multiple of 4 where a plane has several tiles in a row\n\tcolumns: u32, // pixels of an output row\n\treach_y: u32, // rows and columns of the window less one\n\treach_x: u32,\n\tcol_pitch: u32, // elements of the image from a column to the next\n\tweight: f32, // sum of the taps\n\tkernel_exponent: u32, // the spectrum is scaled by 2^-this (two's complement)\n\tmagnitude_exponent: u32, // log2 of the sum of |tap|, rounded down (two's complement)\n\tquiet: f32, // deviations up to this are never outliers\n\trounds: u32, // POINTS / 8 / THREADS: said when running, so that compilers do not unroll what is large already\n}\n\n// One region: the part of its pair.\nstruct Region {\n\tkind: u32,\n\tmean: f32,\n\tscale: f32, // 2^-exponent; 0: the part is left out\n\texponent: i32,\n}\n\nconst ABSENT = 0u; // beyond the last tile\nconst TRANSFORMED = 1u;\nconst FLAT = 2u; // all pixels are the mean: the sums owe nothing to the transform, nor to rounding in the other part\nconst DIRECT = 3u;\n\n@group(0) @binding(9) var<uniform> transform: Transform;\n@group(0) @binding(10) var<storage, read_write> regions: array<Region>; // two a pair\n@group(0) @binding(11) var<storage, read_write> spectrum: array<vec2f>; // a pair's rows, each of 2^log_x\n@group(0) @binding(12) var<storage, read> roots: array<vec2f>; // exp(-2*pi*i*k/n) of the pass's axis\n@group(0) @binding(13) var<storage, read> kernel_spectrum: array<vec2f>; // conj(F taps) / n * 2^-kernel_exponent\n@group(0) @binding(14) var<storage, read> window_taps: array<u32>; // of the window, row by row\n@group(0) @binding(15) var<storage, read> sums_of_planes: array<u32>; // rows of whole quads\n\n// Where a tile lies.\nstruct Tile {\n\tpresent: bool,\n\tplane: u32,\n\ty: u32, // first output\n\tx: u32,\n\theight: u32,\n\twidth: u32,\n}\n\nfn tile_of(local_pair: u32, part: u32) -> Tile {\n\tlet pair = transform.first_pair + local_pair;\n\tlet each = transform.pairs_y * transform.pairs_x;\n\tlet plane = pair / each;\n\tlet row = (pair - plane * each) / transform.pairs_x;\n\tlet col = pair - plane * each - row * transform.pairs_x;\n\tlet y = (row * (1u + transform.step_y) + part * transform.step_y) * transform.tile_height;\n\tlet x = (col * (1u + transform.step_x) + part * transform.step_x) * transform.tile_width;\n\tlet present = y < params.rows && x < transform.columns;\n\tlet height = min(transform.tile_height, params.rows - min(y, params.rows));\n\tlet width = min(transform.tile_width, transform.columns - min(x, transform.columns));\n\treturn Tile(present, plane, y, x, height, width);\n}\n\n// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// Row y of a tile's region, counted from output row 0.\nfn region_line(y: u32) -> u32 {\n\treturn line_of(y + params.row_shift);\n}\n\n// A pixel as float32 bits; x counts from output column 0.\nfn pixel_bits(base: u32, line: u32, x: u32) -> u32 {\n\tlet col = x + params.col_shift;\n\tif (line != OUTSIDE && col >= params.col_begin && col < params.col_end) {\n\t\treturn in_sum(vec4u(element(base + line + params.col_origin + col * transform.col_pitch))).x;\n\t}\n\treturn in_sum(vec4u(mapped(base, line, i32(col)))).x;\n}\n\n// ── survey ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// A region is judged by so many of its pixels, and holds an outlier where so many of them are quiet.\nconst SAMPLES = 64u;\nconst QUIET = 60u;\n\n// From 2^100 on, sums over a region and the transform have no room; below 2^-118 a scale would overflow.\nconst LARGE = 0x71800000u;\nconst LEAST_EXPONENT = -118;\n// log2 of what the sums themselves may reach; a norm is below 2^11 of its largest pixel.\nconst MOST_EXPONENT = 108;\n\noverride LANES_X: u32 = min(THREADS, 32u);\noverride LANES_Y: u32 = THREADS / LANES_X;\n\n// Sums of so many rows are added up before they go on.\nconst BAND = 16u;\n\n// Each thread's sum, least and largest pixel, and 1 where one was too large.\nvar<workgroup> findings: array<vec4f, THREADS>;\nvar<workgroup> samples: array<f32, SAMPLES>;\nvar<workgroup> median: f32;\n\nfn both(a: vec4f, b: vec4f) -> vec4f {\n\treturn vec4f(a.x + b.x, min(a.y, b.y), max(a.z, b.z), max(a.w, b.w));\n}\n\n// All threads' findings together, for every thread.\nfn gathered(thread: u32, own: vec4f) -> vec4f {\n\tworkgroupBarrier();\n\tfindings[thread] = own;\n\tworkgroupBarrier();\n\tfor (var half = THREADS / 2u; half > 0u; half >>= 1u) {\n\t\tif (thread < half) { findings[thread] = both(findings[thread], findings[thread + half]); }\n\t\tworkgroupBarrier();\n\t}\n\treturn findings[0];\n}\n\n// Sum of the pixels less the pivot; or of ((x - pivot) * scale)^2. Of rows of a band first, then of bands.\nfn look(base: u32, tile: Tile, thread: u32, pivot: f32, scale: f32, squares: bool) -> vec4f {\n\tlet rows = tile.height + transform.reach_y;\n\tlet cols = tile.width + transform.reach_x;\n\tlet lane = thread % LANES_X;\n\tlet first = thread / LANES_X;\n\tlet wide = (cols + LANES_X - 1u) / LANES_X;\n\tlet bands = (rows + LANES_Y * BAND - 1u) / (LANES_Y * BAND);\n\tvar seen = vec4f(0.0f, pivot, pivot, 0.0f);\n\tfor (var b = 0u; b < bands; b += 1u) {\n\t\tvar band = 0.0f;\n\t\tfor (var j = 0u; j < BAND; j += 1u) {\n\t\t\tlet y = (b * BAND + j) * LANES_Y + first;\n\t\t\tlet line = region_line(tile.y + y);\n\t\t\tvar row = 0.0f;\n\t\t\tfor (var i = 0u; y < rows && i < wide; i += 1u) {\n\t\t\t\tlet x = i * LANES_X + lane;\n\t\t\t\tif (x >= cols) { continue; }\n\t\t\t\tlet bits = pixel_bits(base, line, tile.x + x);\n\t\t\t\tif ((bits & MAGNITUDE) >= LARGE) {\n\t\t\t\t\tseen.w = 1.0f;\n\t\t\t\t\tcontinue;\n\t\t\t\t}\n\t\t\t\tlet v = bitcast<f32>(bits);\n\t\t\t\tlet d = v - pivot;\n\t\t\t\trow += select(d, (d * scale) * (d * scale), squares);\n\t\t\t\tseen = vec4f(seen.x, min(seen.y, v), max(seen.z, v), seen.w);\n\t\t\t}\n\t\t\tband += row;\n\t\t}\n\t\tseen.x += band;\n\t}\n\treturn seen;\n}\n\n// log2 of a positive number, rounded down; of subnormals -127.\nfn exponent_of(v: f32) -> i32 {\n\treturn i32((bitcast<u32>(v) & EXPONENT) >> 23u) - 127;\n}\n\n// 2^e for e from -126 to 127.\nfn power(e: i32) -> f32 {\n\treturn bitcast<f32>(u32(e + 127) << 23u);\n}\n\n// Sorts out the median of the samples. Where one was too large they are zeros in its place; it does not matter then.\nfn take_samples(base: u32, tile: Tile, thread: u32) {\n\tlet rows = tile.height + transform.reach_y;\n\tlet cols = tile.width + transform.reach_x;\n\tlet each = (SAMPLES + THREADS - 1u) / THREADS;\n\tfor (var i = 0u; i < each; i += 1u) {\n\t\tlet k = i * THREADS + thread;\n\t\tif (k < SAMPLES) {\n\t\t\t// rows in order, columns by the golden ratio: points of a lattice without short lines\n\t\t\tlet y = k * rows / SAMPLES;\n\t\t\tlet x = (((k * 40503u) & 0xffffu) * cols) >> 16u;\n\t\t\tlet bits = pixel_bits(base, region_line(tile.y + y), tile.x + x);\n\t\t\tsamples[k] = bitcast<f32>(select(bits, 0u, (bits & MAGNITUDE) >= LARGE));\n\t\t}\n\t}\n\tworkgroupBarrier();\n\tfor (var i = 0u; i < each; i += 1u) {\n\t\tlet k = i * THREADS + thread;\n\t\tif (k < SAMPLES) {\n\t\t\tlet own = samples[k];\n\t\t\tvar rank = 0u;\n\t\t\tfor (var j = 0u; j < SAMPLES; j += 1u) {\n\t\t\t\tlet other = samples[j];\n\t\t\t\trank += select(0u, 1u, other < own || (other == own && j < k));\n\t\t\t}\n\t\t\tif (rank == SAMPLES / 2u) { median = own; }\n\t\t}\n\t}\n\tworkgroupBarrier();\n}\n\n@compute @workgroup_size(THREADS)\nfn survey(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet tile = tile_of(group.x >> 1u, group.x & 1u);\n\tif (!tile.present) {\n\t\tif (thread == 0u) { regions[group.x] = Region(ABSENT, 0.0f, 0.0f, 0); }\n\t\treturn;\n\t}\n\tlet base = base_of(tile.plane);\n\tlet count = f32((tile.height + transform.reach_y) * (tile.width + transform.reach_x));\n\tlet corner = pixel_bits(base, region_line(tile.y), tile.x);\n\tlet pivot = bitcast<f32>(select(corner, 0u, (corner & MAGNITUDE) >= LARGE));\n\tlet found = gathered(thread, look(base, tile, thread, pivot, 0.0f, false));\n\tlet mean = pivot + found.x / count;\n\tlet largest = max(found.z - mean, mean - found.y);\n\t// scaled so that squares neither overflow nor all vanish, then to a norm from 1 to 2\n\tlet rough = max(exponent_of(largest), LEAST_EXPONENT);\n\tlet squares = gathered(thread, look(base, tile, thread, mean, power(-rough), true)).x;\n\t// log2 of the root, rounded down; a shift keeps the sign\n\tlet exponent = max(rough + select(0, exponent_of(squares) >> 1u, squares > 0.0f), LEAST_EXPONENT);\n\ttake_samples(base, tile, thread);\n\tif (thread != 0u) { return; }\n\tlet most = max(found.z - median, median - found.y);\n\tvar quiet = 0u;\n\tfor (var k = 0u; k < SAMPLES; k += 1u) { quiet += select(0u, 1u, abs(samples[k] - median) < most * 0x1p-12f); }\n\tlet outlier = most > transform.quiet * 0x1p12f && quiet >= QUIET;\n\tlet reach = exponent_of(max(abs(mean), largest)) + bitcast<i32>(transform.magnitude_exponent);\n\tif (found.w != 0.0f || outlier || reach >= MOST_EXPONENT) {\n\t\tregions[group.x] = Region(DIRECT, 0.0f, 0.0f, 0);\n\t} else if (largest == 0.0f) {\n\t\tregions[group.x] = Region(FLAT, mean, 0.0f, 0);\n\t} else {\n\t\tregions[group.x] = Region(TRANSFORMED, mean, power(-exponent), exponent);\n\t}\n}\n\n// ── transforms of lines in a workgroup's memory ─────────────────────────────────────────────────────────────────────────\n\nvar<workgroup> points: array<vec2f, POINTS>;\n\n// How the lines of a workgroup lie: one after the other, or side by side.\nstruct Lines {\n\tlog_length: u32,\n\tlog_count: u32,\n\tabreast: bool,\n}\n\nfn log2_of(n: u32) -> u32 {\n\treturn firstTrailingBit(n);\n}\n\n// Place of an element, turned around within 16 neighbours, so that steps of powers of two do not meet in one bank.\nfn slot(lines: Lines, line: u32, at: u32) -> u32 {\n\tlet place = select((line << lines.log_length) | at, (at << lines.log_count) | line, lines.abreast);\n\treturn place ^ ((place >> 4u) & 15u);\n}\n\n// A butterfly of a pass: its line, its first element, and the power of the root that its twiddles are powers of.\nstruct Butterfly {\n\tline: u32,\n\tfirst: u32,\n\troot: u32,\n}\n\n// @param log_step log2 of the distance of its elements; log_radix of their number\nfn butterfly(lines: Lines, index: u32, log_step: u32, log_radix: u32) -> Butterfly {\n\tlet log_each = lines.log_length - log_radix; // butterflies of a line\n\tlet line = select(index >> log_each, index & ((1u << lines.log_count) - 1u), lines.abreast);\n\tlet j = select(index & ((1u << log_each) - 1u), index >> lines.log_count, lines.abreast);\n\tlet within = j & ((1u << log_step) - 1u);\n\tlet first = ((j >> log_step) << (log_step + log_radix)) | within;\n\treturn Butterfly(line, first, within << (log_each - log_step));\n}\n\nfn times(a: vec2f, b: vec2f) -> vec2f {\n\treturn vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);\n}\n\n// z to the power of the butterfly's q-th element.\nfn turned(z: vec2f, b: Butterfly, q: u32) -> vec2f {\n\treturn times(z, roots[b.root * q]);\n}\n\n// -i·z\nfn quarter(z: vec2f) -> vec2f {\n\treturn vec2f(z.y, -z.x);\n}\n\nstruct Four {\n\ta: vec2f,\n\tb: vec2f,\n\tc: vec2f,\n\td: vec2f,\n}\n\nstruct Eight {\n\tlow: Four,\n\thigh: Four,\n}\n\nfn transform_4(z: Four) -> Four {\n\tlet s = z.a + z.c;\n\tlet d = z.a - z.c;\n\tlet t = z.b + z.d;\n\tlet e = quarter(z.b - z.d);\n\treturn Four(s + t, d + e, s - t, d - e);\n}\n\nconst ROOT_HALF = 0.70710678118654752440f;\n\nfn transform_8(z: Eight) -> Eight {\n\tlet even = transform_4(Four(z.low.a + z.high.a, z.low.b + z.high.b, z.low.c + z.high.c, z.low.d + z.high.d));\n\tlet b = z.low.b - z.high.b;\n\tlet d = z.low.d - z.high.d;\n\tlet odd = transform_4(Four(\n\t\tz.low.a - z.high.a,\n\t\tROOT_HALF * vec2f(b.x + b.y, b.y - b.x),\n\t\tquarter(z.low.c - z.high.c),\n\t\tROOT_HALF * vec2f(d.y - d.x, -d.x - d.y)));\n\treturn Eight(Four(even.a, odd.a, even.b, odd.b), Four(even.c, odd.c, even.d, odd.d));\n}\n\nfn load_4(lines: Lines, line: u32, first: u32, log_step: u32) -> Four {\n\tlet step = 1u << log_step;\n\treturn Four(\n\t\tpoints[slot(lines, line, first)],\n\t\tpoints[slot(lines, line, first + step)],\n\t\tpoints[slot(lines, line, first + 2u * step)],\n\t\tpoints[slot(lines, line, first + 3u * step)]);\n}\n\nfn save_4(lines: Lines, line: u32, first: u32, log_step: u32, z: Four) {\n\tlet step = 1u << log_step;\n\tpoints[slot(lines, line, first)] = z.a;\n\tpoints[slot(lines, line, first + step)] = z.b;\n\tpoints[slot(lines, line, first + 2u * step)] = z.c;\n\tpoints[slot(lines, line, first + 3u * step)] = z.d;\n}\n\nfn load_8(lines: Lines, b: Butterfly, log_step: u32) -> Eight {\n\treturn Eight(load_4(lines, b.line, b.first, log_step), load_4(lines, b.line, b.first + (4u << log_step), log_step));\n}\n\nfn save_8(lines: Lines, b: Butterfly, log_step: u32, z: Eight) {\n\tsave_4(lines, b.line, b.first, log_step, z.low);\n\tsave_4(lines, b.line, b.first + (4u << log_step), log_step, z.high);\n}\n\nfn twiddled_4(z: Four, b: Butterfly) -> Four {\n\treturn Four(z.a, turned(z.b, b, 1u), turned(z.c, b, 2u), turned(z.d, b, 3u));\n}\n\nfn twiddled_8(z: Eight, b: Butterfly) -> Eight {\n\treturn Eight(\n\t\ttwiddled_4(z.low, b),\n\t\tFour(turned(z.high.a, b, 4u), turned(z.high.b, b, 5u), turned(z.high.c, b, 6u), turned(z.high.d, b, 7u)));\n}\n\n// Passes of radix 4 of a length 2^log: the rest are of radix 8, the last one always.\nfn fours(log: u32) -> u32 {\n\treturn (3u - log % 3u) % 3u;\n}\n\nfn pass_4(lines: Lines, thread: u32, log_step: u32, back: bool) {\n\tfor (var k = 0u; k < 2u * transform.rounds; k += 1u) {\n\t\tlet b = butterfly(lines, k * THREADS + thread, log_step, 2u);\n\t\tlet z = load_4(lines, b.line, b.first, log_step);\n\t\tif (back) {\n\t\t\tsave_4(lines, b.line, b.first, log_step, transform_4(twiddled_4(z, b)));\n\t\t} else {\n\t\t\tsave_4(lines, b.line, b.first, log_step, twiddled_4(transform_4(z), b));\n\t\t}\n\t}\n\tworkgroupBarrier();\n}\n\nfn pass_8(lines: Lines, thread: u32, log_step: u32, back: bool) {\n\tfor (var k = 0u; k < transform.rounds; k += 1u) {\n\t\tlet b = butterfly(lines, k * THREADS + thread, log_step, 3u);\n\t\tlet z = load_8(lines, b, log_step);\n\t\tif (back) {\n\t\t\tsave_8(lines, b, log_step, transform_8(twiddled_8(z, b)));\n\t\t} else {\n\t\t\tsave_8(lines, b, log_step, twiddled_8(transform_8(z), b));\n\t\t}\n\t}\n\tworkgroupBarrier();\n}\n\n// The passes before the last, which has no twiddles.\nfn transform_down(lines: Lines, thread: u32) {\n\tvar log_step = lines.log_length;\n\tfor (var p = 0u; p < fours(lines.log_length); p += 1u) {\n\t\tlog_step -= 2u;\n\t\tpass_4(lines, thread, log_step, false);\n\t}\n\tlet eights = (log_step - 1u) / 3u; // log_step is 3 times their number, the last one included\n\tfor (var p = 0u; p < eights; p += 1u) {\n\t\tlog_step -= 3u;\n\t\tpass_8(lines, thread, log_step, false);\n\t}\n}\n\n// The passes back after the first.\nfn transform_up(lines: Lines, thread: u32) {\n\tvar log_step = 3u;\n\tlet narrow = fours(lines.log_length);\n\tlet eights = (lines.log_length - 2u * narrow) / 3u - 1u;\n\tfor (var p = 0u; p < eights; p += 1u) {\n\t\tpass_8(lines, thread, log_step, true);\n\t\tlog_step += 3u;\n\t}\n\tfor (var p = 0u; p < narrow; p += 1u) {\n\t\tpass_4(lines, thread, log_step, true);\n\t\tlog_step += 2u;\n\t}\n}\n\n// The pass of neighbours, without twiddles.\nfn pass_neighbours(lines: Lines, thread: u32) {\n\tfor (var k = 0u; k < transform.rounds; k += 1u) {\n\t\tlet b = butterfly(lines, k * THREADS + thread, 0u, 3u);\n\t\tsave_8(lines, b, 0u, transform_8(load_8(lines, b, 0u)));\n\t}\n\tworkgroupBarrier();\n}\n\nfn lines_of_rows() -> Lines {\n\treturn Lines(transform.log_x, log2_of(POINTS) - transform.log_x, false);\n}\n\n// Where a row of a pair begins in `spectrum`.\nfn row_of(pair: u32, y: u32) -> u32 {\n\treturn ((pair << transform.log_y) + y) << transform.log_x;\n}\n\n// ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// A pixel of a region in its part of the pair, 0 outside the region.\nfn part(region: Region, tile: Tile, base: u32, y: u32, x: u32) -> f32 {\n\tif (region.scale == 0.0f || y >= tile.height + transform.reach_y || x >= tile.width + transform.reach_x) { return 0.0f; }\n\tlet pixel = bitcast<f32>(pixel_bits(base, region_line(tile.y + y), tile.x + x));\n\treturn (pixel - region.mean) * region.scale;\n}\n\n@compute @workgroup_size(THREADS)\nfn forward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet lines = lines_of_rows();\n\tlet rows = transform.tile_height + transform.reach_y;\n\tlet top = group.x << lines.log_count;\n\tlet first = tile_of(group.y, 0u);\n\tlet second = tile_of(group.y, 1u);\n\tlet re = regions[2u * group.y];\n\tlet im = regions[2u * group.y + 1u];\n\tlet base = base_of(first.plane);\n\tfor (var k = 0u; k < 8u * transform.rounds; k += 1u) {\n\t\tlet at = k * THREADS + thread;\n\t\tlet line = at >> transform.log_x;\n\t\tlet x = at & ((1u << transform.log_x) - 1u);\n\t\tlet y = top + line;\n\t\tpoints[slot(lines, line, x)] = vec2f(part(re, first, base, y, x), part(im, second, base, y, x));\n\t}\n\tworkgroupBarrier();\n\ttransform_down(lines, thread);\n\tpass_neighbours(lines, thread);\n\tfor (var k = 0u; k < 8u * transform.rounds; k += 1u) {\n\t\tlet at = k * THREADS + thread;\n\t\tlet line = at >> transform.log_x;\n\t\tlet x = at & ((1u << transform.log_x) - 1u);\n\t\tif (top + line < rows) { spectrum[row_of(group.y, top + line) + x] = points[slot(lines, line, x)]; }\n\t}\n}\n\n// ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// times the kernel, then real and imaginary part swapped\nfn multiplied(z: vec2f, x: u32, y: u32) -> vec2f {\n\treturn times(z, kernel_spectrum[(y << transform.log_x) + x]).yx;\n}\n\nfn multiplied_4(z: Four, x: u32, y: u32) -> Four {\n\treturn Four(multiplied(z.a, x, y), multiplied(z.b, x, y + 1u), multiplied(z.c, x, y + 2u), multiplied(z.d, x, y + 3u));\n}\n\n@compute @workgroup_size(THREADS)\nfn columns(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet lines = Lines(transform.log_y, log2_of(POINTS) - transform.log_y, true);\n\tlet rows = transform.tile_height + transform.reach_y;\n\tlet left = group.x << lines.log_count;\n\tlet width = 1u << transform.log_x;\n\tfor (var k = 0u; k < 8u * transform.rounds; k += 1u) {\n\t\tlet at = k * THREADS + thread;\n\t\tlet y = at >> lines.log_count;\n\t\tlet line = at & ((1u << lines.log_count) - 1u);\n\t\tvar z = vec2f();\n\t\tif (y < rows && left + line < width) { z = spectrum[row_of(group.y, y) + left + line]; }\n\t\tpoints[slot(lines, line, y)] = z;\n\t}\n\tworkgroupBarrier();\n\ttransform_down(lines, thread);\n\t// the last pass, the product and the first pass back\n\tfor (var k = 0u; k < transform.rounds; k += 1u) {\n\t\tlet b = butterfly(lines, k * THREADS + thread, 0u, 3u);\n\t\tlet x = min(left + b.line, width - 1u);\n\t\tlet z = transform_8(load_8(lines, b, 0u));\n\t\tsave_8(lines, b, 0u, transform_8(Eight(multiplied_4(z.low, x, b.first), multiplied_4(z.high, x, b.first + 4u))));\n\t}\n\tworkgroupBarrier();\n\ttransform_up(lines, thread);\n\tfor (var k = 0u; k < 8u * transform.rounds; k += 1u) {\n\t\tlet at = k * THREADS + thread;\n\t\tlet y = at >> lines.log_count;\n\t\tlet line = at & ((1u << lines.log_count) - 1u);\n\t\tif (y < transform.tile_height && left + line < width) { spectrum[row_of(group.y, y) + left + line] = points[slot(lines, line, y)]; }\n\t}\n}\n\n// ── inverse ─────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// Stores a quad of a tile's sums. Two factors: their product may be beyond a float32.\nfn finish(region: Region, tile: Tile, y: u32, x: u32, sums: vec4f) {\n\tif (region.kind == ABSENT || region.kind == DIRECT || y >= tile.height || x >= tile.width) { return; }\n\tvar factors = vec2f();\n\tif (region.kind == TRANSFORMED) {\n\t\tlet exponent = region.exponent + bitcast<i32>(transform.kernel_exponent);\n\t\tfactors = vec2f(power(exponent >> 1u), power(exponent - (exponent >> 1u)));\n\t}\n\tlet shift = region.mean * transform.weight;\n\tlet place = place_of(tile.plane, tile.y + y, tile.x + x);\n\tstore(place, bitcast<vec4u>(fma(sums * factors.x, vec4f(factors.y), vec4f(shift))));\n}\n\n@compute @workgroup_size(THREADS)\nfn inverse(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet lines = lines_of_rows();\n\tlet top = group.x << lines.log_count;\n\tfor (var k = 0u; k < 8u * transform.rounds; k += 1u) {\n\t\tlet at = k * THREADS + thread;\n\t\tlet line = at >> transform.log_x;\n\t\tlet x = at & ((1u << transform.log_x) - 1u);\n\t\tvar z = vec2f();\n\t\tif (top + line < transform.tile_height) { z = spectrum[row_of(group.y, top + line) + x]; }\n\t\tpoints[slot(lines, line, x)] = z;\n\t}\n\tworkgroupBarrier();\n\tpass_neighbours(lines, thread);\n\ttransform_up(lines, thread);\n\tlet first = tile_of(group.y, 0u);\n\tlet second = tile_of(group.y, 1u);\n\tlet re = regions[2u * group.y];\n\tlet im = regions[2u * group.y + 1u];\n\tfor (var k = 0u; k < 2u * transform.rounds; k += 1u) {\n\t\tlet at = 4u * (k * THREADS + thread);\n\t\tlet line = at >> transform.log_x;\n\t\tlet x = at & ((1u << transform.log_x) - 1u);\n\t\tlet a = points[slot(lines, line, x)];\n\t\tlet b = points[slot(lines, line, x + 1u)];\n\t\tlet c = points[slot(lines, line, x + 2u)];\n\t\tlet d = points[slot(lines, line, x + 3u)];\n\t\tfinish(re, first, top + line, x, vec4f(a.y, b.y, c.y, d.y));\n\t\tfinish(im, second, top + line, x, vec4f(a.x, b.x, c.x, d.x));\n\t}\n}\n\n// ── direct ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// One sum, each row of the window first; by IEEE rules where the window holds a NaN or an infinity.\nfn direct_sum(base: u32, y: u32, x: u32) -> u32 {\n\tvar seen = Extremes(false, false, false);\n\tvar sum = 0.0f;\n\tvar tap = 0u;\n\tfor (var j = 0u; j < params.tap_rows; j += 1u) {\n\t\tlet line = region_line(y + j);\n\t\tvar row = 0.0f;\n\t\tfor (var i = 0u; i < params.tap_cols; i += 1u) {\n\t\t\tlet bits = pixel_bits(base, line, x + i);\n\t\t\tif (IN >= F16) { seen = meet(seen, bits, window_taps[tap]); }\n\t\t\trow = fma(bitcast<f32>(window_taps[tap]), bitcast<f32>(bits), row);\n\t\t\ttap += 1u;\n\t\t}\n\t\tsum += row;\n\t}\n\tlet extreme = extreme_sum(seen);\n\treturn select(extreme, bitcast<u32>(sum), extreme == 0u);\n}\n\n@compute @workgroup_size(THREADS)\nfn direct(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet tile = tile_of(group.y >> 1u, group.y & 1u);\n\tif (regions[group.y].kind != DIRECT) { return; }\n\tlet quads = (tile.width + 3u) / 4u;\n\tlet at = group.x * THREADS + thread;\n\tlet y = at / quads;\n\tlet x = 4u * (at - y * quads);\n\tif (y >= tile.height) { return; }\n\tlet base = base_of(tile.plane);\n\tvar sums = vec4u();\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tif (x + e < tile.width) { sums[e] = direct_sum(base, tile.y + y, tile.x + x + e); }\n\t}\n\tstore(place_of(tile.plane, tile.y + y, tile.x + x), sums);\n}\n\n// ── interleave ──────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// Here a row is all channels of its pixels. `columns` is its pixels, `tile_width` the elements of a row of a plane of sums.\n@compute @workgroup_size(THREADS)\nfn interleave(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet x = 4u * (group.x * THREADS + thread);\n\tif (x >= params.width) { return; }\n\tlet batch = transform.first_pair + group.z;\n\tvar sums = vec4u();\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tlet pixel = (x + e) / params.lanes;\n\t\tlet plane = batch * params.lanes + (x + e) - pixel * params.lanes;\n\t\tif (pixel < transform.columns) { sums[e] = sums_of_planes[(plane * params.rows + group.y) * transform.tile_width + pixel]; }\n\t}\n\tstore(Place(batch, 0u, 0u, group.y, x, params.width, x), sums);\n}\n"
	},
	"move": {
		"hash": "3522ba32be1ed670",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"source": {
				"binding": 1,
				"space": "storage,read"
			},
			"moved": {
				"binding": 2,
				"space": "storage,read_write"
			}
		},
		"entries": {
			"main": [
				"params",
				"source",
				"moved"
			]
		},
		"uniforms": {
			"params": {
				"source_byte": 0,
				"target_byte": 1,
				"bytes": 2,
				"source_words": 3
			}
		},
		"overrides": [
			"WORKGROUP"
		],
		"constants": [],
		"text": "// Copies a run of bytes between two buffers at any byte offsets; buffer copies need multiples of 4.\n//\n// One thread writes one word of the target, all of whose bytes inside the run it takes from at most two words of the source;\n// bytes of the word outside the run keep what they hold. Runs that share a word are separate dispatches, in order.\n\noverride WORKGROUP: u32 = 64u;\n\nstruct Params {\n\tsource_byte: u32, // where the run begins in `source`\n\ttarget_byte: u32, // and in `moved`\n\tbytes: u32,\n\tsource_words: u32,\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<storage, read> source: array<u32>;\n@group(0) @binding(2) var<storage, read_write> moved: array<u32>;\n\n// Word k of the source, 0 beyond its ends: those bytes lie outside the run.\nfn word(k: i32) -> u32 {\n\tif (k < 0 || u32(k) >= params.source_words) { return 0u; }\n\treturn source[k];\n}\n\n@compute @workgroup_size(WORKGROUP)\nfn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {\n\tlet at = params.target_byte / 4u + id.y * groups.x * WORKGROUP + id.x;\n\tlet end = params.target_byte + params.bytes;\n\tif (4u * at >= end) { return; }\n\t// byte of the source that goes to the word's lowest byte; up to 3 before the run's first\n\tlet origin = i32(params.source_byte) + i32(4u * at) - i32(params.target_byte);\n\tlet shift = u32(origin & 3) * 8u;\n\tvar bits = word(origin >> 2u) >> shift;\n\tif (shift != 0u) { bits |= word((origin >> 2u) + 1) << (32u - shift); }\n\tlet first = max(4u * at, params.target_byte) & 3u;\n\tlet last = min(4u * at + 4u, end) - 4u * at; // 1 … 4\n\tlet mask = (0xffffffffu << (8u * first)) & (0xffffffffu >> (32u - 8u * last));\n\tif (mask != 0xffffffffu) { bits = (bits & mask) | (moved[at] & ~mask); }\n\tmoved[at] = bits;\n}\n"
	},
	"separable": {
		"hash": "7d72c6379ec2e657",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"taps": {
				"binding": 1,
				"space": "uniform"
			},
			"image": {
				"binding": 2,
				"space": "storage,read"
			},
			"wide_image": {
				"binding": 3,
				"space": "storage,read"
			},
			"maps": {
				"binding": 4,
				"space": "storage,read"
			},
			"epilogues": {
				"binding": 5,
				"space": "storage,read"
			},
			"result": {
				"binding": 6,
				"space": "storage,read_write"
			},
			"wide_result": {
				"binding": 7,
				"space": "storage,read_write"
			},
			"overflow_at": {
				"binding": 8,
				"space": "storage,read_write"
			}
		},
		"entries": {
			"main": [
				"params",
				"taps",
				"image",
				"wide_image",
				"maps",
				"epilogues",
				"result",
				"wide_result",
				"overflow_at"
			]
		},
		"uniforms": {
			"params": {
				"width": 0,
				"rows": 1,
				"out_pitch": 2,
				"first_plane": 3,
				"planes": 4,
				"out_planes": 5,
				"out_first": 6,
				"kernels": 7,
				"first_channel": 8,
				"first_element": 9,
				"batch_stride": 10,
				"channel_stride": 11,
				"row_pitch": 12,
				"aligned": 13,
				"row_count": 14,
				"col_count": 15,
				"row_shift": 16,
				"col_shift": 17,
				"row_begin": 18,
				"row_end": 19,
				"row_origin": 20,
				"col_begin": 21,
				"col_end": 22,
				"col_origin": 23,
				"fill": 24,
				"overflow": 25,
				"rounding": 26,
				"tap_rows": 27,
				"tap_cols": 28,
				"quads": 29,
				"lead": 30,
				"lanes": 31,
				"plain": 32,
				"march": 33,
				"run": 34,
				"block_row": 35,
				"bank": 36,
				"bundle": 37,
				"chunks": 38,
				"across": 39,
				"spread": 40
			}
		},
		"overrides": [
			"IN",
			"OUT",
			"SUM",
			"TILE_QUADS",
			"CHUNK",
			"THREAD_ROWS",
			"PRIME",
			"WINDOW_QUADS",
			"TERMS",
			"STAGE_QUADS",
			"RING_ROWS",
			"THREADS"
		],
		"constants": [
			"TAP_QUADS",
			"REAL",
			"EXACT",
			"WORD",
			"U32",
			"I32",
			"F16",
			"F32",
			"SATURATE",
			"WRAP",
			"THROW",
			"NEAREST_EVEN",
			"HALF_AWAY",
			"TRUNCATE",
			"FLOOR",
			"OUTSIDE",
			"EXPONENT",
			"MAGNITUDE",
			"NAN"
		],
		"text": "// A separable kernel in one pass over the image: rows first, into workgroup memory, then columns from there; also a sum of TERMS\n// such kernels (a low-rank one).\n//\n// Geometry. A workgroup owns a strip of 4·TILE_QUADS columns and walks down `march` output rows, CHUNK rows at a time; a thread\n// owns one quad of columns and 4 rows of each chunk:\n//\n//   load     the chunk's rows and the columns beside the strip, every pixel once, into `stage` as they enter the sum\n//   rows     each row of the chunk times the row taps, into `ring`, which keeps the last PRIME rows as well\n//   columns  the ring times the column taps: the 4 rows of a thread share what they read; store\n//\n// So the image is read once, but for tap_cols − 1 columns a strip and tap_rows − 1 rows a march, and written once; a two-pass filter\n// moves twice the bytes. Row taps are padded with zeros to whole quads; a zero tap changes no finite sum, and where it met a NaN or\n// an infinity the sum is not finite, which `finish` looks into.\n\n// ── begin: a copy of common.wgsl, made by scripts/shaders.mjs; edit it there ──\n\n// What the tiled shaders share: how pixels are loaded and results stored. A thread works on quads: 4 elements side by side in a row.\n//\n// Rows are rows of memory: planar images have one plane a channel and one lane; where channels lie side by side a row is all of\n// them and taps are `lanes` elements apart. Input rows are whole quads where `aligned`, output rows always: in every dtype a quad is\n// whole 32-bit words that nobody else writes. A position of the window's reach finds its source through the index maps, but for\n// quads wholly inside the image, which are loaded at once.\n//\n// A quad in registers is 4 words of the sum's type: float32 bits (SUM = REAL), integers that float32 holds exactly (EXACT: every\n// partial sum is below 2^24) or integers modulo 2^32 (WORD), which are only ever stored plain. What is NaN or infinite is decided on bits: a WGSL compiler may\n// assume that neither occurs. A sum over a non-finite pixel is itself not finite, because taps are never known when compiling.\n\n// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 5 are integers of at most 32 bits, unsigned ones even; 8 and 9 are floats.\noverride IN: u32 = 9u;\noverride OUT: u32 = 9u;\noverride SUM: u32 = 0u;\n// Quads of `taps`, at least as many as are read.\nconst TAP_QUADS = 16u;\n\nconst REAL = 0u;\nconst EXACT = 1u;\nconst WORD = 2u;\n\nconst U32 = 4u;\nconst I32 = 5u;\nconst F16 = 8u;\nconst F32 = 9u;\n\nconst SATURATE = 0u;\nconst WRAP = 1u;\nconst THROW = 2u;\n\nconst NEAREST_EVEN = 0u;\nconst HALF_AWAY = 1u;\nconst TRUNCATE = 2u;\nconst FLOOR = 3u;\n\nconst OUTSIDE = 0xffffffffu;\nconst EXPONENT = 0x7f800000u;\nconst MAGNITUDE = 0x7fffffffu;\nconst NAN = 0x7fc00000u;\n\nstruct Params {\n\twidth: u32, // output elements of a row, for each kernel\n\trows: u32, // rows of an output plane\n\tout_pitch: u32, // elements from one output row to the next: a multiple of 4\n\tfirst_plane: u32, // plane of the dispatch's first layer\n\tplanes: u32, // planes of one image of the batch that this kernel of the bank computes\n\tout_planes: u32, // planes of one image of the piece's result\n\tout_first: u32, // and which of them plane 0 gives; the next is `kernels` further\n\tkernels: u32,\n\tfirst_channel: u32, // result channel of plane 0\n\tfirst_element: u32, // element of the image at row 0, column 0 of plane 0\n\tbatch_stride: u32, // of the image, in elements\n\tchannel_stride: u32,\n\trow_pitch: u32,\n\taligned: u32, // 1: every input row begins on a whole quad\n\trow_count: u32, // entries of the rows' map; the columns' follows in `maps`\n\tcol_count: u32,\n\trow_shift: u32, // map entry under window row 0 of output row 0; and column, which may be negative (two's complement)\n\tcol_shift: u32,\n\trow_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)\n\trow_end: u32,\n\trow_origin: u32,\n\tcol_begin: u32, // the same in elements\n\tcol_end: u32,\n\tcol_origin: u32,\n\tfill: u32, // what lies outside, as loaded\n\toverflow: u32,\n\trounding: u32,\n\ttap_rows: u32, // of the window; 0: every tap is zero\n\ttap_cols: u32,\n\tquads: u32, // quads of a row of taps\n\tlead: u32, // zero taps in front of each row\n\tlanes: u32, // elements from a tap to the next: channels side by side\n\tplain: u32, // 1: every channel is stored with scale 1 and bias 0\n\tmarch: u32, // output rows of one workgroup, where it walks down the image\n\trun: u32, // box.wgsl: neighbours in a row that are summed first\n\tblock_row: u32, // box.wgsl: row of its block of tap_rows rows on which the window of output row 0 begins\n\tbank: u32, // tiled.wgsl: kernels of the dispatch\n\tbundle: u32, // groups of them that a thread computes one after the other\n\tchunks: u32, // layers of the dispatch for a plane: each has `bundle` groups\n\tacross: u32, // results of an element that lie side by side: the kernels of a bank into channels side by side; elsewhere 1\n\tspread: u32, // the same in whole quads, as they are written\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<uniform> taps: array<vec4u, TAP_QUADS>;\n@group(0) @binding(2) var<storage, read> image: array<u32>;\n@group(0) @binding(3) var<storage, read> wide_image: array<vec4u>; // the same memory, for elements of 4 bytes\n@group(0) @binding(4) var<storage, read> maps: array<u32>;\n@group(0) @binding(5) var<storage, read> epilogues: array<u32>; // scale, bias, plain: one triple a result channel\n@group(0) @binding(6) var<storage, read_write> result: array<u32>; // for elements of 1 and 2 bytes\n@group(0) @binding(7) var<storage, read_write> wide_result: array<vec4u>; // for elements of 4\n// Lowest element that does not fit under 'throw'.\n@group(0) @binding(8) var<storage, read_write> overflow_at: atomic<u32>;\n\n// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn is_signed(dtype: u32) -> bool {\n\treturn dtype < F16 && (dtype & 1u) == 1u;\n}\n\n// log2 of the bytes of an element.\nfn size_of(dtype: u32) -> u32 {\n\treturn select(dtype - 7u, dtype >> 1u, dtype < F16);\n}\n\n// float16 bits as float32 bits; NaN and infinity stay what they are.\nfn widen_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits & vec4u(0x8000u)) << vec4u(16u);\n\tlet magnitude = bits & vec4u(0x7fffu);\n\t// the exponent's bias differs by 112, that of infinity by twice that; a subnormal is taken as 2^-14·(1 + …), less 2^-14\n\tlet shifted = (magnitude << vec4u(13u)) + select(vec4u(112u << 23u), vec4u(224u << 23u), magnitude >= vec4u(0x7c00u));\n\tlet subnormal = bitcast<vec4u>(bitcast<vec4f>(shifted + vec4u(1u << 23u)) - vec4f(0x1p-14f));\n\treturn sign | select(shifted, subnormal, magnitude < vec4u(0x400u));\n}\n\n// Loaded elements, integers extended to 32 bits, in the sum's type.\nfn in_sum(raw: vec4u) -> vec4u {\n\tif (SUM == WORD || IN == F32) { return raw; }\n\tif (IN == F16) { return widen_half(raw); }\n\tif (is_signed(IN)) { return bitcast<vec4u>(vec4f(bitcast<vec4i>(raw))); }\n\treturn bitcast<vec4u>(vec4f(raw));\n}\n\nfn extract(word: u32, shift: u32, bits: u32) -> u32 {\n\tif (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, bits)); }\n\treturn extractBits(word, shift, bits);\n}\n\nfn element(at: u32) -> u32 {\n\tif (size_of(IN) == 0u) { return extract(image[at >> 2u], (at & 3u) * 8u, 8u); }\n\tif (size_of(IN) == 1u) { return extract(image[at >> 1u], (at & 1u) * 16u, 16u); }\n\treturn image[at];\n}\n\n// The quad that begins at a multiple of 4 elements.\nfn whole_quad(at: u32) -> vec4u {\n\tif (size_of(IN) == 0u) {\n\t\tlet word = image[at >> 2u];\n\t\treturn in_sum(vec4u(extract(word, 0u, 8u), extract(word, 8u, 8u), extract(word, 16u, 8u), extract(word, 24u, 8u)));\n\t}\n\tif (size_of(IN) == 1u) {\n\t\tlet low = image[at >> 1u];\n\t\tlet high = image[(at >> 1u) + 1u];\n\t\treturn in_sum(vec4u(extract(low, 0u, 16u), extract(low, 16u, 16u), extract(high, 0u, 16u), extract(high, 16u, 16u)));\n\t}\n\treturn in_sum(wide_image[at >> 2u]);\n}\n\n// Where the source row of a position begins in its plane, or OUTSIDE.\nfn line_of(row: u32) -> u32 {\n\tif (row >= params.row_begin && row < params.row_end) { return params.row_origin + row * params.row_pitch; }\n\tif (row >= params.row_count) { return OUTSIDE; } // below the last row: nobody uses it\n\treturn maps[row];\n}\n\n// The element at a position; positions beyond the map lie under zero taps only.\nfn mapped(base: u32, line: u32, col: i32) -> u32 {\n\tif (line == OUTSIDE || col < 0 || col >= i32(params.col_count)) { return params.fill; }\n\tlet at = maps[params.row_count + u32(col)];\n\tif (at == OUTSIDE) { return params.fill; }\n\treturn element(base + line + at);\n}\n\n// Every quad from col to col + 4·quads lies inside the image, where addresses are linear.\nfn inside(col: i32, quads: u32) -> bool {\n\treturn col >= i32(params.col_begin) && col + 4 * i32(quads) <= i32(params.col_end);\n}\n\n// 4 positions of a row from `col` on. @param direct no position needs the map, and the quad is whole\nfn quad(base: u32, line: u32, col: i32, direct: bool) -> vec4u {\n\tlet at = base + line + params.col_origin + u32(col);\n\tif (direct || (params.aligned != 0u && line != OUTSIDE && inside(col, 1u))) { return whole_quad(at); }\n\tlet linear = line != OUTSIDE && inside(col, 1u);\n\tvar raw: vec4u;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tif (linear) {\n\t\t\traw[e] = element(at + e);\n\t\t} else {\n\t\t\traw[e] = mapped(base, line, col + i32(e));\n\t\t}\n\t}\n\treturn in_sum(raw);\n}\n\n// ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn multiply_add(tap: u32, pixels: vec4u, sums: vec4u) -> vec4u {\n\tif (SUM == WORD) { return tap * pixels + sums; }\n\treturn bitcast<vec4u>(fma(vec4f(bitcast<f32>(tap)), bitcast<vec4f>(pixels), bitcast<vec4f>(sums)));\n}\n\nfn plus(a: vec4u, b: vec4u) -> vec4u {\n\tif (SUM == WORD) { return a + b; }\n\treturn bitcast<vec4u>(bitcast<vec4f>(a) + bitcast<vec4f>(b));\n}\n\nfn not_finite(bits: vec4u) -> vec4<bool> {\n\treturn (bits & vec4u(EXPONENT)) == vec4u(EXPONENT);\n}\n\n// What the non-finite pixels of a window add up to.\nstruct Extremes {\n\tnan: bool,\n\tup: bool, // an infinity of this sign\n\tdown: bool,\n}\n\nfn meet(seen: Extremes, pixel: u32, tap: u32) -> Extremes {\n\tif ((pixel & EXPONENT) != EXPONENT) { return seen; }\n\tif ((pixel & 0x7fffffu) != 0u || (tap & MAGNITUDE) == 0u) { return Extremes(true, false, false); }\n\tlet minus = ((pixel ^ tap) >> 31u) == 1u;\n\treturn Extremes(seen.nan, seen.up || !minus, seen.down || minus);\n}\n\n// The sum's bits by IEEE arithmetic; 0 where every pixel is finite.\nfn extreme_sum(seen: Extremes) -> u32 {\n\tif (seen.nan || (seen.up && seen.down)) { return NAN; }\n\tif (seen.up) { return EXPONENT; }\n\treturn select(0u, 0x80000000u | EXPONENT, seen.down);\n}\n\n// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// A quad of the result: where it lies and what it holds.\nstruct Place {\n\tplane: u32, // of the piece's result\n\tchannel: u32, // result channel of lane 0\n\tside: u32, // from one element's channel to the next: 1 where the kernels of a bank lie side by side\n\ty: u32,\n\tx: u32, // its first element in the row\n\tend: u32, // and the first that is none of the row: what lies from there on is room that nobody reads\n\tat: u32, // where it is written in the row with its room; a multiple of 4\n}\n\n// Values in the result's dtype, and those that do not fit it.\nstruct Stored {\n\twords: vec4u,\n\tover: vec4<bool>,\n}\n\n// Ends of the dtype OUT, of at most 16 bits.\nfn least() -> i32 {\n\treturn select(0, -(1 << ((8u << size_of(OUT)) - 1u)), is_signed(OUT));\n}\n\nfn most() -> i32 {\n\tlet bits = (8u << size_of(OUT)) - select(0u, 1u, is_signed(OUT));\n\treturn (1 << bits) - 1;\n}\n\nfn store_integers(values: vec4i) -> Stored {\n\tvar kept = values;\n\tif (OUT == U32) { kept = max(values, vec4i(0)); }\n\tif (size_of(OUT) < 2u) { kept = clamp(values, vec4i(least()), vec4i(most())); }\n\tif (params.overflow == WRAP) { return Stored(bitcast<vec4u>(values), vec4<bool>()); }\n\treturn Stored(bitcast<vec4u>(kept), kept != values);\n}\n\nfn round_whole(v: vec4f) -> vec4f {\n\tlet whole = trunc(v);\n\tswitch params.rounding {\n\t\tcase NEAREST_EVEN: { return round(v); }\n\t\tcase HALF_AWAY: { return whole + select(vec4f(), sign(v), abs(v - whole) >= vec4f(0.5f)); }\n\t\tcase FLOOR: { return floor(v); }\n\t\tdefault: { return whole; }\n\t}\n}\n\n// A whole float32 modulo 2^32; infinities give 0.\nfn whole_modulo(v: vec4f) -> vec4u {\n\tlet bits = bitcast<vec4u>(v);\n\tlet exponent = (bits & vec4u(EXPONENT)) >> vec4u(23u);\n\tlet fraction = (bits & vec4u(0x7fffffu)) | vec4u(0x800000u);\n\tlet shift = max(exponent, vec4u(150u)) - vec4u(150u);\n\tlet large = select(fraction << (shift & vec4u(31u)), vec4u(), shift >= vec4u(32u));\n\tlet magnitude = select(vec4u(abs(v)), large, exponent >= vec4u(150u));\n\treturn select(magnitude, ~magnitude + vec4u(1u), bits >> vec4u(31u) == vec4u(1u));\n}\n\n// Rounds finite float32 values to an integer dtype.\nfn store_rounded(v: vec4f) -> Stored {\n\tlet whole = round_whole(v);\n\tif (params.overflow == WRAP) { return Stored(whole_modulo(whole), vec4<bool>()); }\n\tvar low = f32(least());\n\tvar high = f32(most()) + 1.0f;\n\tif (OUT == U32) { high = 0x1p32f; }\n\tif (OUT == I32) { low = -0x1p31f; high = 0x1p31f; }\n\tlet under = whole < vec4f(low);\n\tlet above = whole >= vec4f(high);\n\tlet held = select(whole, vec4f(), under | above);\n\tvar words = bitcast<vec4u>(vec4i(held));\n\tif (OUT == U32) { words = vec4u(held); }\n\tlet last = select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n\tlet first = select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u);\n\treturn Stored(select(select(words, vec4u(last), above), vec4u(first), under), under | above);\n}\n\n// float32 bits rounded to float16 bits: nearest, ties to even.\nfn narrow_to_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits >> vec4u(16u)) & vec4u(0x8000u);\n\tlet magnitude = bits & vec4u(MAGNITUDE);\n\tlet tiny = magnitude < vec4u(0x38800000u); // below 2^-14: subnormal\n\tlet shift = select(vec4u(13u), min(vec4u(126u) - (min(magnitude, vec4u(0x38800000u)) >> vec4u(23u)), vec4u(25u)), tiny);\n\tlet value = select(magnitude - vec4u(112u << 23u), (magnitude & vec4u(0x7fffffu)) | vec4u(0x800000u), tiny);\n\tlet whole = value >> shift;\n\tlet rest = value & ((vec4u(1u) << shift) - vec4u(1u));\n\tlet half = vec4u(1u) << (shift - vec4u(1u));\n\tlet up = (rest > half) | ((rest == half) & ((whole & vec4u(1u)) == vec4u(1u)));\n\tvar rounded = whole + select(vec4u(), vec4u(1u), up); // a carry runs into the exponent and up to infinity\n\trounded = select(rounded, vec4u(0x7c00u), magnitude >= vec4u(0x47800000u)); // 2^16 and above\n\treturn sign | select(rounded, vec4u(0x7e00u), magnitude > vec4u(EXPONENT));\n}\n\n// A NaN or an infinity in an integer dtype.\nfn store_extreme(bits: u32) -> u32 {\n\tif ((bits & 0x7fffffu) != 0u || params.overflow != SATURATE) { return 0u; }\n\tif (bits >> 31u == 1u) { return select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u); }\n\treturn select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n}\n\nfn epilogue(p: Place, sums: vec4u) -> vec4u {\n\tvar scaled = sums;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tvar channel = p.channel + e * p.side;\n\t\tif (params.lanes > 1u && p.side == 0u) { channel += (p.x + e) % params.lanes; }\n\t\tlet at = 3u * channel;\n\t\tlet scale = epilogues[at];\n\t\tlet bits = sums[e];\n\t\tif (epilogues[at + 2u] != 0u) { continue; }\n\t\tif (IN >= F16 && (bits & EXPONENT) == EXPONENT) {\n\t\t\tscaled[e] = select(bits ^ (scale & 0x80000000u), NAN, (bits & 0x7fffffu) != 0u || (scale & MAGNITUDE) == 0u);\n\t\t} else {\n\t\t\tscaled[e] = bitcast<u32>(fma(bitcast<f32>(scale), bitcast<f32>(bits), bitcast<f32>(epilogues[at + 1u])));\n\t\t}\n\t}\n\treturn scaled;\n}\n\nfn in_result(p: Place, sums: vec4u) -> Stored {\n\tif (SUM == WORD) { return store_integers(bitcast<vec4i>(sums)); }\n\tif (params.plain != 0u && SUM == EXACT && OUT < F16) { return store_integers(vec4i(bitcast<vec4f>(sums))); }\n\tvar bits = sums;\n\tif (params.plain == 0u) { bits = epilogue(p, sums); }\n\tif (OUT == F32) { return Stored(bits, vec4<bool>()); }\n\tif (OUT == F16) { return Stored(narrow_to_half(bits), vec4<bool>()); }\n\tlet odd = not_finite(bits);\n\tvar stored = store_rounded(bitcast<vec4f>(select(bits, vec4u(), odd)));\n\tif (any(odd)) {\n\t\tlet extremes = vec4u(store_extreme(bits.x), store_extreme(bits.y), store_extreme(bits.z), store_extreme(bits.w));\n\t\tstored.words = select(stored.words, extremes, odd);\n\t\tstored.over = stored.over | (odd & ((bits & vec4u(0x7fffffu)) == vec4u()));\n\t}\n\treturn stored;\n}\n\n// Stores a quad.\nfn store(p: Place, sums: vec4u) {\n\tlet stored = in_result(p, sums);\n\tlet words = stored.words;\n\tif (OUT < F16 && params.overflow == THROW && any(stored.over)) {\n\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\tif (stored.over[e] && p.x + e < p.end) {\n\t\t\t\tatomicMin(&overflow_at, (p.plane * params.rows + p.y) * params.width * params.across + p.x + e);\n\t\t\t}\n\t\t}\n\t}\n\tlet at = (p.plane * params.rows + p.y) * params.out_pitch + p.at;\n\tif (size_of(OUT) == 0u) {\n\t\tlet low = words & vec4u(0xffu);\n\t\tresult[at >> 2u] = low.x | (low.y << 8u) | (low.z << 16u) | (low.w << 24u);\n\t} else if (size_of(OUT) == 1u) {\n\t\tlet low = words & vec4u(0xffffu);\n\t\tresult[at >> 1u] = low.x | (low.y << 16u);\n\t\tresult[(at >> 1u) + 1u] = low.z | (low.w << 16u);\n\t} else {\n\t\twide_result[at >> 2u] = words;\n\t}\n}\n\n// Where layer z of the dispatch is read, and where its quad goes.\nfn base_of(z: u32) -> u32 {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\treturn params.first_element + batch * params.batch_stride + (plane - batch * params.planes) * params.channel_stride;\n}\n\nfn place_of(z: u32, y: u32, x: u32) -> Place {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\tlet step = (plane - batch * params.planes) * params.kernels;\n\treturn Place(batch * params.out_planes + params.out_first + step, params.first_channel + step, 0u, y, x, params.width, x);\n}\n\n// ── end ──\n\n// ── the strip ───────────────────────────────────────────────────────────────────────────────────────────────────────────\n\noverride TILE_QUADS: u32 = 16u;\noverride CHUNK: u32 = 16u;\noverride THREAD_ROWS: u32 = 4u; // CHUNK / 4: threads of a workgroup in y\noverride PRIME: u32 = 16u; // rows that must be in the ring before the first output: tap_rows − 1 or more, a multiple of CHUNK\noverride WINDOW_QUADS: u32 = 4u; // at least params.quads\noverride TERMS: u32 = 1u;\n\noverride STAGE_QUADS: u32 = TILE_QUADS + WINDOW_QUADS; // of one row\noverride RING_ROWS: u32 = PRIME + CHUNK;\noverride THREADS: u32 = TILE_QUADS * THREAD_ROWS;\n\nvar<workgroup> stage: array<vec4u, CHUNK * STAGE_QUADS>;\nvar<workgroup> ring: array<vec4u, TERMS * RING_ROWS * TILE_QUADS>;\n\nstruct Block {\n\tr0: vec4u,\n\tr1: vec4u,\n\tr2: vec4u,\n\tr3: vec4u,\n}\n\n// Where the row taps of a term begin in `taps`, and its column taps.\nfn row_taps(term: u32) -> u32 {\n\treturn term * (params.quads + (params.tap_rows + 3u) / 4u);\n}\n\nfn column_taps(term: u32) -> u32 {\n\treturn row_taps(term) + params.quads;\n}\n\n// A tap times the 4 rows of a thread.\nfn add_tap(sums: Block, tap: u32, a: vec4u, b: vec4u, c: vec4u, d: vec4u) -> Block {\n\treturn Block(multiply_add(tap, a, sums.r0), multiply_add(tap, b, sums.r1), multiply_add(tap, c, sums.r2), multiply_add(tap, d, sums.r3));\n}\n\n// Loads rows first … first + CHUNK − 1 of the reach.\nfn load_chunk(base: u32, first: u32, x: u32, thread: u32) {\n\tlet quads = TILE_QUADS + params.quads;\n\tlet loads = (CHUNK * quads + THREADS - 1u) / THREADS;\n\tfor (var k = 0u; k < loads; k += 1u) {\n\t\tlet at = k * THREADS + thread;\n\t\tlet row = at / quads;\n\t\tlet q = at - row * quads;\n\t\tif (row < CHUNK) {\n\t\t\tstage[row * STAGE_QUADS + q] = quad(base, line_of(first + row), i32(x + 4u * q) + bitcast<i32>(params.col_shift), false);\n\t\t}\n\t}\n}\n\n// Row sums of 4 staged rows from `row` on.\nfn along(term: u32, row: u32, column: u32) -> Block {\n\tvar sums: Block;\n\tlet at = row * STAGE_QUADS + column;\n\tvar a = Block(stage[at], stage[at + STAGE_QUADS], stage[at + 2u * STAGE_QUADS], stage[at + 3u * STAGE_QUADS]);\n\tfor (var q = 0u; q < params.quads; q += 1u) {\n\t\tlet next = at + q + 1u;\n\t\tlet b = Block(stage[next], stage[next + STAGE_QUADS], stage[next + 2u * STAGE_QUADS], stage[next + 3u * STAGE_QUADS]);\n\t\tlet tap = taps[row_taps(term) + q];\n\t\tsums = add_tap(sums, tap.x, a.r0, a.r1, a.r2, a.r3);\n\t\tsums = add_tap(sums, tap.y, vec4u(a.r0.yzw, b.r0.x), vec4u(a.r1.yzw, b.r1.x), vec4u(a.r2.yzw, b.r2.x), vec4u(a.r3.yzw, b.r3.x));\n\t\tsums = add_tap(sums, tap.z, vec4u(a.r0.zw, b.r0.xy), vec4u(a.r1.zw, b.r1.xy), vec4u(a.r2.zw, b.r2.xy), vec4u(a.r3.zw, b.r3.xy));\n\t\tsums = add_tap(sums, tap.w, vec4u(a.r0.w, b.r0.xyz), vec4u(a.r1.w, b.r1.xyz), vec4u(a.r2.w, b.r2.xyz), vec4u(a.r3.w, b.r3.xyz));\n\t\ta = b;\n\t}\n\treturn sums;\n}\n\n// Row `row` of the ring, counted from its oldest start; less than twice round.\nfn ringed(term: u32, row: u32, column: u32) -> vec4u {\n\tlet slot = select(row, row - RING_ROWS, row >= RING_ROWS);\n\treturn ring[(term * RING_ROWS + slot) * TILE_QUADS + column];\n}\n\n// Column sums of 4 output rows whose windows begin at ring rows row … row + 3. Row sums move through 4 registers.\nfn down(term: u32, row: u32, column: u32) -> Block {\n\tvar sums: Block;\n\tvar a = ringed(term, row, column);\n\tvar b = ringed(term, row + 1u, column);\n\tvar c = ringed(term, row + 2u, column);\n\tvar d = vec4u();\n\tlet whole = params.tap_rows / 4u;\n\tfor (var q = 0u; q < whole; q += 1u) {\n\t\tlet tap = taps[column_taps(term) + q];\n\t\tlet next = row + 4u * q + 3u;\n\t\td = ringed(term, next, column);\n\t\tsums = add_tap(sums, tap.x, a, b, c, d);\n\t\ta = ringed(term, next + 1u, column);\n\t\tsums = add_tap(sums, tap.y, b, c, d, a);\n\t\tb = ringed(term, next + 2u, column);\n\t\tsums = add_tap(sums, tap.z, c, d, a, b);\n\t\tc = ringed(term, next + 3u, column);\n\t\tsums = add_tap(sums, tap.w, d, a, b, c);\n\t}\n\tlet rest = params.tap_rows - 4u * whole;\n\tif (rest > 0u) {\n\t\tlet tap = taps[column_taps(term) + whole];\n\t\tlet next = row + 4u * whole + 3u;\n\t\td = ringed(term, next, column);\n\t\tsums = add_tap(sums, tap.x, a, b, c, d);\n\t\tif (rest > 1u) {\n\t\t\ta = ringed(term, next + 1u, column);\n\t\t\tsums = add_tap(sums, tap.y, b, c, d, a);\n\t\t}\n\t\tif (rest > 2u) {\n\t\t\tb = ringed(term, next + 2u, column);\n\t\t\tsums = add_tap(sums, tap.z, c, d, a, b);\n\t\t}\n\t}\n\treturn sums;\n}\n\n// The sum of one window from the image itself, in the order of the passes; by IEEE rules where it holds a NaN or an infinity.\nfn careful_sum(base: u32, y: u32, x: u32) -> u32 {\n\tvar seen = Extremes(false, false, false);\n\tvar sum = vec4u();\n\tfor (var t = 0u; t < TERMS; t += 1u) {\n\t\tvar column_sum = vec4u();\n\t\tfor (var j = 0u; j < params.tap_rows; j += 1u) {\n\t\t\tlet line = line_of(y + j + params.row_shift);\n\t\t\tlet factor = taps[column_taps(t) + j / 4u][j % 4u];\n\t\t\tvar row_sum = vec4u();\n\t\t\tfor (var i = 0u; i < params.tap_cols; i += 1u) {\n\t\t\t\tlet at = params.lead + i * params.lanes;\n\t\t\t\tlet pixel = in_sum(vec4u(mapped(base, line, i32(x + at) + bitcast<i32>(params.col_shift))));\n\t\t\t\tlet tap = taps[row_taps(t) + at / 4u][at % 4u];\n\t\t\t\tseen = meet(seen, pixel.x, multiply_add(tap, vec4u(factor), vec4u()).x);\n\t\t\t\trow_sum = multiply_add(tap, pixel, row_sum);\n\t\t\t}\n\t\t\tcolumn_sum = multiply_add(factor, row_sum, column_sum);\n\t\t}\n\t\tsum = plus(sum, column_sum);\n\t}\n\tlet extreme = extreme_sum(seen);\n\treturn select(extreme, sum.x, extreme == 0u);\n}\n\nfn finish(z: u32, top: u32, x: u32, b: Block) {\n\tfor (var r = 0u; r < 4u && top + r < params.rows; r += 1u) {\n\t\tlet y = top + r;\n\t\tvar sums = b.r0;\n\t\tif (r == 1u) { sums = b.r1; }\n\t\tif (r == 2u) { sums = b.r2; }\n\t\tif (r == 3u) { sums = b.r3; }\n\t\tif (IN >= F16) {\n\t\t\tlet odd = not_finite(sums);\n\t\t\tif (any(odd)) {\n\t\t\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\t\t\tif (odd[e] && x + e < params.width) { sums[e] = careful_sum(base_of(z), y, x + e); }\n\t\t\t\t}\n\t\t\t}\n\t\t}\n\t\tstore(place_of(z, y, x), sums);\n\t}\n}\n\n@compute @workgroup_size(TILE_QUADS, THREAD_ROWS)\nfn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) thread: u32) {\n\tlet left = 4u * TILE_QUADS * group.x;\n\tlet x = left + 4u * local.x;\n\tlet top = params.march * group.y;\n\tlet base = base_of(group.z);\n\tlet lines = min(params.march, params.rows - top);\n\t// the window of output row 0 ends with row PRIME of what is loaded\n\tlet gap = PRIME + 1u - max(params.tap_rows, 1u);\n\tlet first = top + params.row_shift - gap;\n\tlet chunks = (PRIME + lines + CHUNK - 1u) / CHUNK;\n\tvar slot = 0u; // ring row of the chunk\n\tfor (var c = 0u; c < chunks; c += 1u) {\n\t\tload_chunk(base, first + c * CHUNK, left, thread);\n\t\tworkgroupBarrier();\n\t\tfor (var t = 0u; t < TERMS; t += 1u) {\n\t\t\tlet sums = along(t, 4u * local.y, local.x);\n\t\t\tlet at = (t * RING_ROWS + slot + 4u * local.y) * TILE_QUADS + local.x;\n\t\t\tring[at] = sums.r0;\n\t\t\tring[at + TILE_QUADS] = sums.r1;\n\t\t\tring[at + 2u * TILE_QUADS] = sums.r2;\n\t\t\tring[at + 3u * TILE_QUADS] = sums.r3;\n\t\t}\n\t\tworkgroupBarrier();\n\t\tslot += CHUNK;\n\t\tif (slot == RING_ROWS) { slot = 0u; }\n\t\tlet y = top + c * CHUNK - PRIME + 4u * local.y;\n\t\tif (c * CHUNK >= PRIME && x < params.width && y < top + lines) {\n\t\t\t// the chunk after this one overwrites the oldest rows, which begin at `slot`\n\t\t\tlet row = slot + gap + 4u * local.y;\n\t\t\tvar sums: Block;\n\t\t\tfor (var t = 0u; t < TERMS; t += 1u) {\n\t\t\t\tlet term = down(t, select(row, row - RING_ROWS, row >= RING_ROWS), local.x);\n\t\t\t\tif (t == 0u) {\n\t\t\t\t\tsums = term;\n\t\t\t\t} else {\n\t\t\t\t\tsums = Block(plus(sums.r0, term.r0), plus(sums.r1, term.r1), plus(sums.r2, term.r2), plus(sums.r3, term.r3));\n\t\t\t\t}\n\t\t\t}\n\t\t\tfinish(group.z, y, x, sums);\n\t\t}\n\t}\n}\n"
	},
	"tiled": {
		"hash": "c7be5cbf720fb209",
		"bindings": {
			"params": {
				"binding": 0,
				"space": "uniform"
			},
			"taps": {
				"binding": 1,
				"space": "uniform"
			},
			"image": {
				"binding": 2,
				"space": "storage,read"
			},
			"wide_image": {
				"binding": 3,
				"space": "storage,read"
			},
			"maps": {
				"binding": 4,
				"space": "storage,read"
			},
			"epilogues": {
				"binding": 5,
				"space": "storage,read"
			},
			"result": {
				"binding": 6,
				"space": "storage,read_write"
			},
			"wide_result": {
				"binding": 7,
				"space": "storage,read_write"
			},
			"overflow_at": {
				"binding": 8,
				"space": "storage,read_write"
			}
		},
		"entries": {
			"main": [
				"params",
				"taps",
				"image",
				"wide_image",
				"maps",
				"epilogues",
				"result",
				"wide_result",
				"overflow_at"
			]
		},
		"uniforms": {
			"params": {
				"width": 0,
				"rows": 1,
				"out_pitch": 2,
				"first_plane": 3,
				"planes": 4,
				"out_planes": 5,
				"out_first": 6,
				"kernels": 7,
				"first_channel": 8,
				"first_element": 9,
				"batch_stride": 10,
				"channel_stride": 11,
				"row_pitch": 12,
				"aligned": 13,
				"row_count": 14,
				"col_count": 15,
				"row_shift": 16,
				"col_shift": 17,
				"row_begin": 18,
				"row_end": 19,
				"row_origin": 20,
				"col_begin": 21,
				"col_end": 22,
				"col_origin": 23,
				"fill": 24,
				"overflow": 25,
				"rounding": 26,
				"tap_rows": 27,
				"tap_cols": 28,
				"quads": 29,
				"lead": 30,
				"lanes": 31,
				"plain": 32,
				"march": 33,
				"run": 34,
				"block_row": 35,
				"bank": 36,
				"bundle": 37,
				"chunks": 38,
				"across": 39,
				"spread": 40
			}
		},
		"overrides": [
			"IN",
			"OUT",
			"SUM",
			"SPAN",
			"LEAD",
			"LANES",
			"WIDE",
			"WORKGROUP_X",
			"WORKGROUP_Y",
			"KERNELS",
			"ACROSS"
		],
		"constants": [
			"TAP_QUADS",
			"REAL",
			"EXACT",
			"WORD",
			"U32",
			"I32",
			"F16",
			"F32",
			"SATURATE",
			"WRAP",
			"THROW",
			"NEAREST_EVEN",
			"HALF_AWAY",
			"TRUNCATE",
			"FLOOR",
			"OUTSIDE",
			"EXPONENT",
			"MAGNITUDE",
			"NAN"
		],
		"text": "// Direct convolution, tiled in registers: a thread computes 4 rows of one quad each, for up to 4 kernels of a bank at once.\n//\n// Geometry. Threads lie over the output like their results: 4 columns and 4 rows each, WORKGROUP_X by WORKGROUP_Y of them a\n// workgroup, a plane a layer of the dispatch. A thread walks down the rows under its windows. Of each it loads the quads that its\n// 4 columns need, once, and adds them to the sums of all output rows that see it: 4·4 multiply-adds for each tap against a load\n// of (SPAN + 6) / 16 quads. Neighbours load the same quads; the cache next to the processor serves those: at K = 9 it delivers 48 bytes\n// an output pixel, against 81 multiply-adds. So there is no workgroup memory and no barrier.\n//\n// A bank of kernels is one dispatch. What a thread loads is added to the sums of KERNELS kernels, all in registers, so that it loads\n// 1/KERNELS as much for an output of each. Further groups of kernels follow one after the other (`bundle`) over the same pixels, which by then\n// are in the cache: memory is read once for the whole bank. Where an image has too few tiles to keep a processor busy, groups are layers\n// instead (`chunks`). The windows of a dispatch share one frame that holds them all; zero taps fill it. Where the channels of the result lie side by\n// side (ACROSS), so do the kernels of an element: the sums of 4 kernels are one quad of the result.\n//\n// The width of a frame of at most 24 elements is known when compiling: `has_tap` and `has_quad` of literals fold away, and a row of\n// taps is straight multiply-adds; compilers do not unroll nested loops over it by themselves. A WIDE frame, and any at the image's\n// edges, goes quad by quad and kernel by kernel, 64 multiply-adds for a load; zero taps pad it to whole quads. A NaN beside a window may so spoil its\n// sum: `careful_sum` looks into it.\n\n// ── begin: a copy of common.wgsl, made by scripts/shaders.mjs; edit it there ──\n\n// What the tiled shaders share: how pixels are loaded and results stored. A thread works on quads: 4 elements side by side in a row.\n//\n// Rows are rows of memory: planar images have one plane a channel and one lane; where channels lie side by side a row is all of\n// them and taps are `lanes` elements apart. Input rows are whole quads where `aligned`, output rows always: in every dtype a quad is\n// whole 32-bit words that nobody else writes. A position of the window's reach finds its source through the index maps, but for\n// quads wholly inside the image, which are loaded at once.\n//\n// A quad in registers is 4 words of the sum's type: float32 bits (SUM = REAL), integers that float32 holds exactly (EXACT: every\n// partial sum is below 2^24) or integers modulo 2^32 (WORD), which are only ever stored plain. What is NaN or infinite is decided on bits: a WGSL compiler may\n// assume that neither occurs. A sum over a non-finite pixel is itself not finite, because taps are never known when compiling.\n\n// Indices into DTYPE_NAMES (src/core/dtype.ts): 0 … 5 are integers of at most 32 bits, unsigned ones even; 8 and 9 are floats.\noverride IN: u32 = 9u;\noverride OUT: u32 = 9u;\noverride SUM: u32 = 0u;\n// Quads of `taps`, at least as many as are read.\nconst TAP_QUADS = 16u;\n\nconst REAL = 0u;\nconst EXACT = 1u;\nconst WORD = 2u;\n\nconst U32 = 4u;\nconst I32 = 5u;\nconst F16 = 8u;\nconst F32 = 9u;\n\nconst SATURATE = 0u;\nconst WRAP = 1u;\nconst THROW = 2u;\n\nconst NEAREST_EVEN = 0u;\nconst HALF_AWAY = 1u;\nconst TRUNCATE = 2u;\nconst FLOOR = 3u;\n\nconst OUTSIDE = 0xffffffffu;\nconst EXPONENT = 0x7f800000u;\nconst MAGNITUDE = 0x7fffffffu;\nconst NAN = 0x7fc00000u;\n\nstruct Params {\n\twidth: u32, // output elements of a row, for each kernel\n\trows: u32, // rows of an output plane\n\tout_pitch: u32, // elements from one output row to the next: a multiple of 4\n\tfirst_plane: u32, // plane of the dispatch's first layer\n\tplanes: u32, // planes of one image of the batch that this kernel of the bank computes\n\tout_planes: u32, // planes of one image of the piece's result\n\tout_first: u32, // and which of them plane 0 gives; the next is `kernels` further\n\tkernels: u32,\n\tfirst_channel: u32, // result channel of plane 0\n\tfirst_element: u32, // element of the image at row 0, column 0 of plane 0\n\tbatch_stride: u32, // of the image, in elements\n\tchannel_stride: u32,\n\trow_pitch: u32,\n\taligned: u32, // 1: every input row begins on a whole quad\n\trow_count: u32, // entries of the rows' map; the columns' follows in `maps`\n\tcol_count: u32,\n\trow_shift: u32, // map entry under window row 0 of output row 0; and column, which may be negative (two's complement)\n\tcol_shift: u32,\n\trow_begin: u32, // map entries row_begin … row_end − 1 are row_origin + k·row_pitch (modulo 2^32)\n\trow_end: u32,\n\trow_origin: u32,\n\tcol_begin: u32, // the same in elements\n\tcol_end: u32,\n\tcol_origin: u32,\n\tfill: u32, // what lies outside, as loaded\n\toverflow: u32,\n\trounding: u32,\n\ttap_rows: u32, // of the window; 0: every tap is zero\n\ttap_cols: u32,\n\tquads: u32, // quads of a row of taps\n\tlead: u32, // zero taps in front of each row\n\tlanes: u32, // elements from a tap to the next: channels side by side\n\tplain: u32, // 1: every channel is stored with scale 1 and bias 0\n\tmarch: u32, // output rows of one workgroup, where it walks down the image\n\trun: u32, // box.wgsl: neighbours in a row that are summed first\n\tblock_row: u32, // box.wgsl: row of its block of tap_rows rows on which the window of output row 0 begins\n\tbank: u32, // tiled.wgsl: kernels of the dispatch\n\tbundle: u32, // groups of them that a thread computes one after the other\n\tchunks: u32, // layers of the dispatch for a plane: each has `bundle` groups\n\tacross: u32, // results of an element that lie side by side: the kernels of a bank into channels side by side; elsewhere 1\n\tspread: u32, // the same in whole quads, as they are written\n}\n\n@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(1) var<uniform> taps: array<vec4u, TAP_QUADS>;\n@group(0) @binding(2) var<storage, read> image: array<u32>;\n@group(0) @binding(3) var<storage, read> wide_image: array<vec4u>; // the same memory, for elements of 4 bytes\n@group(0) @binding(4) var<storage, read> maps: array<u32>;\n@group(0) @binding(5) var<storage, read> epilogues: array<u32>; // scale, bias, plain: one triple a result channel\n@group(0) @binding(6) var<storage, read_write> result: array<u32>; // for elements of 1 and 2 bytes\n@group(0) @binding(7) var<storage, read_write> wide_result: array<vec4u>; // for elements of 4\n// Lowest element that does not fit under 'throw'.\n@group(0) @binding(8) var<storage, read_write> overflow_at: atomic<u32>;\n\n// ── pixels ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn is_signed(dtype: u32) -> bool {\n\treturn dtype < F16 && (dtype & 1u) == 1u;\n}\n\n// log2 of the bytes of an element.\nfn size_of(dtype: u32) -> u32 {\n\treturn select(dtype - 7u, dtype >> 1u, dtype < F16);\n}\n\n// float16 bits as float32 bits; NaN and infinity stay what they are.\nfn widen_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits & vec4u(0x8000u)) << vec4u(16u);\n\tlet magnitude = bits & vec4u(0x7fffu);\n\t// the exponent's bias differs by 112, that of infinity by twice that; a subnormal is taken as 2^-14·(1 + …), less 2^-14\n\tlet shifted = (magnitude << vec4u(13u)) + select(vec4u(112u << 23u), vec4u(224u << 23u), magnitude >= vec4u(0x7c00u));\n\tlet subnormal = bitcast<vec4u>(bitcast<vec4f>(shifted + vec4u(1u << 23u)) - vec4f(0x1p-14f));\n\treturn sign | select(shifted, subnormal, magnitude < vec4u(0x400u));\n}\n\n// Loaded elements, integers extended to 32 bits, in the sum's type.\nfn in_sum(raw: vec4u) -> vec4u {\n\tif (SUM == WORD || IN == F32) { return raw; }\n\tif (IN == F16) { return widen_half(raw); }\n\tif (is_signed(IN)) { return bitcast<vec4u>(vec4f(bitcast<vec4i>(raw))); }\n\treturn bitcast<vec4u>(vec4f(raw));\n}\n\nfn extract(word: u32, shift: u32, bits: u32) -> u32 {\n\tif (is_signed(IN)) { return bitcast<u32>(extractBits(bitcast<i32>(word), shift, bits)); }\n\treturn extractBits(word, shift, bits);\n}\n\nfn element(at: u32) -> u32 {\n\tif (size_of(IN) == 0u) { return extract(image[at >> 2u], (at & 3u) * 8u, 8u); }\n\tif (size_of(IN) == 1u) { return extract(image[at >> 1u], (at & 1u) * 16u, 16u); }\n\treturn image[at];\n}\n\n// The quad that begins at a multiple of 4 elements.\nfn whole_quad(at: u32) -> vec4u {\n\tif (size_of(IN) == 0u) {\n\t\tlet word = image[at >> 2u];\n\t\treturn in_sum(vec4u(extract(word, 0u, 8u), extract(word, 8u, 8u), extract(word, 16u, 8u), extract(word, 24u, 8u)));\n\t}\n\tif (size_of(IN) == 1u) {\n\t\tlet low = image[at >> 1u];\n\t\tlet high = image[(at >> 1u) + 1u];\n\t\treturn in_sum(vec4u(extract(low, 0u, 16u), extract(low, 16u, 16u), extract(high, 0u, 16u), extract(high, 16u, 16u)));\n\t}\n\treturn in_sum(wide_image[at >> 2u]);\n}\n\n// Where the source row of a position begins in its plane, or OUTSIDE.\nfn line_of(row: u32) -> u32 {\n\tif (row >= params.row_begin && row < params.row_end) { return params.row_origin + row * params.row_pitch; }\n\tif (row >= params.row_count) { return OUTSIDE; } // below the last row: nobody uses it\n\treturn maps[row];\n}\n\n// The element at a position; positions beyond the map lie under zero taps only.\nfn mapped(base: u32, line: u32, col: i32) -> u32 {\n\tif (line == OUTSIDE || col < 0 || col >= i32(params.col_count)) { return params.fill; }\n\tlet at = maps[params.row_count + u32(col)];\n\tif (at == OUTSIDE) { return params.fill; }\n\treturn element(base + line + at);\n}\n\n// Every quad from col to col + 4·quads lies inside the image, where addresses are linear.\nfn inside(col: i32, quads: u32) -> bool {\n\treturn col >= i32(params.col_begin) && col + 4 * i32(quads) <= i32(params.col_end);\n}\n\n// 4 positions of a row from `col` on. @param direct no position needs the map, and the quad is whole\nfn quad(base: u32, line: u32, col: i32, direct: bool) -> vec4u {\n\tlet at = base + line + params.col_origin + u32(col);\n\tif (direct || (params.aligned != 0u && line != OUTSIDE && inside(col, 1u))) { return whole_quad(at); }\n\tlet linear = line != OUTSIDE && inside(col, 1u);\n\tvar raw: vec4u;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tif (linear) {\n\t\t\traw[e] = element(at + e);\n\t\t} else {\n\t\t\traw[e] = mapped(base, line, col + i32(e));\n\t\t}\n\t}\n\treturn in_sum(raw);\n}\n\n// ── sums ────────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\nfn multiply_add(tap: u32, pixels: vec4u, sums: vec4u) -> vec4u {\n\tif (SUM == WORD) { return tap * pixels + sums; }\n\treturn bitcast<vec4u>(fma(vec4f(bitcast<f32>(tap)), bitcast<vec4f>(pixels), bitcast<vec4f>(sums)));\n}\n\nfn plus(a: vec4u, b: vec4u) -> vec4u {\n\tif (SUM == WORD) { return a + b; }\n\treturn bitcast<vec4u>(bitcast<vec4f>(a) + bitcast<vec4f>(b));\n}\n\nfn not_finite(bits: vec4u) -> vec4<bool> {\n\treturn (bits & vec4u(EXPONENT)) == vec4u(EXPONENT);\n}\n\n// What the non-finite pixels of a window add up to.\nstruct Extremes {\n\tnan: bool,\n\tup: bool, // an infinity of this sign\n\tdown: bool,\n}\n\nfn meet(seen: Extremes, pixel: u32, tap: u32) -> Extremes {\n\tif ((pixel & EXPONENT) != EXPONENT) { return seen; }\n\tif ((pixel & 0x7fffffu) != 0u || (tap & MAGNITUDE) == 0u) { return Extremes(true, false, false); }\n\tlet minus = ((pixel ^ tap) >> 31u) == 1u;\n\treturn Extremes(seen.nan, seen.up || !minus, seen.down || minus);\n}\n\n// The sum's bits by IEEE arithmetic; 0 where every pixel is finite.\nfn extreme_sum(seen: Extremes) -> u32 {\n\tif (seen.nan || (seen.up && seen.down)) { return NAN; }\n\tif (seen.up) { return EXPONENT; }\n\treturn select(0u, 0x80000000u | EXPONENT, seen.down);\n}\n\n// ── stores ──────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// A quad of the result: where it lies and what it holds.\nstruct Place {\n\tplane: u32, // of the piece's result\n\tchannel: u32, // result channel of lane 0\n\tside: u32, // from one element's channel to the next: 1 where the kernels of a bank lie side by side\n\ty: u32,\n\tx: u32, // its first element in the row\n\tend: u32, // and the first that is none of the row: what lies from there on is room that nobody reads\n\tat: u32, // where it is written in the row with its room; a multiple of 4\n}\n\n// Values in the result's dtype, and those that do not fit it.\nstruct Stored {\n\twords: vec4u,\n\tover: vec4<bool>,\n}\n\n// Ends of the dtype OUT, of at most 16 bits.\nfn least() -> i32 {\n\treturn select(0, -(1 << ((8u << size_of(OUT)) - 1u)), is_signed(OUT));\n}\n\nfn most() -> i32 {\n\tlet bits = (8u << size_of(OUT)) - select(0u, 1u, is_signed(OUT));\n\treturn (1 << bits) - 1;\n}\n\nfn store_integers(values: vec4i) -> Stored {\n\tvar kept = values;\n\tif (OUT == U32) { kept = max(values, vec4i(0)); }\n\tif (size_of(OUT) < 2u) { kept = clamp(values, vec4i(least()), vec4i(most())); }\n\tif (params.overflow == WRAP) { return Stored(bitcast<vec4u>(values), vec4<bool>()); }\n\treturn Stored(bitcast<vec4u>(kept), kept != values);\n}\n\nfn round_whole(v: vec4f) -> vec4f {\n\tlet whole = trunc(v);\n\tswitch params.rounding {\n\t\tcase NEAREST_EVEN: { return round(v); }\n\t\tcase HALF_AWAY: { return whole + select(vec4f(), sign(v), abs(v - whole) >= vec4f(0.5f)); }\n\t\tcase FLOOR: { return floor(v); }\n\t\tdefault: { return whole; }\n\t}\n}\n\n// A whole float32 modulo 2^32; infinities give 0.\nfn whole_modulo(v: vec4f) -> vec4u {\n\tlet bits = bitcast<vec4u>(v);\n\tlet exponent = (bits & vec4u(EXPONENT)) >> vec4u(23u);\n\tlet fraction = (bits & vec4u(0x7fffffu)) | vec4u(0x800000u);\n\tlet shift = max(exponent, vec4u(150u)) - vec4u(150u);\n\tlet large = select(fraction << (shift & vec4u(31u)), vec4u(), shift >= vec4u(32u));\n\tlet magnitude = select(vec4u(abs(v)), large, exponent >= vec4u(150u));\n\treturn select(magnitude, ~magnitude + vec4u(1u), bits >> vec4u(31u) == vec4u(1u));\n}\n\n// Rounds finite float32 values to an integer dtype.\nfn store_rounded(v: vec4f) -> Stored {\n\tlet whole = round_whole(v);\n\tif (params.overflow == WRAP) { return Stored(whole_modulo(whole), vec4<bool>()); }\n\tvar low = f32(least());\n\tvar high = f32(most()) + 1.0f;\n\tif (OUT == U32) { high = 0x1p32f; }\n\tif (OUT == I32) { low = -0x1p31f; high = 0x1p31f; }\n\tlet under = whole < vec4f(low);\n\tlet above = whole >= vec4f(high);\n\tlet held = select(whole, vec4f(), under | above);\n\tvar words = bitcast<vec4u>(vec4i(held));\n\tif (OUT == U32) { words = vec4u(held); }\n\tlet last = select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n\tlet first = select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u);\n\treturn Stored(select(select(words, vec4u(last), above), vec4u(first), under), under | above);\n}\n\n// float32 bits rounded to float16 bits: nearest, ties to even.\nfn narrow_to_half(bits: vec4u) -> vec4u {\n\tlet sign = (bits >> vec4u(16u)) & vec4u(0x8000u);\n\tlet magnitude = bits & vec4u(MAGNITUDE);\n\tlet tiny = magnitude < vec4u(0x38800000u); // below 2^-14: subnormal\n\tlet shift = select(vec4u(13u), min(vec4u(126u) - (min(magnitude, vec4u(0x38800000u)) >> vec4u(23u)), vec4u(25u)), tiny);\n\tlet value = select(magnitude - vec4u(112u << 23u), (magnitude & vec4u(0x7fffffu)) | vec4u(0x800000u), tiny);\n\tlet whole = value >> shift;\n\tlet rest = value & ((vec4u(1u) << shift) - vec4u(1u));\n\tlet half = vec4u(1u) << (shift - vec4u(1u));\n\tlet up = (rest > half) | ((rest == half) & ((whole & vec4u(1u)) == vec4u(1u)));\n\tvar rounded = whole + select(vec4u(), vec4u(1u), up); // a carry runs into the exponent and up to infinity\n\trounded = select(rounded, vec4u(0x7c00u), magnitude >= vec4u(0x47800000u)); // 2^16 and above\n\treturn sign | select(rounded, vec4u(0x7e00u), magnitude > vec4u(EXPONENT));\n}\n\n// A NaN or an infinity in an integer dtype.\nfn store_extreme(bits: u32) -> u32 {\n\tif ((bits & 0x7fffffu) != 0u || params.overflow != SATURATE) { return 0u; }\n\tif (bits >> 31u == 1u) { return select(bitcast<u32>(least()), select(0x80000000u, 0u, OUT == U32), size_of(OUT) == 2u); }\n\treturn select(u32(most()), select(MAGNITUDE, OUTSIDE, OUT == U32), size_of(OUT) == 2u);\n}\n\nfn epilogue(p: Place, sums: vec4u) -> vec4u {\n\tvar scaled = sums;\n\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\tvar channel = p.channel + e * p.side;\n\t\tif (params.lanes > 1u && p.side == 0u) { channel += (p.x + e) % params.lanes; }\n\t\tlet at = 3u * channel;\n\t\tlet scale = epilogues[at];\n\t\tlet bits = sums[e];\n\t\tif (epilogues[at + 2u] != 0u) { continue; }\n\t\tif (IN >= F16 && (bits & EXPONENT) == EXPONENT) {\n\t\t\tscaled[e] = select(bits ^ (scale & 0x80000000u), NAN, (bits & 0x7fffffu) != 0u || (scale & MAGNITUDE) == 0u);\n\t\t} else {\n\t\t\tscaled[e] = bitcast<u32>(fma(bitcast<f32>(scale), bitcast<f32>(bits), bitcast<f32>(epilogues[at + 1u])));\n\t\t}\n\t}\n\treturn scaled;\n}\n\nfn in_result(p: Place, sums: vec4u) -> Stored {\n\tif (SUM == WORD) { return store_integers(bitcast<vec4i>(sums)); }\n\tif (params.plain != 0u && SUM == EXACT && OUT < F16) { return store_integers(vec4i(bitcast<vec4f>(sums))); }\n\tvar bits = sums;\n\tif (params.plain == 0u) { bits = epilogue(p, sums); }\n\tif (OUT == F32) { return Stored(bits, vec4<bool>()); }\n\tif (OUT == F16) { return Stored(narrow_to_half(bits), vec4<bool>()); }\n\tlet odd = not_finite(bits);\n\tvar stored = store_rounded(bitcast<vec4f>(select(bits, vec4u(), odd)));\n\tif (any(odd)) {\n\t\tlet extremes = vec4u(store_extreme(bits.x), store_extreme(bits.y), store_extreme(bits.z), store_extreme(bits.w));\n\t\tstored.words = select(stored.words, extremes, odd);\n\t\tstored.over = stored.over | (odd & ((bits & vec4u(0x7fffffu)) == vec4u()));\n\t}\n\treturn stored;\n}\n\n// Stores a quad.\nfn store(p: Place, sums: vec4u) {\n\tlet stored = in_result(p, sums);\n\tlet words = stored.words;\n\tif (OUT < F16 && params.overflow == THROW && any(stored.over)) {\n\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\tif (stored.over[e] && p.x + e < p.end) {\n\t\t\t\tatomicMin(&overflow_at, (p.plane * params.rows + p.y) * params.width * params.across + p.x + e);\n\t\t\t}\n\t\t}\n\t}\n\tlet at = (p.plane * params.rows + p.y) * params.out_pitch + p.at;\n\tif (size_of(OUT) == 0u) {\n\t\tlet low = words & vec4u(0xffu);\n\t\tresult[at >> 2u] = low.x | (low.y << 8u) | (low.z << 16u) | (low.w << 24u);\n\t} else if (size_of(OUT) == 1u) {\n\t\tlet low = words & vec4u(0xffffu);\n\t\tresult[at >> 1u] = low.x | (low.y << 16u);\n\t\tresult[(at >> 1u) + 1u] = low.z | (low.w << 16u);\n\t} else {\n\t\twide_result[at >> 2u] = words;\n\t}\n}\n\n// Where layer z of the dispatch is read, and where its quad goes.\nfn base_of(z: u32) -> u32 {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\treturn params.first_element + batch * params.batch_stride + (plane - batch * params.planes) * params.channel_stride;\n}\n\nfn place_of(z: u32, y: u32, x: u32) -> Place {\n\tlet plane = params.first_plane + z;\n\tlet batch = plane / params.planes;\n\tlet step = (plane - batch * params.planes) * params.kernels;\n\treturn Place(batch * params.out_planes + params.out_first + step, params.first_channel + step, 0u, y, x, params.width, x);\n}\n\n// ── end ──\n\n// ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// Columns of the window in elements, holes between the lanes included, zero taps in front that make its quads whole, and params.lanes.\noverride SPAN: u32 = 3u;\noverride LEAD: u32 = 0u;\noverride LANES: u32 = 1u;\noverride WIDE: bool = false;\noverride WORKGROUP_X: u32 = 16u;\noverride WORKGROUP_Y: u32 = 8u;\n// Kernels whose sums a thread holds: 1 to 4; 4 where ACROSS.\noverride KERNELS: u32 = 1u;\noverride ACROSS: bool = false;\n\nfn has_tap(at: u32) -> bool {\n\treturn at >= LEAD && at < LEAD + SPAN && (at - LEAD) % LANES == 0u;\n}\n\nfn has_quad(q: u32) -> bool {\n\treturn 4u * q < LEAD + SPAN;\n}\n\n// A row of pixels under the window: as many quads as SPAN needs, and the one that the last tap's neighbours reach into.\nstruct Pixels {\n\tq0: vec4u,\n\tq1: vec4u,\n\tq2: vec4u,\n\tq3: vec4u,\n\tq4: vec4u,\n\tq5: vec4u,\n\tq6: vec4u,\n}\n\nfn reaches(q: u32) -> bool {\n\treturn 4u * q < LEAD + SPAN + 3u;\n}\n\n// @param at element of the first\nfn pixels(at: u32) -> Pixels {\n\tvar p: Pixels;\n\tp.q0 = whole_quad(at);\n\tif (reaches(1u)) { p.q1 = whole_quad(at + 4u); }\n\tif (reaches(2u)) { p.q2 = whole_quad(at + 8u); }\n\tif (reaches(3u)) { p.q3 = whole_quad(at + 12u); }\n\tif (reaches(4u)) { p.q4 = whole_quad(at + 16u); }\n\tif (reaches(5u)) { p.q5 = whole_quad(at + 20u); }\n\tif (reaches(6u)) { p.q6 = whole_quad(at + 24u); }\n\treturn p;\n}\n\n// Adds 4 taps from column `at` on, by the quads under them; `at` is a literal, so what has no tap is no instruction.\nfn add_quad(sums: vec4u, at: u32, tap: vec4u, a: vec4u, b: vec4u) -> vec4u {\n\tvar s = sums;\n\tif (has_tap(at)) { s = multiply_add(tap.x, a, s); }\n\tif (has_tap(at + 1u)) { s = multiply_add(tap.y, vec4u(a.yzw, b.x), s); }\n\tif (has_tap(at + 2u)) { s = multiply_add(tap.z, vec4u(a.zw, b.xy), s); }\n\tif (has_tap(at + 3u)) { s = multiply_add(tap.w, vec4u(a.w, b.xyz), s); }\n\treturn s;\n}\n\n// A kernel row whose taps begin at `t`, left to right; float rows are summed by themselves before they are added.\nfn add_row(sums: vec4u, t: u32, p: Pixels) -> vec4u {\n\tvar s = vec4u();\n\tif (SUM != REAL) { s = sums; }\n\ts = add_quad(s, 0u, taps[t], p.q0, p.q1);\n\tif (has_quad(1u)) { s = add_quad(s, 4u, taps[t + 1u], p.q1, p.q2); }\n\tif (has_quad(2u)) { s = add_quad(s, 8u, taps[t + 2u], p.q2, p.q3); }\n\tif (has_quad(3u)) { s = add_quad(s, 12u, taps[t + 3u], p.q3, p.q4); }\n\tif (has_quad(4u)) { s = add_quad(s, 16u, taps[t + 4u], p.q4, p.q5); }\n\tif (has_quad(5u)) { s = add_quad(s, 20u, taps[t + 5u], p.q5, p.q6); }\n\tif (SUM == REAL) { return plus(sums, s); }\n\treturn s;\n}\n\nstruct Block {\n\tr0: vec4u,\n\tr1: vec4u,\n\tr2: vec4u,\n\tr3: vec4u,\n}\n\n// All 4 taps of a quad.\nfn add_whole_quad(sums: vec4u, t: u32, a: vec4u, b: vec4u) -> vec4u {\n\tlet tap = taps[t];\n\tvar s = multiply_add(tap.x, a, sums);\n\ts = multiply_add(tap.y, vec4u(a.yzw, b.x), s);\n\ts = multiply_add(tap.z, vec4u(a.zw, b.xy), s);\n\treturn multiply_add(tap.w, vec4u(a.w, b.xyz), s);\n}\n\n// `taps` begins with a quad for each kernel of the dispatch: its channel from the plane's first on, the first row of its window in the frame\n// with their number above it, and the columns likewise.\nstruct Window {\n\tchannel: u32,\n\tfirst_row: u32,\n\trows: u32,\n\tfirst_col: u32,\n\tcols: u32,\n}\n\nfn window_of(kernel: u32) -> Window {\n\tlet w = taps[kernel];\n\treturn Window(w.x, w.y & 0xffffu, w.y >> 16u, w.z & 0xffffu, w.z >> 16u);\n}\n\n// Where the taps of a kernel of the dispatch begin.\nfn taps_of(kernel: u32) -> u32 {\n\treturn params.bank + kernel * params.tap_rows * params.quads;\n}\n\n// Adds input row j of a wide frame to the 4 output rows that see it. @param first where the kernel's taps begin\nfn add_wide_row(sums: Block, first: u32, j: u32, base: u32, line: u32, col: i32, direct: bool) -> Block {\n\tlet rows = params.tap_rows;\n\tlet see = vec4<bool>((j < rows), (j >= 1u && j - 1u < rows), (j >= 2u && j - 2u < rows), (j >= 3u));\n\tvar s: Block;\n\tif (SUM != REAL) { s = sums; }\n\tvar a: vec4u;\n\tfor (var q = 0u; q <= params.quads; q += 1u) {\n\t\tlet b = quad(base, line, col + 4 * i32(q), direct);\n\t\tif (q > 0u) {\n\t\t\tlet t = first + j * params.quads + q - 1u;\n\t\t\tif (see.x) { s.r0 = add_whole_quad(s.r0, t, a, b); }\n\t\t\tif (see.y) { s.r1 = add_whole_quad(s.r1, t - params.quads, a, b); }\n\t\t\tif (see.z) { s.r2 = add_whole_quad(s.r2, t - 2u * params.quads, a, b); }\n\t\t\tif (see.w) { s.r3 = add_whole_quad(s.r3, t - 3u * params.quads, a, b); }\n\t\t}\n\t\ta = b;\n\t}\n\tif (SUM != REAL) { return s; }\n\treturn Block(plus(sums.r0, s.r0), plus(sums.r1, s.r1), plus(sums.r2, s.r2), plus(sums.r3, s.r3));\n}\n\n// Sums of one kernel for 4 rows of quads: each input row is loaded once and added wherever the frame has a row for it.\nfn wide_block(kernel: u32, base: u32, y: u32, col: i32, direct: bool) -> Block {\n\tlet first = taps_of(kernel);\n\tvar b: Block;\n\tfor (var j = 0u; j < params.tap_rows + 3u; j += 1u) {\n\t\tb = add_wide_row(b, first, j, base, line_of(y + j + params.row_shift), col, direct);\n\t}\n\treturn b;\n}\n\n// The blocks of KERNELS kernels.\nstruct Blocks {\n\tk0: Block,\n\tk1: Block,\n\tk2: Block,\n\tk3: Block,\n}\n\nfn wide_blocks(kernel: u32, count: u32, base: u32, y: u32, col: i32, direct: bool) -> Blocks {\n\tvar s: Blocks;\n\tfor (var k = 0u; k < count; k += 1u) {\n\t\tlet b = wide_block(kernel + k, base, y, col, direct);\n\t\tif (k == 0u) { s.k0 = b; }\n\t\tif (KERNELS > 1u && k == 1u) { s.k1 = b; }\n\t\tif (KERNELS > 2u && k == 2u) { s.k2 = b; }\n\t\tif (KERNELS > 3u && k == 3u) { s.k3 = b; }\n\t}\n\treturn s;\n}\n\n// Adds input row j to the 4 output rows that see it.\nfn add_pixels(sums: Block, first: u32, j: u32, p: Pixels) -> Block {\n\tvar b = sums;\n\tlet t = first + j * params.quads;\n\tif (j < params.tap_rows) { b.r0 = add_row(b.r0, t, p); }\n\tif (j >= 1u && j - 1u < params.tap_rows) { b.r1 = add_row(b.r1, t - params.quads, p); }\n\tif (j >= 2u && j - 2u < params.tap_rows) { b.r2 = add_row(b.r2, t - 2u * params.quads, p); }\n\tif (j >= 3u) { b.r3 = add_row(b.r3, t - 3u * params.quads, p); }\n\treturn b;\n}\n\n// The same for a frame of known width whose pixels all lie inside the image, from element `at` on: each is loaded once for all kernels.\nfn blocks(kernel: u32, count: u32, at: u32) -> Blocks {\n\tlet first = taps_of(kernel);\n\tlet step = params.tap_rows * params.quads;\n\tvar s: Blocks;\n\tfor (var j = 0u; j < params.tap_rows + 3u; j += 1u) {\n\t\tlet p = pixels(at + j * params.row_pitch);\n\t\ts.k0 = add_pixels(s.k0, first, j, p);\n\t\tif (KERNELS > 1u && count > 1u) { s.k1 = add_pixels(s.k1, first + step, j, p); }\n\t\tif (KERNELS > 2u && count > 2u) { s.k2 = add_pixels(s.k2, first + 2u * step, j, p); }\n\t\tif (KERNELS > 3u && count > 3u) { s.k3 = add_pixels(s.k3, first + 3u * step, j, p); }\n\t}\n\treturn s;\n}\n\n// ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────────\n\n// The sum of one window by itself, in the same order; by IEEE rules where it holds a NaN or an infinity.\nfn careful_sum(kernel: u32, base: u32, y: u32, x: u32) -> u32 {\n\tlet w = window_of(kernel);\n\tlet first = taps_of(kernel);\n\tvar seen = Extremes(false, false, false);\n\tvar sum = vec4u();\n\tfor (var j = w.first_row; j < w.first_row + w.rows; j += 1u) {\n\t\tlet line = line_of(y + j + params.row_shift);\n\t\tvar row_sum = vec4u();\n\t\tfor (var i = w.first_col; i < w.first_col + w.cols; i += 1u) {\n\t\t\tlet at = params.lead + i * params.lanes;\n\t\t\tlet pixel = in_sum(vec4u(mapped(base, line, i32(x + at) + bitcast<i32>(params.col_shift))));\n\t\t\tlet tap = taps[first + j * params.quads + at / 4u][at % 4u];\n\t\t\tseen = meet(seen, pixel.x, tap);\n\t\t\trow_sum = multiply_add(tap, pixel, row_sum);\n\t\t}\n\t\tsum = plus(sum, row_sum);\n\t}\n\tlet extreme = extreme_sum(seen);\n\treturn select(extreme, sum.x, extreme == 0u);\n}\n\nfn row_of(b: Block, r: u32) -> vec4u {\n\tvar sums = b.r0;\n\tif (r == 1u) { sums = b.r1; }\n\tif (r == 2u) { sums = b.r2; }\n\tif (r == 3u) { sums = b.r3; }\n\treturn sums;\n}\n\n// A plane for each kernel.\nfn finish(z: u32, top: u32, x: u32, kernel: u32, count: u32, s: Blocks) {\n\tlet base = base_of(z);\n\tfor (var k = 0u; k < count; k += 1u) {\n\t\tvar b = s.k0;\n\t\tif (KERNELS > 1u && k == 1u) { b = s.k1; }\n\t\tif (KERNELS > 2u && k == 2u) { b = s.k2; }\n\t\tif (KERNELS > 3u && k == 3u) { b = s.k3; }\n\t\tlet channel = window_of(kernel + k).channel;\n\t\tfor (var r = 0u; r < 4u && top + r < params.rows; r += 1u) {\n\t\t\tlet y = top + r;\n\t\t\tvar sums = row_of(b, r);\n\t\t\tif (IN >= F16) {\n\t\t\t\tlet odd = not_finite(sums);\n\t\t\t\tif (any(odd)) {\n\t\t\t\t\tfor (var e = 0u; e < 4u; e += 1u) {\n\t\t\t\t\t\tif (odd[e] && x + e < params.width) { sums[e] = careful_sum(kernel + k, base, y, x + e); }\n\t\t\t\t\t}\n\t\t\t\t}\n\t\t\t}\n\t\t\tvar place = place_of(z, y, x);\n\t\t\tplace.plane += channel;\n\t\t\tplace.channel += channel;\n\t\t\tstore(place, sums);\n\t\t}\n\t}\n}\n\n// The sums of 4 kernels side by side.\nfn finish_across(z: u32, top: u32, x: u32, kernel: u32, count: u32, s: Blocks) {\n\tlet base = base_of(z);\n\tlet channel = window_of(kernel).channel;\n\tfor (var r = 0u; r < 4u && top + r < params.rows; r += 1u) {\n\t\tlet y = top + r;\n\t\tlet of_kernel = array<vec4u, 4>(row_of(s.k0, r), row_of(s.k1, r), row_of(s.k2, r), row_of(s.k3, r));\n\t\tfor (var e = 0u; e < 4u && x + e < params.width; e += 1u) {\n\t\t\tvar sums = vec4u(of_kernel[0][e], of_kernel[1][e], of_kernel[2][e], of_kernel[3][e]);\n\t\t\tif (IN >= F16) {\n\t\t\t\tlet odd = not_finite(sums);\n\t\t\t\tif (any(odd)) {\n\t\t\t\t\tfor (var k = 0u; k < count; k += 1u) {\n\t\t\t\t\t\tif (odd[k]) { sums[k] = careful_sum(kernel + k, base, y, x + e); }\n\t\t\t\t\t}\n\t\t\t\t}\n\t\t\t}\n\t\t\tvar place = place_of(z, y, 0u);\n\t\t\tplace.channel += (x + e) % params.lanes * params.across + channel;\n\t\t\tplace.side = 1u;\n\t\t\tplace.x = (x + e) * params.across + channel;\n\t\t\tplace.end = (x + e + 1u) * params.across;\n\t\t\tplace.at = (x + e) * params.spread + channel;\n\t\t\tstore(place, sums);\n\t\t}\n\t}\n}\n\n@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)\nfn main(@builtin(global_invocation_id) id: vec3u) {\n\tlet x = 4u * id.x;\n\tlet y = 4u * id.y;\n\tif (x >= params.width || y >= params.rows) { return; }\n\tlet z = id.z / params.chunks;\n\tlet base = base_of(z);\n\tlet col = i32(x) + bitcast<i32>(params.col_shift);\n\tlet row = y + params.row_shift;\n\t// of a wide frame the loop loads one quad more than its taps\n\tlet quads = select((LEAD + SPAN + 6u) / 4u, params.quads + 1u, WIDE);\n\tlet direct = params.aligned != 0u && inside(col, quads) && row >= params.row_begin && row + params.tap_rows + 3u <= params.row_end;\n\tfor (var i = 0u; i < params.bundle; i += 1u) {\n\t\tlet kernel = ((id.z - z * params.chunks) * params.bundle + i) * KERNELS;\n\t\tif (kernel >= params.bank) { break; }\n\t\tlet count = min(KERNELS, params.bank - kernel);\n\t\tvar s: Blocks;\n\t\tif (direct && !WIDE) {\n\t\t\ts = blocks(kernel, count, base + line_of(row) + params.col_origin + u32(col));\n\t\t} else {\n\t\t\ts = wide_blocks(kernel, count, base, y, col, direct);\n\t\t}\n\t\tif (ACROSS) {\n\t\t\tfinish_across(z, y, x, kernel, count, s);\n\t\t} else {\n\t\t\tfinish(z, y, x, kernel, count, s);\n\t\t}\n\t}\n}\n"
	}
} as const;
