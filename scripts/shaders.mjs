// Turns shaders/*.wgsl into src/backend/webgpu/shaders.gen.ts: the text, and what the program must know of it (binding numbers,
// what each entry point reaches of them, places in the uniform structs, override and const names), read from the WGSL so that nothing is retyped. WGSL cannot include, and every
// file shall be valid as it lies: those with a section between the marks below carry a copy of common.wgsl, which is renewed first.
//
//   node scripts/shaders.mjs            renew the copies and write the module
//   node scripts/shaders.mjs --check    exit 1 if a committed copy or the module is not what the shaders give
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../shaders/', import.meta.url));
const target = fileURLToPath(new URL('../src/backend/webgpu/shaders.gen.ts', import.meta.url));

const BEGIN = '// ── begin: a copy of common.wgsl, made by scripts/shaders.mjs; edit it there ──\n';
const END = '// ── end ──\n';

const common = readFileSync(`${folder}common.wgsl`, 'utf8');

/** The file with a fresh copy of common.wgsl, where it carries one. */
function renewed(text) {
	const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
	return begin < 0 ? text : `${text.slice(0, begin)}${BEGIN}\n${common}\n${text.slice(end)}`;
}

const all = (text, pattern) => [...text.matchAll(pattern)];

/** Uniform structs hold 32-bit scalars only: field k lies in word k. By variable. */
function uniformFields(name, text) {
	const structs = all(text, /var<uniform>\s+(\w+)\s*:\s*(\w+);/g);
	return Object.fromEntries(structs.map(([, variable, type]) => [variable, fieldsOf(name, text, type)]));
}

function fieldsOf(name, text, type) {
	const body = new RegExp(`struct ${type} \\{([^}]*)\\}`).exec(text)?.[1];
	if (body === undefined) throw new Error(`${name}: struct ${type} not found`);
	const fields = all(body.replace(/\/\/[^\n]*/g, ''), /(\w+)\s*:\s*([^,\s]+)/g);
	for (const [, field, scalar] of fields) {
		if (!/^[uif]32$/.test(scalar)) throw new Error(`${name}: ${type}.${field} is ${scalar}; only 32-bit scalars are laid out here`);
	}
	return Object.fromEntries(fields.map(([, field], k) => [field, k]));
}

/** The bindings that each entry point reaches, through whatever functions: its layout holds these and no others. */
function entriesOf(text, bindings) {
	const functions = new Map(
		all(text.replace(/\/\/[^\n]*/g, ''), /^(@compute[^\n]*\n)?fn (\w+)\(([\s\S]*?)^\}/gm).map(([, compute, name, body]) => {
			const names = new Set(all(body, /(?<![.\w])\w+/g).map(([word]) => word));
			const calls = new Set(all(body, /(?<![.\w])(\w+)\(/g).map(([, called]) => called));
			return [name, { entry: compute !== undefined, names, calls }];
		}),
	);
	const reached = (name, seen) => {
		seen.add(name);
		for (const called of functions.get(name).calls) if (functions.has(called) && !seen.has(called)) reached(called, seen);
		return seen;
	};
	const used = (name) => {
		const names = [...reached(name, new Set())].map((each) => functions.get(each).names);
		return Object.keys(bindings).filter((binding) => names.some((own) => own.has(binding)));
	};
	return Object.fromEntries([...functions].filter(([, { entry }]) => entry).map(([name]) => [name, used(name)]));
}

function describe(file) {
	const text = renewed(readFileSync(folder + file, 'utf8'));
	const name = basename(file, '.wgsl');
	const bindings = Object.fromEntries(
		all(text, /@binding\((\d+)\)\s+var<([^>]+)>\s+(\w+)/g).map(([, at, space, variable]) => [
			variable,
			{ binding: Number(at), space: space.replace(/\s/g, '') },
		]),
	);
	return [
		name,
		{
			hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
			bindings,
			entries: entriesOf(text, bindings),
			uniforms: uniformFields(name, text),
			overrides: all(text, /^override (\w+)/gm).map(([, override]) => override),
			constants: all(text, /^const (\w+) = [^;]+;$/gm).map(([, constant]) => constant),
			text,
		},
	];
}

const files = readdirSync(folder).filter((file) => file.endsWith('.wgsl') && file !== 'common.wgsl');
const shaders = Object.fromEntries(files.sort().map(describe));
const stale = files.filter((file) => shaders[basename(file, '.wgsl')].text !== readFileSync(folder + file, 'utf8'));
const generated = `// Generated from shaders/*.wgsl by scripts/shaders.mjs; do not edit.\n\nexport const SHADERS = ${JSON.stringify(shaders, undefined, '\t')} as const;\n`;

if (process.argv.includes('--check')) {
	let committed = '';
	try {
		committed = readFileSync(target, 'utf8');
	} catch {
		// absent: not fresh
	}
	if (committed !== generated || stale.length > 0) {
		const wrong = [...stale.map((file) => `shaders/${file}`), 'src/backend/webgpu/shaders.gen.ts'];
		console.error(`${wrong.join(', ')}: not what shaders/*.wgsl give: run node scripts/shaders.mjs`);
		process.exitCode = 1;
	}
} else {
	for (const file of stale) writeFileSync(folder + file, shaders[basename(file, '.wgsl')].text);
	writeFileSync(target, generated);
}
