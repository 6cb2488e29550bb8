// Package layertest has the properties that every layer keeps, as one test:
//
//	layertest.Run(t, "Mamba", func(seed uint64) nn.Layer { … }, 12)
//
// runs them all at the instruction levels that hwtest.Layers says.
package layertest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/subquad/subquad/internal/gradcheck"
	"github.com/subquad/subquad/internal/hwtest"
	"github.com/subquad/subquad/internal/race"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

const (
	valueTolerance = 1e-5
	gradTolerance  = 1e-4

	// Saturated inputs cancel: norms and differences of large numbers lose
	// digits in float32. The worst measured is 3.2e-5.
	extremeTolerance = 5e-5
)

// Run tests the layers that make returns, of dModel channels.
func Run(t *testing.T, name string, make func(seed uint64) nn.Layer, dModel int) {
	t.Run(name, func(t *testing.T) {
		hwtest.Layers(t, func(t *testing.T) {
			l := &subject{make(1), dModel, rand.New(rand.NewPCG(7, uint64(dModel)))}
			t.Run("splits", l.splits)
			t.Run("gradients of splits", l.gradientSplits)
			t.Run("workers", l.workers)
			t.Run("saved state", l.savedState)
			t.Run("batch", l.batch)
			t.Run("packed", l.packed)
			t.Run("allocations", l.allocations)
			t.Run("plain form", l.plain)
			t.Run("gradients", l.gradients)
			t.Run("short", l.short)
			t.Run("extreme inputs", l.extreme)
			t.Run("state size", l.stateSize)
		})
	})
}

type subject struct {
	nn.Layer
	d   int
	rng *rand.Rand
}

// noise is a tracked heap tensor [batch, length, d].
func (l *subject) noise(batch, length int) *tensor.Tensor {
	t := tensor.New(batch, length, l.d)
	for i := range t.Data() {
		t.Data()[i] = float32(l.rng.NormFloat64())
	}
	return t.Track()
}

// cuts are the lengths of random pieces of a sequence.
func (l *subject) cuts(length int) (cuts []int) {
	for length > 0 {
		n := 1 + l.rng.IntN(length)
		cuts, length = append(cuts, n), length-n
	}
	return cuts
}

// Inputs of ±60 saturate every gate and decay; inputs of zero leave them
// where the biases put them. Outputs stay finite and right.
func (l *subject) extreme(t *testing.T) {
	const T = 150
	for _, size := range []float32{0, 60} {
		x := l.noise(1, T)
		for i, v := range x.Data() {
			x.Data()[i] = size * float32(math.Copysign(1, float64(v)))
		}
		fast, plain := tensor.NewScope(), tensor.NewScope(tensor.Float64())
		got := l.Forward(tensor.Enter(fast, x), nil).Float64s()
		want := l.Forward(tensor.Enter(plain, x), nil).Float64s()
		for i, v := range got {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("inputs of ±%v: output %d is %v", size, i, v)
			}
		}
		if e := gradcheck.Difference(got, want); !(e <= extremeTolerance) {
			t.Errorf("inputs of ±%v: off by %.2g, tolerance %g", size, e, extremeTolerance)
		}
	}
}

// Sequences in one call, packed one after another or padded to one length,
// give what each gives alone: outputs, states, and the gradient of x.
func (l *subject) packed(t *testing.T) {
	lengths := []int{6, 0, 1, 9}
	const longest, total = 9, 16
	offsets := []int{0}
	for _, n := range lengths {
		offsets = append(offsets, offsets[len(offsets)-1]+n)
	}
	x, c := l.noise(1, total), l.noise(1, total).Data()
	// run gives y ([total, d]), the states after and dx of Σ c⊙y.
	run := func(forward func(s *tensor.Scope, x *tensor.Tensor, states []*tensor.State) *tensor.Tensor) (y, dx []float64, states []*tensor.State) {
		for range lengths {
			states = append(states, l.started(1))
		}
		x.ZeroGrad()
		s := tensor.NewScope(tensor.Record())
		out := forward(s, tensor.Enter(s, x), states)
		s.Backward(tensor.SumAll(tensor.Mul(out, s.From(c, out.Shape()...))))
		return out.Float64s(), x.Grad().Float64s(), states
	}
	seed := l.rng.Uint64()
	fresh := func() { l.rng = rand.New(rand.NewPCG(seed, 1)) } // the same states each time
	fresh()
	y, dx, states := run(func(s *tensor.Scope, x *tensor.Tensor, states []*tensor.State) *tensor.Tensor {
		var parts []*tensor.Tensor
		for i, st := range states {
			parts = append(parts, l.Forward(x.Narrow(1, offsets[i], offsets[i+1]), st))
		}
		return tensor.Concat(1, parts...)
	})
	padded := func(side nn.Padding) func(s *tensor.Scope, x *tensor.Tensor, states []*tensor.State) *tensor.Tensor {
		return func(s *tensor.Scope, x *tensor.Tensor, states []*tensor.State) *tensor.Tensor {
			at := func(n int) (lo, hi int) {
				if side == nn.PadLeft {
					return longest - n, longest
				}
				return 0, n
			}
			var rows []*tensor.Tensor
			for i, n := range lengths {
				junk := s.New(1, longest-n, l.d)
				for j := range junk.Data() {
					junk.Data()[j] = 1e30
				}
				row := []*tensor.Tensor{x.Narrow(1, offsets[i], offsets[i+1]), junk}
				if side == nn.PadLeft {
					slices.Reverse(row)
				}
				rows = append(rows, tensor.Concat(1, row...))
			}
			out := nn.Padded(l, tensor.Concat(0, rows...), lengths, side, states)
			var parts []*tensor.Tensor
			for i, n := range lengths {
				lo, hi := at(n)
				parts = append(parts, out.Narrow(0, i, i+1).Narrow(1, lo, hi))
			}
			return tensor.Concat(1, parts...)
		}
	}
	for _, way := range []struct {
		name    string
		forward func(s *tensor.Scope, x *tensor.Tensor, states []*tensor.State) *tensor.Tensor
	}{
		{"packed", func(_ *tensor.Scope, x *tensor.Tensor, states []*tensor.State) *tensor.Tensor {
			return nn.Packed(l, x, offsets, states)
		}},
		{"padded on the right", padded(nn.PadRight)},
		{"padded on the left", padded(nn.PadLeft)},
	} {
		fresh()
		gotY, gotDx, gotStates := run(way.forward)
		if !slices.Equal(gotY, y) || !slices.Equal(gotDx, dx) {
			t.Errorf("%s: outputs differ by %.2g, the gradient of x by %.2g: want the same bits", way.name, gradcheck.Difference(gotY, y), gradcheck.Difference(gotDx, dx))
		}
		for i, st := range gotStates {
			compareStates(t, fmt.Sprintf("%s: sequence %d", way.name, i), st, states[i], 0)
		}
	}
}

func ones(n int) []int { return slices.Repeat([]int{1}, n) }

// pieces feeds x in pieces of the given lengths.
func (l *subject) pieces(x *tensor.Tensor, st *tensor.State, lengths []int) *tensor.Tensor {
	parts := make([]*tensor.Tensor, 0, len(lengths))
	lo := 0
	for _, n := range lengths {
		parts = append(parts, l.Forward(x.Narrow(1, lo, lo+n), st))
		lo += n
	}
	return tensor.Concat(1, parts...)
}

// started is a state that has seen a few tokens.
func (l *subject) started(batch int) *tensor.State {
	st := l.NewState(batch)
	l.Forward(l.noise(batch, 5), st)
	return st
}

// values are all parts of a state, inner ones too.
func values(st *tensor.State) (all []*tensor.Part) {
	all = append(all, st.Parts...)
	for _, s := range st.Sub {
		all = append(all, values(s)...)
	}
	return all
}

func compareStates(t *testing.T, what string, got, want *tensor.State, tol float64) {
	t.Helper()
	if !slices.Equal(got.Pos, want.Pos) {
		t.Errorf("%s: positions %v, want %v", what, got.Pos, want.Pos)
	}
	g, w := values(got), values(want)
	for i := range w {
		// A part that grows may have grown by other amounts: compare what both have.
		a, b := g[i].Value, w[i].Value
		if a.Rank() > 1 {
			n := min(a.Dim(1), b.Dim(1))
			a, b = a.Narrow(1, 0, n), b.Narrow(1, 0, n)
		}
		if e := gradcheck.Difference(a.Float64s(), b.Float64s()); !(e <= tol) {
			t.Errorf("%s: state %s differs by %.2g, tolerance %g", what, w[i].Name, e, tol)
		}
	}
}

func compare(t *testing.T, what string, got, want *tensor.Tensor, tol float64) {
	t.Helper()
	if e := gradcheck.Difference(got.Float64s(), want.Float64s()); !(e <= tol) {
		t.Errorf("%s: outputs differ by %.2g, tolerance %g", what, e, tol)
	}
}

// A sequence cut anywhere gives the outputs and the final state of the whole.
func (l *subject) splits(t *testing.T) {
	const T = 37
	x, start := l.noise(2, T), l.started(2)
	s := tensor.NewScope()
	whole := start.Clone()
	want := l.Forward(tensor.Enter(s, x), whole)
	for i := range 5 {
		cuts := ones(T)
		if i > 0 {
			cuts = l.cuts(T)
		}
		st := start.Clone()
		got := l.pieces(tensor.Enter(s, x), st, cuts)
		what := fmt.Sprintf("pieces %v", cuts)
		compare(t, what, got, want, valueTolerance)
		compareStates(t, what, st, whole, valueTolerance)
	}
}

// grads are the gradients of Σ c⊙y with respect to x, the weights and the
// state's parts, after the pieces.
func (l *subject) grads(x *tensor.Tensor, start *tensor.State, cuts []int, c []float32) (names []string, out [][]float64) {
	st := start.Clone()
	x.ZeroGrad()
	l.Params().ZeroGrad()
	initial := values(st)
	for _, p := range initial {
		p.Value.Track()
	}
	leaves := make([]*tensor.Tensor, len(initial)) // a part that grows changes its tensor
	for i, p := range initial {
		leaves[i] = p.Value
	}
	s := tensor.NewScope(tensor.Record())
	y := l.pieces(tensor.Enter(s, x), st, cuts)
	s.Backward(tensor.SumAll(tensor.Mul(y, s.From(c, y.Shape()...))))
	add := func(name string, t *tensor.Tensor) {
		names, out = append(names, name), append(out, t.Grad().Float64s())
	}
	add("x", x)
	for _, p := range l.Params() {
		add(p.Name, p.Tensor)
	}
	for i, p := range initial {
		add("state "+p.Name, leaves[i])
	}
	return names, out
}

// Gradients flow through a sequence that is cut as through the whole.
func (l *subject) gradientSplits(t *testing.T) {
	const T = 19
	x, start := l.noise(2, T), l.started(2)
	c := l.noise(2, T).Data()
	names, want := l.grads(x, start, []int{T}, c)
	for i := range 3 {
		cuts := ones(T)
		if i > 0 {
			cuts = l.cuts(T)
		}
		_, got := l.grads(x, start, cuts, c)
		for k, name := range names {
			if e := gradcheck.Difference(got[k], want[k]); !(e <= gradTolerance) {
				t.Errorf("pieces %v: gradient of %s differs by %.2g, tolerance %g", cuts, name, e, gradTolerance)
			}
		}
	}
}

// The same bits for any number of workers.
func (l *subject) workers(t *testing.T) {
	x := l.noise(2, 300)
	var want []float32
	var wantState []byte
	for _, n := range []int{1, 2, 7} {
		st := l.NewState(2)
		y := l.Forward(tensor.Enter(tensor.NewScope(tensor.Workers(n)), x), st).Float32s()
		saved, err := st.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			want, wantState = y, saved
		} else if !slices.Equal(y, want) || !slices.Equal(saved, wantState) {
			t.Errorf("%d workers do not give the bits of one", n)
		}
	}
}

// A state that is cloned, or saved and restored, goes on as if nothing had happened.
func (l *subject) savedState(t *testing.T) {
	x := l.noise(2, 9)
	st := l.started(2)
	saved, err := st.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	fork, restored := st.Clone(), l.NewState(2)
	if err := restored.UnmarshalBinary(saved); err != nil {
		t.Fatal(err)
	}
	want := l.Forward(x, st).Float32s()
	if got := l.Forward(x, fork).Float32s(); !slices.Equal(got, want) {
		t.Error("a cloned state goes on differently")
	}
	if got := l.Forward(x, restored).Float32s(); !slices.Equal(got, want) {
		t.Error("a restored state goes on differently")
	}
	if err := l.NewState(1).UnmarshalBinary(saved); err == nil || !strings.Contains(err.Error(), "2 sequences, want 1") {
		t.Errorf("a state of two sequences as one of one: error %v", err)
	}
	other := tensor.NewState("another layer", 2)
	if err := other.UnmarshalBinary(saved); err == nil || !strings.Contains(err.Error(), "another layer") {
		t.Errorf("a state as another layer's: error %v", err)
	}
}

// Sequences of a batch do not see each other.
func (l *subject) batch(t *testing.T) {
	const T = 21
	x := l.noise(3, T)
	st := l.NewState(3)
	all := l.Forward(x, st)
	for b := range 3 {
		alone := l.Forward(x.Narrow(0, b, b+1).Clone(), nil)
		compare(t, fmt.Sprintf("sequence %d of 3", b), all.Narrow(0, b, b+1), alone, valueTolerance)
	}
}

// With memory reused, a decode step allocates nothing.
func (l *subject) allocations(t *testing.T) {
	if race.Enabled {
		return // the race detector's own allocations would count
	}
	st := l.NewState(1)
	x := l.noise(1, 1).Data()
	s := tensor.NewScope(tensor.Workers(1))
	step := func() {
		s.Reset()
		l.Forward(s.From(x, 1, 1, l.d), st)
	}
	for range 40 {
		step()
	}
	if n := testing.AllocsPerRun(50, step); n != 0 {
		t.Errorf("a decode step allocates %v times", n)
	}
}

// The fast form agrees with the plain one, which itself may be cut anywhere.
func (l *subject) plain(t *testing.T) {
	const T = 37
	x := l.noise(2, T)
	gradcheck.Forward(t, "whole", func(s *tensor.Scope) *tensor.Tensor { return l.Forward(tensor.Enter(s, x), nil) }, valueTolerance)
	s := tensor.NewScope(tensor.Float64())
	want := l.Forward(tensor.Enter(s, x), nil)
	got := l.pieces(tensor.Enter(s, x), l.NewState(2), l.cuts(T))
	compare(t, "plain form in pieces", got, want, 1e-9)
}

// Gradients of the input, the weights and the initial state agree with differences of the plain form.
func (l *subject) gradients(t *testing.T) {
	x, start := l.noise(2, 5), l.started(2)
	leaves := []*tensor.Tensor{x}
	names := []string{"x"}
	for _, p := range l.Params() {
		leaves, names = append(leaves, p.Tensor), append(names, p.Name)
	}
	var parts []int // of the state, that are leaves
	for i, p := range values(start) {
		if p.Name == "pp" {
			continue // RWKV-4's shift of its sums: a scale, held constant
		}
		parts = append(parts, i)
		leaves, names = append(leaves, p.Value), append(names, "state "+p.Name)
	}
	t.Logf("leaves: %v", names)
	gradcheck.Check(t, "layer", leaves, func(s *tensor.Scope) *tensor.Tensor {
		st := start.Clone()
		from, to := values(start), values(st)
		for _, i := range parts {
			to[i].Write(tensor.Enter(s, from[i].Value))
		}
		return l.Forward(tensor.Enter(s, x), st)
	}, gradTolerance)
}

// Sequences of one token and of none.
func (l *subject) short(t *testing.T) {
	st := l.started(2)
	before, err := st.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if y := l.Forward(l.noise(2, 0), st); y.Len() != 0 || y.Dim(1) != 0 {
		t.Errorf("no tokens gave %v", y.Shape())
	}
	after, err := st.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, after) {
		t.Error("no tokens changed the state")
	}
	x := l.noise(2, 1)
	compare(t, "one token", l.Forward(x, nil), l.Forward(x, l.NewState(2)), 0)
}

// The state does not grow with the sequence.
func (l *subject) stateSize(t *testing.T) {
	st := l.NewState(1)
	l.Forward(l.noise(1, 10), st)
	n := st.Bytes()
	l.Forward(l.noise(1, 90), st)
	if grows := strings.Contains(st.Kind, "window=0"); st.Bytes() != n && !grows {
		t.Errorf("the state grew from %d to %d bytes", n, st.Bytes())
	}
}
