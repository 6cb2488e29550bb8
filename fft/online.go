package fft

import (
	"fmt"
	"math/bits"

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
// A state holds the sequences, so a prompt is one call: its outputs come from
// one convolution, then the tiles of the block that it ends in are made. Due
// says when a long tile falls due.
//
// An Online may be shared by goroutines with states of their own.
type Online struct {
	k              *tensor.Tensor // [taps, channels]
	taps, channels int
	block          int       // P, the power of two from taps on, at least 2
	kind           string    // of its states
	levels         []*Kernel // of tiles longer than directTile, by log₂: the first 2U taps, for a block of 2U points
}

// directTile is the longest tile that is summed as it stands: measured on
// Zen 5 with 64 channels.
const directTile = 8

// NewOnline prepares the filter k, [taps][channels], which it keeps.
func NewOnline(k []float32, taps, channels int) (*Online, error) {
	if taps < 1 || channels < 0 || taps > MaxLen/4 {
		return nil, fmt.Errorf("fft: filter of %d taps, %d channels: want 1 to %d taps", taps, channels, MaxLen/4)
	}
	if len(k) != taps*channels {
		return nil, fmt.Errorf("fft: filter has %d values, want %d taps of %d channels", len(k), taps, channels)
	}
	return newOnline(tensor.From(k, taps, channels)), nil
}

func newOnline(k *tensor.Tensor) *Online {
	o := &Online{k: k, taps: k.Dim(0), channels: k.Dim(1)}
	o.kind, o.block = onlineKind(o.taps, o.channels), onlineBlock(o.taps)
	for u := 2 * directTile; u <= o.block; u *= 2 {
		taps := min(o.taps, 2*u)
		f := &Kernel{taps: taps, channels: o.channels, k: k.Data()[:taps*o.channels]}
		f.prepare(0, 2*u)
		o.levels = append(o.levels, f)
	}
	return o
}

func onlineBlock(taps int) int { return max(2, ceilPow2(taps)) }

func onlineKind(taps, channels int) string {
	return fmt.Sprintf("fft.Online/2 taps=%d channels=%d", taps, channels)
}

// NewOnlineState is that of sequences that have seen nothing, for a filter of
// taps and channels: "inputs" [batch, 2P, channels], those of the block of P
// inputs before this one and of this one, and "pending" [batch, P, channels],
// what they have added so far to this block's outputs; P is the power of two
// from taps on. "pending" follows from "inputs", so it has no gradient.
func NewOnlineState(batch, taps, channels int) *tensor.State {
	p := onlineBlock(taps)
	return tensor.NewState(onlineKind(taps, channels), batch).
		Add("inputs", tensor.New(batch, 2*p, channels)).
		Add("pending", tensor.New(batch, p, channels))
}

// NewState is NewOnlineState for this filter.
func (o *Online) NewState(batch int) *tensor.State {
	return NewOnlineState(batch, o.taps, o.channels)
}

// Due is the length of the tile that falls due with the token after pos others:
// a step costs about a transform of twice that, a few multiply-adds when it is
// 1. It is at most P, the power of two from taps on, once in P tokens: the worst
// step, which a serving loop may want to plan for.
func (o *Online) Due(pos int64) int {
	at := int(pos%int64(o.block)) + 1
	return 1 << bits.TrailingZeros(uint(at))
}

// Forward goes on with u, [batch, T, channels]. One token takes the tiles that
// are due; more are convolved at once. It is for inference: OnlineConv has
// gradients and a form in float64.
func (o *Online) Forward(u *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	if s := u.Scope(); st == nil || s.Recording() || s.IsFloat64() {
		panic(&tensor.ShapeError{Op: "fft.Online", Arg: "state, scope", Got: nil, Want: "a state, and a scope that neither records nor computes in float64"})
	}
	return o.forward("fft.Online", u, o.k, Gates{}, st)
}

// OnlineConv is GatedConv with a NewOnlineState, which must not be nil: a
// single token costs O(log² taps) on average where GatedConv's costs O(taps),
// and the state is up to six times as long. In inference o is the filter,
// prepared: NewOnline of k's values. Where gradients are recorded, or in
// float64, k counts and o may be nil.
func OnlineConv(u, k *tensor.Tensor, g Gates, o *Online, st *tensor.State) *tensor.Tensor {
	const op = "fft.OnlineConv"
	s := tensor.ScopeOf(op, u, k, g.Pre, g.Post, g.Skip)
	if s.Recording() || s.IsFloat64() {
		o = nil
	} else if o == nil || o.taps != k.Dim(0) || o.channels != k.Dim(1) {
		panic(&tensor.ShapeError{Op: op, Arg: "o", Got: k.Shape(), Want: "an Online of k"})
	}
	return o.forward(op, u, k, g, st)
}

func (o *Online) forward(op string, u, k *tensor.Tensor, g Gates, st *tensor.State) *tensor.Tensor {
	g.check(op, u, k)
	B, T, C, L := u.Dim(0), u.Dim(1), u.Dim(2), k.Dim(0)
	P := onlineBlock(L)
	if st == nil || len(st.Parts) != 2 {
		panic(&tensor.ShapeError{Op: op, Arg: "state", Got: []int{B}, Want: "a state"})
	}
	if o != nil {
		st.Check(o.kind, B)
	} else {
		st.Check(onlineKind(L, C), B)
	}
	if T == 0 {
		return tensor.Out(op, u.Shape(), u, k)
	}
	s := tensor.ScopeOf(op, u, k, g.Pre, g.Post, g.Skip)
	before, inputs := st.Part(0).Begin(s, op, B, 2*P, C)
	_, pending := st.Part(1).Begin(s, op, B, P, C)
	var y *tensor.Tensor
	if o != nil && T == 1 {
		y = tensor.Out(op, u.Shape(), u, k, g.Pre, g.Post, g.Skip)
		for b := range B {
			q := o.at(b, st, s, inputs.Data(), pending.Data())
			q.step(y.Data()[b*C:][:C], row(u, b), row(g.Pre, b), row(g.Post, b), data(g.Skip))
		}
	} else {
		y = o.many(op, u, k, g, st, before, inputs, pending)
	}
	st.Part(0).End(inputs)
	st.Part(1).End(pending)
	st.Advance(T)
	return y
}

// row is the first row of sequence b; nil for none.
func row(t *tensor.Tensor, b int) []float32 {
	if t == nil {
		return nil
	}
	return t.Raw()[b*t.Strides()[0]:][:t.Dim(2)]
}

// online is one sequence in the middle of a block.
type online struct {
	*Online
	workers         int
	at              int       // inputs of this block so far
	inputs, pending []float32 // of the state
}

func (o *Online) at(b int, st *tensor.State, s *tensor.Scope, inputs, pending []float32) online {
	p := o.block * o.channels
	return online{o, s.Workers(), int(st.Pos[b] % int64(o.block)), inputs[2*b*p:][:2*p], pending[b*p:][:p]}
}

// rows are n rows of x from row i on.
func (q *online) rows(x []float32, i, n int) []float32 {
	return x[i*q.channels:][:n*q.channels]
}

// step takes one input. Outputs once given, and inputs not yet come, are zeros
// in the state, so that it does not depend on how the sequence was cut.
func (q *online) step(y, u, pre, post, skip []float32) {
	w, sum := q.rows(q.inputs, q.block+q.at, 1), q.rows(q.pending, q.at, 1)
	if pre == nil {
		copy(w, u)
	} else {
		vec.Mul(w, u, pre)
	}
	copy(y, sum)
	clear(sum)
	vec.MulAdd(y, w, q.k.Data()[:q.channels])
	if skip != nil {
		vec.MulAdd(y, w, skip)
	}
	if post != nil {
		vec.Mul(y, y, post)
	}
	q.at++
	if q.at < q.block {
		q.tile(q.at, 1<<bits.TrailingZeros(uint(q.at)))
		return
	}
	q.at = 0
	copy(q.inputs, q.rows(q.inputs, q.block, q.block))
	clear(q.rows(q.inputs, q.block, q.block))
	q.tile(0, q.block)
}

// tile adds the n inputs before row at of this block to the n outputs from it on.
func (q *online) tile(at, n int) {
	u, out := q.rows(q.inputs, q.block+at-n, n), q.rows(q.pending, at, n)
	C, k := q.channels, q.k.Data()
	if n <= directTile {
		for m := range n {
			for l := max(0, n+m-q.taps+1); l < n; l++ {
				vec.MulAdd(out[m*C:][:C], u[l*C:], k[(n+m-l)*C:])
			}
		}
		return
	}
	f := q.levels[bits.Len(uint(n/directTile))-2]
	f.run(q.workers, &job{kind: tile, f: f, u: f.flat(u, n), y: f.flat(out, n), batch: 1, length: n})
}

// tiles makes pending anew, as single steps would have left it.
func (q *online) tiles() {
	clear(q.pending)
	q.tile(0, q.block)
	done := 0
	for bit := q.block / 2; bit > 0; bit /= 2 {
		if q.at&bit != 0 {
			done += bit
			q.tile(done, bit)
		}
	}
	clear(q.rows(q.pending, 0, q.at))
}

// many takes any number of inputs at once: their outputs are those of a
// convolution that goes on from the inputs that the state holds.
func (o *Online) many(op string, u, k *tensor.Tensor, g Gates, st *tensor.State, before, inputs, pending *tensor.Tensor) *tensor.Tensor {
	B, T, C, L, P := u.Dim(0), u.Dim(1), u.Dim(2), k.Dim(0), inputs.Dim(1)/2
	at := make([]int, B)
	for b := range at {
		at[b] = int(st.Pos[b] % int64(P))
	}
	from := before
	if from == nil {
		from = inputs
	}
	past := lastInputs(op, tensor.ScopeOf(op, u, k), from, at, L-1)
	y := tensor.Out(op, u.Shape(), u, k, past, g.Pre, g.Post, g.Skip)
	s := y.Scope()
	if o == nil {
		o = newOnline(tensor.From(k.Float32s(), L, C))
	}
	if y.IsFloat64() {
		plain(y, u, k, g, past)
		in, w := inputs.Values64(), times(u.Values64(), g.Pre)
		for b, at := range at {
			moveOn(in[2*b*P*C:][:2*P*C], w[b*T*C:][:T*C], at, P, C)
		}
		inputs.SetValues64(in)
		in32, out := inputs.Float32s(), make([]float32, B*P*C)
		for b, at := range at {
			q := o.at(b, st, s, in32, out)
			q.at = (at + T) % P
			q.tiles()
		}
		wide := pending.Values64()
		for i, v := range out {
			wide[i] = float64(v)
		}
		pending.SetValues64(wide)
		return y
	}
	if B*C == 0 {
		return y
	}
	c := conv{B: B, T: T, C: C, workers: s.Workers(), u: u, k: tensor.Contiguous(k), g: g, before: past}
	c.forward(y)
	w := takeScratch(T * C)
	for b, at := range at {
		c.signal(b).plane(w.buf, T, C, 0)
		q := o.at(b, st, s, inputs.Data(), pending.Data())
		moveOn(q.inputs, w.buf, at, P, C)
		q.at = (at + T) % P
		q.tiles()
	}
	w.put()
	if y.Recording() {
		kept := c
		tensor.OnBackward(func() { kept.movedOn(before, inputs, at) }, inputs)
	}
	return y
}

// lastInputs are n rows before the next input of each sequence, [batch, n,
// channels], in scope s.
func lastInputs(op string, s *tensor.Scope, inputs *tensor.Tensor, at []int, n int) *tensor.Tensor {
	B, P, C := inputs.Dim(0), inputs.Dim(1)/2, inputs.Dim(2)
	past := tensor.OutIn(s, op, []int{B, n, C}, inputs)
	for b, at := range at {
		past.Narrow(0, b, b+1).SetFrom(inputs.Narrow(0, b, b+1).Narrow(1, P+at-n, P+at))
	}
	if past.Recording() {
		tensor.OnBackward(func() {
			g, d := past.Grad().Data(), inputs.Grad().Data()
			for b, at := range at {
				d := d[(2*b*P+P+at-n)*C:][:n*C]
				vec.Add(d, d, g[b*n*C:][:n*C])
			}
		}, past)
	}
	return past
}

// moveOn moves inputs, two blocks of P rows, on by those of w, the next of
// which is row at of the second block. Rows beyond the last become zeros.
func moveOn[F float32 | float64](inputs, w []F, at, P, C int) {
	T := len(w) / C
	end := at + T
	start := end / P * P // of the block that the next input is in, from the present one
	if old := at + P - start; start > 0 && old > 0 {
		copy(inputs, inputs[start*C:][:old*C])
	}
	first := max(0, start-P-at) // input
	copy(inputs[(at+first-start+P)*C:], w[first*C:])
	clear(inputs[(end-start+P)*C:])
}

// movedOn is the gradient of moveOn.
func (c *conv) movedOn(before, inputs *tensor.Tensor, at []int) {
	if !inputs.HasGrad() {
		return
	}
	P := inputs.Dim(1) / 2
	g, dold := inputs.Grad().Data(), grad(before)
	du, dpre := gradOf(c.u), gradOf(c.g.Pre)
	for b, at := range at {
		g := g[2*b*P*c.C:]
		start := (at + c.T) / P * P
		if old := at + P - start; dold != nil && old > 0 {
			d := dold[(2*b*P+start)*c.C:][:old*c.C]
			vec.Add(d, d, g[:len(d)])
		}
		first := max(0, start-P-at)
		g = g[(at+first-start+P)*c.C:]
		sinkOf(du, gridOf(c.g.Pre), b, 0, true).put(first, c.T-first, c.C, g, c.C)
		sinkOf(dpre, gridOf(c.u), b, 0, true).put(first, c.T-first, c.C, g, c.C)
	}
}
