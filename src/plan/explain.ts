/** A Decision as text for a person and as data for a machine. */
import type { Candidate, Decision } from '../core/plan.ts';
import { describe } from '../core/problem.ts';
import { showStep } from '../core/steps.ts';

/** Milliseconds with three significant digits. */
export function showMilliseconds(ms: number): string {
	if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
	return ms >= 1 ? `${ms.toPrecision(3)} ms` : `${(ms * 1000).toPrecision(3)} µs`;
}

function row(candidate: Candidate, decision: Decision, width: number): string {
	const mark = candidate.plan === decision.plan ? '>' : ' ';
	const cost = candidate.plan === undefined ? 'no' : showMilliseconds(candidate.plan.predicted.milliseconds);
	return `${mark} ${candidate.name.padEnd(width)}  ${cost.padStart(8)}  ${candidate.why}`;
}

/** Several lines: the problem, what was chosen and what is known about it, every candidate with its cost or its reason. */
export function explain(decision: Decision): string {
	const { plan, problem, candidates } = decision;
	const depth = plan.model.unit === 0 ? 'exact' : `within γ(${plan.model.depth})·Σ|tap·pixel|, u = 2^${Math.log2(plan.model.unit)}`;
	const width = Math.max(...candidates.map(({ name }) => name.length));
	return [
		`${describe(problem)}  ->  ${problem.output.dtype} [${problem.output.shape.join(', ')}]`,
		`plan         ${plan.name}`,
		`predicted    ${showMilliseconds(plan.predicted.milliseconds)}, ${plan.predicted.bytes} bytes beside image and result`,
		`sums         ${plan.accumulator}, ${depth}`,
		`store        ${problem.output.dtype}, ${plan.overflow}`,
		`steps        ${plan.steps.map(showStep).join(', ')}`,
		'candidates',
		...candidates.map((candidate) => row(candidate, decision, width)),
	].join('\n');
}

/** The Decision as JSON data: taps are left out, BigInts become strings. */
export function toJSON(decision: Decision): Record<string, unknown> {
	const { windows, ...problem } = decision.problem;
	return {
		...decision.plan,
		problem: {
			...problem,
			text: describe(decision.problem),
			value: typeof problem.value === 'bigint' ? `${problem.value}` : problem.value,
			windows: windows.map(({ rows, cols, first }) => ({ rows, cols, first })),
		},
		fallbacks: decision.fallbacks.map(({ name }) => name),
		candidates: decision.candidates.map(({ name, plan, why }) => ({ name, milliseconds: plan?.predicted.milliseconds ?? null, why })),
	};
}
