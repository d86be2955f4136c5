/** fft.wgsl as a program: overlap-save in whole pairs of tiles, some pairs at a time through all passes. */
import { DTYPE_NAMES, DTYPES } from '../../core/dtype.ts';
import type { Extent } from '../../core/plan.ts';
import { isPlain, type KernelWindow, type Problem } from '../../core/problem.ts';
import { type Lease, roundUp, USAGE, write } from './buffers.ts';
import { COMPACT, type Compaction, prepareCompaction } from './compact.ts';
import type { DeviceSession } from './device.ts';
import { fillWords, mapWords, OVERFLOW_CODES, ROUNDING_CODES, singleBits } from './direct.ts';
import { COMPLEX_BYTES, type FftTables, fftGrain, fftTables, interleaves, pairsAtATime, pairsOf, workgroupOf } from './fft.ts';
import { DEVICE_MEMORY, NOWHERE, type PieceInput, type PieceMemory, type PieceStep, type Program, SharedWords } from './program.ts';
import { QUAD } from './quads.ts';
import type { Arrangement } from './region.ts';
import { bindGroupEntries, type Entry, type Specialisation, uniformWords } from './shaders.ts';
import { type Grain, type Piece, pieceSizes, type TileLimits, windowOrigin } from './tiler.ts';

const ENTRIES = ['survey', 'forward', 'columns', 'inverse', 'direct', 'interleave'] as const satisfies readonly Entry<'fft'>[];
type Step = (typeof ENTRIES)[number];

/** Words of a region, and how they are summed in common.wgsl. */
const REGION_BYTES = 16;
const REAL = 0;

/** Least bytes of an array<vec4u>. */
const WIDE_ELEMENT = 16;

/** Some dispatches with the same uniforms, in order. */
interface Job {
	readonly params: Uint32Array;
	readonly transform: Uint32Array;
	/** Kernel of the bank; absent where the job is about all. */
	readonly kernel: number | undefined;
	readonly dispatches: readonly (readonly [step: Step, groups: readonly [x: number, y: number, z: number]])[];
}

const modulo = (a: number, n: number): number => ((a % n) + n) % n;

export class FftProgram implements Program {
	readonly grain: Grain;
	readonly #problem: Problem;
	readonly #label: string;
	readonly #size: Extent;
	readonly #tile: Extent;
	readonly #workgroup: { readonly points: number; readonly threads: number };
	readonly #tables: FftTables;
	readonly #shared: SharedWords;
	/** Sums are stored as planes of float32, and put side by side afterwards. */
	readonly #interleaves: boolean;

	constructor(
		problem: Problem,
		label: string,
		{ size, tile, limits }: { readonly size: Extent; readonly tile: Extent; readonly limits: Pick<TileLimits, 'storage' | 'threads'> },
	) {
		this.#problem = problem;
		this.#label = label;
		this.#size = size;
		this.#tile = tile;
		this.#workgroup = workgroupOf(limits);
		if (Math.max(size.height, size.width) > this.#workgroup.points) throw new Error(`no workgroup for ${label}`); // candidates() asked before
		this.grain = fftGrain(problem, tile);
		this.#interleaves = interleaves(problem);
		this.#tables = fftTables(problem, size);
		this.#shared = new SharedWords(this.#tables.words);
	}

	/** As the caller's memory is best read: the shader takes any. */
	arrangement({ sizes, strides }: { sizes: readonly number[]; strides: readonly number[] }): Arrangement {
		return (sizes[1] as number) > 1 && Math.abs(strides[1] as number) < Math.abs(strides[3] as number) ? 'interleaved' : 'planar';
	}

	async warm(session: DeviceSession, piece: Piece): Promise<void> {
		const pipelines = this.#steps().map((step) => session.pipelines.get(this.#specialisation(step)));
		await session.errors.all([this.#shared.on(session), ...pipelines, ...(this.#padded(piece) ? [session.pipelines.get(COMPACT)] : [])]);
	}

	async step(session: DeviceSession, lease: Lease, piece: Piece, input: PieceInput): Promise<PieceStep> {
		const { device } = session;
		const problem = this.#problem;
		const steps = this.#steps();
		const made = await session.errors.all(steps.map((step) => session.pipelines.get(this.#specialisation(step))));
		const pipelines = new Map(steps.map((step, k) => [step, made[k] as (typeof made)[number]]));
		const shared = await this.#shared.on(session);
		const jobs = this.#jobs(piece, input);
		const { words, at } = slots(jobs, device.limits.minUniformBufferOffsetAlignment);
		const uniforms = await lease.take(words.byteLength, USAGE.UNIFORM | USAGE.COPY_DST);
		const maps = mapWords(input.rows, input.cols, input.staged);
		const tables = await this.#take(lease, maps.byteLength);
		const pairs = Math.max(...jobs.flatMap(({ dispatches }) => dispatches.map(([step, [, y]]) => (step === 'columns' ? y : 0))));
		const spectrum = await this.#take(lease, pairs * this.#size.height * this.#size.width * COMPLEX_BYTES);
		const regions = await this.#take(lease, 2 * pairs * REGION_BYTES);
		const overflow = await this.#take(lease, 4);
		const unused = await this.#take(lease, WIDE_ELEMENT);
		const [n, k, h, w] = pieceSizes(piece);
		const sums = this.#interleaves ? await this.#take(lease, n * k * h * roundUp(w, QUAD) * 4) : unused;
		const compaction = this.#padded(piece) ? await this.#compaction(session, lease, piece) : undefined;
		const watched = problem.overflow === 'throw' && !DTYPES[problem.output.dtype].float;
		return {
			overflow: watched ? overflow.buffer : undefined,
			encode: (encoder, image, output) => {
				write(device.queue, uniforms, words);
				write(device.queue, tables.buffer, maps);
				if (watched) write(device.queue, overflow.buffer, new Uint32Array([NOWHERE]));
				const target = compaction?.source ?? output;
				const pass = encoder.beginComputePass({ label: this.#label });
				for (const [j, job] of jobs.entries()) {
					const { taps, spectrum: product } = this.#tables.kernels[job.kernel ?? 0] as FftTables['kernels'][number];
					const [params, transform] = at[j] as (typeof at)[number];
					for (const [step, groups] of job.dispatches) {
						const result = step === 'interleave' || !this.#interleaves ? target : sums;
						const wide = result === sums || DTYPES[problem.output.dtype].bytes === 4;
						const resources = {
							params: { buffer: uniforms, ...params },
							transform: { buffer: uniforms, ...transform },
							image,
							maps: tables,
							epilogues: { buffer: shared, ...this.#tables.epilogues },
							result: wide ? unused : result,
							wide_result: wide ? result : unused,
							overflow_at: overflow,
							regions,
							spectrum,
							roots: { buffer: shared, ...(step === 'columns' ? this.#tables.rootsY : this.#tables.rootsX) },
							kernel_spectrum: { buffer: shared, ...product },
							window_taps: { buffer: shared, ...taps },
							sums_of_planes: sums,
						};
						const { pipeline, layout } = pipelines.get(step) as (typeof made)[number];
						pass.setPipeline(pipeline);
						pass.setBindGroup(0, device.createBindGroup({ layout, entries: bindGroupEntries('fft', resources, step) }));
						pass.dispatchWorkgroups(...groups);
					}
				}
				pass.end();
				compaction?.encode(encoder, output);
			},
		};
	}

	async #take(lease: Lease, bytes: number): Promise<PieceMemory> {
		return { buffer: await lease.take(bytes, DEVICE_MEMORY), size: roundUp(Math.max(4, bytes), 4) };
	}

	#steps(): readonly Step[] {
		return this.#interleaves ? ENTRIES : ENTRIES.filter((step) => step !== 'interleave');
	}

	#specialisation(entry: Step): Specialisation {
		const { points: POINTS, threads: THREADS } = this.#workgroup;
		const IN = DTYPE_NAMES.indexOf(this.#problem.image.dtype);
		const OUT = DTYPE_NAMES.indexOf(this.#interleaves && entry !== 'interleave' ? 'float32' : this.#problem.output.dtype);
		const overrides = {
			survey: { IN, THREADS },
			forward: { IN, THREADS, POINTS },
			columns: { THREADS, POINTS },
			inverse: { IN, OUT, SUM: REAL, THREADS, POINTS },
			direct: { IN, OUT, SUM: REAL, THREADS },
			interleave: { IN, OUT, SUM: REAL, THREADS },
		}[entry];
		return { shader: 'fft', entry, overrides, constants: {} };
	}

	/** Elements of a row of the result's memory. */
	#rowElements(piece: Piece): number {
		return piece.col.count * (this.#interleaves ? piece.channel.count : 1);
	}

	/** True where rows of the result are no whole quads. */
	#padded(piece: Piece): boolean {
		return this.#rowElements(piece) % QUAD !== 0;
	}

	#compaction(session: DeviceSession, lease: Lease, piece: Piece): Promise<Compaction> {
		const width = this.#rowElements(piece);
		const rows = pieceSizes(piece).reduce((a, b) => a * b, 1) / width;
		return prepareCompaction(session, lease, { width, rows, bytes: DTYPES[this.#problem.output.dtype].bytes });
	}

	#jobs(piece: Piece, input: PieceInput): Job[] {
		const jobs = this.#problem.windows.flatMap((window, kernel) => this.#kernelJobs(piece, input, window, kernel));
		return this.#interleaves ? [...jobs, this.#interleaveJob(piece)] : jobs;
	}

	/** What is the same for every job of a piece: where pixels lie, and how sums are stored. */
	#common(piece: Piece, { rows, cols, staged }: PieceInput) {
		const problem = this.#problem;
		const [, channels, height, width] = pieceSizes(piece);
		return {
			width,
			rows: height,
			out_pitch: roundUp(width, QUAD),
			out_planes: channels,
			first_plane: 0,
			batch_stride: staged.batchStride,
			channel_stride: staged.channelStride,
			row_pitch: staged.rowPitch,
			aligned: 0,
			row_count: rows.map.length,
			col_count: cols.map.length,
			row_begin: rows.begin,
			row_end: rows.end,
			row_origin: rows.origin * staged.rowPitch,
			col_begin: cols.begin,
			col_end: cols.end,
			col_origin: cols.origin * staged.colPitch,
			fill: fillWords(problem)[0],
			overflow: OVERFLOW_CODES[problem.overflow],
			rounding: ROUNDING_CODES[problem.rounding],
			quads: 0,
			lead: 0,
			lanes: 1,
			plain: this.#interleaves || isPlain(problem) ? 1 : 0,
			march: 0,
			run: 0,
			block_row: 0,
			bank: 1,
			bundle: 1,
			chunks: 1,
			across: 1,
			spread: 1,
		};
	}

	#kernelJobs(piece: Piece, input: PieceInput, window: KernelWindow, kernel: number): Job[] {
		const problem = this.#problem;
		const { points, threads } = this.#workgroup;
		const [batches, channels, height, width] = pieceSizes(piece);
		const kernels = problem.windows.length;
		const outFirst = modulo(kernel - piece.channel.start, kernels);
		const planes = Math.ceil((channels - outFirst) / kernels);
		if (planes <= 0) return [];
		const origin = windowOrigin(problem);
		const firstChannel = piece.channel.start + outFirst;
		const params = uniformWords('fft', 'params', {
			...this.#common(piece, input),
			planes,
			out_first: outFirst,
			kernels,
			first_channel: firstChannel,
			first_element: (Math.floor(firstChannel / kernels) - input.staged.firstChannel) * input.staged.channelStride,
			row_shift: window.rows === 0 ? 0 : window.first[0] - origin[0],
			col_shift: window.rows === 0 ? 0 : window.first[1] - origin[1],
			tap_rows: window.rows,
			tap_cols: window.cols,
		});
		const [tile, size] = [this.#tile, this.#size];
		// the pairs of a piece are those of the result that lie in it
		const whole = pairsOf({ height: problem.output.sizes[2], width: problem.output.sizes[3] }, tile);
		const across = { rows: Math.ceil(height / this.grain.height), columns: Math.ceil(width / this.grain.width) };
		const reach = { height: Math.max(1, window.rows) - 1, width: Math.max(1, window.cols) - 1 };
		const { weight, exponent } = this.#tables.kernels[kernel] as FftTables['kernels'][number];
		const total = batches * planes * across.rows * across.columns;
		const most = pairsAtATime(size);
		const rowsAtATime = points / size.width;
		const columnsAtATime = points / size.height;
		const jobs: Job[] = [];
		for (let first = 0; first < total; first += most) {
			const pairs = Math.min(most, total - first);
			const transform = uniformWords('fft', 'transform', {
				log_y: Math.log2(size.height),
				log_x: Math.log2(size.width),
				first_pair: first,
				pairs_y: across.rows,
				pairs_x: across.columns,
				step_y: whole.stepY,
				step_x: whole.stepX,
				tile_height: tile.height,
				tile_width: tile.width,
				columns: width,
				reach_y: reach.height,
				reach_x: reach.width,
				col_pitch: input.staged.colPitch,
				weight: singleBits(weight),
				kernel_exponent: exponent,
				magnitude_exponent: exponent,
				quiet: singleBits(DTYPES[problem.image.dtype].float ? 0 : 1),
				rounds: points / 8 / threads,
			});
			jobs.push({
				params,
				transform,
				kernel,
				dispatches: [
					['survey', [2 * pairs, 1, 1]],
					['forward', [Math.ceil((tile.height + reach.height) / rowsAtATime), pairs, 1]],
					['columns', [Math.ceil(size.width / columnsAtATime), pairs, 1]],
					['inverse', [Math.ceil(tile.height / rowsAtATime), pairs, 1]],
					['direct', [Math.ceil((tile.height * Math.ceil(tile.width / QUAD)) / threads), 2 * pairs, 1]],
				],
			});
		}
		return jobs;
	}

	/** Puts the sums of all planes side by side. */
	#interleaveJob(piece: Piece): Job {
		const [batches, channels, height, width] = pieceSizes(piece);
		const none = { map: new Int32Array(0), begin: 0, end: 0, origin: 0, runs: [], total: 0 };
		const staged = { batchStride: 0, channelStride: 0, rowPitch: 0, colPitch: 0, firstChannel: 0 };
		const params = {
			...this.#common(piece, { rows: none, cols: none, staged }),
			width: width * channels,
			out_pitch: roundUp(width * channels, QUAD),
			out_planes: 1,
			planes: 1,
			out_first: 0,
			kernels: 1,
			first_channel: 0,
			first_element: 0,
			row_shift: 0,
			col_shift: 0,
			tap_rows: 0,
			tap_cols: 0,
			lanes: channels,
			plain: isPlain(this.#problem) ? 1 : 0,
		};
		const transform = {
			log_y: 0,
			log_x: 0,
			first_pair: 0,
			pairs_y: 1,
			pairs_x: 1,
			step_y: 0,
			step_x: 0,
			tile_height: height,
			tile_width: roundUp(width, QUAD),
			columns: width,
			reach_y: 0,
			reach_x: 0,
			col_pitch: 0,
			weight: 0,
			kernel_exponent: 0,
			magnitude_exponent: 0,
			quiet: 0,
			rounds: 0,
		};
		const groups = Math.ceil((width * channels) / QUAD / this.#workgroup.threads);
		return {
			params: uniformWords('fft', 'params', params),
			transform: uniformWords('fft', 'transform', transform),
			kernel: undefined,
			dispatches: [['interleave', [groups, height, batches]]],
		};
	}

	dispose(): void {
		this.#shared.dispose();
	}
}

/** All jobs' uniforms in one buffer, each where a binding may begin. */
function slots(jobs: readonly Job[], alignment: number) {
	let end = 0;
	const place = (bytes: number) => {
		const offset = end;
		end = roundUp(end + bytes, alignment);
		return { offset, size: roundUp(bytes, 16) };
	};
	const at = jobs.map(({ params, transform }) => [place(params.byteLength), place(transform.byteLength)] as const);
	const words = new Uint32Array(end / 4);
	for (const [k, { params, transform }] of jobs.entries()) {
		const [first, second] = at[k] as (typeof at)[number];
		words.set(params, first.offset / 4);
		words.set(transform, second.offset / 4);
	}
	return { words, at };
}
