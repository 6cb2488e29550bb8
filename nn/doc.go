// Package nn has what the families of layers share.
//
//	Layer, Params, Param               what a layer is: Forward, NewState, weights by name
//	Linear, Embedding, MLP, GLU        maps of each token by itself
//	RMSNorm, LayerNorm, GroupNorm      norms over channels; RMSNormGated is Mamba-2's, with a gate
//	ShortConv, TokenShift, RoPE        what looks at the last few tokens, or at the position
//	Long                               a layer over a long sequence, in pieces that stay in the cache
//	Packed, Padded                     sequences of several lengths in one call, each as if alone
//	Uniform, Normal, Full, NewRNG      initial values of weights, from a seed
//
// A weight has the shape that PyTorch gives it, so that checkpoints load
// without change: a Linear's is [out, in]. Constructors take a configuration
// and return an error for sizes that make no layer; the structs may also be
// filled by hand, with weights from anywhere. Operators panic with a
// *tensor.ShapeError where shapes do not fit.
//
// Nothing here keeps state of its own: ShortConv and TokenShift take the part
// of a tensor.State that they continue, nil for the start of a sequence. All
// is differentiable, and safe for concurrent use as long as weights do not change.
package nn
