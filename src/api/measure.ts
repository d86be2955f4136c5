/** Policy 'measure': the contenders of a Decision run on the caller's own data, each verified; the fastest is taken from then on. */
import type { Plan } from '../core/plan.ts';

/** What a race is run on. */
export interface Track {
	/** Computes with a plan; milliseconds of the run alone, without compiling. */
	run(plan: Plan): Promise<number>;
	/** Verifies the result of the last run. */
	check(plan: Plan): Promise<void>;
	/** True where the failure speaks against the plan alone; it is then out of the race. */
	forgive(plan: Plan, error: unknown): boolean;
}

/** Plans slower than this many times the fastest get no second run. */
const HOPELESS = 2;

/**
 * Every plan once, checked; then those near the fastest again. The first run of all meets memory that was never touched, so the plan
 * that had it always gets a second one.
 *
 * @returns the plans that did not fail, the fastest first
 */
export async function race(plans: readonly Plan[], track: Track): Promise<Plan[]> {
	const best = new Map<Plan, number>();
	for (const plan of plans) {
		try {
			best.set(plan, await track.run(plan));
			await track.check(plan);
		} catch (error) {
			best.delete(plan);
			if (!track.forgive(plan, error)) throw error;
		}
	}
	const limit = HOPELESS * Math.min(...best.values());
	const again = [...best].filter(([plan, time]) => best.size > 1 && (plan === plans[0] || time <= limit));
	for (const [plan, time] of again) best.set(plan, Math.min(time, await track.run(plan)));
	return [...best].sort(([, a], [, b]) => a - b).map(([plan]) => plan);
}
