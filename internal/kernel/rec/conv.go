package rec

import "github.com/subquad/subquad/internal/kernel/vec"

// ConvArgs describes a causal depthwise convolution over C channels, each with its own
// Width taps, the last of which meets the current input:
//
//	y[t][c] = Bias[c] + Σ_w Weights[w][c]*x[t-Width+1+w][c]
//
// followed by SiLU (y·σ(y)) if asked. State holds the Width-1 inputs before the first one,
// oldest first, and is replaced by the last Width-1.
type ConvArgs struct {
	T, C, Width int
	Dst         []float32 // [T][C], written; may be X when Width is at most 4, else must not overlap it
	X           []float32 // [T][C]
	Weights     []float32 // [Width][C], oldest first
	Bias        []float32 // [C]; nil means 0
	State       []float32 // [Width-1][C], in and out
	SiLU        bool

	DstStride, XStride        int // between tokens
	WeightStride, StateStride int // between rows; 0 means C
}

func (a *ConvArgs) check() {
	checkSizes(a.T, a.C)
	if a.Width < 1 {
		panic("rec: convolution without taps")
	}
	check("X", a.X, a.T, a.XStride, a.C)
	check("Weights", a.Weights, a.Width, or(a.WeightStride, a.C), a.C)
	checkOpt("Bias", a.Bias, 1, 0, a.C)
	check("State", a.State, a.Width-1, or(a.StateStride, a.C), a.C)
}

// Conv runs the convolution.
func Conv(a *ConvArgs) {
	a.check()
	check("Dst", a.Dst, a.T, a.DstStride, a.C)
	if a.T > 0 && a.C > 0 {
		conv(a)
	}
}

// ConvGrads are the gradients of Conv.
type ConvGrads struct {
	Dst   []float32 // in: gradient of the output
	State []float32 // in: gradient of the final state; out: of the initial one
	// Added to; nil is not computed.
	X, Weights, Bias []float32

	DstStride, XStride        int
	WeightStride, StateStride int // 0 means C
}

// ConvBackward adds the gradients of Conv(a). a.State is the state before the T tokens and is
// not changed; a.Dst is not used.
func ConvBackward(a *ConvArgs, g *ConvGrads) {
	a.check()
	lds, ldw := or(g.StateStride, a.C), or(g.WeightStride, a.C)
	check("gradient of Dst", g.Dst, a.T, g.DstStride, a.C)
	check("gradient of State", g.State, a.Width-1, lds, a.C)
	checkOpt("gradient of X", g.X, a.T, g.XStride, a.C)
	checkOpt("gradient of Weights", g.Weights, a.Width, ldw, a.C)
	checkOpt("gradient of Bias", g.Bias, 1, 0, a.C)
	// The final state is the last inputs: hand its gradient to them.
	m := a.Width - 1
	for i := m - 1; i >= 0; i-- {
		row := g.State[i*lds:][:a.C]
		if t := a.T - m + i; t >= 0 {
			if g.X != nil {
				dx := g.X[t*g.XStride:][:a.C]
				vec.Add(dx, dx, row)
			}
		} else {
			copy(g.State[(i+a.T)*lds:][:a.C], row)
		}
		if a.T > 0 {
			clear(row)
		}
	}
	var bufs [2][convLanes]float32
	for c := 0; c < a.C; c += convLanes {
		w := min(convLanes, a.C-c)
		for t := range a.T {
			p := g.Dst[t*g.DstStride+c:][:w]
			if a.SiLU {
				y, dy := bufs[0][:w], p
				a.pre(y, t, c, w)
				p = bufs[1][:w]
				clear(p)
				vec.SiLUGrad(p, dy, y)
			}
			if g.Bias != nil {
				b := g.Bias[c:][:w]
				vec.Add(b, b, p)
			}
			for i := range a.Width {
				at := t - m + i
				var dx []float32
				if at < 0 {
					dx = g.State[(at+m)*lds+c:][:w]
				} else if g.X != nil {
					dx = g.X[at*g.XStride+c:][:w]
				}
				vec.MulAdd(dx, a.tap(i, c, len(dx)), p[:len(dx)])
				if g.Weights != nil {
					vec.MulAdd(g.Weights[i*ldw+c:][:w], p, a.input(at, c, w))
				}
			}
		}
	}
}

// convLanes is the number of channels taken at a time where the loop over tokens is in Go.
const convLanes = 256

// tap is w channels from c of tap i.
func (a *ConvArgs) tap(i, c, w int) []float32 {
	return a.Weights[i*or(a.WeightStride, a.C)+c:][:w]
}

// input is w channels from c of input t, which may lie before the first.
func (a *ConvArgs) input(t, c, w int) []float32 {
	if t < 0 {
		return a.State[(t+a.Width-1)*or(a.StateStride, a.C)+c:][:w]
	}
	return a.X[t*a.XStride+c:][:w]
}

// pre sets p to w channels from c of the output of token t before SiLU.
func (a *ConvArgs) pre(p []float32, t, c, w int) {
	if a.Bias != nil {
		copy(p, a.Bias[c:][:w])
	} else {
		clear(p)
	}
	for i := range a.Width {
		vec.MulAdd(p, a.tap(i, c, w), a.input(t-a.Width+1+i, c, w))
	}
}

func convGeneric(a *ConvArgs) {
	for c := 0; c < a.C; c += convLanes {
		convBlock(a, c, min(convLanes, a.C-c))
	}
}

// convBlock runs w channels from c. It goes from the last token to the first so that Dst may be X;
// the new state is taken before.
func convBlock(a *ConvArgs, c, w int) {
	var buf [convLanes]float32
	p := buf[:w]
	m, ld := a.Width-1, or(a.StateStride, a.C)
	// Outputs of the first tokens need the old state: the new one waits in the tail of it only
	// where that is free, so with few tokens it is moved last.
	var keep [3][convLanes]float32
	if m <= len(keep) {
		for i := range m {
			copy(keep[i][:], a.input(a.T-m+i, c, w))
		}
	}
	for t := a.T - 1; t >= 0; t-- {
		a.pre(p, t, c, w)
		if a.SiLU {
			vec.SiLU(p, p)
		}
		copy(a.Dst[t*a.DstStride+c:][:w], p)
	}
	for i := range m {
		row := a.State[i*ld+c:][:w]
		if m <= len(keep) {
			copy(row, keep[i][:])
		} else {
			copy(row, a.input(a.T-m+i, c, w)) // rows move down: i+T > i is still old
		}
	}
}
