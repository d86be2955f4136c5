/** Which backends a request may use, loaded: the caller's wish, else the environment's, else all of them. */
import type { Backend } from '../backend/backend.ts';
import { type BackendName, loadBackend } from '../backend/registry.ts';
import { FaltungError, invalid, show } from '../core/errors.ts';
import type { Absent } from '../plan/choose.ts';
import { type Environment, reasonOf } from './environment.ts';
import type { PlanSettings } from './options.ts';

export interface Selection {
	readonly backends: readonly Backend[];
	readonly absent: readonly Absent[];
	readonly order: 'cost' | 'preference';
	/** A failing backend is followed by the next one. */
	readonly mayFallBack: boolean;
	/** Under 'auto': opens the GPU, for work that is worth it. */
	readonly device?: () => Promise<Pick<Selection, 'backends' | 'absent'>>;
}

/** Backends that gave a wrong answer in this process; 'auto' leaves them alone. */
const distrusted = new WeakSet<Backend>();

export const distrust = (backend: Backend): void => {
	distrusted.add(backend);
};

/** Throws BACKEND_UNAVAILABLE where FALTUNG_REQUIRE names a backend that this machine cannot use. */
async function checkRequired(environment: Environment): Promise<void> {
	for (const name of environment.require) {
		try {
			await loadBackend(name, environment);
		} catch (error) {
			throw new FaltungError('BACKEND_UNAVAILABLE', `FALTUNG_REQUIRE asks for ${name}, which cannot be used: ${reasonOf(error)}`, {
				cause: error,
			});
		}
	}
}

async function loadAll(
	wanted: readonly (BackendName | Backend)[],
	environment: Environment,
): Promise<{ backends: Backend[]; absent: Absent[]; errors: unknown[] }> {
	const backends: Backend[] = [];
	const absent: Absent[] = [];
	const errors: unknown[] = [];
	for (const entry of wanted) {
		if (typeof entry !== 'string') {
			backends.push(entry);
			continue;
		}
		try {
			backends.push(await loadBackend(entry, environment));
		} catch (error) {
			absent.push({ name: entry, reason: reasonOf(error) });
			errors.push(error);
		}
	}
	return { backends, absent, errors };
}

/**
 * @throws BACKEND_UNAVAILABLE where none that was asked for can be used, and under 'auto' where FALTUNG_ISA names an
 *   instruction set that this machine lacks
 */
export async function selectBackends(settings: PlanSettings, environment: Environment): Promise<Selection> {
	const wanted = settings.backend ?? environment.backend;
	if (settings.backend === undefined || settings.backend.length > 1) await checkRequired(environment);
	if (wanted === undefined) return selectAutomatically(environment);
	const { backends, absent, errors } = await loadAll(wanted, environment);
	const twice = backends.find((backend, k) => backends.findIndex(({ name }) => name === backend.name) !== k);
	if (twice !== undefined) throw invalid('backends of different names', 'option backend', `two called ${show(twice.name)}`);
	if (backends.length === 0) {
		if (errors.length === 1) throw errors[0];
		throw new FaltungError('BACKEND_UNAVAILABLE', absent.map(({ name, reason }) => `${name}: ${reason}`).join(' '));
	}
	return { backends, absent, order: 'preference', mayFallBack: wanted.length > 1 };
}

async function selectAutomatically(environment: Environment): Promise<Selection> {
	if (environment.isa !== undefined) await loadBackend('native', environment);
	const { backends, absent } = await loadAll(['native', 'reference'], environment);
	const wrong = backends.filter((backend) => distrusted.has(backend));
	return {
		backends: backends.filter((backend) => !wrong.includes(backend)),
		absent: [...absent, ...wrong.map((backend) => ({ name: backend.name, reason: WRONG_BEFORE }))],
		order: 'cost',
		mayFallBack: true,
		device: () => selectDevice(environment),
	};
}

/** The reason against a backend that is distrusted. */
export const WRONG_BEFORE = 'gave a wrong answer earlier in this process';

/** The GPU, if it is a real one and has not been wrong. */
async function selectDevice(environment: Environment): Promise<Pick<Selection, 'backends' | 'absent'>> {
	const { backends, absent } = await loadAll(['webgpu'], environment);
	const [backend] = backends;
	if (backend === undefined) return { backends, absent };
	const { software, device } = backend.capabilities;
	if (software === true) {
		const reason = `${device ?? 'the device'} is a software adapter: used when asked for, never chosen`;
		return { backends: [], absent: [{ name: backend.name, reason }] };
	}
	return distrusted.has(backend) ? { backends: [], absent: [{ name: backend.name, reason: WRONG_BEFORE }] } : { backends, absent };
}
