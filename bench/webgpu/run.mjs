/**
 * How near the WebGPU backend comes to its device's limit, on arrays that stay in device memory: verify, then time.
 *
 * Every case is verified by samples first; one that fails is not timed. Times are those of the device's own clock around each pass
 * (timestamps, not quantised), medians over passes that rotate through several images, so that none lies in a cache from the pass before.
 * 100 % is a copy kernel of the same bytes through the same API. On a software adapter nothing is timed: it would say nothing.
 *
 *   npm run bench:webgpu [-- passes = 30]
 */
import { create } from 'webgpu';
import { createConvolver, openWebGpu } from '../../dist/index.js';
import { copyKernel, stopwatch } from './timing.mjs';

const passes = Number(process.argv[2] ?? 30);
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
const side = software ? 512 : 8192;

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
	{ dtype: 'float32', k: 5, method: 'direct', kernel: dense(5, 'float32'), shape: [64, side / 32, side / 32] },
];

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

console.log(`${gpu.capabilities.device}; webgpu through Dawn, robustness on; ${passes} passes, medians`);
if (software) console.log('A software adapter: every case is verified, and no figures are taken.');
else if (!timed) console.log('The device has no timestamps: every case is verified, and no figures are taken.');
const watch = software || !timed ? undefined : stopwatch(device);
console.log('| image * kernel | plan | milliseconds | Gmultiply-adds/s | bytes moved at least | of a copy |\n|---|---|---|---|---|---|');
for (const { dtype, k, method, kernel, scale = 1, shape = [side, side] } of CASES) {
	const options = {
		mode: 'same',
		boundary: 'symmetric',
		method,
		scale,
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
	const label = `${dtype} ${shape.join('x')} * ${kernel.shape.join('x')}`;
	const { name } = convolver.plan;
	if (watch === undefined) console.log(`| ${label} | ${name} | verified, not timed | | ${bytes} | |`);
	else {
		const times = [];
		for (let n = 0; n < passes; n++) {
			const one = await watch(() => convolver.run(images[n % IMAGES]));
			times.push(one.milliseconds);
			one.value.dispose();
		}
		const copy = await copyKernel(device, watch, bytes / 2, passes);
		const time = median(times.slice(3));
		const taps = { direct: k * k, separable: 2 * k, box: 1 }[method];
		console.log(
			`| ${label} | ${name} | ${time.toFixed(3)} | ${((outputs * taps) / time / 1e6).toFixed(0)} | ${bytes} | ${((100 * median(copy.slice(3))) / time).toFixed(0)} % |`,
		);
	}
	await convolver.dispose();
	for (const image of images) image.dispose();
}
gpu.dispose();
device.destroy();
