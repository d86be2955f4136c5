/**
 * How near the WebGPU backend comes to its device's limits, on arrays that stay in device memory: verify, then time.
 *
 * Every case is verified by samples first; one that fails is not timed. Times are those of the device's own clock around each pass
 * (timestamps, not quantised), medians over passes that rotate through several images, so that none lies in a cache from the pass before.
 * 100 % are a copy kernel of the same bytes and multiply-adds in registers, through the same API. On a software adapter nothing is timed: it
 * would say nothing; --time does it all the same, to see that the script works.
 *
 *   npm run bench:webgpu [-- --passes 30 --side 8192 --only fft|bank|float16 --time]
 */
import { parseArgs } from 'node:util';
import { create } from 'webgpu';
import { createConvolver, openWebGpu } from '../../dist/index.js';
import { copyKernel, multiplyAddPeak, stopwatch } from './timing.mjs';

const { values: flags } = parseArgs({
	options: {
		passes: { type: 'string', default: '30' },
		side: { type: 'string' },
		only: { type: 'string' },
		time: { type: 'boolean', default: false },
	},
});
const passes = Number(flags.passes);
const IMAGES = 3;

const gpuProvider = create(['disable-dawn-features=timestamp_quantization,lazy_clear_resource_on_first_use']);
const adapter = await gpuProvider.requestAdapter({ powerPreference: 'high-performance' });
if (adapter === null) throw new Error('no WebGPU adapter here');
const timed = adapter.features.has('timestamp-query');
const wanted = ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxComputeWorkgroupStorageSize', 'maxComputeInvocationsPerWorkgroup'];
const device = await adapter.requestDevice({
	requiredFeatures: timed ? ['timestamp-query'] : [],
	requiredLimits: Object.fromEntries(wanted.map((name) => [name, adapter.limits[name]])),
});
const gpu = await openWebGpu({ device });
const { software } = gpu.capabilities;
const side = Number(flags.side ?? (software ? 512 : 8192));
if (!(passes >= 1 && Number.isInteger(passes) && side >= 64 && side % 32 === 0)) {
	throw new Error('Expected --passes from 1 and --side a multiple of 32 from 64.');
}

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, float16: Uint16Array };
const BYTES = { float32: 4, uint8: 1, float16: 2 };

function imageOf(dtype, shape, seed) {
	const data = new ARRAYS[dtype](shape.reduce((a, b) => a * b, 1));
	let state = seed * 2654435761 + 1;
	for (let k = 0; k < data.length; k++) {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		data[k] = dtype === 'float32' ? state / 2 ** 32 : dtype === 'uint8' ? state >>> 24 : 0x3800 + (state >>> 23); // halves from 0.5 to 1
	}
	return { data, shape, dtype, layout: shape.length === 2 ? 'HW' : 'NHW' };
}

const dense = (k, dtype) => ({
	data: (dtype === 'uint8' ? Int32Array : Float32Array).from({ length: k * k }, (_, i) =>
		dtype === 'uint8' ? ((i * 5) % 7) - 2 : Math.sin(1 + 3 * i) / k,
	),
	shape: [k, k],
});
const product = (k) => {
	const factor = Array.from({ length: k }, (_, j) => 2 ** -Math.abs(j - (k - 1) / 2));
	return { data: Float32Array.from(factor.flatMap((a) => factor.map((b) => a * b))), shape: [k, k] };
};
const equal = (k, dtype) => ({
	data: (dtype === 'uint8' ? Int32Array : Float32Array).from({ length: k * k }, () => (dtype === 'uint8' ? 1 : 1 / (k * k))),
	shape: [k, k],
});
const productBank = (m, k) => {
	const factors = Array.from({ length: m }, (_, n) => Array.from({ length: k }, (_, j) => 2 ** -Math.abs(j - n - (k - m) / 2)));
	return { data: Float32Array.from(factors.flatMap((f) => f.flatMap((a) => f.map((b) => a * b)))), shape: [m, k, k] };
};
const bank = (m, k) => ({ data: Float32Array.from({ length: m * k * k }, (_, i) => Math.sin(1 + 3 * i) / k), shape: [m, k, k] });

const CASES = [
	...['float32', 'uint8'].flatMap((dtype) =>
		[3, 5, 7, 9, 11, 15, 17].map((k) => ({ dtype, k, method: 'direct', kernel: dense(k, dtype) })),
	),
	...[3, 5, 9].map((k) => ({ dtype: 'float16', k, method: 'direct', kernel: dense(k, 'float32') })),
	...[3, 9, 15, 31, 63].map((k) => ({ dtype: 'float32', k, method: 'separable', kernel: product(k) })),
	...[3, 9, 15, 31, 63, 127].map((k) => ({ dtype: 'float32', k, method: 'box', kernel: equal(k, 'float32') })),
	...[9, 31].map((k) => ({ dtype: 'uint8', k, method: 'box', kernel: equal(k, 'uint8'), scale: 1 / (k * k) })),
	...[15, 31, 63, 127].map((k) => ({ dtype: 'float32', k, method: 'fft', kernel: dense(k, 'float32') })),
	{ dtype: 'float32', k: 31, method: 'direct', kernel: dense(31, 'float32') },
	{ dtype: 'float16', k: 31, method: 'fft', kernel: dense(31, 'float32') },
	{ dtype: 'float32', k: 5, method: 'direct', kernel: bank(8, 5), shape: [side / 4, side / 4] },
	...[9, 15].map((k) => ({ dtype: 'float32', k, method: 'separable', kernel: productBank(4, k), shape: [side / 4, side / 4] })),
	// a bank by transforms beside one of its kernels: a transform forward and 8 back, and one of each
	...[8, 1].map((m) => ({ dtype: 'float32', k: 31, method: 'fft', kernel: bank(m, 31), shape: [side / 4, side / 4] })),
	{ dtype: 'float32', k: 5, method: 'direct', kernel: bank(8, 5), shape: [side / 4, side / 4], stride: 2 },
	{ dtype: 'float32', k: 5, method: 'direct', kernel: bank(8, 5), shape: [side / 4, side / 4], dilation: 2 },
	{ dtype: 'float32', k: 5, method: 'direct', kernel: dense(5, 'float32'), shape: [64, side / 32, side / 32] },
];

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
/** Without the first passes, which meet a cold clock. */
const settled = (list) => median(list.slice(Math.min(3, list.length >> 1)));
/** Multiply-adds of an output by the plan's own count; running sums and transforms are counted in other things. */
const multiplyAddsOf = { direct: (k) => k * k, separable: (k) => 2 * k };
const percent = (share) => `${(100 * share).toFixed(0)} %`;

const { vendor, architecture, device: card, description } = adapter.info;
console.log(`Adapter: ${[vendor, architecture, card].filter(Boolean).join(' ')}. Driver: ${description || 'not told'}.`);
console.log(
	`${new Date().toISOString().slice(0, 10)}; webgpu through Dawn on Node ${process.version}, robustness on; ${passes} passes, medians.`,
);
const watch = timed && (!software || flags.time) ? stopwatch(device) : undefined;
if (software && !flags.time) console.log('A software adapter: every case is verified, and no figures are taken.');
else if (!timed) console.log('The device has no timestamps: every case is verified, and no figures are taken.');
else if (software) console.log('A SOFTWARE ADAPTER: the figures show that the script works, and say nothing of any GPU.');
let peak = 0;
if (watch !== undefined) {
	peak = await multiplyAddPeak(device, watch, passes, software ? { groups: 16, loops: 256 } : {});
	console.log(`Multiply-adds in registers: ${(peak / 1e6).toFixed(0)} thousand million a second.`);
}
console.log(
	'\n| image * kernel | plan | milliseconds | Gmultiply-adds/s | of their peak | bytes moved at least | of a copy |\n|---|---|---|---|---|---|---|',
);
const kindsOf = ({ method, dtype, kernel }) => [method, dtype, ...(kernel.shape.length === 3 ? ['bank'] : [])];
const chosen = CASES.filter((one) => flags.only === undefined || kindsOf(one).includes(flags.only));
for (const { dtype, k, method, kernel, scale = 1, stride = 1, dilation = 1, shape = [side, side] } of chosen) {
	const options = {
		mode: 'same',
		boundary: 'symmetric',
		method,
		scale,
		stride,
		dilation,
		layout: shape.length === 2 ? 'HW' : 'NHW',
		dtype,
		shape,
		backend: gpu,
	};
	const checked = await createConvolver(kernel, { ...options, verify: 'sample' });
	const images = [];
	for (let n = 0; n < IMAGES; n++) images.push(await gpu.upload(imageOf(dtype, shape, n)));
	const result = await checked.run(images[0]); // compiles, and throws where a sampled pixel is wrong
	const outputs = result.shape.reduce((a, b) => a * b, 1);
	const bytes = (images[0].shape.reduce((a, b) => a * b, 1) + outputs) * BYTES[dtype];
	result.dispose();
	await checked.dispose();
	const convolver = await createConvolver(kernel, { ...options, verify: false });
	const steps = Object.entries({ stride, dilation }).flatMap(([name, step]) => (step > 1 ? [`, ${name} ${step}`] : []));
	const label = `${dtype} ${shape.join('x')} * ${kernel.shape.join('x')}${steps.join('')}`;
	const { name } = convolver.plan;
	if (watch === undefined) console.log(`| ${label} | ${name} | verified, not timed | | | ${bytes} | |`);
	else {
		const times = [];
		for (let n = 0; n < passes; n++) {
			const one = await watch(() => convolver.run(images[n % IMAGES]));
			times.push(one.milliseconds);
			one.value.dispose();
		}
		const copy = await copyKernel(device, watch, bytes / 2, passes);
		const time = settled(times);
		const work = multiplyAddsOf[method]?.(k);
		const rate = work === undefined ? undefined : (outputs * work) / time;
		const [gigas, share] = rate === undefined ? ['', ''] : [(rate / 1e6).toFixed(1), percent(rate / peak)];
		console.log(`| ${label} | ${name} | ${time.toFixed(3)} | ${gigas} | ${share} | ${bytes} | ${percent(settled(copy) / time)} |`);
	}
	await convolver.dispose();
	for (const image of images) image.dispose();
}
gpu.dispose();
device.destroy();
