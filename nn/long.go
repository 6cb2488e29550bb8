package nn

import "github.com/subquad/subquad/tensor"

// longFloats is the size of a piece's activations, one channel of the residual
// stream each: a layer makes about ten such arrays, and what is written by one
// pass should still be in the cache when the next one reads it.
const longFloats = 1 << 17

// Long is l.Forward(x, st) for inference on a long sequence, x [batch, length,
// channels]: it goes through x in pieces whose intermediate results stay in
// the cache and reuse one another's memory. Time and memory for a token are then
// those of a short sequence. The result is that of Forward within rounding,
// since a layer's sequence may be cut anywhere; where gradients are recorded,
// Long is Forward.
func Long(l Layer, x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	s, B, T := x.Scope(), x.Dim(0), x.Dim(1)
	piece := max(64, longFloats/max(1, B*x.Dim(2)))
	if s == nil || s.Recording() || s.IsFloat64() || T <= piece+piece/2 {
		return l.Forward(x, st)
	}
	if st == nil {
		st = l.NewState(B)
	}
	var y *tensor.Tensor
	for t := 0; t < T; t += piece {
		end := min(t+piece, T)
		m := s.Mark()
		out := l.Forward(x.Narrow(1, t, end), st)
		if y == nil {
			y = tensor.Out("nn.Long", []int{B, T, out.Dim(2)}, out)
			m = s.Mark()
		}
		y.Narrow(1, t, end).SetFrom(out)
		s.Release(m, nil)
	}
	return y
}
