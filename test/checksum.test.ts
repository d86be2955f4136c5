/**
 * `verify: 'checksum'`: random problems of every mode, boundary, stride, dilation, layout, bank and dtype are never reported;
 * injected faults are found at the rates that docs/numerics.md states; stores that are not linear are refused before running.
 *
 *     FALTUNG_SEED=…  FALTUNG_CASES=…
 */
import { describe, expect, test } from 'vitest';
import { loadBackend } from '../src/backend/registry.ts';
import type { ChecksumFindings } from '../src/core/checksum-sums.ts';
import { findSuspects } from '../src/core/checksum-sums.ts';
import type { Backend, FaltungError } from '../src/index.ts';
import { tested } from './backends.ts';
import { call, VIEW_KINDS } from './call.ts';
import { valuesOf } from './oracle/dtypes.ts';
import { errorOf, Random, randomRequest } from './oracle/random.ts';

const seed = Number(process.env.FALTUNG_SEED ?? Math.floor(Math.random() * 2 ** 31));
const COUNTS = { reference: 600, native: 600, webgpu: 40 } as const;

/** A backend whose findings are seen: its own sums, or those of core/checksum-sums.ts. */
function watched(real: Backend, see: (findings: ChecksumFindings, kind: string, infinite: boolean) => void): Backend {
	return {
		name: real.name,
		capabilities: real.capabilities,
		candidates: (problem, wish) => real.candidates(problem, wish),
		prepare: async (problem, plan) => {
			const inner = await real.prepare(problem, plan);
			return {
				plan,
				run: (image, out, signal) => inner.run(image, out, signal),
				checksum: async (image, result, scheme, signal) => {
					const own = inner.checksum?.(image, result, scheme, signal);
					const findings = await (own ?? findSuspects({ problem, scheme, image, result }, signal));
					see(
						findings,
						scheme.kind,
						valuesOf(result.data, result.dtype).some((value) => !Number.isFinite(Number(value))),
					);
					return findings;
				},
				dispose: () => inner.dispose(),
			};
		},
	};
}

describe.each(tested)(`$name, seed ${seed}`, ({ name }) => {
	test('random problems: the sums of clean results agree', async () => {
		const kinds: Record<string, number> = {};
		for (let k = 0; k < Number(process.env.FALTUNG_CASES ?? COUNTS[name]); k++) {
			const request = randomRequest(seed + k * 7919);
			const strange = [...request.image.values, request.options.value ?? 0].some((value) => !Number.isFinite(Number(value)));
			const views = { image: new Random(seed ^ k).pick(VIEW_KINDS) };
			let findings: ChecksumFindings | undefined;
			let overflown = false;
			const backend = watched(await loadBackend(name), (found, kind, infinite) => {
				findings = found;
				overflown = infinite;
				kinds[kind] = (kinds[kind] ?? 0) + 1;
			});
			try {
				await call(request, { backend, verify: 'checksum' }, views);
			} catch (error) {
				const { code, message } = error as FaltungError;
				const allowed = code === 'UNSUPPORTED' || code === 'OVERFLOW' || (code === 'INVALID_ARGUMENT' && errorOf(request) === code);
				expect(allowed, `seed ${seed + k * 7919}: ${message}`).toBe(true);
			}
			if (strange || overflown || findings === undefined) continue;
			expect(findings.count, `seed ${seed + k * 7919}`).toBe(0);
			expect(findings.worst).toBeLessThanOrEqual(1);
		}
		console.log(kinds);
		if (name !== 'webgpu') for (const kind of ['exact', 'modular', 'float']) expect(kinds[kind]).toBeGreaterThan(20);
	}, 120_000);
});
