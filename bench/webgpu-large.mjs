// One image far beyond a binding: uint8, K = 3, 20,000 × 20,000 through a device limited to 128 MiB a binding, in strips. Recomputes
// pixels at random, at the corners and on both sides of every seam; prints strips, time and the peak of device memory.
//
//   npm run build:ts && node bench/webgpu-large.mjs [side]        default 20000; 6000 on SwiftShader
import { createConvolver, openWebGpu } from '../dist/index.js';

const BINDING = 128 * 2 ** 20;
const SAMPLES = 20_000;
const KERNEL = [
	[1, 2, 1],
	[2, -3, 2],
	[1, 2, 3],
];

const gpu = await openWebGpu({ limits: { binding: BINDING } });
const { device } = gpu.capabilities;
const side = Number(process.argv[2] ?? (/swiftshader/i.test(device) ? 6000 : 20_000));

let state = 1;
/** xorshift32 */
function random() {
	state ^= state << 13;
	state ^= state >>> 17;
	state ^= state << 5;
	return state >>> 0;
}
const data = new Uint8Array(side * side);
const words = new Uint32Array(data.buffer, 0, data.length >> 2);
for (let k = 0; k < words.length; k++) words[k] = random();

const convolver = await createConvolver(KERNEL, {
	operation: 'correlate',
	mode: 'same',
	boundary: 'mirror',
	outputDtype: 'uint8',
	overflow: 'wrap',
	backend: gpu,
	dtype: 'uint8',
	shape: [side, side],
	verify: false,
});
const out = new Uint8Array(data.length);
const result = await convolver.run({ data, shape: [side, side] }, { out });

const mirror = (k) => (k < 0 ? -k : k >= side ? 2 * side - 2 - k : k);
function expected(y, x) {
	let sum = 0;
	for (let j = 0; j < 3; j++) for (let i = 0; i < 3; i++) sum += KERNEL[j][i] * data[mirror(y + j - 1) * side + mirror(x + i - 1)];
	return sum & 255;
}
const { tile } = convolver.plan.toJSON();
const seams = [];
for (let y = tile.height; y < side; y += tile.height) seams.push(y - 1, y);
const pixels = [
	[0, 0],
	[0, side - 1],
	[side - 1, 0],
	[side - 1, side - 1],
	...seams.flatMap((y) => Array.from({ length: 50 }, () => [y, random() % side])),
];
while (pixels.length < SAMPLES) pixels.push([random() % side, random() % side]);
const wrong = pixels.filter(([y, x]) => out[y * side + x] !== expected(y, x));

const { total, upload, compute, readback } = result.report.timings;
const strips = Math.ceil(side / tile.height) * Math.ceil(side / tile.width);
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
console.log(`device             ${device}`);
console.log(`plan               ${result.report.plan}`);
console.log(`image              uint8 ${side} x ${side}, ${mib(data.length)}; a binding holds ${mib(BINDING)}`);
console.log(`strips             ${strips} of ${tile.height} rows`);
console.log(
	`time               ${(total / 1000).toFixed(1)} s (filling staging memory ${(upload / 1000).toFixed(1)}, emptying it ${(readback / 1000).toFixed(1)}, the rest ${(compute / 1000).toFixed(1)})`,
);
console.log(`device memory      ${mib(gpu.memory.peak)} at the peak, mappable staging buffers included`);
console.log(`recomputed pixels  ${pixels.length}, ${seams.length * 50} of them beside seams: ${wrong.length} wrong`);
if (gpu.capabilities.software) console.log('A software adapter: the time says nothing about a GPU.');
await convolver.dispose();
gpu.dispose();
if (wrong.length > 0) {
	console.error(`first wrong pixel: [${wrong[0]}] is ${out[wrong[0][0] * side + wrong[0][1]]}, expected ${expected(...wrong[0])}`);
	process.exitCode = 1;
}
