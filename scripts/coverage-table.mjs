/**
 * Writes docs/coverage.md: API.md's options × the tests that hold them. Reads the options from src/api/options.ts, the
 * titles of the tests from vitest (they carry the option as [option]), the vectors and the random generator as they are.
 *
 *     node scripts/coverage-table.mjs
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');

const source = read('src/api/options.ts');
const keysOf = (name) => [...new RegExp(`const ${name} = \\[([^\\]]*)\\]`).exec(source)[1].matchAll(/'(\w+)'/g)].map(([, key]) => key);
const options = [...keysOf('PLAN_KEYS'), ...keysOf('RUN_KEYS')];

const list = join(mkdtempSync(join(tmpdir(), 'faltung-')), 'tests.json');
execFileSync('npx', ['vitest', 'list', '--typecheck.enabled=false', `--json=${list}`], {
	cwd: root,
	env: { ...process.env, FALTUNG_TEST_BACKENDS: 'reference' },
	stdio: ['ignore', 'ignore', 'inherit'],
});
const tests = JSON.parse(readFileSync(list, 'utf8')).map(({ name, file }) => ({
	name,
	file: relative(fileURLToPath(new URL('test/', root)), file).replace('.test.ts', ''),
}));
const tagged = (option) => tests.filter(({ name }) => new RegExp(`\\[['"]?${option}['"]?\\]`).test(name));

const cases = readdirSync(new URL('test/vectors/', root))
	.filter((name) => name.endsWith('.json'))
	.flatMap((name) => JSON.parse(read(`test/vectors/${name}`)).cases);
const inVectors = (option) => cases.filter((one) => option in one.options || (option === 'layout' && 'layout' in one.image)).length;

const generator = read('test/oracle/random.ts') + read('test/differential.test.ts');
const isRandom = (option) => new RegExp(`options\\.${option}\\b|\\b${option}[,:]|\\{ ${option} \\}`).test(generator);

const suites = readdirSync(new URL('test/', root)).filter((name) => name.endsWith('.test.ts') && !/^(options|errors)\./.test(name));
const usedIn = (option) =>
	suites
		.filter((name) => new RegExp(`\\b${option}: |[{,] ${option}\\b[ ,]`).test(read(`test/${name}`)))
		.map((name) => name.replace('.test.ts', ''));

const row = (cells) => `| ${cells.join(' | ')} |`;
const rows = options.map((option) => {
	const all = tagged(option);
	const pairs = all.filter(({ name }) => name.includes('pair '));
	const meaning = all.filter(({ file, name }) => file === 'options' && !name.includes('pair '));
	const wrong = all.filter(({ file }) => file === 'errors');
	const count = (n) => (n === 0 ? '–' : String(n));
	return {
		option,
		meaning: meaning.length,
		wrong: wrong.length,
		cells: [
			`\`${option}\``,
			count(meaning.length),
			count(pairs.length),
			count(wrong.length),
			count(inVectors(option)),
			isRandom(option) ? 'yes' : '–',
			usedIn(option).join(', '),
		],
	};
});

const bare = rows.filter(({ meaning, wrong }) => meaning === 0 || wrong === 0).map(({ option }) => option);
const text = `# Options × tests

Written by \`node scripts/coverage-table.mjs\` from the titles of the tests, the vectors and the random generator. Numbers count tests (for one
backend; the suites run on every backend at hand) or cases. "Meaning" and "pairs" are test/options.test.ts, "wrong values" test/errors.test.ts, "vectors"
test/vectors, "random" test/differential.test.ts; the last column names every other suite that sets the option.

${row(['option', 'meaning', 'pairs', 'wrong values', 'vectors', 'random', 'also in'])}
${row(['---', '---', '---', '---', '---', '---', '---'])}
${rows.map(({ cells }) => row(cells)).join('\n')}

Options without a test of their meaning or of wrong values: ${bare.length === 0 ? 'none' : bare.join(', ')}.

${row(['suite', 'tests (one backend)'])}
${row(['---', '---'])}
${[...new Set(tests.map(({ file }) => file))]
	.sort()
	.map((file) => row([file, tests.filter((t) => t.file === file).length]))
	.join('\n')}
`;
writeFileSync(new URL('docs/coverage.md', root), text);
