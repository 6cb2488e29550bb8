package lm

import (
	"fmt"
	"maps"
	"slices"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/ssm"
	"github.com/subquad/subquad/tensor"
)

// A Config has the sizes of a stack of pre-norm blocks under Hugging Face's
// names, for New; Load reads one from config.json. A type has the fields of the
// first group and of its own. Zero values mean the defaults of its own
// configuration class (huggingface/transformers: models/*/configuration_*.py;
// fla-org/flash-linear-attention: fla/models/*/configuration_*.py).
type Config struct {
	ModelType  string  `json:"model_type"` // one of those on the package's page
	VocabSize  int     `json:"vocab_size"`
	HiddenSize int     `json:"hidden_size"`
	NumLayers  int     `json:"num_hidden_layers"`
	NormEps    float64 `json:"layer_norm_epsilon"` // of mamba
	RMSNormEps float64 `json:"rms_norm_eps"`       // of llama
	Tied       bool    `json:"tie_word_embeddings"`

	// mamba
	StateSize    int   `json:"state_size"`
	ConvKernel   int   `json:"conv_kernel"`
	Expand       int   `json:"expand"`
	TimeStepRank any   `json:"time_step_rank"` // a number, or "auto"
	UseBias      bool  `json:"use_bias"`
	UseConvBias  *bool `json:"use_conv_bias"`

	// mamba2
	NumSSMHeads   int   `json:"num_heads"`
	Groups        int   `json:"n_groups"`
	TimeStepLimit []any `json:"time_step_limit"` // lower and upper; what is not a finite number is no bound

	// flash-linear-attention: gla, retnet, delta_net, gated_deltanet, kda (num_heads and head_dim are above and below)
	FLANormEps   float64 `json:"norm_eps"`
	NumVHeads    int     `json:"num_v_heads"`
	ExpandK      float64 `json:"expand_k"`
	ExpandV      float64 `json:"expand_v"`
	ConvSize     int     `json:"conv_size"`
	UseShortConv bool    `json:"use_short_conv"`
	UseGate      bool    `json:"use_gate"`
	NegEigval    bool    `json:"allow_neg_eigval"`
	LowerBound   float64 `json:"lower_bound"`

	// falcon_mamba
	MixerRMSEps float64 `json:"mixer_rms_eps"`

	// llama
	NumHeads         int            `json:"num_attention_heads"`
	NumKVHeads       int            `json:"num_key_value_heads"`
	HeadDim          int            `json:"head_dim"`
	IntermediateSize int            `json:"intermediate_size"`
	RopeTheta        float64        `json:"rope_theta"`
	Rope             map[string]any `json:"rope_parameters"`
	AttentionBias    bool           `json:"attention_bias"`
	MLPBias          bool           `json:"mlp_bias"`

	Seed uint64 `json:"-"` // of the initialisation
}

// residual is x + layer(norm(x)): one part of a block, with the names of its tensors.
type residual struct {
	normName, name string
	norm           Map
	layer          nn.Layer // or
	mlp            *nn.MLP
}

// stackBlock is a block of such parts.
type stackBlock struct {
	kind  string
	parts []residual
}

func (b *stackBlock) Params() nn.Params {
	var p nn.Params
	for _, r := range b.parts {
		p = append(p, r.norm.Params().Prefix(r.normName)...)
		if r.layer != nil {
			p = append(p, r.layer.Params().Prefix(r.name)...)
		} else {
			p = append(p, r.mlp.Params().Prefix(r.name)...)
		}
	}
	return p
}

func (b *stackBlock) NewState(batch int) *tensor.State {
	st := tensor.NewState(b.kind, batch)
	for _, r := range b.parts {
		if r.layer != nil {
			st.Sub = append(st.Sub, r.layer.NewState(batch))
		}
	}
	return st
}

func (b *stackBlock) forward(x, _ *tensor.Tensor, st *tensor.State) (y, first *tensor.Tensor) {
	st.Check(b.kind, x.Dim(0))
	i := 0
	for _, r := range b.parts {
		h := r.norm.Forward(x)
		if r.layer != nil {
			x = tensor.Add(x, r.layer.Forward(h, st.Inner(i)))
			i++
		} else {
			x = r.mlp.AddTo(x, h)
		}
	}
	st.Advance(x.Dim(1))
	return x, nil
}

var backbone = names{"backbone.embeddings", "backbone.layers", "backbone.norm_f", "lm_head"}

type architecture struct {
	names names
	block func(c *Config, layer int) (*stackBlock, error)
}

// architectures makes the block of each model type.
var architectures = map[string]architecture{
	"mamba":        {backbone, mambaBlock},
	"falcon_mamba": {backbone, mambaBlock},
	"mamba2":       {backbone, mamba2Block},
	"llama":        {names{"model.embed_tokens", "model.layers", "model.norm", "lm_head"}, llamaBlock},
}

func (c *Config) norm() Map {
	eps := c.NormEps
	for _, e := range []float64{c.RMSNormEps, c.FLANormEps} {
		if e != 0 {
			eps = e
		}
	}
	if eps == 0 {
		eps = 1e-5
	}
	return &nn.RMSNorm{Weight: nn.Full(1, c.HiddenSize), Eps: float32(eps)}
}

func (c *Config) seed(layer int) uint64 { return c.Seed + 1000*uint64(layer+1) }

func mambaBlock(c *Config, layer int) (*stackBlock, error) {
	cfg := ssm.MambaConfig{DModel: c.HiddenSize, DState: c.StateSize, DConv: c.ConvKernel, Expand: c.Expand, Bias: c.UseBias,
		NoConvBias: c.UseConvBias != nil && !*c.UseConvBias, Seed: c.seed(layer)}
	if rank, ok := c.TimeStepRank.(float64); ok {
		cfg.DtRank = int(rank)
	}
	if c.ModelType == "falcon_mamba" {
		cfg.Norm, cfg.NormEps = ssm.PlainNorm, c.MixerRMSEps
	}
	m, err := ssm.NewMamba(cfg)
	return &stackBlock{"lm.mamba.Block/1", []residual{{normName: "norm", norm: c.norm(), name: "mixer", layer: m}}}, err
}

func mamba2Block(c *Config, layer int) (*stackBlock, error) {
	limit := func(i int) float64 {
		if i < len(c.TimeStepLimit) {
			v, _ := c.TimeStepLimit[i].(float64)
			return v
		}
		return 0
	}
	cfg := ssm.Mamba2Config{DModel: c.HiddenSize, DState: c.StateSize, DConv: c.ConvKernel, Expand: c.Expand, HeadDim: c.HeadDim, Groups: c.Groups,
		DInner: c.NumSSMHeads * c.HeadDim, FullNorm: true, NormEps: max(c.NormEps, c.FLANormEps), Bias: c.UseBias, NoConvBias: c.UseConvBias != nil && !*c.UseConvBias,
		DtLimitMin: limit(0), DtLimitMax: limit(1), Seed: c.seed(layer)}
	m, err := ssm.NewMamba2(cfg)
	return &stackBlock{"lm.mamba2.Block/1", []residual{{normName: "norm", norm: c.norm(), name: "mixer", layer: m}}}, err
}

func llamaBlock(c *Config, layer int) (*stackBlock, error) {
	base := c.RopeTheta
	if theta, ok := c.Rope["rope_theta"].(float64); ok {
		base = theta
	}
	if base == 0 {
		base = 10000
	}
	a, err := linattn.NewAttention(linattn.AttentionConfig{DModel: c.HiddenSize, NumHeads: c.NumHeads, NumKVHeads: c.NumKVHeads, HeadDim: c.HeadDim,
		RopeBase: base, Bias: c.AttentionBias, OutBias: c.AttentionBias, Seed: c.seed(layer)})
	if err != nil {
		return nil, err
	}
	mlp, err := nn.NewMLP(nn.MLPConfig{DModel: c.HiddenSize, DHidden: c.IntermediateSize, Bias: c.MLPBias, Seed: c.seed(layer) + 1})
	return &stackBlock{"lm.llama.Block/1", []residual{
		{normName: "input_layernorm", norm: c.norm(), name: "self_attn", layer: a},
		{normName: "post_attention_layernorm", norm: c.norm(), name: "mlp", mlp: mlp},
	}}, err
}

// New makes a model of a known type with random weights.
func New(c Config) (*Model, error) {
	arch, ok := architectures[c.ModelType]
	if !ok {
		return nil, fmt.Errorf("lm.Config: model_type %q: want one of %v", c.ModelType, slices.Sorted(maps.Keys(architectures)))
	}
	const most = 1 << 20
	if c.VocabSize < 1 || c.VocabSize > most || c.NumLayers < 1 || c.NumLayers > 1024 || c.HiddenSize < 1 || c.HiddenSize > 1<<16 {
		return nil, fmt.Errorf("lm.Config: vocab_size %d, num_hidden_layers %d, hidden_size %d: want 1 to %d, 1 to 1024, 1 to %d", c.VocabSize, c.NumLayers, c.HiddenSize, most, 1<<16)
	}
	rng := nn.NewRNG(c.Seed)
	m := &Model{Arch: c.ModelType, Norm: c.norm(), names: arch.names,
		Embedding: &nn.Embedding{Weight: nn.Normal(rng, 0.02, c.VocabSize, c.HiddenSize)},
		kind:      fmt.Sprintf("lm.%s/1 layers=%d d_model=%d", c.ModelType, c.NumLayers, c.HiddenSize)}
	m.Head = &nn.Linear{Weight: m.Embedding.Weight}
	if !c.Tied {
		m.Head.Weight = nn.Normal(rng, 0.02, c.VocabSize, c.HiddenSize)
	}
	for i := range c.NumLayers {
		b, err := arch.block(&c, i)
		if err != nil {
			return nil, fmt.Errorf("lm: block %d: %w", i, err)
		}
		m.Blocks = append(m.Blocks, b)
	}
	m.largePages()
	return m, nil
}
