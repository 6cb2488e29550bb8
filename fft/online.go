package fft

import (
	"fmt"
	"math/bits"

	dft "github.com/subquad/subquad/internal/kernel/fft"
	"github.com/subquad/subquad/internal/kernel/vec"
	"github.com/subquad/subquad/tensor"
)

// Online is the exact causal convolution with a fixed filter, one input at a
// time: y[t] is known before u[t+1] comes, as a model that generates needs it.
//
// After t inputs, with 2^q the largest power of two that divides t, the last
// 2^q inputs are convolved with the filter's first 2^(q+1) taps and added to
// the next 2^q outputs. Each pair of an input and a later output meets in
// exactly one such tile, so that a token costs O(log² taps) on average instead
// of O(taps) (relaxed multiplication: van der Hoeven, "Relax, but don't be too
// lazy", 2002; Flash Inference, arXiv 2410.12982). The longest tile falls due
// once in as many tokens as the filter has taps, and costs one transform of
// twice that.
//
// An Online may be shared by goroutines with states of their own.
type Online struct {
	k              []float32 // [taps][channels]
	taps, channels int
	block          int         // P, the power of two from taps on, at least 2
	levels         []tileLevel // of tiles longer than directTile, by log₂
}

// A tileLevel has what tiles of one length U need: a transform of 2U points, and
// that of the filter's first 2U taps.
type tileLevel struct {
	plan   *RealPlan
	re, im []float32 // [U+1][channels]
}

// directTile is the longest tile that is summed as it stands: measured on
// Zen 5, where 16 inputs of 64 channels take as long either way.
const directTile = 16

// NewOnline prepares the filter k, [taps][channels], which it keeps.
func NewOnline(k []float32, taps, channels int) (*Online, error) {
	if taps < 1 || channels < 0 || taps > MaxLen/4 {
		return nil, fmt.Errorf("fft: filter of %d taps, %d channels: want 1 to %d taps", taps, channels, MaxLen/4)
	}
	if len(k) != taps*channels {
		return nil, fmt.Errorf("fft: filter has %d values, want %d taps of %d channels", len(k), taps, channels)
	}
	o := &Online{k: k, taps: taps, channels: channels, block: max(2, ceilPow2(taps))}
	for u := 2 * directTile; u <= o.block; u *= 2 {
		plan, err := NewRealPlan(2 * u)
		if err != nil {
			return nil, err
		}
		l := tileLevel{plan, make([]float32, (u+1)*channels), make([]float32, (u+1)*channels)}
		x := make([]float32, 2*u*channels)
		copy(x, k[:min(taps, 2*u)*channels])
		plan.Forward(l.re, l.im, x, channels)
		o.levels = append(o.levels, l)
	}
	return o, nil
}

func (o *Online) kind() string {
	return fmt.Sprintf("fft.Online/1 taps=%d channels=%d", o.taps, o.channels)
}

// NewState is that of sequences that have seen nothing: "inputs" [batch, 2P,
// channels], those of the block of P inputs before this one and of this one,
// and "pending" [batch, P, channels], what they have added so far to this
// block's outputs; P is the power of two from taps on.
func (o *Online) NewState(batch int) *tensor.State {
	return tensor.NewState(o.kind(), batch).
		Add("inputs", tensor.New(batch, 2*o.block, o.channels)).
		Add("pending", tensor.New(batch, o.block, o.channels))
}

// Forward goes on with u, [batch, T, channels]. One token takes the tiles that
// are due; more are convolved at once. It is for inference: it has no
// gradient (CausalConv has), and no form in float64.
func (o *Online) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	const op = "fft.Online"
	tensor.Check(op, "u", u, -1, -1, o.channels)
	s := u.Scope()
	if st == nil || s.Recording() || s.IsFloat64() {
		panic(&tensor.ShapeError{Op: op, Arg: "state, scope", Got: nil, Want: "a state, and a scope that neither records nor computes in float64"})
	}
	B, T := u.Dim(0), u.Dim(1)
	if st.Batch != B || len(st.Parts) != 2 {
		st.Check(o.kind(), B)
	}
	_, inputs := st.Part(0).Begin(s, op, B, 2*o.block, o.channels)
	_, pending := st.Part(1).Begin(s, op, B, o.block, o.channels)
	y := tensor.Out(op, u.Shape(), u)
	if y.Len() == 0 {
		st.Advance(T)
		return y
	}
	u = tensor.Contiguous(u)
	n, p := T*o.channels, o.block*o.channels
	for b := range B {
		q := online{o, s, int(st.Pos[b]) % o.block, inputs.Data()[2*b*p:][:2*p], pending.Data()[b*p:][:p]}
		if T == 1 {
			q.step(y.Data()[b*n:][:n], u.Data()[b*n:][:n])
		} else {
			q.many(y.Data()[b*n:][:n], u.Data()[b*n:][:n], T)
		}
	}
	st.Advance(T)
	return y
}

// online is one sequence in the middle of a block.
type online struct {
	*Online
	s               *tensor.Scope
	at              int       // inputs of this block so far
	inputs, pending []float32 // of the state
}

// rows are n rows of x from row i on.
func (q *online) rows(x []float32, i, n int) []float32 {
	return x[i*q.channels:][:n*q.channels]
}

func (q *online) step(y, u []float32) {
	copy(q.rows(q.inputs, q.block+q.at, 1), u)
	copy(y, q.rows(q.pending, q.at, 1))
	vec.MulAdd(y, u, q.k[:q.channels])
	q.at++
	if q.at == q.block {
		q.turn()
		return
	}
	q.tile(q.at, 1<<bits.TrailingZeros(uint(q.at)))
}

// turn begins the next block.
func (q *online) turn() {
	copy(q.inputs, q.rows(q.inputs, q.block, q.block))
	q.at = 0
	clear(q.pending)
	q.tile(0, q.block)
}

// tile adds the n inputs before row at of this block to the n outputs from it on.
func (q *online) tile(at, n int) {
	u, out := q.rows(q.inputs, q.block+at-n, n), q.rows(q.pending, at, n)
	C := q.channels
	if n <= directTile {
		for m := range n {
			for l := max(0, n+m-q.taps+1); l < n; l++ {
				vec.MulAdd(out[m*C:][:C], u[l*C:], q.k[(n+m-l)*C:])
			}
		}
		return
	}
	l := &q.levels[bits.Len(uint(n/directTile))-2]
	mark := q.s.Mark()
	x := q.s.Floats(2 * n * C)
	re, im := q.s.Floats(len(l.re)), q.s.Floats(len(l.im))
	copy(x, u)
	clear(x[n*C:])
	l.plan.Forward(re, im, x, C)
	dft.Mul(re, im, l.re, l.im)
	l.plan.Inverse(x, re, im, C)
	vec.Add(out, out, x[n*C:])
	if q.s != nil {
		q.s.Release(mark, nil)
	}
}

// many takes T inputs at once: their outputs come from the inputs that the
// state holds, then the state is made what single steps would have left.
func (q *online) many(y, u []float32, T int) {
	C, P := q.channels, q.block
	k, err := NewKernel(q.k, q.taps, C, T)
	if err != nil {
		panic(&tensor.ShapeError{Op: "fft.Online", Arg: "u", Got: []int{T, C}, Want: err.Error()})
	}
	k.Conv(y, u, q.rows(q.inputs, P+q.at-(q.taps-1), q.taps-1), 1, T)
	end := q.at + T
	start := end / P * P // of the block that the next input is in
	for g := max(start-P, -P); g < end; g++ {
		to := q.rows(q.inputs, g-start+P, 1)
		if g < q.at {
			copy(to, q.rows(q.inputs, P+g, 1))
		} else {
			copy(to, q.rows(u, g-q.at, 1))
		}
	}
	clear(q.pending)
	q.tile(0, P)
	at, done := end-start, 0
	for bit := P / 2; bit > 0; bit /= 2 {
		if at&bit != 0 {
			done += bit
			q.tile(done, bit)
		}
	}
}
