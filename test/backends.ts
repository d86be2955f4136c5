/**
 * Which backends the suites run on. Every backend that this machine can use, or exactly those that
 * FALTUNG_TEST_BACKENDS=reference,native,webgpu names: one of them missing is an error, never a skip.
 */
import { backends } from '../src/index.ts';
import type { Arithmetic } from './oracle/judge.ts';

export type BackendName = 'reference' | 'native' | 'webgpu';

export interface TestedBackend {
	readonly name: BackendName;
	readonly arithmetic: Arithmetic;
	/** Combinations that it may answer with UNSUPPORTED (API.md, "What is computed", last point). `plain`: scale 1 and bias 0. */
	readonly mayRefuse: (what: { image: string; kernel: string; sum: string; plain?: boolean }) => boolean;
	/** Where combinations are many, every how many-th is run: a software adapter compiles a pipeline for most of them. */
	readonly every: number;
}

const KNOWN: Readonly<Record<BackendName, Omit<TestedBackend, 'name'>>> = {
	reference: { arithmetic: {}, mayRefuse: () => false, every: 1 },
	native: { arithmetic: {}, mayRefuse: () => false, every: 1 },
	// WGSL lets an operation return either neighbour of the exact result, and has no 64-bit floats.
	webgpu: {
		arithmetic: { relaxed: true, epilogue: 'float32' },
		mayRefuse: ({ image, kernel, sum, plain = true }) =>
			sum === 'float64' ||
			image === 'float64' ||
			(/^u?int(32|64)$/.test(image) && kernel.startsWith('float')) ||
			(!plain && image.endsWith('int64') && kernel.endsWith('int64')), // scale·sum + bias beyond the range of float32
		every: 13,
	},
};

/** What this machine has: every backend with the reason why it is not usable, where it is not. */
export const present = await backends();

const wanted = process.env.FALTUNG_TEST_BACKENDS?.split(',').map((name) => name.trim());

function reasonAgainst(name: string): string | undefined {
	const found = present.find((backend) => backend.name === name);
	return found === undefined ? 'unknown backend' : found.usable ? undefined : found.reason;
}

for (const name of wanted ?? ['reference']) {
	const reason = reasonAgainst(name);
	if (reason !== undefined) throw new Error(`FALTUNG_TEST_BACKENDS asks for ${name}, which cannot be used here: ${reason}`);
}

/** The backends under test; never empty. */
export const tested: readonly TestedBackend[] = (Object.keys(KNOWN) as BackendName[])
	.filter((name) => (wanted === undefined ? reasonAgainst(name) === undefined : wanted.includes(name)))
	.map((name) => ({ name, ...KNOWN[name] }));
