/* How tiles that work on whole lines of sums (separable.c, box.c) walk the rows and cut the columns. Private. */
#ifndef FALTUNG_LINES_H
#define FALTUNG_LINES_H

#include "rows.h"

/*
 * Output k of one axis reads positions k*stride + j*dilation. With g their common divisor, outputs a, a + dilation/g, a + 2*dilation/g ...
 * read positions a*stride + q*dilation for whole q only: output number t of such a strand begins at q = t*stride/g and reads neighbours.
 */
typedef struct conv_strands {
	int64_t apart;  /* outputs between neighbours of a strand; as many strands */
	int64_t stride; /* q between the beginnings of neighbours */
} conv_strands;

static inline conv_strands conv_strands_of(int64_t stride, int64_t dilation, int64_t taps) {
	int64_t a = stride, b = taps > 1 ? dilation : 1;
	const int64_t d = b;
	while (b) {
		const int64_t r = a % b;
		a = b;
		b = r;
	}
	return (conv_strands){d / a, stride / a};
}

/* The outputs of one strand within from .. to - 1. */
typedef struct conv_strand {
	int64_t first; /* output */
	int64_t t;     /* its number in the strand */
	int64_t count;
	int64_t position; /* of q = 0, from the position under tap 0 of output 0 */
} conv_strand;

static inline conv_strand conv_strand_at(conv_strands strands, int64_t stride, int64_t first, int64_t to) {
	return (conv_strand){first, first / strands.apart, (to - first + strands.apart - 1) / strands.apart, first % strands.apart * stride};
}

/*
 * Columns of a tile that are stored alike. In a line they are whole vectors of their own: sums are added to in place, so no column may
 * belong to two pieces.
 */
typedef struct conv_piece {
	int64_t x0, x1; /* outputs */
	int64_t at;     /* the piece's first column in a line */
	int64_t skip;   /* columns from there to x0 */
	int64_t width;  /* skip + x1 - x0 rounded up to whole vectors */
	int straight;   /* whole vectors of sums go to out at once */
	int stream;
} conv_piece;

typedef struct conv_pieces {
	conv_piece list[3];
	int count;
	int64_t lead; /* column of the tile's x0 in a line */
} conv_pieces;

/* `straight`: whether whole vectors of sums can go to out at once; `stream`: whether results may be streamed. */
conv_pieces conv_cut_columns(const conv_exec *e, const conv_tile *t, int straight, int stream);

/* Elements of a line: the tile's columns, what makes the first tile wider (run.c, grid.shift), and vectors to spare on both sides. */
int64_t conv_line_length(const conv_exec *e);

static inline int64_t conv_round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

#endif
