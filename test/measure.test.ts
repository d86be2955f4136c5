/** Policy 'measure': the best few plans run on the real data, each verified, and the fastest is remembered. */
import { describe, expect, test } from 'vitest';
import { race } from '../src/api/measure.ts';
import { referenceBackend } from '../src/backend/reference.ts';
import type { Plan } from '../src/core/plan.ts';
import { convolve, createConvolver, FaltungError } from '../src/index.ts';
import { type FakePlan, fakeBackend } from './fake-backend.ts';

let size = 30;
/** An image of a size of its own: what one test measured is not remembered for another. */
const fresh = () => {
	const side = size++;
	return { data: Uint8Array.from({ length: side * side }, (_, k) => (k * 7) % 11), shape: [side, side] };
};
const kernel = [[1, 2, 1]];
const PLANS: readonly FakePlan[] = [
	{ tag: 'alpha', predicted: 1, takes: 150 },
	{ tag: 'beta', predicted: 2, takes: 5 },
	{ tag: 'gamma', predicted: 2.5, takes: 100 },
];
const device = (plans: readonly FakePlan[] = PLANS, name = 'fake') => fakeBackend(referenceBackend, { name, plans });
const of = (report: { plan: string }) => report.plan.split('-')[0];

describe('convolve', () => {
	test('estimate takes the predicted one and runs nothing else', async () => {
		const backend = device();
		const { report } = await convolve(fresh(), kernel, { backend });
		expect([of(report), backend.ran()]).toEqual(['alpha', ['alpha']]);
	});

	test('measure takes the fastest, after each ran at most twice and the winner once more', async () => {
		const [backend, image] = [device(), fresh()];
		const { data, report } = await convolve(image, kernel, { backend, policy: 'measure', verify: 'full' });
		expect(of(report)).toBe('beta');
		const ran = backend.ran();
		expect(ran.slice(0, 3)).toEqual(['alpha', 'beta', 'gamma']);
		expect(ran.at(-1)).toBe('beta');
		for (const tag of ['alpha', 'beta', 'gamma']) expect(ran.slice(0, -1).filter((name) => name === tag).length).toBeLessThanOrEqual(2);
		expect(data).toEqual((await convolve(image, kernel, { backend: 'reference' })).data);
		expect(backend.disposed()).toBe(backend.prepared());
	});

	test('the next call remembers and measures nothing', async () => {
		const image = fresh();
		await convolve(image, kernel, { backend: device(), policy: 'measure' });
		const again = device();
		expect(of((await convolve(image, kernel, { backend: again, policy: 'measure' })).report)).toBe('beta');
		expect(again.ran()).toEqual(['beta']);
	});

	test('another size is another class', async () => {
		await convolve(fresh(), kernel, { backend: device(), policy: 'measure' });
		const again = device();
		await convolve(fresh(), kernel, { backend: again, policy: 'measure' });
		expect(again.ran().length).toBeGreaterThan(3);
	});

	test('into out', async () => {
		const image = fresh();
		const out = new Uint8Array(image.data.length);
		const { data } = await convolve(image, kernel, { backend: device(), policy: 'measure', mode: 'same', out });
		expect(data).toBe(out);
		expect(out).toEqual((await convolve(image, kernel, { backend: 'reference', mode: 'same' })).data);
	});

	test('a plan predicted at more than three times the best is not tried', async () => {
		const backend = device([...PLANS, { tag: 'dear', predicted: 3.1, takes: 0 }]);
		expect(of((await convolve(fresh(), kernel, { backend, policy: 'measure' })).report)).toBe('beta');
		expect(backend.ran()).not.toContain('dear');
	});

	test('at most four are tried', async () => {
		const backend = device([1, 2, 3, 4, 5, 6].map((k) => ({ tag: `p${'abcdef'[k - 1]}`, predicted: 1 + k / 10, takes: 1 })));
		await convolve(fresh(), kernel, { backend, policy: 'measure' });
		expect([...new Set(backend.ran())].sort()).toEqual(['pa', 'pb', 'pc', 'pd']);
	});
});

describe('failures while measuring', () => {
	test('a wrong plan is out of the race, and the report says so', async () => {
		const spoil: FakePlan['spoil'] = (out) => out.data.fill(99 as never);
		const backend = device([PLANS[0], { ...(PLANS[1] as FakePlan), spoil }, PLANS[2]] as FakePlan[]);
		const { report } = await convolve(fresh(), kernel, { backend, policy: 'measure', verify: 'full' });
		expect(of(report)).toBe('gamma');
		expect(report.fallbacks).toMatchObject([{ plan: expect.stringMatching(/^beta-/), code: 'VERIFICATION_FAILED' }]);
	});

	test('one that runs out of memory, too', async () => {
		const fail = () => {
			throw new FaltungError('LIMIT_EXCEEDED', 'no memory');
		};
		const backend = device([{ ...(PLANS[1] as FakePlan), predicted: 1, fail }, PLANS[2]] as FakePlan[]);
		const { report } = await convolve(fresh(), kernel, { backend, policy: 'measure' });
		expect([of(report), report.fallbacks[0]?.code]).toEqual(['gamma', 'LIMIT_EXCEEDED']);
	});

	test('where all fail the error is the usual one', async () => {
		const fail = () => {
			throw new FaltungError('DEVICE_LOST', 'gone');
		};
		const backend = device(PLANS.map((plan) => ({ ...plan, fail })));
		await expect(convolve(fresh(), kernel, { backend, policy: 'measure' })).rejects.toMatchObject({ code: 'DEVICE_LOST' });
	});

	test('an abort ends it with the reason', async () => {
		const controller = new AbortController();
		const backend = device([{ ...(PLANS[0] as FakePlan), spoil: () => controller.abort('enough') }, PLANS[1]] as FakePlan[]);
		const pending = convolve(fresh(), kernel, { backend, policy: 'measure', signal: controller.signal });
		await expect(pending).rejects.toBe('enough');
		expect(backend.ran()).toEqual(['alpha']);
	});
});

describe('a convolver', () => {
	test('measures on its first image; those that come meanwhile wait for the outcome', async () => {
		const [backend, image] = [device(), fresh()];
		const c = await createConvolver(kernel, { backend, policy: 'measure', shape: image.shape, dtype: 'uint8' });
		const results = await Promise.all([c.run(image), c.run(image), c.run(image)]);
		expect(results.map(({ report }) => of(report))).toEqual(['beta', 'beta', 'beta']);
		expect(backend.ran().filter((tag) => tag === 'alpha')).toHaveLength(2);
		await c.dispose();
		expect(backend.disposed()).toBe(backend.prepared());
	});

	test('… whose first run is aborted measures on the second', async () => {
		const [backend, image, controller] = [device(), fresh(), new AbortController()];
		const c = await createConvolver(kernel, { backend, policy: 'measure', shape: image.shape, dtype: 'uint8' });
		const [first, second] = [c.run(image, { signal: controller.signal }), c.run(image)];
		controller.abort('changed my mind');
		await expect(first).rejects.toBe('changed my mind');
		expect(of((await second).report)).toBe('beta');
		await c.dispose();
	});

	test('batch', async () => {
		const [backend, image] = [device(), fresh()];
		const c = await createConvolver(kernel, { backend, policy: 'measure' });
		const plans: (string | undefined)[] = [];
		for await (const { report } of c.batch([image, image, image, image])) plans.push(of(report));
		expect(plans).toEqual(['beta', 'beta', 'beta', 'beta']);
		expect(backend.ran().length).toBeLessThanOrEqual(6 + 4);
		await c.dispose();
	});

	test('knows the remembered plan at once', async () => {
		const image = fresh();
		await convolve(image, kernel, { backend: device(), policy: 'measure' });
		const c = await createConvolver(kernel, { backend: device(), policy: 'measure', shape: image.shape, dtype: 'uint8' });
		expect(of({ plan: c.plan.name })).toBe('beta');
		await c.dispose();
	});
});

describe('race', () => {
	const plan = (name: string) => ({ name }) as Plan;
	const [a, b, c] = [plan('a'), plan('b'), plan('c')];
	const never = () => false;

	test('the first of all gets a second run: its first one touched memory that nobody had', async () => {
		const times = new Map([
			[a, [50, 3]],
			[b, [5, 5]],
		]);
		const order = await race([a, b], {
			run: async (p) => (times.get(p) as number[]).shift() as number,
			check: async () => {},
			forgive: never,
		});
		expect(order).toEqual([a, b]);
	});

	test('a slow one gets none', async () => {
		const ran: Plan[] = [];
		const run = async (p: Plan) => {
			ran.push(p);
			return p === c ? 50 : p === b ? 6 : 5;
		};
		expect(await race([a, b, c], { run, check: async () => {}, forgive: never })).toEqual([a, b, c]);
		expect(ran).toEqual([a, b, c, a, b]);
	});

	test('alone it runs once', async () => {
		const ran: Plan[] = [];
		const run = async (p: Plan) => {
			ran.push(p);
			return 1;
		};
		expect(await race([a], { run, check: async () => {}, forgive: never })).toEqual([a]);
		expect(ran).toEqual([a]);
	});

	test('what is not forgiven ends it', async () => {
		const run = async () => {
			throw new TypeError('bug');
		};
		await expect(race([a, b], { run, check: async () => {}, forgive: never })).rejects.toThrow('bug');
	});
});
