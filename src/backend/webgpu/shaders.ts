/** What the program knows of the shaders: everything by the names that the WGSL itself uses. */
import { SHADERS } from './shaders.gen.ts';

export type ShaderName = keyof typeof SHADERS;
export type Override<S extends ShaderName> = (typeof SHADERS)[S]['overrides'][number];
export type Constant<S extends ShaderName> = (typeof SHADERS)[S]['constants'][number];
/** Entry points, and the bindings that one of them reaches. */
export type Entry<S extends ShaderName> = keyof (typeof SHADERS)[S]['entries'] & string;
type Reached<S extends ShaderName, E extends Entry<S>> = (typeof SHADERS)[S]['entries'][E] extends readonly (infer B extends string)[]
	? B
	: never;
/** Uniform variables that are structs, and their fields. */
type UniformStruct<S extends ShaderName> = keyof (typeof SHADERS)[S]['uniforms'] & string;
type Field<S extends ShaderName, V extends UniformStruct<S>> = keyof (typeof SHADERS)[S]['uniforms'][V] & string;

/** One compiled variant of a shader. */
export interface Specialisation<S extends ShaderName = ShaderName> {
	readonly shader: S;
	/** Entry point; absent: main. */
	readonly entry?: string;
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
export function specialisationKey({ shader, entry = MAIN, overrides, constants }: Specialisation): string {
	const sorted = (record: Readonly<Record<string, number>>) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
	return JSON.stringify([shader, entry, SHADERS[shader].hash, sorted(overrides), sorted(constants)]);
}

/** A uniform struct's words in the order of the WGSL. */
export function uniformWords<S extends ShaderName, V extends UniformStruct<S>>(
	shader: S,
	variable: V,
	values: Readonly<Record<Field<S, V>, number>>,
): Uint32Array {
	const places = (SHADERS[shader].uniforms as Readonly<Record<string, Readonly<Record<string, number>>>>)[variable] as Record<
		string,
		number
	>;
	const words = new Uint32Array(Object.keys(places).length);
	for (const [name, value] of Object.entries<number>(values)) words[places[name] as number] = value;
	return words;
}

const MAIN = 'main';

interface Declared {
	readonly binding: number;
	readonly space: string;
}

/** The declared bindings that an entry point reaches, in the order of the text. */
function reachedBy(shader: ShaderName, entry: string): [name: string, declared: Declared][] {
	const { bindings, entries }: { bindings: object; entries: object } = SHADERS[shader];
	const names = (entries as Readonly<Record<string, readonly string[]>>)[entry];
	if (names === undefined) throw new Error(`shader ${shader} has no entry point ${entry}`);
	return names.map((name) => [name, (bindings as Readonly<Record<string, Declared>>)[name] as Declared]);
}

/** Bind group layout of an entry point, from the shader's declarations. */
export function bindGroupLayoutEntries(shader: ShaderName, entry: string = MAIN): GPUBindGroupLayoutEntry[] {
	const types: Readonly<Record<string, GPUBufferBindingType>> = {
		uniform: 'uniform',
		'storage,read': 'read-only-storage',
		'storage,read_write': 'storage',
	};
	const COMPUTE = 4; // GPUShaderStage.COMPUTE; the global need not exist where the device came from a package
	return reachedBy(shader, entry).map(([, { binding, space }]) => ({
		binding,
		visibility: COMPUTE,
		buffer: { type: types[space] as GPUBufferBindingType },
	}));
}

/** @param resources at least those that the entry point reaches */
export function bindGroupEntries<S extends ShaderName, E extends Entry<S> = 'main' & Entry<S>>(
	shader: S,
	resources: Readonly<Record<Reached<S, E>, GPUBufferBinding>>,
	entry: E = MAIN as E,
): GPUBindGroupEntry[] {
	return reachedBy(shader, entry).map(([name, { binding }]) => ({
		binding,
		resource: (resources as Readonly<Record<string, GPUBufferBinding>>)[name] as GPUBufferBinding,
	}));
}
