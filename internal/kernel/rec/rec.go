// Package rec runs recurrences over time: the token loop is inside the kernel, the
// state stays in registers or in the first-level cache, and the lanes of a vector are
// channels (or the value dimension of a matrix state).
//
// Every function is single-threaded and works on one sequence and one range of
// channels or one head; callers split the work. Data are float32 rows with explicit
// strides in elements. A state is read at the start of a call and written at its end, so a
// sequence cut anywhere gives the same bits as the whole. What a lane computes does not
// depend on its position, on the number of lanes or on alignment.
//
// Backward functions take the state at the start of the piece (the caller keeps those),
// recompute the states within it, and add to the gradients they are given. A nil gradient
// of an input is not computed. Gradients of a state are replaced: on entry that of the
// state after the piece, on return that of the state before it.
package rec

// lanes is the number of lanes that the portable twins take at a time.
const lanes = 64

// Flush is x, or zero where x is a denormal number. States that decay pass through
// those on their way to zero, or stay there, and each operation on one costs
// Intel's processors a hundred others. Every recurrence here flushes its state;
// the assembly by a mode of the processor.
func Flush(x float32) float32 {
	const least = 0x1p-126
	if x < least && x > -least {
		return 0
	}
	return x
}

// check panics unless s holds n rows of w elements, stride apart.
func check(what string, s []float32, n, stride, w int) {
	if n <= 0 || w <= 0 {
		return
	}
	if stride < 0 || len(s) < (n-1)*stride+w {
		panic("rec: " + what + " is too short for its shape")
	}
}

// checkOpt is check for an operand that may be nil.
func checkOpt(what string, s []float32, n, stride, w int) {
	if s != nil {
		check(what, s, n, stride, w)
	}
}

func checkSizes(sizes ...int) {
	for _, n := range sizes {
		if n < 0 {
			panic("rec: negative size")
		}
	}
}

// or returns the stride s, or its default w when s is 0.
func or(s, w int) int {
	if s == 0 {
		return w
	}
	return s
}
