package golden

import (
	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/rwkv"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// layers binds the op of a layer's case.
var layers = map[string]binder{
	"mamba_layer":                    mambaLayer,
	"s4d_block":                      s4dBlock,
	"short_conv_layer":               shortConvLayer,
	"based_linear_attention_layer":   basedLayer,
	"attention_layer":                attentionLayer,
	"llama_block":                    llamaBlock,
	"sliding_window_attention_layer": zoologyLayer,
	"rwkv4_time_mix":                 rwkv4TimeMix,
	"rwkv4_channel_mix":              rwkv4ChannelMix,
	"rwkv7_time_mix":                 rwkv7TimeMix,
	"rwkv7_channel_mix":              rwkv7ChannelMix,
}

func init() {
	shift := stateGrad{0, "shift_state", "bc", "bc"}
	stateGradsOf["rwkv4_channel_mix"] = []stateGrad{shift}
	stateGradsOf["rwkv7_channel_mix"] = []stateGrad{shift}
	stateGradsOf["rwkv4_time_mix"] = []stateGrad{shift, {1, "aa", "bc", "bc"}, {2, "bb", "bc", "bc"}}
	stateGradsOf["rwkv7_time_mix"] = []stateGrad{shift, {1, "wkv_state", "bhvk", "bhkv"}}
}

// layer binds a layer of this module with one input x [batch, time, channels].
func layer(c *refCase, l nn.Layer, err error) *operation {
	if err != nil {
		panic(err)
	}
	o := &operation{c: c}
	x := o.seq("x", "btc")
	o.weights(l.Params())
	o.newState = func() *tensor.State { return l.NewState(x.t.Dim(0)) }
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors { return tensors{l.Forward(at(x), st)} }
	o.outs = []output{{"out.y", "btc"}}
	return o
}

func (c *refCase) int(key string, otherwise int) int { return int(c.number(key, float64(otherwise))) }

func mambaLayer(c *refCase) *operation {
	m, err := ssm.NewMamba(ssm.MambaConfig{DModel: c.int("hidden_size", 0), DState: c.int("state_size", 16), DtRank: c.int("time_step_rank", 0)})
	o := layer(c, m, err)
	// Hugging Face holds the last 4 inputs, the present one included; we hold the 3 before it.
	o.states = []stateCheck{{"state.recurrent", partValues(1, "bne", "ben")}}
	return o
}

func s4dBlock(c *refCase) *operation {
	l, err := ssm.NewS4D(s4dConfig(c))
	return layer(c, l, err)
}

func s4dConfig(c *refCase) ssm.S4DConfig {
	d := ssm.ZOH
	if c.Hyper["disc"] == "bilinear" {
		d = ssm.Bilinear
	}
	return ssm.S4DConfig{DModel: c.int("d_model", 0), DState: c.int("d_state", 0), Discretization: d}
}

func shortConvLayer(c *refCase) *operation {
	o := &operation{c: c}
	x := o.seq("x", "btc")
	shape := c.shape("w.conv.weight")
	conv := &nn.ShortConv{Weight: tensor.New(shape[0], shape[2]).Track()}
	o.weights(nn.Params{{Name: "conv.weight", Tensor: conv.Weight}})
	o.newState = func() *tensor.State {
		return tensor.NewState("conv", x.t.Dim(0)).Add("x", tensor.New(x.t.Dim(0), shape[2]-1, shape[0]))
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		return tensors{conv.Forward(at(x), st.Part(0))}
	}
	o.outs = []output{{"out.y", "btc"}}
	return o
}

func basedLayer(c *refCase) *operation {
	K := c.int("feature_dim", 0)
	l, err := linattn.NewBased(linattn.BasedConfig{DModel: c.int("d_model", 0), NumHeads: c.int("num_heads", 0), FeatureDim: K, HeadDim: c.int("head_dim", 0), Eps: c.number("eps", 0)})
	o := layer(c, l, err)
	o.states = taylorStates(K, c.int("head_dim", 0))
	return o
}

func llamaAttention(c *refCase) (*linattn.Attention, error) {
	return linattn.NewAttention(linattn.AttentionConfig{
		DModel: c.int("hidden_size", 0), NumHeads: c.int("num_attention_heads", 0), NumKVHeads: c.int("num_key_value_heads", 0),
		HeadDim: c.int("head_dim", 0), RopeBase: c.number("rope_theta", 0),
	})
}

func attentionLayer(c *refCase) *operation {
	l, err := llamaAttention(c)
	return layer(c, l, err)
}

// block is Llama's decoder layer, put together from this module's parts.
type block struct {
	norm1, norm2 *nn.RMSNorm
	attn         *linattn.Attention
	mlp          *nn.MLP
}

func (b *block) Params() nn.Params {
	p := b.norm1.Params().Prefix("input_layernorm")
	p = append(p, b.attn.Params().Prefix("self_attn")...)
	p = append(p, b.norm2.Params().Prefix("post_attention_layernorm")...)
	return append(p, b.mlp.Params().Prefix("mlp")...)
}

func (b *block) NewState(batch int) *tensor.State { return b.attn.NewState(batch) }

func (b *block) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	x = tensor.Add(x, b.attn.Forward(b.norm1.Forward(x), st))
	return tensor.Add(x, b.mlp.Forward(b.norm2.Forward(x)))
}

func llamaBlock(c *refCase) *operation {
	attn, err := llamaAttention(c)
	if err != nil {
		panic(err)
	}
	D := c.int("hidden_size", 0)
	mlp, err := nn.NewMLP(nn.MLPConfig{DModel: D, DHidden: c.int("intermediate_size", 0), Activation: nn.SwiGLU})
	norm := func() *nn.RMSNorm {
		return &nn.RMSNorm{Weight: nn.Full(1, D), Eps: float32(c.number("rms_norm_eps", 1e-6))}
	}
	return layer(c, &block{norm(), norm(), attn, mlp}, err)
}

// zoologyLayer: one projection for q, k and v, a window of block_size + 1 keys.
func zoologyLayer(c *refCase) *operation {
	D := c.int("d_model", 0)
	a, err := linattn.NewAttention(linattn.AttentionConfig{DModel: D, NumHeads: c.int("heads", 1), Window: c.int("block_size", 0) + 1, Bias: true, OutBias: true})
	if err != nil {
		panic(err)
	}
	w, b := tensor.New(3*D, D).Track(), tensor.New(3*D).Track()
	for i, l := range []*nn.Linear{a.Q, a.K, a.V} {
		l.Weight, l.Bias = w.Narrow(0, i*D, (i+1)*D), b.Narrow(0, i*D, (i+1)*D)
	}
	o := &operation{c: c}
	x := o.seq("x", "btc")
	p := nn.Params{{Name: "Wqkv.weight", Tensor: w}, {Name: "Wqkv.bias", Tensor: b}}
	o.weights(append(p, a.O.Params().Prefix("out_proj")...))
	o.newState = func() *tensor.State { return a.NewState(x.t.Dim(0)) }
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors { return tensors{a.Forward(at(x), st)} }
	o.outs = []output{{"out.y", "btc"}}
	return o
}

func rwkv4TimeMix(c *refCase) *operation {
	l, err := rwkv.NewTimeMix4(rwkv.Config4{DModel: c.int("n_embd", 0), DAttn: c.shape("w.key.weight")[0]})
	o := layer(c, l, err)
	o.newState = func() *tensor.State {
		st := l.NewState(c.shape("in.x")[0])
		for i, name := range []string{"shift_state", "aa", "bb", "pp"} {
			o.start(st, i, name, "bc", "bc")
		}
		return st
	}
	for i, name := range []string{"aa", "bb", "pp"} {
		o.states = append(o.states, stateCheck{"state." + name, partValues(i+1, "bc", "bc")})
	}
	return o
}

func rwkv4ChannelMix(c *refCase) *operation {
	l, err := rwkv.NewChannelMix4(rwkv.Config4{DModel: c.int("n_embd", 0), DFF: c.shape("w.key.weight")[0]})
	return shifted(c, l, err)
}

// shifted binds a layer whose only state is the last token.
func shifted(c *refCase, l nn.Layer, err error) *operation {
	o := layer(c, l, err)
	o.newState = func() *tensor.State {
		st := l.NewState(c.shape("in.x")[0])
		o.start(st, 0, "shift_state", "bc", "bc")
		return st
	}
	return o
}

func rwkv7ChannelMix(c *refCase) *operation {
	l, err := rwkv.NewChannelMix7(rwkv.Config7{DModel: c.int("n_embd", 0), HeadDim: c.int("n_embd", 0), DFF: c.shape("w.key.weight")[0]})
	return shifted(c, l, err)
}

func rwkv7TimeMix(c *refCase) *operation {
	cols := func(name string) int {
		if !c.has("w." + name) {
			return 1
		}
		return c.shape("w." + name)[1]
	}
	l, err := rwkv.NewTimeMix7(rwkv.Config7{
		DModel: c.int("n_embd", 0), HeadDim: c.int("head_size", 64), NumLayers: 2, Layer: c.int("layer_id", 0),
		DecayRank: cols("w1"), RateRank: cols("a1"), ValueRank: cols("v1"), GateRank: cols("g1"),
	})
	o := layer(c, l, err)
	var first *leaf
	if c.has("in.v_first") {
		first = o.seq("v_first", "btc")
	}
	x := o.leaves[0]
	o.newState = func() *tensor.State {
		st := l.NewState(c.shape("in.x")[0])
		o.start(st, 0, "shift_state", "bc", "bc")
		o.start(st, 1, "wkv_state", "bhvk", "bhkv")
		return st
	}
	o.forward = func(_ *tensor.Scope, at pick, st *tensor.State) tensors {
		y, v := l.Mix(at(x), at(first), st)
		return tensors{y, v}
	}
	o.outs = []output{{"out.y", "btc"}}
	if c.has("out.v_first") {
		o.outs = append(o.outs, output{"out.v_first", "btc"})
	}
	o.states = []stateCheck{{"state.wkv", partValues(1, "bhkv", "bhvk")}}
	return o
}
