package main

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// Leaky is a made-up layer: each channel is a leaky average whose leak
// depends on the input,
//
//	a = σ(W_a x + b);   h_t = a_t ⊙ h_{t−1} + (1−a_t) ⊙ W_v x_t;   y = W_o (h ⊙ SiLU(W_g x))
//
// Its state is one number a channel.
type Leaky struct {
	width                     int
	Leak, Value, Gate, Output *nn.Linear
}

// NewLeaky makes a layer of width channels.
func NewLeaky(width int, seed uint64) (*Leaky, error) {
	rng := nn.NewRNG(seed)
	l := &Leaky{width: width}
	for _, to := range []**nn.Linear{&l.Leak, &l.Value, &l.Gate, &l.Output} {
		var err error
		if *to, err = nn.NewLinear(width, width, to == &l.Leak, rng); err != nil {
			return nil, fmt.Errorf("newlayer: %w", err)
		}
	}
	// Memories of all lengths to begin with: a from one half to e^−0.002.
	l.Leak.Bias = nn.Uniform(rng, 0, 6, width)
	return l, nil
}

// Params lists the weights by the names that a checkpoint would have.
func (l *Leaky) Params() nn.Params {
	p := l.Leak.Params().Prefix("leak")
	p = append(p, l.Value.Params().Prefix("value")...)
	p = append(p, l.Gate.Params().Prefix("gate")...)
	return append(p, l.Output.Params().Prefix("out")...)
}

// NewState is that of batch sequences that have seen nothing.
func (l *Leaky) NewState(batch int) *tensor.State {
	return tensor.NewState("newlayer.Leaky/1", batch).Add("h", tensor.New(batch, l.width))
}

// Forward maps x [batch, length, width] to the same shape.
func (l *Leaky) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("newlayer.Leaky", "x", x, -1, -1, l.width)
	st.Check("newlayer.Leaky/1", x.Dim(0))
	a := tensor.Sigmoid(l.Leak.Forward(x))
	v := tensor.Mul(tensor.AddConst(tensor.Neg(a), 1), l.Value.Forward(x))
	h := scan.Diagonal(a, v, st.Part(0))
	st.Advance(x.Dim(1))
	return l.Output.Forward(tensor.SiLUMul(h, l.Gate.Forward(x)))
}
