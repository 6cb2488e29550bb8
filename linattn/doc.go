// Package linattn has attention in time linear in the length, and exact
// softmax attention: the part of hybrids that recalls, and the baseline that
// everything else is measured against.
//
//	Attention   softmax over all earlier tokens or a window of them, grouped heads, rotary positions
//	Based       linear attention under the Taylor feature map, with a normaliser
//	BaseConv    Based's gated short convolution
//	BasedStack  the three above as Based combines them, each in a normed residual
//
// Glossary: φ is a feature map; a linear layer's state is Σ φ(k) vᵀ, of fixed
// size; a softmax layer's state is the keys and values themselves.
package linattn
