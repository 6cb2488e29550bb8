package lm

import (
	"fmt"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/nn"
)

// The models of flash-linear-attention (fla/models/*/modeling_*.py): a mixer
// and a gated MLP, each after an RMS norm.

var flaNames = names{"model.embeddings", "model.layers", "model.norm", "lm_head"}

// flaMixers make the mixer of a model type, of heads whose keys and values
// have these widths.
var flaMixers = map[string]func(c *Config, keys, values int, seed uint64) (nn.Layer, error){
	"gla": func(c *Config, keys, values int, seed uint64) (nn.Layer, error) {
		return linattn.NewGLA(linattn.GLAConfig{DModel: c.HiddenSize, NumHeads: c.NumSSMHeads, HeadDim: keys, ValueDim: values, ConvSize: c.conv(0), NormEps: c.FLANormEps, Seed: seed})
	},
	"retnet": func(c *Config, keys, values int, seed uint64) (nn.Layer, error) {
		return linattn.NewRetNet(linattn.RetNetConfig{DModel: c.HiddenSize, NumHeads: c.NumSSMHeads, HeadDim: keys, ValueDim: values, ConvSize: c.conv(0), NormEps: c.FLANormEps, Seed: seed})
	},
	"delta_net": func(c *Config, keys, values int, seed uint64) (nn.Layer, error) {
		return linattn.NewDeltaNet(linattn.DeltaNetConfig{DModel: c.HiddenSize, NumHeads: c.NumSSMHeads, HeadDim: keys, ValueDim: values, ConvSize: c.conv(-1),
			NegEigval: c.NegEigval, OutputGate: c.UseGate, NormEps: c.FLANormEps, Seed: seed})
	},
	"gated_deltanet": func(c *Config, keys, values int, seed uint64) (nn.Layer, error) {
		return linattn.NewGatedDeltaNet(linattn.GatedDeltaNetConfig{DModel: c.HiddenSize, NumHeads: c.NumSSMHeads, NumVHeads: c.NumVHeads, HeadDim: keys, ValueDim: values, ConvSize: c.conv(-1),
			NegEigval: c.NegEigval, NoGate: !c.UseGate, NormEps: c.FLANormEps, Seed: seed})
	},
	"kda": func(c *Config, keys, values int, seed uint64) (nn.Layer, error) {
		return linattn.NewKDA(linattn.KDAConfig{DModel: c.HiddenSize, NumHeads: c.NumSSMHeads, NumVHeads: c.NumVHeads, HeadDim: keys, ValueDim: values, ConvSize: c.conv(-1),
			NegEigval: c.NegEigval, LowerBound: c.LowerBound, NormEps: c.FLANormEps, Seed: seed})
	},
}

func init() {
	for name := range flaMixers {
		architectures[name] = architecture{flaNames, flaBlock}
	}
}

// conv is the width of the short convolutions, or none.
func (c *Config) conv(none int) int {
	if !c.UseShortConv {
		return none
	}
	return c.ConvSize
}

func flaBlock(c *Config, layer int) (*stackBlock, error) {
	if c.NumSSMHeads < 1 || c.NumSSMHeads > c.HiddenSize {
		return nil, fmt.Errorf("num_heads %d: want 1 to hidden_size, %d", c.NumSSMHeads, c.HiddenSize)
	}
	expand := func(e float64, width int) int {
		if e == 0 {
			e = 1
		}
		return int(e*float64(width)) / c.NumSSMHeads
	}
	keys, values := expand(c.ExpandK, c.HiddenSize), expand(c.ExpandV, c.HiddenSize)
	if c.HeadDim > 0 {
		keys, values = c.HeadDim, expand(c.ExpandV, c.HeadDim*c.NumSSMHeads)
	}
	mixer, err := flaMixers[c.ModelType](c, keys, values, c.seed(layer))
	if err != nil {
		return nil, err
	}
	mlp, err := nn.NewMLP(nn.MLPConfig{DModel: c.HiddenSize, DHidden: c.IntermediateSize, Seed: c.seed(layer) + 1})
	return &stackBlock{"lm." + c.ModelType + ".Block/1", []residual{
		{normName: "attn_norm", norm: c.norm(), name: "attn", layer: mixer},
		{normName: "mlp_norm", norm: c.norm(), name: "mlp", mlp: mlp},
	}}, err
}
