#include "lines.h"

int64_t conv_line_length(const conv_exec *e) {
	const int64_t tile = e->p.tile_w < e->p.out_w ? e->p.tile_w : e->p.out_w;
	return conv_round_up(tile, e->lanes) + e->isa->vector_bytes + 6 * e->lanes;
}

static conv_piece piece(const conv_exec *e, int64_t x0, int64_t x1, int64_t at, int64_t skip, int straight, int stream) {
	return (conv_piece){x0, x1, at, skip, conv_round_up(skip + x1 - x0, e->lanes), straight, stream};
}

conv_pieces conv_cut_columns(const conv_exec *e, const conv_tile *t, int straight, int stream) {
	const int64_t vector = e->isa->vector_bytes, element = conv_dtype_bytes(e->p.out_dtype), width = t->x1 - t->x0;
	const int dense = t->buffers->out_strides[3] == 1;
	conv_pieces cut = {.count = 0, .lead = 0};
	const uintptr_t off = (uintptr_t)conv_out_pixel(e, t, t->y0, t->x0) % (uintptr_t)vector;
	int64_t head = off && dense ? (vector - (int64_t)off) / element : 0; /* columns before the first whole vector of the result */
	stream = stream && dense && head < width && conv_may_stream(e, t, conv_out_pixel(e, t, t->y0, t->x0 + head));
	if (!stream) head = 0;
	const int64_t body = straight ? (width - head) / e->lanes * e->lanes : width - head;
	cut.lead = conv_round_up(head, e->lanes) - head;
	if (head) cut.list[cut.count++] = piece(e, t->x0, t->x0 + head, 0, cut.lead, 0, 0);
	if (body) cut.list[cut.count++] = piece(e, t->x0 + head, t->x0 + head + body, cut.lead + head, 0, straight, stream);
	if (head + body < width) cut.list[cut.count++] = piece(e, t->x0 + head + body, t->x1, cut.lead + head + body, 0, 0, 0);
	return cut;
}
