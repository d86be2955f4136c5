/** tiled.wgsl, separable.wgsl and box.wgsl as programs; results whose rows are no whole quads are packed by compact.wgsl afterwards. */
import { DTYPES } from '../../core/dtype.ts';
import type { Problem } from '../../core/problem.ts';
import { isAcross } from './bank.ts';
import { type Lease, roundUp, USAGE, write } from './buffers.ts';
import { COMPACT, type Compaction, prepareCompaction } from './compact.ts';
import type { DeviceSession } from './device.ts';
import { arrangementOf } from './direct.ts';
import { epilogueWords, type Job, jobsOf, type TapForm, tiledMaps } from './jobs.ts';
import { DEVICE_MEMORY, NOWHERE, type PieceInput, type PieceStep, type Program, SharedWords } from './program.ts';
import { lanesOf, QUAD } from './quads.ts';
import type { Arrangement } from './region.ts';
import { bindGroupEntries } from './shaders.ts';
import { type Piece, pieceSizes } from './tiler.ts';

/** Least bytes of an array<vec4u>. */
const WIDE_ELEMENT = 16;

export class TiledProgram implements Program {
	readonly #problem: Problem;
	readonly #label: string;
	readonly #form: TapForm;
	readonly #epilogues: SharedWords;

	constructor(problem: Problem, label: string, form: TapForm) {
		this.#problem = problem;
		this.#label = label;
		this.#form = form;
		this.#epilogues = new SharedWords(epilogueWords(problem));
	}

	/** As the result lies: rows of memory are rows of all channels, or of one. */
	arrangement(): Arrangement {
		return arrangementOf(this.#problem.output.layout);
	}

	async warm(session: DeviceSession, piece: Piece, input: PieceInput): Promise<void> {
		const jobs = this.#jobs(session, piece, input);
		const pipelines = jobs.map(({ specialisation }) => session.pipelines.get(specialisation));
		await session.errors.all([this.#epilogues.on(session), ...pipelines, ...(this.#padded(piece) ? [session.pipelines.get(COMPACT)] : [])]);
	}

	async step(session: DeviceSession, lease: Lease, piece: Piece, input: PieceInput): Promise<PieceStep> {
		const problem = this.#problem;
		const { device } = session;
		const jobs = this.#jobs(session, piece, input);
		const pipelines = await session.errors.all(jobs.map(({ specialisation }) => session.pipelines.get(specialisation)));
		const epilogues = await this.#epilogues.on(session);
		const { words, at } = slots(jobs, device.limits.minUniformBufferOffsetAlignment);
		const uniforms = await lease.take(words.byteLength, USAGE.UNIFORM | USAGE.COPY_DST);
		const maps = tiledMaps(input, lanesOf(problem));
		const tables = await lease.take(Math.max(WIDE_ELEMENT, maps.byteLength), DEVICE_MEMORY);
		const overflow = await lease.take(4, DEVICE_MEMORY);
		const unused = await lease.take(WIDE_ELEMENT, DEVICE_MEMORY);
		const compact = this.#padded(piece) ? await this.#compact(session, lease, piece) : undefined;
		const watched = problem.overflow === 'throw' && !DTYPES[problem.output.dtype].float;
		const wide = { in: DTYPES[problem.image.dtype].bytes === 4, out: DTYPES[problem.output.dtype].bytes === 4 };
		return {
			overflow: watched ? overflow : undefined,
			encode: (encoder, input, output) => {
				write(device.queue, uniforms, words);
				write(device.queue, tables, maps);
				if (watched) write(device.queue, overflow, new Uint32Array([NOWHERE]));
				const target = compact?.source ?? output;
				const nothing = { buffer: unused, size: WIDE_ELEMENT };
				const pass = encoder.beginComputePass({ label: this.#label });
				for (const [k, job] of jobs.entries()) {
					const { pipeline, layout } = pipelines[k] as (typeof pipelines)[number];
					const [params, taps] = at[k] as (typeof at)[number];
					const resources = {
						params: { buffer: uniforms, ...params },
						taps: { buffer: uniforms, ...taps },
						image: input,
						// elements of other sizes never look there, nor do images too small for a quad
						wide_image: wide.in && input.size >= WIDE_ELEMENT ? input : { buffer: tables, size: WIDE_ELEMENT },
						maps: { buffer: tables, size: Math.max(WIDE_ELEMENT, maps.byteLength) },
						epilogues: { buffer: epilogues, size: this.#epilogues.words.byteLength },
						result: wide.out ? nothing : target,
						wide_result: wide.out ? target : nothing,
						overflow_at: { buffer: overflow, size: 4 },
					};
					pass.setPipeline(pipeline);
					pass.setBindGroup(0, device.createBindGroup({ layout, entries: bindGroupEntries(job.shader, resources) }));
					pass.dispatchWorkgroups(...job.groups);
				}
				pass.end();
				compact?.encode(encoder, output);
			},
		};
	}

	#jobs(session: DeviceSession, piece: Piece, input: PieceInput): Job[] {
		return jobsOf(this.#problem, piece, input, this.#form, session.device.limits.maxComputeWorkgroupsPerDimension);
	}

	/** Elements of the result that are written as whole quads: a row, or the kernels side by side of one element of the image. */
	#rowOf(piece: Piece): number {
		return isAcross(this.#problem) ? this.#problem.windows.length : piece.col.count * lanesOf(this.#problem);
	}

	/** True where there is room between the rows. */
	#padded(piece: Piece): boolean {
		return this.#rowOf(piece) % QUAD !== 0;
	}

	#compact(session: DeviceSession, lease: Lease, piece: Piece): Promise<Compaction> {
		const width = this.#rowOf(piece);
		const rows = pieceSizes(piece).reduce((a, b) => a * b, 1) / width;
		return prepareCompaction(session, lease, { width, rows, bytes: DTYPES[this.#problem.output.dtype].bytes });
	}

	dispose(): void {
		this.#epilogues.dispose();
	}
}

/** All jobs' uniforms in one buffer: parameters, then taps, each where a binding may begin. */
function slots(jobs: readonly Job[], alignment: number) {
	let end = 0;
	const place = (bytes: number) => {
		const offset = end;
		end = roundUp(end + bytes, alignment);
		return { offset, size: roundUp(bytes, 16) };
	};
	const at = jobs.map(
		({ params, specialisation }) =>
			[place(params.byteLength), place(16 * (specialisation.constants as { TAP_QUADS: number }).TAP_QUADS)] as const,
	);
	const words = new Uint32Array(end / 4);
	for (const [k, { params, taps }] of jobs.entries()) {
		const [first, second] = at[k] as (typeof at)[number];
		words.set(params, first.offset / 4);
		words.set(taps, second.offset / 4);
	}
	return { words, at };
}
