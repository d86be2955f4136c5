/** A Decision as text for a person and as data for a machine. */
import { relativeBound } from '../core/bounds.ts';
import type { Candidate, Decision } from '../core/plan.ts';
import { describe, type Problem } from '../core/problem.ts';
import { showStep } from '../core/steps.ts';

/** Milliseconds with three significant digits. */
export function showMilliseconds(ms: number): string {
	if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
	return ms >= 1 ? `${ms.toPrecision(3)} ms` : `${(ms * 1000).toPrecision(3)} µs`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes with three significant digits. */
export function showBytes(bytes: number): string {
	let [value, unit] = [bytes, 0];
	while (value >= 1000 && unit < UNITS.length - 1) {
		value /= 1024;
		unit++;
	}
	return `${unit === 0 ? value : value.toPrecision(3)} ${UNITS[unit]}`;
}

/** Relative to max|image|·Σ|kernel|. */
const showBound = (bound: number): string => (bound === 0 ? 'exact' : bound.toExponential(1));

/** Possible ones first, by predicted time; the others in the order in which they were given. */
function ranked(candidates: readonly Candidate[]): Candidate[] {
	const time = ({ plan }: Candidate) => plan?.predicted.milliseconds ?? Infinity;
	return candidates
		.map((candidate, k) => ({ candidate, k }))
		.sort((a, b) => time(a.candidate) - time(b.candidate) || a.k - b.k)
		.map(({ candidate }) => candidate);
}

/** Columns padded to the widest cell; the last one as it is. */
function aligned(rows: readonly (readonly string[])[], right: readonly number[]): string[] {
	const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
	return rows.map((row) =>
		row
			.map((cell, column) => {
				if (column === row.length - 1) return cell;
				return right.includes(column) ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number);
			})
			.join('  ')
			.trimEnd(),
	);
}

function cells(candidate: Candidate, problem: Problem, chosen: boolean): string[] {
	const { plan, name, why } = candidate;
	const mark = `${chosen ? '>' : ' '} ${name}`;
	if (plan === undefined) return [mark, 'no', '', '', why];
	const { milliseconds, bytes } = plan.predicted;
	return [mark, showMilliseconds(milliseconds), showBytes(bytes), showBound(relativeBound(problem, plan)), why];
}

/** Several lines: the problem, what was chosen and what is known about it, every candidate with its cost or its reason. */
export function explain(decision: Decision): string {
	const { plan, problem, candidates } = decision;
	const { model, predicted } = plan;
	const rows = ranked(candidates).map((candidate) => cells(candidate, problem, candidate.plan === plan));
	const error =
		model.unit === 0
			? 'exact'
			: `within γ(${model.depth})·Σ|tap·pixel|, u = 2^${Math.log2(model.unit)}; ${showBound(relativeBound(problem, plan))} of max|image|·Σ|kernel|`;
	return [
		`${describe(problem)}  ->  ${problem.output.dtype} [${problem.output.shape.join(', ')}]`,
		`plan         ${plan.name}`,
		`predicted    ${showMilliseconds(predicted.milliseconds)}, ${showBytes(predicted.bytes)} beside image and result`,
		...(predicted.from === undefined ? [] : [`constants    ${predicted.from}`]),
		`sums         ${plan.accumulator}, ${error}`,
		`store        ${problem.output.dtype}, ${plan.overflow}`,
		`steps        ${plan.steps.map(showStep).join(', ')}`,
		...aligned([['candidates', 'time', 'memory', 'error', 'why'], ...rows], [1, 2, 3]),
	].join('\n');
}

/** The Decision as JSON data: the kernel's taps are left out, BigInts become strings. */
export function toJSON(decision: Decision): Record<string, unknown> {
	const { windows, ...problem } = decision.problem;
	return {
		...decision.plan,
		bound: relativeBound(decision.problem, decision.plan),
		problem: {
			...problem,
			text: describe(decision.problem),
			value: typeof problem.value === 'bigint' ? `${problem.value}` : problem.value,
			windows: windows.map(({ rows, cols, first }) => ({ rows, cols, first })),
		},
		fallbacks: decision.fallbacks.map(({ name }) => name),
		candidates: ranked(decision.candidates).map(({ name, algorithm, backend, plan, why }) => ({
			name,
			algorithm,
			backend,
			milliseconds: plan?.predicted.milliseconds ?? null,
			bytes: plan?.predicted.bytes ?? null,
			bound: plan === undefined ? null : relativeBound(decision.problem, plan),
			why,
		})),
	};
}
