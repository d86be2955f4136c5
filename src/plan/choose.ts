/** Choosing: from every backend's candidates to one Decision. Pure: backends answer from data, nothing is run. */
import type { Backend, PlanWish } from '../backend/backend.ts';
import { relativeBound } from '../core/bounds.ts';
import { FaltungError } from '../core/errors.ts';
import type { Candidate, Decision, Plan } from '../core/plan.ts';
import { describe, type Problem } from '../core/problem.ts';

/** Who may compute. 'cost': the cheapest first; 'preference': in the order given. */
export interface Policy {
	readonly order: 'cost' | 'preference';
	readonly wish: PlanWish;
}

/** A backend that could not be loaded, and why. */
export interface Absent {
	readonly name: string;
	readonly reason: string;
}

const planned = (candidate: Candidate): candidate is Candidate & { plan: Plan } => candidate.plan !== undefined;

/** Predictions within this factor count as equal; the smaller error bound then decides. The model meets single runs within about a tenth. */
const EQUAL = 1.1;

/** The plan to take of one backend's, which are sorted by time. */
function preferred(problem: Problem, plans: readonly Plan[]): Plan {
	const limit = EQUAL * (plans[0] as Plan).predicted.milliseconds;
	const equal = plans.filter(({ predicted }) => predicted.milliseconds <= limit);
	return equal.reduce((best, plan) => (relativeBound(problem, plan) < relativeBound(problem, best) ? plan : best));
}

/** Plans that measuring would try at most, and how much slower than the best one they may be predicted to be. */
const MOST_CONTENDERS = 4;
const CONTENDER_FACTOR = 3;

const byTime = (a: Plan, b: Plan): number => a.predicted.milliseconds - b.predicted.milliseconds;

/** The plans of one backend that the forced method allows, the cheapest first. */
const allowed = (list: readonly Candidate[], method: PlanWish['method']): Plan[] =>
	list
		.filter(planned)
		.filter(({ algorithm }) => method === 'auto' || algorithm === method)
		.map(({ plan }) => plan)
		.sort(byTime);

/** Plans that may turn out to be faster than the first of them, which is predicted to be the fastest. */
function contend(lists: readonly (readonly Plan[])[]): Plan[] {
	const plans = lists.flat().sort(byTime);
	const limit = CONTENDER_FACTOR * (plans[0]?.predicted.milliseconds ?? 0);
	return plans.filter(({ predicted }) => predicted.milliseconds <= limit);
}

/** What a backend could do; nothing where the image lies in a memory that it cannot read. */
function candidatesOf(backend: Backend, problem: Problem, wish: PlanWish): Candidate[] {
	const all = backend.candidates(problem, wish);
	if (wish.memory !== 'device' || backend.capabilities.resident === true) return all;
	const why = 'image and result are in device memory';
	return all.map(({ algorithm }) => ({
		name: `${algorithm}@${backend.name}`,
		backend: backend.name,
		algorithm,
		code: 'UNSUPPORTED',
		why,
	}));
}

/**
 * @param backends usable ones, in order of preference
 * @throws UNSUPPORTED with every reason, where none can do it
 */
export function choose(problem: Problem, backends: readonly Backend[], policy: Policy, absent: readonly Absent[] = []): Decision {
	const lists = backends.map((backend) => candidatesOf(backend, problem, policy.wish));
	const candidates: Candidate[] = [
		...lists.flat(),
		...absent.map(
			({ name, reason }): Candidate => ({ name, backend: name, algorithm: 'direct', code: 'BACKEND_UNAVAILABLE', why: reason }),
		),
	];
	const plansOf = lists.map((list) => allowed(list, policy.wish.method)).filter((plans) => plans.length > 0);
	const plans = plansOf.map((list) => preferred(problem, list));
	if (policy.order === 'cost') plans.sort(byTime);
	const [plan, ...fallbacks] = plans;
	if (plan === undefined) {
		const relevant = candidates.filter(({ algorithm }) => policy.wish.method === 'auto' || algorithm === policy.wish.method);
		const reasons = relevant.map(({ name, why }) => `${name}: ${why}`);
		throw new FaltungError(
			'UNSUPPORTED',
			`No plan for ${describe(problem)} with method '${policy.wish.method}': ${reasons.join('; ')}. Leave method and backend at 'auto'.`,
		);
	}
	const others = contend(policy.order === 'cost' ? plansOf : plansOf.slice(0, 1)).filter((other) => other !== plan);
	const contenders = [plan, ...others].slice(0, MOST_CONTENDERS);
	return { problem, plan, fallbacks, contenders, candidates };
}

/** The decision with another of its plans in front; nothing is left to measure. */
export const preferring = (decision: Decision, plan: Plan): Decision => ({
	...decision,
	plan,
	fallbacks: [decision.plan, ...decision.fallbacks].filter(({ backend }) => backend !== plan.backend),
	contenders: [plan],
});

/** What a measurement holds for: the problem, and the plans that were compared. */
export const problemClass = ({ problem, contenders }: Decision): string =>
	[describe(problem), ...contenders.map(({ name, accumulator, threads }) => `${name} ${accumulator} ${threads ?? 1}`)].join('; ');
