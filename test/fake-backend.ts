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
	/** Instead of memory for a result. */
	readonly allocate?: Backend['allocate'];
	/** Several plans instead of one. */
	readonly plans?: readonly FakePlan[];
}

export interface FakePlan {
	/** First word of its name. */
	readonly tag: string;
	readonly predicted: number;
	/** Milliseconds that a run takes beside the work. */
	readonly takes: number;
	readonly spoil?: FakeOptions['spoil'];
	readonly fail?: () => never;
}

export interface FakeBackend extends Backend {
	/** Runs so far. */
	readonly runs: () => number;
	/** Executables prepared and disposed so far. */
	readonly prepared: () => number;
	readonly disposed: () => number;
	/** First words of the plans that ran, in order. */
	readonly ran: () => readonly string[];
}

const tagOf = ({ name }: Plan): string => name.split('-')[0] as string;

export function fakeBackend(real: Backend, options: FakeOptions = {}): FakeBackend {
	const name = options.name ?? 'fake';
	let [runs, prepared, disposed] = [0, 0, 0];
	const ran: string[] = [];
	const rename = (plan: Plan): Plan => ({
		...plan,
		backend: name,
		name: plan.name.replace(/@.*/, `@${name}`),
		...(options.tile === undefined ? {} : { tile: options.tile }),
		...(options.predicted === undefined ? {} : { predicted: { ...plan.predicted, milliseconds: options.predicted } }),
	});
	const several = (candidate: Candidate): Candidate[] => {
		const { plan } = candidate;
		if (plan === undefined) return [{ ...candidate, backend: name }];
		const renamed = rename(plan);
		const one = (made: Plan): Candidate => ({ ...candidate, name: made.name, backend: name, plan: made });
		if (options.plans === undefined) return [one(renamed)];
		if (plan.algorithm !== 'direct') return [];
		return options.plans.map(({ tag, predicted: milliseconds }) =>
			one({ ...renamed, name: renamed.name.replace(/^[a-z]+/, tag), predicted: { ...plan.predicted, milliseconds } }),
		);
	};
	return {
		name,
		capabilities: { ...real.capabilities, backend: name },
		ran: () => ran,
		...(options.allocate === undefined ? {} : { allocate: options.allocate }),
		runs: () => runs,
		prepared: () => prepared,
		disposed: () => disposed,
		candidates: (problem, wish) => real.candidates(problem, wish).flatMap(several),
		prepare: async (problem, plan): Promise<Executable> => {
			const inner = await real.prepare(problem, plan);
			const own = options.plans?.find(({ tag }) => tag === tagOf(plan));
			prepared++;
			return {
				plan,
				run: async (image, out, signal): Promise<RunOutcome> => {
					runs++;
					ran.push(tagOf(plan));
					options.fail?.();
					own?.fail?.();
					if (own !== undefined) await new Promise((resolve) => setTimeout(resolve, own.takes));
					const outcome = await inner.run(image, out, signal);
					options.spoil?.(out, image);
					own?.spoil?.(out, image);
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
