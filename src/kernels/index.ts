/** Kernels by name. Each gives a 2-D NdArray: int32 where the weights are integers, else float32; smoothing kernels sum to 1. */
export { laplacian, prewitt, scharr, sobel } from './derivative.ts';
export { gabor } from './gabor.ts';
export { dog, gaussian, log, unsharp } from './gaussian.ts';
export { emboss, identity, sharpen } from './sharpening.ts';
export { box, disk, motion } from './smoothing.ts';
export type { Kernel } from './taps.ts';
