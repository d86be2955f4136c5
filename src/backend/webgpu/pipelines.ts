/** Compiled pipelines of one device, each made once, asynchronously, under a key derived from its source. */
import type { DeviceErrors } from './errors.ts';
import { bindGroupLayoutEntries, type ShaderName, type Specialisation, specialisationKey, specialise } from './shaders.ts';

export interface Pipeline {
	readonly pipeline: GPUComputePipeline;
	readonly layout: GPUBindGroupLayout;
}

export class PipelineCache {
	readonly #device: GPUDevice;
	readonly #errors: DeviceErrors;
	readonly #pipelines = new Map<string, Promise<Pipeline>>();
	readonly #layouts = new Map<string, GPUBindGroupLayout>();

	constructor(device: GPUDevice, errors: DeviceErrors) {
		this.#device = device;
		this.#errors = errors;
	}

	get size(): number {
		return this.#pipelines.size;
	}

	get(specialisation: Specialisation): Promise<Pipeline> {
		const key = specialisationKey(specialisation);
		let made = this.#pipelines.get(key);
		if (made === undefined) {
			made = this.#make(specialisation, key);
			this.#pipelines.set(key, made);
			made.catch(() => this.#pipelines.delete(key)); // a later call may try again
		}
		return made;
	}

	async #make(specialisation: Specialisation, label: string): Promise<Pipeline> {
		const { shader, entry = 'main', overrides } = specialisation;
		const layout = this.#layout(shader, entry);
		const { value: module, settled } = this.#errors.scope(() =>
			this.#device.createShaderModule({ label, code: specialise(specialisation) }),
		);
		const compiling = this.#device.createComputePipelineAsync({
			label,
			layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
			compute: { module, entryPoint: entry, constants: overrides as Record<string, number> },
		});
		const [pipeline] = await this.#errors.all([compiling, settled]);
		return { pipeline, layout };
	}

	#layout(shader: ShaderName, entry: string): GPUBindGroupLayout {
		const label = `${shader} ${entry}`;
		let layout = this.#layouts.get(label);
		if (layout === undefined) {
			layout = this.#device.createBindGroupLayout({ label, entries: bindGroupLayoutEntries(shader, entry) });
			this.#layouts.set(label, layout);
		}
		return layout;
	}
}
