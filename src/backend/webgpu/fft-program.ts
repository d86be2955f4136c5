/** fft.wgsl as a program: overlap-save in whole pairs of tiles, some pairs at a time through all passes. */
import { DTYPE_NAMES, DTYPES } from '../../core/dtype.ts';
import type { Extent } from '../../core/plan.ts';
import { isPlain, type Problem } from '../../core/problem.ts';
import { type Lease, roundUp, USAGE, write } from './buffers.ts';
import { COMPACT, type Compaction, prepareCompaction } from './compact.ts';
import type { DeviceSession } from './device.ts';
import { fillWords, mapWords, OVERFLOW_CODES, ROUNDING_CODES, singleBits } from './direct.ts';
import { COMPLEX_BYTES, type FftTables, fftFrame, fftGrain, fftTables, interleaves, pairsAtATime, pairsOf, workgroupOf } from './fft.ts';
import { DEVICE_MEMORY, NOWHERE, type PieceInput, type PieceMemory, type PieceStep, type Program, SharedWords } from './program.ts';
import { QUAD } from './quads.ts';
import type { Arrangement } from './region.ts';
import { bindGroupEntries, type Entry, type Specialisation, uniformWords } from './shaders.ts';
import { type Grain, type Piece, pieceSizes, type TileLimits, windowOrigin } from './tiler.ts';

type Step = Entry<'fft'>;

/** Words of a region, and how they are summed in common.wgsl. */
const REGION_BYTES = 16;
const REAL = 0;

/** Least bytes of an array<vec4u>. */
const WIDE_ELEMENT = 16;

/** Some kernels of a bank that follow each other: all of it, or the one that a small piece has. */
interface Kernels {
	readonly first: number;
	readonly count: number;
}

/** Some dispatches with the same uniforms, in order. */
interface Job {
	readonly params: Uint32Array;
	readonly transform: Uint32Array;
	readonly dispatches: readonly (readonly [step: Step, groups: readonly [x: number, y: number, z: number]])[];
}

export class FftProgram implements Program {
	readonly grain: Grain;
	readonly #problem: Problem;
	readonly #label: string;
	readonly #size: Extent;
	readonly #tile: Extent;
	readonly #workgroup: { readonly points: number; readonly threads: number };
	readonly #tables: FftTables;
	readonly #shared: SharedWords;
	/** Most bytes of a binding. */
	readonly #binding: number;
	/** Sums are stored as planes of float32, and put side by side afterwards. */
	readonly #interleaves: boolean;

	constructor(
		problem: Problem,
		label: string,
		{
			size,
			tile,
			limits,
		}: { readonly size: Extent; readonly tile: Extent; readonly limits: Pick<TileLimits, 'storage' | 'threads' | 'binding'> },
	) {
		this.#problem = problem;
		this.#label = label;
		this.#size = size;
		this.#tile = tile;
		this.#workgroup = workgroupOf(limits);
		this.#binding = limits.binding;
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
		const kernels = this.#kernels(piece);
		const total = this.#pairs(piece, kernels);
		const jobs = this.#jobs(piece, input, kernels, total);
		const { words, at } = slots(jobs, device.limits.minUniformBufferOffsetAlignment);
		const uniforms = await lease.take(words.byteLength, USAGE.UNIFORM | USAGE.COPY_DST);
		const maps = mapWords(input.rows, input.cols, input.staged);
		const tables = await this.#take(lease, maps.byteLength);
		const pairs = Math.min(total, this.#pairsAtATime(kernels));
		const bytes = this.#size.height * this.#size.width * COMPLEX_BYTES;
		const spectrum = await this.#take(lease, pairs * kernels.count * bytes);
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
							roots: { buffer: shared, ...(step === this.#columns ? this.#tables.rootsY : this.#tables.rootsX) },
							kernel_spectrum: { buffer: shared, offset: this.#tables.spectra[kernels.first]?.offset ?? 0, size: kernels.count * bytes },
							kernels: { buffer: shared, ...this.#tables.kernels },
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

	/** The pass of columns: a bank has one that transforms once and back for each kernel, whatever a piece has of it, so that bits are the same. */
	get #columns(): 'columns' | 'columns_of_bank' {
		return this.#problem.windows.length > 1 ? 'columns_of_bank' : 'columns';
	}

	#steps(): readonly Step[] {
		const steps: readonly Step[] = ['survey', 'forward', this.#columns, 'inverse', 'direct'];
		return this.#interleaves ? [...steps, 'interleave'] : steps;
	}

	#specialisation(entry: Step): Specialisation {
		const { points: POINTS, threads: THREADS } = this.#workgroup;
		const IN = DTYPE_NAMES.indexOf(this.#problem.image.dtype);
		const OUT = DTYPE_NAMES.indexOf(this.#interleaves && entry !== 'interleave' ? 'float32' : this.#problem.output.dtype);
		const overrides = {
			survey: { IN, THREADS },
			forward: { IN, THREADS, POINTS },
			columns: { THREADS, POINTS },
			columns_of_bank: { THREADS, POINTS },
			inverse: { IN, OUT, SUM: REAL, THREADS, POINTS },
			direct: { IN, OUT, SUM: REAL, THREADS },
			interleave: { IN, OUT, SUM: REAL, THREADS },
		}[entry];
		return { shader: 'fft', entry, overrides, constants: entry === 'columns_of_bank' ? { KEPT: POINTS / 8 / THREADS } : {} };
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

	/** A piece has whole banks, or one kernel. */
	#kernels({ channel }: Piece): Kernels {
		const { length } = this.#problem.windows;
		return { first: channel.start % length, count: Math.min(length, channel.count) };
	}

	#pairsAtATime({ count }: Kernels): number {
		return pairsAtATime(this.#size, count, this.#binding);
	}

	/** The pairs of a piece are those of the result that lie in it. */
	#across(piece: Piece): { readonly rows: number; readonly columns: number } {
		return { rows: Math.ceil(piece.row.count / this.grain.height), columns: Math.ceil(piece.col.count / this.grain.width) };
	}

	#pairs(piece: Piece, { count }: Kernels): number {
		const { rows, columns } = this.#across(piece);
		return piece.batch.count * (piece.channel.count / count) * rows * columns;
	}

	#jobs(piece: Piece, input: PieceInput, kernels: Kernels, total: number): Job[] {
		const jobs: Job[] = [];
		const most = this.#pairsAtATime(kernels);
		for (let first = 0; first < total; first += most) {
			jobs.push(this.#job(piece, input, kernels, { first, count: Math.min(most, total - first) }));
		}
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
			tap_rows: 0,
			tap_cols: 0,
			bundle: 1,
			chunks: 1,
			across: 1,
			spread: 1,
		};
	}

	/** Some pairs through all passes: transformed once, and back for each kernel. */
	#job(piece: Piece, input: PieceInput, kernels: Kernels, pairs: { readonly first: number; readonly count: number }): Job {
		const problem = this.#problem;
		const { points, threads } = this.#workgroup;
		const frame = fftFrame(problem);
		const origin = windowOrigin(problem);
		const { start, count } = piece.channel;
		const params = uniformWords('fft', 'params', {
			...this.#common(piece, input),
			planes: count / kernels.count,
			out_first: 0,
			kernels: problem.windows.length,
			first_channel: start,
			first_element: (Math.floor(start / problem.windows.length) - input.staged.firstChannel) * input.staged.channelStride,
			row_shift: frame.rows === 0 ? 0 : frame.first[0] - origin[0],
			col_shift: frame.rows === 0 ? 0 : frame.first[1] - origin[1],
			bank: kernels.count,
		});
		const [tile, size] = [this.#tile, this.#size];
		const whole = pairsOf({ height: problem.output.sizes[2], width: problem.output.sizes[3] }, tile);
		const across = this.#across(piece);
		const reach = { height: Math.max(1, frame.rows) - 1, width: Math.max(1, frame.cols) - 1 };
		const transform = uniformWords('fft', 'transform', {
			log_y: Math.log2(size.height),
			log_x: Math.log2(size.width),
			first_pair: pairs.first,
			pairs_y: across.rows,
			pairs_x: across.columns,
			step_y: whole.stepY,
			step_x: whole.stepX,
			tile_height: tile.height,
			tile_width: tile.width,
			columns: piece.col.count,
			reach_y: reach.height,
			reach_x: reach.width,
			col_pitch: input.staged.colPitch,
			first_kernel: kernels.first,
			magnitude_exponent: this.#tables.magnitudeExponent,
			quiet: singleBits(DTYPES[problem.image.dtype].float ? 0 : 1),
			rounds: points / 8 / threads,
		});
		const rowsAtATime = points / size.width;
		const columnsAtATime = points / size.height;
		return {
			params,
			transform,
			dispatches: [
				['survey', [2 * pairs.count, 1, 1]],
				['forward', [Math.ceil((tile.height + reach.height) / rowsAtATime), pairs.count, 1]],
				[this.#columns, [Math.ceil(size.width / columnsAtATime), pairs.count, 1]],
				['inverse', [Math.ceil(tile.height / rowsAtATime), pairs.count, kernels.count]],
				['direct', [Math.ceil((tile.height * Math.ceil(tile.width / QUAD)) / threads), 2 * pairs.count, kernels.count]],
			],
		};
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
			bank: 1,
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
			first_kernel: 0,
			magnitude_exponent: 0,
			quiet: 0,
			rounds: 0,
		};
		const groups = Math.ceil((width * channels) / QUAD / this.#workgroup.threads);
		return {
			params: uniformWords('fft', 'params', params),
			transform: uniformWords('fft', 'transform', transform),
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
