package linattn

import (
	"fmt"

	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/tensor"
)

// maxWidth bounds widths so that a hostile configuration is refused before memory is taken.
const maxWidth = 1 << 16

// AttentionConfig describes a layer of softmax attention. Zero values mean the defaults.
type AttentionConfig struct {
	DModel     int     // channels of the residual stream
	NumHeads   int     // query heads; default DModel/64, at least 1
	NumKVHeads int     // key and value heads, a divisor of NumHeads; default NumHeads
	HeadDim    int     // channels of a head; default DModel/NumHeads
	Window     int     // keys that a query sees, itself included; 0 means all
	RopeBase   float64 // base of the rotary embedding (Llama: 10000); 0 means none
	ALiBi      bool    // scores fall with the distance, instead of rotations
	Sinks      bool    // each head may attend to nothing, by a score of its own
	Bias       bool    // on q, k and v
	OutBias    bool    // on the output projection
	Seed       uint64  // of the initialisation, uniform ±1/√in as torch's Linear
}

func (c AttentionConfig) withDefaults() (AttentionConfig, error) {
	if c.NumHeads == 0 {
		c.NumHeads = max(1, c.DModel/64)
	}
	if c.NumKVHeads == 0 {
		c.NumKVHeads = c.NumHeads
	}
	if c.HeadDim == 0 && c.NumHeads > 0 {
		c.HeadDim = c.DModel / c.NumHeads
	}
	switch {
	case c.DModel < 1 || c.DModel > maxWidth:
		return c, fmt.Errorf("linattn.AttentionConfig: DModel %d: want 1 to %d", c.DModel, maxWidth)
	case c.NumHeads < 1 || c.NumHeads > maxWidth || c.NumKVHeads < 1 || c.NumHeads%c.NumKVHeads != 0:
		return c, fmt.Errorf("linattn.AttentionConfig: NumHeads %d, NumKVHeads %d: want the second to divide the first", c.NumHeads, c.NumKVHeads)
	case c.HeadDim < 1 || c.HeadDim > maxWidth/c.NumHeads:
		return c, fmt.Errorf("linattn.AttentionConfig: HeadDim %d for %d heads: want 1 to %d", c.HeadDim, c.NumHeads, maxWidth/c.NumHeads)
	case c.Window < 0 || c.Window > 1<<24:
		return c, fmt.Errorf("linattn.AttentionConfig: Window %d: want 0 to %d", c.Window, 1<<24)
	case c.RopeBase != 0 && !(c.RopeBase > 1 && c.RopeBase < 1e15):
		return c, fmt.Errorf("linattn.AttentionConfig: RopeBase %v: want more than 1, or 0 for none", c.RopeBase)
	case c.RopeBase != 0 && c.HeadDim%2 != 0:
		return c, fmt.Errorf("linattn.AttentionConfig: HeadDim %d: a rotary embedding wants an even number", c.HeadDim)
	}
	return c, nil
}

// Attention is multi-head causal softmax attention, as in Llama
// (huggingface/transformers: modeling_llama.py#LlamaAttention):
//
//	q, k, v = W_q x, W_k x, W_v x;   q, k = RoPE(q), RoPE(k);   y = W_o softmax(q kᵀ/√d) v
//
// Its state holds keys and values, 2·NumKVHeads·HeadDim floats a token: of the
// last Window tokens in a ring, or of all of them, the one state in this module
// that grows. A token costs 2·NumHeads·HeadDim multiply-adds for each key that
// it sees, beside the projections.
type Attention struct {
	cfg        AttentionConfig
	kind       string
	Q, K, V, O *nn.Linear
	Sinks      *tensor.Tensor // [NumHeads], or nil
}

// NewAttention makes a layer.
func NewAttention(cfg AttentionConfig) (*Attention, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	rng := nn.NewRNG(c.Seed)
	a := &Attention{cfg: c, kind: fmt.Sprintf("linattn.Attention/1 kv_heads=%d head_dim=%d window=%d", c.NumKVHeads, c.HeadDim, c.Window)}
	for _, l := range []struct {
		to      **nn.Linear
		in, out int
		bias    bool
	}{
		{&a.Q, c.DModel, c.NumHeads * c.HeadDim, c.Bias},
		{&a.K, c.DModel, c.NumKVHeads * c.HeadDim, c.Bias},
		{&a.V, c.DModel, c.NumKVHeads * c.HeadDim, c.Bias},
		{&a.O, c.NumHeads * c.HeadDim, c.DModel, c.OutBias},
	} {
		if *l.to, err = nn.NewLinear(l.in, l.out, l.bias, rng); err != nil {
			return nil, err
		}
	}
	if c.Sinks {
		a.Sinks = nn.Normal(rng, 0.02, c.NumHeads)
	}
	return a, nil
}

// Params lists the weights under Llama's names.
func (a *Attention) Params() nn.Params {
	var p nn.Params
	p = append(p, a.Q.Params().Prefix("q_proj")...)
	p = append(p, a.K.Params().Prefix("k_proj")...)
	p = append(p, a.V.Params().Prefix("v_proj")...)
	p = append(p, a.O.Params().Prefix("o_proj")...)
	if a.Sinks != nil {
		p = append(p, nn.Param{Name: "sinks", Tensor: a.Sinks, NoDecay: true})
	}
	return p
}

// NewState has parts "k" and "v", [batch, slots, NumKVHeads, HeadDim]: Window
// slots, or without a window as many as there are tokens, doubling.
func (a *Attention) NewState(batch int) *tensor.State {
	slots := a.cfg.Window
	if slots == 0 {
		slots = 16
	}
	shape := []int{batch, slots, a.cfg.NumKVHeads, a.cfg.HeadDim}
	return tensor.NewState(a.kind, batch).Growing("k", 1, tensor.New(shape...)).Growing("v", 1, tensor.New(shape...))
}

// Forward attends over x [batch, length, DModel].
func (a *Attention) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	tensor.Check("linattn.Attention", "x", x, -1, -1, a.cfg.DModel)
	st.Check(a.kind, x.Dim(0))
	q, k, v := a.project(x, st)
	y := Softmax(q, k, v, SoftmaxOptions{Window: a.cfg.Window, ALiBi: a.cfg.ALiBi, Sinks: a.Sinks}, st)
	st.Advance(x.Dim(1))
	return a.O.Forward(y.Reshape(x.Dim(0), x.Dim(1), a.cfg.NumHeads*a.cfg.HeadDim))
}

// project gives q, k and v of x by heads, q and k turned to the positions that follow st.
func (a *Attention) project(x *tensor.Tensor, st *tensor.State) (q, k, v *tensor.Tensor) {
	B, T, D := x.Dim(0), x.Dim(1), a.cfg.HeadDim
	q = a.Q.Forward(x).Reshape(B, T, a.cfg.NumHeads, D)
	k = a.K.Forward(x).Reshape(B, T, a.cfg.NumKVHeads, D)
	v = a.V.Forward(x).Reshape(B, T, a.cfg.NumKVHeads, D)
	if a.cfg.RopeBase != 0 {
		var pos []int64
		if st != nil {
			pos = st.Pos
		}
		q, k = nn.RoPE(q, pos, a.cfg.RopeBase, false), nn.RoPE(k, pos, a.cfg.RopeBase, false)
	}
	return q, k, v
}
