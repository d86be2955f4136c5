/** The device's own clock around compute passes, and the kernels that count as 100 %: a copy, and multiply-adds in registers. */

const [STORAGE, COPY_SRC, COPY_DST, MAP_READ, QUERY_RESOLVE] = [128, 4, 8, 1, 512];

/** Most passes of one piece of work: WebGPU has 4,096 queries in a set. A transform takes 6 a piece. */
const PASSES = 2048;

/** A function that runs work on the device and says how long its compute passes took, first to last. */
export function stopwatch(device) {
	const queries = device.createQuerySet({ type: 'timestamp', count: 2 * PASSES });
	const resolved = device.createBuffer({ size: 16 * PASSES, usage: QUERY_RESOLVE | COPY_SRC });
	const staging = device.createBuffer({ size: 16 * PASSES, usage: COPY_DST | MAP_READ });
	const original = device.createCommandEncoder.bind(device);
	return async (work) => {
		await device.queue.onSubmittedWorkDone(); // a pass that waits for an earlier one would count the wait
		let used = 0;
		device.createCommandEncoder = (descriptor) => {
			const encoder = original(descriptor);
			const begin = encoder.beginComputePass.bind(encoder);
			encoder.beginComputePass = (pass) => {
				const at = 2 * used++;
				if (used > PASSES) throw new Error(`more than ${PASSES} passes`);
				return begin({ ...pass, timestampWrites: { querySet: queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 } });
			};
			return encoder;
		};
		let value;
		try {
			value = await work();
		} finally {
			device.createCommandEncoder = original;
		}
		const encoder = original();
		encoder.resolveQuerySet(queries, 0, 2 * used, resolved, 0);
		encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16 * used);
		device.queue.submit([encoder.finish()]);
		await staging.mapAsync(1);
		const stamps = [...new BigUint64Array(staging.getMappedRange(0, 16 * used))];
		staging.unmap();
		return { value, milliseconds: Number(stamps.at(-1) - stamps[0]) / 1e6 };
	};
}

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4u>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
	let at = id.y * groups.x * 256u + id.x;
	if (at < arrayLength(&copied)) { copied[at] = source[at]; }
}`;

/** Milliseconds of copying `bytes` to another buffer, per pass, through rotating pairs. */
export async function copyKernel(device, watch, bytes, passes) {
	const size = 16 * Math.ceil(bytes / 16);
	const module = device.createShaderModule({ code: COPY });
	const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } });
	const pairs = [0, 1, 2].map(() => [0, 1].map(() => device.createBuffer({ size, usage: STORAGE | COPY_DST | COPY_SRC })));
	const groups = Math.ceil(size / 16 / 256);
	const x = Math.min(groups, 65535);
	const times = [];
	for (let n = 0; n < passes; n++) {
		const [source, target] = pairs[n % pairs.length];
		const { milliseconds } = await watch(async () => {
			const encoder = device.createCommandEncoder();
			const pass = encoder.beginComputePass();
			pass.setPipeline(pipeline);
			const entries = [source, target].map((buffer, binding) => ({ binding, resource: { buffer } }));
			pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
			pass.dispatchWorkgroups(x, Math.ceil(groups / x));
			pass.end();
			device.queue.submit([encoder.finish()]);
			await device.queue.onSubmittedWorkDone();
		});
		times.push(milliseconds);
	}
	for (const buffer of pairs.flat()) buffer.destroy();
	return times;
}

const CHAINS = 4;
const multiplyAdds = (loops) => `
@group(0) @binding(0) var<storage, read_write> kept: array<vec4f>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
	let by = vec4f(0.999) + vec4f(f32(id.x & 1u) * 1e-6);
	let plus = vec4f(f32(id.x & 7u) * 1e-3);
	${Array.from({ length: CHAINS }, (_, k) => `var sum${k} = vec4f(${k}.0);`).join(' ')}
	for (var k = 0u; k < ${loops}u; k++) {
		${Array.from({ length: CHAINS }, (_, k) => `sum${k} = fma(sum${k}, by, plus);`).join(' ')}
	}
	let sum = ${Array.from({ length: CHAINS }, (_, k) => `sum${k}`).join(' + ')};
	if (sum.x == 12345.0) { kept[0] = sum; } // never; the compiler does not know
}`;

/** float32 multiply-adds a millisecond, on registers alone: 4 chains of vec4 a thread. The best of all passes: it is a limit. */
export async function multiplyAddPeak(device, watch, passes, { groups = 4096, loops = 1024 } = {}) {
	const module = device.createShaderModule({ code: multiplyAdds(loops) });
	const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } });
	const kept = device.createBuffer({ size: 16, usage: STORAGE });
	let least = Infinity;
	for (let n = 0; n < passes; n++) {
		const { milliseconds } = await watch(async () => {
			const encoder = device.createCommandEncoder();
			const pass = encoder.beginComputePass();
			pass.setPipeline(pipeline);
			const entries = [{ binding: 0, resource: { buffer: kept } }];
			pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
			pass.dispatchWorkgroups(groups);
			pass.end();
			device.queue.submit([encoder.finish()]);
			await device.queue.onSubmittedWorkDone();
		});
		least = Math.min(least, milliseconds);
	}
	kept.destroy();
	return (groups * 256 * loops * CHAINS * 4) / least;
}
