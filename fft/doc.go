// Package fft has Fourier transforms of many channels at once, and the causal
// long convolution of S4, S4D, H3 and Hyena that is built on them.
//
// Data are float32 in the channels-last layout of the whole module: element
// (i, c) of a sequence is x[i*channels+c], and each channel is transformed on
// its own. A vector holds neighbouring channels, so nothing is ever
// transposed. One channel works too, more slowly for each number.
//
//	n         transform length           T  sequence length
//	channels  innermost axis             L  taps of the filter ("kernel" k)
//
// Definitions, for each channel:
//
//	Plan.Forward       X[k] = Σ_j x[j] e^(−2πi jk/n)
//	Plan.Inverse       x[j] = 1/n Σ_k X[k] e^(+2πi jk/n)
//	RealPlan.Forward   the first n/2+1 of those X
//	CausalConv         y[t] = Σ_s k[s] u[t−s],  0 ≤ s < L
//	GatedConv          the same between two gates, Post ⊙ conv(Pre ⊙ u)
//	OnlineConv         GatedConv for single tokens, at O(log² L) each
//
// Which to use: CausalConv and GatedConv within a layer (they have gradients
// and take a state), Kernel for one filter that is applied often to plain
// slices, Online where an output is needed before the next input comes,
// NewSparseKernel where only some frequencies of the filter count. The cost is
// that of O(log min(T, L)) multiply-adds for an output, or of L where L is small.
//
// Errors are at most 1e-6 of the largest output of a block (1e-7 to 4e-7
// measured), which is the bound of every transform: after a spike of 1e6,
// outputs of size one are lost in its rounding, and a NaN makes its whole
// block NaN, outputs before it too. Filters of few taps, which are summed as
// they stand, have neither weakness (TestEdges).
//
// Wrong lengths are misuse and panic; constructors return errors. Plans and
// kernels may be used from several goroutines at once, and results are the
// same bits for any number of them.
package fft
