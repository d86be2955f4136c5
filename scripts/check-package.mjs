// Packs the project as it would be published, installs it into an empty folder and uses it from ESM, from CommonJS by
// require(), and from TypeScript; then asks publint and arethetypeswrong. Exits non-zero with the first thing that fails.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), 'faltung-package-'));
const run = (command, args, cwd) => execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const USE =
	"const r = await convolve([[1, 1, 1]], [[1], [2], [1]]); if (r.data.join() !== '1,1,1,2,2,2,1,1,1') throw new Error(r.data.join());";

try {
	const [packed] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root));
	const files = packed.files.map(({ path }) => path);
	for (const file of ['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md']) {
		if (!files.includes(file)) throw new Error(`The package lacks ${file}.`);
	}
	if (files.includes('binding.gyp')) throw new Error('binding.gyp in the package root would be an install script.');
	const published = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
	for (const script of ['preinstall', 'install', 'postinstall']) {
		if (published.scripts[script] !== undefined) throw new Error(`The package would run ${script} where it is installed.`);
	}
	writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
	run('npm', ['install', '--no-audit', '--no-fund', '--omit=optional', join(folder, packed.filename)], folder);

	writeFileSync(join(folder, 'esm.mjs'), `import { convolve } from 'faltung'; ${USE}`);
	run('node', ['esm.mjs'], folder);
	writeFileSync(join(folder, 'common.cjs'), `const { convolve } = require('faltung'); (async () => { ${USE} })();`);
	run('node', ['common.cjs'], folder);
	writeFileSync(
		join(folder, 'types.mts'),
		"import { convolve, kernels } from 'faltung';\nconst r = await convolve({ data: new Uint8Array(4), shape: [2, 2] }, kernels.box({ size: 3 }), { outputDtype: 'float32' });\nconst data: Float32Array = r.data;\nconsole.log(data.length);\n",
	);
	const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
	const compilerOptions = {
		strict: true,
		noEmit: true,
		module: 'nodenext',
		target: 'es2022',
		lib: ['es2023', 'dom', 'esnext.disposable'],
		types: [],
	};
	writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.mts'] }));
	run('node', [tsc, '-p', 'tsconfig.json'], folder);
	run('npx', ['--no-install', 'publint', '--strict', join(folder, packed.filename)], root);
	run('npx', ['--no-install', 'attw', '--profile', 'esm-only', join(folder, packed.filename)], root);
	console.log(
		`${packed.filename}: ${packed.files.length} files, ${(packed.size / 1024).toFixed(0)} KiB packed; works from ESM, CommonJS and TypeScript`,
	);
} finally {
	rmSync(folder, { recursive: true, force: true });
}
