/**
 * The sums of a checksum in plain TypeScript, for every backend that has none of its own: the specification of native/checksum*.c.
 * Finds the windows of result rows whose two sums differ; src/core/checksum.ts then looks at their pixels.
 */
import { indexMap, OUTSIDE } from './boundary.ts';
import { breather } from './breathe.ts';
import { type Lanes, withLanes } from './checksum-lanes.ts';
import type { ChecksumScheme } from './checksum-scheme.ts';
import { reader } from './dtype.ts';
import type { PlaneView } from './ndarray.ts';
import { type KernelWindow, type Problem, reach } from './problem.ts';

/** Result rows from … to−1 of one column whose two sums differ. */
export interface Suspect {
	readonly batch: number;
	readonly channel: number;
	readonly column: number;
	readonly from: number;
	readonly to: number;
}

export interface ChecksumFindings {
	/** At most SUSPECT_LIMIT of them. */
	readonly suspects: readonly Suspect[];
	/** How many there are. */
	readonly count: number;
	/** Largest difference that is no suspect's, as a share of its threshold. */
	readonly worst: number;
	/** Largest threshold of any block; 0 where the sums are exact. */
	readonly threshold: number;
}

/** Suspects that are told apart; a result with more of them is recomputed as a whole. */
export const SUSPECT_LIMIT = 4096;

/** A sum over rows start + t·step under the weights r[low … high). */
interface Span {
	readonly start: number;
	readonly low: number;
	readonly high: number;
}

/** The spans of result rows of block b: one for each k that has a row in the result. */
function spansOf({ length, samples }: ChecksumScheme, block: number, height: number): Span[] {
	const spans: Span[] = [];
	for (let k = 0; k < samples; k++) {
		const start = block * length - k;
		const [low, high] = [Math.max(0, -start), Math.min(length, height - start)];
		if (low < high) spans.push({ start, low, high });
	}
	return spans;
}

/** Blocks of rows: in the last one, sample d−1 still begins within the result. */
export const blockCount = ({ length, samples }: ChecksumScheme, height: number): number => Math.floor((height + samples - 2) / length) + 1;

/** One strip of columns of one result plane. */
class Strip<Row> {
	readonly #lanes: Lanes<Row>;
	readonly #problem: Problem;
	readonly #scheme: ChecksumScheme;
	readonly #window: KernelWindow;
	readonly #image: PlaneView;
	readonly #out: PlaneView;
	readonly #readImage: (i: number) => number | bigint;
	readonly #readOut: (i: number) => number | bigint;
	readonly #imageBase: number;
	readonly #outBase: number;
	readonly #width: number;
	/** The column that each extended position of the strip shows. */
	readonly #xMap: Int32Array;
	/** Largest finite |pixel| that was read since it was last set. */
	largest = 0;

	constructor(
		lanes: Lanes<Row>,
		task: { problem: Problem; scheme: ChecksumScheme; image: PlaneView; result: PlaneView },
		at: { batch: number; channel: number; from: number; to: number },
	) {
		const { problem, image, result } = task;
		const kernels = problem.windows.length;
		this.#lanes = lanes;
		this.#problem = problem;
		this.#scheme = task.scheme;
		this.#window = problem.windows[at.channel % kernels] as KernelWindow;
		this.#image = image;
		this.#out = result;
		this.#readImage = reader(image.data, image.dtype);
		this.#readOut = reader(result.data, result.dtype);
		this.#imageBase = image.offset + at.batch * image.strides[0] + Math.floor(at.channel / kernels) * image.strides[1];
		this.#outBase = result.offset + at.batch * result.strides[0] + at.channel * result.strides[1] + at.from * result.strides[3];
		this.#width = at.to - at.from;
		const { first, count } = reach(problem, this.#window, 1);
		const step = problem.stride[1];
		const unread = (problem.output.sizes[3] - this.#width) * step;
		this.#xMap = indexMap(problem.boundary[1], image.sizes[3], first + at.from * step, Math.max(0, count - unread));
	}

	#outRow(y: number): Row {
		const row = this.#lanes.make(this.#width);
		const { centre } = this.#scheme;
		for (let x = 0, at = this.#outBase + y * this.#out.strides[2]; x < this.#width; x++, at += this.#out.strides[3]) {
			const value = this.#readOut(at);
			this.#lanes.put(row, x, centre === 0 ? value : Number(value) + centre);
		}
		return row;
	}

	/** The image row that a position shows, extended on both sides. */
	#imageRow(position: number): Row {
		const { value, boundary } = this.#problem;
		const source = indexMap(boundary[0], this.#image.sizes[2], position, 1)[0] as number;
		const base = this.#imageBase + source * this.#image.strides[2];
		const row = this.#lanes.make(this.#xMap.length);
		for (let k = 0; k < this.#xMap.length; k++) {
			const column = this.#xMap[k] as number;
			const pixel = source === OUTSIDE || column === OUTSIDE ? value : this.#readImage(base + column * this.#image.strides[3]);
			this.#lanes.put(row, k, pixel);
			const magnitude = Math.abs(Number(pixel));
			if (magnitude > this.largest && magnitude < Infinity) this.largest = magnitude;
		}
		return row;
	}

	/** Every span's weighted sum of rows; each row is read once. */
	#project(spans: readonly Span[], step: number, width: number, read: (position: number) => Row): Row[] {
		const sums = spans.map(() => this.#lanes.make(width));
		const uses = new Map<number, [sum: Row, weight: number][]>();
		for (const [k, { start, low, high }] of spans.entries()) {
			for (let t = low; t < high; t++) {
				const position = start + t * step;
				const use: [Row, number] = [sums[k] as Row, this.#scheme.weights[t] as number];
				const others = uses.get(position);
				if (others === undefined) uses.set(position, [use]);
				else others.push(use);
			}
		}
		for (const [position, list] of uses) {
			const row = read(position);
			for (const [sum, weight] of list) this.#lanes.add(sum, row, weight);
		}
		return sums;
	}

	/** What the sums over these result rows must be, before scale and bias. */
	expected(spans: readonly Span[]): Row[] {
		const { stride, dilation } = this.#problem;
		const { rows, cols, taps, first } = this.#window;
		// row y under tap row j reads position first + y·stride + j·dilation: many samples and tap rows share a span
		const needed: Span[] = [];
		const known = new Map<string, number>();
		const under = (span: Span, j: number): number => {
			const start = first[0] + span.start * stride[0] + j * dilation[0];
			const key = `${start} ${span.low} ${span.high}`;
			const index = known.get(key) ?? needed.push({ ...span, start }) - 1;
			known.set(key, index);
			return index;
		};
		const indices = spans.map((span) => Array.from({ length: rows }, (_, j) => under(span, j)));
		const filtered = this.#project(needed, stride[0], this.#xMap.length, (position) => this.#imageRow(position));
		return indices.map((list) => {
			const sum = this.#lanes.make(this.#width);
			for (const [j, index] of list.entries()) {
				for (let i = 0; i < cols; i++) {
					this.#lanes.multiplyAdd(sum, filtered[index] as Row, taps[j * cols + i] as number | bigint, i * dilation[1], stride[1]);
				}
			}
			return sum;
		});
	}

	actual(spans: readonly Span[]): Row[] {
		return this.#project(spans, 1, this.#width, (y) => this.#outRow(y));
	}
}

/** Finds the sums that differ by more than rounding explains. */
export function findSuspects(
	task: { problem: Problem; scheme: ChecksumScheme; image: PlaneView; result: PlaneView },
	signal: AbortSignal | undefined,
): Promise<ChecksumFindings> {
	return withLanes(task.scheme.kind, task.problem.output.dtype, (lanes) => find(lanes, task, signal));
}

async function find<Row>(
	lanes: Lanes<Row>,
	task: { problem: Problem; scheme: ChecksumScheme; image: PlaneView; result: PlaneView },
	signal: AbortSignal | undefined,
): Promise<ChecksumFindings> {
	const { problem, scheme } = task;
	const [batches, channels, height, width] = problem.output.sizes;
	const breath = breather(signal);
	const suspects: Suspect[] = [];
	let [count, worst, threshold] = [0, 0, 0];
	const look = (at: { batch: number; channel: number; from: number; to: number }, strip: Strip<Row>, spans: readonly Span[]): void => {
		strip.largest = scheme.largest;
		const [expected, actual] = [strip.expected(spans), strip.actual(spans)];
		const limit = (scheme.slope[at.channel] as number) * strip.largest + (scheme.offset[at.channel] as number);
		threshold = Math.max(threshold, limit);
		for (const [k, { start, low, high }] of spans.entries()) {
			let weight = 0;
			for (let t = low; t < high; t++) weight += scheme.weights[t] as number;
			const [scale, bias] = [problem.scale[at.channel] as number, (problem.bias[at.channel] as number) * weight];
			for (let x = 0; x < at.to - at.from; x++) {
				const apart = lanes.apart(expected[k] as Row, actual[k] as Row, x, scale, bias);
				if (apart <= limit) {
					if (apart > 0) worst = Math.max(worst, apart / limit);
					continue;
				}
				if (count++ < SUSPECT_LIMIT) suspects.push({ ...at, column: at.from + x, from: start + low, to: start + high });
			}
		}
	};
	for (let batch = 0; batch < batches; batch++) {
		for (let channel = 0; channel < channels; channel++) {
			for (let from = 0; from < width; from += scheme.strip) {
				const at = { batch, channel, from, to: Math.min(width, from + scheme.strip) };
				const strip = new Strip(lanes, task, at);
				for (let block = 0; block < blockCount(scheme, height); block++) {
					look(at, strip, spansOf(scheme, block, height));
					if (breath.due()) await breath.pause();
				}
			}
		}
	}
	return { suspects, count, worst, threshold };
}
