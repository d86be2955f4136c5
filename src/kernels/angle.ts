/** Cosine and sine of an angle in degrees, exact at multiples of 90. */
export function turn(degrees: number): { cos: number; sin: number } {
	const reduced = ((degrees % 360) + 360) % 360;
	const quarter = [
		[1, 0],
		[0, 1],
		[-1, 0],
		[0, -1],
	][reduced / 90];
	const radians = (reduced * Math.PI) / 180;
	return quarter === undefined
		? { cos: Math.cos(radians), sin: Math.sin(radians) }
		: { cos: quarter[0] as number, sin: quarter[1] as number };
}
