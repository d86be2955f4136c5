/** What the program knows of the shaders: everything by the names that the WGSL itself uses. */
import { SHADERS } from './shaders.gen.ts';

export type ShaderName = keyof typeof SHADERS;
export type Override<S extends ShaderName> = (typeof SHADERS)[S]['overrides'][number];
export type Constant<S extends ShaderName> = (typeof SHADERS)[S]['constants'][number];
export type Uniform<S extends ShaderName> = keyof (typeof SHADERS)[S]['uniforms'];
export type Binding<S extends ShaderName> = keyof (typeof SHADERS)[S]['bindings'];

/** One compiled variant of a shader. */
export interface Specialisation<S extends ShaderName = ShaderName> {
	readonly shader: S;
	/** Pipeline-overridable constants. */
	readonly overrides: Readonly<Partial<Record<Override<S>, number>>>;
	/** Replacements of named `const` lines, where an override cannot stand (array sizes). */
	readonly constants: Readonly<Partial<Record<Constant<S>, number>>>;
}

/** The shader's text with named `const NAME = …;` lines replaced. */
export function specialise({ shader, constants }: Specialisation): string {
	let text: string = SHADERS[shader].text;
	for (const [name, value] of Object.entries(constants)) {
		const line = new RegExp(`^const ${name} = [^;]+;$`, 'm');
		if (!line.test(text)) throw new Error(`shader ${shader} has no line "const ${name} = …;"`);
		text = text.replace(line, `const ${name} = ${value}u;`);
	}
	return text;
}

/** Identity of a variant, derived from all that goes into it. */
export function specialisationKey({ shader, overrides, constants }: Specialisation): string {
	const sorted = (record: Readonly<Record<string, number>>) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
	return JSON.stringify([shader, SHADERS[shader].hash, sorted(overrides), sorted(constants)]);
}

/** Uniforms in the order of the WGSL struct. */
export function uniformWords<S extends ShaderName>(shader: S, values: Readonly<Record<Uniform<S>, number>>): Uint32Array {
	const places = SHADERS[shader].uniforms as Readonly<Record<string, number>>;
	const words = new Uint32Array(Object.keys(places).length);
	for (const [name, value] of Object.entries<number>(values)) words[places[name] as number] = value;
	return words;
}

/** Bind group layout of a shader, from its declarations. */
export function bindGroupLayoutEntries(shader: ShaderName): GPUBindGroupLayoutEntry[] {
	const types: Readonly<Record<string, GPUBufferBindingType>> = {
		uniform: 'uniform',
		'storage,read': 'read-only-storage',
		'storage,read_write': 'storage',
	};
	const COMPUTE = 4; // GPUShaderStage.COMPUTE; the global need not exist where the device came from a package
	return Object.values<{ binding: number; space: string }>(SHADERS[shader].bindings).map(({ binding, space }) => ({
		binding,
		visibility: COMPUTE,
		buffer: { type: types[space] as GPUBufferBindingType },
	}));
}

export function bindGroupEntries<S extends ShaderName>(
	shader: S,
	resources: Readonly<Record<Binding<S>, GPUBufferBinding>>,
): GPUBindGroupEntry[] {
	const bindings = SHADERS[shader].bindings as Readonly<Record<string, { binding: number }>>;
	return Object.entries<GPUBufferBinding>(resources).map(([name, resource]) => ({
		binding: (bindings[name] as { binding: number }).binding,
		resource,
	}));
}
