package linattn

import (
	"github.com/subquad/subquad/nn"
	"github.com/subquad/subquad/scan"
	"github.com/subquad/subquad/tensor"
)

// DeltaRule is the operator of DeltaNet and its kin: a state S [K, V] per head
// is, in this order, faded, read at k, corrected towards v, and read at q,
//
//	S′  = diag(e^{g_t}) S_{t−1}
//	S_t = S′ + β_t k_t (v_t − S′ᵀ k_t)ᵀ
//	o_t = K^{−½} S_tᵀ q_t
//
// q and k [B, T, G, K] are brought to length one first; v is [B, T, H, V] with
// G dividing H, beta [B, T, H]. logDecay g ≤ 0 is nil, [B, T, H] or
// [B, T, H, K]. st, if not nil, is [B, H, K, V].
func DeltaRule(q, k, v, beta, logDecay *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	const op = "linattn.DeltaRule"
	tensor.Check(op, "v", v, -1, -1, -1, -1)
	B, T, H := v.Dim(0), v.Dim(1), v.Dim(2)
	tensor.Check(op, "beta", beta, B, T, H)
	q, k = nn.RepeatHeads(tensor.L2NormRsqrt(q, l2Eps), H), nn.RepeatHeads(tensor.L2NormRsqrt(k, l2Eps), H)
	return delta(q, k, v, beta, logDecay, st)
}

// l2Eps is that of flash-linear-attention's norm of queries and keys.
const l2Eps = 1e-6

// delta is DeltaRule for normed q and k of as many heads as v has.
func delta(q, k, v, beta, logDecay *tensor.Tensor, st *tensor.Part) *tensor.Tensor {
	B, T, H := v.Dim(0), v.Dim(1), v.Dim(2)
	read := tensor.Neg(k) // reads the state before the decay, hence e^g k
	if logDecay != nil {
		decay := tensor.Exp(logDecay)
		if decay.Rank() == 3 {
			decay = decay.Reshape(B, T, H, 1)
		}
		read = tensor.Mul(read, decay)
	}
	write := tensor.Mul(k, beta.Reshape(B, T, H, 1))
	return scan.Matrix(scan.MatrixInput{Q: q, K: write, V: v, LogDecay: logDecay, A: read, B: write, Scale: rootOf(k.Dim(-1))}, st)
}

// DeltaNetConfig describes a layer of DeltaNet. Zero values mean the defaults.
type DeltaNetConfig struct {
	DModel     int     // channels of the residual stream
	NumHeads   int     // default 4
	HeadDim    int     // channels of q and k in a head; default DModel/NumHeads
	ValueDim   int     // channels of v in a head; default HeadDim
	ConvSize   int     // width of the short convolutions; default 4, negative for none
	NegEigval  bool    // β from 0 to 2, so that an eigenvalue of the transition may be negative (arXiv 2411.12537)
	OutputGate bool    // gate the output by SiLU(W_g x)
	NormEps    float64 // of the output norm; default 1e-5
	Seed       uint64  // of the initialisation, torch's
}

// DeltaNet is the layer of "Parallelizing Linear Transformers with the Delta
// Rule over Sequence Length", arXiv 2406.06484
// (fla-org/flash-linear-attention: fla/layers/delta_net.py):
//
//	q, k, v = SiLU(conv(W x)) each;   q, k = q/‖q‖, k/‖k‖;   β = σ(W_b x)
//	S_t = S_{t−1} + β k_t (v_t − S_{t−1}ᵀ k_t)ᵀ;   y = W_o RMSNorm(K^{−½} S_tᵀ q_t)
//
// Its state is a matrix HeadDim×ValueDim for each head and the last inputs of
// the convolutions: NumHeads·(HeadDim·ValueDim + (ConvSize−1)(2·HeadDim+ValueDim)) floats.
// A token costs 4 multiply-adds for each number of the matrices beside the projections.
type DeltaNet struct {
	mixer
	neg bool
	B   *nn.Linear // of β
}

// NewDeltaNet makes a layer.
func NewDeltaNet(c DeltaNetConfig) (*DeltaNet, error) {
	c.NumHeads = or(c.NumHeads, 4)
	c.HeadDim = or(c.HeadDim, c.DModel/max(1, c.NumHeads))
	m, mk, err := newMixer(mixerConfig{
		layer: "DeltaNet", dModel: c.DModel, heads: c.NumHeads, vHeads: c.NumHeads, keyDim: c.HeadDim, valDim: or(c.ValueDim, c.HeadDim),
		conv: or(c.ConvSize, 4), normName: "o_norm", eps: or(c.NormEps, 1e-5), gated: c.OutputGate, seed: c.Seed,
	})
	if err != nil {
		return nil, err
	}
	l := &DeltaNet{mixer: m, neg: c.NegEigval, B: mk.linear(c.DModel, c.NumHeads, false)}
	return l, mk.err
}

// Params lists the weights under flash-linear-attention's names.
func (l *DeltaNet) Params() nn.Params {
	return append(l.mixer.Params(), l.B.Params().Prefix("b_proj")...)
}

// Forward mixes x [batch, length, DModel].
func (l *DeltaNet) Forward(x *tensor.Tensor, st *tensor.State) *tensor.Tensor {
	q, k, v := l.project(x, st, true)
	o := DeltaRule(q, k, v, learningRate(l.B, x, l.neg), nil, st.Part(0))
	return l.swish(o, x, st)
}

// learningRate is β = σ(W x) of the delta rule, doubled if its range goes to 2.
func learningRate(w *nn.Linear, x *tensor.Tensor, neg bool) *tensor.Tensor {
	b := tensor.Sigmoid(w.Forward(x))
	if neg {
		b = tensor.Scale(b, 2)
	}
	return b
}
