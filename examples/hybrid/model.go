package main

import (
	"fmt"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// A Block adds to the stream what it remembers of all that came before, what it
// sees in the last tokens, and what it makes of a token alone:
//
//	x ← x + Mamba(norm(x));   x ← x + Attention(norm(x));   x ← x + MLP(norm(x))
type Block struct {
	Mamba     *ssm.Mamba
	Attention *linattn.Attention
	MLP       *nn.MLP
	Norms     [3]nn.RMSNorm
}

// NewBlock makes a block with random weights.
func NewBlock(width, window int, seed uint64) (*Block, error) {
	var b Block
	var err error
	if b.Mamba, err = ssm.NewMamba(ssm.MambaConfig{DModel: width, Seed: seed}); err != nil {
		return nil, err
	}
	if b.Attention, err = linattn.NewAttention(linattn.AttentionConfig{DModel: width, Window: window, RopeBase: 10000, Seed: seed + 1}); err != nil {
		return nil, err
	}
	if b.MLP, err = nn.NewMLP(nn.MLPConfig{DModel: width, DHidden: 3 * width, Seed: seed + 2}); err != nil {
		return nil, err
	}
	for i := range b.Norms {
		b.Norms[i] = nn.RMSNorm{Weight: nn.Full(1, width), Eps: 1e-5}
	}
	return &b, nil
}

// Forward is the equations above. The MLP has no state.
func (b *Block) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	x = tensor.Add(x, b.Mamba.Forward(b.Norms[0].Forward(x), st.Inner(0)))
	x = tensor.Add(x, b.Attention.Forward(b.Norms[1].Forward(x), st.Inner(1)))
	return tensor.Add(x, b.MLP.Forward(b.Norms[2].Forward(x)))
}

// Params lists the weights.
func (b *Block) Params() nn.Params {
	p := b.Mamba.Params().Prefix("mamba")
	p = append(p, b.Attention.Params().Prefix("attention")...)
	p = append(p, b.MLP.Params().Prefix("mlp")...)
	for i := range b.Norms {
		p = append(p, b.Norms[i].Params().Prefix(fmt.Sprintf("norm.%d", i))...)
	}
	return p
}

// A Hybrid is a stack of blocks. It is a layer itself: what works with a layer,
// nn.Long, say, works with a model.
type Hybrid struct {
	kind   string
	Blocks []*Block
}

func newHybrid(width, window, depth int, seed uint64) (*Hybrid, error) {
	if window < 1 || depth < 1 || depth > 1000 {
		return nil, fmt.Errorf("-window %d, -depth %d: want 1 or more, and at most 1000 blocks", window, depth)
	}
	h := &Hybrid{kind: fmt.Sprintf("hybrid.Hybrid/1 width=%d window=%d depth=%d", width, window, depth)}
	for i := range depth {
		b, err := NewBlock(width, window, seed+1000*uint64(i))
		if err != nil {
			return nil, err
		}
		h.Blocks = append(h.Blocks, b)
	}
	return h, nil
}

// Params lists the weights of all blocks.
func (h *Hybrid) Params() nn.Params {
	var p nn.Params
	for i, b := range h.Blocks {
		p = append(p, b.Params().Prefix(fmt.Sprintf("blocks.%d", i))...)
	}
	return p
}

// NewState is the state of batch sequences that have seen nothing: those of
// Mamba and of attention, block after block.
func (h *Hybrid) NewState(batch int) *tensor.State {
	st := tensor.NewState(h.kind, batch)
	for _, b := range h.Blocks {
		inner := tensor.NewState("hybrid.Block/1", batch)
		inner.Sub = []*tensor.State{b.Mamba.NewState(batch), b.Attention.NewState(batch)}
		st.Sub = append(st.Sub, inner)
	}
	return st
}

// Forward maps x [batch, length, width] to the same shape.
func (h *Hybrid) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	st.Check(h.kind, x.Dim(0))
	for i, b := range h.Blocks {
		x = b.Forward(x, st.Inner(i))
		st.Inner(i).Advance(x.Dim(1))
	}
	st.Advance(x.Dim(1))
	return x
}
