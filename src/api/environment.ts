/** FALTUNG_*: what stands in for 'auto'. Read once per call or convolver; absent where there is no process. */
import { BACKEND_NAMES, type BackendName } from '../backend/registry.ts';
import { FaltungError, invalid, show } from '../core/errors.ts';
import { whole, word } from '../core/snapshot.ts';

export interface Environment {
	/** FALTUNG_BACKEND: names in order of preference. */
	readonly backend: readonly BackendName[] | undefined;
	/** FALTUNG_ISA */
	readonly isa: string | undefined;
	/** FALTUNG_THREADS */
	readonly threads: number | undefined;
	/** FALTUNG_REQUIRE: backends that must be usable. */
	readonly require: readonly BackendName[];
}

const ISAS = ['base', 'avx2', 'avx512', 'neon'] as const;

function variable(name: string): string | undefined {
	const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
	const value = process?.env?.[name]?.trim();
	return value === '' || value === 'auto' ? undefined : value;
}

const names = (value: string, variableName: string): BackendName[] =>
	value.split(',').map((name) => word(name.trim(), BACKEND_NAMES, `environment variable ${variableName}`));

/** @throws INVALID_ARGUMENT for a value that is none */
export function readEnvironment(): Environment {
	const backend = variable('FALTUNG_BACKEND');
	const isa = variable('FALTUNG_ISA');
	const threads = variable('FALTUNG_THREADS');
	const required = variable('FALTUNG_REQUIRE');
	if (threads !== undefined && !/^\d+$/.test(threads))
		throw invalid('a whole number from 1 to 1024', 'environment variable FALTUNG_THREADS', show(threads));
	return {
		backend: backend === undefined ? undefined : names(backend, 'FALTUNG_BACKEND'),
		isa: isa === undefined ? undefined : word(isa, ISAS, 'environment variable FALTUNG_ISA'),
		threads: threads === undefined ? undefined : whole(Number(threads), 1, 1024, 'environment variable FALTUNG_THREADS'),
		require: required === undefined ? [] : names(required, 'FALTUNG_REQUIRE'),
	};
}

/** The reason in an error, for a list of backends that could not be loaded. */
export const reasonOf = (error: unknown): string =>
	error instanceof FaltungError ? error.message : error instanceof Error ? error.message : show(error);
