/** Choosing: from every backend's candidates to one Decision. Pure: backends answer from data, nothing is run. */
import type { Backend, PlanWish } from '../backend/backend.ts';
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

/** The cheapest plan of one backend that the forced method allows. */
function best(list: readonly Candidate[], method: PlanWish['method']): Plan | undefined {
	const plans = list.filter(planned).filter(({ algorithm }) => method === 'auto' || algorithm === method);
	plans.sort((a, b) => a.plan.predicted.milliseconds - b.plan.predicted.milliseconds);
	return plans[0]?.plan;
}

/**
 * @param backends usable ones, in order of preference
 * @throws UNSUPPORTED with every reason, where none can do it
 */
export function choose(problem: Problem, backends: readonly Backend[], policy: Policy, absent: readonly Absent[] = []): Decision {
	const lists = backends.map((backend) => backend.candidates(problem, policy.wish));
	const candidates: Candidate[] = [
		...lists.flat(),
		...absent.map(
			({ name, reason }): Candidate => ({ name, backend: name, algorithm: 'direct', code: 'BACKEND_UNAVAILABLE', why: reason }),
		),
	];
	const plans = lists.map((list) => best(list, policy.wish.method)).filter((plan) => plan !== undefined);
	if (policy.order === 'cost') plans.sort((a, b) => a.predicted.milliseconds - b.predicted.milliseconds);
	const [plan, ...fallbacks] = plans;
	if (plan === undefined) {
		const relevant = candidates.filter(({ algorithm }) => policy.wish.method === 'auto' || algorithm === policy.wish.method);
		const reasons = relevant.map(({ name, why }) => `${name}: ${why}`);
		throw new FaltungError(
			'UNSUPPORTED',
			`No plan for ${describe(problem)} with method '${policy.wish.method}': ${reasons.join('; ')}. Leave method and backend at 'auto'.`,
		);
	}
	return { problem, plan, fallbacks, candidates };
}
