// Package linattn has attention in time linear in the length, and exact
// softmax attention: the part of hybrids that recalls, and the baseline that
// everything else is measured against.
//
//	Attention        softmax over all earlier tokens or a window of them, grouped heads, rotary positions, sinks, ALiBi
//	LinearAttention  sums of φ(k) vᵀ under any feature map, with or without a normaliser
//	Based, Rebased   the Taylor feature map; a learned quadratic kernel
//	BaseConv         Based's gated short convolution
//	BasedStack       Based, BaseConv and a window of softmax, each in a normed residual
//	JRT              Based with a prefix that every token sees whole; JRTPrompt reads a prompt twice
//	LoLCATs          softmax over a window and linear attention before it under one denominator
//	RetNet           a fixed decay for each head; Lightning: MiniMax's
//	GLA, SimpleGLA   a decay that depends on the token, for each channel of a key or each head
//	HGRN, HGRN2      forget gates with a lower bound, the state a vector or a matrix
//	GSA              softmax over slots, each with its own forgetting
//	DeltaNet         the delta rule: what a key held is replaced, not added to
//	GatedDeltaNet    with a decay for each head; KDA: for each channel of a key
//	DeltaProduct     several steps of the delta rule for each token
//	LogLinearMamba2  a state for each scale of distance, weighed by the token: LogLinear is the operator
//	DPLR             a transition that is diagonal plus rank one, in general
//
// Those after LoLCATs, but HGRN, are cases of [scan.Matrix].
//
// Each is made from a configuration of which only DModel must be given,
// NewGLA(GLAConfig{DModel: 768}), takes x [batch, length, DModel], normed, and
// adds nothing to it: norms, residuals and the MLP between two layers are the
// model's (package lm has whole ones). Forward(x, nil) is a sequence by
// itself; NewState and Forward(x, state) read on where the last call ended,
// one token or a thousand at a time. All but Attention without a window keep a
// state of fixed size. The doc comment of each type gives its equations, its
// state and what a token costs.
//
// The parts are there for layers of one's own: [Softmax], [Normalized],
// [Taylor], [DeltaRule], [LogLinear].
//
// Glossary: φ is a feature map; a linear layer's state is Σ φ(k) vᵀ, of fixed
// size; β is the rate at which the delta rule corrects its state; a softmax
// layer's state is the keys and values themselves.
package linattn
