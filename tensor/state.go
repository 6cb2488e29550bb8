package tensor

import (
	"fmt"
	"slices"
)

// A State is what a layer, or a model, remembers of the sequences it has seen:
// named parts of fixed size, the number of tokens seen by each sequence, and
// the states of its inner layers. It is a value: Clone forks it, MarshalBinary
// saves it. Layers update it in place; it must not be shared by two calls at
// once.
type State struct {
	Kind  string  // the layer and what of its configuration the state depends on
	Batch int     // sequences
	Pos   []int64 // tokens seen, for each sequence
	Parts []*Part
	Sub   []*State
}

// NewState makes the state of a layer: batch sequences that have seen nothing.
func NewState(kind string, batch int) *State {
	return &State{Kind: kind, Batch: batch, Pos: make([]int64, batch)}
}

// Add appends a part, the tensor of its value at the start of a sequence.
func (st *State) Add(name string, value *Tensor) *State {
	st.Parts = append(st.Parts, &Part{Name: name, Value: value, start: value.Clone(), grows: -1})
	return st
}

// Growing is Add for a part that Grow lengthens along an axis.
func (st *State) Growing(name string, axis int, value *Tensor) *State {
	st.Add(name, value).Parts[len(st.Parts)-1].grows = axis
	return st
}

// Part is the i-th part; nil for a nil state, which all of Part's methods accept.
func (st *State) Part(i int) *Part {
	if st == nil {
		return nil
	}
	return st.Parts[i]
}

// Inner is the state of the i-th inner layer; nil for a nil state.
func (st *State) Inner(i int) *State {
	if st == nil {
		return nil
	}
	return st.Sub[i]
}

// Advance counts n more tokens for every sequence.
func (st *State) Advance(n int) {
	if st == nil {
		return
	}
	for i := range st.Pos {
		st.Pos[i] += int64(n)
	}
}

// Check panics unless st is nil or the state of this kind of layer for batch sequences.
func (st *State) Check(kind string, batch int) {
	if st != nil && (st.Kind != kind || st.Batch != batch) {
		panic(&ShapeError{Op: kind, Arg: "state", Got: []int{st.Batch}, Want: fmt.Sprintf("a state of %q for %d sequences, this is one of %q", kind, batch, st.Kind)})
	}
}

// Reset goes back to the start of a sequence.
func (st *State) Reset() {
	clear(st.Pos)
	for _, p := range st.Parts {
		p.live = nil
		if p.grows >= 0 {
			p.Value = p.start.Clone()
			continue
		}
		p.Value.SetFrom(p.start)
	}
	for _, s := range st.Sub {
		s.Reset()
	}
}

// Clone is an independent copy.
func (st *State) Clone() *State {
	if st == nil {
		return nil
	}
	c := &State{Kind: st.Kind, Batch: st.Batch, Pos: slices.Clone(st.Pos)}
	for _, p := range st.Parts {
		c.Parts = append(c.Parts, &Part{Name: p.Name, Value: p.Value.Clone(), start: p.start, grows: p.grows})
	}
	for _, s := range st.Sub {
		c.Sub = append(c.Sub, s.Clone())
	}
	return c
}

// Bytes is the size of the state's values.
func (st *State) Bytes() int {
	n := 8 * len(st.Pos)
	for _, p := range st.Parts {
		n += 4 * p.Value.Len()
	}
	for _, s := range st.Sub {
		n += s.Bytes()
	}
	return n
}

// A Part is one tensor of a State. In inference operators work on Value in
// place. In a recording scope the value as the graph sees it is kept beside
// it until the scope's Reset, so that gradients flow through a sequence that
// was cut into several calls; across Reset only the value is carried
// (truncated back-propagation).
type Part struct {
	Name  string
	Value *Tensor // on the heap; Track it to get the gradient of the initial state
	start *Tensor
	grows int     // the axis that Grow lengthens; −1 for none
	live  *Tensor // the value as made in a recording or Float64 scope
}

// Begin opens the part for an operator that works in scope s: before is the
// value as an input (nil when it is not needed: in inference, or at a zero
// start of a nil part), after is the tensor to update in place, which holds
// the value. A nil part gives zeros of the given shape. Afterwards the
// operator registers its gradient with outs that include after, and calls End.
func (p *Part) Begin(s *Scope, op string, shape ...int) (before, after *Tensor) {
	if p == nil {
		return nil, s.New(shape...)
	}
	if !slices.Equal(p.Value.Shape(), shape) {
		panic(&ShapeError{Op: op, Arg: "state " + p.Name, Got: slices.Clone(p.Value.Shape()), Want: fmt.Sprint(slices.Clone(shape))})
	}
	if !s.Recording() && !s.IsFloat64() {
		return nil, p.Value
	}
	before = p.Read(s)
	after = s.make(op, shape)
	after.SetFrom(before)
	after.needs = s.Recording()
	return before, after
}

// End stores what Begin opened.
func (p *Part) End(after *Tensor) {
	if p != nil && after != p.Value {
		p.Write(after)
	}
}

// Read is the part's value as an input in scope s: shared with the part in
// inference, a copy that gradients flow through when recording.
func (p *Part) Read(s *Scope) *Tensor {
	if !s.Recording() && !s.IsFloat64() {
		return p.Value
	}
	if p.live != nil && p.live.scope == s && p.live.gen == s.gen {
		return p.live
	}
	return Enter(s, p.Value)
}

// Write makes t the part's value.
func (p *Part) Write(t *Tensor) {
	p.Value.SetFrom(t)
	p.live = nil
	if t.scope.Recording() || t.scope.IsFloat64() {
		p.live = t
	}
}

// Enter brings a heap tensor (an input, a weight used as one, a state) into a
// scope, as a copy that passes its gradient on.
func Enter(s *Scope, src *Tensor) *Tensor {
	t := s.make("Enter", src.Shape())
	t.SetFrom(src)
	t.needs = s.Recording() && src.NeedsGrad()
	if t.Recording() {
		OnBackward(func() { addTo(src.Grad(), t.Grad()) }, t)
	}
	return t
}

// Grow lengthens the part by n zeros along an axis: for a state that holds the
// sequence itself, as softmax attention's does.
func (p *Part) Grow(s *Scope, axis, n int) {
	axis = p.Value.axis("Grow", axis)
	var shape [MaxRank]int
	rank := copy(shape[:], p.Value.Shape())
	old := shape[axis]
	shape[axis] += n
	if v := p.Value; !s.Recording() && !s.IsFloat64() && v.Len() > 0 && v.Len()/v.stride[axis] == old && v.base == nil {
		// Nothing lies behind the axis to be moved apart: append, with room to spare for the next time.
		data := append(v.data[:v.Len()], make([]float32, n*v.stride[axis])...)
		p.Value, p.live = From(data, shape[:rank]...), nil
		return
	}
	bigger := New(shape[:rank]...)
	bigger.Narrow(axis, 0, old).SetFrom(p.Value)
	if !s.Recording() && !s.IsFloat64() {
		p.Value, p.live = bigger, nil
		return
	}
	from := p.Read(s)
	t := s.New(shape[:rank]...)
	t.Narrow(axis, 0, old).SetFrom(from)
	t.needs = s.Recording()
	if t.Recording() {
		OnBackward(func() {
			if from.NeedsGrad() {
				addTo(from.Grad(), contiguous(t.Grad().Narrow(axis, 0, old)))
			}
		}, t)
	}
	p.Value, p.live = bigger, t
}
