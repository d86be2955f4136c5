/** direct.wgsl as a program: any window, stride, dilation, dtype and layout, 4 outputs a thread. */
import { DTYPES } from '../../core/dtype.ts';
import type { PlaneView } from '../../core/ndarray.ts';
import type { Problem } from '../../core/problem.ts';
import { type Lease, roundUp, USAGE, write } from './buffers.ts';
import type { DeviceSession } from './device.ts';
import { bankLayers, directVariant, GROUP, kernelWords, mapWords, pieceUniforms, workgroups } from './direct.ts';
import type { Pipeline } from './pipelines.ts';
import { DEVICE_MEMORY, NOWHERE, type PieceInput, type PieceStep, type Program, SharedWords } from './program.ts';
import type { Arrangement } from './region.ts';
import { bindGroupEntries } from './shaders.ts';
import { type Piece, pieceSizes } from './tiler.ts';

export class DirectProgram implements Program {
	readonly #problem: Problem;
	/** Outputs of a piece from which the shader's faster way pays. */
	readonly #blocked: number;
	readonly #label: string;
	readonly #kernel: SharedWords;
	readonly #epilogues: number;

	constructor(problem: Problem, label: string, blocked: number) {
		this.#problem = problem;
		this.#blocked = blocked;
		this.#label = label;
		const { words, epilogues } = kernelWords(problem);
		this.#kernel = new SharedWords(words);
		this.#epilogues = epilogues;
	}

	/** As the caller's memory is best read: the shader takes any. */
	arrangement({ sizes, strides }: PlaneView): Arrangement {
		return sizes[1] > 1 && Math.abs(strides[1]) < Math.abs(strides[3]) ? 'interleaved' : 'planar';
	}

	async warm(session: DeviceSession, piece: Piece): Promise<void> {
		await session.errors.all([this.#pipeline(session, this.#layers(session, piece), piece), this.#kernel.on(session)]);
	}

	async step(session: DeviceSession, lease: Lease, piece: Piece, { rows, cols, staged }: PieceInput): Promise<PieceStep> {
		const problem = this.#problem;
		const { device } = session;
		const uniformWords = pieceUniforms(problem, piece, { rows, cols, staged, epilogues: this.#epilogues });
		const maps = mapWords(rows, cols, staged);
		const layers = this.#layers(session, piece);
		const [{ pipeline, layout }, kernel] = await session.errors.all([
			this.#pipeline(session, layers, piece),
			this.#kernel.on(session),
		] as const);
		const uniforms = await lease.take(uniformWords.byteLength, USAGE.UNIFORM | USAGE.COPY_DST);
		const tables = await lease.take(maps.byteLength, DEVICE_MEMORY);
		const overflow = await lease.take(4, DEVICE_MEMORY);
		const watched = problem.overflow === 'throw' && !DTYPES[problem.output.dtype].float;
		const outputs = layers === undefined ? pieceSizes(piece) : [piece.row.count, piece.col.count];
		const threads = Math.ceil(outputs.reduce((a, b) => a * b, 1) / GROUP);
		const entry = layers === undefined ? 'main' : 'bank';
		return {
			overflow: watched ? overflow : undefined,
			encode: (encoder, input, output) => {
				write(device.queue, uniforms, uniformWords as Uint32Array<ArrayBuffer>);
				write(device.queue, tables, maps);
				if (watched) write(device.queue, overflow, new Uint32Array([NOWHERE]));
				const resources = {
					params: { buffer: uniforms, size: roundUp(uniformWords.byteLength, 16) },
					image: input,
					maps: { buffer: tables, size: maps.byteLength },
					kernel: { buffer: kernel, size: this.#kernel.words.byteLength },
					result: output,
					overflow_at: { buffer: overflow, size: 4 },
				};
				const pass = encoder.beginComputePass({ label: this.#label });
				pass.setPipeline(pipeline);
				pass.setBindGroup(0, device.createBindGroup({ layout, entries: bindGroupEntries('direct', resources, entry) }));
				pass.dispatchWorkgroups(...workgroups(threads, device.limits.maxComputeWorkgroupsPerDimension), layers ?? 1);
				pass.end();
			},
		};
	}

	/** The faster ways pay for this piece. */
	#pays(piece: Piece): boolean {
		return pieceSizes(piece).reduce((a, b) => a * b, 1) >= this.#blocked;
	}

	/** Layers of kernels that share their pixels; undefined where none do. */
	#layers({ device }: DeviceSession, piece: Piece): number | undefined {
		return this.#pays(piece) ? bankLayers(this.#problem, piece, device.limits.maxComputeWorkgroupsPerDimension) : undefined;
	}

	#pipeline(session: DeviceSession, layers: number | undefined, piece: Piece): Promise<Pipeline> {
		return session.pipelines.get(directVariant(this.#problem, layers === undefined ? this.#pays(piece) : 'bank'));
	}

	dispose(): void {
		this.#kernel.dispose();
	}
}
