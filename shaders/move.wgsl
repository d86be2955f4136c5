// Copies a run of bytes between two buffers at any byte offsets; buffer copies need multiples of 4.
//
// One thread writes one word of the target, all of whose bytes inside the run it takes from at most two words of the source;
// bytes of the word outside the run keep what they hold. Runs that share a word are separate dispatches, in order.

override WORKGROUP: u32 = 64u;

struct Params {
	source_byte: u32, // where the run begins in `source`
	target_byte: u32, // and in `moved`
	bytes: u32,
	source_words: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> moved: array<u32>;

// Word k of the source, 0 beyond its ends: those bytes lie outside the run.
fn word(k: i32) -> u32 {
	if (k < 0 || u32(k) >= params.source_words) { return 0u; }
	return source[k];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
	let at = params.target_byte / 4u + id.y * groups.x * WORKGROUP + id.x;
	let end = params.target_byte + params.bytes;
	if (4u * at >= end) { return; }
	// byte of the source that goes to the word's lowest byte; up to 3 before the run's first
	let origin = i32(params.source_byte) + i32(4u * at) - i32(params.target_byte);
	let shift = u32(origin & 3) * 8u;
	var bits = word(origin >> 2u) >> shift;
	if (shift != 0u) { bits |= word((origin >> 2u) + 1) << (32u - shift); }
	let first = max(4u * at, params.target_byte) & 3u;
	let last = min(4u * at + 4u, end) - 4u * at; // 1 … 4
	let mask = (0xffffffffu << (8u * first)) & (0xffffffffu >> (32u - 8u * last));
	if (mask != 0xffffffffu) { bits = (bits & mask) | (moved[at] & ~mask); }
	moved[at] = bits;
}
