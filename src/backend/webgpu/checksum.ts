/**
 * The sums of `verify: 'checksum'` on the device, piece by piece: of arrays that lie there, and of host arrays, which are brought there.
 * A piece of the result is checked as a result of its own. Only what differs comes back.
 */
import { throwIfAborted } from '../../core/breathe.ts';
import type { ChecksumScheme } from '../../core/checksum-scheme.ts';
import { type ChecksumFindings, SUSPECT_LIMIT } from '../../core/checksum-sums.ts';
import { DTYPES, type Dtype } from '../../core/dtype.ts';
import type { PerAxis, PlaneView } from '../../core/ndarray.ts';
import type { Problem } from '../../core/problem.ts';
import { Lease, roundUp, USAGE } from './buffers.ts';
import {
	type CompareTables,
	checksumSizes,
	checksumVariant,
	compareTables,
	dispatchOf,
	HEAD_WORDS,
	isMeasured,
	type Planes,
	readFound,
	SUSPECT_WORDS,
	sumWords,
	weightWords,
} from './checksum-tables.ts';
import type { DeviceSession } from './device.ts';
import { arrangementOf, mapWords, pieceSources, singleBits, stagedDense, wholeSources, workgroups } from './direct.ts';
import { OutOfDeviceMemory } from './errors.ts';
import { boxRuns, prepareMoves } from './moves.ts';
import { DEVICE_MEMORY, type PieceMemory } from './program.ts';
import { type Arrangement, denseStrides, packBox, rawMemory, type SourceBox } from './region.ts';
import { bindGroupEntries, uniformWords } from './shaders.ts';
import { type Piece, pieceSizes, pieces, type TileLimits } from './tiler.ts';

/** Where the image and the result are: in the caller's memory, or dense in device memory; of 'host', the image may lie there within one binding. */
export type ChecksumArrays =
	| { readonly at: 'host'; readonly image: PlaneView | GPUBuffer; readonly result: PlaneView }
	| { readonly at: 'device'; readonly image: GPUBuffer; readonly result: GPUBuffer };

/** A piece in device memory. */
interface Placed {
	readonly image: Planes & PieceMemory;
	readonly result: Planes & PieceMemory;
	/** Records the copies that bring it there. */
	readonly bring: (encoder: GPUCommandEncoder) => void;
}

/** Below this many bytes a smaller piece will not help a device that is out of memory. */
const LEAST_PIECE = 16 * 1024;

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
const bytesOf = (elements: number, dtype: Dtype): number => roundUp(Math.max(4, elements * DTYPES[dtype].bytes), 4);

/** @throws OutOfDeviceMemory where not even small pieces fit */
export async function findOnDevice(
	session: DeviceSession,
	problem: Problem,
	scheme: ChecksumScheme,
	arrays: ChecksumArrays,
	limits: TileLimits,
	signal: AbortSignal | undefined,
): Promise<ChecksumFindings> {
	for (let { piece } = limits; ; piece = Math.max(LEAST_PIECE, Math.min(piece, 8 * product(problem.output.sizes)) / 2)) {
		try {
			return await new DeviceChecksum(session, problem, scheme, arrays, { ...limits, piece }).find(signal);
		} catch (error) {
			if (!(error instanceof OutOfDeviceMemory) || piece < 2 * LEAST_PIECE) throw await session.errors.translate(error);
		}
	}
}

class DeviceChecksum {
	readonly #session: DeviceSession;
	readonly #problem: Problem;
	readonly #scheme: ChecksumScheme;
	readonly #arrays: ChecksumArrays;
	readonly #limits: TileLimits;

	constructor(session: DeviceSession, problem: Problem, scheme: ChecksumScheme, arrays: ChecksumArrays, limits: TileLimits) {
		this.#session = session;
		this.#problem = problem;
		this.#scheme = scheme;
		this.#arrays = arrays;
		this.#limits = limits;
	}

	async find(signal: AbortSignal | undefined): Promise<ChecksumFindings> {
		const all: ChecksumFindings[] = [];
		for (const piece of pieces(this.#problem, checksumSizes(this.#problem, this.#scheme, this.#limits))) {
			throwIfAborted(signal);
			await this.#session.slots.acquire();
			try {
				all.push(await this.#piece(piece));
			} finally {
				this.#session.slots.release();
			}
		}
		throwIfAborted(signal);
		return {
			suspects: all.flatMap(({ suspects }) => suspects).slice(0, SUSPECT_LIMIT),
			count: all.reduce((sum, { count }) => sum + count, 0),
			worst: Math.max(0, ...all.map(({ worst }) => worst)),
			threshold: Math.max(0, ...all.map(({ threshold }) => threshold)),
		};
	}

	async #piece(piece: Piece): Promise<ChecksumFindings> {
		const { buffers } = this.#session;
		const lease = new Lease(buffers);
		try {
			const placed =
				this.#arrays.at === 'host' ? await this.#upload(lease, piece, this.#arrays) : await this.#place(lease, piece, this.#arrays);
			const findings = await this.#compare(lease, piece, placed);
			lease.release();
			return findings;
		} catch (error) {
			lease.destroy();
			throw error;
		}
	}

	// ── where the pixels are ───────────────────────────────────────────────────────────────────────────────────────────

	#imageBox(piece: Piece, { rows, cols, channel }: ReturnType<typeof pieceSources>): SourceBox {
		return { batch: piece.batch, channel, rows: rows.runs, cols: cols.runs };
	}

	#resultBox({ batch, channel, row, col }: Piece): SourceBox {
		return { batch, channel, rows: [row], cols: [col] };
	}

	/** The image's rows and columns of a piece where `sources` says. */
	#imagePlanes(sources: ReturnType<typeof pieceSources>, arrangement: Arrangement, batches: number, firstBatch: number): Planes {
		const staged = stagedDense(arrangement, batches, sources);
		return {
			maps: mapWords(sources.rows, sources.cols, staged),
			rows: sources.rows.map.length,
			origin: firstBatch * staged.batchStride - staged.firstChannel * staged.channelStride,
			batchStride: staged.batchStride,
			channelStride: staged.channelStride,
		};
	}

	/** The result's, in dense memory of `sizes` whose first element is the result's element `from`. */
	#resultPlanes(piece: Piece, arrangement: Arrangement, sizes: PerAxis, from: PerAxis): Planes {
		const [n, c, y, x] = denseStrides(arrangement, sizes);
		const { row, col, batch } = piece;
		const maps = new Uint32Array(row.count + col.count);
		for (let k = 0; k < row.count; k++) maps[k] = (row.start - from[2] + k) * y;
		for (let k = 0; k < col.count; k++) maps[row.count + k] = (col.start - from[3] + k) * x;
		return { maps, rows: row.count, origin: (batch.start - from[0]) * n - from[1] * c, batchStride: n, channelStride: c };
	}

	/** Copies a piece from the caller's memory. */
	async #upload(lease: Lease, piece: Piece, { image, result }: { image: PlaneView | GPUBuffer; result: PlaneView }): Promise<Placed> {
		const onHost = 'data' in image;
		const sources = onHost ? pieceSources(this.#problem, piece) : wholeSources(this.#problem, piece);
		const starts: PerAxis = [piece.batch.start, piece.channel.start, piece.row.start, piece.col.start];
		const brought: { staging: GPUBuffer; buffer: GPUBuffer; size: number }[] = [];
		const bring = async (view: PlaneView, box: SourceBox, elements: number): Promise<PieceMemory & { arrangement: Arrangement }> => {
			const arrangement = view.sizes[1] > 1 && Math.abs(view.strides[1]) < Math.abs(view.strides[3]) ? 'interleaved' : 'planar';
			const size = bytesOf(elements, view.dtype);
			const staging = await lease.take(size, USAGE.MAP_WRITE | USAGE.COPY_SRC);
			const buffer = await lease.take(size, DEVICE_MEMORY);
			this.#session.buffers.fill(staging, size, (memory) => packBox(view, box, arrangement, rawMemory(memory, view.dtype, elements)));
			brought.push({ staging, buffer, size });
			return { buffer, size, arrangement };
		};
		const elements = piece.batch.count * sources.channel.count * sources.rows.total * sources.cols.total;
		const { layout, sizes, dtype } = this.#problem.image;
		const from = onHost
			? await bring(image, this.#imageBox(piece, sources), elements)
			: { buffer: image, size: bytesOf(product(sizes), dtype), arrangement: arrangementOf(layout) };
		const batch = onHost ? { count: piece.batch.count, first: 0 } : { count: sizes[0], first: piece.batch.start };
		const to = await bring(result, this.#resultBox(piece), product(pieceSizes(piece)));
		return {
			image: { ...this.#imagePlanes(sources, from.arrangement, batch.count, batch.first), ...from },
			result: { ...this.#resultPlanes(piece, to.arrangement, pieceSizes(piece), starts), ...to },
			bring: (encoder) => {
				for (const { staging, buffer, size } of brought) encoder.copyBufferToBuffer(staging, 0, buffer, 0, size);
			},
		};
	}

	/** A piece of arrays in device memory: where they lie, if they fit a binding, else copied out of them. */
	async #place(lease: Lease, piece: Piece, { image, result }: { image: GPUBuffer; result: GPUBuffer }): Promise<Placed> {
		const problem = this.#problem;
		const [from, to] = [arrangementOf(problem.image.layout), arrangementOf(problem.output.layout)];
		const [inBytes, outBytes] = [problem.image, problem.output].map(({ sizes, dtype }) => bytesOf(product(sizes), dtype)) as [
			number,
			number,
		];
		if (Math.max(inBytes, outBytes) <= Math.min(this.#limits.binding, 2 ** 31)) {
			const sources = wholeSources(problem, piece);
			return {
				image: { ...this.#imagePlanes(sources, from, problem.image.sizes[0], piece.batch.start), buffer: image, size: inBytes },
				result: { ...this.#resultPlanes(piece, to, problem.output.sizes, [0, 0, 0, 0]), buffer: result, size: outBytes },
				bring: () => {},
			};
		}
		const sources = pieceSources(problem, piece);
		const starts: PerAxis = [piece.batch.start, piece.channel.start, piece.row.start, piece.col.start];
		const elements = piece.batch.count * sources.channel.count * sources.rows.total * sources.cols.total;
		const size = { in: bytesOf(elements, problem.image.dtype), out: bytesOf(product(pieceSizes(piece)), problem.output.dtype) };
		const packed = { in: await lease.take(size.in, DEVICE_MEMORY), out: await lease.take(size.out, DEVICE_MEMORY) };
		const take = (bytes: number, usage: number) => lease.take(bytes, usage);
		const imageRuns = boxRuns(from, problem.image.sizes, this.#imageBox(piece, sources), DTYPES[problem.image.dtype].bytes);
		const resultRuns = boxRuns(to, problem.output.sizes, this.#resultBox(piece), DTYPES[problem.output.dtype].bytes);
		const moves = [await prepareMoves(this.#session, imageRuns, take), await prepareMoves(this.#session, resultRuns, take)] as const;
		return {
			image: { ...this.#imagePlanes(sources, from, piece.batch.count, 0), buffer: packed.in, size: size.in },
			result: { ...this.#resultPlanes(piece, to, pieceSizes(piece), starts), buffer: packed.out, size: size.out },
			bring: (encoder) => {
				moves[0](encoder, image, packed.in);
				moves[1](encoder, result, packed.out);
			},
		};
	}

	// ── the sums ───────────────────────────────────────────────────────────────────────────────────────────────────────

	async #compare(lease: Lease, piece: Piece, placed: Placed): Promise<ChecksumFindings> {
		const [session, problem, scheme] = [this.#session, this.#problem, this.#scheme];
		const { device, errors, buffers, pipelines } = session;
		const { queue, limits } = device;
		const sizes = pieceSizes(piece);
		const words = sumWords(problem, scheme, sizes);
		const room = Math.min(SUSPECT_LIMIT, words.result);
		const tables: CompareTables = compareTables(problem, scheme, piece);
		const dispatches = problem.windows.flatMap(
			(_, kernel) => dispatchOf(problem, scheme, piece, kernel, { ...placed, tables, room }) ?? [],
		);
		const [imageSums, resultSums, compare] = await errors.all([
			pipelines.get(checksumVariant(scheme, problem.image.dtype)),
			pipelines.get(checksumVariant(scheme, problem.output.dtype)),
			pipelines.get(checksumVariant(scheme)),
		] as const);

		const upload: [GPUBuffer, Uint32Array<ArrayBuffer>][] = [];
		const filled = async (contents: Uint32Array<ArrayBuffer>): Promise<PieceMemory> => {
			const buffer = await lease.take(contents.byteLength, DEVICE_MEMORY);
			upload.push([buffer, contents]);
			return { buffer, size: contents.byteLength };
		};
		const empty = async (count: number): Promise<PieceMemory> => ({ buffer: await lease.take(4 * count, DEVICE_MEMORY), size: 4 * count });
		const weights = await filled(weightWords(scheme));
		const maps = { image: await filled(placed.image.maps), result: await filled(placed.result.maps) };
		const table = await filled(tables.words);
		const found = await empty(HEAD_WORDS + SUSPECT_WORDS * room);
		upload.push([found.buffer, new Uint32Array(HEAD_WORDS)]);
		const peaks = isMeasured(scheme)
			? await empty(words.peaks)
			: await filled(new Uint32Array(words.peaks).fill(singleBits(scheme.largest)));
		const sums = { image: await empty(words.image), result: await empty(words.result) };
		const slot = roundUp(128, limits.minUniformBufferOffsetAlignment);
		const uniforms = new Uint32Array((slot / 4) * 3 * dispatches.length);
		const uniformBuffer = await lease.take(uniforms.byteLength, USAGE.UNIFORM | USAGE.COPY_DST);
		upload.push([uniformBuffer, uniforms]);
		const head = await lease.take(4 * HEAD_WORDS, USAGE.MAP_READ | USAGE.COPY_DST);

		const { settled } = errors.scope(() => {
			const encoder = device.createCommandEncoder({ label: 'checksum' });
			placed.bring(encoder);
			let next = 0;
			const uniform = (values: Uint32Array): GPUBufferBinding => {
				uniforms.set(values, (slot / 4) * next);
				return { buffer: uniformBuffer, offset: slot * next++, size: roundUp(values.byteLength, 16) };
			};
			const run = ({ pipeline }: { pipeline: GPUComputePipeline }, bindGroup: GPUBindGroup, threads: number): void => {
				const pass = encoder.beginComputePass({ label: 'checksum' });
				pass.setPipeline(pipeline);
				pass.setBindGroup(0, bindGroup);
				pass.dispatchWorkgroups(...workgroups(threads, limits.maxComputeWorkgroupsPerDimension));
				pass.end();
			};
			for (const dispatch of dispatches) {
				if (isMeasured(scheme)) encoder.clearBuffer(peaks.buffer, 0, peaks.size);
				for (const of of ['image', 'result'] as const) {
					const values = dispatch[of];
					if (values === undefined) continue;
					const made = of === 'image' ? imageSums : resultSums;
					const resources = {
						projection: uniform(uniformWords('checksum', 'projection', values)),
						image: { buffer: placed[of].buffer, size: placed[of].size },
						maps: maps[of],
						weights,
						projected: sums[of],
						peaks,
					};
					const entries = bindGroupEntries('checksum', resources, 'project');
					run(made, device.createBindGroup({ layout: made.layout, entries }), values.count);
				}
				const resources = {
					comparison: uniform(uniformWords('checksum', 'comparison', dispatch.compare)),
					image_sums: sums.image,
					result_sums: sums.result,
					tables: table,
					known_peaks: peaks,
					found,
				};
				const entries = bindGroupEntries('checksum', resources, 'compare');
				run(compare, device.createBindGroup({ layout: compare.layout, entries }), dispatch.compare.count);
			}
			encoder.copyBufferToBuffer(found.buffer, 0, head, 0, 4 * HEAD_WORDS);
			for (const [buffer, contents] of upload) queue.writeBuffer(buffer, 0, contents);
			queue.submit([encoder.finish()]);
		}, sizes[2] * sizes[3]);
		const drained = buffers.drain(head, 4 * HEAD_WORDS, (memory) => new Uint32Array(memory.slice(0, 4 * HEAD_WORDS)));
		const [header] = await errors.all([drained, settled] as const);
		return readFound(header[0] === 0 ? header : await this.#readSuspects(lease, found, header[0] as number), scheme, piece);
	}

	/** Reads the suspects that the device has noted. */
	async #readSuspects(lease: Lease, found: PieceMemory, count: number): Promise<Uint32Array> {
		const { device, errors, buffers } = this.#session;
		const size = Math.min(found.size, 4 * (HEAD_WORDS + SUSPECT_WORDS * count));
		const drain = await lease.take(size, USAGE.MAP_READ | USAGE.COPY_DST);
		const { settled } = errors.scope(() => {
			const encoder = device.createCommandEncoder({ label: 'checksum' });
			encoder.copyBufferToBuffer(found.buffer, 0, drain, 0, size);
			device.queue.submit([encoder.finish()]);
		}, size);
		const drained = buffers.drain(drain, size, (memory) => new Uint32Array(memory.slice(0, size)));
		const [words] = await errors.all([drained, settled] as const);
		return words;
	}
}
