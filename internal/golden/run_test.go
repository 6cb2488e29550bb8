package golden

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// A leaf is an input, a weight or an initial state, in this module's layout.
type leaf struct {
	name   string // after "in.", "w." and "grad."
	layout string // of the file; "" for weights, whose axes of length 1 may differ
	time   bool   // cut along axis 1 in the split modes
	t      *tensor.Tensor
}

// An operation is a case bound to this module: what to run and what must come out.
type operation struct {
	c        *refCase
	leaves   []*leaf
	length   int
	newState func() *tensor.State // holds the case's initial state; nil for operators without one
	// forward runs one piece of the sequence; at gives a leaf's piece.
	forward func(s *tensor.Scope, at func(*leaf) *tensor.Tensor, st *tensor.State) []*tensor.Tensor
	outs    []output // of forward, time on axis 1
	states  []stateCheck
	noSplit bool // the operator has no state: whole only
	noGrad  bool // more than what the file lacks: say why where it is set
}

type output struct{ name, layout string }

// A stateCheck compares a part of the final state. from turns our value into the file's.
type stateCheck struct {
	name string
	from func(st *tensor.State) []float64
}

// seq adds an input with a time axis; fixed one without; weight one of the layer's own.
func (o *operation) seq(name, layout string) *leaf {
	l := o.input(name, layout)
	l.time = true
	o.length = l.t.Dim(1)
	return l
}

func (o *operation) fixed(name, layout string) *leaf { return o.input(name, layout) }

func (o *operation) input(name, layout string) *leaf {
	data, shape := permute(o.c.float64s("in."+name), o.c.shape("in."+name), layout, sorted(layout))
	l := &leaf{name: name, layout: layout, t: heap(data, shape)}
	o.leaves = append(o.leaves, l)
	return l
}

func (o *operation) optional(name, layout string) *leaf {
	if !o.c.has("in." + name) {
		return nil
	}
	return o.fixed(name, layout)
}

// weights fills a layer's parameters with the case's w.* tensors and makes leaves of them.
func (o *operation) weights(params nn.Params) {
	seen := map[string]bool{}
	for _, p := range params {
		seen["w."+p.Name] = true
		if !o.c.has("w." + p.Name) {
			continue
		}
		w := o.c.float64s("w." + p.Name)
		if len(w) != p.Len() {
			panic(fmt.Sprintf("%s: weight %s has shape %v, the layer's is %v", o.c.name, p.Name, o.c.shape("w."+p.Name), p.Shape()))
		}
		for i, v := range w {
			p.Data()[i] = float32(v)
		}
		o.leaves = append(o.leaves, &leaf{name: p.Name, t: p.Tensor})
	}
	for _, name := range o.c.file.Names() {
		if strings.HasSuffix(name, ".l_kernel") {
			continue // a buffer of S4's, an integer that is a configuration's here
		}
		if strings.HasPrefix(name, "w.") && !seen[name] {
			panic(fmt.Sprintf("%s: the layer has no weight %s", o.c.name, name))
		}
	}
}

// start makes st's part hold the initial state in.<name>, if the case has one,
// as a leaf that gradients reach. layout maps the file's axes to ours by
// letters, ours being the letters of to.
func (o *operation) start(st *tensor.State, part int, name, layout, to string) {
	if !o.c.has("in." + name) {
		return
	}
	data, shape := permute(o.c.float64s("in."+name), o.c.shape("in."+name), layout, to)
	v := st.Parts[part].Value
	v.SetFrom(heap(data, shape).Reshape(v.Shape()...))
}

// result of one case.
type result struct {
	whole, split, steps, grad float64
	hasGrad, hasSplit         bool
	bad                       []string
}

func (r *result) check(c *refCase, mode *float64, name string, got, want []float64, base float64) {
	e := compare(got, want)
	*mode = max(*mode, e)
	if tol := c.tolerance(name, base); !(e <= tol) {
		r.bad = append(r.bad, fmt.Sprintf("%s: error %.2g, tolerance %.2g", name, e, tol))
	}
}

const (
	valueTolerance = 1e-5
	gradTolerance  = 1e-4
)

// run takes the case through its modes.
func (o *operation) run() (r result) {
	r.hasSplit = !o.noSplit
	rng := rand.New(rand.NewPCG(uint64(o.length), 1))
	o.mode(&r, &r.whole, []int{o.length}, false)
	if r.hasSplit {
		for range 3 {
			var cuts []int
			for rest := o.length; rest > 0; {
				n := 1 + rng.IntN(rest)
				cuts, rest = append(cuts, n), rest-n
			}
			o.mode(&r, &r.split, cuts, false)
		}
		ones := make([]int, o.length)
		for i := range ones {
			ones[i] = 1
		}
		o.mode(&r, &r.steps, ones, false)
	}
	for _, l := range o.leaves {
		r.hasGrad = r.hasGrad || o.c.has("grad."+l.name)
	}
	if r.hasGrad = r.hasGrad && !o.noGrad; r.hasGrad {
		o.mode(&r, &r.grad, []int{o.length}, true)
		if r.hasSplit && o.length > 2 {
			o.mode(&r, &r.grad, []int{o.length / 3, o.length - o.length/3}, true)
		}
	}
	return r
}

// mode runs the sequence in pieces and compares outputs, final states and, when asked, gradients.
func (o *operation) mode(r *result, worst *float64, pieces []int, grads bool) {
	var options []tensor.Option
	if grads {
		options = append(options, tensor.Record())
	}
	s := tensor.NewScope(options...)
	entered := map[*leaf]*tensor.Tensor{}
	for _, l := range o.leaves {
		l.t.Track().ZeroGrad()
		entered[l] = tensor.Enter(s, l.t)
	}
	var st *tensor.State
	if o.newState != nil {
		st = o.newState()
		for _, p := range st.Parts {
			p.Value.Track()
		}
	}
	parts := make([][]*tensor.Tensor, len(o.outs))
	lo := 0
	for _, n := range pieces {
		at := func(l *leaf) *tensor.Tensor {
			if l == nil {
				return nil
			}
			if l.time {
				return entered[l].Narrow(1, lo, lo+n)
			}
			return entered[l]
		}
		for i, y := range o.forward(s, at, st)[:len(parts)] { // a file may lack the later ones
			parts[i] = append(parts[i], y)
		}
		lo += n
	}
	whole := make([]*tensor.Tensor, len(parts))
	for i, p := range parts {
		whole[i] = p[0]
		if len(p) > 1 {
			whole[i] = tensor.Concat(1, p...)
		}
	}
	if !grads {
		for i, out := range o.outs {
			want, _ := permute(o.c.float64s(out.name), o.c.shape(out.name), out.layout, sorted(out.layout))
			r.check(o.c, worst, out.name, whole[i].Float64s(), want, valueTolerance)
		}
		for _, sc := range o.states {
			if st != nil && o.c.has(sc.name) {
				r.check(o.c, worst, sc.name, sc.from(st), o.c.float64s(sc.name), valueTolerance)
			}
		}
		return
	}
	layout := o.outs[0].layout
	cot, shape := permute(o.c.float64s("in.cotangent"), o.c.shape("in.cotangent"), layout, sorted(layout))
	s.Backward(tensor.SumAll(tensor.Mul(whole[0], tensor.Enter(s, heap(cot, shape)))))
	check := func(name, layout, to string, t *tensor.Tensor) {
		if !o.c.has("grad." + name) {
			return
		}
		want := o.c.float64s("grad." + name)
		if layout != "" {
			want, _ = permute(want, o.c.shape("grad."+name), layout, to)
		}
		r.check(o.c, worst, "grad."+name, t.Grad().Float64s(), want, gradTolerance)
	}
	for _, l := range o.leaves {
		check(l.name, l.layout, sorted(l.layout), l.t)
	}
	for _, g := range o.stateGrads() {
		check(g.name, g.layout, g.to, st.Parts[g.part].Value)
	}
}

type stateGrad struct {
	part             int
	name, layout, to string
}

// stateGrads lists which parts have a gradient in the file, by the operation's kind of state.
func (o *operation) stateGrads() []stateGrad { return stateGradsOf[o.c.Op] }
