/** Copies inside device memory: runs of bytes at any offsets, by buffer copies where words allow it, else by move.wgsl. */
import { roundUp, USAGE, write } from './buffers.ts';
import type { DeviceSession } from './device.ts';
import { WORKGROUP, workgroups } from './direct.ts';
import { type Arrangement, denseStrides, type Range, type SourceBox } from './region.ts';
import { bindGroupEntries, uniformWords } from './shaders.ts';

/** Bytes from one buffer to another. */
export interface Move {
	readonly from: number;
	readonly to: number;
	readonly bytes: number;
}

/** The runs that pack a box of a dense image of `sizes`, one after the other, row by row. */
export function boxRuns(arrangement: Arrangement, sizes: readonly [number, number, number, number], box: SourceBox, bytes: number): Move[] {
	const [n, c, y, x] = denseStrides(arrangement, sizes);
	const side = arrangement === 'interleaved' ? sizes[1] : 1; // elements side by side at one pixel
	const planes: Range = arrangement === 'interleaved' ? { start: 0, count: 1 } : box.channel;
	const wide = box.cols.length === 1 && box.cols[0]?.count === sizes[3];
	const runs: Move[] = [];
	let to = 0;
	const add = (from: number, elements: number) => {
		runs.push({ from: from * bytes, to, bytes: elements * bytes });
		to += elements * bytes;
	};
	for (let batch = box.batch.start; batch < box.batch.start + box.batch.count; batch++) {
		for (let channel = planes.start; channel < planes.start + planes.count; channel++) {
			for (const rows of box.rows) {
				const plane = batch * n + channel * (arrangement === 'interleaved' ? 0 : c);
				if (wide) {
					add(plane + rows.start * y, rows.count * y);
					continue;
				}
				for (let row = rows.start; row < rows.start + rows.count; row++) {
					for (const cols of box.cols) add(plane + row * y + cols.start * x, cols.count * side);
				}
			}
		}
	}
	return runs;
}

export const reversed = (moves: readonly Move[]): Move[] => moves.map(({ from, to, bytes }) => ({ from: to, to: from, bytes }));

/** Records the copies of one list of moves; synchronous, so that an error scope can stand around it. */
export type Mover = (encoder: GPUCommandEncoder, source: GPUBuffer, target: GPUBuffer) => void;

/** @param take acquires a buffer that stays taken until the encoder's commands are submitted */
export async function prepareMoves(
	session: DeviceSession,
	moves: readonly Move[],
	take: (bytes: number, usage: number) => Promise<GPUBuffer>,
): Promise<Mover> {
	if (moves.every(({ from, to, bytes }) => from % 4 === 0 && to % 4 === 0 && bytes % 4 === 0)) {
		return (encoder, source, target) => {
			for (const { from, to, bytes } of moves) encoder.copyBufferToBuffer(source, from, target, to, bytes);
		};
	}
	const { device } = session;
	const { minStorageBufferOffsetAlignment: step, minUniformBufferOffsetAlignment, maxComputeWorkgroupsPerDimension } = device.limits;
	const slot = roundUp(16, minUniformBufferOffsetAlignment);
	const { pipeline, layout } = await session.pipelines.get({ shader: 'move', overrides: { WORKGROUP }, constants: {} });
	const uniforms = await take(slot * moves.length, USAGE.UNIFORM | USAGE.COPY_DST);
	return (encoder, source, target) => {
		const words = new Uint32Array((slot / 4) * moves.length);
		const pass = encoder.beginComputePass({ label: 'move' });
		pass.setPipeline(pipeline);
		for (const [k, { from, to, bytes }] of moves.entries()) {
			const bind = (buffer: GPUBuffer, at: number) => {
				const offset = at - (at % step);
				return { buffer, offset, size: Math.min(buffer.size - (buffer.size % 4), roundUp(at + bytes, 4)) - offset };
			};
			const [read, write] = [bind(source, from), bind(target, to)];
			const params = { source_byte: from - read.offset, target_byte: to - write.offset, bytes, source_words: read.size / 4 };
			words.set(uniformWords('move', 'params', params), (slot / 4) * k);
			const resources = { params: { buffer: uniforms, offset: slot * k, size: 16 }, source: read, moved: write };
			pass.setBindGroup(0, device.createBindGroup({ layout, entries: bindGroupEntries('move', resources) }));
			const threads = Math.ceil((params.target_byte + bytes) / 4) - Math.floor(params.target_byte / 4);
			pass.dispatchWorkgroups(...workgroups(threads, maxComputeWorkgroupsPerDimension));
		}
		pass.end();
		write(device.queue, uniforms, words);
	};
}
