/** What this machine offers. */
import { BACKEND_NAMES, type BackendName, loadBackend } from '../backend/registry.ts';
import { readEnvironment, reasonOf } from './environment.ts';

export interface BackendInfo {
	name: BackendName;
	usable: boolean;
	/** Why it is not usable, or why 'auto' leaves it alone. */
	reason?: string;
	device?: string;
	isa?: string;
	threads?: number;
	/** Numbers worth knowing, such as buffer limits. */
	limits: Readonly<Record<string, number | string>>;
}

/** Lists each backend: usable or not, why not, device or instruction set, limits. Never rejects for an unusable one. */
export async function backends(): Promise<BackendInfo[]> {
	const environment = readEnvironment();
	return Promise.all(
		BACKEND_NAMES.map(async (name): Promise<BackendInfo> => {
			try {
				const { device, isa, threads, limits, software } = (await loadBackend(name, environment)).capabilities;
				return {
					name,
					usable: true,
					...(software === true ? { reason: "a software adapter: used when asked for, never chosen by 'auto'" } : {}),
					...(device === undefined ? {} : { device }),
					...(isa === undefined ? {} : { isa }),
					threads,
					limits,
				};
			} catch (error) {
				return { name, usable: false, reason: reasonOf(error), limits: {} };
			}
		}),
	);
}
