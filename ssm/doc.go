// Package ssm has state space models: layers whose state is a linear dynamical
// system driven by the sequence. What a layer remembers has a fixed size, and
// time grows with the length.
//
// State, in float32 numbers for a sequence, is given for the default
// configuration with D channels (DModel), of which each layer's page says more:
//
//	layer        state            what it is, and when to take it
//	S4           64 D             the first: A starts as HiPPO's, which remembers all of the past; diagonal plus rank one
//	S4D          64 D             the same with a diagonal A: as good in most tasks, simpler and cheaper
//	DSS          128 D            S4D's predecessor, whose modes all channels share
//	S5           D                one state for all channels; the least memory, products of matrices on both sides
//	LRU          2 D              S5's idea from first principles: modes on a ring within the unit circle
//	H3           127 D            S4D between gates: the first that recalls what followed a token
//	Hyena        3 L D            gates around a convolution with learned filters of L taps; Distill makes it a state of fixed size
//	RGLRU        4 D              Griffin's: gates choose what a channel keeps; beside windows of attention
//	Mamba        38 D             selective: step, B and C depend on the token; Falcon-Mamba's and Jamba's forms too
//	Mamba2       262 D + 768      one decay a head, so that long sequences are products of matrices
//	Mamba3       264 D            states that turn, a rule of second order; Rank gives heads several inputs and outputs
//
// All but the last four are time-invariant: A, B and C are the same for every
// token, the layer is a convolution, and Kernel of S4 and S4D is what with.
// Those cannot choose what to remember by content; in language the last four do better.
//
// Every layer is made by New… from a …Config whose zero values are the authors'
// defaults, starts from the authors' initialisation, and has the three methods
// of nn.Layer: Forward, NewState and Params, whose names are those of the
// authors' checkpoints. A Forward runs recurrences, for whole sequences too,
// but for Hyena's, which is a convolution; see packages scan and fft. All
// are differentiable, in weights, inputs and initial states.
//
// What they start from is here as well: HiPPO's matrices and their form as
// normal plus rank one (NPLR), the discretisations, Mamba-3's recurrence
// (Trapezoid) and the fit of modes to a kernel (FitModes).
//
// Glossary, with the names of the papers (Mamba: arXiv 2312.00752, S4: 2111.00396,
// S4D: 2206.11893): x or u the input, h the state of N numbers for each channel, A
// what becomes of the state, B how the input enters it, C how it is read, D a
// direct path, dt (Δ) the step of the discretisation, E inner channels, H heads
// of P channels, G groups of heads that share B and C, R the rank of Mamba-3.
//
// # What costs more than its class
//
// Of 768 channels and 2048 tokens, in µs a token of one core of a Zen 4: with
// gradients S4 takes 300 where S4D, DSS and H3 take 100 to 230, because its transition has a
// correction of rank one, by which a token's states all depend on each other; forward
// it takes 40 to S4D's 33. Mamba's takes 91 to S5's 41, an exponential for each of 16
// states of twice the channels; Mamba-3's 130, two products into the state for a token,
// and with four inputs a head 340.
package ssm
