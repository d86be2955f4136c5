/**
 * What a shader really does for an output: its WGSL is given counters, run on a device, and the counters read. The counts are those of the
 * text, not of what a compiler makes of it, and the same on every device.
 */
import type { WebGpu } from '../../src/backend/webgpu/webgpu.ts';

/** For each: where it is counted, and how many it stands for. */
const COUNTED = {
	/** Multiply-adds, lane by lane. */
	products: [/fn multiply_add\([^{]*\{\n/, 4],
	/** Words of image memory that are loaded a quad at a time. */
	quads: [/fn whole_quad\([^{]*\{\n/, 4],
	/** Elements that are loaded one by one. */
	elements: [/fn (?:element|pixel)\([^{]*\{\n/, 1],
	/** Elements of the result. */
	stores: [/fn (?:store|write)\([^{]*\{\n/, 4],
	/** Barriers, counted by each thread that meets them. */
	barriers: [/\n(?=\t*workgroupBarrier\(\);)/g, 1],
	/** Elements of staged rows that running sums read. */
	staged: [/fn four\([^{]*\{\n/, 4],
	/** Additions of the sums of whole rows. */
	additions: [/fn add\([^{]*\{\n/, 1],
} as const;

export type Counts = Record<keyof typeof COUNTED, number>;

/** Threads count for themselves and hand over at each store: their last work is one, where the image is as wide as workgroups. */
const COUNTERS = `
@group(1) @binding(0) var<storage, read_write> counted: array<atomic<u32>, ${Object.keys(COUNTED).length}>;
var<private> own_counts: array<u32, ${Object.keys(COUNTED).length}>;
fn hand_over() {
	for (var k = 0u; k < ${Object.keys(COUNTED).length}u; k += 1u) {
		atomicAdd(&counted[k], own_counts[k]);
		own_counts[k] = 0u;
	}
}
`;

function instrumented(code: string): string {
	const places = Object.values(COUNTED);
	const counting = places.reduce((text, [place], k) => text.replace(place, (line) => `${line}own_counts[${k}] += 1u;\n`), code);
	return COUNTERS + counting.replace('own_counts[3] += 1u;\n', (line) => `${line}hand_over();\n`);
}

/** Runs `work`, whose pipelines must not have been compiled on this device, and counts. */
export async function count(gpu: WebGpu, work: () => Promise<unknown>): Promise<Counts> {
	const { device } = gpu;
	const [STORAGE, COPY_SRC, COPY_DST, MAP_READ] = [128, 4, 8, 1];
	const layout = device.createBindGroupLayout({ entries: [{ binding: 0, visibility: 4, buffer: { type: 'storage' } }] });
	const bytes = 4 * Object.keys(COUNTED).length;
	const buffer = device.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC | COPY_DST });
	device.queue.writeBuffer(buffer, 0, new Uint32Array(bytes / 4)); // nothing else clears it
	const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] });
	const original = {
		createShaderModule: device.createShaderModule.bind(device),
		createPipelineLayout: device.createPipelineLayout.bind(device),
		createCommandEncoder: device.createCommandEncoder.bind(device),
	};
	device.createShaderModule = (descriptor) => original.createShaderModule({ ...descriptor, code: instrumented(descriptor.code) });
	device.createPipelineLayout = ({ bindGroupLayouts }) =>
		original.createPipelineLayout({ bindGroupLayouts: [...bindGroupLayouts, layout] });
	device.createCommandEncoder = (descriptor) => {
		const encoder = original.createCommandEncoder(descriptor);
		const begin = encoder.beginComputePass.bind(encoder);
		encoder.beginComputePass = (pass) => {
			const made = begin(pass);
			made.setBindGroup(1, group);
			return made;
		};
		return encoder;
	};
	try {
		await work();
	} finally {
		Object.assign(device, original);
	}
	const staging = device.createBuffer({ size: bytes, usage: COPY_DST | MAP_READ });
	const encoder = device.createCommandEncoder();
	encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
	device.queue.submit([encoder.finish()]);
	await staging.mapAsync(1);
	const words = new Uint32Array(staging.getMappedRange());
	const counts = Object.fromEntries(Object.entries(COUNTED).map(([name, [, each]], k) => [name, (words[k] as number) * each]));
	staging.unmap();
	for (const made of [buffer, staging]) made.destroy();
	return counts as Counts;
}
