/**
 * The tiled shaders' numbers that depend on the GPU and not on the problem, by family. A row says where its numbers come from; a
 * measured one goes above the general one, with the output of `npm run bench:webgpu` on that device in bench/results/. What
 * `faltung calibrate` measured on the very device stands above all rows.
 */
import type { DeviceMeasurements } from '../backend.ts';

export interface Tuning {
	/** Matches the adapter's name. */
	readonly family: RegExp;
	readonly provenance: string;
	/** Threads of a workgroup of tiled.wgsl, over quads of columns and groups of 4 rows. */
	readonly workgroup: { readonly x: number; readonly y: number };
	/** Elements, leading zeros included, up to which a window's width is compiled into tiled.wgsl; at most 24. */
	readonly compiledWidth: number;
	/** Kernels of a bank whose sums a thread of tiled.wgsl holds at once. */
	readonly bank: 1 | 2 | 4;
	/** Shapes of strips of separable.wgsl, the best first: the first that fits a workgroup is taken. */
	readonly strips: readonly (readonly [quads: number, chunk: number])[];
	/** Shapes of strips of box.wgsl, likewise; a thread owns an element of every row. */
	readonly boxes: readonly (readonly [columns: number, chunk: number])[];
	/** Workgroups that keep every processor busy; with more, a strip marches further and loads fewer rows again. */
	readonly workgroups: number;
	/** Most output rows of a march. */
	readonly march: number;
}

const GENERAL: Tuning = {
	family: /(?:)/,
	provenance:
		'not timed: instructions and registers as compiled for NAVI31 and VEGA20 (bench/results/webgpu-static.md); every shape fits the limits that WebGPU guarantees',
	workgroup: { x: 16, y: 8 },
	compiledWidth: 24,
	bank: 4,
	// wide strips load little beside themselves, tall chunks meet few barriers
	strips: [
		[16, 16],
		[16, 8],
		[8, 16],
		[8, 8],
		[4, 8],
		[4, 4],
	],
	// the wider, the less of a row is beside the strip; short chunks leave room for more workgroups on a processor
	boxes: [
		[128, 8],
		[64, 8],
		[64, 4],
		[32, 8],
		[32, 4],
		[16, 8],
		[16, 4],
		[8, 4],
	],
	workgroups: 512,
	march: 256,
};

export const TUNINGS: readonly Tuning[] = [
	{
		...GENERAL,
		family: /\b(gcn-?\d|vega|polaris|radeon rx (4|5)\d0)\b/i,
		provenance: 'not timed: as compiled for VEGA20, 4 kernels a thread leave 2 waves a SIMD, 2 leave 3 (bench/results/webgpu-static.md)',
		bank: 2,
	},
	GENERAL,
];

export const tuningOf = (device: string): Tuning => TUNINGS.find(({ family }) => family.test(device)) as Tuning;

/** What may be measured: each axis by itself, the others as they stand. The first of each is the general row's. */
export const AXES = {
	workgroup: [
		[16, 8],
		[8, 8],
		[32, 4],
		[16, 16],
		[64, 4],
	],
	bank: [[4], [2], [1]],
	strip: [
		[16, 16],
		[16, 8],
		[8, 16],
		[32, 16],
	],
	box: [
		[128, 8],
		[64, 8],
		[64, 4],
		[256, 4],
	],
} as const satisfies Readonly<Record<string, readonly (readonly number[])[]>>;

export type Axis = keyof typeof AXES;

type Pair = readonly [number, number];

const first = (chosen: Pair, others: readonly Pair[]): Pair[] => [chosen, ...others.filter(([a, b]) => a !== chosen[0] || b !== chosen[1])];

/** A row with one variant in place of its own. */
export function withVariant(tuning: Tuning, axis: Axis, variant: readonly number[]): Tuning {
	const [a, b] = variant as Pair;
	switch (axis) {
		case 'workgroup':
			return { ...tuning, workgroup: { x: a, y: b } };
		case 'bank':
			return { ...tuning, bank: a as Tuning['bank'] };
		case 'strip':
			return { ...tuning, strips: first([a, b], tuning.strips) };
		case 'box':
			return { ...tuning, boxes: first([a, b], tuning.boxes) };
	}
}

/** The table's row for a device, with what was measured on it; variants that the table of axes does not have are none. */
export function tunedFor(device: string, measured: DeviceMeasurements | undefined): Tuning {
	let tuning = tuningOf(device);
	if (measured === undefined) return tuning;
	for (const axis of Object.keys(AXES) as Axis[]) {
		const variant = measured.variants[axis];
		const known = variant !== undefined && AXES[axis].some((each) => `${each}` === `${variant}`);
		if (known) tuning = withVariant(tuning, axis, variant);
	}
	return { ...tuning, provenance: `measured on this device on ${measured.date.slice(0, 10)} (faltung calibrate)` };
}
