// Takes out the room between rows: results whose rows are no whole quads are computed into rows that are, then packed by this.
//
// One thread writes one word of the target, byte by byte: neighbours read neighbouring words, so the cache serves all but the first.

override WORKGROUP: u32 = 64u;

struct Params {
	row_bytes: u32,
	pitch_bytes: u32, // from one row of the source to the next; a multiple of 4
	rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> padded: array<u32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
	let at = id.y * groups.x * WORKGROUP + id.x;
	let first = 4u * at;
	if (first >= params.rows * params.row_bytes) { return; }
	var row = first / params.row_bytes;
	var col = first - row * params.row_bytes;
	var word = 0u;
	for (var k = 0u; k < 4u; k += 1u) {
		if (row < params.rows) {
			let source = row * params.pitch_bytes + col;
			word |= extractBits(padded[source >> 2u], (source & 3u) * 8u, 8u) << (8u * k);
		}
		col += 1u;
		if (col == params.row_bytes) {
			col = 0u;
			row += 1u;
		}
	}
	packed[at] = word;
}
