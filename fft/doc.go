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
// Wrong lengths are misuse and panic; constructors return errors. Plans and
// kernels may be used from several goroutines at once, and results are the
// same bits for any number of them.
package fft
