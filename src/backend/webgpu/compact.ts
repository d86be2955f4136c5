/** Packs results whose rows are no whole quads: shaders write them with room between the rows, compact.wgsl takes it out. */
import { type Lease, roundUp, USAGE, write } from './buffers.ts';
import type { DeviceSession } from './device.ts';
import { WORKGROUP, workgroups } from './direct.ts';
import { DEVICE_MEMORY, type PieceMemory } from './program.ts';
import { QUAD } from './quads.ts';
import { bindGroupEntries, type Specialisation, uniformWords } from './shaders.ts';

export const COMPACT: Specialisation = { shader: 'compact', overrides: { WORKGROUP }, constants: {} };

export interface Compaction {
	/** Where the padded rows go. */
	readonly source: PieceMemory;
	encode(encoder: GPUCommandEncoder, output: PieceMemory): void;
}

/** @param width elements of a row, of `bytes` each */
export async function prepareCompaction(
	session: DeviceSession,
	lease: Lease,
	{ width, rows, bytes }: { width: number; rows: number; bytes: number },
): Promise<Compaction> {
	const params = { row_bytes: width * bytes, pitch_bytes: roundUp(width, QUAD) * bytes, rows };
	const { device } = session;
	const { pipeline, layout } = await session.pipelines.get(COMPACT);
	const size = params.pitch_bytes * rows;
	const source = { buffer: await lease.take(size, DEVICE_MEMORY), size };
	const uniforms = await lease.take(16, USAGE.UNIFORM | USAGE.COPY_DST);
	return {
		source,
		encode: (encoder, output) => {
			write(device.queue, uniforms, uniformWords('compact', 'params', params) as Uint32Array<ArrayBuffer>);
			const resources = { params: { buffer: uniforms, size: 16 }, padded: source, packed: output };
			const pass = encoder.beginComputePass({ label: 'compact' });
			pass.setPipeline(pipeline);
			pass.setBindGroup(0, device.createBindGroup({ layout, entries: bindGroupEntries('compact', resources) }));
			const words = Math.ceil((params.row_bytes * rows) / 4);
			pass.dispatchWorkgroups(...workgroups(words, device.limits.maxComputeWorkgroupsPerDimension));
			pass.end();
		},
	};
}
