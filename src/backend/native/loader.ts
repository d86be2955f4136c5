/** Finds the compiled addon: this checkout's build first, then a package for the platform. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { FaltungError } from '../../core/errors.ts';
import type { Addon } from './addon.ts';

const require = createRequire(import.meta.url);

/** Where the addon may be; src/backend/native and dist/backend/native lie equally deep. */
export function places(platform: string, arch: string): string[] {
	const name = `@faltung/native-${platform}-${arch}`;
	const local = fileURLToPath(new URL('../../../native/build/Release/faltung.node', import.meta.url));
	return [local, name, ...(platform === 'linux' ? [`${name}-musl`] : [])];
}

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0] as string;

/**
 * @param from where to look, in order
 * @throws BACKEND_UNAVAILABLE with the platform, every failure and what to do
 */
export function loadAddon(from: readonly string[] = places(process.platform, process.arch)): Addon {
	const failures: string[] = [];
	for (const place of from) {
		try {
			return require(place) as Addon;
		} catch (error) {
			failures.push(`${place}: ${firstLine(error)}`);
		}
	}
	throw new FaltungError(
		'BACKEND_UNAVAILABLE',
		`Expected a compiled native backend for ${process.platform}-${process.arch}, Node ${process.version}, but found none. ` +
			`Tried ${failures.join('; ')}. Run npm run build:native, or use another backend.`,
	);
}
