#!/usr/bin/env node
/**
 * Builds native/build/Release/faltung.node with node-gyp.
 *
 *   node scripts/build-native.mjs             builds; exits 1 with the reason where it cannot
 *   node scripts/build-native.mjs --optional  says one sentence instead and exits 0 (for npm's prepare)
 *   node scripts/build-native.mjs --force     builds although nothing has changed
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const native = join(root, 'native');
const stamp = join(native, 'build', 'faltung.stamp');
const optional = process.argv.includes('--optional');

/** What the build depends on: every source, this Node's ABI, the machine. */
function fingerprint() {
	const hash = createHash('sha256');
	hash.update([process.version, process.arch, process.platform, process.env.CC ?? '', process.env.CFLAGS ?? ''].join('\n'));
	const sources = readdirSync(native).filter((name) => /\.(c|h|def|gyp)$/.test(name));
	for (const name of sources.sort()) hash.update(name).update(readFileSync(join(native, name)));
	return hash.digest('hex');
}

function stop(reason, detail) {
	if (optional) {
		console.log(`faltung: the native backend was not built (${reason}); other backends work, and npm run build:native tries again.`);
		process.exit(0);
	}
	console.error(`faltung: the native backend could not be built: ${reason}.`);
	if (detail) console.error(detail);
	process.exit(1);
}

const runs = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** The first tool that is missing, or undefined. */
function missingTool() {
	if (process.platform === 'win32') return 'the C sources need GCC or Clang, which node-gyp does not use on Windows';
	const compiler = (process.env.CC ?? 'cc').split(' ')[0];
	if (!runs(compiler, ['--version']) && !runs('gcc', ['--version'])) return 'no C compiler was found; install gcc or clang';
	if (!runs('make', ['--version'])) return 'make was not found; install it';
	if (!['python3', 'python', process.env.PYTHON ?? 'python3'].some((name) => runs(name, ['--version'])))
		return 'python3, which node-gyp needs, was not found; install it';
	return undefined;
}

function nodeGyp() {
	try {
		const require = createRequire(import.meta.url);
		const manifest = require.resolve('node-gyp/package.json');
		return join(dirname(manifest), require(manifest).bin['node-gyp'] ?? 'bin/node-gyp.js');
	} catch {
		return undefined;
	}
}

const wanted = fingerprint();
const output = join(native, 'build', 'Release', 'faltung.node');
if (!process.argv.includes('--force') && existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) {
	if (!optional) console.log('faltung: the native backend is up to date.');
	process.exit(0);
}
const missing = missingTool();
if (missing !== undefined) stop(missing);
const gyp = nodeGyp();
if (gyp === undefined) stop('node-gyp is not installed; run npm install');

// the headers that came with this Node make a download unnecessary
const prefix = dirname(dirname(process.execPath));
const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
const result = spawnSync(process.execPath, [gyp, 'rebuild', '--directory', native, '--jobs', 'max', ...headers], {
	encoding: 'utf8',
	maxBuffer: 1 << 26,
});
if (result.status !== 0 || !existsSync(output)) {
	const log = `${result.stdout ?? ''}${result.stderr ?? ''}`;
	const error = log.split('\n').find((line) => /error/i.test(line)) ?? `node-gyp ended with ${result.status ?? result.signal}`;
	stop(error.trim(), log);
}
mkdirSync(dirname(stamp), { recursive: true });
writeFileSync(stamp, wanted);
if (!optional) console.log(`faltung: built ${output}`);
