#!/usr/bin/env node
/**
 * Pairs of ways on the native backend, run in turn, medians in milliseconds: result types beside float32, direct sums beside the plan of
 * 'auto' for windows that are no squares, a checksum beside no verification. Through `run` with `out`.
 *
 *   npm run bench:pairs -- [rounds]        default 15
 */
import { createConvolver } from '../../dist/index.js';

const ROUNDS = Number(process.argv[2] ?? 15);
const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

/** A value in 0 … 255, the same at every run. */
const hash = (i) => Math.imul(i, 2654435761) >>> 24;

const imageOf = (dtype, side) => ({ data: ARRAYS[dtype].from({ length: side * side }, (_, i) => hash(i)), shape: [side, side] });

/** No two taps alike, none of the kernels of rank 1 but single rows and columns. */
const kernelOf = (dtype, rows, cols) => {
	const tap = (i) => (dtype === 'int32' ? (hash(i + 1) % 9) - 4 : (hash(i + 1) - 100) / (256 * rows * cols));
	return { data: ARRAYS[dtype].from({ length: rows * cols }, (_, i) => tap(i)), shape: [rows, cols] };
};

/** Medians of the ways, each { dtype, side, kernel, outputDtype, options }. */
async function inTurn(ways) {
	const runs = [];
	for (const { dtype, side, kernel, outputDtype, options } of ways) {
		const image = imageOf(dtype, side);
		const convolver = await createConvolver(kernel, {
			backend: 'native',
			mode: 'same',
			boundary: 'symmetric',
			verify: false,
			dtype,
			shape: image.shape,
			outputDtype,
			...options,
		});
		const out = new ARRAYS[outputDtype](side * side).fill(1);
		runs.push({ convolver, image, out, times: [] });
	}
	for (let round = 0; round < ROUNDS; round++)
		for (const { convolver, image, out, times } of runs) {
			const began = performance.now();
			await convolver.run(image, { out });
			times.push(performance.now() - began);
		}
	const found = runs.map(({ convolver, times }) => ({ ms: median(times), name: convolver.plan.name.split('@')[0] }));
	for (const { convolver } of runs) await convolver.dispose();
	return found;
}

const show = (cells) => console.log(`| ${cells.join(' | ')} |`);
const head = (cells) => {
	show(cells);
	show(cells.map(() => '---'));
};

console.log(`\n4096 x 4096, the same sums stored as another type\n`);
head(['image * kernel', 'K', 'result', 'ms', 'as', 'ms']);
for (const [dtype, kernel, outputDtype, beside] of [
	['uint8', 'int32', 'int32', 'uint8'],
	['uint8', 'float32', 'int32', 'float32'],
	['uint16', 'int32', 'int32', 'uint16'],
])
	for (const side of [3, 9]) {
		const way = { dtype, side: 4096, kernel: kernelOf(kernel, side, side) };
		const [a, b] = await inTurn([
			{ ...way, outputDtype },
			{ ...way, outputDtype: beside },
		]);
		show([`${dtype} * ${kernel}`, side, outputDtype, a.ms.toFixed(1), beside, b.ms.toFixed(1)]);
	}

console.log(`\n2048 x 2048 float32, windows that are no squares\n`);
head(['rows x columns', 'direct, ms', 'auto', 'ms']);
for (const [rows, cols] of [
	[1, 31],
	[31, 1],
	[1, 101],
	[101, 1],
	[3, 101],
	[101, 3],
]) {
	const way = { dtype: 'float32', side: 2048, kernel: kernelOf('float32', rows, cols), outputDtype: 'float32' };
	const [direct, auto] = await inTurn([{ ...way, options: { method: 'direct' } }, way]);
	show([`${rows} x ${cols}`, direct.ms.toFixed(1), auto.name, auto.ms.toFixed(1)]);
}

console.log(`\n4096 x 4096, verify: 'checksum' beside no verification\n`);
head(['dtype', 'K', 'without, ms', 'with, ms']);
for (const dtype of ['float32', 'float64'])
	for (const side of [3, 5, 9, 15]) {
		const way = { dtype, side: 4096, kernel: kernelOf('float32', side, side), outputDtype: dtype };
		const [plain, checked] = await inTurn([way, { ...way, options: { verify: 'checksum' } }]);
		show([dtype, side, plain.ms.toFixed(1), checked.ms.toFixed(1)]);
	}
