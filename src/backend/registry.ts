/** The backends by name, each loaded only when it is wanted. */
import type { Backend } from './backend.ts';
import type { WebGpu, WebGpuOptions } from './webgpu/webgpu.ts';

export type BackendName = 'webgpu' | 'native' | 'reference';

/** In the order in which 'auto' falls back. */
export const BACKEND_NAMES: readonly BackendName[] = ['webgpu', 'native', 'reference'];

export interface LoadOptions {
	/** FALTUNG_ISA: the only instruction set that the native backend may use. */
	readonly isa?: string | undefined;
}

const LOADERS: Readonly<Record<BackendName, (options: LoadOptions) => Promise<Backend>>> = {
	webgpu: () => openWebGpu(),
	native: async ({ isa }) => (await import('./native/native.ts')).loadNative(isa === undefined ? {} : { isa }),
	reference: async () => (await import('./reference.ts')).referenceBackend,
};

const loaded = new Map<string, Promise<Backend>>();

/** @throws BACKEND_UNAVAILABLE with the reasons; asked again, it gives the same answer without trying again */
export function loadBackend(name: BackendName, options: LoadOptions = {}): Promise<Backend> {
	const key = `${name} ${options.isa ?? ''}`;
	let backend = loaded.get(key);
	if (backend === undefined) {
		backend = LOADERS[name](options);
		loaded.set(key, backend);
	}
	return backend;
}

/** What policy 'measure' found out, by problem class: names of plans. */
export interface ChoiceMemory {
	recall(problemClass: string): string | undefined;
	remember(problemClass: string, plan: string): void;
}

let memory: Promise<ChoiceMemory> | undefined;

/** Kept for this process; in Node also from one process to the next. */
export function choiceMemory(): Promise<ChoiceMemory> {
	memory ??= openMemory();
	return memory;
}

/** The calibration file, where there are files. */
async function calibrationFile() {
	const { process } = globalThis as { process?: { versions?: { node?: string } } };
	return process?.versions?.node === undefined ? undefined : await import('./native/calibration.ts');
}

/**
 * Opens a WebGPU device, with what `faltung calibrate` measured on it.
 *
 * @throws BACKEND_UNAVAILABLE with the reason: no package, no adapter, no device
 */
export async function openWebGpu(options: WebGpuOptions = {}): Promise<WebGpu> {
	const { openWebGpu: open } = await import('./webgpu/webgpu.ts');
	const { devices, problem } = (await calibrationFile())?.measuredDevices() ?? { devices: {} };
	return open(options, { measured: devices, warnings: problem === undefined ? [] : [problem] });
}

async function openMemory(): Promise<ChoiceMemory> {
	const file = await calibrationFile();
	const choices = new Map(Object.entries(file?.savedChoices() ?? {}));
	return {
		recall: (problemClass) => choices.get(problemClass),
		remember: (problemClass, plan) => {
			choices.set(problemClass, plan);
			file?.saveChoice(problemClass, plan);
		},
	};
}
