/** A backend that computes with another one and then spoils the result: what verification must find. */
import type { Backend, Candidate, Executable, Plan, PlaneView, RunOutcome } from '../src/index.ts';

export interface FakeOptions {
	readonly name?: string;
	/** Size of the pieces that the plan claims to work in: their edges are seams. */
	readonly tile?: { height: number; width: number };
	/** Changes the result in place. */
	readonly spoil?: (out: PlaneView, image: PlaneView) => void;
	/** Instead of computing. */
	readonly fail?: () => never;
	/** Milliseconds that the plan predicts: cheap plans are chosen first, dear ones are sampled more. */
	readonly predicted?: number;
}

export interface FakeBackend extends Backend {
	/** Runs so far. */
	readonly runs: () => number;
	/** Executables prepared and disposed so far. */
	readonly prepared: () => number;
	readonly disposed: () => number;
}

export function fakeBackend(real: Backend, options: FakeOptions = {}): FakeBackend {
	const name = options.name ?? 'fake';
	let [runs, prepared, disposed] = [0, 0, 0];
	const rename = (plan: Plan): Plan => ({
		...plan,
		backend: name,
		name: plan.name.replace(/@.*/, `@${name}`),
		...(options.tile === undefined ? {} : { tile: options.tile }),
		...(options.predicted === undefined ? {} : { predicted: { ...plan.predicted, milliseconds: options.predicted } }),
	});
	return {
		name,
		capabilities: { ...real.capabilities, backend: name },
		runs: () => runs,
		prepared: () => prepared,
		disposed: () => disposed,
		candidates: (problem, wish) =>
			real
				.candidates(problem, wish)
				.map(
					(candidate): Candidate =>
						candidate.plan === undefined ? { ...candidate, backend: name } : { ...candidate, backend: name, plan: rename(candidate.plan) },
				),
		prepare: async (problem, plan): Promise<Executable> => {
			const inner = await real.prepare(problem, plan);
			prepared++;
			return {
				plan,
				run: async (image, out, signal): Promise<RunOutcome> => {
					runs++;
					options.fail?.();
					const outcome = await inner.run(image, out, signal);
					options.spoil?.(out, image);
					return outcome;
				},
				dispose: () => {
					disposed++;
					inner.dispose();
				},
			};
		},
	};
}

/** Element of a pixel. */
export const elementAt = ({ offset, strides }: PlaneView, n: number, c: number, y: number, x: number): number =>
	offset + n * strides[0] + c * strides[1] + y * strides[2] + x * strides[3];
