/**
 * Convolution and correlation by the words of API.md, one output pixel at a time, in exact arithmetic. Shares no code
 * with src/: boundary modes come from extension.ts, numbers from dyadic.ts. Slow on purpose.
 *
 *     convolve   full[p] = Σ_j ext[p − j]·h[j]         same[i] = full[i + anchor]      valid[i] = full[i + K − 1]
 *     correlate   out[i] = Σ_j ext[i + j − c]·h[j]     c = K − 1 (full), anchor (same), 0 (valid)
 *
 * with h the kernel as given, zeros put between its taps by the dilation, K its size then, ext the extended image.
 */
import { bitsOf, type Dtype, formatOf, isFloat, type OverflowRule } from './dtypes.ts';
import { type Dyadic, dyadic, type RoundingRule } from './dyadic.ts';
import { type Mode as Boundary, extend, FILL } from './extension.ts';

export type Operation = 'convolve' | 'correlate';
export type SizeMode = 'full' | 'same' | 'valid';
export type Layout = 'HW' | 'HWC' | 'CHW' | 'NHW' | 'NHWC' | 'NCHW';
export type Pair<T = number> = readonly [y: T, x: T];
export type Value = number | bigint;

/** The options that bear on the answer, canonical names only; what is absent takes API.md's default. */
export interface Options {
	mode?: SizeMode;
	boundary?: Boundary | Pair<Boundary>;
	value?: Value;
	anchor?: Pair;
	stride?: number | Pair;
	dilation?: number | Pair;
	outputDtype?: Dtype;
	overflow?: OverflowRule;
	rounding?: RoundingRule;
	scale?: number | readonly number[];
	bias?: number | readonly number[];
	accumulate?: 'auto' | 'float32' | 'float64';
}

/** A request: values row-major in the axes of `layout`, exactly as the dtypes hold them. */
export interface Request {
	operation: Operation;
	image: { dtype: Dtype; layout: Layout; shape: readonly number[]; values: readonly Value[] };
	kernel: { dtype: Dtype; shape: readonly number[]; values: readonly Value[] };
	options: Options;
}

/** What one output pixel must be, before it is stored. */
export interface Pixel {
	/** scale·sum + bias, exactly; or NaN, Infinity, −Infinity where the window holds a non-finite pixel. */
	readonly value: Dyadic | number;
	/** The sum alone; 0 where the window holds a non-finite pixel. */
	readonly sum: Dyadic;
	/** An infinity lies in the window. */
	readonly infinite: boolean;
	/** Σ|tap·pixel|, Σ|tap|, Σ|pixel| over the taps of the window, and their number. */
	readonly magnitude: Dyadic;
	readonly taps: Dyadic;
	readonly pixels: Dyadic;
	/** max |pixel| */
	readonly largest: Dyadic;
	readonly count: number;
	readonly scale: number;
	readonly bias: number;
}

export type SumKind = 'integer' | 'float32' | 'float64';

export interface Answer {
	readonly dtype: Dtype;
	readonly layout: Layout;
	readonly shape: readonly number[];
	readonly sum: SumKind;
	/** scale is 1 and bias 0 in every channel. */
	readonly plain: boolean;
	/** Rows + columns of the largest window: the depth of a row-blocked sum. */
	readonly depth: number;
	/** A pixel or a tap must be rounded before it can enter a sum of this kind. */
	readonly conversions: number;
	/** Row-major in `shape`. */
	readonly pixels: readonly Pixel[];
}

const pairOf = <T>(option: T | Pair<T> | undefined, absent: T): Pair<T> => {
	if (option === undefined) return [absent, absent];
	return Array.isArray(option) ? (option as unknown as Pair<T>) : [option as T, option as T];
};

/** API.md, "What is computed". */
export function sumKindOf(image: Dtype, kernel: Dtype, accumulate: Options['accumulate'] = 'auto'): SumKind {
	if (!isFloat(image) && !isFloat(kernel)) return 'integer';
	if (accumulate !== 'auto') return accumulate;
	if (isFloat(image)) return image === 'float64' ? 'float64' : 'float32';
	return bitsOf(image) >= 32 || kernel === 'float64' ? 'float64' : 'float32';
}

/** The result's layout: a bank's kernels take their place on the channel axis. */
function layoutAfter(layout: Layout, bank: boolean): Layout {
	if (!bank) return layout;
	return layout === 'HW' ? 'CHW' : layout === 'NHW' ? 'NCHW' : layout;
}

// ── numbers on a common scale ───────────────────────────────────────────────────────────────────────────────────────

/** Values as integers times one power of two; a non-finite one is kept aside. */
interface Scaled {
	readonly integers: bigint[];
	readonly exponent: number;
	readonly strange: (number | undefined)[];
}

function onOneScale(values: readonly Value[]): Scaled {
	const strange = values.map((v) => (typeof v === 'number' && !Number.isFinite(v) ? v : undefined));
	const exact = values.map((v, i) => dyadic(strange[i] === undefined ? v : 0));
	const exponent = exact.reduce((least, { e }) => Math.min(least, e), 0);
	return { integers: exact.map(({ m, e }) => m << BigInt(e - exponent)), exponent, strange };
}

// ── the kernel ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface Element {
	/** Place in the dilated kernel as given. */
	readonly j: number;
	readonly i: number;
	readonly tap: bigint;
	/** A zero that the dilation put there. */
	readonly hole: boolean;
}

interface Window {
	readonly elements: readonly Element[];
	/** Of the box of non-zero taps, before dilation. */
	readonly rows: number;
	readonly cols: number;
}

/** Elements of the dilated kernel inside the box of its non-zero taps, and the box in undilated taps. */
function windowOf(taps: readonly bigint[], kw: number, dilation: Pair): Window {
	const used = taps.map((tap, at) => ({ j: Math.floor(at / kw), i: at % kw, tap })).filter(({ tap }) => tap !== 0n);
	if (used.length === 0) return { elements: [], rows: 0, cols: 0 };
	const [top, bottom] = [Math.min(...used.map(({ j }) => j)), Math.max(...used.map(({ j }) => j))];
	const [left, right] = [Math.min(...used.map(({ i }) => i)), Math.max(...used.map(({ i }) => i))];
	const elements: Element[] = [];
	for (let j = top * dilation[0]; j <= bottom * dilation[0]; j++) {
		for (let i = left * dilation[1]; i <= right * dilation[1]; i++) {
			const hole = j % dilation[0] !== 0 || i % dilation[1] !== 0;
			const tap = hole ? 0n : (taps[(j / dilation[0]) * kw + i / dilation[1]] as bigint);
			elements.push({ j, i, tap, hole });
		}
	}
	return { elements, rows: bottom - top + 1, cols: right - left + 1 };
}

// ── one axis ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Axis {
	/** Outputs along the axis. */
	readonly outputs: number;
	/** Source index, or FILL, under kernel element k (dilated, as given) for output o. */
	readonly source: (o: number, k: number) => number;
}

function axisOf(request: Request, which: 0 | 1, n: number, k: number): Axis {
	const { mode = 'full', anchor } = request.options;
	const stride = pairOf(request.options.stride, 1)[which];
	const dilation = pairOf(request.options.dilation, 1)[which];
	const boundary = pairOf<Boundary>(request.options.boundary, 'constant')[which];
	const K = (k - 1) * dilation + 1;
	const all = { full: n + K - 1, same: n, valid: n - K + 1 }[mode];
	const convolve = request.operation === 'convolve';
	const centre = anchor?.[which] ?? (convolve ? Math.floor((K - 1) / 2) : Math.floor(K / 2));
	const start = convolve ? { full: 0, same: centre, valid: K - 1 }[mode] : { full: 1 - K, same: -centre, valid: 0 }[mode];
	// line[K + p] is what position p shows; no pixels: no plane is computed, or all of it is outside
	const line = extend(n === 0 ? 'constant' : boundary, n, K, K);
	const source = (o: number, element: number) => {
		const p = start + o * stride + (convolve ? -element : element);
		const at = line[K + p];
		if (at === undefined) throw new RangeError(`position ${p} lies outside the extension`);
		return at;
	};
	return { outputs: Math.ceil(all / stride), source };
}

// ── all pixels ───────────────────────────────────────────────────────────────────────────────────────────────────────

const axisSize = (layout: Layout, shape: readonly number[], axis: string): number => {
	const at = layout.indexOf(axis);
	return at < 0 ? 1 : (shape[at] as number);
};

/** Row-major distance between neighbours along each canonical axis; 0 for an axis that the layout does not have. */
function stepsOf(layout: Layout, shape: readonly number[]): readonly [n: number, c: number, y: number, x: number] {
	const step = (axis: string) => {
		const at = layout.indexOf(axis);
		return at < 0 ? 0 : shape.slice(at + 1).reduce((a, b) => a * b, 1);
	};
	return [step('N'), step('C'), step('H'), step('W')];
}

/** The scale or bias of result channel k out of C·M: one number, one per image channel, or one per result channel. */
function channelValue(
	option: number | readonly number[] | undefined,
	absent: number,
	k: number,
	channels: number,
	kernels: number,
): number {
	if (option === undefined) return absent;
	if (typeof option === 'number') return option;
	if (option.length === 1) return option[0] as number;
	return option[option.length === channels ? Math.floor(k / kernels) : k] as number;
}

/** IEEE 754's sum of tap·pixel over the non-finite pixels of a window. */
function strangeSum(found: readonly { tap: bigint; pixel: number }[]): number {
	return found.reduce((sum, { tap, pixel }) => sum + (tap === 0n ? 0 : tap < 0n ? -1 : 1) * pixel, 0);
}

/** Everything that API.md says about the result of a valid request. */
export function answer(request: Request): Answer {
	const { image, kernel, options } = request;
	const bank = kernel.shape.length === 3;
	const [kh, kw] = kernel.shape.slice(-2) as [number, number];
	const kernels = bank ? (kernel.shape[0] as number) : 1;
	const [N, C, H, W] = ['N', 'C', 'H', 'W'].map((axis) => axisSize(image.layout, image.shape, axis)) as [number, number, number, number];
	const rows = axisOf(request, 0, H, kh);
	const cols = axisOf(request, 1, W, kw);
	const layout = layoutAfter(image.layout, bank);
	const sizes: Record<string, number> = { N, C: C * kernels, H: rows.outputs, W: cols.outputs };
	const shape = [...layout].map((axis) => sizes[axis] as number);
	const outsideAt = image.values.length;
	const seen = onOneScale([...image.values, options.value ?? 0]);
	const taps = onOneScale(kernel.values);
	const dilation = pairOf(options.dilation, 1);
	const windows = Array.from({ length: kernels }, (_, m) => windowOf(taps.integers.slice(m * kh * kw, (m + 1) * kh * kw), kw, dilation));
	const from = stepsOf(image.layout, image.shape);
	const to = stepsOf(layout, shape);
	const pixels = new Array<Pixel>(shape.reduce((a, b) => a * b, 1));
	for (let n = 0; n < N; n++) {
		for (let k = 0; k < C * kernels; k++) {
			const window = windows[k % kernels] as Window;
			const plane = n * from[0] + Math.floor(k / kernels) * from[1];
			const { scale, bias } = epilogue(options, k, C, kernels);
			for (let y = 0; y < rows.outputs; y++) {
				for (let x = 0; x < cols.outputs; x++) {
					const under = ({ j, i }: Element) => {
						const [sy, sx] = [rows.source(y, j), cols.source(x, i)];
						return sy === FILL || sx === FILL ? outsideAt : plane + sy * from[2] + sx * from[3];
					};
					pixels[n * to[0] + k * to[1] + y * to[2] + x * to[3]] = onePixel(window, under, seen, taps.exponent, scale, bias);
				}
			}
		}
	}
	const sum = sumKindOf(image.dtype, kernel.dtype, options.accumulate);
	return {
		dtype: options.outputDtype ?? image.dtype,
		layout,
		shape,
		sum,
		plain: Array.from({ length: C * kernels }, (_, k) => epilogue(options, k, C, kernels)).every(isPlain),
		depth: Math.max(0, ...windows.map((w) => w.rows + w.cols)),
		conversions: conversionsOf(request, sum),
		pixels,
	};
}

/** One output pixel; `under` says which image value lies under an element of the dilated kernel. */
function onePixel(window: Window, under: (e: Element) => number, seen: Scaled, tapExponent: number, scale: number, bias: number): Pixel {
	let [sum, magnitude, taps, pixels, largest] = [0n, 0n, 0n, 0n, 0n];
	let count = 0;
	const strange: { tap: bigint; pixel: number }[] = [];
	for (const element of window.elements) {
		const at = under(element);
		const odd = seen.strange[at];
		if (odd !== undefined) strange.push({ tap: element.tap, pixel: odd });
		if (element.hole) continue;
		const pixel = seen.integers[at] as bigint;
		const product = element.tap * pixel;
		sum += product;
		magnitude += absolute(product);
		taps += absolute(element.tap);
		pixels += absolute(pixel);
		if (absolute(pixel) > largest) largest = absolute(pixel);
		count++;
	}
	const e = seen.exponent + tapExponent;
	return {
		value: strange.length === 0 ? scaled({ m: sum, e }, scale, bias) : scale * strangeSum(strange) + bias,
		sum: { m: sum, e },
		infinite: strange.some(({ pixel }) => !Number.isNaN(pixel)),
		magnitude: { m: magnitude, e },
		taps: { m: taps, e: tapExponent },
		pixels: { m: pixels, e: seen.exponent },
		largest: { m: largest, e: seen.exponent },
		count,
		scale,
		bias,
	};
}

const absolute = (m: bigint): bigint => (m < 0n ? -m : m);

const epilogue = (options: Options, k: number, channels: number, kernels: number): { scale: number; bias: number } => ({
	scale: channelValue(options.scale, 1, k, channels, kernels),
	bias: channelValue(options.bias, 0, k, channels, kernels),
});

const isPlain = ({ scale, bias }: { scale: number; bias: number }): boolean => scale === 1 && bias === 0;

function scaled(sum: Dyadic, scale: number, bias: number): Dyadic {
	if (isPlain({ scale, bias })) return sum;
	const s = dyadic(scale);
	const b = dyadic(bias);
	const e = Math.min(sum.e + s.e, b.e);
	return { m: ((sum.m * s.m) << BigInt(sum.e + s.e - e)) + (b.m << BigInt(b.e - e)), e };
}

/** Roundings on the way into a float sum: 1 for pixels that its type cannot hold, 1 for taps likewise. */
function conversionsOf({ image, kernel }: Request, sum: SumKind): number {
	if (sum === 'integer') return 0;
	const { p } = formatOf(sum);
	const dtypeFits = isFloat(image.dtype) ? formatOf(image.dtype).p <= p : bitsOf(image.dtype) <= p;
	const tapsFit = kernel.values.every((tap) => typeof tap === 'number' && (sum === 'float64' || Math.fround(tap) === tap));
	return (dtypeFits ? 0 : 1) + (tapsFit ? 0 : 1);
}
