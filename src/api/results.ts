/** Memory for a result, and the error of one that does not fit its dtype. */
import type { Backend } from '../backend/backend.ts';
import { DTYPES, type Dtype, type TypedArray } from '../core/dtype.ts';
import { FaltungError } from '../core/errors.ts';
import { elementCount, rowMajorStrides, toCanonical } from '../core/ndarray.ts';
import type { Problem } from '../core/problem.ts';
import type { OutputTarget } from './arrays.ts';

/** A fresh output of the problem's shape. */
export function allocate(problem: Problem, backend: Backend): OutputTarget {
	const { dtype, layout, shape, sizes } = problem.output;
	const count = elementCount(shape);
	const data = newArray(dtype, count, shape, backend);
	return { data, view: { data, dtype, sizes, strides: toCanonical(layout, rowMajorStrides(shape), 0), offset: 0 } };
}

function newArray(dtype: Dtype, count: number, shape: readonly number[], backend: Backend): TypedArray {
	try {
		return backend.allocate?.(dtype, count) ?? new DTYPES[dtype].array(count);
	} catch (cause) {
		const bytes = count * DTYPES[dtype].bytes;
		throw new FaltungError(
			'LIMIT_EXCEEDED',
			`Expected memory for a result of ${bytes} bytes, ${dtype} [${shape.join(', ')}], but it could not be allocated. Use a stride, a narrower outputDtype, or parts of the image.`,
			{ cause },
		);
	}
}

export function overflowError(problem: Problem, at: number): FaltungError {
	const { shape, dtype } = problem.output;
	const index = rowMajorStrides(shape).map((step, axis) => Math.floor(at / step) % (shape[axis] as number));
	const { minInt, maxInt } = DTYPES[dtype];
	return new FaltungError(
		'OVERFLOW',
		`Expected every sum to fit ${dtype} (${minInt} to ${maxInt}) under overflow 'throw' but pixel [${index.join(', ')}] is the first that does not. Use overflow 'saturate' or 'wrap', or a wider outputDtype.`,
	);
}
