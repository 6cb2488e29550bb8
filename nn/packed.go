package nn

import (
	"fmt"
	"slices"

	"github.com/subquad/subquad/tensor"
)

// Packed runs l over sequences of different lengths that lie one after another
// in x, [1, total, channels]: sequence i is rows offsets[i] to offsets[i+1],
// so that offsets begins with 0 and ends with total (the cumulative lengths of
// flash-linear-attention's cu_seqlens). states is nil, or has one state of
// batch 1 for each sequence. The result, and every gradient, is what each
// sequence gives alone, to the bit.
func Packed(l Layer, x *tensor.Tensor, offsets []int, states []*tensor.State) *tensor.Tensor {
	const op = "nn.Packed"
	tensor.Check(op, "x", x, 1, -1, -1)
	n := len(offsets) - 1
	if n < 1 || offsets[0] != 0 || offsets[n] != x.Dim(1) || !slices.IsSorted(offsets) {
		panic(&tensor.ShapeError{Op: op, Arg: "offsets", Got: slices.Clone(offsets), Want: fmt.Sprintf("rising positions from 0 to %d", x.Dim(1))})
	}
	if states != nil && len(states) != n {
		panic(&tensor.ShapeError{Op: op, Arg: "states", Got: []int{len(states)}, Want: fmt.Sprintf("%d states, one a sequence", n)})
	}
	parts := make([]*tensor.Tensor, n)
	for i := range parts {
		var st *tensor.State
		if states != nil {
			st = states[i]
		}
		parts[i] = l.Forward(x.Narrow(1, offsets[i], offsets[i+1]), st)
	}
	return tensor.Concat(1, parts...)
}

// Padding says at which end of its row a sequence of a padded batch is filled up.
type Padding uint8

const (
	PadRight Padding = iota // the sequence comes first
	PadLeft                 // the sequence comes last
)

// Padded runs l over a batch x, [batch, length, channels], whose row b holds a
// sequence of lengths[b] tokens and padding, which is not looked at. states is
// as Packed's. The result, and every gradient, is what each sequence gives
// alone, to the bit; it is zero where x is padding.
func Padded(l Layer, x *tensor.Tensor, lengths []int, side Padding, states []*tensor.State) *tensor.Tensor {
	const op = "nn.Padded"
	tensor.Check(op, "x", x, len(lengths), -1, -1)
	B, T := x.Dim(0), x.Dim(1)
	if states != nil && len(states) != B {
		panic(&tensor.ShapeError{Op: op, Arg: "states", Got: []int{len(states)}, Want: fmt.Sprintf("%d states, one a sequence", B)})
	}
	rows := make([]*tensor.Tensor, B)
	for b, n := range lengths {
		if n < 0 || n > T {
			panic(&tensor.ShapeError{Op: op, Arg: fmt.Sprintf("lengths[%d]", b), Got: []int{n}, Want: fmt.Sprintf("0 to %d", T)})
		}
		lo := 0
		if side == PadLeft {
			lo = T - n
		}
		var st *tensor.State
		if states != nil {
			st = states[b]
		}
		y := l.Forward(x.Narrow(0, b, b+1).Narrow(1, lo, lo+n), st)
		fill := y.Scope().New(1, T-n, y.Dim(2))
		if side == PadLeft {
			rows[b] = tensor.Concat(1, fill, y)
		} else {
			rows[b] = tensor.Concat(1, y, fill)
		}
	}
	if B == 0 {
		return l.Forward(x, nil)
	}
	return tensor.Concat(0, rows...)
}
