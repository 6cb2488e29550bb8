package tensor

import "fmt"

// node is one recorded operator: back runs when one of outs has a gradient.
type node struct {
	outs [3]*Tensor
	back func()
}

// Track marks a leaf (a weight, an input, an initial state) as wanting a
// gradient, and returns it.
func (t *Tensor) Track() *Tensor {
	t.tracked, t.needs = true, true
	return t
}

// Untrack undoes Track: a frozen weight.
func (t *Tensor) Untrack() *Tensor {
	t.tracked, t.needs, t.grad = false, false, nil
	return t
}

// NeedsGrad reports whether a gradient is wanted for t.
func (t *Tensor) NeedsGrad() bool { return t != nil && (t.needs || t.base != nil && t.base.needs) }

// Recording reports whether the operator that made t must register its
// gradient: its scope records and one of its inputs wants a gradient.
func (t *Tensor) Recording() bool { return t.needs && t.scope.Recording() }

// OnBackward registers the gradient of the operator that made outs (up to
// three, all of one scope). back runs during Backward, in reverse order of
// registration, if a gradient has reached one of outs; it reads out.Grad() and
// adds to in.Grad() of each input for which in.NeedsGrad(). Call it only if
// out.Recording(), so that nothing is allocated otherwise:
//
//	if y.Recording() {
//		tensor.OnBackward(func() { … }, y)
//	}
func OnBackward(back func(), outs ...*Tensor) {
	n := node{back: back}
	copy(n.outs[:], outs)
	s := outs[0].scope
	s.tape = append(s.tape, n)
}

// Grad is the gradient of the last Backward with respect to t, in t's shape
// and layout: memory that operators add to, zeros at first. A weight's
// gradient lives on the heap and sums up until ZeroGrad. It is nil for a
// tensor that wants none.
func (t *Tensor) Grad() *Tensor {
	if !t.NeedsGrad() {
		return nil
	}
	owner := t
	if t.base != nil {
		owner = t.base
	}
	if owner.grad == nil {
		owner.grad = owner.scope.Floats(len(owner.data))
		clear(owner.grad)
	}
	g := t.scope.header()
	g.rank, g.shape, g.stride, g.scope, g.gen = t.rank, t.shape, t.stride, t.scope, t.gen
	g.data = owner.grad[min(t.off, len(owner.grad)):]
	return g
}

// HasGrad reports whether a gradient has reached t.
func (t *Tensor) HasGrad() bool {
	if t == nil {
		return false
	}
	if t.base != nil {
		return t.base.grad != nil
	}
	return t.grad != nil
}

// ZeroGrad forgets a leaf's gradient; its memory is kept.
func (t *Tensor) ZeroGrad() { clear(t.grad) }

// Backward computes the gradients of loss, a tensor of one element made in
// this scope, with respect to everything that wants one. The gradients of
// tensors of this scope live until Reset.
func (s *Scope) Backward(loss *Tensor) {
	if !s.Recording() || loss.scope != s || loss.Len() != 1 {
		panic(&ShapeError{Op: "Backward", Arg: "loss", Got: append([]int(nil), loss.Shape()...), Want: "one element made in this recording scope"})
	}
	if !loss.NeedsGrad() {
		panic(fmt.Sprintf("tensor: Backward: nothing that the loss %v was made of is tracked", loss.Shape()))
	}
	loss.Grad().data[0] = 1
	for i := len(s.tape) - 1; i >= 0; i-- {
		n := &s.tape[i]
		for _, o := range n.outs {
			if o.HasGrad() {
				n.back()
				break
			}
		}
	}
}
