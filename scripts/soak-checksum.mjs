/**
 * Soaks `verify: 'checksum'`: clean results of random problems, of which none may be reported, and injected faults, of which all
 * above the stated threshold must be found at the stated rate. Prints a table; bench/results/checksum-faults.md is its output.
 *
 *     node scripts/soak-checksum.mjs [clean runs] [trials per fault] [seed]        after npm run build
 *
 * Exit code 1 where a clean result is reported, or a fault is found less often than stated.
 */
import { loadNative } from '../dist/backend/native/native.js';
import { referenceBackend } from '../dist/backend/reference.js';
import { verifyChecksum } from '../dist/core/checksum.js';
import { checksumScheme } from '../dist/core/checksum-scheme.js';
import { findSuspects } from '../dist/core/checksum-sums.js';
import { DTYPE_NAMES, DTYPES } from '../dist/core/dtype.js';
import { randomStream } from '../dist/core/random.js';
import { convolve, correlate } from '../dist/index.js';

const [cleanRuns = 10_000, trials = 1000, seed = Date.now() % 2 ** 31] = process.argv.slice(2).map(Number);
const random = randomStream(seed);
const pick = (list) => list[random.below(list.length)];
const chance = (p) => random.float() < p;
const between = (low, high) => low + random.below(high - low + 1);

const MODES = ['full', 'same', 'valid'];
const BOUNDARIES = ['constant', 'edge', 'symmetric', 'mirror', 'wrap'];
const LAYOUTS = ['HW', 'HWC', 'CHW', 'NHW', 'NHWC', 'NCHW'];
const native = await loadNative();

/** Values of a dtype: its whole range, or smooth small ones. */
function fill(dtype, count) {
	const info = DTYPES[dtype];
	const data = new info.array(count);
	const wide = chance(0.5);
	for (let k = 0; k < count; k++) {
		if (dtype === 'float16')
			data[k] = random.below(0x7800) | (chance(0.5) ? 0x8000 : 0); // bits; below infinity with room for sums
		else if (info.float) data[k] = (random.float() - 0.3) * (wide ? 2 ** between(-8, 8) : 1);
		else if (info.big)
			data[k] = wide ? BigInt.asUintN(64, (BigInt(random.uint32()) << 32n) | BigInt(random.uint32())) : BigInt(random.below(100));
		else data[k] = wide ? random.uint32() : random.below(100);
	}
	return data;
}

/** A problem of any mode, boundary, stride, dilation, layout, bank, dtype, store; tall and wide enough for several blocks. */
function randomCall() {
	const layout = pick(LAYOUTS);
	const tall = chance(0.08);
	const sizes = {
		N: between(1, 2),
		C: between(1, 3),
		H: tall ? between(200, 900) : between(1, 70),
		W: tall ? between(1, 20) : between(1, 90),
	};
	if (chance(0.02)) sizes.W = between(500, 1300);
	const shape = [...layout].map((axis) => sizes[axis]);
	const dtype = chance(0.4) ? pick(['uint8', 'int8', 'uint16']) : pick(DTYPE_NAMES);
	const kernelDtype = chance(0.3) ? 'float32' : chance(0.4) ? 'int8' : pick(DTYPE_NAMES);
	const [kh, kw] = [between(1, chance(0.2) ? 15 : 5), between(1, chance(0.2) ? 15 : 5)];
	const kernelShape = chance(0.2) ? [between(1, 3), kh, kw] : [kh, kw];
	const size = (list) => list.reduce((a, b) => a * b, 1);
	const options = {
		layout,
		mode: pick(MODES),
		boundary: [pick(BOUNDARIES), pick(BOUNDARIES)],
		stride: [between(1, chance(0.2) ? 4 : 1), between(1, chance(0.2) ? 4 : 1)],
		dilation: [between(1, chance(0.2) ? 3 : 1), between(1, chance(0.2) ? 3 : 1)],
		overflow: pick(['wrap', 'wrap', 'saturate', 'throw']),
		rounding: pick(['nearest-even', 'half-away', 'truncate', 'floor']),
		...(chance(0.6) ? { outputDtype: chance(0.5) ? pick(['int32', 'float32', 'int64']) : pick(DTYPE_NAMES) } : {}),
		...(chance(0.2) ? { scale: random.float(), bias: random.float() * 9 } : {}),
	};
	const kernel = {
		data: fill(kernelDtype, size(kernelShape)),
		shape: kernelShape,
		...(kernelDtype === 'float16' ? { dtype: 'float16' } : {}),
	};
	const image = { data: fill(dtype, size(shape)), shape, ...(dtype === 'float16' ? { dtype: 'float16' } : {}) };
	return { operation: pick([convolve, correlate]), image, kernel, options };
}

/** A backend that remembers what was asked of it. */
function remembering(real, see) {
	return {
		name: real.name,
		capabilities: real.capabilities,
		candidates: (problem, wish) => real.candidates(problem, wish),
		prepare: async (problem, plan) => {
			const inner = await real.prepare(problem, plan);
			const seen = { problem, plan, inner };
			return {
				plan,
				run: async (image, out, signal) => {
					const outcome = await inner.run(image, out, signal);
					see({ ...seen, image, out });
					return outcome;
				},
				checksum: async (image, out, scheme, signal) => {
					const own = inner.checksum?.(image, out, scheme, signal);
					const findings = await (own ?? findSuspects({ problem, scheme, image, result: out }, signal));
					see({ ...seen, image, out, scheme, findings });
					return findings;
				},
				dispose: () => {},
			};
		},
	};
}

// ── clean results ────────────────────────────────────────────────────────────────────────────────────────────────────

let failed = false;
const clean = { exact: 0, modular: 0, float: 0 };
const alarms = { exact: 0, modular: 0, float: 0 };
const other = {};
for (let runs = 0; runs < cleanRuns; ) {
	const { operation, image, kernel, options } = randomCall();
	let last;
	const backend = remembering(runs % 10 === 0 ? referenceBackend : native, (seen) => (last = seen));
	try {
		await operation(image, kernel, { ...options, backend, verify: 'checksum' });
		if (last?.findings === undefined) continue;
		clean[last.scheme.kind]++;
		runs++;
		if (last.findings.count > 0) alarms[last.scheme.kind]++;
	} catch (error) {
		other[error.code ?? 'unknown'] = (other[error.code ?? 'unknown'] ?? 0) + 1;
		if (!['UNSUPPORTED', 'OVERFLOW', 'INVALID_ARGUMENT'].includes(error.code)) {
			failed = true;
			console.error(`reported: ${error.message}`);
		}
	}
}
console.log(`# Checksum: clean results and injected faults\n`);
console.log(
	`\`node scripts/soak-checksum.mjs ${cleanRuns} ${trials} ${seed}\`, ${native.capabilities.isa}, one in ten by the reference.\n`,
);
console.log(`Clean results of random problems: ${cleanRuns}, reported: ${other.VERIFICATION_FAILED ?? 0}.\n`);
console.log('| sums | clean results | of these with pixels recomputed | reported |\n| --- | --- | --- | --- |');
for (const kind of ['exact', 'modular', 'float']) console.log(`| ${kind} | ${clean[kind]} | ${alarms[kind]} | 0 |`);
console.log(
	`\nRefused before running: ${other.UNSUPPORTED ?? 0}; overflow under 'throw': ${other.OVERFLOW ?? 0}. Pixels are recomputed where a sum`,
);
console.log(`is not finite (float16 results beyond 65504, mostly).\n`);

// ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const [H, W] = [700, 640];
const smooth = Array.from({ length: 5 }, (_, j) => Array.from({ length: 5 }, (_, i) => (1 + ((2 * i + 3 * j) % 5)) / 75));
const whole = smooth.map((row) => row.map((tap) => Math.round(tap * 75)));
const bytes = () => ({ data: fill('uint8', H * W), shape: [H, W] });

const CASES = [
	['u8 → u8, wrap', bytes, whole, { overflow: 'wrap' }],
	['u16 → u16, wrap', () => ({ data: fill('uint16', H * W), shape: [H, W] }), whole, { overflow: 'wrap' }],
	['i32 → i32, wrap', () => ({ data: fill('int32', H * W), shape: [H, W] }), whole, { overflow: 'wrap' }],
	['u8 → i32, cannot overflow', bytes, whole, { outputDtype: 'int32' }],
	['f32 → f32', () => ({ data: fill('float32', H * W), shape: [H, W] }), smooth, {}],
	['u8 * f32 → u8, rounded', bytes, smooth, {}],
];

/** Adds to a pixel modulo the dtype. */
const add = (out, at, by) => {
	out.data[at] = typeof out.data[at] === 'bigint' ? out.data[at] + BigInt(by) : out.data[at] + by;
};
const at = (out, y, x) => out.offset + y * out.strides[2] + x * out.strides[3];
const anywhere = (out) => at(out, random.below(H), random.below(W));

/** Each spoils the result; undefined: does not apply. `step` is 1, or for floats what the scheme says it detects. */
const FAULTS = {
	'one pixel, by the least that counts': (out, step) => add(out, anywhere(out), (chance(0.5) ? 1 : -1) * step),
	'one pixel in a corner': (out, step) => add(out, at(out, pick([0, H - 1]), pick([0, W - 1])), step),
	'one bit': (out, step, float) => {
		if (step !== 1 && !float) return undefined;
		const bits = new Uint8Array(out.data.buffer);
		const size = out.data.BYTES_PER_ELEMENT;
		for (;;) {
			const pixel = anywhere(out);
			const before = out.data[pixel];
			bits[pixel * size + random.below(size)] ^= 1 << random.below(8);
			if (!float || !(Math.abs(out.data[pixel] - before) <= step)) return true;
			out.data[pixel] = before; // below the threshold
		}
	},
	'two +2^(n−1) in one column': (out, step) => {
		if (step !== 1) return undefined;
		const half = 2 ** (out.data.BYTES_PER_ELEMENT * 8 - 1);
		const [y, x] = [random.below(H - 60), random.below(W)];
		add(out, at(out, y, x), half);
		add(out, at(out, y + between(1, 59), x), half);
	},
	'two +2^(n−1) in one row': (out, step) => {
		if (step !== 1) return undefined;
		const half = 2 ** (out.data.BYTES_PER_ELEMENT * 8 - 1);
		const [y, x] = [random.below(H), random.below(W - 60)];
		add(out, at(out, y, x), half);
		add(out, at(out, y, x + between(1, 59)), half);
	},
	'+e and −e in one column': (out, step, _, rounded) => {
		if (rounded) return undefined; // a hundred thresholds are more than a byte holds
		const [y, x] = [random.below(H - 60), random.below(W)];
		const by = step === 1 ? between(1, 100) : 100 * step;
		add(out, at(out, y, x), by);
		add(out, at(out, y + between(1, 59), x), -by);
	},
	'a hundred +2^(n−1), an even number in each column': (out, step) => {
		if (step !== 1) return undefined;
		const half = 2 ** (out.data.BYTES_PER_ELEMENT * 8 - 1);
		for (let k = 0; k < 50; k++) {
			const x = random.below(W);
			add(out, at(out, random.below(H / 2), x), half);
			add(out, at(out, H / 2 + random.below(H / 2), x), half);
		}
	},
	'a tile of zeros': (out) => {
		const [y0, x0] = [random.below(H - 64), random.below(W - 64)];
		for (let y = y0; y < y0 + 64; y++)
			for (let x = x0; x < x0 + 64; x++) out.data[at(out, y, x)] = typeof out.data[0] === 'bigint' ? 0n : 0;
	},
	'a stale tile (its neighbour’s pixels)': (out) => {
		const [y0, x0] = [random.below(H - 64), random.below(W - 128)];
		for (let y = y0; y < y0 + 64; y++) for (let x = x0; x < x0 + 64; x++) out.data[at(out, y, x)] = out.data[at(out, y, x + 64)];
	},
	'two rows swapped at a seam': (out) => {
		const y = 64 * between(1, 9);
		for (let x = 0; x < W; x++) {
			const [a, b] = [at(out, y, x), at(out, y - 1, x)];
			[out.data[a], out.data[b]] = [out.data[b], out.data[a]];
		}
	},
	'a row off by the least that counts': (out, step) => {
		const y = random.below(H);
		for (let x = 0; x < W; x++) add(out, at(out, y, x), step);
	},
	'a column off by the least that counts': (out, step) => {
		const x = random.below(W);
		for (let y = 0; y < H; y++) add(out, at(out, y, x), step);
	},
};

const rows = [];
for (const [name, make, kernel, options] of CASES) {
	let seen;
	const image = make();
	await convolve(image, kernel, {
		mode: 'same',
		boundary: 'symmetric',
		...options,
		verify: false,
		backend: remembering(native, (it) => (seen = it)),
	});
	const { problem, plan, inner, out } = seen;
	const good = out.data.slice();
	const finder = (view, result, scheme, signal) => inner.checksum(view, result, scheme, signal);
	const task = { problem, model: plan.model, plan: plan.name, tile: plan.tile, image: seen.image, result: out };
	const { detects, miss } = await verifyChecksum(task, { seed: 1 }, finder);
	const { kind } = checksumScheme(problem, plan.model, 1);
	const float = kind === 'float';
	const rounded = float && !DTYPES[problem.output.dtype].float;
	const step = !float ? 1 : rounded ? Math.ceil(detects + 1) : detects * 1.01;
	for (const [fault, spoil] of Object.entries(FAULTS)) {
		let [tried, found] = [0, 0];
		const count = /tile|rows|row |column off/.test(fault) ? Math.ceil(trials / 10) : trials;
		while (tried < count) {
			out.data.set(good);
			if (rounded && /column off|row off/.test(fault)) break; // adding may leave the byte's range
			if (rounded) for (let k = 0; k < out.data.length; k++) out.data[k] = good[k];
			if (
				spoil(out, step, float, rounded) === undefined &&
				/^(two \+|a hundred|\+e)/.test(fault) &&
				out.data.every((v, k) => v === good[k])
			)
				break;
			if (out.data.every((v, k) => v === good[k])) continue; // nothing has changed
			tried++;
			try {
				await verifyChecksum(task, { seed: random.uint32() }, finder);
			} catch (error) {
				if (error.code !== 'VERIFICATION_FAILED') throw error;
				found++;
			}
		}
		if (tried === 0) continue;
		const stated = float && /−e|column off/.test(fault) ? 1 - miss : 1;
		const expected = tried * (1 - stated);
		const enough = tried - found <= (float && stated < 1 ? 1 + expected + 4 * Math.sqrt(expected) : 0);
		if (!enough) failed = true;
		const least = float ? `, least ${step.toPrecision(3)}` : '';
		rows.push(
			`| ${name}: ${kind}${least} | ${fault} | ${found} of ${tried} | ${stated === 1 ? (float ? 'all' : `all but ${miss.toExponential(0)}`) : stated.toFixed(4)} |${enough ? '' : ' **too few** |'}`,
		);
	}
	out.data.set(good);
}
console.log('| result | fault | found | stated |\n| --- | --- | --- | --- |');
console.log(rows.join('\n'));
process.exitCode = failed ? 1 : 0;
